//! Advanced search among the interactions that the caller may see.

use std::time::{Duration, Instant};

use api::{Body, Errors, Reader};
use axum::Json;
use axum::extract::State;
use domain::ids::AccountId;
use domain::search::{Field, Kind, Operator, Search, SearchInput};
use jiff::Timestamp;
use search::{ListEntry, SearchQuery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Desk, Failure};

/// How long a call looks: a person sees that it gets on, and it ends far before the API's 30 seconds.
const LOOKS: Duration = Duration::from_secs(5);

/// A screen or two.
const PAGE: usize = 50;

/// The most interactions of an answer, as of a list.
const LONGEST_PAGE: usize = 100;

/// A call of a search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchCall {
    /// The search.
    search: SearchInput,
    /// The `next` of the call before, with the same search.
    after: Option<String>,
    /// How many interactions the answer may have: 1 to 100; the default is 50.
    limit: Option<usize>,
}

/// What a call of a search found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// The interactions that match, newest first.
    items: Vec<ListEntry>,
    /// Send this as `after` to go on. Absent: all was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many interactions this call looked at.
    scanned: usize,
    /// What was opened at this time or later was looked at. Absent: all was.
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<Timestamp>,
}

/// The fields of a search, and its limits.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchFields {
    /// The fields.
    items: Vec<SearchField>,
    /// The most conditions of a search.
    most_conditions: usize,
    /// The longest value, in characters.
    longest_value: usize,
}

/// A field of a search.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchField {
    /// Its name in a condition. `variables.` is followed by a variable's name.
    name: String,
    /// What it holds.
    kind: Kind,
    /// What may be asked of it.
    operators: Vec<Operator>,
    /// The words that it may hold, if they are a few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
}

/// Lists the fields of a search with their operators.
#[utoipa::path(get, path = "/search/fields", operation_id = "search_fields", tag = "search", responses((status = OK, body = SearchFields)))]
pub async fn fields(_caller: Reader) -> Json<SearchFields> {
    let field = |name: &str, field: &Field| SearchField {
        name: name.to_owned(),
        kind: field.kind(),
        operators: field.operators().to_vec(),
        choices: field.choices().iter().map(|word| (*word).to_owned()).collect(),
    };
    let mut items: Vec<SearchField> = Field::NAMED.iter().map(|(name, known)| field(name, known)).collect();
    let text = SearchField { name: Field::VARIABLES.to_owned(), ..field("", &Field::Disposition) };
    items.push(text);
    Json(SearchFields { items, most_conditions: Search::MOST_CONDITIONS, longest_value: Search::LONGEST_VALUE })
}

/// Searches all interactions that the caller may see, archived ones too.
///
/// A call looks for 5 seconds at most, newest first, and answers what it has found. Ask on with `next` until there is
/// none. Texts are compared without regard to case and accents. A condition with `disabled` is kept and not asked.
#[utoipa::path(
    post, path = "/search", operation_id = "search", tag = "search", request_body = SearchCall,
    responses((status = OK, body = SearchAnswer))
)]
pub async fn search(State(desk): State<Desk>, caller: Reader, Body(call): Body<SearchCall>) -> Result<Json<SearchAnswer>, Failure> {
    let began = Instant::now();
    let query = call.check()?;
    let deleted = desk.deleted_accounts(&caller).await?;
    let known = desk.accounts_of(&caller, &deleted).await?;
    let asked: Vec<AccountId> = known.keys().cloned().collect();
    let names = search::names(desk.directory(), &deleted).await?;
    let hits = search::find(desk.store(), &asked, &names, &query, || began.elapsed() >= LOOKS).await?;
    let (next, through) = (hits.next.as_ref().map(|next| query.next(next)), hits.next.as_ref().map(|next| next.opened_at()));
    let items = search::entries(desk.store(), hits.interactions, |account| known.get(account) == Some(&true)).await?;
    Ok(Json(SearchAnswer { items, next, scanned: hits.scanned, through }))
}

impl SearchCall {
    fn check(self) -> Result<SearchQuery, Errors> {
        let mut errors = Errors::default();
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            errors.add("limit", format!("must be a whole number from 1 to {LONGEST_PAGE}"));
        }
        let search = match checked(&self.search) {
            Ok(search) => search,
            Err(refused) => {
                errors.extend(refused);
                return Err(errors);
            }
        };
        let after = self.after.as_deref().map(|after| SearchQuery::place(&search, after));
        if after == Some(None) {
            errors.add("after", "must be the next of the call before, with the same search");
        }
        errors.check().map(|()| SearchQuery { search, after: after.flatten(), limit })
    }
}

/// Checks a search that a body has as `search`.
///
/// # Errors
/// All faults with their places.
pub fn checked(search: &SearchInput) -> Result<Search, Errors> {
    search.check().map_err(|faults| {
        let mut errors = Errors::default();
        faults.into_iter().for_each(|fault| errors.add(fault.place, fault.message));
        errors.within("search")
    })
}
