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

/// What a node says of a driver of CSI.
pub fn csi_driver(driver: &Value) -> String {
    if driver.get("allocatable").is_some_and(Value::is_object) {
        return driver.to_string();
    }
    let keys = match items(driver, "/topologyKeys") {
        [] => "[]string(nil)".to_owned(),
        keys => list("string", keys),
    };
    format!(
        "storage.CSINodeDriver{{Name:{}, NodeID:{}, TopologyKeys:{keys}, Allocatable:(*storage.VolumeNodeResources)(nil)}}",
        go_quote(text(driver, "/name")),
        go_quote(text(driver, "/nodeID")),
    )
}

/// As Go's `unicode.IsPrint`, except for code points that stand for nothing yet: of spaces only the common one, and nothing
/// that only formats (category Cf of Unicode 15) or is for private use.
pub fn is_printable(c: char) -> bool {
    let formats = matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}');
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    c == ' ' || !(c.is_control() || c.is_whitespace() || formats || private)
}

#[cfg(test)]
mod tests {
    use super::is_printable;

    #[test]
    fn what_only_formats_is_not_printable() {
        for c in [
            'a',
            ' ',
            '\u{e9}',
            '\u{301}',
            '\u{4e16}',
            '\u{2010}',
            '\u{20ac}',
            '\u{1f600}',
        ] {
            assert!(is_printable(c), "{c:?}");
        }
        for c in [
            '\n',
            '\u{a0}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{202a}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{feff}',
            '\u{e000}',
            '\u{e0041}',
            '\u{10fffd}',
        ] {
            assert!(!is_printable(c), "{c:?}");
        }
    }
}
