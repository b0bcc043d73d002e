//! What waits and who works right now: one picture, which all supervisors see, and which tells agents how many wait in
//! their queues.
//!
//! Everybody polls. Whoever finds the picture too old takes the next turn and makes it anew ([`Board`]); all others
//! read what was made. So the tables are asked as often with one supervisor as with twenty, and all see the same
//! numbers.
//!
//! And reports of what was ([`Asked`]), from sums that `report` keeps.

mod board;
mod picture;
mod report;

pub use board::{Board, MOST_AGE, MOST_AGE_FOR_AGENTS};
pub use picture::{AccountNow, AgentNow, Picture, QueueNow, Seen, picture};
pub use report::{Asked, By, MOST_QUARTERS, Part, Report, ReportRow, TooLarge};
