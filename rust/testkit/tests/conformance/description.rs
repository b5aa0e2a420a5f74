//! An OpenAPI 3.0 description: which operation a path is, what it takes and what it answers.

use lakeflow_simulator::LoggedRequest;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A description with references inside itself. Cheap to clone.
#[derive(Clone)]
pub struct Description(Arc<Value>);

impl Description {
    /// GitHub's.
    pub fn read() -> Self {
        let path = std::env::var("LAKEFLOW_OPENAPI")
            .expect("LAKEFLOW_OPENAPI names GitHub's description of its API; run bin/setup");
        let text = std::fs::read(path).unwrap();

        Self(Arc::new(serde_json::from_slice(&text).unwrap()))
    }

    /// What in a request the description does not allow.
    pub fn problems_of(&self, request: &LoggedRequest) -> Vec<String> {
        let Some(operation) = self.operation(&request.method, &request.path) else {
            return vec!["no such operation".to_owned()];
        };
        let declared: Vec<&Value> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| self.resolve(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .collect();
        let mut problems = Vec::new();
        for (name, value) in &request.query {
            match declared.iter().find(|parameter| parameter["name"] == name.as_str()) {
                None => problems.push(format!("unknown parameter '{name}'")),
                Some(parameter) => problems.extend(
                    self.errors(&parameter["schema"], &typed(&parameter["schema"], value))
                        .into_iter()
                        .map(|e| format!("{name}={value}: {e}")),
                ),
            }
        }
        let given = |name: &Value| request.query.iter().any(|(n, _)| *name == n.as_str());
        let missing = declared.iter().filter(|p| p["required"] == true && !given(&p["name"]));
        problems.extend(missing.map(|p| format!("missing parameter {}", p["name"])));

        problems
    }

    /// The example of an operation's success, or of the first of its examples.
    pub fn example(&self, path: &str) -> Option<&Value> {
        let content = self.success("GET", path)?;
        let named = content["examples"]
            .as_object()
            .and_then(|examples| examples.get("default").or_else(|| examples.values().next()));
        let example = named.map(|example| &self.resolve(example)["value"]);

        example.or_else(|| content.get("example"))
    }

    /// What in an answer to `GET path` does not fit the operation's schema.
    pub fn invalid(&self, path: &str, body: &Value) -> Vec<String> {
        match self.success("GET", path) {
            Some(content) => self.errors(&content["schema"], body),
            None => vec!["no answer is described".to_owned()],
        }
    }

    /// JSON content of the answer with status 200.
    fn success(&self, method: &str, path: &str) -> Option<&Value> {
        let answers = &self.operation(method, path)?["responses"];

        self.resolve(&answers["200"]).pointer("/content/application~1json")
    }

    /// The path with placeholders that fits a path with the fewest of them.
    pub fn template(&self, path: &str) -> Option<&str> {
        let templates = self.0["paths"].as_object()?.keys().map(String::as_str);
        let fitting = templates.filter(|template| fits(template, path));

        fitting.min_by_key(|template| template.matches('{').count())
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.0["paths"].get(self.template(path)?)?.get(method.to_lowercase())
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => self.0.pointer(pointer).unwrap_or(&Value::Null),
            None => value,
        }
    }

    /// Errors of `value` by `schema`, each with its place.
    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut schemas = Map::new();
        let mut due: Vec<String> = references(schema).into_iter().collect();
        while let Some(name) = due.pop() {
            if !schemas.contains_key(&name) {
                let schema = &self.0["components"]["schemas"][&name];
                due.extend(references(schema));
                schemas.insert(name, draft_2020(schema));
            }
        }
        let mut document = draft_2020(schema);
        document["components"] = json!({"schemas": schemas});
        let validator = jsonschema::validator_for(&document).unwrap();
        let shown = |e: jsonschema::ValidationError<'_>| {
            format!(
                "{}: {}",
                e.instance_path(),
                e.to_string().chars().take(200).collect::<String>()
            )
        };

        validator.iter_errors(value).map(shown).collect()
    }
}

/// Whether each part of `path` is the one of `template`, or has a placeholder there.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let fits = |(t, p): (&&str, &&str)| t == p || (t.starts_with('{') && !p.is_empty());

    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

/// Names of the schemas that a schema refers to.
fn references(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(text) if name == "$ref" => text
                    .strip_prefix("#/components/schemas/")
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

/// A schema of OpenAPI 3.0 as JSON Schema: `nullable` allows null, an enumeration included.
fn draft_2020(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut own: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), draft_2020(value))).collect();
            // Beside a schema, these are no part of it.
            let nullable = own.remove("nullable") == Some(Value::Bool(true));
            own.remove("example");
            if nullable { json!({"anyOf": [{"type": "null"}, own]}) } else { Value::Object(own) }
        }
        Value::Array(items) => items.iter().map(draft_2020).collect(),
        other => other.clone(),
    }
}

/// A query parameter as the type of its schema; text if it is none of that type.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        }
        Some("array") => text.split(',').map(Value::from).collect(),
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        let schema = json!({"type": "array", "items": {"$ref": "#/components/schemas/thing"}});
        Description(Arc::new(json!({
            "paths": {
                "/things/{id}": {"get": {"responses": {"200": {"content": {"application/json":
                    {"schema": {"$ref": "#/components/schemas/thing"}, "example": {"id": 2}}}}}}},
                "/things/all": {"get": {
                    "parameters": [
                        {"$ref": "#/components/parameters/page"},
                        {"name": "kind", "in": "query", "required": true,
                         "schema": {"type": "string", "enum": ["a", "b"]}},
                    ],
                    "responses": {"200": {"content": {"application/json": {"schema": schema,
                        "examples": {"default": {"value": [{"id": 1}]}}}}}}
                }},
            },
            "components": {
                "parameters": {"page": {"name": "page", "in": "query", "schema": {"type": "integer"}}},
                "schemas": {"thing": {"type": "object", "required": ["id"], "properties": {
                    "id": {"type": "integer"},
                    "note": {"type": "string", "nullable": true},
                    "more": {"nullable": true, "allOf": [{"$ref": "#/components/schemas/thing"}]}}}},
            },
        })))
    }

    fn request(path: &str, query: &[(&str, &str)]) -> LoggedRequest {
        LoggedRequest {
            method: "GET".into(),
            path: path.into(),
            query: query.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            ..LoggedRequest::default()
        }
    }

    #[test]
    fn requests_are_held_against_path_and_parameters() {
        let cases: [(LoggedRequest, &[&str]); 5] = [
            (request("/things/all", &[("kind", "a"), ("page", "2")]), &[]),
            (request("/other", &[]), &["no such operation"]),
            (request("/things/all", &[]), &["missing parameter \"kind\""]),
            (
                request("/things/all", &[("kind", "c"), ("q", "1")]),
                &["kind=c: : \"c\" is not one of \"a\" or \"b\"", "unknown parameter 'q'"],
            ),
            (
                request("/things/all", &[("kind", "a"), ("page", "x")]),
                &["page=x: : \"x\" is not of type \"integer\""],
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(description().problems_of(&request), expected, "{request:?}");
        }
    }

    #[test]
    fn answers_are_held_against_the_schema_with_nulls_where_they_are_allowed() {
        let invalid = |body: Value| description().invalid("/things/all", &body);
        assert_eq!(
            invalid(json!([{"id": 1, "note": null, "more": {"id": 2, "more": null}}])),
            [""; 0]
        );
        assert_eq!(invalid(json!([{"id": null}])), ["/0/id: null is not of type \"integer\""]);
        assert_eq!(description().example("/things/all"), Some(&json!([{"id": 1}])));
        assert_eq!(description().example("/things/7"), Some(&json!({"id": 2})));
        assert_eq!(description().example("/nothing"), None);
    }
}
