//! The kit of every HTTP API here: what a request brings (its caller, path, parameters, body, conditions), what an
//! answer looks like (views with an `ETag`, lists, problem documents), one log line a request with its ids, and what
//! all operations of a description have in common. An API keeps its routes and what only it knows; its state
//! implements [`Api`], and its own failures become a [`Problem`] through [`refuse`].
//!
//! | to | use |
//! |---|---|
//! | let in a role | [`Overseer`], [`Administrator`], [`Owner`], [`Anyone`], [`AgentCaller`], [`Reader`] |
//! | read the request | [`Id`], [`FromPath`], [`Parameters`], [`Page`], [`Body`], [`JsonBody`], [`IfMatch`], [`Command`] |
//! | answer | [`Versioned`], [`Listed`], [`Error`] |
//! | serve | [`serve`], [`complete`], [`complete_commands`], [`Documents`] |
//! | test a description | `api::testing` (feature `testing`) |

mod access;
mod caller;
mod command;
mod documents;
mod error;
mod input;
mod known;
mod observe;
mod openapi;
mod problem;
mod refusal;
mod reply;
mod serve;
#[cfg(feature = "testing")]
pub mod testing;
mod version;

pub use access::Access;
pub use caller::{Administrator, AgentCaller, Anyone, Api, Caller, Gate, Overseer, Owner, Reader};
pub use command::Command;
pub use documents::Documents;
pub use error::{Error, refuse};
pub use input::{BODY_LIMIT, Body, Cursor, FromPath, Id, JsonBody, Page, Parameters};
pub use observe::{saw_account, saw_agent, saw_interaction};
pub use openapi::{PageParams, SECURITY_SCHEME, complete, complete_commands, operations, refusals};
pub use problem::{Errors, FieldError, Problem};
pub use refusal::Code;
pub use reply::{Listed, Versioned};
pub use serve::serve;
pub use version::{IfMatch, IfNoneMatch, OptionalIfMatch, Polled, etag};
