//! The Lambda `reconcile`: every quarter of an hour it looks at the providers for customers' messages whose
//! webhooks were lost, and handles them as their webhooks would have been, under the same ids.
//!
//! | case | result |
//! |---|---|
//! | a message that is stored here | nothing |
//! | a message that is not | it is stored and enqueued as if its webhook had come |
//! | a provider whose API lists no messages | nothing |
//! | messages that were sent an hour ago, of a provider that tells prices in its list alone | they are charged at those prices |
//! | a provider that refuses or does not answer | it is logged and counted; the other accounts go on, and the next run tries this one again |
//! | too many accounts for its time | it ends, and the next run begins with those that were left out |

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::Client;
use cloud::aws::Aws;
use cloud::config::Env;
use cloud::function;
use cloud::telemetry::{self, Metric};
use domain::account::Account;
use domain::report::Quarter;
use engine::ports::Directory;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent};
use providers::Problem;
use receive::{Ingest, ReconcileError, prices, reconcile};
use serde_json::Value;
use store::Configuration;

/// How far back each run looks. Eight runs in a row may fail before a message is missed. An older message is found
/// on request.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(2);

/// No account begins later than this after the run began. The slowest conversation takes some pages of 15 s, and
/// the function has 300 s.
const LATEST_START: Duration = Duration::from_secs(200);

struct Function {
    configuration: Configuration,
    client: Client,
    ingest: Ingest,
    /// The account with which the next run begins, so that many slow accounts don't always leave out the same ones.
    next: AtomicUsize,
}

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        Ok(Self {
            configuration: Configuration::from_env(aws, env)?,
            client: Client::from_env(aws, env)?,
            ingest: Ingest::from_env(aws, env)?,
            next: AtomicUsize::new(0),
        })
    }

    async fn run(&self, _: LambdaEvent<Value>) -> Result<(), Error> {
        let began = Instant::now();
        let accounts = self.configuration.accounts().await?;
        for account in in_turn(&accounts, self.next.load(Ordering::Relaxed)) {
            if began.elapsed() > LATEST_START {
                tracing::warn!(event = "reconcile.out_of_time", accounts = accounts.len());
                break;
            }
            self.next.fetch_add(1, Ordering::Relaxed);
            self.look_at(account).await;
        }
        Ok(())
    }

    async fn look_at(&self, account: &Account) {
        let (id, kind) = (&account.id, account.provider.kind.as_str());
        let now = cloud::time::now();
        match reconcile(&self.client, &self.ingest, account, now - LOOK_BACK, now).await {
            Ok(found) => {
                tracing::info!(event = "reconcile.done", account = %id, listed = found.listed, new = found.new);
                if found.new > 0 {
                    telemetry::count(Metric::ReconciledMessages, kind, found.new);
                }
            }
            Err(ReconcileError::Provider(Problem::NotOffered)) => {}
            Err(error) => {
                tracing::error!(event = "reconcile.failed", account = %id, %error);
                telemetry::count(Metric::ReconcileFailures, kind, 1);
            }
        }
        match prices(&self.client, &self.ingest, account, priced_now(now), now).await {
            Ok(0) => {}
            Ok(priced) => tracing::info!(event = "reconcile.priced", account = %id, priced),
            Err(error) => tracing::error!(event = "reconcile.not_priced", account = %id, %error),
        }
    }
}

/// The quarter-hour whose messages are priced now: each run takes the next one, so that each message is looked at
/// once. An hour later the provider knows its price. A run that fails leaves its messages to the administrator's
/// table.
fn priced_now(now: Timestamp) -> Range<Timestamp> {
    let quarter = Quarter::of(now - SignedDuration::from_mins(75));
    quarter.starts()..Quarter(quarter.0 + 1).starts()
}

/// All of `accounts`, beginning with the one at `first`. Inactive accounts too, because they store incoming
/// messages.
fn in_turn(accounts: &[Account], first: usize) -> impl Iterator<Item = &Account> {
    let first = first.checked_rem(accounts.len()).unwrap_or(0);
    accounts[first..].iter().chain(&accounts[..first])
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(Function::from_env, Function::run).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fixtures::account;

    #[test]
    fn each_quarter_hour_is_priced_by_one_run_an_hour_later() {
        let at = |minutes: i64| Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap();
        let spans: Vec<_> = (0..8).map(|run| priced_now(at(run * 15 + run % 3))).collect();
        assert!(spans.windows(2).all(|both| both[0].end == both[1].start), "{spans:?}");
        assert!(spans.iter().zip(0..).all(|(span, run)| span.end <= at(run * 15 + run % 3 - 60)));
    }

    #[test]
    fn every_account_has_its_turn_wherever_the_run_begins() {
        let accounts: Vec<Account> = ["a", "b", "c"].map(|name| Account { name: name.to_owned(), ..account() }).into();
        let order = |first| in_turn(&accounts, first).map(|account| account.name.as_str()).collect::<String>();
        assert_eq!((order(0), order(2), order(4)), ("abc".to_owned(), "cab".to_owned(), "bca".to_owned()));
        assert_eq!(in_turn(&[], 5).count(), 0);
    }
}
