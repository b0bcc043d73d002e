//! How often an agent, or an AI agent for a contact, does what costs money: one counter for each hour, so that every
//! copy of the function counts in the same place. A limit in each process would be multiplied by their number, which
//! grows with the load.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use jiff::{SignedDuration, Timestamp};

use crate::codec::{PortResult, failed, key_item, n};
use crate::interactions::{Interactions, expires};
use crate::keys;

/// The seconds of the window. Its end is the same for everybody, so a refusal can say when it is over.
const WINDOW_SECONDS: i64 = 3_600;

/// How long a counter is kept after its window: clocks differ by less.
const KEPT: SignedDuration = SignedDuration::from_hours(2);

/// Whether a use was within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It was, and it counts.
    Within,
    /// The limit is reached.
    Over {
        /// The seconds until the next window.
        seconds: u32,
    },
}

impl Interactions {
    /// Counts `uses` more of `what` by an agent, or for a contact, in the hour of `now`, unless there were `most`
    /// already. 1 write.
    ///
    /// # Errors
    /// The table can't be written. A use may have been counted.
    pub async fn count(&self, who: &str, what: &str, uses: u32, most: u32, now: Timestamp) -> PortResult<Counted> {
        let window = now.as_second().div_euclid(WINDOW_SECONDS);
        let update = self.table.client.update_item().table_name(&*self.table.name);
        let update = update
            .set_key(Some(key_item(keys::limit(who, what, window))))
            .update_expression("ADD uses :new SET expires_at = :expires, v = :form")
            .condition_expression("attribute_not_exists(uses) OR uses < :most")
            .expression_attribute_values(":new", n(uses))
            .expression_attribute_values(":most", n(most))
            .expression_attribute_values(":form", n(1))
            .expression_attribute_values(":expires", expires(now, KEPT));
        match update.send().await {
            Ok(_) => Ok(Counted::Within),
            Err(error) if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) => {
                let left = (window + 1) * WINDOW_SECONDS - now.as_second();
                Ok(Counted::Over { seconds: u32::try_from(left).unwrap_or(u32::MAX) })
            }
            Err(error) => Err(failed("UpdateItem")(error)),
        }
    }
}
