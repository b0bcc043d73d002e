//! Reads JSON that the standard parser refuses, but that a person would read. It runs only after that parser failed.
//!
//! | in the text | becomes |
//! |---|---|
//! | half a surrogate pair, an incomplete `\u` | U+FFFD: senders cut names in the middle of an emoji |
//! | bytes that are not UTF-8 | U+FFFD |
//! | an escape that JSON doesn't have (`\x41`, `\'`) | the characters themselves |
//! | control characters in a text, also NUL and line breaks | themselves |
//! | a byte order mark, NULs or other blanks around the values | nothing |
//! | a number out of range or of an odd form (`1e999`, `007`, `NaN`) | its text, which every reader here takes as well |
//! | a comma too many, a value that is missing | nothing, null |
//! | anything nested deeper than [`DEPTH`] | null |
//! | a name that comes twice | the last one, as with the standard parser |
//! | bytes after the value | nothing, unless they hold another object or list |
//!
//! A document that ends early is not readable: what is missing may be a message, and the provider sends it again.

use serde_json::{Map, Value};

/// The deepest nesting, the same as the standard parser's. Real webhooks have about 12 levels.
const DEPTH: usize = 127;

/// Reads a document; `None` if it can't be read.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH)?;
    let rest = &text[reader.at..];
    (!rest.contains(['{', '['])).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Whether the next character is `c`, which is then behind us.
    fn takes(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        if is {
            self.at += c.len_utf8();
        }
        is
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|c| c.is_whitespace() || c.is_control() || c == '\u{feff}') {
            self.next();
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_blanks();
        match self.peek()? {
            '{' | '[' if depth == 0 => self.skip_nested().map(|()| Value::Null),
            '{' => self.object(depth),
            '[' => self.list(depth),
            '"' => self.string().map(Value::String),
            _ => self.plain(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.next();
        let mut members = Map::new();
        loop {
            self.skip_blanks();
            match self.peek()? {
                '}' => {
                    self.next();
                    return Some(Value::Object(members));
                }
                ',' => drop(self.next()),
                '"' => {
                    let name = self.string()?;
                    self.skip_blanks();
                    if !self.takes(':') {
                        return None;
                    }
                    self.skip_blanks();
                    let missing = matches!(self.peek()?, ',' | '}');
                    members.insert(name, if missing { Value::Null } else { self.value(depth - 1)? });
                }
                _ => return None,
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.next();
        let mut elements = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek()? {
                ']' => {
                    self.next();
                    return Some(Value::Array(elements));
                }
                ',' => drop(self.next()),
                _ => elements.push(self.value(depth - 1)?),
            }
        }
    }

    /// A word or a number.
    fn plain(&mut self) -> Option<Value> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')) {
            self.next();
        }
        match &self.text[start..self.at] {
            "" => None,
            word => Some(serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned()))),
        }
    }

    fn string(&mut self) -> Option<String> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => match self.next()? {
                    c @ ('"' | '\\' | '/' | '\'') => text.push(c),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'u' => text.push(self.escaped()),
                    other => text.extend(['\\', other]),
                },
                c => text.push(c),
            }
        }
    }

    /// The character of an escape, behind its `\u`.
    fn escaped(&mut self) -> char {
        let first = self.unit();
        let Some(high @ 0xd800..=0xdbff) = first else { return first.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER) };
        // The other half, if it is one. Anything else is read as what it is.
        let behind = self.at;
        if self.takes('\\')
            && self.takes('u')
            && let Some(low @ 0xdc00..=0xdfff) = self.unit()
        {
            return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        self.at = behind;
        char::REPLACEMENT_CHARACTER
    }

    /// Four hex digits; `None` behind those that are there if there are fewer.
    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|c| c.to_digit(16))?;
            self.next();
            unit = unit * 16 + digit;
        }
        Some(unit)
    }

    /// Goes behind an object or a list without reading it, however deep it is.
    fn skip_nested(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                '"' => drop(self.string()?),
                c => {
                    self.next();
                    match c {
                        '{' | '[' => open += 1,
                        '}' | ']' => open -= 1,
                        _ => {}
                    }
                    if open == 0 {
                        return Some(());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_person_would_read_is_read() {
        for (text, value) in [
            (r#"{"name":"Cut\ud83d"}"#, json!({"name": "Cut\u{fffd}"})),
            (r#"{"name":"\ude00Cut"}"#, json!({"name": "\u{fffd}Cut"})),
            (r#"["\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}\u{1f600}"])),
            (r#"["\ud83d\u0041\ud83dx\ud83d\n"]"#, json!(["\u{fffd}A\u{fffd}x\u{fffd}\n"])),
            (r#"["\ud83d","\u12","\u","\uZZ"]"#, json!(["\u{fffd}", "\u{fffd}", "\u{fffd}", "\u{fffd}ZZ"])),
            (r#"["\x41 \' \/"]"#, json!(["\\x41 ' /"])),
            ("[\"a\nb\tc\u{0}d\u{1}\"]", json!(["a\nb\tc\0d\u{1}"])),
            ("\u{feff}{\"a\":1}", json!({"a": 1})),
            ("\0 {\"a\" :\u{a0}1 }\0\0\n", json!({"a": 1})),
            (
                r#"[1e999,-1e999,007,1.,.5,+1,NaN,-Infinity,1E+2]"#,
                json!(["1e999", "-1e999", "007", "1.", ".5", "+1", "NaN", "-Infinity", 100.0]),
            ),
            (r#"{"a":1,,"b":[1,2,],"c":,}"#, json!({"a": 1, "b": [1, 2], "c": null})),
            (r#"{"a":"\ud83d","a":2}"#, json!({"a": 2})),
            (r#"{"a":"\ud83d"} -- end"#, json!({"a": "\u{fffd}"})),
            (r#"{"a":true,"b":null,"c":False}"#, json!({"a": true, "b": null, "c": "False"})),
        ] {
            assert_eq!(read(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_is_not_read() {
        for text in [
            "",
            "{",
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":"b"#,
            r#"{"a":"b\"#,
            r#"["\u12"#,
            "[1",
            "{}{}",
            "{}[]",
            "{1:2}",
            r#"{"a" 1}"#,
            "{'a':1}",
            "]",
            "[}",
            "[}]",
            r#"{"a":]}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_without_end_costs_only_what_lies_in_it() {
        let deep = format!(r#"{{"a":{}1{},"b":"\ud83d"}}"#, "[{\"x]\":".repeat(50_000), "}]".repeat(50_000));
        let value = read(&deep).unwrap();
        assert_eq!(value["b"], "\u{fffd}");
        assert!(serde_json::from_str::<Value>(&value.to_string()).is_ok());
        assert_eq!(read(&"[".repeat(1_000_000)), None);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_is_read_as_the_standard_parser_reads_it(value in any_value()) {
            prop_assert_eq!(read(&value.to_string()), Some(value.clone()));
            prop_assert_eq!(read(&serde_json::to_string_pretty(&value).unwrap()), Some(value));
        }

        #[test]
        fn half_a_surrogate_pair_anywhere_costs_only_its_character(text in "[ -!#-\\[\\]-~àé😀]{0,20}", at in any::<prop::sample::Index>(), half in 0xd800_u32..0xe000) {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
            let (before, after) = text.split_at(places[at.index(places.len())]);
            let body = format!(r#"{{"before":1,"text":"{before}\u{half:04x}{after}","after":[2]}}"#);
            prop_assert!(serde_json::from_str::<Value>(&body).is_err());
            prop_assert_eq!(read(&body), Some(json!({"before": 1, "text": format!("{before}\u{fffd}{after}"), "after": [2]})));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), marks in "[\\[\\]{}\",:\\\\u0-9a-f ]{0,64}") {
            for text in [text, marks] {
                if let Some(value) = read(&text) {
                    prop_assert!(serde_json::from_str::<Value>(&value.to_string()).is_ok());
                }
                if let Ok(value) = serde_json::from_str::<Value>(&text) {
                    prop_assert_eq!(read(&text), Some(value));
                }
            }
        }
    }
}
