//! Settings of which there is one: an item each. Only the few who need them read them, so they are not cached.

use audit::Entry;
use domain::pricing::Prices;
use domain::retention::Retention;
use domain::settings::Settings;
use engine::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Configuration, audit_items};
use crate::codec::{Item, PortResult, from_data, number, undecodable, versioned_item};
use crate::keys::Key;
use crate::transaction::{Cause, Expression, Outcome};

/// What there is one of.
pub trait Singleton: Serialize + DeserializeOwned + Default {
    /// Its key, and its kind in the audit trail.
    const KIND: &'static str;
}

impl Singleton for Retention {
    const KIND: &'static str = "retention";
}

impl Singleton for Prices {
    const KIND: &'static str = "prices";
}

impl Singleton for Settings {
    const KIND: &'static str = "settings";
}

fn key<T: Singleton>() -> Key {
    Key { pk: T::KIND.to_owned(), sk: T::KIND.to_owned() }
}

fn versioned<T: Singleton>(item: Option<Item>) -> PortResult<(T, u64)> {
    match item {
        Some(item) => Ok((from_data(&item)?, number(&item, "version").ok_or_else(|| undecodable("a version"))?)),
        None => Ok((T::default(), 0)),
    }
}

impl Configuration {
    /// The present value with its version; 0 as long as nobody has said anything.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn singleton<T: Singleton>(&self) -> PortResult<(T, u64)> {
        versioned(self.table.get(key::<T>()).await?)
    }

    /// The same as it was a moment ago, for half the price: for whoever asks again soon.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn singleton_lately<T: Singleton>(&self) -> PortResult<T> {
        Ok(versioned(self.table.get_lately(key::<T>()).await?)?.0)
    }

    /// The seconds after which a lost connection is a logout. While they can't be read, they are as usual: API Gateway
    /// reports a lost connection once.
    pub async fn connection_grace(&self) -> u32 {
        let settings = self.singleton_lately::<Settings>().await;
        let settings = settings.inspect_err(|error| tracing::warn!(event = "settings.not_read", %error));
        settings.unwrap_or_default().connection_grace
    }

    /// Replaces the version before. False if somebody changed it meanwhile.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn put_singleton<T: Singleton>(&self, value: &T, before: u64, entry: &Entry) -> PortResult<bool> {
        let mut transaction = self.table.transaction();
        let unchanged = if before == 0 { Expression::absent() } else { Expression::version(before) };
        transaction.put(versioned_item(key::<T>(), value, before + 1, &[])?, Some(unchanged), ());
        for item in audit_items(entry)? {
            transaction.put_new(item, ());
        }
        match transaction.send().await? {
            Outcome::Done => Ok(true),
            Outcome::Lost(lost) if lost.iter().any(|((), cause)| matches!(cause, Cause::Condition | Cause::Rival)) => Ok(false),
            outcome => Err(PortError { operation: T::KIND, reason: format!("{outcome:?}") }),
        }
    }
}
