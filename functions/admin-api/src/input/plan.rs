//! The steps of an action plan.

use std::fmt::Display;

use domain::condition::Condition;
use domain::ids::{AiAgentId, IntervalId};
use domain::plan::{Guard, Jump, Label, PlanStep, Step, WebhookUrl, When};
use domain::priority::Priority;
use domain::tag::Tag;
use domain::text_template::TextTemplate;
use domain::values::Seconds;
use domain::variables::VariableName;
use serde_json::Value;

use super::fields::{
    CONTROL, Errors, Fields, Refusal, UNKNOWN_AGENT, UNKNOWN_INTERVAL, UNKNOWN_QUEUE, disposition, has_control, id, integer, parsed, text,
};

/// A note beside a step.
const COMMENT: usize = 500;

const KINDS: Refusal = "must be queue, agent, auto_reply, close, tag, priority, set, goto_if, goto, webhook, assistant or noop";

/// Parses one step. Notes the paths of all its errors.
pub(crate) fn step(path: String, value: Value, errors: &mut Errors) -> Option<PlanStep> {
    let mut fields = Fields::open(path, value, errors)?;
    let label = fields.optional("label", parsed(|text| Label::parse(text).map_err(|invalid| invalid.0)));
    let interval = fields.object("interval").map(guard);
    if interval == Some(None) {
        fields.give_up();
        return None;
    }
    let kind = fields.required("step", parsed(|text| Ok(text.to_owned())))?;
    let known = known(&kind, &mut fields);
    let Some(step) = known else {
        fields.refuse("step", KINDS);
        fields.give_up();
        return None;
    };
    fields.finish();
    step.map(|step| PlanStep { label, interval: interval.flatten(), step })
}

fn guard(mut fields: Fields<'_>) -> Option<Guard> {
    let within = fields.optional("only_within", id::<IntervalId>(UNKNOWN_INTERVAL));
    let outside = fields.optional("only_outside", id::<IntervalId>(UNKNOWN_INTERVAL));
    let guard = match (within, outside) {
        (Some(interval), None) => Some(Guard::OnlyWithin(interval)),
        (None, Some(interval)) => Some(Guard::OnlyOutside(interval)),
        (Some(_), Some(_)) => {
            fields.refuse("only_outside", "must not stand beside only_within");
            None
        }
        (None, None) => {
            fields.refuse("only_within", "is required, or only_outside");
            None
        }
    };
    fields.finish();
    guard
}

/// Parses a step of a kind. `None` if the kind is unknown, `Some(None)` if one of its fields was refused.
fn known(kind: &str, fields: &mut Fields<'_>) -> Option<Option<Step>> {
    let timeout = |fields: &mut Fields<'_>| fields.optional("timeout", integer(Seconds::new)).unwrap_or(Step::TIMEOUT);
    Some(match kind {
        "queue" => {
            let timeout = timeout(fields);
            fields.required("queue", id(UNKNOWN_QUEUE)).map(|queue| Step::Queue { queue, timeout })
        }
        "agent" => {
            let timeout = timeout(fields);
            fields.required("agent", id(UNKNOWN_AGENT)).map(|agent| Step::Agent { agent, timeout })
        }
        "auto_reply" => {
            let when = fields.optional("when", parsed(when)).unwrap_or_default();
            read(fields, "text", filled_template).map(|text| Step::AutoReply { text, when })
        }
        "close" => Some(Step::Close { disposition: fields.optional("disposition", disposition) }),
        "tag" => fields.required("tag", parsed(|text| Tag::parse(text).map_err(|invalid| invalid.0))).map(|tag| Step::Tag { tag }),
        "priority" => fields.required("priority", integer(Priority::new)).map(|priority| Step::Priority { priority }),
        "set" => {
            let variable = fields.required("variable", parsed(|text| VariableName::parse(text).map_err(|invalid| invalid.0)));
            let value = fields.required("value", parsed(value));
            variable.zip(value).map(|(variable, value)| Step::Set { variable, value })
        }
        "goto_if" => {
            let condition = read(fields, "condition", Condition::parse);
            let then = fields.required("then", jump);
            let otherwise = fields.optional("else", jump);
            condition.zip(then).map(|(condition, then)| Step::GotoIf { condition, then, otherwise })
        }
        "goto" => fields.required("to", jump).map(|to| Step::Goto { to }),
        "webhook" => {
            fields.required("url", parsed(|text| WebhookUrl::parse(text).map_err(|invalid| invalid.0))).map(|url| Step::Webhook { url })
        }
        "assistant" => {
            let ai_agent = fields.required("ai_agent", id::<AiAgentId>("must be the id of an AI agent"));
            ai_agent.map(|ai_agent| Step::Assistant { ai_agent })
        }
        "noop" => Some(Step::Noop { comment: fields.optional("comment", text(COMMENT)).unwrap_or_default() }),
        _ => return None,
    })
}

/// Parses a text in a language of its own, whose errors say where they are.
pub(super) fn read<T, E: Display>(fields: &mut Fields<'_>, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
    let text = fields.required(name, parsed(|text| Ok(text.to_owned())))?;
    match parse(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            fields.refuse_with(name, error.to_string());
            None
        }
    }
}

/// A template that is not empty.
pub(super) fn filled_template(text: &str) -> Result<TextTemplate, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if has_control(text) {
        return Err(CONTROL.to_owned());
    }
    TextTemplate::parse(text).map_err(|error| error.to_string())
}

fn when(text: &str) -> Result<When, Refusal> {
    match text {
        "once" => Ok(When::Once),
        "always" => Ok(When::Always),
        "first_message" => Ok(When::FirstMessage),
        _ => Err("must be once, always or first_message"),
    }
}

fn value(text: &str) -> Result<String, Refusal> {
    if text.len() > Step::LONGEST_VALUE {
        return Err("is too long: at most 512 bytes");
    }
    if has_control(text) { Err(CONTROL) } else { Ok(text.to_owned()) }
}

fn jump(value: Value) -> Result<Jump, Refusal> {
    let wrong = "must be the place (from 0) or the label of a step of this plan";
    match value {
        Value::Number(place) => place.as_u64().and_then(|place| usize::try_from(place).ok()).map(Jump::Place).ok_or(wrong),
        Value::String(label) => Label::parse(&label).map(Jump::Label).map_err(|_| wrong),
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(value: Value) -> Vec<String> {
        let mut errors = Errors::default();
        step("plan[0]".to_owned(), value, &mut errors);
        errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
    }

    #[test]
    fn every_kind_of_step_is_accepted_and_stored_unchanged() {
        let (interval, ai) = (IntervalId::from_ulid(ulid::Ulid(1)), AiAgentId::from_ulid(ulid::Ulid(1)));
        for step_sent in [
            json!({"step": "auto_reply", "text": "Ciao {{contact.firstName}}", "when": "always", "interval": {"only_outside": interval}}),
            json!({"label": "end", "step": "close", "disposition": "Spam"}),
            json!({"step": "close"}),
            json!({"step": "tag", "tag": "vip"}),
            json!({"step": "priority", "priority": 9}),
            json!({"step": "set", "variable": "lang", "value": ""}),
            json!({"step": "goto_if", "condition": "lang = 'it'", "then": "end", "else": 0}),
            json!({"step": "goto", "to": 1}),
            json!({"step": "webhook", "url": "https://crm.example.com/"}),
            json!({"step": "assistant", "ai_agent": ai}),
            json!({"step": "noop", "comment": "here", "interval": {"only_within": interval}}),
        ] {
            let mut errors = Errors::default();
            let taken = step("plan[0]".to_owned(), step_sent.clone(), &mut errors);
            assert_eq!(errors.check(), Ok(()));
            assert_eq!(serde_json::to_value(taken).unwrap(), step_sent);
        }
    }

    #[test]
    fn every_error_has_the_path_of_its_field_and_conditions_and_templates_also_a_position() {
        for (sent, expected) in [
            (json!({"step": "auto_reply", "text": "Hi {{contact.name"}), "plan[0].text: at character 4: this tag is never closed"),
            (json!({"step": "auto_reply", "text": " "}), "plan[0].text: must not be empty"),
            (json!({"step": "auto_reply", "text": "x", "when": "never"}), "plan[0].when: must be once, always or first_message"),
            (
                json!({"step": "goto_if", "condition": "lang == 1", "then": 0}),
                "plan[0].condition: at character 7: expected a name, a number or a text in quotes",
            ),
            (json!({"step": "goto_if", "condition": "a = 1"}), "plan[0].then: is required"),
            (json!({"step": "goto", "to": -1}), "plan[0].to: must be the place (from 0) or the label of a step of this plan"),
            (json!({"step": "priority", "priority": 10}), "plan[0].priority: must be from 0 to 9"),
            (
                json!({"step": "webhook", "url": "ftp://x"}),
                "plan[0].url: must be an address that begins with https://, without user name, at most 512 characters",
            ),
            (
                json!({"step": "set", "variable": "a b", "value": "x"}),
                "plan[0].variable: must be a letter, then letters, digits or _, at most 32 in all",
            ),
            (json!({"step": "auto_reply", "text": "Hi\u{0}"}), "plan[0].text: must not have control characters"),
            (json!({"step": "set", "variable": "a", "value": "\u{1b}[1m"}), "plan[0].value: must not have control characters"),
            (
                json!({"step": "close", "disposition": "a/b/c/d"}),
                "plan[0].disposition: must have at most three levels, with / between them",
            ),
            (json!({"step": "close", "disposition": "x".repeat(101)}), "plan[0].disposition: must have at most 100 characters"),
            (json!({"step": "tag"}), "plan[0].tag: is required"),
            (json!({"step": "noop", "interval": {}}), "plan[0].interval.only_within: is required, or only_outside"),
            (
                json!({"step": "noop", "interval": {"only_within": "que_1"}}),
                "plan[0].interval.only_within: there is no interval with this id",
            ),
            (json!({"step": "noop", "label": ""}), "plan[0].label: must have 1 to 32 characters on one line"),
            (json!({"step": "noop", "queue": "x"}), "plan[0].queue: is not known"),
        ] {
            assert!(refused(sent).contains(&expected.to_owned()), "{expected}");
        }
        assert!(refused(json!({"step": "dance"}))[0].starts_with("plan[0].step: must be queue, agent, auto_reply"));
    }
}
