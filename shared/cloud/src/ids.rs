//! The source of new ids.

use ulid::Ulid;

/// A new ULID of the system's clock and randomness. Two of the same millisecond sort in any order.
pub fn ulid() -> Ulid {
    Ulid::generate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ids_differ() {
        assert_ne!(ulid(), ulid());
    }
}
