//! An entry of a list: the interaction with its latest message.

use api::Listed;
use domain::ids::{AccountId, QueueId};
use domain::insights::Sentiment;
use domain::interaction::Interaction;
use domain::message::{AttachmentKind, Author, Message, limit};
use domain::row::Row;
use domain::search::Direction;
use engine::ports::{Lists, PortError};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use views::InteractionView;

use crate::list::{Found, list};
use crate::query::ListQuery;

/// The most bytes of the latest message's text: two lines on a screen.
const SHOWN: usize = 200;

/// How many threads are read at once.
const AT_ONCE: usize = 16;

/// An interaction in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListEntry {
    #[serde(flatten)]
    interaction: InteractionView,
    /// The queue through which the agent accepted; otherwise those in which it waits or waited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    queues: Vec<QueueId>,
    /// The latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<LastView>,
    /// Until when a free message may be sent, as far as the interaction knows: 24 hours after the customer's latest
    /// message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window_until: Option<Timestamp>,
    /// The customer's mood, once insights tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentiment: Option<Sentiment>,
    /// Whether the account was deleted. Its interactions stay listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    account_deleted: bool,
}

/// The latest message of an interaction in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastView {
    /// Its time.
    at: Timestamp,
    /// Where it went: `in` from the customer, `out` from an agent, an AI agent or the system.
    direction: Direction,
    /// Its author.
    author: Author,
    /// The beginning of its text: 200 bytes at most. Empty for a file without a caption.
    text: String,
    /// The kind of its first file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<AttachmentKind>,
    /// Whether the text goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl From<&Message> for LastView {
    fn from(message: &Message) -> Self {
        let mut text = message.content.readable();
        let cut = limit(&mut text, &mut { SHOWN });
        let direction = if message.author == Author::Customer { Direction::In } else { Direction::Out };
        let file = message.attachments.first().and_then(|file| file.kind);
        Self { at: message.at, direction, author: message.author.clone(), text, file, cut: cut || message.cut }
    }
}

/// The entries of these interactions, each with its latest message: a query of one message each, a read unit at most
/// unless it is long. Kept in the interaction instead, its text would be written anew with every message.
/// `is_there` tells whether an account still exists.
///
/// # Errors
/// A table can't be read.
pub async fn entries<L: Lists>(
    lists: &L,
    interactions: Vec<Interaction>,
    is_there: impl Fn(&AccountId) -> bool,
) -> Result<Vec<ListEntry>, PortError> {
    let read = stream::iter(interactions).map(|interaction| async move {
        let last = lists.latest_message(&interaction).await?;
        Ok::<_, PortError>((interaction, last))
    });
    let read: Vec<(Interaction, Option<Message>)> = read.buffered(AT_ONCE).try_collect().await?;
    let entry = |(interaction, last): (Interaction, Option<Message>)| ListEntry {
        queues: Row::of(&interaction).queues.into_iter().collect(),
        last: last.as_ref().map(LastView::from),
        window_until: interaction.window_until().filter(|_| interaction.is_open()),
        sentiment: interaction.insights.map(|insights| insights.sentiment),
        account_deleted: !is_there(&interaction.account),
        interaction: InteractionView::from(&interaction),
    };
    Ok(read.into_iter().map(entry).collect())
}

/// A page of the interactions of `accounts`, as the APIs show it. `is_there` tells whether an account still exists.
///
/// # Errors
/// A table can't be read.
pub async fn page<L: Lists>(
    lists: &L,
    accounts: &[AccountId],
    query: &ListQuery,
    is_there: impl Fn(&AccountId) -> bool,
) -> Result<Listed<ListEntry>, PortError> {
    let Found { interactions, next, .. } = list(lists, accounts, query).await?;
    let items = entries(lists, interactions, is_there).await?;
    Ok(Listed { items, next: next.map(|next| query.next(&next)) })
}
