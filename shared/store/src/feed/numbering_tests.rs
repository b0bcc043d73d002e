//! The numbers and the look-back, case by case.

use jiff::{SignedDuration, Timestamp};

use super::numbering::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn days(days: i64) -> i64 {
    days * 24 * 3_600
}

fn floor(seq: u64) -> Head {
    Head { seq, own: Some(seq), shared_since: None }
}

fn entry(seq: u64, at: Timestamp, effect: &str) -> Entry {
    Entry { seq, at, effect: Some(effect.to_owned()), late: false }
}

#[test]
fn the_next_number_is_free_up_to_the_floor_and_raises_it_beyond() {
    assert_eq!(floor(512).next(Some((300, at(0))), at(9)), Place::Free(301));
    assert_eq!(floor(512).next(Some((511, at(0))), at(9)), Place::Free(512));
    assert_eq!(floor(512).next(Some((512, at(0))), at(9)), Place::With(513, floor(768)));
}

#[test]
fn an_old_event_is_no_base_and_one_that_grows_old_moves_the_floor() {
    let next = |age| floor(512).next(Some((300, at(0))), at(age));
    assert_eq!(next(days(5) - 1), Place::Free(301));
    assert_eq!(next(days(5)), Place::With(301, floor(768)));
    assert_eq!(next(days(6) - 1), Place::With(301, floor(768)));
    assert_eq!(next(days(6)), Place::With(513, floor(768)));
    assert_eq!(floor(512).next(None, at(0)), Place::With(513, floor(768)));
}

#[test]
fn beside_the_version_before_the_head_names_the_last_event_for_an_hour() {
    let shared = |seq, since| Head { seq, own: Some(seq), shared_since: Some(at(since)) };
    // A new feed, one of the version before, and a floor that the version before went past.
    assert_eq!(Head::default().next(None, at(7)), Place::With(1, shared(1, 7)));
    let before = Head { seq: 300, own: None, shared_since: None };
    assert_eq!(before.next(Some((300, at(0))), at(7)), Place::With(301, shared(301, 7)));
    let passed = Head { seq: 513, own: Some(512), shared_since: None };
    assert_eq!(passed.next(Some((513, at(0))), at(7)), Place::With(514, shared(514, 7)));
    // The hour begins with each write of the version before, not with ours.
    assert_eq!(shared(514, 7).next(Some((514, at(7))), at(8)), Place::With(515, shared(515, 7)));
    assert_eq!(shared(515, 7).next(Some((515, at(8))), at(7 + 3_600)), Place::With(516, floor(768)));
    assert_eq!(Head { seq: 516, ..shared(515, 7) }.next(Some((516, at(9))), at(7_000)), Place::With(517, shared(517, 7_000)));
}

#[test]
fn the_look_back_ends_half_a_minute_before_the_commit() {
    let looks = |seconds| LookBack::new("mine", Some(at(0)), at(1)).look(&entry(7, at(seconds), "another"));
    assert_eq!((looks(5), looks(-30), looks(-31)), (Look::Further, Look::Further, Look::Absent));
    assert_eq!(LookBack::new("mine", Some(at(0)), at(1)).look(&entry(7, at(-31), "mine")), Look::Found);
}

#[test]
fn an_event_of_the_version_before_is_noticed_and_ends_the_look_back_of_a_job_without_time() {
    let unnamed = |seconds| Entry { effect: None, ..entry(7, at(seconds), "") };
    let mut look = LookBack::new("mine", Some(at(0)), at(1));
    assert_eq!((look.look(&unnamed(-31)), look.met_unnamed), (Look::Further, true));
    let mut look = LookBack::new("mine", Some(at(0)), at(1));
    assert_eq!((look.look(&unnamed(-91)), look.met_unnamed), (Look::Absent, false));
    let mut look = LookBack::new("mine", None, at(1));
    assert_eq!(look.look(&entry(8, at(-days(3)), "another")), Look::Further);
    assert_eq!(look.look(&unnamed(-days(3))), Look::Absent);
}

#[test]
fn an_effect_of_six_days_ago_is_told_once_a_minute() {
    let now = at(days(6));
    let late = |seconds| Entry { late: true, ..entry(7, at(days(6) + seconds), "another") };
    let look = |entry: &Entry| LookBack::new("mine", Some(at(0)), now).look(entry);
    assert!(is_late(Some(at(0)), now) && !is_late(Some(at(1)), now) && !is_late(None, now));
    assert_eq!((look(&late(-59)), look(&late(-60))), (Look::Found, Look::Absent));
    assert_eq!(look(&entry(7, at(days(6) - 59), "another")), Look::Further);
}

fn events(numbers: &[u64]) -> Vec<(u64, Timestamp)> {
    numbers.iter().map(|number| (*number, at(0))).collect()
}

fn page(from: usize, to: usize, behind: Option<u64>, last: Option<u64>) -> Shown {
    Shown::Events { from, to, behind, last }
}

#[test]
fn a_page_leaves_out_the_event_that_the_client_has() {
    let now = at(1);
    assert_eq!(shown(6, 9, &events(&[6, 7, 8]), Some(256), now), page(1, 3, None, Some(8)));
    assert_eq!(shown(6, 9, &events(&[6]), Some(256), now), page(1, 1, None, Some(6)));
    assert_eq!(shown(0, 9, &events(&[1, 2]), Some(256), now), page(0, 2, None, Some(2)));
    // The end of a page is no hole.
    assert_eq!(shown(6, 2, &events(&[6, 7, 8, 9]), None, now), page(1, 3, None, None));
    assert_eq!(shown(6, 2, &events(&[6, 7, 8, 9]), Some(256), now), page(1, 3, None, None));
}

#[test]
fn what_lies_before_the_last_hole_is_left_out_and_told() {
    let now = at(1);
    assert_eq!(shown(6, 9, &events(&[8, 9]), Some(256), now), page(0, 2, Some(7), Some(9)));
    assert_eq!(shown(6, 9, &events(&[6, 7, 9, 12, 13]), Some(256), now), page(3, 5, Some(11), Some(13)));
    assert_eq!(shown(6, 9, &events(&[6, 513]), Some(768), now), page(1, 2, Some(512), Some(513)));
    // The word that it is behind has its place in the page too.
    assert_eq!(shown(6, 2, &events(&[8, 9]), Some(256), now), page(0, 1, Some(7), None));
    assert_eq!(shown(6, 1, &events(&[8, 9]), Some(256), now), page(0, 0, Some(7), None));
}

#[test]
fn a_client_is_behind_the_floor_when_the_last_event_may_have_been_removed() {
    let (kept, removed) = (at(days(7) - 1), at(days(7)));
    assert_eq!(shown(6, 9, &events(&[6, 7]), Some(256), kept), page(1, 2, None, Some(7)));
    assert_eq!(shown(6, 9, &events(&[6, 7]), Some(256), removed), page(2, 2, Some(256), Some(256)));
    assert_eq!(shown(6, 9, &[], Some(256), kept), Shown::AskNewest);
    assert_eq!(without_events(6, 256, Some((7, at(0))), removed), (Some(256), 256));
    assert_eq!(without_events(6, 256, None, kept), (Some(256), 256));
    assert_eq!(without_events(256, 256, None, kept), (None, 256));
    assert_eq!(without_events(0, 0, None, kept), (None, 0));
    assert_eq!(without_events(6, 256, Some((7, at(0))), kept), (None, 7), "it came just now");
    assert_eq!(without_events(256, 256, Some((7, at(0))), kept), (Some(7), 7), "the version before took the floor for an event");
    assert_eq!((last(256, Some((7, at(0))), kept), last(256, Some((7, at(0))), removed), last(256, None, kept)), (7, 256, 256));
}

#[test]
fn an_append_and_a_reader_leave_the_newest_event_a_day_apart() {
    // An append that began when a reader took the event for removed would be behind the floor that the reader got.
    let longest_pause = SignedDuration::from_hours(12);
    assert!(SURELY_THERE + longest_pause < EVENTS_KEPT);
}
