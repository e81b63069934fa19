//! Probes and lifecycle hooks.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;
use std::fmt::Arguments;

use crate::kinds::json::{int, is_unset, items, text};
use crate::kinds::metadata::check_port_or_name;

/// Complaints about a container's probes and hooks. `grace` is how many seconds the pod has to end.
pub(super) fn check(
    errors: &mut Vec<FieldError>,
    container: &Value,
    path: Arguments<'_>,
    grace: Option<i64>,
) {
    for hook in ["postStart", "preStop"] {
        if let Some(handler) = container
            .pointer(&format!("/lifecycle/{hook}"))
            .filter(|hook| hook.is_object())
        {
            handler_of(
                errors,
                handler,
                format_args!("{path}.lifecycle.{hook}"),
                &["exec", "httpGet", "tcpSocket", "sleep"],
                grace,
            );
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(value) = container.get(probe).filter(|probe| probe.is_object()) else {
            continue;
        };
        let path = format_args!("{path}.{probe}");
        let kinds = ["exec", "httpGet", "tcpSocket", "grpc"];
        handler_of(errors, value, path, &kinds, grace);
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            let number = int(&value[field], "").unwrap_or(0);
            if number < 0 {
                errors.push(FieldError::invalid(
                    format!("{path}.{field}"),
                    number,
                    names::NON_NEGATIVE,
                ));
            }
        }
        let grace = int(value, "/terminationGracePeriodSeconds");
        if grace.is_some_and(|grace| grace <= 0) {
            let path = format_args!("{path}.terminationGracePeriodSeconds");
            errors.push(FieldError::invalid(
                path,
                grace.unwrap_or(0),
                "must be greater than 0",
            ));
        }
        if probe == "readinessProbe" {
            if grace.is_some() {
                let detail = "must not be set for readinessProbes";
                errors.push(FieldError::invalid(
                    format!("{path}.terminationGracePeriodSeconds"),
                    grace,
                    detail,
                ));
            }
        } else {
            let threshold = int(value, "/successThreshold").unwrap_or(1);
            if threshold != 1 {
                errors.push(FieldError::invalid(
                    format!("{path}.successThreshold"),
                    threshold,
                    "must be 1",
                ));
            }
        }
    }
}

fn handler_of(
    errors: &mut Vec<FieldError>,
    handler: &Value,
    path: Arguments<'_>,
    kinds: &[&str],
    grace: Option<i64>,
) {
    let mut found = 0;
    for kind in kinds {
        let Some(action) = handler.get(*kind).filter(|action| action.is_object()) else {
            continue;
        };
        let path = format_args!("{path}.{kind}");
        found += 1;
        if found > 1 {
            errors.push(FieldError::forbidden(
                path,
                "may not specify more than 1 handler type",
            ));
            continue;
        }
        match *kind {
            "exec" if is_unset(action.get("command")) => {
                errors.push(FieldError::required(format!("{path}.command"), ""));
            }
            "httpGet" => http_get(errors, action, path),
            "tcpSocket" => check_port_or_name(errors, action.get("port"), &format!("{path}.port")),
            "grpc" => {
                let port = int(action, "/port").unwrap_or(0);
                errors.extend(FieldError::complaints(
                    format_args!("{path}.port"),
                    port,
                    names::port_number(port),
                ));
            }
            "sleep" => sleep(errors, action, path, grace),
            _ => {}
        }
    }
    if found == 0 {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}

/// A hook that only waits must be over before the pod has to be.
fn sleep(errors: &mut Vec<FieldError>, action: &Value, path: Arguments<'_>, grace: Option<i64>) {
    let (seconds, Some(grace)) = (int(action, "/seconds").unwrap_or(0), grace) else {
        return;
    };
    if seconds < 0 || seconds > grace {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(FieldError::invalid(path, seconds, &detail));
    }
}

fn http_get(errors: &mut Vec<FieldError>, action: &Value, path: Arguments<'_>) {
    if text(action, "/path").is_empty() {
        errors.push(FieldError::required(format!("{path}.path"), ""));
    }
    check_port_or_name(errors, action.get("port"), &format!("{path}.port"));
    let scheme = text(action, "/scheme");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.push(FieldError::not_supported(
            format!("{path}.scheme"),
            scheme,
            &["HTTP", "HTTPS"],
        ));
    }
    for header in items(action, "/httpHeaders") {
        let name = text(header, "/name");
        errors.extend(FieldError::complaints(
            format_args!("{path}.httpHeaders"),
            name,
            names::http_header_name(name),
        ));
    }
}
