//! Certificates, headers and their combinations.

use http::HeaderMap;
use serde_json::json;

use super::fixture;
use crate::auth::{Presented, UserInfo};

#[test]
fn certificates_name_users_and_groups() {
    let fixture = fixture();
    let who = |base: &str| {
        let user = fixture
            .authenticator
            .authenticate(Some(&fixture.certificate(base)), &HeaderMap::new())
            .unwrap();
        (user.name, user.groups)
    };
    let groups = |list: &[&str]| list.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        who("admin"),
        (
            "kubernetes-admin".into(),
            groups(&["system:masters", "system:authenticated"])
        )
    );
    assert_eq!(
        who("kubelet-n1"),
        (
            "system:node:n1".into(),
            groups(&["system:nodes", "system:authenticated"])
        )
    );
    assert_eq!(
        who("netd"),
        ("system:kube-proxy".into(), groups(&["system:authenticated"]))
    );
}

#[test]
fn server_certificates_and_garbage_are_refused() {
    let fixture = fixture();
    for base in ["apiserver", "kubelet-n1-server", "ca"] {
        let answer = fixture
            .authenticator
            .authenticate(Some(&fixture.certificate(base)), &HeaderMap::new());
        assert_eq!(answer.unwrap_err().code, 401, "{base}");
    }
    let der = fixture.certificate("admin").der;
    for broken in [&der[..0], &der[..der.len() / 2], b"garbage"] {
        let answer = fixture
            .authenticator
            .authenticate(Some(&Presented::new(broken.to_vec().into())), &HeaderMap::new());
        assert_eq!(answer.unwrap_err().code, 401);
    }
}

#[test]
fn a_certificate_expires_during_the_connection() {
    let certificate = fixture().certificate("admin");
    let now = keelson_api::time::now();
    assert!(certificate.user(now).is_ok());
    assert!(certificate.user(now + 400 * 86400).is_err());
    assert!(certificate.user(now - 86400).is_err());
}

#[test]
fn no_credentials_are_anonymous_and_wrong_ones_are_not() {
    let fixture = fixture();
    let with = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        fixture
            .authenticator
            .authenticate(None, &headers)
            .map_err(|status| status.code)
    };
    assert_eq!(
        fixture.authenticator.authenticate(None, &HeaderMap::new()),
        Ok(UserInfo::anonymous())
    );
    // Other schemes are not credentials here, as upstream.
    assert_eq!(with("Basic YTpi"), Ok(UserInfo::anonymous()));
    assert_eq!(with("Bearer"), Ok(UserInfo::anonymous()));
    for wrong in [
        "Bearer x",
        "bearer a.b.c",
        "BEARER ..",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
    ] {
        assert_eq!(with(wrong), Err(401), "{wrong}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        "authorization",
        http::HeaderValue::from_bytes(b"Bearer \xff").unwrap(),
    );
    assert_eq!(
        fixture
            .authenticator
            .authenticate(None, &headers)
            .unwrap_err()
            .code,
        401
    );
}

#[test]
fn a_valid_token_counts_beside_a_wrong_certificate() {
    let fixture = fixture();
    let mut headers = HeaderMap::new();
    headers.insert(
        "authorization",
        format!("Bearer {}", fixture.token(json!({}))).parse().unwrap(),
    );
    let certificate = fixture.certificate("apiserver");
    let user = fixture
        .authenticator
        .authenticate(Some(&certificate), &headers)
        .unwrap();
    assert_eq!(user.name, "system:serviceaccount:a:robot");
}

#[test]
fn browsers_send_the_token_as_a_protocol() {
    use base64::Engine as _;
    let fixture = fixture();
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(fixture.token(json!({})));
    let token = format!("base64url.bearer.authorization.k8s.io.{encoded}");
    let wrong = "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.!!".to_owned();
    let (robot, nobody) = (Ok("system:serviceaccount:a:robot"), Ok("system:anonymous"));
    for (upgrade, connection, protocols, expected) in [
        (
            "websocket",
            "Upgrade",
            format!("v5.channel.k8s.io, {token}"),
            robot,
        ),
        (
            "WebSocket",
            "keep-alive, upgrade",
            format!("{token},v5.channel.k8s.io"),
            robot,
        ),
        // Not alone, not twice, and well written.
        ("websocket", "Upgrade", token.clone(), Err(401)),
        ("websocket", "Upgrade", format!("{token}, x, {token}"), Err(401)),
        ("websocket", "Upgrade", wrong.clone(), Err(401)),
        // Elsewhere it is no credential.
        ("SPDY/3.1", "Upgrade", format!("x, {token}"), nobody),
        ("websocket", "close", format!("x, {token}"), nobody),
        ("websocket", "close", wrong, nobody),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", upgrade.parse().unwrap());
        headers.insert("connection", connection.parse().unwrap());
        headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
        let user = fixture.authenticator.authenticate(None, &headers);
        let user = user.as_ref().map(|user| user.name.as_str());
        assert_eq!(
            user.map_err(|status| status.code),
            expected,
            "{upgrade} {connection} {protocols}"
        );
    }
}
