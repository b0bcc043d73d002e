//! What remains.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Template, list, path, template};

/// What the company would miss.
fn precious(template: &Template) -> BTreeSet<&str> {
    ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Cognito::UserPool"]
        .into_iter()
        .flat_map(|kind| template.of_type(kind).map(|(id, _)| id).collect::<Vec<_>>())
        .collect()
}

#[test]
fn tables_bucket_and_pool_outlive_the_stack_but_not_a_first_deployment_that_failed() {
    let template = template();
    assert_eq!(precious(template), ["Bucket", "ConfigTable", "DerivedTable", "InteractionsTable", "UserPool"].into());
    for id in precious(template) {
        let resource = template.resource(id);
        assert_eq!(
            (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
            (&"RetainExceptOnCreate".into(), &"Retain".into()),
            "{id}"
        );
    }
}

#[test]
fn the_stack_policy_denies_to_replace_or_delete_exactly_those() {
    let template = template();
    let policy: Value = serde_json::from_str(&std::fs::read_to_string(path("infra/stack-policy.json")).unwrap()).unwrap();
    let denied: Vec<_> = policy["Statement"].as_array().unwrap().iter().filter(|statement| statement["Effect"] == "Deny").collect();
    assert_eq!(denied.len(), 1);
    assert_eq!(list(&denied[0]["Action"]), ["Update:Replace", "Update:Delete"]);
    let resources: BTreeSet<_> = list(&denied[0]["Resource"]).into_iter().map(|id| id.trim_start_matches("LogicalResourceId/")).collect();
    assert_eq!(resources, precious(template));
}

#[test]
fn overwritten_files_come_back_for_some_days_and_then_are_gone() {
    let template = template();
    let bucket = &template.resource("Bucket")["Properties"];
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap();
    let expiry = rules.iter().find(|rule| rule.get("NoncurrentVersionExpiration").is_some()).unwrap();
    assert_eq!((&expiry["Status"], expiry.get("Prefix")), (&"Enabled".into(), None), "for the whole bucket");
    assert_eq!(expiry["NoncurrentVersionExpiration"]["NoncurrentDays"], "BackupDays");
    // A month is what the law leaves for an erasure.
    assert!(template.at("/Parameters/BackupDays/MaxValue").unwrap().as_u64().unwrap() <= 30);
}

#[test]
fn a_failed_batch_reaches_its_queue_by_a_rule_and_s3_sends_no_test_event() {
    let template = template();
    let notifications = &template.resource("Bucket")["Properties"]["NotificationConfiguration"];
    assert_eq!(notifications.as_object().unwrap().keys().collect::<Vec<_>>(), ["EventBridgeConfiguration"]);
    let rule = &template.resource("StreamFailuresRule")["Properties"];
    assert_eq!(rule["EventPattern"]["detail"]["object"]["key"][0]["prefix"], "aws/lambda/");
    assert_eq!(rule["Targets"][0]["Arn"], "StreamFailuresQueue.Arn");
}
