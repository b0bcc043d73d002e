//! A past for the demo: closed conversations of the last three months, written straight into the table, so that lists
//! and searches have something in them. No provider, no function and no agent takes part in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, ensure};
use cloud::aws::Aws;
use cloud::config::Env;
use domain::agent::PresenceWord;
use domain::contact::{Contact, Place};
use domain::effect::{Audience, Target};
use domain::history::{Escalated, Fact, HistoryEntry, WaitEnd};
use domain::ids::{AccountId, AgentId, AiAgentId, ContactId, InteractionId, ListId, MessageId, QueueId};
use domain::inbound::ProfileName;
use domain::insights::{Insights, Sentiment, Summary};
use domain::interaction::{Inactivity, Interaction, LastMessage, Run, Stage, Status};
use domain::message::{Author, Content, Delivery, DeliveryState, Message};
use domain::pricing::{Category, Charge, Currency};
use domain::priority::Priority;
use domain::report::{AiCall, Duty, Facts, facts};
use domain::search::Document;
use domain::tag::Tag;
use domain::values::{Address, E164};
use domain::variables::Variables;
use engine::ports::{Commit, Committed, FactOf, Reports, Store, System, World as _};
use fastrand::Rng;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;
use store::{Derived, Documents, Interactions};
use ulid::Ulid;

use crate::client::Api;
use crate::demo::Demo;
use crate::deploy::Stack;
use crate::engine::Engine;

/// How far the past reaches back: a quarter, so that lists by month have more than one.
const DAYS: i64 = 90;

/// The same past each time, so that two people see the same.
const SEED: u64 = 3;

/// How many conversations are written at the same time. The local engine is one process.
const AT_ONCE: usize = 8;

/// The most conversations. The local engine keeps all of them in memory, some 10 KB each.
pub const MOST: usize = 200_000;

/// Hours of the day at which customers write, some more often than others, in UTC.
const HOURS: [i64; 16] = [6, 7, 8, 8, 9, 9, 9, 10, 10, 11, 13, 13, 14, 15, 16, 18];

/// The accounts, agents and queues of the past.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The accounts. The first ones have more customers.
    pub accounts: Vec<AccountId>,
    /// The list of the accounts' contacts.
    pub list: ListId,
    /// The agents.
    pub agents: Vec<AgentId>,
    /// The queue through which they accept.
    pub queue: QueueId,
    /// The AI agent that made insights and suggested replies.
    pub ai_agent: AiAgentId,
}

/// One conversation of the past.
struct Past {
    contact: Option<Contact>,
    interaction: Interaction,
    messages: Vec<Message>,
    history: Vec<HistoryEntry>,
    /// What was asked of a language model.
    calls: Vec<AiCall>,
}

/// Adds agents and writes `count` conversations on the demo's accounts.
///
/// # Errors
/// The admin API refuses an agent, or the table can't be written.
pub async fn load(engine: &Engine, stack: &Stack, demo: &Demo, count: usize) -> Result<()> {
    let admin = Api::new(&demo.admin_url, &demo.admin_token);
    let mut agents: Vec<AgentId> = demo.agents.iter().map(|agent| agent.id.parse()).collect::<Result<_, _>>()?;
    for name in ["Carla", "Dario", "Elena", "Fritz"] {
        let agent = json!({"name": name, "subject": name.to_lowercase(), "role": "agent", "whatsapp": true, "capacity": 5});
        let made = admin.post("/agents", &agent).await?;
        agents.push(made["id"].as_str().context("the agent has no id")?.parse()?);
    }
    let accounts = demo.accounts.iter().map(|account| account.id.parse()).collect::<Result<_, _>>()?;
    priced(&admin).await?;
    let ai_agent = thinker(&admin).await?;
    let cast = Cast { accounts, list: demo.list.parse()?, agents, queue: demo.queue.parse()?, ai_agent };
    let env = Env::from_pairs([
        ("AWS_REGION", crate::deploy::REGION),
        ("AWS_ACCESS_KEY_ID", &stack.account),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", &engine.endpoint),
        ("INTERACTIONS_TABLE", stack.output("InteractionsTable")?),
        ("CONFIG_TABLE", stack.output("ConfigTable")?),
        ("DERIVED_TABLE", stack.output("DerivedTable")?),
    ]);
    let aws = Aws::new(&env)?;
    let documents = Documents::new(aws.dynamodb(), stack.output("DerivedTable")?);
    write(&Interactions::from_env(&aws, &env)?, &Derived::from_env(&aws, &env)?, Some(&documents), &cast, count, System.now()).await
}

/// Fills the table of prices, unless somebody has. The prices are made up.
async fn priced(admin: &Api) -> Result<()> {
    let price = |category: &str, amount: &str| json!({"category": category, "country": "+39", "amount": amount});
    let table = json!({
        "currency": "EUR",
        "prices": [price("marketing", "0.0572"), price("utility", "0.0248"), price("service", "0"), price("template", "0.0248")],
        "rates": [{"currency": "USD", "rate": "0.92"}],
    });
    let there = admin.get("/prices").await?;
    if there["version"] == 0 {
        admin.call_with(Method::PUT, "/prices", &[("if-match", "\"0\"")], Some(&table)).await?.expect_status(200)?;
    }
    Ok(())
}

/// The demo's AI agent; where it has none, a new one.
async fn thinker(admin: &Api) -> Result<AiAgentId> {
    let there = admin.get("/ai-agents").await?;
    let id = match there["items"][0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => {
            let price = json!({"input": "0.06", "output": "0.24", "currency": "USD"});
            let ada = json!({"name": "Ada", "provider": "BEDROCK", "model": "eu.amazon.nova-lite-v1:0", "instructions": "Be brief.", "price": price});
            admin.post("/ai-agents", &ada).await?["id"].as_str().context("the AI agent has no id")?.to_owned()
        }
    };
    Ok(id.parse()?)
}

/// Writes `count` conversations that ended before `now`, with their documents for searches.
///
/// # Errors
/// The table can't be written, or it has a past already.
pub async fn write(
    store: &impl Store,
    reports: &impl Reports,
    documents: Option<&Documents>,
    cast: &Cast,
    count: usize,
    now: Timestamp,
) -> Result<()> {
    // A customer's conversations follow each other, so their contact is there before them.
    let mut customers: Vec<Vec<Past>> = Vec::new();
    let mut teller = Teller { rng: Rng::with_seed(SEED), cast, now };
    let mut left = count;
    while left > 0 {
        let customer = teller.customer(customers.len(), left);
        left -= customer.len();
        customers.push(customer);
    }
    count_all(reports, customers.iter().flatten()).await?;
    let written = stream::iter(customers).map(|customer| async move {
        for past in customer {
            if let Some((documents, document)) = documents.zip(Document::of(&past.interaction, &past.messages)) {
                documents.put(&document).await.context("a document can't be written")?;
            }
            put(store, past).await?;
        }
        anyhow::Ok(())
    });
    written.buffer_unordered(AT_ONCE).try_collect().await
}

/// Fills the reports, as `report` does behind the stream. Nothing here rides in the stream.
async fn count_all(reports: &impl Reports, all: impl Iterator<Item = &Past>) -> Result<()> {
    let all: Vec<&Past> = all.collect();
    let timelines = timelines(&all);
    let mut kept = Vec::new();
    let mut quarters = BTreeSet::new();
    for Past { interaction, history, messages, calls, .. } in all {
        let of_versions = facts(history).into_iter().map(|(version, facts)| (Owned::Version(interaction.id.clone(), version), facts));
        let of_messages = messages.iter().filter_map(|message| Some((Owned::Message(message.id.clone()), Facts::of_message(message)?)));
        let of_calls = calls.iter().enumerate().map(|(number, call)| (Owned::Ai(format!("{}-{number}", interaction.id)), call.facts()));
        for (of, facts) in of_versions.chain(of_messages).chain(of_calls) {
            quarters.insert((interaction.account.clone(), facts.quarter));
            kept.push((interaction.account.clone(), of, facts));
        }
    }
    let puts = kept.iter().map(|(account, of, facts)| reports.put_facts(account, of.borrowed(), facts));
    stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.context("facts can't be written")?;
    let lines = timelines
        .iter()
        .flat_map(|(agent, lines)| lines.iter().map(move |(at, revision, duty)| reports.put_duty(agent, *at, *revision, *duty)));
    stream::iter(lines).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.context("timelines can't be written")?;
    let sums = quarters.iter().map(|(account, quarter)| engine::reports::roll_up(reports, account, *quarter));
    stream::iter(sums).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.context("sums can't be written").map(drop)
}

/// What agents were up to: on each day with conversations they were there from six to seven o'clock in the evening,
/// and had those that they had.
fn timelines(all: &[&Past]) -> BTreeMap<AgentId, Vec<(Timestamp, u64, Duty)>> {
    let mut holds: BTreeMap<AgentId, BTreeMap<Timestamp, i64>> = BTreeMap::new();
    let mut days: BTreeMap<AgentId, BTreeSet<i64>> = BTreeMap::new();
    for Past { interaction, history, .. } in all {
        let accepted = history.iter().find(|entry| matches!(entry.fact, Fact::Accepted { .. } | Fact::Started { .. }));
        let (Some(agent), Some(accepted), Some(closed)) = (&interaction.agent, accepted, interaction.closed_at) else { continue };
        let own = holds.entry(agent.clone()).or_default();
        *own.entry(accepted.at).or_default() += 1;
        *own.entry(closed).or_default() -= 1;
        days.entry(agent.clone()).or_default().insert(accepted.at.as_second().div_euclid(86_400));
    }
    let line = |state, load: i64| Duty { state, load: u32::try_from(load).unwrap_or_default(), capacity: 5, wraps_up: false };
    let of = |(agent, changes): (AgentId, BTreeMap<Timestamp, i64>)| {
        let hour = |day: &i64, hour: i64| Timestamp::from_second(day * 86_400 + hour * 3_600).ok();
        let shifts = days.get(&agent).into_iter().flatten().flat_map(|day| [(hour(day, 6), true), (hour(day, 19), false)]);
        let mut events: Vec<(Timestamp, Option<bool>, i64)> = shifts.filter_map(|(at, on)| Some((at?, Some(on), 0))).collect();
        events.extend(changes.into_iter().map(|(at, change)| (at, None, change)));
        events.sort();
        let (mut on, mut load) = (false, 0);
        let told = (1_u64..).zip(events).map(|(revision, (at, shift, change))| {
            on = shift.unwrap_or(on);
            load += change;
            (at, revision, line(if on { PresenceWord::Ready } else { PresenceWord::LoggedOut }, load))
        });
        let told = told.collect();
        (agent, told)
    };
    holds.into_iter().map(of).collect()
}

/// What facts are of.
enum Owned {
    Version(InteractionId, u64),
    Message(MessageId),
    Ai(String),
}

impl Owned {
    fn borrowed(&self) -> FactOf<'_> {
        match self {
            Self::Version(interaction, version) => FactOf::Version(interaction, *version),
            Self::Message(message) => FactOf::Message(message),
            Self::Ai(call) => FactOf::Ai(call),
        }
    }
}

async fn put(store: &impl Store, Past { contact, interaction, messages, history, .. }: Past) -> Result<()> {
    let messages = messages.into_iter().map(|message| (message, Vec::new())).collect();
    let commit = Commit { history, messages, contact, ..Commit::plain(None, interaction) };
    let written = store.commit(commit).await.context("a conversation can't be written")?;
    ensure!(written == Committed::Done, "a conversation is there already: {written:?}");
    Ok(())
}

/// Makes up conversations.
struct Teller<'a> {
    rng: Rng,
    cast: &'a Cast,
    now: Timestamp,
}

impl Teller<'_> {
    /// One customer's conversations, oldest first: one to three, `most` at most.
    fn customer(&mut self, number: usize, most: usize) -> Vec<Past> {
        let times = [1, 1, 1, 2, 2, 3][self.rng.usize(..6)].min(most);
        // Each account has half the customers of the one before.
        let skewed = (self.rng.f64().log2().abs() as usize).min(self.cast.accounts.len().saturating_sub(1));
        let Some(account) = self.cast.accounts.get(skewed).cloned() else { return Vec::new() };
        let name = format!("{} {}", self.pick(FIRST_NAMES), self.pick(LAST_NAMES));
        // A range of numbers that the demo's own customers are not in.
        let Ok(phone) = E164::parse(&format!("+39350{:07}", number % 10_000_000)) else { return Vec::new() };
        let address = Address::Phone(phone);
        let mut began: Vec<Timestamp> = (0..times).map(|_| self.time()).collect();
        began.sort_unstable();
        let contact_id = ContactId::from_ulid(self.ulid(began[0]));
        let mut contact = Contact::known_by(contact_id.clone(), began[0], [Place::before(&address)]);
        contact.lists = [self.cast.list.clone()].into();
        contact.name = Some(ProfileName(name.clone()));
        let mut contact = Some(contact);
        let conversations = began.into_iter().map(|at| {
            let interaction = self.interaction(&account, &contact_id, &address, &name, at);
            self.conversation(interaction, contact.take())
        });
        conversations.collect()
    }

    /// A time of a working day in the last months, and some of a weekend. All are over by now.
    fn time(&mut self) -> Timestamp {
        let mut day = self.rng.i64(1..=DAYS);
        let weekday = |now: Timestamp, day: i64| (now.as_second().div_euclid(86_400) - day + 4).rem_euclid(7);
        if matches!(weekday(self.now, day), 0 | 6) && self.rng.u8(..10) < 8 {
            day = (day + 2).min(DAYS);
        }
        let midnight = (self.now.as_second().div_euclid(86_400) - day) * 86_400;
        let hour = HOURS[self.rng.usize(..HOURS.len())];
        let at = midnight + hour * 3_600 + self.rng.i64(0..3_600);
        Timestamp::from_millisecond(at * 1_000 + self.rng.i64(0..1_000)).unwrap_or(self.now)
    }

    fn interaction(&mut self, account: &AccountId, contact: &ContactId, address: &Address, name: &str, at: Timestamp) -> Interaction {
        let agent = self.cast.agents.get(self.rng.usize(..self.cast.agents.len().max(1))).cloned();
        Interaction {
            id: InteractionId::from_ulid(self.ulid(at)),
            account: account.clone(),
            contact: contact.clone(),
            address: address.clone(),
            address_at: Some(at),
            address_changed_at: None,
            customer_name: Some(ProfileName(name.to_owned())),
            name_kept: false,
            claims: Vec::new(),
            version: 1,
            status: Status::Closed,
            opened_at: at,
            closed_at: None,
            archived: self.rng.u8(..20) == 0,
            disposition: Some(self.pick(DISPOSITIONS).to_owned()),
            agent,
            assigned_at: None,
            accepted_via: Some(self.cast.queue.clone()),
            tab_open: false,
            tab_opened_at: None,
            unread: false,
            unread_count: 0,
            wrap_up: None,
            answered: true,
            one_sided: false,
            wait: None,
            unanswered_since: None,
            active: domain::active::Active::default(),
            tried: vec![self.cast.queue.clone()],
            last_message: None,
            heard_at: Some(at),
            inactivity: Inactivity::default(),
            tags: self.tags(),
            priority: [Priority::default(), Priority::new(5).unwrap_or_default()][usize::from(self.rng.u8(..10) == 0)],
            variables: Variables::default(),
            ai: None,
            run: Run { number: 1, entered: 1, ..Run::default() },
            language: None,
            language_kept: false,
            answering: domain::interaction::Answering::default(),
            insights: None,
            absorbed: Vec::new(),
            merged_into: None,
            watchers: Vec::new(),
            commands: None,
        }
    }

    fn tags(&mut self) -> Vec<Tag> {
        let tagged = self.rng.u8(..3) == 0;
        tagged.then(|| Tag::parse(self.pick(TAGS)).ok()).flatten().into_iter().collect()
    }

    /// The messages and decisions of an interaction that begins when it opens.
    fn conversation(&mut self, mut interaction: Interaction, contact: Option<Contact>) -> Past {
        // Some customers nobody answers, and to some an agent writes first.
        let (lost, starts) = (self.rng.u8(..14) == 0, self.rng.u8(..18) == 0);
        let lines = if starts && !lost { STARTED } else { SCRIPTS[self.rng.usize(..SCRIPTS.len())] };
        let lines = if lost { &lines[..1] } else { lines };
        if lost {
            (interaction.agent, interaction.accepted_via, interaction.answered) = (None, None, false);
            interaction.disposition = Some("No answer".to_owned());
        } else if starts {
            interaction.accepted_via = None;
        }
        let order = self.rng.u32(10_000..99_999).to_string();
        let (mut at, mut messages) = (interaction.opened_at, Vec::new());
        let mut history: Vec<HistoryEntry> = Vec::new();
        // Each decision makes a version.
        let mut decide = |at: Timestamp, fact: Fact| history.push(HistoryEntry { at, version: history.len() as u64 + 1, role: None, fact });
        if lost || !starts {
            decide(at, Fact::Opened);
        }
        let agent = interaction.agent.clone();
        for (number, line) in lines.iter().enumerate() {
            let (author, text) = match (line.strip_prefix("> "), &agent) {
                (Some(text), Some(agent)) => (Author::Agent { agent: agent.clone() }, text),
                (_, _) => (Author::Customer, line.trim_start_matches("> ")),
            };
            let by_agent = author != Author::Customer;
            let id = MessageId::from_ulid(Ulid::from_parts(millisecond(at), self.rng.u128(..)));
            let body = text.replace("{order}", &order);
            let mut message = Message::new(id.clone(), interaction.id.clone(), at, author, Content::Text { body });
            if by_agent {
                let state = if self.rng.u8(..5) == 0 { DeliveryState::Delivered } else { DeliveryState::Read };
                message = message.queued(at, &interaction.address);
                message.delivery = Some(Delivery { state, since: at, error: None, attempts: 0, claim: None });
                message.queue.clone_from(&interaction.accepted_via);
                // Answers within the service window are free; a few are notices, offers and codes by template.
                let category = match self.rng.u8(..12) {
                    0 | 1 => Category::Utility,
                    2 => Category::Marketing,
                    3 => Category::Authentication,
                    4 => Category::Other,
                    _ => Category::Service,
                };
                message.charge = Some(Charge { category: Some(category), free: category == Category::Service, stated: None });
            } else {
                message.from = Some(interaction.address.clone());
            }
            match (&agent, by_agent, number) {
                (Some(agent), true, 0) => decide(at, Fact::Started { message: id, agent: agent.clone() }),
                (Some(agent), true, _) => decide(at, Fact::MessageSent { message: id, agent: agent.clone() }),
                (_, false, 0) => {
                    decide(at, Fact::MessageReceived { message: id, delivered: false });
                    // An AI agent hands one in twelve over, whose model has failed.
                    if self.rng.u8(..12) == 0 {
                        let (ai_agent, why) = (self.cast.ai_agent.clone(), Escalated::Failed);
                        decide(at, Fact::AiEscalated { ai_agent, why, said: None });
                    }
                    let (queue, until) = (self.cast.queue.clone(), None);
                    let stage = Stage::Step { index: 0, plan: 1 };
                    let waits = Fact::WaitStarted { stage: stage.clone(), queue: Some(queue.clone()), until };
                    decide(at, waits.clone());
                    // One in ten waits a second time.
                    if self.rng.u8(..10) == 0 {
                        at = self.later(at, 30..=30);
                        decide(at, Fact::WaitEnded { stage, why: WaitEnd::TimedOut, passed_over: Vec::new() });
                        decide(at, waits);
                    }
                    let rings = |agents: Vec<AgentId>| Fact::Offered {
                        target: Target::Queue(queue.clone()),
                        audience: Audience::Agents(agents),
                        until,
                        rung: Vec::new(),
                        passed_over: Vec::new(),
                    };
                    if let Some(agent) = &agent {
                        let other = self.cast.agents.iter().find(|other| *other != agent).cloned();
                        // Some ring at somebody who lets it ring or rejects it, some at two at once.
                        let mut also = Vec::new();
                        match (other, self.rng.u8(..12)) {
                            (Some(other), 0 | 1) => {
                                decide(at, rings(vec![other.clone()]));
                                at = self.later(at, 15..=15);
                                decide(at, Fact::OfferMissed { audience: Audience::Agents(vec![other]) });
                            }
                            (Some(other), 2) => {
                                decide(at, rings(vec![other.clone()]));
                                at = self.later(at, 3..=9);
                                decide(at, Fact::Rejected { agent: other });
                            }
                            (Some(other), 3) => also.push(other),
                            _ => {}
                        }
                        decide(at, rings([vec![agent.clone()], also].concat()));
                        at = self.later(at, 4..=90);
                        decide(at, Fact::Accepted { agent: agent.clone(), queue: interaction.accepted_via.clone(), previous: None });
                    }
                }
                _ => decide(at, Fact::MessageReceived { message: id, delivered: true }),
            }
            interaction.last_message = Some(LastMessage { at: message.at, from_customer: !by_agent });
            messages.push(message);
            at = self.later(at, 10..=400);
        }
        // One in three agents is on a pause until the disposition is chosen.
        if let Some(agent) = agent.clone().filter(|_| self.rng.u8(..3) == 0) {
            decide(at, Fact::CloseRequested { agent, pause: "After the call".to_owned() });
            at = self.later(at, 5..=60);
        }
        let closed = Fact::Closed { agent: agent.clone(), disposition: interaction.disposition.clone() };
        decide(at, closed.clone());
        if let Some(agent) = agent.filter(|_| self.rng.u8(..20) == 0) {
            at = self.later(at, 60..=900);
            decide(at, Fact::Reopened { agent });
            at = self.later(at, 60..=300);
            decide(at, closed);
        }
        interaction.closed_at = Some(at);
        let mut calls = Vec::new();
        // Two in three have insights. Their model fails once in a while, and is asked again.
        if self.rng.u8(..3) > 0 {
            let sentiment =
                [Sentiment::Positive, Sentiment::Positive, Sentiment::Neutral, Sentiment::Negative, Sentiment::Mixed][self.rng.usize(..5)];
            let fails = self.rng.u8(..12) == 0;
            for replied in [false, true].into_iter().filter(|replied| *replied || fails) {
                at = self.later(at, 2..=6);
                let (input, output) = if replied { (self.rng.u64(400..1_500), self.rng.u64(40..120)) } else { (0, 0) };
                let cost = Some(((input * 6 + output * 24) / 100, Currency::USD));
                let (ai_agent, milliseconds) = (self.cast.ai_agent.clone(), self.rng.u64(600..4_000));
                calls.push(AiCall { ai_agent, at, replied, input, output, milliseconds, cost });
            }
            let summary = Summary::of("The customer asked about an order and got an answer.").ok();
            let made = summary.map(|summary| Fact::InsightsMade { agent: None, ai_agent: self.cast.ai_agent.clone(), sentiment, summary });
            made.into_iter().for_each(|made| history.push(HistoryEntry { at, version: history.len() as u64 + 1, role: None, fact: made }));
            interaction.insights = Some(Insights { sentiment, at, version: history.len() as u64 });
        }
        interaction.version = history.len() as u64;
        Past { contact, interaction, messages, history, calls }
    }

    fn later(&mut self, at: Timestamp, seconds: RangeInclusive<i64>) -> Timestamp {
        at.saturating_add(SignedDuration::from_millis(self.rng.i64(seconds) * 1_000 + self.rng.i64(0..1_000))).unwrap_or(at)
    }

    fn pick(&mut self, from: &'static [&'static str]) -> &'static str {
        from[self.rng.usize(..from.len())]
    }

    fn ulid(&mut self, at: Timestamp) -> Ulid {
        Ulid::from_parts(millisecond(at), self.rng.u128(..))
    }
}

fn millisecond(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

const FIRST_NAMES: &[&str] = &[
    "Zoë",
    "Marco",
    "Giulia",
    "José",
    "Łukasz",
    "Anne",
    "Søren",
    "Chiara",
    "Matteo",
    "Sofía",
    "François",
    "Elena",
    "Jürgen",
    "Aisha",
    "Niccolò",
    "Priya",
    "Tomás",
    "Ingrid",
    "Beatrice",
    "Omar",
];

const LAST_NAMES: &[&str] = &[
    "Rossi",
    "Bianchi",
    "García",
    "Müller",
    "Kowalski",
    "Dubois",
    "Jørgensen",
    "Conti",
    "Esposito",
    "D'Angelo",
    "Núñez",
    "Schmidt",
    "Okafor",
    "Patel",
    "Ferrari",
    "Lindström",
];

const DISPOSITIONS: &[&str] = &["Solved", "Solved", "Solved", "Order/Delayed", "Order/Returned", "Invoice", "No answer", "Wrong number"];

const TAGS: &[&str] = &["vip", "delivery", "invoice", "returns", "complaint"];

/// What was said. A line of an agent begins with `> `.
const SCRIPTS: &[&[&str]] = &[
    &[
        "Good morning, where is my order {order}?",
        "> Good morning! I am looking it up.",
        "> It left our house yesterday and arrives tomorrow.",
        "Perfect, thank you!",
    ],
    &[
        "Buongiorno, perché il pacco {order} è ancora in magazzino?",
        "> Buongiorno! Un attimo, controllo subito.",
        "> C'è stato un ritardo del corriere: parte oggi.",
        "Va bene, grazie mille",
        "> Grazie a lei e buona giornata!",
    ],
    &[
        "Hello, I got an invoice twice for order {order}",
        "> Hello, sorry for that. One of them is void, and I send you a note about it.",
        "Please send it by e-mail too",
        "> Done. Is there anything else?",
        "No, that was all",
    ],
    &["Is this the number of the café?", "> No, this is the customer service of the shop.", "Sorry, wrong number"],
    &[
        "Quiero devolver el pedido {order}, la talla no es correcta",
        "> Claro. ¿Quiere otra talla o el dinero?",
        "Otra talla, por favor: la 42",
        "> Perfecto, le envío la etiqueta de devolución.",
        "Muchas gracias",
    ],
    &["Mein Paket {order} ist beschädigt angekommen", "> Das tut uns leid. Können Sie ein Foto schicken?", "Mache ich heute Abend"],
    &[
        "Can I change the address of order {order}?",
        "> Yes, until it is packed. What is the new address?",
        "Straße 12, 80331 München",
        "> It is changed.",
        "Great, thanks a lot 👍",
    ],
    &["Do you open on Sunday?", "> Yes, from 10 to 13.", "See you then"],
    &["I want to speak to a manager about order {order}!", "> I understand. I call you back within the hour.", "You had better"],
    &["Ordine {order}: posso pagare alla consegna?", "> Sì, in contanti o con carta.", "Ottimo"],
];

/// What an agent writes first, and what comes of it.
const STARTED: &[&str] = &["> Il suo ordine {order} è pronto per il ritiro.", "Grazie, passo domani", "> A domani!"];

#[cfg(test)]
mod tests {
    use domain::pricing::{Amount, Price, Prices, Rate};
    use domain::report::{Calendar, Cell, Dimension, Measure, Metric, Quarter, ServiceLevel};

    use engine::memory::Memory;

    use super::*;

    fn cast() -> Cast {
        let ulid = |number| Ulid::from_parts(1, number);
        Cast {
            accounts: (1..=3).map(|number| AccountId::from_ulid(ulid(number))).collect(),
            list: ListId::from_ulid(ulid(1)),
            agents: (1..=2).map(|number| AgentId::from_ulid(ulid(number))).collect(),
            queue: QueueId::from_ulid(ulid(1)),
            ai_agent: AiAgentId::from_ulid(ulid(1)),
        }
    }

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_past_is_over_in_order_and_the_same_each_time() {
        let cast = cast();
        let tell = || {
            let mut teller = Teller { rng: Rng::with_seed(SEED), cast: &cast, now: now() };
            (0..300).flat_map(|number| teller.customer(number, 3)).collect::<Vec<_>>()
        };
        let past = tell();
        for (one, again) in past.iter().zip(tell()) {
            assert_eq!((&one.interaction, &one.messages), (&again.interaction, &again.messages));
            let Past { interaction, messages, history, .. } = one;
            assert!(interaction.opened_at > now() - SignedDuration::from_hours(24 * (DAYS + 1)));
            assert!(
                interaction.closed_at.unwrap() < now() && interaction.closed_at > interaction.last_message.as_ref().map(|last| last.at)
            );
            assert!(messages.is_sorted_by_key(|message| message.at) && (messages.len() >= 3 || interaction.agent.is_none()));
            let versions: Vec<u64> = history.iter().map(|entry| entry.version).collect();
            assert_eq!(versions, (1..=interaction.version).collect::<Vec<_>>());
            assert!(history.is_sorted_by_key(|entry| entry.at));
        }
        let accounts: BTreeSet<_> = past.iter().map(|past| past.interaction.account.clone()).collect();
        assert_eq!(accounts.len(), 3);
    }

    #[tokio::test]
    async fn as_many_conversations_as_asked_for_are_written() {
        let memory = Memory::new();
        write(&memory, &memory, None, &cast(), 100, now()).await.unwrap();
        let written = memory.interactions();
        // The reports have all of them.
        let mut closed = 0;
        for account in cast().accounts {
            let all = Quarter(0)..Quarter(i64::MAX);
            let tallies = memory.tallies(&account, Dimension::Account, all).await.unwrap();
            closed += tallies.iter().map(|(_, _, tally)| tally.count(Measure::Closed)).sum::<u64>();
        }
        let reopened = 1..=20;
        assert!(reopened.contains(&(closed - 100)), "{closed}");
        assert_eq!(written.len(), 100);
        assert!(written.iter().all(|interaction| !interaction.is_open()));
    }

    /// Nobody learns what a report shows from columns of zeros.
    #[tokio::test]
    async fn the_past_fills_every_column_of_every_report() {
        let memory = Memory::new();
        write(&memory, &memory, None, &cast(), 500, now()).await.unwrap();
        let days = Quarter::of(now() - SignedDuration::from_hours(24 * (DAYS + 2)))..Quarter::of(now());
        let report = async |dimension: Dimension| {
            let one: Amount = "1".to_owned().try_into().unwrap();
            let asked = oversight::Asked {
                accounts: cast().accounts,
                agents: if dimension == Dimension::Agent { cast().agents } else { Vec::new() },
                by: oversight::By::Each(dimension),
                only: None,
                periods: None::<Calendar>,
                first: days.start,
                end: days.end,
                metrics: Metric::ALL.into_iter().filter(|metric| metric.belongs_to(dimension)).collect(),
                service_level: None::<ServiceLevel>,
                levels: BTreeMap::new(),
                prices: Prices {
                    prices: vec![Price { category: Category::Utility, market: None, amount: one, currency: Currency::USD, from: None }],
                    rates: vec![Rate { currency: Currency::USD, rate: one }],
                    ..Prices::default()
                },
                now: now(),
            };
            let total = asked.report(&memory).await.unwrap().unwrap().total;
            asked
                .metrics
                .into_iter()
                .zip(total)
                .filter(|(_, cell)| matches!(cell, Cell::Nothing | Cell::Count(0) | Cell::Number(0.0)))
                .map(|(metric, _)| metric)
                .collect::<Vec<_>>()
        };
        for dimension in Dimension::ALL {
            let empty = report(dimension).await;
            assert!(empty.is_empty(), "{dimension:?} {empty:?}");
        }
    }
}
