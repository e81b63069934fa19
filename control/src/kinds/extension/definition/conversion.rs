//! How objects of a definition become those of another version (`validateCustomResourceConversion`).

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::extension::webhook::{client, versions};
use crate::kinds::json::{items, text};

/// Where upstream's internal type has the webhook and what it knows; that of v1 has both one level further down.
const CLIENT: &str = "spec.conversion.webhookClientConfig";
const VERSIONS: &str = "spec.conversion.conversionReviewVersions";

/// Complaints about the conversion of a definition.
pub(super) fn check(definition: &Value, errors: &mut Vec<FieldError>) {
    const STRATEGIES: [&str; 2] = ["None", "Webhook"];
    let strategy = text(definition, "/spec/conversion/strategy");
    let path = "spec.conversion.strategy";
    if strategy.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !STRATEGIES.contains(&strategy) {
        errors.push(FieldError::not_supported(path, strategy, &STRATEGIES));
    }
    let webhook = &definition["spec"]["conversion"]["webhook"];
    let known = items(webhook, "/conversionReviewVersions");
    let has_client = webhook["clientConfig"].is_object();
    if strategy == "Webhook" {
        if has_client {
            client(errors, webhook, CLIENT);
        } else {
            let detail = "required when strategy is set to Webhook";
            errors.push(FieldError::required(CLIENT, detail));
        }
        versions(errors, known, VERSIONS, "");
        return;
    }
    for (is_set, path) in [(has_client, CLIENT), (!known.is_empty(), VERSIONS)] {
        if is_set {
            let detail = "should not be set when strategy is not set to Webhook";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
}
