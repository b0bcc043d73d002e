//! What a process knows of a feed from its own appends, so that it reads only what it does not know.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ids::AgentId;
use futures_util::lock::OwnedMutexGuard;
use jiff::{SignedDuration, Timestamp};

use super::append::Newest;
use super::numbering::{Entry, Head, Place};

/// How long a feed that was read is the present one, as far as a process can't see: no longer than an append may take
/// between its read and its write. If the number after the last known event is free, no event has come since: numbers
/// have no holes among events that are there. Only the version before, which begins behind the floor, is not met in
/// this way, so the time is short.
const PRESENT: SignedDuration = SignedDuration::from_secs(5);

/// How long what was read is a part of the feed, to which only what is newer is added. Nothing that came since may be
/// removed before it is read; events stay for days.
const PART: SignedDuration = SignedDuration::from_hours(1);

/// The events that are known of a feed, whatever their age.
const EVENTS: usize = 64;

/// How long more of them are known: an append looks back to 30 s before its effect's commit, which is a moment ago, or
/// a minute if its job was tried again.
const LOOKED_BACK_ON: SignedDuration = SignedDuration::from_secs(90);

/// The most events that are known of a feed. An agent whose ten conversations all go on at once has 200 in 20 s.
const MOST: usize = 512;

/// The most feeds that a process knows: 1,000 with 64 events each take some 10 MB, and a busy one less than 100 KB.
/// Beyond it, it begins anew.
const FEEDS: usize = 1_000;

/// The newest events of a feed, without a hole between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remembered {
    pub(super) head: Head,
    /// When it was read, before the answer.
    read_at: Timestamp,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Whether there may be older ones.
    older: bool,
    /// Whether another append has come first since, so that there is more than is known.
    behind: bool,
}

impl Remembered {
    /// The feed as it was just read: its newest events are `newer`, above those of `known`.
    pub(super) fn read(newer: Newest, known: Option<Self>, now: Timestamp) -> Self {
        let entries: VecDeque<Entry> = newer.entries.into_iter().rev().collect();
        let (entries, older) = match known {
            // Nothing lies between.
            Some(known) if !newer.older => (known.entries.into_iter().chain(entries).collect(), known.older),
            Some(_) | None => (entries, newer.older),
        };
        Self { head: newer.head, read_at: now, entries, older, behind: false }
    }

    /// Whether an append needs no read: another one that came first is met at its number.
    pub(super) fn is_present(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.read_at);
        let alone = self.head.shared_since(now).is_none();
        !self.behind && !age.is_negative() && age < PRESENT && alone && matches!(self.head.next(self.last(), now), Place::Free(_))
    }

    /// Whether it lacks only what is newer.
    pub(super) fn is_part(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.read_at);
        !age.is_negative() && age < PART
    }

    /// The number and time of the newest event.
    pub(super) fn last(&self) -> Option<(u64, Timestamp)> {
        self.entries.back().map(|entry| (entry.seq, entry.at))
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// The number of the oldest known event, if there may be older ones.
    pub(super) fn oldest_with_older(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.seq).filter(|_| self.older)
    }

    /// Adds what was read below the oldest known event.
    pub(super) fn before(&mut self, older: Newest) {
        self.older = older.older && !older.entries.is_empty();
        for entry in older.entries {
            self.entries.push_front(entry);
        }
    }

    /// Adds an event that is there, behind the last one.
    pub(super) fn appended(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// What is known was overtaken: the next append reads what is newer.
    pub(super) fn overtaken(mut self) -> Self {
        self.behind = true;
        self
    }

    /// Keeps the newest events only, and what the next appends look back on.
    pub(super) fn shortened(mut self) -> Self {
        let newest = self.last().map_or(self.read_at, |(_, at)| at);
        let present = self.newest_first().take_while(|entry| newest.duration_since(entry.at) < LOOKED_BACK_ON).count();
        let long = self.entries.len().saturating_sub(present.clamp(EVENTS, MOST));
        self.older |= long > 0;
        drop(self.entries.drain(..long));
        self
    }
}

/// The feeds that a process knows. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feeds(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    feeds: HashMap<AgentId, Remembered>,
    /// Where the appends of this process to one feed wait for each other.
    turns: HashMap<AgentId, Arc<futures_util::lock::Mutex<()>>>,
}

impl Feeds {
    /// Waits until this process appends nothing else to the agent's feed. A batch has jobs of many conversations, and
    /// an append that meets another one pays for each number that it finds taken.
    pub(super) async fn turn(&self, agent: &AgentId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut known = self.known();
            if known.turns.len() >= FEEDS {
                // Whoever waits keeps its place.
                known.turns.clear();
            }
            Arc::clone(known.turns.entry(agent.clone()).or_default())
        };
        turn.lock_owned().await
    }

    pub(super) fn get(&self, agent: &AgentId) -> Option<Remembered> {
        self.known().feeds.get(agent).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what an append learned, unless another one at the same time has learned more.
    pub(super) fn put(&self, agent: &AgentId, known: Option<Remembered>) {
        let feeds = &mut self.known().feeds;
        let Some(known) = known.map(Remembered::shortened) else {
            feeds.remove(agent);
            return;
        };
        if feeds.get(agent).is_some_and(|other| (other.last(), other.read_at) > (known.last(), known.read_at)) {
            return;
        }
        if feeds.len() >= FEEDS {
            feeds.clear();
        }
        feeds.insert(agent.clone(), known);
    }
}
