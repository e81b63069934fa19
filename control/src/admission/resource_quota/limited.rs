//! `ResourceQuotaConfiguration`: what may be used only where a quota covers it.
//!
//! Source: `k8s.io/apiserver/pkg/admission/plugin/resourcequota` with its `apis`.

use std::collections::BTreeSet;

use keelson_api::quantity::Quantity;
use keelson_api::status::{FieldError, Status};
use serde::Deserialize;
use serde_json::Value;

use super::scope::matches;
use super::usage::Counted;
use super::{Amounts, field, values};
use crate::admission::Request;
use crate::admission::configuration::{all, unregistered};
use crate::object::GroupResource;

/// The configuration.
#[derive(Debug, Default, PartialEq)]
pub struct Limited(Vec<Rule>);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    resource: String,
    /// Parts of the names of what is limited, e.g. `requests.storage` or `count/`.
    #[serde(default)]
    match_contains: Vec<String>,
    /// What is limited of pods: `{scopeName, operator, values}`.
    #[serde(default)]
    match_scopes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    limited_resources: Vec<Rule>,
}

/// The kind by version: it had another name in its first group.
const KINDS: [(&str, &str); 4] = [
    ("apiserver.config.k8s.io/v1", "ResourceQuotaConfiguration"),
    ("apiserver.config.k8s.io/v1beta1", "ResourceQuotaConfiguration"),
    ("resourcequota.admission.k8s.io/v1beta1", "Configuration"),
    ("resourcequota.admission.k8s.io/v1alpha1", "Configuration"),
];

impl Limited {
    /// From a `ResourceQuotaConfiguration`, or all that is wrong with it.
    pub fn new(file: Value) -> Result<Self, String> {
        let file: File = serde_json::from_value(file).map_err(|error| error.to_string())?;
        if !KINDS.contains(&(file.api_version.as_str(), file.kind.as_str())) {
            return Err(unregistered(&file.kind, &file.api_version));
        }
        let unnamed = file.limited_resources.iter().enumerate();
        let errors: Vec<FieldError> = unnamed
            .filter(|(_, limited)| limited.resource.is_empty())
            .map(|(index, _)| FieldError::required(format!("limitedResources[{index}].resource"), ""))
            .collect();
        if errors.is_empty() {
            Ok(Self(file.limited_resources))
        } else {
            Err(all(&errors))
        }
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a request that uses what no quota of its namespace covers.
    pub fn check(
        &self,
        request: &Request<'_>,
        resource: &GroupResource,
        (old, new): (&Counted, &Counted),
        quotas: &[(Vec<Value>, Amounts)],
    ) -> Result<(), Status> {
        let grows = |name: &String, amount: &Quantity| {
            let before = old.amounts().get(name).copied().unwrap_or_default();
            let more = amount.minus(before);
            !more.is_zero() && !more.is_negative()
        };
        if !new.amounts().iter().any(|(name, amount)| grows(name, amount)) {
            return Ok(());
        }
        let own = self
            .0
            .iter()
            .filter(|limited| limited.api_group == resource.group && limited.resource == resource.resource);
        let parts: Vec<&str> = own
            .flat_map(|limited| limited.match_contains.iter().map(String::as_str))
            .collect();
        let covers = |name: &str| {
            quotas
                .iter()
                .any(|(scopes, hard)| hard.contains_key(name) && new.in_scopes(scopes))
        };
        let uncovered: BTreeSet<&str> = new
            .amounts()
            .iter()
            .filter(|(_, amount)| !amount.is_zero() && !amount.is_negative())
            .map(|(name, _)| name.as_str())
            .filter(|name| parts.iter().any(|part| name.contains(part)) && !covers(name))
            .collect();
        if !uncovered.is_empty() {
            let names: Vec<&str> = uncovered.into_iter().collect();
            return Err(request.forbidden(&format!("insufficient quota to consume: {}", names.join(","))));
        }
        let Some(traits) = new.traits() else { return Ok(()) };
        let covers = |scope: &str| {
            let mut scopes = quotas.iter().flat_map(|(scopes, _)| scopes);
            scopes.any(|own| field(own, "scopeName") == scope && matches(traits, own))
        };
        let scopes = self.0.iter().flat_map(|limited| &limited.match_scopes);
        let uncovered: Vec<String> = scopes
            .filter(|scope| matches(traits, scope) && !covers(field(scope, "scopeName")))
            .map(|scope| {
                let (name, operator) = (field(scope, "scopeName"), field(scope, "operator"));
                format!("{{{name} {operator} [{}]}}", values(scope).join(" "))
            })
            .collect();
        if uncovered.is_empty() {
            return Ok(());
        }
        let scopes = uncovered.join(" ");
        Err(request.forbidden(&format!("insufficient quota to match these scopes: [{scopes}]")))
    }
}
