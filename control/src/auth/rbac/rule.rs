//! What one rule covers. Source: `pkg/apis/rbac/v1/evaluation_helpers.go` upstream.

use serde::{Deserialize, Deserializer, Serialize};

use crate::auth::Attributes;

/// A `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Verbs, `*` for all.
    #[serde(deserialize_with = "list")]
    pub verbs: Vec<String>,
    /// API groups, `*` for all.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// Resources `pods`, `pods/log`, `*/scale`, `*`.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Object names; empty for all.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths, with `*` at the end for all below.
    #[serde(
        rename = "nonResourceURLs",
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub non_resource_urls: Vec<String>,
}

/// Go writes an empty list as null.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(from)?.unwrap_or_default())
}

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == value)
}

fn has_or_all(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == "*" || item == value)
}

impl Rule {
    /// Whether the rule allows the request.
    pub fn allows(&self, attributes: &Attributes<'_>) -> bool {
        if attributes.resource.is_empty() {
            return has_or_all(&self.verbs, attributes.verb)
                && self
                    .non_resource_urls
                    .iter()
                    .any(|url| url_covers(url, attributes.path));
        }
        has_or_all(&self.verbs, attributes.verb)
            && has_or_all(&self.api_groups, attributes.group)
            && self
                .resources
                .iter()
                .any(|own| resource_matches(own, attributes.resource, attributes.subresource))
            && (self.resource_names.is_empty() || has(&self.resource_names, attributes.name))
    }

    /// Whether this rule allows everything that the single-valued rule `atom` allows.
    fn covers_atom(&self, atom: &Atom<'_>) -> bool {
        if !has_or_all(&self.verbs, atom.verb) {
            return false;
        }
        match atom.what {
            What::Url(url) => self.non_resource_urls.iter().any(|own| url_covers(own, url)),
            What::Resource {
                group,
                resource,
                name,
            } => {
                let (parent, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                has_or_all(&self.api_groups, group)
                    && self
                        .resources
                        .iter()
                        .any(|own| own == resource || resource_matches(own, parent, subresource))
                    && (self.resource_names.is_empty()
                        || name.is_some_and(|name| has(&self.resource_names, name)))
            }
        }
    }

    /// The rule split into all its single-valued parts.
    fn atoms(&self) -> Vec<Atom<'_>> {
        let mut atoms = Vec::new();
        for verb in &self.verbs {
            for group in &self.api_groups {
                for resource in &self.resources {
                    let mut push = |name| {
                        atoms.push(Atom {
                            verb,
                            what: What::Resource {
                                group,
                                resource,
                                name,
                            },
                        });
                    };
                    if self.resource_names.is_empty() {
                        push(None);
                    }
                    self.resource_names
                        .iter()
                        .for_each(|name| push(Some(name.as_str())));
                }
            }
            atoms.extend(self.non_resource_urls.iter().map(|url| Atom {
                verb,
                what: What::Url(url),
            }));
        }
        atoms
    }
}

struct Atom<'a> {
    verb: &'a str,
    what: What<'a>,
}

enum What<'a> {
    Resource {
        group: &'a str,
        resource: &'a str,
        name: Option<&'a str>,
    },
    Url(&'a str),
}

impl Atom<'_> {
    fn to_rule(&self) -> Rule {
        let one = |text: &str| vec![text.to_owned()];
        match self.what {
            What::Resource {
                group,
                resource,
                name,
            } => Rule {
                verbs: one(self.verb),
                api_groups: one(group),
                resources: one(resource),
                resource_names: name.map(one).unwrap_or_default(),
                ..Rule::default()
            },
            What::Url(url) => Rule {
                verbs: one(self.verb),
                non_resource_urls: one(url),
                ..Rule::default()
            },
        }
    }
}

fn resource_matches(own: &str, resource: &str, subresource: &str) -> bool {
    if own == "*" {
        return true;
    }
    match own.split_once('/') {
        None => subresource.is_empty() && own == resource,
        Some((parent, sub)) => {
            !subresource.is_empty() && sub == subresource && (parent == "*" || parent == resource)
        }
    }
}

fn url_covers(own: &str, url: &str) -> bool {
    own == url
        || own
            .strip_suffix('*')
            .is_some_and(|prefix| url.starts_with(prefix))
}

/// Of `wanted`, the single-valued rules that no rule of `held` covers; empty if all is held.
pub fn not_covered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut missing: Vec<Rule> = wanted
        .iter()
        .flat_map(Rule::atoms)
        .filter(|atom| !held.iter().any(|rule| rule.covers_atom(atom)))
        .map(|atom| atom.to_rule())
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

/// The rule as upstream's messages write it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
pub fn compact(rule: &Rule) -> String {
    let quoted = |list: &[String]| {
        let all: Vec<String> = list
            .iter()
            .map(|item| keelson_api::status::go_quote(item))
            .collect();
        format!("[{}]", all.join(" "))
    };
    let parts: Vec<String> = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ]
    .into_iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(name, list)| format!("{name}:{}", quoted(list)))
    .collect();
    format!("{{{}}}", parts.join(", "))
}
