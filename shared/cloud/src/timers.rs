//! Timers. SQS is exact to the second but ends at 15 minutes. EventBridge Scheduler reaches any deadline but is
//! exact to 60 seconds only, and its trouble must not stop anything else: a timer that it refuses goes through SQS in
//! steps of 15 minutes.

use std::time::Duration;

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::types::{ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::aws::{Aws, CallError};
use crate::config::{ConfigError, Env};
use crate::digest;
use crate::queues::{self, Queue, QueueError, SendOptions};
use crate::telemetry::{self, Metric};

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
    /// The queue did not accept the timer.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Why a schedule was not made. The timer then goes another way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum NoSchedule {
    #[error("the schedule can't be written")]
    Encode,
    #[error(transparent)]
    Scheduler(#[from] CallError),
}

/// What the metric of failed records calls timers without a schedule.
const SCHEDULER: &str = "scheduler";

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

/// The delay, in seconds, with which a timer for `at` is sent again at `now`, as late as SQS can.
pub fn again(at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(at.duration_since(now).as_secs().clamp(0, MAX_DELAY_SECONDS)).unwrap_or(0)
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
    /// `SCHEDULES_DEAD_LETTER_ARN` if it is there: new code may run for a moment in the environment of the version
    /// before.
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
        let seconds = match plan(at, now) {
            Plan::Delay { seconds } => seconds,
            Plan::Schedule { at: fires } => match self.schedule(&name(id), fires, job).await {
                Ok(()) => return Ok(Plan::Schedule { at: fires }),
                // Whatever the reason: the timer comes early, and is sent again until its time has come. If the
                // schedule was made after all, the timer comes twice, which does nothing.
                Err(error) => {
                    tracing::error!(event = "timers.no_schedule", %error);
                    telemetry::count(Metric::FailedItems, SCHEDULER, 1);
                    again(at, now)
                }
            },
        };
        self.queue.send(job, SendOptions::delayed(seconds)).await?;
        Ok(Plan::Delay { seconds })
    }

    async fn schedule(&self, name: &str, at: Timestamp, job: &impl Serialize) -> Result<(), NoSchedule> {
        let body = queues::encode(job).map_err(|_| NoSchedule::Encode)?;
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
            .flexible_time_window(window.map_err(|_| NoSchedule::Encode)?)
            .target(target.map_err(|_| NoSchedule::Encode)?)
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
    use crate::testing::Stub;

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

    /// Timers on a stub whose scheduler answers this, and whose queue accepts everything.
    async fn timers(scheduler: Option<(u16, &'static str)>) -> (Timers, Stub) {
        let stub = Stub::start(move |call| match call.operation.as_str() {
            "AmazonSQS.SendMessage" => Some((200, r#"{"MessageId":"1"}"#.to_owned())),
            _ => scheduler.map(|(status, body)| (status, body.to_owned())),
        })
        .await;
        let env = Env::from_pairs([
            ("TIMERS_QUEUE_URL", "http://127.0.0.1/1/timers"),
            ("TIMERS_QUEUE_ARN", "arn:aws:sqs:eu-south-1:1:timers"),
            ("SCHEDULE_GROUP", "g"),
            ("SCHEDULER_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ]);
        (Timers::from_env(&stub.aws, &env).unwrap(), stub)
    }

    /// The delays of the messages that the queue accepted.
    fn delays(stub: &Stub) -> Vec<u64> {
        let sent = stub.calls().into_iter().filter(|call| call.operation == "AmazonSQS.SendMessage");
        sent.map(|call| call.body["DelaySeconds"].as_u64().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_timer_that_the_scheduler_refuses_goes_through_the_queue_and_ends_in_time() {
        // No answer at all, or an error of any kind.
        let errors = [
            (400, r#"{"__type":"ValidationException","Message":"no"}"#),
            (402, r#"{"__type":"ServiceQuotaExceededException","Message":"no"}"#),
            (403, r#"{"__type":"AccessDeniedException","Message":"no"}"#),
            (404, r#"{"__type":"ResourceNotFoundException","Message":"no"}"#),
            (429, r#"{"__type":"ThrottlingException","Message":"no"}"#),
            (500, "<html>"),
        ];
        for refusal in errors.into_iter().map(Some).chain([None]) {
            let (timers, stub) = timers(refusal).await;
            let (at, mut clock) = (now() + SignedDuration::from_secs(5_000), now());
            assert_eq!(timers.arm("t", at, clock, &"job").await, Ok(Plan::Delay { seconds: 900 }), "{refusal:?}");
            assert_eq!(delays(&stub), [900]);
            // The rest is the router's part: it asks `arrival`, and sends the timer `again`.
            let mut delay = 900;
            loop {
                clock += SignedDuration::from_secs(i64::from(delay));
                match arrival(at, clock) {
                    Arrival::Early => delay = again(at, clock),
                    Arrival::Hold(left) => clock += SignedDuration::try_from(left).unwrap(),
                    Arrival::Due => break,
                }
            }
            assert_eq!(clock, at);
        }
    }

    #[tokio::test]
    async fn a_timer_that_has_its_schedule_is_not_sent() {
        // The second try finds the schedule of the first.
        for answer in [(200, r#"{"ScheduleArn":"arn"}"#), (409, r#"{"__type":"ConflictException","Message":"it is there"}"#)] {
            let (timers, stub) = timers(Some(answer)).await;
            let armed = timers.arm("t", now() + SignedDuration::from_secs(901), now(), &"job").await;
            assert!(matches!(armed, Ok(Plan::Schedule { .. })), "{answer:?}: {armed:?}");
            assert!(delays(&stub).is_empty());
        }
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
