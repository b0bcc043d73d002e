//! Reads `infra/template.yaml`: its functions, and the schemas of its tables for tests that make tables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::deploy::Aws;
use crate::engine::Engine;

/// The two tables: the name that tests give them, and the template's resource.
const TABLES: [(&str, &str); 2] = [("config", "ConfigTable"), ("interactions", "InteractionsTable")];

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

/// Makes the tables `config` and `interactions` in an account of the engine, with the template's schemas.
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
    use super::*;

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
