//! Texts with variables, written as Mustache templates: the notification of an offer, the plan's automatic replies,
//! an approved template's parameters.
//!
//! A template gets plain texts by group and name, such as `name` in `contact`. Unknown names are empty. Nothing is
//! escaped: the text goes to WhatsApp or to a screen that shows it as text, never into HTML.

use std::borrow::Cow;

use mustache2::Data;
use mustache2::render::provider::SourceProvider;
use mustache2::render::{RenderManager, SourceCache};
use serde::{Deserialize, Serialize};

use crate::variables::VariableName;

/// The values of the variables: the groups by name, and in each the values by name. `{{#group}}` … `{{/group}}`
/// shows its inside if the group exists.
pub type Groups<'a> = Vec<(&'static str, Vec<(&'static str, &'a str)>)>;

/// A Mustache template that parses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextTemplate(String);

/// The place where a text stops being a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {column}: {reason}")]
pub struct TemplateError {
    /// Bytes before the fault.
    pub at: usize,
    /// The number of that character, from 1.
    pub column: usize,
    /// The fault.
    pub reason: String,
}

/// 32 bits of FNV-1a.
pub fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl TextTemplate {
    /// The longest template, in bytes: half of WhatsApp's longest text. That leaves room for the values, and keeps
    /// a plan of automatic replies well within its item.
    pub const LONGEST: usize = 2_048;

    /// Reads a template.
    ///
    /// # Errors
    /// The text is not a template. The error holds the place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > Self::LONGEST {
            let at = (0..=Self::LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let reason = "a template has at most 2048 bytes".to_owned();
            return Err(TemplateError { at, column: text[..at].chars().count() + 1, reason });
        }
        Self::of_any_length(text)
    }

    /// Reads a template whose length is limited elsewhere.
    ///
    /// # Errors
    /// The text is not a template. The error holds the place.
    pub fn of_any_length(text: &str) -> Result<Self, TemplateError> {
        let error = |at: usize, reason: &str| {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            TemplateError { at, column: text[..at].chars().count() + 1, reason: reason.to_owned() }
        };
        if let Some((at, reason)) = wrong_tag(text) {
            return Err(error(at, reason));
        }
        match rendered(text, Data::Null) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(refused) => Err(error(refused.source.map_or(0, |(_, place)| place.start), &refused.message)),
        }
    }

    /// A template from our own code, which a test has parsed.
    pub(crate) fn trusted(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A fingerprint of the text (32 bits of FNV-1a), small enough that an interaction can remember the replies
    /// that it has sent.
    pub fn fingerprint(&self) -> u32 {
        fingerprint(&self.0)
    }

    /// The text with the variables filled in, without blanks around it, at most `most` characters long.
    pub fn render(&self, groups: &Groups<'_>, most: usize) -> String {
        let text = rendered(&self.0, data(groups)).unwrap_or_default();
        let text: String = text.chars().map(unmasked).collect();
        let text = text.trim();
        match text.char_indices().nth(most) {
            Some((end, _)) => text[..end].trim_end().to_owned(),
            None => text.to_owned(),
        }
    }
}

impl TryFrom<String> for TextTemplate {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<TextTemplate> for String {
    fn from(template: TextTemplate) -> String {
        template.0
    }
}

/// The first tag that is not allowed here, and why: there are no other templates to include, no other delimiters,
/// no comments. The renderer gets well-formed tags only: it is made for trusted files, and stumbles over characters
/// beyond ASCII in an unclosed tag.
fn wrong_tag(text: &str) -> Option<(usize, &'static str)> {
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let tag = at + found;
        let (inside, closing) = match text[tag..].strip_prefix("{{{") {
            Some(inside) => (inside, "}}}"),
            None => (&text[tag + 2..], "}}"),
        };
        let Some(length) = inside.find(closing) else { return Some((tag, "this tag is never closed")) };
        let content = &inside[..length];
        let name = if closing == "}}" { content.strip_prefix(['#', '^', '/', '&']).unwrap_or(content) } else { content };
        if !name.trim_ascii().split('.').all(|part| VariableName::parse(part).is_ok()) {
            return Some((tag, "expected a name such as contact.name, with #, ^, / or & before it or nothing"));
        }
        at = text.len() - inside.len() + length + closing.len();
    }
    None
}

fn data(groups: &Groups<'_>) -> Data {
    let text = |value: &str| Data::String(value.chars().filter_map(masked).collect());
    let group = |values: &[(&str, &str)]| Data::Map(values.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect());
    Data::Map(groups.iter().map(|(name, values)| ((*name).to_owned(), group(values))).collect())
}

/// The four characters that Mustache escapes for HTML, each with a stand-in from Unicode's private area that
/// replaces it in the renderer.
const ESCAPED: [(char, char); 4] = [('&', '\u{f8f0}'), ('"', '\u{f8f1}'), ('<', '\u{f8f2}'), ('>', '\u{f8f3}')];

/// A stand-in that comes from outside has no meaning, so it is dropped.
fn masked(character: char) -> Option<char> {
    match ESCAPED.iter().find(|(plain, stand_in)| character == *plain || character == *stand_in) {
        Some((plain, stand_in)) if character == *plain => Some(*stand_in),
        Some(_) => None,
        None => Some(character),
    }
}

fn unmasked(character: char) -> char {
    ESCAPED.iter().find(|(_, stand_in)| *stand_in == character).map_or(character, |(plain, _)| *plain)
}

/// A template that includes no others.
struct Alone<'a>(&'a str);

impl SourceProvider for Alone<'_> {
    /// Whether it is another template.
    type Key = bool;

    fn get_src(&mut self, other: &bool) -> Result<String, Cow<'static, str>> {
        if *other { Err("there are no other templates".into()) } else { Ok(self.0.to_owned()) }
    }

    fn resolve_partial(&self, _: &bool, _: &str) -> bool {
        true
    }

    fn display_key(_: &bool) -> Cow<'_, str> {
        Cow::Borrowed("template")
    }
}

fn rendered(text: &str, data: Data) -> Result<String, mustache2::Error> {
    RenderManager::new(Alone(text), &SourceCache::default()).render(false, data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, name: Option<&str>) -> String {
        let groups = vec![("account", vec![("name", "Roma")]), ("contact", vec![("name", name.unwrap_or_default())])];
        TextTemplate::parse(template).unwrap().render(&groups, 4_096)
    }

    #[test]
    fn nothing_is_escaped_and_no_customers_name_is_a_template() {
        assert_eq!(render("{{contact.name}} & {{{contact.name}}}", Some("<b>\"D'A\u{f8f0}&\"")), "<b>\"D'A&\" & <b>\"D'A&\"");
        assert_eq!(render("{{contact.name}}", Some("{{account.name}}")), "{{account.name}}");
        assert_eq!(render("{{& contact.name }}", Some("<A>")), "<A>");
    }

    #[test]
    fn a_template_that_does_not_parse_is_refused_with_the_place() {
        for (text, at, column) in [
            ("Hi {{contact.name", 3, 4),
            ("è {{#queue}}x", 3, 3),
            ("x {{/queue}}", 2, 3),
            ("{{#a}}{{/b}}", 6, 7),
            ("{{=<% %>=}}", 0, 1),
            ("{{> other}}", 0, 1),
            ("a {{contact name}}", 2, 3),
            ("{{}}", 0, 1),
            ("{{d𐴴", 0, 1),
        ] {
            let error = TextTemplate::parse(text).unwrap_err();
            assert_eq!((error.at, error.column), (at, column), "{text}: {error}");
        }
        assert_eq!(TextTemplate::parse("Hi {{contact.name").unwrap_err().to_string(), "at character 4: this tag is never closed");
        assert_eq!(TextTemplate::parse(&"x".repeat(TextTemplate::LONGEST + 1)).unwrap_err().at, TextTemplate::LONGEST);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(TextTemplate::parse("èèèè").unwrap().render(&Vec::new(), 3), "èèè");
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_refused_at_a_place_within_it(text in any::<String>()) {
            match TextTemplate::parse(&text) {
                Ok(_) => { render(&text, Some("Ada")); }
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }

        /// Texts, most of which begin like a template.
        #[test]
        fn anything_like_a_template_is_one_or_refused(pieces in proptest::collection::vec(0..16_usize, 0..16)) {
            const PIECES: [&str; 16] =
                ["{{", "}}", "{{{", "}}}", "#queue", "/queue", "^queue", "!", ">x", "=", "contact.name", "&", " ", "\n", "è", "{{=<% %>=}}"];
            let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
            match TextTemplate::parse(&text) {
                Ok(_) => { render(&text, Some("Ada")); }
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }
}
