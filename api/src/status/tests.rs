use serde_json::{Value, json};

use super::{FieldError, MOST_ERRORS, Status, go_quote};

#[test]
fn not_found_names_the_resource_with_its_group() {
    let status = Status::not_found("apps", "deployments", "x");
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "deployments.apps \"x\" not found", "reason": "NotFound",
            "details": {"name": "x", "group": "apps", "kind": "deployments"}, "code": 404
        })
    );
    assert_eq!(Status::not_found("", "pods", "x").message, "pods \"x\" not found");
}

#[test]
fn invalid_lists_causes_and_aggregates_messages() {
    let errors = [
        FieldError::invalid("spec.replicas", -1, "must be greater than or equal to 0"),
        FieldError::required("spec.selector", ""),
        FieldError::required("spec.selector", ""),
    ];
    let status = Status::invalid("apps", "Deployment", "x", &errors);
    assert_eq!(
        status.message,
        "Deployment.apps \"x\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, \
         spec.selector: Required value]"
    );
    assert_eq!(status.code, 422);
    let details = status.details.unwrap();
    assert_eq!((details.kind.as_str(), details.causes.len()), ("Deployment", 3));
    assert_eq!(details.causes[0].reason, "FieldValueInvalid");
    assert_eq!(
        details.causes[0].message,
        "Invalid value: -1: must be greater than or equal to 0"
    );
    let one = Status::invalid("", "Pod", "x", &errors[..1]);
    assert_eq!(
        one.message,
        "Pod \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
}

#[test]
fn field_errors_are_worded_as_upstream() {
    let cases = [
        (
            FieldError::not_supported("a", "x", &["Always", "Never"]),
            "a: Unsupported value: \"x\": supported values: \"Always\", \"Never\"",
        ),
        (
            FieldError::duplicate("a[1].name", "x"),
            "a[1].name: Duplicate value: \"x\"",
        ),
        (
            FieldError::forbidden("a", "may not change"),
            "a: Forbidden: may not change",
        ),
        (
            FieldError::too_long("a", 63),
            "a: Too long: may not be more than 63 bytes",
        ),
        (
            FieldError::too_many("a", 3, 1),
            "a: Too many: 3: must have at most 1 item",
        ),
        (FieldError::not_found("a", "v"), "a: Not found: \"v\""),
        (
            FieldError::invalid("a", json!(null), "no"),
            "a: Invalid value: \"null\": no",
        ),
        (
            FieldError::invalid("a", json!({"b": 1}), "no"),
            "a: Invalid value: {\"b\":1}: no",
        ),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn quotes_like_go() {
    assert_eq!(go_quote("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\n\\x01é\"");
}

#[test]
fn other_answers_have_upstreams_words() {
    assert_eq!(
        Status::conflict("apps", "deployments", "x").message,
        "Operation cannot be fulfilled on deployments.apps \"x\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    assert_eq!(
        Status::method_not_allowed().message,
        "the server does not allow this method on the requested resource"
    );
    assert_eq!(
        Status::forbidden("", "pods", "", "no").message,
        "pods is forbidden: no"
    );
    assert_eq!(Status::internal("x").message, "Internal error occurred: x");
    assert!(size_of::<Status>() <= 128, "clippy::result_large_err");
}

#[test]
fn of_very_many_errors_some_are_told() {
    let errors: Vec<FieldError> = (0..200_000)
        .map(|n| FieldError::invalid(format!("metadata.labels.x{n}"), "y", "no"))
        .collect();
    let began = std::time::Instant::now();
    let status = Status::invalid("", "Pod", "p", &errors);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert_eq!(status.details.as_ref().unwrap().causes.len(), MOST_ERRORS);
    assert!(
        status.message.ends_with("no], and 199000 more errors"),
        "{}",
        &status.message[status.message.len() - 100..]
    );
}

#[test]
fn of_what_is_very_long_the_start_is_told() {
    let long = "\u{1}".repeat(3_000_000);
    let list = Value::from(vec![long.as_str(); 2]);
    for error in [
        FieldError::invalid(long.as_str(), long.as_str(), &long),
        FieldError::duplicate("a", list),
        FieldError::invalid_shown("a", &long, &long),
        FieldError::not_supported("a", long.as_str(), &[&long]),
    ] {
        assert!(error.to_string().len() < 5 * 4096, "{}", error.to_string().len());
        assert!(error.message.contains("..."));
    }
    // Whole characters, and an end of the quotes.
    let text = FieldError::not_found("a", "\u{20ac}".repeat(1366)).message;
    assert!(text.ends_with("\u{20ac}...\""), "{}", &text[text.len() - 20..]);
    let short = FieldError::not_found("a", "\u{20ac}".repeat(1364)).message;
    assert!(short.ends_with("\u{20ac}\"") && !short.contains("..."));
}
