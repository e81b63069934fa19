//! Jobs.

pub(super) mod rules;
mod status;

use std::collections::BTreeMap;

use keelson_api::selector::Selector;
use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::{Map, Value};

use crate::kinds::apps::workload::label_selector;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_true, is_unset, items, list, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, go, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Status", "string", 0, "Status of the job."),
    (
        "Completions",
        "string",
        0,
        "Desired number of successfully finished pods the job should be run with.",
    ),
    ("Duration", "string", 0, "Time required to complete the job."),
    AGE,
    (
        "Containers",
        "string",
        1,
        "Names of each container in the template.",
    ),
    (
        "Images",
        "string",
        1,
        "Images referenced by each container in the template.",
    ),
    (
        "Selector",
        "string",
        1,
        "A label query over pods that should match the pod count.",
    ),
];

pub(super) fn kind() -> Kind {
    describe::kind("batch/v1", "Job", "jobs", COLUMNS, Job)
        .in_all()
        .status()
        .done()
}

#[derive(Debug)]
struct Job;

/// Labels by which a job knows its pods; the short ones are from before they had a prefix.
const LABELS: [(&str, &str); 4] = [
    ("batch.kubernetes.io/controller-uid", "uid"),
    ("controller-uid", "uid"),
    ("batch.kubernetes.io/job-name", "name"),
    ("job-name", "name"),
];

impl Strategy for Job {
    fn default(&self, object: &mut Value) {
        let labels = object
            .pointer("/spec/template/metadata/labels")
            .filter(|labels| !is_unset(Some(labels)))
            .cloned();
        let Some(map) = object.as_object_mut() else { return };
        object_or_new(map, "status");
        if let Some(labels) = labels
            && let Some(metadata) = object_or_new(map, "metadata")
            && is_unset(metadata.get("labels"))
        {
            metadata.insert("labels".to_owned(), labels);
        }
        if let Some(spec) = object_or_new(map, "spec") {
            default_spec(spec);
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
        if !is_true(new, "/spec/manualSelector") {
            generate_selector(new);
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = validate(object);
        generated(&mut errors, object);
        rules::host_names(&mut errors, object);
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return status::change(old, new);
        }
        let mut errors = validate(new);
        generated(&mut errors, new);
        rules::change(&mut errors, old, new);
        errors
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        let succeeded = int(object, "/status/succeeded").unwrap_or(0).to_string();
        BTreeMap::from([("status.successful".to_owned(), succeeded)])
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["status.successful"]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let (names, images) = cells::containers(object.pointer("/spec/template/spec"));
        vec![
            cells::name(object),
            Value::from(state(object)),
            Value::from(completions(object)),
            Value::from(duration(object, now)),
            cells::age(object, now),
            names,
            images,
            cells::label_selector(object, "/spec/selector"),
        ]
    }
}

/// A selector that nobody asked for is the server's.
fn generated(errors: &mut Vec<FieldError>, job: &Value) {
    if !is_true(job, "/spec/manualSelector") && job.pointer("/spec/selector").is_some() {
        rules::generated(errors, job, &LABELS);
    }
}

fn validate(job: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    rules::spec(&mut errors, job, "spec");
    let selector = job.pointer("/spec/selector");
    match selector {
        None => errors.push(FieldError::required("spec.selector", "")),
        Some(selector) => label_selector(&mut errors, selector, "spec.selector"),
    }
    let labels = job
        .pointer("/spec/template/metadata/labels")
        .unwrap_or(&Value::Null);
    // No selector selects nothing.
    let selector = Selector::from_label_selector(selector.unwrap_or(&Value::Null));
    if selector.is_ok_and(|selector| !selector.matches_value(labels)) {
        let path = "spec.template.metadata.labels";
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid_shown(path, &go::map(labels), detail));
    }
    errors
}

/// Defaults of a job's spec.
fn default_spec(spec: &mut Map<String, Value>) {
    if spec.get("completions").is_none_or(Value::is_null)
        && spec.get("parallelism").is_none_or(Value::is_null)
    {
        spec.insert("completions".to_owned(), Value::from(1));
    }
    set_default(spec, "parallelism", 1);
    let per_index = spec.get("backoffLimitPerIndex").is_some_and(Value::is_number);
    set_default(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
    set_zero(spec, "completionMode", "NonIndexed");
    set_default(spec, "suspend", false);
    set_default(spec, "manualSelector", false);
    let failure_policy = spec.get("podFailurePolicy").is_some_and(Value::is_object);
    let replacement = if failure_policy {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    set_zero(spec, "podReplacementPolicy", replacement);
    if let Some(policy) = spec.get_mut("podFailurePolicy").and_then(Value::as_object_mut) {
        for rule in list(policy, "rules") {
            for pattern in list(rule, "onPodConditions") {
                set_zero(pattern, "status", "True");
            }
        }
    }
    podspec::default_template_in(spec);
}

/// Selects by the job's UID, and labels the template so. Needs the UID in metadata.
fn generate_selector(job: &mut Value) {
    let (uid, name) = (
        text(job, "/metadata/uid").to_owned(),
        text(job, "/metadata/name").to_owned(),
    );
    let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    // What somebody has set and does not fit is refused afterwards.
    if let Some(matching) =
        object_or_new(spec, "selector").and_then(|selector| object_or_new(selector, "matchLabels"))
    {
        set_default(matching, LABELS[0].0, uid.as_str());
    }
    let template = object_or_new(spec, "template").and_then(|template| object_or_new(template, "metadata"));
    if let Some(labels) = template.and_then(|metadata| object_or_new(metadata, "labels")) {
        for (label, source) in LABELS {
            let value = if source == "uid" { &uid } else { &name };
            set_default(labels, label, value.as_str());
        }
    }
}

fn condition(job: &Value, kind: &str) -> bool {
    items(job, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True")
}

fn state(job: &Value) -> &'static str {
    let deleted = job
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(Value::is_string);
    match () {
        () if condition(job, "Complete") => "Complete",
        () if condition(job, "Failed") => "Failed",
        () if deleted => "Terminating",
        () if condition(job, "Suspended") => "Suspended",
        () if condition(job, "FailureTarget") => "FailureTarget",
        () if condition(job, "SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let done = int(job, "/status/succeeded").unwrap_or(0);
    match (
        int(job, "/spec/completions"),
        int(job, "/spec/parallelism").unwrap_or(0),
    ) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn duration(job: &Value, now: i64) -> String {
    let Some(start) = time::parse(text(job, "/status/startTime")) else {
        return String::new();
    };
    let end = time::parse(text(job, "/status/completionTime")).unwrap_or(now);
    time::human_duration(end - start)
}
