//! The index of contacts: by the words of their names, by the endings of their numbers, and by their lists.
//!
//! Entries are derived from the contact alone. An entry only leads to a contact: whoever follows it reads the contact
//! and asks [`Wanted::shows`], so an entry that is too old shows nothing wrong.

use std::collections::BTreeSet;

use crate::contact::Contact;
use crate::ids::{ContactId, ListId};
use crate::search::fold;
use crate::values::{Address, Invalid};

/// The most words of a contact in the index. A name of more words is found by the first ones.
const MOST_WORDS: usize = 24;

/// The most letters of a word in the index. What is longer is no word that somebody types to its end.
const LONGEST_WORD: usize = 40;

/// The longest text of a search, in characters: a name and more.
const LONGEST_SEARCH: usize = 100;

/// The least digits of a number's ending. Three digits choose the partition of the index.
pub const LEAST_DIGITS: usize = 3;

/// The shards of a list. An import adds many contacts to one list at once, and a partition takes 1,000 writes a
/// second.
pub const SHARDS: u32 = 16;

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A word of the name, folded.
    Word(String),
    /// A phone number's digits, the last one first.
    Number(String),
    /// On a list; `None`: among all contacts.
    Listed(Option<ListId>),
}

/// Where entries of words lie together: the first two letters of the word. One letter of other scripts than Latin is
/// enough: they have more letters, and some write a whole name in two.
pub fn shelf_of(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next();
    let second = letters.next().filter(|_| first.is_some_and(|first| first.is_ascii()));
    first.into_iter().chain(second).collect()
}

/// The shard of a contact on its lists.
pub fn shard_of(contact: &ContactId) -> u32 {
    // The last characters of an id are random.
    contact.as_str().bytes().next_back().map_or(0, u32::from) % SHARDS
}

/// The words of a text, folded, each with at most 40 letters.
fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = fold(text);
    let words: Vec<String> = folded
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LONGEST_WORD).collect())
        .collect();
    words.into_iter()
}

/// The words by which a contact is found: those of its name, then of what people noted.
fn words_of(contact: &Contact) -> BTreeSet<String> {
    let details = &contact.details;
    let name = [&contact.name, &contact.username].into_iter().flatten().map(|name| name.0.as_str());
    let noted = [&details.first_name, &details.last_name, &details.company, &details.email].into_iter().flatten().map(String::as_str);
    let mut found = BTreeSet::new();
    for word in name.chain(noted).flat_map(words) {
        if found.len() == MOST_WORDS {
            break;
        }
        found.insert(word);
    }
    found
}

/// The digits of the contact's numbers, the last one first.
fn numbers_of(contact: &Contact) -> impl Iterator<Item = String> {
    contact.addresses.iter().filter_map(Address::phone).map(|phone| reversed(phone.as_str()))
}

fn reversed(number: &str) -> String {
    number.chars().rev().filter(char::is_ascii_digit).collect()
}

/// The entries of a contact. One that was erased has none.
pub fn entries(contact: &Contact) -> BTreeSet<Entry> {
    if contact.erased.is_some() {
        return BTreeSet::new();
    }
    let words = words_of(contact).into_iter().map(Entry::Word);
    let numbers = numbers_of(contact).map(Entry::Number);
    let lists = contact.lists.iter().cloned().map(Some).chain([None]).map(Entry::Listed);
    words.chain(numbers).chain(lists).collect()
}

/// How the index follows from one version of a contact to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The entries that are written.
    pub come: Vec<(Entry, ContactId)>,
    /// The entries that are deleted.
    pub gone: Vec<(Entry, ContactId)>,
}

impl Step {
    /// The step from `before` to `after`, which are `None` where the contact did not exist yet, or does not any more.
    /// Twice changes nothing, as long as the versions of a contact come in order, a repetition together with all that
    /// came after it.
    pub fn between(before: Option<&Contact>, after: Option<&Contact>) -> Self {
        let of = |contact: Option<&Contact>| -> Vec<(Entry, ContactId)> {
            contact.map_or_else(Vec::new, |contact| entries(contact).into_iter().map(|entry| (entry, contact.id.clone())).collect())
        };
        let (mut old, mut new) = (of(before), of(after));
        let kept: BTreeSet<_> = old.iter().filter(|old| new.contains(old)).cloned().collect();
        old.retain(|old| !kept.contains(old));
        new.retain(|new| !kept.contains(new));
        Self { come: new, gone: old }
    }
}

/// What somebody looks for among the contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Contacts in whose names each of these words begins a word. The longest one is first, and leads through the
    /// index.
    Name(Vec<String>),
    /// Contacts with a number that ends with these digits, the last one first.
    Number(String),
    /// Contacts on a list, or all.
    Listed(Option<ListId>),
}

impl Wanted {
    /// Reads what somebody typed: a text of digits, blanks and signs that numbers are written with is a number or its
    /// ending, anything else are beginnings of words.
    ///
    /// # Errors
    /// It is too long, or so short that it would lead to everybody.
    pub fn typed(text: &str) -> Result<Self, Invalid> {
        if text.chars().count() > LONGEST_SEARCH {
            return Err(Invalid("must have at most 100 characters"));
        }
        // Full-width digits are digits too.
        let folded = fold(text);
        if folded.chars().any(|letter| letter.is_ascii_digit())
            && folded.chars().all(|letter| letter.is_ascii_digit() || "+-.()/ ".contains(letter))
        {
            let number = reversed(&folded);
            return if number.len() < LEAST_DIGITS {
                Err(Invalid("must have three digits of a number, or more"))
            } else {
                Ok(Self::Number(number))
            };
        }
        let mut words: Vec<String> = words(text).collect();
        words.sort_by(|one, other| other.chars().count().cmp(&one.chars().count()).then_with(|| one.cmp(other)));
        words.dedup();
        match words.first() {
            None => Err(Invalid("must have letters of a name, or digits of a number")),
            Some(longest) if longest.is_ascii() && longest.len() < 2 => Err(Invalid("must have two letters of a name, or more")),
            Some(_) => Ok(Self::Name(words)),
        }
    }

    /// Whether a page of this search may begin behind this place: a sort key of the index.
    pub fn has_place(&self, place: &str) -> bool {
        match self {
            Self::Name(words) => words.first().is_some_and(|longest| place.starts_with(longest.as_str())),
            Self::Number(ending) => place.starts_with(ending.as_str()),
            Self::Listed(_) => place.parse::<ContactId>().is_ok(),
        }
    }

    /// Whether a contact belongs here under the entry that led to it. A contact with several entries that fit is shown
    /// under the first of them only.
    pub fn shows(&self, contact: &Contact, under: &Entry) -> bool {
        if contact.erased.is_some() {
            return false;
        }
        match self {
            Self::Name(wanted) => {
                let known = words_of(contact);
                let begins = |beginning: &String| known.iter().find(|word| word.starts_with(beginning.as_str()));
                wanted.iter().all(|beginning| begins(beginning).is_some())
                    && wanted.first().and_then(begins).is_some_and(|first| *under == Entry::Word(first.clone()))
            }
            Self::Number(ending) => {
                let first = numbers_of(contact).filter(|number| number.starts_with(ending.as_str())).min();
                first.is_some_and(|first| *under == Entry::Number(first))
            }
            Self::Listed(list) => list.as_ref().is_none_or(|list| contact.lists.contains(list)),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::contact::Place;
    use crate::details::Details;
    use crate::ids::JobId;
    use crate::inbound::ProfileName;
    use crate::values::E164;

    fn contact(name: &str, numbers: &[&str]) -> Contact {
        let places = numbers.iter().map(|number| Place::before(&Address::Phone(E164::parse(number).unwrap())));
        let name = Some(ProfileName(name.to_owned()));
        Contact { name, ..Contact::known_by(ContactId::from_ulid(Ulid(7)), Timestamp::UNIX_EPOCH, places) }
    }

    /// How often a contact is shown to whoever looks for `wanted` and follows each of its entries that the index
    /// leads to.
    fn shown(contact: &Contact, wanted: &Wanted) -> usize {
        let leads = |entry: &Entry| match (wanted, entry) {
            (Wanted::Name(words), Entry::Word(word)) => shelf_of(word) == shelf_of(&words[0]) && word.starts_with(&words[0]),
            (Wanted::Number(ending), Entry::Number(number)) => number.starts_with(ending),
            (Wanted::Listed(list), Entry::Listed(entry)) => list == entry,
            _ => false,
        };
        entries(contact).iter().filter(|entry| leads(entry) && wanted.shows(contact, entry)).count()
    }

    #[test]
    fn a_name_is_found_by_the_beginnings_of_its_words_without_case_and_accents() {
        let found = contact("Zoë  D'Ångelo-Straße", &[]);
        for text in ["zoe", "ZO", "angelo zo", "strasse", "d'angelo", "strass ZOË ang"] {
            assert_eq!(shown(&found, &Wanted::typed(text).unwrap()), 1, "{text}");
        }
        for text in ["oe", "zoe rossi", "zoex"] {
            assert_eq!(shown(&found, &Wanted::typed(text).unwrap()), 0, "{text}");
        }
    }

    #[test]
    fn what_people_noted_leads_to_a_contact_too() {
        let mut found = contact("Zoë", &[]);
        found.details = Details {
            last_name: Some("Bianchi".into()),
            company: Some("Acme S.p.A.".into()),
            email: Some("z.bianchi@acme.example".into()),
            ..Details::default()
        };
        for text in ["bianchi", "acme", "z.bianchi@acme.example"] {
            assert_eq!(shown(&found, &Wanted::typed(text).unwrap()), 1, "{text}");
        }
    }

    #[test]
    fn other_scripts_are_found_by_one_letter() {
        assert_eq!(shown(&contact("李小龙", &[]), &Wanted::typed("李").unwrap()), 1);
        assert_eq!(shown(&contact("Ольга Иванова", &[]), &Wanted::typed("ольга и").unwrap()), 1);
    }

    #[test]
    fn a_number_is_found_whole_and_by_its_ending_however_it_is_written() {
        let found = contact("Zoë", &["+393331234567", "+393339994567"]);
        for text in ["+39 333 123.4567", "4567", "(333) 1234567", "+393331234567", "４５６７"] {
            assert_eq!(shown(&found, &Wanted::typed(text).unwrap()), 1, "{text}");
        }
        assert_eq!(shown(&found, &Wanted::typed("4568").unwrap()), 0);
    }

    #[test]
    fn a_text_that_leads_to_everybody_or_nobody_is_refused() {
        for text in ["", " ", "a", "a b", "12", "+", "!?", &"x".repeat(101)] {
            assert!(Wanted::typed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn who_was_erased_is_on_no_entry_and_not_shown_by_one_that_is_left() {
        let before = contact("Zoë", &["+393331234567"]);
        let after = before.erased_by(&JobId::from_ulid(Ulid(1)));
        assert_eq!(entries(&after), BTreeSet::new());
        for entry in entries(&before) {
            let wanted = match &entry {
                Entry::Word(word) => Wanted::Name(vec![word.clone()]),
                Entry::Number(number) => Wanted::Number(number.clone()),
                Entry::Listed(list) => Wanted::Listed(list.clone()),
            };
            assert!(wanted.shows(&before, &entry) && !wanted.shows(&after, &entry), "{entry:?}");
        }
    }

    proptest! {
        #[test]
        fn every_beginning_of_every_word_leads_to_the_contact_once(name in "\\PC{0,60}", at in 0usize..10, length in 2usize..12) {
            let found = contact(&name, &[]);
            let words: Vec<String> = words_of(&found).into_iter().collect();
            prop_assume!(!words.is_empty());
            let beginning: String = words[at % words.len()].chars().take(length).collect();
            if let Ok(wanted @ Wanted::Name(_)) = Wanted::typed(&beginning) {
                prop_assert_eq!(shown(&found, &wanted), 1);
            }
        }

        #[test]
        fn every_ending_of_a_number_leads_to_the_contact_once(number in "[1-9][0-9]{7,13}", digits in 3usize..15) {
            let found = contact("x", &[&format!("+{number}")]);
            let ending = &number[number.len().saturating_sub(digits)..];
            prop_assert_eq!(shown(&found, &Wanted::typed(ending).unwrap()), 1);
        }

        #[test]
        fn any_text_is_read_or_refused_and_a_word_is_never_longer_than_its_limit(text in "\\PC*") {
            if let Ok(Wanted::Name(words)) = Wanted::typed(&text) {
                prop_assert!(words.iter().all(|word| word.chars().count() <= LONGEST_WORD && !word.is_empty()));
            }
        }
    }
}
