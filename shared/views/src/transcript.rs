//! An interaction's files outside the database: the transcript for people, as text and JSON, and the log for
//! analysis.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use domain::account::Account;
use domain::agent::{Agent, Role};
use domain::effect::InteractionKey;
use domain::history::{Actor, Fact, HistoryEntry};
use domain::ids::{AccountId, AgentId};
use domain::interaction::Interaction;
use domain::message::{Attachment, Author, Copy, Delivery, DeliveryError, DeliveryState, ErrorClass, Message, Origin};
use domain::removal::Gone;
use domain::values::Address;

/// The version of the JSON documents' form. It grows when readers of the documents must change.
const FORM: u32 = 1;

/// The width of a line's time. Lines that continue a message are indented by it, so that nobody can write a line
/// that looks like another message.
const INDENT: usize = "2026-01-01 10:00:00Z  ".len();

/// The longest file name in a zip, in characters. The common limit of file systems is 255 bytes; a character may
/// need four, and the folder and the number need some.
const LONGEST_NAME: usize = 60;

/// The longest extension. A longer one is part of a name that happens to hold a dot.
const LONGEST_EXTENSION: usize = 10;

/// The beginning of a quoted message that a reply shows, in characters: enough to know which one it is.
const QUOTED: usize = 80;

/// The transcript's key in the bucket: `transcripts/{account}/{day of opening, UTC}/{interaction}.zip`, with
/// attachments `…/{interaction}-attachments.zip`. It never changes.
pub fn transcript_key(interaction: &Interaction, attachments: bool) -> String {
    transcript_at(&interaction.key(), interaction.opened_at, attachments)
}

fn transcript_at(key: &InteractionKey, opened_at: Timestamp, attachments: bool) -> String {
    let suffix = if attachments { "-attachments" } else { "" };
    format!("transcripts/{}/{}/{}{suffix}.zip", key.conversation.account, day(opened_at), key.interaction)
}

fn log_at(key: &InteractionKey, closed_at: Timestamp) -> String {
    format!("{}{}.json", logs_of(&key.conversation.account, closed_at.to_zoned(TimeZone::UTC).date()), key.interaction)
}

/// The keys of both transcripts and the log of an interaction that was deleted.
pub fn objects_of(gone: &Gone) -> Vec<String> {
    let transcripts = [false, true].map(|attachments| transcript_at(&gone.key, gone.opened_at, attachments));
    transcripts.into_iter().chain(gone.closed_at.map(|closed_at| log_at(&gone.key, closed_at))).collect()
}

/// The key of a closed interaction's log in the bucket: `logs/{account}/{day of closing, UTC}/{interaction}.json`.
/// An open interaction has none.
pub fn log_key(interaction: &Interaction) -> Option<String> {
    let closed_at = interaction.closed_at.filter(|_| !interaction.is_open())?;
    Some(log_at(&interaction.key(), closed_at))
}

/// The folder of the logs of an account's interactions that closed on a day, with a slash at the end.
pub fn logs_of(account: &AccountId, day: Date) -> String {
    format!("logs/{account}/{day}/")
}

/// A snapshot of a conversation.
#[derive(Debug, Clone)]
pub struct Transcript<'a> {
    /// The account; `None` if it no longer exists.
    pub account: Option<&'a Account>,
    /// The interaction.
    pub interaction: &'a Interaction,
    /// Its messages, in the order of the thread.
    pub messages: &'a [Message],
    /// The agents, for their names. A missing agent appears by id.
    pub agents: &'a BTreeMap<AgentId, Agent>,
    /// Copied attachments that are left out of the zip, by [`File::number`], and why.
    pub left_out: BTreeMap<usize, String>,
}

/// An attachment of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File<'a> {
    /// The number of the attachment among all of the interaction, from 1, in the order of the thread.
    pub number: usize,
    /// The name in the zip, safe and unique: `{number}-{name}`.
    pub name: String,
    /// The attachment itself.
    pub attachment: &'a Attachment,
}

impl<'a> Transcript<'a> {
    /// All attachments.
    pub fn files(&self) -> Vec<File<'a>> {
        let attachments = self.messages.iter().flat_map(|message| &message.attachments);
        attachments.zip(1..).map(|(attachment, number)| File { number, name: file_name(number, attachment), attachment }).collect()
    }

    /// The transcript for people: a header, then one or more lines for each message.
    pub fn text(&self) -> String {
        let interaction = self.interaction;
        let mut text = format!("Transcript of {}\n\n", interaction.id);
        for (label, value) in [
            ("Account", self.account_name()),
            ("Customer", self.customer()),
            ("Opened", time(interaction.opened_at)),
            ("Closed", interaction.closed_at.map_or_else(|| "still open".to_owned(), time)),
            ("Disposition", interaction.disposition.clone().unwrap_or_else(|| "none".to_owned())),
        ] {
            let label = format!("{label}:");
            let _ = writeln!(text, "{label:<13}{}", one_line(&value));
        }
        text.push('\n');
        let mut files = self.files().into_iter();
        for message in self.messages {
            let files: Vec<_> = files.by_ref().take(message.attachments.len()).collect();
            self.write_message(&mut text, message, &files);
        }
        text
    }

    fn write_message(&self, text: &mut String, message: &Message, files: &[File<'_>]) {
        let mut parts = Vec::new();
        if message.forwarded {
            parts.push("[forwarded]".to_owned());
        }
        if let Some(referral) = &message.referral {
            parts.push(format!("[came from: {}]", referral.texts().collect::<Vec<_>>().join(", ")));
        }
        if let Some(product) = &message.product {
            let retailer = product.retailer_id.iter().map(|id| format!("product {id}"));
            let catalog = product.catalog_id.iter().map(|id| format!("catalogue {id}"));
            parts.push(format!("[about {}]", retailer.chain(catalog).collect::<Vec<_>>().join(", ")));
        }
        parts.extend(self.quoted(message));
        if let Some(deleted_at) = message.deleted_at {
            let who = if message.author == Author::Customer { "customer" } else { "business" };
            parts.push(format!("[deleted by the {who}, {}]", time(deleted_at)));
        }
        let body = message.content.readable();
        if !body.is_empty() {
            parts.push(body);
        }
        parts.extend(message.words.clone());
        parts.extend(message.translation.as_ref().map(|translation| format!("[in {}: {}]", translation.language, translation.text)));
        if message.cut {
            parts.push(format!("[cut: longer than {} characters]", domain::message::LONGEST_TEXT));
        }
        parts.extend(files.iter().map(|file| format!("[{}]", self.describe(file))));
        // The newest edit comes first, right after the current text.
        parts.extend(message.edits.iter().rev().map(|edit| {
            let cut = if edit.cut { " […cut]" } else { "" };
            format!("[edited {}, before: {}{cut}]", time(edit.at), edit.before.readable())
        }));
        parts.extend(
            message.standing_reactions().map(|reaction| format!("[{} reacted: {}]", self.author(&reaction.author), reaction.emoji)),
        );
        let mut shown = readable_lines(&parts.join("\n"));
        if let Some(delivery) = &message.delivery {
            let _ = write!(shown, "  [{}]", delivery_words(delivery));
        }
        let note = if message.content.is_note() { " (internal note)" } else { "" };
        let note = if message.unproven { " (without proof of origin)" } else { note };
        let _ = writeln!(text, "{}  {}{note}: {shown}", time(message.at), one_line(&self.writer(message)));
    }

    /// The author of a message. What the business wrote elsewhere names the place.
    fn writer(&self, message: &Message) -> String {
        let business = message.author == Author::System;
        match message.origin {
            Some(Origin::PhoneApp) if business => "Business, in its phone app".to_owned(),
            Some(Origin::OtherSystem) if business => "Business, in another system".to_owned(),
            Some(Origin::History) if business => "Business, before this system".to_owned(),
            Some(_) | None => self.author(&message.author),
        }
    }

    /// The message that a message answers, by its beginning.
    fn quoted(&self, message: &Message) -> Option<String> {
        let is_quoted = |other: &&Message| match (&message.answers, &message.reply_to) {
            (Some(answers), _) => other.id == *answers,
            (None, Some(reply_to)) => other.provider_id.as_ref() == Some(reply_to),
            (None, None) => false,
        };
        if message.answers.is_none() && message.reply_to.is_none() {
            return None;
        }
        let Some(quoted) = self.messages.iter().find(is_quoted) else {
            return Some("[in reply to a message that is not in this transcript]".to_owned());
        };
        let (at, author) = (time(quoted.at), self.writer(quoted));
        let whole = quoted.content.readable();
        let beginning: String = whole.chars().take(QUOTED).collect();
        let more = if beginning.len() < whole.len() { "…" } else { "" };
        let words = match (beginning.is_empty(), quoted.attachments.is_empty()) {
            (true, true) => String::new(),
            (true, false) => ": a file".to_owned(),
            (false, _) => format!(": {beginning}{more}"),
        };
        Some(format!("[in reply to {author}, {at}{words}]"))
    }

    fn describe(&self, file: &File<'_>) -> String {
        let name = &file.name;
        match &file.attachment.copy {
            Copy::Pending => format!("attachment {name}, not copied yet"),
            Copy::Failed { reason } => format!("attachment {name} could not be copied: {}", one_line(reason)),
            Copy::Stored { size, content_type, .. } => {
                let note = self.left_out.get(&file.number).map(|why| format!(", left out here: {why}")).unwrap_or_default();
                format!("attachment {name}, {}, {size} bytes{note}", one_line(content_type))
            }
        }
    }

    /// The transcript for programs. Times are UTC (RFC 3339). `content` depends on `type`. `file` is the name under
    /// `attachments/` in the zip with attachments.
    pub fn json(&self) -> Value {
        let interaction = self.interaction;
        let mut files = self.files().into_iter();
        let messages: Vec<_> = self
            .messages
            .iter()
            .map(|message| {
                let files: Vec<_> = files.by_ref().take(message.attachments.len()).collect();
                self.message_json(message, &files)
            })
            .collect();
        json!({
            "form": FORM,
            "interaction": interaction.id,
            "account": { "id": interaction.account, "name": self.account.map(|account| &account.name) },
            "customer": {
                "contact": interaction.contact,
                "name": interaction.customer_name.as_ref().map(|name| &name.0),
                "phone": interaction.address.phone().map(|phone| phone.as_str()),
            },
            "status": interaction.status,
            "opened_at": interaction.opened_at,
            "closed_at": interaction.closed_at,
            "disposition": interaction.disposition,
            "absorbed": interaction.absorbed.iter().map(|key| &key.interaction).collect::<Vec<_>>(),
            "merged_into": interaction.merged_into.as_ref().map(|key| &key.interaction),
            "messages": messages,
        })
    }

    fn message_json(&self, message: &Message, files: &[File<'_>]) -> Value {
        let author = match &message.author {
            Author::Customer => json!({ "kind": "customer" }),
            Author::System => json!({ "kind": "system" }),
            Author::Ai { ai_agent, name } => json!({ "kind": "ai", "id": ai_agent, "name": name }),
            Author::Agent { agent } => json!({ "kind": "agent", "id": agent, "name": self.author(&message.author) }),
        };
        json!({
            "id": message.id,
            "at": message.at,
            "author": author,
            "content": message.content,
            "reply_to": message.reply_to,
            "answers": message.answers,
            "forwarded": message.forwarded,
            "words": message.words,
            "translation": message.translation,
            "cut": message.cut,
            "product": message.product,
            "origin": message.origin,
            "unproven": message.unproven,
            "referral": message.referral,
            "reactions": message.standing_reactions().collect::<Vec<_>>(),
            "edits": message.edits,
            "deleted_at": message.deleted_at,
            "attachments": files.iter().map(|file| self.file_json(file)).collect::<Vec<_>>(),
            "delivery": message.delivery,
        })
    }

    fn file_json(&self, file: &File<'_>) -> Value {
        match &file.attachment.copy {
            Copy::Pending => json!({ "state": "pending", "file": file.name }),
            Copy::Failed { reason } => json!({ "state": "failed", "file": file.name, "reason": reason }),
            Copy::Stored { size, content_type, .. } => json!({
                "state": "stored", "file": file.name, "size": size, "content_type": content_type, "left_out": self.left_out.get(&file.number),
            }),
        }
    }

    /// The log: everything about the interaction, in its stored form, with every decision, by whom (`who`) and in
    /// which role. The role is that of the time, `null` if it is not known.
    pub fn log(&self, history: &[HistoryEntry]) -> Value {
        let history = history.iter().map(|entry| {
            let mut shown = json!(entry);
            shown["who"] = self.who(entry);
            shown
        });
        json!({
            "form": FORM,
            "account": { "id": self.interaction.account, "name": self.account.map(|account| &account.name), "key": self.account.map(|account| &account.key) },
            "interaction": self.interaction,
            "messages": self.messages,
            "history": history.collect::<Vec<_>>(),
        })
    }

    /// Whoever caused a decision, with name and role.
    fn who(&self, entry: &HistoryEntry) -> Value {
        match entry.fact.actor() {
            Actor::Customer => json!({ "kind": "customer" }),
            Actor::System => json!({ "kind": "system" }),
            Actor::Agent(agent) => {
                let name = self.agents.get(agent).map(|agent| &agent.name);
                // A message that an agent sent in that role tells itself.
                let sent = matches!(entry.fact, Fact::MessageSent { .. }).then_some(Role::Agent);
                json!({ "kind": "agent", "id": agent, "name": name, "role": entry.role.or(sent) })
            }
        }
    }

    fn account_name(&self) -> String {
        match self.account {
            Some(account) => format!("{} ({})", account.name, account.key),
            None => self.interaction.account.to_string(),
        }
    }

    fn customer(&self) -> String {
        let address = match &self.interaction.address {
            Address::Phone(phone) => phone.as_str(),
            Address::Bsuid(id) => id,
        };
        match &self.interaction.customer_name {
            Some(name) => format!("{}, {address}", name.0.chars().filter(|c| !is_hidden(*c)).collect::<String>()),
            None => address.to_owned(),
        }
    }

    fn author(&self, author: &Author) -> String {
        match author {
            Author::Customer => "Customer".to_owned(),
            Author::System => "System".to_owned(),
            Author::Ai { name, .. } => format!("{name} (AI)"),
            Author::Agent { agent } => self.agents.get(agent).map_or_else(|| agent.to_string(), |agent| agent.name.clone()),
        }
    }
}

/// Characters without a shape of their own that change how a name reads: marks of direction, invisible blanks and
/// other format characters. Those that emojis are made of stay (U+200D and the tags of flags). The JSON transcript
/// has all.
fn is_hidden(c: char) -> bool {
    turns_direction(c)
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn is_line_break(c: char) -> bool {
    // Unicode's line breaks: LF, VT, FF, CR, NEL, line and paragraph separator.
    matches!(c, '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The text on one line, without control characters and without those that make a line read otherwise than it is
/// written (U+202E and its kind).
fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_line_break(c) { ' ' } else { c }).filter(|c| !c.is_control() && !overrides_direction(*c)).collect()
}

/// Embeddings, overrides and isolates. Plain marks of direction belong to texts in Arabic and Hebrew.
fn overrides_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with each further line indented, and without characters that a terminal would obey.
fn readable_lines(text: &str) -> String {
    let unified = text.replace("\r\n", "\n");
    let lines: Vec<String> = unified.split(is_line_break).map(|line| line.replace('\t', " ")).map(|line| one_line(&line)).collect();
    lines.join(&format!("\n{:INDENT$}", ""))
}

fn delivery_words(delivery: &Delivery) -> String {
    let words = match delivery.state {
        DeliveryState::Queued => "waiting to be sent",
        DeliveryState::Sending => "being sent",
        DeliveryState::Unknown => return "not known whether it was sent".to_owned(),
        DeliveryState::Accepted => "accepted by the provider",
        DeliveryState::Sent => "sent",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Read => "read",
        DeliveryState::Failed => "failed",
    };
    match &delivery.error {
        Some(error) => format!("{words}: {}", error_words(error)),
        None => words.to_owned(),
    }
}

fn error_words(error: &DeliveryError) -> String {
    let words = match error.class {
        ErrorClass::WindowExpired => "the 24-hour window was over",
        ErrorClass::RateLimited => "too many messages in too short a time",
        ErrorClass::InvalidRecipient => "no such WhatsApp user",
        ErrorClass::Undeliverable => "the customer could not be reached",
        ErrorClass::Template => "the template was refused",
        ErrorClass::Media => "the attachment was refused",
        ErrorClass::Authentication => "the provider refused the account's credentials or number",
        ErrorClass::Temporary => "the provider had a passing fault",
        ErrorClass::Permanent => "the provider refused the message",
        ErrorClass::OutcomeUnknown => "not known whether it was sent",
    };
    match &error.code {
        Some(code) => format!("{words} ({})", one_line(code)),
        None => words.to_owned(),
    }
}

/// `{number}-{name}`. The name comes from a stranger. So it gets no folders, no characters that a file system
/// treats specially, nothing that reverses the reading direction (`photo\u{202e}gpj.exe`), and an extension if the
/// type is known.
fn file_name(number: usize, attachment: &Attachment) -> String {
    let content_type = match &attachment.copy {
        Copy::Stored { content_type, .. } => content_type,
        Copy::Pending | Copy::Failed { .. } => &attachment.content_type,
    };
    let given = attachment.name.as_deref().unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_line_break(*c) && !turns_direction(*c))
        .map(|c| if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c })
        .collect();
    let clean = clean.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (stem, extension) = match clean.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && (1..=LONGEST_EXTENSION).contains(&extension.chars().count()) => (stem, extension),
        _ => (clean, extension_of(content_type)),
    };
    let stem: String = stem.chars().take(LONGEST_NAME).collect();
    let stem = stem.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let stem = if stem.is_empty() { kind_of(content_type) } else { stem };
    if extension.is_empty() { format!("{number}-{stem}") } else { format!("{number}-{stem}.{extension}") }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn kind_of(content_type: &str) -> &'static str {
    match content_type.split('/').next() {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "document",
    }
}

/// The usual extension of the types that WhatsApp carries.
fn extension_of(content_type: &str) -> &'static str {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "audio/mpeg" => "mp3",
        "audio/mp4" | "audio/m4a" => "m4a",
        "audio/ogg" => "ogg",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "application/vnd.ms-powerpoint" => "ppt",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "pptx",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "text/vcard" | "text/x-vcard" => "vcf",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fixtures;

    use domain::agent::Capacity;
    use domain::ids::MessageId;
    use domain::inbound::ProfileName;
    use domain::interaction::Status;
    use domain::message::{Content, Measures};

    use proptest::prelude::*;
    use ulid::Ulid;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn anna() -> Agent {
        Agent {
            id: AgentId::from_ulid(Ulid::from_parts(1, 7)),
            name: "Anna".into(),
            subject: "sub".into(),
            role: Role::Agent,
            whatsapp: true,
            capacity: Capacity::default(),
        }
    }

    fn account() -> Account {
        Account { name: "Roma centro".into(), ..fixtures::account() }
    }

    fn interaction() -> Interaction {
        Interaction {
            customer_name: Some(ProfileName("Zoë\nAnna: forged".into())),
            version: 9,
            status: Status::Closed,
            opened_at: at("2026-01-01T23:59:59Z"),
            closed_at: Some(at("2026-01-02T00:10:00Z")),
            disposition: Some("Solved".into()),
            ..fixtures::interaction(Status::Closed, at("2026-01-01T23:59:59Z"))
        }
    }

    fn message(n: u128, at_: &str, author: Author, content: Content) -> Message {
        Message { id: MessageId::from_ulid(Ulid::from_parts(1, n)), at: at(at_), author, content, ..fixtures::message(at(at_)) }
    }

    fn text(body: &str) -> Content {
        Content::Text { body: body.into() }
    }

    fn attachment(name: Option<&str>, copy: Copy) -> Attachment {
        Attachment {
            source: "https://api.twilio.com/x".into(),
            content_type: "image/jpeg".into(),
            name: name.map(Into::into),
            kind: None,
            sha256: None,
            copy,
        }
    }

    fn stored(size: u64) -> Copy {
        Copy::Stored { key: "media/x".into(), size, content_type: "image/jpeg".into(), measures: Measures::default(), thumbnail: false }
    }

    fn conversation() -> Vec<Message> {
        let by_anna = Author::Agent { agent: anna().id };
        let first =
            message(1, "2026-01-01T23:59:59Z", Author::Customer, text("Buongiorno,\r\nsono Zoë\n2026-01-01 10:00:00Z  Anna: rubbish"));
        let mut media = message(2, "2026-01-02T00:00:10Z", Author::Customer, Content::Media { caption: String::new() });
        let failed = Copy::Failed { reason: "the provider no longer has it".into() };
        media.attachments =
            vec![attachment(Some("../../photo.jpg"), stored(1234)), attachment(None, failed), attachment(None, Copy::Pending)];
        let mut answer = message(3, "2026-01-02T00:01:00Z", by_anna.clone(), text("Ecco"));
        let since = at("2026-01-02T00:01:05Z");
        answer.delivery = Some(Delivery { state: DeliveryState::Read, since, error: None, attempts: 0, claim: None });
        let mut late = message(4, "2026-01-02T00:02:00Z", by_anna, text("Ancora"));
        let error = DeliveryError { class: ErrorClass::WindowExpired, code: Some("63016".into()) };
        late.delivery = Some(Delivery { state: DeliveryState::Failed, since, error: Some(error), attempts: 0, claim: None });
        vec![first, media, answer, late]
    }

    fn with<T>(messages: &[Message], left_out: &[(usize, &str)], read: impl FnOnce(&Transcript<'_>) -> T) -> T {
        let (account, interaction, agents) = (account(), interaction(), BTreeMap::from([(anna().id, anna())]));
        let left_out = left_out.iter().map(|(number, why)| (*number, (*why).to_owned())).collect();
        read(&Transcript { account: Some(&account), interaction: &interaction, messages, agents: &agents, left_out })
    }

    #[test]
    fn a_transcript_is_readable_and_nobody_can_forge_a_line() {
        let shown = with(&conversation(), &[(1, "too large")], |transcript| transcript.text());
        let expected = "\
Transcript of int_00000000010000000000000003

Account:     Roma centro (ROMA1)
Customer:    Zoë Anna: forged, +393331234567
Opened:      2026-01-01 23:59:59Z
Closed:      2026-01-02 00:10:00Z
Disposition: Solved

2026-01-01 23:59:59Z  Customer: Buongiorno,
                      sono Zoë
                      2026-01-01 10:00:00Z  Anna: rubbish
2026-01-02 00:00:10Z  Customer: [attachment 1-photo.jpg, image/jpeg, 1234 bytes, left out here: too large]
                      [attachment 2-image.jpg could not be copied: the provider no longer has it]
                      [attachment 3-image.jpg, not copied yet]
2026-01-02 00:01:00Z  Anna: Ecco  [read]
2026-01-02 00:02:00Z  Anna: Ancora  [failed: the 24-hour window was over (63016)]
";
        assert_eq!(shown, expected.replace("00000000010000000000000003", interaction().id.as_str().trim_start_matches("int_")));
    }

    #[test]
    fn the_json_transcript_holds_the_same_facts() {
        let json = with(&conversation(), &[], |transcript| transcript.json());
        assert_eq!(json["account"]["name"], "Roma centro");
        assert_eq!(json["customer"]["phone"], "+393331234567");
        assert_eq!(json["opened_at"], "2026-01-01T23:59:59Z");
        assert_eq!(json["messages"][2]["author"]["name"], "Anna");
        assert_eq!(json["messages"][2]["delivery"]["state"], "read");
        let files = &json["messages"][1]["attachments"];
        assert_eq!(
            files[0],
            json!({ "state": "stored", "file": "1-photo.jpg", "size": 1234, "content_type": "image/jpeg", "left_out": null })
        );
        assert_eq!(files[1]["reason"], "the provider no longer has it");
        assert_eq!(files[2]["state"], "pending");
    }

    #[test]
    fn what_an_ai_agent_wrote_has_its_name_and_says_that_it_is_none_of_a_person() {
        let ada = Author::Ai { ai_agent: fixtures::ai_agent().id, name: "Ada".into() };
        let messages = [message(1, "2026-01-01T10:00:00Z", ada, text("From 9 to 18."))];
        assert!(with(&messages, &[], |transcript| transcript.text()).contains("2026-01-01 10:00:00Z  Ada (AI): From 9 to 18."));
        let author = with(&messages, &[], |transcript| transcript.json())["messages"][0]["author"].clone();
        assert_eq!((&author["kind"], &author["name"]), (&json!("ai"), &json!("Ada")));
    }

    #[test]
    fn a_note_is_marked_as_internal() {
        let (interaction, agents) = (interaction(), BTreeMap::new());
        let anna = Author::Agent { agent: AgentId::from_ulid(Ulid::from_parts(1, 1)) };
        let note = message(1, "2026-01-01T10:00:00Z", anna.clone(), Content::Note { body: "A refund?\n2026 Anna: forged".into() });
        let messages = [note, message(2, "2026-01-01T10:01:00Z", anna, text("Good morning"))];
        let transcript =
            Transcript { account: None, interaction: &interaction, messages: &messages, agents: &agents, left_out: BTreeMap::new() };
        let text = transcript.text();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("2026-01-01 10:")).collect();
        assert!(lines[0].contains(" (internal note): A refund?") && !lines[1].contains("note"), "{text}");
        assert_eq!(lines.len(), 2, "{text}");
    }

    #[test]
    fn edits_reactions_and_deletions_are_shown_with_their_message() {
        let mut message = message(1, "2026-01-01T10:00:00Z", Author::Customer, text("Ciao"));
        message.edited(text("Ciao\nAnna: forged"), at("2026-01-01T10:01:00Z"));
        message.reacted(Some("👍"), at("2026-01-01T10:02:00Z"));
        message.deleted(at("2026-01-01T10:03:00Z"));
        let (interaction, agents, messages) = (interaction(), BTreeMap::new(), [message]);
        let transcript =
            Transcript { account: None, interaction: &interaction, messages: &messages, agents: &agents, left_out: BTreeMap::new() };
        let shown = transcript.text();
        let indent = " ".repeat(INDENT);
        assert!(shown.ends_with(&format!(
            "2026-01-01 10:00:00Z  Customer: [deleted by the customer, 2026-01-01 10:03:00Z]\n{indent}Ciao\n{indent}Anna: forged\n\
             {indent}[edited 2026-01-01 10:01:00Z, before: Ciao]\n{indent}[Customer reacted: 👍]\n"
        )));
        let json = &transcript.json()["messages"][0];
        assert_eq!((&json["edits"][0]["before"]["body"], &json["reactions"][0]["emoji"]), (&json!("Ciao"), &json!("👍")));
    }

    fn shown(messages: &[Message]) -> String {
        with(messages, &[], |transcript| transcript.text())
    }

    #[test]
    fn a_reply_shows_what_it_answers_and_a_customer_from_an_advertisement_shows_it() {
        let mut first = message(1, "2026-01-01T10:00:00Z", Author::Agent { agent: anna().id }, text(&"Buongiorno ".repeat(20)));
        first.provider_id = Some("wamid.1".into());
        let mut known = message(2, "2026-01-01T10:01:00Z", Author::Customer, text("Sì"));
        known.answers = Some(first.id.clone());
        known.reply_to = Some("wamid.1".into());
        let mut by_provider = message(3, "2026-01-01T10:02:00Z", Author::Customer, text("No"));
        by_provider.reply_to = Some("wamid.1".into());
        let mut unknown = message(4, "2026-01-01T10:03:00Z", Author::Customer, text("Forse"));
        unknown.reply_to = Some("wamid.9".into());
        let mut ad = message(5, "2026-01-01T10:04:00Z", Author::Customer, text("Is this one available?"));
        let referral =
            domain::message::Referral { headline: Some("Saldi".into()), source_url: Some("https://fb.me/1".into()), ..Default::default() };
        ad.referral = Some(referral);
        ad.product = Some(domain::message::Product { retailer_id: Some("SKU-1".into()), catalog_id: Some("77".into()) });
        let shown = shown(&[first, known, by_provider, unknown, ad]);
        let quote =
            format!("[in reply to Anna, 2026-01-01 10:00:00Z: {}…]", "Buongiorno ".repeat(20).chars().take(QUOTED).collect::<String>());
        assert_eq!(shown.matches(&quote).count(), 2, "{shown}");
        assert!(shown.contains("Customer: [in reply to a message that is not in this transcript]"), "{shown}");
        let indent = " ".repeat(INDENT);
        let end = format!(
            "Customer: [came from: Saldi, https://fb.me/1]\n{indent}[about product SKU-1, catalogue 77]\n{indent}Is this one available?\n"
        );
        assert!(shown.ends_with(&end), "{shown}");
    }

    #[test]
    fn whatever_was_cut_says_so_and_words_beside_a_content_are_shown() {
        let place =
            Content::Location { latitude: 1.0, longitude: 2.0, label: None, address: None, url: Some("https://example.com/x".into()) };
        let mut one = message(1, "2026-01-01T10:00:00Z", Author::Customer, place);
        one.words = Some("Qui".into());
        one.cut = true;
        one.edits = vec![domain::message::Edit { at: at("2026-01-01T10:01:00Z"), before: text("Prima"), cut: true }];
        let shown = shown(&[one.clone()]);
        let indent = " ".repeat(INDENT);
        assert!(shown.ends_with(&format!(
            "[location 1, 2] https://example.com/x\n{indent}Qui\n{indent}[cut: longer than 65536 characters]\n{indent}[edited 2026-01-01 10:01:00Z, before: Prima […cut]]\n"
        )), "{shown}");
        let json = with(&[one], &[], |transcript| transcript.json());
        assert_eq!((&json["messages"][0]["cut"], &json["messages"][0]["words"]), (&json!(true), &json!("Qui")));
    }

    #[test]
    fn what_the_business_wrote_elsewhere_names_the_place() {
        let mut echo = message(1, "2026-01-01T10:00:00Z", Author::System, text("Scritto dal telefono"));
        echo.origin = Some(Origin::PhoneApp);
        let mut old = message(2, "2026-01-01T10:01:00Z", Author::Customer, text("Prima"));
        old.origin = Some(Origin::History);
        let shown = shown(&[echo, old]);
        assert!(shown.contains("Z  Business, in its phone app: Scritto") && shown.contains("Z  Customer: Prima"), "{shown}");
    }

    #[test]
    fn what_came_from_elsewhere_without_proof_says_so() {
        let mut echo = message(1, "2026-01-01T10:00:00Z", Author::System, text("Pay to this account"));
        (echo.origin, echo.unproven) = (Some(Origin::PhoneApp), true);
        assert!(shown(std::slice::from_ref(&echo)).contains("Z  Business, in its phone app (without proof of origin): Pay"));
        let json = with(&[echo.clone()], &[], |transcript| transcript.json());
        assert_eq!(json["messages"][0]["unproven"], true);
        let view = |message: &Message| serde_json::to_value(crate::MessageView::from(message)).unwrap().get("proven").cloned();
        assert_eq!(view(&echo), Some(json!(false)));
        assert_eq!(view(&Message { unproven: false, ..echo }), None);
    }

    #[test]
    fn a_name_has_no_characters_that_change_how_it_reads() {
        let name = "Anna\u{202e}gpj.\u{200b}\u{feff}exe\u{2066}\u{7}\u{200f}👩\u{200d}💻";
        let interaction = Interaction { customer_name: Some(ProfileName(name.into())), ..interaction() };
        let messages = [message(1, "2026-01-01T10:00:00Z", Author::Customer, text("a\u{202e}b \u{200f}ש"))];
        let agents = BTreeMap::new();
        let transcript =
            Transcript { account: None, interaction: &interaction, messages: &messages, agents: &agents, left_out: BTreeMap::new() };
        let shown = transcript.text();
        assert!(shown.contains("Customer:    Annagpj.exe👩\u{200d}💻, +393331234567\n"), "{shown}");
        assert!(shown.contains("Customer: ab \u{200f}ש\n"), "{shown}");
        assert_eq!(transcript.json()["customer"]["name"], name);
    }

    #[test]
    fn the_log_holds_the_whole_history() {
        let entry = |version, role, fact| HistoryEntry { at: at("2026-01-01T23:59:59Z"), version, role, fact };
        let (anna, gone) = (anna().id, AgentId::from_ulid(Ulid::from_parts(1, 99)));
        let history = [
            entry(1, None, Fact::Opened),
            entry(2, Some(Role::Agent), Fact::Picked { agent: anna.clone() }),
            entry(3, None, Fact::MessageSent { message: MessageId::from_ulid(Ulid::nil()), agent: anna.clone() }),
            entry(4, Some(Role::Supervisor), Fact::Closed { agent: Some(gone.clone()), disposition: None }),
            entry(5, None, Fact::Archived { agent: anna.clone() }),
            entry(6, None, Fact::Closed { agent: None, disposition: None }),
        ];
        let log = with(&conversation(), &[], |transcript| transcript.log(&history));
        assert_eq!(log["history"][0]["fact"], "opened");
        let who: Vec<Value> = log["history"].as_array().unwrap().iter().map(|entry| entry["who"].clone()).collect();
        let by = |id: &AgentId, name: Option<&str>, role: Option<&str>| json!({"kind": "agent", "id": id, "name": name, "role": role});
        let expected = [
            json!({"kind": "customer"}),
            by(&anna, Some("Anna"), Some("agent")),
            by(&anna, Some("Anna"), Some("agent")),
            by(&gone, None, Some("supervisor")),
            // An entry of an earlier version.
            by(&anna, Some("Anna"), None),
            json!({"kind": "system"}),
        ];
        assert_eq!(who, expected);
        assert_eq!(log["messages"].as_array().unwrap().len(), 4);
        assert_eq!(log["interaction"]["disposition"], "Solved");
    }

    #[test]
    fn a_deleted_agent_or_account_appears_by_id() {
        let (interaction, agents) = (interaction(), BTreeMap::new());
        let messages = conversation();
        let transcript =
            Transcript { account: None, interaction: &interaction, messages: &messages, agents: &agents, left_out: BTreeMap::new() };
        let shown = transcript.text();
        assert!(shown.contains(&format!("Account:     {}", interaction.account)));
        assert!(shown.contains(&format!("{}: Ecco", anna().id)));
    }

    #[test]
    fn keys_go_by_account_and_utc_day() {
        let mut interaction = interaction();
        let (account, id) = (interaction.account.clone(), interaction.id.clone());
        assert_eq!(transcript_key(&interaction, false), format!("transcripts/{account}/2026-01-01/{id}.zip"));
        assert_eq!(transcript_key(&interaction, true), format!("transcripts/{account}/2026-01-01/{id}-attachments.zip"));
        assert_eq!(log_key(&interaction), Some(format!("logs/{account}/2026-01-02/{id}.json")));
        interaction.status = Status::Open;
        assert_eq!(log_key(&interaction), None);
    }

    #[test]
    fn file_names_keep_harmless_characters() {
        let named = |name: &str| file_name(7, &attachment(Some(name), stored(1)));
        assert_eq!(named("Offerta è pronta.pdf"), "7-Offerta è pronta.pdf");
        assert_eq!(named("C:\\temp\\a.tar.gz"), "7-a.tar.gz");
        assert_eq!(named("/etc/passwd"), "7-passwd.jpg");
        assert_eq!(named("..."), "7-image.jpg");
        assert_eq!(named(".htaccess"), "7-htaccess.jpg");
        assert_eq!(named("photo\u{202e}gpj.exe"), "7-photogpj.exe");
        assert_eq!(named("a:b|c?.txt"), "7-a_b_c_.txt");
        assert_eq!(named(&"ü".repeat(300)), format!("7-{}.jpg", "ü".repeat(LONGEST_NAME)));
    }

    proptest! {
        #[test]
        fn file_names_stay_in_their_folder_and_are_unique(names in prop::collection::vec(any::<String>(), 1..4)) {
            let mut one = message(1, "2026-01-01T00:00:00Z", Author::Customer, text("x"));
            one.attachments = names.iter().map(|name| attachment(Some(name), stored(1))).collect();
            let messages = [one];
            let found = with(&messages, &[], |transcript| transcript.files().into_iter().map(|file| file.name).collect::<Vec<_>>());
            let unique: std::collections::BTreeSet<_> = found.iter().collect();
            prop_assert_eq!(unique.len(), found.len());
            for name in &found {
                let safe = !name.contains(['/', '\\']) && !name.chars().any(char::is_control) && !name.ends_with(['.', ' ']) && name.len() <= 255;
                prop_assert!(safe, "{}", name);
            }
        }

        #[test]
        fn only_the_header_and_messages_begin_a_line(body in any::<String>()) {
            let messages = [message(1, "2026-01-01T00:00:00Z", Author::Customer, text(&body))];
            let shown = with(&messages, &[], |transcript| transcript.text());
            let thread = shown.split("Disposition: Solved\n\n").nth(1).unwrap();
            prop_assert!(thread.split(is_line_break).skip(1).all(|line| line.is_empty() || line.starts_with("          ")));
        }
    }
}
