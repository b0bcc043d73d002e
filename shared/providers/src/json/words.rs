//! Finds what people wrote in a part of a webhook whose form is not known.

use domain::message::Content;
use serde_json::Value;

use super::{read, whole};

/// The names under which the providers carry what a person wrote or reads.
const WRITTEN: [&str; 9] = ["body", "text", "caption", "title", "description", "comment", "question", "name", "raw_message"];

/// The parts of a message that are about something else: another message, an advertisement, a fault.
const OTHERS: [&str; 13] = [
    "context",
    "contact",
    "errors",
    "error",
    "reason",
    "history_context",
    "metadata",
    "profile",
    "referral",
    "replying_to",
    "reply_to",
    "statuses",
    "system",
];

/// The deepest level that is searched. Known kinds have their texts within four.
const DEPTH: usize = 8;

/// The most texts that are taken. A card or an order has some tens.
const MOST: usize = 200;

/// The words in a part of a message, each once, one a line; `None` if there are none. A text that is JSON itself is
/// read as such.
pub(crate) fn words(part: &Value) -> Option<String> {
    let mut found = Vec::new();
    collect(part, DEPTH, &mut found);
    (!found.is_empty()).then(|| found.join("\n"))
}

/// The words of a message that its `content` does not hold. Only names that are nothing but a person's words count:
/// a title or a name may be a part of a known kind.
pub(crate) fn beside(message: &Value, content: &Content) -> Option<String> {
    let shown = content.readable();
    let texts = ["body", "text", "caption"].into_iter().filter_map(|name| whole(&message[name]));
    let nested = message.as_object().into_iter().flatten().filter(|(name, _)| !OTHERS.contains(&name.as_str()));
    let nested = nested.flat_map(|(_, part)| ["body", "text", "caption"].into_iter().filter_map(|name| whole(&part[name])));
    let mut left: Vec<String> = Vec::new();
    for text in texts.chain(nested) {
        if !shown.contains(&text) && !left.contains(&text) {
            left.push(text);
        }
    }
    (!left.is_empty()).then(|| left.join("\n"))
}

fn collect(part: &Value, depth: usize, found: &mut Vec<String>) {
    if depth == 0 || found.len() >= MOST {
        return;
    }
    match part {
        Value::Object(members) => {
            // What a person wrote comes first, in the order of the names above.
            for name in WRITTEN {
                if let Some(text) = members.get(name).filter(|value| value.is_string()).and_then(whole) {
                    match read(text.as_bytes()).filter(|inner| inner.is_object() || inner.is_array()) {
                        Some(inner) => collect(&inner, depth - 1, found),
                        None if !found.contains(&text) => found.push(text),
                        None => {}
                    }
                }
            }
            let nested = members.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str()));
            nested.for_each(|(_, member)| collect(member, depth - 1, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, depth - 1, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_person_wrote_is_found_wherever_it_lies_and_faults_are_not() {
        let message = json!({
            "from": "39", "id": "wamid.1", "type": "poll",
            "poll": {"name": "Pranzo?", "options": [{"title": "Pizza"}, {"title": "Pasta"}, {"title": "Pizza"}]},
            "context": {"text": "quoted"}, "errors": [{"title": "Message type unknown"}],
            "extra": {"caption": "con foto", "body": "{\"text\":{\"body\":\"dentro\"}}"}
        });
        assert_eq!(words(&message).as_deref(), Some("dentro\ncon foto\nPranzo?\nPizza\nPasta"));
        assert_eq!(words(&json!({"id": "x", "payload": 7, "body": 3})), None);
        let deep = (0..100).fold(json!({"body": "far"}), |inner, _| json!({"a": inner}));
        assert_eq!(words(&deep), None);
    }

    #[test]
    fn words_beside_a_content_are_those_that_it_does_not_show() {
        let place = Content::Location { latitude: 1.0, longitude: 2.0, label: Some("Roma".into()), address: None, url: None };
        let message =
            json!({"type": "location", "location": {"name": "Roma"}, "text": {"body": "Ci vediamo qui"}, "context": {"body": "no"}});
        assert_eq!(beside(&message, &place).as_deref(), Some("Ci vediamo qui"));
        let text = Content::Text { body: "Ciao".into() };
        assert_eq!(beside(&json!({"type": "text", "text": {"body": "Ciao"}}), &text), None);
    }
}
