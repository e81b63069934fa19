//! What is wrong with a configuration, in upstream's words (`ValidateEncryptionConfiguration`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::status::FieldError;

use super::configuration::{Configuration, Key, Keys, Provider};
use super::rules::parse_resource;

/// Key lengths of AES, in bytes.
const AES: &[usize] = &[16, 24, 32];
/// Key length of secretbox, in bytes.
const SECRETBOX: &[usize] = &[32];

/// All faults, in the file's order.
pub fn validate(configuration: &Configuration) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if configuration.resources.is_empty() {
        errors.push(FieldError::required(
            "resources",
            "at least one resources is required",
        ));
    }
    for (index, part) in configuration.resources.iter().enumerate() {
        let resources = format!("resources[{index}].resources");
        let providers = format!("resources[{index}].providers");
        if part.resources.is_empty() {
            errors.push(FieldError::required(
                resources.as_str(),
                &format!("at least one {resources} is required"),
            ));
        }
        overlap(&part.resources, &resources, &mut errors);
        for (index, name) in part.resources.iter().enumerate() {
            if let Some(why) = name_fault(name) {
                let field = format!("{resources}[{index}]");
                errors.push(FieldError::invalid(field, name.as_str(), why));
            }
        }
        if part.providers.is_empty() {
            errors.push(FieldError::required(
                providers.as_str(),
                &format!("at least one {providers} is required"),
            ));
        }
        for (index, provider) in part.providers.iter().enumerate() {
            self::provider(provider, &format!("{providers}[{index}]"), &mut errors);
        }
    }
    errors
}

fn overlap(names: &[String], field: &str, errors: &mut Vec<FieldError>) {
    let parsed: Vec<_> = names.iter().map(|name| parse_resource(name)).collect();
    let pairs = || {
        parsed
            .iter()
            .enumerate()
            .flat_map(|(index, one)| parsed[index + 1..].iter().map(move |other| (one, other)))
    };
    let everything = |it: &crate::object::GroupResource| it.group == "*" && it.resource == "*";
    if pairs().any(|(one, other)| one == other) {
        errors.push(FieldError::invalid(
            field,
            names.to_vec(),
            "the same resource cannot be specified multiple times",
        ));
    }
    let masks = pairs().any(|(one, other)| {
        one != other
            && (everything(one)
                || everything(other)
                || (one.group == other.group && (one.resource == "*" || other.resource == "*")))
    });
    if masks {
        errors.push(FieldError::invalid(
            field,
            names.to_vec(),
            "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they \
             will be masked",
        ));
    }
}

fn name_fault(name: &str) -> Option<&'static str> {
    let parsed = parse_resource(name);
    if name.to_lowercase() != name {
        Some("resource name should not contain capital letters")
    } else if name == "*" {
        Some("use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources")
    } else if matches!(
        name,
        "apiserveripinfo" | "serviceipallocations" | "servicenodeportallocations"
    ) {
        Some("resources which do not have REST API/s cannot be encrypted")
    } else if parsed.group == "events.k8s.io" {
        Some(
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the \
             config file",
        )
    } else if parsed.group == "extensions" {
        Some("'extensions' group has been removed and cannot be used for encryption")
    } else if parsed.group == "*" && parsed.resource != "*" {
        Some("encrypting the same resource across groups is not supported")
    } else {
        None
    }
}

fn provider(provider: &Provider, field: &str, errors: &mut Vec<FieldError>) {
    let found = [
        provider.aesgcm.is_some(),
        provider.aescbc.is_some(),
        provider.secretbox.is_some(),
        provider.identity.is_some(),
        provider.kms.is_some(),
    ];
    match found.iter().filter(|found| **found).count() {
        1 => {}
        0 => errors.push(FieldError::invalid_shown(
            field,
            "{}",
            "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity",
        )),
        _ => errors.push(FieldError::invalid_shown(
            field,
            "REDACTED",
            "more than one provider specified in a single element, should split into different list elements",
        )),
    }
    if provider.kms.is_some() {
        errors.push(FieldError::forbidden(
            format!("{field}.kms"),
            "key management services are not supported by this API server; use secretbox, aesgcm or aescbc",
        ));
    }
    for (name, found, lengths) in [
        ("aesgcm", &provider.aesgcm, AES),
        ("aescbc", &provider.aescbc, AES),
        ("secretbox", &provider.secretbox, SECRETBOX),
    ] {
        if let Some(found) = found {
            keys(found, &format!("{field}.{name}.keys"), lengths, errors);
        }
    }
}

fn keys(found: &Keys, field: &str, lengths: &[usize], errors: &mut Vec<FieldError>) {
    if found.keys.is_empty() {
        errors.push(FieldError::required(field, "at least one keys is required"));
    }
    for (index, found) in found.keys.iter().enumerate() {
        key(found, &format!("{field}[{index}]"), lengths, errors);
    }
}

fn key(key: &Key, field: &str, lengths: &[usize], errors: &mut Vec<FieldError>) {
    if key.name.is_empty() {
        let field = format!("{field}.name");
        errors.push(FieldError::required(field, "name is a mandatory field for a key"));
    }
    let field = format!("{field}.secret");
    if key.secret.is_empty() {
        errors.push(FieldError::required(
            field,
            "secret is a mandatory field for a key",
        ));
        return;
    }
    let Ok(secret) = STANDARD.decode(&key.secret) else {
        errors.push(FieldError::invalid(
            field,
            "REDACTED",
            "secrets must be base64 encoded",
        ));
        return;
    };
    if !lengths.contains(&secret.len()) {
        let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
        errors.push(FieldError::invalid(
            field,
            "REDACTED",
            &format!(
                "secret is not of the expected length, got {}, expected one of [{}]",
                secret.len(),
                lengths.join(" ")
            ),
        ));
    }
}
