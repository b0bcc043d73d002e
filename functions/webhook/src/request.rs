//! Builds the request to another system and reads the answer. Pure.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::history::WebhookFailure;
use domain::interaction::Interaction;
use domain::variables::VariableName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use views::InteractionView;

/// The body of the request.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    /// The reason for the request.
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    account: AccountOf<'a>,
    interaction: InteractionView,
    variables: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
}

#[derive(Debug, Serialize)]
struct AccountOf<'a> {
    id: &'a str,
    key: &'a str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    r#type: &'a str,
    text: &'a str,
    /// Whether the text goes on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

/// The body that describes `interaction`.
pub(crate) fn body(account: &Account, interaction: &Interaction, now: Timestamp) -> Vec<u8> {
    let asked = Asked {
        r#type: "plan.webhook",
        timestamp: now,
        data: Data {
            account: AccountOf { id: account.id.as_str(), key: account.key.as_str(), name: &account.name },
            interaction: interaction.into(),
            variables: interaction.variables.iter().collect(),
            message: interaction.run.message.as_ref().map(|heard| Message { r#type: &heard.kind, text: &heard.text, cut: heard.cut }),
        },
    };
    // Everything in it can be written as JSON.
    serde_json::to_vec(&asked).unwrap_or_default()
}

/// The other system's answer.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    variables: BTreeMap<VariableName, Value>,
}

/// The variables that an answer sets. Texts, numbers and booleans become text; null is an empty text. An empty body
/// sets none.
pub(crate) fn variables(body: &[u8]) -> Result<Vec<(VariableName, String)>, WebhookFailure> {
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let said: Said = serde_json::from_slice(body).map_err(|_| WebhookFailure::Unreadable)?;
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(WebhookFailure::Unreadable),
    };
    said.variables.into_iter().map(|(name, value)| text(value).map(|value| (name, value))).collect()
}

#[cfg(test)]
mod tests {
    use domain::fixtures;
    use domain::interaction::{Heard, Status};

    use super::*;

    #[test]
    fn the_body_describes_the_account_the_interaction_its_variables_and_the_message() {
        let now = Timestamp::UNIX_EPOCH;
        let mut interaction = fixtures::interaction(Status::Open, now);
        assert!(interaction.variables.set(&VariableName::parse("lang").unwrap(), "it"));
        interaction.run.message = Some(Heard { kind: "text".into(), text: "Ciao".into(), cut: false });
        let body: Value = serde_json::from_slice(&body(&fixtures::account(), &interaction, now)).unwrap();
        assert_eq!(body["type"], "plan.webhook");
        assert_eq!((&body["data"]["account"]["key"], &body["data"]["variables"]["lang"]), (&"ROMA1".into(), &"it".into()));
        assert_eq!(
            (&body["data"]["interaction"]["id"], &body["data"]["message"]["text"]),
            (&interaction.id.as_str().into(), &"Ciao".into())
        );
    }

    #[test]
    fn an_answer_sets_variables_or_nothing_or_is_unreadable() {
        let name = |name| VariableName::parse(name).unwrap();
        let read = variables(br#"{"variables": {"a": "x", "b": 7, "c": true, "d": null}, "more": []}"#);
        assert_eq!(
            read,
            Ok(vec![(name("a"), "x".into()), (name("b"), "7".into()), (name("c"), "true".into()), (name("d"), String::new())])
        );
        assert_eq!((variables(b" "), variables(b"{}")), (Ok(Vec::new()), Ok(Vec::new())));
        for bad in [&b"ok"[..], b"[1]", br#"{"variables": {"a b": 1}}"#, br#"{"variables": {"a": []}}"#, b"\xff"] {
            assert_eq!(variables(bad), Err(WebhookFailure::Unreadable));
        }
    }
}
