//! Reads the recorded requests under `events/`, for tests and for the local run.
//!
//! A `.form` file is a request as on the wire, except for two things. `{token}` in the target stands for the
//! account's token. Line breaks are not part of the body, so that each parameter has its own line. A `.json` file
//! is `{"method", "target", "headers", "body"}`. The body is sent as compact JSON; a string is sent as it is.

use std::path::{Path, PathBuf};

use http::Method;

/// A recorded request.
#[derive(Clone, PartialEq, Eq)]
pub struct Fixture {
    /// The file's name without its extension, e.g. `status-sent`.
    pub name: String,
    /// The method.
    pub method: Method,
    /// Path and query; `{token}` stands for the account's token.
    pub target: String,
    /// Names and values, as written.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a recorded request could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// The file can't be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not a request.
    #[error("{name}: {reason}")]
    Shape {
        /// The file.
        name: String,
        /// Why.
        reason: &'static str,
    },
}

impl Fixture {
    /// Reads `events/{provider}/{name}.json`, else `.form`.
    ///
    /// # Errors
    /// The file does not exist, or it is not a request.
    pub fn load(provider: &str, name: &str) -> Result<Self, FixtureError> {
        let json = folder(provider).join(format!("{name}.json"));
        if json.exists() { Self::read(&json) } else { Self::read(&folder(provider).join(format!("{name}.form"))) }
    }

    /// Reads all requests of a provider, by name.
    ///
    /// # Errors
    /// The folder or one of its files can't be read.
    pub fn all(provider: &str) -> Result<Vec<Self>, FixtureError> {
        let path = folder(provider);
        let entries = std::fs::read_dir(&path).map_err(|error| FixtureError::File { path, error })?;
        let mut paths: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "form" || e == "json"))
            .collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self, FixtureError> {
        let text = std::fs::read_to_string(path).map_err(|error| FixtureError::File { path: path.to_owned(), error })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|e| e == "json") { Self::parse_json(&name, &text) } else { Self::parse(&name, &text) }
    }

    /// Reads a request from the JSON document that describes it.
    ///
    /// # Errors
    /// The method, target, headers or body is missing or malformed.
    pub fn parse_json(name: &str, text: &str) -> Result<Self, FixtureError> {
        let wrong = |reason| FixtureError::Shape { name: name.to_owned(), reason };
        let file: serde_json::Value = serde_json::from_str(text).map_err(|_| wrong("the file must be JSON"))?;
        let headers = file["headers"].as_object().ok_or_else(|| wrong("headers must be an object"))?;
        let headers = headers.iter().map(|(header, value)| (header.clone(), value.as_str().unwrap_or_default().to_owned()));
        Ok(Self {
            name: name.to_owned(),
            method: file["method"].as_str().and_then(|method| method.parse().ok()).ok_or_else(|| wrong("the method is malformed"))?,
            target: file["target"].as_str().ok_or_else(|| wrong("the target must be a text"))?.to_owned(),
            headers: headers.collect(),
            body: match &file["body"] {
                serde_json::Value::Null => Vec::new(),
                serde_json::Value::String(text) => text.clone().into_bytes(),
                body => body.to_string().into_bytes(),
            },
        })
    }

    /// Reads a request from its text.
    ///
    /// # Errors
    /// The first line is not a method and a target, a header has no colon, or no blank line ends the headers.
    pub fn parse(name: &str, text: &str) -> Result<Self, FixtureError> {
        let wrong = |reason| FixtureError::Shape { name: name.to_owned(), reason };
        let mut lines = text.lines();
        let (method, target) =
            lines.next().and_then(|line| line.split_once(' ')).ok_or_else(|| wrong("the first line must be a method and a target"))?;
        let mut headers = Vec::new();
        loop {
            let line = lines.next().ok_or_else(|| wrong("a blank line must end the headers"))?;
            if line.is_empty() {
                break;
            }
            let (header, value) = line.split_once(": ").ok_or_else(|| wrong("a header must be a name, a colon, a space and a value"))?;
            headers.push((header.to_owned(), value.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            method: method.parse().map_err(|_| wrong("the method is malformed"))?,
            target: target.to_owned(),
            headers,
            body: lines.collect::<String>().into_bytes(),
        })
    }

    /// The same request for the account with this token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.target = self.target.replace("{token}", token);
        self
    }

    /// The same request with a parameter of its form set to `value`, added if it is absent.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        let mut parameters = self.parameters();
        match parameters.iter_mut().find(|(name, _)| name == parameter) {
            Some((_, old)) => value.clone_into(old),
            None => parameters.push((parameter.to_owned(), value.to_owned())),
        }
        self.set(parameters);
        self
    }

    /// The same request without a parameter of its form.
    #[must_use]
    pub fn without(mut self, parameter: &str) -> Self {
        let mut parameters = self.parameters();
        parameters.retain(|(name, _)| name != parameter);
        self.set(parameters);
        self
    }

    /// The decoded parameters of the form.
    pub fn parameters(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, parameters: Vec<(String, String)>) {
        self.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes();
    }
}

fn folder(provider: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_are_not_part_of_the_body() {
        let text = "POST /receive/twilio/{token}\nContent-Type: text/plain\n\na=1&\nb=2\n";
        let fixture = Fixture::parse("x", text).unwrap().with_token("T0").with("b", "ü 3").without("a");
        assert_eq!(fixture.target, "/receive/twilio/T0");
        assert_eq!(fixture.header("content-type"), Some("text/plain"));
        assert_eq!(fixture.body, b"b=%C3%BC+3");
    }

    #[test]
    fn a_file_that_is_not_a_request_is_refused() {
        for text in ["", "POST", "POST /\nno header\n\n", "POST /\nA: b"] {
            assert!(Fixture::parse("x", text).is_err(), "{text}");
        }
    }
}
