//! Reports through the deployed functions: from a conversation to its numbers.

use std::time::Duration;

use local::client::Api;
use serde_json::{Value, json};

use crate::World;

/// A quarter-hour is added up 75 s after its first fact. The rest is a busy machine.
const ADDED_UP: Duration = Duration::from_secs(240);

#[tokio::test]
async fn what_happens_is_in_the_reports_within_two_minutes() {
    let world = World::start(41).await;
    let customer = world.customer("+393990000041");
    let path = world.accepted(&customer).await;
    let (anna, person) = world.anna();
    anna.post(&format!("{path}/messages"), &json!({"text": "hello"})).await.unwrap();
    // The stream tells the time of a change to the second: shorter than that, nobody was busy.
    tokio::time::sleep(Duration::from_secs(3)).await;
    anna.post(&format!("{path}/close"), &json!({})).await.unwrap();
    let supervisor = Api::new(&format!("{}/supervisor", world.demo.admin_url.strip_suffix("/admin").unwrap()), &world.demo.admin_token);
    let day = |hours: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).strftime("%Y-%m-%d").to_string();
    let asked = format!("/reports?from={}&to={}&period=whole&by=agent", day(-24), day(24));
    let metrics = "metrics=offered,accepted,handled,agent_messages,occupancy";
    let counted = async {
        loop {
            let report = supervisor.get(&format!("{asked}&{metrics}")).await.unwrap();
            let row = report["rows"].as_array().unwrap().iter().find(|row| row["id"] == person.id.as_str()).cloned();
            // What happened before and after the end of a quarter-hour is added up by two jobs, in any order.
            if let Some(row) = row.filter(|row| row["total"].as_array().unwrap()[..4].iter().all(|count| *count == 1)) {
                return row;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let row: Value = tokio::time::timeout(ADDED_UP, counted).await.expect("all of it is counted");
    // She was ready all the time, and busy from the accept to the close.
    let occupancy = row["total"][4].as_f64().unwrap();
    assert!(occupancy > 0.0 && occupancy < 1.0, "{row}");
}
