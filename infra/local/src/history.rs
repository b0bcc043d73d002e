//! A past for the demo: closed conversations of the last three months, written straight into the table, so that lists
//! and searches have something in them. No provider, no function and no agent takes part in them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, ensure};
use cloud::aws::Aws;
use cloud::config::Env;
use domain::contact::{Contact, Place};
use domain::effect::{Audience, Target};
use domain::history::{Fact, HistoryEntry};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, ListId, MessageId, QueueId};
use domain::inbound::ProfileName;
use domain::interaction::{Inactivity, Interaction, LastMessage, Run, Stage, Status};
use domain::message::{Author, Content, Delivery, DeliveryState, Message};
use domain::priority::Priority;
use domain::report::facts;
use domain::search::Document;
use domain::tag::Tag;
use domain::values::{Address, E164};
use domain::variables::Variables;
use engine::ports::{Commit, Committed, Reports, Store, System, World as _};
use fastrand::Rng;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
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
}

/// One conversation of the past.
struct Past {
    contact: Option<Contact>,
    interaction: Interaction,
    messages: Vec<Message>,
    history: Vec<HistoryEntry>,
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
    let cast = Cast { accounts, list: demo.list.parse()?, agents, queue: demo.queue.parse()? };
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
    let mut kept = Vec::new();
    let mut quarters = BTreeSet::new();
    for Past { interaction, history, .. } in all {
        for (version, facts) in facts(history) {
            quarters.insert((interaction.account.clone(), facts.quarter));
            kept.push((interaction.key(), version, facts));
        }
    }
    let puts = kept.iter().map(|(interaction, version, facts)| reports.put_facts(interaction, *version, facts));
    stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.context("facts can't be written")?;
    let sums = quarters.iter().map(|(account, quarter)| engine::reports::roll_up(reports, account, *quarter));
    stream::iter(sums).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.context("sums can't be written").map(drop)
}

async fn put(store: &impl Store, Past { contact, interaction, messages, history }: Past) -> Result<()> {
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
        let lines = SCRIPTS[self.rng.usize(..SCRIPTS.len())];
        let order = self.rng.u32(10_000..99_999).to_string();
        let (mut at, mut messages) = (interaction.opened_at, Vec::new());
        let mut history: Vec<HistoryEntry> = Vec::new();
        // Each decision makes a version.
        let mut decide = |at: Timestamp, fact: Fact| history.push(HistoryEntry { at, version: history.len() as u64 + 1, role: None, fact });
        decide(at, Fact::Opened);
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
            } else {
                message.from = Some(interaction.address.clone());
            }
            match (&agent, by_agent, number) {
                (Some(agent), true, _) => decide(at, Fact::MessageSent { message: id, agent: agent.clone() }),
                (Some(agent), false, 0) => {
                    decide(at, Fact::MessageReceived { message: id, delivered: false });
                    let (queue, until) = (self.cast.queue.clone(), None);
                    let stage = Stage::Step { index: 0, plan: 1 };
                    decide(at, Fact::WaitStarted { stage, queue: Some(queue.clone()), until });
                    let rings = |agent: &AgentId| Fact::Offered {
                        target: Target::Queue(queue.clone()),
                        audience: Audience::Agents(vec![agent.clone()]),
                        until,
                        rung: Vec::new(),
                        passed_over: Vec::new(),
                    };
                    // One in six rings at somebody who lets it ring.
                    if let Some(other) = self.cast.agents.iter().find(|other| *other != agent).filter(|_| self.rng.u8(..6) == 0) {
                        decide(at, rings(other));
                        at = self.later(at, 15..=15);
                        decide(at, Fact::OfferMissed { audience: Audience::Agents(vec![other.clone()]) });
                    }
                    decide(at, rings(agent));
                    at = self.later(at, 4..=90);
                    let accepted = Fact::Accepted { agent: agent.clone(), queue: interaction.accepted_via.clone(), previous: None };
                    decide(at, accepted);
                }
                _ => decide(at, Fact::MessageReceived { message: id, delivered: true }),
            }
            interaction.last_message = Some(LastMessage { at: message.at, from_customer: !by_agent });
            messages.push(message);
            at = self.later(at, 10..=400);
        }
        decide(at, Fact::Closed { agent, disposition: interaction.disposition.clone() });
        interaction.closed_at = Some(at);
        interaction.version = history.len() as u64;
        Past { contact, interaction, messages, history }
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

#[cfg(test)]
mod tests {
    use domain::report::{Dimension, Measure, Quarter};
    use engine::memory::Memory;

    use super::*;

    fn cast() -> Cast {
        let ulid = |number| Ulid::from_parts(1, number);
        Cast {
            accounts: (1..=3).map(|number| AccountId::from_ulid(ulid(number))).collect(),
            list: ListId::from_ulid(ulid(1)),
            agents: (1..=2).map(|number| AgentId::from_ulid(ulid(number))).collect(),
            queue: QueueId::from_ulid(ulid(1)),
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
            assert!(messages.is_sorted_by_key(|message| message.at) && messages.len() >= 3);
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
        assert_eq!(closed, 100);
        assert_eq!(written.len(), 100);
        assert!(written.iter().all(|interaction| !interaction.is_open()));
    }
}
