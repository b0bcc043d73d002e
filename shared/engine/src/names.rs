//! The names by which conditions find accounts, agents and queues.

use domain::account::DeletedAccount;
use domain::search::Names;

use crate::ports::{Directory, PortError};

/// The names by which a search finds accounts, agents and queues.
///
/// # Errors
/// The configuration can't be read.
pub async fn names<D: Directory>(directory: &D, deleted: &[DeletedAccount]) -> Result<Names, PortError> {
    let mut names = Names::default();
    deleted.iter().for_each(|deleted| names.account(&deleted.id, &deleted.name, &deleted.key.to_string()));
    for account in directory.accounts().await?.iter() {
        names.account(&account.id, &account.name, &account.key.to_string());
    }
    directory.agents().await?.values().for_each(|agent| names.agent(&agent.id, &agent.name));
    directory.queues().await?.values().for_each(|queue| names.queue(&queue.id, &queue.name));
    Ok(names)
}
