//! Accounts' secrets: one secret for each account. Its value is a JSON document whose form the caller chooses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use domain::ids::AccountId;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::{Aws, CallError};
use crate::config::{ConfigError, Env};

/// How long a secret is cached. A changed secret is used within a minute, and a busy account calls Secrets Manager
/// once a minute for each warm function.
const LIFETIME: Duration = Duration::from_secs(60);
/// The shortest time between two refetches. Anybody can send requests with a wrong signature, so they must not
/// cause a call each.
const REFETCH_INTERVAL: Duration = Duration::from_secs(10);
/// Secrets Manager's shortest recovery window, in days. A deleted account can be restored within it.
const RECOVERY_DAYS: i64 = 7;

/// Why a secret can't be read or written. The error never carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The account has no secret.
    #[error("the account has no secret")]
    Missing,
    /// The account has a secret already, or one that waits for its deletion.
    #[error("the account has a secret already")]
    Exists,
    /// The value is not the expected JSON document, or can't be written as one.
    #[error("the secret does not have the expected form")]
    Malformed,
    /// Secrets Manager failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// The versions of a secret that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions<T> {
    /// The version to use.
    pub current: T,
    /// The version before, because a provider may still sign with it.
    pub previous: Option<T>,
    /// When the current version replaced the one before.
    pub written_at: Option<Timestamp>,
    /// When they were read.
    pub read_at: Timestamp,
}

impl<T> Versions<T> {
    /// The versions that may have made a signature at `now`, the current first. A secret that was replaced is accepted
    /// for `validity`, unless it was revoked after that.
    pub fn accepted(&self, now: Timestamp, validity: SignedDuration, revoked_at: Option<Timestamp>) -> impl Iterator<Item = &T> {
        let valid = self
            .written_at
            .is_some_and(|replaced| now.duration_since(replaced) < validity && revoked_at.is_none_or(|revoked| revoked < replaced));
        std::iter::once(&self.current).chain(self.previous.as_ref().filter(|_| valid))
    }
}

/// Reads secrets of the form `T`, and caches each for a minute.
pub struct AccountSecrets<T> {
    store: SecretStore,
    cache: Mutex<Cache<T>>,
}

impl<T: DeserializeOwned> AccountSecrets<T> {
    /// Reads `SECRET_PREFIX`.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { store: SecretStore::from_env(aws, env)?, cache: Mutex::new(Cache::default()) })
    }

    /// The account's secret, up to a minute old.
    pub async fn get(&self, account: &AccountId) -> Result<Arc<Versions<T>>, SecretError> {
        let kept = self.cache().fresh(account, Instant::now());
        match kept {
            Some(versions) => Ok(versions),
            None => self.fetch(account).await,
        }
    }

    /// Reads the account's secret again, for a signature that matches none of the cached versions. `None` if that
    /// happened in the last 10 seconds, so that there is nothing new to try.
    pub async fn refetch(&self, account: &AccountId) -> Result<Option<Arc<Versions<T>>>, SecretError> {
        let allowed = self.cache().may_refetch(account, Instant::now());
        if allowed { self.fetch(account).await.map(Some) } else { Ok(None) }
    }

    async fn fetch(&self, account: &AccountId) -> Result<Arc<Versions<T>>, SecretError> {
        let versions = Arc::new(self.store.read(account).await?);
        self.cache().keep(account, &versions, Instant::now());
        Ok(versions)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache<T>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Cache<T>(HashMap<AccountId, Kept<T>>);

struct Kept<T> {
    versions: Arc<Versions<T>>,
    since: Instant,
    /// When a refetch was last allowed, even if it failed.
    refetched: Option<Instant>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Cache<T> {
    fn fresh(&self, account: &AccountId, now: Instant) -> Option<Arc<Versions<T>>> {
        let kept = self.0.get(account)?;
        (now.saturating_duration_since(kept.since) < LIFETIME).then(|| Arc::clone(&kept.versions))
    }

    fn may_refetch(&mut self, account: &AccountId, now: Instant) -> bool {
        let Some(kept) = self.0.get_mut(account) else { return true };
        let last = kept.refetched.map_or(kept.since, |refetched| refetched.max(kept.since));
        let allowed = now.saturating_duration_since(last) >= REFETCH_INTERVAL;
        if allowed {
            kept.refetched = Some(now);
        }
        allowed
    }

    fn keep(&mut self, account: &AccountId, versions: &Arc<Versions<T>>, now: Instant) {
        let refetched = self.0.get(account).and_then(|kept| kept.refetched);
        self.0.insert(account.clone(), Kept { versions: Arc::clone(versions), since: now, refetched });
    }
}

/// Secrets Manager, uncached. admin-api writes with it.
#[derive(Debug, Clone)]
pub struct SecretStore {
    client: Client,
    prefix: String,
}

impl SecretStore {
    /// Reads `SECRET_PREFIX`.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { client: aws.secretsmanager(), prefix: env.required("SECRET_PREFIX")?.to_owned() })
    }

    fn name(&self, account: &AccountId) -> String {
        format!("{}{account}", self.prefix)
    }

    /// The current and the previous version.
    pub async fn read<T: DeserializeOwned>(&self, account: &AccountId) -> Result<Versions<T>, SecretError> {
        let read_at = crate::time::now();
        let (current, previous) = tokio::join!(self.version(account, "AWSCURRENT"), self.version(account, "AWSPREVIOUS"));
        let (current, written_at) = current?.ok_or(SecretError::Missing)?;
        Ok(Versions {
            current: parse(&current)?,
            // A secret of an older form can't verify anything, so it counts as absent.
            previous: previous?.and_then(|(text, _)| parse(&text).ok()),
            written_at,
            read_at,
        })
    }

    /// The value of a version, and when it was written.
    async fn version(&self, account: &AccountId, stage: &str) -> Result<Option<(String, Option<Timestamp>)>, SecretError> {
        match self.client.get_secret_value().secret_id(self.name(account)).version_stage(stage).send().await {
            Ok(answer) => {
                let written_at =
                    answer.created_date.and_then(|date| date.to_millis().ok()).and_then(|ms| Timestamp::from_millisecond(ms).ok());
                Ok(answer.secret_string.map(|text| (text, written_at)))
            }
            Err(error) => match error.as_service_error() {
                // A secret that waits for its deletion answers "invalid request".
                Some(refusal) if refusal.is_resource_not_found_exception() || refusal.is_invalid_request_exception() => Ok(None),
                _ => Err(CallError::of("secretsmanager", &error).into()),
            },
        }
    }

    /// Creates the account's secret.
    pub async fn create(&self, account: &AccountId, value: &impl Serialize) -> Result<(), SecretError> {
        match self.client.create_secret().name(self.name(account)).secret_string(text(value)?).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(refusal) if refusal.is_resource_exists_exception() || refusal.is_invalid_request_exception() => SecretError::Exists,
                _ => CallError::of("secretsmanager", &error).into(),
            }),
        }
    }

    /// Writes a new version. The current one becomes the previous one.
    pub async fn put(&self, account: &AccountId, value: &impl Serialize) -> Result<(), SecretError> {
        match self.client.put_secret_value().secret_id(self.name(account)).secret_string(text(value)?).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(refusal) if refusal.is_resource_not_found_exception() => SecretError::Missing,
                _ => CallError::of("secretsmanager", &error).into(),
            }),
        }
    }

    /// Deletes the account's secret. If `forced`, it is gone for good; otherwise it can be restored for seven days.
    /// An absent secret is a success.
    pub async fn delete(&self, account: &AccountId, forced: bool) -> Result<(), SecretError> {
        let request = self.client.delete_secret().secret_id(self.name(account));
        let request = if forced { request.force_delete_without_recovery(true) } else { request.recovery_window_in_days(RECOVERY_DAYS) };
        match request.send().await {
            Err(error) if !error.as_service_error().is_some_and(|refusal| refusal.is_resource_not_found_exception()) => {
                Err(CallError::of("secretsmanager", &error).into())
            }
            _ => Ok(()),
        }
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, SecretError> {
    serde_json::from_str(text).map_err(|_| SecretError::Malformed)
}

fn text(value: &impl Serialize) -> Result<String, SecretError> {
    serde_json::to_string(value).map_err(|_| SecretError::Malformed)
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn account(n: u128) -> AccountId {
        AccountId::from_ulid(Ulid::from_parts(1, n))
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 3_600 * hours).unwrap()
    }

    fn versions(current: &str) -> Arc<Versions<String>> {
        Arc::new(Versions { current: current.into(), previous: Some("old".into()), written_at: Some(at(0)), read_at: at(0) })
    }

    #[test]
    fn a_secret_is_kept_for_a_minute() {
        let start = Instant::now();
        let mut cache = Cache::default();
        assert!(cache.fresh(&account(1), start).is_none());
        cache.keep(&account(1), &versions("a"), start);
        assert_eq!(cache.fresh(&account(1), start + LIFETIME - Duration::from_millis(1)), Some(versions("a")));
        assert!(cache.fresh(&account(1), start + LIFETIME).is_none());
        assert!(cache.fresh(&account(2), start).is_none());
    }

    #[test]
    fn wrong_signatures_refetch_once_in_ten_seconds_for_each_account() {
        let start = Instant::now();
        let mut cache = Cache::default();
        cache.keep(&account(1), &versions("a"), start);
        cache.keep(&account(2), &versions("b"), start);
        assert!(!cache.may_refetch(&account(1), start + Duration::from_secs(9)), "it was fetched just now");
        let later = start + Duration::from_secs(11);
        assert!(cache.may_refetch(&account(1), later));
        assert!(!cache.may_refetch(&account(1), later), "also when the first one failed or is on its way");
        assert!(cache.may_refetch(&account(2), later), "accounts don't share the limit");
        cache.keep(&account(1), &versions("c"), later);
        assert!(!cache.may_refetch(&account(1), later + Duration::from_secs(9)));
        assert!(cache.may_refetch(&account(1), later + Duration::from_secs(10)));
    }

    #[test]
    fn a_replaced_secret_is_accepted_for_its_time_unless_it_is_revoked() {
        let day = SignedDuration::from_hours(24);
        let accepted = |hours, revoked_at| versions("new").accepted(at(hours), day, revoked_at).cloned().collect::<Vec<_>>();
        assert_eq!(accepted(0, None), ["new", "old"]);
        assert_eq!(accepted(23, None), ["new", "old"]);
        assert_eq!(accepted(24, None), ["new"]);
        assert_eq!(accepted(2, Some(at(1))), ["new"]);
        assert_eq!(accepted(2, Some(at(0))), ["new"], "in the same instant");
        assert_eq!(accepted(2, Some(at(-1))), ["new", "old"], "an earlier one was revoked");
        let unknown = Versions { written_at: None, ..Versions::clone(&versions("new")) };
        assert_eq!(unknown.accepted(at(0), day, None).count(), 1, "nobody knows when it was replaced");
    }
}
