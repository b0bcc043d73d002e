//! `infra/template.yaml` as data, and the tests that hold its text against what the product promises: who may do
//! what, which alarms there are, what remains when the stack goes.
//!
//! They need neither AWS nor the local engine.

use std::path::PathBuf;

use serde_json::Value;

#[cfg(test)]
mod access;
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod load;
#[cfg(test)]
mod parameters;
#[cfg(test)]
mod storage;

/// A reader's error. For tests and tools, so a text for a person is enough.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The template. Intrinsic functions (`!Ref`, `!Sub`, `!If`) are read as their arguments.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads the checkout's template.
    ///
    /// # Errors
    /// It can't be read, or is not YAML.
    pub fn read() -> Result<Self, Error> {
        Ok(Self(serde_saphyr::from_str(&std::fs::read_to_string(path("infra/template.yaml"))?)?))
    }

    /// A section (`Parameters`, `Conditions`, …): names and their contents.
    pub fn section(&self, name: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.0[name].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// The resources of a type, each with its logical id.
    pub fn of_type(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.section("Resources").filter(move |(_, resource)| resource["Type"] == kind)
    }

    /// A resource.
    pub fn resource(&self, id: &str) -> &Value {
        &self.0["Resources"][id]
    }

    /// Anything in it.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }
}

/// A file of the checkout.
pub fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file)
}

/// A value that may be written alone or in a list.
pub fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    }
}

/// The template, read once for all tests.
#[cfg(test)]
fn template() -> &'static Template {
    static TEMPLATE: std::sync::LazyLock<Template> = std::sync::LazyLock::new(|| Template::read().unwrap());
    &TEMPLATE
}
