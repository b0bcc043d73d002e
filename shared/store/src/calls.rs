//! Video calls under way: what keeps a repeated command from making a second meeting.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::effect::InteractionKey;
use domain::video::Call;
use jiff::{SignedDuration, Timestamp};

use crate::codec::{PortResult, data_item, failed, from_data, s, text};
use crate::interactions::{Interactions, expires};
use crate::keys;

/// As long as the marks of commands.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Who wrote the note of a call that has no meeting yet.
const ATTEMPT: &str = "attempt";

impl Interactions {
    /// Notes that a command begins a call, unless it, or a repetition, did before: then that one is returned. The
    /// client repeats a write whose answer it misses, so `attempt` tells one's own note from another's.
    ///
    /// # Errors
    /// The table can't be written. It is not known whether the call is noted.
    pub async fn begin_call(&self, key: &InteractionKey, command: &str, attempt: &str, now: Timestamp) -> PortResult<Option<Call>> {
        let mut item = data_item(keys::call(key, command), &Call { at: now, meeting: None })?;
        item.insert("expires_at".to_owned(), expires(now, KEPT));
        item.insert(ATTEMPT.to_owned(), s(attempt));
        let put = self.table.client.put_item().table_name(&*self.table.name).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(None),
            Err(error) if matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) => {
                match self.table.get(keys::call(key, command)).await? {
                    Some(item) if text(&item, ATTEMPT) == Some(attempt) => Ok(None),
                    Some(item) => from_data(&item).map(Some),
                    // It was given up in this instant. The caller comes again.
                    None => Ok(Some(Call { at: now, meeting: None })),
                }
            }
            Err(error) => Err(failed("PutItem")(error)),
        }
    }

    /// The call of a command.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn call(&self, key: &InteractionKey, command: &str) -> PortResult<Option<Call>> {
        self.table.get(keys::call(key, command)).await?.as_ref().map(from_data).transpose()
    }

    /// Keeps the meeting of a call.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn keep_call(&self, key: &InteractionKey, command: &str, call: &Call) -> PortResult<()> {
        let mut item = data_item(keys::call(key, command), call)?;
        item.insert("expires_at".to_owned(), expires(call.at, KEPT));
        let put = self.table.client.put_item().table_name(&*self.table.name).set_item(Some(item));
        put.send().await.map(drop).map_err(failed("PutItem"))
    }

    /// Forgets a call for which there is certainly no meeting.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn forget_call(&self, key: &InteractionKey, command: &str) -> PortResult<()> {
        self.table.delete(keys::call(key, command)).await
    }
}
