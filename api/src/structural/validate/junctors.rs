//! `allOf`, `anyOf`, `oneOf` and `not`: each part of them walks over all of the value.

use serde_json::Value;

use super::Report;
use super::report::MOST;
use crate::status::FieldError;
use crate::structural::Structural;
use crate::structural::path::Path;

impl Structural {
    pub(super) fn junctors(&self, path: Path<'_>, value: &Value, root: bool, report: &mut Report) {
        let checks = &self.checks;
        if report.is_full() {
            return;
        }
        // What is found beyond `most` is of no interest.
        let run = |schema: &Self, most: usize, report: &mut Report| {
            report.aside(most, |report| schema.walk(path, value, root, report))
        };
        let quoted = || crate::status::go_quote(&path.to_string());
        // Of those that fail, the one with the fewest errors is told, as it is the likeliest to have been meant.
        let fewest = |best: &Option<Vec<FieldError>>| best.as_ref().map_or(MOST, Vec::len);
        if !checks.any_of.is_empty() {
            let mut best: Option<Vec<FieldError>> = None;
            let mut matched = false;
            for schema in &checks.any_of {
                let found = run(schema, fewest(&best), report);
                matched = found.is_empty();
                if matched {
                    break;
                }
                if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found);
                }
            }
            if !matched {
                let why = format!("{} must validate at least one schema (anyOf)", quoted());
                report.push(FieldError::invalid(path, "", &why));
                report.extend(best.unwrap_or_default());
            }
        }
        if !checks.one_of.is_empty() {
            let mut best: Option<Vec<FieldError>> = None;
            let mut matched = 0;
            for schema in &checks.one_of {
                let found = run(schema, fewest(&best), report);
                if found.is_empty() {
                    matched += 1;
                } else if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found);
                }
            }
            if matched != 1 {
                let why = if matched == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {matched} valid alternatives")
                };
                let why = format!(
                    "{} must validate one and only one schema (oneOf). {why}",
                    quoted()
                );
                report.push(FieldError::invalid(path, "", &why));
                if matched == 0 {
                    report.extend(best.unwrap_or_default());
                }
            }
        }
        if !checks.all_of.is_empty() {
            let mut matched = 0;
            for schema in &checks.all_of {
                let found = run(schema, report.room().max(1), report);
                matched += usize::from(found.is_empty());
                report.extend(found);
            }
            if matched != checks.all_of.len() {
                let none = if matched == 0 { ". None validated" } else { "" };
                let why = format!("{} must validate all the schemas (allOf){none}", quoted());
                report.push(FieldError::invalid(path, "", &why));
            }
        }
        if let Some(not) = &checks.not
            && run(not, 1, report).is_empty()
        {
            let why = format!("{} must not validate the schema (not)", quoted());
            report.push(FieldError::invalid(path, "", &why));
        }
    }
}
