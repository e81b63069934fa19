//! Requests and limits.

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;
use std::fmt::Arguments;

use crate::kinds::json::entries;
use crate::kinds::resource_names;

/// Complaints about a container's resources.
pub(super) fn check(errors: &mut Vec<FieldError>, container: &Value, path: Arguments<'_>) {
    let path = format_args!("{path}.resources");
    for list in ["limits", "requests"] {
        for (resource, amount) in entries(&container["resources"][list], "") {
            let path = format_args!("{path}.{list}[{resource}]");
            resource_names::check_of_container(errors, resource, path);
            check_amount(errors, resource, amount, path);
        }
    }
    huge_pages(errors, &container["resources"], path);
    for (resource, amount) in entries(container, "/resources/requests") {
        let limit = container
            .pointer("/resources/limits")
            .and_then(|limits| limits.get(resource));
        let limit = limit.and_then(|limit| Quantity::from_json(limit).ok());
        let Ok(request) = Quantity::from_json(amount) else {
            continue;
        };
        let path = format_args!("{path}.requests");
        match limit {
            Some(limit) if overcommits(resource) && request > limit => {
                let detail = format!("must be less than or equal to {resource} limit of {limit}");
                errors.push(FieldError::invalid(path, request.to_string(), &detail));
            }
            Some(limit) if !overcommits(resource) && request != limit => {
                let detail = format!("must be equal to {resource} limit of {limit}");
                errors.push(FieldError::invalid(path, request.to_string(), &detail));
            }
            None if !overcommits(resource) => {
                let path = path.to_string().replace(".requests", ".limits");
                errors.push(FieldError::required(
                    path,
                    "Limit must be set for non overcommitable resources",
                ));
            }
            _ => {}
        }
    }
}

/// Memory in pages of a certain size, which nothing runs on alone.
const HUGE: &str = "hugepages-";

fn huge_pages(errors: &mut Vec<FieldError>, resources: &Value, path: Arguments<'_>) {
    let names = || {
        let lists = ["limits", "requests"].into_iter();
        lists.flat_map(|list| entries(&resources[list], "").map(|(name, _)| name.as_str()))
    };
    let alone = !names().any(|name| matches!(name, "cpu" | "memory"));
    if alone && names().any(|name| name.starts_with(HUGE)) {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// Whether an amount is that of whole pages.
fn is_of_whole_pages(resource: &str, amount: Quantity) -> bool {
    let size = resource.strip_prefix(HUGE).unwrap_or_default();
    let size = Quantity::from_json(&Value::from(size)).ok();
    let size = size.filter(|size| !size.is_zero() && !size.is_negative() && size.is_whole());
    size.is_some_and(|size| amount.value() % size.value() == 0)
}

/// Complaints about what pods take besides their containers: upstream checks it as the limits of one, and says so.
pub(in crate::kinds) fn overhead(errors: &mut Vec<FieldError>, overhead: &Value, path: Arguments<'_>) {
    for (resource, amount) in entries(overhead, "") {
        let path = format_args!("{path}.limits[{resource}]");
        resource_names::check_of_container(errors, resource, path);
        check_amount(errors, resource, amount, path);
    }
}

/// Devices and huge pages are handed out whole; the others may be promised more often than they exist.
pub(in crate::kinds) fn overcommits(resource: &str) -> bool {
    resource_names::is_native(resource) && !resource.starts_with(HUGE)
}

fn check_amount(errors: &mut Vec<FieldError>, resource: &str, amount: &Value, path: Arguments<'_>) {
    match Quantity::from_json(amount) {
        Err(error) => errors.push(FieldError::invalid(path, amount.clone(), &error.to_string())),
        Ok(quantity) if quantity.is_negative() => {
            errors.push(FieldError::invalid(
                path,
                quantity.to_string(),
                names::NON_NEGATIVE,
            ));
        }
        Ok(quantity) if !quantity.is_whole() && !overcommits(resource) => {
            errors.push(FieldError::invalid(
                path,
                quantity.to_string(),
                "must be an integer",
            ));
        }
        Ok(quantity) if resource.starts_with(HUGE) && !is_of_whole_pages(resource, quantity) => {
            let detail = format!("{quantity} is not positive integer multiple of {resource}");
            errors.push(FieldError::invalid(path, quantity.to_string(), &detail));
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::overcommits;

    #[test]
    fn what_is_promised_more_often_than_it_exists() {
        for (resource, expected) in [
            ("cpu", true),
            ("kubernetes.io/a", true),
            ("a.kubernetes.io/b", true),
            ("example.com/a", false),
            ("hugepages-2Mi", false),
        ] {
            assert_eq!(overcommits(resource), expected, "{resource}");
        }
    }
}
