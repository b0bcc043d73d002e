//! Contacts: customers.

use domain::ids::ListId;
use domain::values::E164;
use serde_json::Value;
use utoipa::ToSchema;

use super::NAME;
use super::fields::{Errors, Fields, Refusal, UNKNOWN_LIST, id, line, parsed};

/// As many lists as are useful for one customer.
const LISTS: usize = 50;
/// The longest user id (BSUID): a country code, a dot and 128 characters.
pub(crate) const USER_ID: usize = 131;

/// A customer who has not written yet.
#[derive(PartialEq, ToSchema)]
pub(crate) struct NewContactInput {
    /// The phone number (E.164). Give this, `user_id`, or both.
    #[schema(value_type = Option<String>, example = "+393331234567")]
    pub(crate) phone: Option<E164>,
    /// The provider's id of the customer (BSUID).
    #[schema(max_length = 131, example = "IT.13491208655302741918")]
    pub(crate) user_id: Option<String>,
    /// The customer's name.
    #[schema(max_length = 200)]
    pub(crate) name: Option<String>,
    /// The ids of the contact lists that include the customer.
    #[schema(required = false, max_items = 50)]
    pub(crate) lists: Vec<ListId>,
}

/// The fields of a contact that can change.
#[derive(PartialEq, ToSchema)]
pub(crate) struct ContactInput {
    /// The customer's name.
    #[schema(max_length = 200)]
    pub(crate) name: Option<String>,
    /// The ids of the contact lists that include the customer.
    #[schema(required = false, max_items = 50)]
    pub(crate) lists: Vec<ListId>,
}

/// Names and numbers of customers never reach a log.
impl std::fmt::Debug for NewContactInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewContactInput").field("lists", &self.lists).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ContactInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContactInput").field("lists", &self.lists).finish_non_exhaustive()
    }
}

impl NewContactInput {
    /// Parses the body of a POST.
    pub(crate) fn parse(body: Value) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).map(|mut fields| {
            if !fields.has("phone") && !fields.has("user_id") {
                fields.refuse("phone", "is required, or user_id");
            }
            let phone = fields.optional("phone", parsed(|text| E164::parse(text).map_err(|invalid| invalid.0)));
            let user_id = fields.optional("user_id", parsed(user_id));
            let (name, lists) = named(&mut fields);
            fields.finish_with(&["id", "version"], None);
            Self { phone, user_id, name, lists }
        });
        errors.check()?;
        input.ok_or_else(Errors::default)
    }
}

impl ContactInput {
    /// Parses the body of a PUT on the document `shown`.
    pub(crate) fn parse(body: Value, shown: &Value) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).map(|mut fields| {
            let (name, lists) = named(&mut fields);
            fields.finish_with(&["id", "username", "phones", "user_ids", "created_at", "version"], Some(shown));
            Self { name, lists }
        });
        errors.check()?;
        input.ok_or_else(Errors::default)
    }
}

fn named(fields: &mut Fields<'_>) -> (Option<String>, Vec<ListId>) {
    let name = fields.optional("name", line(NAME));
    (name, fields.set("lists", LISTS, "must have at most 50 lists", id(UNKNOWN_LIST)))
}

fn user_id(text: &str) -> Result<String, Refusal> {
    let plain = (1..=USER_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if plain { Ok(text.to_owned()) } else { Err("must be a user id such as IT.13491208655302741918") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields::testing::names;
    use super::*;

    #[test]
    fn a_contact_is_reached_by_a_phone_or_a_user_id() {
        let list = ListId::from_ulid(ulid::Ulid(1));
        let contact = NewContactInput::parse(json!({"phone": "+393331234567", "name": " Zoë ", "lists": [list]})).unwrap();
        assert_eq!((contact.name.as_deref(), contact.lists, contact.user_id), (Some("Zoë"), vec![list.clone()], None));
        assert!(NewContactInput::parse(json!({"user_id": "IT.1"})).is_ok());
        for (body, named) in [
            (json!({}), vec!["phone"]),
            (json!({"phone": "333"}), vec!["phone"]),
            (json!({"user_id": "a b"}), vec!["user_id"]),
            (json!({"user_id": "I".repeat(132)}), vec!["user_id"]),
            (json!({"user_id": "IT.1", "lists": ["x"], "name": "a\nb", "colour": 1}), vec!["name", "lists[0]", "colour"]),
            (json!({"user_id": "IT.1", "lists": [list, list]}), vec!["lists[1]"]),
        ] {
            assert_eq!(names(NewContactInput::parse(body)), named);
        }
    }

    #[test]
    fn the_addresses_of_a_contact_can_not_change() {
        let shown = json!({"id": "con_1", "phones": ["+1"], "user_ids": [], "version": 3});
        assert!(ContactInput::parse(json!({"name": "Zoë", "phones": ["+1"], "version": 3}), &shown).is_ok());
        assert_eq!(names(ContactInput::parse(json!({"phones": ["+2"]}), &shown)), ["phones"]);
    }
}
