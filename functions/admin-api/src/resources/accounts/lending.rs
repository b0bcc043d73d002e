//! A further number of a provider account: its credentials are those of an account that is there.

use api::Error;
use cloud::secrets::SecretError;
use domain::account::{Account, Credentials, Provider};
use domain::ids::{AccountId, Id};
use providers::{Adapter, Source};
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::ApiError;
use crate::input::{CREDENTIALS_FROM, Errors, Refusal, UNKNOWN_ACCOUNT};

const OTHER_TYPE: Refusal = "must be the type of the account whose credentials are taken";
const OTHER_ADDRESS: Refusal = "must be that of the account whose credentials are taken: they are sent nowhere else";
const NOTHING: Refusal = "the account has no credentials that could be taken";

/// Fills in the `provider` of a new account from the account that its `credentials_from` names. `at` is the path of
/// the provider's fields.
pub(crate) async fn lend(app: &App, provider: &mut Value, at: &str) -> Result<(), ApiError> {
    let Some(fields) = provider.as_object_mut() else { return Ok(()) };
    let from = match fields.remove(CREDENTIALS_FROM) {
        None | Some(Value::Null) => return Ok(()),
        Some(from) => from,
    };
    let refuse = |field: &str, why: Refusal| ApiError::from(Errors::one(format!("{at}{field}"), why));
    let id: Option<AccountId> = serde_json::from_value(from).ok();
    let id = id.ok_or_else(|| refuse(CREDENTIALS_FROM, UNKNOWN_ACCOUNT))?;
    let (account, _) = app.load::<Account>(id.text()).await.map_err(|error| match error {
        ApiError::Kit(Error::NotFound) => refuse(CREDENTIALS_FROM, UNKNOWN_ACCOUNT),
        error => error,
    })?;
    let adapter = providers::adapter(&account.provider.kind).ok_or(Error::Encode)?;
    let credentials = match app.secrets.current::<Credentials>(&id).await {
        Ok(current) => current.value,
        Err(SecretError::Missing | SecretError::Malformed) => return Err(refuse(CREDENTIALS_FROM, NOTHING)),
        Err(error) => return Err(error.into()),
    };
    fill(fields, adapter, &account.provider, &credentials).map_err(|(field, why)| refuse(field, why))
}

/// Fills in the fields that are left out. The number's own field and generated values are not taken: each account has
/// its own.
fn fill(
    fields: &mut Map<String, Value>,
    adapter: &dyn Adapter,
    lender: &Provider,
    credentials: &Credentials,
) -> Result<(), (&'static str, Refusal)> {
    if fields.entry("type").or_insert_with(|| lender.kind.clone().into()) != &lender.kind {
        return Err(("type", OTHER_TYPE));
    }
    let own = |source: Source| matches!(source, Source::Generated | Source::Made);
    for field in adapter.fields().iter().filter(|field| !own(field.source) && adapter.number_field() != Some(field.name)) {
        let value = if field.secret {
            credentials.get(field.name).map(|secret| secret.reveal().to_owned())
        } else {
            lender.fields.get(field.name).cloned()
        };
        match fields.get(field.name).filter(|given| !given.is_null()) {
            // Whoever gives another address would have the credentials sent there.
            Some(given) if field.destination => {
                if given.as_str().map(|url| url.trim_end_matches('/')) != value.as_deref() {
                    return Err((field.name, OTHER_ADDRESS));
                }
            }
            Some(_) => {}
            None => {
                fields.extend(value.map(|value| (field.name.to_owned(), value.into())));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::values::Secret;
    use serde_json::json;

    use super::*;

    fn filled(mut given: Value, kind: &str, public: Value, secrets: &[(&str, &str)]) -> Result<Value, (&'static str, Refusal)> {
        let lender = Provider { kind: kind.to_owned(), fields: serde_json::from_value(public).unwrap() };
        let credentials = Credentials(secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect());
        fill(given.as_object_mut().unwrap(), providers::adapter(kind).unwrap(), &lender, &credentials).map(|()| given)
    }

    #[test]
    fn a_further_number_takes_the_credentials_and_has_its_own_number_and_tokens() {
        let lender = json!({"account_sid": "102", "app_id": "7", "phone_number_id": "1", "verify_token": "shown"});
        let secrets = [("auth_token", "EAA"), ("app_secret", "s")];
        let taken = filled(json!({"phone_number_id": "2"}), "META", lender.clone(), &secrets).unwrap();
        let whole =
            json!({"type": "META", "account_sid": "102", "app_id": "7", "phone_number_id": "2", "auth_token": "EAA", "app_secret": "s"});
        assert_eq!(taken, whole);
        // Without a number of its own it is refused later, as any account is.
        assert!(filled(json!({}), "META", lender.clone(), &secrets).unwrap().get("phone_number_id").is_none());
        // What is given stays; `null` is left out.
        let given = json!({"type": "META", "account_sid": "103", "app_id": null, "phone_number_id": "2"});
        let taken = filled(given, "META", lender, &secrets).unwrap();
        assert_eq!((&taken["account_sid"], &taken["app_id"]), (&json!("103"), &json!("7")));
    }

    #[test]
    fn credentials_are_lent_to_the_same_type_and_address_only() {
        let lender = json!({"base_url": "https://api.eu.kaleyra.io", "waba_id": "1", "account_sid": "HX1", "callback_token": "guard"});
        let lent = |given| filled(given, "KALEYRA", lender.clone(), &[("api_key", "k"), ("callback_password", "p")]);
        assert_eq!(lent(json!({"type": "TWILIO"})), Err(("type", OTHER_TYPE)));
        for elsewhere in ["https://elsewhere.example.com", "https://api.eu.kaleyra.io.example.com", ""] {
            assert_eq!(lent(json!({"base_url": elsewhere})), Err(("base_url", OTHER_ADDRESS)), "{elsewhere}");
        }
        let taken = lent(json!({"base_url": "https://api.eu.kaleyra.io/"})).unwrap();
        assert_eq!((&taken["api_key"], &taken["callback_password"], taken.get("callback_token")), (&json!("k"), &json!("p"), None));
    }
}
