//! Counts what the functions ask of AWS, in the units that AWS bills: a proxy between them and the local engine.
//!
//! The engine reports no sizes, so the meter looks at each item before and after it is written and counts as DynamoDB
//! does: a write costs a unit for each KB of the larger of the two, a transaction costs double, a read costs a unit
//! for each 4 KB, half of that if it need not be consistent.
//!
//! Each request is counted for a purpose ([`Purpose`]), so that the message path can be told from what was built on
//! its items, and is remembered with its function and its time ([`Call`]), so that calls in sequence can be counted.

mod calls;
mod purpose;

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

pub use calls::{Call, in_sequence};
pub use purpose::Purpose;

/// A queue's request is billed by parts of this size.
const QUEUE_PART: usize = 64 * 1024;

/// The largest body that passes: more than any service takes.
const LARGEST: usize = 64 * 1024 * 1024;

/// What was asked of AWS.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Write units, those of cancelled transactions included.
    pub writes: u64,
    /// The write units among them that a cancelled transaction cost. Whether AWS bills them in full is not documented.
    pub cancelled: u64,
    /// Halves of read units.
    pub half_reads: u64,
    /// Transactions.
    pub transactions: u64,
    /// Requests that send to queues, by parts of 64 KB.
    pub sends: u64,
    /// Messages in them.
    pub messages: u64,
    /// Writes whose records the stream hands to a function: at a trickle, the calls of that function.
    pub streamed: u64,
    /// Everything else, such as `GetSecretValue`.
    pub others: u64,
    /// The write units by what they were for: the beginning of the item's keys.
    pub by_kind: BTreeMap<String, u64>,
    /// The largest item of each kind that was written, in bytes.
    pub largest: BTreeMap<String, usize>,
    /// What each purpose has of all this.
    pub shares: BTreeMap<Purpose, Share>,
    /// The write units of the message path by the function that wrote them.
    pub by_function: BTreeMap<String, u64>,
    /// The halves of read units by the function that asks, and by the kind of item. `~` marks reads that need not be
    /// consistent.
    pub half_reads_by_function: BTreeMap<(String, String), u64>,
    /// The calls, in the order in which they ended.
    pub calls: Vec<Call>,
}

/// What one purpose has of a [`Usage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Write units.
    pub writes: u64,
    /// Halves of read units.
    pub half_reads: u64,
    /// Requests that send to queues.
    pub sends: u64,
    /// Messages in them.
    pub messages: u64,
    /// Calls of functions by the stream.
    pub streamed: u64,
}

impl AddAssign<&Share> for Share {
    fn add_assign(&mut self, other: &Share) {
        self.writes += other.writes;
        self.half_reads += other.half_reads;
        self.sends += other.sends;
        self.messages += other.messages;
        self.streamed += other.streamed;
    }
}

impl Share {
    /// Read units.
    pub fn reads(&self) -> f64 {
        halves(self.half_reads)
    }
}

impl Usage {
    /// Read units.
    pub fn reads(&self) -> f64 {
        halves(self.half_reads)
    }

    /// The halves of read units by the kind of item, whoever asks.
    pub fn half_reads_by_kind(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for ((_, kind), halves) in &self.half_reads_by_function {
            *all.entry(kind.as_str()).or_default() += halves;
        }
        all
    }

    /// What a purpose has of it.
    pub fn share(&self, purpose: Purpose) -> Share {
        self.shares.get(&purpose).copied().unwrap_or_default()
    }
}

fn halves(halves: u64) -> f64 {
    f64::from(u32::try_from(halves).unwrap_or(u32::MAX)) / 2.0
}

impl AddAssign<&Usage> for Usage {
    fn add_assign(&mut self, other: &Usage) {
        self.writes += other.writes;
        self.cancelled += other.cancelled;
        self.half_reads += other.half_reads;
        self.transactions += other.transactions;
        self.sends += other.sends;
        self.messages += other.messages;
        self.streamed += other.streamed;
        self.others += other.others;
        for (kind, units) in &other.by_kind {
            *self.by_kind.entry(kind.clone()).or_default() += units;
        }
        for (kind, size) in &other.largest {
            let known = self.largest.entry(kind.clone()).or_default();
            *known = (*known).max(*size);
        }
        for (purpose, share) in &other.shares {
            *self.shares.entry(*purpose).or_default() += share;
        }
        for (function, units) in &other.by_function {
            *self.by_function.entry(function.clone()).or_default() += units;
        }
        for (asked, halves) in &other.half_reads_by_function {
            *self.half_reads_by_function.entry(asked.clone()).or_default() += halves;
        }
        self.calls.extend(other.calls.iter().cloned());
    }
}

/// A running meter.
#[derive(Debug, Clone)]
pub struct Meter {
    /// Its address, for the functions in place of the engine's.
    pub url: String,
    counted: Arc<Mutex<(Usage, Option<Instant>)>>,
}

impl Meter {
    /// Starts a meter in front of the engine at `engine`.
    ///
    /// # Errors
    /// No free port.
    pub async fn start(engine: &str) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no port for the meter")?;
        let meter = Self { url: format!("http://{}", listener.local_addr()?), counted: Arc::default() };
        let proxy = Proxy { meter: meter.clone(), engine: engine.to_owned(), http: crate::http() };
        let app = Router::new().fallback(forward).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(meter)
    }

    /// What was used since the last call, once nothing has been asked for `quiet`.
    pub async fn settled(&self, quiet: Duration) -> Usage {
        loop {
            tokio::time::sleep(quiet / 4).await;
            let mut counted = self.counted();
            if counted.1.is_none_or(|last| last.elapsed() >= quiet) {
                return std::mem::take(&mut counted.0);
            }
        }
    }

    /// Waits until nothing has been asked for `quiet`. What was used stays counted.
    pub async fn quiet(&self, quiet: Duration) {
        while self.counted().1.is_some_and(|last| last.elapsed() < quiet) {
            tokio::time::sleep(quiet / 4).await;
        }
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, (Usage, Option<Instant>)> {
        self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Proxy {
    meter: Meter,
    engine: String,
    http: reqwest::Client,
}

impl Proxy {
    async fn ask(&self, method: axum::http::Method, uri: &str, headers: HeaderMap, body: Bytes) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let answer = self.http.request(method, format!("{}{uri}", self.engine)).headers(headers).body(body).send().await?;
        Ok((answer.status(), answer.headers().clone(), answer.bytes().await?))
    }

    /// The size of each of these items, 0 if there is none.
    async fn items(&self, headers: &HeaderMap, keys: &[(String, Value)]) -> Result<Vec<Value>> {
        let mut items = Vec::with_capacity(keys.len());
        let mut headers = headers.clone();
        headers.insert("x-amz-target", "DynamoDB_20120810.GetItem".parse()?);
        headers.remove("content-length");
        for (table, key) in keys {
            let body = json!({"TableName": table, "Key": key, "ConsistentRead": true}).to_string();
            let (_, _, answer) = self.ask(axum::http::Method::POST, "/", headers.clone(), body.into()).await?;
            items.push(serde_json::from_slice::<Value>(&answer)?["Item"].clone());
        }
        Ok(items)
    }
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    match metered(&proxy, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn metered(proxy: &Proxy, request: Request) -> Result<Response> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await?;
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
    let uri = parts.uri.to_string();
    let asked: Value = if target.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap_or_default() };
    let operation = target.split('.').nth(1).unwrap_or_default().to_owned();
    let written = if target.starts_with("DynamoDB_") { written(&operation, &asked) } else { Vec::new() };
    let before = proxy.items(&parts.headers, &written).await?;
    let (status, headers, answer) = proxy.ask(parts.method.clone(), &uri, parts.headers.clone(), body.clone()).await?;
    let after = proxy.items(&parts.headers, &written).await?;

    let said: Value = if target.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap_or_default() };
    let function = function_of(&parts.headers);
    let mut usage = Usage::default();
    match (target.split('_').next().unwrap_or_default(), operation.as_str()) {
        ("DynamoDB", "TransactWriteItems") => {
            usage.transactions = 1;
            for ((_, key), (before, after)) in written.iter().zip(before.iter().zip(&after)) {
                usage.write(&function, key, before, after, 2);
            }
            usage.stream(&written, &before, &after);
            if !status.is_success() {
                usage.cancelled = usage.writes;
            }
        }
        ("DynamoDB", "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem") => {
            for ((_, key), (before, after)) in written.iter().zip(before.iter().zip(&after)) {
                usage.write(&function, key, before, after, 1);
            }
            usage.stream(&written, &before, &after);
        }
        ("DynamoDB", _) => {
            usage.half_reads = read(&operation, &asked, &said);
            usage.half_reads_by_function.insert((function.clone(), kind_of_read(&asked)), usage.half_reads);
            usage.shares.entry(Purpose::of_read(&function, &kind_of_read(&asked))).or_default().half_reads = usage.half_reads;
        }
        _ if operation.starts_with("SendMessage") => {
            usage.sends = u64::try_from(body.len().div_ceil(QUEUE_PART).max(1)).unwrap_or(1);
            usage.messages = asked["Entries"].as_array().map_or(1, |entries| u64::try_from(entries.len()).unwrap_or(1));
            let share = usage.shares.entry(Purpose::of_queue(queue_of(&asked))).or_default();
            (share.sends, share.messages) = (usage.sends, usage.messages);
        }
        // The loop in which a function waits for its events.
        _ if uri.contains("/runtime/") => {}
        _ => usage.others = 1,
    }
    if usage != Usage::default() {
        usage.calls.push(Call { function, name: name_of(&operation, &asked, &written), began, ended: Instant::now() });
        let mut counted = proxy.meter.counted();
        counted.0 += &usage;
        // What only reads, such as a poll, does not keep the place from being quiet.
        counted.1 = Some(Instant::now());
    }
    let mut response = Response::builder().status(status);
    if let Some(to) = response.headers_mut() {
        *to = headers;
        to.remove("content-length");
        to.remove("transfer-encoding");
    }
    Ok(response.body(Body::from(answer))?)
}

/// The tables and keys that a request writes or checks.
fn written(operation: &str, asked: &Value) -> Vec<(String, Value)> {
    let place = |action: &Value| {
        let key = if action["Item"].is_object() { &action["Item"] } else { &action["Key"] };
        (action["TableName"].as_str().unwrap_or_default().to_owned(), json!({"pk": key["pk"], "sk": key["sk"]}))
    };
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => vec![place(asked)],
        "TransactWriteItems" => {
            let actions = asked["TransactItems"].as_array().into_iter().flatten();
            actions.filter_map(|action| action.as_object()?.values().next().map(place)).collect()
        }
        "BatchWriteItem" => {
            let tables = asked["RequestItems"].as_object().into_iter().flatten();
            let of_table = |(table, requests): (&String, &Value)| {
                let requests = requests.as_array().into_iter().flatten().filter_map(|request| request.as_object()?.values().next());
                requests.map(|request| (table.clone(), place(request).1)).collect::<Vec<_>>()
            };
            tables.flat_map(of_table).collect()
        }
        _ => Vec::new(),
    }
}

/// The function that asks: its bootstrap lets the SDK name it ([`crate::deploy`]). Empty for others, such as tests.
fn function_of(headers: &HeaderMap) -> String {
    let agents = ["x-amz-user-agent", "user-agent"].into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    let named = agents.flat_map(str::split_whitespace).find_map(|word| word.strip_prefix("exec-env/"));
    named.and_then(crate::functions::function_of).unwrap_or_default().to_owned()
}

/// The name of the queue that a request sends to.
fn queue_of(asked: &Value) -> &str {
    asked["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default()
}

/// What a call does, and with what.
fn name_of(operation: &str, asked: &Value, written: &[(String, Value)]) -> String {
    let of = match written {
        _ if operation.starts_with("SendMessage") => queue_of(asked).to_owned(),
        [] => kind_of_read(asked),
        [(_, key), ..] => kind_of(key),
    };
    format!("{operation} {of}")
}

/// Whether the stream calls `dispatch` for one write, and whether it calls `index`, by the filters of the template:
/// the first for new versions of what carries effects, the other for contacts. The records of one transaction come
/// together.
fn streamed(written: &[(String, Value)], before: &[Value], after: &[Value]) -> (bool, bool) {
    let changed: Vec<_> = written.iter().zip(before.iter().zip(after)).filter(|(_, (before, after))| before != after).collect();
    let dispatched = |((_, key), (before, after)): &(&(String, Value), (&Value, &Value))| {
        let [pk, sk] = ["pk", "sk"].map(|name| key[name]["S"].as_str().unwrap_or_default());
        let is_version = ["CON", "PRESENCE"].contains(&sk) || sk.starts_with("INT#") || sk.starts_with("MSG#");
        (is_version && after.is_object()) || (before.is_null() && (sk == "EVT" || pk.starts_with("ALERT#")))
    };
    let contacts = changed.iter().any(|((_, key), _)| key["sk"]["S"] == "CON");
    (changed.iter().any(dispatched), contacts)
}

/// Halves of the read units of a request.
fn read(operation: &str, asked: &Value, said: &Value) -> u64 {
    let units = |bytes: usize| u64::try_from(bytes.div_ceil(4096).max(1)).unwrap_or(1);
    let times = |consistent: &Value| if consistent == &json!(true) { 2 } else { 1 };
    match operation {
        "GetItem" => units(size_of(&said["Item"])) * times(&asked["ConsistentRead"]),
        "Query" | "Scan" => {
            let items = said["Items"].as_array().map_or(0, |items| items.iter().map(size_of).sum());
            units(items) * times(&asked["ConsistentRead"])
        }
        "BatchGetItem" => {
            let tables = said["Responses"].as_object().into_iter().flatten();
            let of_table = |(table, items): (&String, &Value)| {
                let each = items.as_array().into_iter().flatten().map(|item| units(size_of(item))).sum::<u64>();
                each * times(&asked["RequestItems"][table]["ConsistentRead"])
            };
            tables.map(of_table).sum()
        }
        _ => 0,
    }
}

impl Usage {
    /// Adds the write of one item by a function. `times` is 2 in a transaction.
    fn write(&mut self, function: &str, key: &Value, before: &Value, after: &Value, times: u64) {
        let larger = size_of(before).max(size_of(after));
        let kind = kind_of(key);
        let purpose = Purpose::of_write(function, &kind);
        self.add(function, &kind, purpose, times * u64::try_from(larger.div_ceil(1024).max(1)).unwrap_or(1));
        // The index of open interactions holds the keys only.
        self.add(function, OPEN, purpose, u64::from(before["open_of"] != after["open_of"]));
        self.add(function, LIST, Purpose::Lists, listing(before, after));
        let known = self.largest.entry(kind).or_default();
        *known = larger.max(*known);
    }

    fn add(&mut self, function: &str, kind: &str, purpose: Purpose, units: u64) {
        if units == 0 {
            return;
        }
        self.writes += units;
        *self.by_kind.entry(kind.to_owned()).or_default() += units;
        self.shares.entry(purpose).or_default().writes += units;
        if purpose == Purpose::Messages {
            *self.by_function.entry(function.to_owned()).or_default() += units;
        }
    }

    /// Counts the calls by the stream.
    fn stream(&mut self, written: &[(String, Value)], before: &[Value], after: &[Value]) {
        let (dispatches, indexes) = streamed(written, before, after);
        self.streamed = u64::from(dispatches) + u64::from(indexes);
        for (purpose, _) in [(Purpose::Messages, dispatches), (Purpose::Contacts, indexes)].into_iter().filter(|(_, calls)| *calls) {
            self.shares.entry(purpose).or_default().streamed += 1;
        }
    }
}

/// The index of open interactions and that of lists, among the kinds of items.
const OPEN: &str = "index open";
const LIST: &str = "index list";

/// The units that the index of lists takes, which holds the keys and the row: none if these stay as they were, one
/// for each KB to add, replace or take away a row, and both if the row moves to another place.
fn listing(before: &Value, after: &Value) -> u64 {
    let held = |item: &Value| {
        let held = ["pk", "sk", "list_of", "listed", "row"].iter().map(|name| ((*name).to_owned(), item[name].clone()));
        Some(Value::Object(held.collect())).filter(|_| item["list_of"].is_object())
    };
    let units = |row: &Value| u64::try_from(size_of(row).div_ceil(1024)).unwrap_or(1);
    match (held(before), held(after)) {
        (None, None) => 0,
        (Some(before), Some(after)) if before == after => 0,
        (Some(before), Some(after)) if before["list_of"] != after["list_of"] => units(&before) + units(&after),
        (Some(before), Some(after)) => units(&before).max(units(&after)),
        (Some(row), None) | (None, Some(row)) => units(&row),
    }
}

/// What a read is for, by the key of the item, of the first of several, or of the partition.
fn kind_of_read(asked: &Value) -> String {
    let batch = asked["RequestItems"].as_object().and_then(|tables| tables.values().next()).unwrap_or(asked);
    let key = batch["Keys"].get(0).unwrap_or(&batch["Key"]);
    let values = &asked["ExpressionAttributeValues"];
    let partition = json!({ "pk": values.get(":pk").or_else(|| values.as_object()?.values().next()), "sk": values[":sk"] });
    let kind = kind_of(if key.is_object() { key } else { &partition });
    if batch["ConsistentRead"] == json!(true) { kind } else { format!("{kind}~") }
}

/// What an item is for, by its keys: the part before the first `#`, and for a conversation or a feed that of the sort
/// key.
fn kind_of(key: &Value) -> String {
    let first = |name: &str| key[name]["S"].as_str().and_then(|text| text.split(['#', '~']).next()).unwrap_or_default().to_owned();
    match first("pk").as_str() {
        pk @ ("CONV" | "FEED") => {
            let head = key["sk"]["S"].as_str().is_some_and(|sk| sk.ends_with("HEAD"));
            format!("{pk} {}", if head { "HEAD".to_owned() } else { first("sk") })
        }
        pk => pk.to_owned(),
    }
}

/// The size of an item as DynamoDB counts it.
fn size_of(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    // About a byte for two digits, and one more.
    let number = |value: &Value| value.as_str().map_or(0, |digits| digits.len().div_ceil(2) + 1);
    let all = |value: &Value, size: &dyn Fn(&Value) -> usize| value.as_array().into_iter().flatten().map(size).sum::<usize>();
    match kind.as_str() {
        "S" => text(value),
        "N" => number(value),
        // Base64 has four characters for three bytes.
        "B" => text(value) / 4 * 3,
        "SS" => all(value, &text),
        "NS" => all(value, &number),
        "L" => 3 + all(value, &|element| 1 + size_of_value(element)),
        "M" => 3 + value.as_object().into_iter().flatten().map(|(name, value)| 1 + name.len() + size_of_value(value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_size_of_its_names_and_values() {
        let item = json!({
            "pk": {"S": "CONV#1"}, "n": {"N": "1234"}, "on": {"BOOL": true}, "set": {"SS": ["ab", "c"]},
            "data": {"M": {"a": {"L": [{"S": "x"}, {"S": "yy"}]}}},
        });
        assert_eq!(size_of(&item), (2 + 6) + (1 + 3) + (2 + 1) + (3 + 3) + (4 + 3 + (1 + 1 + 3 + (1 + 1) + (1 + 2))));
        assert_eq!(size_of(&Value::Null), 0);
    }

    #[test]
    fn a_write_costs_by_the_larger_item_and_twice_in_a_transaction() {
        let key = json!({"pk": {"S": "CONV#a#b"}, "sk": {"S": "MSG#1"}});
        let (small, large) = (json!({"pk": {"S": "x"}}), json!({"pk": {"S": "x".repeat(1500)}}));
        let mut usage = Usage::default();
        usage.write("route", &key, &Value::Null, &small, 1);
        usage.write("route", &key, &large, &small, 2);
        assert_eq!((usage.writes, usage.by_kind), (1 + 4, BTreeMap::from([("CONV MSG".to_owned(), 5)])));
        let mut opened = Usage::default();
        opened.write("route", &key, &Value::Null, &json!({"open_of": {"S": "acc"}}), 2);
        assert_eq!(opened.writes, 3, "the index is written too");
        let listed = json!({"list_of": {"S": "acc#1"}, "row": {"S": "open"}});
        opened.write("route", &key, &Value::Null, &listed, 2);
        let shares = [Purpose::Messages, Purpose::Lists].map(|purpose| opened.share(purpose).writes);
        assert_eq!((opened.writes, shares), (6, [5, 1]), "and the row in the lists is counted apart");
    }

    #[test]
    fn the_index_of_lists_is_written_when_a_row_comes_changes_moves_or_goes() {
        let item = |list: &str, row: &str| json!({"list_of": {"S": list}, "row": {"M": {"status": {"S": row}}}, "version": {"N": row.len().to_string()}});
        let open = item("acc#1", "open");
        let cost = |before: &Value, after: &Value| listing(before, after);
        assert_eq!(cost(&Value::Null, &open), 1);
        assert_eq!(cost(&open, &json!({"list_of": {"S": "acc#1"}, "row": open["row"], "version": {"N": "9"}})), 0);
        assert_eq!(cost(&open, &item("acc#1", "closed")), 1);
        assert_eq!(cost(&open, &item("acc#A1", "closed")), 2);
        assert_eq!(cost(&open, &Value::Null), 1);
        assert_eq!(cost(&Value::Null, &Value::Null), 0);
    }

    #[test]
    fn reads_cost_by_4_kb_and_half_without_consistency() {
        let answer = json!({"Items": [{"pk": {"S": "x".repeat(3000)}}, {"pk": {"S": "x".repeat(3000)}}]});
        assert_eq!(read("Query", &json!({"ConsistentRead": true}), &answer), 4);
        assert_eq!(read("Query", &json!({}), &answer), 2);
        assert_eq!(read("GetItem", &json!({}), &json!({})), 1, "a missing item costs as a small one");
    }

    #[test]
    fn a_transaction_writes_and_checks_each_of_its_items() {
        let (item, key) = (json!({"pk": {"S": "a"}, "sk": {"S": "b"}, "x": {"S": "c"}}), json!({"pk": {"S": "d"}, "sk": {"S": "e"}}));
        let asked =
            json!({"TransactItems": [{"Put": {"TableName": "t", "Item": item}}, {"ConditionCheck": {"TableName": "u", "Key": key}}]});
        let places = written("TransactWriteItems", &asked);
        assert_eq!(places, [("t".to_owned(), json!({"pk": {"S": "a"}, "sk": {"S": "b"}})), ("u".to_owned(), key)]);
    }

    #[test]
    fn the_stream_calls_a_function_for_each_write_that_its_filter_passes() {
        let place = |pk: &str, sk: &str| ("t".to_owned(), json!({"pk": {"S": pk}, "sk": {"S": sk}}));
        let item = json!({"pk": {"S": "x"}});
        let count = |places: &[(String, Value)], before: &Value, after: &Value| {
            let all = |value: &Value| vec![value.clone(); places.len()];
            let (dispatches, indexes) = streamed(places, &all(before), &all(after));
            u64::from(dispatches) + u64::from(indexes)
        };
        let transaction = [place("CONV#a#b", "INT#1"), place("CONV#a#b", "MSG#1"), place("CONV#a#b", "HIST#1")];
        assert_eq!(count(&transaction, &Value::Null, &item), 1, "the records of a transaction come together");
        assert_eq!(count(&transaction, &item, &item), 0, "it was refused");
        assert_eq!(count(&[place("CONTACT#c", "CON")], &Value::Null, &item), 2, "two functions look at contacts");
        assert_eq!(count(&[place("EVT#1", "EVT")], &item, &json!({})), 0, "only new events");
        assert_eq!(count(&[place("FEED#a", "EV#1")], &Value::Null, &item), 0);
    }

    #[test]
    fn a_batch_writes_each_of_its_items() {
        let put = json!({"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}, "x": {"S": "c"}}}});
        let key = json!({"pk": {"S": "d"}, "sk": {"S": "e"}});
        let asked = json!({"RequestItems": {"t": [put, {"DeleteRequest": {"Key": key}}]}});
        let places = written("BatchWriteItem", &asked);
        assert_eq!(places, [("t".to_owned(), json!({"pk": {"S": "a"}, "sk": {"S": "b"}})), ("t".to_owned(), key)]);
    }
}
