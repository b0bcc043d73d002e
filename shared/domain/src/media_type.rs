//! Media types as people and providers write them: `type/subtype`, then parameters.
//!
//! Parameters matter: WhatsApp takes `audio/ogg; codecs=opus` and refuses bare `audio/ogg`. So a type keeps them
//! wherever it is stored or sent, and only comparisons look at the essence.

/// The longest type: two parts of 127 characters each, as RFC 6838 allows, and the parameters of real files.
const LONGEST: usize = 255;

/// Type and subtype in lower case, without parameters.
pub fn essence(declared: &str) -> String {
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The type as it is stored and sent: type and subtype in lower case, parameters as they were written. `None` if it
/// is not a media type, or could break out of a header.
pub fn canonical(declared: &str) -> Option<String> {
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let printable = declared.len() <= LONGEST && declared.trim().bytes().all(|b| (b' '..=b'~').contains(&b));
    let essence = match essence(declared) {
        // Not registered, but common.
        jpeg if jpeg == "image/jpg" => "image/jpeg".to_owned(),
        other => other,
    };
    let (family, subtype) = essence.split_once('/')?;
    if !printable || !token(family) || !token(subtype) {
        return None;
    }
    let parameters = declared.split(';').skip(1).map(str::trim).filter(|parameter| !parameter.is_empty());
    Some(parameters.fold(essence, |whole, parameter| format!("{whole}; {parameter}")))
}

/// Whether the parameters name the Opus codec.
pub fn has_opus(declared: &str) -> bool {
    declared
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .any(|(name, value)| name.trim().eq_ignore_ascii_case("codecs") && value.trim().trim_matches('"').eq_ignore_ascii_case("opus"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_keeps_its_parameters_and_is_written_in_one_way() {
        for (declared, stored) in [
            ("IMAGE/JPEG", "image/jpeg"),
            ("image/jpg", "image/jpeg"),
            (" text/plain;charset=UTF-8 ", "text/plain; charset=UTF-8"),
            ("Audio/OGG; codecs=opus", "audio/ogg; codecs=opus"),
            ("audio/ogg;", "audio/ogg"),
            ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ] {
            assert_eq!(canonical(declared).as_deref(), Some(stored));
            assert_eq!(canonical(stored).as_deref(), Some(stored));
        }
    }

    #[test]
    fn what_is_not_a_type_or_could_break_out_of_a_header_is_none() {
        let long = format!("a/{}", "b".repeat(254));
        for declared in ["", "image", "image/", "/png", "image/p ng", "a/b/c", "image/png\r\nx: y", "image/png; a=\u{0}", "é/x", &long] {
            assert_eq!(canonical(declared), None, "{declared:?}");
        }
    }

    #[test]
    fn opus_is_known_in_every_spelling() {
        for declared in ["audio/ogg; codecs=opus", "audio/ogg;codecs=\"opus\"", "audio/ogg; rate=1; Codecs=Opus"] {
            assert!(has_opus(declared), "{declared}");
        }
        for declared in ["audio/ogg", "audio/ogg; codecs=vorbis", "audio/opus", "audio/ogg; opus"] {
            assert!(!has_opus(declared), "{declared}");
        }
    }
}
