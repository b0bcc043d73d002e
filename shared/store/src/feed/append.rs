//! Appends an event to a feed: one read, none if this process read it in the last seconds, and one write unless `HEAD`
//! must move.

use engine::ports::PortError;
use jiff::Timestamp;

use super::CausedBy;
use super::memory::Remembered;
use super::numbering::{Entry, Head, Look, LookBack, Place, is_late};
use crate::codec::PortResult;

/// The attempts at one append. The only rivals are the other conversations of the same agent.
const ATTEMPTS: u32 = 12;

/// `HEAD` and three events: most appends find there how far they have to look, and it is one read unit up to 4 KB.
const FIRST_LOOK: i32 = 4;

/// The next looks. A busy agent has about so many events in the time that is looked back on.
const FURTHER_LOOK: i32 = 16;

/// The further looks at most from the newest event down to those that are known: 64 events, as many as are kept of any
/// feed. To look back through more may need fewer without what is known.
const BRIDGED: usize = 4;

/// The numbers that an append tries in a row. A number that is taken costs as much as a write, and a read, which tells
/// of all that came since, a fifth of it.
const TRIED: usize = 2;

/// What an append needs of the table. The tests have one in memory, with a clock of its own.
pub(super) trait FeedTable {
    /// The newest items below an event and above one (0: all), newest first; without `below` they begin with `HEAD`.
    async fn newest(&self, below: Option<u64>, above: u64, limit: i32) -> PortResult<Newest>;
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
        met_unnamed: bool,
    },
}

/// Appends the event of an effect, unless it is there. `known` is what this process knows of the feed, before and
/// afterwards.
pub(super) async fn append<T: FeedTable>(
    table: &T,
    cause: CausedBy<'_>,
    known: &mut Option<Remembered>,
    now: Timestamp,
) -> PortResult<Numbered> {
    let mut tried = false;
    for attempt in 1..=ATTEMPTS {
        // Without an answer to what follows, nothing is known.
        let (mut feed, before) = look_back(table, cause, known.take(), now).await?;
        let met_unnamed = match before {
            // A write of ours, or of another delivery of the job. Posting an event twice harms no client.
            Before::There(entry) => {
                *known = Some(feed);
                return Ok(if tried { Numbered::New(entry) } else { Numbered::Repeated });
            }
            Before::Absent { met_unnamed } => met_unnamed,
        };
        // An event of the version before names no effect; that version left a mark.
        if met_unnamed && table.is_done(cause.effect).await? {
            return Ok(Numbered::Repeated);
        }
        tried = true;
        match attempt_at(table, cause, &mut feed, now).await? {
            Some(numbered) => {
                *known = Some(feed);
                return Ok(numbered);
            }
            None => {
                *known = Some(feed.overtaken());
                table.pause(attempt).await;
            }
        }
    }
    Err(PortError { operation: "append", reason: format!("still in conflict after {ATTEMPTS} attempts") })
}

/// Looks back through what is known and what is read, and returns the feed as far as it was seen.
async fn look_back<T: FeedTable>(
    table: &T,
    cause: CausedBy<'_>,
    known: Option<Remembered>,
    now: Timestamp,
) -> PortResult<(Remembered, Before)> {
    let mut look = LookBack::new(cause.effect, cause.committed_at, now);
    let mut feed = match known {
        Some(known) if known.is_present(now) => known,
        known => {
            let known = known.filter(|known| known.is_part(now));
            let above = known.as_ref().and_then(Remembered::last).map_or(0, |(seq, _)| seq);
            let mut newer = table.newest(None, above, FIRST_LOOK).await?;
            // What others appended since is read down to what is known, unless that is far.
            for _ in 0..BRIDGED {
                let Some(oldest) = newer.entries.last().filter(|_| known.is_some() && newer.older) else { break };
                let further = table.newest(Some(oldest.seq), above, FURTHER_LOOK).await?;
                newer.older = further.older && !further.entries.is_empty();
                newer.entries.extend(further.entries);
            }
            Remembered::read(newer, known, now)
        }
    };
    let mut looked = 0;
    loop {
        let told = feed.newest_first().skip(looked).find_map(|entry| {
            looked += 1;
            match look.look(entry) {
                Look::Found => Some(Before::There(entry.clone())),
                Look::Absent => Some(Before::Absent { met_unnamed: look.met_unnamed }),
                Look::Further => None,
            }
        });
        if let Some(told) = told {
            return Ok((feed, told));
        }
        let Some(oldest) = feed.oldest_with_older() else {
            return Ok((feed, Before::Absent { met_unnamed: look.met_unnamed }));
        };
        feed.before(table.newest(Some(oldest), 0, FURTHER_LOOK).await?);
    }
}

/// One attempt with what is known of the feed; `None` if another write came first.
async fn attempt_at<T: FeedTable>(table: &T, cause: CausedBy<'_>, feed: &mut Remembered, now: Timestamp) -> PortResult<Option<Numbered>> {
    let (head, last) = (feed.head, feed.last());
    let place = head.next(last, now);
    // Times never decrease along the numbers, or the look-back would end too early.
    let at = last.map_or(now, |(_, at)| at.max(now));
    let entry = |seq| Entry { seq, at, effect: Some(cause.effect.to_owned()), late: is_late(cause.committed_at, now) };
    // The version before looks for a mark, and so does a job that it wrote, which may be of any age.
    let marks = cause.committed_at.is_none() || head.shared_since(now).is_some();
    let done = marks.then_some(cause.effect);
    let (entry, moved) = match place {
        Place::Free(seq) if !marks => return walk(table, entry(seq), feed).await,
        Place::Free(seq) => (entry(seq), None),
        Place::With(seq, after) => (entry(seq), Some((head, after))),
    };
    Ok(match table.put_with(&entry, moved, done).await? {
        Together::Done => {
            feed.appended(entry.clone());
            feed.head = moved.map_or(head, |(_, after)| after);
            Some(Numbered::New(entry))
        }
        Together::Marked => Some(Numbered::Repeated),
        Together::Rival => None,
    })
}

/// Writes an event at one of the next numbers up to the floor. Each taken one was written since the feed was read, so
/// the event itself may be there.
async fn walk<T: FeedTable>(table: &T, mut entry: Entry, feed: &mut Remembered) -> PortResult<Option<Numbered>> {
    for _ in 0..TRIED {
        if entry.seq > feed.head.seq {
            break;
        }
        match table.put(&entry).await? {
            Put::Done => {
                feed.appended(entry.clone());
                return Ok(Some(Numbered::New(entry)));
            }
            Put::Taken(other) => {
                feed.appended(other.clone());
                if other.effect == entry.effect {
                    return Ok(Some(Numbered::New(other)));
                }
                (entry.seq, entry.at) = (entry.seq + 1, entry.at.max(other.at));
            }
            Put::Rival => return Ok(None),
        }
    }
    Ok(None)
}
