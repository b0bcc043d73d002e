//! The system's clock. Only handlers read it; they pass the time to everything below them.

use jiff::Timestamp;

/// The present time, cut to milliseconds, so that stored times equal computed ones.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
