//! What one rule covers. Source: `pkg/apis/rbac/v1/evaluation_helpers.go` upstream.

use std::collections::HashSet;

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

/// Go writes an empty list as null. What is there twice says nothing more.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let mut list = Option::<Vec<String>>::deserialize(from)?.unwrap_or_default();
    let mut seen = HashSet::new();
    list.retain(|text| seen.insert(text.clone()));
    Ok(list)
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

    /// The rule's single-valued parts, one after the other: of a thousand verbs, groups and resources there are a billion.
    fn atoms(&self) -> impl Iterator<Item = Atom<'_>> {
        let names = || {
            let any = self.resource_names.is_empty().then_some(None);
            any.into_iter()
                .chain(self.resource_names.iter().map(|name| Some(name.as_str())))
        };
        let kinds = move || {
            let groups = self.api_groups.iter();
            groups.flat_map(move |group| {
                let resources = self.resources.iter();
                resources.flat_map(move |resource| {
                    names().map(move |name| What::Resource {
                        group,
                        resource,
                        name,
                    })
                })
            })
        };
        self.verbs.iter().flat_map(move |verb| {
            let urls = self.non_resource_urls.iter().map(|url| What::Url(url));
            kinds().chain(urls).map(move |what| Atom { verb, what })
        })
    }

    /// How many texts it has.
    fn parts(&self) -> usize {
        let lists = [
            &self.verbs,
            &self.api_groups,
            &self.resources,
            &self.resource_names,
            &self.non_resource_urls,
        ];
        lists.iter().map(|list| list.len()).sum()
    }

    /// Whether this rule allows by itself everything that another one does.
    fn covers(&self, other: &Self) -> bool {
        let names = self.resource_names.is_empty()
            || !other.resource_names.is_empty()
                && other
                    .resource_names
                    .iter()
                    .all(|name| has(&self.resource_names, name));
        let resource = |wanted: &String| {
            let (parent, subresource) = wanted.split_once('/').unwrap_or((wanted, ""));
            let covers = |own: &String| own == wanted || resource_matches(own, parent, subresource);
            self.resources.iter().any(covers)
        };
        let url = |wanted: &String| self.non_resource_urls.iter().any(|own| url_covers(own, wanted));
        names
            && other.verbs.iter().all(|verb| has_or_all(&self.verbs, verb))
            && other
                .api_groups
                .iter()
                .all(|group| has_or_all(&self.api_groups, group))
            && other.resources.iter().all(resource)
            && other.non_resource_urls.iter().all(url)
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

/// Most comparisons of texts that are made to find out whether rules are held.
const MOST_COMPARISONS: usize = 100_000_000;

/// How many of them are left.
struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MOST_COMPARISONS)
    }
}

impl Budget {
    /// Whether there are so many left.
    fn spend(&mut self, comparisons: usize) -> bool {
        self.0 = self.0.saturating_sub(comparisons.saturating_add(1));
        self.0 > 0
    }
}

/// Of `wanted`, the single-valued rules that no rule of `held` covers; none if all is held. A rule that would take too many
/// comparisons is not held, unless one that is covers it whole.
pub fn not_covered<'a>(held: &'a [Rule], wanted: &'a [Rule]) -> impl Iterator<Item = Rule> + use<'a> {
    let all: usize = held.iter().map(Rule::parts).sum();
    let (mut whole, mut single) = (Budget::default(), Budget::default());
    let in_parts = move |rule: &&Rule| {
        let covers = |own: &Rule| whole.spend(own.parts().saturating_mul(rule.parts())) && own.covers(rule);
        !held.iter().any(covers)
    };
    let missing = move |atom: &Atom<'a>| !single.spend(all) || !held.iter().any(|own| own.covers_atom(atom));
    wanted
        .iter()
        .filter(in_parts)
        .flat_map(Rule::atoms)
        .filter(missing)
        .map(|atom| atom.to_rule())
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
