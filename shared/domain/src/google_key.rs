//! The key of Google Cloud Translation: an API key, or the key file of a service account.

use serde::{Deserialize, Serialize};

use crate::values::{Invalid, Secret};

/// A key that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleKey {
    /// An API key, for the Basic edition (v2).
    Api(Secret),
    /// A service account, for the Advanced edition (v3).
    ServiceAccount(ServiceAccount),
}

/// What is used of a service account's key file. Its `token_uri` is not: tokens come from Google alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// The project, which pays.
    pub project_id: String,
    /// The account's name.
    pub client_email: String,
    /// The private key: PKCS#8, as PEM.
    pub private_key: Secret,
}

/// Google's API keys have 39 characters. Other forms may come.
const LONGEST_API_KEY: usize = 200;
/// A key file has 2,400 characters with a key of 2,048 bits, and 4,000 with the longest.
const LONGEST_FILE: usize = 10_000;
/// How a PKCS#8 key begins.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----";

impl GoogleKey {
    /// Reads what an administrator pasted.
    ///
    /// # Errors
    /// It is neither, with the reason.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if !text.starts_with('{') {
            let printable = !text.is_empty() && text.len() <= LONGEST_API_KEY && text.bytes().all(|b| b.is_ascii_graphic());
            return match printable {
                true => Ok(Self::Api(text.into())),
                false => Err(Invalid("must be 1 to 200 printable ASCII characters without blanks, or the key file of a service account")),
            };
        }
        if text.len() > LONGEST_FILE {
            return Err(Invalid("must have at most 10,000 characters"));
        }
        let unread = Invalid("must be the key file of a service account, with project_id, client_email and private_key");
        let account: ServiceAccount = serde_json::from_str(text).map_err(|_| unread)?;
        if !is_project(&account.project_id) {
            return Err(Invalid("project_id must be the id of a Google Cloud project"));
        }
        if !account.client_email.contains('@') {
            return Err(Invalid("client_email must be the address of the service account"));
        }
        if !account.private_key.reveal().trim_start().starts_with(PRIVATE_KEY) {
            return Err(Invalid("private_key must be a PKCS#8 key in PEM, as Google's key files have it"));
        }
        Ok(Self::ServiceAccount(account))
    }
}

/// 6 to 30 letters, digits and hyphens; older projects have a domain and a colon before that. It becomes part of a
/// path.
fn is_project(id: &str) -> bool {
    (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file() -> serde_json::Value {
        json!({
            "type": "service_account",
            "project_id": "shop-1",
            "private_key_id": "1",
            "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "client_email": "translator@shop-1.iam.gserviceaccount.com",
            "token_uri": "https://elsewhere.example/token",
        })
    }

    #[test]
    fn an_api_key_and_a_key_file_are_told_apart() {
        assert_eq!(GoogleKey::parse(" AIza-key_1\n"), Ok(GoogleKey::Api("AIza-key_1".into())));
        let GoogleKey::ServiceAccount(account) = GoogleKey::parse(&file().to_string()).unwrap() else { panic!("an API key") };
        assert_eq!((account.project_id.as_str(), account.client_email.as_str()), ("shop-1", "translator@shop-1.iam.gserviceaccount.com"));
        assert!(!format!("{account:?}").contains("AAAA"));
    }

    #[test]
    fn what_is_neither_says_why() {
        for bad in ["", "two words", "è", &"x".repeat(201)] {
            assert!(GoogleKey::parse(bad).unwrap_err().0.starts_with("must be 1 to 200"), "{bad}");
        }
        let with = |name: &str, value: serde_json::Value| {
            let mut file = file();
            file[name] = value;
            GoogleKey::parse(&file.to_string()).unwrap_err().0
        };
        assert!(with("project_id", json!("../admin")).starts_with("project_id"));
        assert!(with("client_email", json!("nobody")).starts_with("client_email"));
        assert!(with("private_key", json!("-----BEGIN RSA PRIVATE KEY-----")).starts_with("private_key"));
        for broken in [with("private_key", json!(7)), GoogleKey::parse("{").unwrap_err().0, GoogleKey::parse("{}").unwrap_err().0] {
            assert!(broken.starts_with("must be the key file"), "{broken}");
        }
        assert!(GoogleKey::parse(&format!("{{{}", "x".repeat(10_000))).unwrap_err().0.contains("at most"), "cut off before it is parsed");
    }
}
