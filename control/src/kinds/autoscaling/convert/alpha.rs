//! Metrics as the annotations of autoscaling/v1 have them: `metricName` and `targetAverageValue` where v2 says
//! `metric.name` and `target.averageValue`. Source: `pkg/apis/autoscaling/v1/conversion.go`.

use keelson_api::quantity::Quantity;
use serde_json::{Map, Value};

/// A field in v1, the same in v2 with the struct that it is in, and what stands for it where Go's type always has it.
type Field = (&'static str, (&'static str, &'static str), Option<&'static str>);

const NAME: Field = ("name", ("", "name"), Some(""));
const CONTAINER: Field = ("container", ("", "container"), Some(""));
const METRIC: Field = ("metricName", ("metric", "name"), Some(""));
const SELECTOR: Field = ("selector", ("metric", "selector"), None);
const METRIC_SELECTOR: Field = ("metricSelector", ("metric", "selector"), None);
const OBJECT: Field = ("target", ("", "describedObject"), None);
const UTILIZATION: Field = ("targetAverageUtilization", ("target", "averageUtilization"), None);
const AVERAGE: Field = ("targetAverageValue", ("target", "averageValue"), None);
const NOW_UTILIZATION: Field = (
    "currentAverageUtilization",
    ("current", "averageUtilization"),
    None,
);
const NOW_AVERAGE: Field = ("currentAverageValue", ("current", "averageValue"), Some("0"));
const NOW_VALUE: Field = ("currentValue", ("current", "value"), Some("0"));

/// Sources of metrics and their fields.
type Sources = [(&'static str, &'static [Field]); 5];

const SPECS: Sources = [
    ("containerResource", &[NAME, CONTAINER, UTILIZATION, AVERAGE]),
    (
        "external",
        &[
            METRIC,
            METRIC_SELECTOR,
            ("targetValue", ("target", "value"), None),
            AVERAGE,
        ],
    ),
    (
        "object",
        &[
            OBJECT,
            METRIC,
            SELECTOR,
            ("targetValue", ("target", "value"), Some("0")),
            ("averageValue", ("target", "averageValue"), None),
        ],
    ),
    (
        "pods",
        &[
            METRIC,
            SELECTOR,
            ("targetAverageValue", ("target", "averageValue"), Some("0")),
        ],
    ),
    ("resource", &[NAME, UTILIZATION, AVERAGE]),
];

const STATUSES: Sources = [
    (
        "containerResource",
        &[NAME, CONTAINER, NOW_UTILIZATION, NOW_AVERAGE],
    ),
    (
        "external",
        &[
            METRIC,
            METRIC_SELECTOR,
            NOW_VALUE,
            ("currentAverageValue", ("current", "averageValue"), None),
        ],
    ),
    (
        "object",
        &[
            OBJECT,
            METRIC,
            SELECTOR,
            NOW_VALUE,
            ("averageValue", ("current", "averageValue"), None),
        ],
    ),
    ("pods", &[METRIC, SELECTOR, NOW_AVERAGE]),
    ("resource", &[NAME, NOW_UTILIZATION, NOW_AVERAGE]),
];

/// The field as Go finds it, whose decoder does not tell capital letters from small ones.
pub(super) fn find<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let alike = || map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    map.get(name)
        .or_else(|| alike().map(|(_, value)| value))
        .filter(|value| !value.is_null())
}

/// Metrics to follow, as v2 has them; `None` if they are no list of structs. Whether the fields have the right types is
/// for the caller to see.
pub(super) fn read_metrics(metrics: Value) -> Option<Value> {
    read(metrics, &SPECS, |source, fields| {
        let Some(target) = fields.get_mut("target").and_then(Value::as_object_mut) else {
            let target = Map::from_iter([("type".to_owned(), "AverageValue".into())]);
            fields.insert("target".to_owned(), target.into());
            return;
        };
        let has = |field: &str| target.contains_key(field);
        let kind = if has("averageUtilization") {
            "Utilization"
        } else if has("value") && !(source == "object" && has("averageValue")) {
            "Value"
        } else {
            "AverageValue"
        };
        // v1 always has a value beside the average: one that is nothing was not asked for. Upstream refuses the object
        // that it has written itself.
        let value = target.get("value").map(Quantity::from_json);
        if kind == "AverageValue" && value.is_some_and(|value| value.is_ok_and(Quantity::is_zero)) {
            target.remove("value");
        }
        target.insert("type".to_owned(), kind.into());
    })
}

/// What was measured, as v2 has it.
pub(super) fn read_statuses(statuses: Value) -> Option<Value> {
    read(statuses, &STATUSES, |_, _| {})
}

/// Metrics to follow, as v1 has them.
pub(super) fn write_metrics(metrics: Vec<Value>) -> Value {
    write(metrics, &SPECS)
}

/// What was measured, as v1 has it.
pub(super) fn write_statuses(statuses: Vec<Value>) -> Value {
    write(statuses, &STATUSES)
}

fn read(metrics: Value, sources: &Sources, finish: impl Fn(&str, &mut Map<String, Value>)) -> Option<Value> {
    let metrics = match metrics {
        Value::Array(metrics) => metrics,
        Value::Null => Vec::new(),
        _ => return None,
    };
    let one = |metric: &Value| {
        let none = Map::new();
        let metric = match metric {
            Value::Object(metric) => metric,
            Value::Null => &none,
            _ => return None,
        };
        let kind = find(metric, "type").cloned();
        let mut read = Map::from_iter([("type".to_owned(), kind.unwrap_or_else(|| "".into()))]);
        for (source, fields) in sources {
            let Some(found) = find(metric, source) else {
                continue;
            };
            let mut made = Map::new();
            for (old, (parent, new), zero) in *fields {
                let value = find(found.as_object()?, old).cloned();
                if let Some(value) = value.or_else(|| zero.map(Value::from)) {
                    child(&mut made, parent)?.insert((*new).to_owned(), value);
                }
            }
            finish(source, &mut made);
            read.insert((*source).to_owned(), made.into());
        }
        Some(Value::Object(read))
    };
    metrics.iter().map(one).collect()
}

/// The struct of that name, or the map itself.
fn child<'a>(map: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    if name.is_empty() {
        return Some(map);
    }
    let child = map.entry(name).or_insert_with(|| Map::new().into());
    child.as_object_mut()
}

fn write(metrics: Vec<Value>, sources: &Sources) -> Value {
    let one = |metric: Value| {
        let kind = metric.get("type").cloned().unwrap_or_else(|| "".into());
        let mut written = Map::from_iter([("type".to_owned(), kind)]);
        for (source, fields) in sources {
            let Some(found) = metric.get(*source).filter(|found| found.is_object()) else {
                continue;
            };
            let mut made = Map::new();
            for (old, (parent, new), zero) in *fields {
                let parent = match *parent {
                    "" => Some(found),
                    name => found.get(name),
                };
                let value = parent.and_then(|parent| parent.get(*new)).cloned();
                if let Some(value) = value.or_else(|| zero.map(Value::from)) {
                    made.insert((*old).to_owned(), value);
                }
            }
            written.insert((*source).to_owned(), made.into());
        }
        Value::Object(written)
    };
    metrics.into_iter().map(one).collect()
}
