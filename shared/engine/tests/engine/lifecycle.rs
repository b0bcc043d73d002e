//! Checks `docs/routing.md`: its diagram has exactly the transitions that interactions make, and its example is
//! what happens.

use std::collections::{BTreeMap, BTreeSet};

use domain::effect::Target;
use domain::history::{Did, Escalated, Fact, HistoryEntry};
use domain::ids::{AgentId, AiAgentId, InteractionId, IntervalId, QueueId};
use domain::interaction::Stage;
use domain::plan::PlanStep;
use domain::queue::Strategy;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::driver::{Command, Job, Sim};
use crate::simulation;

const DOCUMENT: &str = include_str!("../../../../docs/routing.md");

/// The number of stories that shows every usual transition several times.
const STORIES: u64 = 300;

/// The most stories until every transition of the diagram was seen: some are rare.
const STORIES_AT_MOST: u64 = 5_000;

/// The lines of the first block of this language after the heading.
fn block(heading: &str, language: &str) -> Vec<&'static str> {
    let (_, rest) = DOCUMENT.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let (_, rest) = rest.split_once(&format!("```{language}\n")).expect("the block");
    rest.split_once("```").expect("its end").0.lines().collect()
}

/// The transitions of an interaction, from its history.
fn ways(history: &[HistoryEntry]) -> BTreeSet<(String, String)> {
    let mut versions: BTreeMap<u64, Vec<&Fact>> = BTreeMap::new();
    for entry in history {
        versions.entry(entry.version).or_default().push(&entry.fact);
    }
    let (mut wait, mut end): (Option<&'static str>, Option<&'static str>) = (None, None);
    let (mut state, mut ai) = ("[*]", false);
    let mut ways = BTreeSet::new();
    for facts in versions.values() {
        for fact in facts {
            match fact {
                Fact::WaitStarted { stage, .. } => wait = Some(stage.name()),
                Fact::StepDone { did: Did::Assistant { .. }, .. } => ai = true,
                Fact::AiSwitched { ai_agent, .. } => (wait, ai) = (None, ai_agent.is_some()),
                Fact::PlanStarted { .. } | Fact::AccountInactive | Fact::Transferred { .. } => ai = false,
                Fact::WaitEnded { .. } => wait = None,
                Fact::AiEscalated { .. } | Fact::Accepted { .. } | Fact::Picked { .. } | Fact::Reassigned { .. } => {
                    (wait, ai) = (None, false);
                }
                Fact::Closed { .. } => (wait, end, ai) = (None, Some("closed"), false),
                Fact::Archived { .. } => end = Some("archived"),
                Fact::Reopened { .. } | Fact::ReopenedFor { .. } => (wait, end) = (None, None),
                _ => {}
            }
        }
        let next = end.or(ai.then_some("answering")).or(wait).unwrap_or("assigned");
        if next != state {
            ways.insert((state.to_owned(), next.to_owned()));
        }
        state = next;
    }
    ways
}

/// Rare transitions, in which an agent acts in the very instant before something else happens.
fn rare() -> Vec<Vec<HistoryEntry>> {
    // A supervisor gives it to an agent while another system is being called.
    let (mut sim, agents, asked) = asking();
    sim.at_once(vec![job(&agents[1], Command::Reassign(asked.clone(), agents[0].clone()))]);
    let given = sim.memory.history(&asked);
    // An agent picks it.
    let (mut sim, agents, asked) = asking();
    sim.at_once(vec![job(&agents[0], Command::Pick(asked.clone()))]);
    // It is transferred when the account was switched on, before the held interactions were looked at.
    let held = sim.interaction(&asked).id;
    sim.close_tab(&agents[0], &held).unwrap();
    sim.set_active(false);
    sim.writes(1);
    sim.change_account(|account| account.active = true);
    sim.command(&agents[0], Command::Transfer(held.clone(), Target::Agent(agents[1].clone()))).unwrap();
    let mut rare = vec![given, sim.memory.history(&asked)];
    // A supervisor reopens what was archived through a plan that closes it at once, has nothing to do, or calls.
    let plans = [json!([{"step": "close", "disposition": "Spam"}]), json!([]), json!([{"step": "webhook", "url": "https://example.com"}])];
    rare.extend(plans.map(|plan| {
        let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 1);
        let interaction = sim.writes(1);
        sim.accept(&agents[0], &interaction).unwrap();
        sim.close(&agents[0], &interaction).unwrap();
        sim.command(&agents[0], Command::Archive(interaction.clone())).unwrap();
        sim.steps(serde_json::from_value(plan).unwrap());
        sim.command(&agents[0], Command::ReopenFor(interaction.clone(), None)).unwrap();
        sim.memory.history(&interaction)
    }));
    // One reopens what is closed through a plan that calls, and what is archived for an agent who is away.
    for archive in [false, true] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
        let interaction = sim.writes(1);
        sim.accept(&agents[0], &interaction).unwrap();
        sim.close(&agents[0], &interaction).unwrap();
        sim.log_out(&agents[1]);
        let to = archive.then(|| agents[1].clone());
        if archive {
            sim.command(&agents[0], Command::Archive(interaction.clone())).unwrap();
        }
        sim.steps(serde_json::from_value(json!([{"step": "webhook", "url": "https://example.com"}])).unwrap());
        sim.command(&agents[0], Command::ReopenFor(interaction.clone(), to)).unwrap();
        rare.push(sim.memory.history(&interaction));
    }
    // While it waits for its agent's queue, the account is switched off, a supervisor gives it to another agent who is
    // away, or its agent transfers it. Its agent leaves the account before the other has it, and the plan calls.
    for (off, transfer) in [(true, false), (false, false), (false, true)] {
        let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
        let interaction = sim.writes(1);
        sim.accept(&agents[0], &interaction).unwrap();
        sim.close_tab(&agents[0], &interaction).unwrap();
        sim.pause(&agents[0]);
        sim.log_out(&agents[1]);
        sim.writes(1);
        while sim.stage(&interaction) != Some(Stage::AssignedQueue) {
            sim.wait(1);
        }
        if off {
            sim.set_active(false);
            sim.writes(1);
            rare.push(sim.memory.history(&interaction));
            continue;
        }
        let command = match transfer {
            false => Command::Reassign(interaction.clone(), agents[1].clone()),
            true => Command::Transfer(interaction.clone(), Target::Agent(agents[1].clone())),
        };
        sim.command(&agents[0], command).unwrap();
        sim.steps(serde_json::from_value(json!([{"step": "webhook", "url": "https://example.com"}])).unwrap());
        sim.change_account(|account| account.agents.retain(|agent| *agent != agents[0]));
        sim.at_once(vec![Job::reconfigured(&agents[0])]);
        rare.push(sim.memory.history(&interaction));
    }
    rare.extend(answering());
    rare
}

/// The ways to an AI agent and from it.
fn answering() -> Vec<Vec<HistoryEntry>> {
    let ai = AiAgentId::from_ulid(Ulid::from_parts(1, 1));
    let assistant = json!({"step": "assistant", "ai_agent": ai});
    let webhook = json!({"step": "webhook", "url": "https://example.com"});
    let desk = |plan: &dyn Fn(&QueueId) -> Value, fails: usize| {
        let (sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 2);
        sim.change_account(|account| account.answering_ai_agent = Some(ai.clone()));
        sim.steps(serde_json::from_value(plan(&queue)).unwrap());
        sim.provider.lock().unwrap().models = std::iter::repeat_n(Err(Escalated::Failed), fails).collect();
        (sim, agents)
    };
    let mut all = Vec::new();
    // It hands over to another system, which is called; another system is called before it.
    for (plan, fails) in [(json!([assistant, webhook]), 1), (json!([webhook, assistant]), 0)] {
        let (mut sim, _) = desk(&|_| plan.clone(), fails);
        let interaction = sim.writes(1);
        all.push(sim.memory.history(&interaction));
    }
    // A queue is tried before it, and after it until the plan has run out; the account is off for a while.
    let (mut sim, agents) = desk(
        &|queue| {
            let queue = json!({"step": "queue", "queue": queue, "timeout": 5});
            json!([queue, assistant, queue])
        },
        1,
    );
    agents.iter().for_each(|agent| sim.log_out(agent));
    let interaction = sim.writes(1);
    sim.wait(15);
    sim.steps(serde_json::from_value(json!([assistant])).unwrap());
    sim.writes(1);
    sim.set_active(false);
    sim.writes(1);
    sim.set_active(true);
    all.push(sim.memory.history(&interaction));
    // Nothing follows; it is on again with the next message, closes for inactivity and is reopened.
    let (mut sim, agents) = desk(&|_| json!([assistant]), 1);
    sim.inactivity_timeout(1);
    agents.iter().for_each(|agent| sim.log_out(agent));
    let interaction = sim.writes(1);
    sim.writes(1);
    for archive in [false, true] {
        sim.wait(61);
        if archive {
            sim.command(&agents[0], Command::Archive(interaction.clone())).unwrap();
        }
        sim.command(&agents[0], Command::ReopenFor(interaction.clone(), None)).unwrap();
        sim.writes(1);
    }
    all.push(sim.memory.history(&interaction));
    // Beside an agent: switched on, handed over while the agent is away, switched on in each wait, transferred.
    let (mut sim, agents) = desk(&|queue| json!([{"step": "queue", "queue": queue, "timeout": 30}]), 0);
    let (anna, bruno) = (&agents[0], &agents[1]);
    sim.log_out(bruno);
    let interaction = sim.writes(1);
    sim.accept(anna, &interaction).unwrap();
    let on = |sim: &mut Sim| sim.command(anna, Command::Ai(interaction.clone(), true)).unwrap();
    on(&mut sim);
    sim.close_tab(anna, &interaction).unwrap();
    for waits in [0, 10] {
        sim.provider.lock().unwrap().models = [Err(Escalated::Failed)].into();
        sim.writes(1);
        sim.wait(waits);
        on(&mut sim);
    }
    sim.command(anna, Command::Transfer(interaction.clone(), Target::Agent(bruno.clone()))).unwrap();
    all.push(sim.memory.history(&interaction));
    all
}

/// Two agents, and an interaction whose plan has called another system.
fn asking() -> (Sim, Vec<AgentId>, InteractionId) {
    let (mut sim, agents, _) = Sim::desk(Strategy::Rrmemory, 2);
    sim.steps(serde_json::from_value(json!([{"step": "webhook", "url": "https://example.com"}])).unwrap());
    let event = sim.event(1);
    sim.memory.receive(&event);
    sim.at_once(vec![Job::route(&event)]);
    let asked = sim.memory.interactions()[0].id.clone();
    (sim, agents, asked)
}

fn job(agent: &AgentId, command: Command) -> Job {
    Job::Command { id: "at once".into(), agent: agent.clone(), command }
}

#[test]
fn the_diagram_shows_exactly_the_ways_that_interactions_take() {
    let drawn: BTreeSet<_> = block("The states", "mermaid")
        .into_iter()
        .filter_map(|line| line.split(':').next()?.split_once("-->"))
        .map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()))
        .collect();
    let mut seen: BTreeSet<_> = rare().iter().flat_map(|history| ways(history)).collect();
    for seed in 0..STORIES_AT_MOST {
        if seed >= STORIES && seen.is_superset(&drawn) {
            break;
        }
        seen.extend(simulation::histories(seed).iter().flat_map(|history| ways(history)));
    }
    assert_eq!(seen.difference(&drawn).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "seen, but not drawn");
    assert_eq!(drawn.difference(&seen).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "drawn, but never seen");
}

/// The lines of a history, with names for ids.
fn told(history: &[HistoryEntry], names: &[(&str, &str)]) -> Vec<String> {
    let line = |entry: &HistoryEntry| {
        let mut value = serde_json::to_value(entry).unwrap();
        let entry = value.as_object_mut().unwrap();
        let at: jiff::Timestamp = entry.remove("at").unwrap().as_str().unwrap().parse().unwrap();
        entry.remove("version");
        let fact = entry.remove("fact").unwrap();
        for unsaid in ["message", "passed_over"] {
            entry.remove(unsaid);
        }
        entry.retain(|_, value| !value.is_null());
        let details: Vec<String> = entry.iter().map(|(name, value)| format!("{name} {}", words(value))).collect();
        let mut text = format!("{}  {}  {}", at.strftime("%H:%M:%S"), fact.as_str().unwrap(), details.join(", "));
        for (id, name) in names {
            text = text.replace(id, name);
        }
        text.trim_end().to_owned()
    };
    history.iter().map(line).collect()
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => at.strftime("%H:%M:%S").to_string(),
            Err(_) => text.clone(),
        },
        Value::Object(members) => {
            members.iter().filter(|(name, _)| *name != "message").map(|(_, value)| words(value)).collect::<Vec<_>>().join(" ")
        }
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[test]
fn the_worked_example_is_what_happens() {
    let (mut sim, agents, day) = Sim::desk(Strategy::Rrmemory, 2);
    let night: QueueId = sim.queue(7, Strategy::Beepall, &[]);
    let office = IntervalId::from_ulid(Ulid::from_parts(0, 1));
    let hours = json!({"id": office, "name": "", "time_zone": "Europe/Rome", "ranges": [{"from": "08:00", "to": "18:00"}]});
    sim.directory.change(|config| config.intervals.insert(office.clone(), serde_json::from_value(hours).unwrap()));
    let plan = json!([
        {"step": "auto_reply", "text": "We are back at eight.", "interval": {"only_outside": office}},
        {"step": "queue", "queue": night, "timeout": 30, "interval": {"only_outside": office}},
        {"step": "queue", "queue": day, "timeout": 60},
    ]);
    sim.steps(serde_json::from_value::<Vec<PlanStep>>(plan).unwrap());
    sim.inactivity_timeout(10);
    let (anna, bruno) = (&agents[0], &agents[1]);
    for agent in &agents {
        sim.log_out(agent);
    }

    // One in the morning in Rome.
    let interaction = sim.writes(1);
    sim.wait(7 * 3600);
    sim.ready(anna);
    sim.wait(5);
    sim.ready(bruno);
    sim.pause(anna);
    sim.accept(bruno, &interaction).unwrap();
    sim.ready(anna);
    sim.command(bruno, Command::Transfer(interaction.clone(), Target::Agent(anna.clone()))).unwrap();
    sim.accept(anna, &interaction).unwrap();
    sim.answers(anna, &interaction).unwrap();
    sim.wait(600);

    let names = [(anna.as_str(), "Anna"), (bruno.as_str(), "Bruno"), (day.as_str(), "Day"), (night.as_str(), "Night")];
    let history = sim.memory.history(&interaction);
    assert_eq!(told(&history, &names), block("A worked example", "text"));
}
