//! Finds the interactions of a job that was ordered for all that match a search or a list, and freezes their ids in
//! parts, as if people had selected them. The rest of the job is then the same.
//!
//! A unit looks for a while and writes one part. Done again, it writes that part anew, so what an attempt that was
//! cut off had added is gone. In memory are a part's interactions, 20 MB, and the rows of one account's shelves.

use std::future::Future;

use domain::ids::{AccountId, ContactId, InteractionId, JobId};
use domain::interaction::Interaction;
use domain::job::{Job, PART, PREVIEW_KEPT, Place, Task};
use domain::row::Position;
use domain::search::Names;
use domain::seek::{Matching, Seek};
use engine::ports::{Lists, PortError, World};
use jiff::{SignedDuration, Timestamp};
use search::{Portion, Wanted};
use store::Preview;

use crate::steps::{Then, Unit, WorkError};

/// How long a unit looks: a third of a step, so that somebody who cancels does not wait long.
const LOOKS: SignedDuration = SignedDuration::from_secs(20);

/// How many interactions of a customer are read at once. Nobody has many.
const CUSTOMERS: usize = 500;

/// Where it looks, and where it keeps what it finds.
pub(crate) trait Selections: Sync {
    /// All accounts that have or had interactions, those that were deleted too, in order.
    fn accounts(&self) -> impl Future<Output = Result<Vec<AccountId>, PortError>> + Send;
    /// The names by which a search finds accounts, agents and queues.
    fn names(&self) -> impl Future<Output = Result<Names, PortError>> + Send;
    /// A part of a customer's interactions on an account, newest first, those that were merged too; and the `before`
    /// of the next part.
    fn of_contacts(
        &self,
        account: &AccountId,
        contacts: &[ContactId],
        before: Option<&InteractionId>,
        most: usize,
    ) -> impl Future<Output = Result<(Vec<Interaction>, Option<InteractionId>), PortError>> + Send;
    /// A part of a job's ids.
    fn frozen(&self, job: &JobId, part: u64) -> impl Future<Output = Result<Vec<InteractionId>, PortError>> + Send;
    /// Replaces a part of a job's ids.
    fn freeze(&self, job: &JobId, part: u64, ids: &[InteractionId]) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Keeps what a preview has counted, so that it can be ordered.
    fn keep_preview(&self, token: &JobId, preview: &Preview) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Finds interactions.
pub(crate) struct Finder<L, S, W> {
    pub(crate) lists: L,
    pub(crate) selections: S,
    pub(crate) world: W,
}

impl<L: Lists, S: Selections, W: World> Finder<L, S, W> {
    /// Does the unit at the job's place, which looks for `matching`.
    pub(crate) async fn unit(&self, job: &Job, matching: &Matching) -> Result<Unit, WorkError> {
        let Job { mut counts, mut place, .. } = job.clone();
        if job.cancelled {
            return Ok(Unit { counts, place, then: Then::Stopped });
        }
        let under = match &job.task {
            Task::PreviewDeletion { token } => token,
            Task::ExportInteractions { .. }
            | Task::ExportContacts { .. }
            | Task::ImportContacts(_)
            | Task::Delete { .. }
            | Task::PreviewRetention { .. }
            | Task::FillLists
            | Task::FillDocuments
            | Task::Erase { .. } => &job.id,
        };
        let (part, kept) = (counts.total / PART as u64, counts.total % PART as u64);
        let mut ids = match kept {
            0 => Vec::new(),
            _ => self.selections.frozen(under, part).await?,
        };
        ids.truncate(usize::try_from(kept).unwrap_or(PART));
        let seek = place.seek.take().unwrap_or_else(|| Seek::of(matching.clone()));
        let seek = self.look(job.created_at, seek, matching, &mut ids).await?;
        self.selections.freeze(under, part, &ids).await?;
        counts.total = part * PART as u64 + ids.len() as u64;
        let is_over = seek.matching.is_none();
        let place = Place { seek: Some(seek), ..place };
        let then = match &job.task {
            Task::PreviewDeletion { token } if is_over => {
                let expires_at = self.world.now().saturating_add(PREVIEW_KEPT).unwrap_or(Timestamp::MAX);
                self.selections.keep_preview(token, &Preview { total: counts.total, expires_at }).await?;
                Then::Done(None)
            }
            Task::PreviewRetention { .. } if is_over => Then::Done(None),
            _ => Then::More,
        };
        Ok(Unit { counts, place, then })
    }

    /// Adds what matches to `ids`, until the part is full or it has looked for a while.
    async fn look(
        &self,
        ordered_at: Timestamp,
        mut seek: Seek,
        matching: &Matching,
        ids: &mut Vec<InteractionId>,
    ) -> Result<Seek, WorkError> {
        let wanted = Wanted::of(matching.clone());
        let names = self.selections.names().await?;
        let until = self.world.now().saturating_add(LOOKS).unwrap_or(Timestamp::MAX);
        let is_late = || self.world.now() >= until;
        let mut asked = false;
        for account in self.selections.accounts().await?.into_iter().filter(|account| matching.is_in(account)) {
            let mut after = match (&seek.account, &seek.after) {
                (Some(reached), _) if account < *reached => continue,
                (Some(reached), None) if account == *reached => continue,
                (Some(reached), Some(after)) if account == *reached => Position::parse(after).ok_or(WorkError::Form)?,
                _ => Position::before_all(ordered_at),
            };
            loop {
                if ids.len() == PART || (asked && is_late()) {
                    return Ok(seek);
                }
                let most = PART - ids.len();
                let portion = match (matching, &wanted) {
                    (Matching::Contacts { contacts }, _) => self.of_contacts(&account, contacts, &seek, most).await?,
                    (_, Some(wanted)) => search::portion(&self.lists, (&account, &names), wanted, after, most, is_late).await?,
                    (_, None) => return Err(WorkError::Form),
                };
                asked = true;
                let Portion { interactions, next, scanned } = portion;
                seek.scanned += scanned as u64;
                seek.open += interactions.iter().filter(|interaction| interaction.is_open()).count() as u64;
                ids.extend(interactions.into_iter().map(|Interaction { id, .. }| id));
                (seek.account, seek.after) = (Some(account.clone()), next.as_ref().map(Position::key));
                match next {
                    Some(next) => after = next,
                    None => break,
                }
            }
        }
        seek.matching = None;
        Ok(seek)
    }

    /// A part of a customer's interactions. Its order is that of the ids.
    async fn of_contacts(&self, account: &AccountId, contacts: &[ContactId], seek: &Seek, most: usize) -> Result<Portion, WorkError> {
        let before = seek.after.as_deref().filter(|_| seek.account.as_ref() == Some(account)).and_then(Position::parse);
        let before = before.as_ref().map(Position::interaction);
        let (interactions, next) = self.selections.of_contacts(account, contacts, before, most.min(CUSTOMERS)).await?;
        let next = next.map(|next| Position::of(next.made_at(), &next));
        Ok(Portion { scanned: interactions.len(), interactions, next })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Arc, Mutex};

    use domain::agent::Role;
    use domain::fixtures;
    use domain::interaction::Status;
    use domain::job::{Counts, Orderer};
    use domain::row::{Filter, Span, State};
    use domain::tag::Tag;
    use engine::memory::{Memory, VirtualWorld};
    use engine::ports::{Commit, Committed, Rows, RowsWanted, Store};
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;

    /// Interactions of two accounts in the store in memory, and parts of ids. A call can go wrong.
    struct Fakes {
        world: VirtualWorld,
        memory: Arc<Memory>,
        parts: Mutex<BTreeMap<(JobId, u64), Vec<InteractionId>>>,
        preview: Mutex<Option<(JobId, Preview)>>,
        calls: Mutex<u32>,
        /// The number of the call that goes wrong, and whether it was done nevertheless.
        fails_at: Option<(u32, bool)>,
        /// How long a call for rows takes.
        between: SignedDuration,
    }

    fn start() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn account(number: u128) -> AccountId {
        AccountId::from_ulid(Ulid(number))
    }

    /// The interaction `number`: every second one on the other account, every third one open, every fifth a VIP's.
    fn interaction(number: u32) -> Interaction {
        let opened = start() + SignedDuration::from_secs(i64::from(number));
        let status = if number.is_multiple_of(3) { Status::Open } else { Status::Closed };
        Interaction {
            id: InteractionId::from_ulid(Ulid::from_parts(u64::try_from(opened.as_millisecond()).unwrap(), u128::from(number))),
            account: account(u128::from(number % 2) + 1),
            contact: domain::ids::ContactId::from_ulid(Ulid(u128::from(number))),
            tags: if number.is_multiple_of(5) { vec![Tag::parse("VIP").unwrap()] } else { Vec::new() },
            ..fixtures::interaction(status, opened)
        }
    }

    fn after(seconds: u32) -> Timestamp {
        start() + SignedDuration::from_secs(i64::from(seconds))
    }

    fn vips() -> Matching {
        let search = r#"{"conditions": [{"field": "tags", "operator": "equals", "value": "vip"}]}"#;
        Matching::Search { search: serde_json::from_str(search).unwrap() }
    }

    fn closed() -> Matching {
        Matching::List { account: None, filter: Filter { state: Some(State::Closed), ..Filter::default() }, span: Span::default() }
    }

    fn id(number: u128) -> JobId {
        JobId::from_ulid(Ulid::from_parts(1, number))
    }

    /// Ordered when `ordered` interactions were opened.
    fn job(task: Task, matching: Matching, ordered: u32) -> Job {
        let by = Orderer { who: "agt_1".to_owned(), role: Role::Supervisor };
        let job = Job::new(id(1), task, by, 0, after(ordered));
        Job { place: Place { seek: Some(Seek::of(matching)), ..Place::default() }, ..job }
    }

    async fn write(memory: &Memory, before: Option<Interaction>, after: Interaction) {
        let commit = Commit::plain(before, after);
        assert_eq!(memory.commit(commit).await.unwrap(), Committed::Done);
    }

    impl Fakes {
        async fn new(interactions: u32) -> Self {
            let memory = Arc::new(Memory::new());
            for number in 0..interactions {
                write(&memory, None, interaction(number)).await;
            }
            Self::on(memory)
        }

        fn on(memory: Arc<Memory>) -> Self {
            let (parts, preview, calls) = (Mutex::default(), Mutex::default(), Mutex::default());
            let world = VirtualWorld::new(after(100_000), 1);
            Self { world, memory, parts, preview, calls, fails_at: None, between: SignedDuration::ZERO }
        }

        fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T, PortError> {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            match self.fails_at {
                Some((at, done)) if at == *calls => {
                    if done {
                        call();
                    }
                    Err(PortError { operation: "test", reason: "broken".to_owned() })
                }
                _ => Ok(call()),
            }
        }

        /// Carries out units until all is found; failed ones again. Returns the job and the number of units.
        async fn play(&self, mut job: Job) -> (Job, u32) {
            let finder = Finder { lists: self, selections: self, world: self.world.clone() };
            for units in 1..2_000 {
                let matching = job.place.seek.as_ref().unwrap().matching.clone().unwrap();
                let Ok(unit) = finder.unit(&job, &matching).await else { continue };
                (job.counts, job.place) = (unit.counts, unit.place);
                let is_over = job.place.seek.as_ref().unwrap().matching.is_none();
                let previews = matches!(job.task, Task::PreviewDeletion { .. });
                assert_eq!(unit.then == Then::Done(None), is_over && previews);
                if is_over {
                    return (job, units);
                }
            }
            panic!("the search does not end");
        }

        /// The ids that a job would take, part by part.
        fn ids(&self, of: &JobId) -> Vec<InteractionId> {
            let parts = self.parts.lock().unwrap();
            (0..).map_while(|part| parts.get(&(of.clone(), part))).flatten().cloned().collect()
        }
    }

    impl Lists for &Fakes {
        async fn rows(&self, wanted: RowsWanted<'_>) -> Result<Rows, PortError> {
            self.world.advance(self.between);
            self.call(|| ())?;
            Lists::rows(&*self.memory, wanted).await
        }

        async fn open_now(
            &self,
            account: &AccountId,
            before: Option<&InteractionId>,
            most: usize,
        ) -> Result<Vec<domain::effect::InteractionKey>, PortError> {
            self.memory.open_now(account, before, most).await
        }

        async fn interactions_now(&self, places: &[domain::effect::InteractionKey]) -> Result<Vec<Interaction>, PortError> {
            self.call(|| ())?;
            self.memory.interactions_now(places).await
        }

        async fn thread(&self, interaction: &Interaction) -> Result<Vec<domain::message::Message>, PortError> {
            self.memory.thread(interaction).await
        }

        async fn latest_message(&self, interaction: &Interaction) -> Result<Option<domain::message::Message>, PortError> {
            self.memory.latest_message(interaction).await
        }

        async fn documents(&self, interactions: &[InteractionId]) -> Result<Vec<domain::search::Document>, PortError> {
            Lists::documents(&*self.memory, interactions).await
        }
    }

    impl Selections for &Fakes {
        async fn accounts(&self) -> Result<Vec<AccountId>, PortError> {
            Ok(vec![account(1), account(2)])
        }

        async fn names(&self) -> Result<Names, PortError> {
            Ok(Names::default())
        }

        async fn of_contacts(
            &self,
            account: &AccountId,
            contacts: &[ContactId],
            before: Option<&InteractionId>,
            most: usize,
        ) -> Result<(Vec<Interaction>, Option<InteractionId>), PortError> {
            self.world.advance(self.between);
            self.call(|| ())?;
            let mut all = self.memory.interactions();
            all.retain(|one| one.account == *account && contacts.contains(&one.contact) && before.is_none_or(|before| one.id < *before));
            all.sort_by(|one, other| other.id.cmp(&one.id));
            let more = all.len() > most.min(7);
            all.truncate(most.min(7));
            let next = all.last().filter(|_| more).map(|last| last.id.clone());
            Ok((all, next))
        }

        async fn frozen(&self, job: &JobId, part: u64) -> Result<Vec<InteractionId>, PortError> {
            self.call(|| self.parts.lock().unwrap().get(&(job.clone(), part)).cloned().unwrap_or_default())
        }

        async fn freeze(&self, job: &JobId, part: u64, ids: &[InteractionId]) -> Result<(), PortError> {
            assert!(ids.len() <= PART);
            self.call(|| drop(self.parts.lock().unwrap().insert((job.clone(), part), ids.to_vec())))
        }

        async fn keep_preview(&self, token: &JobId, preview: &Preview) -> Result<(), PortError> {
            self.call(|| *self.preview.lock().unwrap() = Some((token.clone(), preview.clone())))
        }
    }

    /// What matches among the first so many, account by account, the newest first.
    fn expected(opened: u32, matches: impl Fn(&Interaction) -> bool) -> Vec<InteractionId> {
        let of = |number| (0..opened).rev().map(interaction).filter(move |one| one.account == account(number));
        of(1).chain(of(2)).filter(matches).map(|one| one.id).collect()
    }

    fn is_vip(one: &Interaction) -> bool {
        !one.tags.is_empty()
    }

    #[tokio::test]
    async fn all_that_matches_is_frozen_in_parts_but_not_what_was_opened_after_the_order() {
        let fakes = Fakes::new(12_000).await;
        let (found, units) = fakes.play(job(Task::ExportInteractions { raw: false }, closed(), 11_400)).await;
        let closed = expected(11_400, |one| !one.is_open());
        assert_eq!(fakes.ids(&id(1)), closed);
        assert_eq!((found.counts, units), (Counts { total: 7_600, ..Counts::default() }, 2), "a unit fills a part");
        assert_eq!(fakes.parts.lock().unwrap()[&(id(1), 0)].len(), PART);
        let (found, _) = fakes.play(job(Task::Delete { close: false }, vips(), 600)).await;
        assert_eq!((fakes.parts.lock().unwrap()[&(id(1), 0)].clone(), found.counts.total), (expected(600, is_vip), 120));
    }

    #[tokio::test]
    async fn a_preview_freezes_under_its_token_and_counts_what_is_open() {
        let fakes = Fakes::new(300).await;
        let (found, _) = fakes.play(job(Task::PreviewDeletion { token: id(2) }, vips(), 300)).await;
        assert_eq!(fakes.ids(&id(2)), expected(300, is_vip));
        let open = expected(300, |one| is_vip(one) && one.is_open()).len() as u64;
        let seek = found.place.seek.unwrap();
        assert_eq!((seek.open, seek.scanned, found.counts.total), (open, 300, 60));
        let (token, preview) = fakes.preview.lock().unwrap().clone().unwrap();
        assert_eq!((token, preview.total, preview.expires_at), (id(2), 60, fakes.world.now() + PREVIEW_KEPT));
    }

    #[tokio::test]
    async fn a_search_that_is_cut_off_at_any_call_ends_the_same() {
        let memory = Fakes::new(800).await.memory;
        // Each call takes a while, so that there are several units.
        let slow = |fails_at| Fakes { fails_at, between: SignedDuration::from_secs(8), ..Fakes::on(memory.clone()) };
        let wanted = || job(Task::PreviewDeletion { token: id(2) }, vips(), 800);
        let whole = slow(None);
        let (found, units) = whole.play(wanted()).await;
        assert_eq!(whole.ids(&id(2)), expected(800, is_vip));
        let calls = *whole.calls.lock().unwrap();
        assert!(units >= 4 && calls > 20, "{units} units, {calls} calls");
        for fails_at in (1..=calls).flat_map(|at| [(at, false), (at, true)]) {
            let fakes = slow(Some(fails_at));
            let (again, _) = fakes.play(wanted()).await;
            assert_eq!(fakes.ids(&id(2)), whole.ids(&id(2)), "{fails_at:?}");
            assert_eq!(
                (again.counts, again.place.seek.unwrap().open),
                (found.counts, found.place.seek.clone().unwrap().open),
                "{fails_at:?}"
            );
            assert_eq!(fakes.preview.lock().unwrap().as_ref().map(|(_, preview)| preview.total), Some(160), "{fails_at:?}");
        }
    }

    #[tokio::test]
    async fn what_an_attempt_that_was_cut_off_had_found_and_no_longer_matches_is_not_taken() {
        let fakes = Fakes::new(50).await;
        let finder = Finder { lists: &fakes, selections: &fakes, world: fakes.world.clone() };
        let wanted = job(Task::Delete { close: false }, vips(), 50);
        // The first attempt wrote its part, and its place was not saved.
        finder.unit(&wanted, &vips()).await.unwrap();
        assert_eq!(fakes.ids(&id(1)).len(), 10);
        for number in (0..50).step_by(5) {
            let (before, changed) = (interaction(number), Interaction { tags: Vec::new(), version: 2, ..interaction(number) });
            write(&fakes.memory, Some(before), changed).await;
        }
        let (found, _) = fakes.play(wanted).await;
        assert_eq!((fakes.ids(&id(1)), found.counts.total), (Vec::new(), 0));
    }

    #[tokio::test]
    async fn all_interactions_of_a_customer_are_found_whenever_they_were_opened() {
        let fakes = Fakes { between: SignedDuration::from_secs(12), ..Fakes::new(200).await };
        let contacts: Vec<ContactId> = (0..200).step_by(2).chain([31, 77]).map(|number| ContactId::from_ulid(Ulid(number))).collect();
        let task = Task::Erase { contacts: contacts.clone() };
        let (found, units) = fakes.play(job(task, Matching::Contacts { contacts: contacts.clone() }, 10)).await;
        assert_eq!(fakes.ids(&id(1)), expected(200, |one| contacts.contains(&one.contact)));
        assert!(found.counts.total == 102 && units > 5, "{units}");
    }

    #[tokio::test]
    async fn what_was_closed_before_a_time_is_found_on_the_accounts_that_have_one() {
        let fakes = Fakes::new(300).await;
        let before = [(account(2), after(120))].into();
        let (found, _) = fakes.play(job(Task::Delete { close: false }, Matching::Closed { before }, 300)).await;
        assert_eq!(fakes.ids(&id(1)), expected(120, |one| one.account == account(2) && !one.is_open()));
        assert_eq!(found.place.seek.unwrap().scanned, 60, "nothing younger is looked at");
    }

    #[tokio::test]
    async fn a_cancelled_search_stops() {
        let fakes = Fakes::new(10).await;
        let finder = Finder { lists: &fakes, selections: &fakes, world: fakes.world.clone() };
        let cancelled = Job { cancelled: true, ..job(Task::Delete { close: true }, vips(), 10) };
        assert_eq!(finder.unit(&cancelled, &vips()).await.unwrap().then, Then::Stopped);
        assert_eq!(*fakes.calls.lock().unwrap(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn however_long_calls_take_each_match_is_found_once(interactions in 0..600_u32, ordered in 0..700_u32, seconds in 0..30_i64, open in any::<bool>()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let fakes = Fakes { between: SignedDuration::from_secs(seconds), ..Fakes::new(interactions).await };
                let state = if open { State::Open } else { State::Closed };
                let filter = Filter { state: Some(state), ..Filter::default() };
                let matching = Matching::List { account: None, filter, span: Span::default() };
                let (found, _) = fakes.play(job(Task::Delete { close: true }, matching, ordered)).await;
                let matching = expected(interactions.min(ordered), |one| one.is_open() == open);
                assert_eq!(found.counts.total, matching.len() as u64);
                assert_eq!(fakes.ids(&id(1)), matching);
                assert_eq!(fakes.ids(&id(1)).into_iter().collect::<BTreeSet<_>>().len(), matching.len());
            });
        }
    }
}
