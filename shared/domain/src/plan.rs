//! The action plan: an account's routing steps, in order.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::ids::{AgentId, AiAgentId, IntervalId, QueueId};
use crate::priority::Priority;
use crate::tag::Tag;
use crate::text_template::TextTemplate;
use crate::values::{Invalid, Seconds};
use crate::variables::VariableName;

/// An account's routing steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// Grows with every change; a run takes the plan that is current when it starts.
    pub version: u64,
    /// Executed in order.
    pub steps: Vec<PlanStep>,
}

/// One step with what surrounds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanStep {
    /// By which jumps may name it, wherever it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// When it is entered; else it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Guard>,
    /// What it does.
    #[serde(flatten)]
    pub step: Step,
}

impl From<Step> for PlanStep {
    fn from(step: Step) -> Self {
        Self { label: None, interval: None, step }
    }
}

/// When a step is entered; checked at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// While the interval matches.
    OnlyWithin(IntervalId),
    /// While it does not.
    OnlyOutside(IntervalId),
}

impl Guard {
    /// Which interval it asks.
    pub fn interval(&self) -> &IntervalId {
        match self {
            Guard::OnlyWithin(interval) | Guard::OnlyOutside(interval) => interval,
        }
    }
}

/// What one step of an action plan does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Offers to a queue; the next step follows when the time is over or everybody rejected.
    Queue {
        /// Which one.
        queue: QueueId,
        /// For how long, even with nobody there.
        #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 30, minimum = 1, maximum = 2_147_483))]
        timeout: Seconds,
    },
    /// The same with one agent.
    Agent {
        /// Which one.
        agent: AgentId,
        /// For how long.
        #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 30, minimum = 1, maximum = 2_147_483))]
        timeout: Seconds,
    },
    /// Answers by itself.
    AutoReply {
        /// With what.
        #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 2_048))]
        text: TextTemplate,
        /// How often.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        when: When,
    },
    /// Closes the interaction.
    Close {
        /// With which disposition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
        disposition: Option<String>,
    },
    /// Marks it with a tag.
    Tag {
        /// Which one.
        tag: Tag,
    },
    /// Gives it a priority.
    Priority {
        /// Which one.
        priority: Priority,
    },
    /// Sets a variable.
    Set {
        /// Which one.
        variable: VariableName,
        /// To what; empty: it is removed.
        #[cfg_attr(feature = "openapi", schema(max_length = 512))]
        value: String,
    },
    /// Jumps, if a condition holds.
    GotoIf {
        /// Which one.
        #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 1_000))]
        condition: Condition,
        /// Where to, if it holds.
        then: Jump,
        /// Where to, if it does not; absent: to the next step.
        #[serde(default, rename = "else", skip_serializing_if = "Option::is_none")]
        otherwise: Option<Jump>,
    },
    /// Jumps.
    Goto {
        /// Where to.
        to: Jump,
    },
    /// Asks another system, which may set variables; its failing never stops the plan.
    Webhook {
        /// Which one.
        #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 512))]
        url: WebhookUrl,
    },
    /// Hands the conversation to an AI agent until it escalates.
    Assistant {
        /// Which one.
        ai_agent: AiAgentId,
    },
    /// Nothing.
    Noop {
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        #[cfg_attr(feature = "openapi", schema(max_length = 500))]
        comment: String,
    },
}

impl Step {
    /// The timeout of a step that was given none: 30 s.
    pub const TIMEOUT: Seconds = match Seconds::new(30) {
        Ok(seconds) => seconds,
        Err(_) => Seconds::MAX,
    };

    /// The longest value that a step sets, in bytes: half of what an interaction has room for.
    pub const LONGEST_VALUE: usize = 512;

    /// The name of its kind, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::Queue { .. } => "queue",
            Step::Agent { .. } => "agent",
            Step::AutoReply { .. } => "auto_reply",
            Step::Close { .. } => "close",
            Step::Tag { .. } => "tag",
            Step::Priority { .. } => "priority",
            Step::Set { .. } => "set",
            Step::GotoIf { .. } => "goto_if",
            Step::Goto { .. } => "goto",
            Step::Webhook { .. } => "webhook",
            Step::Assistant { .. } => "assistant",
            Step::Noop { .. } => "noop",
        }
    }

    /// Its jumps with the names of their fields.
    fn jumps(&self) -> impl Iterator<Item = (&'static str, &Jump)> {
        let (then, otherwise) = match self {
            Step::GotoIf { then, otherwise, .. } => (Some(("then", then)), otherwise.as_ref().map(|jump| ("else", jump))),
            Step::Goto { to } => (Some(("to", to)), None),
            _ => (None, None),
        };
        then.into_iter().chain(otherwise)
    }
}

/// How often an automatic reply goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Once an interaction.
    #[default]
    Once,
    /// Whenever the plan comes by.
    Always,
    /// Only in the run that the interaction's first message caused.
    FirstMessage,
}

/// The step that a jump leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Jump {
    /// By its place, from 0: the number that the history and the paths of faults show.
    Place(usize),
    /// By its label, which stays right when steps are inserted.
    Label(Label),
}

/// A step's name within its plan: 1 to 32 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl Label {
    /// Takes 1 to 32 characters on one line.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Tag::parse(text).map(|label| Self(label.into()))
    }
}

impl TryFrom<String> for Label {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

#[cfg(feature = "openapi")]
crate::values::text_schema!(Label, "The name of a step within its plan, on one line.", |text| {
    text.min_length(Some(1)).max_length(Some(32))
});

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.0
    }
}

/// The address of another system: `http` or `https`, at most 512 characters, nobody's credentials. A plan is saved with `https` ones only, but for origins
/// that the deployment allows (as a local one does); what lies behind it is vetted again when it is called.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Takes `https://` or `http://` with a host behind it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = Invalid("must be an address that begins with https://, without user name, at most 512 characters");
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.filter(|_| text.len() <= 512).ok_or(wrong.clone())?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let plain = rest.chars().all(|character| character.is_ascii_graphic());
        if host.is_empty() || host.starts_with(':') || host.contains('@') || rest.contains('\\') || !plain {
            Err(wrong)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there can't be read on the way.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// A path may hold a customer's token.
impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookUrl(…)")
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> String {
        url.0
    }
}

/// What is wrong with a plan as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place of the step.
    pub step: usize,
    /// Its field.
    pub field: &'static str,
    /// In words.
    pub reason: &'static str,
}

impl ActionPlan {
    /// As many steps as a plan may have: what waits behind it in as many queues fits one transaction.
    pub const MOST_STEPS: usize = 40;

    /// Labels that two steps have, and jumps that lead nowhere.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut labels = BTreeSet::new();
        for (place, step) in self.steps.iter().enumerate() {
            if step.label.as_ref().is_some_and(|label| !labels.insert(label)) {
                faults.push(Fault { step: place, field: "label", reason: "another step has this label" });
            }
        }
        for (place, step) in self.steps.iter().enumerate() {
            for (field, _) in step.step.jumps().filter(|(_, jump)| self.place_of(jump).is_none()) {
                faults.push(Fault { step: place, field, reason: "must be the place (from 0) or the label of a step of this plan" });
            }
        }
        faults
    }

    /// The place of the step that a jump leads to.
    pub fn place_of(&self, jump: &Jump) -> Option<usize> {
        match jump {
            Jump::Place(place) => Some(*place).filter(|place| *place < self.steps.len()),
            Jump::Label(label) => self.steps.iter().position(|step| step.label.as_ref() == Some(label)),
        }
    }

    /// The queues that it names.
    pub fn queues(&self) -> impl Iterator<Item = &QueueId> {
        self.steps.iter().filter_map(|step| match &step.step {
            Step::Queue { queue, .. } => Some(queue),
            _ => None,
        })
    }

    /// The agents that it names.
    pub fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.steps.iter().filter_map(|step| match &step.step {
            Step::Agent { agent, .. } => Some(agent),
            _ => None,
        })
    }

    /// The intervals that it names.
    pub fn intervals(&self) -> impl Iterator<Item = &IntervalId> {
        self.steps.iter().filter_map(|step| step.interval.as_ref().map(Guard::interval))
    }

    /// Whether a condition asks for the customer's message.
    pub fn asks_for_message(&self) -> bool {
        self.steps.iter().any(|step| matches!(&step.step, Step::GotoIf { condition, .. } if condition.asks_for("message.")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(steps: serde_json::Value) -> ActionPlan {
        serde_json::from_value(json!({"version": 1, "steps": steps})).unwrap()
    }

    #[test]
    fn a_plan_of_an_earlier_version_is_still_read() {
        let old = json!([{"step": "queue", "queue": "que_01ARZ3NDEKTSV4RRFFQ69G5FAV", "timeout": 30}, {"step": "agent", "agent": "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV", "timeout": 7}]);
        let read = plan(old.clone());
        assert_eq!((read.queues().count(), read.agents().count()), (1, 1));
        assert_eq!(serde_json::to_value(&read.steps).unwrap(), old);
    }

    #[test]
    fn every_step_is_stored_and_read_as_the_same() {
        let steps = json!([
            {"label": "begin", "interval": {"only_within": "ivl_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "step": "queue", "queue": "que_01ARZ3NDEKTSV4RRFFQ69G5FAV", "timeout": 30},
            {"interval": {"only_outside": "ivl_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "step": "auto_reply", "text": "Ciao {{contact.firstName}}", "when": "first_message"},
            {"step": "close", "disposition": "Spam"},
            {"step": "tag", "tag": "vip"},
            {"step": "priority", "priority": 9},
            {"step": "set", "variable": "lang", "value": "it"},
            {"step": "goto_if", "condition": "lang = 'it'", "then": "begin", "else": 3},
            {"step": "goto", "to": 0},
            {"step": "webhook", "url": "https://example.com/hook"},
            {"step": "assistant", "ai_agent": "aia_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
            {"step": "noop", "comment": "here"},
        ]);
        let read = plan(steps.clone());
        assert_eq!(serde_json::to_value(&read.steps).unwrap(), steps);
        assert!(read.faults().is_empty() && !read.asks_for_message());
        for (step, stored) in read.steps.iter().zip(steps.as_array().unwrap()) {
            assert_eq!(step.step.kind(), stored["step"]);
        }
    }

    #[test]
    fn a_jump_to_nowhere_and_a_label_twice_are_faults_of_their_field() {
        let read = plan(json!([
            {"label": "a", "step": "goto", "to": 4},
            {"label": "a", "step": "goto_if", "condition": "message.text = 1", "then": "b", "else": "a"},
            {"step": "goto_if", "condition": "lang = 1", "then": 0, "else": "c"},
            {"step": "noop"},
        ]));
        let faults: Vec<_> = read.faults().into_iter().map(|fault| (fault.step, fault.field)).collect();
        assert_eq!(faults, [(1, "label"), (0, "to"), (1, "then"), (2, "else")]);
        assert!(read.asks_for_message());
    }

    #[test]
    fn the_address_of_a_webhook_has_a_host_and_nobodys_credentials() {
        assert!(WebhookUrl::parse("https://example.com:8443/a?b=c").unwrap().is_https());
        assert!(!WebhookUrl::parse("http://example.com").unwrap().is_https());
        for bad in ["http://", "https:///a", "https://u:p@example.com", "https://a b", "ftp://x", "https://è.it", "https://a\\@b"] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(WebhookUrl::parse(&format!("https://example.com/{}", "x".repeat(512))).is_err());
    }
}
