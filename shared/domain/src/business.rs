//! The business with a provider that an account's number belongs to.

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::ids::AccountId;

/// The fields by which providers name the business behind a number, the narrowest first. A WhatsApp Business Account
/// is narrower than the reseller's account above it.
const FIELDS: [&str; 3] = ["project_id", "waba_id", "account_sid"];

/// The business with a provider that issued a customer's id and whose requests prove something: the accounts that
/// share the provider's type and its name for the business. An account that names none is a business of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Business(String);

impl Business {
    /// The business of an account.
    pub fn of(account: &Account) -> Self {
        let provider = &account.provider;
        let named = FIELDS.iter().map(|field| provider.field(field)).find(|id| !id.is_empty());
        named.map_or_else(|| Self::alone(&account.id), |id| Self(format!("{}#{id}", provider.kind)))
    }

    /// The business of an account that names none.
    pub fn alone(account: &AccountId) -> Self {
        Self(account.to_string())
    }

    /// The business of this form in keys.
    pub fn from_key(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// The form in keys, e.g. `META#102290129340398`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Provider;
    use crate::fixtures::account;

    fn with(kind: &str, fields: &[(&str, &str)]) -> Business {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Business::of(&Account { provider: Provider { kind: kind.to_owned(), fields }, ..account() })
    }

    #[test]
    fn a_business_is_the_type_and_its_id_and_without_one_the_account_alone() {
        assert_eq!(with("TWILIO", &[("account_sid", "AC1")]).as_str(), "TWILIO#AC1");
        assert_eq!(with("META", &[("account_sid", "1"), ("phone_number_id", "2")]).as_str(), "META#1");
        assert_eq!(with("KALEYRA", &[("account_sid", "HX1"), ("waba_id", "1")]).as_str(), "KALEYRA#1");
        assert_eq!(with("SINCH_V2", &[("project_id", "p"), ("app_id", "a")]).as_str(), "SINCH_V2#p");
        assert_eq!(with("META", &[("account_sid", ""), ("phone_number_id", "2")]).as_str(), account().id.as_str());
    }
}
