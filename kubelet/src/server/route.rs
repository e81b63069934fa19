//! The paths of the server, as upstream's kubelet has them. Pure.

use http::Method;

/// A pod, and which container of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub namespace: String,
    pub pod: String,
    /// Given by clients that want exactly this incarnation.
    pub uid: Option<String>,
    /// Empty for port-forward.
    pub container: String,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Healthz,
    Pods,
    Logs(Target),
    Exec(Target),
    Attach(Target),
    PortForward(Target),
    Run(Target),
    StatsSummary,
    Metrics,
    ResourceMetrics,
}

/// Why there is no route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    NotFound,
    MethodNotAllowed,
}

impl Route {
    /// Finds the route of a request.
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(decode)
            .collect::<Option<_>>()
            .ok_or(NoRoute::NotFound)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let streams = [Method::GET, Method::POST];
        let (route, methods): (Self, &[Method]) = match segments.as_slice() {
            ["healthz"] => (Self::Healthz, &streams[..1]),
            ["pods"] => (Self::Pods, &streams[..1]),
            ["stats", "summary"] => (Self::StatsSummary, &streams),
            ["metrics"] => (Self::Metrics, &streams[..1]),
            ["metrics", "resource"] => (Self::ResourceMetrics, &streams[..1]),
            ["containerLogs", rest @ ..] => (Self::Logs(container(rest, false)?), &streams[..1]),
            ["exec", rest @ ..] => (Self::Exec(container(rest, true)?), &streams),
            ["attach", rest @ ..] => (Self::Attach(container(rest, true)?), &streams),
            ["run", rest @ ..] => (Self::Run(container(rest, true)?), &streams[1..]),
            ["portForward", namespace, pod] => {
                (Self::PortForward(target(namespace, pod, None, "")), &streams)
            }
            ["portForward", namespace, pod, uid] => {
                (Self::PortForward(target(namespace, pod, Some(uid), "")), &streams)
            }
            _ => return Err(NoRoute::NotFound),
        };
        if methods.contains(method) {
            Ok(route)
        } else {
            Err(NoRoute::MethodNotAllowed)
        }
    }
}

/// `NAMESPACE/POD/CONTAINER` or, with `uids`, `NAMESPACE/POD/UID/CONTAINER`.
fn container(rest: &[&str], uids: bool) -> Result<Target, NoRoute> {
    match rest {
        [namespace, pod, container] => Ok(target(namespace, pod, None, container)),
        [namespace, pod, uid, container] if uids => Ok(target(namespace, pod, Some(uid), container)),
        _ => Err(NoRoute::NotFound),
    }
}

fn target(namespace: &str, pod: &str, uid: Option<&str>, container: &str) -> Target {
    Target {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        uid: uid.map(str::to_owned),
        container: container.to_owned(),
    }
}

/// Undoes percent-encoding; `None` if it is damaged or not text.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let get = |path: &str| Route::parse(&Method::GET, path);
        assert_eq!(get("/healthz"), Ok(Route::Healthz));
        assert_eq!(
            get("/containerLogs/ns/pod/c"),
            Ok(Route::Logs(target("ns", "pod", None, "c")))
        );
        assert_eq!(
            get("/exec/ns/pod/u-1/c"),
            Ok(Route::Exec(target("ns", "pod", Some("u-1"), "c")))
        );
        assert_eq!(
            get("/portForward/ns/pod"),
            Ok(Route::PortForward(target("ns", "pod", None, "")))
        );
        assert_eq!(
            get("/exec/n%2Fs/p%20d/c"),
            Ok(Route::Exec(target("n/s", "p d", None, "c")))
        );
        assert_eq!(get("/run/ns/pod/c"), Err(NoRoute::MethodNotAllowed));
        assert_eq!(
            Route::parse(&Method::POST, "/healthz"),
            Err(NoRoute::MethodNotAllowed)
        );
        for absent in [
            "/",
            "/nothing",
            "/exec/ns/pod",
            "/exec/a/b/c/d/e",
            "/containerLogs/ns/pod/u/c",
            "/exec/%zz/b/c",
            "/exec/%f",
            "/exec/%ff/b/c",
        ] {
            assert_eq!(get(absent), Err(NoRoute::NotFound), "{absent}");
        }
    }
}
