//! The agents who follow a thread: the one who has it, and supervisors who watch it.

use domain::effect::InteractionKey;
use domain::ids::AgentId;
use domain::interaction::Watcher;
use jiff::Timestamp;

use crate::ports::{PortError, Store};

/// The agents whose feeds get a change of a message: the one who has its interaction now, also if it was merged into
/// another, and those who watch it. The agent who wrote a message in it may no longer be on the account.
///
/// # Errors
/// The store can't be read.
pub async fn followers<S: Store>(store: &S, interaction: &InteractionKey, now: Timestamp) -> Result<Vec<AgentId>, PortError> {
    let mut next = interaction.clone();
    // Mergers lead to ever older interactions, so the loop ends.
    while let Some(living) = store.interaction(&next).await? {
        let Some(into) = living.merged_into else {
            let watching = watching(store, &living.watchers, now).await?;
            let beside = watching.into_iter().filter(|watcher| living.agent.as_ref() != Some(watcher));
            return Ok(living.agent.iter().cloned().chain(beside).collect());
        };
        next = into;
    }
    Ok(Vec::new())
}

/// Those of the watchers who still watch. Without any, nothing is read.
///
/// # Errors
/// The store can't be read.
pub async fn watching<S: Store>(store: &S, watchers: &[Watcher], now: Timestamp) -> Result<Vec<AgentId>, PortError> {
    let agents: Vec<AgentId> = watchers.iter().map(|watcher| watcher.agent.clone()).collect();
    if agents.is_empty() {
        return Ok(agents);
    }
    let presences = store.presences(&agents).await?;
    let watching = watchers.iter().filter(|watcher| !watcher.has_ended(presences.get(&watcher.agent), now));
    Ok(watching.map(|watcher| watcher.agent.clone()).collect())
}
