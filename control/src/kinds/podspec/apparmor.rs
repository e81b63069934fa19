//! AppArmor profiles, as annotations and as fields (`applyAppArmorVersionSkew`; KEP 24). Up to 1.33 a new pod has both, for
//! nodes and policies that know only the one.

use serde_json::{Map, Value, json};

use crate::kinds::json::{list, object_or_new, text};

/// Beginning of the annotations, with the name of a container behind it.
pub(in crate::kinds) const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Whether an annotation may have this value.
pub(super) fn is_known(value: &str) -> bool {
    matches!(value, "" | "runtime/default" | "unconfined") || value.starts_with("localhost/")
}

/// Gives each container of a new pod the annotation that its field asks for, or the field that its annotation asks for.
pub(in crate::kinds) fn sync(pod: &mut Value) {
    if text(pod, "/spec/os/name") == "windows" {
        return;
    }
    let whole = pod.pointer("/spec/securityContext/appArmorProfile").cloned();
    let whole = whole.filter(Value::is_object);
    // Taken out while containers are changed: every pod that is made comes by here.
    let annotations = pod.pointer_mut("/metadata/annotations");
    let annotations = annotations.and_then(Value::as_object_mut);
    let mut annotations = annotations.map(std::mem::take).unwrap_or_default();
    let spec = pod.get_mut("spec").and_then(Value::as_object_mut);
    let mut none = Map::new();
    let spec = spec.unwrap_or(&mut none);
    for group in ["initContainers", "containers"] {
        for container in list(spec, group) {
            sync_container(container, whole.as_ref(), &mut annotations);
        }
    }
    if !annotations.is_empty() {
        pod["metadata"]["annotations"] = annotations.into();
    }
}

fn sync_container(
    container: &mut Map<String, Value>,
    whole: Option<&Value>,
    annotations: &mut Map<String, Value>,
) {
    let name = container.get("name").and_then(Value::as_str);
    let key = format!("{ANNOTATION}{}", name.unwrap_or_default());
    let own = container
        .get("securityContext")
        .and_then(|context| context.get("appArmorProfile"))
        .filter(|profile| profile.is_object());
    let said = annotations.get(&key).and_then(Value::as_str);
    match (said, own) {
        (None, own) => {
            if let Some(said) = own.or(whole).and_then(said_of) {
                annotations.insert(key, said.into());
            }
        }
        (Some(said), None) => {
            let field = field_of(said).filter(|field| Some(field) != whole);
            if let Some(field) = field
                && let Some(context) = object_or_new(container, "securityContext")
            {
                context.insert("appArmorProfile".to_owned(), field);
            }
        }
        (Some(_), Some(_)) => {}
    }
}

/// The annotation that says what a field says.
fn said_of(profile: &Value) -> Option<String> {
    match text(profile, "/type") {
        "Unconfined" => Some("unconfined".to_owned()),
        "RuntimeDefault" => Some("runtime/default".to_owned()),
        "Localhost" => {
            let local = profile["localhostProfile"].as_str()?;
            Some(format!("localhost/{local}"))
        }
        _ => None,
    }
}

/// The field that says what an annotation says; none if that is no good profile.
fn field_of(said: &str) -> Option<Value> {
    match said {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        _ => {
            let local = said.strip_prefix("localhost/")?;
            let good =
                !local.is_empty() && local.trim() == local && local.len() <= super::system::LONGEST_PROFILE;
            good.then(|| json!({"type": "Localhost", "localhostProfile": local}))
        }
    }
}
