//! What becomes of a CertificateSigningRequest: who approves it writes conditions, who signs it the certificate.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keelson_api::status::{FieldError, MOST_ERRORS, go_quote};
use keelson_api::time;
use serde_json::Value;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::kinds::json::{items, set_default, text};

/// What only an approval says.
const APPROVALS: [&str; 2] = ["Approved", "Denied"];
/// What is said once and for all, and not by halves.
const LASTING: [&str; 3] = ["Approved", "Denied", "Failed"];

fn of_kind<'a>(request: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = items(request, "/status/conditions").iter();
    all.filter(|condition| text(condition, "/type") == kind).collect()
}

fn conditions_of(request: &mut Value) -> impl Iterator<Item = &mut Value> {
    let list = request.pointer_mut("/status/conditions");
    list.and_then(Value::as_array_mut).into_iter().flatten()
}

/// Whoever writes the status leaves the approval as it is; to add one or to take one away is an error.
pub(super) fn keep_approval(old: &Value, new: &mut Value) {
    for kind in APPROVALS {
        let kept: Vec<Value> = of_kind(old, kind).into_iter().cloned().collect();
        if kept.len() != of_kind(new, kind).len() {
            continue;
        }
        let slots = conditions_of(new).filter(|condition| text(condition, "/type") == kind);
        for (slot, kept) in slots.zip(kept) {
            *slot = kept;
        }
    }
}

/// Says when conditions were written, where the client does not: now, or when it has become so.
pub(super) fn date(old: &Value, new: &mut Value) {
    let now = time::now_rfc3339();
    let mut times = HashMap::new();
    for condition in items(old, "/status/conditions") {
        let since = text(condition, "/lastTransitionTime");
        if !since.is_empty() {
            let of = (text(condition, "/type"), text(condition, "/status"));
            times.entry(of).or_insert(since);
        }
    }
    for condition in conditions_of(new) {
        let of = (text(condition, "/type"), text(condition, "/status"));
        let since = times.get(&of).copied().unwrap_or(now.as_str());
        if let Some(condition) = condition.as_object_mut() {
            set_default(condition, "lastUpdateTime", now.as_str());
            set_default(condition, "lastTransitionTime", since);
        }
    }
}

/// Complaints about the conditions.
pub(super) fn conditions(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, condition) in items(object, "/status/conditions").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return errors;
        }
        let path = format!("status.conditions[{index}]");
        let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        }
        let allowed: &[&str] = if LASTING.contains(&kind) {
            &["True"]
        } else {
            &["False", "True", "Unknown"]
        };
        if status.is_empty() {
            errors.push(FieldError::required(format!("{path}.status"), ""));
        } else if !allowed.contains(&status) {
            errors.push(FieldError::not_supported(
                format!("{path}.status"),
                status,
                allowed,
            ));
        }
        if APPROVALS.contains(&kind)
            && APPROVALS
                .iter()
                .any(|other| *other != kind && seen.contains(other))
        {
            let detail = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(format!("{path}.type"), kind, detail));
        }
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind));
        }
    }
    errors
}

/// Complaints about a change through this subresource.
pub(super) fn change(subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let path = "status.certificate";
    let (issued, certificate) = (text(old, "/status/certificate"), text(new, "/status/certificate"));
    if subresource == Some("status") && issued != certificate {
        if !is_strange(issued)
            && let Err(why) = check_certificates(certificate)
        {
            errors.push(FieldError::invalid(path, "<certificate data>", &why));
        }
        if !issued.is_empty() {
            let detail = "updates may not modify existing certificate content";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
    let path = "status.conditions";
    for kind in LASTING {
        let (were, are) = (of_kind(old, kind).len(), of_kind(new, kind).len());
        if are < were {
            let detail = format!("updates may not remove a condition of type {kind:?}");
            errors.push(FieldError::forbidden(path, &detail));
        } else if are > were && APPROVALS.contains(&kind) && subresource != Some("approval") {
            let detail = format!("updates may not add a condition of type {kind:?}");
            errors.push(FieldError::forbidden(path, &detail));
        }
    }
    errors
}

/// Whether what was stored is no certificate, which then may go on to be none.
fn is_strange(certificate: &str) -> bool {
    !certificate.is_empty() && check_certificates(certificate).is_err()
}

/// Whether these are certificates in PEM, in base64, and nothing else (`validateCertificate`). None at all is good, too.
fn check_certificates(encoded: &str) -> Result<(), String> {
    if encoded.is_empty() {
        return Ok(());
    }
    let bytes = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    let mut found = false;
    for block in x509_parser::pem::Pem::iter_from_buffer(&bytes) {
        let Ok(block) = block else { break };
        if block.label != "CERTIFICATE" {
            return Err(format!(
                "only CERTIFICATE PEM blocks are allowed, found {}",
                go_quote(&block.label)
            ));
        }
        found = true;
        let mut rest = block.contents.as_slice();
        if rest.is_empty() {
            return Err("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        while !rest.is_empty() {
            let parsed = X509Certificate::from_der(rest);
            (rest, _) = parsed.map_err(|error| format!("x509: malformed certificate: {error}"))?;
        }
    }
    if found {
        Ok(())
    } else {
        Err("must contain at least one CERTIFICATE PEM block".to_owned())
    }
}
