//! Looks after an app: checks it, registers its webhook, and finds missed messages.

use domain::inbound::InboundKind;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::json::{address, word};
use super::{APP_ID, WEBHOOK_SECRET, bearer, project_url, webhook};
use crate::{Answer, Connection, Finding, OutgoingRequest, Parsed, Problem, Registration, Step};

/// The most webhooks that an app can have.
pub(super) const MAX_WEBHOOKS: usize = 5;

/// The triggers that the connector needs: messages, reports, reactions, and messages that Sinch has no form for.
const TRIGGERS: [&str; 4] = ["MESSAGE_INBOUND", "MESSAGE_DELIVERY", "EVENT_INBOUND", "UNSUPPORTED"];

/// The page size of messages. The API gives up to 1000; a page of 500 has about half a MB.
const PAGE: &str = "500";

/// Asks for the app, then for its webhooks.
pub(super) fn check(connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
    let found = |subject, result| Finding { subject, result };
    let app = connection.account.provider.field(APP_ID);
    let Some(answer) = answers.first() else {
        return Step::Call(OutgoingRequest::get(project_url(connection, &format!("/apps/{app}")), bearer(connection)));
    };
    let fine = || Ok(Some(String::new()));
    let credentials = match problem(answer) {
        None => found("credentials", fine()),
        // The API accepted the credentials.
        Some(problem @ Problem::NotFound { .. }) => {
            return Step::Done(vec![found("credentials", fine()), found("number", Err(problem))]);
        }
        Some(problem) => return Step::Done(vec![found("credentials", Err(problem))]),
    };
    let Some(webhooks) = answers.get(1) else { return list_webhooks(connection) };
    let webhook = match problem(webhooks) {
        Some(problem) => Err(problem),
        None if webhooks_of(webhooks).iter().any(|webhook| leads_to(webhook, receive_url)) => fine(),
        None => Err(Problem::WebhookNotSet),
    };
    Step::Done(vec![credentials, found("number", number(connection, &answer.json())), found("webhook", webhook)])
}

/// Reads the app's description: whether it has a WhatsApp channel, and whether the channel works. The channel's
/// sender id is a number in some apps and a bot's name in others.
fn number(connection: &Connection<'_>, app: &Value) -> Result<Option<String>, Problem> {
    let channels = app["channel_credentials"].as_array().into_iter().flatten();
    let channels: Vec<&Value> = channels.filter(|channel| word(&channel["channel"]) == "WHATSAPP").collect();
    let channel = channels.first().ok_or(Problem::NumberNotFound)?;
    let names = [&channel["channel_known_id"], &channel["static_bearer"]["claimed_identity"]];
    let known = names.into_iter().any(|name| address(name).as_ref().and_then(|name| name.phone()) == Some(&connection.account.phone));
    let mut notes = Vec::new();
    if !known {
        notes.push("the app has a WhatsApp channel; Sinch does not tell its number".to_owned());
    }
    match word(&channel["state"]["status"]) {
        "" | "ACTIVE" => {}
        // The state is one word of a short list, for a person to read.
        state => notes.push(format!("the state of the WhatsApp channel is {}", &state[..state.floor_char_boundary(32)])),
    }
    Ok(Some(notes.join("; ")))
}

/// Asks for the webhooks, then adds one, or updates ours with the new secret.
pub(super) fn register(connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Registration> {
    let Some(secret) = connection.credentials.get(WEBHOOK_SECRET) else {
        return Step::Done(Registration::Failed(Problem::NotFound { field: WEBHOOK_SECRET }));
    };
    let Some(list) = answers.first() else { return list_webhooks(connection) };
    if let Some(problem) = problem(list) {
        return Step::Done(Registration::Failed(problem));
    }
    if let Some(done) = answers.get(1) {
        return Step::Done(match problem(done) {
            None => Registration::Done,
            Some(problem) => Registration::Failed(problem),
        });
    }
    let webhooks = webhooks_of(list);
    let body = json!({
        "app_id": connection.account.provider.field(APP_ID),
        "target": receive_url,
        "target_type": "HTTP",
        "secret": secret.reveal(),
        "triggers": TRIGGERS,
    });
    // An earlier webhook of ours: its path holds the account's token, whatever its host was.
    let ours = |webhook: &&Value| path_of(word(&webhook["target"])) == path_of(receive_url);
    let old = webhooks.iter().find(ours).and_then(|webhook| super::super::json::id(&webhook["id"]));
    if let Some(id) = old.filter(|id| super::is_id(id)) {
        let mut change = OutgoingRequest::post_json(project_url(connection, &format!("/webhooks/{id}")), bearer(connection), &body);
        change.method = Method::PATCH;
        return Step::Call(change);
    }
    if webhooks.len() >= MAX_WEBHOOKS {
        return Step::Done(Registration::Failed(Problem::WebhookNotSet));
    }
    Step::Call(OutgoingRequest::post_json(project_url(connection, "/webhooks"), bearer(connection), &body))
}

/// Lists the app's inbound messages, page by page. The result begins with the oldest.
pub(super) fn missed(
    connection: &Connection<'_>,
    since: Timestamp,
    now: Timestamp,
    answers: &[Answer],
) -> Step<Result<Vec<Parsed>, Problem>> {
    if let Some(problem) = answers.iter().find_map(problem) {
        return Step::Done(Err(problem));
    }
    let token = answers.last().map(|answer| word(&answer.json()["next_page_token"]).to_owned());
    if token.as_deref() != Some("") {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("app_id", connection.account.provider.field(APP_ID));
        query.append_pair("channel", "WHATSAPP");
        query.append_pair("direction", "TO_APP");
        query.append_pair("start_time", &since.to_string());
        query.append_pair("end_time", &now.to_string());
        query.append_pair("page_size", PAGE);
        if let Some(token) = token {
            query.append_pair("page_token", &token);
        }
        let url = format!("{}?{}", project_url(connection, "/messages"), query.finish());
        return Step::Call(OutgoingRequest::get(url, bearer(connection)));
    }
    let mut found: Vec<Parsed> = Vec::new();
    for answer in answers {
        let page = answer.json();
        let messages = page["messages"].as_array().into_iter().flatten();
        found.extend(messages.filter_map(|message| webhook::read_listed(message, connection.account, now)));
    }
    found.sort_by_key(|parsed| match &parsed.event.kind {
        InboundKind::Message(message) => message.sent_at,
        _ => None,
    });
    Step::Done(Ok(Parsed::numbered(found)))
}

fn list_webhooks<T>(connection: &Connection<'_>) -> Step<T> {
    let app = connection.account.provider.field(APP_ID);
    Step::Call(OutgoingRequest::get(project_url(connection, &format!("/apps/{app}/webhooks")), bearer(connection)))
}

fn webhooks_of(answer: &Answer) -> Vec<Value> {
    answer.json()["webhooks"].as_array().cloned().unwrap_or_default()
}

fn leads_to(webhook: &Value, receive_url: &str) -> bool {
    let triggers = webhook["triggers"].as_array().map(Vec::as_slice).unwrap_or_default();
    word(&webhook["target"]) == receive_url && TRIGGERS[..2].iter().all(|needed| triggers.iter().any(|trigger| word(trigger) == *needed))
}

/// The part of a URL after the host.
fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    Some(&rest[rest.find('/')?..])
}

/// The problem that an answer reports, if any.
fn problem(answer: &Answer) -> Option<Problem> {
    match answer.status {
        status if status.is_success() => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Problem::CredentialsRefused),
        // Another region answers 404 too.
        StatusCode::NOT_FOUND => Some(Problem::NotFound { field: APP_ID }),
        StatusCode::TOO_MANY_REQUESTS => Some(Problem::RateLimited),
        status => Some(Problem::Unexpected { status: status.as_u16() }),
    }
}
