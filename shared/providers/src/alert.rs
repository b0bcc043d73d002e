//! Alerts: what a provider says about an account.

use domain::inbound::Alert;
use jiff::Timestamp;
use serde_json::Value;

use crate::json;

/// The names under which the providers say in one word what happened.
const EVENTS: [&str; 8] =
    ["event", "event_type", "decision", "alert_type", "new_quality_score", "new_category", "title", "message_template_status"];

/// The deepest level that is told. The providers' own have three.
const DEPTH: usize = 6;

/// The most lines of an alert. The longest documented one has some ten.
const LINES: usize = 50;

/// An alert of this name, with all that `value` says.
pub(crate) fn alert(name: &str, value: &Value, at: Option<Timestamp>) -> Alert {
    let mut lines = Vec::new();
    tell("", value, DEPTH, &mut lines);
    let event = EVENTS.into_iter().find_map(|event| json::value(&value[event]));
    Alert { name: name.to_owned(), event, detail: lines.join("\n"), at, unproven: false }
}

fn tell(path: &str, value: &Value, depth: usize, lines: &mut Vec<String>) {
    if depth == 0 || lines.len() >= LINES {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| tell(&below(name), member, depth - 1, lines)),
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, element)| tell(&below(&index.to_string()), element, depth - 1, lines));
        }
        Value::Bool(yes) => lines.push(format!("{path}: {yes}")),
        Value::Null => {}
        plain => lines.extend(json::value(plain).map(|text| format!("{path}: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_names_what_happened_and_holds_all_that_was_said() {
        let value = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "RESTRICTED_ADD_PHONE_NUMBER_ACTION", "expiration": 1641330498}], "final": true, "none": null});
        let told = alert("account_update", &value, None);
        assert_eq!((told.name.as_str(), told.event.as_deref()), ("account_update", Some("ACCOUNT_RESTRICTION")));
        let mut lines: Vec<&str> = told.detail.lines().collect();
        lines.sort_unstable();
        let expected = [
            "event: ACCOUNT_RESTRICTION",
            "final: true",
            "restriction_info.0.expiration: 1641330498",
            "restriction_info.0.restriction_type: RESTRICTED_ADD_PHONE_NUMBER_ACTION",
        ];
        assert_eq!(lines, expected);
        let endless = json!((0..1_000).collect::<Vec<_>>());
        assert_eq!(alert("x", &endless, None).detail.lines().count(), LINES);
    }
}
