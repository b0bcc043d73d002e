//! Settings of the whole deployment.

use serde::{Deserialize, Serialize};

/// Settings of the whole deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The seconds after which an agent who lost the last connection is logged out.
    #[serde(default = "Settings::usual_grace")]
    pub connection_grace: u32,
}

impl Settings {
    /// The least grace: a page that is reloaded is back by then.
    pub const LEAST_GRACE: u32 = 5;
    /// The longest grace. Customers ring at an agent who is not there for so long, and a queue can delay 15 minutes.
    pub const MOST_GRACE: u32 = 600;

    /// A page that is reloaded, or a train in a tunnel, is back by then.
    const fn usual_grace() -> u32 {
        30
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { connection_grace: Self::usual_grace() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_set_is_as_usual() {
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
        assert_eq!(Settings::default().connection_grace, 30);
    }
}
