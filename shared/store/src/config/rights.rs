//! What an agent may read now.

use std::sync::Arc;

use domain::account::Account;
use domain::agent::Agent;
use domain::ids::{AccountId, AgentId};
use engine::ports::Directory;

use super::Configuration;
use crate::codec::PortResult;

impl Configuration {
    /// Whether the agent belongs to the account. A no of the cached account is asked again: somebody may have added
    /// the agent a moment ago, and an event that is withheld for that reason would not be shown again.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn may_read(&self, agent: &AgentId, account: &AccountId) -> PortResult<bool> {
        let has = |account: Option<Arc<Account>>| account.is_some_and(|account| account.agents.contains(agent));
        Ok(has(self.account(account).await?) || has(self.account_now(account).await?))
    }

    /// The agent's record. One that was made a moment ago may not be in the cached view of all agents.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn agent(&self, id: &AgentId) -> PortResult<Option<Agent>> {
        match self.agents().await?.get(id) {
            Some(agent) => Ok(Some(agent.clone())),
            None => Ok(self.get::<Agent>(id.as_str()).await?.map(|(agent, _)| agent)),
        }
    }
}
