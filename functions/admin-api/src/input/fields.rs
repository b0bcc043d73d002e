//! Reads a JSON object field by field, and collects its errors.

use std::collections::HashSet;
use std::hash::Hash;

pub(crate) use api::Errors;
use domain::catalog::disposition_path;
use serde_json::{Map, Value};

/// Why a value was refused, in words for the administrator who entered it. The words never repeat the value, which
/// may be a secret or a phone number.
pub(crate) type Refusal = &'static str;

pub(crate) const REQUIRED: Refusal = "is required";
pub(crate) const UNKNOWN_ACCOUNT: Refusal = "there is no account with this id";
pub(crate) const UNKNOWN_AGENT: Refusal = "there is no agent with this id";
pub(crate) const UNKNOWN_AI_AGENT: Refusal = "there is no AI agent with this id";
pub(crate) const UNKNOWN_QUEUE: Refusal = "there is no queue with this id";
pub(crate) const UNKNOWN_INTERVAL: Refusal = "there is no interval with this id";
pub(crate) const UNKNOWN_PAUSE: Refusal = "there is no pause with this id";
pub(crate) const UNKNOWN_LIST: Refusal = "there is no list with this id";

/// An object whose fields are taken one by one. `null` counts as absent.
pub(crate) struct Fields<'a> {
    path: String,
    left: Map<String, Value>,
    errors: &'a mut Errors,
}

impl<'a> Fields<'a> {
    /// The object `value` at `path` (empty for the body).
    pub(crate) fn open(path: String, value: Value, errors: &'a mut Errors) -> Option<Self> {
        match value {
            Value::Object(left) => Some(Self { path, left, errors }),
            _ => {
                errors.add(path, "must be an object");
                None
            }
        }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// Whether a field is present.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether a list is absent or has no entry.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        self.left.get(name).is_none_or(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty))
    }

    pub(crate) fn refuse(&mut self, name: &str, message: Refusal) {
        let field = self.at(name);
        self.errors.add(field, message);
    }

    /// Refuses a field in words that depend on it. They never repeat its value.
    pub(crate) fn refuse_with(&mut self, name: &str, message: String) {
        let field = self.at(name);
        self.errors.add(field, message);
    }

    /// An optional field. `None` if it is absent, or if it was refused and an error is noted.
    pub(crate) fn optional<T>(&mut self, name: &str, parse: impl FnOnce(Value) -> Result<T, Refusal>) -> Option<T> {
        match parse(self.take(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.refuse(name, message);
                None
            }
        }
    }

    /// A required field.
    pub(crate) fn required<T>(&mut self, name: &str, parse: impl FnOnce(Value) -> Result<T, Refusal>) -> Option<T> {
        if self.left.get(name).is_none_or(Value::is_null) {
            self.take(name);
            self.refuse(name, REQUIRED);
            return None;
        }
        self.optional(name, parse)
    }

    /// A list of at most `most` different values. An absent list is empty.
    pub(crate) fn set<T: Clone + Eq + Hash>(
        &mut self,
        name: &str,
        most: usize,
        too_many: Refusal,
        parse: impl Fn(Value) -> Result<T, Refusal>,
    ) -> Vec<T> {
        let mut seen = HashSet::new();
        self.list(name, most, too_many, |field, value, errors| match parse(value) {
            Ok(value) if seen.insert(value.clone()) => Some(value),
            Ok(_) => {
                errors.add(field, "is there already");
                None
            }
            Err(message) => {
                errors.add(field, message);
                None
            }
        })
    }

    /// A list of at most `most` values. An absent list is empty. `parse` notes its own errors under the path that
    /// it gets.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        most: usize,
        too_many: Refusal,
        mut parse: impl FnMut(String, Value, &mut Errors) -> Option<T>,
    ) -> Vec<T> {
        let path = self.at(name);
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(values)) if values.len() <= most => {
                let parsed = values.into_iter().enumerate().map(|(index, value)| parse(format!("{path}[{index}]"), value, self.errors));
                parsed.collect::<Vec<_>>().into_iter().flatten().collect()
            }
            Some(Value::Array(_)) => {
                self.errors.add(path, too_many);
                Vec::new()
            }
            Some(_) => {
                self.errors.add(path, "must be a list");
                Vec::new()
            }
        }
    }

    /// An optional inner object.
    pub(crate) fn object(&mut self, name: &str) -> Option<Fields<'_>> {
        let value = self.take(name)?;
        Fields::open(self.at(name), value, self.errors)
    }

    /// A required inner object.
    pub(crate) fn required_object(&mut self, name: &str) -> Option<Fields<'_>> {
        if self.left.get(name).is_none_or(Value::is_null) {
            self.take(name);
            self.refuse(name, REQUIRED);
            return None;
        }
        self.object(name)
    }

    /// The names of the fields that were not taken.
    pub(crate) fn names(&self) -> Vec<String> {
        self.left.keys().cloned().collect()
    }

    /// Takes a field and refuses it.
    pub(crate) fn unknown(&mut self, name: &str, message: Refusal) {
        self.left.remove(name);
        self.refuse(name, message);
    }

    /// Drops the remaining fields, for an object whose fields are not known.
    pub(crate) fn give_up(self) {}

    /// Refuses every field that was not taken.
    pub(crate) fn finish(self) {
        self.finish_with(&[], None);
    }

    /// Like [`finish`](Self::finish), for the body as a whole. The fields that the service sets may be sent back as
    /// they are in `shown`, so that a client can read a document, change it and put it.
    pub(crate) fn finish_with(mut self, set_here: &[&str], shown: Option<&Value>) {
        for (name, value) in std::mem::take(&mut self.left) {
            match (set_here.contains(&name.as_str()), shown) {
                (true, Some(shown)) if shown.get(&name) == Some(&value) => {}
                (true, Some(_)) => self.refuse(&name, "can't be changed"),
                (true, None) => self.refuse(&name, "is set by this service"),
                (false, _) => self.refuse(&name, "is not known"),
            }
        }
    }
}

/// A body whose id and version the service sets.
pub(crate) fn whole<T>(body: Value, shown: Option<&Value>, take: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Errors> {
    whole_beside(body, shown, &[], take)
}

/// The same, where the document also shows these fields, which other calls change.
pub(crate) fn whole_beside<T>(
    body: Value,
    shown: Option<&Value>,
    others: &[&str],
    take: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, Errors> {
    let mut errors = Errors::default();
    let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
        let input = take(&mut fields);
        fields.finish_with(&[&["id", "version"], others].concat(), shown);
        input
    });
    match input {
        Some(input) => errors.check().map(|()| input),
        None => Err(errors),
    }
}

/// The text has an invisible character.
pub(crate) const CONTROL: Refusal = "must not have control characters";

/// Whether a text has control characters other than line breaks.
pub(crate) fn has_control(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && c != '\n')
}

/// A text without control characters, its ends trimmed, of 1 to `most` characters.
pub(crate) fn text(most: usize) -> impl Fn(Value) -> Result<String, Refusal> {
    move |value| {
        let Value::String(text) = value else { return Err("must be a text") };
        let text = text.trim();
        if text.is_empty() {
            Err("must not be empty")
        } else if text.chars().count() > most {
            Err("is too long")
        } else if has_control(text) {
            Err(CONTROL)
        } else {
            Ok(text.to_owned())
        }
    }
}

/// Like [`text()`], on one line.
pub(crate) fn line(most: usize) -> impl Fn(Value) -> Result<String, Refusal> {
    move |value| {
        let text = text(most)(value)?;
        if text.contains('\n') { Err("must be one line") } else { Ok(text) }
    }
}

/// A text that is parsed further.
pub(crate) fn parsed<T>(parse: impl FnOnce(&str) -> Result<T, Refusal>) -> impl FnOnce(Value) -> Result<T, Refusal> {
    |value| match value {
        Value::String(text) => parse(&text),
        _ => Err("must be a text"),
    }
}

/// An id of the right kind.
pub(crate) fn id<T: std::str::FromStr>(message: Refusal) -> impl Fn(Value) -> Result<T, Refusal> {
    move |value| match value {
        Value::String(text) => text.parse().map_err(|_| message),
        _ => Err("must be an id, as a text"),
    }
}

/// A whole number that is checked further. A number beyond 64 bits is out of every range.
pub(crate) fn integer<T>(check: impl FnOnce(i64) -> Result<T, domain::values::Invalid>) -> impl FnOnce(Value) -> Result<T, Refusal> {
    |value| {
        let whole = match &value {
            Value::Number(number) if number.is_f64() => None,
            Value::Number(number) => Some(number.as_i64().unwrap_or(i64::MAX)),
            _ => None,
        };
        check(whole.ok_or("must be a whole number")?).map_err(|invalid| invalid.0)
    }
}

/// true or false.
pub(crate) fn boolean(value: Value) -> Result<bool, Refusal> {
    value.as_bool().ok_or("must be true or false")
}

/// A disposition of one to three levels.
pub(crate) fn disposition(value: Value) -> Result<String, Refusal> {
    parsed(|text| disposition_path(text).map_err(|invalid| invalid.0))(value)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Errors;

    /// The names of the refused fields, in the order of the checks.
    pub(crate) fn names<T: std::fmt::Debug>(outcome: Result<T, Errors>) -> Vec<String> {
        outcome.unwrap_err().iter().map(|error| error.field.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_trimmed_and_neither_empty_nor_too_long() {
        assert_eq!(text(3)(json!(" äöü ")), Ok("äöü".to_owned()));
        for bad in [json!(""), json!(" \t"), json!("abcd"), json!("a\u{7}"), json!(5), json!(["a"])] {
            assert!(text(3)(bad).is_err());
        }
        assert!(line(9)(json!("a\nb")).is_err());
    }

    #[test]
    fn a_number_must_be_whole_and_in_its_range() {
        let small = |value| integer(domain::agent::Capacity::new)(value);
        assert!(small(json!(100)).is_ok());
        assert_eq!(small(json!(101)), Err("must be from 1 to 100"));
        assert_eq!(small(json!(18_446_744_073_709_551_615_u64)), Err("must be from 1 to 100"));
        assert_eq!(small(json!(1.5)), Err("must be a whole number"));
        assert_eq!(small(json!("5")), Err("must be a whole number"));
    }

    #[test]
    fn fields_that_this_service_sets_may_be_sent_back_unchanged() {
        let refused = |body: Value, shown: Option<&Value>| {
            let mut errors = Errors::default();
            Fields::open(String::new(), body, &mut errors).unwrap().finish_with(&["id"], shown);
            errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect::<Vec<_>>()
        };
        let shown = json!({"id": "1"});
        assert!(refused(json!({"id": "1"}), Some(&shown)).is_empty());
        assert_eq!(refused(json!({"id": "2"}), Some(&shown)), ["id can't be changed"]);
        assert_eq!(refused(json!({"id": "1"}), None), ["id is set by this service"]);
        assert_eq!(refused(json!({"colour": 1}), Some(&shown)), ["colour is not known"]);
    }
}
