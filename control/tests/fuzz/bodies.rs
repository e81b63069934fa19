//! Bodies of creates: JSON, YAML and protobuf, from the objects of a real cluster.

use keelson_api::protobuf;
use keelson_control::server::decoders;
use serde_json::Value;

use crate::random::Random;
use crate::{driver, json, random, targets};

/// The objects of the corpus.
pub fn objects() -> Vec<Value> {
    let all = driver::corpus("json");
    all.iter()
        .map(|(name, bytes)| serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

#[test]
fn json() {
    driver::run("json", Vec::new(), json::parse, json::text, targets::json);
}

/// Every object of the corpus is one that the server takes, so that changes start from something good.
#[test]
fn seeds_are_good() {
    let refused: Vec<String> = driver::corpus("json")
        .into_iter()
        .filter_map(|(name, bytes)| {
            let object = json::parse(&bytes);
            let text = |field: &str| object[field].as_str().unwrap_or_default();
            let kind = targets::kind_of(text("apiVersion"), text("kind"))?;
            let outcome = decoders::create(kind, "application/json", &bytes);
            outcome.err().map(|status| format!("{name}: {}", status.message))
        })
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Things that only YAML has.
const YAML: [&str; 16] = [
    "&a ",
    "*a",
    "&a [*a]",
    "<<: *a\n",
    "!!binary |\n",
    "!!str ",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "|2-\n",
    ">+\n",
    "'",
    "\t",
    "{a: &b {c: *b}}",
    "0o17",
];

#[test]
fn yaml() {
    let seeds = objects()
        .iter()
        .map(|object| serde_yaml_ng::to_string(object).unwrap().into_bytes())
        .collect();
    let parse = |text: &[u8]| (text.to_vec(), serde_yaml_ng::from_slice::<Value>(text).ok());
    let mutate = |random: &mut Random, corpus: &[(Vec<u8>, Option<Value>)]| {
        let (text, object) = random.pick(corpus).clone();
        if let (Some(mut object), true) = (object, random.once_in(2)) {
            json::mutate(random, &mut object, &[Value::Null]);
            return serde_yaml_ng::to_string(&object).unwrap().into_bytes();
        }
        let mut text = text;
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() + 1);
            let word = random.pick(&YAML).as_bytes().to_vec();
            text.splice(at..at, word);
        }
        random::bytes(random, &mut text, &[]);
        text
    };
    driver::run("yaml", seeds, parse, mutate, targets::yaml);
}

#[test]
fn protobuf() {
    let text = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    let seeds: Vec<Vec<u8>> = objects()
        .iter()
        .filter_map(|object| {
            let (version, kind) = (text(object, "apiVersion"), text(object, "kind"));
            let message = protobuf::of_kind(&version, &kind)?;
            Some(protobuf::envelope::object(&version, &kind, message, object.to_string().as_bytes()).unwrap())
        })
        .collect();
    let mutate = |random: &mut Random, corpus: &[Vec<u8>]| {
        let mut bytes = random.pick(corpus).clone();
        random::bytes(random, &mut bytes, corpus);
        bytes
    };
    driver::run("protobuf", seeds, <[u8]>::to_vec, mutate, targets::protobuf);
}
