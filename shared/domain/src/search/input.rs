//! A search as people write it, and its check.

use serde::{Deserialize, Serialize};

use super::{Combine, Condition, Field, Kind, NumberTest, Operator, Search, Test, TextTest, TimeTest, fold};
use crate::day::Day;
use crate::interval::ZoneName;

/// A search as it is written and saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Search))]
#[serde(deny_unknown_fields)]
pub struct SearchInput {
    /// Whether all conditions must hold, or any.
    #[serde(default, rename = "match")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub combine: Combine,
    /// The conditions, 20 at most. Without an enabled one, everything matches.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub conditions: Vec<ConditionInput>,
    /// The time zone of days in conditions, such as `Europe/Rome`; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A condition as it is written and saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SearchCondition))]
#[serde(deny_unknown_fields)]
pub struct ConditionInput {
    /// The field, as `GET /search/fields` lists it; `variables.NAME` for a variable.
    pub field: String,
    /// What is asked of it, as `GET /search/fields` lists it.
    pub operator: String,
    /// A text, a day such as `2026-03-29`, or a number; none for `is_empty`. 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueInput>,
    /// Whether it is kept but not asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub disabled: bool,
}

/// A value as it is written and saved.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SearchValue))]
#[serde(untagged)]
pub enum ValueInput {
    /// A number.
    Number(i64),
    /// A text or a day.
    Text(String),
}

/// People search for names and numbers, which never reach a log.
impl std::fmt::Debug for ValueInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ValueInput(…)")
    }
}

/// What is wrong with a search, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place, e.g. `conditions[2].value`.
    pub place: String,
    /// What is wrong there.
    pub message: String,
}

impl SearchInput {
    /// Checks the search. Disabled conditions are checked too, so that one can be enabled at any time.
    ///
    /// # Errors
    /// All faults with their places.
    pub fn check(&self) -> Result<Search, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |place: String, message: String| faults.push(Fault { place, message });
        let zone = match self.zone.as_deref().map(ZoneName::parse) {
            None => ZoneName::default(),
            Some(Ok(zone)) => zone,
            Some(Err(invalid)) => {
                fault("zone".to_owned(), invalid.to_string());
                ZoneName::default()
            }
        };
        if self.conditions.len() > Search::MOST_CONDITIONS {
            fault(format!("conditions[{}]", Search::MOST_CONDITIONS), format!("at most {} conditions", Search::MOST_CONDITIONS));
        }
        let mut conditions = Vec::new();
        for (index, condition) in self.conditions.iter().enumerate().take(Search::MOST_CONDITIONS) {
            match condition.check(&zone) {
                Ok(checked) if !condition.disabled => conditions.push(checked),
                Ok(_) => {}
                Err((part, message)) => fault(format!("conditions[{index}].{part}"), message),
            }
        }
        if faults.is_empty() { Ok(Search { combine: self.combine, conditions }) } else { Err(faults) }
    }
}

/// The part of a condition that is wrong, and why.
type Wrong = (&'static str, String);

impl ConditionInput {
    fn check(&self, zone: &ZoneName) -> Result<Condition, Wrong> {
        let Some(field) = Field::parse(&self.field) else {
            return Err(("field", "is not a field: GET /search/fields lists them".to_owned()));
        };
        let operator = field.operators().iter().copied().find(|operator| operator.word() == self.operator);
        let Some(operator) = operator else {
            let words: Vec<&str> = field.operators().iter().map(|operator| operator.word()).collect();
            return Err(("operator", format!("must be one of {} for {}", words.join(", "), self.field)));
        };
        let test = self.test(&field, operator, zone).map_err(|message| ("value", message))?;
        Ok(Condition { field, test })
    }

    fn test(&self, field: &Field, operator: Operator, zone: &ZoneName) -> Result<Test, String> {
        if operator == Operator::IsEmpty {
            return if self.value.is_none() { Ok(Test::Empty) } else { Err("is_empty takes no value".to_owned()) };
        }
        match field.kind() {
            Kind::Text | Kind::Messages | Kind::Tags => {
                let text = fold(self.text()?);
                if text.is_empty() {
                    return Err("must have a letter, a digit or a sign".to_owned());
                }
                Ok(Test::Text(text_test(operator), text))
            }
            Kind::Choice => {
                let word = self.text()?;
                if !field.choices().contains(&word) {
                    return Err(format!("must be one of {}", field.choices().join(", ")));
                }
                Ok(Test::Word { word: word.to_owned(), equals: operator == Operator::Equals })
            }
            Kind::Number => {
                let Some(ValueInput::Number(number)) = self.value else { return Err("must be a whole number".to_owned()) };
                Ok(Test::Number(number_test(operator), number))
            }
            Kind::Time => {
                let day = Day::parse(self.text()?, zone).map_err(|invalid| invalid.to_string())?;
                Ok(Test::Time(time_test(operator), day.from, day.until))
            }
        }
    }

    fn text(&self) -> Result<&str, String> {
        let Some(ValueInput::Text(text)) = &self.value else { return Err("must be a text".to_owned()) };
        if text.chars().count() > Search::LONGEST_VALUE {
            return Err(format!("must have at most {} characters", Search::LONGEST_VALUE));
        }
        Ok(text)
    }
}

// Only operators that the field offers get here, so the last arm of each is the rest of those.

fn text_test(operator: Operator) -> TextTest {
    match operator {
        Operator::Equals => TextTest::Equals,
        Operator::Differs => TextTest::Differs,
        Operator::StartsWith => TextTest::StartsWith,
        Operator::EndsWith => TextTest::EndsWith,
        _ => TextTest::Contains,
    }
}

fn number_test(operator: Operator) -> NumberTest {
    match operator {
        Operator::Equals => NumberTest::Equals,
        Operator::Less => NumberTest::Less,
        Operator::Greater => NumberTest::Greater,
        _ => NumberTest::Differs,
    }
}

fn time_test(operator: Operator) -> TimeTest {
    match operator {
        Operator::Before => TimeTest::Before,
        Operator::After => TimeTest::After,
        _ => TimeTest::Equals,
    }
}
