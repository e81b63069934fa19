//! Files of volumes that are in each other's way (`warningsForOverlappingVirtualPaths`).

use std::collections::BTreeSet;

use keelson_api::status::go_quote;
use serde_json::Value;

use super::MOST;
use crate::kinds::json::{items, text};

/// Most files of one volume that are compared with each other.
const MOST_FILES: usize = 200;
/// Most comparisons for all volumes of an object together.
const MOST_COMPARISONS: usize = 100_000;

/// Of the volumes of a pod. Upstream's texts have no path.
pub(super) fn warn(warnings: &mut Vec<String>, volumes: &[Value]) {
    let mut room = MOST_COMPARISONS;
    for volume in volumes {
        let name = go_quote(text(volume, "/name"));
        for (field, kind, key) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let paths: Vec<(&str, bool)> = paths(&volume[field]).map(|path| (path, true)).collect();
            if paths.len() > 1 {
                let what = what(&volume[field], &name, kind, key);
                compare(warnings, &mut room, &paths, &what);
            }
        }
        projected(warnings, &mut room, volume, &name);
        if room == 0 || warnings.len() >= MOST {
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

fn paths(source: &Value) -> impl Iterator<Item = &str> {
    let items = items(source, "/items").iter().take(MOST_FILES);
    items.map(path)
}

fn path(of: &Value) -> &str {
    text(of, "/path").trim_end_matches('/')
}

/// Each source is compared with itself, and with those before it.
fn projected(warnings: &mut Vec<String>, room: &mut usize, volume: &Value, name: &str) {
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
        let own: Vec<(&str, bool)> = match field {
            "serviceAccountToken" => vec![(path(&source[field]), true)],
            _ => paths(&source[field]).map(|path| (path, true)).collect(),
        };
        if own.is_empty() {
            continue;
        }
        let what = what(&source[field], name, kind, key);
        let before = warnings.len();
        compare(warnings, room, &own, &what);
        let unique: BTreeSet<(&str, bool)> = own.into_iter().collect();
        let others = all.iter().map(|path| (*path, false));
        let mut together: Vec<(&str, bool)> = unique.iter().copied().chain(others).collect();
        together.sort_unstable();
        compare(warnings, room, &together, &what);
        // The same text is told once.
        let mut told = BTreeSet::new();
        let new: Vec<String> = warnings.drain(before..).collect();
        warnings.extend(new.into_iter().filter(|text| told.insert(text.clone())));
        all.extend(unique.into_iter().map(|(path, _)| path));
        if *room == 0 || all.len() > MOST_FILES || warnings.len() >= MOST {
            return;
        }
    }
}

/// Compares paths with those before them, of which one at least must be the source's own (`true`): what other sources have is
/// told of where they are looked at. Takes what it costs from `room`.
fn compare(warnings: &mut Vec<String>, room: &mut usize, paths: &[(&str, bool)], what: &str) {
    let own = paths.iter().filter(|(_, own)| *own).count();
    let Some(left) = room.checked_sub(own * paths.len()) else {
        *room = 0;
        return;
    };
    *room = left;
    let (mut seen, mut seen_own): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (path, own) in paths.iter().copied() {
        let others = if own { &seen } else { &seen_own };
        if let Some(other) = others.iter().find(|other| overlap(other, path)) {
            let (path, other) = (go_quote(path), go_quote(other));
            warnings.push(format!("{what}: {path} with {other}"));
            if warnings.len() >= MOST {
                return;
            }
        }
        seen.push(path);
        if own {
            seen_own.push(path);
        }
    }
}

/// Of two paths that do not end with a slash. As upstream has it: `a` is in the way of `ab`, too.
fn overlap(one: &str, other: &str) -> bool {
    !one.is_empty() && !other.is_empty() && (one.starts_with(other) || other.starts_with(one))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{projected, warn};

    fn volume(paths: &[&str]) -> Value {
        let source = |path: &&str| json!({"configMap": {"name": "m", "items": [{"path": path}]}});
        let sources: Vec<Value> = paths.iter().map(source).collect();
        json!({"name": "v", "projected": {"sources": sources}})
    }

    #[test]
    fn paths_are_told_where_their_source_is_looked_at() {
        let mut told = Vec::new();
        warn(&mut told, &[volume(&["a/b", "a/", "c", "", "d"])]);
        let text = "volume \"v\" (Projected ConfigMap \"m\"): overlapping paths: \"a/b\" with \"a\"";
        assert_eq!(told, [text]);
    }

    #[test]
    fn comparisons_end_with_the_room_for_them() {
        // Each source is compared with itself, and once more with those before it.
        for (given, left, expected) in [(9, 1, 1), (8, 0, 1), (5, 0, 1), (4, 0, 0)] {
            let (mut told, mut room) = (Vec::new(), given);
            projected(&mut told, &mut room, &volume(&["a", "a", "c"]), "v");
            assert_eq!((room, told.len()), (left, expected), "{given}");
        }
    }
}
