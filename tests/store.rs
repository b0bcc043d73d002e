//! The engine's store. The in-memory port and the port on the tables keep the same promises, so the simulation's
//! results hold for both.
//!
//! Every case runs on both ports, each with its own store.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::agent::{Capacity, Presence, PresenceState};
use domain::business::Business;
use domain::contact::{Contact, Cut, Identity, Link, Marketing, Origin, People, Place, Seen, Tied};
use domain::effect::{Audience, ConversationKey, Effect, InteractionKey, MessageKey, Notice, Target};
use domain::fixtures;
use domain::history::{Fact, HistoryEntry};
use domain::ids::{AgentId, ContactId, InteractionId, MessageId, QueueId, TriggerId};
use domain::inbound::{Alert, InboundEvent, InboundKind};
use domain::interaction::{Interaction, Offer, Stage, Status, Wait, WrapUp};
use domain::message::{Author, Content, Message};
use domain::priority::Priority;
use domain::queue::{Queue, Strategy, Weight};
use domain::row::{Listing, Position, Shelf};
use domain::trigger::{Happened, Health, Tried, TriedOutcome, TriggerCall, TriggerEvent};
use domain::values::{Address, E164};
use engine::memory::Memory;
use engine::ports::{Commit, Committed, Conversation, DueCall, Idempotency, Membership, MessageCommit, Owned, Store, TriggerCalls};
use engine::stream::Owner;
use jiff::{SignedDuration, Timestamp};
use store::{Form, Interactions, Write};
use ulid::Ulid;

use crate::support::Deployment;

/// A port, and the helpers of a test.
trait Bench {
    type Port: Store + TriggerCalls;
    async fn start() -> Self;
    fn port(&self) -> &Self::Port;
    async fn put_account(&self, account: Account);
    async fn put_queue(&self, queue: Queue);
    /// Stores a webhook's event, as `receive` does.
    async fn receive(&self, event: &InboundEvent);
    /// The interaction that an event was routed to.
    async fn routed(&self, event: &InboundEvent) -> Option<String>;
    async fn history(&self, key: &InteractionKey) -> Vec<HistoryEntry>;
    /// The effects that the stream shows for an interaction, version by version. For the table, the current version
    /// is enough.
    async fn effects(&self, key: &InteractionKey) -> Vec<Effect>;
    /// The row of an interaction in the index of lists.
    async fn listing(&self, key: &InteractionKey) -> Option<Listing>;
}

struct InMemory(Memory);

impl Bench for InMemory {
    type Port = Memory;

    async fn start() -> Self {
        Self(Memory::new())
    }

    fn port(&self) -> &Memory {
        &self.0
    }

    async fn put_account(&self, account: Account) {
        self.0.directory().put_account(account);
    }

    async fn put_queue(&self, queue: Queue) {
        self.0.directory().put_queue(queue);
    }

    async fn receive(&self, event: &InboundEvent) {
        self.0.receive(event);
    }

    async fn routed(&self, event: &InboundEvent) -> Option<String> {
        self.0.routed(&event.account, &event.id)
    }

    async fn history(&self, key: &InteractionKey) -> Vec<HistoryEntry> {
        self.0.history(&key.interaction)
    }

    async fn effects(&self, key: &InteractionKey) -> Vec<Effect> {
        let caused = self
            .0
            .take_effects()
            .into_iter()
            .rfind(|caused| matches!(&caused.item, Owner::Interaction(interaction) if interaction.key() == *key));
        caused.map(|caused| caused.effects).unwrap_or_default()
    }

    async fn listing(&self, key: &InteractionKey) -> Option<Listing> {
        self.0.listings().remove(&key.interaction)
    }
}

/// The tables, with items in the compact form.
struct OnTables(Deployment);

impl Bench for OnTables {
    type Port = Interactions;

    async fn start() -> Self {
        Self(Deployment::new().await)
    }

    fn port(&self) -> &Interactions {
        &self.0.store
    }

    async fn put_account(&self, account: Account) {
        let there = self.0.configuration.get::<Account>(account.id.as_str()).await.unwrap();
        let write = there.as_ref().map_or(Write::New, |(before, version)| Write::Replace { before, version: *version });
        self.0.configuration.put(&account, write, Vec::new()).await.unwrap();
    }

    async fn put_queue(&self, queue: Queue) {
        let there = self.0.configuration.get::<Queue>(queue.id.as_str()).await.unwrap();
        let write = there.as_ref().map_or(Write::New, |(before, version)| Write::Replace { before, version: *version });
        self.0.configuration.put(&queue, write, Vec::new()).await.unwrap();
    }

    async fn receive(&self, event: &InboundEvent) {
        self.0.store.receive(event, "raw", false).await.unwrap();
    }

    async fn routed(&self, event: &InboundEvent) -> Option<String> {
        self.0.store.event(&event.account, &event.id).await.unwrap()?.1
    }

    async fn history(&self, key: &InteractionKey) -> Vec<HistoryEntry> {
        self.0.store.history(key).await.unwrap()
    }

    async fn effects(&self, key: &InteractionKey) -> Vec<Effect> {
        use aws_sdk_dynamodb::types::AttributeValue::S;
        let read = self.0.aws.dynamodb().get_item().table_name("interactions");
        let read = read.key("pk", S(format!("CONV#{}", key.conversation.group()))).key("sk", S(format!("INT#{}", key.interaction)));
        store::effects_of(&read.send().await.unwrap().item.unwrap()).unwrap()
    }

    async fn listing(&self, key: &InteractionKey) -> Option<Listing> {
        use aws_sdk_dynamodb::types::AttributeValue::S;
        let account = &key.conversation.account;
        for shelf in Shelf::all(account, false).chain(Shelf::all(account, true)) {
            let query = self.0.aws.dynamodb().query().table_name("interactions").index_name("list");
            let query = query.key_condition_expression("list_of = :shelf").expression_attribute_values(":shelf", S(shelf.key()));
            for item in query.send().await.unwrap().items.unwrap() {
                let position = Position::parse(item["listed"].as_s().unwrap()).unwrap();
                if *position.interaction() == key.interaction {
                    let row = store::from_data(&[("data".to_owned(), item["row"].clone())].into()).unwrap();
                    return Some(Listing { shelf, position, row });
                }
            }
        }
        None
    }
}

/// The tables, with items as the version before reads them.
struct InPlainForm(OnTables);

impl Bench for InPlainForm {
    type Port = Interactions;

    async fn start() -> Self {
        let mut deployment = Deployment::new().await;
        deployment.store = deployment.store.writing(Form::Plain);
        Self(OnTables(deployment))
    }

    fn port(&self) -> &Interactions {
        self.0.port()
    }

    async fn put_account(&self, account: Account) {
        self.0.put_account(account).await;
    }

    async fn put_queue(&self, queue: Queue) {
        self.0.put_queue(queue).await;
    }

    async fn receive(&self, event: &InboundEvent) {
        self.0.receive(event).await;
    }

    async fn routed(&self, event: &InboundEvent) -> Option<String> {
        self.0.routed(event).await
    }

    async fn history(&self, key: &InteractionKey) -> Vec<HistoryEntry> {
        self.0.history(key).await
    }

    async fn effects(&self, key: &InteractionKey) -> Vec<Effect> {
        self.0.effects(key).await
    }

    async fn listing(&self, key: &InteractionKey) -> Option<Listing> {
        self.0.listing(key).await
    }
}

/// Runs each case on both ports, and on the tables in both forms.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&<super::InMemory as super::Bench>::start().await).await;
            })+
        }
        mod on_the_tables {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&<super::OnTables as super::Bench>::start().await).await;
            })+
        }
        mod in_plain_form {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&<super::InPlainForm as super::Bench>::start().await).await;
            })+
        }
    };
}

cases!(
    calls_of_triggers_wait_for_their_time_and_are_forgotten,
    the_turn_at_a_triggers_calls_has_one_holder_until_its_end,
    the_health_of_a_system_and_the_latest_tries_are_kept,
    an_opened_interaction_is_found_by_conversation_id_and_place,
    one_of_two_concurrent_opens_is_refused_and_leaves_nothing,
    a_change_of_an_old_version_is_refused_and_leaves_nothing,
    closing_makes_room_and_reopening_needs_it,
    the_time_of_the_customers_latest_message_stays_with_the_conversation,
    an_open_interaction_keeps_that_time_and_the_head_takes_it_over,
    a_message_stands_for_its_entry_of_the_history,
    an_event_is_marked_once_and_its_repetition_changes_nothing,
    an_event_without_changes_is_settled_and_keeps_its_destination,
    a_command_is_done_once,
    a_repetition_is_reported_before_any_other_failed_condition,
    a_slot_is_taken_and_given_back_with_the_interaction,
    an_agent_never_holds_more_than_the_capacity,
    the_last_slot_is_taken_only_with_an_unchanged_presence,
    an_agent_who_never_logged_in_gets_no_interaction,
    two_concurrent_accepts_do_not_share_one_slot,
    an_agent_who_accepts_belongs_to_the_account_and_the_queue,
    a_ring_is_written_only_with_an_unchanged_presence,
    an_agent_who_owes_a_disposition_is_paused_until_it_is_chosen,
    an_offer_to_many_and_one_to_its_own_agent_reserve_no_slot,
    waiting_interactions_are_sorted_by_priority_and_age,
    a_row_moves_with_its_interaction_and_goes_with_it,
    the_cursor_is_the_last_engaged_agent,
    the_history_is_kept_in_order_and_a_version_carries_its_effects,
    a_message_comes_with_its_interaction_and_is_found_by_the_providers_id,
    a_conversation_without_an_open_interaction_tells_its_newest,
    a_contact_changes_only_if_it_is_unchanged_since_the_read,
    an_alert_settles_its_event,
    a_message_changes_only_if_it_is_unchanged_since_the_read,
    a_presence_changes_only_if_it_is_unchanged_since_the_read,
    a_change_of_presence_leaves_load_and_ringing_alone,
    many_presences_are_read_at_once_and_missing_ones_are_left_out,
    an_address_belongs_to_one_contact,
    opening_requires_the_address_to_belong_to_the_contact,
    opening_fails_if_a_linked_contact_has_an_open_interaction,
    linked_contacts_are_one_person_under_every_address,
    a_link_of_changed_contacts_is_refused_and_leaves_nothing,
    two_interactions_are_merged_in_one_transaction_or_not_at_all,
    the_open_interactions_of_an_account_are_listed_newest_first_until_they_close,
    the_row_of_the_lists_follows_each_version_and_goes_with_a_merge,
);

fn now() -> Timestamp {
    "2026-01-01T12:00:00.250Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn ulid(number: u128) -> Ulid {
    Ulid::from_parts(2, number)
}

fn agent(number: u128) -> AgentId {
    AgentId::from_ulid(ulid(number))
}

fn queue(number: u128) -> QueueId {
    QueueId::from_ulid(ulid(number))
}

fn contact_id(number: u128) -> ContactId {
    ContactId::from_ulid(ulid(number))
}

fn phone(number: u128) -> Address {
    Address::Phone(E164::parse(&format!("+39333{number:07}")).unwrap())
}

/// A new interaction `number` with customer `customer`.
fn new(number: u128, customer: u128) -> Interaction {
    let (id, contact) = (InteractionId::from_ulid(ulid(number)), contact_id(customer));
    Interaction { id, contact, address: phone(customer), ..fixtures::interaction(Status::Open, now()) }
}

/// The commit that turns `before` into `after`, and nothing else.
fn commit(before: Option<&Interaction>, after: &Interaction) -> Commit {
    Commit {
        history: vec![HistoryEntry { at: later(1), version: after.version, role: None, fact: Fact::Opened }],
        ..Commit::plain(before.cloned(), after.clone())
    }
}

/// The next version, with one change.
fn next(before: &Interaction, change: impl FnOnce(&mut Interaction)) -> Interaction {
    let mut after = before.clone();
    after.version += 1;
    change(&mut after);
    after
}

fn closed(before: &Interaction) -> Interaction {
    next(before, |after| {
        (after.status, after.closed_at, after.wait) = (Status::Closed, Some(later(9)), None);
    })
}

fn held(before: &Interaction, by: &AgentId) -> Interaction {
    next(before, |after| (after.agent, after.wait) = (Some(by.clone()), None))
}

/// The interaction after its plan has run out, waiting for these targets.
fn waiting(before: &Interaction, targets: &[Target]) -> Interaction {
    next(before, |after| {
        let (id, targets) = (after.version, targets.to_vec());
        let wait = Wait { id, stage: Stage::Exhausted, targets, until: None, rejected: Vec::new(), missed: Vec::new(), offer: None };
        after.wait = Some(wait);
    })
}

/// The waiting interaction with an offer to this audience.
fn offered(before: &Interaction, audience: Audience, until: Option<Timestamp>) -> Interaction {
    next(before, |after| {
        let id = after.version;
        let wait = after.wait.as_mut().unwrap();
        wait.offer = Some(Offer { id, target: wait.targets[0].clone(), audience, until });
    })
}

async fn done<B: Bench>(bench: &B, commit: Commit) {
    assert_eq!(bench.port().commit(commit).await.unwrap(), Committed::Done);
}

async fn lost<B: Bench>(bench: &B, commit: Commit, to: Committed) {
    assert_eq!(bench.port().commit(commit).await.unwrap(), to);
}

/// Opens interaction `number` with customer `customer`.
async fn open<B: Bench>(bench: &B, number: u128, customer: u128) -> Interaction {
    let interaction = new(number, customer);
    done(bench, commit(None, &interaction)).await;
    interaction
}

/// Commits a change and returns the new version.
async fn turned<B: Bench>(bench: &B, before: Interaction, after: Interaction) -> Interaction {
    done(bench, commit(Some(&before), &after)).await;
    after
}

/// A ready agent.
async fn ready<B: Bench>(bench: &B, number: u128, capacity: i64) -> AgentId {
    let presence = Presence { chosen: PresenceState::Ready, version: 1, ..absent(number, capacity) };
    assert_eq!(bench.port().commit_presence(&presence, &[], &Idempotency::Guarded).await.unwrap(), Committed::Done);
    presence.agent
}

fn absent(number: u128, capacity: i64) -> Presence {
    Presence::logged_out(agent(number), Capacity::new(capacity).unwrap(), now())
}

async fn presence<B: Bench>(bench: &B, agent: &AgentId) -> Presence {
    bench.port().presences(std::slice::from_ref(agent)).await.unwrap().remove(agent).unwrap()
}

async fn current<B: Bench>(bench: &B, interaction: &Interaction) -> Interaction {
    bench.port().interaction(&interaction.key()).await.unwrap().unwrap()
}

async fn open_of<B: Bench>(bench: &B, interaction: &Interaction) -> Option<InteractionId> {
    bench.port().conversation(&interaction.conversation()).await.unwrap().open.map(|open| open.id)
}

fn event(id: &str) -> InboundEvent {
    let kind = InboundKind::Other { name: "nothing".to_owned() };
    InboundEvent { account: fixtures::account().id, id: id.to_owned(), received_at: now(), index: 0, proven: Some(true), kind }
}

fn marked(event: &InboundEvent) -> Idempotency {
    Idempotency::Event { account: event.account.clone(), id: event.id.clone() }
}

fn command(id: &str) -> Idempotency {
    Idempotency::Command { id: id.to_owned() }
}

async fn an_opened_interaction_is_found_by_conversation_id_and_place<B: Bench>(bench: &B) {
    let (first, other) = (new(1, 1), new(2, 2));
    let port = bench.port();
    assert_eq!(port.conversation(&first.conversation()).await.unwrap(), Conversation::default());
    assert_eq!((port.locate(&first.id).await.unwrap(), port.interaction(&first.key()).await.unwrap()), (None, None));
    done(bench, commit(None, &first)).await;
    done(bench, commit(None, &other)).await;
    for interaction in [&first, &other] {
        assert_eq!(port.conversation(&interaction.conversation()).await.unwrap().open.as_ref(), Some(interaction));
        assert_eq!(port.locate(&interaction.id).await.unwrap(), Some(interaction.key()));
        assert_eq!(port.interaction(&interaction.key()).await.unwrap().as_ref(), Some(interaction));
    }
    let elsewhere = InteractionKey { conversation: other.conversation(), interaction: first.id.clone() };
    assert_eq!(port.interaction(&elsewhere).await.unwrap(), None, "an id leads nowhere in another conversation");
    lost(bench, commit(None, &Interaction { contact: contact_id(3), ..first }), Committed::Conflict).await;
}

async fn one_of_two_concurrent_opens_is_refused_and_leaves_nothing<B: Bench>(bench: &B) {
    let (one, two) = (new(1, 1), new(2, 1));
    let port = bench.port();
    let (first, second) = tokio::join!(port.commit(commit(None, &one)), port.commit(commit(None, &two)));
    let (won, refused) = match (first.unwrap(), second.unwrap()) {
        (Committed::Done, Committed::Conflict) => (one, two),
        (Committed::Conflict, Committed::Done) => (two, one),
        both => panic!("{both:?}"),
    };
    assert_eq!(open_of(bench, &won).await, Some(won.id.clone()));
    assert_eq!(port.locate(&refused.id).await.unwrap(), None);
    assert!(bench.history(&refused.key()).await.is_empty());
}

async fn a_change_of_an_old_version_is_refused_and_leaves_nothing<B: Bench>(bench: &B) {
    let first = open(bench, 1, 1).await;
    let second = turned(bench, first.clone(), next(&first, |after| after.unread = true)).await;
    let target = Target::Queue(queue(1));
    let mut late = commit(Some(&first), &waiting(&first, std::slice::from_ref(&target)));
    late.mark = command("late");
    late.cursor = Some((target.clone(), agent(1)));
    lost(bench, late, Committed::Conflict).await;
    assert_eq!(current(bench, &first).await, second);
    assert_eq!((bench.port().waiting(&target).await.unwrap(), bench.port().cursor(&target).await.unwrap()), (Vec::new(), None));
    assert_eq!(bench.history(&first.key()).await.len(), 2);
    let mut again = commit(Some(&second), &next(&second, |after| after.unread = false));
    again.mark = command("late");
    done(bench, again).await;
    lost(bench, commit(Some(&new(2, 2)), &next(&new(2, 2), |_| ())), Committed::Conflict).await;
}

async fn closing_makes_room_and_reopening_needs_it<B: Bench>(bench: &B) {
    let first = open(bench, 1, 1).await;
    lost(bench, commit(None, &new(2, 1)), Committed::Conflict).await;
    let over = turned(bench, first.clone(), closed(&first)).await;
    assert_eq!((open_of(bench, &first).await, current(bench, &first).await), (None, over.clone()));
    let second = open(bench, 2, 1).await;
    let again = next(&over, |after| (after.status, after.closed_at) = (Status::Open, None));
    lost(bench, commit(Some(&over), &again), Committed::Conflict).await;
    assert_eq!(open_of(bench, &first).await, Some(second.id.clone()));
    turned(bench, second.clone(), closed(&second)).await;
    let third = open(bench, 3, 1).await;
    turned(bench, third.clone(), closed(&third)).await;
    turned(bench, over, again.clone()).await;
    // The open interaction is found among newer ones.
    assert_eq!(bench.port().conversation(&again.conversation()).await.unwrap().open, Some(again));
}

async fn the_time_of_the_customers_latest_message_stays_with_the_conversation<B: Bench>(bench: &B) {
    let first = new(1, 1);
    done(bench, Commit { last_inbound_at: Some(now()), ..commit(None, &first) }).await;
    let window = async || bench.port().conversation(&first.conversation()).await.unwrap().last_inbound_at;
    assert_eq!(window().await, Some(now()));
    let second = turned(bench, first.clone(), next(&first, |_| ())).await;
    assert_eq!(window().await, Some(now()), "a commit without a window leaves it alone");
    let third = next(&second, |_| ());
    done(bench, Commit { last_inbound_at: Some(later(5)), ..commit(Some(&second), &third) }).await;
    turned(bench, third.clone(), closed(&third)).await;
    assert_eq!(window().await, Some(later(5)), "it outlives the interaction");
}

async fn an_open_interaction_keeps_that_time_and_the_head_takes_it_over<B: Bench>(bench: &B) {
    let hears = |before: &Interaction, at: Timestamp| next(before, |after| after.heard_at = Some(at));
    let first = new(1, 1);
    let window = async || bench.port().conversation(&first.conversation()).await.unwrap().last_inbound_at;
    let first = hears(&Interaction { version: first.version - 1, ..first.clone() }, now());
    done(bench, Commit { last_inbound_at: first.heard_at, ..commit(None, &first) }).await;
    // Within the hour the head stays as it is, and the answer is right.
    let second = hears(&first, later(60));
    let told = Commit { last_inbound_at: second.heard_at, ..commit(Some(&first), &second) };
    assert_eq!(told.heard_at_head(), None);
    done(bench, told).await;
    assert_eq!(window().await, Some(later(60)));
    let third = hears(&second, later(3_600));
    let told = Commit { last_inbound_at: third.heard_at, ..commit(Some(&second), &third) };
    assert_eq!(told.heard_at_head(), Some(later(3_600)), "functions of the version before know the head alone");
    done(bench, told).await;
    let fourth = hears(&third, later(3_700));
    done(bench, Commit { last_inbound_at: fourth.heard_at, ..commit(Some(&third), &fourth) }).await;
    turned(bench, fourth.clone(), closed(&fourth)).await;
    assert_eq!(window().await, Some(later(3_700)), "it outlives the interaction");
}

async fn a_message_stands_for_its_entry_of_the_history<B: Bench>(bench: &B) {
    let first = open(bench, 1, 1).await;
    let fact = |fact: Fact, after: &Interaction| vec![HistoryEntry { at: later(1), version: after.version, role: None, fact }];
    let mut before = first.clone();
    let mut expected = bench.history(&first.key()).await;
    let mut places = Vec::new();
    for number in 1..=4 {
        let after = next(&before, |after| after.answered = true);
        let (place, mut message) = written(number, &after, None);
        let history = match number {
            // Not delivered: that says more than the message.
            3 => fact(Fact::MessageReceived { message: message.id.clone(), delivered: false }, &after),
            4 => fact(Fact::MessageReceived { message: message.id.clone(), delivered: true }, &after),
            _ => {
                message.author = Author::Agent { agent: agent(1) };
                fact(Fact::MessageSent { message: message.id.clone(), agent: agent(1) }, &after)
            }
        };
        expected.extend(history.clone());
        let commit = Commit { history, ..commit(Some(&before), &after) }.with(message, Vec::new());
        // The first answer and what was not delivered keep their entries.
        assert_eq!(commit.history.is_empty(), number == 2 || number == 4, "{number}");
        assert_eq!(commit.decided_at(), Some(later(1)));
        done(bench, commit).await;
        before = after;
        places.push(place);
    }
    assert_eq!(bench.history(&first.key()).await, expected);
    // A later change of a message takes nothing of its decision away.
    for place in places {
        let message = bench.port().message(&place).await.unwrap().unwrap();
        let changed = Message { version: 2, forwarded: true, ..message };
        let change = MessageCommit::of(&place, 1, changed, vec![Effect::Archive]);
        assert_eq!(bench.port().commit_message(change).await.unwrap(), Committed::Done);
    }
    assert_eq!(bench.history(&first.key()).await, expected);
}

async fn an_event_is_marked_once_and_its_repetition_changes_nothing<B: Bench>(bench: &B) {
    let (first, event) = (new(1, 1), event("SM1"));
    bench.receive(&event).await;
    assert_eq!(bench.routed(&event).await, None);
    done(bench, Commit { mark: marked(&event), ..commit(None, &first) }).await;
    assert_eq!(bench.routed(&event).await.as_deref(), Some(first.id.as_str()));
    let again = next(&first, |after| after.unread = true);
    lost(bench, Commit { mark: marked(&event), ..commit(Some(&first), &again) }, Committed::AlreadyDone).await;
    assert_eq!(current(bench, &first).await, first);
}

async fn an_event_without_changes_is_settled_and_keeps_its_destination<B: Bench>(bench: &B) {
    let first = open(bench, 1, 1).await;
    let (nothing, routed) = (event("SM1"), event("SM2"));
    for event in [&nothing, &routed] {
        bench.receive(event).await;
    }
    done(bench, Commit { mark: marked(&routed), ..commit(Some(&first), &next(&first, |_| ())) }).await;
    for event in [&nothing, &nothing, &routed] {
        bench.port().settle(event).await.unwrap();
    }
    assert_eq!(bench.routed(&nothing).await.as_deref(), Some("-"));
    assert_eq!(bench.routed(&routed).await.as_deref(), Some(first.id.as_str()));
    lost(bench, Commit { mark: marked(&nothing), ..commit(None, &new(2, 2)) }, Committed::AlreadyDone).await;
}

async fn a_command_is_done_once<B: Bench>(bench: &B) {
    let first = open(bench, 1, 1).await;
    let second = next(&first, |after| after.unread = true);
    done(bench, Commit { mark: command("one"), ..commit(Some(&first), &second) }).await;
    let third = next(&second, |after| after.unread = false);
    lost(bench, Commit { mark: command("one"), ..commit(Some(&second), &third) }, Committed::AlreadyDone).await;
    assert_eq!(current(bench, &first).await, second);
    done(bench, Commit { mark: command("two"), ..commit(Some(&second), &third) }).await;
    done(bench, commit(Some(&third), &next(&third, |_| ()))).await;
}

async fn a_repetition_is_reported_before_any_other_failed_condition<B: Bench>(bench: &B) {
    let busy = ready(bench, 1, 1).await;
    let (other, first) = (open(bench, 1, 1).await, open(bench, 2, 2).await);
    turned(bench, other.clone(), held(&other, &busy)).await;
    done(bench, Commit { mark: command("one"), ..commit(Some(&first), &next(&first, |_| ())) }).await;
    // The commit fails in every way: the version is old, the slot is taken, the account does not exist.
    let membership = Some(Membership { agent: busy.clone(), account: first.account.clone(), queue: None });
    let all = Commit { mark: command("one"), membership, ..commit(Some(&first), &held(&first, &busy)) };
    lost(bench, all.clone(), Committed::AlreadyDone).await;
    lost(bench, Commit { mark: command("two"), ..all.clone() }, Committed::NotAMember).await;
    lost(bench, Commit { mark: command("two"), membership: None, ..all.clone() }, Committed::AtCapacity).await;
    lost(
        bench,
        Commit { mark: Idempotency::Guarded, membership: None, ..commit(Some(&first), &next(&first, |_| ())) },
        Committed::Conflict,
    )
    .await;
}

async fn a_slot_is_taken_and_given_back_with_the_interaction<B: Bench>(bench: &B) {
    let (anna, ben) = (ready(bench, 1, 5).await, ready(bench, 2, 5).await);
    let before = Presence { missed: 3, version: 2, ..presence(bench, &anna).await };
    assert_eq!(bench.port().commit_presence(&before, &[], &Idempotency::Guarded).await.unwrap(), Committed::Done);
    let revision = presence(bench, &anna).await.revision;
    let first = open(bench, 1, 1).await;
    let hers = turned(bench, first.clone(), held(&first, &anna)).await;
    let after = presence(bench, &anna).await;
    assert_eq!((after.load, after.revision, after.version), (BTreeSet::from([first.id.clone()]), revision + 1, 2));
    assert_eq!(after.missed, 0, "an acceptance restarts the count of missed offers");
    let unchanged = turned(bench, hers.clone(), next(&hers, |after| after.unread = true)).await;
    assert_eq!(presence(bench, &anna).await.revision, revision + 1, "a change that does not touch the slot does not touch the presence");
    let his = turned(bench, unchanged.clone(), held(&unchanged, &ben)).await;
    assert_eq!(presence(bench, &anna).await.load, BTreeSet::new());
    assert_eq!(presence(bench, &ben).await.load, BTreeSet::from([first.id.clone()]));
    turned(bench, his.clone(), closed(&his)).await;
    let free = presence(bench, &ben).await;
    assert_eq!((free.load, free.revision, free.version), (BTreeSet::new(), 3, 1));
}

async fn an_agent_never_holds_more_than_the_capacity<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 2).await;
    let (first, second, third) = (open(bench, 1, 1).await, open(bench, 2, 2).await, open(bench, 3, 3).await);
    let hers = turned(bench, first.clone(), held(&first, &anna)).await;
    turned(bench, second.clone(), held(&second, &anna)).await;
    lost(bench, commit(Some(&third), &held(&third, &anna)), Committed::AtCapacity).await;
    lost(bench, commit(None, &Interaction { agent: Some(anna.clone()), ..new(4, 4) }), Committed::AtCapacity).await;
    assert_eq!(current(bench, &third).await, third);
    assert_eq!(presence(bench, &anna).await.load, BTreeSet::from([first.id.clone(), second.id.clone()]));
    // She may accept her own interaction again, and a returned slot is free.
    let again = turned(bench, hers.clone(), held(&hers, &anna)).await;
    turned(bench, again.clone(), closed(&again)).await;
    turned(bench, third.clone(), held(&third, &anna)).await;
}

async fn the_last_slot_is_taken_only_with_an_unchanged_presence<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 1).await;
    let first = open(bench, 1, 1).await;
    let revision = presence(bench, &anna).await.revision;
    let taken = |revision| Commit { presence_revision: Some((anna.clone(), revision)), ..commit(Some(&first), &held(&first, &anna)) };
    // A ring that began meanwhile must be detected. It is not a lack of capacity.
    lost(bench, taken(revision + 1), Committed::Conflict).await;
    done(bench, taken(revision)).await;
}

async fn an_agent_who_never_logged_in_gets_no_interaction<B: Bench>(bench: &B) {
    let first = open(bench, 1, 1).await;
    lost(bench, commit(Some(&first), &held(&first, &agent(9))), Committed::AtCapacity).await;
    let waits = turned(bench, first.clone(), waiting(&first, &[Target::Queue(queue(1))])).await;
    let ring = offered(&waits, Audience::Agents(vec![agent(9)]), Some(later(15)));
    lost(bench, commit(Some(&waits), &ring), Committed::Conflict).await;
    assert!(bench.port().presences(&[agent(9)]).await.unwrap().is_empty());
}

async fn two_concurrent_accepts_do_not_share_one_slot<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 1).await;
    let (first, second) = (open(bench, 1, 1).await, open(bench, 2, 2).await);
    let port = bench.port();
    let take = |interaction: &Interaction| port.commit(commit(Some(interaction), &held(interaction, &anna)));
    let (one, two) = tokio::join!(take(&first), take(&second));
    let (won, outcome) = match (one.unwrap(), two.unwrap()) {
        (Committed::Done, lost) => (first, lost),
        (lost, Committed::Done) => (second, lost),
        both => panic!("{both:?}"),
    };
    // A table may also report a conflict with the other transaction.
    assert!(matches!(outcome, Committed::AtCapacity | Committed::Conflict), "{outcome:?}");
    assert_eq!(presence(bench, &anna).await.load, BTreeSet::from([won.id]));
}

async fn an_agent_who_accepts_belongs_to_the_account_and_the_queue<B: Bench>(bench: &B) {
    let (anna, ben) = (ready(bench, 1, 5).await, ready(bench, 2, 5).await);
    let account = Account { agents: vec![anna.clone()], ..fixtures::account() };
    bench.put_account(account.clone()).await;
    let queue_of = |number, members| {
        let name = "Support".to_owned();
        let (agent_timeout, pause_after_missed) = (Queue::AGENT_TIMEOUT, None);
        let (strategy, weight) = (Strategy::Beepall, Weight::default());
        let service_level = domain::report::ServiceLevel::default();
        Queue { id: queue(number), name, strategy, agent_timeout, weight, pause_after_missed, service_level, members }
    };
    bench.put_queue(queue_of(1, vec![anna.clone(), ben.clone()])).await;
    bench.put_queue(queue_of(2, Vec::new())).await;
    let first = open(bench, 1, 1).await;
    let membership = |agent: &AgentId, queue| Some(Membership { agent: agent.clone(), account: account.id.clone(), queue });
    let accept =
        |agent: &AgentId, via: Option<QueueId>| Commit { membership: membership(agent, via), ..commit(Some(&first), &held(&first, agent)) };
    for (agent, via) in [(&ben, None), (&ben, Some(queue(1))), (&anna, Some(queue(2))), (&anna, Some(queue(3)))] {
        lost(bench, accept(agent, via.clone()), Committed::NotAMember).await;
        assert_eq!(presence(bench, agent).await.load, BTreeSet::new(), "{via:?}");
    }
    done(bench, accept(&anna, Some(queue(1)))).await;
    // What one acceptance has proved may be known to the next ones, but no longer than it is true.
    let mut number = 1;
    let mut takes = async |agent: &AgentId, via: Option<QueueId>| {
        number += 1;
        let one = open(bench, number, number).await;
        let outcome = bench.port().commit(Commit { membership: membership(agent, via), ..commit(Some(&one), &held(&one, agent)) });
        outcome.await.unwrap()
    };
    assert_eq!(takes(&anna, Some(queue(1))).await, Committed::Done);
    assert_eq!(takes(&anna, None).await, Committed::Done);
    bench.put_queue(queue_of(1, vec![ben.clone()])).await;
    assert_eq!(takes(&anna, Some(queue(1))).await, Committed::NotAMember);
    assert_eq!(takes(&anna, None).await, Committed::Done);
    bench.put_account(Account { agents: vec![ben.clone()], ..account.clone() }).await;
    assert_eq!(takes(&anna, None).await, Committed::NotAMember);
    assert_eq!(takes(&ben, Some(queue(1))).await, Committed::Done);
    bench.put_queue(queue_of(1, vec![anna.clone()])).await;
    bench.put_account(account.clone()).await;
    assert_eq!(takes(&anna, Some(queue(1))).await, Committed::Done);
    assert_eq!(takes(&ben, Some(queue(1))).await, Committed::NotAMember);
}

async fn a_ring_is_written_only_with_an_unchanged_presence<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 5).await;
    let target = Target::Queue(queue(1));
    let (first, second) = (open(bench, 1, 1).await, open(bench, 2, 2).await);
    let first = turned(bench, first.clone(), waiting(&first, std::slice::from_ref(&target))).await;
    let second = turned(bench, second.clone(), waiting(&second, std::slice::from_ref(&target))).await;
    let revision = presence(bench, &anna).await.revision;
    let ring = |waits: &Interaction, revision| Commit {
        presence_revision: Some((anna.clone(), revision)),
        ..commit(Some(waits), &offered(waits, Audience::Agents(vec![anna.clone()]), Some(later(15))))
    };
    done(bench, ring(&first, revision)).await;
    let rung = presence(bench, &anna).await;
    assert_eq!((rung.ringing.clone(), rung.revision), (BTreeMap::from([(first.id.clone(), later(15))]), revision + 1));
    assert_eq!(rung.last_offered, Some(later(1)), "the time of the decision");
    lost(bench, ring(&second, revision), Committed::Conflict).await;
    assert_eq!(presence(bench, &anna).await, rung);
    assert_eq!(current(bench, &second).await, second);
    done(bench, ring(&second, revision + 1)).await;
    // After the acceptance one ring becomes a slot in the same change, and the other stops.
    let rings = current(bench, &first).await;
    turned(bench, rings.clone(), held(&rings, &anna)).await;
    let rings = current(bench, &second).await;
    turned(bench, rings.clone(), next(&rings, |after| after.wait.as_mut().unwrap().offer = None)).await;
    let after = presence(bench, &anna).await;
    assert_eq!((after.load, after.ringing, after.revision), (BTreeSet::from([first.id]), BTreeMap::new(), revision + 4));
}

async fn an_agent_who_owes_a_disposition_is_paused_until_it_is_chosen<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 5).await;
    let asked = async |number: u128, pause: &str| {
        let first = open(bench, number, number).await;
        let hers = turned(bench, first.clone(), held(&first, &anna)).await;
        let wrap_up = Some(WrapUp { agent: anna.clone(), pause: pause.to_owned(), since: now() });
        turned(bench, hers.clone(), next(&hers, |after| after.wrap_up = wrap_up)).await
    };
    let (first, second) = (asked(1, "After call").await, asked(2, "Paperwork").await);
    let owes = presence(bench, &anna).await;
    assert_eq!((owes.chosen.clone(), owes.wrapping_up.len(), owes.load.len()), (PresenceState::Ready, 2, 2));
    assert_eq!(owes.state(), PresenceState::Paused { reason: "Paperwork".into() });
    // A change of the agent's own presence leaves it alone.
    let break_ = Presence { chosen: PresenceState::Paused { reason: "Break".into() }, version: 2, ..owes };
    assert_eq!(bench.port().commit_presence(&break_, &[], &Idempotency::Guarded).await.unwrap(), Committed::Done);
    assert_eq!(presence(bench, &anna).await.wrapping_up, BTreeSet::from([first.id.clone(), second.id.clone()]));
    let over = next(&first, |after| (after.status, after.closed_at, after.wrap_up) = (Status::Closed, Some(later(9)), None));
    turned(bench, first, over).await;
    assert_eq!(presence(bench, &anna).await.wrapping_up, BTreeSet::from([second.id.clone()]));
    // Another agent has the interaction now.
    let ben = ready(bench, 2, 5).await;
    let his = next(&second, |after| (after.agent, after.wrap_up) = (Some(ben), None));
    turned(bench, second, his).await;
    let free = presence(bench, &anna).await;
    assert_eq!(
        (free.state(), free.wrapping_up, free.load),
        (PresenceState::Paused { reason: "Break".into() }, BTreeSet::new(), BTreeSet::new())
    );
}

async fn an_offer_to_many_and_one_to_its_own_agent_reserve_no_slot<B: Bench>(bench: &B) {
    let (anna, ben) = (ready(bench, 1, 1).await, ready(bench, 2, 1).await);
    let before = presence(bench, &anna).await;
    let first = open(bench, 1, 1).await;
    let first = turned(bench, first.clone(), waiting(&first, &[Target::Queue(queue(1))])).await;
    let many = Audience::Members { queue: queue(1), except: Vec::new() };
    let first = turned(bench, first.clone(), offered(&first, many, None)).await;
    let both = Audience::Agents(vec![anna.clone(), ben]);
    let first = turned(bench, first.clone(), offered(&first, both, None)).await;
    assert_eq!(presence(bench, &anna).await, before);
    let hers = turned(bench, first.clone(), held(&first, &anna)).await;
    let own = next(&hers, |after| {
        let (id, target, audience) = (after.version, Target::Agent(anna.clone()), Audience::Agents(vec![anna.clone()]));
        let offer = Some(Offer { id, target, audience, until: Some(later(10)) });
        let (stage, until) = (Stage::AssignedAgent, Some(later(10)));
        after.wait = Some(Wait { id, stage, targets: Vec::new(), until, rejected: Vec::new(), missed: Vec::new(), offer });
    });
    turned(bench, hers, own).await;
    assert_eq!(presence(bench, &anna).await.ringing, BTreeMap::new());
}

async fn waiting_interactions_are_sorted_by_priority_and_age<B: Bench>(bench: &B) {
    let target = Target::Account(fixtures::account().id);
    assert!(!bench.port().anything_waits(&target).await.unwrap());
    for (number, priority, since) in [(1, 0, 30), (2, 0, 10), (3, 9, 40), (4, 1, 50), (5, 9, 20), (6, 0, 10)] {
        let first = open(bench, number, number).await;
        let mut waits = waiting(&first, std::slice::from_ref(&target));
        (waits.priority, waits.unanswered_since) = (Priority::new(priority).unwrap(), Some(later(since)));
        turned(bench, first, waits).await;
    }
    let rows = bench.port().waiting(&target).await.unwrap();
    // The first ones alone cost less; whether there are more may be said in vain once, where exactly these are left.
    for most in 1..=5 {
        assert_eq!(bench.port().first_waiting(&target, most).await.unwrap(), (rows[..most].to_vec(), true), "{most} of six");
    }
    assert_eq!(bench.port().first_waiting(&target, 7).await.unwrap(), (rows.clone(), false));
    assert_eq!(bench.port().first_waiting(&Target::Queue(queue(1)), 7).await.unwrap(), (Vec::new(), false));
    let order: Vec<_> = rows.iter().map(|row| row.interaction.interaction.clone()).collect();
    assert_eq!(order, [5, 3, 4, 2, 6, 1].map(|number| InteractionId::from_ulid(ulid(number))));
    assert_eq!((rows[0].priority.get(), rows[0].since, &rows[0].stage, rows[0].wait), (9, later(20), &Stage::Exhausted, 2));
    for (of, waits) in [(&target, true), (&Target::Queue(queue(1)), false)] {
        assert_eq!(bench.port().anything_waits(of).await.unwrap(), waits);
        assert_eq!(bench.port().anything_waited(of).await.unwrap(), waits, "nothing lags here");
    }
    assert!(bench.port().waiting(&Target::Queue(queue(1))).await.unwrap().is_empty());
}

async fn a_row_moves_with_its_interaction_and_goes_with_it<B: Bench>(bench: &B) {
    let targets = [Target::Queue(queue(1)), Target::Queue(queue(2)), Target::Agent(agent(1))];
    let first = open(bench, 1, 1).await;
    let two = turned(bench, first.clone(), waiting(&first, &targets[..2])).await;
    let rows = async |of: &Target| bench.port().waiting(of).await.unwrap();
    assert_eq!((rows(&targets[0]).await.len(), rows(&targets[1]).await.len()), (1, 1));
    let moved = next(&two, |after| {
        (after.priority, after.unanswered_since) = (Priority::new(5).unwrap(), Some(later(5)));
        after.wait.as_mut().unwrap().targets = targets[1..].to_vec();
    });
    let moved = turned(bench, two, moved).await;
    assert_eq!(rows(&targets[0]).await, []);
    for target in &targets[1..] {
        let found = rows(target).await;
        assert_eq!((found.len(), found[0].priority.get(), found[0].since), (1, 5, later(5)), "{target:?}");
    }
    let rejected = next(&moved, |after| after.wait.as_mut().unwrap().rejected = vec![agent(1)]);
    let rejected = turned(bench, moved, rejected).await;
    assert_eq!(rows(&targets[1]).await[0].rejected, [agent(1)], "a change in place is read in place");
    turned(bench, rejected.clone(), closed(&rejected)).await;
    for target in &targets {
        assert_eq!((rows(target).await, bench.port().anything_waits(target).await.unwrap()), (Vec::new(), false));
    }
}

async fn the_cursor_is_the_last_engaged_agent<B: Bench>(bench: &B) {
    let (target, other) = (Target::Queue(queue(1)), Target::Queue(queue(2)));
    let mut interaction = open(bench, 1, 1).await;
    for number in [1, 2] {
        let after = next(&interaction, |_| ());
        done(bench, Commit { cursor: Some((target.clone(), agent(number))), ..commit(Some(&interaction), &after) }).await;
        assert_eq!(bench.port().cursor(&target).await.unwrap(), Some(agent(number)));
        interaction = after;
    }
    assert_eq!(bench.port().cursor(&other).await.unwrap(), None);
}

async fn the_history_is_kept_in_order_and_a_version_carries_its_effects<B: Bench>(bench: &B) {
    let (wake, archive) = (Effect::Wake { target: Target::Queue(queue(1)) }, Effect::Archive);
    let entry = |version, fact| HistoryEntry { at: now(), version, role: None, fact };
    let first = new(1, 1);
    let opened = vec![entry(1, Fact::Opened), entry(1, Fact::PlanStarted { plan: 1 })];
    done(bench, Commit { history: opened.clone(), effects: vec![wake.clone()], ..commit(None, &first) }).await;
    assert_eq!(bench.effects(&first.key()).await, vec![wake.clone()]);
    let mut interaction = first.clone();
    for version in 2..=12 {
        let after = next(&interaction, |_| ());
        let history = vec![entry(version, Fact::AccountInactive)];
        let effects = if version == 12 { vec![archive.clone(), wake.clone()] } else { Vec::new() };
        done(bench, Commit { history, effects, ..commit(Some(&interaction), &after) }).await;
        interaction = after;
    }
    let history = bench.history(&first.key()).await;
    assert_eq!(history[..2], opened);
    let versions: Vec<_> = history[2..].iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (2..=12).collect::<Vec<_>>());
    assert_eq!(bench.effects(&first.key()).await, [archive, wake]);
}

/// Message `number` of an interaction.
fn written(number: u128, of: &Interaction, provider_id: Option<&str>) -> (MessageKey, Message) {
    let (id, interaction, provider_id) = (MessageId::from_ulid(ulid(number)), of.id.clone(), provider_id.map(str::to_owned));
    let message = Message { id, interaction, provider_id, ..fixtures::message(now()) };
    (MessageKey { interaction: of.key(), at: message.at, message: message.id.clone() }, message)
}

async fn a_message_comes_with_its_interaction_and_is_found_by_the_providers_id<B: Bench>(bench: &B) {
    let (first, port) = (new(1, 1), bench.port());
    let (account, (one, heard)) = (first.account.clone(), written(1, &first, Some("SM1")));
    let (two, answer) = written(2, &first, None);
    let answer = Message { author: Author::System, ..answer };
    assert_eq!(port.message(&one).await.unwrap(), None);
    let messages = vec![(heard.clone(), Vec::new()), (answer.clone(), vec![Effect::Send])];
    done(bench, Commit { messages, ..commit(None, &first) }).await;
    assert_eq!((port.message(&one).await.unwrap(), port.message(&two).await.unwrap()), (Some(heard.clone()), Some(answer)));
    assert_eq!(port.message_by_provider_id(&account, "SM1").await.unwrap(), Some(one.clone()));
    assert_eq!(port.message_by_provider_id(&account, "SM2").await.unwrap(), None);
    let elsewhere = MessageKey { at: later(1), ..one };
    assert_eq!(port.message(&elsewhere).await.unwrap(), None);
    // A second message in the same place is refused, with everything in its commit.
    let second = next(&first, |after| after.unread = true);
    let same = Message { provider_id: None, ..heard.clone() };
    lost(bench, Commit { messages: vec![(same, Vec::new())], ..commit(Some(&first), &second) }, Committed::Conflict).await;
    assert_eq!(current(bench, &first).await, first);
    // The provider's id is used once: the event of the first message may have expired.
    let (again, repeated) = written(3, &first, Some("SM1"));
    lost(bench, Commit { messages: vec![(repeated, Vec::new())], ..commit(Some(&first), &second) }, Committed::AlreadyDone).await;
    assert_eq!((current(bench, &first).await, port.message(&again).await.unwrap()), (first, None));
}

async fn a_conversation_without_an_open_interaction_tells_its_newest<B: Bench>(bench: &B) {
    let port = bench.port();
    let first = open(bench, 1, 1).await;
    assert_eq!(port.conversation(&first.conversation()).await.unwrap().latest, None, "one is open");
    let first = turned(bench, first.clone(), closed(&first)).await;
    assert_eq!(port.conversation(&first.conversation()).await.unwrap().latest, Some(first.clone()));
    let second = open(bench, 2, 1).await;
    let second = turned(bench, second.clone(), closed(&second)).await;
    assert_eq!(port.conversation(&first.conversation()).await.unwrap().latest, Some(second.clone()));
    // One that was closed from the beginning leaves the conversation without a head.
    let aside = Interaction { status: Status::Closed, ..new(3, 3) };
    done(bench, commit(None, &aside)).await;
    let conversation = port.conversation(&aside.conversation()).await.unwrap();
    assert_eq!((conversation.open, conversation.last_inbound_at, conversation.latest), (None, None, Some(aside.clone())));
    assert_eq!(port.locate(&aside.id).await.unwrap(), Some(aside.key()));
    open(bench, 4, 3).await;
}

async fn a_contact_changes_only_if_it_is_unchanged_since_the_read<B: Bench>(bench: &B) {
    let port = bench.port();
    let first = known(1, &[phone(1)]);
    meet(bench, 1, &first).await;
    let word = Marketing { stopped: true, at: now() };
    let after = first.with_marketing(&fixtures::account().id, word).unwrap();
    assert_eq!(port.commit_contact(&after, &Idempotency::Guarded).await.unwrap(), Committed::Done);
    assert_eq!(port.commit_contact(&after, &Idempotency::Guarded).await.unwrap(), Committed::Conflict);
    assert_eq!(port.contact(&first.id).await.unwrap(), Some(after));
}

async fn an_alert_settles_its_event<B: Bench>(bench: &B) {
    let event = event("alert");
    bench.receive(&event).await;
    let alert = Alert { name: "account_update".to_owned(), event: None, detail: "event: X".to_owned(), at: Some(now()), unproven: false };
    for _ in 0..2 {
        bench.port().keep_alert(&event, &alert).await.unwrap();
    }
    assert_eq!(bench.routed(&event).await.as_deref(), Some("-"));
}

async fn a_message_changes_only_if_it_is_unchanged_since_the_read<B: Bench>(bench: &B) {
    let (first, port) = (new(1, 1), bench.port());
    let (key, message) = written(1, &first, None);
    done(bench, Commit { messages: vec![(message.clone(), Vec::new())], ..commit(None, &first) }).await;
    let change = |before: u64, says: &str, mark| MessageCommit {
        key: key.clone(),
        before,
        after: Message { version: before + 1, content: Content::Text { body: says.to_owned() }, ..message.clone() },
        effects: vec![Effect::Push { to: Audience::Agents(vec![agent(1)]), notice: Notice::MessageState }],
        mark,
    };
    let says = async || port.message(&key).await.unwrap().unwrap().content.readable();
    assert_eq!(port.commit_message(change(1, "edited", Idempotency::Guarded)).await.unwrap(), Committed::Done);
    assert_eq!(port.commit_message(change(1, "late", Idempotency::Guarded)).await.unwrap(), Committed::Conflict);
    assert_eq!(says().await, "edited");
    let nowhere = MessageKey { message: MessageId::from_ulid(ulid(9)), ..key.clone() };
    let absent = MessageCommit { key: nowhere.clone(), ..change(1, "nobody's", Idempotency::Guarded) };
    assert_eq!(port.commit_message(absent).await.unwrap(), Committed::Conflict);
    assert_eq!(port.message(&nowhere).await.unwrap(), None);

    let event = event("SM1");
    bench.receive(&event).await;
    assert_eq!(port.commit_message(change(2, "marked", marked(&event))).await.unwrap(), Committed::Done);
    assert_eq!(bench.routed(&event).await.as_deref(), Some(first.id.as_str()));
    for before in [2, 3] {
        assert_eq!(port.commit_message(change(before, "again", marked(&event))).await.unwrap(), Committed::AlreadyDone);
    }
    assert_eq!(says().await, "marked");

    let mut sent = change(3, "sent", Idempotency::Guarded);
    sent.after.provider_id = Some("SMout".to_owned());
    assert_eq!(port.commit_message(sent).await.unwrap(), Committed::Done);
    assert_eq!(port.message_by_provider_id(&first.account, "SMout").await.unwrap(), None, "that is another write");
    for _ in 0..2 {
        assert_eq!(port.index_provider_id(&key, "SMout").await.unwrap(), Committed::Done);
    }
    assert_eq!(port.index_provider_id(&nowhere, "SMout").await.unwrap(), Committed::AlreadyDone);
    assert_eq!(port.message_by_provider_id(&first.account, "SMout").await.unwrap(), Some(key.clone()), "the first stays");
}

async fn a_presence_changes_only_if_it_is_unchanged_since_the_read<B: Bench>(bench: &B) {
    let port = bench.port();
    let login = Presence { chosen: PresenceState::Ready, version: 1, logged_in_at: Some(now()), ..absent(1, 3) };
    assert_eq!(port.commit_presence(&login, &[], &command("login")).await.unwrap(), Committed::Done);
    let first = presence(bench, &login.agent).await;
    assert_eq!(first, Presence { revision: 1, ..login.clone() });
    assert_eq!(
        port.commit_presence(&login, &[], &Idempotency::Guarded).await.unwrap(),
        Committed::Conflict,
        "somebody logged in meanwhile"
    );
    let pause = PresenceState::Paused { reason: "lunch".to_owned() };
    let paused = Presence { chosen: pause, version: 2, since: later(1), missed: 2, ..first.clone() };
    assert_eq!(port.commit_presence(&paused, &[], &command("login")).await.unwrap(), Committed::AlreadyDone);
    assert_eq!(presence(bench, &login.agent).await, first);
    assert_eq!(port.commit_presence(&paused, &[], &command("pause")).await.unwrap(), Committed::Done);
    assert_eq!(presence(bench, &login.agent).await, Presence { revision: 2, ..paused.clone() });
    // A presence that was read before a ring is outdated, whatever its version.
    let back = Presence { chosen: PresenceState::Ready, version: 3, ..paused };
    assert_eq!(port.commit_presence(&back, &[], &Idempotency::Guarded).await.unwrap(), Committed::Conflict);
    let out = Presence { chosen: PresenceState::LoggedOut, revision: 2, ..back };
    assert_eq!(port.commit_presence(&out, &[], &Idempotency::Guarded).await.unwrap(), Committed::Done);
    // When an administrator sets the capacity, the presence of an agent who never logged in is written too.
    let never = Presence { version: 1, ..absent(2, 7) };
    assert_eq!(port.commit_presence(&never, &[], &Idempotency::Guarded).await.unwrap(), Committed::Done);
    assert_eq!(presence(bench, &never.agent).await, Presence { revision: 1, ..never });
}

async fn a_change_of_presence_leaves_load_and_ringing_alone<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 5).await;
    let (first, second) = (open(bench, 1, 1).await, open(bench, 2, 2).await);
    turned(bench, first.clone(), held(&first, &anna)).await;
    let second = turned(bench, second.clone(), waiting(&second, &[Target::Queue(queue(1))])).await;
    let rings = offered(&second, Audience::Agents(vec![anna.clone()]), Some(later(15)));
    turned(bench, second.clone(), rings).await;
    let before = presence(bench, &anna).await;
    let (load, ringing) = (BTreeSet::new(), BTreeMap::new());
    let emptied = Presence { chosen: PresenceState::LoggedOut, version: 2, load, ringing, last_offered: None, ..before.clone() };
    assert_eq!(bench.port().commit_presence(&emptied, &[], &Idempotency::Guarded).await.unwrap(), Committed::Done);
    let after = presence(bench, &anna).await;
    let expected = Presence { chosen: PresenceState::LoggedOut, version: 2, revision: before.revision + 1, ..before.clone() };
    assert_eq!(after, expected);
    assert_eq!((after.load.len(), after.ringing.len(), after.last_offered), (1, 1, Some(later(1))));
}

async fn many_presences_are_read_at_once_and_missing_ones_are_left_out<B: Bench>(bench: &B) {
    let (anna, ben) = (ready(bench, 1, 5).await, ready(bench, 2, 5).await);
    let found = bench.port().presences(&[ben.clone(), agent(9), anna.clone()]).await.unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [anna, ben]);
    assert!(bench.port().presences(&[]).await.unwrap().is_empty());
}

/// The business of the account.
fn business() -> Business {
    Business::of(&fixtures::account())
}

/// Another business.
fn foreign() -> Business {
    Business::from_key("META#1")
}

fn place(address: &Address) -> Place {
    Place::of(address, &business())
}

/// The contact of customer `number`, with these addresses.
fn known(number: u128, addresses: &[Address]) -> Contact {
    let contact = Contact::known_by(contact_id(number), now(), addresses.iter().map(place));
    Contact { lists: BTreeSet::from([fixtures::account().list]), ..contact }
}

/// The customer of an address, for the account's business.
async fn person<B: Bench>(bench: &B, address: &Address, fresh: bool) -> Option<Identity> {
    bench.port().contact_of(&place(address), &business(), fresh).await.unwrap()
}

/// What a request shows of contacts: `from` and `others` are one customer.
fn joined(contacts: impl IntoIterator<Item = Contact>, from: &Address, others: &[Address]) -> Link {
    let people = People::of(contacts.into_iter().map(|contact| (contact.id.clone(), contact)).collect());
    let origin = Origin::Event { account: fixtures::account().id, event: "SM1".to_owned(), at: now() };
    let others: Vec<Place> = others.iter().map(place).collect();
    let (business, from) = (business(), place(from));
    let seen = Seen { business: &business, from: &from, others: &others, origin: &origin, now: now() };
    people.join(&seen, || contact_id(50)).1.unwrap()
}

/// Opens interaction `number` with a customer seen for the first time.
async fn meet<B: Bench>(bench: &B, number: u128, contact: &Contact) -> Interaction {
    let interaction = Interaction { contact: contact.id.clone(), ..new(number, number) };
    done(bench, Commit { contact: Some(contact.clone()), ..commit(None, &interaction) }).await;
    interaction
}

async fn an_address_belongs_to_one_contact<B: Bench>(bench: &B) {
    let (port, user) = (bench.port(), Address::Bsuid("IT.1".into()));
    assert_eq!((person(bench, &user, false).await, port.contact(&contact_id(1)).await.unwrap()), (None, None));
    let first = known(1, &[phone(1), user.clone()]);
    meet(bench, 1, &first).await;
    for (address, fresh) in [(phone(1), false), (phone(1), true), (user.clone(), false), (user.clone(), true)] {
        assert_eq!(person(bench, &address, fresh).await, Some(Identity::one(first.id.clone())), "{fresh}");
    }
    // A number is the same contact for every business, a user id is not.
    assert_eq!(port.contact_of(&place(&phone(1)), &foreign(), true).await.unwrap(), Some(Identity::one(first.id.clone())));
    assert_eq!(port.contact_of(&Place::of(&user, &foreign()), &foreign(), true).await.unwrap(), None);
    assert_eq!(port.contact(&first.id).await.unwrap(), Some(first));
    // Of two first contacts the second is refused, even if only one of its addresses is known.
    for second in [known(2, &[phone(2), user]), known(1, &[phone(3)])] {
        let interaction = Interaction { contact: second.id.clone(), ..new(2, 2) };
        lost(bench, Commit { contact: Some(second), ..commit(None, &interaction) }, Committed::Conflict).await;
    }
    assert_eq!((person(bench, &phone(2), true).await, port.contact(&contact_id(2)).await.unwrap()), (None, None));
    assert_eq!(person(bench, &phone(3), true).await, None);
}

/// Links contacts 1 and 2, which have an address each.
async fn linked<B: Bench>(bench: &B) -> Identity {
    let mut contacts = Vec::new();
    for id in [contact_id(1), contact_id(2)] {
        contacts.push(bench.port().contact(&id).await.unwrap().unwrap());
    }
    assert_eq!(bench.port().link(&joined(contacts, &phone(1), &[phone(2)])).await.unwrap(), Committed::Done);
    Identity { owner: contact_id(1), linked: BTreeSet::from([contact_id(2)]) }
}

/// The customer whose an address must be, for the account's business.
fn owned(address: Address, person: &Identity) -> Option<Owned> {
    Some(Owned { place: place(&address), business: business(), person: person.clone() })
}

async fn opening_requires_the_address_to_belong_to_the_contact<B: Bench>(bench: &B) {
    for number in [1, 2] {
        let first = meet(bench, number, &known(number, &[phone(number)])).await;
        turned(bench, first.clone(), closed(&first)).await;
    }
    let alone = Identity::one(contact_id(1));
    let opens = |number, person: &Identity| Commit { identity: owned(phone(1), person), ..commit(None, &new(number, 1)) };
    lost(bench, opens(3, &Identity::one(contact_id(2))), Committed::Conflict).await;
    lost(bench, Commit { identity: owned(phone(9), &alone), ..commit(None, &new(3, 1)) }, Committed::Conflict).await;
    done(bench, opens(3, &alone)).await;
    turned(bench, new(3, 1), closed(&new(3, 1))).await;
    let person = linked(bench).await;
    lost(bench, opens(4, &alone), Committed::Conflict).await;
    lost(bench, opens(4, &Identity { linked: BTreeSet::from([contact_id(9)]), ..person.clone() }), Committed::Conflict).await;
    // For the accounts of another business the two are still two.
    let elsewhere = Owned { business: foreign(), ..owned(phone(1), &alone).unwrap() };
    done(bench, Commit { identity: Some(elsewhere), ..commit(None, &new(4, 1)) }).await;
    turned(bench, new(4, 1), closed(&new(4, 1))).await;
    done(bench, opens(5, &person)).await;
}

async fn opening_fails_if_a_linked_contact_has_an_open_interaction<B: Bench>(bench: &B) {
    let mut other = None;
    for number in [1, 2] {
        let first = meet(bench, number, &known(number, &[phone(number)])).await;
        match number {
            1 => drop(turned(bench, first.clone(), closed(&first)).await),
            _ => other = Some(first),
        }
    }
    let person = linked(bench).await;
    let opens = || Commit { identity: owned(phone(1), &person), ..commit(None, &new(3, 1)) };
    lost(bench, opens(), Committed::Conflict).await;
    assert_eq!(bench.port().locate(&new(3, 1).id).await.unwrap(), None);
    let other = other.unwrap();
    turned(bench, other.clone(), closed(&other)).await;
    done(bench, opens()).await;
}

async fn linked_contacts_are_one_person_under_every_address<B: Bench>(bench: &B) {
    for number in [1, 2] {
        meet(bench, number, &known(number, &[phone(number)])).await;
    }
    let (port, user) = (bench.port(), Address::Bsuid("IT.1".into()));
    let together = linked(bench).await;
    for number in [1, 2] {
        assert_eq!(person(bench, &phone(number), true).await, Some(together.clone()));
        let elsewhere = port.contact_of(&place(&phone(number)), &foreign(), true).await.unwrap();
        assert_eq!(elsewhere, Some(Identity::one(contact_id(number))), "it holds for one business");
    }
    let owner = port.contact(&contact_id(1)).await.unwrap().unwrap();
    let newer = port.contact(&contact_id(2)).await.unwrap().unwrap();
    assert_eq!((owner.version, owner.ties.len(), newer.version, newer.ties.len()), (2, 1, 2, 1));
    // A user id, and another number, are seen together with one of them.
    let more = joined([owner, newer], &phone(2), &[user.clone(), phone(3)]);
    assert_eq!(port.link(&more).await.unwrap(), Committed::Done);
    let together = Identity { linked: BTreeSet::from([contact_id(2), contact_id(50)]), ..together };
    assert_eq!(person(bench, &user, false).await, Some(together.clone()));
    assert_eq!(person(bench, &phone(3), true).await, Some(together));
    let newer = port.contact(&contact_id(2)).await.unwrap().unwrap();
    assert!(newer.places().any(|known| known == place(&user)));

    // A supervisor separates two of them.
    let mut contacts = BTreeMap::new();
    for id in [1, 2, 50].map(contact_id) {
        contacts.insert(id.clone(), port.contact(&id).await.unwrap().unwrap());
    }
    let cut = Cut { by: "agt_1".to_owned(), at: now() };
    let parted = People::of(contacts).part(&contact_id(1), &Tied::Contact { contact: contact_id(2) }, &cut, contact_id(60)).unwrap();
    assert_eq!(port.link(&parted).await.unwrap(), Committed::Done);
    assert_eq!(person(bench, &phone(1), true).await, Some(Identity::one(contact_id(1))));
    let rest = Identity { owner: contact_id(2), linked: BTreeSet::from([contact_id(50)]) };
    assert_eq!(person(bench, &user, true).await, Some(rest));
}

async fn a_link_of_changed_contacts_is_refused_and_leaves_nothing<B: Bench>(bench: &B) {
    let (port, user) = (bench.port(), Address::Bsuid("IT.1".into()));
    let (first, second) = (known(1, &[phone(1)]), known(2, &[phone(2)]));
    meet(bench, 1, &first).await;
    let together = joined([first.clone(), second.clone()], &phone(1), &[phone(2)]);
    assert_eq!(port.link(&together).await.unwrap(), Committed::Conflict, "one of them is not there");
    assert_eq!(port.contact(&first.id).await.unwrap(), Some(first.clone()));
    meet(bench, 2, &second).await;
    // An address that was unknown belongs to a contact by now.
    let taken = joined([first.clone()], &phone(1), &[phone(2)]);
    assert_eq!(port.link(&taken).await.unwrap(), Committed::Conflict);
    let more = joined([first.clone()], &phone(1), std::slice::from_ref(&user));
    assert_eq!(port.link(&more).await.unwrap(), Committed::Done);
    // A link rests on all versions.
    assert_eq!(port.link(&together).await.unwrap(), Committed::Conflict);
    assert_eq!(person(bench, &phone(2), true).await, Some(Identity::one(second.id.clone())));
    assert_eq!(port.contact(&second.id).await.unwrap(), Some(second));
    assert_eq!(person(bench, &user, true).await, Some(Identity::one(first.id)));
}

async fn two_interactions_are_merged_in_one_transaction_or_not_at_all<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 5).await;
    let target = Target::Queue(queue(1));
    let (older, newer) = (open(bench, 1, 1).await, open(bench, 2, 2).await);
    let older = turned(bench, older.clone(), waiting(&older, std::slice::from_ref(&target))).await;
    let newer = turned(bench, newer.clone(), held(&newer, &anna)).await;
    let into = next(&older, |after| after.absorbed.push(newer.key()));
    let gone = next(&closed(&newer), |after| (after.version, after.merged_into) = (newer.version + 1, Some(older.key())));
    let merge = |older: &Interaction, newer: &Interaction| Commit {
        last_inbound_at: Some(later(3)),
        merged: Some(Box::new(Commit { effects: vec![Effect::Archive], ..commit(Some(newer), &gone) })),
        ..commit(Some(older), &into)
    };
    // One of the two has changed.
    for (older, newer) in [(&Interaction { version: 1, ..older.clone() }, &newer), (&older, &Interaction { version: 1, ..newer.clone() })] {
        lost(bench, merge(older, newer), Committed::Conflict).await;
    }
    assert_eq!((current(bench, &older).await, current(bench, &newer).await), (older.clone(), newer.clone()));
    assert_eq!(presence(bench, &anna).await.load, BTreeSet::from([newer.id.clone()]));

    done(bench, merge(&older, &newer)).await;
    assert_eq!((current(bench, &older).await, current(bench, &newer).await), (into.clone(), gone.clone()));
    assert_eq!((open_of(bench, &older).await, open_of(bench, &newer).await), (Some(older.id.clone()), None));
    assert_eq!(presence(bench, &anna).await.load, BTreeSet::new(), "the newer one's slot is free");
    assert_eq!(bench.port().waiting(&target).await.unwrap().len(), 1, "the older one waits on");
    let conversation = ConversationKey { account: older.account.clone(), contact: older.contact.clone() };
    assert_eq!(bench.port().conversation(&conversation).await.unwrap().last_inbound_at, Some(later(3)));
    assert_eq!(bench.history(&newer.key()).await.len(), 3);
    assert_eq!(bench.effects(&newer.key()).await, [Effect::Archive]);

    // One agent has both. One slot stays and the other is returned, in one change of the presence.
    let (third, fourth) = (open(bench, 3, 3).await, open(bench, 4, 4).await);
    let third = turned(bench, third.clone(), held(&third, &anna)).await;
    let fourth = turned(bench, fourth.clone(), held(&fourth, &anna)).await;
    let (into, gone) = (next(&third, |after| after.absorbed.push(fourth.key())), closed(&fourth));
    let merged = Some(Box::new(commit(Some(&fourth), &gone)));
    done(bench, Commit { merged, ..commit(Some(&third), &into) }).await;
    assert_eq!(presence(bench, &anna).await.load, BTreeSet::from([third.id]));
}

/// The numbers of the open interactions of an account, page by page.
async fn open_pages<B: Bench>(bench: &B, of: &Interaction, limit: usize) -> Vec<Vec<InteractionId>> {
    let (mut pages, mut before): (Vec<Vec<InteractionId>>, Option<InteractionId>) = (Vec::new(), None);
    loop {
        let page = bench.port().open_interactions(&of.account, before.as_ref(), limit).await.unwrap();
        assert!(page.iter().all(|place| place.conversation.account == of.account));
        let page: Vec<InteractionId> = page.into_iter().map(|place| place.interaction).collect();
        let Some(last) = page.last() else { return pages };
        before = Some(last.clone());
        pages.push(page);
    }
}

async fn the_open_interactions_of_an_account_are_listed_newest_first_until_they_close<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 5).await;
    assert!(open_pages(bench, &new(1, 1), 2).await.is_empty());
    let mut open = Vec::new();
    for number in [1, 2, 3, 4] {
        open.push(self::open(bench, number, number).await);
    }
    let ids: Vec<InteractionId> = open.iter().map(|open| open.id.clone()).collect();
    let other = Interaction { account: domain::ids::AccountId::from_ulid(ulid(9)), ..new(9, 1) };
    done(bench, commit(None, &other)).await;
    assert_eq!(open_pages(bench, &other, 2).await, [[other.id.clone()]]);
    assert_eq!(open_pages(bench, &open[0], 2).await, [[ids[3].clone(), ids[2].clone()], [ids[1].clone(), ids[0].clone()]]);
    // An interaction stays listed until it closes, and is listed again after it is reopened.
    let held = turned(bench, open[1].clone(), held(&open[1], &anna)).await;
    let over = turned(bench, open[2].clone(), closed(&open[2])).await;
    assert_eq!(open_pages(bench, &open[0], 3).await, [[ids[3].clone(), ids[1].clone(), ids[0].clone()]]);
    turned(bench, over.clone(), next(&over, |after| (after.status, after.closed_at) = (Status::Open, None))).await;
    turned(bench, held.clone(), closed(&held)).await;
    assert_eq!(open_pages(bench, &open[0], 3).await, [[ids[3].clone(), ids[2].clone(), ids[0].clone()]]);
}

async fn the_row_of_the_lists_follows_each_version_and_goes_with_a_merge<B: Bench>(bench: &B) {
    let anna = ready(bench, 1, 5).await;
    let (older, newer) = (open(bench, 1, 1).await, open(bench, 2, 2).await);
    let place = older.key();
    assert_eq!(bench.listing(&place).await, Listing::of(&older));
    let held = turned(bench, older.clone(), held(&older, &anna)).await;
    assert_eq!(bench.listing(&place).await.unwrap().row.agent, Some(anna));
    let over = turned(bench, held.clone(), closed(&held)).await;
    let archived = turned(bench, over.clone(), next(&over, |after| after.archived = true)).await;
    let listing = bench.listing(&place).await.unwrap();
    assert_eq!((&listing.shelf, Some(listing.clone())), (&Shelf::of(&older.account, true, &older.id), Listing::of(&archived)));
    let merged = next(&newer, |after| (after.status, after.merged_into) = (Status::Closed, Some(place)));
    turned(bench, newer.clone(), merged).await;
    assert_eq!(bench.listing(&newer.key()).await, None);
}

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn call(trigger: u128, n: u128) -> TriggerCall {
    let interaction = new(n, 1);
    let happened = Happened { event: TriggerEvent::InteractionOpened, at: at(1), message: None, agent: None };
    let trigger = TriggerId::from_ulid(Ulid::from_parts(1, trigger));
    TriggerCall::first(&format!("{}-1-0", interaction.id), 0, &trigger, &interaction, &happened)
}

async fn calls_of_triggers_wait_for_their_time_and_are_forgotten(bench: &impl Bench) {
    let port = bench.port();
    let due = |seconds, call: TriggerCall| DueCall { at: at(seconds), call };
    let (late, soon, other) = (due(900, call(1, 1)), due(100, call(1, 2)), due(50, call(2, 3)));
    for due in [&late, &soon, &other, &soon] {
        port.put_due(due).await.unwrap();
    }
    let trigger = &late.call.trigger;
    assert_eq!(port.due(trigger, at(99), 10).await.unwrap(), []);
    assert_eq!(port.due(trigger, at(100), 10).await.unwrap(), std::slice::from_ref(&soon));
    assert_eq!(port.due(trigger, Timestamp::MAX, 10).await.unwrap(), [soon.clone(), late.clone()]);
    assert_eq!(port.due(trigger, Timestamp::MAX, 1).await.unwrap(), std::slice::from_ref(&soon));
    port.drop_due(&soon).await.unwrap();
    port.drop_due(&soon).await.unwrap();
    assert_eq!(port.due(trigger, Timestamp::MAX, 10).await.unwrap(), [late]);
    assert_eq!(port.due(&other.call.trigger, Timestamp::MAX, 10).await.unwrap(), [other]);
}

async fn the_turn_at_a_triggers_calls_has_one_holder_until_its_end(bench: &impl Bench) {
    let (port, one, other) = (bench.port(), call(1, 1).trigger, call(2, 1).trigger);
    assert!(port.take_turn_at(&one, at(0), at(90)).await.unwrap());
    assert!(!port.take_turn_at(&one, at(89), at(200)).await.unwrap());
    assert!(port.take_turn_at(&other, at(0), at(90)).await.unwrap());
    // Its holder died.
    assert!(port.take_turn_at(&one, at(90), at(200)).await.unwrap());
    port.end_turn_at(&one).await.unwrap();
    assert!(port.take_turn_at(&one, at(91), at(200)).await.unwrap());
}

async fn the_health_of_a_system_and_the_latest_tries_are_kept(bench: &impl Bench) {
    let port = bench.port();
    let call = call(1, 1);
    let trigger = &call.trigger;
    assert_eq!(port.health(trigger).await.unwrap(), None);
    let health = Health::after_failure(None, at(5), Some(SignedDuration::from_secs(60)));
    port.put_health(trigger, Some(&health)).await.unwrap();
    assert_eq!(port.health(trigger).await.unwrap(), Some(health));
    port.put_health(trigger, None).await.unwrap();
    assert_eq!(port.health(trigger).await.unwrap(), None);
    let tried = |attempt: u32| Tried {
        id: call.id.clone(),
        at: at(i64::from(attempt)),
        event: call.happened.event,
        interaction: call.interaction.interaction.clone(),
        attempt,
        outcome: TriedOutcome::Refused,
        status: Some(500),
        ms: 7,
        answer: Some("busy".to_owned()),
        next_at: None,
    };
    for attempt in [2, 1, 3, 3] {
        port.note_try(trigger, &tried(attempt)).await.unwrap();
    }
    assert_eq!(port.tries(trigger, 10).await.unwrap(), [tried(3), tried(2), tried(1)]);
    assert_eq!(port.tries(trigger, 2).await.unwrap(), [tried(3), tried(2)]);
}
