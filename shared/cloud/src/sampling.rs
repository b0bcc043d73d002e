//! Log lines that a stranger can cause as often as the stranger likes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is written. Six a minute show that something goes on and cost nothing.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line in ten seconds through, and counts the lines that it holds back.
#[derive(Debug, Default)]
pub struct Sampler(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    written: Option<Instant>,
    held_back: u64,
}

impl Sampler {
    /// A sampler that lets the first line through.
    pub const fn new() -> Self {
        Self(Mutex::new(Held { written: None, held_back: 0 }))
    }

    /// Whether to write a line now: the number of lines that were held back since the last one.
    pub fn passes(&self) -> Option<u64> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Option<u64> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.written.is_some_and(|written| now.saturating_duration_since(written) < EVERY) {
            held.held_back += 1;
            return None;
        }
        held.written = Some(now);
        Some(std::mem::take(&mut held.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_were_held_back() {
        let (sampler, start) = (Sampler::new(), Instant::now());
        assert_eq!(sampler.at(start), Some(0));
        for ms in 1..=1_000 {
            assert_eq!(sampler.at(start + Duration::from_millis(ms)), None);
        }
        assert_eq!(sampler.at(start + EVERY), Some(1_000));
        assert_eq!(sampler.at(start + EVERY), None);
        assert_eq!(sampler.at(start + 2 * EVERY), Some(1));
    }
}
