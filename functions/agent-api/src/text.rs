//! Text that people entered.

use api::Error;

/// A word or two on one line that a person entered; `most` characters.
pub(crate) fn short_text(field: &'static str, text: &str, most: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    one_line(field, text, most).map(|()| text.to_owned())
}

/// What a person wrote, on as many lines as it takes; `most` characters.
pub(crate) fn long_text(field: &'static str, text: &str, most: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    lines(field, text, most).map(|()| text.to_owned())
}

/// Refuses what is no text of one line, empty or not, with at most `most` characters: it would break logs, screens and
/// the providers' templates.
pub(crate) fn one_line(field: &str, text: &str, most: usize) -> Result<(), Error> {
    // Unicode's own line and paragraph separators are no control characters.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Error::field(field, "must be one line, without control characters"));
    }
    within(field, text, most)
}

/// Refuses what is no text, empty or not, with at most `most` characters: of the control characters only line breaks
/// and tabs say something.
pub(crate) fn lines(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Error::field(field, "must have no control characters but line breaks and tabs"));
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
    fn control_characters_are_no_part_of_a_text_and_line_breaks_of_no_line() {
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
