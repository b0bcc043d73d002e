//! Parses the messages that agents send.

use domain::account::Provider;
use domain::ids::MessageId;
use domain::message::{ApprovedTemplate, Content, TemplateButton, TemplateButtonKind, TemplateHeader};
use serde::Deserialize;
use utoipa::ToSchema;

use super::attachments::Upload;
use crate::problem::Failure;
use crate::text::{lines, one_line};

/// WhatsApp accepts captions of up to 1024 characters.
const LONGEST_CAPTION: usize = 1024;

/// WhatsApp's limits: 512 characters for a template's name and 1024 for a parameter. A language code is short.
const LONGEST_NAME: usize = 512;
const LONGEST_PARAMETER: usize = 1024;
const LONGEST_LANGUAGE: usize = 15;

/// A body of 1024 characters can't hold more parameters than this, and WhatsApp allows 10 buttons.
const MOST_PARAMETERS: usize = 100;
const MOST_BUTTONS: usize = 10;

/// An emoji may consist of several code points. Families and flags have up to 14 characters.
const LONGEST_EMOJI: usize = 16;

/// The name or the address of a location takes a line or two.
const LONGEST_LABEL: usize = 1000;

/// A message to send. Give exactly one of `text`, `attachment`, `template`, `recontact`, `location` and `reaction`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// The text. It must not be empty. The account's provider sets the maximum length.
    pub(crate) text: Option<String>,
    /// The id of an upload (`POST …/attachments`).
    pub(crate) attachment: Option<String>,
    /// The caption of an attachment: at most 1024 characters. Audio and stickers have no caption.
    pub(crate) caption: Option<String>,
    /// An approved template. Outside the 24-hour window only templates are allowed.
    pub(crate) template: Option<NewTemplate>,
    /// `true`: send the account's recontact template, with its parameters filled in.
    #[serde(default)]
    pub(crate) recontact: bool,
    /// A location.
    pub(crate) location: Option<NewLocation>,
    /// A reaction to a message of this interaction.
    pub(crate) reaction: Option<NewReaction>,
    /// The id of the message to reply to, in this interaction. Not allowed with a template or a reaction.
    pub(crate) reply_to: Option<String>,
}

/// An approved template with its parameters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTemplate {
    /// The template's name at the provider. For providers that use ids instead (Twilio): the id.
    name: String,
    /// The language, such as `it` or `en_US`. Omit it if the provider's id already includes the language.
    #[serde(default)]
    language: String,
    /// The header's parameter.
    header: Option<NewHeader>,
    /// The body's parameters, in order.
    #[serde(default)]
    body: Vec<String>,
    /// The buttons' parameters.
    #[serde(default)]
    buttons: Vec<NewButton>,
}

/// The parameter of a template's header.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum NewHeader {
    /// A text.
    Text {
        /// The text to fill in.
        text: String,
    },
    /// An image.
    Image {
        /// A public https address.
        url: String,
    },
    /// A video.
    Video {
        /// A public https address.
        url: String,
    },
    /// A document.
    Document {
        /// A public https address.
        url: String,
        /// The file's name.
        name: Option<String>,
    },
}

/// The parameter of one of a template's buttons.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewButton {
    /// The button's index, starting at 0.
    index: u32,
    /// The button's type.
    #[serde(rename = "type")]
    kind: TemplateButtonKind,
    /// The payload that a reply returns, or the text to append to the address.
    value: String,
}

/// A location.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLocation {
    /// Degrees north, -90 to 90.
    latitude: f64,
    /// Degrees east, -180 to 180.
    longitude: f64,
    /// The name of the location.
    label: Option<String>,
    /// The address of the location.
    address: Option<String>,
}

/// A reaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReaction {
    /// The id of a message of this interaction.
    message: String,
    /// One emoji. An empty text removes the reaction.
    emoji: String,
}

/// The parsed request.
#[derive(Debug, PartialEq)]
pub(crate) enum Wanted {
    /// The content is complete.
    Ready(Content),
    /// The account's recontact template.
    Recontact,
    /// A file with a caption, which may be empty.
    File { upload: Upload, caption: String },
    /// A reaction to a message.
    Reaction { message: MessageId, emoji: String },
}

impl NewMessage {
    /// The parsed content, and the message that it replies to.
    pub(crate) fn read(self, provider: &Provider) -> Result<(Wanted, Option<MessageId>), Failure> {
        // A type that this version does not know sends nothing.
        let text_limit = providers::adapter(&provider.kind).map_or(0, |adapter| adapter.text_limit());
        let kinds = [
            self.text.is_some(),
            self.attachment.is_some(),
            self.template.is_some(),
            self.recontact,
            self.location.is_some(),
            self.reaction.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            return Err(Failure::field("text", "exactly one of text, attachment, template, recontact, location and reaction is needed"));
        }
        if self.caption.is_some() && self.attachment.is_none() {
            return Err(Failure::field("caption", "goes with an attachment only"));
        }
        if self.reply_to.is_some() && (self.template.is_some() || self.recontact || self.reaction.is_some()) {
            return Err(Failure::field("reply_to", "does not go with a template or a reaction"));
        }
        let reply_to = match self.reply_to {
            Some(id) => Some(id.parse().map_err(|_| unknown("reply_to"))?),
            None => None,
        };
        let wanted = if let Some(body) = self.text {
            lines("text", &body, text_limit)?;
            if body.trim().is_empty() {
                return Err(Failure::field("text", "must not be empty"));
            }
            Wanted::Ready(Content::Text { body })
        } else if let Some(id) = self.attachment {
            let caption = self.caption.unwrap_or_default();
            lines("caption", &caption, LONGEST_CAPTION.min(text_limit))?;
            Wanted::File { upload: Upload::parse(&id).ok_or_else(|| Failure::field("attachment", "is not the id of an upload"))?, caption }
        } else if let Some(template) = self.template {
            Wanted::Ready(Content::Template(template.read()?))
        } else if self.recontact {
            Wanted::Recontact
        } else if let Some(location) = self.location {
            Wanted::Ready(location.read()?)
        } else if let Some(NewReaction { message, emoji }) = self.reaction {
            let odd = |c: char| c.is_control() || c.is_whitespace() || c.is_ascii_alphabetic();
            if emoji.chars().count() > LONGEST_EMOJI || emoji.contains(odd) {
                return Err(Failure::field("reaction.emoji", "must be one emoji, or empty"));
            }
            Wanted::Reaction { message: message.parse().map_err(|_| unknown("reaction.message"))?, emoji }
        } else {
            return Err(Failure::field("text", "is missing"));
        };
        Ok((wanted, reply_to))
    }
}

/// `field` refers to a message that does not exist or that the provider does not know.
pub(crate) fn unknown(field: &'static str) -> Failure {
    Failure::field(field, "is not a message of this interaction that the provider knows")
}

/// A text of one line that is not empty.
fn some(field: &str, text: &str, most: usize) -> Result<(), Failure> {
    if text.trim().is_empty() { Err(Failure::field(field, "must not be empty")) } else { Ok(one_line(field, text, most)?) }
}

fn https(field: &str, url: &str) -> Result<(), Failure> {
    let plain = url.len() <= 2048 && url.starts_with("https://") && url.bytes().all(|b| b.is_ascii_graphic());
    if plain { Ok(()) } else { Err(Failure::field(field, "must be an https address")) }
}

impl NewTemplate {
    /// The template in the form that is sent.
    pub(crate) fn read(self) -> Result<ApprovedTemplate, Failure> {
        some("template.name", &self.name, LONGEST_NAME)?;
        if self.language.len() > LONGEST_LANGUAGE || !self.language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(Failure::field("template.language", "must be a language such as it or en_US"));
        }
        if self.body.len() > MOST_PARAMETERS {
            return Err(Failure::field("template.body", &format!("must have at most {MOST_PARAMETERS} parameters")));
        }
        for (place, parameter) in self.body.iter().enumerate() {
            some(&format!("template.body[{place}]"), parameter, LONGEST_PARAMETER)?;
        }
        if self.buttons.len() > MOST_BUTTONS {
            return Err(Failure::field("template.buttons", &format!("must have at most {MOST_BUTTONS} entries")));
        }
        for (place, button) in self.buttons.iter().enumerate() {
            one_line(&format!("template.buttons[{place}].value"), &button.value, LONGEST_PARAMETER)?;
        }
        let header = match self.header {
            Some(NewHeader::Text { text }) => {
                some("template.header.text", &text, LONGEST_PARAMETER)?;
                Some(TemplateHeader::Text { text })
            }
            Some(NewHeader::Image { url }) => {
                https("template.header.url", &url)?;
                Some(TemplateHeader::Image { url })
            }
            Some(NewHeader::Video { url }) => {
                https("template.header.url", &url)?;
                Some(TemplateHeader::Video { url })
            }
            Some(NewHeader::Document { url, name }) => {
                https("template.header.url", &url)?;
                name.as_deref().map_or(Ok(()), |name| some("template.header.name", name, LONGEST_NAME))?;
                Some(TemplateHeader::Document { url, name })
            }
            None => None,
        };
        let buttons = self.buttons.into_iter().map(|NewButton { index, kind, value }| TemplateButton { index, kind, value });
        Ok(ApprovedTemplate { name: self.name, language: self.language, header, body: self.body, buttons: buttons.collect() })
    }
}

impl NewLocation {
    fn read(self) -> Result<Content, Failure> {
        let Self { latitude, longitude, label, address } = self;
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(Failure::field("location.latitude", "must be from -90 to 90"));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(Failure::field("location.longitude", "must be from -180 to 180"));
        }
        for (field, text) in [("location.label", &label), ("location.address", &address)] {
            text.as_deref().map_or(Ok(()), |text| some(field, text, LONGEST_LABEL))?;
        }
        Ok(Content::Location { latitude, longitude, label, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use ulid::Ulid;

    fn read(body: Value) -> Result<(Wanted, Option<MessageId>), String> {
        let new: NewMessage = serde_json::from_value(body).map_err(|error| error.to_string())?;
        new.read(&domain::fixtures::account().provider).map_err(|failure| {
            let problem = serde_json::to_value(failure.problem()).unwrap();
            assert_eq!(problem["status"], 422);
            format!("{} {}", problem["errors"][0]["field"].as_str().unwrap(), problem["errors"][0]["message"].as_str().unwrap())
        })
    }

    fn refused(body: Value) -> String {
        read(body).unwrap_err()
    }

    fn message() -> String {
        MessageId::from_ulid(Ulid::from_parts(1, 1)).to_string()
    }

    #[test]
    fn a_text_is_neither_empty_nor_longer_than_the_provider_takes() {
        assert!(read(json!({ "text": "ü".repeat(1600) })).is_ok());
        assert!(read(json!({ "text": "Dear Zoë,\r\n\n\tyes." })).is_ok());
        assert_eq!(refused(json!({ "text": "ü".repeat(1601) })), "text must have at most 1600 characters");
        assert_eq!(refused(json!({ "text": "" })), "text must not be empty");
        assert_eq!(refused(json!({ "text": " \n" })), "text must not be empty");
    }

    #[test]
    fn a_message_has_exactly_one_kind() {
        let needed = "text exactly one of text, attachment, template, recontact, location and reaction is needed";
        assert_eq!(refused(json!({})), needed);
        assert_eq!(refused(json!({ "text": "a", "location": { "latitude": 1, "longitude": 2 } })), needed);
        assert_eq!(refused(json!({ "text": "a", "caption": "b" })), "caption goes with an attachment only");
        let template = json!({ "template": { "name": "x" }, "reply_to": message() });
        assert_eq!(refused(template), "reply_to does not go with a template or a reaction");
        assert!(refused(json!({ "text": "a", "txet": "b" })).contains("txet"));
    }

    #[test]
    fn every_kind_of_message_is_parsed() {
        let (wanted, reply_to) = read(json!({ "text": "a", "reply_to": message() })).unwrap();
        assert_eq!((wanted, reply_to.unwrap().to_string()), (Wanted::Ready(Content::Text { body: "a".into() }), message()));
        let (wanted, _) = read(json!({ "location": { "latitude": 41.9, "longitude": 12.5, "label": "Roma" } })).unwrap();
        assert!(matches!(wanted, Wanted::Ready(Content::Location { .. })));
        let template = json!({ "template": { "name": "recontact", "language": "it", "header": { "type": "text", "text": "Ciao" }, "body": ["Zoë"],
                                             "buttons": [{ "index": 0, "type": "quick_reply", "value": "yes" }] } });
        let (Wanted::Ready(content), _) = read(template).unwrap() else { panic!("a content") };
        assert!(content.is_template());
        assert_eq!(read(json!({ "recontact": true })).unwrap(), (Wanted::Recontact, None));
        let (wanted, _) = read(json!({ "reaction": { "message": message(), "emoji": "👨‍👩‍👧‍👦" } })).unwrap();
        assert!(matches!(wanted, Wanted::Reaction { .. }));
        assert!(read(json!({ "reaction": { "message": message(), "emoji": "" } })).is_ok());
        let (wanted, _) = read(json!({ "attachment": "upl_00000000000000000000000001.YQ", "caption": "foto" })).unwrap();
        assert!(matches!(wanted, Wanted::File { caption, .. } if caption == "foto"));
    }

    #[test]
    fn content_that_no_provider_accepts_is_refused_naming_the_field() {
        for (body, field) in [
            (json!({ "location": { "latitude": 91, "longitude": 0 } }), "location.latitude"),
            (json!({ "location": { "latitude": 0, "longitude": -180.1 } }), "location.longitude"),
            (json!({ "location": { "latitude": 0, "longitude": 0, "label": "" } }), "location.label"),
            (json!({ "template": { "name": " " } }), "template.name"),
            (json!({ "template": { "name": "x", "language": "it it" } }), "template.language"),
            (json!({ "template": { "name": "x", "body": ["a", ""] } }), "template.body[1]"),
            (json!({ "template": { "name": "x", "body": vec!["a"; 101] } }), "template.body"),
            (json!({ "template": { "name": "x\n" } }), "template.name"),
            (json!({ "template": { "name": "x", "body": ["a\nb"] } }), "template.body[0]"),
            (json!({ "template": { "name": "x", "header": { "type": "text", "text": "a\tb" } } }), "template.header.text"),
            (
                json!({ "template": { "name": "x", "buttons": [{ "index": 0, "type": "url", "value": "a\u{0}" }] } }),
                "template.buttons[0].value",
            ),
            (json!({ "location": { "latitude": 0, "longitude": 0, "address": "Via Roma 1\n" } }), "location.address"),
            (json!({ "text": "a\u{0}b" }), "text"),
            (json!({ "attachment": "upl_00000000000000000000000001.YQ", "caption": "\u{1b}[1m" }), "caption"),
            (json!({ "template": { "name": "x", "header": { "type": "image", "url": "http://x" } } }), "template.header.url"),
            (json!({ "reaction": { "message": "msg_1", "emoji": "👍" } }), "reaction.message"),
            (json!({ "reaction": { "message": message(), "emoji": "ok" } }), "reaction.emoji"),
            (json!({ "reaction": { "message": message(), "emoji": "👍".repeat(17) } }), "reaction.emoji"),
            (json!({ "attachment": "../x" }), "attachment"),
            (json!({ "attachment": "upl_00000000000000000000000001.YQ", "caption": "x".repeat(1025) }), "caption"),
            (json!({ "text": "a", "reply_to": "int_1" }), "reply_to"),
        ] {
            assert_eq!(refused(body.clone()).split(' ').next().unwrap(), field, "{body}");
        }
    }
}
