//! Lost webhooks: what a provider has and this deployment has not goes the way that the webhook would have gone.

use client::{Client, ConverseError, Http, Keys};
use domain::account::Account;
use jiff::Timestamp;
use providers::Problem;

use crate::{Ingest, IngestError};

/// What a reconciliation found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Reconciled {
    /// Messages of customers that the provider lists.
    pub listed: usize,
    /// Of them, those that were not here.
    pub new: usize,
}

/// Why it could not be done, or not wholly; doing it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The provider does not list messages, or refused to.
    #[error(transparent)]
    Provider(#[from] Problem),
    /// It could not be asked.
    #[error(transparent)]
    Converse(#[from] ConverseError),
    /// Something found could not be stored.
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

/// Lists what customers wrote to the account's number since `since`, and keeps what is missing under the ids that the webhooks would have had: what is
/// there already changes nothing.
///
/// # Errors
/// The provider, the way to it, or our own store.
pub async fn reconcile<H: Http, K: Keys>(
    client: &Client<H, K>,
    ingest: &Ingest,
    account: &Account,
    since: Timestamp,
    now: Timestamp,
) -> Result<Reconciled, ReconcileError> {
    let missed = client.converse(account, |adapter, connection, answers| adapter.missed(connection, since, now, answers)).await??;
    let kept = ingest.keep(&missed).await?;
    Ok(Reconciled { listed: missed.len(), new: kept.new })
}
