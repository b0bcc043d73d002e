//! Reports: keeps the facts of versions, adds up quarter-hours, and reads what was added up.
//!
//! Both steps replace what they write by what follows from its sources, and add nothing to anything. So a job that
//! comes twice, late or in another order changes nothing.

use std::collections::BTreeSet;

use domain::effect::{InteractionKey, MessageKey};
use domain::ids::AccountId;
use domain::report::{Facts, Quarter, facts, rollup};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};

use crate::jobs::{ReportJob, RollupJob};
use crate::ports::{FactOf, Histories, PortError, Reports};

/// How many tallies are written at once. A quarter-hour has one for each agent, queue and disposition.
const AT_ONCE: usize = 16;

/// A decision is as old as this at most when it is committed: a function that takes decisions has 30 s, and clocks
/// differ by seconds.
const DECIDED_BEFORE: SignedDuration = SignedDuration::from_mins(1);

/// Carries out a job of `report`. Returns the jobs that add up what was kept, by this attempt or by one that died.
///
/// # Errors
/// A port failed.
pub async fn carry_out(histories: &impl Histories, reports: &impl Reports, job: &ReportJob) -> Result<Vec<RollupJob>, PortError> {
    match job {
        ReportJob::Count { interaction, version, at } => count(histories, reports, interaction, *version, *at).await,
        ReportJob::Price { message } => price(histories, reports, message).await,
        ReportJob::Ai { account, id, call } => keep(reports, account, FactOf::Ai(id), &call.facts()).await,
        ReportJob::Duty { at: None, .. } => Ok(Vec::new()),
        ReportJob::Duty { agent, revision, at: Some(at), duty } => {
            reports.put_duty(agent, *at, *revision, *duty).await.map(|()| Vec::new())
        }
    }
}

/// Keeps the facts of a version, and of one that is deleted nothing. An earlier attempt may have kept them and died,
/// so its quarter-hour is added up nevertheless: `at` tells which one that is.
async fn count(
    histories: &impl Histories,
    reports: &impl Reports,
    interaction: &InteractionKey,
    version: u64,
    at: Option<Timestamp>,
) -> Result<Vec<RollupJob>, PortError> {
    let account = &interaction.conversation.account;
    let history = histories.whole_history(interaction).await?;
    let there = history.iter().any(|entry| entry.version == version);
    let facts = facts(&history).remove(&version);
    if there && facts.is_none() {
        return Ok(Vec::new());
    }
    // After the history was read: what is being deleted may have lacked some of it, and what was counted stays.
    match facts {
        Some(facts) if !histories.is_gone(&interaction.interaction).await? => {
            keep(reports, account, FactOf::Version(&interaction.interaction, version), &facts).await
        }
        Some(_) | None => {
            let decided = at.into_iter().flat_map(|at| [at.saturating_sub(DECIDED_BEFORE).unwrap_or(at), at]);
            let quarters: BTreeSet<Quarter> = decided.map(Quarter::of).collect();
            Ok(quarters.into_iter().map(|quarter| RollupJob { account: account.clone(), quarter }).collect())
        }
    }
}

/// Keeps that a message reached its customer, and at what price, in place of what was kept before of the same message.
/// Of a message that is deleted an earlier attempt may have kept it and died, so its quarter-hour is added up
/// nevertheless.
async fn price(histories: &impl Histories, reports: &impl Reports, message: &MessageKey) -> Result<Vec<RollupJob>, PortError> {
    let account = &message.interaction.conversation.account;
    let Some(now) = histories.message_now(message).await? else {
        return Ok(vec![RollupJob { account: account.clone(), quarter: Quarter::of(message.at) }]);
    };
    match Facts::of_message(&now) {
        Some(facts) => keep(reports, account, FactOf::Message(&message.message), &facts).await,
        None => Ok(Vec::new()),
    }
}

async fn keep(reports: &impl Reports, account: &AccountId, of: FactOf<'_>, facts: &Facts) -> Result<Vec<RollupJob>, PortError> {
    reports.put_facts(account, of, facts).await?;
    Ok(vec![RollupJob { account: account.clone(), quarter: facts.quarter }])
}

/// Adds up the facts of a quarter-hour.
///
/// # Errors
/// A port failed. Some tallies may be written; a repetition writes all of them again.
pub async fn roll_up(reports: &impl Reports, account: &AccountId, quarter: Quarter) -> Result<(), PortError> {
    let facts = reports.facts(account, quarter).await?;
    let tallies = rollup(account, facts.iter().flat_map(|facts| &facts.counted));
    let writes = tallies.iter().map(|((dimension, value), tally)| reports.put_tally(account, quarter, (*dimension, value), tally));
    stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(())
}
