//! Dispositions of all accounts: wrap-up codes.

use domain::account::Account;
use domain::agent::Role;
use domain::catalog::{Disposition, disposition_path};
use domain::ids::DispositionId;
use domain::plan::Step;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, Refusal, parsed, whole};
use crate::resource::{Change, Resource};
use crate::shells::shells;

/// A wrap-up code of all accounts.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct DispositionInput {
    /// One to three levels with `/` between them; no two dispositions share one.
    #[schema(min_length = 1, max_length = 100, example = "Complaint/Delivery/Late")]
    name: String,
}

/// A wrap-up code of all accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disposition)]
pub(crate) struct DispositionView {
    /// Its id.
    id: DispositionId,
    /// One to three levels with `/` between them.
    name: String,
    /// Grows with every change; the `ETag`.
    version: u64,
}

/// A disposition of one to three levels.
pub(crate) fn disposition(value: Value) -> Result<String, Refusal> {
    parsed(|text| disposition_path(text).map_err(|invalid| invalid.0))(value)
}

/// Whether an account's plan closes with a disposition that the account has not itself.
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
        whole(body, shown, |fields| Some(DispositionInput { name: fields.required("name", disposition)? }))
    }

    fn make(id: DispositionId, input: &mut DispositionInput, _: Option<&Self>) -> Result<Self, ApiError> {
        Ok(Self { id, name: input.name.clone() })
    }

    fn view(self, version: u64, _: &App) -> DispositionView {
        DispositionView { id: self.id, name: self.name, version }
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

    /// Lists the dispositions of all accounts.
    ///
    /// An account's own are in its settings.
    list list_dispositions;

    /// Makes a disposition.
    ///
    /// A POST that is repeated is refused (422), as the name is taken.
    create create_disposition;

    /// Reads a disposition.
    get get_disposition;

    /// Replaces a disposition.
    ///
    /// Interactions that were closed with it keep the name that it had. Refused (409, `in-use`) when the name changes
    /// with which an account's plan closes.
    put put_disposition;

    /// Changes fields of a disposition.
    ///
    /// Interactions that were closed with it keep the name that it had. Refused (409, `in-use`) when the name changes
    /// with which an account's plan closes.
    patch patch_disposition;

    /// Deletes a disposition.
    ///
    /// Interactions that were closed with it keep it. Refused (409, `in-use`) while an account's plan closes with it.
    delete delete_disposition;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::testing::names;

    #[test]
    fn a_disposition_is_a_path_of_three_levels_at_most() {
        assert_eq!(Disposition::parse(json!({"name": "Complaint / Late"}), None).unwrap().name, "Complaint/Late");
        for bad in [json!(null), json!(""), json!("a//b"), json!("a/b/c/d"), json!("x".repeat(101)), json!(["a", "b"])] {
            assert_eq!(names(Disposition::parse(json!({"name": bad}), None)), ["name"]);
        }
    }
}
