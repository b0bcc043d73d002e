//! What a request without proof of origin says about who a customer is. It changes nothing, but the thread tells it.

use domain::inbound::ProfileName;
use domain::values::Address;

/// A claim without proof.
pub(crate) struct Claim<'a> {
    /// Addresses that are said to be the customer's.
    pub(crate) addresses: &'a [Address],
    /// The name that is said to be the customer's.
    pub(crate) name: Option<&'a ProfileName>,
}

impl Claim<'_> {
    /// The line for the thread; `None` if nothing is claimed.
    pub(crate) fn line(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        let addresses: Vec<&str> = self.addresses.iter().map(Address::text).collect();
        if !addresses.is_empty() {
            parts.push(format!("is also {}", addresses.join(", ")));
        }
        parts.extend(self.name.map(|name| format!("is called {}", name.0)));
        let claimed = (!parts.is_empty()).then(|| parts.join(" and "))?;
        Some(format!("Without proof of origin: a request says that this customer {claimed}. Nothing was changed."))
    }
}
