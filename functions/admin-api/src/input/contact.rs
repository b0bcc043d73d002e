//! Contacts: customers.

use std::collections::BTreeMap;

use domain::details::{self, Details, MOST_BYTES, Wrong};
use domain::ids::{AccountId, ContactFieldId, ContactId, ListId};
use domain::values::{Address, E164};
use serde_json::Value;
use utoipa::ToSchema;

use super::NAME;
use super::fields::{Errors, Fields, Refusal, UNKNOWN_LIST, boolean, id, line, parsed};

pub(crate) const UNKNOWN_FIELD: &str = "there is no field with this id";
const OF_CONTACT: &str = "must be the id of a contact";

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
    /// An account of the business that issued `user_id`. Required with it if there are accounts of several businesses.
    pub(crate) account: Option<AccountId>,
    /// The customer's name. If it is absent, first and last name are it.
    #[schema(max_length = 200)]
    pub(crate) name: Option<String>,
    /// The ids of the contact lists that include the customer.
    #[schema(required = false, max_items = 50)]
    pub(crate) lists: Vec<ListId>,
    /// The first name.
    #[schema(max_length = 100)]
    pub(crate) first_name: Option<String>,
    /// The last name.
    #[schema(max_length = 100)]
    pub(crate) last_name: Option<String>,
    /// The e-mail address.
    #[schema(max_length = 254, example = "zoe@example.com")]
    pub(crate) email: Option<String>,
    /// The company.
    #[schema(max_length = 100)]
    pub(crate) company: Option<String>,
    /// The values of defined fields (`GET /contact-fields`) by their ids: 1 to 500 characters each. A value of `null`
    /// is none. All details of a contact have at most 2,048 bytes.
    #[schema(required = false)]
    pub(crate) fields: BTreeMap<ContactFieldId, String>,
    /// Whether the customer is blocked from the beginning.
    #[schema(required = false)]
    pub(crate) blocked: bool,
}

/// The contact to link with.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct LinkInput {
    /// The other contact's id.
    pub(crate) contact: ContactId,
}

/// What to unlink from a contact.
#[derive(PartialEq)]
pub(crate) enum UnlinkInput {
    /// Another contact.
    Contact(ContactId),
    /// One of the contact's addresses.
    Address(Address),
}

/// What to unlink from a contact. Give one of the three.
#[derive(ToSchema)]
#[schema(as = UnlinkInput)]
#[allow(dead_code, reason = "only described")]
struct UnlinkSchema {
    /// Another contact's id.
    contact: Option<ContactId>,
    /// One of the contact's phone numbers (E.164), which gets a contact of its own.
    phone: Option<String>,
    /// One of the contact's provider ids (BSUID), which gets a contact of its own.
    user_id: Option<String>,
}

impl utoipa::PartialSchema for UnlinkInput {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        UnlinkSchema::schema()
    }
}

impl ToSchema for UnlinkInput {
    fn name() -> std::borrow::Cow<'static, str> {
        "UnlinkInput".into()
    }
}

/// The fields of a contact that can change.
#[derive(PartialEq, ToSchema)]
pub(crate) struct ContactInput {
    /// The customer's name. If it is absent, first and last name are it.
    #[schema(max_length = 200)]
    pub(crate) name: Option<String>,
    /// The ids of the contact lists that include the customer.
    #[schema(required = false, max_items = 50)]
    pub(crate) lists: Vec<ListId>,
    /// The first name.
    #[schema(max_length = 100)]
    pub(crate) first_name: Option<String>,
    /// The last name.
    #[schema(max_length = 100)]
    pub(crate) last_name: Option<String>,
    /// The e-mail address.
    #[schema(max_length = 254, example = "zoe@example.com")]
    pub(crate) email: Option<String>,
    /// The company.
    #[schema(max_length = 100)]
    pub(crate) company: Option<String>,
    /// The values of defined fields (`GET /contact-fields`) by their ids: 1 to 500 characters each. A value of `null`
    /// is none. All details of a contact have at most 2,048 bytes.
    #[schema(required = false)]
    pub(crate) fields: BTreeMap<ContactFieldId, String>,
    /// Whether the customer is blocked: new messages are kept in interactions that are closed as `Blocked`, ring
    /// nowhere and get no reply, and nobody starts a conversation. What is open goes on.
    #[schema(required = false)]
    pub(crate) blocked: bool,
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
            let account = fields.optional("account", id("must be the id of an account"));
            let (name, lists) = named(&mut fields);
            let Details { first_name, last_name, email, company, fields: defined } = details(&mut fields);
            let blocked = fields.optional("blocked", boolean).unwrap_or_default();
            fields.finish_with(&["id", "version"], None);
            Self { phone, user_id, account, name, lists, first_name, last_name, email, company, fields: defined, blocked }
        });
        errors.check()?;
        input.ok_or_else(Errors::default)
    }
}

impl LinkInput {
    /// Parses the body.
    pub(crate) fn parse(body: Value) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).map(|mut fields| {
            let contact = fields.required("contact", id(OF_CONTACT));
            fields.finish();
            contact
        });
        errors.check()?;
        input.flatten().map(|contact| Self { contact }).ok_or_else(Errors::default)
    }
}

impl UnlinkInput {
    /// Parses the body.
    pub(crate) fn parse(body: Value) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).map(|mut fields| {
            let given = ["contact", "phone", "user_id"].into_iter().filter(|field| fields.has(field)).count();
            if given != 1 {
                fields.refuse("contact", "is required, or phone, or user_id, and only one of them");
            }
            let contact = fields.optional("contact", id(OF_CONTACT)).map(Self::Contact);
            let phone = fields.optional("phone", parsed(|text| E164::parse(text).map_err(|invalid| invalid.0)));
            let user_id = fields.optional("user_id", parsed(user_id));
            fields.finish();
            contact.or(phone.map(Address::Phone).or(user_id.map(Address::Bsuid)).map(Self::Address))
        });
        errors.check()?;
        input.flatten().ok_or_else(Errors::default)
    }
}

impl ContactInput {
    /// Parses the body of a PUT on the document `shown`.
    pub(crate) fn parse(body: Value, shown: &Value) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).map(|mut fields| {
            let (name, lists) = named(&mut fields);
            let Details { first_name, last_name, email, company, fields: defined } = details(&mut fields);
            let blocked = fields.optional("blocked", boolean).unwrap_or_default();
            let set_here = ["id", "username", "phones", "user_ids", "refuses_marketing", "created_at", "version"];
            fields.finish_with(&set_here, Some(shown));
            Self { name, lists, first_name, last_name, email, company, fields: defined, blocked }
        });
        errors.check()?;
        input.ok_or_else(Errors::default)
    }
}

fn named(fields: &mut Fields<'_>) -> (Option<String>, Vec<ListId>) {
    let name = fields.optional("name", line(NAME));
    (name, fields.set("lists", LISTS, "must have at most 50 lists", id(UNKNOWN_LIST)))
}

/// What is noted of the customer.
fn details(fields: &mut Fields<'_>) -> Details {
    let words = |parse: fn(&str) -> Result<String, Wrong>| parsed(move |text| parse(text).map_err(Wrong::words));
    let mut read = Details {
        first_name: fields.optional("first_name", words(details::name)),
        last_name: fields.optional("last_name", words(details::name)),
        email: fields.optional("email", words(details::email)),
        company: fields.optional("company", words(details::name)),
        ..Details::default()
    };
    if let Some(mut defined) = fields.object("fields") {
        for name in defined.names() {
            match name.parse::<ContactFieldId>() {
                Ok(id) => read.fields.extend(defined.optional(&name, words(details::value)).map(|value| (id, value))),
                Err(_) => defined.unknown(&name, UNKNOWN_FIELD),
            }
        }
        defined.finish();
    }
    if read.size() > MOST_BYTES {
        fields.refuse("fields", "and the other details have more than 2,048 bytes together");
    }
    read
}

impl NewContactInput {
    /// What is noted of the customer.
    pub(crate) fn details(&self) -> Details {
        let Self { first_name, last_name, email, company, fields, .. } = self;
        Details {
            first_name: first_name.clone(),
            last_name: last_name.clone(),
            email: email.clone(),
            company: company.clone(),
            fields: fields.clone(),
        }
    }
}

impl ContactInput {
    /// The same.
    pub(crate) fn details(&self) -> Details {
        let Self { first_name, last_name, email, company, fields, .. } = self;
        Details {
            first_name: first_name.clone(),
            last_name: last_name.clone(),
            email: email.clone(),
            company: company.clone(),
            fields: fields.clone(),
        }
    }
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
    fn details_are_checked_one_by_one_and_their_place_is_named() {
        let field = ContactFieldId::from_ulid(ulid::Ulid(1));
        let body = json!({"phone": "+393331234567", "first_name": " Zoë ", "email": "z@b.it", "fields": {field.as_str(): "gold"}, "blocked": true});
        let input = NewContactInput::parse(body).unwrap();
        let details = input.details();
        assert!(input.blocked);
        assert_eq!((details.first_name.as_deref(), details.email.as_deref()), (Some("Zoë"), Some("z@b.it")));
        assert_eq!(details.fields[&field], "gold");
        let none = json!({"first_name": null, "fields": {field.as_str(): null}});
        assert!(ContactInput::parse(none, &json!({})).unwrap().details().is_empty());
        let (at, long) = (format!("fields.{field}"), "x".repeat(501));
        for (body, named) in [
            (
                json!({"first_name": "a\nb", "last_name": "", "email": "x", "company": 7, "blocked": "yes"}),
                vec!["first_name", "last_name", "email", "company", "blocked"],
            ),
            (json!({"fields": {field.as_str(): long, "colour": "red"}}), vec![at.as_str(), "fields.colour"]),
            (json!({"fields": []}), vec!["fields"]),
        ] {
            assert_eq!(names(ContactInput::parse(body, &json!({}))), named);
        }
        let many: serde_json::Map<String, Value> =
            (1..=5).map(|number| (ContactFieldId::from_ulid(ulid::Ulid(number)).to_string(), json!("é".repeat(210)))).collect();
        assert_eq!(names(ContactInput::parse(json!({"fields": many}), &json!({}))), ["fields"]);
    }

    #[test]
    fn the_addresses_of_a_contact_can_not_change() {
        let shown = json!({"id": "con_1", "phones": ["+1"], "user_ids": [], "version": 3});
        assert!(ContactInput::parse(json!({"name": "Zoë", "phones": ["+1"], "version": 3}), &shown).is_ok());
        assert_eq!(names(ContactInput::parse(json!({"phones": ["+2"]}), &shown)), ["phones"]);
    }
}
