//! `PodSecurityConfiguration`: what counts where a namespace has no labels, and what is exempt.
//!
//! Source: `k8s.io/pod-security-admission/admission/api` with its validation.

use keelson_api::names::{dns1123_label, dns1123_subdomain};
use keelson_api::status::FieldError;
use serde::Deserialize;
use serde_json::Value;

use super::policy::{Policies, Policy};
use crate::admission::configuration::{all, unregistered};

/// The configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub(super) defaults: Policies,
    usernames: Vec<String>,
    namespaces: Vec<String>,
    runtime_classes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    exemptions: Exemptions,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Defaults {
    enforce: String,
    enforce_version: String,
    audit: String,
    audit_version: String,
    warn: String,
    warn_version: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Exemptions {
    usernames: Vec<String>,
    namespaces: Vec<String>,
    runtime_classes: Vec<String>,
}

/// Of the configuration's group: v1, and the versions that it had before.
const VERSIONS: [&str; 3] = [
    "pod-security.admission.config.k8s.io/v1",
    "pod-security.admission.config.k8s.io/v1beta1",
    "pod-security.admission.config.k8s.io/v1alpha1",
];

impl Settings {
    /// From a `PodSecurityConfiguration`, or all that is wrong with it.
    pub fn new(file: Value) -> Result<Self, String> {
        let file: File = serde_json::from_value(file).map_err(|error| error.to_string())?;
        if file.kind != "PodSecurityConfiguration" || !VERSIONS.contains(&file.api_version.as_str()) {
            return Err(unregistered(&file.kind, &file.api_version));
        }
        let mut errors = Vec::new();
        let defaults = &file.defaults;
        let defaults = Policies {
            enforce: policy(
                "enforce",
                &defaults.enforce,
                &defaults.enforce_version,
                &mut errors,
            ),
            audit: policy("audit", &defaults.audit, &defaults.audit_version, &mut errors),
            warn: policy("warn", &defaults.warn, &defaults.warn_version, &mut errors),
        };
        let Exemptions {
            usernames,
            namespaces,
            runtime_classes,
        } = file.exemptions;
        list("namespaces", &namespaces, dns1123_label, &mut errors);
        list("runtimeClasses", &runtime_classes, dns1123_subdomain, &mut errors);
        let no_name = |name: &str| match name {
            "" => vec!["username must not be empty".to_owned()],
            _ => Vec::new(),
        };
        list("usernames", &usernames, no_name, &mut errors);
        if !errors.is_empty() {
            return Err(all(&errors));
        }
        Ok(Self {
            defaults,
            usernames,
            namespaces,
            runtime_classes,
        })
    }

    /// Whether nothing is looked at in this namespace.
    pub fn is_exempt_namespace(&self, name: &str) -> bool {
        self.namespaces.iter().any(|exempt| exempt == name)
    }

    /// Whether nothing is looked at of what this user does.
    pub fn is_exempt_user(&self, name: &str) -> bool {
        self.usernames.iter().any(|exempt| exempt == name)
    }

    /// Whether pods of this pod's runtime class are not looked at.
    pub fn is_exempt_pod(&self, pod: &Value) -> bool {
        let class = pod["spec"]["runtimeClassName"].as_str().unwrap_or_default();
        !class.is_empty() && self.runtime_classes.iter().any(|exempt| exempt == class)
    }
}

fn policy(mode: &str, level: &str, version: &str, errors: &mut Vec<FieldError>) -> Policy {
    let mut policy = Policy::default();
    if !level.is_empty() {
        match Policy::level(level) {
            Ok(level) => policy.level = level,
            Err(why) => errors.push(FieldError::invalid(format!("defaults.{mode}"), level, why)),
        }
    }
    if !version.is_empty() {
        match Policy::version(version) {
            Ok(minor) => policy.minor = minor,
            Err(why) => errors.push(FieldError::invalid(
                format!("defaults.{mode}-version"),
                version,
                why,
            )),
        }
    }
    policy
}

fn list(field: &str, names: &[String], check: impl Fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
    for (index, name) in names.iter().enumerate() {
        let path = format!("exemptions.{field}[{index}]");
        let complaints = check(name);
        if !complaints.is_empty() {
            errors.push(FieldError::invalid(path, name.as_str(), &complaints.join(", ")));
        } else if names[..index].contains(name) {
            errors.push(FieldError::duplicate(path, name.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Level;
    use super::*;

    fn with(part: &Value) -> Result<Settings, String> {
        let mut file = json!({
            "apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration",
        });
        for (name, value) in part.as_object().unwrap() {
            file[name] = value.clone();
        }
        Settings::new(file)
    }

    #[test]
    fn defaults_and_exemptions() {
        assert_eq!(with(&json!({})).unwrap(), Settings::default());
        let settings = with(&json!({
            "defaults": {"enforce": "baseline", "enforce-version": "v1.28", "warn": "restricted"},
            "exemptions": {"usernames": ["a"], "namespaces": ["b"], "runtimeClasses": ["c"]},
        }))
        .unwrap();
        assert_eq!(
            settings.defaults.enforce,
            Policy {
                level: Level::Baseline,
                minor: 28
            }
        );
        assert_eq!(settings.defaults.warn.to_string(), "restricted:latest");
        assert_eq!(settings.defaults.audit, Policy::default());
        assert!(
            settings.is_exempt_user("a") && !settings.is_exempt_user("b") && !settings.is_exempt_user("")
        );
        assert!(settings.is_exempt_namespace("b") && !settings.is_exempt_namespace("a"));
        assert!(settings.is_exempt_pod(&json!({"spec": {"runtimeClassName": "c"}})));
        assert!(!settings.is_exempt_pod(&json!({"spec": {}})));
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        assert_eq!(
            with(&json!({
                "defaults": {"audit": "strict", "warn-version": "1.28"},
                "exemptions": {"usernames": ["", "a", "a"], "namespaces": ["A"], "runtimeClasses": ["b", "b"]},
            }))
            .unwrap_err(),
            "[defaults.audit: Invalid value: \"strict\": must be one of privileged, baseline, restricted, \
             defaults.warn-version: Invalid value: \"1.28\": must be \"latest\" or \"v1.x\", \
             exemptions.namespaces[0]: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case \
             alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?'), \
             exemptions.runtimeClasses[1]: Duplicate value: \"b\", \
             exemptions.usernames[0]: Invalid value: \"\": username must not be empty, \
             exemptions.usernames[2]: Duplicate value: \"a\"]"
        );
        let strict = with(&json!({"default": {}})).unwrap_err();
        assert!(strict.contains("unknown field `default`"), "{strict}");
        assert_eq!(
            with(&json!({"kind": "Pod"})).unwrap_err(),
            "no kind \"Pod\" is registered for version \"pod-security.admission.config.k8s.io/v1\""
        );
    }
}
