//! What a claim's volume is filled from, which is said twice: `dataSource` names a claim or a snapshot, `dataSourceRef`
//! anything (KEP-1495).

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::{Map, Value};

use crate::kinds::json::{object, text};

const FIELDS: [&str; 2] = ["dataSource", "dataSourceRef"];

fn source<'a>(claim: &'a Value, field: &str) -> Option<&'a Value> {
    of_spec(claim.get("spec")?, field)
}

fn of_spec<'a>(spec: &'a Value, field: &str) -> Option<&'a Value> {
    spec.get(field).filter(|source| source.is_object())
}

/// Before a claim is checked: drops a `dataSource` that is neither a claim nor a snapshot and a `dataSourceRef` that leads to
/// another namespace, unless something was there before, and says in both fields what is said in one.
pub(super) fn settle(old: Option<&Value>, new: &mut Value) {
    let used = |claim: &Value| FIELDS.iter().any(|field| source(claim, field).is_some());
    if !old.is_some_and(used) && source(new, FIELDS[0]).is_some_and(|source| !is_volume(source)) {
        remove(new, FIELDS[0]);
    }
    // A source in another namespace comes with the gate CrossNamespaceVolumeDataSource, which is off in 1.33.
    let elsewhere = source(new, FIELDS[1]).is_some_and(|source| !text(source, "/namespace").is_empty());
    if elsewhere && old.is_none_or(|old| source(old, FIELDS[1]).is_none()) {
        remove(new, FIELDS[1]);
    }
    say_twice(new);
}

/// Copies one field to the other that is not there, as is done for claims from before there were two, too.
pub(super) fn say_twice(claim: &mut Value) {
    let copy = match (source(claim, FIELDS[0]), source(claim, FIELDS[1])) {
        (Some(source), None) => Some((FIELDS[1], plain(source))),
        // Of another namespace's there is no old form.
        (None, Some(source)) if text(source, "/namespace").is_empty() => Some((FIELDS[0], plain(source))),
        _ => None,
    };
    if let (Some((field, copy)), Some(spec)) = (copy, object(claim, "spec")) {
        spec.insert(field.to_owned(), copy);
    }
}

fn remove(claim: &mut Value, field: &str) {
    if let Some(spec) = object(claim, "spec") {
        spec.remove(field);
    }
}

fn is_volume(source: &Value) -> bool {
    matches!(
        (text(source, "/kind"), text(source, "/apiGroup")),
        ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
    )
}

/// The fields that both forms have.
fn plain(source: &Value) -> Value {
    let fields = ["apiGroup", "kind", "name"].into_iter();
    let given = fields.filter_map(|field| Some((field.to_owned(), source.get(field)?.clone())));
    Value::Object(given.collect::<Map<String, Value>>())
}

/// Complaints about both of a spec at `path` (`validateDataSource`, `validateDataSourceRef`).
pub(super) fn check(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    let whole = path;
    for field in FIELDS {
        let Some(source) = of_spec(spec, field) else {
            continue;
        };
        let path = format!("{whole}.{field}");
        for part in ["name", "kind"] {
            if text(source, &format!("/{part}")).is_empty() {
                errors.push(FieldError::required(format!("{path}.{part}"), ""));
            }
        }
        let (kind, group) = (text(source, "/kind"), text(source, "/apiGroup"));
        if group.is_empty() && kind != "PersistentVolumeClaim" {
            let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.push(FieldError::invalid(path.as_str(), kind, detail));
        }
        if !group.is_empty() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.apiGroup"),
                group,
                names::dns1123_subdomain(group),
            ));
        }
    }
    let (Some(old), Some(new)) = (of_spec(spec, FIELDS[0]), of_spec(spec, FIELDS[1])) else {
        return;
    };
    let detail = if !text(new, "/namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if plain(old) != plain(new) {
        "must match dataSourceRef"
    } else {
        return;
    };
    errors.push(FieldError::invalid(whole, format!("{whole}.dataSource"), detail));
}
