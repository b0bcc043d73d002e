//! Timers. SQS is exact to the second but ends at 15 minutes. EventBridge Scheduler reaches any deadline but is
//! exact to 60 seconds only.

use std::time::Duration;

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::types::{ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::aws::{Aws, CallError};
use crate::config::{ConfigError, Env};
use crate::digest;
use crate::queues::{self, Queue, QueueError, SendOptions};

/// SQS's longest delay.
const MAX_DELAY_SECONDS: i64 = 900;
/// How long before its deadline a schedule fires. It may fire 60 s late and its message takes a moment. Two minutes
/// leave room for both, and the rest is an SQS delay.
const AHEAD: SignedDuration = SignedDuration::from_secs(120);
/// How long an early timer is held. Delays are rounded down to seconds, so a timer comes less than a second early,
/// give or take the clocks of two machines.
const HOLD: SignedDuration = SignedDuration::from_secs(1);
/// EventBridge Scheduler's longest name.
const MAX_NAME: usize = 64;

/// Why a timer was not armed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimerError {
    /// The job has no JSON form, or the schedule can't be written: a fault of the program.
    #[error("the timer can't be written")]
    Encode,
    /// The queue did not accept the timer.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The scheduler did not accept the timer.
    #[error(transparent)]
    Scheduler(#[from] CallError),
}

/// How a timer is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// A message that can be received after this many seconds, 0 to 900.
    Delay {
        /// Rounded down. The timer comes up to a second early and is then held.
        seconds: u32,
    },
    /// A one-time schedule. Its message comes before the deadline and is then armed again as a delay.
    Schedule {
        /// Two minutes before the deadline, in whole seconds.
        at: Timestamp,
    },
}

/// How a timer for `at` is armed at `now`.
pub fn plan(at: Timestamp, now: Timestamp) -> Plan {
    let left = at.duration_since(now).as_secs();
    if left <= MAX_DELAY_SECONDS {
        return Plan::Delay { seconds: u32::try_from(left).unwrap_or(0) };
    }
    let ahead = at.saturating_sub(AHEAD).unwrap_or(now);
    Plan::Schedule { at: Timestamp::from_second(ahead.as_second()).unwrap_or(ahead) }
}

/// How to handle a timer that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The timer is due.
    Due,
    /// The timer is due after this time, a second at most.
    Hold(Duration),
    /// The timer came too early to hold it: arm it again.
    Early,
}

/// How to handle at `now` a timer for `at`.
pub fn arrival(at: Timestamp, now: Timestamp) -> Arrival {
    let left = at.duration_since(now);
    if left <= SignedDuration::ZERO {
        Arrival::Due
    } else if left <= HOLD {
        Arrival::Hold(left.unsigned_abs())
    } else {
        Arrival::Early
    }
}

/// Arms timers on the timers queue.
#[derive(Debug, Clone)]
pub struct Timers {
    queue: Queue,
    scheduler: Client,
    queue_arn: String,
    role_arn: String,
    group: String,
    dead_letter_arn: Option<String>,
}

impl Timers {
    /// Reads `TIMERS_QUEUE_URL`, `TIMERS_QUEUE_ARN`, `SCHEDULE_GROUP` and `SCHEDULER_ROLE_ARN`, and
    /// `SCHEDULES_DEAD_LETTER_ARN` if it is there: new code may run for a moment in the environment of the version before.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            queue: Queue::from_env(aws, env, "TIMERS_QUEUE_URL")?,
            scheduler: aws.scheduler(),
            queue_arn: env.required("TIMERS_QUEUE_ARN")?.to_owned(),
            role_arn: env.required("SCHEDULER_ROLE_ARN")?.to_owned(),
            group: env.required("SCHEDULE_GROUP")?.to_owned(),
            dead_letter_arn: env.optional("SCHEDULES_DEAD_LETTER_ARN").map(str::to_owned),
        })
    }

    /// Makes `job` arrive on the timers queue at `at`, up to a second early, at least once. Arming the same `id`
    /// again while its schedule exists does nothing, so an id belongs to one deadline.
    pub async fn arm(&self, id: &str, at: Timestamp, now: Timestamp, job: &impl Serialize) -> Result<Plan, TimerError> {
        let plan = plan(at, now);
        match plan {
            Plan::Delay { seconds } => self.queue.send(job, SendOptions::delayed(seconds)).await?,
            Plan::Schedule { at } => self.schedule(&name(id), at, job).await?,
        }
        Ok(plan)
    }

    async fn schedule(&self, name: &str, at: Timestamp, job: &impl Serialize) -> Result<(), TimerError> {
        let body = queues::encode(job)?;
        // The scheduler tries for a day. What it then gives up must be seen.
        let dead_letters = self.dead_letter_arn.as_ref().map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target =
            Target::builder().arn(&self.queue_arn).role_arn(&self.role_arn).set_dead_letter_config(dead_letters).input(body).build();
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let made = self
            .scheduler
            .create_schedule()
            .name(name)
            .group_name(&self.group)
            .schedule_expression(at_expression(at))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(window.map_err(|_| TimerError::Encode)?)
            .target(target.map_err(|_| TimerError::Encode)?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .send()
            .await;
        match made {
            Err(error) if !error.as_service_error().is_some_and(|refusal| refusal.is_conflict_exception()) => {
                Err(CallError::of("scheduler", &error).into())
            }
            _ => Ok(()),
        }
    }
}

/// `at(2026-01-31T23:59:59)`.
fn at_expression(at: Timestamp) -> String {
    format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The name of a schedule: letters, digits, `-`, `_` and `.`, 64 at most. An id that isn't one is hashed.
fn name(id: &str) -> String {
    let usable = !id.is_empty() && id.len() <= MAX_NAME && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if usable { id.to_owned() } else { digest::sha256_hex(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00.250Z".parse().unwrap()
    }

    fn plan_in(seconds: i64) -> Plan {
        plan(now() + SignedDuration::from_secs(seconds), now())
    }

    fn scheduled(text: &str) -> Plan {
        Plan::Schedule { at: text.parse().unwrap() }
    }

    #[test]
    fn waits_of_up_to_fifteen_minutes_are_delays() {
        for seconds in [1, 10, 899, 900] {
            assert_eq!(plan_in(i64::from(seconds)), Plan::Delay { seconds });
        }
    }

    #[test]
    fn longer_waits_are_schedules_two_minutes_ahead() {
        assert_eq!(plan_in(901), scheduled("2026-01-01T12:13:01Z"));
        assert_eq!(plan_in(5_000), scheduled("2026-01-01T13:21:20Z"));
        assert_eq!(plan_in(2_147_483), scheduled("2026-01-26T08:29:23Z"));
    }

    #[test]
    fn a_delay_is_rounded_down_and_never_negative() {
        assert_eq!(plan(now() + SignedDuration::from_millis(10_999), now()), Plan::Delay { seconds: 10 });
        assert_eq!(plan(now() + SignedDuration::from_millis(900_999), now()), Plan::Delay { seconds: 900 });
        assert_eq!(plan(now() + SignedDuration::from_millis(999), now()), Plan::Delay { seconds: 0 });
        assert_eq!(plan_in(0), Plan::Delay { seconds: 0 });
        assert_eq!(plan_in(-5_000), Plan::Delay { seconds: 0 });
        assert_eq!(plan(Timestamp::MIN, Timestamp::MAX), Plan::Delay { seconds: 0 });
    }

    #[test]
    fn a_schedule_that_fires_a_minute_late_leaves_a_delay() {
        let at = now() + SignedDuration::from_secs(5_000);
        let Plan::Schedule { at: fires } = plan(at, now()) else { panic!("not a schedule") };
        for late in [0, 60] {
            assert!(matches!(plan(at, fires + SignedDuration::from_secs(late)), Plan::Delay { seconds: 60..=120 }));
        }
    }

    #[test]
    fn a_timer_that_comes_early_is_held_or_armed_again() {
        let in_ms = |ms| arrival(now() + SignedDuration::from_millis(ms), now());
        assert_eq!(in_ms(-1), Arrival::Due);
        assert_eq!(in_ms(0), Arrival::Due);
        assert_eq!(in_ms(999), Arrival::Hold(Duration::from_millis(999)));
        assert_eq!(in_ms(1_000), Arrival::Hold(Duration::from_secs(1)));
        assert_eq!(in_ms(1_001), Arrival::Early);
    }

    #[test]
    fn schedules_are_written_in_utc_without_fractions() {
        assert_eq!(at_expression("2026-01-31T23:59:59Z".parse().unwrap()), "at(2026-01-31T23:59:59)");
    }

    #[test]
    fn names_have_the_form_that_the_scheduler_accepts() {
        assert_eq!(name("int_01.7-a"), "int_01.7-a");
        for odd in ["a#b", "", &"x".repeat(65), "ä"] {
            let name = name(odd);
            assert!(name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert_ne!(name("a#b"), name("a#c"));
    }
}
