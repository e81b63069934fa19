//! An authenticating proxy, and those who pretend to be one.

use http::HeaderMap;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::*;
use crate::auth::AUTHENTICATED;

/// A fixture with an authority for proxies, which issues certificates.
fn with_proxies() -> (Fixture, Issuer<'static, KeyPair>) {
    let mut fixture = fixture();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "front-proxy-ca");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    std::fs::write(fixture.dir.path().join("front-proxy-ca.crt"), authority.pem()).unwrap();
    fixture.authenticator = Authenticator::new(fixture.dir.path(), fixture.memory.clone()).unwrap();
    (fixture, Issuer::new(params, key))
}

fn issue(authority: &Issuer<'static, KeyPair>, name: &str, group: &str) -> Presented {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !group.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    Presented::new(params.signed_by(&key, authority).unwrap().der().clone())
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-remote-user", "jane"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "ops"),
        ("x-remote-uid", "42"),
        ("x-remote-extra-scopes", "read"),
        ("x-remote-extra-scopes", "write"),
        ("x-remote-extra-acme.com%2fproject", "x"),
        ("user-agent", "test"),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    headers
}

#[test]
fn the_proxy_names_its_callers_and_its_headers_go_no_further() {
    let (fixture, authority) = with_proxies();
    let proxy = issue(&authority, "front-proxy-client", "");
    assert!(fixture.authenticator.is_front_proxy(&proxy));
    let mut headers = headers();
    let user = fixture.authenticator.proxied(&proxy, &mut headers).unwrap();
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("jane", "42"));
    assert_eq!(user.groups, ["dev", "ops", AUTHENTICATED]);
    assert_eq!(user.extra["scopes"], ["read", "write"]);
    assert_eq!(user.extra["acme.com/project"], ["x"]);
    assert_eq!(headers.len(), 1);
}

#[test]
fn nobody_else_names_anybody() {
    let (fixture, authority) = with_proxies();
    let refused = |certificate: &Presented, mut headers: HeaderMap| {
        fixture
            .authenticator
            .proxied(certificate, &mut headers)
            .map_err(|status| status.code)
    };
    // Another name by the proxies' authority, and one that would be mighty if it were a client's.
    assert_eq!(refused(&issue(&authority, "other", ""), headers()), Err(401));
    let master = issue(&authority, "root", "system:masters");
    assert_eq!(refused(&master, HeaderMap::new()), Err(401));
    // The proxy itself without a caller.
    let proxy = issue(&authority, "front-proxy-client", "system:masters");
    assert_eq!(refused(&proxy, HeaderMap::new()), Err(401));
    // A client's certificate with the proxy's headers is that client.
    let client = fixture.certificate("kubelet-n1");
    assert!(!fixture.authenticator.is_front_proxy(&client));
    let user = fixture
        .authenticator
        .authenticate(Some(&client), &headers())
        .unwrap();
    assert_eq!(user.name, "system:node:n1");
    // Headers without a certificate are nobody's.
    let user = fixture.authenticator.authenticate(None, &headers()).unwrap();
    assert_eq!(user, UserInfo::anonymous());
}

#[test]
fn without_an_authority_there_are_no_proxies() {
    let fixture = fixture();
    assert!(
        !fixture
            .authenticator
            .is_front_proxy(&fixture.certificate("admin"))
    );
}
