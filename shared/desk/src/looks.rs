//! What the audit trail tells of people who only look: who read somebody else's running thread, and who took a file.
//!
//! An entry is written before anything is shown. If it can't be, the request fails.

use api::Reader;
use audit::{Action, By, Entry};
use domain::interaction::Interaction;
use engine::ports::World;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{Desk, Failure, Located};

/// How long reading on belongs to the first look: about as long as somebody follows a conversation. Each page and each
/// file of a thread is a request of its own.
const ONE_LOOK: SignedDuration = SignedDuration::from_hours(1);

impl Desk {
    /// Notes that the caller reads this thread, if it is open and the caller reads it by role alone. An agent of the
    /// account, and the agent who has the interaction, do their work with it.
    ///
    /// # Errors
    /// The table can't be read or written.
    pub async fn viewed(&self, reader: &Reader, place: &Located, interaction: &Interaction) -> Result<(), Failure> {
        let Some((who, role)) = reader.person() else { return Ok(()) };
        let own = interaction.agent.as_ref().is_some_and(|agent| agent.as_str() == who);
        if !interaction.is_open() || own || !reader.oversees_only(place.account.as_deref()) {
            return Ok(());
        }
        let by = By { who: who.to_owned(), role: Some(role) };
        let entry = Entry::of_look(self.engine.world.ulid(), by, Action::Viewed, "interaction", interaction.id.as_str(), &json!({}));
        Ok(self.directory().note_look(&entry, ONE_LOOK).await?)
    }

    /// Notes that the caller gets a link to a file of the object `of`, such as an interaction. `told` says which.
    ///
    /// # Errors
    /// The table can't be written.
    pub async fn downloaded(&self, reader: &Reader, kind: &str, of: &str, told: &Value) -> Result<(), Failure> {
        let Some((who, role)) = reader.person() else { return Ok(()) };
        let by = By { who: who.to_owned(), role: Some(role) };
        let entry = Entry::of_look(self.engine.world.ulid(), by, Action::Downloaded, kind, of, told);
        Ok(self.directory().note(&entry).await?)
    }
}
