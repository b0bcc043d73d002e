//! Reads `infra/template.yaml`: its functions, and the schemas of its tables for tests that make tables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::deploy::Aws;
use crate::engine::Engine;

/// The tables: the name that tests give them, and the template's resource.
const TABLES: [(&str, &str); 3] = [("config", "ConfigTable"), ("interactions", "InteractionsTable"), ("derived", "DerivedTable")];

/// The properties of a table that make up its schema. They have the same form in the template and in the call that
/// makes a table.
const SCHEMA: [&str; 4] = ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];

/// The template. Intrinsic functions (`!Ref`, `!Sub`, `!If`) are read as their arguments.
#[derive(Debug, Deserialize)]
pub struct Template {
    #[serde(rename = "Resources")]
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Properties", default)]
    properties: Value,
}

impl Resource {
    /// The name without the stack's, if it is a function.
    fn function(&self) -> Option<&str> {
        let name = (self.kind == "AWS::Serverless::Function").then(|| &self.properties["FunctionName"])?;
        name.as_str()?.strip_prefix("${AWS::StackName}-")
    }
}

impl Template {
    /// Reads the checkout's template.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read() -> Result<Self> {
        let path = crate::workspace().join("infra/template.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{} is not a template", path.display()))
    }

    /// The names of the functions, without the stack's.
    pub fn functions(&self) -> BTreeSet<&str> {
        self.resources.values().filter_map(Resource::function).collect()
    }

    /// The names of the functions that a queue or a stream invokes, without the stack's.
    pub fn fed(&self) -> BTreeSet<&str> {
        let mappings = self.resources.values().filter(|resource| resource.kind == "AWS::Lambda::EventSourceMapping");
        mappings.filter_map(|mapping| self.resources.get(mapping.properties["FunctionName"].as_str()?)?.function()).collect()
    }

    /// The body of the call that makes the table `resource` under the name `name`.
    fn table(&self, resource: &str, name: &str) -> Result<Value> {
        let Some(Resource { properties, .. }) = self.resources.get(resource) else { bail!("the template has no {resource}") };
        let mut table = Map::from_iter([("TableName".to_owned(), json!(name))]);
        for property in SCHEMA {
            table.extend(properties.get(property).map(|value| (property.to_owned(), value.clone())));
        }
        if let Some(view) = properties["StreamSpecification"].get("StreamViewType") {
            table.insert("StreamSpecification".to_owned(), json!({ "StreamEnabled": true, "StreamViewType": view }));
        }
        Ok(Value::Object(table))
    }
}

/// Makes the tables `config`, `interactions` and `derived` in an account of the engine, with the template's schemas.
///
/// # Errors
/// When the template can't be read, or the engine refuses a table.
pub async fn make_tables(engine: &Engine, account: &str) -> Result<()> {
    let template = Template::read()?;
    let aws = Aws::new(engine, account);
    for (name, resource) in TABLES {
        let answer = aws.json("DynamoDB_20120810.CreateTable", "dynamodb", &template.table(resource, name)?).await?;
        if answer.get("TableDescription").is_none() {
            bail!("the engine refused the table {name}: {answer}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cloud::telemetry::{Metric, NAMESPACE, STACK};

    use super::*;

    /// The metrics of ours that this part of the template names: each name with its dimensions and their values.
    fn metrics(part: &Value, found: &mut Vec<(String, Vec<(String, String)>)>) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match part {
            Value::Object(map) if map.get("Namespace").is_some_and(|namespace| namespace == NAMESPACE) => {
                let dimensions = map["Dimensions"].as_array().unwrap();
                let dimensions = dimensions.iter().map(|dimension| (text(&dimension["Name"]), text(&dimension["Value"])));
                found.push((text(&map["MetricName"]), dimensions.collect()));
            }
            // A line of the dashboard.
            Value::Array(line) if line.first().is_some_and(|namespace| namespace == NAMESPACE) => {
                let words: Vec<_> = line.iter().filter(|word| word.is_string()).map(text).collect();
                let dimensions = words[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                found.push((words[1].clone(), dimensions.collect()));
            }
            Value::Object(map) => map.values().for_each(|part| metrics(part, found)),
            Value::Array(parts) => parts.iter().for_each(|part| metrics(part, found)),
            Value::String(text) if text.trim_start().starts_with('{') => {
                metrics(&serde_json::from_str(text).unwrap_or_default(), found);
            }
            _ => {}
        }
    }

    #[test]
    fn alarms_and_dashboard_name_metrics_that_the_functions_write() {
        let template = Template::read().unwrap();
        let mut found = Vec::new();
        template.resources.values().for_each(|resource| metrics(&resource.properties, &mut found));
        assert!(found.len() >= 10, "{found:?}");
        for (name, dimensions) in found {
            let metric = Metric::ALL.iter().find(|metric| metric.name() == name).unwrap_or_else(|| panic!("there is no metric {name}"));
            let [(stack, its_name), (dimension, value)] = dimensions.as_slice() else { panic!("{name}: {dimensions:?}") };
            assert_eq!((stack.as_str(), dimension.as_str()), (STACK, metric.dimension()), "{name}");
            assert!(["AWS::StackName", "${AWS::StackName}"].contains(&its_name.as_str()), "{name}: {its_name}");
            if dimension == "Queue" {
                let queue = format!("{}_QUEUE_URL", value.to_ascii_uppercase());
                let known = ["stream", "scheduler"].contains(&value.as_str())
                    || template.resources.values().any(|resource| resource.properties.to_string().contains(&queue));
                assert!(known, "{name}: there is no queue {value}");
            }
        }
    }

    #[test]
    fn the_operations_page_lists_every_metric_with_its_dimension() {
        let page = std::fs::read_to_string(crate::workspace().join("docs/operations.md")).unwrap();
        let table = page.split("### Metrics").nth(1).unwrap().split("\n\n").find(|block| block.starts_with("| metric")).unwrap();
        let rows = table.lines().skip(2).map(|row| row.split('`').skip(1).step_by(2).take(2).collect::<Vec<_>>());
        let expected = Metric::ALL.iter().map(|metric| vec![metric.name(), metric.dimension()]);
        assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn functions_of_queues_and_streams_are_fed_and_those_of_requests_are_not() {
        let template = Template::read().unwrap();
        let fed = template.fed();
        assert!(["dispatch", "route", "assign", "send"].iter().all(|function| fed.contains(function)), "{fed:?}");
        assert!(["receive-meta", "agent-api", "reconcile"].iter().all(|function| !fed.contains(function)), "{fed:?}");
    }

    #[test]
    fn a_table_is_made_with_the_schema_its_index_and_its_stream_and_nothing_else() {
        let template = Template::read().unwrap();
        let table = template.table("InteractionsTable", "interactions").unwrap();
        let properties: Vec<_> = table.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema", "StreamSpecification", "TableName"];
        assert_eq!(properties, expected);
        assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
        assert!(template.table("ConfigTable", "config").unwrap().get("StreamSpecification").is_none());
    }
}
