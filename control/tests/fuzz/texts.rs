//! Short texts in paths, parameters and headers.

use keelson_control::server::decoders;

use crate::random::Random;
use crate::{driver, random, targets};

fn run(name: &str, seeds: &[&str], words: &[&str], target: fn(&[u8]) -> bool) {
    let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let mutate = |random: &mut Random, corpus: &[Vec<u8>]| {
        let mut text = random.pick(corpus).clone();
        for _ in 0..random.below(4) {
            let at = random.below(text.len() + 1);
            let word = random.pick(words).as_bytes().to_vec();
            let times = *random.pick(&[1, 1, 1, 2, 300]);
            text.splice(at..at, word.repeat(times));
        }
        if random.once_in(2) {
            random::bytes(random, &mut text, corpus);
        }
        text
    };
    driver::run(name, seeds, <[u8]>::to_vec, mutate, target);
}

#[test]
fn selector() {
    let words = [
        ",",
        "=",
        "==",
        "!=",
        "!",
        " in ",
        " notin ",
        "(",
        ")",
        "a",
        "x/y",
        " ",
        "\\,",
        "\\",
        ">",
        "<",
        "1",
        "\u{e9}",
        "metadata.name",
    ];
    let seeds = [
        "app=web,tier!=db",
        "app in (a,b),!x,y",
        "example.com/a notin (x, y)",
        "metadata.name=a,spec.nodeName!=",
        "a>1,b<2",
        "status.phase=Running",
        "a=b\\,c",
    ];
    run("selector", &seeds, &words, targets::selector);
}

#[test]
fn token() {
    // As the server writes it: version, revision, place, time.
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let seeds = [
        encode(r#"{"v":"meta.k8s.io/v1","rv":7,"start":"default/a","at":1800000000}"#),
        encode(r#"{"v":"meta.k8s.io/v1","rv":-1,"start":"","at":0}"#),
        encode(r#"{"v":"meta.k8s.io/v1","rv":9223372036854775807,"start":"\u0000","at":-1}"#),
    ];
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    run(
        "token",
        &seeds,
        &["=", "A", "eyJ2", "-", "_", "+", "/"],
        targets::token,
    );
}

#[test]
fn jwt() {
    use base64::Engine;
    let good = decoders::sign(&targets::KEY, targets::PAYLOAD).unwrap();
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    let forged = [
        format!("{}.{payload}.", encode(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.{signature}", encode(r#"{"alg":"HS256"}"#)),
        format!("{}.{payload}.{signature}", encode(r#"{"alg":"ES256","jwk":{}}"#)),
        format!(
            "{}.{}.{signature}",
            signed.split_once('.').unwrap().0,
            encode(r#"{"sub":"system:admin"}"#)
        ),
        format!("{signed}.{}", encode(&"\0".repeat(64))),
    ];
    for token in &forged {
        assert!(!targets::jwt(token.as_bytes()), "{token}");
    }
    let mut seeds: Vec<&str> = forged.iter().map(String::as_str).collect();
    seeds.push(&good);
    run(
        "jwt",
        &seeds,
        &[".", "..", "=", "e30", "AAAA", "eyJhbGciOiJub25lIn0"],
        targets::jwt,
    );
}

#[test]
fn jsonpath() {
    let words = [
        "..",
        ".",
        "[",
        "]",
        "*",
        "[*]",
        "[?(@.a==\"b\")]",
        "[0:9:1]",
        "[-1]",
        "['a.b']",
        "@",
        "$",
        "\\",
        "\"",
        "'",
        ">=",
        "..*",
        "..list",
        "[::9223372036854775807]",
        "[-9223372036854775808:]",
    ];
    let seeds = [
        ".spec.list[0].name",
        ".status.conditions[?(@.type==\"Ready\")].status",
        "..v",
        ".spec.list[?(@.v>=2)].deep.deeper[::2]",
        ".metadata.annotations['a.b/c']",
        r"$.metadata.annotations.a\.b/c",
        ".spec.list[-3:-1]..x",
    ];
    run("jsonpath", &seeds, &words, targets::jsonpath);
}

#[test]
fn request() {
    let words = [
        "/",
        "//",
        "..",
        "%2e",
        "%2F",
        "%00",
        "%",
        "?",
        "&",
        "=",
        "watch",
        "namespaces",
        "status",
        "proxy",
        "limit=",
        "continue=",
        "labelSelector=",
        "fieldSelector=metadata.name%3Da",
        ";q=",
        ",",
        "*/*",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "\n",
        "resourceVersion=99999999999999999999",
        ";as=PartialObjectMetadata",
    ];
    let seeds = [
        "/api/v1/namespaces/a/pods?limit=5&labelSelector=a%3Db\napplication/json",
        "/apis/apps/v1/namespaces/a/deployments/d/scale\napplication/vnd.kubernetes.protobuf, */*;q=0.5",
        "/api/v1/watch/namespaces/a/pods/x?watch=1&fieldSelector=status.phase!%3DRunning\napplication/json;as=Table;v=v1;g=meta.k8s.io",
        "/api/v1/namespaces/a/services/s:80/proxy/x%20y/z?b=c+d\n*/*",
    ];
    run("request", &seeds, &words, targets::request);
}
