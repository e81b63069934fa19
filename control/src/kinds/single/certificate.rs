//! CertificateSigningRequests.

use std::collections::{BTreeMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keelson_api::names;
use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::{Value, json};
use x509_parser::asn1_rs::{Any, FromDer, Tag};
use x509_parser::pem::parse_x509_pem;

use super::signing;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, items, text};
use crate::kinds::{Kind, Strategy, cells, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    AGE,
    (
        "SignerName",
        "string",
        0,
        "signerName indicates the requested signer, and is a qualified name.",
    ),
    (
        "Requestor",
        "string",
        0,
        "username contains the name of the user that created the request.",
    ),
    (
        "RequestedDuration",
        "string",
        0,
        "expirationSeconds is the requested duration of validity.",
    ),
    ("Condition", "string", 0, "Current state of the request."),
];

pub(super) fn kind() -> Kind {
    let (name, plural) = ("CertificateSigningRequest", "certificatesigningrequests");
    describe::kind("certificates.k8s.io/v1", name, plural, COLUMNS, Request)
        .cluster()
        .short(&["csr"])
        .status()
        .same("approval", &["get", "patch", "update"])
        .done()
}

/// What a certificate can be for.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

#[derive(Debug)]
struct Request;

impl Strategy for Request {
    fn prepare_create(&self, new: &mut Value) {
        update::clear_status(new);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        let conditions = new.pointer("/status/conditions").cloned();
        update::keep(old, new, "spec");
        match subresource {
            // Approval may only add conditions; the certificate is the signer's.
            Some("approval") => {
                update::keep(old, new, "status");
                if let Some(conditions) = conditions {
                    if !new["status"].is_object() {
                        new["status"] = json!({});
                    }
                    new["status"]["conditions"] = conditions;
                }
            }
            Some("status") => signing::keep_approval(old, new),
            _ => update::keep(old, new, "status"),
        }
        signing::date(old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let request = text(object, "/spec/request");
        if let Err(detail) = check_request(request) {
            errors.push(FieldError::invalid("spec.request", request, &detail));
        }
        let usages = items(object, "/spec/usages");
        if usages.is_empty() {
            errors.push(FieldError::required("spec.usages", "usages must be provided"));
        }
        let mut seen = HashSet::new();
        for (index, usage) in usages.iter().filter_map(Value::as_str).enumerate() {
            let path = format!("spec.usages[{index}]");
            if !USAGES.contains(&usage) {
                errors.push(FieldError::not_supported(path.as_str(), usage, &USAGES));
            }
            if !seen.insert(usage) {
                errors.push(FieldError::duplicate(path, usage));
            }
        }
        let signer = text(object, "/spec/signerName");
        match signer.split_once('/') {
            _ if signer.is_empty() => errors.push(FieldError::required("spec.signerName", "")),
            None => {
                let detail =
                    "must be a fully qualified domain and path of the form 'example.com/signer-name'";
                errors.push(FieldError::invalid("spec.signerName", signer, detail));
            }
            Some(_) if signer == "kubernetes.io/legacy-unknown" => {
                let detail = "the legacy signerName is not allowed via this API version";
                errors.push(FieldError::invalid("spec.signerName", signer, detail));
            }
            Some((domain, path)) => {
                errors.extend(FieldError::complaints(
                    "spec.signerName",
                    signer,
                    names::dns1123_subdomain(domain),
                ));
                if !domain.contains('.') {
                    let detail = "should be a domain with at least two segments separated by dots";
                    errors.push(FieldError::invalid("spec.signerName", signer, detail));
                }
                if path.is_empty() {
                    let detail =
                        "must be a fully qualified domain and path of the form 'example.com/signer-name'";
                    errors.push(FieldError::invalid("spec.signerName", signer, detail));
                }
            }
        }
        if let Some(seconds) = int(object, "/spec/expirationSeconds")
            && seconds < 600
        {
            let detail = "may not specify a duration less than 600 seconds (10 minutes)";
            errors.push(FieldError::invalid("spec.expirationSeconds", seconds, detail));
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = signing::conditions(new);
        errors.extend(signing::change(subresource, old, new));
        errors
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        BTreeMap::from([(
            "spec.signerName".to_owned(),
            text(object, "/spec/signerName").to_owned(),
        )])
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["spec.signerName"]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let duration = int(object, "/spec/expirationSeconds");
        let duration = duration.map_or_else(|| "<none>".to_owned(), time::human_duration);
        vec![
            cells::name(object),
            cells::age(object, now),
            cells::text_or(object, "/spec/signerName", "<none>"),
            Value::from(text(object, "/spec/username")),
            Value::from(duration),
            Value::from(state(object)),
        ]
    }
}

/// Whether this is a signing request (PKCS#10) in PEM, in base64. Its signature is checked by who signs.
fn check_request(request: &str) -> Result<(), String> {
    const WHAT: &str = "PEM block type must be CERTIFICATE REQUEST";
    let bytes = STANDARD.decode(request).map_err(|error| error.to_string())?;
    let (_, pem) = parse_x509_pem(&bytes).map_err(|_| WHAT)?;
    if pem.label != "CERTIFICATE REQUEST" {
        return Err(WHAT.to_owned());
    }
    // Go's parser leaves attributes alone that it does not know, which ours reads; so what is around them decides.
    match Any::from_der(&pem.contents) {
        Ok(([], outer)) if outer.tag() == Tag::Sequence => Ok(()),
        Ok(([], _)) => Err("asn1: structure error: tags don't match".to_owned()),
        Ok(_) => Err("asn1: syntax error: trailing data".to_owned()),
        Err(error) => Err(format!("asn1: syntax error: {error}")),
    }
}

fn state(object: &Value) -> String {
    let mut parts: Vec<&str> = items(object, "/status/conditions")
        .iter()
        .map(|condition| text(condition, "/type"))
        .filter(|kind| matches!(*kind, "Approved" | "Denied" | "Failed"))
        .collect();
    if parts.is_empty() {
        parts.push("Pending");
    }
    if !text(object, "/status/certificate").is_empty() {
        parts.push("Issued");
    }
    parts.join(",")
}
