//! The targets to wake after a change of the configuration. A waiting interaction may now have other agents to be
//! offered to, or another way to go.

use std::collections::BTreeSet;

use crate::account::Account;
use crate::effect::Target;
use crate::ids::AgentId;
use crate::plan::ActionPlan;
use crate::queue::Queue;

/// The targets to look at again once an account has changed.
pub fn of_account(before: &Account, after: &Account) -> BTreeSet<Target> {
    if (&before.agents, &before.plan, before.active) == (&after.agents, &after.plan, after.active) {
        return BTreeSet::new();
    }
    let plans = || [&before.plan, &after.plan].into_iter();
    let queues = plans().flat_map(ActionPlan::queues).cloned().map(Target::Queue);
    let agents = plans().flat_map(ActionPlan::agents).cloned().map(Target::Agent);
    queues.chain(agents).chain(moved(&before.agents, &after.agents)).chain([Target::Account(after.id.clone())]).collect()
}

/// The targets to look at again once a queue has changed.
pub fn of_queue(before: &Queue, after: &Queue) -> BTreeSet<Target> {
    if (&before.members, before.strategy, before.weight) == (&after.members, after.strategy, after.weight) {
        return BTreeSet::new();
    }
    moved(&before.members, &after.members).chain([Target::Queue(after.id.clone())]).collect()
}

/// Agents who were removed or added. A removed agent's interactions go on without that agent, who is now free for
/// other queues. An added agent sees the offers that ring at all members.
fn moved<'a>(before: &'a [AgentId], after: &'a [AgentId]) -> impl Iterator<Item = Target> + 'a {
    let left = before.iter().filter(|agent| !after.contains(agent));
    let came = after.iter().filter(|agent| !before.contains(agent));
    left.chain(came).cloned().map(Target::Agent)
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::fixtures;
    use crate::ids::QueueId;
    use crate::plan::{PlanStep, Step};
    use crate::queue::{Strategy, Weight};

    fn agent(number: u128) -> AgentId {
        AgentId::from_ulid(Ulid(number))
    }

    fn queue(number: u128) -> QueueId {
        QueueId::from_ulid(Ulid(number))
    }

    fn step(number: u128) -> PlanStep {
        Step::Queue { queue: queue(number), timeout: Step::TIMEOUT }.into()
    }

    #[test]
    fn waiting_interactions_notice_new_agents_a_new_plan_and_that_the_account_is_on() {
        let before = Account { agents: vec![agent(1)], plan: ActionPlan { version: 1, steps: vec![step(1)] }, ..fixtures::account() };
        let changed = |change: fn(&mut Account)| {
            let mut after = before.clone();
            change(&mut after);
            of_account(&before, &after)
        };
        assert!(changed(|_| {}).is_empty());
        assert!(changed(|account| account.name = "Other".into()).is_empty());
        let (whole, old) = (Target::Account(before.id.clone()), Target::Queue(queue(1)));
        assert_eq!(changed(|account| account.agents.clear()), BTreeSet::from([whole.clone(), old.clone(), Target::Agent(agent(1))]));
        assert_eq!(changed(|account| account.active = false), BTreeSet::from([whole.clone(), old.clone()]));
        let new = Target::Queue(queue(2));
        assert_eq!(changed(|account| account.plan.steps = vec![step(2)]), BTreeSet::from([whole, old, new]));
    }

    #[test]
    fn a_queue_wakes_who_came_and_who_left() {
        let before = Queue {
            id: queue(1),
            name: "Sales".into(),
            strategy: Strategy::Beepall,
            agent_timeout: Queue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            service_level: crate::report::ServiceLevel::default(),
            members: vec![agent(1), agent(2)],
        };
        let changed = |change: fn(&mut Queue)| {
            let mut after = before.clone();
            change(&mut after);
            of_queue(&before, &after)
        };
        let own = Target::Queue(queue(1));
        assert!(changed(|queue| queue.name = "Other".into()).is_empty());
        assert_eq!(changed(|queue| queue.strategy = Strategy::Rrmemory), BTreeSet::from([own.clone()]));
        let moved = BTreeSet::from([own, Target::Agent(agent(1)), Target::Agent(agent(3))]);
        assert_eq!(changed(|queue| queue.members = vec![agent(2), agent(3)]), moved);
    }
}
