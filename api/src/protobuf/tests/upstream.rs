//! Upstream's own test data: every kind as JSON and as protobuf, with every field filled.
//!
//! They are in `testdata` of k8s.io/api (Debian: `apt-get source golang-k8s-api`), too large to keep here:
//! `KUBERNETES_TESTDATA=.../testdata/HEAD cargo nextest run -p keelson-api --run-ignored all upstream`.

use std::path::Path;

use serde_json::Value;

use super::{back, body};
use crate::protobuf::of_kind;
use crate::schema::Schema;

#[test]
#[ignore = "needs upstream's test data: KUBERNETES_TESTDATA"]
fn reads_what_upstream_writes_and_writes_the_same() {
    let folder = std::env::var("KUBERNETES_TESTDATA").expect("KUBERNETES_TESTDATA names a folder");
    let mut compared = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (Some(version), Some(kind)) = (json["apiVersion"].as_str(), json["kind"].as_str()) else {
            continue; // a few old types that are no kinds
        };
        let (group, short) = version.split_once('/').unwrap_or(("", version));
        // Only what is served: the data has old versions as well.
        let Some(schema) = Schema::builtin().kind(group, short, kind) else {
            continue;
        };
        assert!(of_kind(version, kind).is_some());
        let sent = std::fs::read(Path::new(&path).with_extension("pb")).unwrap();
        let fit = |mut value: Value| {
            without_nulls(&mut value);
            schema.conform(&mut value).unwrap();
            value
        };
        let (want, read, again) = (fit(json.clone()), fit(back(&sent)), fit(back(&body(&json))));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if read != want {
            wrong.push(format!("{name}: read\n{read}\nwant\n{want}"));
        }
        if again != want {
            wrong.push(format!("{name}: written\n{again}\nwant\n{want}"));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 40, "{compared}");
}

/// Zero times are null in JSON and absent in protobuf.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        _ => {}
    }
}
