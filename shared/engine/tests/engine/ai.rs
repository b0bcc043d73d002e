//! AI agents that answer customers, and what makes them hand over.

use std::task::{Context, Poll, Waker};

use domain::ai_agent::Limits;
use domain::decide::Refusal;
use domain::effect::{Effect, Notice};
use domain::history::{Escalated, Fact, Skip};
use domain::ids::{AgentId, AiAgentId, InteractionId, QueueId};
use domain::interaction::Stage;
use domain::message::Author;
use domain::note::{Note, NoteKind};
use domain::queue::Strategy;
use engine::Told;
use serde_json::json;
use ulid::Ulid;

use crate::driver::{Command, Job, Outcome, Running, Sim, start};
use crate::steps::steps;

fn ai() -> AiAgentId {
    AiAgentId::from_ulid(Ulid::from_parts(1, 1))
}

/// An account whose plan lets an AI agent answer, then rings a queue.
fn desk(agents: u64) -> (Sim, Vec<AgentId>, QueueId) {
    let (sim, agents, queue) = Sim::desk(Strategy::Beepall, agents);
    sim.steps(steps(json!([{"step": "assistant", "ai_agent": ai()}, {"step": "queue", "queue": queue, "timeout": 30}])));
    sim.change_account(|account| account.answering_ai_agent = Some(ai()));
    (sim, agents, queue)
}

impl Sim {
    /// What an interaction's AI agent wrote, in order.
    fn said_by_ai(&self, id: &InteractionId) -> Vec<String> {
        let messages = self.memory.messages().into_iter().map(|(_, message)| message);
        let by_ai = messages.filter(|one| one.interaction == *id && matches!(&one.author, Author::Ai { name, .. } if name == "Bot"));
        by_ai.map(|message| message.content.readable()).collect()
    }

    /// Lets the model think about the oldest kept job: it has been asked, and has not answered.
    fn thinks(&mut self) -> (Job, Running) {
        let job = self.kept.as_mut().unwrap().remove(0);
        let mut running = start(&self.engine, &self.provider, job.clone());
        let before = self.provider.lock().unwrap().asked.len();
        while self.provider.lock().unwrap().asked.len() == before {
            assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "the model was not asked");
        }
        (job, running)
    }

    /// The model has thought.
    fn answers_now(&mut self, (job, mut running): (Job, Running)) -> Option<Told> {
        loop {
            if let Poll::Ready(outcome) = running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                let told = self.led_to(job, outcome);
                self.settle();
                return told;
            }
        }
    }

    fn carries_out(&mut self, job: Job) -> Option<Told> {
        let outcome = crate::driver::run(start(&self.engine, &self.provider, job.clone()));
        let told = self.led_to(job, outcome);
        self.settle();
        told
    }

    fn escalations(&self, id: &InteractionId) -> Vec<Escalated> {
        let why = |fact| match fact {
            Fact::AiEscalated { why, .. } => Some(why),
            _ => None,
        };
        self.facts(id).into_iter().filter_map(why).collect()
    }
}

#[test]
fn an_ai_agent_answers_and_takes_no_slot_until_a_person_picks_it() {
    let (mut sim, agents, _) = desk(1);
    let interaction = sim.writes(1);
    assert_eq!(sim.said_by_ai(&interaction), ["I am a bot.", "an answer to version 2"]);
    sim.writes(1);
    assert_eq!(sim.said_by_ai(&interaction).len(), 3, "it says once that it is one");
    let now = sim.interaction(&interaction);
    assert_eq!((now.answered_by(), now.unanswered_since, now.answering.in_a_row), (Some(&ai()), None, 2));
    assert!(sim.rings_at(&interaction).is_empty() && sim.memory.rows().is_empty() && sim.presence(&agents[0]).unwrap().load.is_empty());
    assert_eq!(sim.provider.lock().unwrap().calls.len(), 3, "all were sent");
    sim.command(&agents[0], Command::Pick(interaction.clone())).unwrap();
    sim.writes(1);
    assert_eq!((sim.said_by_ai(&interaction).len(), sim.interaction(&interaction).answered_by()), (3, None));
}

#[test]
fn messages_that_come_while_the_model_thinks_are_answered_at_once() {
    let (mut sim, _, _) = desk(1);
    sim.kept = Some(Vec::new());
    let interaction = sim.writes(1);
    sim.writes(1);
    assert_eq!(sim.kept.as_ref().unwrap().len(), 1, "two messages before the model is asked are one question");
    let thinking = sim.thinks();
    sim.writes(1);
    sim.writes(1);
    sim.answers_now(thinking);
    assert_eq!(sim.said_by_ai(&interaction), Vec::<String>::new(), "an outdated answer is not sent");
    assert_eq!(sim.kept.as_ref().unwrap().len(), 1);
    let thinking = sim.thinks();
    sim.answers_now(thinking);
    assert_eq!(sim.said_by_ai(&interaction).len(), 2);
    assert_eq!(sim.facts(&interaction).iter().filter(|fact| matches!(fact, Fact::AiOvertaken { .. })).count(), 1);
}

#[test]
fn a_customer_who_never_stops_writing_gets_a_person() {
    let (mut sim, _, _) = desk(1);
    sim.kept = Some(Vec::new());
    let interaction = sim.writes(1);
    for _ in 0..=Limits::default().dropped {
        let thinking = sim.thinks();
        sim.writes(1);
        sim.answers_now(thinking);
    }
    assert_eq!((sim.escalations(&interaction), sim.step(&interaction)), (vec![Escalated::Overtaken], Some(1)));
}

#[test]
fn whatever_fails_hands_over_and_the_plan_goes_on() {
    for why in [Escalated::Model, Escalated::Failed, Escalated::Unusable, Escalated::Gone] {
        let (mut sim, agents, _) = desk(1);
        sim.provider.lock().unwrap().models = [Err(why)].into();
        let interaction = sim.writes(1);
        assert_eq!((sim.escalations(&interaction), sim.step(&interaction)), (vec![why], Some(1)));
        assert_eq!(sim.said_by_ai(&interaction), ["A colleague goes on."]);
        assert_eq!(sim.rings_at(&interaction), agents);
        let now = sim.interaction(&interaction);
        let note = |kind| Note::of_interaction(kind, &now, now.opened_at).escalated;
        assert_eq!((note(NoteKind::Escalation), note(NoteKind::NewMessages)), (Some(why), None), "who is told sees why");
        let notice = Notice::Interaction { note: Some(NoteKind::Escalation) };
        let told = |effect: &Effect| matches!(effect, Effect::TellSupervisors { notice: to } if *to == notice);
        assert_eq!(sim.batches.iter().flat_map(|(_, grown)| &grown.effects).filter(|effect| told(effect)).count(), 1);
    }
}

#[test]
fn an_answer_is_never_sent_once_a_person_has_it() {
    for take in [0, 1] {
        let (mut sim, agents, _) = desk(2);
        sim.kept = Some(Vec::new());
        let interaction = sim.writes(1);
        let thinking = sim.thinks();
        let command = match take {
            0 => Command::Pick(interaction.clone()),
            _ => Command::Reassign(interaction.clone(), agents[0].clone()),
        };
        sim.command(&agents[0], command).unwrap();
        assert!(matches!(sim.answers_now(thinking), Some(Told::Refused(Refusal::Stale, _))));
        assert_eq!(sim.said_by_ai(&interaction), Vec::<String>::new());
    }
}

#[test]
fn a_model_that_never_answers_and_a_lost_job_leave_the_customer_to_people_in_time() {
    for claimed in [false, true] {
        let (mut sim, agents, _) = desk(1);
        sim.kept = Some(Vec::new());
        let interaction = sim.writes(1);
        let thinking = claimed.then(|| sim.thinks());
        sim.wait(89);
        assert!(sim.rings_at(&interaction).is_empty());
        sim.wait(1);
        assert_eq!((sim.rings_at(&interaction), sim.escalations(&interaction)), (agents, vec![Escalated::Late]));
        if let Some(thinking) = thinking {
            assert!(matches!(sim.answers_now(thinking), Some(Told::Refused(Refusal::Stale, _))));
        }
        assert_eq!(sim.said_by_ai(&interaction), Vec::<String>::new());
    }
}

#[test]
fn a_job_that_comes_again_asks_no_model() {
    let (mut sim, _, _) = desk(1);
    sim.kept = Some(Vec::new());
    let interaction = sim.writes(1);
    // The function dies while the model thinks.
    let (job, _) = sim.thinks();
    assert!(matches!(sim.carries_out(job), Some(Told::Refused(Refusal::Stale, _))));
    assert_eq!(sim.provider.lock().unwrap().asked.len(), 1);
    assert!(sim.interaction(&interaction).ai_wait().is_some(), "its timer goes on");
}

#[test]
fn a_later_run_of_the_plan_switches_it_on_only_while_no_person_has_had_it() {
    let (mut sim, agents, _) = desk(1);
    sim.log_out(&agents[0]);
    sim.provider.lock().unwrap().models = [Err(Escalated::Model)].into();
    let interaction = sim.writes(1);
    sim.wait(30);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
    sim.writes(1);
    assert!(sim.interaction(&interaction).answered_by().is_some(), "nobody came, so it may try again");
    sim.ready(&agents[0]);
    sim.command(&agents[0], Command::Pick(interaction.clone())).unwrap();
    sim.close_tab(&agents[0], &interaction).unwrap();
    sim.log_out(&agents[0]);
    sim.writes(1);
    sim.wait(10);
    assert_eq!(sim.step(&interaction), Some(1), "the queue rings");
    let passed = |fact: &Fact| matches!(fact, Fact::StageSkipped { why: Skip::PersonHadIt, .. });
    assert!(sim.facts(&interaction).iter().any(passed), "{:#?}", sim.facts(&interaction));
}

#[test]
fn a_plan_that_loops_asks_a_failing_model_once() {
    let (mut sim, _, _) = desk(1);
    sim.steps(steps(json!([{"step": "assistant", "ai_agent": ai()}, {"step": "goto", "to": 0}])));
    sim.provider.lock().unwrap().models = [Err(Escalated::Failed)].into();
    let interaction = sim.writes(1);
    assert_eq!((sim.provider.lock().unwrap().asked.len(), sim.stage(&interaction)), (1, Some(Stage::Exhausted)));
}

#[test]
fn beside_an_agent_it_answers_when_switched_on_and_gives_back_what_it_cannot_answer() {
    let (mut sim, agents, _) = desk(1);
    let anna = &agents[0];
    let interaction = sim.writes(1);
    sim.command(anna, Command::Pick(interaction.clone())).unwrap();
    let before = sim.said_by_ai(&interaction).len();
    sim.writes(1);
    assert_eq!(sim.said_by_ai(&interaction).len(), before);
    sim.command(anna, Command::Ai(interaction.clone(), true)).unwrap();
    assert_eq!(sim.said_by_ai(&interaction).len(), before + 1, "what is not answered is answered at once");
    sim.close_tab(anna, &interaction).unwrap();
    sim.writes(1);
    assert_eq!((sim.said_by_ai(&interaction).len(), sim.interaction(&interaction).wait), (before + 2, None));
    sim.provider.lock().unwrap().models = [Err(Escalated::Model)].into();
    sim.writes(1);
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::AssignedAgent), vec![anna.clone()]));
    sim.accept(anna, &interaction).unwrap();
    assert_eq!(sim.command(anna, Command::Ai(interaction.clone(), false)), Err(Refusal::NothingToDo));
}

#[test]
fn switched_off_while_it_thinks_it_sends_nothing_and_an_agent_who_answers_first_spares_it() {
    let (mut sim, agents, _) = desk(1);
    let anna = &agents[0];
    let interaction = sim.writes(1);
    sim.command(anna, Command::Pick(interaction.clone())).unwrap();
    sim.command(anna, Command::Ai(interaction.clone(), true)).unwrap();
    sim.kept = Some(Vec::new());
    let before = sim.said_by_ai(&interaction).len();
    for off in [true, false] {
        sim.writes(1);
        let thinking = sim.thinks();
        match off {
            true => drop(sim.command(anna, Command::Ai(interaction.clone(), false)).unwrap()),
            false => drop(sim.answers(anna, &interaction).unwrap()),
        }
        assert!(matches!(sim.answers_now(thinking), Some(Told::Refused(Refusal::Stale, _))));
        assert_eq!((sim.said_by_ai(&interaction).len(), sim.interaction(&interaction).wait.is_none()), (before, true));
        if off {
            sim.answers(anna, &interaction).unwrap();
            sim.command(anna, Command::Ai(interaction.clone(), true)).unwrap();
        }
    }
}

#[test]
fn two_bots_that_face_each_other_stop_at_the_limit() {
    let (mut sim, agents, _) = desk(1);
    let most = usize::try_from(Limits::default().in_a_row).unwrap();
    let interaction = sim.writes(1);
    for _ in 0..most {
        sim.writes(1);
    }
    assert_eq!((sim.escalations(&interaction), sim.rings_at(&interaction)), (vec![Escalated::Limit], agents.clone()));
    assert_eq!(sim.said_by_ai(&interaction).len(), most + 1);
    // Nobody comes. The next runs of the plan ask no model, and say nothing to which the other bot could answer.
    let asked = sim.provider.lock().unwrap().asked.len();
    // Every second message finds the plan at its end, and lets it run again; the others join an offer.
    for _ in 0..6 {
        sim.wait(30);
        sim.writes(1);
    }
    let passed = |fact: &&Fact| matches!(fact, Fact::StageSkipped { why: Skip::UsedUp, .. });
    assert_eq!(sim.facts(&interaction).iter().filter(passed).count(), 3);
    assert_eq!((sim.provider.lock().unwrap().asked.len(), sim.said_by_ai(&interaction).len()), (asked, most + 1));
    // Until a person wants it.
    sim.command(&agents[0], Command::Pick(interaction.clone())).unwrap();
    sim.command(&agents[0], Command::Ai(interaction.clone(), true)).unwrap();
    assert_eq!(sim.interaction(&interaction).answering.in_a_row, 1);
}

#[test]
fn what_an_ai_agent_has_said_counts_on_when_nobody_comes_after_it_handed_over() {
    let (mut sim, agents, _) = desk(1);
    sim.log_out(&agents[0]);
    sim.steps(steps(json!([{"step": "assistant", "ai_agent": ai()}])));
    sim.provider.lock().unwrap().models = [Ok("one".into()), Err(Escalated::Failed), Ok("two".into())].into();
    let interaction = sim.writes(1);
    sim.writes(1);
    sim.writes(1);
    // Two answers, and the announcement of a person between them.
    assert_eq!((sim.said_by_ai(&interaction).len(), sim.interaction(&interaction).answering.in_a_row), (4, 3));
}

#[test]
fn on_an_inactive_account_nobody_is_answered_until_it_is_on_again() {
    let (mut sim, _, _) = desk(1);
    let interaction = sim.writes(1);
    let before = sim.said_by_ai(&interaction).len();
    sim.set_active(false);
    sim.writes(1);
    assert_eq!((sim.stage(&interaction), sim.said_by_ai(&interaction).len()), (Some(Stage::Inactive), before));
    sim.set_active(true);
    assert_eq!(sim.said_by_ai(&interaction).len(), before + 1);
}

#[test]
fn a_conversation_that_an_ai_agent_has_answered_closes_for_inactivity() {
    let (mut sim, _, _) = desk(1);
    sim.inactivity_timeout(5);
    let interaction = sim.writes(1);
    sim.wait(5 * 60 + 1);
    assert!(!sim.interaction(&interaction).is_open());
}

#[test]
fn a_hundred_agents_pick_it_while_the_model_thinks_and_one_gets_it() {
    let (mut sim, agents, _) = desk(100);
    sim.kept = Some(Vec::new());
    let interaction = sim.writes(1);
    let answer = sim.kept.as_mut().unwrap().remove(0);
    let pick = |agent: &AgentId| Job::Command { id: agent.to_string(), agent: agent.clone(), command: Command::Pick(interaction.clone()) };
    let jobs: Vec<Job> = std::iter::once(answer).chain(agents.iter().map(pick)).collect();
    let outcomes = sim.at_once(jobs);
    let won = |outcome: &&Outcome| matches!(outcome, Outcome::Done { told: Some(Told::Changed { .. }), .. });
    assert_eq!(outcomes[1..].iter().filter(won).count(), 1, "one agent has it");
    sim.settle();
    let facts = sim.facts(&interaction);
    let picked = facts.iter().position(|fact| matches!(fact, Fact::Picked { .. })).unwrap();
    assert!(!facts[picked..].iter().any(|fact| matches!(fact, Fact::AiAnswered { .. })), "{facts:#?}");
}
