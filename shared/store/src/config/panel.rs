//! The picture of what waits and who works, and whose turn it is to make it. It is made anew every few seconds while
//! somebody looks, so it lies in this table, which has no stream: there each version would pass by the messages.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use engine::ports::{Panel, Turn};
use jiff::Timestamp;

use super::Configuration;
use super::keys::{panel_picture_key, panel_turn_key};
use crate::codec::{Item, PortResult, item, n, number, undecodable};
use crate::table::Put;
use crate::transaction::Expression;

fn turn_of(item: &Item) -> Option<Turn> {
    Some(Turn { number: number(item, "turn")?, as_of: Timestamp::from_millisecond(number(item, "as_of")?).ok()? })
}

impl Panel for Configuration {
    async fn turn(&self) -> PortResult<Option<Turn>> {
        let Some(item) = self.table.get(panel_turn_key()).await? else { return Ok(None) };
        turn_of(&item).map(Some).ok_or_else(|| undecodable("a turn at the picture"))
    }

    async fn take_turn(&self, seen: Option<&Turn>, next: &Turn) -> PortResult<bool> {
        let mut taken = item(panel_turn_key());
        taken.insert("turn".to_owned(), n(next.number));
        taken.insert("as_of".to_owned(), n(next.as_of.as_millisecond()));
        let as_seen = match seen {
            Some(seen) => Expression::new("turn = :seen").value(":seen", n(seen.number)),
            None => Expression::absent(),
        };
        Ok(match self.table.put_if(taken, as_seen).await? {
            Put::Done => true,
            // The client repeats a write whose answer it misses, and meets itself. A rival has another moment, or
            // makes the same picture too, which harms nobody.
            Put::Lost(there) => there.as_ref().and_then(turn_of).as_ref() == Some(next),
            Put::Rival => false,
        })
    }

    async fn kept_picture(&self) -> PortResult<Option<(u64, Vec<u8>)>> {
        let Some(mut item) = self.table.get(panel_picture_key()).await? else { return Ok(None) };
        let turn = number(&item, "turn").ok_or_else(|| undecodable("a picture"))?;
        let Some(AttributeValue::B(picture)) = item.remove("picture") else { return Err(undecodable("a picture")) };
        Ok(Some((turn, picture.into_inner())))
    }

    async fn keep_picture(&self, turn: &Turn, picture: Vec<u8>) -> PortResult<()> {
        let mut kept = item(panel_picture_key());
        kept.insert("turn".to_owned(), n(turn.number));
        kept.insert("picture".to_owned(), AttributeValue::B(Blob::new(picture)));
        let newest = Expression::new("attribute_not_exists(pk) OR turn < :turn").value(":turn", n(turn.number));
        self.table.put_if(kept, newest).await.map(drop)
    }
}
