//! Who may use how much.

use std::collections::BTreeSet;

use crate::{list, template};

#[test]
fn no_consumer_of_a_queue_can_take_all_of_the_accounts_concurrency() {
    let template = template();
    let mut sum = 0;
    for (id, mapping) in template.of_type("AWS::Lambda::EventSourceMapping") {
        let properties = &mapping["Properties"];
        if properties["EventSourceArn"].as_str().is_some_and(|source| source.ends_with("Queue.Arn")) {
            let parameter = properties["ScalingConfig"]["MaximumConcurrency"].as_str().unwrap_or_else(|| panic!("{id} has no maximum"));
            let parameter = template.at(&format!("/Parameters/{parameter}")).unwrap();
            assert_eq!((&parameter["MinValue"], &parameter["MaxValue"]), (&2.into(), &1000.into()), "{id}: AWS allows 2 to 1,000");
            sum += parameter["Default"].as_u64().unwrap();
        }
    }
    // An account begins with 1,000. Webhooks and APIs must find most of that when every queue is full.
    assert!((100..=400).contains(&sum), "{sum}");
}

#[test]
fn functions_that_send_themselves_on_may_do_so_and_a_schedule_finds_what_a_job_lost() {
    // AWS stops any other function that causes its own calls, after 16 of them.
    let functions = template().of_type("AWS::Serverless::Function");
    let loops = functions.filter(|(_, function)| function["Properties"]["RecursiveLoop"] == "Allow").map(|(id, _)| id);
    assert_eq!(loops.collect::<BTreeSet<_>>(), BTreeSet::from(["AssignFunction", "RouteFunction", "TriggerFunction", "WorkerFunction"]));
    let sweep = &template().resource("WorkerFunction")["Properties"]["Events"]["Sweep"];
    assert_eq!(sweep["Type"], "Schedule", "{sweep}");
}

#[test]
fn throttles_are_set_for_routes_that_are_there_before_them() {
    let template = template();
    let stage = template.resource("HttpStage");
    let settings = stage["Properties"]["RouteSettings"][2].as_object().unwrap();
    let routes = template.of_type("AWS::ApiGatewayV2::Route").filter(|(_, route)| route["Properties"]["ApiId"] == "HttpApi");
    let (throttled, others): (Vec<_>, Vec<_>) =
        routes.partition(|(_, route)| settings.contains_key(route["Properties"]["RouteKey"].as_str().unwrap()));
    assert_eq!(throttled.len(), settings.len());
    let before: BTreeSet<_> = list(&stage["DependsOn"]).into_iter().collect();
    assert_eq!(throttled.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), before);
    // Not every provider sends a refused webhook again.
    assert!(others.iter().all(|(id, _)| id.starts_with("Receive")), "{others:?}");
}

#[test]
fn sockets_are_throttled() {
    let template = template();
    let settings = &template.resource("WebSocketStage")["Properties"]["DefaultRouteSettings"][2];
    assert!(settings.get("ThrottlingRateLimit").is_some() && settings.get("ThrottlingBurstLimit").is_some(), "{settings}");
}
