//! Carries the requests of the providers' adapters out: with the account's credentials, with the token that some APIs want in their place, and once more
//! with new ones when the old were refused.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::egress::{self, Transport};
use cloud::secrets::{AccountSecrets, SecretError};
use domain::account::{Account, Credentials};
use domain::ids::AccountId;
use domain::values::Secret;
use http::StatusCode;
use providers::{AccessToken, Adapter, Answer, Authorization, Connection, Hosts, OutgoingRequest, Problem, Step, TransportFailure};

/// The longest answer that is read. A page of a hundred templates or messages has some hundred KB.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// Requests of one conversation with an API: 100 pages are more than any list that is asked for here, and a provider that always names a next page must
/// not be asked for ever.
const CALLS: usize = 100;

/// A token is used until this long before its end, so that it does not end on its way.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// Makes requests.
pub trait Http: Send + Sync {
    /// Makes a request, once.
    fn call(&self, request: OutgoingRequest) -> impl Future<Output = Result<Answer, TransportFailure>> + Send;
}

/// The accounts' credentials.
pub trait Keys: Send + Sync {
    /// The current ones, perhaps a little old.
    fn get(&self, account: &AccountId) -> impl Future<Output = Result<Credentials, SecretError>> + Send;
    /// Asked for again, or `None` when that was done a moment ago.
    fn refetch(&self, account: &AccountId) -> impl Future<Output = Result<Option<Credentials>, SecretError>> + Send;
}

impl Keys for AccountSecrets<Credentials> {
    async fn get(&self, account: &AccountId) -> Result<Credentials, SecretError> {
        Ok(AccountSecrets::get(self, account).await?.current.clone())
    }

    async fn refetch(&self, account: &AccountId) -> Result<Option<Credentials>, SecretError> {
        Ok(AccountSecrets::refetch(self, account).await?.map(|versions| versions.current.clone()))
    }
}

/// Requests to the providers' own APIs.
#[derive(Debug, Clone)]
pub struct Web(reqwest::Client);

impl Http for Web {
    async fn call(&self, request: OutgoingRequest) -> Result<Answer, TransportFailure> {
        let mut call = self.0.request(request.method, &request.url).headers(request.headers).body(request.body);
        match &request.authorization {
            Authorization::None => {}
            Authorization::Basic { user, password } => call = call.basic_auth(user, Some(password.reveal())),
            Authorization::Bearer(token) => call = call.bearer_auth(token.reveal()),
            Authorization::Header { name, value } => call = call.header(*name, value.reveal()),
        }
        let failure = |error: reqwest::Error| match Transport::of(&error) {
            Transport::NotSent => TransportFailure::NotSent,
            Transport::Unknown => TransportFailure::OutcomeUnknown,
        };
        let mut answer = call.send().await.map_err(failure)?;
        let status = answer.status();
        let retry_after = answer.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        // A body that broke off or does not end is none: a refusal is one by its status alone, and whatever else was answered is then in doubt.
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_LIMIT => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => {
                    body.clear();
                    break;
                }
            }
        }
        Ok(Answer { status, retry_after, body })
    }
}

/// What a request to an account's provider is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The secret fields.
    pub credentials: Credentials,
    /// The token, where the API wants one.
    pub token: Option<Secret>,
}

impl Access {
    /// With the account and the providers' addresses.
    pub fn connection<'a>(&'a self, account: &'a Account, hosts: &'a Hosts) -> Connection<'a> {
        Connection { account, credentials: &self.credentials, token: self.token.as_ref(), hosts }
    }
}

/// Why nothing can be asked of a provider.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No adapter has the account's type: an account of a later version.
    #[error("no adapter for the provider type")]
    NoAdapter,
    /// The secret store failed, or has nothing for the account.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The provider gave no token for the credentials.
    #[error("the provider refused the credentials")]
    Refused,
    /// The provider could not be asked for a token.
    #[error("the provider could not be asked for a token")]
    Unreachable,
}

/// Why a conversation with a provider's API came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConverseError {
    /// There was nothing to ask with.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The API did not answer.
    #[error(transparent)]
    Transport(#[from] TransportFailure),
    /// It went on for longer than any list that is asked for.
    #[error("more than {CALLS} requests")]
    TooLong,
}

impl ConverseError {
    /// The same in the words of the adapters' problems, where there are some.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            ConverseError::Access(AccessError::Refused) => Some(Problem::CredentialsRefused),
            ConverseError::Access(AccessError::Secret(SecretError::Missing | SecretError::Malformed)) => Some(Problem::CredentialsRefused),
            ConverseError::Access(AccessError::NoAdapter | AccessError::Secret(_) | AccessError::Unreachable)
            | ConverseError::Transport(_)
            | ConverseError::TooLong => None,
        }
    }
}

/// Talks to providers.
pub struct Client<H = Web, K = AccountSecrets<Credentials>> {
    http: H,
    keys: K,
    hosts: Hosts,
    tokens: Mutex<HashMap<AccountId, Kept>>,
}

/// A token, until when it serves, and what it was given for.
struct Kept {
    token: Secret,
    until: Instant,
    credentials: Credentials,
}

impl Client {
    /// Reads the addresses of the providers, and what [`AccountSecrets`] needs.
    ///
    /// # Errors
    /// When a variable is missing or is none.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let hosts = Hosts::all(|name, default| env.base_url_or(name, default))?;
        let invalid = ConfigError::Invalid { name: "SSL_CERT_FILE", expected: "a file of certificates, or absent" };
        let web = Web(egress::provider_client().map_err(|_| invalid)?);
        Ok(Self::new(web, AccountSecrets::from_env(aws, env)?, hosts))
    }
}

/// The adapter of an account's type.
///
/// # Errors
/// [`AccessError::NoAdapter`].
pub fn adapter(account: &Account) -> Result<&'static dyn Adapter, AccessError> {
    providers::adapter(&account.provider.kind).ok_or(AccessError::NoAdapter)
}

impl<H: Http, K: Keys> Client<H, K> {
    /// Over ports.
    pub fn new(http: H, keys: K, hosts: Hosts) -> Self {
        Self { http, keys, hosts, tokens: Mutex::new(HashMap::new()) }
    }

    /// The providers' addresses.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Credentials and token of an account. Everything that can fail before a request is made fails here.
    ///
    /// # Errors
    /// There are no credentials, or no token for them.
    pub async fn access(&self, account: &Account) -> Result<Access, AccessError> {
        let credentials = match self.keys.get(&account.id).await {
            // It may have been written a moment ago.
            Err(error @ (SecretError::Missing | SecretError::Malformed)) => self.keys.refetch(&account.id).await?.ok_or(error)?,
            found => found?,
        };
        match self.with_token(account, credentials.clone()).await {
            Err(AccessError::Refused) => match self.keys.refetch(&account.id).await? {
                Some(fresh) if fresh != credentials => self.with_token(account, fresh).await,
                _ => Err(AccessError::Refused),
            },
            found => found,
        }
    }

    /// Other credentials or another token than `refused`, after the provider refused it; `None` when there are none.
    ///
    /// # Errors
    /// They could not be asked for.
    pub async fn renew(&self, account: &Account, refused: &Access) -> Result<Option<Access>, AccessError> {
        if refused.token.is_some() {
            self.tokens().remove(&account.id);
        }
        let credentials = self.keys.refetch(&account.id).await?.unwrap_or_else(|| refused.credentials.clone());
        if refused.token.is_none() && credentials == refused.credentials {
            return Ok(None);
        }
        let access = self.with_token(account, credentials).await?;
        Ok((access != *refused).then_some(access))
    }

    /// Makes a request, once.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn call(&self, request: OutgoingRequest) -> Result<Answer, TransportFailure> {
        self.http.call(request).await
    }

    /// Asks an account's provider something that may take several requests: `next` is given all answers so far. When the first is a refusal of the
    /// credentials it begins anew with other ones, once.
    ///
    /// # Errors
    /// There is nothing to ask with, no answer, or no end.
    pub async fn converse<T>(
        &self,
        account: &Account,
        next: impl Fn(&'static dyn Adapter, &Connection<'_>, &[Answer]) -> Step<T> + Send + Sync,
    ) -> Result<T, ConverseError> {
        let adapter = adapter(account)?;
        let mut access = self.access(account).await?;
        let mut renewed = false;
        let mut answers: Vec<Answer> = Vec::new();
        while answers.len() < CALLS {
            let step = next(adapter, &access.connection(account, &self.hosts), &answers);
            let request = match step {
                Step::Done(result) => return Ok(result),
                Step::Call(request) => request,
            };
            let answer = self.http.call(request).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                if let Some(other) = self.renew(account, &access).await? {
                    access = other;
                    answers.clear();
                    continue;
                }
            }
            answers.push(answer);
        }
        Err(ConverseError::TooLong)
    }

    async fn with_token(&self, account: &Account, credentials: Credentials) -> Result<Access, AccessError> {
        let adapter = adapter(account)?;
        let bare = Access { credentials, token: None };
        let Some(request) = adapter.token_request(&bare.connection(account, &self.hosts)) else { return Ok(bare) };
        let kept = self
            .tokens()
            .get(&account.id)
            .filter(|kept| Instant::now() < kept.until && kept.credentials == bare.credentials)
            .map(|kept| kept.token.clone());
        if let Some(token) = kept {
            return Ok(Access { token: Some(token), ..bare });
        }
        let answer = self.http.call(request).await.map_err(|_| AccessError::Unreachable)?;
        let refused = answer.status.is_client_error()
            && answer.status != StatusCode::TOO_MANY_REQUESTS
            && answer.status != StatusCode::REQUEST_TIMEOUT;
        if refused {
            return Err(AccessError::Refused);
        }
        let token = answer.status.is_success().then(|| adapter.read_token(&answer.body)).flatten().ok_or(AccessError::Unreachable)?;
        let AccessToken { secret, lasts } = token;
        let until = Instant::now() + lasts.saturating_sub(TOKEN_MARGIN).min(Duration::from_hours(24));
        self.tokens().insert(account.id.clone(), Kept { token: secret.clone(), until, credentials: bare.credentials.clone() });
        Ok(Access { token: Some(secret), ..bare })
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, Kept>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Credentials that no account has yet.
#[derive(Debug, Clone)]
pub struct Given(Credentials);

impl Keys for Given {
    async fn get(&self, _: &AccountId) -> Result<Credentials, SecretError> {
        Ok(self.0.clone())
    }

    async fn refetch(&self, _: &AccountId) -> Result<Option<Credentials>, SecretError> {
        Ok(None)
    }
}

impl<H: Clone, K> Client<H, K> {
    /// The same with these credentials, whatever the account: to try them before they are stored.
    pub fn with_credentials(&self, credentials: Credentials) -> Client<H, Given> {
        Client { http: self.http.clone(), keys: Given(credentials), hosts: self.hosts.clone(), tokens: Mutex::new(HashMap::new()) }
    }
}

impl<K: Keys> Keys for Arc<K> {
    async fn get(&self, account: &AccountId) -> Result<Credentials, SecretError> {
        K::get(self, account).await
    }

    async fn refetch(&self, account: &AccountId) -> Result<Option<Credentials>, SecretError> {
        K::refetch(self, account).await
    }
}

#[cfg(test)]
mod tests;
