//! OpenAPI v2 (Swagger 2.0): everything in one document, as JSON or as gnostic's protobuf, which kubectl before 1.27 and
//! the conformance suite ask for.
//!
//! It is translated piece by piece from what makes the v3 documents, and like them written when it is asked for: keeping
//! megabytes of descriptions would cost more than writing them now and then. Clients that know its hash get none at all.

mod gnostic;
#[cfg(test)]
mod tests;
mod translate;

use std::collections::BTreeSet;
use std::hash::Hasher;

use serde_json::{Value, json};

use super::{FILES, Fnv, Members, Object, Resource, others, paths, schemas};

/// The hash of the document, for its `ETag`; JSON and protobuf have different ones.
pub fn hash(resources: &[Resource], protobuf: bool) -> String {
    let mut hash = Fnv::default();
    hash.write(&[2, u8::from(protobuf)]);
    for resource in resources {
        hash.write(format!("{resource:?}").as_bytes());
    }
    format!("{:016X}{:016X}", hash.finish(), *FILES)
}

fn info(server_version: &str) -> Value {
    json!({"title": "Kubernetes", "version": server_version})
}

/// How clients show who they are.
fn security() -> (Value, Value) {
    let bearer = json!({"description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"});
    (json!({ "BearerToken": bearer }), json!([{"BearerToken": []}]))
}

/// Gives the members of `paths`, translated.
fn each_path(resources: &[Resource], wanted: &mut schemas::Wanted, sink: &mut dyn Members) {
    let mut translated = Translated {
        sink,
        translate: translate::path,
    };
    for page in others::pages(resources) {
        page.write(&mut translated, wanted);
    }
    let mut listed = BTreeSet::new();
    for resource in resources {
        let version = (&resource.group, &resource.version);
        if resource.schema.is_none() && listed.insert(version) {
            others::resource_list(&resource.group, &resource.version).write(&mut translated, wanted);
        }
        paths::write(&mut translated, resource, wanted);
    }
}

/// Gives the members of `definitions`, translated.
fn each_definition(wanted: schemas::Wanted, sink: &mut dyn Members) {
    let translate = translate::definition;
    schemas::write(&mut Translated { sink, translate }, wanted);
}

/// Translates members before they are taken.
struct Translated<'a> {
    sink: &'a mut dyn Members,
    translate: fn(&Value) -> Value,
}

impl Members for Translated<'_> {
    fn member(&mut self, name: &str, value: &Value) {
        self.sink.member(name, &(self.translate)(value));
    }
}

/// The document as JSON. `server_version` is for its `info`.
pub fn json(resources: &[Resource], server_version: &str) -> Vec<u8> {
    let mut out = String::with_capacity(4 << 20);
    let (definitions, required) = security();
    out.push_str("{\"swagger\":\"2.0\",\"info\":");
    out.push_str(&info(server_version).to_string());
    out.push_str(",\"paths\":");
    let mut wanted = schemas::Wanted::default();
    let mut paths = Object::new(&mut out);
    each_path(resources, &mut wanted, &mut paths);
    paths.end();
    out.push_str(",\"definitions\":");
    let mut schemas = Object::new(&mut out);
    each_definition(wanted, &mut schemas);
    schemas.end();
    out.push_str(",\"securityDefinitions\":");
    out.push_str(&definitions.to_string());
    out.push_str(",\"security\":");
    out.push_str(&required.to_string());
    out.push('}');
    out.into_bytes()
}

/// The document as gnostic's `openapi.v2.Document`.
pub fn protobuf(resources: &[Resource], server_version: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 << 20);
    gnostic::start(&mut out, &info(server_version));
    let mut wanted = schemas::Wanted::default();
    gnostic::paths(&mut out, |sink| each_path(resources, &mut wanted, sink));
    gnostic::definitions(&mut out, |sink| each_definition(wanted, sink));
    let (definitions, required) = security();
    gnostic::security(&mut out, &definitions, &required);
    out
}
