//! Where links of a proxied server lead for the client: below the proxy's own path, as upstream's proxy transport has it
//! (`k8s.io/apimachinery/pkg/util/proxy`). Pure.

/// What the addresses of one request are to be read with.
#[derive(Debug, Clone)]
pub struct Links {
    /// Path of the proxy, without a slash at its end: `/api/v1/namespaces/NAMESPACE/pods/NAME/proxy`.
    pub prefix: String,
    /// `host:port` of the server.
    pub server: String,
    /// `host:port` that the client asked.
    pub asked: String,
}

impl Links {
    /// The address for the client; `None` if it leads there as it is: to another host, or relative to the page.
    pub fn rewrite(&self, address: &str) -> Option<String> {
        let (origin, path) = match after_scheme(address) {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, path) = rest.split_at(end);
                if host == self.asked {
                    (&address[..address.len() - path.len()], path)
                } else if host == self.server {
                    ("", path)
                } else {
                    return None;
                }
            }
            None => ("", address),
        };
        if !path.starts_with('/') {
            return None;
        }
        let inside = path
            .strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        let prefix = if inside { "" } else { self.prefix.as_str() };
        let rewritten = format!("{origin}{prefix}{path}");
        (rewritten != address).then_some(rewritten)
    }
}

/// What follows `//` in an address with a host that HTTP reaches.
fn after_scheme(address: &str) -> Option<&str> {
    ["http://", "https://", "//"].iter().find_map(|scheme| {
        let (head, rest) = address.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_below_the_proxy() {
        let links = Links {
            prefix: "/api/v1/namespaces/n/pods/p:80/proxy".into(),
            server: "10.0.0.1:80".into(),
            asked: "localhost:8001".into(),
        };
        for (address, expected) in [
            ("/", Some("/api/v1/namespaces/n/pods/p:80/proxy/")),
            ("/a?b=c#d", Some("/api/v1/namespaces/n/pods/p:80/proxy/a?b=c#d")),
            (
                "http://10.0.0.1:80/a",
                Some("/api/v1/namespaces/n/pods/p:80/proxy/a"),
            ),
            ("//10.0.0.1:80/a", Some("/api/v1/namespaces/n/pods/p:80/proxy/a")),
            (
                "HTTP://localhost:8001/a",
                Some("HTTP://localhost:8001/api/v1/namespaces/n/pods/p:80/proxy/a"),
            ),
            // Below it already, elsewhere, relative, and what is no path.
            ("/api/v1/namespaces/n/pods/p:80/proxy/a", None),
            (
                "/api/v1/namespaces/n/pods/p:80/proxyful",
                Some("/api/v1/namespaces/n/pods/p:80/proxy/api/v1/namespaces/n/pods/p:80/proxyful"),
            ),
            ("http://elsewhere/a", None),
            ("//elsewhere/a", None),
            ("http://10.0.0.1:80", None),
            ("a/b", None),
            ("#top", None),
            ("mailto:a@b", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(links.rewrite(address).as_deref(), expected, "{address}");
        }
    }
}
