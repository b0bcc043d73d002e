//! The parameters of a list.

use api::{Errors, Parameters};
use domain::day::Day;
use domain::ids::AccountId;
use domain::interval::ZoneName;
use domain::row::{Cursor, Filter, Position, Span, State};
use domain::seek::Matching;
use domain::tag::Tag;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// A screen or two.
const PAGE: i32 = 50;

/// With its latest message an entry takes 2 KB, so a page stays far below the 6 MB of a Lambda's answer.
const LONGEST_PAGE: i32 = 100;

/// The parameters, for the APIs' descriptions.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListFilters {
    /// Opened on this day or later, or at this instant or later: `2026-03-29` or `2026-03-29T09:00:00Z`.
    pub from: Option<String>,
    /// Opened on this day or earlier, or before this instant.
    pub to: Option<String>,
    /// The time zone of `from` and `to`, such as `Europe/Rome`; UTC by default.
    pub zone: Option<String>,
    /// `open`, `closed` or `archived`.
    pub status: Option<String>,
    /// `false`: something arrived that the interaction's agent has not seen.
    pub read: Option<bool>,
    /// The id of an account.
    pub account: Option<String>,
    /// The id of the agent who has it, or had it when it closed.
    pub agent: Option<String>,
    /// The id of the queue through which the agent accepted; otherwise one in which it waits or waited.
    pub queue: Option<String>,
    /// A tag that it has. May be given several times: then it has all of them.
    pub tags: Option<Vec<String>>,
    /// The `next` value of the previous page, with the same filters.
    pub after: Option<String>,
    /// 1 to 100; the default is 50.
    pub limit: Option<u32>,
}

/// The filters of a list in a body, for what is done with all that it shows.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Filters)]
pub struct FiltersInput {
    /// Opened on this day or later, or at this instant or later: `2026-03-29` or `2026-03-29T09:00:00Z`.
    from: Option<String>,
    /// Opened on this day or earlier, or before this instant.
    to: Option<String>,
    /// The time zone of `from` and `to`, such as `Europe/Rome`; UTC by default.
    zone: Option<String>,
    /// `open`, `closed` or `archived`; without it, archived interactions are left out.
    status: Option<String>,
    /// `false`: something arrived that the interaction's agent has not seen.
    read: Option<bool>,
    /// The id of an account.
    account: Option<String>,
    /// The id of the agent who has it, or had it when it closed.
    agent: Option<String>,
    /// The id of the queue through which the agent accepted; otherwise one in which it waits or waited.
    queue: Option<String>,
    /// Tags that it has, all of them.
    tags: Vec<String>,
}

impl FiltersInput {
    /// Reads the filters, as the parameters of a list are read.
    ///
    /// # Errors
    /// All that are refused, by name.
    pub fn check(self) -> Result<ListQuery, Errors> {
        let Self { from, to, zone, status, read, account, agent, queue, tags } = self;
        let read = read.map(|read| read.to_string());
        let named = [
            ("from", from),
            ("to", to),
            ("zone", zone),
            ("status", status),
            ("read", read),
            ("account", account),
            ("agent", agent),
            ("queue", queue),
        ];
        let named = named.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let all = named.chain(tags.into_iter().map(|tag| ("tags", tag)));
        ListQuery::read(&all.map(|(name, text)| (name.to_owned(), text)).collect())
    }
}

/// A list that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// One account; `None` for all that the caller may see.
    pub account: Option<AccountId>,
    /// What must hold of an interaction.
    pub filter: Filter,
    /// When it was opened.
    pub span: Span,
    /// The place after which the page begins.
    pub after: Option<Position>,
    /// How many entries it may have.
    pub limit: usize,
}

impl ListQuery {
    /// Reads the parameters.
    ///
    /// # Errors
    /// All that are refused, by name.
    pub fn read(parameters: &Parameters) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let mut or = |errors_of: Errors| errors.extend(errors_of);
        let limit = parameters.limit(PAGE, LONGEST_PAGE).map_err(&mut or).unwrap_or(PAGE);
        let account = parameters.id("account").map_err(&mut or).ok().flatten();
        let agent = parameters.id("agent").map_err(&mut or).ok().flatten();
        let queue = parameters.id("queue").map_err(&mut or).ok().flatten();
        let zone = zone(parameters).map_err(&mut or).unwrap_or_default();
        let from = instant(parameters, "from", &zone, |day| day.from).map_err(&mut or).ok().flatten();
        let until = instant(parameters, "to", &zone, |day| day.until).map_err(&mut or).ok().flatten();
        let state = match parameters.get("status") {
            None => None,
            Some("open") => Some(State::Open),
            Some("closed") => Some(State::Closed),
            Some("archived") => Some(State::Archived),
            Some(_) => {
                or(Errors::one("status", "must be open, closed or archived"));
                None
            }
        };
        let unread = match parameters.get("read") {
            None => None,
            Some("true") => Some(false),
            Some("false") => Some(true),
            Some(_) => {
                or(Errors::one("read", "must be true or false"));
                None
            }
        };
        let mut tags = Vec::new();
        for text in parameters.all("tags") {
            match Tag::parse(text) {
                Ok(tag) => tags.push(tag),
                Err(invalid) => or(Errors::one("tags", invalid.to_string())),
            }
        }
        let (filter, span) = (Filter { state, unread, agent, queue, tags }, Span { from, until });
        let mut query = Self { account, filter, span, after: None, limit: usize::try_from(limit).unwrap_or_default() };
        query.after = match parameters.get("after").map(|after| Cursor::read(after, &query.name())) {
            None => None,
            Some(Some(after)) => Some(after),
            Some(None) => {
                or(Errors::one("after", "must be what the page before gave as next, with the same filters"));
                None
            }
        };
        errors.check().map(|()| query)
    }

    /// All that it shows, on whatever page.
    pub fn matching(self) -> Matching {
        Matching::List { account: self.account, filter: self.filter, span: self.span }
    }

    /// The cursor of the page after `position`.
    pub fn next(&self, position: &Position) -> String {
        Cursor::write(position, &self.name())
    }

    /// What a cursor is bound to: a cursor of another list would skip or repeat.
    fn name(&self) -> String {
        format!("{:?} {:?} {:?}", self.account, self.filter, self.span)
    }
}

fn zone(parameters: &Parameters) -> Result<ZoneName, Errors> {
    let zone = parameters.get("zone").map_or_else(|| Ok(ZoneName::default()), ZoneName::parse);
    zone.map_err(|invalid| Errors::one("zone", invalid.to_string()))
}

/// A point in time, written as a day or as an instant.
fn instant(
    parameters: &Parameters,
    name: &'static str,
    zone: &ZoneName,
    of_day: impl FnOnce(Day) -> Timestamp,
) -> Result<Option<Timestamp>, Errors> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Some(instant));
    }
    let day =
        Day::parse(text, zone).map_err(|invalid| Errors::one(name, format!("{invalid}, or an instant such as 2026-03-29T09:00:00Z")))?;
    Ok(Some(of_day(day)))
}
