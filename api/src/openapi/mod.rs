//! OpenAPI v3: the index and one document per group and version, good enough for kubectl (`explain`, `apply`, `diff`,
//! `edit`, validation) and for generators of clients. [`v2`] makes the older form from the same pieces, as one document.
//!
//! Documents are written on demand, straight into a buffer, from the embedded files: keeping them (or a tree of them)
//! would cost more memory than the whole API server. Their hash depends only on what they are made from.

mod others;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;
pub mod v2;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::schema::{DOCS, LISTS, TYPES};

/// A served resource, as documents describe it.
#[derive(Debug, Clone)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind of the objects.
    pub kind: String,
    /// Plural resource name.
    pub plural: String,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Verbs as in discovery.
    pub verbs: Vec<String>,
    /// Subresources.
    pub subresources: Vec<Subresource>,
    /// The OpenAPI schema of a custom resource; built-in ones are known by group, version and kind.
    pub schema: Option<CustomSchema>,
}

/// The OpenAPI schema of a custom resource, as text: trees of them would be ten times as large, and are needed only while
/// a document is written.
#[derive(Clone)]
pub struct CustomSchema {
    text: Arc<str>,
    hash: u64,
}

impl CustomSchema {
    /// Keeps a schema.
    pub fn new(schema: &Value) -> Self {
        let text: Arc<str> = schema.to_string().into();
        let mut hash = Fnv::default();
        hash.write(text.as_bytes());
        Self {
            hash: hash.finish(),
            text,
        }
    }

    fn value(&self) -> Value {
        // It was written from a value.
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Documents' hashes are made of this.
impl std::fmt::Debug for CustomSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016X}", self.hash)
    }
}

/// A subresource.
#[derive(Debug, Clone)]
pub struct Subresource {
    /// Name after the slash.
    pub name: String,
    /// Group of its body.
    pub group: String,
    /// Version of its body.
    pub version: String,
    /// Kind of its body.
    pub kind: String,
    /// Verbs as in discovery.
    pub verbs: Vec<String>,
}

/// `api/v1` or `apis/apps/v1`: the path under which a group and version is served.
pub fn group_version_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// Which documents are written of the files: to be changed with this module, so that clients do not take them for those that
/// they have.
const FORM: &str = "2";

/// Hash of the embedded files, computed once. FNV-1a is stable over builds, which `DefaultHasher` does not promise.
static FILES: LazyLock<u64> = LazyLock::new(|| {
    let mut hash = Fnv::default();
    for file in [TYPES, LISTS, DOCS, FORM] {
        hash.write(file.as_bytes());
    }
    hash.finish()
});

#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The hash of a group and version's document, for its URL and `ETag`.
pub fn hash(resources: &[Resource], group: &str, version: &str) -> String {
    let mut hash = Fnv::default();
    hash.write(&FILES.to_be_bytes());
    for resource in of(resources, group, version) {
        hash.write(format!("{resource:?}").as_bytes());
    }
    // Upstream's are SHA-512 in hex; clients only compare them.
    format!("{:016X}{:016X}", hash.finish(), *FILES)
}

fn of<'a>(resources: &'a [Resource], group: &str, version: &str) -> impl Iterator<Item = &'a Resource> {
    resources
        .iter()
        .filter(move |resource| resource.group == group && resource.version == version)
}

/// The hash of the document of a path that is no group and version.
pub fn other_hash(path: &str) -> String {
    let mut hash = Fnv::default();
    hash.write(&FILES.to_be_bytes());
    hash.write(path.as_bytes());
    format!("{:016X}{:016X}", hash.finish(), *FILES)
}

/// The body of `/openapi/v3`: where each document is.
pub fn index(resources: &[Resource]) -> Vec<u8> {
    let place =
        |path: &str, hash: &str| json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}") });
    let mut paths = BTreeMap::new();
    for page in others::pages(resources) {
        let place = place(&page.path, &other_hash(&page.path));
        paths.insert(page.path, place);
    }
    for resource in resources {
        let path = group_version_path(&resource.group, &resource.version);
        paths
            .entry(path)
            .or_insert_with_key(|path| place(path, &hash(resources, &resource.group, &resource.version)));
    }
    json!({ "paths": paths }).to_string().into_bytes()
}

/// The document of a group and version, or `None` if nothing is served there. `server_version` is for its `info`.
pub fn document(resources: &[Resource], group: &str, version: &str, server_version: &str) -> Option<Vec<u8>> {
    let resources: Vec<&Resource> = of(resources, group, version).collect();
    if resources.is_empty() {
        return None;
    }
    Some(written(server_version, |paths, wanted| {
        if resources.iter().any(|resource| resource.schema.is_none()) {
            others::resource_list(group, version).write(paths, wanted);
        }
        for resource in &resources {
            paths::write(paths, resource, wanted);
        }
    }))
}

/// Whether a path that is no group and version has a document.
pub fn has_other(resources: &[Resource], path: &str) -> bool {
    others::pages(resources).iter().any(|page| page.path == path)
}

/// The document of a path that is no group and version, without slashes around it, or `None` if it has none.
pub fn other_document(resources: &[Resource], path: &str, server_version: &str) -> Option<Vec<u8>> {
    let page = others::pages(resources)
        .into_iter()
        .find(|page| page.path == path)?;
    Some(written(server_version, |paths, wanted| page.write(paths, wanted)))
}

/// A document with the paths that `write` gives, and the definitions that these need.
fn written(server_version: &str, write: impl FnOnce(&mut dyn Members, &mut schemas::Wanted)) -> Vec<u8> {
    let mut out = String::with_capacity(256 * 1024);
    out.push_str("{\"openapi\":\"3.0.0\",\"info\":");
    out.push_str(&json!({"title": "Kubernetes", "version": server_version}).to_string());
    out.push_str(",\"paths\":");
    let mut paths = Object::new(&mut out);
    let mut wanted = schemas::Wanted::default();
    write(&mut paths, &mut wanted);
    paths.end();
    out.push_str(",\"components\":{\"schemas\":");
    let mut components = Object::new(&mut out);
    schemas::write(&mut components, wanted);
    components.end();
    let bearer = json!({"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header",
        "description": "Bearer Token authentication"}});
    out.push_str(",\"securitySchemes\":");
    out.push_str(&bearer.to_string());
    out.push_str("}}");
    out.into_bytes()
}

/// What takes the members of an object as they come.
trait Members {
    /// Takes one.
    fn member(&mut self, name: &str, value: &Value);
}

/// Writes the members of one JSON object.
struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    fn end(self) {
        self.out.push('}');
    }
}

impl Members for Object<'_> {
    fn member(&mut self, name: &str, value: &Value) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        self.out.push_str(&Value::from(name).to_string());
        self.out.push(':');
        self.out.push_str(&value.to_string());
    }
}
