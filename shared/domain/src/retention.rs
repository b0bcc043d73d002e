//! How long closed interactions are kept.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;

/// How long closed interactions are kept, counted from their closing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// The days for all accounts without days of their own; `None`: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Days of single accounts, which win; `None`: for ever.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<AccountId, Option<u32>>,
}

impl Retention {
    /// The longest time, in days: a hundred years. Longer is for ever.
    pub const MOST: u32 = 36_500;

    /// The days of an account.
    pub fn of(&self, account: &AccountId) -> Option<u32> {
        self.accounts.get(account).copied().unwrap_or(self.days)
    }

    /// For each of these accounts that keeps interactions for a time only: what was closed before this is deleted.
    pub fn cutoffs(&self, accounts: impl IntoIterator<Item = AccountId>, now: Timestamp) -> BTreeMap<AccountId, Timestamp> {
        let cutoff = |days: u32| now.saturating_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MIN);
        accounts.into_iter().filter_map(|account| Some((account.clone(), cutoff(self.of(&account)?)))).collect()
    }

    /// Whether it deletes what `before` would keep, on any account.
    pub fn is_shorter(&self, before: &Self) -> bool {
        let shorter = |after: Option<u32>, before: Option<u32>| match (after, before) {
            (Some(after), Some(before)) => after < before,
            (after, before) => after.is_some() && before.is_none(),
        };
        let named = self.accounts.keys().chain(before.accounts.keys());
        shorter(self.days, before.days) || named.into_iter().any(|account| shorter(self.of(account), before.of(account)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    fn account(number: u128) -> AccountId {
        AccountId::from_ulid(Ulid(number))
    }

    fn retention(days: Option<u32>, of_first: Option<Option<u32>>) -> Retention {
        Retention { days, accounts: of_first.into_iter().map(|days| (account(1), days)).collect() }
    }

    #[test]
    fn an_accounts_own_days_win_and_without_days_everything_is_kept() {
        let now: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        let cutoffs = |retention: Retention| retention.cutoffs([account(1), account(2)], now);
        assert!(cutoffs(Retention::default()).is_empty());
        let month: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(cutoffs(retention(Some(30), Some(None))), [(account(2), month)].into());
        assert_eq!(cutoffs(retention(None, Some(Some(30)))), [(account(1), month)].into());
        assert_eq!(cutoffs(retention(Some(Retention::MOST), None)).len(), 2);
    }

    #[test]
    fn a_setting_is_shorter_if_any_account_keeps_less() {
        let off = Retention::default();
        for (after, before, expected) in [
            (retention(Some(30), None), off.clone(), true),
            (off.clone(), retention(Some(30), None), false),
            (retention(Some(30), None), retention(Some(30), None), false),
            (retention(Some(29), None), retention(Some(30), None), true),
            (retention(Some(31), None), retention(Some(30), None), false),
            (retention(Some(30), Some(Some(10))), retention(Some(30), None), true),
            (retention(Some(30), None), retention(Some(30), Some(None)), true),
            (retention(Some(30), Some(None)), retention(Some(30), None), false),
            (retention(Some(30), Some(Some(60))), retention(Some(30), Some(Some(90))), true),
        ] {
            assert_eq!(after.is_shorter(&before), expected, "{after:?} {before:?}");
        }
    }
}
