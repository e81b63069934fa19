//! When an indexed job has succeeded before all of its indexes have (`validateSuccessPolicy`).

use keelson_api::names;
use keelson_api::status::{FieldError, go_quote};
use serde_json::Value;

use crate::kinds::json::{int, items};

const MOST_RULES: usize = 20;
/// Longest list of indexes, in bytes.
const LONGEST_INDEXES: usize = 64 * 1024;

/// Complaints about `successPolicy` of an indexed job's spec at `path`.
pub(super) fn check(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    let Some(policy) = spec.get("successPolicy").filter(|policy| policy.is_object()) else {
        return;
    };
    let path = format!("{path}.successPolicy.rules");
    let rules = items(policy, "/rules");
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(path.as_str(), detail));
    }
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(path.as_str(), rules.len(), MOST_RULES));
    }
    for (at, one) in rules.iter().take(MOST_RULES).enumerate() {
        rule(errors, one, int(spec, "/completions"), &format!("{path}[{at}]"));
    }
}

/// `completions` may be missing, of which something else complains.
fn rule(errors: &mut Vec<FieldError>, rule: &Value, completions: Option<i64>, path: &str) {
    let indexes = rule.get("succeededIndexes").and_then(Value::as_str);
    let count = int(rule, "/succeededCount");
    if indexes.is_none() && count.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(path, detail));
    }
    let Some(completions) = completions else { return };
    let mut total = 0;
    if let Some(indexes) = indexes {
        let path = format!("{path}.succeededIndexes");
        if indexes.len() > LONGEST_INDEXES {
            errors.push(FieldError::too_long(path.as_str(), LONGEST_INDEXES));
        }
        match how_many(indexes, completions) {
            Ok(many) => total = many,
            Err(error) => {
                let detail = format!("error parsing succeededIndexes: {error}");
                errors.push(FieldError::invalid(path, indexes, &detail));
            }
        }
    }
    let Some(count) = count else { return };
    let path = format!("{path}.succeededCount");
    if count < 0 {
        errors.push(FieldError::invalid(path.as_str(), count, names::NON_NEGATIVE));
    }
    if count > completions {
        let detail =
            format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.push(FieldError::invalid(path.as_str(), count, &detail));
    }
    if indexes.is_some() && count > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.push(FieldError::invalid(path, count, &detail));
    }
}

/// The first and the last index of a part of a list such as `1,3-5,7`, below `completions`.
fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |text: &str| -> Result<i64, String> {
        let unknown = || format!("cannot convert string to integer for index: {}", go_quote(text));
        let index = text.parse::<i64>().map_err(|_| unknown())?;
        if index >= completions {
            return Err(format!("too large index: {}", go_quote(text)));
        }
        Ok(index)
    };
    match part.split_once('-') {
        Some((_, end)) if end.contains('-') => Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
            go_quote(part)
        )),
        Some((first, end)) => {
            let (first, end) = (index(first)?, index(end)?);
            if first >= end {
                return Err(backwards(first, end));
            }
            Ok((first, end))
        }
        None => index(part).map(|only| (only, only)),
    }
}

fn backwards(before: i64, now: i64) -> String {
    format!("non-increasing order, previous: {before}, current: {now}")
}

/// How many indexes are in a list, which grow and are below `completions`.
pub(in crate::kinds::batch::job) fn how_many(list: &str, completions: i64) -> Result<i64, String> {
    if list.is_empty() {
        return Ok(0);
    }
    let (mut last, mut total) = (None, 0);
    for part in list.split(',') {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(backwards(last, first));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that is in both lists. Parts that are none are left out, of which something else complains.
pub(in crate::kinds::batch::job) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let parts = |list: &str| -> Vec<(i64, i64)> {
        list.split(',')
            .filter_map(|part| interval(part, completions).ok())
            .collect()
    };
    let (one, other) = (parts(one), parts(other));
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some((x, y)), Some((from, to))) = (one.peek(), other.peek()) {
        if x <= to && from <= y {
            return Some(*x.max(from));
        }
        if x <= from {
            one.next();
        } else {
            other.next();
        }
    }
    None
}
