//! Objects of which one list or map is as long as a body may be: nothing may take time or memory out of proportion to it.

use serde_json::{Value, json};

use crate::random::Random;
use crate::{bodies, driver, json, targets};

/// Nearly as much as the server reads.
const SIZE: usize = 2_900_000;

/// Lengthens one list or map of a document, with items like those that it has, or with the least that there are.
fn grow(random: &mut Random, document: &mut Value, size: usize) {
    let mut all = Vec::new();
    json::places(document, &mut Vec::new(), &mut all);
    all.retain(|path| match json::at(&mut document.clone(), path) {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty() && !path.is_empty(),
        _ => false,
    });
    if all.is_empty() {
        return;
    }
    let path = random.pick(&all).clone();
    let place = json::at(document, &path);
    let like = match place {
        Value::Array(items) => random.pick(items).clone(),
        Value::Object(fields) => random.pick(&fields.values().cloned().collect::<Vec<_>>()).clone(),
        _ => Value::Null,
    };
    let item = match random.below(6) {
        0 => json!({}),
        1 => json!({"name": "a"}),
        2 => json!("a"),
        _ => like,
    };
    // Items with names of their own, or all the same.
    let distinct = !random.once_in(4);
    let count = size / (item.to_string().len() + if distinct { 8 } else { 1 });
    let numbered = |n: usize| {
        let mut item = item.clone();
        match &mut item {
            Value::String(text) if distinct => text.push_str(&n.to_string()),
            Value::Object(fields) if distinct => {
                for field in ["name", "key", "ip", "type", "path", "mountPath", "uid"] {
                    if let Some(Value::String(text)) = fields.get_mut(field) {
                        text.push_str(&n.to_string());
                    }
                }
                if let Some(Value::Number(port)) = fields.get("containerPort").or(fields.get("port")) {
                    let port = port.as_u64().unwrap_or(0) + n as u64 % 60_000;
                    let field = if fields.contains_key("port") {
                        "port"
                    } else {
                        "containerPort"
                    };
                    fields.insert(field.to_owned(), port.into());
                }
            }
            _ => {}
        }
        item
    };
    match place {
        Value::Array(items) => items.extend((0..count).map(numbered)),
        Value::Object(fields) => {
            let name = random.pick(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            // Its key is longer than what it adds to an item of a list.
            let count = count.min(size / (item.to_string().len() + name.len() + 10));
            fields.extend((0..count).map(|n| (format!("{name}{n}"), numbered(n))));
        }
        _ => {}
    }
}

#[test]
fn objects() {
    let seeds = bodies::objects()
        .iter()
        .map(|object| object.to_string().into_bytes())
        .collect();
    let mutate = |random: &mut Random, corpus: &[Value]| {
        let mut object = random.pick(corpus).clone();
        grow(random, &mut object, SIZE);
        object.to_string().into_bytes()
    };
    driver::run_slow("grown", seeds, json::parse, mutate, targets::json);
}

#[test]
fn patches() {
    let seeds = bodies::objects()
        .into_iter()
        .map(|object| json!({"old": object, "patch": object}).to_string().into_bytes())
        .collect();
    let mutate = |random: &mut Random, corpus: &[Value]| {
        let mut input = random.pick(corpus).clone();
        // The same list in both, as far as chance has it.
        let seed = random.next();
        for part in ["old", "patch"] {
            let mut again = Random::new(seed);
            if !random.once_in(4) {
                grow(&mut again, &mut input[part], SIZE / 2);
            }
        }
        input.to_string().into_bytes()
    };
    driver::run_slow("grown_patches", seeds, json::parse, mutate, |input| {
        // One of them each time, as each takes its time.
        match input.len() % 3 {
            0 => targets::strategic_patch(input),
            1 => targets::apply_patch(input),
            _ => targets::merge_patch(input),
        }
    });
}

#[test]
fn definitions() {
    let mutate = |random: &mut Random, corpus: &[Value]| {
        let mut input = random.pick(corpus).clone();
        let part = if random.once_in(2) { "definition" } else { "object" };
        grow(random, &mut input[part], SIZE);
        input.to_string().into_bytes()
    };
    driver::run_slow("definition", Vec::new(), json::parse, mutate, targets::definition);
}

/// Numbered pieces of text, one after the other.
fn numbered(count: usize, form: fn(usize) -> String) -> String {
    let mut text = String::new();
    for n in 0..count {
        text.push_str(&form(n));
    }
    text
}

/// YAML's own ways of being large: many small events, keys, anchors, flows that do not end.
#[test]
fn yaml() {
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n";
    let bodies = [
        format!("{head}data: [{}]", "a,".repeat(SIZE / 2)),
        format!("{head}data: {}", "[".repeat(SIZE)),
        format!("{head}data: {}", "{a: ".repeat(SIZE / 4)),
        format!("{head}data: {}", "- ".repeat(SIZE / 2)),
        format!("{head}data: {}", "? ".repeat(SIZE / 2)),
        format!("{head}{}", numbered(SIZE / 12, |n| format!("k{n}: v\n"))),
        format!(
            "{head}data:\n{}",
            numbered(SIZE / 20, |n| format!("  k{n}: &a{n} v\n"))
        ),
        format!("{head}data: &a {{x: y}}\nmore: [{}]", "*a,".repeat(SIZE / 3)),
        format!("{head}data: \"{}", "\\n".repeat(SIZE / 2)),
        format!("{head}data: |\n{}", " \n".repeat(SIZE / 2)),
        format!("{head}{}", "---\n".repeat(SIZE / 4)),
        format!("{head}{}", "# comment\n".repeat(SIZE / 10)),
        format!("{head}data: {}", "!!str ".repeat(SIZE / 6)),
        format!(
            "%TAG ! tag:example.com,2026:{}\n---\n{head}",
            "x".repeat(SIZE / 2)
        ),
        format!("{head}data: {}", "&a ".repeat(SIZE / 3)),
        format!("{}: 1", "a".repeat(SIZE)),
    ];
    for body in bodies {
        let began = std::time::Instant::now();
        targets::yaml(body.as_bytes());
        let took = began.elapsed();
        let shown: String = body.chars().skip(head.len()).take(20).collect();
        println!("{shown:?}: {took:?}");
        assert!(took.as_secs() < 20, "{shown:?} took {took:?}");
    }
}
