//! The secrets of an account: generated tokens, and the credentials that an administrator enters.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cloud::secrets::SecretError;
use domain::account::{Account, Credentials};
use domain::ids::AccountId;
use domain::values::Secret;

use crate::app::App;
use crate::error::ApiError;
use crate::input::ProviderInput;

/// Random bytes in a token: 256 bits can't be guessed.
const TOKEN_BYTES: usize = 32;

/// The path of a Receive URL. It leads to the function for the provider's type.
pub(super) fn receive_path(kind: &str, token: &str) -> Secret {
    format!("/receive/{}/{token}", receive_name(kind)).into()
}

/// The token at the end of an account's Receive URL.
pub(super) fn path_token(account: &Account) -> &str {
    account.receive_path.reveal().rsplit('/').next().unwrap_or_default()
}

/// The name of the receive function for a provider's type.
fn receive_name(kind: &str) -> &'static str {
    providers::adapter(kind).map_or("", |adapter| adapter.receive_name())
}

/// Stores the secret of a new account.
pub(super) async fn store(app: &App, account: &Account, credentials: &Credentials) -> Result<(), ApiError> {
    match app.secrets.create(&account.id, credentials, receive_name(&account.provider.kind)).await {
        // Nobody else makes a secret for an id that was made just now: the answer of the first attempt was lost.
        Err(SecretError::Exists) => Ok(app.secrets.put(&account.id, credentials).await?),
        outcome => Ok(outcome?),
    }
}

/// Writes the new secrets and keeps the others. If there are no new secrets and the address stays, nothing is read.
/// Another type has another receive function: both may read the secret until the account is written.
pub(super) async fn rotate(app: &App, before: &Account, after: &Account, provider: &ProviderInput) -> Result<Vec<String>, ApiError> {
    if !provider.writes_secrets() && !provider.elsewhere {
        return Ok(Vec::new());
    }
    let id = &after.id;
    let stored = match app.secrets.current::<Credentials>(id).await {
        Ok(current) => Some(current.value),
        // The secret was deleted by hand, so the account gets a new one.
        Err(SecretError::Missing | SecretError::Malformed) => None,
        Err(error) => return Err(error.into()),
    };
    let (old, new) = (receive_name(&before.provider.kind), receive_name(&after.provider.kind));
    let both = if old == new { new.to_owned() } else { format!("{old}/{new}") };
    match app.secrets.permit(id, &both).await {
        Ok(()) | Err(SecretError::Missing) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(credentials) = provider.credentials(stored.as_ref(), token)? else { return Ok(Vec::new()) };
    match app.secrets.put(id, &credentials).await {
        Err(SecretError::Missing) => app.secrets.create(id, &credentials, &both).await?,
        outcome => outcome?,
    }
    Ok(changed_secrets(&stored.unwrap_or_default(), &credentials))
}

/// Takes the right to read the secret from the receive function of the type that an account had.
pub(super) async fn narrow(app: &App, before: &Account, after: &Account) -> Result<(), ApiError> {
    let (old, new) = (receive_name(&before.provider.kind), receive_name(&after.provider.kind));
    if old != new {
        app.secrets.permit(&after.id, new).await?;
    }
    Ok(())
}

/// The secrets that differ, as paths in the account's view.
pub(super) fn changed_secrets(before: &Credentials, after: &Credentials) -> Vec<String> {
    let names: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
    let differs = |name: &&&String| before.0.get(**name).map(Secret::reveal) != after.0.get(**name).map(Secret::reveal);
    names.iter().filter(differs).map(|name| format!("provider.{name}")).collect()
}

/// Deletes the secret of an account that does not exist (any more). The account's deletion does not depend on it. A
/// secret that can't be deleted is logged so that an operator can remove it.
pub(super) async fn forget_secret(app: &App, id: &AccountId, forced: bool) {
    if let Err(error) = app.secrets.delete(id, forced).await {
        tracing::error!(event = "admin.secret_left", account = id.as_str(), %error);
    }
}

pub(super) fn token() -> Result<String, ApiError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A secret in the form of the Standard Webhooks specification: `whsec_` and the base64 of the key.
pub(crate) fn webhook_secret() -> Result<Secret, ApiError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::NoRandomness)?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)).into())
}

/// SHA-256 of a token's text, in hex.
pub(super) fn hash(token: &str) -> String {
    cloud::digest::sha256_hex(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unguessable_and_found_by_their_hash() {
        let (one, another) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, another);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
