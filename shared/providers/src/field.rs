//! The fields of a provider's accounts.

/// A field of an account.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name in the API, e.g. `auth_token`.
    pub name: &'static str,
    /// A description for the person who fills it in.
    pub description: &'static str,
    /// Whether it is write-only and kept in the secret store.
    pub secret: bool,
    /// How the field gets its value.
    pub source: Source,
    /// The form that it must have.
    pub shape: Shape,
    /// Whether it names the address to which secrets are sent. Changing it requires all secrets again.
    pub destination: bool,
}

/// How a field gets its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A person must enter it.
    Required,
    /// A person may enter it.
    Optional,
    /// A person may enter it; otherwise the connector generates an unguessable text.
    Generated,
    /// A person may enter it; otherwise the connector generates an unguessable text when the account is made and
    /// nothing else guards it. Not later: until the provider knows it, its callbacks would be refused.
    Made,
}

/// The form that a field must have.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A line of text.
    Line,
    /// The base of an https address: scheme, host and optionally a port and a path.
    BaseUrl,
    /// A form of the provider's own.
    Checked {
        /// Whether a text has the form.
        check: fn(&str) -> bool,
        /// The form in words, to follow "must be".
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

    /// The same field, but optional.
    pub const fn left_out_by_default(self) -> Self {
        Self { source: Source::Optional, ..self }
    }

    /// The same field, generated if a person leaves it out.
    pub const fn generated(self) -> Self {
        Self { source: Source::Generated, ..self }
    }

    /// The same field, generated when the account is made.
    pub const fn made(self) -> Self {
        Self { source: Source::Made, ..self }
    }

    /// The base of the address to which secrets are sent.
    pub const fn base_url(description: &'static str) -> Self {
        Self { destination: true, ..Self::required("base_url", description, Shape::BaseUrl) }
    }
}
