//! Which resources the API server has, for the controllers that deal with all of them.

use serde_json::Value;

use super::api::{Api, Error, Resource};

/// A resource and what can be done with it.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The resource.
    pub resource: Resource,
    /// Its verbs.
    pub verbs: Vec<String>,
}

impl Discovered {
    /// Whether it has all of these verbs.
    pub fn can(&self, verbs: &[&str]) -> bool {
        verbs
            .iter()
            .all(|verb| self.verbs.iter().any(|have| have == verb))
    }
}

/// All resources, each in the most preferred version of its group that has it.
pub async fn discover(api: &Api) -> Result<Vec<Discovered>, Error> {
    let mut found = Vec::new();
    let core: Value = api.get_path("/api/v1", "application/json").await?;
    collect(&core, "", "v1", &mut found);
    let groups: Value = api.get_path("/apis", "application/json").await?;
    for group in groups["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        // The preferred version comes first; custom resources may be in other versions only.
        for version in group["versions"].as_array().into_iter().flatten() {
            let version = version["version"].as_str().unwrap_or_default();
            let path = format!("/apis/{name}/{version}");
            let list: Value = match api.get_path(&path, "application/json").await {
                // Its definition has gone meanwhile.
                Err(error) if error.is_not_found() => continue,
                list => list?,
            };
            collect(&list, name, version, &mut found);
        }
    }
    Ok(found)
}

fn collect(list: &Value, group: &str, version: &str, found: &mut Vec<Discovered>) {
    for entry in list["resources"].as_array().into_iter().flatten() {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let plural = text("name");
        // Subresources.
        if plural.contains('/') {
            continue;
        }
        let known = |known: &Discovered| known.resource.group == group && known.resource.plural == plural;
        if found.iter().any(known) {
            continue;
        }
        let verbs = entry["verbs"].as_array().into_iter().flatten();
        found.push(Discovered {
            resource: Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                plural,
                kind: text("kind"),
                namespaced: entry["namespaced"].as_bool().unwrap_or(false),
            },
            verbs: verbs
                .filter_map(|verb| verb.as_str().map(str::to_owned))
                .collect(),
        });
    }
}
