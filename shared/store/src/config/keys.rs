//! Keys of the configuration table.

use domain::ids::{AccountId, ContactId};

use super::Entity;
use crate::keys::Key;

pub(crate) fn entity_key<T: Entity>(id: &str) -> Key {
    Key { pk: T::KIND.to_owned(), sk: id.to_owned() }
}

pub(crate) fn unique_key(name: &str) -> Key {
    Key { pk: "unique".to_owned(), sk: name.to_owned() }
}

pub(crate) fn receive_key(token_hash: &str) -> Key {
    Key { pk: "receive".to_owned(), sk: token_hash.to_owned() }
}

pub(crate) fn plan_key(account: &AccountId, version: u64) -> Key {
    Key { pk: format!("plan#{account}"), sk: format!("{version:010}") }
}

pub(crate) const WAKES: &str = "wakes";

pub(crate) fn wakes_key(id: &str) -> Key {
    Key { pk: WAKES.to_owned(), sk: id.to_owned() }
}

/// An account says that it is leaving in several items, of which each contact's first message checks one: transactions that check the same item at the same
/// instant are rivals, and a campaign has hundreds of customers write at once.
const LEAVING: u8 = 16;

/// Says that an account is leaving, until some time or, when it has left, for ever. What opens an interaction checks it.
pub(crate) fn leaving_key(account: &AccountId, contact: &ContactId) -> Key {
    leaving_mark(account, contact.as_str().bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte)) % LEAVING)
}

pub(crate) fn leaving_keys(account: &AccountId) -> impl Iterator<Item = Key> {
    (0..LEAVING).map(|mark| leaving_mark(account, mark))
}

fn leaving_mark(account: &AccountId, mark: u8) -> Key {
    Key { pk: format!("leaving#{account}"), sk: format!("{mark:02}") }
}

pub(crate) fn revision_key() -> Key {
    Key { pk: "config".to_owned(), sk: "revision".to_owned() }
}
