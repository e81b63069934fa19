//! `WWW-Authenticate` (RFC 9110 11.6.1), as registries use it: where to get a token, or that a password will do.

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::image) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Parses a header value; `None` for schemes that are not spoken here.
    pub(in crate::image) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer {
            realm: realm?,
            service,
            scope,
        })
    }
}

/// `name=value` and `name="value"`, separated by commas; a comma within quotes belongs to the value.
fn parameters(mut text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.find('"') {
                Some(end) => (&quoted[..end], &quoted[end + 1..]),
                None => break,
            },
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        found.push((name.trim(), value.trim().to_owned()));
        text = after.trim_start_matches([',', ' ']);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_registries_say() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::parse(hub),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".to_owned(),
                service: Some("registry.docker.io".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
            })
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(
            Challenge::parse("bearer realm=https://a/b, service=c"),
            Some(Challenge::Bearer {
                realm: "https://a/b".to_owned(),
                service: Some("c".to_owned()),
                scope: None,
            })
        );
        for none in [
            "",
            "Digest realm=x",
            "Bearer",
            "Bearer service=x",
            "Bearer realm=\"open",
        ] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read(text in "(Bearer )?[a-z=\", é]{0,40}", any in ".{0,60}") {
            let _ = Challenge::parse(&text);
            let _ = Challenge::parse(&any);
            let _ = Challenge::parse(&format!("Bearer realm={any}"));
        }
    }
}
