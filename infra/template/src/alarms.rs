//! What pages somebody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Template, list, template};

/// An alarm's metrics: each with its name and its dimensions.
fn metrics(alarm: &Value) -> Vec<(&str, BTreeMap<&str, &str>)> {
    let properties = &alarm["Properties"];
    let of = |metric: &'_ Value| metric["MetricName"].as_str().is_some();
    let stats = properties["Metrics"].as_array().into_iter().flatten().map(|metric| &metric["MetricStat"]["Metric"]);
    let all = std::iter::once(properties).chain(stats).filter(|metric| of(metric));
    all.map(|metric| {
        let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
        let dimensions = dimensions.map(|dimension| (dimension["Name"].as_str().unwrap(), dimension["Value"].as_str().unwrap()));
        (metric["MetricName"].as_str().unwrap(), dimensions.collect())
    })
    .collect()
}

/// The values of a dimension for which an alarm on this metric exists.
fn watched<'a>(template: &'a Template, metric: &str, dimension: &str) -> BTreeSet<&'a str> {
    let alarms = template.of_type("AWS::CloudWatch::Alarm").flat_map(|(_, alarm)| metrics(alarm));
    alarms.filter(|(name, _)| *name == metric).filter_map(|(_, dimensions)| dimensions.get(dimension).copied()).collect()
}

/// The logical ids of the functions with an event source, and of those with a schedule.
fn workers(template: &Template) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let fed = template.of_type("AWS::Lambda::EventSourceMapping").filter_map(|(_, mapping)| mapping["Properties"]["FunctionName"].as_str());
    let scheduled = template.of_type("AWS::Serverless::Function").filter(|(_, function)| {
        let events = function["Properties"]["Events"].as_object();
        events.is_some_and(|events| events.values().any(|event| event["Type"] == "Schedule"))
    });
    (fed.collect(), scheduled.map(|(id, _)| id).collect())
}

#[test]
fn every_alarm_goes_to_the_topic() {
    let template = template();
    for (id, alarm) in template.of_type("AWS::CloudWatch::Alarm") {
        let action = &alarm["Properties"]["AlarmActions"][0];
        assert_eq!(list(action), ["HasAlarmTopic", "AlarmTopicArn", "AWS::NoValue"], "{id}");
        assert_eq!(alarm["Properties"]["TreatMissingData"], "notBreaching", "{id}");
    }
}

#[test]
fn a_queue_that_nobody_empties_pages_somebody_and_one_that_is_consumed_shows_its_age_and_its_failures() {
    let template = template();
    let sources: BTreeSet<_> = template
        .of_type("AWS::Lambda::EventSourceMapping")
        .filter_map(|(_, mapping)| mapping["Properties"]["EventSourceArn"].as_str()?.strip_suffix(".Arn"))
        .collect();
    let visible = watched(template, "ApproximateNumberOfMessagesVisible", "QueueName");
    let aged = watched(template, "ApproximateAgeOfOldestMessage", "QueueName");
    let failed = watched(template, "FailedItems", "Queue");
    for (id, _) in template.of_type("AWS::SQS::Queue") {
        let name = format!("{id}.QueueName");
        if sources.contains(id) {
            assert!(aged.contains(&*name), "{id} has no alarm for its age");
            let short = id.trim_end_matches("Queue").to_ascii_lowercase();
            assert!(failed.contains(&*short), "{id} has no alarm for records that fail on every try");
        } else {
            assert!(visible.contains(&*name), "{id} has no alarm");
        }
    }
    // Effects of commits, and timers that had to do without a schedule.
    assert!(failed.contains("stream") && failed.contains("scheduler"));
}

#[test]
fn metrics_of_ours_carry_the_stacks_name_so_that_a_test_stack_pages_nobody_else() {
    let template = template();
    let text = std::fs::read_to_string(crate::path("infra/template.yaml")).unwrap();
    let mut seen = 0;
    for (id, alarm) in template.of_type("AWS::CloudWatch::Alarm") {
        let ours = alarm.to_string().contains("WhatsAppConnector");
        for (name, dimensions) in metrics(alarm).into_iter().filter(|_| ours) {
            seen += 1;
            assert_eq!(dimensions.get("Stack"), Some(&"AWS::StackName"), "{id}: {name}");
        }
    }
    assert!(seen >= 19, "{seen}");
    for line in text.lines().filter(|line| line.contains(r#"["WhatsAppConnector""#)) {
        assert!(line.contains(r#""Stack", "${AWS::StackName}""#), "{line}");
    }
}

#[test]
fn throttles_crashes_and_dropped_calls_of_every_function_are_watched() {
    let template = template();
    let functions: BTreeSet<_> = template.of_type("AWS::Serverless::Function").map(|(id, _)| id).collect();
    let (fed, scheduled) = workers(template);
    assert!(fed.len() >= 8 && scheduled.len() >= 2, "{fed:?} {scheduled:?}");
    assert_eq!(watched(template, "Throttles", "FunctionName"), functions);
    assert_eq!(watched(template, "Errors", "FunctionName"), functions);
    assert_eq!(watched(template, "AsyncEventsDropped", "FunctionName"), scheduled);
}

#[test]
fn tables_that_throttle_or_fail_are_noticed() {
    let template = template();
    let tables: BTreeSet<_> = template.of_type("AWS::DynamoDB::Table").map(|(id, _)| id).collect();
    for metric in ["ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors"] {
        assert_eq!(watched(template, metric, "TableName"), tables, "{metric}");
    }
    assert_eq!(watched(template, "WriteThrottleEvents", "GlobalSecondaryIndexName"), BTreeSet::from(["list", "open-interactions"]));
}

#[test]
fn the_dashboard_is_json() {
    let template = template();
    let body = template.at("/Resources/Dashboard/Properties/DashboardBody").unwrap().as_str().unwrap();
    let widgets: Value = serde_json::from_str(body).unwrap();
    assert!(widgets["widgets"].as_array().unwrap().len() >= 12);
}
