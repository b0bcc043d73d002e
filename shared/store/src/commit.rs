//! Commits: every change is one transaction, and what it loses against tells who won.

use std::collections::BTreeMap;

use audit::Entry;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use domain::agent::{Presence, PresenceState};
use domain::contact::{Contact, Identity, Link};
use domain::effect::{ConversationKey, Effect, MessageKey};
use domain::footprint::{Footprint, SlotChange, footprint, slot_changes};
use domain::ids::{AgentId, InteractionId};
use domain::interaction::Interaction;
use domain::message::Message;
use domain::values::Address;
use engine::ports::{Commit, Committed, Idempotency, Membership, MessageCommit, PortError};
use jiff::{SignedDuration, Timestamp};

use crate::codec::{Item, PortResult, data_item, failed, item, key_item, n, s, to_attribute, versioned_item};
use crate::config::{audit_puts, leaving_key};
use crate::interactions::{Interactions, expires};
use crate::keys::{self, Key};

/// Marks of API commands outlive every client's retries.
const COMMANDS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A transaction under construction: each action with what it means when its condition fails.
struct Transaction<'a> {
    table: &'a str,
    actions: Vec<(TransactWriteItem, Committed)>,
    unbuildable: Option<PortError>,
}

/// A condition with its values.
type Values = Vec<(&'static str, AttributeValue)>;

impl<'a> Transaction<'a> {
    fn on(table: &'a str) -> Self {
        Self { table, actions: Vec::new(), unbuildable: None }
    }

    fn push<E: std::fmt::Display>(&mut self, built: Result<TransactWriteItem, E>, lost: Committed) {
        match built {
            Ok(action) => self.actions.push((action, lost)),
            Err(error) => self.unbuildable = Some(PortError { operation: "TransactWriteItems", reason: error.to_string() }),
        }
    }

    fn put(&mut self, item: Item, condition: Option<&str>, values: Values, lost: Committed) {
        let values =
            Some(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Item>()).filter(|values| !values.is_empty());
        let put = Put::builder().table_name(self.table).set_item(Some(item)).set_condition_expression(condition.map(str::to_owned));
        let put = put.set_expression_attribute_values(values).build();
        self.push(put.map(|put| TransactWriteItem::builder().put(put).build()), lost);
    }

    fn put_new(&mut self, item: Item, lost: Committed) {
        self.put(item, Some("attribute_not_exists(pk)"), Vec::new(), lost);
    }

    /// A contact in the place of its version before.
    fn replace_contact(&mut self, contact: &Contact, effects: &[Effect]) -> PortResult<()> {
        let item = versioned_item(keys::contact(&contact.id), contact, contact.version, effects)?;
        // Contacts of the form before had no version.
        let condition = if contact.version == 1 { "attribute_exists(pk) AND attribute_not_exists(version)" } else { "version = :before" };
        let values = if contact.version == 1 { Vec::new() } else { vec![(":before", n(contact.version - 1))] };
        self.put(item, Some(condition), values, Committed::Conflict);
        Ok(())
    }

    /// The change is told of in the audit trail, which lies in the configuration's table.
    fn audit(&mut self, table: &str, entry: &Entry) -> PortResult<()> {
        self.actions.extend(audit_puts(table, entry)?.map(|put| (put, Committed::Conflict)));
        Ok(())
    }

    fn delete(&mut self, key: Key) {
        let delete = Delete::builder().table_name(self.table).set_key(Some(key_item(key))).build();
        self.push(delete.map(|delete| TransactWriteItem::builder().delete(delete).build()), Committed::Conflict);
    }

    fn update(&mut self, key: Key, expression: &str, condition: Option<String>, names: Vec<(&str, &str)>, values: Values, lost: Committed) {
        let mut update = Update::builder().table_name(self.table).set_key(Some(key_item(key))).update_expression(expression);
        for (name, stands_for) in names {
            update = update.expression_attribute_names(name, stands_for);
        }
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        let update = update.set_condition_expression(condition).build();
        self.push(update.map(|update| TransactWriteItem::builder().update(update).build()), lost);
    }

    fn mark(&mut self, mark: &Idempotency, owner: &str, now: Timestamp) {
        match mark {
            Idempotency::Guarded => {}
            Idempotency::Event { account, id } => self.update(
                keys::event(account, id),
                "SET routed = :owner",
                Some("attribute_not_exists(routed)".to_owned()),
                Vec::new(),
                vec![(":owner", s(owner))],
                Committed::AlreadyDone,
            ),
            Idempotency::Command { id } => {
                let mut mark = item(keys::command(id));
                mark.insert("owner".to_owned(), s(owner));
                mark.insert("expires_at".to_owned(), expires(now, COMMANDS_KEPT));
                self.put_new(mark, Committed::AlreadyDone);
            }
        }
    }

    /// Whom an address belongs to is as it was read.
    fn check_identity(&mut self, address: &Address, person: &Identity) {
        let linked = linked_attribute(person);
        let condition = match linked {
            Some(_) => "#owner = :owner AND #linked = :linked",
            None => "#owner = :owner AND attribute_not_exists(#linked)",
        };
        let check = ConditionCheck::builder()
            .table_name(self.table)
            .set_key(Some(key_item(keys::alias(address))))
            .condition_expression(condition)
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#linked", "linked")
            .expression_attribute_values(":owner", s(person.owner.as_str()));
        let check = match linked {
            Some(linked) => check.expression_attribute_values(":linked", linked),
            None => check,
        };
        self.push(check.build().map(|check| TransactWriteItem::builder().condition_check(check).build()), Committed::Conflict);
    }

    /// A conversation has no open interaction.
    fn check_none_open(&mut self, conversation: &ConversationKey) {
        let check = ConditionCheck::builder()
            .table_name(self.table)
            .set_key(Some(key_item(keys::head(conversation))))
            .condition_expression("attribute_not_exists(#open)")
            .expression_attribute_names("#open", "open")
            .build();
        self.push(check.map(|check| TransactWriteItem::builder().condition_check(check).build()), Committed::Conflict);
    }

    /// The account is not about to be deleted, nor gone. Where that is said is an item of its own, which is hardly ever there: an account's own would cost its
    /// size with each check.
    fn check_stays(&mut self, config_table: &str, ConversationKey { account, contact }: &ConversationKey, now: Timestamp) {
        let check = ConditionCheck::builder()
            .table_name(config_table)
            .set_key(Some(key_item(leaving_key(account, contact))))
            .condition_expression("attribute_not_exists(pk) OR #until < :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .build();
        self.push(check.map(|check| TransactWriteItem::builder().condition_check(check).build()), Committed::Conflict);
    }

    /// Membership is in the other table; the cached view that was decided on may be old.
    fn check_membership(&mut self, config_table: &str, membership: &Membership) {
        let account = ("account", membership.account.as_str(), "contains(#data.agents, :agent)");
        let queue = membership.queue.as_ref().map(|queue| ("queue", queue.as_str(), "contains(#data.members, :agent)"));
        for (kind, id, condition) in [Some(account), queue].into_iter().flatten() {
            let check = ConditionCheck::builder()
                .table_name(config_table)
                .key("pk", s(kind))
                .key("sk", s(id))
                .condition_expression(condition)
                .expression_attribute_names("#data", "data")
                .expression_attribute_values(":agent", s(membership.agent.as_str()))
                .build();
            self.push(check.map(|check| TransactWriteItem::builder().condition_check(check).build()), Committed::NotAMember);
        }
    }

    async fn send(self, client: &aws_sdk_dynamodb::Client) -> PortResult<Committed> {
        if let Some(error) = self.unbuildable {
            return Err(error);
        }
        let (actions, meanings): (Vec<_>, Vec<_>) = self.actions.into_iter().unzip();
        match client.transact_write_items().set_transact_items(Some(actions)).send().await {
            Ok(_) => Ok(Committed::Done),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let codes: Vec<&str> = canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
                    meaning(&codes, &meanings)
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => Ok(Committed::Conflict),
                _ => Err(failed("TransactWriteItems")(error)),
            },
        }
    }
}

fn linked_attribute(person: &Identity) -> Option<AttributeValue> {
    // A set may not be empty.
    (!person.linked.is_empty()).then(|| AttributeValue::Ss(person.linked.iter().map(ToString::to_string).collect()))
}

/// The item through which an address leads to a person.
fn alias_item(address: &Address, person: &Identity) -> Item {
    let mut alias = item(keys::alias(address));
    alias.insert("owner".to_owned(), s(person.owner.as_str()));
    alias.extend(linked_attribute(person).map(|linked| ("linked".to_owned(), linked)));
    alias
}

/// What a cancelled transaction lost against.
fn meaning(codes: &[&str], meanings: &[Committed]) -> PortResult<Committed> {
    let lost: Vec<Committed> = (codes.iter().zip(meanings))
        .filter_map(|(code, meaning)| match *code {
            "ConditionalCheckFailed" => Some(*meaning),
            "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" => Some(Committed::Conflict),
            _ => None,
        })
        .collect();
    Committed::of_lost(&lost)
        .ok_or_else(|| PortError { operation: "TransactWriteItems", reason: format!("cancelled: {}", codes.join(" ")) })
}

/// What a commit changes in the agents' presences, with what is merged into it: a transaction may touch an item only once.
fn slots_of(commit: &Commit) -> BTreeMap<AgentId, Vec<(InteractionId, SlotChange)>> {
    let mut all: BTreeMap<AgentId, Vec<(InteractionId, SlotChange)>> = BTreeMap::new();
    for commit in std::iter::once(commit).chain(commit.merged.as_deref()) {
        let old = commit.before.as_ref().map(footprint).unwrap_or_default();
        for (agent, change) in slot_changes(&old, &footprint(&commit.after), commit.presence_revision.as_ref()) {
            all.entry(agent).or_default().push((commit.after.id.clone(), change));
        }
    }
    all
}

/// The ids' places in an expression: one change, or two when an interaction is merged into another.
const RINGING: [&str; 2] = ["#first", "#second"];
const UNTIL: [&str; 2] = [":first", ":second"];

fn change_slots(transaction: &mut Transaction<'_>, agent: &AgentId, changes: &[(InteractionId, SlotChange)], now: Timestamp) {
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
        // Whoever is given something must exist; taking away from nobody is nothing.
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
        // Whoever accepts begins a new row of missed offers.
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
    let clauses = [("SET", set.join(", ")), ("ADD", add.join(", ")), ("DELETE", delete.join(", ")), ("REMOVE", remove.join(", "))];
    let expression: Vec<String> =
        clauses.into_iter().filter(|(_, parts)| !parts.is_empty()).map(|(verb, parts)| format!("{verb} {parts}")).collect();
    let condition = Some(conditions.join(" AND ")).filter(|condition| !condition.is_empty());
    // With the revision as it was read there is room: what else is wrong is found when it is read again.
    let based = changes.iter().any(|(_, slots)| slots.revision.is_some());
    let lost = if occupies && !based { Committed::AtCapacity } else { Committed::Conflict };
    transaction.update(keys::presence(agent), &expression.join(" "), condition, names, values, lost);
}

impl Interactions {
    /// The interaction itself, its head, its rows among the waiting, its history.
    fn change(&self, transaction: &mut Transaction<'_>, commit: &Commit) -> PortResult<()> {
        let Commit { before, after, .. } = commit;
        let key = after.key();
        let mut item = versioned_item(keys::interaction(&key), after, after.version, &commit.effects)?;
        if after.is_open() {
            // The index has nothing else of the item: it is written when this attribute comes and goes.
            item.insert(keys::OPEN_OF.to_owned(), s(after.account.as_str()));
        }
        match before {
            Some(before) => {
                transaction.put(item, Some("version = :before"), vec![(":before", n(before.version))], Committed::Conflict);
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
                transaction.delete(keys::waiting(target, &row.order()));
            }
        }
        for (target, row) in &new.waiting {
            if old.waiting.get(target) != Some(row) {
                transaction.put(data_item(keys::waiting(target, &row.order()), row)?, None, Vec::new(), Committed::Conflict);
            }
        }
        if !commit.history.is_empty() {
            transaction.put_new(data_item(keys::history(&key, after.version), &commit.history)?, Committed::Conflict);
        }
        Ok(())
    }

    pub(crate) async fn write_commit(&self, commit: Commit) -> PortResult<Committed> {
        let after = &commit.after;
        let now = commit.history.first().map_or(Timestamp::UNIX_EPOCH, |entry| entry.at);
        let key = after.key();
        let mut transaction = Transaction::on(&self.table);
        self.change(&mut transaction, &commit)?;
        if let Some(merged) = &commit.merged {
            self.change(&mut transaction, merged)?;
        }
        for (agent, changes) in slots_of(&commit) {
            change_slots(&mut transaction, &agent, &changes, now);
        }
        for (message, effects) in &commit.messages {
            let place = MessageKey { interaction: key.clone(), at: message.at, message: message.id.clone() };
            transaction.put_new(versioned_item(keys::message(&place), message, message.version, effects)?, Committed::Conflict);
            if let Some(provider_id) = &message.provider_id {
                let index = data_item(keys::provider_message(&after.account, provider_id), &place)?;
                transaction.put(index, None, Vec::new(), Committed::Conflict);
            }
        }
        if let Some(contact) = &commit.contact {
            transaction.put_new(versioned_item(keys::contact(&contact.id), contact, contact.version, &[])?, Committed::Conflict);
            let person = Identity::one(contact.id.clone());
            for address in &contact.addresses {
                transaction.put_new(alias_item(address, &person), Committed::Conflict);
            }
        }
        if let Some(contact) = &commit.listed {
            transaction.replace_contact(contact, &[])?;
        }
        if let Some((address, person)) = &commit.identity {
            transaction.check_identity(address, person);
            for contact in person.contacts().filter(|contact| **contact != after.contact) {
                transaction.check_none_open(&ConversationKey { account: after.account.clone(), contact: contact.clone() });
            }
        }
        if let Some((target, agent)) = &commit.cursor {
            let mut cursor = crate::codec::item(keys::cursor(target));
            cursor.insert("agent".to_owned(), s(agent.as_str()));
            transaction.put(cursor, None, Vec::new(), Committed::Conflict);
        }
        if after.is_open() && !commit.before.as_ref().is_some_and(Interaction::is_open) {
            transaction.check_stays(&self.config_table, &after.conversation(), now);
        }
        if let Some(membership) = &commit.membership {
            transaction.check_membership(&self.config_table, membership);
        }
        transaction.mark(&commit.mark, commit.made(), now);
        transaction.send(&self.client).await
    }

    pub(crate) async fn write_link(&self, link: &Link) -> PortResult<Committed> {
        let mut transaction = Transaction::on(&self.table);
        for contact in &link.contacts {
            let effects = if contact.id == link.identity.owner { link.effects.as_slice() } else { &[] };
            transaction.replace_contact(contact, effects)?;
        }
        // What leads to the contacts changes with their versions only.
        for address in &link.known {
            transaction.put(alias_item(address, &link.identity), None, Vec::new(), Committed::Conflict);
        }
        for address in &link.new {
            transaction.put_new(alias_item(address, &link.identity), Committed::Conflict);
        }
        transaction.send(&self.client).await
    }

    /// Writes somebody who has not written yet; the addresses lead there from now on. A conflict when one of them led somewhere already.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn add_contact(&self, contact: &Contact, entry: &Entry) -> PortResult<Committed> {
        let mut transaction = Transaction::on(&self.table);
        transaction.put_new(versioned_item(keys::contact(&contact.id), contact, contact.version, &[])?, Committed::Conflict);
        let person = Identity::one(contact.id.clone());
        for address in &contact.addresses {
            transaction.put_new(alias_item(address, &person), Committed::Conflict);
        }
        transaction.audit(&self.config_table, entry)?;
        transaction.send(&self.client).await
    }

    /// Writes a contact in the place of its version before; its addresses and links stay as they are. A conflict when somebody changed it meanwhile.
    ///
    /// # Errors
    /// When the table can't be written.
    pub async fn replace_contact(&self, contact: &Contact, entry: Option<&Entry>) -> PortResult<Committed> {
        let mut transaction = Transaction::on(&self.table);
        transaction.replace_contact(contact, &[])?;
        if let Some(entry) = entry {
            transaction.audit(&self.config_table, entry)?;
        }
        transaction.send(&self.client).await
    }

    /// The pointer to the open interaction: two messages at the same instant both find it empty, and one of them fails here.
    fn move_head(&self, transaction: &mut Transaction<'_>, commit: &Commit, old: &Footprint, new: &Footprint) {
        let id = commit.after.id.as_str();
        let (mut set, mut values, mut remove) = (Vec::new(), Vec::new(), "");
        let mut condition = None;
        if let Some(at) = commit.last_inbound_at {
            set.push("last_inbound_at = :at");
            values.push((":at", n(at.as_millisecond())));
        }
        match (old.open, new.open) {
            (false, true) => {
                set.push("#open = :id");
                condition = Some("attribute_not_exists(#open)".to_owned());
            }
            (true, false) => {
                remove = " REMOVE #open";
                condition = Some("#open = :id".to_owned());
            }
            (true, true) | (false, false) => {}
        }
        if set.is_empty() && remove.is_empty() {
            return;
        }
        let names = if condition.is_some() { vec![("#open", "open")] } else { Vec::new() };
        if condition.is_some() {
            values.push((":id", s(id)));
        }
        let set = if set.is_empty() { String::new() } else { format!("SET {}", set.join(", ")) };
        let key = keys::head(&commit.after.conversation());
        transaction.update(key, &format!("{set}{remove}"), condition, names, values, Committed::Conflict);
    }

    pub(crate) async fn write_message(&self, commit: MessageCommit) -> PortResult<Committed> {
        let mut transaction = Transaction::on(&self.table);
        let MessageCommit { key, before, after, effects, mark, index_provider_id } = &commit;
        let item = versioned_item(keys::message(key), after, after.version, effects)?;
        transaction.put(item, Some("version = :before"), vec![(":before", n(before))], Committed::Conflict);
        if let Some(provider_id) = after.provider_id.as_ref().filter(|_| *index_provider_id) {
            let place = data_item(keys::provider_message(&key.interaction.conversation.account, provider_id), key)?;
            transaction.put(place, None, Vec::new(), Committed::Conflict);
        }
        transaction.mark(mark, &owner_of(after), Timestamp::UNIX_EPOCH);
        transaction.send(&self.client).await
    }

    pub(crate) async fn write_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
        entry: Option<&Entry>,
    ) -> PortResult<Committed> {
        let mut transaction = Transaction::on(&self.table);
        let (state, reason) = match &presence.chosen {
            PresenceState::LoggedOut => ("logged_out", ""),
            PresenceState::Ready => ("ready", ""),
            PresenceState::Paused { reason } => ("paused", reason.as_str()),
        };
        let (login, never) = match presence.logged_in_at {
            Some(_) => (", logged_in_at = :login", ""),
            None => ("", " REMOVE logged_in_at"),
        };
        // Load and ringing belong to the interactions' commits: this one leaves them alone. But a ring that was decided on the old state must fail, and what
        // has begun to ring since the presence was read must be seen: hence the revision, both ways.
        transaction.update(
            keys::presence(&presence.agent),
            &format!(
                "SET #state = :state, reason = :reason, since = :since, #capacity = :capacity, version = :version, effects = :effects, v = :form, \
                 missed = :missed{login}, ringing = if_not_exists(ringing, :empty) ADD revision :one{never}"
            ),
            Some("attribute_not_exists(pk) OR (version = :before AND revision = :revision)".to_owned()),
            vec![("#state", "state"), ("#capacity", "capacity")],
            [
                (":state", s(state)),
                (":reason", s(reason)),
                (":since", n(presence.since.as_millisecond())),
                (":capacity", n(presence.capacity.get())),
                (":version", n(presence.version)),
                (":missed", n(presence.missed)),
                (":before", n(presence.version - 1)),
                (":effects", to_attribute(&effects)?),
                (":form", n(1)),
                (":empty", AttributeValue::M(Item::new())),
                (":revision", n(presence.revision)),
                (":one", n(1)),
            ]
            .into_iter()
            .chain(presence.logged_in_at.map(|at| (":login", n(at.as_millisecond()))))
            .collect(),
            Committed::Conflict,
        );
        transaction.mark(mark, presence.agent.as_str(), presence.since);
        if let Some(entry) = entry {
            transaction.audit(&self.config_table, entry)?;
        }
        transaction.send(&self.client).await
    }
}

fn owner_of(message: &Message) -> String {
    message.interaction.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_attempt_says_more_than_any_other_lost_condition() {
        let meanings = [Committed::Conflict, Committed::AtCapacity, Committed::AlreadyDone];
        let all = ["ConditionalCheckFailed"; 3];
        assert_eq!(meaning(&all, &meanings).unwrap(), Committed::AlreadyDone);
        assert_eq!(meaning(&["None", "ConditionalCheckFailed", "None"], &meanings).unwrap(), Committed::AtCapacity);
        assert_eq!(meaning(&["TransactionConflict", "None", "None"], &meanings).unwrap(), Committed::Conflict);
        assert!(meaning(&["ValidationError", "None", "None"], &meanings).is_err());
    }
}
