//! The short notation of rules: `VERBS GROUPS RESOURCES [=NAMES]` or `VERBS /PATHS`, one a line, lists with commas.
//!
//! `core` is the core group; `read` is get, list and watch; `write` is create, delete, deletecollection, patch and
//! update. `@events` is the right to record events, which nearly every component has.

use crate::auth::rbac::Rule;

const EVENTS: &str = "create,patch,update core,events.k8s.io events";

/// The rules in `text`. The text is ours, and a test reads all of it; a line that means nothing grants nothing.
pub fn rules(text: &str) -> Vec<Rule> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .filter_map(rule)
        .collect()
}

/// One line.
pub fn rule(line: &str) -> Option<Rule> {
    let line = if line == "@events" { EVENTS } else { line };
    let words: Vec<&str> = line.split_whitespace().collect();
    let list = |word: &str| word.split(',').map(str::to_owned).collect::<Vec<_>>();
    match words.as_slice() {
        [verbs, paths] if paths.starts_with('/') || *paths == "*" => Some(Rule {
            verbs: list(verbs),
            non_resource_urls: list(paths),
            ..Rule::default()
        }),
        [verbs, groups, resources, names @ ..] => {
            let resource_names = match names {
                [] => Vec::new(),
                [names] => list(names.strip_prefix('=')?),
                _ => return None,
            };
            Some(Rule {
                verbs: self::verbs(verbs),
                api_groups: groups
                    .split(',')
                    .map(|group| {
                        if group == "core" {
                            String::new()
                        } else {
                            group.to_owned()
                        }
                    })
                    .collect(),
                resources: list(resources),
                resource_names,
                ..Rule::default()
            })
        }
        _ => None,
    }
}

fn verbs(word: &str) -> Vec<String> {
    let mut verbs: Vec<String> = word
        .split(',')
        .flat_map(|verb| match verb {
            "read" => vec!["get", "list", "watch"],
            "write" => vec!["create", "delete", "deletecollection", "patch", "update"],
            verb => vec![verb],
        })
        .map(str::to_owned)
        .collect();
    verbs.sort();
    verbs
}
