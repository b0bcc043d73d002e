//! Random histories of events, systems that fail and jobs that die, on a clock that only the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use domain::fixtures;
use domain::ids::{AccountId, ContactId, InteractionId, TriggerId};
use domain::interaction::{Interaction, Status};
use domain::search::{ConditionInput, SearchInput, ValueInput};
use domain::tag::Tag;
use domain::trigger::{Answer, Disabled, Happened, TriedOutcome, Trigger, TriggerEvent, WhyDisabled};
use engine::jobs::{PushJob, Recipients, TriggerJob};
use engine::memory::{Fault, Memory, MemoryDirectory, ReadFault, VirtualWorld};
use engine::ports::{Commit, Committed, PortError, Store, TriggerCalls, World};
use hooks::Called;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use ulid::Ulid;

use crate::courier::{Courier, Outside};

/// How another system answers for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Takes,
    Status(u16, Option<i64>),
    Silent,
}

/// A call as the other system got it.
#[derive(Debug, Clone)]
struct Got {
    at: Timestamp,
    trigger: TriggerId,
    id: String,
    taken: bool,
}

#[derive(Default)]
struct Around {
    /// What each system answers, until when. After the last one it takes calls.
    systems: BTreeMap<TriggerId, Vec<(Timestamp, Reply)>>,
    got: Vec<Got>,
    queue: Vec<(Timestamp, TriggerJob)>,
    told: Vec<PushJob>,
    /// Whether the next calls of the queues fail.
    faults: Vec<bool>,
}

/// The surroundings of the function.
#[derive(Clone)]
struct Fake {
    world: VirtualWorld,
    memory: Memory,
    around: Arc<Mutex<Around>>,
}

impl Fake {
    fn fails(&self) -> Result<(), PortError> {
        let fails = self.around.lock().unwrap().faults.pop().unwrap_or(false);
        if fails { Err(PortError { operation: "send", reason: "lost".to_owned() }) } else { Ok(()) }
    }
}

impl Outside for Fake {
    async fn call(&self, trigger: &Trigger, id: &str, body: Vec<u8>) -> Called {
        let now = self.world.now();
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["type"], "interaction.opened");
        let mut around = self.around.lock().unwrap();
        let plan = around.systems.get(&trigger.id).into_iter().flatten();
        let reply = plan.clone().find(|(until, _)| now < *until).map_or(Reply::Takes, |(_, reply)| *reply);
        let (outcome, answer) = match reply {
            Reply::Takes => (TriedOutcome::Delivered, Answer::Status { status: 200, retry_after: None }),
            Reply::Status(status, wish) => {
                (TriedOutcome::Refused, Answer::Status { status, retry_after: wish.map(SignedDuration::from_secs) })
            }
            Reply::Silent => (TriedOutcome::NoAnswer, Answer::Nothing),
        };
        let got = Got { at: now, trigger: trigger.id.clone(), id: id.to_owned(), taken: reply == Reply::Takes };
        around.got.push(got);
        Called { outcome, answer, text: "ok".to_owned(), ms: 1 }
    }

    async fn send(&self, jobs: Vec<(TriggerJob, u32)>) -> Result<(), PortError> {
        self.fails()?;
        let now = self.world.now();
        let mut around = self.around.lock().unwrap();
        for (job, seconds) in jobs {
            assert!(seconds <= 900, "SQS delays by a quarter of an hour at most");
            // As it arrives.
            let job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
            around.queue.push((now + SignedDuration::from_secs(seconds.into()), job));
        }
        Ok(())
    }

    async fn notify(&self, job: PushJob) -> Result<(), PortError> {
        self.fails()?;
        self.around.lock().unwrap().told.push(job);
        Ok(())
    }

    async fn disable(&self, id: &TriggerId, disabled: &Disabled) -> Result<Option<Trigger>, PortError> {
        self.fails()?;
        Ok(self.memory.directory().change(|config| {
            let trigger = config.triggers.iter_mut().find(|trigger| trigger.id == *id)?;
            if trigger.active {
                trigger.active = false;
                trigger.disabled = Some(disabled.clone());
            }
            Some(trigger.clone()).filter(|trigger| trigger.disabled.is_some())
        }))
    }
}

struct Sim {
    courier: Courier<Memory, MemoryDirectory, VirtualWorld, Fake>,
    fake: Fake,
    /// The effects of the events, with when they happened and whether the customer is a VIP.
    events: BTreeMap<String, (Timestamp, bool)>,
}

/// Polls a future to its end. A future here waits for nothing but its turn.
fn run<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

fn trigger(n: u128) -> Trigger {
    Trigger { id: TriggerId::from_ulid(Ulid::from_parts(1, n)), ..fixtures::trigger() }
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

const START: Timestamp = Timestamp::UNIX_EPOCH;

/// The trigger whose system answers as the test says.
const TROUBLED: u128 = 1;
/// One whose system takes everything.
const HEALTHY: u128 = 2;
/// The same, for VIPs only.
const VIPS: u128 = 3;
/// One that waits for another account.
const ELSEWHERE: u128 = 4;

impl Sim {
    fn new(troubles: &[(i64, Reply)]) -> Self {
        let (memory, world) = (Memory::new(), VirtualWorld::new(START, 1));
        let directory = memory.directory();
        directory.put_account(fixtures::account());
        let condition = ConditionInput {
            field: "tags".to_owned(),
            operator: "equals".to_owned(),
            value: Some(ValueInput::Text("vip".to_owned())),
            disabled: false,
        };
        let search = SearchInput { conditions: vec![condition], ..SearchInput::default() };
        let other = AccountId::from_ulid(Ulid::from_parts(1, 99));
        directory.change(|config| {
            config.triggers = vec![
                trigger(TROUBLED),
                trigger(HEALTHY),
                Trigger { search, ..trigger(VIPS) },
                Trigger { accounts: vec![other], ..trigger(ELSEWHERE) },
            ];
        });
        let mut until = START;
        let plan = troubles.iter().map(|(length, reply)| {
            until += minutes(*length);
            (until, *reply)
        });
        let systems = [(trigger(TROUBLED).id, plan.collect())].into();
        let fake =
            Fake { world: world.clone(), memory: memory.clone(), around: Arc::new(Mutex::new(Around { systems, ..Around::default() })) };
        let courier = Courier { store: memory, directory, world, outside: fake.clone() };
        Self { courier, fake, events: BTreeMap::new() }
    }

    /// An interaction is opened `after` minutes.
    fn opens(&mut self, after: i64, vip: bool) {
        self.opens_as(Status::Open, after, vip);
    }

    fn opens_as(&mut self, status: Status, after: i64, vip: bool) {
        let at = START + minutes(after);
        let n = self.events.len() as u64;
        let interaction = Interaction {
            id: InteractionId::from_ulid(Ulid::from_parts(n + 1, 3)),
            contact: ContactId::from_ulid(Ulid::from_parts(n + 1, 2)),
            tags: if vip { vec![Tag::parse("vip").unwrap()] } else { Vec::new() },
            ..fixtures::interaction(status, at)
        };
        let written = run(self.courier.store.commit(Commit::plain(None, interaction.clone()))).unwrap();
        assert_eq!(written, Committed::Done);
        let id = domain::effect::effect_id(interaction.id.as_str(), 1, 0);
        let happened = vec![Happened { event: TriggerEvent::InteractionOpened, at, message: None, agent: None }];
        let job = TriggerJob::Happened { id: id.clone(), interaction: Box::new(interaction), happened };
        self.fake.around.lock().unwrap().queue.push((at, job));
        self.events.insert(id, (at, vip));
    }

    /// Carries out what comes until the minute `end`, with a sweep every ten minutes.
    fn until(&mut self, end: i64) {
        let end = START + minutes(end);
        let mut sweep = START;
        loop {
            let next = {
                let mut around = self.fake.around.lock().unwrap();
                around.queue.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
                let soonest = around.queue.last().map(|(at, _)| *at);
                if soonest.is_some_and(|at| at <= sweep) { around.queue.pop() } else { None }
            };
            match next {
                Some((at, job)) => {
                    self.fake.world.set(at.max(self.fake.world.now()));
                    if run(self.courier.carry_out(&job)).is_err() {
                        // It comes again.
                        let again = self.fake.world.now() + SignedDuration::from_secs(20);
                        self.fake.around.lock().unwrap().queue.push((again, job));
                    }
                }
                None if sweep >= end => return,
                None => {
                    self.fake.world.set(sweep.max(self.fake.world.now()));
                    let _ = run(self.courier.sweep());
                    sweep += minutes(10);
                }
            }
        }
    }

    fn got(&self, n: u128) -> Vec<Got> {
        let around = self.fake.around.lock().unwrap();
        around.got.iter().filter(|got| got.trigger == trigger(n).id).cloned().collect()
    }

    fn state(&self, n: u128) -> Trigger {
        self.fake.memory.directory().change(|config| config.triggers.iter().find(|own| own.id == trigger(n).id).unwrap().clone())
    }

    /// The id of the call about an event.
    fn id(effect: &str, n: u128) -> String {
        format!("{effect}-0-{}", trigger(n).id)
    }

    fn due(&self, n: u128) -> usize {
        run(self.fake.memory.due(&trigger(n).id, Timestamp::MAX, usize::MAX)).unwrap().len()
    }

    fn told(&self) -> BTreeSet<String> {
        self.fake.around.lock().unwrap().told.iter().map(|job| job.id.clone()).collect()
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        3 => Just(Reply::Takes),
        1 => Just(Reply::Silent),
        2 => (prop_oneof![Just(500_u16), Just(503), Just(429), Just(502), Just(301), Just(404)], proptest::option::of(0_i64..7_200))
            .prop_map(|(status, wish)| Reply::Status(status, wish)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_event_that_matches_is_told_at_least_once_whatever_fails_or_dies(
        events in proptest::collection::vec((0_i64..2_880, any::<bool>()), 1..25),
        troubles in proptest::collection::vec((1_i64..2_000, reply()), 0..6),
        faults in proptest::collection::vec(any::<bool>(), 0..60),
        table in proptest::collection::vec(0_u8..8, 0..300),
    ) {
        let mut sim = Sim::new(&troubles);
        for (after, vip) in &events {
            sim.opens(*after, *vip);
        }
        sim.fake.around.lock().unwrap().faults = faults;
        let (mut writes, mut reads) = (table.clone().into_iter(), table.into_iter());
        sim.fake.memory.inject(move |_| match writes.next() {
            Some(0) => Fault::Refused,
            Some(1) => Fault::AnswerLost,
            _ => Fault::None,
        });
        sim.fake.memory.inject_reads(move || if reads.next() == Some(0) { ReadFault::Throttled } else { ReadFault::None });
        sim.until(2_880 + 7 * 1_440);
        let off = sim.state(TROUBLED).disabled;
        for (effect, (_, vip)) in &sim.events {
            let calls = |n| sim.got(n).into_iter().filter(|got| got.id == Sim::id(effect, n)).collect::<Vec<_>>();
            prop_assert!(calls(HEALTHY).iter().any(|got| got.taken), "{effect}");
            prop_assert_eq!(calls(VIPS).iter().any(|got| got.taken), *vip, "{}", effect);
            let troubled = calls(TROUBLED);
            let given_up = troubled.len() >= 8;
            prop_assert!(troubled.iter().any(|got| got.taken) || given_up || off.is_some(), "{}: {:?}", effect, troubled);
        }
        prop_assert_eq!(sim.got(ELSEWHERE).len(), 0);
        prop_assert_eq!((sim.due(TROUBLED), sim.due(HEALTHY), sim.due(VIPS)), (0, 0, 0));
        prop_assert_eq!(sim.told().len(), usize::from(off.is_some()));
    }
}

#[test]
fn a_failed_call_is_tried_again_after_growing_waits_under_the_same_id_and_then_given_up() {
    let mut sim = Sim::new(&[(40 * 60, Reply::Status(500, None))]);
    sim.opens(0, false);
    sim.until(3 * 1_440);
    let got = sim.got(TROUBLED);
    assert_eq!(got.len(), 8);
    assert_eq!(got.iter().map(|got| got.id.as_str()).collect::<BTreeSet<_>>().len(), 1);
    let waits: Vec<i64> = got.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs()).collect();
    // A sweep comes every ten minutes here. After the fifth failure the system rests, which is shorter than the waits.
    for (wait, least) in waits.iter().zip([5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]) {
        assert!((least..=least * 6 / 5 + 600).contains(wait), "{waits:?}");
    }
    let tries = run(sim.fake.memory.tries(&trigger(TROUBLED).id, 50)).unwrap();
    assert_eq!(tries.iter().map(|tried| tried.attempt).collect::<Vec<_>>(), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((tries[0].next_at, tries[7].next_at.is_some(), tries[0].status), (None, true, Some(500)));
}

#[test]
fn three_days_of_failures_switch_a_trigger_off_tell_people_once_and_leave_the_others_alone() {
    let mut sim = Sim::new(&[(30 * 1_440, Reply::Silent)]);
    for n in 0..600 {
        sim.opens(n * 10, false);
    }
    sim.until(600 * 10 + 60);
    let off = sim.state(TROUBLED);
    let disabled = off.disabled.unwrap();
    assert_eq!((off.active, disabled.why), (false, WhyDisabled::Failing));
    let days = disabled.at.duration_since(START).as_hours();
    assert!((72..76).contains(&days), "{days}");
    assert_eq!((sim.told().len(), sim.due(TROUBLED)), (1, 0));
    let job = sim.fake.around.lock().unwrap().told[0].clone();
    assert!(matches!(job.to, Recipients::Supervisors { .. }));
    // It was called by one job at a time, at most once an hour, and not after that.
    let calls = sim.got(TROUBLED);
    assert!(calls.len() <= 5 + 6 + 76 + 10, "{}", calls.len());
    assert!(calls.iter().all(|got| got.at <= disabled.at));
    // The healthy system got everything at once.
    for got in sim.got(HEALTHY) {
        let (at, _) = sim.events.iter().find(|(effect, _)| Sim::id(effect, HEALTHY) == got.id).unwrap().1;
        assert!(got.at.duration_since(*at) < SignedDuration::from_secs(1));
    }
    assert_eq!(sim.got(HEALTHY).len(), 600);
}

#[test]
fn a_system_that_works_again_gets_all_that_it_missed() {
    let mut sim = Sim::new(&[(600, Reply::Status(503, None))]);
    for n in 0..200 {
        sim.opens(n * 3, false);
    }
    sim.until(3 * 1_440);
    let taken: BTreeSet<String> = sim.got(TROUBLED).into_iter().filter(|got| got.taken).map(|got| got.id).collect();
    assert_eq!(taken.len(), 200);
    assert!(run(sim.fake.memory.health(&trigger(TROUBLED).id)).unwrap().is_none());
    // Most of them never met the failing system.
    let failed = sim.got(TROUBLED).iter().filter(|got| !got.taken).count();
    assert!(failed < 40, "{failed}");
}

#[test]
fn an_answer_410_switches_a_trigger_off_at_once() {
    let mut sim = Sim::new(&[(1_440, Reply::Status(410, None))]);
    sim.opens(0, false);
    sim.opens(5, false);
    sim.until(60);
    assert_eq!(sim.got(TROUBLED).len(), 1);
    assert_eq!(sim.state(TROUBLED).disabled.unwrap().why, WhyDisabled::Gone);
    assert_eq!(sim.told().len(), 1);
}

#[test]
fn a_wish_to_be_left_alone_counts_for_all_calls() {
    let mut sim = Sim::new(&[(1, Reply::Status(429, Some(3_600)))]);
    sim.opens(0, false);
    sim.opens(20, false);
    sim.opens(40, false);
    sim.until(300);
    let got = sim.got(TROUBLED);
    assert!(!got[0].taken && got[1..].iter().all(|got| got.taken) && got.len() == 4, "{got:?}");
    assert!(got[1].at.duration_since(START) >= SignedDuration::from_hours(1));
}

#[test]
fn nothing_is_told_of_an_interaction_that_was_deleted_meanwhile() {
    let mut sim = Sim::new(&[(10, Reply::Status(500, None))]);
    // Only a closed one is deleted.
    sim.opens_as(Status::Closed, 0, false);
    sim.until(1);
    let before = sim.got(TROUBLED).len();
    let interaction = sim.fake.memory.interactions().remove(0);
    assert!(sim.fake.memory.delete(&interaction.id));
    sim.until(1_440);
    assert_eq!((sim.got(TROUBLED).len(), sim.due(TROUBLED)), (before, 0));
}

#[test]
fn a_call_costs_a_trigger_one_health_read_one_interaction_and_one_line_of_the_log() {
    let mut sim = Sim::new(&[]);
    sim.opens(0, false);
    let (writes, reads) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (seen, counted) = (writes.clone(), reads.clone());
    sim.fake.memory.inject(move |operation| {
        seen.lock().unwrap().push(operation);
        Fault::None
    });
    sim.fake.memory.inject_reads(move || {
        *counted.lock().unwrap() += 1;
        ReadFault::None
    });
    let next = || sim.fake.around.lock().unwrap().queue.pop().unwrap().1;
    let happened = next();
    run(sim.courier.carry_out(&happened)).unwrap();
    assert!(writes.lock().unwrap().is_empty());
    assert_eq!(sim.fake.around.lock().unwrap().queue.len(), 2, "one job for each trigger that waits for it, no VIP among them");
    *reads.lock().unwrap() = 0;
    let call = next();
    run(sim.courier.carry_out(&call)).unwrap();
    assert_eq!(*writes.lock().unwrap(), ["note a try"]);
    // The triggers, the account and the agents come from the cache; the health and the interaction from the table.
    assert_eq!(*reads.lock().unwrap(), 5);
}

/// (Reads, writes) of a sweep that has nothing to do, and of an event that two of the four triggers wait for, whose
/// systems take it.
#[test]
fn an_event_costs_a_message_and_a_handful_of_calls_of_the_table_for_each_trigger_that_it_meets() {
    let count = || Arc::new(AtomicUsize::new(0));
    let counted = |sim: &mut Sim, of: &dyn Fn(&mut Sim)| {
        let (reads, writes) = (count(), count());
        let (read, write) = (reads.clone(), writes.clone());
        sim.fake.memory.inject_reads(move || {
            read.fetch_add(1, Ordering::Relaxed);
            ReadFault::None
        });
        sim.fake.memory.inject(move |_| {
            write.fetch_add(1, Ordering::Relaxed);
            Fault::None
        });
        of(sim);
        (reads.load(Ordering::Relaxed), writes.load(Ordering::Relaxed))
    };
    let mut sim = Sim::new(&[]);
    let idle = counted(&mut sim, &|sim| drop(run(sim.courier.sweep())));
    sim.opens(0, false);
    let event = counted(&mut sim, &|sim| sim.until(0));
    let calls = [TROUBLED, HEALTHY, VIPS, ELSEWHERE].map(|n| sim.got(n).len());
    // Reads of the configuration are among them, which a cache answers. The writes are the log of the calls.
    assert_eq!((idle, event, calls), ((5, 0), (14, 2), [1, 1, 0, 0]));
}
