//! Decides about a message, before and after the call to the provider. Pure.

use std::time::Duration;

use domain::decide::SERVICE_WINDOW;
use domain::message::{Delivery, DeliveryError, ErrorClass};
use engine::Sent;
use jiff::Timestamp;
use providers::{RateScope, SendResult};

/// How often a message is tried that the provider refuses for its own faults. With the delays that takes some two
/// minutes. After that the agent should know, and the messages behind it have waited as long.
pub(crate) const TEMPORARY_TRIES: u32 = 8;

/// The longest delay before the next try, in seconds. A rate limit in the day's rush ends sooner. An SQS message
/// that is received every 15 minutes for the 24 hours of the window stays far below the 1000 receipts of its
/// queue's redrive policy.
const LONGEST_WAIT: u32 = 900;

/// Whether a waiting message may be sent now, by the provider's time of the customer's latest message.
///
/// # Errors
/// The reason why it may not. A message that spent the rest of the window waiting for a rate limit failed for that
/// reason.
pub(crate) fn may_send(delivery: &Delivery, last_inbound_at: Option<Timestamp>, now: Timestamp) -> Result<(), DeliveryError> {
    let end = last_inbound_at.map(|at| at.saturating_add(SERVICE_WINDOW).unwrap_or(Timestamp::MAX));
    if end.is_some_and(|end| now < end) {
        return Ok(());
    }
    match &delivery.error {
        Some(error) if error.class == ErrorClass::RateLimited => Err(error.clone()),
        _ => Err(DeliveryError { class: ErrorClass::WindowExpired, code: None }),
    }
}

/// The outcome of an attempt: the state to write, and the delay in seconds if the message is tried again. `before`
/// is the delivery before the attempt was claimed.
pub(crate) fn of(result: SendResult, before: &Delivery) -> (Sent, Option<u32>) {
    match result {
        SendResult::Accepted { provider_id, state: _ } => (Sent::Accepted { provider_id }, None),
        SendResult::Unknown => (Sent::Unknown, None),
        SendResult::RateLimited { retry_after, scope } => {
            let error = DeliveryError { class: ErrorClass::RateLimited, code: None };
            (Sent::Later { error }, Some(wait(before.attempts, scope, retry_after)))
        }
        SendResult::Failed(error) if error.class == ErrorClass::Temporary && !is_last_try(before) => {
            (Sent::Later { error }, Some(wait(before.attempts, RateScope::Number, None)))
        }
        SendResult::Failed(error) => (Sent::Failed { error }, None),
    }
}

/// Waits for a rate limit count as tries too, but the provider's first own fault after many of them is not the last
/// try.
fn is_last_try(before: &Delivery) -> bool {
    let again = before.error.as_ref().is_some_and(|error| error.class == ErrorClass::Temporary);
    again && before.attempts + 1 >= TEMPORARY_TRIES
}

/// The delay doubles each time, and is at least as long as the provider asks. For messages that go too fast to one
/// customer it quadruples: Meta's rule for its pair rate limit ("4^X seconds").
fn wait(attempts: u32, scope: RateScope, asked: Option<Duration>) -> u32 {
    let base: u32 = match scope {
        RateScope::Number => 2,
        RateScope::Recipient => 4,
    };
    let asked = asked.map_or(0, |asked| u32::try_from(asked.as_secs()).unwrap_or(LONGEST_WAIT));
    base.saturating_pow(attempts).max(asked).min(LONGEST_WAIT)
}

/// The delay in seconds after our own table or secret store failed. They recover soon, and the queue's own
/// visibility timeout would hold up the conversation for minutes. With a minute between tries, the queue's 1000
/// receipts last for more than half a day.
pub(crate) fn own_wait(received: u32) -> u32 {
    2_u32.saturating_pow(received).min(60)
}

/// The label of the metric.
pub(crate) fn label(sent: &Sent) -> &'static str {
    match sent {
        Sent::Accepted { .. } => "accepted",
        Sent::Unknown => "outcome_unknown",
        Sent::Later { error } | Sent::Failed { error } => match error.class {
            ErrorClass::WindowExpired => "window_expired",
            ErrorClass::RateLimited => "rate_limited",
            ErrorClass::InvalidRecipient => "invalid_recipient",
            ErrorClass::Undeliverable => "undeliverable",
            ErrorClass::Template => "template",
            ErrorClass::Media => "media",
            ErrorClass::Authentication => "authentication",
            ErrorClass::Temporary => "temporary",
            ErrorClass::Permanent => "permanent",
            ErrorClass::OutcomeUnknown => "outcome_unknown",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::message::DeliveryState;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn error(class: ErrorClass) -> DeliveryError {
        DeliveryError { class, code: None }
    }

    fn tried(attempts: u32, last: Option<ErrorClass>) -> Delivery {
        Delivery { state: DeliveryState::Queued, since: at("2026-01-01T10:00:00Z"), error: last.map(error), attempts, claim: None }
    }

    #[test]
    fn a_message_may_leave_until_24_hours_after_the_customers_latest_one() {
        let asked = Some(at("2026-01-01T10:00:00Z"));
        let fresh = tried(0, None);
        assert_eq!(may_send(&fresh, asked, at("2026-01-02T09:59:59.999Z")), Ok(()));
        assert_eq!(may_send(&fresh, asked, at("2026-01-02T10:00:00Z")), Err(error(ErrorClass::WindowExpired)));
        assert_eq!(may_send(&fresh, None, at("2026-01-01T10:00:00Z")), Err(error(ErrorClass::WindowExpired)));
        assert_eq!(may_send(&fresh, Some(Timestamp::MAX), at("2026-01-01T10:00:00Z")), Ok(()));
    }

    #[test]
    fn a_message_that_waited_for_a_rate_limit_until_the_window_closed_failed_for_that() {
        let waited = tried(90, Some(ErrorClass::RateLimited));
        assert_eq!(may_send(&waited, Some(at("2026-01-01T10:00:00Z")), at("2026-01-03T00:00:00Z")), Err(error(ErrorClass::RateLimited)));
    }

    #[test]
    fn a_rate_limit_is_waited_for_however_often_and_longer_each_time() {
        let limited =
            |asked: Option<u64>| SendResult::RateLimited { retry_after: asked.map(Duration::from_secs), scope: RateScope::Number };
        let waits: Vec<_> = (0..12).map(|attempts| of(limited(None), &tried(attempts, Some(ErrorClass::RateLimited))).1).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900].map(Some));
        let (sent, wait) = of(limited(None), &tried(500, Some(ErrorClass::RateLimited)));
        assert_eq!((sent, wait), (Sent::Later { error: error(ErrorClass::RateLimited) }, Some(900)));
        let to_one = |attempts| of(SendResult::RateLimited { retry_after: None, scope: RateScope::Recipient }, &tried(attempts, None)).1;
        assert_eq!([0, 1, 2, 3, 4, 5].map(to_one), [1, 4, 16, 64, 256, 900].map(Some));
        assert_eq!(of(limited(Some(30)), &tried(0, None)).1, Some(30));
        assert_eq!(of(limited(Some(1)), &tried(3, None)).1, Some(8));
        assert_eq!(of(limited(Some(u64::MAX)), &tried(0, None)).1, Some(900));
    }

    #[test]
    fn a_passing_fault_is_tried_eight_times() {
        let mut delivery = tried(0, None);
        let mut tries = 0;
        let last = loop {
            tries += 1;
            match of(SendResult::Failed(error(ErrorClass::Temporary)), &delivery) {
                (Sent::Later { error }, Some(_)) => {
                    delivery = Delivery { attempts: delivery.attempts + 1, error: Some(error), ..delivery };
                }
                other => break other,
            }
        };
        assert_eq!(tries, TEMPORARY_TRIES);
        assert_eq!(last, (Sent::Failed { error: error(ErrorClass::Temporary) }, None));
    }

    #[test]
    fn waits_for_a_rate_limit_do_not_use_up_the_tries() {
        let result = of(SendResult::Failed(error(ErrorClass::Temporary)), &tried(40, Some(ErrorClass::RateLimited)));
        assert_eq!(result, (Sent::Later { error: error(ErrorClass::Temporary) }, Some(900)));
    }

    #[test]
    fn an_unknown_outcome_and_a_refusal_are_never_tried_again() {
        assert_eq!(of(SendResult::Unknown, &tried(0, None)), (Sent::Unknown, None));
        for class in [
            ErrorClass::Permanent,
            ErrorClass::Authentication,
            ErrorClass::InvalidRecipient,
            ErrorClass::WindowExpired,
            ErrorClass::RateLimited,
        ] {
            assert_eq!(of(SendResult::Failed(error(class)), &tried(0, None)), (Sent::Failed { error: error(class) }, None));
        }
    }
}
