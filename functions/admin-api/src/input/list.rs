//! Contact lists.

use serde_json::Value;
use utoipa::ToSchema;

use super::NAME;
use super::fields::{Errors, Fields, line};

/// A contact list.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct ListInput {
    /// For people.
    #[schema(min_length = 1, max_length = 200, example = "Customers")]
    pub(crate) name: String,
}

impl ListInput {
    /// Parses the body of a POST, or of a PUT on what is `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let name = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let name = fields.required("name", line(NAME));
            fields.finish_with(&["id", "version"], shown);
            name
        });
        match name {
            Some(name) => errors.check().map(|()| Self { name }),
            None => Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields::testing::names;
    use super::*;

    #[test]
    fn a_list_needs_a_name_and_nothing_else() {
        assert!(ListInput::parse(json!({"name": "Customers"}), None).is_ok());
        assert_eq!(names(ListInput::parse(json!({}), None)), ["name"]);
        assert_eq!(names(ListInput::parse(json!({"name": " "}), None)), ["name"]);
        assert_eq!(names(ListInput::parse(json!({"name": "x".repeat(201)}), None)), ["name"]);
        assert_eq!(names(ListInput::parse(json!({"name": "a", "colour": 1}), None)), ["colour"]);
        assert_eq!(names(ListInput::parse(json!([]), None)), [""]);
    }
}
