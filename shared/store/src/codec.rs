//! Converts between domain values and items.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::effect::Effect;
use engine::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::Key;

/// An item.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The version of the items' form.
const FORM: &str = "1";

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
    item.insert("v".to_owned(), n(FORM));
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
    let mut item = data_item(key, data)?;
    item.insert("version".to_owned(), n(version));
    if !effects.is_empty() {
        item.insert("effects".to_owned(), to_attribute(&effects)?);
    }
    Ok(item)
}

pub(crate) fn to_attribute<T: Serialize>(value: &T) -> PortResult<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(|error| PortError { operation: "encode", reason: error.to_string() })
}

/// The domain value of an item.
///
/// # Errors
/// It is missing or of an unknown form.
pub fn from_data<T: DeserializeOwned>(item: &HashMap<String, AttributeValue>) -> PortResult<T> {
    let data = item.get("data").ok_or_else(|| PortError { operation: "decode", reason: "no data".to_owned() })?;
    serde_dynamo::from_attribute_value(data.clone()).map_err(|error| PortError { operation: "decode", reason: error.to_string() })
}

/// The effects of an item's version.
///
/// # Errors
/// An effect is of an unknown kind.
pub fn effects_of(item: &HashMap<String, AttributeValue>) -> PortResult<Vec<Effect>> {
    match item.get("effects") {
        Some(effects) => serde_dynamo::from_attribute_value(effects.clone())
            .map_err(|error| PortError { operation: "decode effects", reason: error.to_string() }),
        None => Ok(Vec::new()),
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

pub(crate) fn undecodable(what: &'static str) -> PortError {
    PortError { operation: "decode", reason: what.to_owned() }
}
