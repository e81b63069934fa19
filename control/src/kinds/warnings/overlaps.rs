//! Files of volumes that are in each other's way (`warningsForOverlappingVirtualPaths`).

use std::collections::BTreeSet;

use keelson_api::status::go_quote;
use serde_json::Value;

use super::MOST;
use crate::kinds::json::{items, text};

/// Most files of one volume that are compared with each other.
const MOST_FILES: usize = 200;

/// Of the volumes of a pod. Upstream's texts have no path.
pub(super) fn warn(warnings: &mut Vec<String>, volumes: &[Value]) {
    for volume in volumes {
        let name = go_quote(text(volume, "/name"));
        for (field, kind, key) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let what = what(&volume[field], &name, kind, key);
            compare(warnings, &paths(&volume[field]), &what);
        }
        projected(warnings, volume, &name);
        if warnings.len() >= MOST {
            return;
        }
    }
}

fn what(source: &Value, volume: &str, kind: &str, key: &str) -> String {
    let of = if key.is_empty() {
        String::new()
    } else {
        format!(" {}", go_quote(source[key].as_str().unwrap_or_default()))
    };
    format!("volume {volume} ({kind}{of}): overlapping paths")
}

fn paths(source: &Value) -> Vec<&str> {
    let items = items(source, "/items").iter().take(MOST_FILES);
    items.map(|item| text(item, "/path")).collect()
}

/// Each source is compared with itself, and with those before it.
fn projected(warnings: &mut Vec<String>, volume: &Value, name: &str) {
    let mut all: BTreeSet<&str> = BTreeSet::new();
    for source in items(volume, "/projected/sources").iter().take(MOST_FILES) {
        let has = |field: &str| source[field].is_object();
        let (kind, key, field) = match () {
            () if !source
                .as_object()
                .is_some_and(|map| map.values().any(Value::is_object)) =>
            {
                warnings.push(format!("volume {name} (Projected) has no sources provided"));
                continue;
            }
            () if has("configMap") => ("Projected ConfigMap", "name", "configMap"),
            () if has("secret") => ("Projected Secret", "name", "secret"),
            () if has("downwardAPI") => ("Projected DownwardAPI", "", "downwardAPI"),
            () if has("serviceAccountToken") => ("Projected ServiceAccountToken", "", "serviceAccountToken"),
            () => continue,
        };
        let own = match field {
            "serviceAccountToken" => vec![text(&source[field], "/path")],
            _ => paths(&source[field]),
        };
        let what = what(&source[field], name, kind, key);
        let before = warnings.len();
        compare(warnings, &own, &what);
        let unique: BTreeSet<&str> = own.into_iter().collect();
        let mut together: Vec<&str> = unique.iter().chain(&all).copied().collect();
        together.sort_unstable();
        compare(warnings, &together, &what);
        // The same text is told once.
        let mut told = BTreeSet::new();
        let new: Vec<String> = warnings.drain(before..).collect();
        warnings.extend(new.into_iter().filter(|text| told.insert(text.clone())));
        all.extend(unique);
        if all.len() > MOST_FILES || warnings.len() >= MOST {
            return;
        }
    }
}

fn compare(warnings: &mut Vec<String>, paths: &[&str], what: &str) {
    let mut seen: Vec<&str> = Vec::new();
    for path in paths {
        let path = path.trim_end_matches('/');
        if let Some(other) = seen.iter().find(|other| overlap(other, path)) {
            let (path, other) = (go_quote(path), go_quote(other));
            warnings.push(format!("{what}: {path} with {other}"));
            if warnings.len() >= MOST {
                return;
            }
        }
        if !seen.contains(&path) {
            seen.push(path);
        }
    }
}

/// As upstream has it: `a` is in the way of `ab`, too.
fn overlap(one: &str, other: &str) -> bool {
    !one.is_empty()
        && !other.is_empty()
        && (format!("{one}/").starts_with(other) || format!("{other}/").starts_with(one))
}
