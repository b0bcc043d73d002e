//! Pauses: reasons for being unavailable.

use domain::agent::Role;
use domain::catalog::Pause;
use domain::ids::PauseId;
use domain::screens::Screens;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, line, whole};
use crate::resource::Resource;
use crate::shells::shells;

/// Agents choose a pause as the reason of their presence: a word or two on a supervisor's screen.
const PAUSE: usize = 100;

/// A reason for being unavailable.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct PauseInput {
    /// The name that agents choose and supervisors see. The name is unique.
    #[schema(min_length = 1, max_length = 100, example = "Lunch")]
    name: String,
}

/// A reason for being unavailable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(crate) struct PauseView {
    /// The pause's id.
    id: PauseId,
    /// The name that agents choose and supervisors see.
    name: String,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl Resource for Pause {
    type Id = PauseId;
    type Input = PauseInput;
    type View = PauseView;
    const PLACE: &'static str = "pauses";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<PauseInput, Errors> {
        whole(body, shown, |fields| Some(PauseInput { name: fields.required("name", line(PAUSE))? }))
    }

    fn make(id: PauseId, input: &mut PauseInput, _: Option<&Self>) -> Result<Self, ApiError> {
        Ok(Self { id, name: input.name.clone() })
    }

    fn view(self, version: u64, _: &App) -> PauseView {
        PauseView { id: self.id, name: self.name, version }
    }

    fn screens(before: Option<&Self>, after: Option<&Self>) -> Option<Screens> {
        Screens::of_choice(before, after)
    }

    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        app.accounts_with(|account| account.settings.disposition_pause.as_ref() == Some(&self.id)).await
    }
}

shells! {
    Pause: PauseInput => PauseView, "pauses", "/pauses", "/pauses/{id}";

    /// Lists the pauses.
    ///
    /// Supervisors may read them too.
    list list_pauses;

    /// Creates a pause.
    ///
    /// Names are unique, so a repeated POST is refused (422).
    create create_pause;

    /// Returns a pause.
    ///
    /// Supervisors may read it too.
    get get_pause;

    /// Replaces a pause.
    ///
    /// Agents who are on the pause stay on it, under its old name.
    put put_pause;

    /// Changes fields of a pause.
    ///
    /// Agents who are on the pause stay on it, under its old name.
    patch patch_pause;

    /// Deletes a pause.
    ///
    /// Refused (409, `in-use`) while an account uses it for agents who owe a disposition.
    delete delete_pause;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_pause_has_a_short_name_on_one_line() {
        assert_eq!(Pause::parse(json!({"name": " Lunch "}), None).unwrap().name, "Lunch");
        for bad in [json!(null), json!(""), json!("a\nb"), json!("x".repeat(101)), json!(1)] {
            assert_eq!(names(Pause::parse(json!({"name": bad}), None)), ["name"]);
        }
        assert_eq!(names(Pause::parse(json!({"name": "a", "id": "pau_1", "colour": 1}), None)), ["colour", "id"]);
    }
}
