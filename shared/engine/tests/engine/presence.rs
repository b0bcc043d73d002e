//! Agents come, pause and go.

use domain::agent::PresenceState;
use domain::decide::{Event, Refusal};
use domain::effect::Target;
use domain::history::Fact;
use domain::interaction::Stage;
use domain::queue::Strategy;
use engine::Told;
use engine::ports::Idempotency;

use crate::driver::{Command, Job, Sim, run, start};

#[test]
fn pausing_or_logging_out_withdraws_an_agents_offers_and_they_ring_elsewhere() {
    for log_out in [false, true] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
        let interaction = sim.writes(1);
        assert_eq!(sim.rings_at(&interaction), [agents[0].clone()]);
        if log_out {
            sim.log_out(&agents[0])
        } else {
            sim.pause(&agents[0])
        }
        assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
        assert!(sim.facts(&interaction).contains(&Fact::OfferWithdrawn { agent: agents[0].clone() }));
        assert!(sim.presence(&agents[0]).unwrap().ringing.is_empty());
    }
}

#[test]
fn an_offer_to_all_members_no_longer_rings_at_an_agent_who_paused() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    sim.pause(&agents[0]);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
    assert_eq!(sim.accept(&agents[0], &interaction), Err(Refusal::NotReady));
}

#[test]
fn an_interactions_own_agent_who_pauses_while_the_queue_rings_is_passed_over() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let other = sim.writes(2);
    sim.accept(&agents[1], &other).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.writes(1);
    sim.wait(10);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedQueue), vec![agents[0].clone()]));
    sim.pause(&agents[0]);
    assert_eq!(sim.rings_at(&interaction), [agents[1].clone()]);
}

#[test]
fn the_offer_to_an_interactions_own_agent_stands_when_that_agent_pauses() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.writes(1);
    sim.pause(&agents[0]);
    assert_eq!(sim.stage(&interaction), Some(Stage::AssignedAgent));
    sim.accept(&agents[0], &interaction).unwrap();
}

#[test]
fn a_withdrawal_that_comes_twice_leaves_a_later_offer_alone() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    let interaction = sim.writes(1);
    sim.pause(&agents[0]);
    sim.ready(&agents[0]);
    assert_eq!(sim.rings_at(&interaction), agents);
    let key = sim.interaction(&interaction).key();
    let told = run(sim.engine.tell(&key, Event::AgentUnavailable { agent: agents[0].clone() }, Idempotency::Guarded)).unwrap();
    assert!(matches!(told, Told::Refused(Refusal::Stale, _)));
}

#[test]
fn a_slot_is_kept_while_the_agent_is_away() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.log_out(&agents[0]);
    sim.ready(&agents[0]);
    assert!(sim.presence(&agents[0]).unwrap().load.contains(&interaction));
}

/// Polls a ring and a pause in every order in which their calls to the ports can interleave.
#[test]
fn nothing_rings_at_an_agent_who_pauses_at_the_same_instant() {
    for schedule in 0_u32..1 << 12 {
        let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
        sim.log_out(&agents[0]);
        let interaction = sim.writes(1);
        // The agent is ready again, but the wake for it has not been carried out yet.
        let ready = Command::Presence(PresenceState::Ready);
        run(start(&sim.engine, &sim.provider, Job::Command { id: "ready".into(), agent: agents[0].clone(), command: ready }));
        let pause = Command::Presence(PresenceState::Paused { reason: "lunch".into() });
        let mut running = [
            Some(start(&sim.engine, &sim.provider, Job::wake(Target::Queue(queue)))),
            Some(start(&sim.engine, &sim.provider, Job::Command { id: "pause".into(), agent: agents[0].clone(), command: pause })),
        ];
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut turn = 0;
        while running.iter().any(Option::is_some) {
            let place = if turn < 12 { (schedule >> turn & 1) as usize } else { usize::from(running[0].is_none()) };
            turn += 1;
            if let Some(future) = &mut running[place]
                && future.as_mut().poll(&mut context).is_ready()
            {
                running[place] = None;
            }
        }
        sim.settle();
        assert!(sim.interaction(&interaction).offer().is_none(), "schedule {schedule:b}");
        assert!(sim.presence(&agents[0]).unwrap().ringing.is_empty());
    }
}

#[test]
fn a_tab_does_not_outlive_its_agents_logout() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.pause(&agents[0]);
    sim.ready(&agents[0]);
    sim.writes(1);
    assert_eq!(sim.stage(&interaction), None, "a pause closes no tab");
    sim.wait(60);
    sim.log_out(&agents[0]);
    sim.ready(&agents[0]);
    sim.writes(1);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedAgent), vec![agents[0].clone()]));
    sim.open_tab(&agents[0], &interaction).unwrap();
    sim.writes(1);
    assert_eq!(sim.stage(&interaction), None);
}
