//! The source of new ids.

use jiff::Timestamp;
use ulid::Ulid;

/// A new ULID from the system's clock and randomness. Two of the same millisecond sort in any order.
pub fn ulid() -> Ulid {
    Ulid::generate()
}

/// The first ULID of an instant. ULIDs made before the instant sort before it, those made later after it.
pub fn first_ulid_of(at: Timestamp) -> Ulid {
    Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap_or_default(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_before_an_instant_sorts_before_it() {
        let now = ulid();
        let at = Timestamp::from_millisecond(i64::try_from(now.timestamp_ms()).unwrap()).unwrap();
        assert!(first_ulid_of(at) <= now && now < first_ulid_of(at + jiff::SignedDuration::from_millis(1)));
    }

    #[test]
    fn two_ids_differ() {
        assert_ne!(ulid(), ulid());
    }
}
