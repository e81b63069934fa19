//! Options of requests in their query, and what they may be (`apimachinery/pkg/apis/meta/v1/validation` and
//! `meta/internalversion/validation`). Pure.

use keelson_api::status::{FieldError, Status, go_quote};

use super::query::Query;
use crate::kinds::is_printable;

/// Longest name of a manager, in bytes.
pub const LONGEST_MANAGER: usize = 128;
/// Group of all kinds of options.
const GROUP: &str = "meta.k8s.io";

/// What a request is, for its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Options {
    /// `CreateOptions`.
    Create,
    /// `UpdateOptions`.
    Update,
    /// `PatchOptions`.
    Patch,
    /// `PatchOptions` of a server-side apply.
    Apply,
}

impl Options {
    /// Checks the query of a write: 422 if an option is none.
    pub fn check(self, query: &Query) -> Result<(), Status> {
        let manager = query.get("fieldManager");
        let mut errors = Vec::new();
        if self == Self::Apply && manager.is_empty() {
            errors.push(FieldError::required(
                "fieldManager",
                "is required for apply patch",
            ));
        }
        if self == Self::Patch && query.has("force") {
            errors.push(FieldError::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        if manager.len() > LONGEST_MANAGER {
            errors.push(FieldError::too_long("fieldManager", LONGEST_MANAGER));
        }
        if let Some((at, c)) = manager.char_indices().find(|(_, c)| !is_printable(*c)) {
            let why = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
            errors.push(FieldError::invalid("fieldManager", manager, &why));
        }
        errors.extend(dry_run(&query.all("dryRun").collect::<Vec<_>>()));
        let validation = query.get("fieldValidation");
        if !matches!(validation, "" | "Ignore" | "Warn" | "Strict") {
            errors.push(FieldError::not_supported(
                "fieldValidation",
                validation,
                &["", "Ignore", "Strict", "Warn"],
            ));
        }
        refuse(
            match self {
                Self::Create => "CreateOptions",
                Self::Update => "UpdateOptions",
                Self::Patch | Self::Apply => "PatchOptions",
            },
            &errors,
        )
    }
}

/// 422 if there are errors.
pub fn refuse(kind: &str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(GROUP, kind, "", errors))
    }
}

/// `dryRun` is nothing or `All`.
pub fn dry_run(values: &[&str]) -> Option<FieldError> {
    if values.iter().all(|value| *value == "All") {
        return None;
    }
    let quoted: Vec<String> = values.iter().map(|value| go_quote(value)).collect();
    Some(FieldError::not_supported_shown(
        "dryRun",
        &format!("[]string{{{}}}", quoted.join(", ")),
        &["All"],
    ))
}

/// Checks the query of a list or of a deletecollection.
pub fn list(query: &Query) -> Result<(), Status> {
    numbers(query)?;
    let matching = query.get("resourceVersionMatch");
    let forbidden = |field: &str, detail: &str| FieldError::forbidden(field, detail);
    let field = "resourceVersionMatch";
    let mut errors = Vec::new();
    if !matching.is_empty() {
        if query.get("resourceVersion").is_empty() {
            errors.push(forbidden(
                field,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !query.get("continue").is_empty() {
            errors.push(forbidden(
                field,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(
                field,
                matching,
                &["Exact", "NotOlderThan", ""],
            ));
        }
        if matching == "Exact" && query.get("resourceVersion") == "0" {
            errors.push(forbidden(
                field,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if query.has("sendInitialEvents") {
        errors.push(forbidden(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        ));
    }
    refuse("ListOptions", &errors)
}

/// 400 for what is not read as a number, also where nobody asks for it.
fn numbers(query: &Query) -> Result<(), Status> {
    query.number("limit")?;
    query.number("timeoutSeconds")?;
    Ok(())
}

/// Checks the query of a watch.
pub fn watch(query: &Query) -> Result<(), Status> {
    numbers(query)?;
    let matching = query.get("resourceVersionMatch");
    let field = "resourceVersionMatch";
    let initial = query.has("sendInitialEvents");
    let mut errors = Vec::new();
    if initial && matching != "NotOlderThan" {
        errors.push(FieldError::forbidden(
            field,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if !matching.is_empty() {
        if !initial {
            errors.push(FieldError::forbidden(
                field,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if matching != "NotOlderThan" {
            errors.push(FieldError::not_supported(field, matching, &["NotOlderThan"]));
        }
        if !query.get("continue").is_empty() {
            errors.push(FieldError::forbidden(
                field,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
    }
    refuse("ListOptions", &errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(outcome: Result<(), Status>) -> String {
        let status = outcome.unwrap_err();
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        status.message
    }

    #[test]
    fn options_of_writes() {
        let check = |options: Options, query: &str| options.check(&Query::parse(query));
        for good in [
            "",
            "dryRun=All&dryRun=All",
            "fieldValidation=Strict&fieldManager=me",
        ] {
            assert_eq!(check(Options::Create, good), Ok(()), "{good}");
        }
        assert_eq!(
            message(check(Options::Create, "dryRun=Some&dryRun=All&fieldValidation=x")),
            "CreateOptions.meta.k8s.io \"\" is invalid: [dryRun: Unsupported value: []string{\"Some\", \"All\"}: supported \
             values: \"All\", fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \
             \"Warn\"]"
        );
        assert_eq!(
            message(check(Options::Patch, "force=true")),
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
        );
        assert_eq!(
            message(check(Options::Apply, "force=true")),
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
        );
        assert!(
            message(check(Options::Update, "fieldManager=a%0a")).starts_with("UpdateOptions.meta.k8s.io")
        );
    }

    #[test]
    fn options_of_reads() {
        let read = |query: &str| list(&Query::parse(query));
        for good in [
            "",
            "resourceVersion=0&resourceVersionMatch=NotOlderThan",
            "limit=1&continue=x",
        ] {
            assert_eq!(read(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            (
                "resourceVersionMatch=Exact",
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (
                "resourceVersionMatch=Exact&resourceVersion=0",
                "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            (
                "resourceVersionMatch=Some&resourceVersion=1",
                "resourceVersionMatch: Unsupported value: \"Some\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
            ),
            (
                "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
            ),
            (
                "sendInitialEvents=true",
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            ),
        ] {
            assert_eq!(
                message(read(bad)),
                format!("ListOptions.meta.k8s.io \"\" is invalid: {why}")
            );
        }
        let watched = |query: &str| watch(&Query::parse(query));
        for outcome in [read("timeoutSeconds=x"), watched("limit=x")] {
            let status = outcome.unwrap_err();
            let text = "strconv.ParseInt: parsing \"x\": invalid syntax";
            assert_eq!((status.code, status.message.as_str()), (400, text));
        }
        assert_eq!(
            watched("sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
            Ok(())
        );
        assert_eq!(
            message(watched("sendInitialEvents=true")),
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting \
             resourceVersionMatch to NotOlderThan"
        );
        assert_eq!(
            message(watched("resourceVersionMatch=NotOlderThan")),
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for \
             watch unless sendInitialEvents is provided"
        );
    }
}
