//! General dispositions: wrap-up codes for all accounts.

use domain::account::Account;
use domain::agent::Role;
use domain::catalog::Disposition;
use domain::ids::DispositionId;
use domain::plan::Step;
use domain::screens::Screens;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, disposition, line, whole};
use crate::resource::{Change, Resource};
use crate::shells::shells;

/// The longest description, in characters: two lines where an agent chooses.
const DESCRIPTION: usize = 200;

/// A wrap-up code for all accounts.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct DispositionInput {
    /// One to three levels separated by `/`. The name is unique.
    #[schema(min_length = 1, max_length = 100, example = "Complaint/Delivery/Late")]
    name: String,
    /// When to choose it, for agents.
    #[schema(min_length = 1, max_length = 200, example = "The parcel came after the day that we had named")]
    description: Option<String>,
}

/// A wrap-up code for all accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disposition)]
pub(crate) struct DispositionView {
    /// The disposition's id.
    id: DispositionId,
    /// One to three levels separated by `/`.
    name: String,
    /// When to choose it, for agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

/// Whether an account's plan closes with a disposition that the account does not have itself.
fn closes_with(account: &Account, name: &str) -> bool {
    let own = account.settings.dispositions.iter().any(|own| own == name);
    let closes = |step: &Step| matches!(step, Step::Close { disposition: Some(disposition) } if disposition == name);
    !own && account.plan.steps.iter().any(|step| closes(&step.step))
}

impl Resource for Disposition {
    type Id = DispositionId;
    type Input = DispositionInput;
    type View = DispositionView;
    const PLACE: &'static str = "dispositions";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Supervisor;

    fn parse(body: Value, shown: Option<&Value>) -> Result<DispositionInput, Errors> {
        whole(body, shown, |fields| {
            let description = fields.optional("description", line(DESCRIPTION));
            Some(DispositionInput { name: fields.required("name", disposition)?, description })
        })
    }

    fn make(id: DispositionId, input: &mut DispositionInput, _: Option<&Self>) -> Result<Self, ApiError> {
        Ok(Self { id, name: input.name.clone(), description: input.description.clone() })
    }

    fn view(self, version: u64, _: &App) -> DispositionView {
        DispositionView { id: self.id, name: self.name, description: self.description, version }
    }

    fn screens(before: Option<&Self>, after: Option<&Self>) -> Option<Screens> {
        Screens::of_choice(before, after)
    }

    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        let Some(before) = change.before.filter(|before| before.name != change.after.name) else { return Ok(()) };
        let users = before.users(app).await?;
        if users.is_empty() { Ok(()) } else { Err(ApiError::InUse { users }) }
    }

    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        app.accounts_with(|account| closes_with(account, &self.name)).await
    }
}

shells! {
    Disposition: DispositionInput => DispositionView, "dispositions", "/dispositions", "/dispositions/{id}";

    /// Lists the general dispositions, which all accounts have.
    ///
    /// An account's own dispositions are in its settings.
    list list_dispositions;

    /// Creates a general disposition.
    ///
    /// Names are unique, so a repeated POST is refused (422).
    create create_disposition;

    /// Returns a general disposition.
    get get_disposition;

    /// Replaces a general disposition.
    ///
    /// Interactions that were closed with it keep its old name. Renaming it is refused (409, `in-use`) while an
    /// account's plan closes with it.
    put put_disposition;

    /// Changes fields of a general disposition.
    ///
    /// Interactions that were closed with it keep its old name. Renaming it is refused (409, `in-use`) while an
    /// account's plan closes with it.
    patch patch_disposition;

    /// Deletes a general disposition.
    ///
    /// Interactions that were closed with it keep it. Refused (409, `in-use`) while an account's plan closes with it.
    delete delete_disposition;
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ulid::Ulid;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_disposition_is_a_path_of_three_levels_at_most() {
        assert_eq!(Disposition::parse(json!({"name": "Complaint / Late"}), None).unwrap().name, "Complaint/Late");
        for bad in [json!(null), json!(""), json!("a//b"), json!("a/b/c/d"), json!("x".repeat(101)), json!(["a", "b"])] {
            assert_eq!(names(Disposition::parse(json!({"name": bad}), None)), ["name"]);
        }
    }

    #[test]
    fn a_description_is_one_line_and_may_be_left_out() {
        let described = |description: Value| Disposition::parse(json!({"name": "Late", "description": description}), None);
        let mut input = described(json!(" By a day or more ")).unwrap();
        let made = Disposition::make(DispositionId::from_ulid(Ulid(1)), &mut input, None).unwrap();
        assert_eq!(made.description.as_deref(), Some("By a day or more"));
        assert_eq!(described(json!(null)).unwrap().description, None);
        for bad in [json!(""), json!("a\nb"), json!("x".repeat(DESCRIPTION + 1)), json!(7)] {
            assert_eq!(names(described(bad)), ["description"]);
        }
    }
}
