//! Looks after an account: checks it, lists its numbers and templates, and finds missed messages.
//!
//! Sources: twilio-oai `twilio_api_v2010.json` (accounts, messages, media), `twilio_messaging_v2.json` (senders)
//! and `twilio_content_v1.json` (contents).

use std::ops::Range;

use domain::inbound::{InboundKind, StatusUpdate};
use domain::message::DeliveryState;
use domain::pricing::{Amount, Charge, Currency};
use domain::template::{ListedTemplate, ParameterFormat, TemplateParts, placeholders};
use domain::values::E164;
use http::StatusCode;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

use super::{ACCOUNT_SID, API, CONTENT, MESSAGING, authorization, is_sid, webhook};
use crate::{Answer, Connection, Finding, Number, Origin, OutgoingRequest, Parsed, Problem, Step};

/// The sandbox's number, which all trial accounts share. No account has it as a sender.
const SANDBOX: &str = "+14155238886";

/// The page size of numbers and templates.
const PAGE: &str = "100";

/// The page size of messages, Twilio's maximum: about 1 MB.
const MESSAGES_PAGE: &str = "1000";

/// The most messages with files that one run lists, the latest ones. Each needs a request of its own, and a run has
/// a hundred.
const FILES: usize = 80;

/// Asks for the account, then for its WhatsApp senders until it finds the account's number.
pub(super) fn check(connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
    let found = |subject, result| Finding { subject, result };
    let Some((answer, pages)) = answers.split_first() else {
        return Step::Call(get(connection, format!("{}.json", account_url(connection))));
    };
    let credentials = match problem(answer) {
        None => found("credentials", Ok(Some(note(&answer.json()["status"], "active", "the account")))),
        // The credentials are another account's, or nobody's.
        Some(Problem::NotFound { .. }) => return Step::Done(vec![found("credentials", Err(Problem::CredentialsRefused))]),
        Some(problem) => return Step::Done(vec![found("credentials", Err(problem))]),
    };
    if connection.account.phone.as_str() == SANDBOX {
        let sandbox = Ok(Some("this is the number of Twilio's sandbox: set its webhook in the console".to_owned()));
        return Step::Done(vec![credentials, found("number", sandbox), found("webhook", Ok(None))]);
    }
    let own = format!("whatsapp:{}", connection.account.phone.as_str());
    let sender = pages.iter().flat_map(|page| items(page, "senders")).find(|sender| sender["sender_id"] == own.as_str());
    let Some(sender) = sender else {
        return match senders(connection, pages) {
            Next::Call(request) => Step::Call(request),
            // The list is newer than some accounts: an account without the list is fine.
            Next::Failed(Problem::NotFound { .. }) => Step::Done(vec![credentials, found("number", Ok(None)), found("webhook", Ok(None))]),
            Next::Failed(problem) => Step::Done(vec![credentials, found("number", Err(problem))]),
            Next::Complete => Step::Done(vec![credentials, found("number", Err(Problem::NumberNotFound))]),
        };
    };
    let number = found("number", Ok(Some(note(&sender["status"], "ONLINE", "the sender"))));
    let callback = sender["webhook"]["callback_url"].as_str().unwrap_or_default();
    let webhook = if without_fragment(callback) != without_fragment(receive_url) {
        Err(Problem::WebhookNotSet)
    } else if callback.contains('#') {
        Ok(Some(String::new()))
    } else {
        Ok(Some("without the fragment of the Receive URL, Twilio gives up after one more try".to_owned()))
    };
    Step::Done(vec![credentials, number, found("webhook", webhook)])
}

/// The account's WhatsApp senders.
pub(super) fn numbers(connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<Number>, Problem>> {
    match senders(connection, answers) {
        Next::Call(request) => return Step::Call(request),
        Next::Failed(problem) => return Step::Done(Err(problem)),
        Next::Complete => {}
    }
    let number = |sender: Value| {
        let phone = E164::parse(sender["sender_id"].as_str()?.strip_prefix("whatsapp:")?).ok()?;
        Some(Number { phone: phone.as_str().to_owned(), name: text(&sender["profile"]["name"]), id: None })
    };
    Step::Done(Ok(answers.iter().flat_map(|page| items(page, "senders")).filter_map(number).collect()))
}

/// The account's contents, each with WhatsApp's approval.
pub(super) fn templates(connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<ListedTemplate>, Problem>> {
    let base = connection.hosts.get(CONTENT);
    match next(connection, base, &format!("/v1/ContentAndApprovals?PageSize={PAGE}"), answers, "/meta/next_page_url") {
        Next::Call(request) => return Step::Call(request),
        Next::Failed(problem) => return Step::Done(Err(problem)),
        Next::Complete => {}
    }
    let template = |content: Value| {
        let approval = &content["approval_requests"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
        Some(ListedTemplate {
            name: text(&content["sid"]).filter(|sid| is_sid(sid))?,
            title: text(&content["friendly_name"]).unwrap_or_default(),
            language: text(&content["language"]).unwrap_or_default(),
            category: word(&approval["category"]),
            status: word(&approval["status"]),
            parts: parts(&content),
        })
    };
    Step::Done(Ok(answers.iter().flat_map(|page| items(page, "contents")).filter_map(template).collect()))
}

/// What a content needs: its variables, wherever they stand in its types. One that a message leaves out would be sent
/// with the sample that the content was made with.
fn parts(content: &Value) -> TemplateParts {
    let types = &content["types"];
    let shown = types.as_object().into_iter().flatten().flat_map(|(_, kind)| [&kind["body"], &kind["title"]]);
    let mut texts = String::new();
    collect(types, &mut texts);
    let mut parameters = placeholders(&texts);
    if parameters.is_empty() {
        parameters.extend(content["variables"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    }
    TemplateParts {
        format: ParameterFormat::Variables,
        text: { shown }.find_map(text).unwrap_or_default(),
        parameters,
        ..TemplateParts::default()
    }
}

/// All texts of a document, one after the other. The depth is that of JSON documents that can be read.
fn collect(value: &Value, texts: &mut String) {
    match value {
        Value::String(text) => {
            texts.push_str(text);
            texts.push(' ');
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(values) => values.values().for_each(|value| collect(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Lists the messages to the account's number, then the files of each message that has some.
pub(super) fn missed(
    connection: &Connection<'_>,
    since: Timestamp,
    now: Timestamp,
    answers: &[Answer],
) -> Step<Result<Vec<Parsed>, Problem>> {
    // The first page without a next one is the last page. The answers after it are lists of files.
    let base = connection.hosts.get(API);
    let pages = answers.iter().position(|answer| link(answer, base, "/next_page_uri").is_none()).map_or(answers, |last| &answers[..=last]);
    match next(connection, base, &listing(connection, "To", since), pages, "/next_page_uri") {
        Next::Call(request) => return Step::Call(request),
        Next::Failed(problem) => return Step::Done(Err(problem)),
        Next::Complete => {}
    }
    let mut listed: Vec<Listed> = pages.iter().flat_map(|page| items(page, "messages")).filter_map(Listed::read).collect();
    listed.retain(|message| message.at.is_none_or(|at| at >= since));
    listed.sort_by_key(|message| std::cmp::Reverse(message.at));
    let with_files: Vec<usize> = (0..listed.len()).filter(|index| listed[*index].has_files).collect();
    let files = &answers[pages.len()..];
    if let Some(index) = with_files.iter().take(FILES).nth(files.len()) {
        let url = format!("{}/Messages/{}/Media.json", account_url(connection), listed[*index].sid);
        return Step::Call(get(connection, url));
    }
    let mut left_out: Vec<usize> = with_files.iter().copied().skip(FILES).collect();
    for (index, answer) in with_files.into_iter().zip(files) {
        match problem(answer) {
            None => listed[index].files = items(answer, "media_list"),
            // The file was deleted meanwhile, or is not there yet. The message may come again, but not without its
            // file.
            Some(Problem::NotFound { .. }) => left_out.push(index),
            Some(problem) => return Step::Done(Err(problem)),
        }
    }
    let kept = listed.iter().enumerate().rev().filter(|(index, _)| !left_out.contains(index));
    let parsed = kept.filter_map(|(_, message)| message.parsed(connection, now));
    Step::Done(Ok(Parsed::numbered(parsed.collect())))
}

/// Lists the messages from the account's number, newest first, as far back as `span` reaches.
pub(super) fn prices(
    connection: &Connection<'_>,
    span: Range<Timestamp>,
    now: Timestamp,
    answers: &[Answer],
) -> Step<Result<Vec<Parsed>, Problem>> {
    let sent_at = |message: &Value| [&message["date_sent"], &message["date_created"]].into_iter().find_map(instant);
    let reaches_back = answers.last().is_some_and(|page| items(page, "messages").iter().filter_map(sent_at).any(|at| at < span.start));
    match next(connection, connection.hosts.get(API), &listing(connection, "From", span.start), answers, "/next_page_uri") {
        Next::Call(request) if !reaches_back => return Step::Call(request),
        Next::Failed(problem) => return Step::Done(Err(problem)),
        Next::Call(_) | Next::Complete => {}
    }
    let messages = answers.iter().flat_map(|page| items(page, "messages"));
    let within = messages.filter(|message| sent_at(message).is_some_and(|at| span.contains(&at)));
    Step::Done(Ok(Parsed::numbered(within.filter_map(|message| priced(connection, now, &message)).collect())))
}

/// A sent message as a report of its state with its price: Twilio writes `-0.00500`, and nothing while it does not
/// know.
fn priced(connection: &Connection<'_>, now: Timestamp, message: &Value) -> Option<Parsed> {
    let sid = text(&message["sid"]).filter(|sid| is_sid(sid) && message["direction"] != "inbound")?;
    let amount = Amount::parse(text(&message["price"])?.trim_start_matches('-')).ok()?;
    let currency = Currency::parse(&text(&message["price_unit"])?.to_ascii_uppercase()).ok()?;
    let (word, state) = webhook::state_of(&text(&message["status"])?)?;
    let code = message["error_code"].as_u64().and_then(|code| u32::try_from(code).ok());
    let update = StatusUpdate {
        provider_id: sid.clone(),
        reference: None,
        state,
        error: (state == DeliveryState::Failed).then(|| webhook::failure(word, code)),
        at: None,
        recipients: Vec::new(),
        charge: Some(Charge { stated: Some((amount, currency)), ..Charge::default() }),
    };
    Some(Parsed::new(&connection.account.id, &format!("{sid}#price"), now, InboundKind::Status(update), &message.to_string()))
}

/// The list of messages to or from the account's number. The filter takes days only.
fn listing(connection: &Connection<'_>, side: &str, since: Timestamp) -> String {
    let number = format!("whatsapp:{}", connection.account.phone.as_str());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair(side, &number)
        .append_pair("DateSent>", &since.strftime("%Y-%m-%d").to_string())
        .append_pair("PageSize", MESSAGES_PAGE);
    format!("{}?{}", messages_path(connection), query.finish())
}

/// A message of the list.
struct Listed {
    sid: String,
    at: Option<Timestamp>,
    has_files: bool,
    message: Value,
    files: Vec<Value>,
}

impl Listed {
    /// `None` for a message that no customer wrote.
    fn read(message: Value) -> Option<Self> {
        let sid = text(&message["sid"]).filter(|sid| is_sid(sid) && message["direction"] == "inbound")?;
        let at = [&message["date_sent"], &message["date_created"]].into_iter().find_map(instant);
        let has_files = !matches!(text(&message["num_media"]).as_deref(), None | Some("0"));
        Some(Self { sid, at, has_files, message, files: Vec::new() })
    }

    fn parsed(&self, connection: &Connection<'_>, now: Timestamp) -> Option<Parsed> {
        let field = |name: &str| self.message[name].as_str().unwrap_or_default();
        let media = self.files.iter().enumerate().filter_map(|(index, file)| {
            let url = format!("{}{}", connection.hosts.get(API), file["uri"].as_str()?.strip_suffix(".json")?);
            Some([(format!("MediaUrl{index}"), url), (format!("MediaContentType{index}"), text(&file["content_type"]).unwrap_or_default())])
        });
        let media: Vec<_> = media.flatten().collect();
        let mut parameters = vec![("MessageSid", self.sid.as_str()), ("From", field("from")), ("Body", field("body"))];
        parameters.extend(media.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let message = webhook::read_listed(&parameters, self.at)?;
        Some(Parsed::new(&connection.account.id, &self.sid, now, InboundKind::Message(message), &self.message.to_string()))
    }
}

/// The next step for a paged list.
enum Next {
    /// Ask for the next page.
    Call(OutgoingRequest),
    /// There are no more pages.
    Complete,
    /// A page failed.
    Failed(Problem),
}

fn senders(connection: &Connection<'_>, pages: &[Answer]) -> Next {
    let path = format!("/v2/Channels/Senders?Channel=whatsapp&PageSize={PAGE}");
    next(connection, connection.hosts.get(MESSAGING), &path, pages, "/meta/next_page_url")
}

/// `pointer` leads to the next page's address in each page.
fn next(connection: &Connection<'_>, base: &str, first: &str, pages: &[Answer], pointer: &str) -> Next {
    if !is_sid(connection.account.provider.field(ACCOUNT_SID)) {
        return Next::Failed(Problem::NotFound { field: ACCOUNT_SID });
    }
    if let Some(problem) = pages.iter().find_map(problem) {
        return Next::Failed(problem);
    }
    match pages.last().map(|last| link(last, base, pointer)) {
        None => Next::Call(get(connection, format!("{base}{first}"))),
        Some(Some(url)) => Next::Call(get(connection, url)),
        Some(None) => Next::Complete,
    }
}

/// The address of the next page. It gets the account's credentials, so an address at another host is ignored.
fn link(page: &Answer, base: &str, pointer: &str) -> Option<String> {
    let link = page.json().pointer(pointer).and_then(text)?;
    if link.starts_with('/') {
        return Some(format!("{base}{link}"));
    }
    Origin::parse(&link).filter(|origin| Origin::parse(base).as_ref() == Some(origin)).map(|_| link)
}

fn get(connection: &Connection<'_>, url: String) -> OutgoingRequest {
    OutgoingRequest::get(url, authorization(connection))
}

fn account_path(connection: &Connection<'_>) -> String {
    format!("/2010-04-01/Accounts/{}", connection.account.provider.field(ACCOUNT_SID))
}

fn account_url(connection: &Connection<'_>) -> String {
    format!("{}{}", connection.hosts.get(API), account_path(connection))
}

fn messages_path(connection: &Connection<'_>) -> String {
    format!("{}/Messages.json", account_path(connection))
}

fn items(page: &Answer, name: &str) -> Vec<Value> {
    page.json()[name].as_array().cloned().unwrap_or_default()
}

/// A text that is not empty.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

/// An instant as Twilio writes it, e.g. `Thu, 01 Jan 2026 00:00:00 +0000`.
fn instant(value: &Value) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(value.as_str()?).ok()
}

/// A note on a state; empty for the state `fine`.
fn note(state: &Value, fine: &str, whose: &str) -> String {
    match state.as_str() {
        None => String::new(),
        Some(state) if state == fine => String::new(),
        // The state is one word of a short list, for a person to read.
        Some(state) => format!("the state of {whose} is {}", &state[..state.floor_char_boundary(32)]),
    }
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// The problem that an answer reports, if any.
fn problem(answer: &Answer) -> Option<Problem> {
    match answer.status {
        status if status.is_success() => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Problem::CredentialsRefused),
        StatusCode::NOT_FOUND => Some(Problem::NotFound { field: ACCOUNT_SID }),
        StatusCode::TOO_MANY_REQUESTS => Some(Problem::RateLimited),
        status => Some(Problem::Unexpected { status: status.as_u16() }),
    }
}

#[cfg(test)]
mod tests;
