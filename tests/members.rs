//! The items of members: whoever is a member can accept, with and without an item, and nobody else.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::fixtures;
use domain::ids::{AgentId, ContactId, InteractionId};
use domain::interaction::{Interaction, Status};
use engine::ports::{Commit, Committed, Membership, Store as _};
use store::{Write, Written};
use ulid::Ulid;

use crate::support::Deployment;

fn agents(numbers: impl IntoIterator<Item = u128>) -> Vec<AgentId> {
    numbers.into_iter().map(|number| AgentId::from_ulid(Ulid::from_parts(1, number))).collect()
}

/// The sort keys of the account's member items.
async fn items(deployment: &Deployment) -> BTreeSet<String> {
    let query = deployment.aws.dynamodb().query().table_name("config").key_condition_expression("pk = :pk");
    let partition = format!("members#account#{}", fixtures::account().id);
    let answer = query.expression_attribute_values(":pk", AttributeValue::S(partition)).send().await.unwrap();
    answer.items().iter().map(|item| item["sk"].as_s().unwrap().clone()).collect()
}

/// What the items must be when all is written.
fn complete(agents: &[AgentId]) -> BTreeSet<String> {
    agents.iter().map(ToString::to_string).chain(["complete".to_owned()]).collect()
}

/// Writes the account with these agents in the place of `before`.
async fn becomes(deployment: &Deployment, (before, version): (&Account, u64), agents: &[AgentId]) -> (Account, u64) {
    let after = Account { agents: agents.to_vec(), ..before.clone() };
    let at = deployment.configuration.revision().await.unwrap();
    let written = deployment.configuration.put_at(at, &after, &Write::Replace { before, version }, &[]).await.unwrap();
    assert_eq!(written, Written::Done { version: version + 1 });
    (after, version + 1)
}

#[tokio::test]
async fn an_account_has_an_item_for_each_member_however_many_come_and_go() {
    let deployment = Deployment::new().await;
    let account = Account { agents: agents(1..=500), ..fixtures::account() };
    deployment.configuration.put(&account, Write::New, Vec::new()).await.unwrap();
    assert_eq!(items(&deployment).await, complete(&account.agents));
    // A few go and come in the write itself, three hundred go before it, and four hundred come after it.
    let mut now = (account, 1);
    for numbers in [agents(3..=502), agents(303..=502), agents(303..=702), agents([])] {
        now = becomes(&deployment, (&now.0, now.1), &numbers).await;
        assert_eq!(items(&deployment).await, complete(&numbers));
    }
}

#[tokio::test]
async fn an_account_of_the_version_before_gets_its_items_with_its_next_write() {
    let deployment = Deployment::new().await;
    let account = Account { agents: agents(1..=70), ..fixtures::account() };
    deployment.configuration.put(&account, Write::New, Vec::new()).await.unwrap();
    for sk in items(&deployment).await {
        let delete = deployment.aws.dynamodb().delete_item().table_name("config");
        let delete = delete.key("pk", AttributeValue::S(format!("members#account#{}", account.id)));
        delete.key("sk", AttributeValue::S(sk)).send().await.unwrap();
    }
    let (account, _) = becomes(&deployment, (&account, 1), &account.agents).await;
    assert_eq!(items(&deployment).await, complete(&account.agents));
}

#[tokio::test]
async fn a_deleted_account_leaves_no_items() {
    let deployment = Deployment::new().await;
    let account = Account { agents: agents(1..=3), ..fixtures::account() };
    deployment.configuration.put(&account, Write::New, Vec::new()).await.unwrap();
    deployment.configuration.delete(&account, 1, &[]).await.unwrap();
    assert_eq!(items(&deployment).await, BTreeSet::new());
}

/// How many seats the agent's presence has; `None` if there is no presence.
async fn seats(deployment: &Deployment, agent: &AgentId) -> Option<usize> {
    let get = deployment.aws.dynamodb().get_item().table_name("interactions").consistent_read(true);
    let get = get.key("pk", AttributeValue::S(format!("AGENT#{agent}"))).key("sk", AttributeValue::S("PRESENCE".to_owned()));
    let presence = get.send().await.unwrap().item?;
    Some(presence.get("seats").map_or(0, |seats| seats.as_bs().unwrap().len()))
}

/// Has the agent accept a new interaction of the account.
async fn accepts(deployment: &Deployment, agent: &AgentId, number: u128) -> Committed {
    let (id, at) = (Ulid::from_parts(9, number), jiff::Timestamp::UNIX_EPOCH);
    let new = Interaction {
        id: InteractionId::from_ulid(id),
        contact: ContactId::from_ulid(id),
        version: 1,
        ..fixtures::interaction(Status::Open, at)
    };
    assert_eq!(deployment.store.commit(Commit::plain(None, new.clone())).await.unwrap(), Committed::Done);
    let held = Interaction { version: 2, agent: Some(agent.clone()), ..new.clone() };
    let membership = Some(Membership { agent: agent.clone(), account: new.account.clone(), queue: None });
    deployment.store.commit(Commit { membership, ..Commit::plain(Some(new), held) }).await.unwrap()
}

#[tokio::test]
async fn an_agent_who_leaves_has_no_seat_any_more_however_many_leave() {
    let deployment = Deployment::new().await;
    let anna = deployment.ready_agent("anna", 50).await;
    let with_anna =
        |numbers: std::ops::RangeInclusive<u128>| -> Vec<AgentId> { agents(numbers).into_iter().chain([anna.clone()]).collect() };
    let account = Account { agents: with_anna(1..=400), ..fixtures::account() };
    deployment.configuration.put(&account, Write::New, Vec::new()).await.unwrap();
    let mut now = (account, 1);
    for (number, left) in [(1, 1..=399), (3, 1..=90)] {
        assert_eq!(seats(&deployment, &anna).await, Some(0));
        assert_eq!(accepts(&deployment, &anna, number).await, Committed::Done);
        assert_eq!(seats(&deployment, &anna).await, Some(1));
        // She leaves with one other, in the write itself, and then with three hundred, in steps before it.
        now = becomes(&deployment, (&now.0, now.1), &agents(left.clone())).await;
        assert_eq!(seats(&deployment, &anna).await, Some(0));
        assert_eq!(accepts(&deployment, &anna, number + 1).await, Committed::NotAMember);
        now = becomes(&deployment, (&now.0, now.1), &with_anna(left)).await;
    }
    assert_eq!(seats(&deployment, &agents([399])[0]).await, None, "nobody gets a presence by leaving");
}
