//! Calls in sequence: what makes a message late is the number of calls that wait for each other.

use std::time::Instant;

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function; empty for others, such as tests.
    pub function: String,
    /// The operation, and the kind of item or the queue.
    pub name: String,
    /// When the meter got it.
    pub began: Instant,
    /// When the meter had the answer.
    pub ended: Instant,
}

/// The most calls of a path that wait for each other. The path is a list of legs: the function, and a part of the name
/// of the call with which it hands over to the next one. A leg is what its function calls after the one before it has
/// handed over, up to its own handover. Calls that overlap are made at once and count as one. `None` if a leg is
/// missing.
///
/// Returns for each leg the names of the calls in sequence.
pub fn in_sequence(calls: &[Call], path: &[(&str, &str)]) -> Option<Vec<Vec<String>>> {
    let mut since = None;
    let mut legs = Vec::new();
    for (function, handover) in path {
        let mut own: Vec<&Call> =
            calls.iter().filter(|call| call.function == *function && since.is_none_or(|since| call.began >= since)).collect();
        own.sort_by_key(|call| call.ended);
        let last = own.iter().filter(|call| call.name.contains(handover)).min_by_key(|call| call.began)?;
        let mut names = Vec::new();
        let mut free = None;
        // Those that end first leave the most room for others: so the chain is the longest that there is.
        for call in own.iter().filter(|call| call.ended <= last.began) {
            if free.is_none_or(|free| call.began >= free) {
                names.push(call.name.clone());
                free = Some(call.ended);
            }
        }
        names.push(last.name.clone());
        since = Some(last.began);
        legs.push(names);
    }
    Some(legs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn calls(all: &[(&str, &str, u64, u64)]) -> Vec<Call> {
        let zero = Instant::now();
        let at = |ms: &u64| zero + Duration::from_millis(*ms);
        let call = |(function, name, began, ended): &(&str, &str, u64, u64)| Call {
            function: (*function).to_owned(),
            name: (*name).to_owned(),
            began: at(began),
            ended: at(ended),
        };
        all.iter().map(call).collect()
    }

    #[test]
    fn calls_that_overlap_count_as_one_and_others_wait_for_each_other() {
        let calls = calls(&[
            ("receive", "Send inbound", 0, 5),
            ("receive", "Put EVT", 5, 9),
            ("route", "Get ALIAS", 4, 6),
            ("route", "Query CONV", 6, 9),
            ("route", "Get AGENT", 7, 10),
            ("route", "Transact CONV", 10, 15),
        ]);
        let legs = in_sequence(&calls, &[("receive", "Send inbound"), ("route", "Transact")]).unwrap();
        assert_eq!(legs, [vec!["Send inbound"], vec!["Get ALIAS", "Query CONV", "Transact CONV"]]);
    }

    #[test]
    fn what_a_function_did_before_it_was_its_turn_does_not_count() {
        let calls = calls(&[
            ("dispatch", "Send push", 0, 2),
            ("route", "Transact CONV", 3, 5),
            ("dispatch", "Send push", 6, 8),
            ("dispatch", "Send assign", 6, 8),
            ("assign", "Get WAIT", 9, 10),
        ]);
        let legs = in_sequence(&calls, &[("route", "Transact"), ("dispatch", "Send assign"), ("assign", "Get")]).unwrap();
        assert_eq!(legs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(in_sequence(&calls, &[("send", "Put")]), None);
    }
}
