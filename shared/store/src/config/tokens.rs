//! The tokens of Receive URLs. Anybody may send random ones, so a flood of them must not cause a read each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ids::AccountId;
use jiff::Timestamp;

use super::keys::{RECEIVE, receive_key};
use super::{Configuration, Revision};
use crate::codec::{PortResult, failed, number, s, text};

/// What is known of tokens, by their hashes, with the configuration's revision at which it was read.
#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Tokens that lead to an account: two for each account at most.
    owners: HashMap<String, (Owner, Revision)>,
    /// The hashes of all tokens. They are read when a token is not found, and answer for the unknown ones after that,
    /// however many random tokens come.
    all: Option<(BTreeSet<String>, Revision)>,
}

#[derive(Clone)]
struct Owner {
    account: AccountId,
    /// Until when the token is accepted, if it was replaced.
    until: Option<Timestamp>,
}

impl Tokens {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a token: its owner, that it has none, or nothing.
    fn look_up(&self, hash: &str, at: Revision) -> Option<Option<Owner>> {
        let known = self.known();
        if let Some((owner, read)) = known.owners.get(hash)
            && *read == at
        {
            return Some(Some(owner.clone()));
        }
        let lacks = known.all.as_ref().is_some_and(|(all, read)| *read == at && !all.contains(hash));
        lacks.then_some(None)
    }

    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }
}

impl Configuration {
    /// The account whose Receive URL has a token with this hash. Until the configuration changes, a known one costs a
    /// read, and unknown ones together a read and a query.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn account_of_token(&self, token_hash: &str) -> PortResult<Option<AccountId>> {
        let at = self.recent_revision().await?;
        let owner = match self.tokens.look_up(token_hash, at) {
            Some(known) => known,
            None => self.owner_of_token(token_hash, at).await?,
        };
        let accepted = owner.filter(|owner| owner.until.is_none_or(|until| cloud::time::now() < until));
        Ok(accepted.map(|owner| owner.account))
    }

    async fn owner_of_token(&self, token_hash: &str, at: Revision) -> PortResult<Option<Owner>> {
        let found = self.table.get(receive_key(token_hash)).await?;
        let owner = found.as_ref().and_then(|item| {
            let until = number(item, "until").and_then(|until| Timestamp::from_millisecond(until).ok());
            Some(Owner { account: text(item, "owner")?.parse().ok()?, until })
        });
        if let Some(owner) = &owner {
            self.tokens.known().owners.insert(token_hash.to_owned(), (owner.clone(), at));
        } else if let Ok(all) = self.token_hashes().await {
            // If the others can't be read, this one is unknown all the same.
            self.tokens.known().all = Some((all, at));
        }
        Ok(owner)
    }

    /// The hashes of all tokens.
    async fn token_hashes(&self) -> PortResult<BTreeSet<String>> {
        let (mut all, mut start) = (BTreeSet::new(), None);
        loop {
            let query = self.table.query().set_exclusive_start_key(start);
            let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s(RECEIVE));
            let page = query.projection_expression("sk").send().await.map_err(failed("Query"))?;
            all.extend(page.items.unwrap_or_default().iter().filter_map(|item| text(item, "sk").map(str::to_owned)));
            match page.last_evaluated_key {
                Some(last) => start = Some(last),
                None => return Ok(all),
            }
        }
    }
}
