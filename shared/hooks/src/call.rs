//! One call of a trigger.

use std::time::{Duration, Instant};

use cloud::egress::{Egress, EgressError};
use domain::trigger::{Answer, TriedOutcome, Trigger};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use crate::sign::headers;

/// How long another system may take. Nobody waits for it, but it occupies a function meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes. Only its beginning is shown.
const ANSWER: u64 = 16 * 1024;

/// How much of an answer's text is kept, in characters: enough for the reason of a refusal.
const KEPT: usize = 300;

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// How it ended.
    pub outcome: TriedOutcome,
    /// What came back.
    pub answer: Answer,
    /// The beginning of the answer's text, without control characters.
    pub text: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl Called {
    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.answer {
            Answer::Status { status, .. } => Some(status),
            Answer::Nothing => None,
        }
    }
}

/// Calls the system of `trigger` with `body`, signed, as the call `id`. Redirects are not followed: a request that was
/// signed for one address goes to no other.
pub async fn call(egress: &Egress, trigger: &Trigger, id: &str, body: Vec<u8>, now: Timestamp) -> Called {
    let began = Instant::now();
    let posted = match headers(trigger.secrets(now), id, now, &body) {
        Some(headers) => egress.post_json_beginning(trigger.url.as_str(), headers, body, TIMEOUT, ANSWER).await,
        // Keys are generated in the right form.
        None => Err(EgressError::Refused("no key to sign with")),
    };
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match posted {
        Ok(fetched) => {
            let delivered = fetched.status.is_success();
            let retry_after = fetched.retry_after.as_deref().and_then(|wish| wished(wish, now));
            Called {
                outcome: if delivered { TriedOutcome::Delivered } else { TriedOutcome::Refused },
                answer: Answer::Status { status: fetched.status.as_u16(), retry_after },
                text: beginning(&fetched.bytes, trigger),
                ms,
            }
        }
        Err(EgressError::Refused(_) | EgressError::TooManyRedirects) => {
            Called { outcome: TriedOutcome::BadAddress, answer: Answer::Nothing, text: String::new(), ms }
        }
        Err(EgressError::NoAnswer | EgressError::TooLarge { .. }) => {
            Called { outcome: TriedOutcome::NoAnswer, answer: Answer::Nothing, text: String::new(), ms }
        }
    }
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
fn wished(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(date.duration_since(now).max(SignedDuration::ZERO))
}

/// The beginning of an answer, unless it repeats the key.
fn beginning(bytes: &[u8], trigger: &Trigger) -> String {
    let text = String::from_utf8_lossy(bytes);
    let secrets = std::iter::once(&trigger.secret).chain(trigger.replaced_secret.iter().map(|replaced| &replaced.secret));
    if secrets.into_iter().any(|secret| text.contains(secret.reveal())) {
        return String::new();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(KEPT).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use domain::fixtures;

    use super::*;

    #[test]
    fn a_wish_is_read_as_seconds_or_as_a_date() {
        let now = Timestamp::from_second(784_111_777).unwrap();
        assert_eq!(wished(" 120 ", now), Some(SignedDuration::from_secs(120)));
        assert_eq!(wished("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(SignedDuration::from_secs(60)));
        assert_eq!(wished("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(SignedDuration::ZERO));
        for bad in ["", "soon", "-1", "1.5"] {
            assert_eq!(wished(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn the_beginning_of_an_answer_is_one_line_and_never_shows_the_key() {
        let trigger = fixtures::trigger();
        assert_eq!(beginning(b" not\nfound\x00\xff ", &trigger), "not found \u{fffd}");
        assert_eq!(beginning(&[b'x'; 5_000], &trigger).len(), KEPT);
        assert_eq!(beginning(format!("your key is {}", trigger.secret.reveal()).as_bytes(), &trigger), "");
    }
}
