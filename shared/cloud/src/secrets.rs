//! Secrets: one for each account, or for another owner such as an AI agent. Its value is a JSON document whose form
//! the caller chooses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::types::Tag;
use domain::ids::Id;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::{Aws, CallError};
use crate::config::{ConfigError, Env};

/// How long a version is cached. A busy account then costs each warm function four calls an hour. A version that an
/// administrator replaces is read anew before that: with the change of the owner, or after a mismatch.
const LIFETIME: Duration = Duration::from_mins(15);
/// The shortest time between two refetches. Anybody can send requests with a wrong signature, so they must not
/// cause a call each.
const REFETCH_INTERVAL: Duration = Duration::from_secs(10);
/// The tag that says which receive functions may read a secret: their names, with slashes between them. A policy of
/// the template asks for it.
const RECEIVE_TAG: &str = "receive";
/// Secrets Manager's shortest recovery window, in days. A deleted account can be restored within it.
const RECOVERY_DAYS: i64 = 7;

/// Why a secret can't be read or written. The error never carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The owner has no secret.
    #[error("there is no secret")]
    Missing,
    /// The owner has a secret already, or one that waits for its deletion.
    #[error("there is a secret already")]
    Exists,
    /// The value is not the expected JSON document, or can't be written as one.
    #[error("the secret does not have the expected form")]
    Malformed,
    /// Secrets Manager failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// The current version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current<T> {
    /// Its value.
    pub value: T,
    /// When it replaced the one before.
    pub written_at: Option<Timestamp>,
    /// When it was read.
    pub read_at: Timestamp,
    /// Secrets Manager's id of the version.
    id: Option<String>,
}

impl<T> Current<T> {
    /// Whether the version before may have made a signature at `now`. A secret that was replaced is accepted for
    /// `validity`, unless it was revoked after that.
    pub fn accepts_previous(&self, now: Timestamp, validity: SignedDuration, revoked_at: Option<Timestamp>) -> bool {
        self.written_at
            .is_some_and(|replaced| now.duration_since(replaced) < validity && revoked_at.is_none_or(|revoked| revoked < replaced))
    }

    /// Two versions without an id may differ.
    fn is_same_version(&self, other: &Self) -> bool {
        self.id.is_some() && self.id == other.id
    }
}

/// Reads secrets of the form `T`, and caches their versions for a quarter of an hour.
pub struct AccountSecrets<T> {
    store: SecretStore,
    cache: Mutex<Cache<T>>,
}

impl<T: DeserializeOwned> AccountSecrets<T> {
    /// Reads `SECRET_PREFIX`.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { store: SecretStore::from_env(aws, env)?, cache: Mutex::new(Cache::default()) })
    }

    /// Secrets of another kind, whose prefix the variable `variable` holds.
    pub fn of_kind(aws: &Aws, env: &Env, variable: &'static str) -> Result<Self, ConfigError> {
        Ok(Self { store: SecretStore::of_kind(aws, env, variable)?, cache: Mutex::new(Cache::default()) })
    }

    /// The owner's current secret, up to a quarter of an hour old. `changes` is the version of the owner: every
    /// change of it may come with a new secret, so what was read before it is read anew.
    pub async fn get(&self, owner: &impl Id, changes: u64) -> Result<Arc<Current<T>>, SecretError> {
        let kept = self.cache().fresh(owner, changes, Instant::now());
        match kept {
            Some(current) => Ok(current),
            None => self.fetch(owner, changes).await,
        }
    }

    /// Reads the owner's secret again, for a signature that does not match. `None` if that happened in the last 10
    /// seconds, so that there is nothing new to try.
    pub async fn refetch(&self, owner: &impl Id, changes: u64) -> Result<Option<Arc<Current<T>>>, SecretError> {
        let allowed = self.cache().may_refetch(owner, Instant::now());
        if allowed { self.fetch(owner, changes).await.map(Some) } else { Ok(None) }
    }

    /// The version before `current`, for a signature that `current` did not make. It is read once and kept as long as
    /// `current` is.
    pub async fn previous(&self, owner: &impl Id, current: &Current<T>) -> Result<Option<Arc<T>>, SecretError> {
        let kept = self.cache().previous(owner, current);
        if let Some(previous) = kept {
            return Ok(previous.0);
        }
        let previous = self.store.previous(owner).await?.map(Arc::new);
        self.cache().keep_previous(owner, current, previous.as_ref());
        Ok(previous)
    }

    async fn fetch(&self, owner: &impl Id, changes: u64) -> Result<Arc<Current<T>>, SecretError> {
        let current = Arc::new(self.store.current(owner).await?);
        self.cache().keep(owner, changes, &current, Instant::now());
        Ok(current)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache<T>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Cache<T>(HashMap<String, Kept<T>>);

struct Kept<T> {
    current: Arc<Current<T>>,
    /// The version before, once it was read.
    previous: Option<Previous<T>>,
    /// The owner's version when it was read.
    changes: u64,
    since: Instant,
    /// When a refetch was last allowed, even if it failed.
    refetched: Option<Instant>,
}

/// A version before another; `None` if there is none.
struct Previous<T>(Option<Arc<T>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Cache<T> {
    fn fresh(&self, owner: &impl Id, changes: u64, now: Instant) -> Option<Arc<Current<T>>> {
        let kept = self.0.get(owner.text())?;
        let is_fresh = now.saturating_duration_since(kept.since) < LIFETIME && kept.changes >= changes;
        is_fresh.then(|| Arc::clone(&kept.current))
    }

    fn may_refetch(&mut self, owner: &impl Id, now: Instant) -> bool {
        let Some(kept) = self.0.get_mut(owner.text()) else { return true };
        let last = kept.refetched.map_or(kept.since, |refetched| refetched.max(kept.since));
        let allowed = now.saturating_duration_since(last) >= REFETCH_INTERVAL;
        if allowed {
            kept.refetched = Some(now);
        }
        allowed
    }

    fn keep(&mut self, owner: &impl Id, changes: u64, current: &Arc<Current<T>>, now: Instant) {
        let before = self.0.remove(owner.text());
        let refetched = before.as_ref().and_then(|kept| kept.refetched);
        // The version before the same version is the same.
        let previous = before.filter(|kept| kept.current.is_same_version(current)).and_then(|kept| kept.previous);
        self.0.insert(owner.text().to_owned(), Kept { current: Arc::clone(current), previous, changes, since: now, refetched });
    }

    fn previous(&self, owner: &impl Id, current: &Current<T>) -> Option<Previous<T>> {
        let kept = self.0.get(owner.text()).filter(|kept| std::ptr::eq(&raw const *kept.current, current))?;
        kept.previous.as_ref().map(|previous| Previous(previous.0.clone()))
    }

    fn keep_previous(&mut self, owner: &impl Id, current: &Current<T>, previous: Option<&Arc<T>>) {
        let kept = self.0.get_mut(owner.text()).filter(|kept| std::ptr::eq(&raw const *kept.current, current));
        if let Some(kept) = kept {
            kept.previous = Some(Previous(previous.cloned()));
        }
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

    /// Secrets of another kind, whose prefix the variable `variable` holds.
    pub fn of_kind(aws: &Aws, env: &Env, variable: &'static str) -> Result<Self, ConfigError> {
        Ok(Self { client: aws.secretsmanager(), prefix: env.required(variable)?.to_owned() })
    }

    fn name(&self, owner: &impl Id) -> String {
        format!("{}{owner}", self.prefix)
    }

    /// The current version.
    pub async fn current<T: DeserializeOwned>(&self, owner: &impl Id) -> Result<Current<T>, SecretError> {
        let read_at = crate::time::now();
        let version = self.version(owner, "AWSCURRENT").await?.ok_or(SecretError::Missing)?;
        let text = version.secret_string().ok_or(SecretError::Missing)?;
        let written_at = version.created_date().and_then(|date| date.to_millis().ok()).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Ok(Current { value: parse(text)?, written_at, read_at, id: version.version_id().map(str::to_owned) })
    }

    /// The version before the current one, if there is one.
    pub async fn previous<T: DeserializeOwned>(&self, owner: &impl Id) -> Result<Option<T>, SecretError> {
        let version = self.version(owner, "AWSPREVIOUS").await?;
        // A secret of an older form can't verify anything, so it counts as absent.
        Ok(version.and_then(|version| parse(version.secret_string()?).ok()))
    }

    async fn version(&self, owner: &impl Id, stage: &str) -> Result<Option<GetSecretValueOutput>, SecretError> {
        match self.client.get_secret_value().secret_id(self.name(owner)).version_stage(stage).send().await {
            Ok(version) => Ok(Some(version)),
            Err(error) => match error.as_service_error() {
                // A secret that waits for its deletion answers "invalid request".
                Some(refusal) if refusal.is_resource_not_found_exception() || refusal.is_invalid_request_exception() => Ok(None),
                _ => Err(CallError::of("secretsmanager", &error).into()),
            },
        }
    }

    /// Creates the owner's secret, for the receive function `receive`.
    pub async fn create(&self, owner: &impl Id, value: &impl Serialize, receive: &str) -> Result<(), SecretError> {
        let request = self.client.create_secret().name(self.name(owner)).secret_string(text(value)?).tags(tag(receive));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(refusal) if refusal.is_resource_exists_exception() || refusal.is_invalid_request_exception() => SecretError::Exists,
                _ => CallError::of("secretsmanager", &error).into(),
            }),
        }
    }

    /// Lets the functions `receive` (names with slashes between them) read the owner's secret, and no other receive
    /// function.
    pub async fn permit(&self, owner: &impl Id, receive: &str) -> Result<(), SecretError> {
        match self.client.tag_resource().secret_id(self.name(owner)).tags(tag(receive)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(refusal) if refusal.is_resource_not_found_exception() => SecretError::Missing,
                _ => CallError::of("secretsmanager", &error).into(),
            }),
        }
    }

    /// Writes a new version. The current one becomes the previous one.
    pub async fn put(&self, owner: &impl Id, value: &impl Serialize) -> Result<(), SecretError> {
        match self.client.put_secret_value().secret_id(self.name(owner)).secret_string(text(value)?).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(refusal) if refusal.is_resource_not_found_exception() => SecretError::Missing,
                _ => CallError::of("secretsmanager", &error).into(),
            }),
        }
    }

    /// Writes the secret of an owner that may have none yet.
    pub async fn keep(&self, owner: &impl Id, value: &impl Serialize) -> Result<(), SecretError> {
        match self.put(owner, value).await {
            Err(SecretError::Missing) => {}
            outcome => return outcome,
        }
        // No receive function may read it.
        match self.create(owner, value, "").await {
            // The answer of the first attempt was lost.
            Err(SecretError::Exists) => self.put(owner, value).await,
            outcome => outcome,
        }
    }

    /// Deletes the owner's secret. If `forced`, it is gone for good; otherwise it can be restored for seven days.
    /// An absent secret is a success.
    pub async fn delete(&self, owner: &impl Id, forced: bool) -> Result<(), SecretError> {
        let request = self.client.delete_secret().secret_id(self.name(owner));
        let request = if forced { request.force_delete_without_recovery(true) } else { request.recovery_window_in_days(RECOVERY_DAYS) };
        match request.send().await {
            Err(error) if !error.as_service_error().is_some_and(|refusal| refusal.is_resource_not_found_exception()) => {
                Err(CallError::of("secretsmanager", &error).into())
            }
            _ => Ok(()),
        }
    }
}

fn tag(receive: &str) -> Tag {
    Tag::builder().key(RECEIVE_TAG).value(receive).build()
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, SecretError> {
    serde_json::from_str(text).map_err(|_| SecretError::Malformed)
}

fn text(value: &impl Serialize) -> Result<String, SecretError> {
    serde_json::to_string(value).map_err(|_| SecretError::Malformed)
}

#[cfg(test)]
mod tests {
    use domain::ids::AccountId;
    use serde_json::json;
    use ulid::Ulid;

    use super::*;
    use crate::testing::Stub;

    fn account(n: u128) -> AccountId {
        AccountId::from_ulid(Ulid::from_parts(1, n))
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 3_600 * hours).unwrap()
    }

    fn current(value: &str) -> Arc<Current<String>> {
        Arc::new(Current { value: value.into(), written_at: Some(at(0)), read_at: at(0), id: Some(value.into()) })
    }

    #[test]
    fn a_secret_is_kept_for_a_quarter_of_an_hour_or_until_the_account_changes() {
        let start = Instant::now();
        let mut cache = Cache::default();
        assert!(cache.fresh(&account(1), 7, start).is_none());
        cache.keep(&account(1), 7, &current("a"), start);
        assert_eq!(cache.fresh(&account(1), 7, start + LIFETIME - Duration::from_millis(1)), Some(current("a")));
        assert!(cache.fresh(&account(1), 7, start + LIFETIME).is_none());
        assert!(cache.fresh(&account(1), 8, start).is_none(), "the change may have come with a new secret");
        assert!(cache.fresh(&account(1), 6, start).is_some(), "a cache that has not seen the change");
        assert!(cache.fresh(&account(2), 7, start).is_none());
    }

    #[test]
    fn wrong_signatures_refetch_once_in_ten_seconds_for_each_account() {
        let start = Instant::now();
        let mut cache = Cache::default();
        cache.keep(&account(1), 1, &current("a"), start);
        cache.keep(&account(2), 1, &current("b"), start);
        assert!(!cache.may_refetch(&account(1), start + Duration::from_secs(9)), "it was fetched just now");
        let later = start + Duration::from_secs(11);
        assert!(cache.may_refetch(&account(1), later));
        assert!(!cache.may_refetch(&account(1), later), "also when the first one failed or is on its way");
        assert!(cache.may_refetch(&account(2), later), "accounts don't share the limit");
        cache.keep(&account(1), 1, &current("c"), later);
        assert!(!cache.may_refetch(&account(1), later + Duration::from_secs(9)));
        assert!(cache.may_refetch(&account(1), later + Duration::from_secs(10)));
    }

    #[test]
    fn a_replaced_secret_is_accepted_for_its_time_unless_it_is_revoked() {
        let accepts = |hours, revoked_at| current("new").accepts_previous(at(hours), SignedDuration::from_hours(24), revoked_at);
        assert!(accepts(0, None));
        assert!(accepts(23, None));
        assert!(!accepts(24, None));
        assert!(!accepts(2, Some(at(1))));
        assert!(!accepts(2, Some(at(0))), "in the same instant");
        assert!(accepts(2, Some(at(-1))), "an earlier one was revoked");
        let unknown = Current { written_at: None, ..Current::clone(&current("new")) };
        assert!(!unknown.accepts_previous(at(0), SignedDuration::from_hours(24), None), "nobody knows when it was replaced");
    }

    /// Secrets Manager with a secret whose current version is `generation` and whose previous one is that before.
    async fn secrets(generation: &Arc<Mutex<u32>>) -> (Stub, AccountSecrets<String>) {
        let generation = Arc::clone(generation);
        let stub = Stub::start(move |call| {
            let current = *generation.lock().unwrap();
            let number = if call.body["VersionStage"] == "AWSCURRENT" { current } else { current - 1 };
            let body = json!({"SecretString": format!("\"{number}\""), "VersionId": number.to_string(), "CreatedDate": 1_800_000_000});
            Some((200, body.to_string()))
        });
        let stub = stub.await;
        let env = Env::from_pairs([("SECRET_PREFIX", "stack/accounts/")]);
        let secrets = AccountSecrets::from_env(&stub.aws, &env).unwrap();
        (stub, secrets)
    }

    fn stages(stub: &Stub) -> Vec<String> {
        stub.calls().iter().map(|call| call.body["VersionStage"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn the_current_version_costs_one_call_and_the_one_before_it_one_more_once_it_is_asked_for() {
        let generation = Arc::new(Mutex::new(2));
        let (stub, secrets) = secrets(&generation).await;
        for _ in 0..5 {
            assert_eq!(secrets.get(&account(1), 1).await.unwrap().value, "2");
        }
        assert_eq!(stages(&stub), ["AWSCURRENT"]);
        let current = secrets.get(&account(1), 1).await.unwrap();
        for _ in 0..5 {
            assert_eq!(secrets.previous(&account(1), &current).await.unwrap().as_deref().map(String::as_str), Some("1"));
        }
        assert_eq!(stages(&stub), ["AWSPREVIOUS"]);
        assert!(secrets.refetch(&account(1), 1).await.unwrap().is_none());
        assert!(stages(&stub).is_empty(), "it was read just now");
    }

    #[tokio::test]
    async fn a_change_of_the_account_reads_the_current_version_and_keeps_the_one_before_only_with_the_same() {
        let generation = Arc::new(Mutex::new(2));
        let (stub, secrets) = secrets(&generation).await;
        let first = secrets.get(&account(1), 1).await.unwrap();
        secrets.previous(&account(1), &first).await.unwrap();
        let same = secrets.get(&account(1), 2).await.unwrap();
        secrets.previous(&account(1), &same).await.unwrap();
        assert_eq!(stages(&stub), ["AWSCURRENT", "AWSPREVIOUS", "AWSCURRENT"]);
        *generation.lock().unwrap() = 3;
        let next = secrets.get(&account(1), 3).await.unwrap();
        let previous = secrets.previous(&account(1), &next).await.unwrap();
        assert_eq!((next.value.as_str(), previous.as_deref().map(String::as_str)), ("3", Some("2")));
        assert_eq!(stages(&stub), ["AWSCURRENT", "AWSPREVIOUS"]);
    }
}
