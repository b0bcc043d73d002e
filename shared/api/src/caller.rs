//! Callers: a token becomes a caller, and a caller needs a role.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use cloud::auth::{AuthError, Claims, KeySource, RoleSource, Verifier, bearer};
use domain::account::Account;
use domain::agent::Role;
use domain::ids::AgentId;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use store::Configuration;

use crate::access::Access;
use crate::error::Error;
use crate::known::takes_only_known;
use crate::observe::saw_agent;

/// The state of an API, as far as the kit needs it.
pub trait Api: Send + Sync {
    /// What decides who gets in.
    fn access(&self) -> &Access;
    /// Knows the agents.
    fn configuration(&self) -> &Configuration;
    /// The lowest role that the API lets in. Below it every route is refused (403), whatever the route asks for.
    fn least_role(&self) -> Role {
        Role::Agent
    }
}

impl<A: Api> Api for Arc<A> {
    fn access(&self) -> &Access {
        (**self).access()
    }

    fn configuration(&self) -> &Configuration {
        (**self).configuration()
    }

    fn least_role(&self) -> Role {
        (**self).least_role()
    }
}

/// Verifies tokens.
pub trait Gate: Send + Sync {
    /// The claims of `token` (without the word `Bearer`), at `now`.
    fn verify<'a>(&'a self, token: &'a str, now: Timestamp) -> Pin<Box<dyn Future<Output = Result<Claims, AuthError>> + Send + 'a>>;
}

impl<S: KeySource> Gate for Verifier<S> {
    fn verify<'a>(&'a self, token: &'a str, now: Timestamp) -> Pin<Box<dyn Future<Output = Result<Claims, AuthError>> + Send + 'a>> {
        Box::pin(Verifier::verify(self, token, now))
    }
}

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The `sub` claim of the token.
    pub subject: String,
    /// The role, which includes the lower ones.
    pub role: Role,
    /// The agent with this subject. It is not looked up if the token alone decides.
    record: Option<AgentId>,
}

impl Caller {
    /// Whether the caller has `role` or one that includes it.
    pub fn may(&self, role: Role) -> bool {
        self.role >= role
    }

    async fn of(parts: &Parts, app: &impl Api) -> Result<Self, Error> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(bearer).ok_or(Error::Unauthorized("none"))?;
        let claims = app.access().gate.verify(token, cloud::time::now()).await?;
        let caller = match app.access().role_source {
            RoleSource::Record => Self::of_record(claims, app.configuration()).await?,
            RoleSource::Claim => {
                let role = claims.role().ok_or(Error::Forbidden)?;
                Self { subject: claims.subject, role, record: None }
            }
        };
        if !caller.may(app.least_role()) {
            return Err(Error::Forbidden);
        }
        // Here, because every operation has a caller, and whoever is none learns nothing of it.
        takes_only_known(parts)?;
        Ok(caller)
    }

    /// The caller with the role of the record, which is read with each call. The claim `owner` counts while no
    /// record has that role: it makes the first owner.
    async fn of_record(claims: Claims, configuration: &Configuration) -> Result<Self, Error> {
        let record = configuration.record_of_subject(&claims.subject).await?;
        let role = record.as_ref().map(|agent| agent.role);
        let first = claims.may(Role::Owner) && role != Some(Role::Owner) && !configuration.has_owner().await?;
        let role = if first { Role::Owner } else { role.ok_or(Error::NoAgent)? };
        let record = record.map(|agent| agent.id);
        record.iter().for_each(saw_agent);
        Ok(Self { subject: claims.subject, role, record })
    }

    /// The agent with the caller's subject.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn agent(&self, app: &impl Api) -> Result<Option<AgentId>, Error> {
        match (&self.record, app.access().role_source) {
            (Some(agent), _) => Ok(Some(agent.clone())),
            (None, RoleSource::Record) => Ok(None),
            (None, RoleSource::Claim) => Ok(app.configuration().agent_of_subject(&self.subject).await?),
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(reason) => Error::Unauthorized(reason),
            AuthError::NoKeys => Error::NoKeys,
        }
    }
}

/// The agent whom a token belongs to. A caller without an agent's record is refused (403).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCaller {
    /// The agent.
    pub agent: AgentId,
    /// The role, which includes the lower ones.
    pub role: Role,
}

impl AgentCaller {
    /// Whether the caller reads the interactions of all accounts.
    pub fn oversees(&self) -> bool {
        self.role >= Role::Supervisor
    }

    /// Whether the caller reads the interactions of this account.
    pub fn reads(&self, account: &Account) -> bool {
        self.oversees() || account.agents.contains(&self.agent)
    }
}

impl<A: Api> FromRequestParts<A> for AgentCaller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &A) -> Result<Self, Error> {
        let caller = Caller::of(parts, app).await?;
        let agent = caller.agent(app).await?.ok_or(Error::NoAgent)?;
        saw_agent(&agent);
        Ok(Self { agent, role: caller.role })
    }
}

/// Whoever reads interactions. An API that lets in supervisors and higher roles only asks for no agent's record,
/// since they read all accounts. Elsewhere it is an [`AgentCaller`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// A supervisor, admin or owner, where it is no matter who.
    OfAll,
    /// A supervisor, admin or owner, with or without a record.
    Overseer {
        /// The agent's id, or the `sub` of the token if there is no agent record.
        who: String,
        /// The role, which includes the lower ones.
        role: Role,
    },
    /// An agent, who reads the own accounts, or all with a higher role.
    Agent(AgentCaller),
}

impl Reader {
    /// Whether the caller reads the interactions of all accounts.
    pub fn oversees(&self) -> bool {
        match self {
            Self::OfAll | Self::Overseer { .. } => true,
            Self::Agent(agent) => agent.oversees(),
        }
    }

    /// Who reads, and in which role; `None` where it is no matter who.
    pub fn person(&self) -> Option<(&str, Role)> {
        match self {
            Self::OfAll => None,
            Self::Overseer { who, role } => Some((who, *role)),
            Self::Agent(agent) => Some((agent.agent.as_str(), agent.role)),
        }
    }

    /// Whether the caller reads the interactions of this account by role alone, and not as one of its agents.
    pub fn oversees_only(&self, account: Option<&Account>) -> bool {
        match self {
            Self::OfAll | Self::Overseer { .. } => true,
            Self::Agent(agent) => !account.is_some_and(|account| account.agents.contains(&agent.agent)),
        }
    }

    /// Whether the caller reads the interactions of this account; `None`: it was deleted.
    pub fn reads(&self, account: Option<&Account>) -> bool {
        match self {
            Self::OfAll | Self::Overseer { .. } => true,
            Self::Agent(agent) => account.is_some_and(|account| agent.reads(account)),
        }
    }
}

impl From<&AgentCaller> for Reader {
    fn from(caller: &AgentCaller) -> Self {
        Self::Agent(caller.clone())
    }
}

impl<A: Api> FromRequestParts<A> for Reader {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &A) -> Result<Self, Error> {
        if app.least_role() >= Role::Supervisor {
            let caller = Caller::of(parts, app).await?;
            let who = caller.agent(app).await?.map_or_else(|| caller.subject.clone(), |agent| agent.to_string());
            Ok(Self::Overseer { who, role: caller.role })
        } else {
            AgentCaller::from_request_parts(parts, app).await.map(Self::Agent)
        }
    }
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident: $least:expr),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Caller);

        impl<A: Api> FromRequestParts<A> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, app: &A) -> Result<Self, Error> {
                let caller = Caller::of(parts, app).await?;
                if caller.may($least) { Ok(Self(caller)) } else { Err(Error::Forbidden) }
            }
        }
    )*};
}

roles! {
    /// A caller of any role.
    Anyone: Role::Agent,
    /// A supervisor, admin or owner.
    Overseer: Role::Supervisor,
    /// An admin or owner.
    Administrator: Role::Admin,
    /// An owner.
    Owner: Role::Owner,
}
