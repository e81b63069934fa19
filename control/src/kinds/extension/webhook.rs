//! Where a webhook is, and what it speaks: of admission, and of conversion (`apiserver/pkg/util/webhook`).

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::go;
use crate::kinds::json::{int, text};

/// What is wrong with versions of reviews of which the server knows none.
pub(super) const UNKNOWN_VERSIONS: &str = "must include at least one of v1, v1beta1";

/// Complaints about where a webhook is, for admission or for conversion.
pub(super) fn client(errors: &mut Vec<FieldError>, webhook: &Value, path: &str) {
    let has = |field: &str| {
        webhook
            .pointer(&format!("/clientConfig/{field}"))
            .is_some_and(|value| !value.is_null())
    };
    if has("url") == has("service") {
        let detail = "exactly one of url or service is required";
        errors.push(FieldError::required(path, detail));
    } else if has("url") {
        url(errors, text(webhook, "/clientConfig/url"), &format!("{path}.url"));
    } else {
        let path = format!("{path}.service");
        let at = |field: &str| text(webhook, &format!("/clientConfig/service/{field}"));
        for (field, what) in [("name", "service name"), ("namespace", "service namespace")] {
            if at(field).is_empty() {
                let detail = format!("{what} is required");
                errors.push(FieldError::required(format!("{path}.{field}"), &detail));
            }
        }
        let port = int(webhook, "/clientConfig/service/port").unwrap_or(443);
        for complaint in names::port_number(port) {
            let detail = format!("port is not valid: {complaint}");
            errors.push(FieldError::invalid(format!("{path}.port"), port, &detail));
        }
        let place = at("path");
        if !place.is_empty() && !place.starts_with('/') {
            let detail = "must start with a '/'";
            errors.push(FieldError::invalid(format!("{path}.path"), place, detail));
        }
    }
}

fn url(errors: &mut Vec<FieldError>, url: &str, path: &str) {
    const FORM: &str = "; desired format: https://host[/path]";
    let mut complain = |shown: &str, what: &str| {
        errors.push(FieldError::invalid(path, shown, &format!("{what}{FORM}")));
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // Go reads schemes without case, and shows them so.
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" {
        complain(&scheme, "'https' is the only allowed URL scheme");
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // What has no scheme is a path.
    let authority = match scheme.as_str() {
        "" => "",
        _ => rest.split('/').next().unwrap_or_default(),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        complain(host, "host must be provided");
    }
    if !user.is_empty() {
        complain(user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        complain(fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        complain(query, "query parameters are not permitted in the URL");
    }
}

/// Complaints about the versions of reviews that a webhook knows; `missing` is what is said if there are none.
pub(super) fn versions(errors: &mut Vec<FieldError>, versions: &[Value], path: &str, missing: &str) {
    if versions.is_empty() {
        errors.push(FieldError::required(path, missing));
        return;
    }
    let mut seen = HashSet::new();
    for (at, version) in versions.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let version = version.as_str().unwrap_or_default();
        let at = format!("{path}[{at}]");
        if !seen.insert(version) {
            errors.push(FieldError::invalid(at, version, "duplicate version"));
            continue;
        }
        errors.extend(FieldError::complaints(at, version, names::dns1035_label(version)));
    }
    if !seen.contains("v1") && !seen.contains("v1beta1") {
        errors.push(FieldError::invalid_shown(
            path,
            &go::list("string", versions),
            UNKNOWN_VERSIONS,
        ));
    }
}
