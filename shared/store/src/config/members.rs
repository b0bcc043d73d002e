//! The members of accounts and queues as items of their own.
//!
//! A commit that rests on a membership checks the member's item. A check of the account's own item would conflict with
//! every other one at the same instant, since two transactions can't touch one item at once: a hundred agents who
//! accept at once would wait for each other.
//!
//! **An item says that its agent is a member.** So it is written after or with the account, and deleted before or with
//! it. A member without an item is possible: accounts that the version before wrote have none until their next write,
//! and large ones get theirs in several steps. Whoever finds no item asks the account itself.
//!
//! **A seat says so too.** It is an entry in the agent's presence, which an acceptance writes in any case, so it costs
//! nothing to look there. The acceptance that finds none looks at the items, and leaves the seats that they prove, in
//! one transaction. An item and its seat are deleted in one transaction.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::AgentId;
use engine::ports::{PortError, System, World as _};
use ulid::Ulid;

use super::keys::{complete_key, entity_key, member_key};
use super::writes::{ATTEMPTS, Written, unless_moved};
use super::{Configuration, Entity, Revision};
use crate::codec::{PortResult, item, text};
use crate::keys;
use crate::transaction::{Expression, Outcome, Transaction};

/// The most actions for members in one transaction. DynamoDB allows 100, and the deletion of an account has 24 others.
const MOST: usize = 60;

/// Of a member who leaves, the item and the presence change.
const LEAVES: usize = 2;

/// The seat of an account's or a queue's member: 17 bytes, since a presence with many of them must not cost another
/// unit. `None` if the id has another form, then there is no seat.
pub(crate) fn seat<T: Entity>(id: &str) -> Option<Blob> {
    let (_, ulid) = id.split_once('_')?;
    let mut seat = vec![*T::KIND.as_bytes().first()?];
    seat.extend(Ulid::from_string(ulid).ok()?.to_bytes());
    Some(Blob::new(seat))
}

/// Agents who leave an account or a queue.
#[derive(Debug, Default)]
struct Leavers {
    agents: Vec<AgentId>,
    /// Those of them who have a presence.
    present: BTreeSet<AgentId>,
}

impl Leavers {
    /// Adds the deletion of their items and seats. It loses with `moved` where a presence has come meanwhile.
    fn add<T: Entity, L>(&self, transaction: &mut Transaction<'_, L>, presences: &str, id: &str, moved: impl Fn() -> L) {
        for agent in &self.agents {
            transaction.delete(member_key::<T>(id, agent), None, moved());
            let Some(seat) = seat::<T>(id) else { continue };
            let presence = keys::presence(agent);
            if self.present.contains(agent) {
                let leave = Expression::new("DELETE seats :seats").value(":seats", AttributeValue::Bs(vec![seat]));
                transaction.update_in(presences, presence, leave, Expression::new("attribute_exists(pk)"), moved());
            } else {
                // An update would make a presence of nothing but its key.
                transaction.check_in(presences, presence, Expression::absent(), moved());
            }
        }
    }
}

/// The changes of member items that come with a write.
#[derive(Debug, Default)]
pub(super) struct Moves {
    left: Leavers,
    came: Vec<AgentId>,
    /// Whether the note that all members have items must be written.
    completes: bool,
}

impl Moves {
    /// Whether they fit into the transaction of the write.
    pub(super) fn fit(&self) -> bool {
        self.left.agents.len() * LEAVES + self.came.len() <= MOST
    }

    /// Adds them to the transaction of the write; `presences` is the table of the presences. If they don't fit, the
    /// members who left are forgotten before, and those who came are noted afterwards.
    pub(super) fn add<T: Entity>(&self, transaction: &mut Transaction<'_, Written>, presences: &str, id: &str) {
        if !self.fit() {
            return;
        }
        self.left.add::<T, _>(transaction, presences, id, || Written::Moved);
        for agent in &self.came {
            transaction.put(item(member_key::<T>(id, agent)), None, Written::Moved);
        }
        if self.completes {
            transaction.put(item(complete_key::<T>(id)), None, Written::Moved);
        }
    }
}

fn members_of<T: Entity>(entity: Option<&T>) -> BTreeSet<AgentId> {
    entity.and_then(Entity::members).into_iter().flatten().cloned().collect()
}

impl Configuration {
    /// The changes of member items when `entity` replaces `before`.
    pub(super) async fn moves<T: Entity>(&self, before: Option<&T>, entity: &T) -> PortResult<Moves> {
        if entity.members().is_none() {
            return Ok(Moves::default());
        }
        let (had, has) = (members_of(before), members_of(Some(entity)));
        // An account of the form before this one has no items yet.
        let complete = before.is_some() && self.table.get(complete_key::<T>(entity.id())).await?.is_some();
        let left: Vec<AgentId> = had.difference(&has).cloned().collect();
        let came: Vec<AgentId> = has.into_iter().filter(|agent| !(complete && had.contains(agent))).collect();
        let mut moves = Moves { left: Leavers { agents: left, present: BTreeSet::new() }, came, completes: !complete };
        if moves.fit() {
            moves.left.present = self.present(&moves.left.agents).await?;
        }
        Ok(moves)
    }

    /// Deletes the items of members who are about to leave, when they are too many for the transaction of the write.
    /// That write must rest on a revision that was read before this: a late step of [`Configuration::note_members`]
    /// may bring an item back in between, and counts.
    pub(super) async fn forget_members<T: Entity>(&self, id: &str, agents: &[AgentId]) -> PortResult<()> {
        // From now on not all members have items.
        self.table.delete(complete_key::<T>(id)).await?;
        for some in agents.chunks(MOST / LEAVES) {
            self.forget_some::<T>(id, some).await?;
        }
        Ok(())
    }

    async fn forget_some<T: Entity>(&self, id: &str, agents: &[AgentId]) -> PortResult<()> {
        for attempt in 1..=ATTEMPTS {
            let mut transaction = self.table.transaction();
            let left = Leavers { agents: agents.to_vec(), present: self.present(agents).await? };
            left.add::<T, _>(&mut transaction, &self.presences.name, id, || ());
            if transaction.send().await? == Outcome::Done {
                return Ok(());
            }
            System.pause(attempt).await;
        }
        Err(PortError { operation: "forget members", reason: format!("still in conflict after {ATTEMPTS} attempts") })
    }

    /// Which of these agents have a presence.
    async fn present(&self, agents: &[AgentId]) -> PortResult<BTreeSet<AgentId>> {
        let presences = self.presences.batch(agents.iter().map(keys::presence).collect()).await?;
        Ok(presences.iter().filter_map(|item| keys::agent_at(text(item, "pk")?)).collect())
    }

    /// Deletes what leads to the members of an entity that is about to be deleted.
    pub(super) async fn forget_all_members<T: Entity>(&self, entity: &T) -> PortResult<()> {
        if entity.members().is_none() {
            return Ok(());
        }
        let members: Vec<AgentId> = members_of(Some(entity)).into_iter().collect();
        self.forget_members::<T>(entity.id(), &members).await
    }

    /// Writes the items of members that did not fit into the transaction of the write, as long as the entity still has
    /// the version that was written. Whatever ends this early: members without items are found in the entity itself.
    pub(super) async fn note_members<T: Entity>(&self, id: &str, version: u64, moves: &Moves) -> PortResult<()> {
        let mut left = moves.came.as_slice();
        loop {
            let (some, rest) = left.split_at(left.len().min(MOST));
            left = rest;
            let mut transaction = self.counted(None);
            transaction.check(entity_key::<T>(id), Expression::version(version), Written::Changed);
            some.iter().for_each(|agent| transaction.put(item(member_key::<T>(id, agent)), None, Written::Moved));
            if left.is_empty() {
                transaction.put(item(complete_key::<T>(id)), None, Written::Moved);
            }
            let written = unless_moved(|| self.transact(transaction.clone(), version)).await?;
            if left.is_empty() || !matches!(written, Written::Done { .. }) {
                return Ok(());
            }
        }
    }

    /// The revision on which a write must rest whose members leave in several steps.
    pub(super) async fn resting_on(&self, at: Option<Revision>, moves: &Moves) -> PortResult<Option<Revision>> {
        match at {
            None if !moves.fit() => Ok(Some(self.revision().await?)),
            at => Ok(at),
        }
    }

    /// Does what must come before the write: see [`Configuration::forget_members`].
    pub(super) async fn before_write<T: Entity>(&self, id: &str, moves: &Moves) -> PortResult<()> {
        if moves.fit() { Ok(()) } else { self.forget_members::<T>(id, &moves.left.agents).await }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use cloud::testing::{Call, Stub};
    use domain::account::Account;
    use domain::fixtures;
    use domain::ids::AgentId;
    use domain::queue::Queue;
    use serde_json::{Value, json};
    use ulid::Ulid;

    use super::{MOST, seat};
    use crate::{Configuration, Write, Written};

    #[test]
    fn accounts_and_queues_have_different_seats_whatever_their_ids() {
        let ulid = "01JD5Q4Z6V3W2X1Y0ZABCDEFGH";
        let another = seat::<Queue>("que_01JD5Q4Z6V3W2X1Y0ZABCDEFGJ");
        let seats = [seat::<Account>(&format!("acc_{ulid}")), seat::<Queue>(&format!("que_{ulid}")), another];
        let seats: BTreeSet<_> = seats.into_iter().map(|seat| seat.unwrap().into_inner()).collect();
        assert_eq!((seats.len(), seats.iter().all(|seat| seat.len() == 17)), (3, true));
        assert_eq!(seat::<Account>("acc_not a ulid"), None);
    }

    fn agents(numbers: std::ops::RangeInclusive<u128>) -> Vec<AgentId> {
        numbers.map(|number| AgentId::from_ulid(Ulid::from_parts(1, number))).collect()
    }

    /// What a transaction does with each agent's item and presence: the name of the action, and the condition.
    fn by_agent(call: &Call) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for action in call.body["TransactItems"].as_array().unwrap() {
            let (name, action) = action.as_object().unwrap().iter().next().unwrap();
            let text = |field: &str| action[field].as_str().unwrap_or_default().to_owned();
            let (pk, sk) = (action["Key"]["pk"]["S"].as_str().unwrap_or_default(), action["Key"]["sk"]["S"].as_str().unwrap_or_default());
            let does = format!("{name} {} {} {}", text("TableName"), text("UpdateExpression"), text("ConditionExpression"));
            if let Some(agent) = pk.strip_prefix("AGENT#") {
                all.entry(agent.to_owned()).or_default().push(does);
            } else if pk.starts_with("members#") {
                all.entry(sk.to_owned()).or_default().push(does);
            }
        }
        all
    }

    /// Takes agents off an account, of whom only those in `present` have a presence. Returns the transactions.
    async fn taken_off(left: &[AgentId], present: &[AgentId]) -> Vec<Call> {
        let presences: Vec<Value> =
            present.iter().map(|agent| json!({ "pk": { "S": format!("AGENT#{agent}") }, "sk": { "S": "PRESENCE" } })).collect();
        let stub = Stub::start(move |call| {
            let answer = match call.operation.rsplit_once('.').unwrap().1 {
                "BatchGetItem" => json!({ "Responses": { "interactions": presences }, "UnprocessedKeys": {} }),
                "GetItem" => json!({ "Item": { "revision": { "N": "7" } } }),
                _ => json!({}),
            };
            Some((200, answer.to_string()))
        })
        .await;
        let configuration = Configuration::new(stub.aws.dynamodb(), "config", "interactions");
        let before = Account { agents: left.to_vec(), ..fixtures::account() };
        let after = Account { agents: Vec::new(), ..before.clone() };
        let written = configuration.put(&after, Write::Replace { before: &before, version: 1 }, Vec::new()).await.unwrap();
        assert_eq!(written, Written::Done { version: 2 });
        stub.calls().into_iter().filter(|call| call.operation.ends_with(".TransactWriteItems")).collect()
    }

    const LEAVES: &str = "Update interactions DELETE seats :seats attribute_exists(pk)";
    const STAYS_AWAY: &str = "ConditionCheck interactions  attribute_not_exists(pk)";

    #[tokio::test]
    async fn the_item_and_the_seat_of_whoever_leaves_are_deleted_in_the_write_itself() {
        let left = agents(1..=2);
        let [write] = &taken_off(&left, &left[..1]).await[..] else { panic!("one transaction") };
        let by_agent = by_agent(write);
        assert_eq!(by_agent[left[0].as_str()], ["Delete config  ", LEAVES]);
        assert_eq!(by_agent[left[1].as_str()], ["Delete config  ", STAYS_AWAY]);
    }

    #[tokio::test]
    async fn of_many_who_leave_each_item_goes_with_its_seat_before_the_write() {
        let left = agents(1..=100);
        let all = taken_off(&left, &left).await;
        let (before, write) = all.split_at(all.iter().position(|call| by_agent(call).is_empty()).unwrap());
        let mut gone = BTreeSet::new();
        for step in before {
            assert!(step.body["TransactItems"].as_array().unwrap().len() <= MOST);
            for (agent, does) in by_agent(step) {
                assert_eq!(does, ["Delete config  ", LEAVES]);
                assert!(gone.insert(agent));
            }
        }
        assert_eq!(gone.len(), 100);
        assert!(write[0].body.to_string().contains("revision = :at"), "a step of another write would bring one back unseen");
    }
}
