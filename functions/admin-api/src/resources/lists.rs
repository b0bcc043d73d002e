//! Contact lists.

use domain::account::{Account, List};
use domain::agent::Role;
use domain::ids::ListId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, NAME, line, whole};
use crate::resource::Resource;
use crate::shells::shells;

/// A contact list.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct ListInput {
    /// The name of the list.
    #[schema(min_length = 1, max_length = 200, example = "Customers")]
    name: String,
}

/// A contact list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = List)]
pub(crate) struct ListView {
    /// The list's id.
    id: ListId,
    /// The name of the list.
    name: String,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl Resource for List {
    type Id = ListId;
    type Input = ListInput;
    type View = ListView;
    const PLACE: &'static str = "lists";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<ListInput, Errors> {
        whole(body, shown, |fields| Some(ListInput { name: fields.required("name", line(NAME))? }))
    }

    fn make(id: ListId, input: &mut ListInput, _: Option<&Self>) -> Result<Self, ApiError> {
        Ok(Self { id, name: input.name.clone() })
    }

    fn view(self, version: u64, _: &App) -> ListView {
        ListView { id: self.id, name: self.name, version }
    }

    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        let whitelisted = |account: &Account| account.settings.whitelist.as_ref().is_some_and(|list| list.lists.contains(&self.id));
        app.accounts_with(|account| account.list == self.id || whitelisted(account)).await
    }
}

shells! {
    List: ListInput => ListView, "lists", "/lists", "/lists/{id}";

    /// Lists the contact lists.
    list list_lists;

    /// Creates a contact list.
    ///
    /// Names need not be unique: a repeated POST creates a second list.
    create create_list;

    /// Returns a contact list.
    get get_list;

    /// Replaces a contact list.
    put put_list;

    /// Changes fields of a contact list.
    patch patch_list;

    /// Deletes a contact list.
    ///
    /// Refused (409, `in-use`) while an account saves its contacts on the list or has it in its whitelist.
    delete delete_list;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_list_needs_a_name_and_nothing_else() {
        assert!(List::parse(json!({"name": "Customers"}), None).is_ok());
        assert_eq!(names(List::parse(json!({}), None)), ["name"]);
        assert_eq!(names(List::parse(json!({"name": " "}), None)), ["name"]);
        assert_eq!(names(List::parse(json!({"name": "x".repeat(201)}), None)), ["name"]);
        assert_eq!(names(List::parse(json!({"name": "a", "colour": 1}), None)), ["colour"]);
        assert_eq!(names(List::parse(json!([]), None)), [""]);
    }
}
