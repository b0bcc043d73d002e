//! JSON merge patches (RFC 7396).

use serde_json::{Map, Value};
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};

/// Applies `patch` to `target`: members are merged, `null` removes a member, and any other value replaces.
pub(crate) fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            let member = members.remove(name).unwrap_or(Value::Null);
            members.insert(name.clone(), merged(member, change));
        }
    }
    Value::Object(members)
}

/// Gives each PATCH its own schema: the PUT's schema without required fields.
pub(crate) fn describe(description: &mut OpenApi) {
    const OF_SCHEMAS: &str = "#/components/schemas/";
    let schemas = &mut description.components.get_or_insert_default().schemas;
    let operations = description.paths.paths.values_mut().filter_map(|item| item.patch.as_mut());
    for operation in operations {
        let Some(RefOr::T(body)) = &mut operation.request_body else { continue };
        for content in body.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            let Some(RefOr::Ref(reference)) = &content.schema else { continue };
            let Some(name) = reference.ref_location.strip_prefix(OF_SCHEMAS) else { continue };
            let patch = name.replace("Input", "Patch");
            if let Some(RefOr::T(Schema::Object(whole))) = schemas.get(name) {
                let mut schema = whole.clone();
                schema.required.clear();
                content.schema = Some(RefOr::Ref(Ref::from_schema_name(&patch)));
                schemas.insert(patch, RefOr::T(Schema::Object(schema)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The test cases of RFC 7396, appendix A.
    #[test]
    fn the_examples_of_the_specification_hold() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(merged(target.clone(), &patch), result, "{target} {patch}");
        }
    }
}
