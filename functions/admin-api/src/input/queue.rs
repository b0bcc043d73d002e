//! Queues.

use std::collections::BTreeSet;

use domain::ids::AgentId;
use domain::queue::{MissedLimit, Queue, Strategy, Weight};
use domain::report::ServiceLevel;
use domain::values::Seconds;
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Errors, Fields, Refusal, UNKNOWN_AGENT, id, integer, line, parsed};
use super::{NAME, PEOPLE};

/// A queue of agents.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct QueueInput {
    /// The name that agents see.
    #[schema(min_length = 1, max_length = 200, example = "Support")]
    pub(crate) name: String,
    /// How the queue rings its members. `beepall`: all available members at once. `rrmemory`: one after the other.
    /// `least_recent`: the member whose last offer is the longest ago.
    pub(crate) strategy: Strategy,
    /// How long one agent is rung before the next, in seconds.
    #[schema(value_type = i64, required = false, default = 15, minimum = 1, maximum = 2_147_483)]
    pub(crate) agent_timeout: Seconds,
    /// 0 to 10. Queues with a higher weight are served first.
    #[schema(value_type = i64, required = false, default = 0, minimum = 0, maximum = 10)]
    pub(crate) weight: Weight,
    /// The number of consecutive missed offers after which an agent is paused. If absent: never. Offers to all
    /// members at once don't count.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 100)]
    pub(crate) pause_after_missed: Option<MissedLimit>,
    /// Within how many seconds its interactions are to be answered: what reports judge its service level by, unless
    /// they name another limit. 15, 20, 25, 30, 45, 60, 90, 120, 180, 240, 300 or 600.
    #[schema(value_type = i64, required = false, default = 60, minimum = 15, maximum = 600)]
    pub(crate) service_level: ServiceLevel,
    /// The ids of the agents, in the order that `rrmemory` follows.
    #[schema(required = false, max_items = 1_000)]
    pub(crate) members: Vec<AgentId>,
}

impl QueueInput {
    /// Parses the body of a POST, or of a PUT on the document `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let name = fields.required("name", line(NAME));
            let strategy = fields.required("strategy", parsed(strategy));
            let agent_timeout = fields.optional("agent_timeout", integer(Seconds::new)).unwrap_or(Queue::AGENT_TIMEOUT);
            let weight = fields.optional("weight", integer(Weight::new)).unwrap_or_default();
            let pause_after_missed = fields.optional("pause_after_missed", integer(MissedLimit::new));
            let service_level = fields.optional("service_level", integer(ServiceLevel::new)).unwrap_or_default();
            let members = fields.set("members", PEOPLE, "must have at most 1000 agents", id(UNKNOWN_AGENT));
            fields.finish_with(&["id", "version"], shown);
            Some(Self { name: name?, strategy: strategy?, agent_timeout, weight, pause_after_missed, service_level, members })
        });
        match input {
            Some(input) => errors.check().map(|()| input),
            None => Err(errors),
        }
    }
}

/// Fails if a member is not one of `agents`.
pub(crate) fn known_members(members: &[AgentId], agents: &BTreeSet<AgentId>) -> Result<(), Errors> {
    let mut errors = Errors::default();
    for (index, _) in members.iter().enumerate().filter(|(_, member)| !agents.contains(*member)) {
        errors.add(format!("members[{index}]"), UNKNOWN_AGENT);
    }
    errors.check()
}

fn strategy(text: &str) -> Result<Strategy, Refusal> {
    match text {
        "beepall" => Ok(Strategy::Beepall),
        "rrmemory" => Ok(Strategy::Rrmemory),
        "least_recent" => Ok(Strategy::LeastRecent),
        _ => Err("must be beepall, rrmemory or least_recent"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ulid::Ulid;

    use super::super::fields::testing::names;
    use super::*;

    fn agent(n: u128) -> AgentId {
        AgentId::from_ulid(Ulid(n))
    }

    fn body() -> Value {
        json!({"name": "Support", "strategy": "beepall", "agent_timeout": 15, "weight": 0, "members": [agent(1), agent(2)]})
    }

    #[test]
    fn a_queue_rings_for_15_seconds_by_default() {
        let queue = QueueInput::parse(json!({"name": "Support", "strategy": "rrmemory"}), None).unwrap();
        assert_eq!((queue.agent_timeout.get(), queue.weight.get(), queue.members.len()), (15, 0, 0));
        assert_eq!(i64::from(queue.service_level), 60);
    }

    #[test]
    fn every_bad_field_of_a_queue_is_named() {
        for (field, bad, named) in [
            ("name", json!(""), "name"),
            ("name", json!(null), "name"),
            ("strategy", json!("loudest"), "strategy"),
            ("strategy", json!(7), "strategy"),
            ("agent_timeout", json!(0), "agent_timeout"),
            ("agent_timeout", json!(2_147_484), "agent_timeout"),
            ("agent_timeout", json!("15"), "agent_timeout"),
            ("weight", json!(11), "weight"),
            ("weight", json!(-1), "weight"),
            ("pause_after_missed", json!(0), "pause_after_missed"),
            ("pause_after_missed", json!(101), "pause_after_missed"),
            ("service_level", json!(0), "service_level"),
            ("service_level", json!(61), "service_level"),
            ("service_level", json!("60"), "service_level"),
            ("members", json!("anna"), "members"),
            ("members", json!([agent(1), "que_1"]), "members[1]"),
            ("members", json!([agent(1), agent(1)]), "members[1]"),
            ("members", json!(vec![agent(1); 1_001]), "members"),
            ("id", json!("que_1"), "id"),
            ("colour", json!("red"), "colour"),
        ] {
            let mut body = body();
            body[field] = bad;
            assert_eq!(names(QueueInput::parse(body, None)), [named]);
        }
    }

    #[test]
    fn an_unknown_member_is_named_by_index() {
        let queue = QueueInput::parse(body(), None).unwrap();
        assert_eq!(names(known_members(&queue.members, &BTreeSet::from([agent(1)]))), ["members[1]"]);
        assert!(known_members(&queue.members, &BTreeSet::from([agent(1), agent(2)])).is_ok());
    }
}
