//! The routes as one list: what the router is built from, what `OPTIONS` answers, and what `/openapi.json` tells.
//!
//! Whoever adds a route says in the same line what it is for, what it takes and what it answers, so that the
//! description cannot fall behind. What all routes have in common (media types, errors, `Allow`) is added here.

use std::collections::BTreeMap;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};

use super::negotiate;
use super::schemas::schemas;
use crate::version::VERSION;
use crate::worker::Worker;

/// What is told of a route.
#[derive(Debug, Clone, Default)]
pub(super) struct Doc {
    summary: &'static str,
    query: Vec<(&'static str, Value)>,
    body: Option<&'static str>,
    answers: Vec<(u16, Option<&'static str>)>,
    /// Of its answers, if they are no JSON.
    media_type: Option<&'static str>,
}

impl Doc {
    pub(super) fn new(summary: &'static str) -> Self {
        Self { summary, ..Self::default() }
    }

    /// It takes a parameter in the query, with this schema.
    pub(super) fn query(mut self, name: &'static str, schema: Value) -> Self {
        self.query.push((name, schema));
        self
    }

    /// It takes a body with the schema of this name.
    pub(super) fn body(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self
    }

    /// It answers with this status and a body with the schema of this name.
    pub(super) fn answers(mut self, status: u16, schema: &'static str) -> Self {
        self.answers.push((status, Some(schema)));
        self
    }

    /// It answers with this status and no body.
    pub(super) fn empty(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }

    /// It answers with text.
    pub(super) fn text(mut self, media_type: &'static str) -> Self {
        self.media_type = Some(media_type);
        self
    }
}

/// The first parameter of this name.
pub(super) fn parameter<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A parameter that is text.
pub(super) fn text_parameter() -> Value {
    json!({ "type": "string" })
}

/// A parameter that is true or false.
pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    path: &'static str,
    doc: Doc,
}

/// Routes with their descriptions.
#[derive(Debug, Default)]
pub(super) struct Api {
    router: Router<Worker>,
    operations: Vec<Operation>,
}

impl Api {
    pub(super) fn get<H: Handler<T, Worker>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add((MethodFilter::GET, Method::GET), path, handler, doc)
    }

    pub(super) fn put<H: Handler<T, Worker>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add((MethodFilter::PUT, Method::PUT), path, handler, doc)
    }

    pub(super) fn post<H: Handler<T, Worker>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add((MethodFilter::POST, Method::POST), path, handler, doc)
    }

    pub(super) fn patch<H: Handler<T, Worker>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add((MethodFilter::PATCH, Method::PATCH), path, handler, doc)
    }

    pub(super) fn delete<H: Handler<T, Worker>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add((MethodFilter::DELETE, Method::DELETE), path, handler, doc)
    }

    fn add<H, T>(
        mut self,
        (filter, method): (MethodFilter, Method),
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self
    where
        H: Handler<T, Worker>,
        T: 'static,
    {
        let mut route = on(filter, handler);
        if doc.media_type.is_none() {
            // On the route and not around the router: what does not exist is not found, whatever was asked for.
            route = route.route_layer(middleware::from_fn(negotiate::json));
        }
        self.router = self.router.route(path, route);
        self.operations.push(Operation { method, path, doc });
        self
    }

    /// Both.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// The router, in which every path answers `OPTIONS` and the description is served.
    pub(super) fn into_router(self) -> Router<Worker> {
        let description = self.description();
        let doc = Doc::new("This description").answers(200, "Object");
        let mut api = self.get("/openapi.json", async move || axum::Json(description), doc);
        let mut router = std::mem::take(&mut api.router);
        for (path, methods) in api.methods() {
            let allow = methods.join(",");
            let text = methods.join(", ");
            let answer = async move || {
                ([(header::ALLOW, allow), (header::CONTENT_TYPE, "text/plain".into())], text).into_response()
            };
            router = router.route(path, on(MethodFilter::OPTIONS, answer));
        }
        router
    }

    /// By path, what it can be asked.
    fn methods(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let mut methods: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        for Operation { method, path, .. } in &self.operations {
            let list = methods.entry(path).or_default();
            if *method == Method::GET {
                list.push("HEAD");
            }
            list.push(method.as_str());
        }
        methods.values_mut().for_each(|list| list.push("OPTIONS"));
        methods
    }

    /// The API in OpenAPI's words.
    fn description(&self) -> Value {
        let mut paths: Map<String, Value> = Map::new();
        for operation in &self.operations {
            let path = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
            path[operation.method.as_str().to_ascii_lowercase()] = operation.description();
        }
        json!({
            "openapi": "3.0.3",
            "info": {
                "title": "Transom",
                "description": "The REST API of a Kafka Connect worker",
                "version": VERSION,
            },
            "paths": paths,
            "components": { "schemas": schemas() },
        })
    }
}

impl Operation {
    fn description(&self) -> Value {
        let Doc { summary, query, body, answers, media_type } = &self.doc;
        let media_type = media_type.unwrap_or("application/json");
        let mut parameters: Vec<_> = in_path(self.path)
            .map(|name| {
                let schema =
                    if name == "task" { json!({ "type": "integer" }) } else { json!({ "type": "string" }) };
                json!({ "name": name, "in": "path", "required": true, "schema": schema })
            })
            .collect();
        parameters.extend(
            query.iter().map(|(name, schema)| json!({ "name": name, "in": "query", "schema": schema })),
        );
        let mut responses = Map::new();
        for (status, schema) in answers {
            let meaning = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
            let mut response = json!({ "description": meaning.unwrap_or_default() });
            if let Some(schema) = schema {
                response["content"] = content(media_type, schema);
            }
            responses.insert(status.to_string(), response);
        }
        let error = json!({ "description": "Why not", "content": content("application/json", "Error") });
        responses.insert("default".to_owned(), error);
        let mut description = json!({ "summary": summary, "parameters": parameters, "responses": responses });
        if let Some(schema) = body {
            description["requestBody"] =
                json!({ "required": true, "content": content("application/json", schema) });
        }
        description
    }
}

fn content(media_type: &str, schema: &str) -> Value {
    json!({ media_type: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

/// What stands in braces.
fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0))
}

#[cfg(test)]
mod tests {
    use super::super::server::api;

    #[test]
    fn every_schema_that_is_named_is_there_and_every_path_is_described() {
        let description = api(true).description();
        let text = description.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(description["components"]["schemas"][name].is_object(), "{name}");
        }
        let paths = description["paths"].as_object().unwrap();
        assert!(paths.len() >= 20, "{}", paths.len());
        let patch = &description["paths"]["/connectors/{name}/config"]["patch"];
        assert_eq!(patch["parameters"][0]["name"], "name");
        assert!(patch["requestBody"].is_object() && patch["responses"]["200"].is_object());
    }

    #[test]
    fn a_path_tells_all_of_its_methods() {
        let api = api(true);
        assert_eq!(api.methods()["/connectors"], ["HEAD", "GET", "POST", "OPTIONS"]);
        assert_eq!(api.methods()["/connectors/{name}/pause"], ["PUT", "OPTIONS"]);
    }
}
