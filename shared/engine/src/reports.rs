//! Reports: keeps the facts of versions, adds up quarter-hours, and reads what was added up.
//!
//! Both steps replace what they write by what follows from its sources, and add nothing to anything. So a job that
//! comes twice, late or in another order changes nothing.

use domain::effect::{InteractionKey, MessageKey};
use domain::ids::AccountId;
use domain::report::{Facts, Quarter, facts, rollup};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::jobs::{ReportJob, RollupJob};
use crate::ports::{FactOf, Histories, PortError, Reports};

/// How many tallies are written at once. A quarter-hour has one for each agent, queue and disposition.
const AT_ONCE: usize = 16;

/// Carries out a job of `report`. Returns the job that adds up what was kept.
///
/// # Errors
/// A port failed.
pub async fn carry_out(histories: &impl Histories, reports: &impl Reports, job: &ReportJob) -> Result<Option<RollupJob>, PortError> {
    match job {
        ReportJob::Count { interaction, version } => count(histories, reports, interaction, *version).await,
        ReportJob::Price { message } => price(histories, reports, message).await,
        ReportJob::Ai { account, id, call } => keep(reports, account, FactOf::Ai(id), &call.facts()).await.map(Some),
        ReportJob::Duty { at: None, .. } => Ok(None),
        ReportJob::Duty { agent, revision, at: Some(at), duty } => reports.put_duty(agent, *at, *revision, *duty).await.map(|()| None),
    }
}

/// Keeps the facts of a version. Returns the job that adds them up; `None` if it has none, or is deleted.
///
/// # Errors
/// A port failed, or the version is not in the history. It is there a moment later, or was deleted.
pub async fn count(
    histories: &impl Histories,
    reports: &impl Reports,
    interaction: &InteractionKey,
    version: u64,
) -> Result<Option<RollupJob>, PortError> {
    let history = histories.whole_history(interaction).await?;
    let Some(facts) = facts(&history).remove(&version) else { return Ok(None) };
    // After the history was read: what is being deleted may have lacked some of it, and what was counted stays.
    if histories.is_gone(&interaction.interaction).await? {
        return Ok(None);
    }
    let of = FactOf::Version(&interaction.interaction, version);
    keep(reports, &interaction.conversation.account, of, &facts).await.map(Some)
}

/// Keeps that a message reached its customer, and at what price. Returns the job that adds it up; `None` if it did not
/// reach the customer, or is deleted. What was kept before of the same message is replaced.
///
/// # Errors
/// A port failed.
pub async fn price(histories: &impl Histories, reports: &impl Reports, message: &MessageKey) -> Result<Option<RollupJob>, PortError> {
    let now = histories.message_now(message).await?;
    let Some(facts) = now.as_ref().and_then(Facts::of_message) else { return Ok(None) };
    keep(reports, &message.interaction.conversation.account, FactOf::Message(&message.message), &facts).await.map(Some)
}

async fn keep(reports: &impl Reports, account: &AccountId, of: FactOf<'_>, facts: &Facts) -> Result<RollupJob, PortError> {
    reports.put_facts(account, of, facts).await?;
    Ok(RollupJob { account: account.clone(), quarter: facts.quarter })
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
