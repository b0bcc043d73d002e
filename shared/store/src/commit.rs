//! Commits. A change of several items is one transaction, and the condition that it loses tells what won. A change of
//! a message alone is a plain write.

use audit::Entry;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::agent::{Presence, PresenceState};
use domain::commands::{Keyed, REMEMBERED};
use domain::contact::{Contact, Identity, Link, Place, Standing};
use domain::effect::{ConversationKey, Effect, MessageKey};
use domain::footprint::{Footprint, SlotChange, footprint};
use domain::ids::{AgentId, InteractionId};
use domain::interaction::Interaction;
use domain::message::Message;
use domain::queue::Queue;
use domain::row::Listing;
use engine::ports::{Commit, Committed, Idempotency, Membership, MessageCommit, Owned, PortError};
use jiff::Timestamp;

use crate::codec::{Item, PortResult, REPORT, TOLD, data_item, from_data, item, n, s, to_attribute, versioned_item};
use crate::config::{audit_items, entity_key, leaving_key, member_key, seat};
use crate::interactions::{Interactions, expires};
use crate::keys;
use crate::table::Put;
use crate::transaction::{Cause, Expression, Outcome, Transaction};

/// A condition's values.
type Values = Vec<(&'static str, AttributeValue)>;

/// The writes and conditions of the product's commits.
impl Transaction<'_, Committed> {
    /// Adds a contact. Its addresses lead to it from now on.
    pub(crate) fn add_contact(&mut self, contact: &Contact) -> PortResult<()> {
        self.put_new(versioned_item(keys::contact(&contact.id), contact, contact.version, &[])?, Committed::Conflict);
        let standing = Standing::one(contact.id.clone());
        for place in contact.places() {
            self.put_new(alias_item(&place, &standing), Committed::Conflict);
        }
        Ok(())
    }

    /// The change is told of in the audit trail, which lies in the configuration's table.
    pub(crate) fn audit(&mut self, config_table: &str, entry: Option<&Entry>) -> PortResult<()> {
        let items = entry.map(audit_items).transpose()?;
        items.into_iter().flatten().for_each(|item| self.put_new_in(config_table, item, Committed::Conflict));
        Ok(())
    }

    /// Replaces a contact's previous version.
    pub(crate) fn replace_contact(&mut self, contact: &Contact, effects: &[Effect]) -> PortResult<()> {
        let item = versioned_item(keys::contact(&contact.id), contact, contact.version, effects)?;
        self.put(item, Some(contact_before(contact.version)), Committed::Conflict);
        Ok(())
    }

    fn mark(&mut self, mark: &Idempotency, owner: &str, now: Timestamp) {
        match mark {
            Idempotency::Guarded => {}
            Idempotency::Event { account, id } => self.update(
                keys::event(account, id),
                Expression::new("SET routed = :owner").value(":owner", s(owner)),
                Some(Expression::new("attribute_not_exists(routed)")),
                Committed::AlreadyDone,
            ),
            Idempotency::Command { id } => self.put_new(command_item(id, owner, now), Committed::AlreadyDone),
            Idempotency::Keyed(Keyed { id, body }) => {
                let mut mark = command_item(id, owner, now);
                mark.insert(keys::BODY.to_owned(), n(body));
                self.put_new(mark, Committed::AlreadyDone);
            }
        }
    }

    /// Checks that an address still belongs to the same customer for the accounts of a business: by what is known
    /// there, otherwise by what is known everywhere.
    fn check_identity(&mut self, Owned { place, business, person }: &Owned) {
        let linked = linked_attribute(person);
        let is = |owner: &str, others: &str| match linked {
            Some(_) => format!("({owner} = :owner AND {others} = :linked)"),
            None => format!("({owner} = :owner AND attribute_not_exists({others}))"),
        };
        let condition = format!("{} OR (attribute_not_exists(#owner_at) AND {})", is("#owner_at", "#linked_at"), is("#owner", "#linked"));
        let owned = Expression::new(condition)
            .name("#owner", "owner")
            .name("#linked", "linked")
            .name("#owner_at", &keys::owner_at(business))
            .name("#linked_at", &keys::linked_at(business))
            .value(":owner", s(person.owner.as_str()));
        let owned = linked.into_iter().fold(owned, |owned, linked| owned.value(":linked", linked));
        self.check(keys::alias(place), owned, Committed::Conflict);
    }

    /// Checks that a conversation has no open interaction.
    fn check_none_open(&mut self, conversation: &ConversationKey) {
        let none_open = Expression::new("attribute_not_exists(#open)").name("#open", "open");
        self.check(keys::head(conversation), none_open, Committed::Conflict);
    }

    /// Checks that the account is neither being deleted nor gone. The mark is a separate item, which hardly ever
    /// exists: a check of the account's own item would cost that item's size each time.
    fn check_stays(&mut self, config_table: &str, ConversationKey { account, contact }: &ConversationKey, now: Timestamp) {
        let stays =
            Expression::new("attribute_not_exists(pk) OR #until < :now").name("#until", "until").value(":now", n(now.as_millisecond()));
        self.check_in(config_table, leaving_key(account, contact), stays, Committed::Conflict);
    }

    /// Checks the membership, which is in the other table. The cached view behind the decision may be old.
    fn check_membership(&mut self, config_table: &str, membership: &Membership, known: KnownBy) {
        let Membership { agent, account, queue } = membership;
        let keys = match known {
            // The presence is written with a condition on its seats.
            KnownBy::Seats => return,
            KnownBy::Items => {
                let queue = queue.as_ref().map(|queue| member_key::<Queue>(queue.as_str(), agent));
                let keys = [Some(member_key::<Account>(account.as_str(), agent)), queue];
                keys.map(|key| Some((key?, Expression::new("attribute_exists(pk)"))))
            }
            KnownBy::Lists => {
                let has = |list: &str| {
                    let condition = Expression::new(format!("contains(#data.{list}, :agent)"));
                    condition.name("#data", "data").value(":agent", s(agent.as_str()))
                };
                let queue = queue.as_ref().map(|queue| (entity_key::<Queue>(queue.as_str()), has("members")));
                [Some((entity_key::<Account>(account.as_str()), has("agents"))), queue]
            }
        };
        for (key, condition) in keys.into_iter().flatten() {
            self.check_in(config_table, key, condition, Committed::NotAMember);
        }
    }
}

/// The mark of a command, with what it made.
fn command_item(id: &str, owner: &str, now: Timestamp) -> Item {
    let mut mark = item(keys::command(id));
    mark.insert("owner".to_owned(), s(owner));
    mark.insert("expires_at".to_owned(), expires(now, REMEMBERED));
    mark
}

/// Where a membership is looked up, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownBy {
    /// By the [seats](crate::config::seat) in the agent's presence, which the commit writes anyway.
    Seats,
    /// By the member's own items, at which agents don't meet each other. A presence that is written with them gets its
    /// seats.
    Items,
    /// By the lists in the account and the queue. They always say the truth, but each of them is one item, at which
    /// all commits that check it at the same instant are in conflict.
    Lists,
}

/// The outcome of a commit's transaction. "Done before" says more than any other lost condition.
/// The condition that a contact has the version before this one.
pub(crate) fn contact_before(version: u64) -> Expression {
    match version {
        // Contacts of the form before this one had no version.
        1 => Expression::new("attribute_exists(pk) AND attribute_not_exists(version)"),
        version => Expression::version(version - 1),
    }
}

pub(crate) async fn committed(transaction: Transaction<'_, Committed>) -> PortResult<Committed> {
    Ok(match transaction.send().await? {
        Outcome::Done => Committed::Done,
        Outcome::Lost(lost) => meaning(lost),
        // The SDK has repeated it and waited in vain. It may still be written, so nobody may decide anew: whoever
        // asked asks again.
        Outcome::UnderWay => return Err(PortError { operation: "TransactWriteItems", reason: "still under way".to_owned() }),
    })
}

fn linked_attribute(person: &Identity) -> Option<AttributeValue> {
    // DynamoDB allows no empty set.
    (!person.linked.is_empty()).then(|| AttributeValue::Ss(person.linked.iter().map(ToString::to_string).collect()))
}

/// The item through which an address leads to a customer: everywhere, and for the accounts of each business that
/// knows more.
fn alias_item(place: &Place, standing: &Standing) -> Item {
    let mut alias = item(keys::alias(place));
    let mut leads = |owner: String, linked: String, person: &Identity| {
        alias.insert(owner, s(person.owner.as_str()));
        alias.extend(linked_attribute(person).map(|others| (linked, others)));
    };
    leads("owner".to_owned(), "linked".to_owned(), &standing.everywhere);
    for (business, person) in &standing.at {
        leads(keys::owner_at(business), keys::linked_at(business), person);
    }
    alias
}

/// The outcome of lost actions. A rival is always a conflict, whatever the action.
fn meaning(lost: Vec<(Committed, Cause)>) -> Committed {
    let meanings = lost.into_iter().map(|(meaning, cause)| match cause {
        Cause::Condition => meaning,
        Cause::Rival | Cause::Throttle => Committed::Conflict,
    });
    Committed::of_lost(&meanings.collect::<Vec<_>>()).unwrap_or(Committed::Conflict)
}

/// The placeholders of ids in an expression: one change, or two if an interaction is merged into another.
const RINGING: [&str; 2] = ["#first", "#second"];
const UNTIL: [&str; 2] = [":first", ":second"];

/// The conditions on seats: that of the account, and that of the queue.
const SEATS: [(&str, &str); 2] = [(":account", "contains(seats, :account)"), (":queue", "contains(seats, :queue)")];

/// The agent whose presence is written for a membership, and the seats that prove it.
fn seats_of(commit: &Commit) -> Option<(&AgentId, Vec<Blob>)> {
    let Membership { agent, account, queue } = commit.membership.as_ref()?;
    commit.slots().get(agent)?.iter().any(|(_, slots)| slots.occupy).then_some(())?;
    let queue = queue.as_ref().map(|queue| seat::<Queue>(queue.as_str()));
    let seats = [Some(seat::<Account>(account.as_str())), queue].into_iter().flatten().collect::<Option<_>>()?;
    Some((agent, seats))
}

/// `seats` are those that the membership needs, and how it is known.
fn change_slots(
    transaction: &mut Transaction<'_, Committed>,
    agent: &AgentId,
    changes: &[(InteractionId, SlotChange)],
    seats: Option<(&[Blob], KnownBy)>,
    now: Timestamp,
) {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    let (mut add, mut delete) = (vec!["revision :one"], Vec::new());
    let mut names = Vec::new();
    let mut values: Values = vec![(":one", n(1))];
    let mut conditions = Vec::new();
    let (mut occupied, mut released) = (Vec::new(), Vec::new());
    let (mut wrapped, mut unwrapped) = (Vec::new(), Vec::new());
    let mut must_exist = false;
    for (place, (interaction, slots)) in changes.iter().enumerate().take(RINGING.len()) {
        if slots.occupy {
            occupied.push(interaction.to_string());
        } else if slots.release {
            released.push(interaction.to_string());
        }
        if let Some(pause) = &slots.wrap {
            wrapped.push(interaction.to_string());
            set.push("wrap_up_pause = :pause".to_owned());
            values.push((":pause", s(pause.clone())));
        } else if slots.unwrap {
            unwrapped.push(interaction.to_string());
        }
        if slots.ring.is_some() || slots.unring {
            names.push(("#ringing", "ringing"));
            names.push((RINGING[place], interaction.as_str()));
        }
        if let Some(until) = slots.ring {
            set.push(format!("#ringing.{} = {}", RINGING[place], UNTIL[place]));
            values.push((UNTIL[place], n(until.as_millisecond())));
        } else if slots.unring {
            remove.push(format!("#ringing.{}", RINGING[place]));
        }
        if let Some(revision) = slots.revision {
            conditions.push("revision = :revision");
            values.push((":revision", n(revision)));
        }
        // A presence that gets something must exist. Taking away from a missing one changes nothing.
        must_exist |= slots.occupy || slots.ring.is_some() || slots.unring || slots.wrap.is_some();
    }
    if changes.iter().any(|(_, slots)| slots.ring.is_some()) {
        set.push("last_offered = :now".to_owned());
        values.push((":now", n(now.as_millisecond())));
    }
    if !occupied.is_empty() || !released.is_empty() {
        names.push(("#load", "load"));
    }
    let occupies = !occupied.is_empty();
    if let Some(id) = occupied.first() {
        add.push("#load :occupied");
        // An acceptance restarts the count of missed offers.
        set.push("missed = :zero".to_owned());
        values.push((":zero", n(0)));
        // Capacity is a set with a condition on its size, never a counter.
        conditions.push("(attribute_not_exists(#load) OR size(#load) < #capacity OR contains(#load, :id))");
        names.push(("#capacity", "capacity"));
        values.push((":id", s(id.clone())));
        values.push((":occupied", AttributeValue::Ss(occupied)));
    }
    if !released.is_empty() {
        delete.push("#load :released");
        values.push((":released", AttributeValue::Ss(released)));
    }
    if !wrapped.is_empty() {
        add.push("wrapping_up :wrapped");
        values.push((":wrapped", AttributeValue::Ss(wrapped)));
    }
    if !unwrapped.is_empty() {
        delete.push("wrapping_up :unwrapped");
        values.push((":unwrapped", AttributeValue::Ss(unwrapped)));
    }
    if must_exist {
        conditions.push("attribute_exists(pk)");
    }
    match seats {
        Some((seats, KnownBy::Seats)) => {
            for ((placeholder, condition), seat) in SEATS.into_iter().zip(seats) {
                conditions.push(condition);
                values.push((placeholder, AttributeValue::B(seat.clone())));
            }
        }
        Some((seats, KnownBy::Items)) => {
            add.push("seats :seats");
            values.push((":seats", AttributeValue::Bs(seats.to_vec())));
        }
        Some((_, KnownBy::Lists)) | None => {}
    }
    let clauses = [("SET", set.join(", ")), ("ADD", add.join(", ")), ("DELETE", delete.join(", ")), ("REMOVE", remove.join(", "))];
    let expression: Vec<String> =
        clauses.into_iter().filter(|(_, parts)| !parts.is_empty()).map(|(verb, parts)| format!("{verb} {parts}")).collect();
    let change = names.into_iter().fold(Expression::new(expression.join(" ")), |change, (name, attribute)| change.name(name, attribute));
    let change = values.into_iter().fold(change, |change, (name, value)| change.value(name, value));
    let condition = Some(conditions.join(" AND ")).filter(|condition| !condition.is_empty()).map(Expression::new);
    // If the revision is as it was read, there is room. Anything else that is wrong is found when the presence is
    // read again.
    let based = changes.iter().any(|(_, slots)| slots.revision.is_some());
    let lost = match seats {
        // Whatever was lost: the next attempt tells, which looks elsewhere for the membership.
        Some((_, KnownBy::Seats)) => Committed::NotAMember,
        _ if occupies && !based => Committed::AtCapacity,
        _ => Committed::Conflict,
    };
    transaction.update(keys::presence(agent), change, condition, lost);
}

impl Interactions {
    /// Writes the interaction itself, its head, its waiting rows and its history, unless that is `told` elsewhere.
    fn change(&self, transaction: &mut Transaction<'_, Committed>, commit: &Commit, told: bool) -> PortResult<()> {
        let Commit { before, after, .. } = commit;
        let key = after.key();
        let mut item = self.form.item(keys::interaction(&key), after, after.version, &commit.effects)?;
        if after.is_open() {
            // The index holds only the keys, so it is written when this attribute is set or removed.
            item.insert(keys::OPEN_OF.to_owned(), s(after.account.as_str()));
        }
        if let Some(Listing { shelf, position, row }) = Listing::of(after) {
            item.insert(keys::LIST_OF.to_owned(), s(shelf.key()));
            item.insert(keys::LISTED.to_owned(), s(position.key()));
            item.insert(keys::ROW.to_owned(), to_attribute(&row)?);
        }
        match before {
            Some(before) => {
                transaction.put(item, Some(Expression::version(before.version)), Committed::Conflict);
            }
            None => {
                transaction.put_new(item, Committed::Conflict);
                let mut reference = crate::codec::item(keys::reference(&after.id));
                reference.insert("account".to_owned(), s(after.account.as_str()));
                reference.insert("contact".to_owned(), s(after.contact.as_str()));
                transaction.put_new(reference, Committed::Conflict);
            }
        }
        let old = before.as_ref().map(footprint).unwrap_or_default();
        let new = footprint(after);
        self.move_head(transaction, commit, &old, &new);
        for (target, row) in &old.waiting {
            if new.waiting.get(target).is_none_or(|kept| kept.order() != row.order()) {
                transaction.delete(keys::waiting(target, &row.order()), None, Committed::Conflict);
            }
        }
        for (target, row) in &new.waiting {
            if old.waiting.get(target) != Some(row) {
                transaction.put(data_item(keys::waiting(target, &row.order()), row)?, None, Committed::Conflict);
            }
        }
        if !commit.history.is_empty() && !told {
            transaction.put_new(data_item(keys::history(&key, after.version), &commit.history)?, Committed::Conflict);
        }
        Ok(())
    }

    pub(crate) async fn write_commit(&self, commit: Commit) -> PortResult<Committed> {
        // Nobody has a seat before the first commit that is told by items.
        if seats_of(&commit).is_some() {
            match self.attempt(&commit, KnownBy::Seats).await? {
                Committed::NotAMember => {}
                outcome => return Ok(outcome),
            }
        }
        match self.attempt(&commit, KnownBy::Items).await? {
            // A member may have no item, in an account that the version before wrote last.
            Committed::NotAMember => self.attempt(&commit, KnownBy::Lists).await,
            outcome => Ok(outcome),
        }
    }

    async fn attempt(&self, commit: &Commit, known: KnownBy) -> PortResult<Committed> {
        let after = &commit.after;
        let now = commit.decided_at().unwrap_or(Timestamp::UNIX_EPOCH);
        let key = after.key();
        let mut transaction = self.table.transaction();
        let mut messages = self.messages_of(commit)?;
        let told = match messages.first_mut() {
            Some(first) => self.form.told(&commit.history, first)?.map(|told| first.insert(TOLD.to_owned(), told)).is_some(),
            None => false,
        };
        self.change(&mut transaction, commit, told)?;
        if let Some(merged) = &commit.merged {
            self.change(&mut transaction, merged, false)?;
        }
        let seats = seats_of(commit);
        for (agent, changes) in commit.slots() {
            let seats = seats.as_ref().filter(|(member, _)| **member == agent).map(|(_, seats)| (seats.as_slice(), known));
            change_slots(&mut transaction, &agent, &changes, seats, now);
        }
        for (item, (message, _)) in messages.into_iter().zip(&commit.messages) {
            transaction.put_new(item, Committed::Conflict);
            let place = MessageKey { interaction: key.clone(), at: message.at, message: message.id.clone() };
            if let Some(provider_id) = &message.provider_id {
                // A request that is sent once more after its event has expired changes nothing either.
                let index = data_item(keys::provider_message(&after.account, provider_id), &place)?;
                transaction.put_new(index, Committed::AlreadyDone);
            }
        }
        transaction.audit(&self.config_table, commit.entry.as_ref())?;
        if let Some(contact) = &commit.contact {
            transaction.add_contact(contact)?;
        }
        for contact in &commit.changed {
            transaction.replace_contact(contact, &[])?;
        }
        if let Some(owned) = &commit.identity {
            transaction.check_identity(owned);
            for contact in owned.person.contacts().filter(|contact| after.is_open() && **contact != after.contact) {
                transaction.check_none_open(&ConversationKey { account: after.account.clone(), contact: contact.clone() });
            }
        }
        if let Some((target, agent)) = &commit.cursor {
            let mut cursor = crate::codec::item(keys::cursor(target));
            cursor.insert("agent".to_owned(), s(agent.as_str()));
            transaction.put(cursor, None, Committed::Conflict);
        }
        if after.is_open() && !commit.before.as_ref().is_some_and(Interaction::is_open) {
            transaction.check_stays(&self.config_table, &after.conversation(), now);
        }
        if let Some(membership) = &commit.membership {
            transaction.check_membership(&self.config_table, membership, known);
        }
        transaction.mark(&commit.mark, commit.made(), now);
        committed(transaction).await
    }

    /// The items of a commit's messages.
    fn messages_of(&self, commit: &Commit) -> PortResult<Vec<Item>> {
        let interaction = commit.after.key();
        let item = |(message, effects): &(Message, Vec<Effect>)| {
            let place = MessageKey { interaction: interaction.clone(), at: message.at, message: message.id.clone() };
            self.form.item(keys::message(&place), message, message.version, effects)
        };
        commit.messages.iter().map(item).collect()
    }

    pub(crate) async fn write_link(&self, link: &Link, entry: Option<&Entry>) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        for contact in &link.contacts {
            let effects = if contact.id == link.carrier { link.effects.as_slice() } else { &[] };
            transaction.replace_contact(contact, effects)?;
        }
        for contact in &link.added {
            let item = versioned_item(keys::contact(&contact.id), contact, contact.version, &[])?;
            transaction.put_new(item, Committed::Conflict);
        }
        // The items that lead to the contacts change only with the contacts' versions.
        for (place, standing) in &link.known {
            transaction.put(alias_item(place, standing), None, Committed::Conflict);
        }
        for (place, standing) in &link.new {
            transaction.put_new(alias_item(place, standing), Committed::Conflict);
        }
        transaction.audit(&self.config_table, entry)?;
        committed(transaction).await
    }

    /// Adds the contact of a customer who has not written yet. The addresses lead to it from now on. It is a
    /// conflict if one of them led somewhere already.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn add_contact(&self, contact: &Contact, entry: &Entry) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        transaction.add_contact(contact)?;
        transaction.audit(&self.config_table, Some(entry))?;
        committed(transaction).await
    }

    /// Replaces a contact's previous version. Its addresses and links stay the same. It is a conflict if somebody
    /// changed it meanwhile.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn replace_contact(&self, contact: &Contact, entry: Option<&Entry>) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        transaction.replace_contact(contact, &[])?;
        transaction.audit(&self.config_table, entry)?;
        committed(transaction).await
    }

    pub(crate) async fn write_contact(&self, contact: &Contact, mark: &Idempotency) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        transaction.replace_contact(contact, &[])?;
        transaction.mark(mark, contact.id.as_str(), Timestamp::UNIX_EPOCH);
        committed(transaction).await
    }

    /// Moves the pointer to the open interaction. Of two messages at the same instant that both find it empty, one
    /// fails here.
    fn move_head(&self, transaction: &mut Transaction<'_, Committed>, commit: &Commit, old: &Footprint, new: &Footprint) {
        let (mut set, mut remove) = (Vec::new(), "");
        let mut condition = None;
        let heard_at = commit.heard_at_head();
        if heard_at.is_some() {
            set.push("last_inbound_at = :at");
        }
        match (old.open, new.open) {
            (false, true) => {
                set.push("#open = :id");
                condition = Some("attribute_not_exists(#open)");
            }
            (true, false) => {
                remove = " REMOVE #open";
                condition = Some("#open = :id");
            }
            (true, true) | (false, false) => {}
        }
        if set.is_empty() && remove.is_empty() {
            return;
        }
        let set = if set.is_empty() { String::new() } else { format!("SET {}", set.join(", ")) };
        let change = Expression::new(format!("{set}{remove}"));
        let change = heard_at.into_iter().fold(change, |change, at| change.value(":at", n(at.as_millisecond())));
        let condition =
            condition.map(|condition| Expression::new(condition).name("#open", "open").value(":id", s(commit.after.id.as_str())));
        transaction.update(keys::head(&commit.after.conversation()), change, condition, Committed::Conflict);
    }

    pub(crate) async fn write_message(&self, commit: MessageCommit) -> PortResult<Committed> {
        let MessageCommit { key, before, after, effects, mark } = &commit;
        let item = self.form.item(keys::message(key), after, after.version, effects)?;
        let unchanged = Expression::version(*before);
        // It keeps the history that the message carries, which is no part of it.
        let gone = ["effects", REPORT];
        // A transaction costs twice as much.
        if *mark == Idempotency::Guarded {
            return Ok(match self.table.replace_if(item, &gone, unchanged).await? {
                Put::Done => Committed::Done,
                Put::Lost(_) | Put::Rival => Committed::Conflict,
            });
        }
        let mut transaction = self.table.transaction();
        transaction.replace(item, &gone, unchanged, Committed::Conflict);
        transaction.mark(mark, &owner_of(after), Timestamp::UNIX_EPOCH);
        committed(transaction).await
    }

    pub(crate) async fn write_provider_id(&self, key: &MessageKey, provider_id: &str) -> PortResult<Committed> {
        let item = data_item(keys::provider_message(&key.interaction.conversation.account, provider_id), key)?;
        let leads_here = |there: &Item| from_data::<MessageKey>(there).is_ok_and(|there| there == *key);
        Ok(match self.table.put_if(item, Expression::absent()).await? {
            Put::Done => Committed::Done,
            Put::Lost(there) if there.as_ref().is_some_and(leads_here) => Committed::Done,
            Put::Lost(_) => Committed::AlreadyDone,
            Put::Rival => Committed::Conflict,
        })
    }

    pub(crate) async fn write_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
        entry: Option<&Entry>,
    ) -> PortResult<Committed> {
        let mut transaction = self.table.transaction();
        let (state, reason) = match &presence.chosen {
            PresenceState::LoggedOut => ("logged_out", ""),
            PresenceState::Ready => ("ready", ""),
            PresenceState::Paused { reason } => ("paused", reason.as_str()),
        };
        let optional = [
            ("logged_in_at", ":login", presence.logged_in_at.map(|at| n(at.as_millisecond()))),
            ("forced_by", ":by", presence.forced_by.as_ref().map(s)),
        ];
        let (set, removed): (Vec<_>, Vec<_>) = optional.into_iter().partition(|(.., value)| value.is_some());
        let also: String = set.iter().map(|(name, placeholder, _)| format!(", {name} = {placeholder}")).collect();
        let removed = removed.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        let removed = if removed.is_empty() { removed } else { format!(" REMOVE {removed}") };
        // Load and rings belong to the interactions' commits, so this write leaves them alone. But a ring that was
        // decided on the old state must fail, and this write must notice a ring that began since the presence was
        // read. The revision covers both.
        let change = Expression::new(format!(
            "SET #state = :state, reason = :reason, since = :since, #capacity = :capacity, version = :version, effects = :effects, v = :form, \
             missed = :missed{also}, ringing = if_not_exists(ringing, :empty) ADD revision :one{removed}"
        ));
        let values = set.into_iter().filter_map(|(_, placeholder, value)| Some((placeholder, value?)));
        let change = values.fold(change, |change, (placeholder, value)| change.value(placeholder, value));
        let change = change
            .name("#state", "state")
            .name("#capacity", "capacity")
            .value(":state", s(state))
            .value(":reason", s(reason))
            .value(":since", n(presence.since.as_millisecond()))
            .value(":capacity", n(presence.capacity.get()))
            .value(":version", n(presence.version))
            .value(":missed", n(presence.missed))
            .value(":effects", to_attribute(&effects)?)
            .value(":form", n(1))
            .value(":empty", AttributeValue::M(Item::new()))
            .value(":one", n(1));
        let as_read = Expression::new("attribute_not_exists(pk) OR (version = :before AND revision = :revision)")
            .value(":before", n(presence.version - 1))
            .value(":revision", n(presence.revision));
        transaction.update(keys::presence(&presence.agent), change, Some(as_read), Committed::Conflict);
        transaction.mark(mark, presence.agent.as_str(), presence.since);
        transaction.audit(&self.config_table, entry)?;
        committed(transaction).await
    }
}

fn owner_of(message: &Message) -> String {
    message.interaction.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use cloud::testing::{Call, Stub};
    use domain::history::{Fact, HistoryEntry};
    use domain::ids::{ContactId, QueueId};
    use domain::inbound::{InboundEvent, InboundKind, StatusUpdate};
    use domain::interaction::Status;
    use domain::message::DeliveryState;
    use serde_json::{Value, json};
    use ulid::Ulid;

    use super::*;
    use crate::codec::{Form, told_by};

    /// An agent's acceptance of an interaction of an own customer, which came through one queue.
    fn acceptance(number: u128) -> Commit {
        let at = Timestamp::UNIX_EPOCH;
        let id = |number| Ulid::from_parts(1, number);
        let before = Interaction {
            id: InteractionId::from_ulid(id(number)),
            contact: ContactId::from_ulid(id(number)),
            ..domain::fixtures::interaction(Status::Open, at)
        };
        let agent = AgentId::from_ulid(id(number));
        let membership = Membership { agent: agent.clone(), account: before.account.clone(), queue: Some(QueueId::from_ulid(id(1))) };
        let after = Interaction { version: before.version + 1, agent: Some(agent), ..before.clone() };
        Commit {
            mark: Idempotency::Command { id: format!("accept-{number}") },
            membership: Some(membership),
            ..Commit::plain(Some(before), after)
        }
    }

    /// The items of a transaction, as table and key, with the name of the action.
    fn touched(call: &Call) -> Vec<(String, String)> {
        let key = |item: &Value| format!("{}/{}", item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        let action = |action: &Value| {
            let (name, action) = action.as_object().unwrap().iter().next().unwrap();
            let item = if name == "Put" { &action["Item"] } else { &action["Key"] };
            (name.clone(), format!("{} {}", action["TableName"].as_str().unwrap(), key(item)))
        };
        call.body["TransactItems"].as_array().unwrap().iter().map(action).collect()
    }

    #[tokio::test]
    async fn a_hundred_agents_who_accept_at_once_touch_no_item_together() {
        let stub = Stub::start(|_| Some((200, "{}".to_owned()))).await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        for number in 0..100 {
            assert_eq!(store.write_commit(acceptance(number)).await.unwrap(), Committed::Done);
        }
        let calls = stub.calls();
        assert_eq!(calls.len(), 100, "one transaction each");
        let mut all = std::collections::HashSet::new();
        for (_, item) in calls.iter().flat_map(touched) {
            assert!(all.insert(item.clone()), "{item} is in two of the transactions");
        }
        assert_eq!(touched(&calls[7]).iter().filter(|(name, _)| name == "ConditionCheck").count(), 0, "the presence has its seats");
    }

    /// A table that refuses a transaction where `refused` says so of one of its items, and what was asked of it.
    async fn refusing(refused: impl Fn(&Value) -> bool + Send + Sync + 'static) -> (Interactions, Stub) {
        let stub = Stub::start(move |call| {
            let reasons: Vec<_> = call.body["TransactItems"].as_array().unwrap().iter().map(&refused).collect();
            if !reasons.contains(&true) {
                return Some((200, "{}".to_owned()));
            }
            let codes = reasons.iter().map(|refused| json!({ "Code": if *refused { "ConditionalCheckFailed" } else { "None" } }));
            let codes: Vec<_> = codes.collect();
            let refusal = json!({ "__type": "TransactionCanceledException", "Message": "no", "CancellationReasons": codes });
            Some((400, refusal.to_string()))
        })
        .await;
        (Interactions::new(stub.aws.dynamodb(), "interactions", "config"), stub)
    }

    /// The change and the condition of the presence in a transaction.
    fn presence_in(call: &Call) -> (String, String) {
        let updates = call.body["TransactItems"].as_array().unwrap().iter().map(|action| &action["Update"]);
        let presence = updates.into_iter().find(|update| update["Key"]["sk"]["S"] == "PRESENCE").unwrap();
        let text = |name: &str| presence[name].as_str().unwrap_or_default().to_owned();
        (text("UpdateExpression"), text("ConditionExpression"))
    }

    fn without_seat(action: &Value) -> bool {
        action["Update"]["ConditionExpression"].as_str().is_some_and(|condition| condition.contains("seats"))
    }

    fn checked(call: &Call) -> Vec<String> {
        let checks = touched(call).into_iter().filter(|(name, _)| name == "ConditionCheck");
        checks.map(|(_, item)| item.split('/').next().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_member_with_seats_accepts_by_the_presence_alone() {
        let (store, stub) = refusing(|_| false).await;
        assert_eq!(store.write_commit(acceptance(1)).await.unwrap(), Committed::Done);
        let [call] = &stub.calls()[..] else { panic!("one transaction") };
        let (change, condition) = presence_in(call);
        assert!(condition.contains("contains(seats, :account) AND contains(seats, :queue)"), "{condition}");
        assert!(!change.contains("seats"), "{change}");
        assert_eq!(checked(call), [""; 0]);
    }

    #[tokio::test]
    async fn the_items_of_a_member_without_seats_leave_them_in_the_presence() {
        let (store, stub) = refusing(without_seat).await;
        assert_eq!(store.write_commit(acceptance(1)).await.unwrap(), Committed::Done);
        let [_, call] = &stub.calls()[..] else { panic!("two transactions") };
        let (change, condition) = presence_in(call);
        assert!(change.contains("seats :seats") && !condition.contains("seats"), "{change}; {condition}");
        assert!(checked(call).iter().all(|item| item.starts_with("config members#")) && checked(call).len() == 2, "{:?}", checked(call));
    }

    #[tokio::test]
    async fn where_members_have_no_items_the_account_and_the_queue_are_asked_and_leave_no_seats() {
        let no_item = |action: &Value| action["ConditionCheck"]["Key"]["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("members#"));
        let (store, stub) = refusing(move |action| without_seat(action) || no_item(action)).await;
        assert_eq!(store.write_commit(acceptance(1)).await.unwrap(), Committed::Done);
        let [_, _, call] = &stub.calls()[..] else { panic!("three transactions") };
        assert_eq!(checked(call), ["config account", "config queue"]);
        // Such a list may be about to lose the agent, and then nobody would take the seat away.
        assert!(!presence_in(call).0.contains("seats"));
    }

    #[tokio::test]
    async fn whether_an_agent_has_no_seat_or_no_room_is_told_by_the_second_attempt() {
        let full = |action: &Value| action["Update"]["Key"]["sk"]["S"] == "PRESENCE";
        let (store, stub) = refusing(full).await;
        assert_eq!(store.write_commit(acceptance(1)).await.unwrap(), Committed::AtCapacity);
        assert_eq!(stub.calls().len(), 2);
        let (store, stub) = refusing(|action| action["Put"]["Item"]["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with("INT#"))).await;
        assert_eq!(store.write_commit(acceptance(1)).await.unwrap(), Committed::Conflict);
        assert_eq!(stub.calls().len(), 1, "whoever comes second is told at once");
    }

    type Items = Arc<Mutex<HashMap<String, Value>>>;

    fn key_of(item: &Value) -> String {
        format!("{}/{}", item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap())
    }

    /// What an update that sets and removes attributes makes of an item.
    fn updated(item: Value, update: &Value) -> Value {
        let mut item = item;
        let text = update["UpdateExpression"].as_str().unwrap();
        let (set, removed) = text.strip_prefix("SET ").unwrap().split_once(" REMOVE ").unwrap_or((&text[4..], ""));
        let name = |placeholder: &str| update["ExpressionAttributeNames"][placeholder].as_str().unwrap().to_owned();
        for (attribute, value) in set.split(", ").map(|part| part.split_once(" = ").unwrap()) {
            item[name(attribute)] = update["ExpressionAttributeValues"][value].clone();
        }
        for attribute in removed.split(", ").filter(|attribute| !attribute.is_empty()) {
            item.as_object_mut().unwrap().remove(&name(attribute));
        }
        item
    }

    /// A table that keeps what is written and checks no condition.
    async fn keeping() -> (Stub, Items) {
        let items = Items::default();
        let kept = items.clone();
        let stub = Stub::start(move |call| {
            let mut items = kept.lock().unwrap();
            let answer = match call.operation.as_str() {
                "DynamoDB_20120810.GetItem" => items.get(&key_of(&call.body["Key"])).map_or(json!({}), |item| json!({ "Item": item })),
                "DynamoDB_20120810.PutItem" => {
                    items.insert(key_of(&call.body["Item"]), call.body["Item"].clone());
                    json!({})
                }
                "DynamoDB_20120810.UpdateItem" => {
                    let item = items.entry(key_of(&call.body["Key"])).or_insert_with(|| call.body["Key"].clone());
                    *item = updated(item.clone(), &call.body);
                    json!({})
                }
                "DynamoDB_20120810.TransactWriteItems" => {
                    for action in call.body["TransactItems"].as_array().unwrap() {
                        if let Some(put) = action.get("Put") {
                            items.insert(key_of(&put["Item"]), put["Item"].clone());
                        }
                    }
                    json!({})
                }
                other => panic!("{other}"),
            };
            Some((200, answer.to_string()))
        });
        (stub.await, items)
    }

    /// The names of the calls, without the service's.
    fn names(calls: &[Call]) -> Vec<&str> {
        calls.iter().map(|call| call.operation.rsplit('.').next().unwrap()).collect()
    }

    /// A message that waits to be sent.
    fn waiting() -> (MessageKey, Message) {
        let at = Timestamp::UNIX_EPOCH;
        let interaction = domain::fixtures::interaction(Status::Open, at);
        let message = Message { provider_id: None, ..domain::fixtures::message(at).queued(at, &interaction.address) };
        (MessageKey { interaction: interaction.key(), at: message.at, message: message.id.clone() }, message)
    }

    #[tokio::test]
    async fn a_send_costs_three_plain_writes_and_a_status_one() {
        let (stub, items) = keeping().await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let (key, message) = waiting();
        store.table.put(versioned_item(keys::message(&key), &message, 1, &[]).unwrap()).await.unwrap();
        let directory = engine::memory::Memory::new().directory();
        let engine = engine::Engine { store, directory, world: engine::ports::System };
        stub.calls();

        let engine::Claim::Send(claimed) = engine.claim(&key).await.unwrap() else { panic!("it waits") };
        assert_eq!(names(&stub.calls()), ["GetItem", "UpdateItem"], "the claim");
        engine.sent(&key, Some(&claimed), &engine::Sent::Accepted { provider_id: "SM1".to_owned() }).await.unwrap();
        let calls = stub.calls();
        assert_eq!(names(&calls), ["PutItem", "UpdateItem"], "the result, the provider's id first");
        let written = [&calls[0].body["Item"], &calls[1].body["Key"]].map(|item| item["pk"]["S"].as_str().unwrap());
        assert!(written[0].starts_with("PROV#") && written[1].starts_with("CONV#"), "{written:?}");

        let report = |state, reference| {
            let status = StatusUpdate {
                provider_id: "SM1".to_owned(),
                reference,
                state,
                error: None,
                at: None,
                recipients: Vec::new(),
                charge: None,
            };
            let account = key.interaction.conversation.account.clone();
            InboundEvent::new(account, format!("SM1#{state:?}"), Timestamp::now(), InboundKind::Status(status))
        };
        engine.route(&report(DeliveryState::Sent, Some(key.reference().0))).await.unwrap();
        assert_eq!(names(&stub.calls()), ["GetItem", "UpdateItem"], "a status with our reference");
        engine.route(&report(DeliveryState::Delivered, None)).await.unwrap();
        assert_eq!(names(&stub.calls()), ["GetItem", "GetItem", "UpdateItem"], "a status without it");
        engine.route(&report(DeliveryState::Delivered, None)).await.unwrap();
        assert_eq!(names(&stub.calls()), ["GetItem", "GetItem"], "a repetition");
        assert_eq!(items.lock().unwrap().len(), 2, "the message and its provider's id, and nothing else");
    }

    #[tokio::test]
    async fn a_change_of_a_message_takes_its_effects_away_and_keeps_the_history_that_it_carries() {
        let at = Timestamp::UNIX_EPOCH;
        let message = domain::fixtures::message(at);
        let after = domain::fixtures::interaction(Status::Open, at);
        let told = [Fact::Opened, Fact::PlanStarted { plan: 1 }].map(|fact| HistoryEntry { at, version: 1, role: None, fact });
        let commit = || {
            let commit = Commit { history: told.to_vec(), ..Commit::plain(None, after.clone()) };
            commit.with(message.clone(), vec![Effect::Send])
        };
        let key = MessageKey { interaction: after.key(), at: message.at, message: message.id.clone() };
        for form in [Form::Plain, Form::Compact] {
            let (stub, items) = keeping().await;
            let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config").writing(form);
            assert_eq!(store.write_commit(commit()).await.unwrap(), Committed::Done);
            // The other form may be written next, by a function that was not yet told of it, or that was told first.
            let changes = [(2, Form::Compact), (3, Form::Plain)].map(|(version, form)| (Message { version, ..message.clone() }, form));
            for (changed, form) in changes {
                let change = MessageCommit::of(&key, changed.version - 1, changed.clone(), Vec::new());
                assert_eq!(store.clone().writing(form).write_message(change).await.unwrap(), Committed::Done);
                assert_eq!(engine::ports::Store::message(&store, &key).await.unwrap(), Some(changed));
            }
            let items = items.lock().unwrap();
            let of = |prefix: &str| items.keys().filter(|key| key.contains(&format!("/{prefix}#"))).count();
            let item = items.iter().find(|(key, _)| key.contains("/MSG#")).unwrap().1;
            assert!(item.get("effects").is_none());
            assert_eq!((of("HIS"), item.get("told").is_some()), if form == Form::Compact { (0, true) } else { (1, false) });
            let item: serde_dynamo::Item = serde_json::from_value(item.clone()).unwrap();
            let expected = if form == Form::Compact { told.to_vec() } else { Vec::new() };
            assert_eq!(told_by::<HistoryEntry>(&item.into()).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_plain_write_that_meets_a_transaction_or_itself_is_a_conflict() {
        let (key, message) = waiting();
        let there = Arc::new(Mutex::new(Value::Null));
        for (refusal, of_message, of_id) in [
            ("TransactionConflictException", Committed::Conflict, Committed::Conflict),
            ("ConditionalCheckFailedException", Committed::Conflict, Committed::Done),
        ] {
            let item = there.clone();
            let stub = Stub::start(move |call| {
                *item.lock().unwrap() = call.body["Item"].clone();
                Some((400, json!({ "__type": refusal, "Message": "no", "Item": call.body["Item"] }).to_string()))
            })
            .await;
            let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
            let commit = MessageCommit::of(&key, 1, Message { version: 2, ..message.clone() }, Vec::new());
            assert_eq!(store.write_message(commit).await.unwrap(), of_message, "{refusal}");
            assert_eq!(store.write_provider_id(&key, "SM1").await.unwrap(), of_id, "{refusal}");
        }
        // Another message has the id.
        let place = there.lock().unwrap().clone();
        let stub = Stub::start(move |_| {
            Some((400, json!({ "__type": "ConditionalCheckFailedException", "Message": "no", "Item": place }).to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let other = MessageKey { message: domain::ids::MessageId::from_ulid(Ulid::from_parts(9, 9)), ..key };
        assert_eq!(store.write_provider_id(&other, "SM1").await.unwrap(), Committed::AlreadyDone);
    }

    #[tokio::test]
    async fn a_transaction_that_may_still_be_written_is_no_conflict_upon_which_somebody_decides_anew() {
        let stub = Stub::start(|_| {
            Some((400, json!({ "__type": "TransactionInProgressException", "Message": "the earlier one is under way" }).to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let unanswered = Commit { mark: Idempotency::Guarded, ..acceptance(1) };
        assert_eq!(store.write_commit(unanswered).await.unwrap_err().operation, "TransactWriteItems");
    }

    #[test]
    fn an_earlier_attempt_says_more_than_any_other_lost_condition() {
        let lost = |meanings: &[Committed]| meaning(meanings.iter().map(|meaning| (*meaning, Cause::Condition)).collect());
        assert_eq!(lost(&[Committed::Conflict, Committed::AtCapacity, Committed::AlreadyDone]), Committed::AlreadyDone);
        assert_eq!(lost(&[Committed::AtCapacity]), Committed::AtCapacity);
    }

    #[test]
    fn a_rival_of_any_action_is_a_conflict() {
        assert_eq!(meaning(vec![(Committed::AlreadyDone, Cause::Rival)]), Committed::Conflict);
        assert_eq!(meaning(vec![(Committed::AtCapacity, Cause::Throttle)]), Committed::Conflict);
    }
}
