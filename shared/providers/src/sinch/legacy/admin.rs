//! Looks after a bot. Only the store of callbacks can be read.

use std::collections::HashSet;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use super::{bearer, bot_url, webhook};
use crate::{Answer, Connection, Finding, OutgoingRequest, Parsed, Problem, Step};

/// The page size of messages. The default is 20; no maximum is documented.
const PAGE: &str = "100";

/// Asks for one message at most, to see whether Sinch accepts the token. Neither the bot's number nor its callback
/// URL can be read.
pub(super) fn check(connection: &Connection<'_>, answers: &[Answer]) -> Step<Vec<Finding>> {
    let Some(answer) = answers.first() else {
        let url = bot_url(connection, "/callbacks/notifications?page_size=1");
        return Step::Call(OutgoingRequest::get(url, bearer(connection)));
    };
    let credentials = match answer.status {
        status if status.is_success() => Ok(Some(String::new())),
        // Not every bot has the store, and nothing else can be read.
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(problem(answer)),
    };
    let untried = |subject| Finding { subject, result: Ok(None) };
    Step::Done(vec![Finding { subject: "credentials", result: credentials }, untried("number"), untried("webhook")])
}

/// Lists the stored messages, page by page, until a page has nothing new.
pub(super) fn missed(
    connection: &Connection<'_>,
    since: Timestamp,
    now: Timestamp,
    answers: &[Answer],
) -> Step<Result<Vec<Parsed>, Problem>> {
    let reader = webhook::Reader { account: connection.account, received_at: now };
    let (mut found, mut seen, mut news) = (Vec::new(), HashSet::new(), true);
    for answer in answers {
        match answer.status {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND => return Step::Done(Err(Problem::NotOffered)),
            _ => return Step::Done(Err(problem(answer))),
        }
        let page = answer.json();
        let callbacks: Vec<&Value> = page["results"].as_array().into_iter().flatten().chain([&page]).collect();
        let before = found.len();
        let events = callbacks.into_iter().flat_map(|callback| reader.notifications(callback));
        found.extend(events.filter(|parsed| seen.insert(parsed.event.id.clone())));
        news = found.len() > before;
    }
    if !news {
        return Step::Done(Ok(Parsed::numbered(found)));
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("start_time", &since.to_string()).append_pair("end_time", &now.to_string()).append_pair("page_size", PAGE);
    if !answers.is_empty() {
        // The first page has the number 1.
        query.append_pair("page", &(answers.len() + 1).to_string());
    }
    let url = bot_url(connection, &format!("/callbacks/notifications?{}", query.finish()));
    Step::Call(OutgoingRequest::get(url, bearer(connection)))
}

fn problem(answer: &Answer) -> Problem {
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::CredentialsRefused,
        StatusCode::TOO_MANY_REQUESTS => Problem::RateLimited,
        status => Problem::Unexpected { status: status.as_u16() },
    }
}
