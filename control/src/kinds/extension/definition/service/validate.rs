//! What an APIService must say.
//!
//! Source: `k8s.io/kube-aggregator/pkg/apis/apiregistration/validation`.

use keelson_api::names::{dns1035_label, dns1123_subdomain, port_number};
use keelson_api::status::{FieldError, go_quote};
use serde_json::Value;

use crate::kinds::json::{int, is_true, text};

/// Complaints about an APIService.
pub(super) fn service(service: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (group, version) = (text(service, "/spec/group"), text(service, "/spec/version"));
    let (name, expected) = (text(service, "/metadata/name"), format!("{version}.{group}"));
    if !name.is_empty() && name != expected {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {}", go_quote(&expected));
        errors.push(FieldError::invalid("metadata.name", name, &detail));
    }
    if group.is_empty() && version != "v1" {
        let detail = "only v1 may have an empty group and it better be legacy kube";
        errors.push(FieldError::required("spec.group", detail));
    }
    if !group.is_empty() {
        errors.extend(FieldError::complaints(
            "spec.group",
            group,
            dns1123_subdomain(group),
        ));
    }
    errors.extend(FieldError::complaints(
        "spec.version",
        version,
        dns1035_label(version),
    ));
    for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let value = int(service, &format!("/spec/{field}")).unwrap_or(0);
        if !(1..=most).contains(&value) {
            let detail = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(format!("spec.{field}"), value, &detail));
        }
    }
    let bundle = text(service, "/spec/caBundle");
    let trusts = is_true(service, "/spec/insecureSkipTLSVerify");
    let refuse_trust = |detail: &str| FieldError::invalid("spec.insecureSkipTLSVerify", true, detail);
    let Some(target) = service
        .pointer("/spec/service")
        .filter(|target| target.is_object())
    else {
        if !bundle.is_empty() {
            let shown = format!("{} bytes", bundle.trim_end_matches('=').len() * 3 / 4);
            let detail = "local APIServices may not have a caBundle";
            errors.push(FieldError::invalid("spec.caBundle", shown, detail));
        }
        if trusts {
            errors.push(refuse_trust(
                "local APIServices may not have insecureSkipTLSVerify",
            ));
        }
        return errors;
    };
    for field in ["namespace", "name"] {
        if text(target, &format!("/{field}")).is_empty() {
            errors.push(FieldError::required(format!("spec.service.{field}"), ""));
        }
    }
    let port = int(target, "/port").unwrap_or(0);
    let complaints = port_number(port);
    if !complaints.is_empty() {
        let detail = format!("port is not valid: {}", complaints.join(", "));
        errors.push(FieldError::invalid("spec.service.port", port, &detail));
    }
    if trusts && !bundle.is_empty() {
        errors.push(refuse_trust("may not be true if caBundle is present"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_told() {
        let told = |spec: Value| -> Vec<String> {
            let name = format!("{}.{}", text(&spec, "/version"), text(&spec, "/group"));
            let service = json!({"metadata": {"name": name}, "spec": spec});
            super::service(&service).iter().map(ToString::to_string).collect()
        };
        let with = |change: Value| {
            let mut spec = json!({"group": "a.example.com", "version": "v1", "groupPriorityMinimum": 1,
                "versionPriority": 1, "service": {"namespace": "d", "name": "s", "port": 443}});
            for (name, value) in change.as_object().unwrap() {
                spec[name] = value.clone();
            }
            told(spec)
        };
        let none: [&str; 0] = [];
        assert_eq!(with(json!({})), none);
        assert_eq!(with(json!({"group": "", "service": null})), none);
        for (change, field) in [
            (
                json!({"group": "", "version": "v2"}),
                "spec.group: Required value: only v1 may",
            ),
            (
                json!({"group": "A"}),
                "spec.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain",
            ),
            (
                json!({"version": "1"}),
                "spec.version: Invalid value: \"1\": a DNS-1035 label",
            ),
            (
                json!({"groupPriorityMinimum": 20_001}),
                "spec.groupPriorityMinimum: Invalid value: 20001",
            ),
            (
                json!({"versionPriority": 0}),
                "spec.versionPriority: Invalid value: 0: must be positive",
            ),
            (
                json!({"service": null, "caBundle": "AAAAAA=="}),
                "spec.caBundle: Invalid value: \"4 bytes\": local",
            ),
            (
                json!({"service": null, "insecureSkipTLSVerify": true}),
                "spec.insecureSkipTLSVerify: Invalid value: true: local",
            ),
            (
                json!({"caBundle": "AAAA", "insecureSkipTLSVerify": true}),
                "spec.insecureSkipTLSVerify: Invalid value: true: may not be true",
            ),
            (
                json!({"service": {"name": "s", "port": 443}}),
                "spec.service.namespace: Required value",
            ),
            (
                json!({"service": {"namespace": "d", "name": "s", "port": 70_000}}),
                "spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535",
            ),
        ] {
            let found = with(change.clone());
            assert!(
                found.len() == 1 && found[0].starts_with(field),
                "{change}: {found:?}"
            );
        }
    }
}
