//! Random histories of one feed, on a table in memory with a virtual clock: appends interleave at each call, functions
//! pause and die, answers are lost, the stream repeats its batches, events are removed in any order, and versions run
//! side by side.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine::ports::PortError;
use jiff::{SignedDuration, Timestamp};

use super::CausedBy;
use super::append::{FeedTable, Newest, Numbered, Put, Together, append};
use super::memory::Remembered;
use super::numbering::{EVENTS_KEPT, Entry, Head, Shown, last, shown, without_events};
use crate::codec::PortResult;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const BEGIN: i64 = 1_800_000_000 * SECOND;

/// A function's timeout. SQS delivers its message again afterwards.
const TIMEOUT: i64 = 30 * SECOND;

/// How far a function's clock is off, at most, to either side.
const CLOCK: i64 = 10 * SECOND;

/// A seeded generator (SplitMix64).
struct Random(Cell<u64>);

impl Random {
    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn time(&self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from).unwrap())).unwrap()
    }

    fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// An event as it was written.
#[derive(Debug, Clone)]
struct Written {
    effect: String,
    late: bool,
}

/// No call fails, and every write is answered.
const NEVER: u64 = u64::MAX;

/// The feed in memory.
struct Fake {
    random: Random,
    now: Cell<i64>,
    head: Cell<Option<Head>>,
    entries: RefCell<BTreeMap<u64, Entry>>,
    marks: RefCell<BTreeSet<String>>,
    /// Each write that was ever made, also of events that were removed since.
    written: RefCell<BTreeMap<u64, Written>>,
    /// The highest number that a client was given as its place.
    handed_out: Cell<u64>,
    /// From when until when all calls fail.
    failing: Cell<(i64, i64)>,
    /// How many calls fail: one in so many.
    faults: u64,
    /// How often it was read.
    reads: Cell<usize>,
}

impl Fake {
    fn fails(&self) -> bool {
        let (from, until) = self.failing.get();
        (from..until).contains(&self.now.get()) || self.random.one_in(self.faults)
    }

    fn store(&self, entry: &Entry, effect: &str) {
        let seq = entry.seq;
        assert!(seq > self.handed_out.get(), "{seq} is behind the place {} that a client was given", self.handed_out.get());
        let written = Written { effect: effect.to_owned(), late: entry.late };
        let mut all = self.written.borrow_mut();
        assert!(all.last_key_value().is_none_or(|(last, _)| seq > *last), "{seq} is written behind a higher number");
        all.insert(seq, written);
        self.entries.borrow_mut().insert(seq, entry.clone());
    }

    fn taken(&self, seq: u64) -> Option<Entry> {
        self.entries.borrow().get(&seq).cloned()
    }

    fn newest(&self, below: Option<u64>, above: u64, limit: usize) -> Newest {
        let entries = self.entries.borrow();
        let limit = limit - usize::from(below.is_none() && self.head.get().is_some());
        let entries: Vec<_> =
            entries.range(above + 1..below.unwrap_or(u64::MAX)).rev().take(limit).map(|(_, entry)| entry.clone()).collect();
        Newest { head: self.head.get().unwrap_or_default(), older: entries.len() >= limit, entries }
    }

    fn end(&self) -> (u64, Option<(u64, Timestamp)>) {
        let newest = self.entries.borrow().last_key_value().map(|(seq, entry)| (*seq, entry.at));
        (self.head.get().unwrap_or_default().seq, newest)
    }

    /// Removes some of the events whose time is over.
    fn expire(&self) {
        let now = time(self.now.get());
        let one_in = self.random.one_of(&[1, 2, 4]);
        self.entries.borrow_mut().retain(|_, entry| now.duration_since(entry.at) < EVENTS_KEPT || !self.random.one_in(one_in));
    }
}

/// Lets other work go first.
async fn turn() {
    let mut came = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut came, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn failure() -> PortError {
    PortError { operation: "any", reason: "it failed".to_owned() }
}

/// A process that appends.
struct Pusher {
    fake: Rc<Fake>,
}

impl FeedTable for Pusher {
    async fn newest(&self, below: Option<u64>, above: u64, limit: i32) -> PortResult<Newest> {
        turn().await;
        self.fake.reads.set(self.fake.reads.get() + 1);
        if self.fake.fails() { Err(failure()) } else { Ok(self.fake.newest(below, above, usize::try_from(limit).unwrap())) }
    }

    async fn is_done(&self, effect: &str) -> PortResult<bool> {
        turn().await;
        if self.fake.fails() { Err(failure()) } else { Ok(self.fake.marks.borrow().contains(effect)) }
    }

    async fn put(&self, entry: &Entry) -> PortResult<Put> {
        turn().await;
        if self.fake.fails() {
            return Err(failure());
        }
        if self.fake.faults != NEVER && self.fake.random.one_in(20) {
            return Ok(Put::Rival);
        }
        if let Some(other) = self.fake.taken(entry.seq) {
            return Ok(Put::Taken(other));
        }
        self.fake.store(entry, entry.effect.as_deref().unwrap());
        // A write that is tried again meets itself; or nobody ever hears of it.
        match self.fake.random.below(20) {
            _ if self.fake.faults == NEVER => Ok(Put::Done),
            0 => {
                turn().await;
                Ok(Put::Taken(self.fake.taken(entry.seq).unwrap()))
            }
            1 => Err(failure()),
            _ => Ok(Put::Done),
        }
    }

    async fn put_with(&self, entry: &Entry, head: Option<(Head, Head)>, done: Option<&str>) -> PortResult<Together> {
        turn().await;
        if self.fake.fails() {
            return Err(failure());
        }
        if done.is_some_and(|effect| self.fake.marks.borrow().contains(effect)) {
            return Ok(Together::Marked);
        }
        let moved = head.is_some_and(|(before, _)| self.fake.head.get().unwrap_or_default().seq != before.seq);
        if moved || self.fake.taken(entry.seq).is_some() || self.fake.random.one_in(20) {
            return Ok(Together::Rival);
        }
        self.fake.store(entry, entry.effect.as_deref().unwrap());
        self.fake.head.set(head.map(|(_, after)| after).or(self.fake.head.get()));
        self.fake.marks.borrow_mut().extend(done.map(str::to_owned));
        if self.fake.random.one_in(20) { Err(failure()) } else { Ok(Together::Done) }
    }

    async fn pause(&self, _: u32) {
        turn().await;
    }
}

/// Appends as the version before did.
async fn append_before(fake: &Fake, effect: &str, now: Timestamp) -> PortResult<Numbered> {
    for _ in 0..12 {
        turn().await;
        if fake.fails() {
            return Err(failure());
        }
        let last = fake.head.get().unwrap_or_default().seq;
        turn().await;
        if fake.marks.borrow().contains(effect) {
            return Ok(Numbered::Repeated);
        }
        let head = fake.head.get().unwrap_or_default();
        if head.seq == last && fake.taken(last + 1).is_none() {
            let entry = Entry { seq: last + 1, at: now, effect: None, late: false };
            fake.store(&entry, effect);
            fake.head.set(Some(Head { seq: last + 1, ..head }));
            fake.marks.borrow_mut().insert(effect.to_owned());
            return Ok(Numbered::New(entry));
        }
    }
    Err(failure())
}

/// A client, which reads from a place on.
#[derive(Debug, Default)]
struct Client {
    since: i64,
    place: u64,
    got: BTreeSet<String>,
    /// When it was told last that it is behind, and so read everything anew.
    behind: Option<i64>,
}

impl Client {
    fn read(&mut self, fake: &Fake) {
        let now = time(fake.now.get());
        loop {
            let limit = fake.random.one_of(&[1_usize, 2, 3, 100]);
            let entries: Vec<Entry> = fake.entries.borrow().range(self.place..).take(limit + 2).map(|(_, entry)| entry.clone()).collect();
            let read: Vec<_> = entries.iter().map(|entry| (entry.seq, entry.at)).collect();
            let (head, newest) = fake.end();
            let ends = (entries.len() < limit + 2).then_some(head);
            let (events, behind, last) = match shown(self.place, limit, &read, ends, now) {
                Shown::Events { from, to, behind, last } => (&entries[from..to], behind, last),
                Shown::AskNewest => {
                    let (behind, last) = without_events(self.place, head, newest, now);
                    (&entries[..0], behind, Some(last))
                }
            };
            if let Some(seq) = behind {
                (self.behind, self.place) = (Some(fake.now.get()), seq);
            }
            for event in events {
                assert_eq!(event.seq, self.place + 1, "a client sees a hole that it was not told of");
                let written = fake.written.borrow()[&event.seq].clone();
                self.place = event.seq;
                if written.late {
                    self.behind = Some(fake.now.get());
                }
                self.got.insert(written.effect);
            }
            fake.handed_out.set(fake.handed_out.get().max(self.place));
            let last = last.unwrap_or_else(|| super::numbering::last(head, newest, now));
            if last <= self.place {
                return;
            }
            assert!(!events.is_empty() || behind.is_some() || last <= self.place, "{self:?} does not get on to {last}");
        }
    }

    /// Begins where the feed ends.
    fn begin(fake: &Fake) -> Self {
        let (head, newest) = fake.end();
        let place = last(head, newest, time(fake.now.get()));
        fake.handed_out.set(fake.handed_out.get().max(place));
        Self { since: fake.now.get(), place, ..Self::default() }
    }

    /// The same at a reader of the version before, which takes `HEAD` for the last number.
    fn begin_before(fake: &Fake) -> Self {
        let place = fake.head.get().unwrap_or_default().seq;
        fake.handed_out.set(fake.handed_out.get().max(place));
        Self { since: fake.now.get(), place, ..Self::default() }
    }
}

#[derive(Debug, Clone)]
struct Job {
    effect: String,
    committed: i64,
    /// A job of the version before tells no time.
    timed: bool,
    due: i64,
    tries: u32,
}

struct Running {
    future: Pin<Box<dyn Future<Output = PortResult<Numbered>>>>,
    job: Job,
    since: i64,
}

/// Which versions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Versions {
    Before,
    Both,
    Present,
}

struct World {
    fake: Rc<Fake>,
    /// What the process of each group knows of the feed.
    known: Vec<Rc<RefCell<Option<Remembered>>>>,
    /// The jobs of each group, and the one under way.
    groups: Vec<(VecDeque<Job>, Option<Running>)>,
    clocks: Vec<i64>,
    clients: Vec<Client>,
    /// When which versions run from.
    versions: Vec<(i64, Versions)>,
    effects: BTreeMap<String, i64>,
    late: BTreeSet<String>,
}

impl World {
    fn new(seed: u64, versions: &[(i64, Versions)]) -> Self {
        let fake = Fake {
            random: Random(Cell::new(seed)),
            now: Cell::new(BEGIN),
            head: Cell::default(),
            entries: RefCell::default(),
            marks: RefCell::default(),
            written: RefCell::default(),
            handed_out: Cell::default(),
            failing: Cell::new((0, 0)),
            faults: 40,
            reads: Cell::default(),
        };
        let clock = |_| fake.random.one_of(&[-CLOCK, 0, CLOCK]);
        let clocks = (0..3).map(clock).collect();
        let groups = (0..3).map(|_| (VecDeque::new(), None)).collect();
        let clients = vec![Client { since: BEGIN, ..Client::default() }];
        let versions = versions.to_vec();
        let known = (0..3).map(|_| Rc::default()).collect();
        Self { fake: Rc::new(fake), known, groups, clocks, clients, versions, effects: BTreeMap::new(), late: BTreeSet::new() }
    }

    fn version(&self) -> Versions {
        let now = self.fake.now.get();
        self.versions.iter().rev().find(|(from, _)| *from <= now).map_or(Versions::Present, |(_, versions)| *versions)
    }

    fn random(&self) -> &Random {
        &self.fake.random
    }

    /// Commits some effects from now on and plans their jobs: at once, again when the stream repeats its batch, and
    /// some only after many days.
    fn commit(&mut self, number: u64, within: i64, repeats: &[i64], lates: bool) {
        for _ in 0..number {
            let committed = self.fake.now.get() + self.random().time(0, within);
            let effect = format!("effect-{}", self.effects.len());
            self.effects.insert(effect.clone(), committed);
            let group = usize::try_from(self.random().below(3)).unwrap();
            // Before the upgrade is complete, either version may have read the record.
            let timed = match self.version() {
                Versions::Before => false,
                Versions::Both => self.random().one_in(2),
                Versions::Present => true,
            };
            let job = Job { effect: effect.clone(), committed: committed / SECOND * SECOND, timed, due: 0, tries: 0 };
            let first = committed + self.random().time(1, 2 * SECOND);
            if lates && self.random().one_in(10) {
                self.late.insert(effect.clone());
                let due = committed + self.random().time(6 * DAY - MINUTE, 10 * DAY);
                self.plan(group, Job { due, ..job.clone() });
                if self.random().one_in(2) {
                    continue;
                }
            }
            self.plan(group, Job { due: first, ..job.clone() });
            for repeat in repeats {
                if self.random().one_in(2) {
                    // It is another group if the first delivery hangs.
                    let group = if self.random().one_in(4) { usize::try_from(self.random().below(3)).unwrap() } else { group };
                    self.plan(group, Job { due: first + repeat, ..job.clone() });
                }
            }
        }
    }

    fn plan(&mut self, group: usize, job: Job) {
        let jobs = &mut self.groups[group].0;
        let place = jobs.partition_point(|other| other.due <= job.due);
        jobs.insert(place, job);
    }

    /// Plays until no job is left, or until `until`.
    fn play(&mut self, until: i64) {
        loop {
            let now = self.fake.now.get();
            if now >= until {
                return;
            }
            self.kill();
            let ready =
                |(jobs, running): &(VecDeque<Job>, Option<Running>)| running.is_some() || jobs.front().is_some_and(|job| job.due <= now);
            let ready: Vec<usize> = (0..3).filter(|group| ready(&self.groups[*group])).collect();
            if ready.is_empty() {
                let next = self.groups.iter().filter_map(|(jobs, _)| jobs.front()).map(|job| job.due).min();
                self.fake.now.set(next.unwrap_or(until).min(until).max(now));
                self.meanwhile();
                continue;
            }
            let group = self.random().one_of(&ready);
            self.step(group);
            let pause = if self.random().one_in(50) { self.random().time(0, 29 * SECOND) } else { self.random().time(0, 40) };
            self.fake.now.set(self.fake.now.get() + pause);
            if self.random().one_in(15) {
                self.meanwhile();
            }
        }
    }

    /// Functions that took too long end.
    fn kill(&mut self) {
        let now = self.fake.now.get();
        for ((jobs, running), known) in self.groups.iter_mut().zip(&mut self.known) {
            if let Some(Running { job, .. }) = running.take_if(|running| now - running.since > TIMEOUT) {
                jobs.push_front(Job { due: now, ..job });
                // Its process ends with it, and what it knew.
                *known = Rc::default();
            }
        }
    }

    fn step(&mut self, group: usize) {
        let now = self.fake.now.get();
        if self.groups[group].1.is_none() {
            let job = self.groups[group].0.pop_front().unwrap();
            let future = self.start(group, &job);
            self.groups[group].1 = Some(Running { future, job, since: now });
        }
        let (jobs, running) = &mut self.groups[group];
        let polled = running.as_mut().unwrap().future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(outcome) = polled else { return };
        let Running { job, .. } = running.take().unwrap();
        if outcome.is_err() {
            // A second, then longer, up to a minute.
            jobs.push_front(Job { due: now + (SECOND << job.tries.min(6)).min(MINUTE), tries: job.tries + 1, ..job });
        }
    }

    fn start(&self, group: usize, job: &Job) -> Pin<Box<dyn Future<Output = PortResult<Numbered>>>> {
        let (fake, effect) = (Rc::clone(&self.fake), job.effect.clone());
        let now = time(self.fake.now.get() + self.clocks[group]);
        let committed_at = job.timed.then(|| time(job.committed));
        let before = match self.version() {
            Versions::Before => true,
            Versions::Both => self.random().one_in(2),
            Versions::Present => false,
        };
        if before {
            return Box::pin(async move { append_before(&fake, &effect, now).await });
        }
        // A process may carry out the jobs of another group meanwhile, or be a new one.
        let known = match self.random().below(10) {
            0 => Rc::default(),
            1 => Rc::clone(&self.known[usize::try_from(self.random().below(3)).unwrap()]),
            _ => Rc::clone(&self.known[group]),
        };
        Box::pin(async move {
            let mut knows = known.borrow().clone();
            let appended = append(&Pusher { fake }, CausedBy { effect: &effect, committed_at }, &mut knows, now).await;
            known.replace(knows.map(Remembered::shortened));
            appended
        })
    }

    /// Clients read, others come, and the table removes events.
    fn meanwhile(&mut self) {
        let version = self.version();
        for client in &mut self.clients {
            if self.fake.random.one_in(3) && version == Versions::Present {
                client.read(&self.fake);
            }
        }
        if self.random().one_in(4) && self.clients.len() < 8 {
            let before = version == Versions::Before || (version == Versions::Both && self.random().one_in(2));
            self.clients.push(if before { Client::begin_before(&self.fake) } else { Client::begin(&self.fake) });
        }
        if self.random().one_in(2) {
            self.fake.expire();
        }
    }

    /// Every effect is in the feed once, and every client got it or was told afterwards that it is behind.
    fn check(mut self) {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        let written = self.fake.written.borrow().clone();
        for Written { effect, .. } in written.values().filter(|written| !written.late) {
            *times.entry(effect).or_default() += 1;
        }
        for effect in self.effects.keys() {
            let times = times.get(effect.as_str()).copied().unwrap_or_default();
            assert!(times == 1 || (times == 0 && self.late.contains(effect)), "{effect} is there {times} times");
        }
        for client in &mut self.clients {
            client.read(&self.fake);
            for (effect, committed) in self.effects.iter().filter(|(_, committed)| **committed > client.since) {
                let knows = client.got.contains(effect) || client.behind.is_some_and(|told| told >= *committed);
                assert!(knows, "{effect} of {} was kept from {client:?}", committed - BEGIN);
            }
        }
    }
}

/// Runs a history for each seed, and names the seed of a failure. `SEEDS` sets their number; here they are as
/// many as take some seconds.
fn histories(number: u64, history: impl Fn(u64)) {
    let number = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(number);
    for seed in 0..number {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history(seed)));
        assert!(played.is_ok(), "seed {seed}");
    }
}

const REPEATS: [i64; 2] = [6 * MINUTE, 20 * HOUR];

#[test]
fn every_effect_is_in_the_feed_once_and_no_number_is_behind_a_client() {
    histories(500, |seed| {
        let mut world = World::new(seed, &[]);
        for _ in 0..4 {
            let (now, random) = (world.fake.now.get(), world.random());
            let outage = now + random.time(0, 20 * MINUTE);
            world.fake.failing.set(if random.one_in(2) { (outage, outage + 10 * MINUTE) } else { (0, 0) });
            let number = random.one_of(&[1, 3, 10, 40, 150]);
            let within = random.one_of(&[SECOND, 20 * SECOND, 20 * MINUTE]);
            let edge = random.time(0, 40 * SECOND) - 20 * SECOND;
            let quiet = random.one_of(&[HOUR, 5 * DAY, 6 * DAY, 7 * DAY, 8 * DAY, 8 * DAY, 20 * DAY]);
            world.commit(number, within, &REPEATS, true);
            // The quiet begins behind the last repetition.
            let ends = if quiet == HOUR { now + 21 * HOUR } else { now + 21 * HOUR + quiet + edge };
            world.play(ends);
        }
        world.play(world.fake.now.get() + 60 * DAY);
        world.check();
    });
}

#[test]
fn appends_pause_while_the_newest_event_grows_too_old_to_give_a_number() {
    histories(1_500, |seed| {
        let mut world = World::new(seed, &[]);
        world.commit(3, SECOND, &[], false);
        world.play(BEGIN + 2 * HOUR);
        for _ in 0..4 {
            // The feed is beyond its first hour. Then a few come at the edge of a day.
            let newest = world.fake.end().1.map_or(BEGIN, |(_, at)| at.as_millisecond());
            let edge = world.random().one_of(&[5, 6, 7]) * DAY - world.random().time(0, 40 * SECOND);
            world.play(newest + edge);
            let within = world.random().one_of(&[SECOND, 30 * SECOND]);
            world.commit(9, within, &[], false);
            world.play(world.fake.now.get() + HOUR);
        }
        world.check();
    });
}

#[test]
fn an_upgrade_keeps_the_order_and_repeats_nothing() {
    histories(300, |seed| {
        let upgrade = BEGIN + 30 * MINUTE;
        let versions = [(0, Versions::Before), (upgrade, Versions::Both), (upgrade + 10 * MINUTE, Versions::Present)];
        let mut world = World::new(seed, &versions);
        for minutes in [5, 5, 5, 5, 5, 5, 2, 2, 2, 2, 2, 20, 60, 120] {
            let number = world.random().one_of(&[1, 5, 20]);
            world.commit(number, MINUTE, &REPEATS, false);
            world.play(world.fake.now.get() + minutes * MINUTE);
        }
        world.play(world.fake.now.get() + 2 * DAY);
        world.commit(20, MINUTE, &REPEATS, false);
        world.play(world.fake.now.get() + 9 * DAY);
        world.commit(20, MINUTE, &REPEATS, true);
        world.play(world.fake.now.get() + 60 * DAY);
        world.check();
    });
}

#[test]
fn after_a_roll_back_the_version_before_goes_on_behind_the_floor() {
    histories(300, |seed| {
        let back = BEGIN + DAY;
        let again = back + 2 * DAY;
        let versions =
            [(0, Versions::Present), (back, Versions::Before), (again, Versions::Both), (again + 10 * MINUTE, Versions::Present)];
        let mut world = World::new(seed, &versions);
        world.commit(20, 2 * HOUR, &[6 * MINUTE], false);
        world.play(back);
        world.commit(20, HOUR, &[6 * MINUTE], false);
        world.play(again);
        world.commit(20, 5 * MINUTE, &REPEATS, false);
        world.play(again + HOUR);
        world.commit(20, 2 * HOUR, &REPEATS, false);
        world.play(back + 4 * DAY);
        world.check();
    });
}

#[test]
fn the_clocks_of_the_histories_differ_less_than_the_look_back_allows() {
    assert!(SignedDuration::from_millis(2 * CLOCK) < SignedDuration::from_secs(30));
}

/// An agent's ten conversations all go on at once: 300 events in 30 s. Two processes append to the feed in turn.
#[test]
fn a_crowded_feed_is_looked_back_on_once_by_each_process() {
    let world = World::new(1, &[]);
    let fake = Rc::new(Fake { faults: NEVER, ..Rc::into_inner(world.fake).unwrap() });
    // Its first hour, in which the version before may append, is over.
    fake.head.set(Some(Head { seq: 200_000, own: Some(200_000), shared_since: None }));
    let at = |number: u64| BEGIN + i64::try_from(number).unwrap() * 100;
    for number in 1..300 {
        let effect = format!("earlier-{number}");
        fake.store(&Entry { seq: 99_700 + number, at: time(at(number)), effect: Some(effect.clone()), late: false }, &effect);
    }
    let mut processes = [None, None];
    let mut reads = Vec::new();
    for number in 300..340 {
        let known = &mut processes[usize::try_from(number / 8 % 2).unwrap()];
        fake.now.set(at(number));
        let (now, effect, before) = (time(fake.now.get()), format!("effect-{number}"), fake.reads.get());
        let cause = CausedBy { effect: &effect, committed_at: Some(now) };
        run(append(&Pusher { fake: Rc::clone(&fake) }, cause, known, now)).unwrap();
        *known = known.take().map(Remembered::shortened);
        reads.push(fake.reads.get() - before);
    }
    assert_eq!(reads.iter().filter(|reads| **reads > 5).count(), 2, "each process once: {reads:?}");
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}
