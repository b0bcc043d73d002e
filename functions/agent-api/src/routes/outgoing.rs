//! Parses the messages that agents send.

use api::Errors;
use desk::text::{lines, one_line};
use domain::account::{Account, Provider};
use domain::ids::{CannedAnswerId, MessageId};
use domain::language::{LONGEST_TRANSLATED, Language, Rendering};
use domain::message::{ApprovedTemplate, Content};
use domain::template::{Misfit, TemplateInput};
use serde::Deserialize;
use utoipa::ToSchema;

use super::attachments::Upload;
use crate::problem::Failure;

/// WhatsApp accepts captions of up to 1024 characters.
pub(crate) const LONGEST_CAPTION: usize = 1024;

pub(crate) const NOT_AN_ANSWER: &str = "is not a canned answer of this account";

const NOT_AN_UPLOAD: &str = "is not the id of an upload";

/// The name or the address of a location takes a line or two.
const LONGEST_LABEL: usize = 1000;

/// A message to send. Give exactly one of `text`, `attachment`, `canned_answer`, `template`, `recontact`, `location`,
/// `reaction` and `again`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// The text. It must not be empty. The account's provider sets the maximum length.
    pub(crate) text: Option<String>,
    /// The id of an upload (`POST …/attachments`).
    pub(crate) attachment: Option<String>,
    /// The id of a canned answer of the account, or of a general one: sends its file, with `caption`. Without a
    /// `caption` it goes with its own text, filled in for this customer; an answer without a file is sent as a text.
    /// Where the provider takes no caption with the file, `caption` is empty.
    pub(crate) canned_answer: Option<String>,
    /// The caption of an attachment, or of a canned answer's file: at most 1024 characters. Audio and stickers have no
    /// caption.
    pub(crate) caption: Option<String>,
    /// An approved template. Outside the 24-hour window only templates are allowed.
    pub(crate) template: Option<TemplateInput>,
    /// `true`: send the account's recontact template, with its parameters filled in.
    #[serde(default)]
    pub(crate) recontact: bool,
    /// A location.
    pub(crate) location: Option<NewLocation>,
    /// A reaction to a message of this interaction.
    pub(crate) reaction: Option<NewReaction>,
    /// The id of a message of this interaction that failed, or whose outcome is unknown: sends it once more, as a new
    /// message that names it in `again_of`. If the outcome is unknown, the customer may get it twice.
    pub(crate) again: Option<String>,
    /// What the agent wrote, if `text` or `caption` is its translation. Agents see it beside the message.
    pub(crate) original: Option<Original>,
    /// An id that the client chooses: 1 to 64 printable ASCII characters without blanks. It comes back with the
    /// message in the answer, the thread and the event, so that the client knows its own message again. It is no
    /// `Idempotency-Key`: the same one may come twice.
    pub(crate) client_id: Option<String>,
    /// The id of the message to reply to, in this interaction. Not allowed with a template, a reaction or `again`.
    pub(crate) reply_to: Option<String>,
}

/// What an agent wrote before it was translated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Original {
    /// The text in the agents' language: at most 10,000 bytes.
    text: String,
    /// The language of the translation, which the customer reads.
    #[schema(example = "pt")]
    translated_to: String,
}

/// An agent's words never reach a log.
impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Original(…)")
    }
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
    /// An approved template, with the file that its header shows.
    Template { template: ApprovedTemplate, upload: Option<Upload> },
    /// An earlier message once more.
    Again(MessageId),
    /// The account's recontact template.
    Recontact,
    /// A file with a caption, which may be empty.
    File { upload: Upload, caption: String },
    /// A canned answer, with this caption instead of its text.
    Answer { answer: CannedAnswerId, caption: Option<String> },
    /// A reaction to a message.
    Reaction { message: MessageId, emoji: String },
}

impl NewMessage {
    /// The agent's own words, if the message is a translation of them.
    pub(crate) fn original(&self, account: &Account) -> Result<Option<Rendering>, Failure> {
        let Some(Original { text, translated_to }) = &self.original else { return Ok(None) };
        if self.text.is_none() && self.caption.is_none() {
            return Err(Failure::field("original", "goes with a text or a caption only"));
        }
        let Some(translation) = account.settings.translation.as_ref().filter(|translation| translation.enabled) else {
            return Err(Failure::field("original", "is not taken: the account's translation is off"));
        };
        if text.trim().is_empty() {
            return Err(Failure::field("original.text", "must not be empty"));
        }
        if text.len() > LONGEST_TRANSLATED {
            return Err(Failure::field("original.text", "must have at most 10,000 bytes"));
        }
        lines("original.text", text, LONGEST_TRANSLATED)?;
        let from = Language::parse(translated_to).map_err(|invalid| Failure::field("original.translated_to", invalid.0))?;
        let (language, by) = (translation.language.clone(), translation.provider);
        Ok(Some(Rendering { text: text.clone(), language, from: Some(from), by }))
    }

    /// The parsed content, and the message that it replies to.
    pub(crate) fn read(self, provider: &Provider) -> Result<(Wanted, Option<MessageId>), Failure> {
        // A type that this version does not know sends nothing.
        let text_limit = providers::adapter(&provider.kind).map_or(0, |adapter| adapter.text_limit());
        let kinds = [
            self.text.is_some(),
            self.attachment.is_some(),
            self.canned_answer.is_some(),
            self.template.is_some(),
            self.recontact,
            self.location.is_some(),
            self.reaction.is_some(),
            self.again.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            return Err(Failure::field(
                "text",
                "exactly one of text, attachment, canned_answer, template, recontact, location, reaction and again is needed",
            ));
        }
        if self.caption.is_some() && self.attachment.is_none() && self.canned_answer.is_none() {
            return Err(Failure::field("caption", "goes with an attachment or a canned answer only"));
        }
        let own_reference = self.template.is_some() || self.recontact || self.reaction.is_some() || self.again.is_some();
        if self.reply_to.is_some() && own_reference {
            return Err(Failure::field("reply_to", "does not go with a template, a reaction or again"));
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
            Wanted::File { upload: Upload::parse(&id).ok_or_else(|| Failure::field("attachment", NOT_AN_UPLOAD))?, caption }
        } else if let Some(id) = self.canned_answer {
            let answer = id.parse().map_err(|_| Failure::field("canned_answer", NOT_AN_ANSWER))?;
            if let Some(caption) = &self.caption {
                lines("caption", caption, LONGEST_CAPTION.min(text_limit))?;
            }
            Wanted::Answer { answer, caption: self.caption }
        } else if let Some(template) = self.template {
            let (template, upload) = read_template(template)?;
            Wanted::Template { template, upload }
        } else if self.recontact {
            Wanted::Recontact
        } else if let Some(id) = self.again {
            Wanted::Again(id.parse().map_err(|_| not_of_interaction("again"))?)
        } else if let Some(location) = self.location {
            Wanted::Ready(location.read()?)
        } else if let Some(NewReaction { message, emoji }) = self.reaction {
            if !emoji.is_empty() && emojis::get(&emoji).is_none() {
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

/// `field` refers to a message that this interaction does not have.
pub(crate) fn not_of_interaction(field: &'static str) -> Failure {
    Failure::field(field, "is not a message of this interaction")
}

/// A text of one line that is not empty.
fn some(field: &str, text: &str, most: usize) -> Result<(), Failure> {
    if text.trim().is_empty() { Err(Failure::field(field, "must not be empty")) } else { Ok(one_line(field, text, most)?) }
}

/// The template in the form that is sent, and the upload that its header shows.
pub(crate) fn read_template(input: TemplateInput) -> Result<(ApprovedTemplate, Option<Upload>), Failure> {
    let (template, upload) = input.read().map_err(of_template)?;
    let faults = template.faults();
    if !faults.is_empty() {
        return Err(of_template(faults));
    }
    let upload = upload.map(|id| Upload::parse(&id).ok_or_else(|| Failure::field("template.header.attachment", NOT_AN_UPLOAD)));
    Ok((template, upload.transpose()?))
}

/// The refusal of a message's template.
pub(crate) fn of_template(misfits: Vec<Misfit>) -> Failure {
    let mut errors = Errors::default();
    for Misfit { field, message } in misfits {
        errors.add(format!("template.{field}"), message);
    }
    errors.into()
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
        Ok(Content::Location { latitude, longitude, label, address, url: None })
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
    fn a_clients_id_is_short_and_printable() {
        let id = |text: &str| desk::messages::client_id(Some(text)).map(|id| json!(id));
        for good in ["8c0f2a7e-5a34-4f3e-9f0e-3a2f3c1d5b6a", "1", &"~".repeat(64)] {
            assert_eq!(id(good).unwrap(), json!(good));
        }
        assert!(desk::messages::client_id(None).unwrap().is_none());
        for bad in ["", " ", "a b", "a\n", "é", &"x".repeat(65)] {
            let problem = serde_json::to_value(id(bad).unwrap_err().problem()).unwrap();
            assert_eq!(
                (&problem["errors"][0]["field"], &problem["errors"][0]["code"]),
                (&json!("client_id"), &json!("wrong-format")),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_message_has_exactly_one_kind() {
        let needed = "text exactly one of text, attachment, canned_answer, template, recontact, location, reaction and again is needed";
        assert_eq!(refused(json!({})), needed);
        assert_eq!(refused(json!({ "text": "a", "location": { "latitude": 1, "longitude": 2 } })), needed);
        assert_eq!(refused(json!({ "text": "a", "caption": "b" })), "caption goes with an attachment or a canned answer only");
        let template = json!({ "template": { "name": "x" }, "reply_to": message() });
        assert_eq!(refused(template), "reply_to does not go with a template, a reaction or again");
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
        assert!(matches!(read(template).unwrap(), (Wanted::Template { upload: None, .. }, None)));
        let answer = json!({ "canned_answer": "can_01ARZ3NDEKTSV4RRFFQ69G5FAV", "caption": "Ciao", "reply_to": message() });
        assert!(matches!(read(answer).unwrap(), (Wanted::Answer { caption: Some(_), .. }, Some(_))));
        assert_eq!(refused(json!({ "canned_answer": "ans_1" })), "canned_answer is not a canned answer of this account");
        let header = json!({ "type": "document", "attachment": "upl_00000000000000000000000001.YQ" });
        let template = json!({ "template": { "name": "invoice", "language": "it", "header": header } });
        let (Wanted::Template { template, upload }, _) = read(template).unwrap() else { panic!("a template") };
        assert!(template.wants_file() && upload.is_some());
        assert!(matches!(read(json!({ "again": message() })).unwrap(), (Wanted::Again(_), None)));
        assert_eq!(read(json!({ "recontact": true })).unwrap(), (Wanted::Recontact, None));
        let (wanted, _) = read(json!({ "reaction": { "message": message(), "emoji": "👨‍👩‍👧‍👦" } })).unwrap();
        assert!(matches!(wanted, Wanted::Reaction { .. }));
        // One emoji may be many characters, and its selector of the coloured form may be absent.
        for emoji in ["", "👍", "👍🏽", "❤️", "❤", "🇮🇹", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "👩🏿‍❤️‍💋‍👨🏻", "🧑‍🧑‍🧒‍🧒"]
        {
            assert!(read(json!({ "reaction": { "message": message(), "emoji": emoji } })).is_ok(), "{emoji}");
        }
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
            (json!({ "template": { "name": "x", "header": { "type": "image", "attachment": "x" } } }), "template.header.attachment"),
            (json!({ "template": { "name": "x", "body": ["a     b"] } }), "template.body[0]"),
            (json!({ "template": { "name": "x", "body": [{ "name": "first_name", "text": "" }] } }), "template.body[0].text"),
            (json!({ "template": { "name": "x", "body": [{ "name": "first_name" }] } }), "template.body[0]"),
            (
                json!({ "template": { "name": "x", "buttons": [{ "index": 0, "type": "copy_code", "value": "" }] } }),
                "template.buttons[0].value",
            ),
            (json!({ "again": "int_1" }), "again"),
            (json!({ "reaction": { "message": "msg_1", "emoji": "👍" } }), "reaction.message"),
            (json!({ "reaction": { "message": message(), "emoji": "ok" } }), "reaction.emoji"),
            (json!({ "reaction": { "message": message(), "emoji": "👍👍" } }), "reaction.emoji"),
            (json!({ "reaction": { "message": message(), "emoji": "👍 " } }), "reaction.emoji"),
            (json!({ "reaction": { "message": message(), "emoji": "1" } }), "reaction.emoji"),
            (json!({ "reaction": { "message": message(), "emoji": "©©" } }), "reaction.emoji"),
            (json!({ "reaction": { "message": message(), "emoji": "🏽" } }), "reaction.emoji"),
            (json!({ "attachment": "../x" }), "attachment"),
            (json!({ "attachment": "upl_00000000000000000000000001.YQ", "caption": "x".repeat(1025) }), "caption"),
            (json!({ "text": "a", "reply_to": "int_1" }), "reply_to"),
        ] {
            assert_eq!(refused(body.clone()).split(' ').next().unwrap(), field, "{body}");
        }
    }
}
