//! Fields of contacts that administrators define.

use domain::agent::Role;
use domain::details::{ContactField, MOST_FIELDS};
use domain::ids::ContactFieldId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, line, whole};
use crate::resource::{Change, Resource};
use crate::shells::shells;

/// A column's heading.
const NAME: usize = 50;

/// A field that every contact may have.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct ContactFieldInput {
    /// 1 to 50 characters on one line. Names are unique, whatever their case.
    #[schema(max_length = 50, example = "Customer number")]
    name: String,
}

/// A field that every contact may have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactField)]
pub(crate) struct ContactFieldView {
    /// The field's id, by which contacts name it.
    id: ContactFieldId,
    /// The name that people see.
    name: String,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl Resource for ContactField {
    type Id = ContactFieldId;
    type Input = ContactFieldInput;
    type View = ContactFieldView;
    const PLACE: &'static str = "contact-fields";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<ContactFieldInput, Errors> {
        whole(body, shown, |fields| Some(ContactFieldInput { name: fields.required("name", line(NAME))? }))
    }

    fn make(id: ContactFieldId, input: &mut ContactFieldInput, _: Option<&Self>) -> Result<Self, ApiError> {
        Ok(Self { id, name: input.name.clone() })
    }

    fn view(self, version: u64, _: &App) -> ContactFieldView {
        ContactFieldView { id: self.id, name: self.name, version }
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        if change.before.is_none() && app.configuration().all::<ContactField>().await?.len() >= MOST_FIELDS {
            return Err(Errors::one("name", "can't be added: there are 50 fields, which is the most").into());
        }
        Ok(())
    }
}

shells! {
    ContactField: ContactFieldInput => ContactFieldView, "contacts", "/contact-fields", "/contact-fields/{id}";

    /// Lists the defined fields of contacts.
    list list_contact_fields;

    /// Defines a field of contacts, 50 at most.
    ///
    /// Names are unique, so a repeated POST is refused (422).
    create create_contact_field;

    /// Returns a defined field.
    get get_contact_field;

    /// Replaces a defined field.
    put put_contact_field;

    /// Changes a defined field.
    patch patch_contact_field;

    /// Deletes a defined field.
    ///
    /// Contacts show its values no more, and lose them with their next change.
    delete delete_contact_field;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_field_has_a_short_name_on_one_line() {
        assert_eq!(ContactField::parse(json!({"name": " Customer number "}), None).unwrap().name, "Customer number");
        for bad in [json!(null), json!(" "), json!("x".repeat(51)), json!("a\nb"), json!(7)] {
            assert_eq!(names(ContactField::parse(json!({"name": bad}), None)), ["name"]);
        }
    }
}
