//! Persons in the deployment's own user pool. They are invited with their agent record and disabled with it.

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::types::{AttributeType, MessageActionType, UserStatusType};
use cloud::aws::{Aws, CallError};
use cloud::config::Env;

/// The deployment's own user pool.
#[derive(Debug, Clone)]
pub struct UserPool {
    client: Client,
    id: String,
}

/// A person of the pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// The `sub` claim of the person's tokens.
    pub(crate) subject: String,
    /// Whether the person may log in.
    enabled: bool,
    /// Whether the person has not used the invitation yet.
    invited: bool,
}

/// Why a call to the pool failed.
#[derive(Debug, thiserror::Error)]
pub enum UserPoolError {
    /// The e-mail could not be sent: the day's quota is used up, or the address does not accept it.
    #[error("the invitation could not be sent: {0}")]
    Mail(String),
    /// The pool refuses this e-mail address.
    #[error("the e-mail address was refused")]
    Address,
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl UserPoolError {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Self {
        Self::of_code(code(error)).unwrap_or_else(|| Self::Call(CallError::of("cognito-idp", error)))
    }

    /// The error for a code that belongs to a request.
    fn of_code(code: Option<&str>) -> Option<Self> {
        match code {
            Some(code @ ("LimitExceededException" | "CodeDeliveryFailureException")) => Some(Self::Mail(code.to_owned())),
            Some("InvalidParameterException") => Some(Self::Address),
            _ => None,
        }
    }
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

impl UserPool {
    /// Reads `USER_POOL_ID`. `None`: another issuer issues the tokens and manages its users itself.
    pub fn from_env(aws: &Aws, env: &Env) -> Option<Self> {
        let id = env.optional("USER_POOL_ID")?.to_owned();
        Some(Self { client: Client::new(aws.sdk_config()), id })
    }

    /// The person with this e-mail address. An unknown person is created and invited.
    pub(crate) async fn person(&self, email: &str) -> Result<Person, UserPoolError> {
        if let Some(person) = self.known(email).await? {
            return Ok(person);
        }
        let attribute =
            |name: &str, value: &str| AttributeType::builder().name(name).value(value).build().map_err(|_| UserPoolError::Address);
        let made = self.client.admin_create_user().user_pool_id(&self.id).username(email);
        let made = made.user_attributes(attribute("email", email)?).user_attributes(attribute("email_verified", "true")?);
        match made.send().await {
            Ok(made) => {
                let subject = made.user().and_then(|user| subject(user.attributes()));
                let subject = subject.ok_or(CallError::NoAnswer { service: "cognito-idp" })?;
                // The invitation has just been sent.
                Ok(Person { subject, enabled: true, invited: false })
            }
            // Another call created the person first.
            Err(error) if code(&error) == Some("UsernameExistsException") => {
                Ok(self.known(email).await?.ok_or(CallError::NoAnswer { service: "cognito-idp" })?)
            }
            Err(error) => Err(UserPoolError::of(&error)),
        }
    }

    /// The person with this e-mail address, if the pool has one.
    pub(crate) async fn known(&self, email: &str) -> Result<Option<Person>, UserPoolError> {
        let found = match self.client.admin_get_user().user_pool_id(&self.id).username(email).send().await {
            Ok(found) => found,
            Err(error) if code(&error) == Some("UserNotFoundException") => return Ok(None),
            Err(error) => return Err(UserPoolError::of(&error)),
        };
        let subject = subject(found.user_attributes()).ok_or(CallError::NoAnswer { service: "cognito-idp" })?;
        let invited = found.user_status() == Some(&UserStatusType::ForceChangePassword);
        Ok(Some(Person { subject, enabled: found.enabled, invited }))
    }

    /// Lets an existing person log in. A disabled person is enabled. A person who has not used the invitation gets it
    /// again, because the call that sent it may have failed.
    pub(crate) async fn welcome(&self, email: &str, person: &Person) -> Result<(), UserPoolError> {
        if !person.enabled {
            let enabled = self.client.admin_enable_user().user_pool_id(&self.id).username(email).send().await;
            enabled.map_err(|error| UserPoolError::of(&error))?;
        }
        if person.invited {
            let again = self.client.admin_create_user().user_pool_id(&self.id).username(email).message_action(MessageActionType::Resend);
            again.send().await.map_err(|error| UserPoolError::of(&error))?;
        }
        Ok(())
    }

    /// Locks a person out. A subject that the pool does not know is ignored.
    pub(crate) async fn disable(&self, subject: &str) -> Result<(), UserPoolError> {
        match self.client.admin_disable_user().user_pool_id(&self.id).username(subject).send().await {
            Err(error) if code(&error) == Some("UserNotFoundException") => Ok(()),
            outcome => outcome.map(|_| ()).map_err(|error| UserPoolError::of(&error)),
        }
    }
}

fn subject(attributes: &[AttributeType]) -> Option<String> {
    attributes.iter().find(|attribute| attribute.name() == "sub").and_then(AttributeType::value).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiError;

    #[test]
    fn an_invitation_that_cannot_be_sent_has_its_own_problem() {
        for code in ["LimitExceededException", "CodeDeliveryFailureException"] {
            let problem = ApiError::from(UserPoolError::of_code(Some(code)).unwrap()).problem();
            assert_eq!((problem.status().as_u16(), problem.kind()), (503, "/problems/invitation-not-sent"), "{code}");
        }
        let refused = ApiError::from(UserPoolError::of_code(Some("InvalidParameterException")).unwrap()).problem();
        assert_eq!(refused.kind(), "/problems/invalid");
        assert!(UserPoolError::of_code(Some("TooManyRequestsException")).is_none() && UserPoolError::of_code(None).is_none());
    }
}
