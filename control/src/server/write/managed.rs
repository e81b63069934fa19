//! `metadata.managedFields` on creates, updates and patches: who has changed what. The rules are `keelson_api::apply`'s;
//! here they meet requests and kinds.

use keelson_api::apply::{self, Actor, Entry, Tracked, Versions};
use keelson_api::schema::Type;
use keelson_api::time;
use serde_json::Value;

use super::metadata;
use crate::kinds::Kind;
use crate::kinds::is_printable;
use crate::server::call::Call;
use crate::server::convert;
use crate::server::options::LONGEST_MANAGER;

/// The field in the metadata.
pub const FIELD: &str = "managedFields";

/// Most managers that a client may set; the server itself makes one of all old ones when there are more than ten.
const MOST: usize = 1000;

/// What a change does to the managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Managers {
    /// Who asks manages what changes.
    Track,
    /// They are in the new object already.
    Given,
    /// They stay as they are.
    Keep,
}

/// The versions of a kind that share its storage.
#[derive(Debug)]
pub struct Kinds<'a>(pub &'a Kind);

impl Versions for Kinds<'_> {
    fn kind(&self, version: &str) -> Option<Type<'_>> {
        convert::object_type(self.0, version)
    }

    fn convert(&self, object: &Value, version: &str) -> Option<Value> {
        convert::to_version(self.0, object, version)
    }
}

/// Name of the manager that asks (`managerOrUserAgent`).
pub fn manager(call: &Call) -> String {
    let named = call.query.get("fieldManager");
    if !named.is_empty() {
        return named.to_owned();
    }
    let agent = call.headers.get(http::header::USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut name = agent.split('/').next().unwrap_or_default().to_owned();
    name.retain(is_printable);
    name.truncate(LONGEST_MANAGER);
    name
}

/// Fields that an endpoint does not change, whatever the request says (`GetResetFields` of upstream's strategies).
pub fn reset(kind: &Kind, subresource: &str) -> &'static [&'static [&'static str]] {
    const NOTHING: &[&[&str]] = &[];
    const STATUS: &[&[&str]] = &[&["status"]];
    const SPEC: &[&[&str]] = &[&["spec"]];
    const SPEC_AND_LABELS: &[&[&str]] = &[&["spec"], &["metadata", "labels"]];
    const SPEC_AND_METADATA: &[&[&str]] = &[&["spec"], &["metadata"]];
    const POD: &[&[&str]] = &[
        &["spec"],
        &["metadata", "deletionTimestamp"],
        &["metadata", "ownerReferences"],
    ];
    const CERTIFICATE: &[&[&str]] = &[&["spec"], &["status", "certificate"]];
    // Custom kinds may have any name.
    let name = if kind.custom.is_some() {
        ""
    } else {
        kind.kind.as_ref()
    };
    match (name, subresource) {
        ("Deployment", "status") => SPEC_AND_LABELS,
        ("Pod", "status") => POD,
        ("CertificateSigningRequest", "approval") => CERTIFICATE,
        (
            "CustomResourceDefinition"
            | "APIService"
            | "FlowSchema"
            | "PriorityLevelConfiguration"
            | "VolumeAttachment",
            "status",
        ) => SPEC_AND_METADATA,
        (_, "status") => SPEC,
        _ if kind.subresource("status").is_some() => STATUS,
        _ => NOTHING,
    }
}

/// Runs `run` as whoever asks, through a subresource of the kind (empty for the kind itself).
pub fn acting<T>(
    call: &Call,
    version: &str,
    subresource: &str,
    reset: &[&[&str]],
    run: impl FnOnce(&Actor<'_>) -> T,
) -> T {
    run(&Actor {
        manager: &manager(call),
        version,
        subresource,
        reset,
        now: &time::now_rfc3339(),
    })
}

/// Puts the creator in as manager of everything.
pub fn created(call: &Call, value: &mut Value) {
    let kind = call.kind();
    let none = || Ok::<_, std::convert::Infallible>(Vec::new());
    let tracked = acting(call, &kind.api_version(), "", reset(kind, ""), |actor| {
        apply::track(&Kinds(kind), actor, None, value, none)
    });
    if let Ok(Tracked::Changed(managers)) = tracked {
        put(value, apply::encode(managers));
    }
}

/// Puts in the managers after an update. `asked` is what the client sent as managers.
pub fn updated(call: &Call, subresource: &str, old: &Value, new: &mut Value, asked: Option<Value>) {
    let kind = call.kind();
    let live = &old["metadata"][FIELD];
    let base = base(live, asked, subresource);
    let decode = || {
        Ok::<_, std::convert::Infallible>(match &base {
            // What was stored was written here, so it decodes.
            None => apply::decode(live, false).unwrap_or_default(),
            Some(managers) => managers.clone(),
        })
    };
    let tracked = acting(
        call,
        &kind.api_version(),
        subresource,
        reset(kind, subresource),
        |actor| apply::track(&Kinds(kind), actor, Some(old), new, decode),
    );
    match (tracked, base) {
        (Ok(Tracked::Changed(managers)), _) | (Ok(Tracked::Unchanged), Some(managers)) => {
            put(new, apply::encode(managers));
        }
        (Ok(Tracked::Unchanged), None) => put(new, live.clone()),
    }
}

/// The managers from which an update starts, if they are not the stored ones: a client may set them, or forget them all
/// with an empty list; what makes no sense is not listened to.
fn base(live: &Value, asked: Option<Value>, subresource: &str) -> Option<Vec<Entry>> {
    let asked = asked.filter(|asked| subresource.is_empty() && asked != live)?;
    if apply::is_reset(&asked) {
        return Some(Vec::new());
    }
    if asked.as_array().is_some_and(|managers| managers.len() > MOST) {
        return None;
    }
    apply::decode(&asked, true)
        .ok()
        .filter(|managers| !managers.is_empty())
}

/// Sets the managers; none at all leave no field.
pub fn put(value: &mut Value, managers: Value) {
    let metadata = metadata::of(value);
    if managers.as_array().is_none_or(Vec::is_empty) {
        metadata.remove(FIELD);
    } else {
        metadata.insert(FIELD.to_owned(), managers);
    }
}

/// If nothing but times of managers differs from the old object, these times are the old ones, so that nothing is stored.
pub fn keep_times(old: &Value, new: &mut Value) {
    let (before, after) = (&old["metadata"][FIELD], &new["metadata"][FIELD]);
    if before == after || !apply::same_but_times(before, after) || differs(old, new) {
        return;
    }
    put(new, before.clone());
}

fn differs(old: &Value, new: &Value) -> bool {
    let same = |old: &Value, new: &Value, except: &[&str]| {
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
            return old == new;
        };
        let rest = |map: &serde_json::Map<String, Value>| {
            map.keys().filter(|name| !except.contains(&name.as_str())).count()
        };
        rest(old) == rest(new)
            && old
                .iter()
                .filter(|(name, _)| !except.contains(&name.as_str()))
                .all(|(name, value)| new.get(name) == Some(value))
    };
    !(same(old, new, &["metadata"]) && same(&old["metadata"], &new["metadata"], &[FIELD, "resourceVersion"]))
}
