//! Why a row was refused: a code for programs beside the words for people.

use std::fmt;

use domain::details::Wrong;

/// Why a cell, or the row as its phone number stands for it, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is no number, or none of the import's country.
    NotAPhone,
    /// A number as people write it at home, and nobody said where that is.
    NoCountry,
    NotAUserId,
    /// Neither a number nor a user id.
    NoAddress,
    /// A name, an address, a value that a contact can't have.
    Detail(Wrong),
    NoSuchList,
    /// All details together.
    TooMuch,
    /// An earlier row, counted as a spreadsheet does, has the same address.
    Repeats(usize),
    TwoContacts,
    Known,
    Erased,
}

impl Reason {
    /// Stable: a client says it in its own words.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::NotAPhone => "not-a-phone",
            Self::NoCountry => "no-country",
            Self::NotAUserId => "not-a-user-id",
            Self::NoAddress => "required",
            Self::Detail(Wrong::Empty) => "empty",
            Self::Detail(Wrong::SeveralLines) => "several-lines",
            Self::Detail(Wrong::TooLong) => "too-long",
            Self::Detail(Wrong::NotAnEmail) => "not-an-email",
            Self::NoSuchList => "no-such-list",
            Self::TooMuch => "too-much",
            Self::Repeats(_) => "repeats",
            Self::TwoContacts => "two-contacts",
            Self::Known => "known",
            Self::Erased => "erased",
        }
    }
}

/// The words stand behind the name of the column.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPhone => f.write_str("is not a phone number"),
            Self::NoCountry => f.write_str("has no +, and the import names no country"),
            Self::NotAUserId => f.write_str("must be a user id such as IT.13491208655302741918"),
            Self::NoAddress => f.write_str("is required, or a user id"),
            Self::Detail(wrong) => f.write_str(wrong.words()),
            Self::NoSuchList => f.write_str("names a list that does not exist"),
            Self::TooMuch => f.write_str("and the other details have more than 2,048 bytes together"),
            Self::Repeats(row) => write!(f, "repeats row {row}"),
            Self::TwoContacts => f.write_str("and the user id belong to two contacts"),
            Self::Known => f.write_str("or the user id belongs to a contact already"),
            Self::Erased => f.write_str("or the user id is of a customer who was erased since the import began"),
        }
    }
}
