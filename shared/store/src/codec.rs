//! Converts between domain values and items.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::effect::Effect;
use engine::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compact;
use crate::keys::Key;

/// An item.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attribute with the version of an item's form.
const FORM_OF: &str = "v";

/// The version of the items' form.
const FORM: &str = "1";

/// The version of the compact form, in which `data` and `effects` are [compact](compact::compact).
const COMPACT_FORM: &str = "2";

/// The attribute of a message with the history of the decision that brought it. It is compact in either form: it stays
/// when the message is written in the other one.
pub(crate) const TOLD: &str = "told";

/// The attribute that stands for [`Effect::Report`]. The version before parks an item with an effect that it doesn't
/// know, and leaves out an attribute that it doesn't know.
pub(crate) const REPORT: &str = "report";

/// The form in which interactions, messages and events are written. Both are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As the versions before can read it.
    #[default]
    Plain,
    /// At most a kilobyte where it can be.
    Compact,
}

/// The result of an operation of a port.
pub type PortResult<T> = Result<T, PortError>;

pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) fn key_item(key: Key) -> Item {
    HashMap::from([("pk".to_owned(), s(key.pk)), ("sk".to_owned(), s(key.sk))])
}

/// A new item with only its key and form.
pub(crate) fn item(key: Key) -> Item {
    let mut item = key_item(key);
    item.insert(FORM_OF.to_owned(), n(FORM));
    item
}

/// A new item that holds a domain value.
pub(crate) fn data_item<T: Serialize>(key: Key, data: &T) -> PortResult<Item> {
    let mut item = item(key);
    item.insert("data".to_owned(), to_attribute(data)?);
    Ok(item)
}

/// A new item that holds a domain value and the effects of its version.
pub(crate) fn versioned_item<T: Serialize>(key: Key, data: &T, version: u64, effects: &[Effect]) -> PortResult<Item> {
    Form::Plain.item(key, data, version, effects)
}

impl Form {
    /// A new item that holds a domain value and the effects of its version.
    pub(crate) fn item<T: Serialize>(self, key: Key, data: &T, version: u64, effects: &[Effect]) -> PortResult<Item> {
        let mut item = key_item(key);
        item.insert(FORM_OF.to_owned(), n(if self == Self::Plain { FORM } else { COMPACT_FORM }));
        item.insert("data".to_owned(), self.attribute(data)?);
        item.insert("version".to_owned(), n(version));
        let (reports, effects): (Vec<&Effect>, Vec<&Effect>) = effects.iter().partition(|effect| **effect == Effect::Report);
        if !effects.is_empty() {
            item.insert("effects".to_owned(), self.attribute(&effects)?);
        }
        if !reports.is_empty() {
            item.insert(REPORT.to_owned(), AttributeValue::Bool(true));
        }
        Ok(item)
    }

    fn attribute<T: Serialize>(self, value: &T) -> PortResult<AttributeValue> {
        if self == Self::Plain { to_attribute(value) } else { to_compact(value) }
    }

    /// The history of a decision as the message carries it that came with it: only in the compact form, since the
    /// versions before would lose it, and only if the message's item has room for it in what it costs anyway.
    pub(crate) fn told<T: Serialize>(self, history: &[T], message: &Item) -> PortResult<Option<AttributeValue>> {
        if self == Self::Plain || history.is_empty() {
            return Ok(None);
        }
        let told = to_compact(&history)?;
        let size = size_of(message);
        let with = size + TOLD.len() + size_of_value(&told);
        Ok((with.div_ceil(UNIT) == size.div_ceil(UNIT)).then_some(told))
    }
}

/// A write costs a unit for each kilobyte.
const UNIT: usize = 1024;

/// The size of an item as DynamoDB counts it.
pub(crate) fn size_of(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &AttributeValue) -> usize {
    // About a byte for two digits, and one more.
    let number = |digits: &String| digits.len().div_ceil(2) + 1;
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => number(digits),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(number).sum(),
        AttributeValue::Bs(all) => all.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(list) => 3 + list.iter().map(|element| 1 + size_of_value(element)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size_of_value(value)).sum::<usize>(),
        _ => 1,
    }
}

fn to_compact<T: Serialize>(value: &T) -> PortResult<AttributeValue> {
    let value = serde_dynamo::to_attribute_value(value);
    let value: serde_dynamo::AttributeValue = value.map_err(|error| PortError { operation: "encode", reason: error.to_string() })?;
    Ok(compact::compact(value).into())
}

pub(crate) fn to_attribute<T: Serialize>(value: &T) -> PortResult<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(|error| PortError { operation: "encode", reason: error.to_string() })
}

/// The domain value of an item.
///
/// # Errors
/// It is missing or of an unknown form.
pub fn from_data<T: DeserializeOwned>(item: &HashMap<String, AttributeValue>) -> PortResult<T> {
    read(item, "data", "decode")?.ok_or_else(|| undecodable("no data"))
}

/// The domain value of an item as DynamoDB holds it in the first form, if it is of a known form.
pub(crate) fn data_of(item: &Item) -> Option<AttributeValue> {
    plain(item.get(FORM_OF).cloned().map(Into::into).as_ref(), item.get("data")?.clone().into()).map(Into::into)
}

/// The effects of an item's version.
///
/// # Errors
/// An effect is of an unknown kind.
pub fn effects_of(item: &HashMap<String, AttributeValue>) -> PortResult<Vec<Effect>> {
    let mut effects: Vec<Effect> = read(item, "effects", "decode effects")?.unwrap_or_default();
    effects.extend(item.contains_key(REPORT).then_some(Effect::Report));
    Ok(effects)
}

/// The history that a message's item carries.
pub(crate) fn told_by<T: DeserializeOwned>(item: &Item) -> PortResult<Vec<T>> {
    let compact = serde_dynamo::AttributeValue::N(COMPACT_FORM.to_owned());
    Ok(item.get(TOLD).map(|told| decoded(Some(&compact), told, "decode history")).transpose()?.unwrap_or_default())
}

fn read<T: DeserializeOwned>(item: &Item, name: &str, operation: &'static str) -> PortResult<Option<T>> {
    let form = item.get(FORM_OF).cloned().map(Into::into);
    item.get(name).map(|value| decoded(form.as_ref(), value, operation)).transpose()
}

fn decoded<T: DeserializeOwned>(
    form: Option<&serde_dynamo::AttributeValue>,
    value: &AttributeValue,
    operation: &'static str,
) -> PortResult<T> {
    let value = plain(form, value.clone().into());
    let value = value.ok_or_else(|| PortError { operation, reason: "an unknown form".to_owned() })?;
    serde_dynamo::from_attribute_value(value).map_err(|error| PortError { operation, reason: error.to_string() })
}

/// The value of an attribute of an item in this form; `None` for an unknown form. An item without one is of the first.
pub(crate) fn plain(
    form: Option<&serde_dynamo::AttributeValue>,
    value: serde_dynamo::AttributeValue,
) -> Option<serde_dynamo::AttributeValue> {
    match form {
        None => Some(value),
        Some(serde_dynamo::AttributeValue::N(form)) if form == FORM => Some(value),
        Some(serde_dynamo::AttributeValue::N(form)) if form == COMPACT_FORM => compact::expand(value).ok(),
        Some(_) => None,
    }
}

pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// An error of the SDK, with the service's code and message and nothing of the request.
pub(crate) fn failed<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        let reason = match error.as_service_error() {
            Some(service) => format!("{}: {}", service.code().unwrap_or("unknown"), service.message().unwrap_or("no message")),
            None => DisplayErrorContext(&error).to_string(),
        };
        PortError { operation, reason }
    }
}

/// Whether an item was of no known form, so that reading it again does not help.
pub(crate) fn is_undecodable(error: &PortError) -> bool {
    error.operation.starts_with("decode")
}

pub(crate) fn undecodable(what: &'static str) -> PortError {
    PortError { operation: "decode", reason: what.to_owned() }
}
