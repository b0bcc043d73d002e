//! The system's clock. Only handlers read it; everything below them is told the time.

use jiff::Timestamp;

/// The present, cut to milliseconds: what is stored then equals what was computed with.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
