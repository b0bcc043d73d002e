//! What the agents' screens show of the configuration (`GET /agent/me`), and whom a change of it concerns.

use serde::{Deserialize, Serialize};

use crate::account::{Account, TransferRule};
use crate::agent::Agent;
use crate::ids::{AccountId, AgentId, PauseId, QueueId};
use crate::language::Language;
use crate::queue::Queue;

/// The agents whose screens show what has changed. Whoever tells them reads who they are: a change of a large account
/// takes no longer than one of a small one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Screens {
    /// Those of all agents.
    Everybody,
    /// Those of these agents.
    Agents(Vec<AgentId>),
    /// Those of the agents of an account, of whoever oversees all accounts, and of agents who were taken off it.
    Account {
        /// The account. It may be gone.
        account: AccountId,
        /// Who was taken off.
        left: Vec<AgentId>,
    },
    /// Those of the members of a queue, and of agents who were taken out of it.
    Queue {
        /// The queue. It may be gone.
        queue: QueueId,
        /// Who was taken out.
        left: Vec<AgentId>,
    },
}

/// What agents see of an account. `GET /agent/me` is made of it, so that nothing is shown whose change is not told.
#[derive(Debug, PartialEq)]
pub struct Shown<'a> {
    /// The key.
    pub key: &'a str,
    /// The name.
    pub name: &'a str,
    /// Whether it is switched on.
    pub active: bool,
    /// The provider's type, which tells what can be sent.
    pub provider: &'a str,
    /// Transfers to agents.
    pub transfer_to_agent: TransferRule,
    /// Transfers to queues.
    pub transfer_to_queue: TransferRule,
    /// Whether closing requires a disposition.
    pub mandatory_disposition: bool,
    /// The pause of an agent who owes one, where it is required.
    pub disposition_pause: Option<&'a PauseId>,
    /// The account's own dispositions.
    pub dispositions: &'a [String],
    /// Whether it has a recontact template.
    pub recontact: bool,
    /// The agents' language, if it translates.
    pub translation: Option<&'a Language>,
    /// Whether an AI agent helps its agents.
    pub assistant: bool,
    /// Whether conversations are summed up.
    pub insights: bool,
    /// Whether agents may start video calls.
    pub video: bool,
    /// Whether an AI agent may answer customers.
    pub answering: bool,
}

impl<'a> From<&'a Account> for Shown<'a> {
    fn from(account: &'a Account) -> Self {
        let settings = &account.settings;
        Self {
            key: account.key.as_str(),
            name: &account.name,
            active: account.active,
            provider: &account.provider.kind,
            transfer_to_agent: settings.transfer_to_agent,
            transfer_to_queue: settings.transfer_to_queue,
            mandatory_disposition: settings.mandatory_disposition,
            disposition_pause: settings.disposition_pause.as_ref().filter(|_| settings.mandatory_disposition),
            dispositions: &settings.dispositions,
            recontact: settings.recontact.is_some(),
            translation: settings.translation.as_ref().filter(|translation| translation.enabled).map(|translation| &translation.language),
            assistant: settings.assistant.is_some(),
            insights: settings.insights.is_some(),
            video: settings.video.as_ref().is_some_and(|video| video.enabled),
            answering: account.answering_ai_agent.is_some(),
        }
    }
}

impl Screens {
    /// Those that show a change of an account; `None` on a side: it is new, or deleted.
    pub fn of_account(before: Option<&Account>, after: Option<&Account>) -> Option<Self> {
        let account = &before.or(after)?.id;
        let members = |account: Option<&'_ Account>| account.map(|account| account.agents.clone()).unwrap_or_default();
        let (had, has) = (members(before), members(after));
        if before.map(Shown::from) == after.map(Shown::from) {
            // Who else is on it is on nobody's screen.
            return Self::of_agents(moved(&had, &has).collect());
        }
        Some(Self::Account { account: account.clone(), left: missing(&had, &has).collect() })
    }

    /// Those that show a change of a queue: its members see its name.
    pub fn of_queue(before: Option<&Queue>, after: Option<&Queue>) -> Option<Self> {
        let queue = &before.or(after)?.id;
        let members = |queue: Option<&'_ Queue>| queue.map(|queue| queue.members.clone()).unwrap_or_default();
        let (had, has) = (members(before), members(after));
        if before.map(|queue| &queue.name) == after.map(|queue| &queue.name) {
            return Self::of_agents(moved(&had, &has).collect());
        }
        Some(Self::Queue { queue: queue.clone(), left: missing(&had, &has).collect() })
    }

    /// The own screen of an agent whose record changed. A new agent has none yet, and a deleted one none any more.
    pub fn of_agent(before: Option<&Agent>, after: Option<&Agent>) -> Option<Self> {
        let shown = |agent: &Agent| (agent.name.clone(), agent.role, agent.whatsapp, agent.capacity);
        let (before, after) = (before?, after?);
        Self::of_agents(if shown(before) == shown(after) { Vec::new() } else { vec![after.id.clone()] })
    }

    /// Everybody's, if something that all agents choose from has changed.
    pub fn of_choice<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Option<Self> {
        (before != after).then_some(Self::Everybody)
    }

    fn of_agents(agents: Vec<AgentId>) -> Option<Self> {
        (!agents.is_empty()).then_some(Self::Agents(agents))
    }
}

/// Those of `had` that `has` lacks.
fn missing<'a>(had: &'a [AgentId], has: &'a [AgentId]) -> impl Iterator<Item = AgentId> + 'a {
    had.iter().filter(|agent| !has.contains(agent)).cloned()
}

fn moved<'a>(had: &'a [AgentId], has: &'a [AgentId]) -> impl Iterator<Item = AgentId> + 'a {
    missing(had, has).chain(missing(has, had))
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::agent::{Capacity, Role};
    use crate::fixtures;
    use crate::plan::ActionPlan;

    fn agent(number: u128) -> AgentId {
        AgentId::from_ulid(Ulid(number))
    }

    #[test]
    fn what_no_agent_sees_of_an_account_concerns_nobody() {
        let before = Account { agents: vec![agent(1), agent(2)], ..fixtures::account() };
        let mut after = before.clone();
        after.plan = ActionPlan { version: 7, ..before.plan.clone() };
        after.description = Some("another".to_owned());
        after.settings.wait_for_assigned_agent = crate::values::Seconds::MAX;
        after.version += 1;
        assert_eq!(Screens::of_account(Some(&before), Some(&after)), None);
    }

    #[test]
    fn whoever_sees_an_account_is_concerned_by_what_it_shows_and_the_others_by_their_own_place_only() {
        let before = Account { agents: vec![agent(1), agent(2)], ..fixtures::account() };
        let account = before.id.clone();
        let others = Account { agents: vec![agent(2), agent(3)], ..before.clone() };
        assert_eq!(Screens::of_account(Some(&before), Some(&others)), Some(Screens::Agents(vec![agent(1), agent(3)])));
        let mut after = others.clone();
        after.settings.transfer_to_queue.enabled = false;
        let both = Screens::Account { account: account.clone(), left: vec![agent(1)] };
        assert_eq!(Screens::of_account(Some(&before), Some(&after)), Some(both));
        assert_eq!(Screens::of_account(None, Some(&before)), Some(Screens::Account { account: account.clone(), left: vec![] }));
        let gone = Screens::Account { account, left: before.agents.clone() };
        assert_eq!(Screens::of_account(Some(&before), None), Some(gone));
    }

    #[test]
    fn an_agent_is_concerned_by_the_own_record_and_all_by_what_they_choose_from() {
        let before = Agent {
            id: agent(1),
            name: "Anna".to_owned(),
            subject: "anna".to_owned(),
            role: Role::Agent,
            whatsapp: true,
            capacity: Capacity::default(),
        };
        let named = Agent { name: "Zoë".to_owned(), ..before.clone() };
        let other = Agent { subject: "another".to_owned(), ..before.clone() };
        assert_eq!(Screens::of_agent(Some(&before), Some(&named)), Some(Screens::Agents(vec![before.id.clone()])));
        assert_eq!((Screens::of_agent(Some(&before), Some(&other)), Screens::of_agent(None, Some(&named))), (None, None));
        assert_eq!(Screens::of_choice(None, Some(&1)), Some(Screens::Everybody));
        assert_eq!(Screens::of_choice(Some(&1), Some(&1)), None);
    }
}
