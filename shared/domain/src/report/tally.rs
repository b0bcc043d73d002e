//! Sums that can be merged in any order: counts, totals, and how many values lie under which bound.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use jiff::civil::Date;

use super::{Counted, Measure, ServiceLevel};
use crate::pricing::{Priced, Prices};

/// The upper bounds of the classes of a distribution, in milliseconds: from a second to seven days, at most 25 %
/// apart, with the limits that service levels are agreed on (15 s to 10 min). They are fixed, so that classes counted
/// apart add up exactly. They must never change: what is stored names a class by its place.
pub const BOUNDS: [u64; 74] = [
    1_000,
    1_230,
    1_510,
    1_860,
    2_300,
    2_830,
    3_480,
    4_290,
    5_290,
    6_510,
    8_020,
    9_880,
    12_170,
    15_000,
    17_000,
    20_000,
    25_000,
    30_000,
    36_000,
    45_000,
    51_000,
    60_000,
    73_000,
    90_000,
    103_000,
    120_000,
    146_000,
    180_000,
    207_000,
    240_000,
    300_000,
    356_000,
    424_000,
    504_000,
    600_000,
    730_000,
    900_000,
    1_070_000,
    1_270_000,
    1_510_000,
    1_800_000,
    2_140_000,
    2_540_000,
    3_020_000,
    3_600_000,
    4_280_000,
    5_090_000,
    6_050_000,
    7_200_000,
    8_560_000,
    10_180_000,
    12_100_000,
    14_400_000,
    17_120_000,
    20_360_000,
    24_210_000,
    28_800_000,
    35_270_000,
    43_200_000,
    51_370_000,
    61_090_000,
    72_650_000,
    86_400_000,
    102_740_000,
    122_180_000,
    145_300_000,
    172_800_000,
    205_490_000,
    244_370_000,
    290_610_000,
    345_600_000,
    416_470_000,
    501_870_000,
    604_800_000,
];

/// Whether a limit in milliseconds is one of the bounds, so that it can be told exactly how many values keep to it.
pub fn is_bound(milliseconds: u64) -> bool {
    BOUNDS.contains(&milliseconds)
}

/// The sum of one measure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Sum {
    /// How many values there are.
    pub count: u64,
    /// What they add up to.
    pub total: u64,
    /// How many of them lie in each class, by its place; the last class is for what is above all bounds.
    pub classes: BTreeMap<u8, u64>,
}

/// The stored form: the count, the total and the classes, without what follows from the others.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Distributed(u64, u64, Vec<(u8, u64)>),
    Plain(u64, u64),
    Ones((u64,)),
}

impl From<Sum> for Stored {
    fn from(Sum { count, total, classes }: Sum) -> Self {
        match (classes.is_empty(), count == total) {
            (false, _) => Self::Distributed(count, total, classes.into_iter().collect()),
            (true, true) => Self::Ones((count,)),
            (true, false) => Self::Plain(count, total),
        }
    }
}

impl From<Stored> for Sum {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Distributed(count, total, classes) => Self { count, total, classes: classes.into_iter().collect() },
            Stored::Plain(count, total) => Self { count, total, classes: BTreeMap::new() },
            Stored::Ones((count,)) => Self { count, total: count, classes: BTreeMap::new() },
        }
    }
}

impl Sum {
    fn add(&mut self, value: u64, distributed: bool) {
        self.count += 1;
        self.total += value;
        if distributed {
            *self.classes.entry(class_of(value)).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        for (class, count) in &other.classes {
            *self.classes.entry(*class).or_default() += count;
        }
    }

    /// How many values are at most `limit`, which must be one of the bounds.
    pub fn within(&self, limit: u64) -> u64 {
        let class = class_of(limit);
        self.classes.range(..=class).map(|(_, count)| count).sum()
    }

    /// The bound under which at least `percent` of the values lie. For what is above all bounds it is the last one.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.classes.values().sum::<u64>() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let class = self.classes.iter().find_map(|(class, count)| {
            seen += count;
            (seen >= rank).then_some(*class)
        })?;
        BOUNDS.get(usize::from(class)).or(BOUNDS.last()).copied()
    }
}

fn class_of(value: u64) -> u8 {
    u8::try_from(BOUNDS.partition_point(|bound| *bound < value)).unwrap_or(u8::MAX)
}

/// The sums of all measures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<Measure, Sum>);

impl Tally {
    /// Counts one more fact.
    pub fn add(&mut self, counted: &Counted) {
        self.0.entry(counted.measure).or_default().add(counted.value, counted.measure.is_distributed());
    }

    /// Adds another tally. The order does not matter.
    pub fn merge(&mut self, other: &Self) {
        for (measure, sum) in &other.0 {
            self.0.entry(*measure).or_default().merge(sum);
        }
    }

    /// The same with what the service level is computed of: the waits that were answered within the limit
    /// ([`Measure::InTime`]), and those that count at all ([`Measure::Judged`]), which are all answered ones and
    /// others that ended after it. It is derived, so that sums of queues with limits of their own can be merged.
    #[must_use]
    pub fn judged(mut self, limit: ServiceLevel) -> Self {
        let limit = limit.milliseconds();
        let within = |measure| self.sum(measure).map_or(0, |sum| sum.within(limit));
        let after = |measure| self.count(measure) - within(measure);
        let in_time = within(Measure::Answered);
        let judged = self.count(Measure::Answered) + after(Measure::AbandonedInQueue) + after(Measure::FlowedOut);
        self.derive(Measure::InTime, in_time, in_time);
        self.derive(Measure::Judged, judged, judged);
        self
    }

    /// The same with what messages and calls of language models of one day cost by the table of prices.
    #[must_use]
    pub fn costed(mut self, prices: &Prices, day: Date) -> Self {
        let mut derived = Vec::new();
        for (measure, sum) in &self.0 {
            match measure {
                Measure::Message(priced) => match prices.cost(*priced, sum.count, sum.total, day) {
                    Some(cost) => derived.push((Measure::Cost, sum.count, cost)),
                    None => derived.push((Measure::Unpriced, sum.count, sum.count)),
                },
                Measure::AiCost(currency) => {
                    derived.extend(prices.exchanged(sum.total, *currency).map(|cost| (Measure::AiCharged, sum.count, cost)));
                }
                _ => {}
            }
        }
        derived.into_iter().for_each(|(measure, count, total)| self.derive(measure, count, total));
        self
    }

    fn derive(&mut self, measure: Measure, count: u64, total: u64) {
        if count > 0 {
            self.0.entry(measure).or_default().merge(&Sum { count, total, classes: BTreeMap::new() });
        }
    }

    /// Only what the service level is computed of.
    #[must_use]
    pub fn only_judged(self, limit: ServiceLevel) -> Self {
        let mut judged = self.judged(limit);
        judged.0.retain(|measure, _| matches!(measure, Measure::InTime | Measure::Judged));
        judged
    }

    /// How many messages of some kind reached customers.
    pub fn messages(&self, wanted: impl Fn(Priced) -> bool) -> u64 {
        let counted = |(measure, sum): (&Measure, &Sum)| match measure {
            Measure::Message(priced) if wanted(*priced) => sum.count,
            _ => 0,
        };
        self.0.iter().map(counted).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many facts it counts.
    pub fn facts(&self) -> u64 {
        self.0.values().map(|sum| sum.count).sum()
    }

    /// The sum of a measure.
    pub fn sum(&self, measure: Measure) -> Option<&Sum> {
        self.0.get(&measure)
    }

    /// How often a measure was counted.
    pub fn count(&self, measure: Measure) -> u64 {
        self.sum(measure).map_or(0, |sum| sum.count)
    }

    /// What a measure adds up to.
    pub fn total(&self, measure: Measure) -> u64 {
        self.sum(measure).map_or(0, |sum| sum.total)
    }
}
