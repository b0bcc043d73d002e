//! Notes, tags, AI agents, dispositions that are owed, whitelists, and agents who write first.

use domain::agent::{PresenceState, PresenceWord};
use domain::contact::Contact;
use domain::decide::{BLOCKED, NOT_WHITELISTED, Refusal};
use domain::effect::{Effect, Notice, Target};
use domain::history::Fact;
use domain::ids::{AiAgentId, InteractionId, MessageId};
use domain::interaction::Status;
use domain::language::Language;
use domain::message::{Author, DeliveryState};
use domain::queue::Strategy;
use domain::tag::Tag;
use engine::ports::World;
use engine::stream::Owner;
use ulid::Ulid;

use crate::driver::{Command, Sim, agent_step, phone};

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| Tag::parse(name).unwrap()).collect()
}

fn close_with(interaction: &InteractionId, disposition: &str) -> Command {
    Command::Close(interaction.clone(), Some(disposition.to_owned()))
}

#[test]
fn from_the_request_to_close_until_it_is_disposed_the_agent_is_on_the_configured_pause() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    sim.mandatory_disposition();
    let (anna, bruno) = (&agents[0], &agents[1]);
    let first = sim.writes(1);
    sim.accept(anna, &first).unwrap();
    // The next one rings at Bruno, the one after at Anna: whatever rings there moves on.
    let (second, third) = (sim.writes(2), sim.writes(3));
    assert_eq!((sim.rings_at(&second), sim.rings_at(&third)), (vec![bruno.clone()], vec![anna.clone()]));
    let asked = sim.close(anna, &first).unwrap();
    assert_eq!(asked.status, Status::Open);
    assert_eq!(sim.presence(anna).unwrap().state(), PresenceState::Paused { reason: "After-call work".into() });
    assert_eq!(sim.rings_at(&third), vec![bruno.clone()]);
    assert!(sim.is_told_of_presence(anna, PresenceWord::Paused));
    // Neither a second request nor a choice of the agent changes that; nothing new rings there.
    assert_eq!(sim.close(anna, &first), Err(Refusal::NothingToDo));
    sim.ready(anna);
    sim.pause(bruno);
    assert_eq!(sim.rings_at(&third), []);
    let closed = sim.command(anna, close_with(&first, "Sold")).unwrap();
    assert_eq!((closed.status, closed.disposition.as_deref()), (Status::Closed, Some("Sold")));
    assert_eq!(sim.presence(anna).unwrap().state(), PresenceState::Ready);
    assert!(sim.is_told_of_presence(anna, PresenceWord::Ready));
    // What waits is offered at once.
    assert!(sim.rings_at(&second) == [anna.clone()] || sim.rings_at(&third) == [anna.clone()]);
}

#[test]
fn afterwards_the_agent_is_in_the_previous_presence_again() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    sim.mandatory_disposition();
    let anna = &agents[0];
    let interactions = [sim.writes(1), sim.writes(2)];
    for interaction in &interactions {
        sim.accept(anna, interaction).unwrap();
    }
    sim.pause(anna);
    for interaction in &interactions {
        sim.close(anna, interaction).unwrap();
    }
    sim.command(anna, close_with(&interactions[0], "Sold")).unwrap();
    assert_eq!(sim.presence(anna).unwrap().state(), PresenceState::Paused { reason: "After-call work".into() }, "one is still owed");
    sim.command(anna, close_with(&interactions[1], "Sold")).unwrap();
    assert_eq!(sim.presence(anna).unwrap().state(), PresenceState::Paused { reason: "lunch".into() });
}

#[test]
fn a_disposition_is_owed_no_more_once_the_agent_goes_on_or_somebody_else_has_it() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    sim.mandatory_disposition();
    let (anna, bruno) = (&agents[0], &agents[1]);
    let interaction = sim.writes(1);
    sim.accept(anna, &interaction).unwrap();
    let owes = |sim: &Sim| !sim.presence(anna).unwrap().wrapping_up.is_empty();
    sim.close(anna, &interaction).unwrap();
    sim.answers(anna, &interaction).unwrap();
    assert!(!owes(&sim) && sim.facts(&interaction).contains(&Fact::CloseForgotten { agent: anna.clone() }));
    sim.close(anna, &interaction).unwrap();
    sim.command(bruno, Command::Reassign(interaction.clone(), bruno.clone())).unwrap();
    assert!(!owes(&sim));
    sim.accept(bruno, &interaction).unwrap();
    sim.close(bruno, &interaction).unwrap();
    sim.command(bruno, Command::Transfer(interaction.clone(), Target::Agent(anna.clone()))).unwrap();
    assert!(sim.presence(bruno).unwrap().is_ready());
    // Closes by the system are exempt.
    sim.accept(anna, &interaction).unwrap();
    sim.inactivity_timeout(1);
    sim.answers(anna, &interaction).unwrap();
    sim.close(anna, &interaction).unwrap();
    sim.wait(60);
    assert_eq!(sim.interaction(&interaction).status, Status::Closed);
    assert!(!owes(&sim) && sim.presence(anna).unwrap().is_ready());
}

#[test]
fn the_dispositions_of_all_accounts_may_be_chosen_beside_the_accounts_own() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    sim.directory.change(|config| config.dispositions = vec!["Complaint/Delivery".into()]);
    let anna = &agents[0];
    let mut close = |disposition: &str| {
        let interaction = sim.writes(1);
        if sim.interaction(&interaction).agent.is_none() {
            sim.accept(anna, &interaction).unwrap();
        }
        sim.command(anna, close_with(&interaction, disposition)).map(|closed| closed.disposition)
    };
    assert_eq!(close("Sold"), Err(Refusal::UnknownDisposition));
    assert_eq!(close("Complaint"), Err(Refusal::UnknownDisposition), "not a level alone");
    assert_eq!(close("Complaint/Delivery"), Ok(Some("Complaint/Delivery".into())));
}

#[test]
fn a_note_is_in_the_thread_and_goes_to_colleagues_only() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let (anna, bruno) = (&agents[0], &agents[1]);
    let interaction = sim.writes(1);
    sim.accept(anna, &interaction).unwrap();
    sim.inactivity_timeout(1);
    let before = sim.interaction(&interaction);
    let id = MessageId::from_ulid(sim.world.ulid());
    sim.command(bruno, Command::Note(interaction.clone(), id.clone())).unwrap();
    let (_, note) = sim.message(&id);
    assert_eq!((&note.author, note.content.kind(), &note.delivery), (&Author::Agent { agent: bruno.clone() }, "note", &None));
    assert!(sim.provider.lock().unwrap().calls.is_empty());
    assert_eq!(sim.shown(anna, &interaction).last(), Some(&Notice::Message));
    assert_eq!(sim.shown(bruno, &interaction).last(), Some(&Notice::Message));
    let after = sim.interaction(&interaction);
    // It neither answers the customer nor begins the time of inactivity.
    let of = |interaction: &domain::interaction::Interaction| {
        (interaction.unanswered_since, interaction.last_message.clone(), interaction.inactivity.clone(), interaction.unread)
    };
    assert_eq!(of(&before), of(&after));
    // What is closed gets one too, and its log is written again.
    sim.close(anna, &interaction).unwrap();
    let archived = sim.archived.len();
    sim.command(bruno, Command::Note(interaction.clone(), MessageId::from_ulid(sim.world.ulid()))).unwrap();
    assert_eq!(sim.archived.len(), archived + 1);
}

#[test]
fn tags_are_put_on_and_taken_off_at_most_twenty() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    let anna = &agents[0];
    let interaction = sim.writes(1);
    sim.accept(anna, &interaction).unwrap();
    let mut tag = |add: &[&str], remove: &[&str]| {
        let command = Command::Tag(interaction.clone(), tags(add), tags(remove));
        sim.command(anna, command).map(|interaction| interaction.tags)
    };
    assert_eq!(tag(&["vip", "late", "vip"], &[]), Ok(tags(&["vip", "late"])));
    assert_eq!(tag(&["vip"], &["unknown"]), Err(Refusal::NothingToDo));
    assert_eq!(tag(&["new"], &["vip"]), Ok(tags(&["late", "new"])));
    let many: Vec<String> = (0..19).map(|number| format!("tag {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(tag(&many, &[]), Err(Refusal::TooManyTags));
    assert!(tag(&many[1..], &[]).is_ok());
}

#[test]
fn an_ai_agent_answers_from_an_explicit_on_until_a_person_accepts() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let (anna, bruno) = (&agents[0], &agents[1]);
    let interaction = sim.writes(1);
    sim.accept(anna, &interaction).unwrap();
    let switch = |on| Command::Ai(interaction.clone(), on);
    assert_eq!(sim.command(anna, switch(true)), Err(Refusal::NoAiAgent));
    let ai = AiAgentId::from_ulid(Ulid::from_parts(1, 1));
    sim.change_account(|account| account.answering_ai_agent = Some(ai.clone()));
    assert!(matches!(sim.command(bruno, switch(true)), Err(Refusal::NotYours { .. })));
    assert_eq!(sim.command(anna, switch(true)).unwrap().ai, Some(ai.clone()));
    assert_eq!(sim.command(anna, switch(true)), Err(Refusal::NothingToDo));
    assert_eq!(sim.command(anna, switch(false)).unwrap().ai, None);
    sim.command(anna, switch(true)).unwrap();
    sim.command(anna, Command::Transfer(interaction.clone(), Target::Agent(bruno.clone()))).unwrap();
    assert_eq!(sim.accept(bruno, &interaction).unwrap().ai, None);
}

#[test]
fn the_language_is_the_one_detected_last_until_its_agent_chooses_one() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let (anna, bruno) = (&agents[0], &agents[1]);
    let interaction = sim.writes(1);
    sim.accept(anna, &interaction).unwrap();
    let [pt, it] = ["pt", "it"].map(|code| Language::parse(code).unwrap());
    let detected = |language: &Language| Command::Detected(interaction.clone(), language.clone());
    let chosen = |language: Option<&Language>| Command::Language(interaction.clone(), language.cloned());
    assert_eq!(sim.command(anna, detected(&pt)).unwrap().language, Some(pt.clone()));
    assert_eq!(sim.command(anna, detected(&pt)), Err(Refusal::NothingToDo));
    assert_eq!(sim.command(anna, detected(&it)).unwrap().language, Some(it.clone()));
    assert!(matches!(sim.command(bruno, chosen(Some(&pt))), Err(Refusal::NotYours { .. })));
    // The same language, but from now on it stays.
    sim.command(anna, chosen(Some(&it))).unwrap();
    assert_eq!(sim.command(anna, detected(&pt)), Err(Refusal::NothingToDo));
    assert_eq!(sim.command(anna, chosen(Some(&it))), Err(Refusal::NothingToDo));
    assert_eq!(sim.command(anna, chosen(None)).unwrap().language, None);
    assert_eq!(sim.command(anna, detected(&pt)).unwrap().language, Some(pt));
    sim.close(anna, &interaction).unwrap();
    assert_eq!(sim.command(anna, detected(&it)), Err(Refusal::Closed));
    assert_eq!(sim.facts(&interaction).iter().filter(|fact| matches!(fact, Fact::LanguageChosen { .. })).count(), 2);
}

#[test]
fn who_is_on_none_of_the_chosen_lists_gets_the_reply_and_is_put_on_none() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    let known = sim.writes(1);
    sim.accept(&agents[0], &known).unwrap();
    sim.close(&agents[0], &known).unwrap();
    sim.whitelist(true);
    let refused = sim.writes(2);
    let closed = sim.interaction(&refused);
    assert_eq!((closed.status, closed.disposition.as_deref(), &closed.agent), (Status::Closed, Some(NOT_WHITELISTED), &None));
    assert!(sim.facts(&refused).contains(&Fact::NotWhitelisted));
    let thread: Vec<_> = sim.memory.messages().into_iter().filter(|(_, message)| message.interaction == refused).collect();
    assert_eq!(thread.iter().map(|(_, message)| message.content.readable()).collect::<Vec<_>>()[1], "We do not know +39000000002.");
    assert_eq!(sim.delivery(&thread[1].1.id), DeliveryState::Accepted);
    let contact = sim.memory.contacts().into_iter().find(|contact| contact.id == closed.contact).unwrap();
    assert!(contact.lists.is_empty());
    assert!(sim.seen.values().flatten().all(|seen| seen.interaction.as_ref() != Some(&refused)), "it rang");
    // The same customer again: another one. A customer of the list, and with the whitelist off everybody, is served.
    assert_ne!(sim.writes(2), refused);
    let served = sim.writes(1);
    assert!(sim.interaction(&served).is_open());
    sim.whitelist(false);
    let served = sim.writes(2);
    assert!(sim.interaction(&served).is_open());
    // As with anybody who is served for the first time, the contact is saved on the account's list.
    let contact = |id| sim.memory.contacts().into_iter().find(|contact| contact.id == id).unwrap();
    let (of_known, contact) = (contact(sim.interaction(&known).contact), contact(closed.contact));
    assert!(!of_known.lists.is_empty());
    assert_eq!((contact.lists, contact.version), (of_known.lists, 2));
    // What is open goes on whatever the lists say.
    sim.whitelist(true);
    assert_eq!(sim.writes(2), served);
}

#[test]
fn what_a_blocked_customer_writes_is_kept_rings_nowhere_and_gets_no_reply() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
    let known = sim.writes(1);
    let contact = sim.memory.contacts().into_iter().find(|contact| contact.id == sim.interaction(&known).contact).unwrap();
    let is = |blocked| [Contact { blocked, version: contact.version + 1 + u64::from(!blocked), ..contact.clone() }];
    sim.memory.before(is(true), []);
    // What is open goes on.
    assert_eq!(sim.writes(1), known);
    sim.accept(&agents[0], &known).unwrap();
    sim.close(&agents[0], &known).unwrap();
    // A whitelist has a reply, which a blocked customer does not get either.
    sim.whitelist(true);
    let kept = sim.writes(1);
    let closed = sim.interaction(&kept);
    assert_eq!((closed.status, closed.disposition.as_deref(), &closed.agent), (Status::Closed, Some(BLOCKED), &None));
    assert!(sim.facts(&kept).contains(&Fact::Blocked));
    assert_eq!(sim.memory.messages().into_iter().filter(|(_, message)| message.interaction == kept).count(), 1, "the customer's alone");
    assert!(sim.seen.values().flatten().all(|seen| seen.interaction.as_ref() != Some(&kept)), "it rang");
    sim.ready(&agents[0]);
    assert_eq!(sim.starts(&agents[0], 1), Err(Refusal::CustomerBlocked));
    sim.memory.before(is(false), []);
    let served = sim.writes(1);
    assert!(sim.interaction(&served).is_open());
}

#[test]
fn an_agent_writes_first_and_has_the_conversation() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let (anna, bruno) = (&agents[0], &agents[1]);
    sim.pause(anna);
    let started = sim.starts(anna, 7).unwrap();
    assert_eq!((started.agent.as_ref(), started.tab_open, started.unread), (Some(anna), true, false));
    assert!(sim.presence(anna).unwrap().load.contains(&started.id));
    let sent = sim.memory.messages().into_iter().find(|(_, message)| message.interaction == started.id).unwrap().1;
    assert_eq!((sent.content.kind(), sim.delivery(&sent.id)), ("template", DeliveryState::Accepted));
    // The answer comes to the open tab; free text may be sent from then on.
    assert_eq!(sim.answers(anna, &started.id), Err(Refusal::WindowExpired));
    // Until then there is nothing to hand over.
    let hand_over = || Command::Transfer(started.id.clone(), Target::Agent(bruno.clone()));
    assert_eq!(sim.command(anna, hand_over()).unwrap_err(), Refusal::NothingFromCustomer);
    assert_eq!(sim.writes(7), started.id);
    assert!(sim.stage(&started.id).is_none());
    sim.answers(anna, &started.id).unwrap();
    sim.command(anna, hand_over()).unwrap();
    // One open interaction a customer, whoever opened it.
    let other = Refusal::OtherOpen { interaction: started.id.clone() };
    assert_eq!((sim.starts(bruno, 7), sim.starts(anna, 7)), (Err(other.clone()), Err(other)));
    sim.close(anna, &started.id).unwrap();
    assert_ne!(sim.starts(bruno, 7).unwrap().id, started.id);
}

#[test]
fn nobody_starts_a_conversation_without_room_login_or_membership_or_on_an_account_that_is_off() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    let (anna, bruno) = (&agents[0], &agents[1]);
    sim.capacity(anna, 1);
    sim.starts(anna, 1).unwrap();
    assert_eq!(sim.starts(anna, 2), Err(Refusal::AtCapacity));
    sim.log_out(bruno);
    assert_eq!(sim.starts(bruno, 2), Err(Refusal::NotReady));
    sim.ready(bruno);
    sim.set_active(false);
    assert_eq!(sim.starts(bruno, 2), Err(Refusal::AccountInactive));
    sim.set_active(true);
    sim.change_account(|account| account.agents.retain(|agent| agent != bruno));
    assert_eq!(sim.starts(bruno, 2), Err(Refusal::NotAMember));
}

#[test]
fn two_agents_who_write_to_one_customer_at_once_open_one_conversation() {
    for seed in 0..100 {
        let mut sim = Sim::seeded(seed);
        let agents = [sim.agent(1), sim.agent(2)];
        for agent in &agents {
            sim.ready(agent);
        }
        let jobs = agents.iter().enumerate().map(|(number, agent)| {
            let command = Command::Start(phone(1), MessageId::from_ulid(Ulid::from_parts(seed, number as u128)));
            crate::driver::Job::Command { id: format!("start {number}"), agent: agent.clone(), command }
        });
        let jobs: Vec<_> = jobs.collect();
        sim.at_once(jobs);
        assert_eq!(sim.memory.interactions().len(), 1, "seed {seed}");
        assert_eq!(sim.memory.contacts().len(), 1);
        assert_eq!(sim.memory.all_presences().iter().map(|presence| presence.load.len()).sum::<usize>(), 1);
    }
}

#[test]
fn what_is_started_causes_nothing_but_the_message_and_what_its_agent_sees() {
    let mut sim = Sim::new();
    let anna = sim.agent(1);
    sim.plan(&[agent_step(&anna, 10)]);
    sim.ready(&anna);
    sim.memory.take_effects();
    let started = sim.starts(&anna, 1).unwrap();
    sim.wait(3600);
    assert!(sim.interaction(&started.id).is_open() && sim.stage(&started.id).is_none());
    let caused = sim.memory.take_effects();
    assert!(
        caused.iter().all(|caused| matches!(caused.item, Owner::Message { .. })
            || !caused.effects.iter().any(|effect| matches!(effect, Effect::Wake { .. })))
    );
}
