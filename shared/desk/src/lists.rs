//! Lists of interactions with filters: those that the caller may see.

use std::collections::BTreeMap;

use api::{Error, Errors, Listed, Parameters, Reader};
use domain::account::DeletedAccount;
use domain::ids::AccountId;
use domain::seek::Matching;
use engine::ports::Directory;
use search::{FiltersInput, ListEntry, ListQuery};

use crate::{Desk, Failure};

impl Desk {
    /// The deleted accounts whose interactions the caller sees: they are for supervisors.
    pub(crate) async fn deleted_accounts(&self, reader: &Reader) -> Result<Vec<DeletedAccount>, Failure> {
        if !reader.oversees() {
            return Ok(Vec::new());
        }
        Ok(self.directory().all::<DeletedAccount>().await?.into_iter().map(|(deleted, _)| deleted).collect())
    }

    /// The accounts whose interactions the caller sees, and whether each is still there.
    pub(crate) async fn accounts_of(&self, reader: &Reader, deleted: &[DeletedAccount]) -> Result<BTreeMap<AccountId, bool>, Failure> {
        let mut known: BTreeMap<AccountId, bool> = deleted.iter().map(|deleted| (deleted.id.clone(), false)).collect();
        let there = self.directory().accounts().await?;
        known.extend(there.iter().filter(|account| reader.reads(Some(account))).map(|account| (account.id.clone(), true)));
        Ok(known)
    }

    /// What the filters of a list in a body show.
    ///
    /// # Errors
    /// A filter is refused, as a field of `filters`, or a table can't be read.
    pub async fn matching(&self, reader: &Reader, filters: FiltersInput) -> Result<Matching, Failure> {
        let query = filters.check().map_err(|errors| errors.within("filters"))?;
        self.asked(reader, &query).await.map_err(|refused| match refused {
            Failure::Kit(Error::Invalid(errors)) => errors.within("filters").into(),
            other => other,
        })?;
        Ok(query.matching())
    }

    /// A page of the interactions that the caller may see, with the filters of the request.
    ///
    /// # Errors
    /// A parameter is refused, or a table can't be read.
    pub async fn list(&self, reader: &Reader, parameters: &Parameters) -> Result<Listed<ListEntry>, Failure> {
        let query = ListQuery::read(parameters)?;
        let (known, asked) = self.asked(reader, &query).await?;
        Ok(search::page(self.store(), &asked, &query, |account| known.get(account) == Some(&true)).await?)
    }

    /// The accounts that the caller sees, and those of them that a list asks.
    async fn asked(&self, reader: &Reader, query: &ListQuery) -> Result<(BTreeMap<AccountId, bool>, Vec<AccountId>), Failure> {
        let known = self.accounts_of(reader, &self.deleted_accounts(reader).await?).await?;
        let asked: Vec<AccountId> = match &query.account {
            Some(account) if known.contains_key(account) => vec![account.clone()],
            Some(_) => return Err(Errors::one("account", "is no account whose interactions you may see").into()),
            None => known.keys().cloned().collect(),
        };
        Ok((known, asked))
    }
}
