//! Why a webhook was refused. The messages go to the caller and into logs, so they name parameters and never their
//! values.

use http::StatusCode;

/// The request does not prove that the provider made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The body is longer than any webhook of the provider.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body does not have the provider's content type.
    #[error("the body must be {expected}")]
    ContentType {
        /// The expected content type.
        expected: &'static str,
    },
    /// The signature is missing.
    #[error("the header {header} is missing")]
    SignatureMissing {
        /// The name of the header.
        header: &'static str,
    },
    /// The signature is malformed.
    #[error("the header {header} is not a signature")]
    SignatureMalformed {
        /// The name of the header.
        header: &'static str,
    },
    /// The signature belongs to another secret, another URL or other contents.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// The account has no secret to verify with.
    #[error("the account has no secret to verify with")]
    NoSecret,
    /// The account's guard, a fixed header or a user and password, is missing or wrong.
    #[error("the request does not carry what the account demands of its callers")]
    Guard,
}

impl VerifyError {
    /// The HTTP status for the caller.
    pub fn status(&self) -> StatusCode {
        match self {
            VerifyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            VerifyError::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            VerifyError::SignatureMissing { .. }
            | VerifyError::SignatureMalformed { .. }
            | VerifyError::SignatureMismatch
            | VerifyError::NoSecret
            | VerifyError::Guard => StatusCode::FORBIDDEN,
        }
    }

    /// Whether another secret could make the request valid. Then the cached secret may be stale.
    pub fn secret_may_be_stale(&self) -> bool {
        match self {
            VerifyError::SignatureMismatch | VerifyError::NoSecret | VerifyError::Guard => true,
            VerifyError::TooLarge { .. }
            | VerifyError::ContentType { .. }
            | VerifyError::SignatureMissing { .. }
            | VerifyError::SignatureMalformed { .. } => false,
        }
    }
}

/// The request is the provider's, but the connector can't use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The body does not have the provider's content type.
    #[error("the body must be {expected}")]
    ContentType {
        /// The expected content type.
        expected: &'static str,
    },
    /// The body can't be read at all.
    #[error("the body is not {expected}")]
    Unreadable {
        /// The expected form.
        expected: &'static str,
    },
    /// A parameter is absent or empty.
    #[error("the parameter {parameter} is missing")]
    Missing {
        /// Its name.
        parameter: &'static str,
    },
    /// A parameter is malformed.
    #[error("the parameter {parameter} must be {expected}")]
    Malformed {
        /// Its name.
        parameter: &'static str,
        /// The expected form.
        expected: &'static str,
    },
}

impl ParseError {
    /// The HTTP status for the caller.
    pub fn status(&self) -> StatusCode {
        match self {
            ParseError::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ParseError::Unreadable { .. } | ParseError::Missing { .. } | ParseError::Malformed { .. } => StatusCode::BAD_REQUEST,
        }
    }
}
