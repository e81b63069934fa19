//! From a URL path to what it names (`RequestInfo` upstream). Pure.

/// What a resource path names. All parts are percent-decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Namespace or empty.
    pub namespace: String,
    /// Plural resource.
    pub resource: String,
    /// Object name or empty.
    pub name: String,
    /// Subresource or empty.
    pub subresource: String,
    /// Whatever follows the subresource, without the leading slash: the path of a proxy request, not decoded.
    pub rest: Option<String>,
    /// The old form `/api/v1/watch/...`.
    pub watch: bool,
}

/// Subresources of namespaces, which would otherwise read as resources inside a namespace.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

/// Parses `/api/V/...` and `/apis/G/V/...`. `None` for every other path, discovery paths included.
pub fn parse(path: &str) -> Option<ResourcePath> {
    let mut rest = path.strip_prefix('/')?;
    let mut out = ResourcePath::default();
    match next(&mut rest)? {
        "api" => {}
        "apis" => out.group = decode(next(&mut rest)?)?,
        _ => return None,
    }
    out.version = decode(next(&mut rest)?)?;
    let mut first = decode(next(&mut rest)?)?;
    if first == "watch" && !rest.is_empty() {
        out.watch = true;
        first = decode(next(&mut rest)?)?;
    }
    if first == "namespaces" {
        let Some(namespace) = next(&mut rest) else {
            out.resource = first;
            return rest.is_empty().then_some(out);
        };
        let namespace = decode(namespace)?;
        let mut ahead = rest;
        match next(&mut ahead) {
            Some(third) if !OF_NAMESPACES.contains(&third) => {
                out.namespace = namespace;
                out.resource = decode(third)?;
                rest = ahead;
            }
            _ => {
                // Of the namespace itself, requests are authorized inside that namespace.
                out.namespace.clone_from(&namespace);
                out.resource = first;
                out.name = namespace;
                return subresource(out, rest);
            }
        }
    } else {
        out.resource = first;
    }
    if let Some(name) = next(&mut rest) {
        out.name = decode(name)?;
    }
    subresource(out, rest)
}

fn subresource(mut out: ResourcePath, mut rest: &str) -> Option<ResourcePath> {
    let slash = rest.contains('/');
    let segment = next(&mut rest);
    if segment.is_none() && !rest.is_empty() {
        return None;
    }
    if let Some(subresource) = segment {
        out.subresource = decode(subresource)?;
        if slash {
            out.rest = Some(rest.to_owned());
        }
    }
    Some(out)
}

/// Takes the next segment; `None` at the end or at an empty one.
fn next<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (segment, after) = rest.split_once('/').unwrap_or((rest, ""));
    if segment.is_empty() {
        return None;
    }
    *rest = after;
    Some(segment)
}

/// Percent-decodes a segment; `None` if it is not UTF-8, or hides a slash or a dot segment.
fn decode(segment: &str) -> Option<String> {
    let text = percent_decode(segment)?;
    let hidden = text.contains(['/', '\0']) || text == "." || text == "..";
    (!hidden).then_some(text)
}

/// Percent-decodes; `None` if it is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    String::from_utf8(percent_decoded(text)?).ok()
}

/// The bytes behind percent signs; `None` where two hexadecimal digits do not follow one.
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            out.push(digit(bytes.get(at + 1)?)? << 4 | digit(bytes.get(at + 2)?)?);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(path: &str) -> Option<[String; 6]> {
        let p = parse(path)?;
        Some([p.group, p.version, p.namespace, p.resource, p.name, p.subresource])
    }

    #[test]
    fn names_what_the_path_names() {
        let cases = [
            ("/api/v1/pods", ["", "v1", "", "pods", "", ""]),
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]),
            ("/api/v1/namespaces/a", ["", "v1", "a", "namespaces", "a", ""]),
            ("/api/v1/namespaces/a/", ["", "v1", "a", "namespaces", "a", ""]),
            (
                "/api/v1/namespaces/a/status",
                ["", "v1", "a", "namespaces", "a", "status"],
            ),
            (
                "/api/v1/namespaces/a/finalize",
                ["", "v1", "a", "namespaces", "a", "finalize"],
            ),
            ("/api/v1/namespaces/a/pods", ["", "v1", "a", "pods", "", ""]),
            ("/api/v1/namespaces/a/pods/p", ["", "v1", "a", "pods", "p", ""]),
            (
                "/api/v1/namespaces/a/pods/p/exec",
                ["", "v1", "a", "pods", "p", "exec"],
            ),
            (
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                ["apps", "v1", "a", "deployments", "d", "scale"],
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                [
                    "rbac.authorization.k8s.io",
                    "v1",
                    "",
                    "clusterroles",
                    "system:node",
                    "",
                ],
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(parts(path).unwrap(), expected.map(str::to_owned), "{path}");
        }
        let proxy = parse("/api/v1/namespaces/a/services/s:80/proxy/x%20y/z").unwrap();
        assert_eq!(
            (proxy.name.as_str(), proxy.rest.as_deref()),
            ("s:80", Some("x%20y/z"))
        );
        assert!(parse("/api/v1/watch/pods").unwrap().watch);
    }

    #[test]
    fn other_paths_are_not_resources() {
        for path in [
            "/",
            "/api",
            "/api/v1",
            "/apis",
            "/apis/apps",
            "/apis/apps/v1",
            "/healthz",
            "",
            "/api//pods",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn refuses_hidden_separators() {
        for path in [
            "/api/v1/namespaces/a%2fb/pods",
            "/api/v1/pods/%2e%2e",
            "/api/v1/pods/%ff",
            "/api/v1/pods/%2",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(path in "(/[a-z%.0-9]{0,6}){0,9}") {
            let _ = parse(&path);
        }
    }
}
