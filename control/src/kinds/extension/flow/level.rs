//! What a PriorityLevelConfiguration must say (`flowcontrol/validation.ValidatePriorityLevelConfiguration`).

use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::is_other;
use crate::kinds::json::{int, text};

/// Complaints about a PriorityLevelConfiguration.
pub(super) fn validate(level: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let has = |field: &str| {
        level
            .pointer(&format!("/spec/{field}"))
            .is_some_and(Value::is_object)
    };
    let (name, kind) = (text(level, "/metadata/name"), text(level, "/spec/type"));
    if (name == "exempt") != (kind == "Exempt") {
        let detail = "type must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(FieldError::invalid("spec.type", kind, detail));
    }
    match kind {
        "Exempt" => {
            shares(&mut errors, level, "exempt");
            if has("limited") {
                let detail = "must be nil if the type is not Limited";
                errors.push(FieldError::forbidden("spec.limited", detail));
            }
        }
        "Limited" => {
            if has("exempt") {
                let detail = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden("spec.exempt", detail));
            }
            if has("limited") {
                limited(&mut errors, level);
            } else {
                let detail = "must not be empty when type is Limited";
                errors.push(FieldError::required("spec.limited", detail));
            }
        }
        other => {
            errors.push(FieldError::not_supported(
                "spec.type",
                other,
                &["Exempt", "Limited"],
            ));
        }
    }
    if let Some(detail) = fixed(name, &level["spec"]) {
        errors.push(FieldError::invalid("spec", level["spec"].clone(), &detail));
    }
    errors
}

/// What is wrong with the levels that every server has.
fn fixed(name: &str, spec: &Value) -> Option<String> {
    match name {
        "exempt" => {
            let mut rest = spec.clone();
            if let Some(rest) = rest.as_object_mut() {
                rest.remove("exempt");
            }
            is_other(&rest, &json!({"type": "Exempt"})).then(|| {
                "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value".to_owned()
            })
        }
        "catch-all" => {
            let catch_all = json!({"type": "Limited", "limited": {
                "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"},
            }});
            is_other(spec, &catch_all).then(|| "spec of 'catch-all' must equal the fixed value".to_owned())
        }
        _ => None,
    }
}

/// The numbers that both types have.
fn shares(errors: &mut Vec<FieldError>, level: &Value, part: &str) {
    let path = format!("spec.{part}");
    let number = |field: &str| int(level, &format!("/spec/{part}/{field}"));
    if let Some(shares) = number("nominalConcurrencyShares").filter(|shares| *shares < 0) {
        errors.push(FieldError::invalid(
            format!("{path}.nominalConcurrencyShares"),
            shares,
            "must be a non-negative integer",
        ));
    }
    if let Some(share) = number("lendablePercent").filter(|share| !(0..=100).contains(share)) {
        errors.push(FieldError::invalid(
            format!("{path}.lendablePercent"),
            share,
            "must be between 0 and 100, inclusive",
        ));
    }
}

/// Most queues of a level, and most bits of a hash that dealing a hand of queues may take.
const MOST_QUEUES: i64 = 10_000_000;
const MOST_BITS: f64 = 60.0;

fn limited(errors: &mut Vec<FieldError>, level: &Value) {
    shares(errors, level, "limited");
    if let Some(limit) = int(level, "/spec/limited/borrowingLimitPercent").filter(|limit| *limit < 0) {
        errors.push(FieldError::invalid(
            "spec.limited.borrowingLimitPercent",
            limit,
            "if specified, must be a non-negative integer",
        ));
    }
    let queuing = level
        .pointer("/spec/limited/limitResponse/queuing")
        .filter(|queuing| queuing.is_object());
    let path = "spec.limited.limitResponse";
    match (text(level, "/spec/limited/limitResponse/type"), queuing) {
        ("Reject", Some(_)) => {
            let detail = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(format!("{path}.queuing"), detail));
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            let detail = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(format!("{path}.queuing"), detail));
        }
        ("Queue", Some(queuing)) => {
            let of = |field: &str| int(queuing, &format!("/{field}")).unwrap_or(0);
            for field in ["queueLengthLimit", "queues", "handSize"] {
                if of(field) <= 0 {
                    let detail = "must be positive";
                    errors.push(FieldError::invalid(
                        format!("{path}.queuing.{field}"),
                        of(field),
                        detail,
                    ));
                }
            }
            let (queues, hand) = (of("queues"), of("handSize"));
            if queues > MOST_QUEUES {
                let detail = format!("must not be greater than {MOST_QUEUES}");
                errors.push(FieldError::invalid(
                    format!("{path}.queuing.queues"),
                    queues,
                    &detail,
                ));
            }
            let detail = if hand > queues {
                format!("should not be greater than queues ({queues})")
            } else if hand > 0 && bits(queues, hand) > MOST_BITS {
                format!(
                    "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than \
                     {MOST_BITS}"
                )
            } else {
                return;
            };
            if hand > 0 {
                errors.push(FieldError::invalid(
                    format!("{path}.queuing.handSize"),
                    hand,
                    &detail,
                ));
            }
        }
        ("", _) => errors.push(FieldError::required(format!("{path}.type"), "")),
        (other, _) => {
            let path = format!("{path}.type");
            errors.push(FieldError::not_supported(path, other, &["Queue", "Reject"]));
        }
    }
}

/// How many bits it takes to deal a hand, by upstream's estimate.
#[allow(clippy::cast_precision_loss)] // far below 2^52
fn bits(queues: i64, hand: i64) -> f64 {
    ((queues as f64).log2() * hand as f64).ceil()
}
