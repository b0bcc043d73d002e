//! Answers as they are described.

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::{HeaderMap, StatusCode, header};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// Looks whether answers are what an API's description promises. Nothing that is not described passes: the schemas
/// are closed.
pub struct Answers {
    /// `/agent`
    prefix: &'static str,
    paths: Map<String, Value>,
    /// With every schema twice: `schemas` are closed, `open` are parts of others.
    components: Value,
    /// By the text of their schema: making one takes longer than using it.
    validators: Mutex<BTreeMap<String, &'static Validator>>,
}

impl Answers {
    /// For the API under `prefix`.
    pub fn new(prefix: &'static str, description: &OpenApi) -> Self {
        let value = serde_json::to_value(description).unwrap();
        let schemas = value["components"]["schemas"].as_object().unwrap();
        let all = |change: fn(&Value) -> Value| schemas.iter().map(|(name, schema)| (name.clone(), change(schema))).collect::<Map<_, _>>();
        Self {
            prefix,
            paths: value["paths"].as_object().unwrap().clone(),
            components: json!({ "schemas": all(closed), "open": all(open) }),
            validators: Mutex::default(),
        }
    }

    /// Panics unless the answer is one that its operation describes. A path or method that is not described may be
    /// refused with a problem only.
    pub fn check(&self, method: &str, path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        let place = format!("{method} {path} answered {status}: {}", String::from_utf8_lossy(body));
        let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap()).unwrap_or_default();
        // The description is no operation of its own.
        if path == format!("{}/openapi.json", self.prefix) {
            return assert!(status.is_success(), "{place}");
        }
        let Some(operation) = self.operation(method, path) else {
            assert!(status.is_client_error(), "{place}: no such operation is described");
            return self.is_problem(content_type, body, &place);
        };
        let responses = &operation["responses"];
        let described = responses.get(status.as_str()).or_else(|| responses.get("default").filter(|_| !status.is_success()));
        let Some(described) = described else { panic!("{place}: no such status is described") };
        let Some(contents) = described["content"].as_object() else {
            return assert!(body.is_empty(), "{place}: no body is described");
        };
        let Some(content) = contents.get(content_type) else { panic!("{place}: {content_type} is not described") };
        self.is(&content["schema"], body, &place);
    }

    /// Panics unless the bytes are what the schema of this name describes.
    pub fn is_a(&self, schema: &str, body: &[u8]) {
        self.is(&json!({ "$ref": format!("#/components/schemas/{schema}") }), body, schema);
    }

    fn is_problem(&self, content_type: &str, body: &[u8], place: &str) {
        assert_eq!(content_type, "application/problem+json", "{place}");
        self.is(&json!({ "$ref": "#/components/schemas/Problem" }), body, place);
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default().strip_prefix(self.prefix)?;
        let parts: Vec<_> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<_> = template.split('/').collect();
            wanted.len() == parts.len() && wanted.iter().zip(&parts).all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
        };
        // The router prefers a path's own words to a parameter.
        let parameters = |template: &str| template.matches('{').count();
        let (_, item) = self.paths.iter().filter(|(template, _)| fits(template)).min_by_key(|(template, _)| parameters(template))?;
        item.get(method.to_lowercase())
    }

    fn is(&self, schema: &Value, body: &[u8], place: &str) {
        let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{place}: {error}"));
        let schema = closed(schema);
        let validator = *self.validators.lock().unwrap().entry(schema.to_string()).or_insert_with(|| self.validator(&schema));
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{place}\nis not as described: {errors:#?}");
    }

    fn validator(&self, schema: &Value) -> &'static Validator {
        let mut root = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "components": self.components });
        root.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
        // A handful, for as long as the tests run.
        Box::leak(Box::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap()))
    }
}

/// The schema with no other members than the ones that it names, here and inside.
fn closed(schema: &Value) -> Value {
    let mut schema = inside(schema, closed);
    let Some(members) = schema.as_object_mut() else { return schema };
    if members.contains_key("allOf") {
        members.insert("unevaluatedProperties".to_owned(), false.into());
    } else if members.contains_key("properties") {
        members.entry("additionalProperties").or_insert(false.into());
    }
    schema
}

/// The schema as a part of another, which closes it: only what is inside is closed.
fn open(schema: &Value) -> Value {
    let mut schema = inside(schema, open);
    if let Some(Value::String(reference)) = schema.get_mut("$ref") {
        *reference = reference.replace("#/components/schemas/", "#/components/open/");
    }
    schema
}

/// The schema with its members and entries closed, its alternatives as they shall be, and its parts open.
fn inside(schema: &Value, alternatives: fn(&Value) -> Value) -> Value {
    let Some(members) = schema.as_object() else { return schema.clone() };
    let each = |value: &Value, change: fn(&Value) -> Value| match value {
        Value::Array(schemas) => schemas.iter().map(change).collect(),
        other => change(other),
    };
    let changed = members.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                properties.map(|(name, schema)| (name.clone(), closed(schema))).collect::<Map<_, _>>().into()
            }
            "items" | "prefixItems" | "additionalProperties" => each(value, closed),
            "oneOf" | "anyOf" => each(value, alternatives),
            "allOf" => each(value, open),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(changed.collect())
}
