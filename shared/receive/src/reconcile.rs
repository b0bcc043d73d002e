//! Recovers lost webhooks. A message that the provider has and this deployment doesn't goes the way that its
//! webhook would have gone.

use client::{Client, ConverseError, Http, Keys};
use domain::account::Account;
use jiff::Timestamp;
use providers::{Parsed, Problem};

use crate::{Ingest, IngestError};

/// The result of a reconciliation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Reconciled {
    /// Customers' messages that the provider lists.
    pub listed: usize,
    /// Those of them that this deployment did not have.
    pub new: usize,
}

/// Why a reconciliation failed or is incomplete. It is safe to repeat.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The provider does not list messages, or refused.
    #[error(transparent)]
    Provider(#[from] Problem),
    /// The conversation with the provider failed.
    #[error(transparent)]
    Converse(#[from] ConverseError),
    /// A message that was found could not be stored.
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

/// Lists customers' messages to the account's number since `since`, and stores them under the ids that their
/// webhooks would have had. A message that was routed is left alone; one that is stored and was not is enqueued.
///
/// # Errors
/// The provider refused, the conversation with it failed, or a message could not be stored.
pub async fn reconcile<H: Http, K: Keys>(
    client: &Client<H, K>,
    ingest: &Ingest,
    account: &Account,
    since: Timestamp,
    now: Timestamp,
) -> Result<Reconciled, ReconcileError> {
    let missed = client.converse(account, |adapter, connection, answers| adapter.missed(connection, since, now, answers)).await??;
    let listed = missed.len();
    let missed = Parsed::asked_for(missed);
    let kept = ingest.keep_unrouted(missed).await?;
    Ok(Reconciled { listed, new: kept.new })
}

/// Has the messages that were sent within `span` charged at the prices that the provider tells of them by now. Where
/// its reports tell the prices, it does nothing. Twice changes nothing.
///
/// # Errors
/// The provider refused, the conversation with it failed, or the queue.
pub async fn prices<H: Http, K: Keys>(
    client: &Client<H, K>,
    ingest: &Ingest,
    account: &Account,
    span: std::ops::Range<Timestamp>,
    now: Timestamp,
) -> Result<usize, ReconcileError> {
    let told = client.converse(account, |adapter, connection, answers| adapter.prices(connection, span.clone(), now, answers)).await?;
    let told = match told {
        Err(Problem::NotOffered) => return Ok(0),
        told => Parsed::asked_for(told?),
    };
    ingest.keep(&told).await?;
    Ok(told.len())
}
