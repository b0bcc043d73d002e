//! The index of lists.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use domain::effect::InteractionKey;
use domain::ids::{AccountId, InteractionId};
use domain::interaction::{Interaction, LastMessage};
use domain::message::Message;
use domain::row::{Filter, Position, Row, Span, State};
use domain::search::Document;
use engine::ports::{Lists, PortError, Rows, RowsWanted, Store};
use futures_util::future::try_join_all;

use crate::codec::{Item, PortResult, failed, from_data, s, text, undecodable};
use crate::interactions::{Interactions, sources};
use crate::keys;

/// The name of the index.
const INDEX: &str = "list";

/// Sorts after every place.
const END: &str = "~";

/// A condition of a filter as DynamoDB takes it, with its placeholders.
fn narrowed(query: QueryFluentBuilder, filter: &Filter) -> QueryFluentBuilder {
    // The shelf alone tells archived interactions from all others.
    if filter.takes_all() {
        return query;
    }
    let mut query = query.expression_attribute_names("#row", keys::ROW);
    let mut parts: Vec<String> = Vec::new();
    if let Some(State::Open | State::Closed) = filter.state {
        let status = if filter.state == Some(State::Open) { "open" } else { "closed" };
        query = query.expression_attribute_names("#status", "status").expression_attribute_values(":status", s(status));
        parts.push("#row.#status = :status".to_owned());
    }
    if let Some(unread) = filter.unread {
        // What is false is not stored.
        query = query.expression_attribute_names("#unread", "unread");
        parts.push(if unread { "attribute_exists(#row.#unread)" } else { "attribute_not_exists(#row.#unread)" }.to_owned());
    }
    if let Some(agent) = &filter.agent {
        query = query.expression_attribute_names("#agent", "agent").expression_attribute_values(":agent", s(agent.as_str()));
        parts.push("#row.#agent = :agent".to_owned());
    }
    if let Some(queue) = &filter.queue {
        query = query.expression_attribute_names("#queues", "queues").expression_attribute_values(":queue", s(queue.as_str()));
        parts.push("contains(#row.#queues, :queue)".to_owned());
    }
    for (at, tag) in filter.tags.iter().enumerate() {
        query = query.expression_attribute_names("#tags", "tags").expression_attribute_values(format!(":tag{at}"), s(tag.as_str()));
        parts.push(format!("contains(#row.#tags, :tag{at})"));
    }
    query.filter_expression(parts.join(" AND "))
}

fn bounds(span: Span, before: Option<&Position>) -> (String, String) {
    let from = span.from.map_or_else(|| "0".to_owned(), Position::from);
    let until = span.until.map(Position::from);
    // A range includes its bound. That of an instant is no row's place, that of a row is left out afterwards.
    let to = [until, before.map(Position::key)].into_iter().flatten().min();
    (from, to.unwrap_or_else(|| END.to_owned()))
}

fn row_of(item: &Item) -> PortResult<(InteractionKey, Position, Row)> {
    let place = text(item, "pk").zip(text(item, "sk")).and_then(|(pk, sk)| keys::interaction_at(pk, sk));
    let position = text(item, keys::LISTED).and_then(Position::parse);
    let (place, position) = place.zip(position).ok_or_else(|| undecodable("a row of the lists"))?;
    let row = item.get(keys::ROW).cloned().ok_or_else(|| undecodable("a row of the lists"))?;
    let row = serde_dynamo::from_attribute_value(row);
    Ok((place, position, row.map_err(|error| PortError { operation: "decode a row", reason: error.to_string() })?))
}

impl Interactions {
    /// The newest message up to the last one that the interaction knows of.
    async fn newest(&self, interaction: &Interaction, last: &LastMessage, consistent: bool) -> PortResult<Option<Message>> {
        let newest = sources(interaction).map(|source| async move {
            let (from, to) = keys::messages_until(&source.interaction, last.at);
            let query =
                self.table.client.query().table_name(&*self.table.name).scan_index_forward(false).limit(1).consistent_read(consistent);
            let query = query
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", s(keys::conversation(&source.conversation)))
                .expression_attribute_values(":from", s(from))
                .expression_attribute_values(":to", s(to));
            let answer = query.send().await.map_err(failed("Query"))?;
            answer.items.unwrap_or_default().first().map(from_data::<Message>).transpose()
        });
        let newest = try_join_all(newest).await?;
        Ok(newest.into_iter().flatten().max_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id))))
    }
}

impl Lists for Interactions {
    async fn rows(&self, wanted: RowsWanted<'_>) -> PortResult<Rows> {
        let RowsWanted { shelf, span, before, filter, most } = wanted;
        let (from, to) = bounds(span, before);
        if from > to {
            return Ok(Rows { found: Vec::new(), through: None, scanned: 0 });
        }
        let query = self.table.client.query().table_name(&*self.table.name).index_name(INDEX).scan_index_forward(false);
        let query = query
            .limit(i32::try_from(most.saturating_add(usize::from(before.is_some()))).unwrap_or(i32::MAX))
            .key_condition_expression("list_of = :shelf AND listed BETWEEN :from AND :to")
            .expression_attribute_values(":shelf", s(shelf.key()))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to));
        let answer = narrowed(query, filter).send().await.map_err(failed("Query"))?;
        let scanned = usize::try_from(answer.scanned_count).unwrap_or_default();
        let through = answer
            .last_evaluated_key
            .as_ref()
            .map(|last| text(last, keys::LISTED).and_then(Position::parse).ok_or_else(|| undecodable("a place in the lists")));
        let mut found: Vec<_> = answer.items.unwrap_or_default().iter().map(row_of).collect::<PortResult<_>>()?;
        found.retain(|(_, position, _)| before.is_none_or(|before| position < before));
        Ok(Rows { found, through: through.transpose()?, scanned })
    }

    async fn open_now(&self, account: &AccountId, before: Option<&InteractionId>, most: usize) -> PortResult<Vec<InteractionKey>> {
        self.open_interactions(account, before, most).await
    }

    async fn interactions_now(&self, places: &[InteractionKey]) -> PortResult<Vec<Interaction>> {
        self.interactions_at(places).await
    }

    async fn thread(&self, interaction: &Interaction) -> PortResult<Vec<Message>> {
        self.all_messages(interaction).await
    }

    async fn latest_message(&self, interaction: &Interaction) -> PortResult<Option<Message>> {
        let Some(last) = &interaction.last_message else { return Ok(None) };
        let latest = self.newest(interaction, last, false).await?;
        // The interaction tells when it was written. An answer that is a moment old would show the one before for as
        // long as nobody opens the thread.
        let is_there = latest.as_ref().is_some_and(|latest| latest.at >= last.at);
        if is_there { Ok(latest) } else { self.newest(interaction, last, true).await }
    }

    async fn documents(&self, interactions: &[InteractionId]) -> PortResult<Vec<Document>> {
        match &self.documents {
            Some(documents) => documents.of(interactions).await,
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::testing::Stub;
    use domain::fixtures;
    use domain::interaction::Status;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::codec::data_item;

    #[tokio::test]
    async fn a_latest_message_that_the_first_answer_lacks_is_read_as_it_is_now() {
        let [before, now] = [1, 2].map(|second| Timestamp::from_second(second).unwrap());
        let stub = Stub::start(move |call| {
            let message = fixtures::message(if call.body["ConsistentRead"] == true { now } else { before });
            let item = data_item(keys::event(&fixtures::account().id, "any"), &message).unwrap();
            Some((200, json!({"Items": [serde_dynamo::Item::from(item)], "Count": 1}).to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        for (at, calls) in [(before, 1), (now, 2)] {
            let last_message = Some(LastMessage { at, from_customer: true });
            let interaction = Interaction { last_message, ..fixtures::interaction(Status::Open, before) };
            assert_eq!(store.latest_message(&interaction).await.unwrap().unwrap().at, at);
            assert_eq!(stub.calls().len(), calls);
        }
    }
}
