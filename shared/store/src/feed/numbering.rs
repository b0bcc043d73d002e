//! The numbers of a feed, and how far an append looks back: pure.
//!
//! An event gets the number after the newest one by a plain put that fails if the number is taken. `HEAD` is not
//! written each time: it is a floor, raised by [`STEP`] together with the first event above it. So no number is used
//! again, even when all events have expired.

use jiff::{SignedDuration, Timestamp};

/// How many numbers one write of `HEAD` is good for. At 256, its cost is lost among that of the events.
pub(super) const STEP: u64 = 256;

/// How long events are kept. A client that was away longer reads its interactions anew.
pub(super) const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Events that are younger are all there: a day is left before the table may remove them, which it does in any order.
/// So the newest event that is there can give the next number only if it is younger, and the look-back is complete
/// only for effects that are younger.
pub(super) const SURELY_THERE: SignedDuration = SignedDuration::from_hours(6 * 24);

/// From this age of the newest event on, the next one moves `HEAD` too. An append that paused while the newest event
/// passed [`SURELY_THERE`] loses against one that began behind the floor. A day is longer than any pause.
const RESTING: SignedDuration = SignedDuration::from_hours(5 * 24);

/// How long functions of the version before may run beside this one. An upgrade takes minutes.
pub(super) const SHARED: SignedDuration = SignedDuration::from_hours(1);

/// How far the clocks of AWS may differ. They are kept within a second, and a commit's time is cut to a second.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// The version before took an event's time when the append began, which may be a function's 30 s earlier, and more
/// where it tried again.
const SKEW_BEFORE: SignedDuration = SignedDuration::from_secs(90);

/// One word that the clients are behind serves all events that come too late within this time.
const TOLD_LATELY: SignedDuration = SignedDuration::from_mins(1);

/// The item `HEAD` of a feed. No number above `seq` was ever used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// The floor; while versions run side by side, the number of the last event.
    pub(super) seq: u64,
    /// What this version wrote as `seq`. The version before moves only `seq`.
    pub(super) own: Option<u64>,
    /// Since when the version before may be writing too; `None` if it is not.
    pub(super) shared_since: Option<Timestamp>,
}

/// An event's place in the feed, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) seq: u64,
    /// When it was appended. It never decreases along the numbers that this version wrote.
    pub(super) at: Timestamp,
    /// The effect that caused it; `None` for entries of the version before.
    pub(super) effect: Option<String>,
    /// It came so late that clients are told to read everything anew.
    pub(super) late: bool,
}

/// The place of the next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A number up to the floor.
    Free(u64),
    /// A number that must be written together with this `HEAD`.
    With(u64, Head),
}

impl Head {
    /// Since when the version before may be writing too. While it may, `HEAD` names the last event as it did there:
    /// its writers lose against ours, and its readers hand out no number that is still free.
    pub(super) fn shared_since(&self, now: Timestamp) -> Option<Timestamp> {
        if self.own != Some(self.seq) {
            return Some(now);
        }
        self.shared_since.filter(|since| now.duration_since(*since) < SHARED)
    }

    /// The place of the next event. `newest` is the number and time of the newest event that is there.
    pub(super) fn next(&self, newest: Option<(u64, Timestamp)>, now: Timestamp) -> Place {
        if let Some(since) = self.shared_since(now) {
            let seq = newest.map_or(self.seq, |(seq, _)| seq.max(self.seq)) + 1;
            return Place::With(seq, Head { seq, own: Some(seq), shared_since: Some(since) });
        }
        let age = |at: Timestamp| now.duration_since(at);
        let base = newest.filter(|(_, at)| age(*at) < SURELY_THERE);
        let seq = base.map_or(self.seq, |(seq, _)| seq) + 1;
        if seq <= self.seq && base.is_some_and(|(_, at)| age(at) < RESTING) {
            return Place::Free(seq);
        }
        let floor = (self.seq.max(seq) / STEP + 1) * STEP;
        Place::With(seq, Head { seq: floor, own: Some(floor), shared_since: None })
    }
}

/// Whether an effect was committed so long ago that its own event may have been removed.
pub(super) fn is_late(committed_at: Option<Timestamp>, now: Timestamp) -> bool {
    committed_at.is_some_and(|at| now.duration_since(at) >= SURELY_THERE)
}

/// The search for an effect's own event, from the newest event backwards.
#[derive(Debug)]
pub(super) struct LookBack<'a> {
    effect: &'a str,
    committed_at: Option<Timestamp>,
    late: bool,
    now: Timestamp,
    /// An event of the version before, which names no effect, is among those that were looked at.
    pub(super) met_unnamed: bool,
}

/// What a look at an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The effect's news is in the feed.
    Found,
    /// It can't be further back.
    Absent,
    /// It may be further back.
    Further,
}

impl<'a> LookBack<'a> {
    /// Without `committed_at` the search goes to the feed's end.
    pub(super) fn new(effect: &'a str, committed_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self { effect, committed_at, late: is_late(committed_at, now), now, met_unnamed: false }
    }

    /// Looks at the next older event.
    pub(super) fn look(&mut self, entry: &Entry) -> Look {
        if entry.effect.as_deref() == Some(self.effect) {
            return Look::Found;
        }
        if self.late {
            let lately = self.now.duration_since(entry.at) < TOLD_LATELY;
            return if !lately {
                Look::Absent
            } else if entry.late {
                Look::Found
            } else {
                Look::Further
            };
        }
        let skew = if entry.effect.is_some() { SKEW } else { SKEW_BEFORE };
        if self.committed_at.is_some_and(|committed| committed.duration_since(entry.at) > skew) {
            return Look::Absent;
        }
        self.met_unnamed |= entry.effect.is_none();
        // What the version before appended has a mark, and only its jobs have no time.
        if self.committed_at.is_none() && entry.effect.is_none() { Look::Absent } else { Look::Further }
    }
}

/// The events that a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Those from `from` up to `to` of what was read.
    Events {
        from: usize,
        to: usize,
        /// Tell first that the client is behind, under this number.
        behind: Option<u64>,
        /// The number of the feed's last event, if the end was read.
        last: Option<u64>,
    },
    /// Nothing is there at or after the number that the client has. The newest event tells why.
    AskNewest,
}

/// What a reader gets who has everything up to `after`, at most `limit` events. `read` are numbers and times from
/// `after` on, and `head` is `HEAD` if they reach to the feed's end. A hole means that events were removed: what lies
/// before the last one is left out, since the client must read everything anew.
pub(super) fn shown(after: u64, limit: usize, read: &[(u64, Timestamp)], head: Option<u64>, now: Timestamp) -> Shown {
    let first = read.iter().position(|(seq, _)| *seq > after).unwrap_or(read.len());
    let mut to = read.len().min(first.saturating_add(limit));
    let mut end = head.filter(|_| to == read.len());
    if let Some(floor) = end {
        let Some((newest, at)) = read.last() else { return Shown::AskNewest };
        if is_removed(*at, now) {
            let (from, behind) = (to, (floor > after).then_some(floor));
            return Shown::Events { from, to, behind, last: Some(floor) };
        }
        end = Some(*newest);
    }
    let before = |index: usize| if index == first { after } else { read[index - 1].0 };
    let hole = (first..to).rev().find(|index| read[*index].0 != before(*index) + 1);
    let from = hole.unwrap_or(first);
    let behind = hole.map(|index| read[index].0 - 1);
    if behind.is_some() && to - from >= limit {
        to = from + limit.saturating_sub(1);
        end = None;
    }
    Shown::Events { from, to, behind, last: end }
}

/// What a reader gets at whose number nothing is there: the number under which to tell that the client is behind, and
/// the number of the feed's last event. `head` is `HEAD`, 0 if there is none.
pub(super) fn without_events(after: u64, head: u64, newest: Option<(u64, Timestamp)>, now: Timestamp) -> (Option<u64>, u64) {
    match newest.filter(|(_, at)| !is_removed(*at, now)) {
        // It came just now.
        Some((newest, _)) if newest >= after => (None, newest),
        // The version before handed out the floor for the last number.
        Some((newest, _)) => (Some(newest), newest),
        None => ((head != after).then_some(head), head),
    }
}

/// The number of the feed's last event, else the floor. Between the ages at which an append ([`SURELY_THERE`]) and a
/// reader leave the newest event is a day, so no append is under way behind a floor that is handed out.
pub(super) fn last(head: u64, newest: Option<(u64, Timestamp)>, now: Timestamp) -> u64 {
    newest.filter(|(_, at)| !is_removed(*at, now)).map_or(head, |(seq, _)| seq)
}

/// Whether the table may have removed an event of this time. Those that are left say nothing of the feed's end.
fn is_removed(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) >= EVENTS_KEPT
}
