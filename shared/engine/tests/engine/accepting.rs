//! Accept, reject, capacity.

use domain::decide::Refusal;
use domain::effect::Notice;
use domain::ids::{AgentId, InteractionId};
use domain::queue::Strategy;
use engine::Told;

use crate::driver::{Command, Job, Outcome, Sim, agent_step, queue_step};

#[test]
fn the_first_to_accept_wins_and_the_other_learns_who() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    let accepted = sim.accept(&agents[1], &interaction).unwrap();
    assert_eq!((accepted.agent, accepted.accepted_via), (Some(agents[1].clone()), Some(queue)));
    assert!(accepted.tab_open && !accepted.unread && accepted.wait.is_none());
    assert_eq!(sim.accept(&agents[0], &interaction), Err(Refusal::OfferGone { owner: Some(agents[1].clone()) }));
    let withdrawn = |notice: &Notice| matches!(notice, Notice::Withdrawn { taken_by: Some(winner), .. } if *winner == agents[1]);
    assert!(sim.shown(&agents[0], &interaction).iter().any(withdrawn));
    assert!(!sim.shown(&agents[1], &interaction).iter().any(withdrawn));
}

/// Two agents' commands at the same instant.
fn at_once(sim: &mut Sim, commands: [(&str, AgentId, Command); 2]) -> Vec<Result<(), Refusal>> {
    let jobs = commands.map(|(id, agent, command)| Job::Command { id: id.into(), agent, command });
    let outcomes = sim.at_once(jobs.into());
    sim.settle();
    let results = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Done { told: Some(Told::Changed { .. }), .. } => Ok(()),
        Outcome::Done { told: Some(Told::Refused(refusal, _)), .. } => Err(refusal),
        other => panic!("{other:?}"),
    });
    results.collect()
}

#[test]
fn of_two_agents_who_accept_at_the_same_instant_one_wins() {
    for _ in 0..20 {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
        let interaction = sim.writes(1);
        let accept = |agent: usize| (["one", "two"][agent], agents[agent].clone(), Command::Accept(interaction.clone()));
        let results = at_once(&mut sim, [accept(0), accept(1)]);
        let owner = sim.interaction(&interaction).agent;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(results.contains(&Err(Refusal::OfferGone { owner })));
    }
}

#[test]
fn two_accepts_by_one_agent_with_one_slot_give_one_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    sim.capacity(&agents[0], 1);
    let (first, second) = (sim.writes(1), sim.writes(2));
    assert_eq!(sim.rings_at(&second), agents);
    let accept = |id, interaction: &InteractionId| (id, agents[0].clone(), Command::Accept(interaction.clone()));
    let results = at_once(&mut sim, [accept("one", &first), accept("two", &second)]);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.contains(&Err(Refusal::AtCapacity)));
    assert_eq!(sim.presence(&agents[0]).unwrap().load.len(), 1);
}

#[test]
fn accepting_needs_an_offer_a_ready_agent_and_a_free_slot() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    sim.capacity(&agents[0], 1);
    let (first, second) = (sim.writes(1), sim.writes(2));
    let stranger = sim.agent(9);
    sim.ready(&stranger);
    assert_eq!(sim.accept(&stranger, &first), Err(Refusal::OfferGone { owner: None }));
    sim.accept(&agents[0], &first).unwrap();
    assert_eq!(sim.accept(&agents[0], &first), Err(Refusal::AlreadyYours));
    assert_eq!(sim.accept(&agents[0], &second), Err(Refusal::AtCapacity));
    sim.pause(&agents[1]);
    assert_eq!(sim.accept(&agents[1], &second), Err(Refusal::NotReady));
    sim.wait(30);
    sim.ready(&agents[1]);
    sim.wait(14);
    sim.reject(&agents[1], &second).unwrap();
    assert_eq!(sim.accept(&agents[1], &second), Err(Refusal::OfferGone { owner: None }));
}

#[test]
fn an_offer_cannot_be_accepted_after_its_time_even_before_the_timer_comes() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let interaction = sim.writes(1);
    sim.world.advance(jiff::SignedDuration::from_secs(15));
    assert_eq!(sim.accept(&agents[0], &interaction), Err(Refusal::OfferGone { owner: None }));
    assert_eq!(sim.reject(&agents[0], &interaction), Err(Refusal::OfferGone { owner: None }));
}

#[test]
fn never_more_chats_ring_than_there_are_free_slots() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _) = Sim::desk(strategy, 2);
        agents.iter().for_each(|agent| sim.capacity(agent, 1));
        let interactions: Vec<_> = (1..=4).map(|customer| sim.writes(customer)).collect();
        let ringing = |sim: &Sim| interactions.iter().filter(|interaction| !sim.rings_at(interaction).is_empty()).count();
        assert_eq!(ringing(&sim), 2);
        let taken = interactions.iter().find(|interaction| sim.rings_at(interaction).contains(&agents[0])).unwrap();
        sim.accept(&agents[0], taken).unwrap();
        assert_eq!(ringing(&sim), 1);
    }
}

#[test]
fn a_slot_that_is_freed_on_close_gets_the_next_waiting_interaction() {
    for strategy in [Strategy::Beepall, Strategy::Rrmemory] {
        let (mut sim, agents, _) = Sim::desk(strategy, 1);
        sim.capacity(&agents[0], 1);
        let first = sim.writes(1);
        sim.accept(&agents[0], &first).unwrap();
        let second = sim.writes(2);
        assert!(sim.rings_at(&second).is_empty());
        sim.close(&agents[0], &first).unwrap();
        assert_eq!(sim.rings_at(&second), agents);
    }
}

#[test]
fn a_slot_that_an_ignored_offer_kept_gets_the_next_interaction_of_another_queue() {
    let (mut sim, agents, first_queue) = Sim::desk(Strategy::Rrmemory, 2);
    let second_queue = sim.queue(2, Strategy::Rrmemory, &[&agents[0]]);
    sim.capacity(&agents[0], 1);
    sim.log_out(&agents[1]);
    sim.plan(&[queue_step(&second_queue, 600)]);
    // The older interaction rings through the first queue and keeps the only slot.
    sim.plan(&[queue_step(&first_queue, 600)]);
    let older = sim.writes(1);
    sim.plan(&[queue_step(&second_queue, 600)]);
    let younger = sim.writes(2);
    assert_eq!((sim.rings_at(&older), sim.rings_at(&younger)), (vec![agents[0].clone()], Vec::new()));
    sim.ready(&agents[1]);
    sim.wait(15);
    assert_eq!((sim.rings_at(&older), sim.rings_at(&younger)), (vec![agents[1].clone()], vec![agents[0].clone()]));
}

#[test]
fn raising_the_capacity_offers_a_waiting_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.capacity(&agents[0], 1);
    let first = sim.writes(1);
    sim.accept(&agents[0], &first).unwrap();
    let second = sim.writes(2);
    sim.capacity(&agents[0], 2);
    assert_eq!(sim.rings_at(&second), agents);
}

#[test]
fn closing_needs_the_disposition_when_that_is_mandatory() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.change_account(|account| {
        account.settings.mandatory_disposition = true;
        account.settings.dispositions = vec!["Solved".into()];
    });
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let close = |disposition: Option<&str>| Command::Close(interaction.clone(), disposition.map(str::to_owned));
    assert_eq!(sim.command(&agents[0], close(None)), Err(Refusal::DispositionRequired));
    assert_eq!(sim.command(&agents[0], close(Some("Other"))), Err(Refusal::UnknownDisposition));
    let closed = sim.command(&agents[0], close(Some("Solved"))).unwrap();
    assert_eq!(closed.disposition.as_deref(), Some("Solved"));
    assert!(sim.presence(&agents[0]).unwrap().load.is_empty());
    assert_eq!(sim.archived, std::slice::from_ref(&interaction));
    assert_eq!(sim.close(&agents[0], &interaction), Err(Refusal::Closed));
}

#[test]
fn only_its_agent_works_on_an_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let interaction = sim.writes(1);
    assert_eq!(sim.close(&agents[0], &interaction), Err(Refusal::NotYours { owner: None }));
    sim.accept(&agents[0], &interaction).unwrap();
    let owner = Some(agents[0].clone());
    for refused in [sim.open_tab(&agents[1], &interaction), sim.close_tab(&agents[1], &interaction), sim.close(&agents[1], &interaction)] {
        assert_eq!(refused, Err(Refusal::NotYours { owner: owner.clone() }));
    }
    assert_eq!(sim.answers(&agents[1], &interaction), Err(Refusal::NotYours { owner }));
}

#[test]
fn a_message_after_the_close_opens_another_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let first = sim.writes(1);
    sim.accept(&agents[0], &first).unwrap();
    sim.close(&agents[0], &first).unwrap();
    let second = sim.writes(1);
    assert_ne!(first, second);
    assert_eq!(sim.rings_at(&second), agents);
}

#[test]
fn a_chat_that_stops_ringing_at_all_members_makes_room_for_the_next() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 2);
    let third = sim.agent(3);
    agents.iter().for_each(|agent| sim.capacity(agent, 1));
    sim.pause(&agents[1]);
    sim.plan(&[queue_step(&queue, 10), agent_step(&third, 60)]);
    let first = sim.writes(1);
    sim.plan(&[queue_step(&queue, 60)]);
    let second = sim.writes(2);
    assert_eq!((sim.rings_at(&first), sim.rings_at(&second)), (vec![agents[0].clone()], Vec::new()));
    sim.wait(10);
    assert_eq!((sim.rings_at(&first), sim.rings_at(&second)), (Vec::new(), vec![agents[0].clone()]));
}
