//! The members of accounts and queues as items of their own.
//!
//! A commit that rests on a membership checks the member's item. A check of the account's own item would conflict with
//! every other one at the same instant, since two transactions can't touch one item at once: a hundred agents who
//! accept at once would wait for each other.
//!
//! **An item says that its agent is a member.** So it is written after or with the account, and deleted before or with
//! it. A member without an item is possible: accounts that the version before wrote have none until their next write,
//! and large ones get theirs in several steps. Whoever finds no item asks the account itself.

use std::collections::BTreeSet;

use domain::ids::AgentId;
use engine::ports::{PortError, System, World as _};

use super::keys::{complete_key, entity_key, member_key};
use super::writes::{ATTEMPTS, Written, unless_moved};
use super::{Configuration, Entity, Revision};
use crate::codec::{PortResult, item};
use crate::transaction::{Expression, Outcome, Transaction};

/// The most member items in one transaction. DynamoDB allows 100 actions, and the deletion of an account has 24
/// others.
const MOST: usize = 60;

/// The changes of member items that come with a write.
#[derive(Debug, Default)]
pub(super) struct Moves {
    left: Vec<AgentId>,
    came: Vec<AgentId>,
    /// Whether the note that all members have items must be written.
    completes: bool,
}

impl Moves {
    /// Whether they fit into the transaction of the write.
    pub(super) fn fit(&self) -> bool {
        self.left.len() + self.came.len() <= MOST
    }

    /// Adds them to the transaction of the write. If they don't fit, the members who left are forgotten before, and
    /// those who came are noted afterwards.
    pub(super) fn add<T: Entity>(&self, transaction: &mut Transaction<'_, Written>, id: &str) {
        if !self.fit() {
            return;
        }
        for agent in &self.left {
            transaction.delete(member_key::<T>(id, agent), None, Written::Moved);
        }
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
        let left = had.difference(&has).cloned().collect();
        let came = has.into_iter().filter(|agent| !(complete && had.contains(agent))).collect();
        Ok(Moves { left, came, completes: !complete })
    }

    /// Deletes the items of members who are about to leave, when they are too many for the transaction of the write.
    /// That write must rest on a revision that was read before this: a late step of [`Configuration::note_members`]
    /// may bring an item back in between, and counts.
    pub(super) async fn forget_members<T: Entity>(&self, id: &str, agents: &[AgentId]) -> PortResult<()> {
        // From now on not all members have items.
        self.table.delete(complete_key::<T>(id)).await?;
        for some in agents.chunks(MOST) {
            let mut transaction = self.table.transaction();
            some.iter().for_each(|agent| transaction.delete(member_key::<T>(id, agent), None, ()));
            self.surely(transaction).await?;
        }
        Ok(())
    }

    /// Sends a transaction without conditions until it is written.
    async fn surely(&self, transaction: Transaction<'_, ()>) -> PortResult<()> {
        for attempt in 1..=ATTEMPTS {
            if transaction.clone().send().await? == Outcome::Done {
                return Ok(());
            }
            System.pause(attempt).await;
        }
        Err(PortError { operation: "forget members", reason: format!("still in conflict after {ATTEMPTS} attempts") })
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
        if moves.fit() { Ok(()) } else { self.forget_members::<T>(id, &moves.left).await }
    }
}
