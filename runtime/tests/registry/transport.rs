//! Certificates and passwords.

use keelson_runtime::image::{Access, DockerConfig, Error, PullOptions};

use crate::server::{Registry, Store, Wants, bundle, password, with};

fn image(store: &Store) {
    bundle(&store.path("bundle"), "shell");
    store.store.import(&store.path("bundle"), "app:1").unwrap();
}

#[test]
fn passwords_from_options_and_from_a_docker_configuration() {
    let registry = Registry::start(&Wants {
        password: true,
        ..Wants::default()
    });
    let here = Store::new();
    image(&here);
    let name = registry.name("team/app:1");
    for access in [Access::default(), password("wrong")] {
        let error = here.store.push("app:1", Some(&name), &access).unwrap_err();
        assert!(matches!(error, Error::Push { .. }));
        assert!(error.to_string().contains("access denied"), "{error}");
    }
    here.store
        .push("app:1", Some(&name), &password("secret"))
        .unwrap();
    let there = Store::new();
    for options in [PullOptions::default(), with(password("wrong"))] {
        let error = there.store.pull(&name, &options).unwrap_err().to_string();
        assert!(error.contains("pull access denied"), "{error}");
    }
    // tester:secret
    let config = format!(
        "{{\"auths\":{{\"127.0.0.1:{}\":{{\"auth\":\"dGVzdGVyOnNlY3JldA==\"}}}}}}",
        registry.port
    );
    let config = DockerConfig::parse(config.as_bytes()).unwrap();
    let access = Access {
        credentials: config.credentials(&name).unwrap(),
        ..Access::default()
    };
    there.store.pull(&name, &with(access)).unwrap();
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&authority).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = own.signed_by(&key, &issuer).unwrap();
    let registry = Registry::start(&Wants {
        tls: Some((&certificate.pem(), &key.serialize_pem())),
        ..Wants::default()
    });
    let here = Store::new();
    image(&here);
    let ca = here.path("ca.pem");
    std::fs::write(&ca, root.pem()).unwrap();
    let name = registry.name("team/app:1");
    let trusting = Access {
        authorities: vec![ca.clone()],
        ..Access::default()
    };
    let strict = Access {
        tls_verify: Some(true),
        ..Access::default()
    };
    let careless = Access {
        tls_verify: Some(false),
        ..Access::default()
    };
    let error = here
        .store
        .push("app:1", Some(&name), &strict)
        .unwrap_err()
        .to_string();
    assert!(error.contains("certificate"), "{error}");
    here.store.push("app:1", Some(&name), &trusting).unwrap();
    for (access, works) in [
        (strict, false),
        (trusting, true),
        (careless, true),
        (Access::default(), true),
    ] {
        let there = Store::new();
        let pulled = there.store.pull(&name, &with(access.clone()));
        assert_eq!(pulled.is_ok(), works, "{access:?}: {pulled:?}");
    }
    // A file without a certificate, and none at all.
    for bad in ["bundle/config.json", "absent.pem"] {
        let access = Access {
            authorities: vec![here.path(bad)],
            ..Access::default()
        };
        let error = here.store.pull(&name, &with(access)).unwrap_err().to_string();
        assert!(error.contains("authorities in"), "{error}");
    }
}

/// A registry without TLS is spoken to only where that is allowed.
#[test]
fn plain_http_on_this_machine_only() {
    let registry = Registry::start(&Wants::default());
    let here = Store::new();
    image(&here);
    let name = registry.name("app:1");
    here.store.push("app:1", Some(&name), &Access::default()).unwrap();
    let insisting = Access {
        tls_verify: Some(true),
        ..Access::default()
    };
    assert!(here.store.pull(&name, &with(insisting)).is_err());
}
