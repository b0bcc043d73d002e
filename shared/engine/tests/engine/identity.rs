//! One customer under several addresses.

use domain::contact::Identity;
use domain::decide::MERGED;
use domain::ids::{ContactId, InteractionId};
use domain::inbound::{InboundEvent, InboundKind, ProfileName};
use domain::interaction::{Interaction, Stage};
use domain::queue::Strategy;
use domain::values::Address;
use engine::memory::Fault;

use crate::driver::{Job, Sim, phone};

fn bsuid(number: u32) -> Address {
    Address::Bsuid(format!("IT.{number}"))
}

/// One message by phone, one by business-scoped user id, one by both.
fn three(sim: &mut Sim) -> [InboundEvent; 3] {
    [sim.event_from(phone(1), None), sim.event_from(bsuid(1), None), sim.event_from(phone(1), Some(bsuid(1)))]
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn open(sim: &Sim) -> Vec<Interaction> {
    sim.memory.interactions().into_iter().filter(Interaction::is_open).collect()
}

/// The interaction and those that it absorbed.
fn thread(interaction: &Interaction) -> Vec<InteractionId> {
    interaction.absorbed.iter().map(|key| key.interaction.clone()).chain([interaction.id.clone()]).collect()
}

/// Checks that there is one customer with one open interaction, and that its thread has all `count` messages.
fn check_one(sim: &Sim, count: usize) -> Interaction {
    let [open] = open(sim).try_into().unwrap();
    let people = [phone(1), bsuid(1)].map(|address| sim.person(&address).unwrap());
    assert_eq!(people[0], people[1]);
    assert!(people[0].contacts().any(|contact| *contact == open.contact));
    let threads = thread(&open);
    let messages = sim.memory.messages();
    assert_eq!((messages.len(), messages.iter().all(|(_, message)| threads.contains(&message.interaction))), (count, true));
    for merged in sim.memory.interactions().into_iter().filter(|one| one.id != open.id) {
        assert_eq!((merged.disposition.as_deref(), merged.merged_into), (Some(MERGED), Some(open.key())));
    }
    open
}

fn presence_load(sim: &Sim, agent: &domain::ids::AgentId) -> Vec<InteractionId> {
    sim.presence(agent).unwrap().load.into_iter().collect()
}

#[test]
fn a_phone_and_a_user_id_of_one_customer_have_one_interaction_whichever_comes_first() {
    for order in ORDERS {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
        let events = three(&mut sim);
        for index in order {
            sim.receives(&events[index]);
        }
        let interaction = check_one(&sim, 3);
        assert_eq!(sim.rings_at(&interaction.id), agents, "{order:?}");
        // Everything comes again and changes nothing.
        let before = sim.memory.interactions();
        sim.jobs.extend(events.map(|event| Job::route(&event)));
        let owner = sim.person(&phone(1)).unwrap().owner;
        sim.jobs.extend([Job::unify(owner.clone()), Job::unify(owner)]);
        sim.settle();
        assert_eq!(sim.memory.interactions(), before);
    }
}

#[test]
fn three_messages_at_the_same_instant_end_in_one_interaction() {
    for order in ORDERS {
        let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
        let events = three(&mut sim);
        for event in &events {
            sim.memory.receive(event);
        }
        sim.pump();
        sim.jobs.clear();
        sim.at_once(order.map(|index| Job::route(&events[index])).to_vec());
        // A loser of the race comes again.
        sim.jobs.extend(events.map(|event| Job::route(&event)));
        sim.settle();
        check_one(&sim, 3);
    }
}

#[test]
fn faults_at_every_write_change_nothing() {
    for fault in [Fault::Conflict, Fault::Refused, Fault::AnswerLost] {
        for place in 0..12 {
            let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
            let events = three(&mut sim);
            let mut writes = 0;
            sim.memory.inject(move |_| {
                writes += 1;
                if writes == place + 1 { fault } else { Fault::None }
            });
            for event in &events {
                sim.receives(event);
            }
            check_one(&sim, 3);
        }
    }
}

#[test]
fn the_order_of_links_does_not_matter_and_a_cached_identity_opens_nothing() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 2);
    let [by_phone, by_user_id, by_both] = three(&mut sim);
    // The user id's contact is older. The phone's is cached as another customer.
    sim.receives(&by_user_id);
    let agents: Vec<_> = sim.memory.all_presences().into_iter().map(|presence| presence.agent).collect();
    let first = open(&sim)[0].id.clone();
    sim.accept(&agents[0], &first).unwrap();
    sim.close(&agents[0], &first).unwrap();
    sim.world.advance(jiff::SignedDuration::from_secs(1));
    let second = sim.receives(&by_phone);
    sim.accept(&agents[0], &second).unwrap();
    sim.close(&agents[0], &second).unwrap();
    sim.receives(&by_both);
    let [interaction] = open(&sim).try_into().unwrap();
    let more = sim.event_from(phone(1), None);
    assert_eq!(sim.receives(&more), interaction.id);
    assert_eq!(open(&sim).len(), 1);
    let person = sim.person(&phone(1)).unwrap();
    assert_eq!((person.linked.len(), &interaction.contact), (1, &person.owner), "it is opened with the owner");
}

#[test]
fn the_newer_interaction_ends_its_agent_is_free_and_its_unanswered_message_rings_at_the_older() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let [by_phone, by_user_id, by_both] = three(&mut sim);
    let older = sim.receives(&by_phone);
    let first = sim.rings_at(&older)[0].clone();
    sim.accept(&first, &older).unwrap();
    sim.answers(&first, &older).unwrap();
    sim.close_tab(&first, &older).unwrap();
    sim.wait(1);
    let newer = sim.receives(&by_user_id);
    let second = sim.rings_at(&newer)[0].clone();
    sim.accept(&second, &newer).unwrap();
    assert_eq!(presence_load(&sim, &second).len() + presence_load(&sim, &first).len(), 2);
    assert!(!sim.interaction(&older).unread);

    // The agent of the newer interaction has not answered. So the older one becomes unread, even before the message
    // that shows the link counts.
    let before = sim.facts(&older).len();
    sim.receives(&by_both);
    let merged = check_one(&sim, 4);
    assert_eq!((&merged.id, merged.unread, &merged.agent), (&older, true, &Some(first.clone())));
    assert_eq!(sim.stage(&older), Some(Stage::AssignedAgent));
    assert_eq!(presence_load(&sim, &first), std::slice::from_ref(&older));
    if first != second {
        assert_eq!(presence_load(&sim, &second), []);
    }
    assert!(sim.facts(&older).len() > before);
    assert!(sim.archived.contains(&newer), "its log is kept");
    assert_eq!(agents.len(), 2);
}

#[test]
fn a_merger_of_two_interactions_of_one_agent_frees_one_slot() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let [by_phone, by_user_id, by_both] = three(&mut sim);
    for event in [&by_phone, &by_user_id] {
        let interaction = sim.receives(event);
        sim.accept(&agents[0], &interaction).unwrap();
        sim.wait(1);
    }
    assert_eq!(presence_load(&sim, &agents[0]).len(), 2);
    sim.receives(&by_both);
    let merged = check_one(&sim, 3);
    assert_eq!(presence_load(&sim, &agents[0]), [merged.id]);
}

#[test]
fn an_agent_who_left_the_account_loses_both_in_one_transaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let [by_phone, by_user_id, by_both] = three(&mut sim);
    for event in [&by_phone, &by_user_id] {
        let interaction = sim.receives(event);
        sim.accept(&agents[0], &interaction).unwrap();
        sim.wait(1);
    }
    sim.change_account(|account| account.agents.retain(|agent| *agent != agents[0]));
    sim.receives(&by_both);
    let merged = check_one(&sim, 3);
    assert_eq!((presence_load(&sim, &agents[0]).len(), merged.agent), (0, None));
    assert_eq!(sim.rings_at(&merged.id), [agents[1].clone()]);
}

#[test]
fn reports_and_reactions_find_messages_of_a_merged_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let [by_phone, by_user_id, by_both] = three(&mut sim);
    let older = sim.receives(&by_phone);
    sim.accept(&agents[0], &older).unwrap();
    sim.wait(1);
    let newer = sim.receives(&by_user_id);
    sim.accept(&agents[0], &newer).unwrap();
    let answer = sim.answers(&agents[0], &newer).unwrap();
    sim.receives(&by_both);
    sim.reports(&answer, domain::message::DeliveryState::Read);
    assert_eq!(sim.delivery(&answer), domain::message::DeliveryState::Read);
    let told = sim.shown(&agents[0], &newer).len();
    let reaction =
        domain::inbound::Annotated::Reaction { message: format!("SM{answer}"), emoji: Some(domain::inbound::ReactionEmoji("👍".into())) };
    let event = sim.annotation(1, reaction);
    assert!(sim.annotated(&event).is_some());
    assert_eq!(sim.shown(&agents[0], &newer).len(), told + 1, "the agent of the older one is told");
}

#[test]
fn the_window_of_the_newer_one_goes_on_with_the_older() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let older = sim.writes(1);
    sim.accept(&agents[0], &older).unwrap();
    sim.wait(20 * 3600);
    let by_user_id = sim.event_from(bsuid(1), None);
    sim.receives(&by_user_id);
    let moved = sim.annotation(1, domain::inbound::Annotated::Moved { to: bsuid(1), body: "new id".into() });
    sim.annotated(&moved);
    check_one(&sim, 3);
    sim.wait(5 * 3600);
    sim.answers(&agents[0], &older).unwrap();
}

#[test]
fn three_contacts_become_one_in_any_order() {
    let pairs = [(phone(1), bsuid(1)), (phone(2), bsuid(1))];
    for order in [[0, 1], [1, 0]] {
        let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
        for address in [phone(2), bsuid(1), phone(1)] {
            let event = sim.event_from(address, None);
            sim.receives(&event);
            sim.wait(1);
        }
        assert_eq!(open(&sim).len(), 3);
        for index in order {
            let (from, alias) = pairs[index].clone();
            let event = sim.event_from(from, Some(alias));
            sim.receives(&event);
        }
        let [interaction] = open(&sim).try_into().unwrap();
        assert_eq!(thread(&interaction).len(), 3);
        let contacts: Vec<ContactId> = sim.memory.contacts().into_iter().map(|contact| contact.id).collect();
        let person = Identity { owner: contacts[0].clone(), linked: contacts[1..].iter().cloned().collect() };
        for address in [phone(1), phone(2), bsuid(1)] {
            assert_eq!(sim.person(&address), Some(person.clone()), "{order:?}");
        }
    }
}

#[test]
fn a_customer_has_the_name_of_the_contact() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    let mut called = Vec::new();
    for profile in [Some("Zoë"), None, Some("Z. ☀")] {
        let mut event = sim.event(1);
        if let InboundKind::Message(message) = &mut event.kind {
            message.profile_name = profile.map(|name| ProfileName(name.to_owned()));
        }
        let interaction = sim.receives(&event);
        called.push(sim.interaction(&interaction).customer_name.unwrap().0);
        sim.accept(&agents[0], &interaction).unwrap();
        sim.close(&agents[0], &interaction).unwrap();
    }
    assert_eq!(called, ["Zoë", "Zoë", "Zoë"]);
}
