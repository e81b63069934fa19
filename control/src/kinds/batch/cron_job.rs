//! CronJobs.

use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::Value;

use super::job;
use crate::kinds::apps::workload::non_negative;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{is_true, items, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, go, podspec, update};
use crate::{go_duration, time_zone};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Schedule",
        "string",
        0,
        "The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron.",
    ),
    (
        "Timezone",
        "string",
        0,
        "The time zone name for the given schedule.",
    ),
    (
        "Suspend",
        "boolean",
        0,
        "This flag tells the controller to suspend subsequent executions.",
    ),
    (
        "Active",
        "integer",
        0,
        "A list of pointers to currently running jobs.",
    ),
    (
        "Last Schedule",
        "string",
        0,
        "Information when was the last time the job was successfully scheduled.",
    ),
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
    describe::kind("batch/v1", "CronJob", "cronjobs", COLUMNS, CronJob)
        .short(&["cj"])
        .in_all()
        .status()
        .done()
}

#[derive(Debug)]
struct CronJob;

impl Strategy for CronJob {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        object_or_new(map, "status");
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_zero(spec, "concurrencyPolicy", "Allow");
        set_default(spec, "suspend", false);
        set_default(spec, "successfulJobsHistoryLimit", 3);
        set_default(spec, "failedJobsHistoryLimit", 1);
        if let Some(template) = object_or_new(spec, "jobTemplate") {
            object_or_new(template, "metadata");
            // The job that comes of it gets its own defaults; only the pod template has them here.
            if let Some(spec) = object_or_new(template, "spec") {
                podspec::default_template_in(spec);
            }
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        // Jobs are named after it, with eleven bytes more.
        let name = text(object, "/metadata/name");
        if name.len() > 52 {
            errors.push(FieldError::invalid(
                "metadata.name",
                name,
                "must be no more than 52 characters",
            ));
        }
        schedule(&mut errors, text(object, "/spec/schedule"));
        let policy = text(object, "/spec/concurrencyPolicy");
        let allowed = ["Allow", "Forbid", "Replace"];
        if !allowed.contains(&policy) {
            errors.push(FieldError::not_supported(
                "spec.concurrencyPolicy",
                policy,
                &allowed,
            ));
        }
        for field in [
            "startingDeadlineSeconds",
            "successfulJobsHistoryLimit",
            "failedJobsHistoryLimit",
        ] {
            non_negative(&mut errors, object, &format!("spec.{field}"));
        }
        job::rules::spec(&mut errors, object, "spec.jobTemplate.spec");
        if let Some(selector) = object.pointer("/spec/jobTemplate/spec/selector") {
            let path = "spec.jobTemplate.spec.selector";
            let detail = "`selector` will be auto-generated";
            errors.push(FieldError::invalid_shown(
                path,
                &go::label_selector(selector),
                detail,
            ));
        }
        if is_true(object, "/spec/jobTemplate/spec/manualSelector") {
            let path = "spec.jobTemplate.spec.manualSelector";
            errors.push(FieldError::not_supported(path, true, &["nil", "false"]));
        }
        time_zone(&mut errors, object);
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = self.validate_create(new);
        // One that was there stays, whatever databases have become.
        if old.pointer("/spec/timeZone") == new.pointer("/spec/timeZone") {
            errors.retain(|error| error.field != "spec.timeZone");
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let last = text(object, "/status/lastScheduleTime");
        let last =
            time::parse(last).map_or_else(|| "<none>".to_owned(), |then| time::human_duration(now - then));
        let (names, images) = cells::containers(object.pointer("/spec/jobTemplate/spec/template/spec"));
        vec![
            cells::name(object),
            Value::from(text(object, "/spec/schedule")),
            cells::text_or(object, "/spec/timeZone", "<none>"),
            cells::boolean(is_true(object, "/spec/suspend")),
            Value::from(items(object, "/status/active").len()),
            Value::from(last),
            cells::age(object, now),
            names,
            images,
            cells::label_selector(object, "/spec/jobTemplate/spec/selector"),
        ]
    }
}

/// Bounds of the five fields, and the names that two of them know.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

fn time_zone(errors: &mut Vec<FieldError>, object: &Value) {
    let Some(zone) = object.pointer("/spec/timeZone").and_then(Value::as_str) else {
        return;
    };
    let detail = if zone.is_empty() {
        "timeZone must be nil or non-empty string".to_owned()
    } else if zone.eq_ignore_ascii_case("local") {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
    } else if time_zone::find(zone).is_none() {
        format!("unknown time zone {zone}")
    } else {
        return;
    };
    errors.push(FieldError::invalid("spec.timeZone", zone, &detail));
}

fn schedule(errors: &mut Vec<FieldError>, schedule: &str) {
    if schedule.is_empty() {
        errors.push(FieldError::required("spec.schedule", ""));
        return;
    }
    if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid("spec.schedule", schedule, detail));
        return;
    }
    let known = [
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
    ];
    if known.contains(&schedule) {
        return;
    }
    if let Some(interval) = schedule.strip_prefix("@every ") {
        if let Err(error) = go_duration::seconds(interval) {
            let detail = format!("failed to parse duration {schedule}: {error}");
            errors.push(FieldError::invalid("spec.schedule", schedule, &detail));
        }
        return;
    }
    if schedule.starts_with('@') {
        let detail = format!("unrecognized descriptor: {schedule}");
        errors.push(FieldError::invalid("spec.schedule", schedule, &detail));
        return;
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        let detail = format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        );
        errors.push(FieldError::invalid("spec.schedule", schedule, &detail));
        return;
    }
    for (field, (low, high, names)) in fields.iter().zip(FIELDS) {
        if let Some(detail) = field
            .split(',')
            .find_map(|part| cron_part(part, low, high, names))
        {
            errors.push(FieldError::invalid("spec.schedule", schedule, &detail));
            return;
        }
    }
}

/// What is wrong with `a`, `a-b`, `*`, each perhaps with `/step`.
fn cron_part(part: &str, low: u32, high: u32, names: &[&str]) -> Option<String> {
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    let number = |text: &str| {
        let lower = text.to_lowercase();
        names
            .iter()
            .position(|name| *name == lower)
            .map(|at| at as u32 + low)
            .or_else(|| text.parse::<u32>().ok())
    };
    match number(step) {
        None => return Some(format!("failed to parse int from {step}")),
        Some(0) => return Some(format!("step of range should be a positive number: {part}")),
        Some(_) => {}
    }
    if matches!(range, "*" | "?") {
        return None;
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Some(format!("failed to parse int from {range}"));
    };
    if first < low {
        return Some(format!(
            "beginning of range ({first}) below minimum ({low}): {part}"
        ));
    }
    if last > high {
        return Some(format!("end of range ({last}) above maximum ({high}): {part}"));
    }
    (first > last).then(|| format!("beginning of range ({first}) beyond end of range ({last}): {part}"))
}
