//! The targets: each takes bytes as a client may send them, checks what must hold whatever they are, and returns whether they
//! were taken for good.

use std::sync::LazyLock;

use keelson_api::depth::{MAX_DEPTH, measure};
use keelson_api::jsonpath::Path;
use keelson_api::protobuf;
use keelson_api::selector::{FieldSelector, Selector};
use keelson_control::kinds::{self, Kind};
use keelson_control::server::decoders::{self, APPLY};
use serde_json::{Value, json};

/// The largest body that the server reads.
const BODY: usize = 3 << 20;

/// The built-in kind of that name.
pub fn kind_of(version: &str, kind: &str) -> Option<&'static Kind> {
    kinds::builtin()
        .iter()
        .find(|known| known.kind == kind && known.api_version() == version)
}

/// The kind that a body says it is, else ConfigMap.
fn kind_in(value: &Value) -> &'static Kind {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    kind_of(text("apiVersion"), text("kind"))
        .or_else(|| kind_of("v1", "ConfigMap"))
        .expect("a built-in kind")
}

/// A POST of JSON.
pub fn json(data: &[u8]) -> bool {
    let kind = kind_in(&serde_json::from_slice(data).unwrap_or_default());
    created(kind, "application/json", data)
}

/// A POST of YAML.
pub fn yaml(data: &[u8]) -> bool {
    // Which kind is asked for does not depend on the body. Bodies that expand are given up by the server, not here.
    let text = String::from_utf8_lossy(data);
    let named = |field: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap_or_default().trim().to_owned()
    };
    let kind = kind_in(&json!({"apiVersion": named("apiVersion:"), "kind": named("kind:")}));
    created(kind, "application/yaml", data)
}

/// A POST of protobuf.
pub fn protobuf(data: &[u8]) -> bool {
    let Ok(envelope) = protobuf::envelope::read(data) else {
        // What it would be otherwise does not matter.
        return created(kind_in(&Value::Null), protobuf::MEDIA_TYPE, data);
    };
    let kind = kind_in(&json!({"apiVersion": envelope.api_version, "kind": envelope.kind}));
    created(kind, protobuf::MEDIA_TYPE, data)
}

fn created(kind: &Kind, media: &str, data: &[u8]) -> bool {
    if data.len() > BODY {
        return false;
    }
    match decoders::create(kind, media, data) {
        Ok(stored) => {
            check_stored(kind, &stored);
            true
        }
        Err(status) => {
            let shown = serde_json::to_vec(&status).expect("a Status").len();
            assert!(shown < 4 * BODY, "a refusal of {shown} bytes for {}", data.len());
            assert!((400..500).contains(&status.code), "{status:?}");
            false
        }
    }
}

/// What holds for every object that the server has accepted: it can be read back, by everyone, in every form.
fn check_stored(kind: &Kind, stored: &Value) {
    assert!(measure(stored).0 <= MAX_DEPTH);
    let text = serde_json::to_vec(stored).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<Value>(&text).expect("what was written"),
        *stored
    );
    if kind.custom.is_some() {
        return;
    }
    // What is read is defaulted, which may add what the server has put in (a Job's labels), but only once.
    let mut read = stored.clone();
    kind.strategy.default(&mut read);
    let mut again = read.clone();
    kind.strategy.default(&mut again);
    assert_eq!(again, read, "defaults change a second time");
    // One object must not break the lists of all clients.
    if let Some(message) = protobuf::of_kind(&kind.api_version(), &kind.kind) {
        let bytes = protobuf::envelope::object(&kind.api_version(), &kind.kind, message, &text)
            .unwrap_or_else(|error| panic!("no protobuf of a stored {}: {error}\n{stored:#}", kind.kind));
        protobuf::decode(&bytes, (&kind.api_version(), &kind.kind)).expect("what was written");
    }
    typed(kind, stored);
}

/// Clients with types must be able to read it: Rust's, Python's, Java's raise where a field has another type.
fn typed(kind: &Kind, stored: &Value) {
    use k8s_openapi::api::{apps, autoscaling, batch, core, discovery, networking, policy, rbac};
    fn read<T: serde::de::DeserializeOwned>(stored: &Value) -> Result<(), serde_json::Error> {
        serde_json::from_value::<T>(stored.clone()).map(drop)
    }
    let outcome = match (kind.group.as_ref(), kind.version.as_ref(), kind.kind.as_ref()) {
        ("", "v1", "Pod") => read::<core::v1::Pod>(stored),
        ("", "v1", "ConfigMap") => read::<core::v1::ConfigMap>(stored),
        ("", "v1", "Secret") => read::<core::v1::Secret>(stored),
        ("", "v1", "Service") => read::<core::v1::Service>(stored),
        ("", "v1", "Node") => read::<core::v1::Node>(stored),
        ("", "v1", "Event") => read::<core::v1::Event>(stored),
        ("", "v1", "Namespace") => read::<core::v1::Namespace>(stored),
        ("", "v1", "PersistentVolumeClaim") => read::<core::v1::PersistentVolumeClaim>(stored),
        ("apps", "v1", "Deployment") => read::<apps::v1::Deployment>(stored),
        ("apps", "v1", "StatefulSet") => read::<apps::v1::StatefulSet>(stored),
        ("apps", "v1", "DaemonSet") => read::<apps::v1::DaemonSet>(stored),
        ("batch", "v1", "CronJob") => read::<batch::v1::CronJob>(stored),
        ("batch", "v1", "Job") => read::<batch::v1::Job>(stored),
        ("autoscaling", "v2", _) => read::<autoscaling::v2::HorizontalPodAutoscaler>(stored),
        ("networking.k8s.io", "v1", "NetworkPolicy") => read::<networking::v1::NetworkPolicy>(stored),
        ("networking.k8s.io", "v1", "Ingress") => read::<networking::v1::Ingress>(stored),
        ("policy", "v1", "PodDisruptionBudget") => read::<policy::v1::PodDisruptionBudget>(stored),
        ("discovery.k8s.io", "v1", "EndpointSlice") => read::<discovery::v1::EndpointSlice>(stored),
        ("rbac.authorization.k8s.io", "v1", "Role") => read::<rbac::v1::Role>(stored),
        _ => Ok(()),
    };
    if let Err(error) = outcome {
        panic!(
            "a typed client cannot read a stored {}: {error}\n{stored:#}",
            kind.kind
        );
    }
}

/// Whether there is an empty text somewhere.
fn has_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().any(has_empty),
        Value::Object(fields) => fields.values().any(has_empty),
        _ => false,
    }
}

/// A PATCH. The input is `{"old": ..., "patch": ...}`, as JSON.
fn patched(media: &str, data: &[u8]) -> bool {
    let Ok(input) = serde_json::from_slice::<Value>(data) else {
        return false;
    };
    let kind = kind_in(&input["old"]);
    let Ok(old) = decoders::create(kind, "application/json", input["old"].to_string().as_bytes()) else {
        return false;
    };
    let patch = input["patch"].to_string();
    let Ok(new) = decoders::update(kind, media, &old, patch.as_bytes()) else {
        return false;
    };
    check_stored(kind, &new);
    // Copies have a limit of their own; nothing else makes an object of more than it was given.
    let most = 8 * (old.to_string().len() + patch.len()) + (16 << 20);
    assert!(new.to_string().len() < most);
    // An item applied with an empty key (`protocol: ""`) is another one than that which defaulting makes of it, as upstream's.
    let repeats = match media {
        APPLY => !has_empty(&input["patch"]),
        media => media == "application/merge-patch+json",
    };
    if repeats {
        let again = decoders::update(kind, media, &new, patch.as_bytes());
        assert_eq!(
            again.expect("the same again"),
            new,
            "the same patch again changes nothing"
        );
    }
    true
}

/// JSON patch.
pub fn json_patch(data: &[u8]) -> bool {
    patched("application/json-patch+json", data)
}

/// Merge patch.
pub fn merge_patch(data: &[u8]) -> bool {
    patched("application/merge-patch+json", data)
}

/// Strategic merge patch.
pub fn strategic_patch(data: &[u8]) -> bool {
    patched("application/strategic-merge-patch+json", data)
}

/// Server-side apply.
pub fn apply_patch(data: &[u8]) -> bool {
    patched(APPLY, data)
}

/// Label and field selectors: what is accepted is the same when it is written and read again.
pub fn selector(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let labels = Selector::parse(&text);
    if let Ok(labels) = &labels {
        let again = Selector::parse(&labels.to_string());
        assert_eq!(
            again.expect("what was written").to_string(),
            labels.to_string(),
            "{text:?}"
        );
        let _ = labels.matches_with(|label| (label.len() % 2 == 0).then_some("a"));
    }
    let fields = FieldSelector::parse(&text);
    if let Ok(fields) = &fields {
        let again = FieldSelector::parse(&fields.to_string());
        assert_eq!(
            again.expect("what was written").to_string(),
            fields.to_string(),
            "{text:?}"
        );
        let _ = fields.matches(|field| (field.len() % 2 == 0).then_some("a"));
    }
    labels.is_ok() || fields.is_ok()
}

/// Continue tokens: what is accepted is what the server would write.
pub fn token(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(written) = decoders::token(text) else {
        return false;
    };
    assert_eq!(decoders::token(&written).expect("what was written"), written);
    true
}

/// The key of [`jwt`], PKCS#8.
pub static KEY: LazyLock<Vec<u8>> =
    LazyLock::new(|| rcgen::KeyPair::generate().expect("a key").serialize_der());
/// The one payload that it signs.
pub const PAYLOAD: &[u8] =
    br#"{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:default:default"}"#;

/// Tokens of service accounts: nothing passes that was not signed.
pub fn jwt(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Some(payload) = decoders::jwt(&KEY, text) else {
        return false;
    };
    assert_eq!(payload, PAYLOAD, "a payload that was never signed");
    true
}

/// JSONPath of columns and selectable fields, over an object with a bit of everything: bounded in what it finds.
pub fn jsonpath(data: &[u8]) -> bool {
    static OBJECT: LazyLock<Value> = LazyLock::new(|| {
        let items: Vec<Value> = (0..200)
            .map(|n| json!({"name": format!("n{n}"), "v": n, "deep": {"deeper": [n, [n], {"x": "y"}]}}))
            .collect();
        json!({"metadata": {"name": "n", "annotations": {"a.b/c": "x"}}, "spec": {"list": items, "n": 3},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    });
    let Ok(path) = Path::parse(&String::from_utf8_lossy(data)) else {
        return false;
    };
    let _ = path.fields();
    assert!(path.find(&OBJECT).len() <= 10_000);
    true
}

/// Definitions of custom resources, and then an object of what they define. The input is `{"definition": ..., "object": ...}`.
pub fn definition(data: &[u8]) -> bool {
    let Ok(input) = serde_json::from_slice::<Value>(data) else {
        return false;
    };
    let kind = kind_of("apiextensions.k8s.io/v1", "CustomResourceDefinition").expect("a built-in kind");
    let body = input["definition"].to_string();
    let Ok(mut stored) = decoders::create(kind, "application/json", body.as_bytes()) else {
        return false;
    };
    check_stored(kind, &stored);
    stored["status"]["acceptedNames"] = stored["spec"]["names"].clone();
    // A definition may have thousands of versions, each of which takes its time.
    for custom in kinds::custom::kinds(&stored).into_iter().take(3) {
        let mut object = input["object"].clone();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), custom.api_version().into());
            fields.insert("kind".to_owned(), custom.kind.as_ref().into());
        }
        let Ok(made) = decoders::create(&custom, "application/json", object.to_string().as_bytes()) else {
            continue;
        };
        check_stored(&custom, &made);
        // What the schema has made of it fits the schema, and nothing more is taken away. (It is stored in another version.)
        let mut old = made.clone();
        old["apiVersion"] = custom.api_version().into();
        let again = decoders::create(&custom, "application/json", old.to_string().as_bytes());
        assert_eq!(
            again.expect("what was accepted"),
            made,
            "accepted once, then something else"
        );
        for (media, patch) in [
            (
                "application/merge-patch+json",
                json!({"metadata": {"labels": {"a": "b"}}}),
            ),
            (APPLY, old.clone()),
        ] {
            if let Ok(new) = decoders::update(&custom, media, &old, patch.to_string().as_bytes()) {
                check_stored(&custom, &new);
            }
        }
        let _ = custom.custom.as_ref().map(|own| own.selectable(&made));
    }
    true
}

/// The first line of a request and its Accept header, apart by a line's end.
pub fn request(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let (target, accept) = text.split_once('\n').unwrap_or((&text, ""));
    let pod = kind_of("v1", "Pod").expect("a built-in kind");
    decoders::request(pod, target, accept.as_bytes())
}
