//! One customer under several addresses.

use domain::contact::{Contact, Cut, Identity, NamedBy, Place, Tied};
use domain::decide::MERGED;
use domain::effect::Notice;
use domain::ids::{AccountId, ContactId, InteractionId};
use domain::inbound::{Annotated, InboundEvent, InboundKind, ProfileName};
use domain::interaction::{Interaction, Stage};
use domain::message::Author;
use domain::queue::Strategy;
use domain::values::Address;
use engine::errands::Job as Body;
use engine::memory::Fault;
use engine::ports::{Committed, Store, World};
use engine::stream::Owner;
use std::task::{Context, Waker};

use crate::driver::{Command, Job, Sim, phone, run, start};

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
fn a_status_in_the_middle_of_a_merge_reaches_the_living_interactions_agent() {
    for step in 0..4 {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
        let [by_phone, by_user_id, by_both] = three(&mut sim);
        let older = sim.receives(&by_phone);
        sim.accept(&agents[0], &older).unwrap();
        sim.wait(1);
        let newer = sim.receives(&by_user_id);
        sim.accept(&agents[1], &newer).unwrap();
        let answer = sim.answers(&agents[1], &newer).unwrap();
        let told = [0, 1].map(|agent| sim.shown(&agents[agent], &newer).len());
        // The report's process stops after some calls, the interactions are merged, and it goes on.
        let report = sim.report(&answer, domain::message::DeliveryState::Read);
        let mut routed = start(&sim.engine, &sim.provider, Job::route(&report));
        let mut done = false;
        for _ in 0..step {
            done = done || routed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        }
        sim.memory.receive(&by_both);
        let jobs: Vec<_> = sim.memory.take_effects();
        let merging = jobs.iter().flat_map(|grown| grown.errands(None).unwrap()).find(|errand| matches!(errand.job, Body::Route(_)));
        run(start(&sim.engine, &sim.provider, Job::queued(merging.unwrap())));
        let person = sim.person(&phone(1)).unwrap();
        run(sim.engine.unify(&person.owner, None)).unwrap();
        assert_eq!(sim.interaction(&newer).merged_into.unwrap().interaction, older);
        if !done {
            run(routed);
        }
        // What the stream shows of the message now.
        let shown = jobs.into_iter().chain(sim.memory.take_effects());
        let states = shown.filter(|grown| matches!(&grown.item, Owner::Message { message, .. } if message.id == answer));
        let pushes: Vec<_> = states.flat_map(|grown| grown.errands(None).unwrap()).collect();
        pushes.into_iter().for_each(|errand| sim.enqueue(errand));
        assert_eq!(sim.delivery(&answer), domain::message::DeliveryState::Read);
        let now = [0, 1].map(|agent| sim.shown(&agents[agent], &newer).len());
        assert_eq!(now, [told[0] + 1, told[1]], "after {step} calls");
    }
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
    assert_eq!(called, ["Zoë", "Zoë", "Z. ☀"], "it follows the profile");
}

// Proof and businesses.

/// The same event at another account, with or without proof.
fn at(mut event: InboundEvent, account: &AccountId, proven: bool) -> InboundEvent {
    (event.account, event.proven) = (account.clone(), Some(proven));
    event
}

/// The lines of the system in the threads.
fn lines(sim: &Sim) -> Vec<String> {
    let messages = sim.memory.messages().into_iter().filter(|(_, message)| message.author == Author::System && message.delivery.is_none());
    messages.map(|(_, message)| message.content.readable()).collect()
}

fn one(sim: &Sim, account: &AccountId, addresses: [Address; 2]) -> bool {
    let [first, second] = addresses.map(|address| sim.person_at(account, &address));
    first.is_some() && first == second
}

#[test]
fn a_link_holds_for_the_business_whose_request_proved_it_and_an_unproven_one_is_a_line() {
    for proven in [true, false] {
        for mover in ["own", "foreign"] {
            let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
            let own = sim.account.clone();
            let other = sim.another(2, mover);
            for account in [&own, &other] {
                for address in [phone(1), phone(2)] {
                    let event = sim.event_from(address, None);
                    sim.receives(&at(event, account, true));
                }
            }
            let moved = sim.annotation(1, Annotated::Moved { to: phone(2), body: "User changed number".into() });
            sim.annotated(&at(moved, &other, proven));
            assert_eq!(one(&sim, &other, [phone(1), phone(2)]), proven, "{mover}");
            assert_eq!(one(&sim, &own, [phone(1), phone(2)]), proven && mover == "own", "{mover}");
            let open_there = open(&sim).into_iter().filter(|open| open.account == own).count();
            assert_eq!(open_there, if proven && mover == "own" { 1 } else { 2 });
            let unproven = lines(&sim).into_iter().filter(|line| line.starts_with("Without proof of origin")).count();
            assert_eq!((lines(&sim).len(), unproven), (1, usize::from(!proven)));
        }
    }
}

/// Issue 11, 4.1: a request to an account without a guard names a victim of another account and the attacker.
#[test]
fn an_unguarded_account_re_points_nobody() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let signed = sim.account.clone();
    let unguarded = sim.another(2, "foreign");
    let (victim, attacker) = (phone(1), phone(666));
    let first = sim.writes(1);
    sim.accept(&agents[0], &first).unwrap();
    // The victim also wrote to the unguarded account once, so that there is a thread for the line.
    let event = sim.event_from(victim.clone(), None);
    sim.receives(&at(event, &unguarded, false));
    let before = (sim.memory.contacts(), sim.interaction(&first), lines(&sim).len());
    for what in [
        Annotated::Moved { to: attacker.clone(), body: "User changed number".into() },
        Annotated::Moved { to: bsuid(666), body: "User changed id".into() },
    ] {
        let event = sim.annotation(1, what);
        sim.annotated(&at(event, &unguarded, false));
    }
    assert_eq!((sim.memory.contacts(), sim.interaction(&first), lines(&sim).len()), (before.0, before.1, before.2 + 2));
    // The attacker writes to the signed account and is a stranger there, and the victim is answered as before.
    let strange = sim.event_from(attacker.clone(), None);
    let second = sim.receives(&at(strange, &signed, true));
    assert_ne!((&sim.interaction(&first).contact, &first), (&sim.interaction(&second).contact, &second));
    let event = sim.event_from(victim.clone(), None);
    assert_eq!(sim.receives(&event), first);
    let answer = sim.answers(&agents[0], &first).unwrap();
    assert_eq!(sim.message(&answer).1.to, Some(victim));
    assert!(sim.memory.contacts().iter().all(|contact| contact.ties.is_empty()));
}

#[test]
fn an_unproven_first_message_claims_no_second_address_and_no_name() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let account = sim.account.clone();
    for _ in 0..3 {
        let mut event = sim.event_from(phone(1), Some(bsuid(1)));
        if let InboundKind::Message(message) = &mut event.kind {
            message.profile_name = Some(ProfileName("Zoë".into()));
        }
        sim.receives(&at(event, &account, false));
    }
    assert_eq!((sim.person(&bsuid(1)), sim.memory.contacts()[0].name.clone()), (None, None));
    assert_eq!(open(&sim)[0].customer_name, None);
    // The thread tells it once.
    assert_eq!(
        lines(&sim),
        ["Without proof of origin: a request says that this customer is also IT.1 and is called Zoë. Nothing was changed."]
    );
    // An event of the version before claims nothing, and the thread says nothing about it.
    let mut event = sim.event_from(phone(2), Some(bsuid(2)));
    event.proven = None;
    sim.receives(&event);
    assert_eq!((sim.person(&bsuid(2)), lines(&sim).len()), (None, 1));
}

#[test]
fn a_user_id_is_another_customer_at_another_business() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let (own, sister, foreign) = (sim.account.clone(), sim.another(2, "own"), sim.another(3, "foreign"));
    for account in [&own, &sister, &foreign] {
        let event = sim.event_from(bsuid(1), None);
        sim.receives(&at(event, account, true));
    }
    let contact = |account: &AccountId| open(&sim).into_iter().find(|open| open.account == *account).unwrap().contact;
    assert_eq!(contact(&own), contact(&sister));
    assert_ne!(contact(&own), contact(&foreign));
}

#[test]
fn a_user_id_of_the_version_before_is_its_customer_where_the_customer_used_it() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let foreign = sim.another(3, "foreign");
    let first = sim.event_from(phone(1), None);
    let interaction = sim.receives(&first);
    let mut contact = sim.memory.contacts().remove(0);
    contact.addresses.push(bsuid(1));
    let person = Identity::one(contact.id.clone());
    sim.memory.before([contact.clone()], [(Place::before(&bsuid(1)), person.clone())]);
    let event = sim.event_from(bsuid(1), None);
    assert_eq!(sim.receives(&event), interaction);
    assert_eq!(sim.person(&bsuid(1)), Some(person));
    let event = sim.event_from(bsuid(1), None);
    let stranger = sim.receives(&at(event, &foreign, true));
    assert_ne!(sim.interaction(&stranger).contact, contact.id);
}

#[test]
fn links_of_the_version_before_stay_everywhere() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let foreign = sim.another(3, "foreign");
    let ids = [sim.world.ulid(), sim.world.ulid()].map(ContactId::from_ulid);
    let contact = |number: usize| Contact::known_by(ids[number].clone(), sim.world.now(), [Place::before(&phone(number as u32))]);
    let older = Contact { linked: [ids[1].clone()].into(), ..contact(0) };
    let newer = Contact { linked_to: Some(ids[0].clone()), ..contact(1) };
    let person = Identity { owner: ids[0].clone(), linked: [ids[1].clone()].into() };
    sim.memory.before([older, newer], [0, 1].map(|number| (Place::before(&phone(number)), person.clone())));
    for account in [&sim.account.clone(), &foreign] {
        for number in [0, 1] {
            let event = sim.event_from(phone(number), None);
            sim.receives(&at(event, account, true));
        }
    }
    assert_eq!(open(&sim).len(), 2, "one for each account");
    // A new link joins them for its business only.
    let event = sim.event_from(phone(1), Some(bsuid(1)));
    sim.receives(&event);
    let event = sim.event_from(phone(7), Some(bsuid(1)));
    sim.receives(&event);
    assert!(one(&sim, &sim.account, [phone(0), phone(7)]) && sim.person_at(&foreign, &phone(7)).unwrap().linked.is_empty());
}

// Which address is answered.

#[test]
fn an_answer_goes_to_the_address_that_wrote_last_when_it_was_sent() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event_from(phone(1), Some(bsuid(1)));
    let interaction = sim.receives(&event);
    sim.accept(&agents[0], &interaction).unwrap();
    let first = sim.answers(&agents[0], &interaction).unwrap();
    assert_eq!(sim.interaction(&interaction).address_changed_at, None);
    sim.wait(10);
    let told = sim.shown(&agents[0], &interaction).iter().filter(|notice| **notice == Notice::INTERACTION).count();
    let event = sim.event_from(bsuid(1), None);
    sim.receives(&event);
    let second = sim.answers(&agents[0], &interaction).unwrap();
    assert_eq!([first, second].map(|id| sim.message(&id).1.to.unwrap()), [phone(1), bsuid(1)]);
    let shown = sim.shown(&agents[0], &interaction).iter().filter(|notice| **notice == Notice::INTERACTION).count();
    assert_eq!((sim.interaction(&interaction).address_changed_at, shown), (Some(sim.world.now()), told + 1), "its agent sees it");
    // What the customer wrote before comes late and turns nothing back.
    let mut late = sim.event_from(phone(1), None);
    if let InboundKind::Message(message) = &mut late.kind {
        message.sent_at = Some(sim.world.now() - jiff::SignedDuration::from_secs(5));
    }
    sim.receives(&late);
    assert_eq!(sim.interaction(&interaction).address, bsuid(1));
    let from: Vec<_> = sim.memory.messages().into_iter().filter_map(|(_, message)| message.from).collect();
    assert_eq!(from.len(), 3);
}

#[test]
fn the_status_or_the_answer_of_another_spelling_is_the_customer_we_wrote_to() {
    for status_first in [true, false] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
        let written = sim.starts(&agents[0], 1).unwrap();
        let (_, message) = sim.memory.messages().into_iter().next().unwrap();
        if status_first {
            let mut report = sim.report(&message.id, domain::message::DeliveryState::Delivered);
            if let InboundKind::Status(status) = &mut report.kind {
                status.recipients = vec![phone(2)];
            }
            sim.memory.receive(&report);
            sim.settle();
        }
        let mut answer = sim.event_from(phone(2), None);
        if let (InboundKind::Message(inbound), false) = (&mut answer.kind, status_first) {
            inbound.reply_to = message.provider_id.clone();
        }
        assert_eq!(sim.receives(&answer), written.id, "{status_first}");
        let now = sim.interaction(&written.id);
        assert_eq!((now.agent, now.address, open(&sim).len()), (Some(agents[0].clone()), phone(2), 1));
        let (_, received) = sim.memory.messages().into_iter().find(|(_, message)| message.author == Author::Customer).unwrap();
        assert_eq!(received.answers, (!status_first).then_some(message.id));
    }
}

#[test]
fn an_answer_that_comes_before_the_link_ends_in_the_same_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let written = sim.starts(&agents[0], 1).unwrap();
    let (_, message) = sim.memory.messages().into_iter().next().unwrap();
    let answer = sim.event_from(phone(2), None);
    assert_ne!(sim.receives(&answer), written.id);
    let mut report = sim.report(&message.id, domain::message::DeliveryState::Read);
    if let InboundKind::Status(status) = &mut report.kind {
        status.recipients = vec![phone(2)];
    }
    sim.memory.receive(&report);
    sim.settle();
    let [left] = open(&sim).try_into().unwrap();
    assert_eq!((left.id, left.agent, left.address), (written.id, Some(agents[0].clone()), phone(2)));
}

#[test]
fn an_unproven_answer_from_elsewhere_is_a_stranger_and_points_nowhere() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let written = sim.starts(&agents[0], 1).unwrap();
    let (_, message) = sim.memory.messages().into_iter().next().unwrap();
    let mut answer = sim.event_from(phone(2), None);
    if let InboundKind::Message(inbound) = &mut answer.kind {
        inbound.reply_to = message.provider_id.clone();
    }
    let account = sim.account.clone();
    let stranger = sim.receives(&at(answer, &account, false));
    assert_ne!(stranger, written.id);
    let (_, received) = sim.memory.messages().into_iter().find(|(_, message)| message.author == Author::Customer).unwrap();
    assert_eq!((received.answers, sim.interaction(&written.id).address, lines(&sim).len()), (None, phone(1), 1));
}

#[test]
fn a_changed_user_id_without_a_sender_is_one_customer_whenever_it_comes() {
    for order in ORDERS {
        let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
        let known = sim.event_from(phone(1), Some(bsuid(1)));
        let mut moved = sim.annotation(1, Annotated::Moved { to: bsuid(2), body: "User changed id".into() });
        if let InboundKind::Annotation(annotation) = &mut moved.kind {
            annotation.from = bsuid(1);
        }
        let last = sim.event_from(bsuid(2), None);
        let events = [known, moved, last];
        for index in order {
            sim.memory.receive(&events[index]);
            sim.settle();
        }
        // A change of two addresses that nobody knew yet comes again.
        sim.wait(60);
        let [left] = open(&sim).try_into().unwrap();
        assert!(sim.memory.messages().iter().all(|(_, message)| thread(&left).contains(&message.interaction)));
        assert!(one(&sim, &sim.account, [bsuid(1), bsuid(2)]) && one(&sim, &sim.account, [phone(1), bsuid(2)]), "{order:?}");
        assert_eq!(lines(&sim).len(), 1, "{order:?}");
    }
}

// Unlinking.

/// Separates two contacts as a supervisor does.
fn unlink(sim: &mut Sim, contact: &ContactId, from: &Tied) {
    let people = run(sim.engine.people([contact.clone()].into())).unwrap();
    let cut = Cut { by: "agt_1".into(), at: sim.world.now() };
    let link = people.part(contact, from, &cut, ContactId::from_ulid(sim.world.ulid())).unwrap();
    assert_eq!(run(sim.memory.link(&link)).unwrap(), Committed::Done);
    sim.settle();
}

#[test]
fn unlinking_restores_separation_and_the_pair_is_never_linked_again_by_itself() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 2);
    let first = sim.writes(1);
    sim.accept(&agents[0], &first).unwrap();
    sim.wait(1);
    let second = sim.writes(2);
    sim.wait(1);
    let moved = || Annotated::Moved { to: phone(2), body: "User changed number".into() };
    let event = sim.annotation(1, moved());
    sim.annotated(&event);
    let [merged] = open(&sim).try_into().unwrap();
    assert_eq!((&merged.id, &merged.address), (&first, &phone(2)));

    let contacts = sim.memory.contacts();
    let other = Tied::Contact { contact: contacts[1].id.clone() };
    unlink(&mut sim, &contacts[0].id, &other);
    // The thread stays merged, and its answers go to its own customer again.
    let now = sim.interaction(&first);
    assert_eq!((&now.address, thread(&now).len()), (&phone(1), 2));
    let answer = sim.answers(&agents[0], &first).unwrap();
    assert_eq!(sim.message(&answer).1.to, Some(phone(1)));
    let third = sim.writes(2);
    assert!(third != first && third != second);
    assert_eq!(sim.writes(1), first);
    let event = sim.annotation(1, moved());
    sim.annotated(&event);
    assert!(!one(&sim, &sim.account, [phone(1), phone(2)]));
    assert_eq!((open(&sim).len(), sim.interaction(&first).address), (2, phone(1)));
}

#[test]
fn a_closed_interaction_whose_address_is_somebody_elses_is_reopened_with_an_own_one() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event_from(phone(1), Some(bsuid(1)));
    let interaction = sim.receives(&event);
    sim.wait(1);
    let event = sim.event_from(bsuid(1), None);
    sim.receives(&event);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
    let contact = sim.memory.contacts().remove(0);
    let place = contact.places().last().unwrap();
    unlink(&mut sim, &contact.id, &Tied::Address { place });
    assert_ne!(sim.person(&phone(1)), sim.person(&bsuid(1)));
    let reopened = sim.command(&agents[0], Command::Reopen(interaction)).unwrap();
    assert_eq!(reopened.address, phone(1));
}

// Names.

/// A message of customer 1 with a profile.
fn named(sim: &mut Sim, name: &str) -> InboundEvent {
    let mut event = sim.event(1);
    if let InboundKind::Message(message) = &mut event.kind {
        message.profile_name = Some(ProfileName(name.to_owned()));
    }
    event
}

#[test]
fn an_empty_name_is_filled_at_once_and_follows_the_profile_until_a_person_edits_it() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let seen = |sim: &Sim| sim.shown(&agents[0], &interaction).iter().filter(|notice| **notice == Notice::INTERACTION).count();
    let called = |sim: &Sim| (sim.interaction(&interaction).customer_name, sim.memory.contacts()[0].name.clone());
    for name in ["Zoë", "Z. ☀"] {
        let told = seen(&sim);
        let event = named(&mut sim, name);
        sim.receives(&event);
        assert_eq!(called(&sim), (Some(ProfileName(name.into())), Some(ProfileName(name.into()))));
        assert_eq!(seen(&sim), told + 1, "its agent sees it");
        let event = named(&mut sim, name);
        sim.receives(&event);
        assert_eq!(seen(&sim), told + 1, "the same name is no news");
    }
    // A person edits it.
    let contact = sim.memory.contacts().remove(0);
    let chosen = Some(ProfileName("Zoë Rossi".into()));
    sim.memory.before([Contact { name: chosen.clone(), named_by: Some(NamedBy::Person), version: contact.version + 1, ..contact }], []);
    let event = named(&mut sim, "Zoé");
    sim.receives(&event);
    assert_eq!(called(&sim), (chosen.clone(), chosen.clone()));
    let version = sim.memory.contacts()[0].version;
    let event = named(&mut sim, "Another");
    sim.receives(&event);
    assert_eq!((called(&sim), sim.memory.contacts()[0].version), ((chosen.clone(), chosen), version));
}

#[test]
fn a_name_of_the_version_before_stays_and_an_old_profile_changes_nothing() {
    let (mut sim, ..) = Sim::desk(Strategy::Beepall, 1);
    let contact = Contact {
        name: Some(ProfileName("Zoë".into())),
        ..Contact::known_by(ContactId::from_ulid(sim.world.ulid()), sim.world.now(), [Place::before(&phone(1))])
    };
    sim.memory.before([contact.clone()], [(Place::before(&phone(1)), Identity::one(contact.id))]);
    let event = named(&mut sim, "Another");
    let interaction = sim.receives(&event);
    assert_eq!(sim.interaction(&interaction).customer_name, Some(ProfileName("Zoë".into())));
    let mut event = named(&mut sim, "Z.");
    if let InboundKind::Message(message) = &mut event.kind {
        (message.from, message.sent_at) = (phone(2), None);
    }
    let fresh = sim.receives(&event);
    sim.wait(10);
    let mut late = named(&mut sim, "Old");
    if let InboundKind::Message(message) = &mut late.kind {
        (message.from, message.sent_at) = (phone(2), Some(sim.world.now() - jiff::SignedDuration::from_secs(60)));
    }
    sim.receives(&late);
    assert_eq!(sim.interaction(&fresh).customer_name, Some(ProfileName("Z.".into())));
}
