//! Puts what several sources bring, each newest first, into one order: newest first.

use std::collections::VecDeque;

use domain::row::Position;

/// How far a source is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// To its end.
    All,
    /// All that is not older than this.
    Through(Position),
    /// Nothing yet.
    Nothing,
}

/// A source with what it brought and nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Stream<S, T> {
    pub(crate) source: S,
    pub(crate) known: Known,
    /// How often it was asked.
    pub(crate) rounds: u32,
    found: VecDeque<(Position, T)>,
}

/// The sources.
#[derive(Debug)]
pub(crate) struct Merge<S, T> {
    pub(crate) streams: Vec<Stream<S, T>>,
}

impl<S, T> Merge<S, T> {
    pub(crate) fn new(sources: impl IntoIterator<Item = S>) -> Self {
        let stream = |source| Stream { source, known: Known::Nothing, rounds: 0, found: VecDeque::new() };
        Self { streams: sources.into_iter().map(stream).collect() }
    }

    /// The next candidate in order, if no source can still bring one before it.
    pub(crate) fn pop(&mut self) -> Option<(Position, T)> {
        let (place, newest) = self.newest()?;
        if self.horizon().is_some_and(|known| known > Known::Through(newest)) {
            return None;
        }
        self.streams[place].found.pop_front()
    }

    /// The sources that must be asked before the next candidate is known.
    pub(crate) fn hungry(&mut self) -> impl Iterator<Item = &mut Stream<S, T>> {
        let newest = self.newest().map(|(_, newest)| Known::Through(newest));
        self.streams.iter_mut().filter(move |stream| match &newest {
            Some(newest) => stream.known > *newest,
            None => stream.known != Known::All,
        })
    }

    /// How far all sources are known: what is not older than this was brought. `None` if all are known to their end.
    pub(crate) fn horizon(&self) -> Option<Known> {
        self.streams.iter().map(|stream| &stream.known).filter(|known| **known != Known::All).max().cloned()
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.streams.iter().all(|stream| stream.known == Known::All && stream.found.is_empty())
    }

    fn newest(&self) -> Option<(usize, Position)> {
        let first = |(place, stream): (usize, &Stream<S, T>)| Some((place, stream.found.front()?.0.clone()));
        self.streams.iter().enumerate().filter_map(first).max_by(|(_, one), (_, other)| one.cmp(other))
    }
}

impl<S, T> Stream<S, T> {
    /// Takes what the source brought: `found` in any order, none of it newer than what was known before.
    pub(crate) fn feed(&mut self, found: impl IntoIterator<Item = (Position, T)>, known: Known) {
        self.rounds += 1;
        self.found.extend(found);
        self.found.make_contiguous().sort_by(|(one, _), (other, _)| other.cmp(one));
        self.known = known;
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::InteractionId;
    use jiff::Timestamp;
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;

    fn position(number: i64) -> Position {
        Position::of(Timestamp::from_millisecond(number).unwrap(), &InteractionId::from_ulid(Ulid(1)))
    }

    proptest! {
        #[test]
        fn all_sources_together_are_in_order_and_nothing_is_taken_before_it_is_sure(
            sources in prop::collection::vec((prop::collection::btree_set(0..200_i64, 0..30), 1..7_usize), 0..6)
        ) {
            // A place is in one source only, as an interaction is on one shelf.
            let sources: Vec<(Vec<i64>, usize)> = sources.iter().enumerate().map(|(at, (places, step))| {
                (places.iter().rev().map(|place| place * 10 + i64::try_from(at).unwrap()).collect(), *step)
            }).collect();
            let mut merge: Merge<(Vec<i64>, usize), i64> = Merge::new(sources.clone());
            let mut taken = Vec::new();
            loop {
                while let Some((place, number)) = merge.pop() {
                    prop_assert_eq!(place, position(number));
                    taken.push(number);
                }
                if merge.is_over() {
                    break;
                }
                let mut asked = 0;
                for stream in merge.hungry() {
                    asked += 1;
                    let (left, step) = &mut stream.source;
                    let part: Vec<i64> = left.drain(..left.len().min(*step)).collect();
                    let known = match part.last() {
                        Some(last) if !left.is_empty() => Known::Through(position(*last)),
                        _ => Known::All,
                    };
                    stream.feed(part.into_iter().map(|number| (position(number), number)), known);
                }
                prop_assert!(asked > 0, "nobody is asked, and nothing comes");
            }
            let mut all: Vec<i64> = sources.into_iter().flat_map(|(places, _)| places).collect();
            all.sort_by(|one, other| other.cmp(one));
            prop_assert_eq!(taken, all);
        }
    }
}
