//! The Lambda `index`: keeps the index of contacts, behind the table's stream.
//!
//! | input | result |
//! |---|---|
//! | a contact that is new, changed or deleted | its entries are written, and those that are no longer true are deleted |
//! | the same again, with all that came after it | the same |
//! | a contact of an unknown form, or a table that can't be written | the batch fails. Lambda halves it until only that record is tried again, and sets it aside after an hour: the index can be made anew |
//!
//! It has a place of its own on the stream, so that a message never waits for the index, nor fails with it.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use cloud::aws::Aws;
use cloud::config::Env;
use cloud::function;
use lambda_runtime::{Error, LambdaEvent};
use store::{Interactions, stream};

/// Why a record can't be taken. No contents: it is logged.
const UNKNOWN_FORM: &str = "a contact is not of a form that this version knows";

async fn handle(store: &Interactions, event: LambdaEvent<Event>) -> Result<(), Error> {
    take(store, &event.payload.records).await
}

/// Takes records in the order of the stream: one after the other, since the versions of a contact must not overtake
/// each other.
///
/// # Errors
/// A record has an unknown form, or the table can't be written. The batch comes again.
pub async fn take(store: &Interactions, records: &[EventRecord]) -> Result<(), Error> {
    for record in records {
        let (before, after) = (stream::contact(&record.change.old_image), stream::contact(&record.change.new_image));
        let (Ok(before), Ok(after)) = (before, after) else {
            tracing::error!(event = "index.unreadable", sequence_number = record.change.sequence_number);
            return Err(UNKNOWN_FORM.into());
        };
        store.index_contact(before.as_ref(), after.as_ref()).await?;
    }
    Ok(())
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    function::run(|aws: &Aws, env: &Env| Ok(Interactions::from_env(aws, env)?), handle).await
}
