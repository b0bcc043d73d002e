//! What people on our side note of a contact: names, company, e-mail address, and the fields that administrators
//! define.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::ContactFieldId;

/// The most fields that administrators define: more than a screen shows.
pub const MOST_FIELDS: usize = 50;

/// The most bytes of all details of a contact. A contact is read with each first message of its customer.
pub const MOST_BYTES: usize = 2 * 1024;

/// The longest name, and the longest company, in characters.
const LINE: usize = 100;

/// The longest e-mail address (RFC 5321).
const EMAIL: usize = 254;

/// The longest value of a defined field, in characters.
const VALUE: usize = 500;

/// A field that administrators define.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactField {
    /// Ours.
    pub id: ContactFieldId,
    /// The name that people see, unique whatever the case.
    pub name: String,
}

/// What is noted of a contact. None of it ever reaches a log.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The values of the fields that administrators define.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<ContactFieldId, String>,
}

impl std::fmt::Debug for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Details(…)")
    }
}

impl Details {
    /// Whether nothing is noted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// First and last name together, as people are called.
    pub fn full_name(&self) -> Option<String> {
        let names: Vec<&str> = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }

    /// The bytes of all values.
    pub fn size(&self) -> usize {
        let own = [&self.first_name, &self.last_name, &self.email, &self.company].into_iter().flatten();
        own.chain(self.fields.values()).map(String::len).sum()
    }

    /// These details, with those of `newer` where there are none: two contacts become one customer.
    #[must_use]
    pub fn or(&self, newer: &Self) -> Self {
        let mut fields = newer.fields.clone();
        fields.extend(self.fields.clone());
        Self {
            first_name: self.first_name.clone().or_else(|| newer.first_name.clone()),
            last_name: self.last_name.clone().or_else(|| newer.last_name.clone()),
            email: self.email.clone().or_else(|| newer.email.clone()),
            company: self.company.clone().or_else(|| newer.company.clone()),
            fields,
        }
    }
}

/// Why a detail was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing but blanks.
    Empty,
    /// A line break or another control character.
    SeveralLines,
    /// More characters than fit.
    TooLong,
    /// No address of e-mail.
    NotAnEmail,
}

impl Wrong {
    /// In words, behind the name of the field.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Empty => "must not be empty",
            Self::SeveralLines => "must be one line, without control characters",
            Self::TooLong => "is too long",
            Self::NotAnEmail => "must be an e-mail address",
        }
    }
}

/// One line of at most `most` characters, its ends trimmed.
fn line(text: &str, most: usize) -> Result<String, Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Wrong::Empty);
    }
    // Unicode's own line and paragraph separators are not control characters.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Wrong::SeveralLines);
    }
    if text.chars().count() > most { Err(Wrong::TooLong) } else { Ok(text.to_owned()) }
}

/// A first name, last name or company: 1 to 100 characters on one line.
pub fn name(text: &str) -> Result<String, Wrong> {
    line(text, LINE)
}

/// A value of a defined field: 1 to 500 characters on one line.
pub fn value(text: &str) -> Result<String, Wrong> {
    line(text, VALUE)
}

/// An e-mail address: something before and after one `@`, and a dot behind it. Whether mail arrives there, only mail
/// can tell.
pub fn email(text: &str) -> Result<String, Wrong> {
    let text = line(text, EMAIL)?;
    let parts = text.split_once('@').filter(|(local, domain)| {
        let inner = domain.split('.').collect::<Vec<_>>();
        !local.is_empty() && inner.len() > 1 && inner.iter().all(|part| !part.is_empty()) && !domain.contains('@')
    });
    match parts {
        Some(_) if !text.contains(char::is_whitespace) => Ok(text),
        _ => Err(Wrong::NotAnEmail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn an_address_has_one_at_and_a_domain_with_a_dot() {
        for good in ["a@b.it", " zoë.rossi+shop@mail.example.com ", "x@1.2"] {
            assert_eq!(email(good), Ok(good.trim().to_owned()));
        }
        for bad in ["", "a", "@b.it", "a@", "a@b", "a@.it", "a@b.", "a@b@c.it", "a b@c.it", "a@b.it\n", "a@b..it"] {
            let refused = email(bad).is_err() || bad.ends_with('\n');
            assert!(refused, "{bad:?}");
        }
        assert!(email(&format!("a@{}.it", "x".repeat(250))).is_err());
    }

    #[test]
    fn details_fill_gaps_and_keep_what_is_there_and_show_nothing_in_a_log() {
        let field = |number| ContactFieldId::from_ulid(Ulid(number));
        let older = Details { first_name: Some("Zoë".into()), fields: [(field(1), "gold".to_owned())].into(), ..Details::default() };
        let newer = Details {
            first_name: Some("Zoe".into()),
            last_name: Some("Rossi".into()),
            fields: [(field(1), "tin".to_owned()), (field(2), "blue".to_owned())].into(),
            ..Details::default()
        };
        let both = older.or(&newer);
        assert_eq!((both.full_name().as_deref(), both.size()), (Some("Zoë Rossi"), 4 + 5 + 4 + 4));
        assert_eq!(both.fields, [(field(1), "gold".to_owned()), (field(2), "blue".to_owned())].into());
        assert!(Details::default().is_empty() && Details::default().full_name().is_none());
        assert_eq!(format!("{both:?}"), "Details(…)");
    }
}
