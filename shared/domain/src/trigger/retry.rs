//! When a failed call is tried again, and when a trigger is given up.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::WhyDisabled;
use crate::text_template::fingerprint;

/// The waits between the tries of a call, in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. They span a day and
/// a night, in which somebody repairs the other system.
const WAITS: [i64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// The most by which a wait grows at random, in percent. Calls that failed together don't come back together.
const JITTER: i64 = 20;

/// How long a system may fail before its trigger is switched off: three days outlast a weekend.
const FAILS_AT_MOST: SignedDuration = SignedDuration::from_hours(72);

/// A failure longer ago than this belongs to an earlier time. The longest wait between two tries is 12 hours.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// After this many failures in a row, a system counts as down: only one call at a time tries it, and the others wait.
const DOWN: u32 = 5;

/// How long a system that is down is left alone at first, in seconds. It doubles with each further failure.
const FIRST_REST: i64 = 30;

/// How long at most, in seconds, so that a system that works again is noticed within the hour.
const LONGEST_REST: i64 = 3_600;

/// How long a system is left alone that says it has too much to do (429, 502, 504), in seconds, unless it says itself.
const BUSY_REST: i64 = 60;

/// The longest wish of a system (`Retry-After`) that counts: a day.
const LONGEST_WISH: SignedDuration = SignedDuration::from_hours(24);

/// After which time a call is tried again whose try `attempt` (from 1) failed; `None`: it is given up. The random part
/// follows from the call's id, so that a repetition comes to the same time.
pub fn next_try(id: &str, attempt: u32) -> Option<SignedDuration> {
    let wait = *WAITS.get(usize::try_from(attempt).ok()?.checked_sub(1)?)?;
    let random = i64::from(fingerprint(&format!("{id}#{attempt}")) % 1_000);
    Some(SignedDuration::from_millis(wait * 1_000 + wait * JITTER * random / 100))
}

/// What came back from another system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An answer with this status.
    Status {
        /// The status.
        status: u16,
        /// When the system wants the next call (`Retry-After`).
        retry_after: Option<SignedDuration>,
    },
    /// None.
    Nothing,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The system took the call.
    Delivered,
    /// It wants no more calls.
    Gone,
    /// It did not take the call. It wants to be left alone for this long.
    Failed(Option<SignedDuration>),
}

impl Answer {
    /// Its meaning, by Standard Webhooks: 2xx is a success, 410 wants no more, everything else failed, redirects too.
    pub fn verdict(self) -> Verdict {
        match self {
            Answer::Status { status: 200..=299, .. } => Verdict::Delivered,
            Answer::Status { status: 410, .. } => Verdict::Gone,
            Answer::Status { status, retry_after } => {
                let busy = matches!(status, 429 | 502 | 504).then(|| SignedDuration::from_secs(BUSY_REST));
                let wish = retry_after.map(|wish| wish.clamp(SignedDuration::ZERO, LONGEST_WISH));
                Verdict::Failed(wish.or(busy))
            }
            Answer::Nothing => Verdict::Failed(None),
        }
    }
}

/// The failures of another system in a row. While it takes calls there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// When the first of them was.
    pub failing_since: Timestamp,
    /// When the latest was.
    pub failed_at: Timestamp,
    /// How many.
    pub failures: u32,
    /// Until when it is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
}

impl Health {
    /// The failures with another one, after which the system wants to be left alone for `wish`.
    pub fn after_failure(before: Option<&Self>, now: Timestamp, wish: Option<SignedDuration>) -> Self {
        let before = before.filter(|before| now.duration_since(before.failed_at) < FORGOTTEN);
        let failures = before.map_or(1, |before| before.failures.saturating_add(1));
        let down = failures.checked_sub(DOWN).map(|more| {
            let seconds = FIRST_REST.saturating_mul(2_i64.saturating_pow(more.min(30))).min(LONGEST_REST);
            SignedDuration::from_secs(seconds)
        });
        let rests_until = down.max(wish).map(|rest| now.saturating_add(rest).unwrap_or(Timestamp::MAX));
        Self { failing_since: before.map_or(now, |before| before.failing_since), failed_at: now, failures, rests_until }
    }

    /// Until when the system is left alone, if that is after `now`.
    pub fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Why the trigger is switched off, if it is.
    pub fn gives_up(&self, now: Timestamp) -> Option<WhyDisabled> {
        (now.duration_since(self.failing_since) >= FAILS_AT_MOST).then_some(WhyDisabled::Failing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_call_is_tried_eight_times_within_a_day_and_a_half() {
        let waits: Vec<i64> = (1..).map_while(|attempt| next_try("x", attempt)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits.len(), 7);
        let total: i64 = waits.iter().sum();
        assert!((27 * 3_600..36 * 3_600).contains(&total), "{total}");
        assert_eq!(next_try("x", 0), None);
        assert_eq!(next_try("x", 8), None);
    }

    proptest! {
        #[test]
        fn a_wait_grows_by_a_fifth_at_most_and_is_the_same_each_time(id in ".{0,40}", attempt in 1_u32..8) {
            let wait = next_try(&id, attempt).unwrap();
            let least = SignedDuration::from_secs(WAITS[attempt as usize - 1]);
            prop_assert!(least <= wait && wait <= least * 6 / 5, "{wait}");
            prop_assert!(next_try(&id, attempt) == Some(wait));
        }
    }

    #[test]
    fn an_answer_means_what_standard_webhooks_say() {
        let said = |status| Answer::Status { status, retry_after: None }.verdict();
        assert_eq!([said(200), said(204), said(299)], [Verdict::Delivered; 3]);
        assert_eq!(said(410), Verdict::Gone);
        assert_eq!([said(301), said(307), said(400), said(404), said(500), said(503)], [Verdict::Failed(None); 6]);
        let busy = Verdict::Failed(Some(SignedDuration::from_secs(60)));
        assert_eq!([said(429), said(502), said(504)], [busy; 3]);
        let wish = |status, seconds| Answer::Status { status, retry_after: Some(SignedDuration::from_secs(seconds)) }.verdict();
        assert_eq!(wish(503, 7), Verdict::Failed(Some(SignedDuration::from_secs(7))));
        assert_eq!(wish(429, 1_000_000), Verdict::Failed(Some(SignedDuration::from_hours(24))));
        assert_eq!(wish(429, -5), Verdict::Failed(Some(SignedDuration::ZERO)));
        assert_eq!(Answer::Nothing.verdict(), Verdict::Failed(None));
    }

    #[test]
    fn a_system_that_fails_five_times_in_a_row_is_left_alone_for_longer_and_longer() {
        let mut health: Option<Health> = None;
        let mut rests = Vec::new();
        for n in 0..20 {
            let after = Health::after_failure(health.as_ref(), at(n), None);
            rests.push(after.rests(at(n)).map_or(0, |until| until.duration_since(at(n)).as_secs()));
            health = Some(after);
        }
        assert_eq!(rests[..8], [0, 0, 0, 0, 30, 60, 120, 240]);
        assert_eq!(rests[19], 3_600);
        let wish = Health::after_failure(None, at(0), Some(SignedDuration::from_secs(9)));
        assert_eq!((wish.rests(at(8)), wish.rests(at(9))), (Some(at(9)), None));
    }

    #[test]
    fn three_days_of_failures_are_enough_and_a_failure_of_last_week_does_not_count() {
        let hours = |hours: i64| at(hours * 3_600);
        let first = Health::after_failure(None, hours(0), None);
        let mut health = first.clone();
        for hour in (10..=70).step_by(10) {
            health = Health::after_failure(Some(&health), hours(hour), None);
            assert_eq!(health.gives_up(hours(hour)), None, "{hour}");
        }
        assert_eq!(Health::after_failure(Some(&health), hours(72), None).gives_up(hours(72)), Some(WhyDisabled::Failing));
        let later = Health::after_failure(Some(&first), hours(24 * 7), None);
        assert_eq!((later.failures, later.gives_up(hours(24 * 7))), (1, None));
    }
}
