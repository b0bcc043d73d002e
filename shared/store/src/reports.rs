//! Reports in a table of their own, which has no stream: facts of versions, and the tallies that are derived from
//! them.
//!
//! | item | key |
//! |---|---|
//! | facts of a version | `FACT#account#quarter` / `hash of the interaction#version` |
//! | a message that reached its customer | `FACT#account#quarter` / `hash of the message#price` |
//! | a call of a language model | `FACT#account#quarter` / `the call's id#ai` |
//! | a line of an agent's timeline | `TL#agent` / `milliseconds#revision of the presence` |
//! | tallies of a day of UTC, one attribute for each quarter-hour | `ROLL#account#dimension#month` / `day#value` |
//!
//! One query reads a month of all agents, also of those who are gone: nobody needs to know their ids.

use std::ops::Range;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use domain::effect::{InteractionKey, MessageKey};
use domain::history::HistoryEntry;
use domain::ids::{AccountId, AgentId, InteractionId};
use domain::message::Message;
use domain::report::{Dimension, Duty, Facts, Quarter, Tally};
use engine::ports::{FactOf, Histories, Reports, Store};
use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::codec::{Item, PortResult, data_item, failed, from_data, item, n, s, text, undecodable};
use crate::interactions::Interactions;
use crate::keys::Key;
use crate::table::Table;
use crate::transaction::Expression;

/// Precedes the number of a quarter-hour in the name of its attribute.
const QUARTER: &str = "q";

/// The table of reports.
#[derive(Debug, Clone)]
pub struct Derived {
    table: Table,
}

impl Derived {
    /// The table with this name.
    pub fn new(client: Client, table: impl Into<std::sync::Arc<str>>) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// Reads `DERIVED_TABLE`.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self::new(aws.dynamodb(), env.required("DERIVED_TABLE")?))
    }
}

impl Histories for Interactions {
    async fn whole_history(&self, interaction: &InteractionKey) -> PortResult<Vec<HistoryEntry>> {
        self.history(interaction).await
    }

    async fn message_now(&self, message: &MessageKey) -> PortResult<Option<Message>> {
        Store::message(self, message).await
    }

    async fn is_gone(&self, interaction: &InteractionId) -> PortResult<bool> {
        Ok(self.gone(interaction).await?.is_some())
    }
}

impl Reports for Derived {
    async fn put_facts(&self, account: &AccountId, of: FactOf<'_>, facts: &Facts) -> PortResult<()> {
        let sk = match of {
            FactOf::Version(interaction, version) => format!("{}#{version}", hash(interaction.as_str())),
            FactOf::Message(message) => format!("{}#price", hash(message.as_str())),
            FactOf::Ai(call) => format!("{call}#ai"),
        };
        self.table.put(data_item(Key { pk: facts_at(account, facts.quarter), sk }, facts)?).await
    }

    async fn facts(&self, account: &AccountId, quarter: Quarter) -> PortResult<Vec<Facts>> {
        self.table.all(facts_at(account, quarter), "").await?.iter().map(from_data).collect()
    }

    async fn put_tally(
        &self,
        account: &AccountId,
        quarter: Quarter,
        (dimension, value): (Dimension, &str),
        tally: &Tally,
    ) -> PortResult<()> {
        let day = date_of(quarter);
        let name = format!("{QUARTER}{:02}", quarter.place());
        let encoded = serde_json::to_string(tally).map_err(|_| undecodable("a tally"))?;
        let (facts, stored) = (n(tally.facts()), Item::from([("n".to_owned(), n(tally.facts())), ("t".to_owned(), s(encoded))]));
        let mut update = item(Key { pk: tallies_at(account, dimension, day), sk: format!("{day}#{value}") });
        update.insert(name.clone(), AttributeValue::M(stored));
        // A job that was late must not undo a later one.
        let no_fewer = Expression::new(format!("attribute_not_exists(#{name}) OR #{name}.#n <= :n")).name("#n", "n").value(":n", facts);
        self.table.replace_if(update, &[], no_fewer).await.map(drop)
    }

    async fn put_duty(&self, agent: &AgentId, at: Timestamp, revision: u64, duty: Duty) -> PortResult<()> {
        let key = Key { pk: timeline_of(agent), sk: format!("{}#{revision:015}", moment(at)) };
        self.table.put(data_item(key, &duty)?).await
    }

    async fn timeline(&self, agent: &AgentId, span: Range<Timestamp>) -> PortResult<Vec<(Timestamp, Duty)>> {
        let (before, within) = try_join(self.last_line_before(agent, span.start), self.lines(agent, span)).await?;
        Ok(before.into_iter().chain(within).collect())
    }

    async fn tallies(&self, account: &AccountId, dimension: Dimension, span: Range<Quarter>) -> PortResult<Vec<(String, Quarter, Tally)>> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let (first, last) = (date_of(span.start), date_of(Quarter(span.end.0 - 1)));
        let months = std::iter::successors(Some(first.first_of_month()), |month| month.last_of_month().tomorrow().ok());
        let months = months.take_while(|month| *month <= last);
        let found = try_join_all(months.map(|month| self.month(account, dimension, month, (first, last)))).await?;
        let found = found.into_iter().flatten().filter(|(_, quarter, _)| span.contains(quarter));
        Ok(found.collect())
    }
}

impl Derived {
    async fn last_line_before(&self, agent: &AgentId, at: Timestamp) -> PortResult<Option<(Timestamp, Duty)>> {
        let query = self.table.query().consistent_read(false).scan_index_forward(false).limit(1);
        let query = query
            .key_condition_expression("pk = :pk AND sk < :at")
            .expression_attribute_values(":pk", s(timeline_of(agent)))
            .expression_attribute_values(":at", s(moment(at)));
        let items = query.send().await.map_err(failed("Query"))?.items.unwrap_or_default();
        items.first().map(read_line).transpose()
    }

    async fn lines(&self, agent: &AgentId, span: Range<Timestamp>) -> PortResult<Vec<(Timestamp, Duty)>> {
        let (mut lines, mut from) = (Vec::new(), None);
        loop {
            let query = self.table.query().consistent_read(false);
            let query = query
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", s(timeline_of(agent)))
                .expression_attribute_values(":from", s(moment(span.start)))
                // No line has this key: each has its revision behind the moment.
                .expression_attribute_values(":to", s(moment(span.end)));
            let answer = query.set_exclusive_start_key(from).send().await.map_err(failed("Query"))?;
            for item in answer.items.unwrap_or_default() {
                lines.push(read_line(&item)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(lines);
            }
        }
    }

    /// The tallies of a month, as far as it lies between two days. A report may lag by a second.
    async fn month(
        &self,
        account: &AccountId,
        dimension: Dimension,
        month: Date,
        (first, last): (Date, Date),
    ) -> PortResult<Vec<(String, Quarter, Tally)>> {
        let behind = last.tomorrow().unwrap_or(last);
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let query = self.table.query().consistent_read(false);
            let query = query
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", s(tallies_at(account, dimension, month)))
                .expression_attribute_values(":from", s(first.to_string()))
                .expression_attribute_values(":to", s(behind.to_string()));
            let answer = query.set_exclusive_start_key(from).send().await.map_err(failed("Query"))?;
            for item in answer.items.unwrap_or_default() {
                read_day(&item, &mut found)?;
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(found);
            }
        }
    }
}

/// A line of a timeline.
fn read_line(item: &Item) -> PortResult<(Timestamp, Duty)> {
    let at = text(item, "sk").and_then(|sk| sk.split_once('#')?.0.parse().ok());
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok()).ok_or_else(|| undecodable("the time of a line"))?;
    Ok((at, from_data(item)?))
}

fn timeline_of(agent: &AgentId) -> String {
    format!("TL#{agent}")
}

/// Sorts by time.
/// In place of an id, which would lead from a deleted interaction to its customer's provider.
fn hash(id: &str) -> String {
    Sha256::digest(id).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

fn moment(at: Timestamp) -> String {
    format!("{:015}", at.as_millisecond().max(0))
}

/// The tallies of a day of one value.
fn read_day(item: &Item, found: &mut Vec<(String, Quarter, Tally)>) -> PortResult<()> {
    let (day, value) = text(item, "sk").and_then(|sk| sk.split_once('#')).ok_or_else(|| undecodable("the key of tallies"))?;
    let day: Date = day.parse().map_err(|_| undecodable("the day of tallies"))?;
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| undecodable("the day of tallies"))?;
    let first = Quarter::of(midnight.timestamp());
    for (name, attribute) in item {
        let Some(place) = name.strip_prefix(QUARTER).and_then(|place| place.parse::<i64>().ok()) else { continue };
        let stored = attribute.as_m().ok().and_then(|stored| stored.get("t")?.as_s().ok());
        let tally = stored.and_then(|stored| serde_json::from_str(stored).ok()).ok_or_else(|| undecodable("a tally"))?;
        found.push((value.to_owned(), Quarter(first.0 + place), tally));
    }
    Ok(())
}

fn date_of(quarter: Quarter) -> Date {
    quarter.starts().to_zoned(TimeZone::UTC).date()
}

fn facts_at(account: &AccountId, quarter: Quarter) -> String {
    format!("FACT#{account}#{}", quarter.0)
}

/// The partition of the month in which a day lies.
fn tallies_at(account: &AccountId, dimension: Dimension, day: Date) -> String {
    format!("ROLL#{account}#{}#{}", dimension.name(), day.strftime("%Y-%m"))
}
