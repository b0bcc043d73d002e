//! Who makes the picture, and who reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use domain::effect::Target;
use domain::footprint::WaitingRow;
use domain::ids::AgentId;
use engine::Engine;
use engine::ports::{Directory, Panel, PortError, Store, Turn, World};
use futures_util::future::{try_join_all, try_join3};
use jiff::{SignedDuration, Timestamp};

use crate::picture::{Picture, Seen, picture};

/// The age at which the picture is made anew for supervisors. They poll every five seconds.
pub const MOST_AGE: SignedDuration = SignedDuration::from_secs(3);

/// The same for agents: hundreds of them ask all day, also while no supervisor looks.
pub const MOST_AGE_FOR_AGENTS: SignedDuration = SignedDuration::from_secs(10);

/// How long a turn may take. It takes some tenths of a second; whoever took it and ended needs a successor.
const MAKING: SignedDuration = SignedDuration::from_secs(3);

/// How often one looks for a picture that somebody else makes: with the pauses in between, longer than [`MAKING`].
const ATTEMPTS: u32 = 50;

/// How many queues are asked at the same time.
const AT_ONCE: usize = 16;

/// The picture as this process knows it, and how it gets a new one.
#[derive(Debug, Default)]
pub struct Board {
    kept: Mutex<Option<Arc<Picture>>>,
}

impl Board {
    /// The picture, which is at most `most` old. In a process that has it already, this reads nothing.
    ///
    /// # Errors
    /// A table can't be read or written, or somebody who makes it does not finish.
    pub async fn look<S: Store, D: Directory, W: World>(
        &self,
        engine: &Engine<S, D, W>,
        panel: &impl Panel,
        most: SignedDuration,
    ) -> Result<Arc<Picture>, PortError> {
        for attempt in 1..=ATTEMPTS {
            let now = engine.world.now();
            // Another machine's clock may be a little ahead.
            let within = |as_of: Timestamp, most| now.duration_since(as_of).abs() < most;
            if let Some(kept) = self.kept().filter(|kept| within(kept.as_of, most)) {
                return Ok(kept);
            }
            let seen = panel.turn().await?;
            if let Some(turn) = seen.as_ref().filter(|turn| within(turn.as_of, most)) {
                let made = panel.kept_picture().await?.filter(|(number, _)| *number >= turn.number);
                if let Some(made) = made.and_then(|(number, bytes)| Picture::decode(number, &bytes)) {
                    return Ok(self.keep(made));
                }
            }
            let under_way = seen.as_ref().is_some_and(|turn| within(turn.as_of, MAKING));
            let next = Turn { number: seen.as_ref().map_or(0, |turn| turn.number) + 1, as_of: now };
            if !under_way && panel.take_turn(seen.as_ref(), &next).await? {
                let made = Picture { turn: next.number, ..make(engine, now).await? };
                panel.keep_picture(&next, made.encode()?).await?;
                return Ok(self.keep(made));
            }
            engine.world.pause(attempt).await;
        }
        Err(PortError { operation: "oversight", reason: "nobody has finished the picture".to_owned() })
    }

    fn kept(&self) -> Option<Arc<Picture>> {
        self.kept.lock().ok()?.clone()
    }

    fn keep(&self, made: Picture) -> Arc<Picture> {
        let made = Arc::new(made);
        if let Ok(mut kept) = self.kept.lock() {
            *kept = Some(Arc::clone(&made));
        }
        made
    }
}

/// Reads everything: one query for each queue and account, one batch for 100 agents.
async fn make<S: Store, D: Directory, W: World>(engine: &Engine<S, D, W>, now: Timestamp) -> Result<Picture, PortError> {
    let Engine { store, directory, .. } = engine;
    let (accounts, queues, agents) = try_join3(directory.accounts(), directory.queues(), directory.agents()).await?;
    let ids: Vec<AgentId> = agents.keys().cloned().collect();
    let in_queues = waiting(store, queues.keys().cloned(), Target::Queue);
    let in_accounts = waiting(store, accounts.iter().map(|account| account.id.clone()), Target::Account);
    let (in_queues, in_accounts, presences) = try_join3(in_queues, in_accounts, store.presences(&ids)).await?;
    Ok(picture(now, &Seen { accounts, queues, agents, presences, in_queues, in_accounts }))
}

async fn waiting<S: Store, K: Clone + Ord>(
    store: &S,
    keys: impl Iterator<Item = K>,
    target: fn(K) -> Target,
) -> Result<BTreeMap<K, Vec<WaitingRow>>, PortError> {
    let keys: Vec<K> = keys.collect();
    let mut found = BTreeMap::new();
    for some in keys.chunks(AT_ONCE) {
        let targets: Vec<Target> = some.iter().cloned().map(target).collect();
        let rows = try_join_all(targets.iter().map(|target| store.waiting(target))).await?;
        found.extend(some.iter().cloned().zip(rows));
    }
    Ok(found)
}
