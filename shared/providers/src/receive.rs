//! Why a webhook was refused. The messages go out to the caller and into logs: they name parameters, never their values.

use http::StatusCode;

/// The request does not prove that the provider made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// More bytes than any webhook of the provider has.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body has another content type than the provider sends.
    #[error("the body must be {expected}")]
    ContentType {
        /// The content type that was expected.
        expected: &'static str,
    },
    /// There is no signature.
    #[error("the header {header} is missing")]
    SignatureMissing {
        /// The name of the header that was looked for.
        header: &'static str,
    },
    /// The signature does not have the shape of one.
    #[error("the header {header} is not a signature")]
    SignatureMalformed {
        /// The name of the header.
        header: &'static str,
    },
    /// The signature was made with another secret, for another URL, or for other contents.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// The account has no secret to verify with.
    #[error("the account has no secret to verify with")]
    NoSecret,
    /// What the account demands of its callers beside the URL is missing or wrong: a fixed header, or a user and password.
    #[error("the request does not carry what the account demands of its callers")]
    Guard,
}

impl VerifyError {
    /// Which HTTP status the caller gets.
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

    /// Whether another secret could make the request valid: then the cached secret may be stale.
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

/// The request is the provider's but lacks what the product can't do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The body has another content type than the provider sends.
    #[error("the body must be {expected}")]
    ContentType {
        /// The content type that was expected.
        expected: &'static str,
    },
    /// The body can't be read at all.
    #[error("the body is not {expected}")]
    Unreadable {
        /// What it should be.
        expected: &'static str,
    },
    /// A parameter is absent or empty.
    #[error("the parameter {parameter} is missing")]
    Missing {
        /// Its name.
        parameter: &'static str,
    },
    /// A parameter does not have the shape that it must have.
    #[error("the parameter {parameter} must be {expected}")]
    Malformed {
        /// Its name.
        parameter: &'static str,
        /// The shape.
        expected: &'static str,
    },
}

impl ParseError {
    /// Which HTTP status the caller gets.
    pub fn status(&self) -> StatusCode {
        match self {
            ParseError::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ParseError::Unreadable { .. } | ParseError::Missing { .. } | ParseError::Malformed { .. } => StatusCode::BAD_REQUEST,
        }
    }
}
