//! Appends an event to a feed: one read, and one write unless `HEAD` must move.

use engine::ports::PortError;
use jiff::Timestamp;

use super::CausedBy;
use super::numbering::{Entry, Head, Look, LookBack, Place, is_late};
use crate::codec::PortResult;

/// The attempts at one append. The only rivals are the other conversations of the same agent.
const ATTEMPTS: u32 = 12;

/// `HEAD` and three events: most appends find there how far they have to look, and it is one read unit up to 4 KB.
const FIRST_LOOK: i32 = 4;

/// The next looks. A busy agent has about so many events in the time that is looked back on.
const FURTHER_LOOK: i32 = 16;

/// What an append needs of the table. The tests have one in memory, with a clock of its own.
pub(super) trait FeedTable {
    /// The newest items below an event, newest first; without `below` they begin with `HEAD`.
    async fn newest(&self, below: Option<u64>, limit: i32) -> PortResult<Newest>;
    /// Whether the version before, or an append beside it, marked the effect as done.
    async fn is_done(&self, effect: &str) -> PortResult<bool>;
    /// Writes an event if its number is free.
    async fn put(&self, entry: &Entry) -> PortResult<Put>;
    /// Writes an event if its number is free, with `HEAD` (as it was, as it will be) if that has not moved, and with
    /// the mark of `done` if it is not there: all or nothing.
    async fn put_with(&self, entry: &Entry, head: Option<(Head, Head)>, done: Option<&str>) -> PortResult<Together>;
    /// Waits a little after attempt number `attempt` (from 1).
    async fn pause(&self, attempt: u32);
}

/// The newest items of a feed.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest {
    pub(super) head: Head,
    /// Newest first.
    pub(super) entries: Vec<Entry>,
    /// Whether there may be older ones.
    pub(super) older: bool,
}

/// The outcome of a plain write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Put {
    Done,
    /// This event has the number.
    Taken(Entry),
    /// Another write has the number, or is about to. It is not known which.
    Rival,
}

/// The outcome of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    Done,
    /// The effect has its mark.
    Marked,
    /// Another write came first.
    Rival,
}

/// The result of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Numbered {
    New(Entry),
    Repeated,
}

/// What the feed says about an effect before it is appended.
enum Before {
    /// Its news is there, under this number and time.
    There(Entry),
    Absent {
        newest: Newest,
        met_unnamed: bool,
    },
}

/// Appends the event of an effect, unless it is there.
pub(super) async fn append<T: FeedTable>(table: &T, cause: CausedBy<'_>, now: Timestamp) -> PortResult<Numbered> {
    let mut tried = false;
    for attempt in 1..=ATTEMPTS {
        let (newest, met_unnamed) = match look_back(table, cause, now).await? {
            // A write of ours, or of another delivery of the job. Posting an event twice harms no client.
            Before::There(entry) if tried => return Ok(Numbered::New(entry)),
            Before::There(_) => return Ok(Numbered::Repeated),
            Before::Absent { newest, met_unnamed } => (newest, met_unnamed),
        };
        // An event of the version before names no effect; that version left a mark.
        if met_unnamed && table.is_done(cause.effect).await? {
            return Ok(Numbered::Repeated);
        }
        tried = true;
        match attempt_at(table, cause, &newest, now).await? {
            Some(numbered) => return Ok(numbered),
            None => table.pause(attempt).await,
        }
    }
    Err(PortError { operation: "append", reason: format!("still in conflict after {ATTEMPTS} attempts") })
}

async fn look_back<T: FeedTable>(table: &T, cause: CausedBy<'_>, now: Timestamp) -> PortResult<Before> {
    let mut look = LookBack::new(cause.effect, cause.committed_at, now);
    let newest = table.newest(None, FIRST_LOOK).await?;
    let (mut seen, mut page) = (0, newest.clone());
    loop {
        for entry in &page.entries {
            seen = entry.seq;
            match look.look(entry) {
                Look::Found => return Ok(Before::There(entry.clone())),
                Look::Absent => return Ok(Before::Absent { newest, met_unnamed: look.met_unnamed }),
                Look::Further => {}
            }
        }
        if !page.older {
            return Ok(Before::Absent { newest, met_unnamed: look.met_unnamed });
        }
        page = table.newest(Some(seen), FURTHER_LOOK).await?;
    }
}

/// One attempt with what was read of the feed; `None` if another write came first.
async fn attempt_at<T: FeedTable>(table: &T, cause: CausedBy<'_>, newest: &Newest, now: Timestamp) -> PortResult<Option<Numbered>> {
    let head = newest.head;
    let last = newest.entries.first().map(|entry| (entry.seq, entry.at));
    let place = head.next(last, now);
    // Times never decrease along the numbers, or the look-back would end too early.
    let at = last.map_or(now, |(_, at)| at.max(now));
    let entry = |seq| Entry { seq, at, effect: Some(cause.effect.to_owned()), late: is_late(cause.committed_at, now) };
    // The version before looks for a mark, and so does a job that it wrote, which may be of any age.
    let marks = cause.committed_at.is_none() || head.shared_since(now).is_some();
    let done = marks.then_some(cause.effect);
    let (entry, moved) = match place {
        Place::Free(seq) if !marks => return walk(table, entry(seq), head.seq).await,
        Place::Free(seq) => (entry(seq), None),
        Place::With(seq, after) => (entry(seq), Some((head, after))),
    };
    Ok(match table.put_with(&entry, moved, done).await? {
        Together::Done => Some(Numbered::New(entry)),
        Together::Marked => Some(Numbered::Repeated),
        Together::Rival => None,
    })
}

/// Writes an event at the first free number up to the floor. Each taken one was written since the feed was read, so
/// the event itself may be there.
async fn walk<T: FeedTable>(table: &T, mut entry: Entry, floor: u64) -> PortResult<Option<Numbered>> {
    while entry.seq <= floor {
        match table.put(&entry).await? {
            Put::Done => return Ok(Some(Numbered::New(entry))),
            Put::Taken(own) if own.effect == entry.effect => return Ok(Some(Numbered::New(own))),
            Put::Taken(other) => (entry.seq, entry.at) = (entry.seq + 1, entry.at.max(other.at)),
            Put::Rival => return Ok(None),
        }
    }
    Ok(None)
}
