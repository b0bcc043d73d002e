//! Keys of the configuration table.

use domain::ids::{AccountId, AgentId, ContactId};

use super::Entity;
use crate::keys::Key;

pub(crate) fn entity_key<T: Entity>(id: &str) -> Key {
    Key { pk: T::KIND.to_owned(), sk: id.to_owned() }
}

fn members<T: Entity>(id: &str) -> String {
    format!("members#{}#{id}", T::KIND)
}

/// It exists only while the agent is a member of the account or the queue.
pub(crate) fn member_key<T: Entity>(id: &str, agent: &AgentId) -> Key {
    Key { pk: members::<T>(id), sk: agent.to_string() }
}

/// It exists only while all members of the account or the queue have items.
pub(crate) fn complete_key<T: Entity>(id: &str) -> Key {
    Key { pk: members::<T>(id), sk: "complete".to_owned() }
}

pub(crate) fn unique_key(name: &str) -> Key {
    Key { pk: "unique".to_owned(), sk: name.to_owned() }
}

/// The partition of the tokens of Receive URLs.
pub(crate) const RECEIVE: &str = "receive";

pub(crate) fn receive_key(token_hash: &str) -> Key {
    Key { pk: RECEIVE.to_owned(), sk: token_hash.to_owned() }
}

/// The partition of the tokens of accounts' proxies. Who may read accounts may not read it.
const PROXY: &str = "proxy";

pub(crate) fn proxy_key(account: &AccountId) -> Key {
    Key { pk: PROXY.to_owned(), sk: account.to_string() }
}

pub(crate) fn plan_key(account: &AccountId, version: u64) -> Key {
    Key { pk: format!("plan#{account}"), sk: format!("{version:010}") }
}

/// The templates that an account's provider listed last.
pub(crate) fn templates_key(account: &AccountId) -> Key {
    Key { pk: "templates".to_owned(), sk: account.to_string() }
}

pub(crate) const WAKES: &str = "wakes";

pub(crate) fn wakes_key(id: &str) -> Key {
    Key { pk: WAKES.to_owned(), sk: id.to_owned() }
}

/// The number of items that mark a leaving account. Each contact's first message checks one of them: transactions
/// that check the same item at the same instant conflict, and in a campaign hundreds of customers write at once.
const LEAVING: u8 = 16;

/// Marks an account that is being deleted, for some time, or that was deleted, for ever. A transaction that opens
/// an interaction checks it.
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

/// The partition of the picture of what waits and who works.
const PANEL: &str = "panel";

/// Whose turn it is to make the picture.
pub(crate) fn panel_turn_key() -> Key {
    Key { pk: PANEL.to_owned(), sk: "turn".to_owned() }
}

pub(crate) fn panel_picture_key() -> Key {
    Key { pk: PANEL.to_owned(), sk: "picture".to_owned() }
}
