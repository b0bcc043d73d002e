//! Who may do what.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{list, template};

/// All statements of a resource's policies.
fn statements(resource: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut left = vec![&resource["Properties"]];
    while let Some(part) = left.pop() {
        match part {
            Value::Object(map) => {
                for (name, value) in map {
                    if name == "Statement" { found.extend(value.as_array().unwrap()) } else { left.push(value) }
                }
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
    found
}

/// The partition keys that a statement is limited to.
fn keys(statement: &Value) -> Option<Vec<&str>> {
    let tests = statement["Condition"].as_object()?;
    tests.iter().find_map(|(name, test)| name.starts_with("ForAllValues:").then(|| list(&test["dynamodb:LeadingKeys"])))
}

fn is_on(statement: &Value, table: &str) -> bool {
    list(&statement["Resource"]).contains(&table)
}

fn allows(statement: &Value) -> bool {
    statement["Effect"] == "Allow"
}

const RECEIVERS: [&str; 4] = ["ReceiveTwilioFunction", "ReceiveMetaFunction", "ReceiveSinchFunction", "ReceiveKaleyraFunction"];
const WRITES: [&str; 4] = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"];
const TABLE: &str = "InteractionsTable.Arn";

#[test]
fn a_statement_that_is_limited_to_keys_refuses_requests_without_keys() {
    let template = template();
    let mut seen = 0;
    for (id, resource) in template.section("Resources") {
        for statement in statements(resource) {
            let tests = statement["Condition"].as_object();
            let of_all = tests.is_some_and(|tests| tests.keys().any(|test| test.starts_with("ForAllValues:")));
            if of_all {
                seen += 1;
                assert_eq!(statement["Condition"]["Null"]["dynamodb:LeadingKeys"], false, "{id}: {statement}");
            }
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn a_function_that_reads_the_configuration_may_read_its_revision() {
    let template = template();
    let mut seen = 0;
    for (id, resource) in template.section("Resources") {
        let reads = |statement: &&Value| allows(statement) && list(&statement["Action"]).contains(&"dynamodb:GetItem");
        for statement in statements(resource).into_iter().filter(|statement| is_on(statement, "ConfigTable.Arn")).filter(reads) {
            seen += 1;
            // Its caches ask for the revision first.
            assert!(keys(statement).is_none_or(|keys| keys.contains(&"config")), "{id}: {statement}");
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn strangers_reach_functions_that_put_events_one_by_one_and_nothing_else() {
    let template = template();
    for id in RECEIVERS {
        let statements = statements(template.resource(id));
        let writes: Vec<_> = statements.iter().filter(|statement| allows(statement) && is_on(statement, TABLE)).collect();
        assert_eq!(writes.len(), 1, "{id}");
        assert_eq!((list(&writes[0]["Action"]), keys(writes[0])), (vec!["dynamodb:PutItem"], Some(vec!["EVT#*"])), "{id}");
        let denied = statements.iter().find(|statement| !allows(statement) && is_on(statement, TABLE)).unwrap();
        assert_eq!(denied["Condition"]["StringEquals"]["dynamodb:EnclosingOperation"], "TransactWriteItems", "{id}");
        let actions: BTreeSet<_> = list(&denied["Action"]).into_iter().collect();
        assert_eq!(actions, BTreeSet::from(WRITES), "{id}");
    }
}

#[test]
fn whoever_looks_for_lost_messages_reads_what_tells_that_they_were_routed() {
    let template = template();
    for id in ["ReconcileFunction", "AdminApiFunction"] {
        let reads =
            |statement: &&Value| allows(statement) && is_on(statement, TABLE) && list(&statement["Action"]) == ["dynamodb:BatchGetItem"];
        let events = |statement: &&Value| keys(statement).is_some_and(|keys| keys.contains(&"EVT#*") && keys.contains(&"PROV#*"));
        assert_eq!(statements(template.resource(id)).into_iter().filter(reads).filter(events).count(), 1, "{id}");
    }
}

#[test]
fn a_receive_function_reads_only_the_secrets_that_are_tagged_with_its_name_or_not_at_all() {
    let template = template();
    let reads = |statement: &&Value| allows(statement) && list(&statement["Action"]).contains(&"secretsmanager:GetSecretValue");
    for id in RECEIVERS {
        let function = template.resource(id);
        let name = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap().strip_prefix("receive-").unwrap();
        let mut conditions: Vec<_> =
            statements(function).into_iter().filter(reads).map(|statement| statement["Condition"].to_string()).collect();
        conditions.sort();
        let tagged = format!(r#"{{"StringLike":{{"secretsmanager:ResourceTag/receive":"*{name}*"}}}}"#);
        assert_eq!(conditions, [r#"{"Null":{"secretsmanager:ResourceTag/receive":true}}"#, tagged.as_str()], "{id}");
        // The pattern finds no other function's tag.
        assert_eq!(RECEIVERS.iter().filter(|other| other.to_lowercase().contains(name)).count(), 1, "{id}");
    }
    // Who writes a secret tags it.
    let writer = statements(template.resource("AdminApiFunction"));
    let tags = |statement: &&Value| {
        let actions = list(&statement["Action"]);
        ["secretsmanager:CreateSecret", "secretsmanager:TagResource"].iter().all(|action| actions.contains(action))
    };
    let of_accounts = |statement: &&&Value| statement["Resource"].to_string().contains("/accounts/");
    assert_eq!(writer.iter().filter(|statement| tags(statement)).filter(of_accounts).count(), 1, "{writer:#?}");
}

#[test]
fn only_functions_that_ask_them_read_the_keys_of_translators_and_models_and_only_administrators_write_them() {
    let template = template();
    let on_keys = |id: &str, kind: &str, action: &str| {
        let named = |statement: &&Value| allows(statement) && statement["Resource"].to_string().contains(kind);
        statements(template.resource(id)).into_iter().filter(named).any(|statement| list(&statement["Action"]).contains(&action))
    };
    let functions = template.section("Resources").filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    for (id, _) in functions {
        let asks_models = ["AssistApiFunction", "AssistFunction"].contains(&id);
        let by_api = id == "AssistApiFunction";
        for (kind, reads) in [("/translation/*", by_api), ("/video/*", by_api), ("/ai/*", asks_models)] {
            assert_eq!(on_keys(id, kind, "secretsmanager:GetSecretValue"), reads, "{id} {kind}");
            assert_eq!(on_keys(id, kind, "secretsmanager:PutSecretValue"), id == "AdminApiFunction", "{id} {kind}");
        }
        let asks = statements(template.resource(id)).into_iter().any(|statement| statement["Action"].to_string().contains("bedrock:"));
        assert_eq!(asks, asks_models, "{id}");
    }
}

#[test]
fn the_worker_of_ai_agents_reads_no_secret_but_their_keys_and_touches_what_a_conversation_touches() {
    let template = template();
    let statements = statements(template.resource("AssistFunction"));
    let secrets: Vec<_> = statements.iter().filter(|one| one["Action"].to_string().contains("secretsmanager:")).collect();
    assert!(secrets.len() == 1 && list(&secrets[0]["Resource"])[0].ends_with("/ai/*"), "{secrets:#?}");
    let of_table: Vec<_> = statements.iter().filter(|statement| is_on(statement, TABLE)).map(|statement| keys(statement)).collect();
    assert_eq!(of_table, [Some(vec!["CONV#*", "WAIT#*", "AGENT#*", "LIMIT#con_*"])]);
    let of_config = statements.iter().filter(|statement| is_on(statement, "ConfigTable.Arn") && allows(statement));
    assert!(of_config.flat_map(|statement| list(&statement["Action"])).all(|action| !WRITES.contains(&action)));
}

#[test]
fn the_api_of_agents_cannot_read_the_tokens_of_proxies_and_receive_functions_can() {
    let template = template();
    let of_config = |id: &str| -> Vec<&Value> {
        statements(template.resource(id)).into_iter().filter(|statement| is_on(statement, "ConfigTable.Arn")).collect()
    };
    for id in ["AgentApiFunction", "AssistApiFunction", "AssistFunction"] {
        let denied = of_config(id).into_iter().find(|statement| !allows(statement)).unwrap();
        assert_eq!(denied["Condition"]["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"], serde_json::json!(["proxy"]));
        let granted: Vec<_> =
            of_config(id).into_iter().filter(|statement| allows(statement)).flat_map(|one| list(&one["Action"])).collect();
        let reads = granted.iter().filter(|action| !action.contains("Put") && !action.contains("Update") && !action.contains("Delete"));
        assert!(reads.clone().count() > 0 && reads.clone().all(|read| list(&denied["Action"]).contains(read)), "{id}: {denied}");
    }
    for id in RECEIVERS {
        assert!(of_config(id).iter().any(|statement| keys(statement).is_some_and(|keys| keys.contains(&"proxy"))), "{id}");
    }
}

#[test]
fn whoever_lists_interactions_may_ask_both_indexes() {
    let template = template();
    for id in ["AgentApiFunction", "SupervisorApiFunction", "WorkerFunction"] {
        let asks = |statement: &&Value| allows(statement) && list(&statement["Action"]).contains(&"dynamodb:Query");
        let asked: Vec<_> = statements(template.resource(id)).into_iter().filter(asks).flat_map(|asks| list(&asks["Resource"])).collect();
        // Open interactions are listed from an index of their own.
        for index in ["list", "open-interactions"] {
            assert!(asked.contains(&format!("${{InteractionsTable.Arn}}/index/{index}").as_str()), "{id}: {asked:?}");
        }
    }
}

#[test]
fn one_statement_allows_all_keys_of_the_transaction_that_deletes_an_account_and_closes_its_interactions() {
    let template = template();
    let statements = statements(template.resource("AdminApiFunction"));
    let allowed = statements.iter().any(|statement| {
        let (actions, keys) = (list(&statement["Action"]), keys(statement).unwrap_or_default());
        let all_keys = ["AGENT#*", "CONV#*", "WAIT#*"].iter().all(|key| keys.contains(key));
        allows(statement) && is_on(statement, TABLE) && all_keys && WRITES.iter().all(|write| actions.contains(write))
    });
    assert!(allowed, "{statements:#?}");
}

#[test]
fn functions_that_write_media_or_archives_touch_conversations_only() {
    let template = template();
    for id in ["MediaFunction", "ArchiveFunction"] {
        let of_table: Vec<_> = statements(template.resource(id)).into_iter().filter(|statement| is_on(statement, TABLE)).collect();
        assert_eq!(of_table.iter().map(|statement| keys(statement)).collect::<Vec<_>>(), [Some(vec!["CONV#*"])], "{id}");
    }
    // The archive writes the documents of searches, and no other item.
    let archive = statements(template.resource("ArchiveFunction"));
    let writes = |statement: &&Value| list(&statement["Action"]).iter().any(|action| WRITES.contains(action));
    let written: Vec<_> = archive.into_iter().filter(writes).map(|statement| (list(&statement["Resource"]), keys(statement))).collect();
    assert_eq!(written, [(vec!["DerivedTable.Arn"], Some(vec!["DOC#*"]))]);
}

#[test]
fn jobs_write_documents_and_no_other_item_that_is_derived_and_of_the_configuration_their_own_progress_and_audit() {
    let template = template();
    let writes = |statement: &Value| list(&statement["Action"]).iter().any(|action| WRITES.contains(action));
    let all = statements(template.resource("WorkerFunction"));
    let keys_in = |table| -> Vec<_> {
        all.iter().filter(|statement| is_on(statement, table) && writes(statement)).map(|statement| keys(statement)).collect()
    };
    assert_eq!(keys_in("DerivedTable.Arn"), [Some(vec!["DOC#*"])]);
    assert_eq!(keys_in("ConfigTable.Arn"), [Some(vec!["migration", "audit#*", "audited#*"])]);
}

#[test]
fn push_reads_conversations_and_writes_none() {
    let template = template();
    let of_conversations: Vec<_> = statements(template.resource("PushFunction"))
        .into_iter()
        .filter(|statement| keys(statement).is_some_and(|keys| keys.contains(&"CONV#*")))
        .map(|statement| list(&statement["Action"]))
        .collect();
    assert_eq!(of_conversations, [vec!["dynamodb:GetItem"]]);
}

#[test]
fn a_function_is_updated_after_those_that_read_what_it_writes() {
    let template = template();
    let after = |id: &str| list(&template.resource(id)["DependsOn"]).into_iter().collect::<BTreeSet<_>>();
    for id in ["RouteFunction", "SendFunction", "MediaFunction", "AssistFunction"] {
        assert!(after(id).is_superset(&BTreeSet::from(["DispatchFunction", "PushFunction"])), "{id}");
    }
    for id in RECEIVERS {
        assert!(after(id).contains("RouteFunction"), "{id}");
    }
    assert!(after("SupervisorApiFunction").contains("WorkerFunction"));
    for (id, reader) in
        [("DispatchFunction", "ReportFunction"), ("AssistApiFunction", "ReportFunction"), ("ReportFunction", "SupervisorApiFunction")]
    {
        assert!(after(id).contains(reader), "{id}");
    }
}

#[test]
fn access_logs_carry_the_callers_address_and_never_a_path() {
    let template = template();
    let format = template.at("/Resources/HttpStage/Properties/AccessLogSettings/Format").unwrap().as_str().unwrap();
    assert!(format.contains(r#""ip":"$context.identity.sourceIp""#), "{format}");
    // The path of a Receive URL is a secret.
    assert!(!format.contains("$context.path") && !format.contains("protocol"), "{format}");
    let fields: Value = serde_json::from_str(format).unwrap();
    assert!(fields.as_object().unwrap().len() >= 9, "{fields}");
}

#[test]
fn the_first_owner_can_get_a_token_from_the_command_line_and_nobody_can_sign_up() {
    let template = template();
    let flows = list(template.at("/Resources/UserPoolClient/Properties/ExplicitAuthFlows").unwrap());
    assert_eq!(flows, ["ALLOW_USER_SRP_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]);
    assert_eq!(template.at("/Resources/UserPool/Properties/AdminCreateUserConfig/AllowAdminCreateUserOnly").unwrap(), true);
    assert_eq!(template.resource("UserPoolDomain")["Properties"]["UserPoolId"], "UserPool");
}

#[test]
fn the_console_has_no_rights_and_logs_in_by_code_at_its_own_addresses_only() {
    let template = template();
    assert!(statements(template.resource("ConsoleFunction")).is_empty());
    let client = &template.resource("UserPoolClient")["Properties"];
    assert_eq!(list(&client["AllowedOAuthFlows"]), ["code"]);
    // PKCE stands in for it: a secret in a browser is none.
    assert!(client.get("GenerateSecret").is_none());
    for (addresses, path) in [("CallbackURLs", "/console/session/callback"), ("LogoutURLs", "/console/login")] {
        let own = &client[addresses][0];
        let expected =
            [format!("${{PublicUrl}}{path}"), format!("https://${{HttpApi}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}{path}")];
        assert_eq!(list(own), ["HasPublicUrl", expected[0].as_str(), expected[1].as_str()], "{addresses}");
    }
}

#[test]
fn schedules_may_reach_the_timers_queue_and_their_dead_letters_and_nothing_else() {
    let template = template();
    let role = statements(template.resource("SchedulerRole"));
    let sends: Vec<_> = role.iter().filter(|statement| statement["Action"] == "sqs:SendMessage").collect();
    assert_eq!(sends.len(), 1);
    assert_eq!(list(&sends[0]["Resource"]), ["TimersQueue.Arn", "SchedulesDeadLetterQueue.Arn"]);
    let variables = &template.resource("DispatchFunction")["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["SCHEDULES_DEAD_LETTER_ARN"], "SchedulesDeadLetterQueue.Arn");
}
