//! Carries out the requests of the providers' adapters. It adds the account's credentials, or the token that some
//! APIs want instead. If the provider refuses them, it tries once more with new ones.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::egress::{Egress, EgressError, Transport};
use cloud::secrets::{AccountSecrets, SecretError};
use domain::account::{Account, Credentials};
use domain::ids::AccountId;
use domain::values::Secret;
use http::StatusCode;
use providers::{AccessToken, Adapter, Answer, Authorization, Connection, Hosts, OutgoingRequest, Problem, Step, TransportFailure};

/// The longest answer that is read, in bytes. A page of a hundred templates or messages has some hundred KB.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// The most requests of one conversation with an API. No list that is read here has 100 pages, and a provider that
/// always names a next page must not be called for ever.
const CALLS: usize = 100;

/// A token is used until this long before it expires, so that it does not expire on its way.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// Makes requests.
pub trait Http: Send + Sync {
    /// Makes a request once.
    fn call(&self, request: OutgoingRequest) -> impl Future<Output = Result<Answer, TransportFailure>> + Send;
}

/// The accounts' credentials.
pub trait Keys: Send + Sync {
    /// The current credentials, perhaps slightly out of date.
    fn get(&self, account: &Account) -> impl Future<Output = Result<Credentials, SecretError>> + Send;
    /// Reads the credentials again; `None` if that was done a moment ago.
    fn refetch(&self, account: &Account) -> impl Future<Output = Result<Option<Credentials>, SecretError>> + Send;
}

impl Keys for AccountSecrets<Credentials> {
    async fn get(&self, account: &Account) -> Result<Credentials, SecretError> {
        Ok(AccountSecrets::get(self, &account.id, account.version).await?.value.clone())
    }

    async fn refetch(&self, account: &Account) -> Result<Option<Credentials>, SecretError> {
        Ok(AccountSecrets::refetch(self, &account.id, account.version).await?.map(|current| current.value.clone()))
    }
}

/// Requests to the providers' own APIs. Some have a base URL that an administrator chose, so every address is vetted.
#[derive(Debug, Clone)]
pub struct Web(Egress);

impl Http for Web {
    async fn call(&self, request: OutgoingRequest) -> Result<Answer, TransportFailure> {
        let client = match request.url.parse() {
            Ok(url) => self.0.client_for(&url),
            Err(_) => Err(EgressError::Refused("not a URL")),
        };
        let client = client.map_err(|error| {
            tracing::warn!(event = "client.refused", %error);
            TransportFailure::NotSent
        })?;
        let mut call = client.request(request.method, &request.url).headers(request.headers).body(request.body);
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
        // A truncated or endless body counts as empty. A refusal is then known by its status alone, and any other
        // answer is in doubt.
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

/// The credentials and token for requests to an account's provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The secret fields.
    pub credentials: Credentials,
    /// The token, if the API wants one.
    pub token: Option<Secret>,
}

impl Access {
    /// Adds the account and the providers' addresses.
    pub fn connection<'a>(&'a self, account: &'a Account, hosts: &'a Hosts) -> Connection<'a> {
        Connection { account, credentials: &self.credentials, token: self.token.as_ref(), hosts }
    }
}

/// Why no request to a provider can be made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No adapter has the account's type: a later version wrote the account.
    #[error("no adapter for the provider type")]
    NoAdapter,
    /// The secret store failed, or has no secret for the account.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The provider gave no token for the credentials.
    #[error("the provider refused the credentials")]
    Refused,
    /// The provider did not answer the request for a token.
    #[error("the provider did not answer the request for a token")]
    Unreachable,
}

/// Why a conversation with a provider's API failed.
#[derive(Debug, thiserror::Error)]
pub enum ConverseError {
    /// There are no usable credentials.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The API did not answer.
    #[error(transparent)]
    Transport(#[from] TransportFailure),
    /// The conversation took too many requests.
    #[error("more than {CALLS} requests")]
    TooLong,
}

impl ConverseError {
    /// The adapters' problem for this error, if there is one.
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

/// A token, when it expires, and the credentials that it was given for.
struct Kept {
    token: Secret,
    until: Instant,
    credentials: Credentials,
}

impl Client {
    /// Reads the addresses of the providers and the variables of [`Egress`] and [`AccountSecrets`].
    ///
    /// # Errors
    /// A variable is missing or malformed.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        let hosts = Hosts::all(|name, default| env.base_url_or(name, default))?;
        let web = Web(Egress::of_providers(env, hosts.iter())?);
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
    /// A client over its ports.
    pub fn new(http: H, keys: K, hosts: Hosts) -> Self {
        Self { http, keys, hosts, tokens: Mutex::new(HashMap::new()) }
    }

    /// The providers' addresses.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The credentials and token of an account. Everything that can fail before a request fails here.
    ///
    /// # Errors
    /// The account has no credentials, or gets no token for them.
    pub async fn access(&self, account: &Account) -> Result<Access, AccessError> {
        let credentials = match self.keys.get(account).await {
            // Somebody may have written it a moment ago.
            Err(error @ (SecretError::Missing | SecretError::Malformed)) => self.keys.refetch(account).await?.ok_or(error)?,
            found => found?,
        };
        match self.with_token(account, credentials.clone()).await {
            Err(AccessError::Refused) => match self.keys.refetch(account).await? {
                Some(fresh) if fresh != credentials => self.with_token(account, fresh).await,
                _ => Err(AccessError::Refused),
            },
            found => found,
        }
    }

    /// New credentials or a new token after the provider refused `refused`; `None` if there are none.
    ///
    /// # Errors
    /// They can't be read.
    pub async fn renew(&self, account: &Account, refused: &Access) -> Result<Option<Access>, AccessError> {
        if refused.token.is_some() {
            self.tokens().remove(&account.id);
        }
        let credentials = self.keys.refetch(account).await?.unwrap_or_else(|| refused.credentials.clone());
        if refused.token.is_none() && credentials == refused.credentials {
            return Ok(None);
        }
        let access = self.with_token(account, credentials).await?;
        Ok((access != *refused).then_some(access))
    }

    /// Makes a request once.
    ///
    /// # Errors
    /// The provider did not answer.
    pub async fn call(&self, request: OutgoingRequest) -> Result<Answer, TransportFailure> {
        self.http.call(request).await
    }

    /// Holds a conversation of one or more requests with an account's provider. `next` gets all answers so far. If
    /// the provider refuses the credentials, the conversation starts again with new ones, once.
    ///
    /// # Errors
    /// There are no credentials, the provider did not answer, or the conversation did not end.
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

/// Credentials that belong to no account yet.
#[derive(Debug, Clone)]
pub struct Given(Credentials);

impl Keys for Given {
    async fn get(&self, _: &Account) -> Result<Credentials, SecretError> {
        Ok(self.0.clone())
    }

    async fn refetch(&self, _: &Account) -> Result<Option<Credentials>, SecretError> {
        Ok(None)
    }
}

impl<H: Clone, K> Client<H, K> {
    /// The same client with these credentials for any account, to try them before they are stored.
    pub fn with_credentials(&self, credentials: Credentials) -> Client<H, Given> {
        Client { http: self.http.clone(), keys: Given(credentials), hosts: self.hosts.clone(), tokens: Mutex::new(HashMap::new()) }
    }
}

impl<K: Keys> Keys for Arc<K> {
    async fn get(&self, account: &Account) -> Result<Credentials, SecretError> {
        K::get(self, account).await
    }

    async fn refetch(&self, account: &Account) -> Result<Option<Credentials>, SecretError> {
        K::refetch(self, account).await
    }
}

#[cfg(test)]
mod tests;
