//! The fields of a provider's accounts.

/// A field of an account.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in the API, e.g. `auth_token`.
    pub name: &'static str,
    /// What it is, for the person who fills it in.
    pub description: &'static str,
    /// Whether it is write-only and kept in the secret store.
    pub secret: bool,
    /// Who fills it in.
    pub source: Source,
    /// The form that it must have.
    pub shape: Shape,
    /// Whether secrets are sent to what it says: changing it demands all secrets again.
    pub destination: bool,
}

/// Who fills a field in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A person must.
    Required,
    /// A person may.
    Optional,
    /// A person may; otherwise it is an unguessable text of our own.
    Generated,
}

/// The form that a field must have.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A line of text.
    Line,
    /// The base of an https address: scheme, host and perhaps a port and a path.
    BaseUrl,
    /// A form of the provider's own.
    Checked {
        /// Whether a text has it.
        check: fn(&str) -> bool,
        /// It, in words, after "must be".
        expected: &'static str,
    },
}

impl Field {
    /// A public field that a person must fill in.
    pub const fn required(name: &'static str, description: &'static str, shape: Shape) -> Self {
        Self { name, description, secret: false, source: Source::Required, shape, destination: false }
    }

    /// A public field that may be left out.
    pub const fn optional(name: &'static str, description: &'static str, shape: Shape) -> Self {
        Self { source: Source::Optional, ..Self::required(name, description, shape) }
    }

    /// A secret that a person must fill in.
    pub const fn secret(name: &'static str, description: &'static str) -> Self {
        Self { secret: true, ..Self::required(name, description, Shape::Line) }
    }

    /// The same field, for a person who may leave it out.
    pub const fn left_out_by_default(self) -> Self {
        Self { source: Source::Optional, ..self }
    }

    /// The same field, filled in by us when a person leaves it out.
    pub const fn generated(self) -> Self {
        Self { source: Source::Generated, ..self }
    }

    /// The base of the address to which secrets are sent.
    pub const fn base_url(description: &'static str) -> Self {
        Self { destination: true, ..Self::required("base_url", description, Shape::BaseUrl) }
    }
}
