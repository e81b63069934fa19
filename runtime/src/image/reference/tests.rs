use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn fills_in_what_docker_fills_in() {
    for (short, long) in [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest"),
        ("foo/bar", "docker.io/foo/bar:latest"),
        ("k8s.gcr.io/echoserver:1.4", "k8s.gcr.io/echoserver:1.4"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x:y", "localhost:5000/x:y"),
        ("host:5000/a/b", "host:5000/a/b:latest"),
        ("Upper/x", "Upper/x:latest"),
        ("[fd00::1]:5000/x", "[fd00::1]:5000/x:latest"),
        ("[::1]/x", "[::1]/x:latest"),
        ("a__b/c.d/e---f_g", "docker.io/a__b/c.d/e---f_g:latest"),
        ("busybox:A_b.c-9", "docker.io/library/busybox:A_b.c-9"),
    ] {
        assert_eq!(normalize_reference(short).unwrap(), long, "{short}");
    }
    let digest = format!("sha256:{HEX}");
    assert_eq!(
        normalize_reference(&format!("busybox@{digest}")).unwrap(),
        format!("docker.io/library/busybox@{digest}")
    );
    assert_eq!(
        normalize_reference(&format!("busybox:1@{digest}")).unwrap(),
        format!("docker.io/library/busybox:1@{digest}")
    );
}

#[test]
fn refuses_what_docker_refuses() {
    let long_tag = format!("a:{}", "t".repeat(129));
    let long_name = format!("a/{}", "b".repeat(254));
    for bad in [
        "",
        ":",
        "@",
        "/",
        "a/",
        "/a",
        "a//b",
        "a:",
        "a@",
        "a:b:c",
        "Busybox",
        "a b",
        "a\n",
        "a/../b",
        "..",
        "-a",
        "a-",
        "a___b",
        "a..b",
        "a._b",
        "a:-t",
        "a:.t",
        HEX,
        "http://a/b",
        "a@sha256:00",
        "a@sha512:00",
        "é",
        "a:é",
        "host:port/a",
        "host:/a",
        "-h.io/a",
        "h..io/a",
        "[::1/a",
        "[]/a",
        "[::g]/a",
        "[::1]x/a",
        "localhost:5000/",
        &long_tag,
        &long_name,
    ] {
        assert!(
            matches!(normalize_reference(bad), Err(Error::InvalidReference(_))),
            "{bad}: {:?}",
            normalize_reference(bad)
        );
    }
}

proptest! {
    #[test]
    fn never_panics_and_is_idempotent(text in "[a-zA-Z0-9:/@.\\[\\]_é-]{0,40}") {
        if let Ok(normal) = normalize_reference(&text) {
            prop_assert_eq!(normalize_reference(&normal).unwrap(), normal.clone());
            prop_assert!(!normal.contains(".."));
        }
    }

    #[test]
    fn takes_every_well_formed_name(
        domain in "[a-z]{1,8}\\.(io|com|test)(:[0-9]{1,5})?",
        path in "[a-z0-9]{1,8}((__|[._]|-{1,3})[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,8}){0,2}",
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}",
    ) {
        let text = format!("{domain}/{path}:{tag}");
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(&reference.domain, &domain);
        prop_assert_eq!(&reference.path, &path);
        prop_assert_eq!(reference.to_string(), text);
    }
}
