//! Who makes an admission policy may read what its decisions depend on: otherwise its messages would tell of parameters
//! that their author may not see (upstream's `authorizeCreate` and `authorizeUpdate` of policies and of their bindings).

use keelson_api::status::{FieldError, Status};
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Operation, Request};
use crate::auth::resources::{CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_ADMISSION_POLICIES};
use crate::auth::{Attributes, MASTERS, UserInfo};

const GROUP: &str = "admissionregistration.k8s.io";

pub fn validate(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    if !matches!(request.operation, Operation::Create | Operation::Update) || request.user.is_in(MASTERS) {
        return Ok(());
    }
    if request.is(GROUP, "validatingadmissionpolicies") {
        policy(context, request)
    } else if request.is(GROUP, "validatingadmissionpolicybindings") {
        binding(context, request)
    } else {
        Ok(())
    }
}

fn policy(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    let (was, is) = (
        &request.stored()["spec"]["paramKind"],
        &request.object()["spec"]["paramKind"],
    );
    if !is.is_object() || was == is || may(context, request, "get", is, ("*", "*")) {
        return Ok(());
    }
    let why = format!(
        "user {} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
        shown(request.user),
        text(is, "/kind"),
        text(is, "/apiVersion")
    );
    Err(refused(request, "spec.paramKind", &why))
}

fn binding(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    let (was, is) = (&request.stored()["spec"], &request.object()["spec"]);
    let reference = &is["paramRef"];
    let same = was["paramRef"] == *reference && was["policyName"] == is["policyName"];
    if !reference.is_object() || same {
        return Ok(());
    }
    let policy = context
        .reader
        .get(&VALIDATING_ADMISSION_POLICIES, "", text(is, "/policyName"));
    let kind = policy.map_or(Value::Null, |policy| policy.value()["spec"]["paramKind"].clone());
    let (namespace, name) = (text(reference, "/namespace"), text(reference, "/name"));
    // Without a name it is all that a selector selects.
    let verb = if name.is_empty() { "list" } else { "get" };
    if may(context, request, verb, &kind, (namespace, name)) {
        return Ok(());
    }
    let why = format!(
        "user {} does not have \"{verb}\" permission on the object referenced by paramRef",
        shown(request.user)
    );
    Err(refused(request, "spec.paramRef", &why))
}

fn refused(request: &Request<'_>, path: &str, why: &str) -> Status {
    let kind = request.kind;
    Status::invalid(
        &kind.group,
        &kind.kind,
        request.name,
        &[FieldError::forbidden(path, why)],
    )
}

/// Whether the caller may read objects of a kind. What is not known of it might be anything, and takes the right to all.
fn may(
    context: &Context,
    request: &Request<'_>,
    verb: &'static str,
    kind: &Value,
    (namespace, name): (&str, &str),
) -> bool {
    let (mut group, mut version, mut resource) = ("*", "*", "*".to_owned());
    if kind.is_object() {
        let written = text(kind, "/apiVersion");
        (group, version) = written.split_once('/').unwrap_or(("", written));
        if let Some(known) = resource_of(context, group, version, text(kind, "/kind")) {
            resource = known;
        }
    }
    let attributes = Attributes {
        version,
        namespace,
        name,
        ..Attributes::resource(request.user, verb, group, &resource)
    };
    context.authorizer.authorize(&attributes).is_allowed()
}

/// The resource of a kind, built in or defined.
fn resource_of(context: &Context, group: &str, version: &str, kind: &str) -> Option<String> {
    let built_in = crate::kinds::builtin()
        .iter()
        .find(|known| known.group == group && known.version == version && known.kind == kind);
    if let Some(known) = built_in {
        return Some(known.plural.to_string());
    }
    let definitions = context.reader.list(&CUSTOM_RESOURCE_DEFINITIONS, None);
    definitions
        .iter()
        // The name of a definition is that of its resource and of its group; most need not be decoded.
        .filter(|definition| {
            definition
                .name
                .strip_suffix(group)
                .is_some_and(|rest| rest.ends_with('.'))
        })
        .map(|definition| definition.value())
        .find(|definition| {
            let names = &definition["status"]["acceptedNames"];
            let serves = |one: &Value| one["name"] == version && one["served"] == true;
            text(definition, "/spec/group") == group
                && names["kind"] == kind
                && items(definition, "/spec/versions").iter().any(serves)
        })
        .map(|definition| text(&definition, "/status/acceptedNames/plural").to_owned())
}

/// The caller as upstream shows one here: the fields of its Go type in their order.
fn shown(user: &UserInfo) -> String {
    let extra: Vec<String> = user
        .extra
        .iter()
        .map(|(key, values)| format!("{key}:[{}]", values.join(" ")))
        .collect();
    format!(
        "&{{{} {} [{}] map[{}]}}",
        user.name,
        user.uid,
        user.groups.join(" "),
        extra.join(" ")
    )
}
