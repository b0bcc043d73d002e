//! The rules for the texts of a template's parameters. They are Meta's, whoever hands the message to WhatsApp: Twilio
//! (error 21656) and Meta (132018, and 100 with "Param text cannot have new-line/tab characters or more than 4
//! consecutive spaces") say them in the same words, Sinch and Kaleyra pass the parameters on.

/// The longest parameter, in characters. A whole template has 1024 (Meta's limit for a template's body).
pub const LONGEST_PARAMETER: usize = 1_024;

/// Meta refuses one more space in a row.
const SPACES: usize = 4;

/// The longest address, in bytes. Browsers and proxies take as much.
const LONGEST_ADDRESS: usize = 2_048;

/// The longest code that a button copies, in characters. Source: Meta, "Template components", copy code buttons.
const LONGEST_CODE: usize = 15;

/// What a text of a template is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextRule {
    /// It is shown in the text of the header or the body.
    Parameter,
    /// It comes back with an answer, and may be empty.
    Payload,
    /// It is a whole public https address.
    Address,
    /// It is appended to an address.
    AddressEnd,
    /// The customer copies it.
    Code,
    /// The name of a file or a place.
    Label,
}

impl TextRule {
    /// What is wrong with a text, if anything is.
    pub fn fault(self, text: &str) -> Option<String> {
        let said = |message: &str| Some(message.to_owned());
        if text.trim().is_empty() && self != Self::Payload {
            return said("must not be empty");
        }
        if text.contains(breaks_a_line) {
            return said("must not have line breaks, tabs or other control characters");
        }
        let most = match self {
            Self::Code => LONGEST_CODE,
            Self::Parameter | Self::Payload | Self::AddressEnd | Self::Label => LONGEST_PARAMETER,
            Self::Address => LONGEST_ADDRESS,
        };
        if text.chars().count() > most {
            return Some(format!("must have at most {most} characters"));
        }
        match self {
            Self::Parameter if longest_run(text) > SPACES => said("must not have more than four spaces in a row"),
            Self::Address if !(text.starts_with("https://") && text.bytes().all(|b| b.is_ascii_graphic())) => {
                said("must be an https address")
            }
            Self::AddressEnd if text.contains(char::is_whitespace) => said("must not have spaces: it becomes part of an address"),
            _ => None,
        }
    }
}

/// Control characters, and Unicode's own line and paragraph separators.
fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The number of characters in the longest run of white space.
fn longest_run(text: &str) -> usize {
    text.split(|c: char| !c.is_whitespace()).map(|run| run.chars().count()).max().unwrap_or_default()
}

/// A text on one line: each run of white space and control characters becomes one space, and none is left at the
/// ends.
pub fn flattened(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_has_no_line_breaks_no_tabs_and_at_most_four_spaces_in_a_row() {
        let fault = |text: &str| TextRule::Parameter.fault(text);
        for fine in ["Zoë", "a    b", " a", "{{1}}", "👍", "a\u{200f}b"] {
            assert_eq!(fault(fine), None, "{fine:?}");
        }
        for bad in ["a\nb", "a\r\nb", "a\tb", "a\u{2028}b", "a\u{85}b", "a\u{0}"] {
            assert_eq!(fault(bad).as_deref(), Some("must not have line breaks, tabs or other control characters"), "{bad:?}");
        }
        for bad in ["a     b", "     a", "a\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}b"] {
            assert_eq!(fault(bad).as_deref(), Some("must not have more than four spaces in a row"), "{bad:?}");
        }
        for bad in ["", " ", "\u{a0}"] {
            assert_eq!(fault(bad).as_deref(), Some("must not be empty"), "{bad:?}");
        }
        assert_eq!(fault(&"ü".repeat(1_025)).as_deref(), Some("must have at most 1024 characters"));
    }

    #[test]
    fn payloads_codes_and_addresses_have_rules_of_their_own() {
        for (rule, text, fine) in [
            (TextRule::Payload, "", true),
            (TextRule::Payload, "a\nb", false),
            (TextRule::AddressEnd, "abc?d=e", true),
            (TextRule::AddressEnd, "a b", false),
            (TextRule::AddressEnd, "", false),
            (TextRule::Code, "SAVE-20", true),
            (TextRule::Code, "0123456789ABCDEF", false),
            (TextRule::Address, "https://h.example/a", true),
            (TextRule::Address, "http://h.example/a", false),
            (TextRule::Address, "https://h.example/a b", false),
            (TextRule::Label, "a     b", true),
        ] {
            assert_eq!(rule.fault(text).is_none(), fine, "{rule:?} {text:?}");
        }
    }

    #[test]
    fn a_text_is_flattened_to_one_line_that_the_provider_takes() {
        for (text, flat) in [("a\r\n\r\nb", "a b"), ("\ta      b ", "a b"), (" \n", ""), ("Zoë", "Zoë"), ("a\u{2028}b\u{0}c", "a b c")] {
            assert_eq!(flattened(text), flat, "{text:?}");
            assert!(flat.is_empty() || TextRule::Parameter.fault(&flattened(text)).is_none());
        }
    }
}
