//! What a team may set.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::Value;

use crate::{Template, list, path, template};

fn names(template: &Template) -> BTreeSet<&str> {
    template.section("Parameters").map(|(name, _)| name).collect()
}

#[test]
fn every_parameter_is_described_and_in_one_group() {
    let template = template();
    let groups = template.at("/Metadata/AWS::CloudFormation::Interface/ParameterGroups").unwrap().as_array().unwrap();
    let grouped: Vec<_> = groups.iter().flat_map(|group| list(&group["Parameters"])).collect();
    assert_eq!(grouped.len(), grouped.iter().collect::<BTreeSet<_>>().len(), "a parameter is in two groups");
    assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), names(template));
    for (name, parameter) in template.section("Parameters") {
        assert!(parameter["Description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
        assert!(parameter.get("Default").is_some(), "{name} has no default that works");
    }
}

#[test]
fn the_operations_page_names_every_parameter() {
    let template = template();
    let page = std::fs::read_to_string(path("docs/operations.md")).unwrap();
    let section = page.split("## Parameters").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let said: BTreeSet<_> = section.split('`').skip(1).step_by(2).collect();
    // The reserved ones are one row.
    let missing: Vec<_> = names(template).into_iter().filter(|name| !name.starts_with("Reserved") && !said.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn addresses_are_encrypted_outside_this_machine() {
    let template = template();
    let addresses = [
        "PublicUrl",
        "JwtIssuer",
        "JwksUrl",
        "TwilioApiUrl",
        "TwilioContentUrl",
        "TwilioMessagingUrl",
        "MetaApiUrl",
        "SinchAuthUrl",
        "TranslateUrl",
        "GoogleTranslateUrl",
        "GoogleTokenUrl",
        "VidaooUrl",
        "BedrockUrl",
    ];
    for (name, scheme) in addresses.map(|name| (name, "http")).into_iter().chain([("WebSocketUrl", "ws")]) {
        let pattern = template.at(&format!("/Parameters/{name}/AllowedPattern")).unwrap().as_str().unwrap();
        let pattern = Regex::new(pattern).unwrap();
        for good in ["s://chat.example.com/v1", "s://chat.example.com", "://127.0.0.1:4701/_aws/execute-api/x/$default", "://localhost:1"] {
            assert!(pattern.is_match(&format!("{scheme}{good}")), "{name}: {scheme}{good}");
        }
        for bad in ["://chat.example.com", "://127.0.0.1.example.com/x", "://localhost.example.com", "://127.0.0.1@example.com/x", "s:/"] {
            assert!(!pattern.is_match(&format!("{scheme}{bad}")), "{name}: {scheme}{bad}");
        }
        let default = template.at(&format!("/Parameters/{name}/Default")).unwrap().as_str().unwrap();
        assert!(pattern.is_match(default), "{name}: {default}");
    }
}

/// As text, because functions are read as their arguments. The local engine carries the rules out too.
#[test]
fn a_foreign_issuer_needs_an_audience_and_closed_endpoints_need_domains() {
    let text = std::fs::read_to_string(path("infra/template.yaml")).unwrap();
    let rules = text.split("\nRules:\n").nth(1).and_then(|rest| rest.split("\nConditions:\n").next()).unwrap();
    for line in [
        r#"RuleCondition: !And [!Not [!Equals [!Ref JwtIssuer, ""]], !Equals [!Ref EngineUrl, ""]]"#,
        r#"Assert: !Not [!Equals [!Ref JwtAudience, ""]]"#,
        r#"RuleCondition: !Equals [!Ref DisableDefaultEndpoints, "true"]"#,
        r#"Assert: !And [!Not [!Equals [!Ref PublicUrl, ""]], !Not [!Equals [!Ref WebSocketUrl, ""]]]"#,
    ] {
        assert!(rules.contains(line), "{line}");
    }
    let template = template();
    for api in ["HttpApi", "WebSocketApi"] {
        let setting = &template.resource(api)["Properties"]["DisableExecuteApiEndpoint"];
        assert_eq!(setting, &Value::from(vec![Value::from("DefaultEndpointsOff"), true.into(), false.into()]), "{api}");
    }
}
