//! Values as Go's `%#v` prints them: upstream's messages show what is no plain text or number so.
//!
//! So do servers up to 1.33; later ones write JSON. Its structs are those of the internal API, whose fields have names of
//! their own. Where Go would print the address of a pointer, nobody can compare the message, and it shows JSON instead.

use keelson_api::status::go_quote;
use serde_json::Value;

use super::json::{int, items, text};

/// A map of strings.
pub fn map(map: &Value) -> String {
    let Some(map) = map.as_object() else {
        return "map[string]string(nil)".to_owned();
    };
    let pairs: Vec<String> = map
        .iter()
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            format!("{}:{}", go_quote(key), go_quote(value))
        })
        .collect();
    format!("map[string]string{{{}}}", pairs.join(", "))
}

/// A list of strings, whose type has this name.
pub fn list(of: &str, list: &[Value]) -> String {
    let texts: Vec<&str> = list
        .iter()
        .map(|value| value.as_str().unwrap_or_default())
        .collect();
    texts_of(of, &texts)
}

/// As [`list`].
pub fn texts_of(of: &str, texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| go_quote(text)).collect();
    format!("[]{of}{{{}}}", quoted.join(", "))
}

/// A label selector.
pub fn label_selector(selector: &Value) -> String {
    let labels = map(selector.get("matchLabels").unwrap_or(&Value::Null));
    let expressions: Vec<String> = items(selector, "/matchExpressions")
        .iter()
        .map(|expression| {
            let values = match items(expression, "/values") {
                [] => "[]string(nil)".to_owned(),
                values => list("string", values),
            };
            let (key, operator) = (
                go_quote(text(expression, "/key")),
                go_quote(text(expression, "/operator")),
            );
            format!("v1.LabelSelectorRequirement{{Key:{key}, Operator:{operator}, Values:{values}}}")
        })
        .collect();
    let expressions = if expressions.is_empty() {
        "[]v1.LabelSelectorRequirement(nil)".to_owned()
    } else {
        format!("[]v1.LabelSelectorRequirement{{{}}}", expressions.join(", "))
    };
    format!("v1.LabelSelector{{MatchLabels:{labels}, MatchExpressions:{expressions}}}")
}

/// A number or a text, e.g. a count or a share of pods.
pub fn int_or_string(value: &Value) -> String {
    match value {
        Value::String(text) => format!(
            "intstr.IntOrString{{Type:1, IntVal:0, StrVal:{}}}",
            go_quote(text)
        ),
        number => format!(
            "intstr.IntOrString{{Type:0, IntVal:{}, StrVal:\"\"}}",
            number.as_i64().unwrap_or(0)
        ),
    }
}

/// What tells ports of a Service apart, which is all that upstream's message has of them.
pub fn service_port(port: &Value) -> String {
    format!(
        "core.ServicePort{{Name:\"\", Protocol:{}, AppProtocol:(*string)(nil), Port:{}, \
         TargetPort:{}, NodePort:0}}",
        go_quote(text(port, "/protocol")),
        int(port, "/port").unwrap_or(0),
        int_or_string(&Value::Null),
    )
}

/// A taint.
pub fn taint(taint: &Value) -> String {
    let field = |name: &str| go_quote(text(taint, name));
    if taint.get("timeAdded").is_some_and(Value::is_string) {
        return taint.to_string();
    }
    format!(
        "core.Taint{{Key:{}, Value:{}, Effect:{}, TimeAdded:<nil>}}",
        field("/key"),
        field("/value"),
        field("/effect")
    )
}

/// A toleration.
pub fn toleration(toleration: &Value) -> String {
    let field = |name: &str| go_quote(text(toleration, name));
    if toleration.get("tolerationSeconds").is_some_and(Value::is_number) {
        return toleration.to_string();
    }
    format!(
        "core.Toleration{{Key:{}, Operator:{}, Value:{}, Effect:{}, TolerationSeconds:(*int64)(nil)}}",
        field("/key"),
        field("/operator"),
        field("/value"),
        field("/effect")
    )
}
