//! The selectors in an access review (`AuthorizeWithSelectors`): what must be so of them, and what of them an authorizer
//! gets to see.
//!
//! Requirements all hold together, so leaving out one that is not understood asks for more, never for less.

use keelson_api::names;
use keelson_api::selector::{self, FieldSelector, FieldTerm};
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde::Deserialize;

/// Operators with values, and those without.
const VALUES: [&str; 2] = ["In", "NotIn"];
const NO_VALUES: [&str; 2] = ["Exists", "DoesNotExist"];

/// A `FieldSelectorAttributes` or `LabelSelectorAttributes`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Selector {
    raw_selector: String,
    requirements: Option<Vec<Requirement>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Requirement {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl Requirement {
    fn values(&self) -> &[String] {
        self.values.as_deref().unwrap_or_default()
    }

    /// Operators that are not known are let through: a newer client may know more.
    fn errors(&self, path: &str) -> Vec<FieldError> {
        let (operator, values) = (self.operator.as_str(), format!("{path}.values"));
        if VALUES.contains(&operator) && self.values().is_empty() {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            return vec![FieldError::required(values, detail)];
        }
        if NO_VALUES.contains(&operator) && !self.values().is_empty() {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            return vec![FieldError::forbidden(values, detail)];
        }
        Vec::new()
    }
}

/// How much of a selector was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Understood {
    All,
    Partly,
    Nothing,
}

impl Understood {
    fn of(some: usize, all: usize) -> Self {
        match some {
            0 => Self::Nothing,
            some if some == all => Self::All,
            _ => Self::Partly,
        }
    }
}

impl Selector {
    fn requirements(&self) -> &[Requirement] {
        self.requirements.as_deref().unwrap_or_default()
    }

    /// Complaints about a selector of fields.
    pub fn field_errors(&self, path: &str) -> Vec<FieldError> {
        self.errors(path, |requirement, path| {
            let mut errors = Vec::new();
            if requirement.key.is_empty() {
                errors.push(FieldError::required(format!("{path}.key"), "must be specified"));
            }
            errors.extend(requirement.errors(path));
            errors
        })
    }

    /// Complaints about a selector of labels.
    pub fn label_errors(&self, path: &str) -> Vec<FieldError> {
        self.errors(path, |requirement, path| {
            let mut errors = requirement.errors(path);
            errors.extend(FieldError::complaints(
                format_args!("{path}.key"),
                requirement.key.as_str(),
                names::qualified_name(&requirement.key),
            ));
            for (index, value) in requirement.values().iter().enumerate() {
                if errors.len() > MOST_ERRORS {
                    break;
                }
                errors.extend(FieldError::complaints(
                    format_args!("{path}.values[{index}]"),
                    value.as_str(),
                    names::label_value(value),
                ));
            }
            errors
        })
    }

    fn errors(&self, path: &str, of_one: impl Fn(&Requirement, &str) -> Vec<FieldError>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.raw_selector.is_empty() && !self.requirements().is_empty() {
            errors.push(FieldError::invalid(
                format!("{path}.rawSelector"),
                self.raw_selector.as_str(),
                "may not specified at the same time as requirements",
            ));
        }
        if self.raw_selector.is_empty() && self.requirements().is_empty() {
            let detail = format!("when {path} is specified, requirements or rawSelector is required");
            errors.push(FieldError::required(format!("{path}.requirements"), &detail));
        }
        for (index, requirement) in self.requirements().iter().enumerate() {
            if errors.len() > MOST_ERRORS {
                break;
            }
            errors.extend(of_one(requirement, &format!("{path}.requirements[{index}]")));
        }
        errors
    }

    /// As the text that a request would have in its query. A field is compared with one value only.
    pub fn fields(&self) -> (String, Understood) {
        if self.requirements().is_empty() {
            return match FieldSelector::parse(&self.raw_selector) {
                Ok(selector) => (selector.to_string(), Understood::All),
                Err(_) => (String::new(), Understood::Nothing),
            };
        }
        let mut terms = Vec::new();
        for requirement in self.requirements() {
            let compares = VALUES.contains(&requirement.operator.as_str());
            if let (true, [value]) = (compares, requirement.values()) {
                terms.push(FieldTerm {
                    field: requirement.key.clone(),
                    value: value.clone(),
                    negated: requirement.operator == "NotIn",
                });
            }
        }
        let understood = Understood::of(terms.len(), self.requirements().len());
        (FieldSelector { terms }.to_string(), understood)
    }

    /// How much of a selector of labels is understood. No authorizer here looks at labels.
    pub fn labels(&self) -> Understood {
        if self.requirements().is_empty() {
            return match selector::Selector::parse(&self.raw_selector) {
                Ok(_) => Understood::All,
                Err(_) => Understood::Nothing,
            };
        }
        let known = |requirement: &&Requirement| {
            let operator = requirement.operator.as_str();
            VALUES.contains(&operator) || NO_VALUES.contains(&operator)
        };
        let some = self.requirements().iter().filter(known).count();
        Understood::of(some, self.requirements().len())
    }
}
