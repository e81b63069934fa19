//! The review kinds: questions to the authorizer and authenticator as API objects, created and never stored.
//!
//! Each function takes the posted object and gives it back with its status.

mod selectors;

use std::collections::BTreeMap;

use keelson_api::status::{FieldError, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use self::selectors::{Selector, Understood};
use super::rbac::Rule;
use super::{Attributes, Authenticator, Authorizer, Decision, UserInfo, node_name};

const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AccessSpec {
    resource_attributes: Option<ResourceAttributes>,
    non_resource_attributes: Option<PathAttributes>,
    user: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<BTreeMap<String, Option<Vec<String>>>>,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceAttributes {
    namespace: String,
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    name: String,
    field_selector: Option<Selector>,
    label_selector: Option<Selector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PathAttributes {
    path: String,
    verb: String,
}

/// `SubjectAccessReview`: may somebody else do this?
pub fn subject_access_review(authorizer: &Authorizer, review: &Value) -> Result<Value, Status> {
    let spec = access_spec(review)?;
    let mut errors = spec.errors();
    let subject = spec.subject();
    if subject.name.is_empty() && subject.groups.is_empty() {
        errors.push(FieldError::invalid(
            "spec.user",
            "",
            "at least one of user or group must be specified",
        ));
    }
    errors.extend(named(review, false));
    refuse(&errors, "SubjectAccessReview")?;
    Ok(answer_access(authorizer, &subject, &spec, review))
}

/// A question has no name, labels or owners; one about a namespace may be in it.
fn named(review: &Value, in_namespace: bool) -> Option<FieldError> {
    fn says_something(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Bool(set) => *set,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => fields.values().any(says_something),
        }
    }
    let metadata = review.get("metadata")?.as_object()?;
    metadata
        .iter()
        .any(|(field, value)| {
            field != "managedFields" && !(in_namespace && field == "namespace") && says_something(value)
        })
        .then(|| {
            let detail = if in_namespace {
                "must be empty except for namespace"
            } else {
                "must be empty"
            };
            FieldError::invalid("metadata", review["metadata"].clone(), detail)
        })
}

/// `LocalSubjectAccessReview`: as above, in the namespace that it was posted to.
pub fn local_subject_access_review(
    authorizer: &Authorizer,
    namespace: &str,
    review: &Value,
) -> Result<Value, Status> {
    let spec = access_spec(review)?;
    let mut errors = spec.errors();
    let subject = spec.subject();
    if subject.name.is_empty() && subject.groups.is_empty() {
        errors.push(FieldError::invalid(
            "spec.user",
            "",
            "at least one of user or group must be specified",
        ));
    }
    match &spec.resource_attributes {
        Some(attributes) if attributes.namespace != namespace => errors.push(FieldError::invalid(
            "spec.resourceAttributes.namespace",
            attributes.namespace.as_str(),
            "must match metadata.namespace",
        )),
        _ => {}
    }
    if spec.non_resource_attributes.is_some() {
        errors.push(FieldError::invalid(
            "spec.nonResourceAttributes",
            review["spec"]["nonResourceAttributes"].clone(),
            "disallowed on this kind of request",
        ));
    }
    errors.extend(named(review, true));
    refuse(&errors, "LocalSubjectAccessReview")?;
    Ok(answer_access(authorizer, &subject, &spec, review))
}

/// `SelfSubjectAccessReview`: may I do this?
pub fn self_subject_access_review(
    authorizer: &Authorizer,
    user: &UserInfo,
    review: &Value,
) -> Result<Value, Status> {
    let spec = access_spec(review)?;
    let mut errors = spec.errors();
    errors.extend(named(review, false));
    refuse(&errors, "SelfSubjectAccessReview")?;
    Ok(answer_access(authorizer, user, &spec, review))
}

/// `SelfSubjectRulesReview`: what may I do in a namespace?
pub fn self_subject_rules_review(
    authorizer: &Authorizer,
    user: &UserInfo,
    review: &Value,
) -> Result<Value, Status> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let rules = authorizer.rbac().rules(user, namespace);
    let resources: Vec<Value> = rules
        .iter()
        .filter(|rule| !rule.resources.is_empty())
        .map(resource_rule)
        .collect();
    let paths: Vec<Value> = rules
        .iter()
        .filter(|rule| !rule.non_resource_urls.is_empty())
        .map(|rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}))
        .collect();
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    let mut told = authorizer.rbac().missing(user, namespace);
    if node_name(user).is_some() {
        status["incomplete"] = true.into();
        told.insert(
            0,
            "node authorizer does not support user rule resolution".to_owned(),
        );
    }
    match told.as_slice() {
        [] => {}
        [one] => status["evaluationError"] = one.as_str().into(),
        many => status["evaluationError"] = format!("[{}]", many.join(", ")).into(),
    }
    Ok(answer(review, AUTHORIZATION, "SelfSubjectRulesReview", status))
}

fn resource_rule(rule: &Rule) -> Value {
    let mut value = json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
    if !rule.resource_names.is_empty() {
        value["resourceNames"] = json!(rule.resource_names);
    }
    value
}

/// `SelfSubjectReview`: who am I?
pub fn self_subject_review(user: &UserInfo, review: &Value) -> Value {
    answer(
        review,
        AUTHENTICATION,
        "SelfSubjectReview",
        json!({"userInfo": user_info(user)}),
    )
}

/// `TokenReview`: whose token is this? A token that is not valid is an answer, not an error.
pub fn token_review(authenticator: &Authenticator, review: &Value) -> Result<Value, Status> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        token: String,
        audiences: Option<Vec<String>>,
    }
    let spec: Spec = read_spec(review)?;
    if spec.token.is_empty() {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let own = vec![authenticator.tokens().issuer().to_owned()];
    let asked = spec.audiences.filter(|audiences| !audiences.is_empty());
    let audiences = asked.unwrap_or(own);
    let status = match authenticator.token_user(&spec.token, &audiences) {
        Ok(user) => {
            let held = authenticator.audiences(&spec.token);
            let common: Vec<&String> = audiences
                .iter()
                .filter(|audience| held.contains(audience))
                .collect();
            json!({"authenticated": true, "user": user_info(&user), "audiences": common})
        }
        Err(error) => json!({"user": {}, "error": format!("[invalid bearer token, {error}]")}),
    };
    Ok(answer(review, AUTHENTICATION, "TokenReview", status))
}

impl AccessSpec {
    fn errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        match (&self.resource_attributes, &self.non_resource_attributes) {
            (Some(_), Some(_)) => errors.push(FieldError::invalid(
                "spec.nonResourceAttributes",
                Value::Null,
                "cannot be specified in combination with resourceAttributes",
            )),
            (None, None) => errors.push(FieldError::invalid(
                "spec.resourceAttributes",
                Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )),
            _ => {}
        }
        if let Some(asked) = &self.resource_attributes {
            if let Some(selector) = &asked.field_selector {
                errors.extend(selector.field_errors("spec.resourceAttributes.fieldSelector"));
            }
            if let Some(selector) = &asked.label_selector {
                errors.extend(selector.label_errors("spec.resourceAttributes.labelSelector"));
            }
        }
        errors
    }

    /// What of the selectors was not understood.
    fn evaluation_error(&self) -> Option<String> {
        let asked = self.resource_attributes.as_ref()?;
        let fields = asked.field_selector.as_ref().map(|selector| selector.fields().1);
        let labels = asked.label_selector.as_ref().map(Selector::labels);
        let told: Vec<String> = [("fieldSelector", fields), ("labelSelector", labels)]
            .into_iter()
            .filter_map(|(name, understood)| {
                let ignored = match understood? {
                    Understood::All => return None,
                    Understood::Partly => "partially ignored",
                    Understood::Nothing => "ignored",
                };
                Some(format!(
                    "spec.resourceAttributes.{name} {ignored} due to parse error"
                ))
            })
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn subject(&self) -> UserInfo {
        let extra = self
            .extra
            .iter()
            .flatten()
            .map(|(key, values)| (key.clone(), values.clone().unwrap_or_default()));
        UserInfo {
            name: self.user.clone().unwrap_or_default(),
            uid: self.uid.clone().unwrap_or_default(),
            groups: self.groups.clone().unwrap_or_default(),
            extra: extra.collect(),
        }
    }

    fn decide(&self, authorizer: &Authorizer, user: &UserInfo) -> Decision {
        if let Some(asked) = &self.resource_attributes {
            let selector = asked
                .field_selector
                .as_ref()
                .map(|selector| selector.fields().0)
                .unwrap_or_default();
            return authorizer.authorize(&Attributes {
                user,
                verb: &asked.verb,
                group: &asked.group,
                version: &asked.version,
                // A resource request that names no resource must not pass for a path request.
                resource: if asked.resource.is_empty() {
                    "*"
                } else {
                    &asked.resource
                },
                subresource: &asked.subresource,
                namespace: &asked.namespace,
                name: &asked.name,
                field_selector: &selector,
                path: "",
            });
        }
        let asked = self.non_resource_attributes.as_ref();
        let (verb, path) = asked.map_or(("", ""), |asked| (&asked.verb, &asked.path));
        authorizer.authorize(&Attributes::path(user, verb, path))
    }
}

fn read_spec<T: Default + for<'de> Deserialize<'de>>(review: &Value) -> Result<T, Status> {
    match review.get("spec").filter(|spec| !spec.is_null()) {
        Some(spec) => T::deserialize(spec).map_err(|error| Status::bad_request(format!("spec: {error}"))),
        None => Ok(T::default()),
    }
}

fn access_spec(review: &Value) -> Result<AccessSpec, Status> {
    read_spec(review)
}

fn refuse(errors: &[FieldError], kind: &str) -> Result<(), Status> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(AUTHORIZATION, kind, "", errors))
    }
}

fn answer_access(authorizer: &Authorizer, user: &UserInfo, spec: &AccessSpec, review: &Value) -> Value {
    let decision = spec.decide(authorizer, user);
    let mut status = json!({"allowed": decision.is_allowed()});
    if matches!(decision, Decision::Deny(_)) {
        status["denied"] = true.into();
    }
    if !decision.reason().is_empty() {
        status["reason"] = decision.reason().into();
    }
    if let Some(error) = spec.evaluation_error() {
        status["evaluationError"] = error.into();
    }
    let kind = review["kind"].as_str().unwrap_or("SubjectAccessReview");
    answer(review, AUTHORIZATION, kind, status)
}

/// The posted object with its status.
fn answer(review: &Value, group: &str, kind: &str, status: Value) -> Value {
    let mut answer = review.as_object().cloned().unwrap_or_default();
    answer
        .entry("apiVersion")
        .or_insert_with(|| format!("{group}/v1").into());
    answer.entry("kind").or_insert_with(|| kind.into());
    answer.entry("metadata").or_insert_with(|| json!({}));
    answer.insert("status".to_owned(), status);
    Value::Object(answer)
}

fn user_info(user: &UserInfo) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}
