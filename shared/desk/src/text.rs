//! Texts that people enter.

use api::Error;

/// A short text on one line, of at most `most` characters.
pub fn short_text(field: &'static str, text: &str, most: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    one_line(field, text, most).map(|()| text.to_owned())
}

/// A text on any number of lines, of at most `most` characters.
pub fn long_text(field: &'static str, text: &str, most: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    lines(field, text, most).map(|()| text.to_owned())
}

/// Refuses a text, empty or not, that is not one line of at most `most` characters: it would break logs, screens
/// and the providers' templates.
pub fn one_line(field: &str, text: &str, most: usize) -> Result<(), Error> {
    // Unicode's own line and paragraph separators are not control characters.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Error::field(field, "must be one line, without control characters"));
    }
    within(field, text, most)
}

/// Refuses a text, empty or not, with more than `most` characters or with control characters other than line breaks
/// and tabs.
pub fn lines(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Error::field(field, "must not have control characters other than line breaks and tabs"));
    }
    within(field, text, most)
}

fn within(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.chars().count() > most { Err(Error::field(field, format!("must have at most {most} characters"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_no_control_characters_and_a_line_no_line_breaks() {
        let (short, long) = (|text: &str| short_text("name", text, 6), |text: &str| long_text("text", text, 6));
        assert_eq!((short(" Zoë\n").unwrap(), long("\ta\r\nb\tc\n").unwrap()), ("Zoë".to_owned(), "a\r\nb\tc".to_owned()));
        for bad in ["a\nb", "a\tb", "a\rb", "a\u{2028}b", "a\u{85}b"] {
            assert!(short(bad).is_err(), "{bad:?}");
        }
        for bad in ["a\0b", "\u{1b}[1m", "a\u{7f}", "a\u{9b}b", "", " ", "1234567"] {
            assert!(short(bad).is_err() && long(bad).is_err(), "{bad:?}");
        }
    }
}
