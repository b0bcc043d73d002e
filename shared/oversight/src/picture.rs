//! The picture itself: a pure function of waiting rows and presences.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use domain::account::Account;
use domain::agent::{Agent, Presence, PresenceState, PresenceWord};
use domain::footprint::WaitingRow;
use domain::ids::{AccountId, AgentId, InteractionId, QueueId};
use domain::queue::Queue;
use engine::ports::PortError;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What waits and who works, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Oversight)]
pub struct Picture {
    /// The number of the turn that made it.
    #[serde(skip)]
    pub turn: u64,
    /// The moment. Everybody who asks within three seconds gets the same picture.
    pub as_of: Timestamp,
    /// All queues, sorted by name.
    pub queues: Vec<QueueNow>,
    /// All accounts, sorted by name.
    pub accounts: Vec<AccountNow>,
    /// All agents with WhatsApp, sorted by name.
    pub agents: Vec<AgentNow>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueNow {
    /// The queue's id.
    pub id: QueueId,
    /// Its name.
    pub name: String,
    /// How many interactions wait for its members. One that has tried several queues without success waits in each of
    /// them.
    pub waiting: usize,
    /// Since when the customer has waited who has waited longest, whatever the priorities. Absent: nobody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// How many of the waiting ones ring at somebody.
    pub offered: usize,
    /// How many members are logged in, ready or paused.
    pub staffed: usize,
    /// How many members are ready and have a free slot.
    pub available: usize,
}

/// An account, with what waits for any of its agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountNow {
    /// The account's id.
    pub id: AccountId,
    /// Five letters or digits.
    pub key: String,
    /// Its name.
    pub name: String,
    /// How many interactions wait for any agent of the account, because its plan has run out without a queue.
    pub waiting: usize,
    /// Since when the customer has waited who has waited longest. Absent: nobody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentNow {
    /// The agent's id.
    pub id: AgentId,
    /// The agent's name.
    pub name: String,
    /// The state of presence.
    pub state: PresenceWord,
    /// The reason of the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When this state began. Absent before the first login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many open interactions the agent has.
    pub load: usize,
    /// How many the agent may have.
    pub capacity: usize,
    /// The ids of the open interactions.
    pub open: Vec<InteractionId>,
    /// The ids of the interactions that ring at this agent alone.
    pub ringing: Vec<InteractionId>,
}

/// What a picture is made of.
#[derive(Debug, Clone)]
pub struct Seen {
    /// All accounts.
    pub accounts: Arc<Vec<Account>>,
    /// All queues.
    pub queues: Arc<BTreeMap<QueueId, Queue>>,
    /// All agents.
    pub agents: Arc<BTreeMap<AgentId, Agent>>,
    /// Their presences. An agent who never had one is missing.
    pub presences: BTreeMap<AgentId, Presence>,
    /// The rows that wait in queues.
    pub in_queues: BTreeMap<QueueId, Vec<WaitingRow>>,
    /// The rows that wait for all agents of an account.
    pub in_accounts: BTreeMap<AccountId, Vec<WaitingRow>>,
}

impl Seen {
    /// The presences of the members who may take interactions.
    fn members<'a>(&'a self, queue: &'a Queue) -> impl Iterator<Item = &'a Presence> {
        let takes = |agent: &&AgentId| self.agents.get(*agent).is_some_and(|agent| agent.whatsapp);
        queue.members.iter().filter(takes).filter_map(|agent| self.presences.get(agent))
    }
}

/// The picture of `now`.
pub fn picture(now: Timestamp, seen: &Seen) -> Picture {
    let none = Vec::new();
    let queues = seen.queues.values().map(|queue| {
        let rows = seen.in_queues.get(&queue.id).unwrap_or(&none);
        QueueNow {
            id: queue.id.clone(),
            name: queue.name.clone(),
            waiting: rows.len(),
            waiting_since: longest(rows),
            offered: rows.iter().filter(|row| rings(row, now)).count(),
            staffed: seen.members(queue).filter(|presence| presence.logged_in()).count(),
            available: seen.members(queue).filter(|presence| presence.available()).count(),
        }
    });
    let accounts = seen.accounts.iter().map(|account| {
        let rows = seen.in_accounts.get(&account.id).unwrap_or(&none);
        let (waiting, waiting_since) = (rows.len(), longest(rows));
        AccountNow { id: account.id.clone(), key: account.key.to_string(), name: account.name.clone(), waiting, waiting_since }
    });
    let agents = seen.agents.values().filter_map(|agent| {
        let presence = seen.presences.get(&agent.id);
        // Somebody without WhatsApp takes no interactions, and is shown as long as some are left.
        let shown = agent.whatsapp || presence.is_some_and(|presence| presence.logged_in() || !presence.load.is_empty());
        shown.then(|| agent_now(agent, presence, now))
    });
    Picture {
        turn: 0,
        as_of: now,
        queues: by_name(queues, |queue| (&queue.name, queue.id.as_str())),
        accounts: by_name(accounts, |account| (&account.name, account.id.as_str())),
        agents: by_name(agents, |agent| (&agent.name, agent.id.as_str())),
    }
}

fn agent_now(agent: &Agent, presence: Option<&Presence>, now: Timestamp) -> AgentNow {
    let never = || Presence::logged_out(agent.id.clone(), agent.capacity, now);
    let presence = presence.cloned().unwrap_or_else(never);
    let state = presence.state();
    AgentNow {
        id: agent.id.clone(),
        name: agent.name.clone(),
        state: state.word(),
        reason: if let PresenceState::Paused { reason } = state { Some(reason) } else { None },
        since: (presence.version > 0).then_some(presence.since),
        load: presence.load.len(),
        capacity: presence.capacity.get(),
        ringing: presence.ringing.iter().filter(|(_, until)| **until > now).map(|(id, _)| id.clone()).collect(),
        open: presence.load.into_iter().collect(),
    }
}

/// Rows are sorted by priority first, so the longest wait may be anywhere.
fn longest(rows: &[WaitingRow]) -> Option<Timestamp> {
    rows.iter().map(|row| row.since).min()
}

fn rings(row: &WaitingRow, now: Timestamp) -> bool {
    row.offer.as_ref().is_some_and(|offer| offer.until.is_none_or(|until| now < until))
}

fn by_name<T>(all: impl Iterator<Item = T>, name: fn(&T) -> (&String, &str)) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_by(|one, other| name(one).cmp(&name(other)));
    all
}

impl Picture {
    /// The picture as it is kept: deflated JSON. With five open interactions each, an agent takes some 90 bytes (ids
    /// are random), so an item of 400 KB has room for 4,000 agents.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, PortError> {
        let bytes = || -> std::io::Result<Vec<u8>> {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&serde_json::to_vec(self)?)?;
            encoder.finish()
        };
        bytes().map_err(|error| PortError { operation: "encode a picture", reason: error.to_string() })
    }

    /// A kept picture; `None` if another version wrote it in a form that this one can't read.
    pub(crate) fn decode(turn: u64, bytes: &[u8]) -> Option<Self> {
        let mut json = Vec::new();
        ZlibDecoder::new(bytes).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json).ok().map(|picture| Self { turn, ..picture })
    }
}
