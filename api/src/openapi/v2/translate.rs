//! Pieces of OpenAPI v3 in the older form. Pure.

use serde_json::{Map, Value, json};

/// A path's operations and parameters.
pub(super) fn path(item: &Value) -> Value {
    let members = item.as_object().into_iter().flatten();
    members
        .map(|(name, value)| {
            let value = match name.as_str() {
                "parameters" => parameters(value),
                _ => operation(value),
            };
            (name.clone(), value)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn parameters(list: &Value) -> Value {
    list.as_array().into_iter().flatten().map(parameter).collect()
}

/// A parameter in the path or query: its type is its own member, not a schema.
fn parameter(parameter: &Value) -> Value {
    let mut out = parameter.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(schema)) = out.remove("schema") {
        out.extend(schema);
    }
    out.into()
}

fn operation(operation: &Value) -> Value {
    let mut out = operation.as_object().cloned().unwrap_or_default();
    let mut all = parameters(&operation["parameters"]);
    if let Some(body) = out.remove("requestBody") {
        let content = body["content"].as_object().cloned().unwrap_or_default();
        let first = content
            .get("application/json")
            .or_else(|| content.values().next());
        let parameter = json!({
            "in": "body", "name": "body", "required": true,
            "schema": schema(first.map_or(&Value::Null, |content| &content["schema"])),
        });
        all.as_array_mut()
            .into_iter()
            .for_each(|all| all.insert(0, parameter.clone()));
        out.insert("consumes".to_owned(), content.keys().cloned().collect());
    }
    if all.as_array().is_some_and(|all| !all.is_empty()) {
        out.insert("parameters".to_owned(), all);
    }
    let mut produces = Vec::new();
    let responses = operation["responses"].as_object().into_iter().flatten();
    let responses: Map<String, Value> = responses
        .map(|(code, response)| {
            let mut new = json!({ "description": response["description"] });
            if let Some(content) = response["content"].as_object() {
                produces.extend(content.keys().cloned().map(Value::from));
                if let Some(content) = content.values().next() {
                    new["schema"] = schema(&content["schema"]);
                }
            }
            (code.clone(), new)
        })
        .collect();
    out.insert("responses".to_owned(), responses.into());
    out.insert("produces".to_owned(), produces.into());
    out.into()
}

/// A definition. One that keeps unknown fields is any object to clients, which take listed fields for the only ones.
pub(super) fn definition(definition: &Value) -> Value {
    if definition[OPEN] != true {
        return schema(definition);
    }
    let mut out = json!({"type": "object"});
    if let Some(kinds) = definition.get(KINDS) {
        out[KINDS] = kinds.clone();
    }
    out
}

const OPEN: &str = "x-kubernetes-preserve-unknown-fields";
const KINDS: &str = "x-kubernetes-group-version-kind";

/// A schema: references lead elsewhere, and what the older form cannot say is left out.
pub(super) fn schema(schema: &Value) -> Value {
    let mut out = Map::new();
    let nullable = schema["nullable"] == true;
    let open = nullable || schema[OPEN] == true;
    for (name, value) in schema.as_object().into_iter().flatten() {
        if (open && (name == "items" || name == "properties")) || (nullable && name == "type") {
            continue;
        }
        let value = match name.as_str() {
            "$ref" => reference(value),
            // A reference beside others: here it may stand among them.
            "allOf" => match value.as_array().map(Vec::as_slice) {
                Some([only]) if only["$ref"].is_string() => {
                    out.insert("$ref".to_owned(), reference(&only["$ref"]));
                    continue;
                }
                // Of custom resources: constraints, not structure.
                _ => continue,
            },
            // A quantity, or an IntOrString.
            "oneOf" if !schema["type"].is_string() && is_plain(value) => {
                out.insert("type".to_owned(), "string".into());
                continue;
            }
            "oneOf" | "anyOf" | "not" | "nullable" => continue,
            // `null` is no value to a client that checks by this form.
            "required" if value.is_array() => {
                let null = |name: &Value| {
                    name.as_str()
                        .is_some_and(|name| schema["properties"][name]["nullable"] == true)
                };
                let names = value.as_array().into_iter().flatten();
                names.filter(|name| !null(name)).cloned().collect()
            }
            "items" => self::schema(value),
            "additionalProperties" if value.is_object() => self::schema(value),
            "properties" => value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), self::schema(value)))
                .collect::<Map<_, _>>()
                .into(),
            _ => value.clone(),
        };
        out.insert(name.clone(), value);
    }
    out.into()
}

fn reference(value: &Value) -> Value {
    let name = value.as_str().and_then(|text| text.rsplit('/').next());
    format!("#/definitions/{}", name.unwrap_or_default()).into()
}

/// Whether all of a choice are plain types.
fn is_plain(choice: &Value) -> bool {
    choice.as_array().is_some_and(|all| {
        all.iter()
            .all(|one| one["type"].is_string() && one.as_object().is_some_and(|one| one.len() == 1))
    })
}
