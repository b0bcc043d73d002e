//! A row as a person: its cells are checked, each error named with its column.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::List;
use domain::country::Country;
use domain::details::{self, Details, MOST_BYTES, Wrong};
use domain::ids::{ContactFieldId, ListId};
use domain::values::{Address, E164};

use super::phone::phone;
use super::reason::Reason;

/// The longest user id (BSUID): a country code, a dot and 128 characters.
const USER_ID: usize = 131;

/// The longest display name, in characters.
const NAME: usize = 200;

/// What a row says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Person {
    pub(crate) phone: Option<E164>,
    pub(crate) user_id: Option<Address>,
    pub(crate) name: Option<String>,
    pub(crate) details: Details,
    pub(crate) lists: BTreeSet<ListId>,
}

/// A cell that was refused: the column's meaning and the reason.
pub(crate) type Refused = (String, Reason);

/// What rows are read with.
pub(crate) struct Reading {
    country: Option<Country>,
    /// The lists by their names in lower case.
    lists: BTreeMap<String, ListId>,
}

impl Reading {
    /// Reads rows with the numbers of a country, by its two letters.
    ///
    /// # Errors
    /// There is no such country.
    pub(crate) fn new(country: Option<&str>, lists: impl IntoIterator<Item = List>) -> Result<Self, String> {
        let named = |letters| Country::named(letters).ok_or_else(|| format!("country: {letters} is no country."));
        let country = country.map(named).transpose()?;
        Ok(Self { country, lists: lists.into_iter().map(|list| (list.name.to_lowercase(), list.id)).collect() })
    }

    /// The person of a row.
    ///
    /// # Errors
    /// Cells were refused.
    pub(crate) fn person(&self, cells: &[(&str, String)]) -> Result<Person, Vec<Refused>> {
        let mut person = Person { phone: None, user_id: None, name: None, details: Details::default(), lists: BTreeSet::new() };
        let mut refused: Vec<Refused> = Vec::new();
        for (what, cell) in cells {
            let read = match *what {
                // An export writes all numbers of a contact into one cell.
                "phone" => phone(cell.split(';').next().unwrap_or_default(), self.country).map(|phone| person.phone = Some(phone)),
                "user_id" => user_id(cell).map(|id| person.user_id = Some(id)),
                "name" if cell.chars().count() > NAME => Err(Reason::Detail(Wrong::TooLong)),
                "name" => details::value(cell).map_err(Reason::Detail).map(|name| person.name = Some(name)),
                "first_name" => details::name(cell).map_err(Reason::Detail).map(|name| person.details.first_name = Some(name)),
                "last_name" => details::name(cell).map_err(Reason::Detail).map(|name| person.details.last_name = Some(name)),
                "company" => details::name(cell).map_err(Reason::Detail).map(|name| person.details.company = Some(name)),
                "email" => details::email(cell).map_err(Reason::Detail).map(|email| person.details.email = Some(email)),
                "lists" => self.lists_of(cell).map(|lists| person.lists = lists),
                field => match field.strip_prefix("fields.").and_then(|id| id.parse::<ContactFieldId>().ok()) {
                    Some(id) => details::value(cell).map_err(Reason::Detail).map(|value| drop(person.details.fields.insert(id, value))),
                    None => Ok(()),
                },
            };
            if let Err(reason) = read {
                refused.push(((*what).to_owned(), reason));
            }
        }
        let named = |what: &str| refused.iter().any(|(refused, _)| refused == what);
        if person.phone.is_none() && person.user_id.is_none() && !named("phone") && !named("user_id") {
            refused.push(("phone".to_owned(), Reason::NoAddress));
        }
        if person.details.size() > MOST_BYTES {
            refused.push(("fields".to_owned(), Reason::TooMuch));
        }
        if refused.is_empty() { Ok(person) } else { Err(refused) }
    }

    fn lists_of(&self, cell: &str) -> Result<BTreeSet<ListId>, Reason> {
        let names = cell.split(';').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| self.lists.get(&name.to_lowercase()).cloned().ok_or(Reason::NoSuchList)).collect()
    }
}

fn user_id(text: &str) -> Result<Address, Reason> {
    let plain = (1..=USER_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if plain { Ok(Address::Bsuid(text.to_owned())) } else { Err(Reason::NotAUserId) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    fn reading(country: Option<&str>) -> Reading {
        let list = List { id: ListId::from_ulid(Ulid(1)), name: "Clients".to_owned() };
        Reading::new(country, [list]).unwrap()
    }

    #[test]
    fn each_wrong_cell_is_named() {
        let field = ContactFieldId::from_ulid(Ulid(1));
        let at = format!("fields.{field}");
        let cells = [("phone", "+393331234567"), ("first_name", "Zoë"), ("lists", "clients; "), (at.as_str(), "gold")];
        let person = reading(None).person(&cells.map(|(what, cell)| (what, cell.to_owned()))).unwrap();
        assert_eq!((person.lists.len(), person.details.fields[&field].as_str()), (1, "gold"));
        let cells = [("phone", "1"), ("user_id", "a b"), ("email", "zoe"), ("lists", "Nobody"), ("company", "a\nb")];
        let refused = reading(None).person(&cells.map(|(what, cell)| (what, cell.to_owned()))).unwrap_err();
        assert_eq!(refused.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(), ["phone", "user_id", "email", "lists", "company"]);
        let several = reading(None).person(&[("phone", "+393331234567; +393331234568".to_owned())]).unwrap();
        assert_eq!(several.phone.unwrap().as_str(), "+393331234567");
        assert!(Reading::new(Some("XX"), []).is_err());
        let nobody = reading(None).person(&[("name", "Zoë".to_owned())]).unwrap_err();
        assert_eq!(nobody, [("phone".to_owned(), Reason::NoAddress)]);
    }
}
