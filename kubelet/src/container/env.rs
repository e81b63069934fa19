//! Environment variables.
//!
//! Source: `pkg/kubelet/kubelet_pods.go`, `makeEnvironmentVariables`: envFrom first, env over it with `$(VAR)`
//! expansion in order, then the service variables that nothing has overridden.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};

use super::ConfigError;
use super::fields::{Surroundings, field, resource};
use crate::cache::{Kind, Object};
use crate::spec::{expand, find};

/// ConfigMaps and Secrets by kind and name (all of the pod's namespace); `None` where the API has none.
pub type Objects = HashMap<(Kind, String), Option<Arc<Object>>>;

/// The objects a container's environment refers to.
pub fn references(container: &Container) -> BTreeSet<(Kind, String)> {
    let mut found = BTreeSet::new();
    for from in container.env_from.iter().flatten() {
        if let Some(source) = &from.config_map_ref {
            found.insert((Kind::ConfigMap, source.name.clone()));
        }
        if let Some(source) = &from.secret_ref {
            found.insert((Kind::Secret, source.name.clone()));
        }
    }
    for source in container
        .env
        .iter()
        .flatten()
        .filter_map(|var| var.value_from.as_ref())
    {
        if let Some(key) = &source.config_map_key_ref {
            found.insert((Kind::ConfigMap, key.name.clone()));
        }
        if let Some(key) = &source.secret_key_ref {
            found.insert((Kind::Secret, key.name.clone()));
        }
    }
    found
}

/// The pod's part of the environment, in a stable order.
pub fn environment(
    pod: &Pod,
    container: &Container,
    around: &Surroundings,
    objects: &Objects,
    services: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut order: Vec<String> = Vec::new();
    let mut values: HashMap<String, String> = HashMap::new();
    let mut set = |name: String, value: String, values: &mut HashMap<String, String>| {
        if values.insert(name.clone(), value).is_none() {
            order.push(name);
        }
    };
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let (kind, name, optional) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(map), _) => (Kind::ConfigMap, &map.name, map.optional),
            (None, Some(secret)) => (Kind::Secret, &secret.name, secret.optional),
            (None, None) => continue,
        };
        let Some(object) = lookup(objects, kind, name, optional)? else {
            continue;
        };
        for (key, value) in object.texts() {
            let name = format!("{prefix}{key}");
            // What cannot be a variable's name is skipped, as upstream does.
            if !name.is_empty() && !name.contains(['=', '\0']) {
                set(name, value, &mut values);
            }
        }
    }
    for var in container.env.iter().flatten() {
        let value = match &var.value_from {
            Some(source) => match source_value(pod, container, around, objects, var, source)? {
                Some(value) => value,
                None => continue,
            },
            None => expand(var.value.as_deref().unwrap_or_default(), |name| {
                values.get(name).or_else(|| services.get(name)).cloned()
            }),
        };
        set(var.name.clone(), value, &mut values);
    }
    let mut result: Vec<_> = order
        .into_iter()
        .map(|name| {
            let value = values.get(&name).cloned().unwrap_or_default();
            (name, value)
        })
        .collect();
    result.extend(
        services
            .iter()
            .filter(|(name, _)| !values.contains_key(*name))
            .map(|(n, v)| (n.clone(), v.clone())),
    );
    Ok(result)
}

fn lookup<'a>(
    objects: &'a Objects,
    kind: Kind,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Object>, ConfigError> {
    match objects.get(&(kind, name.to_owned())).and_then(Option::as_ref) {
        Some(object) => Ok(Some(object)),
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError::NotFound {
            kind: kind.lower(),
            name: name.to_owned(),
        }),
    }
}

/// `None` where an optional reference leads nowhere: the variable is not set at all.
fn source_value(
    pod: &Pod,
    container: &Container,
    around: &Surroundings,
    objects: &Objects,
    var: &EnvVar,
    source: &EnvVarSource,
) -> Result<Option<String>, ConfigError> {
    if let Some(reference) = &source.field_ref {
        return field(pod, around, &reference.field_path).map(Some);
    }
    if let Some(selector) = &source.resource_field_ref {
        let other = selector
            .container_name
            .as_deref()
            .filter(|name| !name.is_empty() && *name != container.name);
        let found = match other {
            Some(name) => pod
                .spec
                .as_ref()
                .and_then(|spec| find(spec, name))
                .map(|(_, c)| c.into_owned()),
            None => None,
        };
        return resource(found.as_ref().unwrap_or(container), around, selector).map(Some);
    }
    let (kind, name, key, optional) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(r), _) => (Kind::ConfigMap, &r.name, &r.key, r.optional),
        (None, Some(r)) => (Kind::Secret, &r.name, &r.key, r.optional),
        (None, None) => {
            return Err(ConfigError::Other(format!(
                "environment variable {} has an empty source",
                var.name
            )));
        }
    };
    let Some(object) = lookup(objects, kind, name, optional)? else {
        return Ok(None);
    };
    match object.text(key) {
        Some(text) => Ok(Some(text)),
        None if optional == Some(true) => Ok(None),
        None => Err(ConfigError::NoKey {
            key: key.clone(),
            kind: kind.name(),
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: name.clone(),
        }),
    }
}
