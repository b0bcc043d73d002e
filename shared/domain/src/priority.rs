//! Priorities of waiting interactions.

use serde::{Deserialize, Serialize};

use crate::values::Invalid;

/// A priority among waiting interactions: 0 to 9, by default 0. The higher one is served first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// Accepts 0 to 9.
    pub fn new(priority: i64) -> Result<Self, Invalid> {
        match u8::try_from(priority) {
            Ok(priority @ 0..=9) => Ok(Self(priority)),
            _ => Err(Invalid("must be from 0 to 9")),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Whether it is the default priority.
    pub fn is_default(&self) -> bool {
        self.0 == 0
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Priority {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let number = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::Integer);
        let number = number.description(Some("The higher is served first among those that wait; 0 unless told."));
        number.minimum(Some(0)).maximum(Some(9)).build().into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Priority {}

impl TryFrom<i64> for Priority {
    type Error = Invalid;
    fn try_from(priority: i64) -> Result<Self, Invalid> {
        Self::new(priority)
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> i64 {
        i64::from(priority.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_0_to_9() {
        assert!(Priority::new(-1).is_err() && Priority::new(10).is_err());
        assert_eq!(Priority::new(9).map(Priority::get), Ok(9));
    }
}
