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
    /// The version; every change adds one. A run uses the plan that is current when it starts.
    pub version: u64,
    /// The steps, in the order in which they run.
    pub steps: Vec<PlanStep>,
}

/// One place of an action plan: a step with its label and interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanStep {
    /// A name that jumps can use for the step, wherever it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// The interval within or outside of which the step runs. Otherwise the plan skips it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Guard>,
    /// The step itself.
    #[serde(flatten)]
    pub step: Step,
}

impl From<Step> for PlanStep {
    fn from(step: Step) -> Self {
        Self { label: None, interval: None, step }
    }
}

/// A condition on the time, checked when the plan reaches the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The step runs only while the interval matches.
    OnlyWithin(IntervalId),
    /// The step runs only while the interval does not match.
    OnlyOutside(IntervalId),
}

impl Guard {
    /// The interval of the condition.
    pub fn interval(&self) -> &IntervalId {
        match self {
            Guard::OnlyWithin(interval) | Guard::OnlyOutside(interval) => interval,
        }
    }
}

/// One step of an action plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Offers the interaction to a queue. The plan goes on when the time is over or every member has rejected it.
    Queue {
        /// The queue.
        queue: QueueId,
        /// How long the step waits, in seconds, even if no member is available.
        #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 30, minimum = 1, maximum = 2_147_483))]
        timeout: Seconds,
    },
    /// Offers the interaction to one agent. The plan goes on when the time is over or the agent has rejected it.
    Agent {
        /// The agent.
        agent: AgentId,
        /// How long the step waits, in seconds.
        #[cfg_attr(feature = "openapi", schema(value_type = i64, required = false, default = 30, minimum = 1, maximum = 2_147_483))]
        timeout: Seconds,
    },
    /// Sends an automatic reply.
    AutoReply {
        /// The text of the reply; a template with variables.
        #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 2_048))]
        text: TextTemplate,
        /// How often the reply goes out.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(required = false))]
        when: When,
    },
    /// Closes the interaction.
    Close {
        /// The disposition, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
        disposition: Option<String>,
    },
    /// Adds a tag to the interaction.
    Tag {
        /// The tag.
        tag: Tag,
    },
    /// Gives the interaction a priority.
    Priority {
        /// The priority.
        priority: Priority,
    },
    /// Sets a variable.
    Set {
        /// The name of the variable.
        variable: VariableName,
        /// The new value; empty to remove the variable.
        #[cfg_attr(feature = "openapi", schema(max_length = 512))]
        value: String,
    },
    /// Jumps to another step, depending on a condition.
    GotoIf {
        /// The condition.
        #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 1_000))]
        condition: Condition,
        /// The step that follows if the condition holds.
        then: Jump,
        /// The step that follows if the condition does not hold; the next step when absent.
        #[serde(default, rename = "else", skip_serializing_if = "Option::is_none")]
        otherwise: Option<Jump>,
    },
    /// Jumps to another step.
    Goto {
        /// The step that follows.
        to: Jump,
    },
    /// Calls another system, which may set variables. If the call fails, the plan goes on.
    Webhook {
        /// The address of the other system.
        #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 512))]
        url: WebhookUrl,
    },
    /// Hands the conversation to an AI agent until it escalates.
    Assistant {
        /// The AI agent.
        ai_agent: AiAgentId,
    },
    /// Does nothing.
    Noop {
        /// A comment for people who read the plan.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        #[cfg_attr(feature = "openapi", schema(max_length = 500))]
        comment: String,
    },
}

impl Step {
    /// The timeout of a step that has none of its own: 30 s.
    pub const TIMEOUT: Seconds = match Seconds::new(30) {
        Ok(seconds) => seconds,
        Err(_) => Seconds::MAX,
    };

    /// The longest value that a step sets, in bytes. It is half of the room that an interaction has for variables.
    pub const LONGEST_VALUE: usize = 512;

    /// The name of the step's kind, as it is stored.
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

    /// The step's jumps with the names of their fields.
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
    /// Once for each interaction.
    #[default]
    Once,
    /// Every time the plan reaches the step.
    Always,
    /// Only in the run that the interaction's first message started.
    FirstMessage,
}

/// The step that a jump leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Jump {
    /// The step's place, from 0: the number that the history and the paths of faults show.
    Place(usize),
    /// The step's label, which stays right when steps are inserted.
    Label(Label),
}

/// A step's name within its plan: 1 to 32 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl Label {
    /// Accepts 1 to 32 characters on one line.
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

/// The address of another system: `http` or `https`, at most 512 characters, without credentials. A plan is saved
/// only with `https` addresses, except for origins that the deployment allows (as a local one does). The host is
/// checked again when it is called.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Accepts `https://` or `http://` with a host behind it.
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

    /// Whether nobody on the way can read the request.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// The path may hold a customer's token, so the address never reaches a log.
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

/// A fault of a plan as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place of the step, from 0.
    pub step: usize,
    /// The field of the step.
    pub field: &'static str,
    /// The reason in words.
    pub reason: &'static str,
}

impl ActionPlan {
    /// The most steps that a plan may have, so that an interaction waiting in as many queues fits one transaction.
    pub const MOST_STEPS: usize = 40;

    /// The plan's faults: labels that two steps have, and jumps to no step.
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

    /// The queues that the plan names.
    pub fn queues(&self) -> impl Iterator<Item = &QueueId> {
        self.steps.iter().filter_map(|step| match &step.step {
            Step::Queue { queue, .. } => Some(queue),
            _ => None,
        })
    }

    /// The AI agents that the plan names.
    pub fn ai_agents(&self) -> impl Iterator<Item = &AiAgentId> {
        self.steps.iter().filter_map(|step| match &step.step {
            Step::Assistant { ai_agent } => Some(ai_agent),
            _ => None,
        })
    }

    /// The agents that the plan names.
    pub fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.steps.iter().filter_map(|step| match &step.step {
            Step::Agent { agent, .. } => Some(agent),
            _ => None,
        })
    }

    /// The intervals that the plan names.
    pub fn intervals(&self) -> impl Iterator<Item = &IntervalId> {
        self.steps.iter().filter_map(|step| step.interval.as_ref().map(Guard::interval))
    }

    /// Whether a condition of the plan uses the customer's message.
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
    fn every_step_is_read_as_it_was_stored() {
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
    fn a_jump_to_no_step_and_a_repeated_label_are_faults_of_their_field() {
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
    fn a_webhook_address_has_a_host_and_no_credentials() {
        assert!(WebhookUrl::parse("https://example.com:8443/a?b=c").unwrap().is_https());
        assert!(!WebhookUrl::parse("http://example.com").unwrap().is_https());
        for bad in ["http://", "https:///a", "https://u:p@example.com", "https://a b", "ftp://x", "https://è.it", "https://a\\@b"] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(WebhookUrl::parse(&format!("https://example.com/{}", "x".repeat(512))).is_err());
    }
}
