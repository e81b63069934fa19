//! Files, formats and changes of keys.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const PLAIN: &[u8] = b"{\"kind\":\"Secret\",\"data\":{\"password\":\"aHVudGVyMg==\"}}";

fn secrets() -> GroupResource {
    GroupResource::new("", "secrets")
}

fn key(byte: u8, length: usize) -> String {
    STANDARD.encode(vec![byte; length])
}

/// Rules from YAML.
fn rules(text: &str) -> Result<Rules, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().display().to_string();
    Rules::read(file.path()).map_err(|error| error.to_string().replace(&path, "FILE"))
}

/// Rules for Secrets with these providers.
fn providers(list: &str) -> Rules {
    rules(&format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
         providers: {list}\n"
    ))
    .unwrap()
}

fn with_keys(provider: &str, keys: &[(&str, String)]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|(name, secret)| format!("{{name: {name}, secret: \"{secret}\"}}"))
        .collect();
    format!("{{{provider}: {{keys: [{}]}}}}", keys.join(", "))
}

const PATH: &str = "/registry/secrets/default/a";

fn seal(rules: &Rules, plain: &[u8]) -> Vec<u8> {
    rules.of(&secrets()).seal(PATH, plain).unwrap().into_owned()
}

fn open(rules: &Rules, stored: &[u8]) -> Result<(Vec<u8>, bool), String> {
    let opened = rules.of(&secrets()).open(PATH, stored);
    opened
        .map(|opened| (opened.plain.into_owned(), opened.stale))
        .map_err(|error| error.to_string())
}

#[test]
fn every_cipher_and_key_length_comes_back_and_hides_the_text() {
    let cases = [
        ("aescbc", 16),
        ("aescbc", 24),
        ("aescbc", 32),
        ("aesgcm", 16),
        ("aesgcm", 24),
        ("aesgcm", 32),
        ("secretbox", 32),
    ];
    for (name, length) in cases {
        let rules = providers(&format!("[{}]", with_keys(name, &[("k", key(7, length))])));
        for plain in [PLAIN, b"", &[1; 4096]] {
            let stored = seal(&rules, plain);
            assert!(
                stored.starts_with(format!("k8s:enc:{name}:v1:k:").as_bytes()),
                "{name}"
            );
            assert!(!stored.windows(8).any(|window| window == b"password"), "{name}");
            assert_eq!(
                open(&rules, &stored),
                Ok((plain.to_vec(), false)),
                "{name} {length}"
            );
            assert_ne!(seal(&rules, plain), stored, "{name}: the nonce is used again");
        }
    }
}

/// "hello" by key 07..07 with a nonce of zeros, made by other programs: `openssl enc -aes-256-cbc`, Python's `cryptography`
/// with the storage path as associated data, and PyNaCl's `SecretBox`.
const FOREIGN: [(&str, &str); 3] = [
    ("aescbc", "AAAAAAAAAAAAAAAAAAAAAFRxYQkqVnfcyQZ54rAO2W8="),
    ("aesgcm", "AAAAAAAAAAAAAAAACb3I3pTkCVpIGwdWBy7TsHZ3XIDB"),
    (
        "secretbox",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWG33NTEQJoC5BFw1Lrl1w6sFo5Gk",
    ),
];

/// AES-256-CBC by key 01..01 with an IV of zeros, made by openssl, so that a test has always the same bytes.
const FIXED_CBC: &str = "AAAAAAAAAAAAAAAAAAAAAExufsvd+V61arHkqgyx/zLs9ZFaCfsWW+XiO3gzOm/I";

#[test]
fn what_others_have_written_is_read() {
    for (name, sealed) in FOREIGN {
        let rules = providers(&format!("[{}]", with_keys(name, &[("k", key(7, 32))])));
        let mut stored = format!("k8s:enc:{name}:v1:k:").into_bytes();
        stored.extend(STANDARD.decode(sealed).unwrap());
        assert_eq!(open(&rules, &stored), Ok((b"hello".to_vec(), false)), "{name}");
    }
}

#[test]
fn bytes_that_were_tampered_with_moved_or_cut_are_refused() {
    let gcm = providers(&format!("[{}]", with_keys("aesgcm", &[("k", key(1, 32))])));
    let stored = seal(&gcm, PLAIN);
    let elsewhere = gcm.of(&secrets()).open("/registry/secrets/default/b", &stored);
    let failed = OpenError::Authentication("cipher: message authentication failed");
    assert_eq!(elsewhere, Err(failed.clone()));
    for name in ["aesgcm", "secretbox"] {
        let rules = providers(&format!("[{}]", with_keys(name, &[("k", key(1, 32))])));
        let stored = seal(&rules, PLAIN);
        let begin = format!("k8s:enc:{name}:v1:k:").len();
        for at in begin..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert!(open(&rules, &changed).is_err(), "{name} at {at}");
            assert!(open(&rules, &stored[..at]).is_err(), "{name} cut at {at}");
        }
    }
    let cbc = providers(&format!("[{}]", with_keys("aescbc", &[("k", key(1, 32))])));
    let stored = seal(&cbc, PLAIN);
    let cut = |length: usize| open(&cbc, &stored[..length]).unwrap_err();
    let begin = "k8s:enc:aescbc:v1:k:".len();
    assert_eq!(
        cut(begin + 15),
        "the stored data was shorter than the required size"
    );
    assert_eq!(
        cut(begin + 33),
        "the stored data is not a multiple of the block size"
    );
    let other = providers(&format!("[{}]", with_keys("aescbc", &[("k", key(2, 32))])));
    let mut fixed = b"k8s:enc:aescbc:v1:k:".to_vec();
    fixed.extend(STANDARD.decode(FIXED_CBC).unwrap());
    assert!(open(&cbc, &fixed).is_ok());
    // One in 256 wrong keys makes an end that looks like padding; openssl finds that this one does not.
    assert_eq!(open(&other, &fixed).unwrap_err(), "invalid padding on input");
}

#[test]
fn keys_change_by_adding_writing_again_and_removing() {
    let (old, new) = (("old", key(1, 32)), ("new", key(2, 32)));
    let before = providers(&format!(
        "[{}, {{identity: {{}}}}]",
        with_keys("aescbc", std::slice::from_ref(&old))
    ));
    let stored = seal(&before, PLAIN);
    let both = providers(&format!("[{}]", with_keys("aescbc", &[new.clone(), old])));
    assert_eq!(open(&both, &stored), Ok((PLAIN.to_vec(), true)));
    assert!(!both.of(&secrets()).writes_like(before.of(&secrets())));
    let again = seal(&both, PLAIN);
    assert_eq!(open(&both, &again), Ok((PLAIN.to_vec(), false)));
    let after = providers(&format!("[{}]", with_keys("aescbc", &[new])));
    assert!(after.of(&secrets()).writes_like(both.of(&secrets())));
    assert_eq!(open(&after, &again), Ok((PLAIN.to_vec(), false)));
    assert_eq!(
        open(&after, &stored).unwrap_err(),
        "no matching key was found for the provided AES transformer"
    );
}

#[test]
fn the_identity_provider_reads_plain_objects_and_says_so_of_others() {
    let sealed = seal(
        &providers(&format!("[{}]", with_keys("secretbox", &[("k", key(1, 32))]))),
        PLAIN,
    );
    let encrypting = providers(&format!(
        "[{}, {{identity: {{}}}}]",
        with_keys("secretbox", &[("k", key(1, 32))])
    ));
    assert_eq!(open(&encrypting, PLAIN), Ok((PLAIN.to_vec(), true)));
    // Back to plain: identity first.
    let decrypting = providers(&format!(
        "[{{identity: {{}}}}, {}]",
        with_keys("secretbox", &[("k", key(1, 32))])
    ));
    assert_eq!(seal(&decrypting, PLAIN), PLAIN);
    assert_eq!(open(&decrypting, &sealed), Ok((PLAIN.to_vec(), true)));
    assert_eq!(
        open(&Rules::default(), &sealed).unwrap_err(),
        "identity transformer tried to read encrypted data"
    );
    let only = providers(&format!("[{}]", with_keys("secretbox", &[("k", key(1, 32))])));
    assert_eq!(open(&only, PLAIN).unwrap_err(), "no matching prefix found");
    let unknown = providers(&format!("[{}]", with_keys("secretbox", &[("other", key(1, 32))])));
    assert_eq!(
        open(&unknown, &sealed).unwrap_err(),
        "no matching key was found for the provided Secretbox transformer"
    );
}

#[test]
fn wildcards_cover_groups_and_everything_else() {
    let part = |resources: &str, name: &str| {
        format!(
            "- resources: [{resources}]\n  providers: [{}]\n",
            with_keys("secretbox", &[(name, key(3, 32))])
        )
    };
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n";
    let text = [
        head,
        &part("secrets, deployments.apps", "one"),
        "- resources: [events]\n  providers: [{identity: {}}]\n",
        &part("\"*.apps\"", "two"),
        &part("\"*.\"", "three"),
        &part("\"*.*\"", "four"),
    ]
    .concat();
    let rules = rules(&text).unwrap();
    let written = |group: &str, resource: &str| {
        let resource = GroupResource::new(group, resource);
        let stored = rules.of(&resource).seal("/p", b"x").unwrap().into_owned();
        String::from_utf8_lossy(&stored)
            .split(':')
            .nth(4)
            .map(str::to_owned)
    };
    assert_eq!(written("", "secrets").as_deref(), Some("one"));
    assert_eq!(written("apps", "deployments").as_deref(), Some("one"));
    assert_eq!(written("apps", "daemonsets").as_deref(), Some("two"));
    assert_eq!(written("", "configmaps").as_deref(), Some("three"));
    assert_eq!(written("example.com", "widgets").as_deref(), Some("four"));
    assert_eq!(written("", "events"), None);
    let masked = self::rules(&[head, &part("\"*.apps\"", "a"), &part("deployments.apps", "b")].concat());
    assert_eq!(
        masked.unwrap_err(),
        "encryption provider configuration file FILE: resource \"deployments.apps\" is masked by earlier rule \"*.apps\""
    );
}

#[test]
fn faults_of_the_file_are_named_as_upstream_names_them() {
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";
    let why = |rest: &str| rules(&format!("{head}{rest}")).unwrap_err();
    let providers = |list: &str| {
        why(&format!(
            "resources: [{{resources: [secrets], providers: {list}}}]"
        ))
    };
    let resources = |list: &str| {
        why(&format!(
            "resources: [{{resources: {list}, providers: [{{identity: {{}}}}]}}]"
        ))
    };
    for (found, expected) in [
        (
            why(""),
            "resources: Required value: at least one resources is required",
        ),
        (
            resources("[]"),
            "resources[0].resources: Required value: at least one resources[0].resources is required",
        ),
        (
            providers("[]"),
            "resources[0].providers: Required value: at least one resources[0].providers is required",
        ),
        (
            providers("[{aescbc: {keys: [{name: a, secret: \"c2hvcnQ=\"}]}}]"),
            "resources[0].providers[0].aescbc.keys[0].secret: Invalid value: \"REDACTED\": secret is not of the \
             expected length, got 5, expected one of [16 24 32]",
        ),
        (
            providers("[{secretbox: {keys: [{name: a, secret: \"???\"}]}}]"),
            "resources[0].providers[0].secretbox.keys[0].secret: Invalid value: \"REDACTED\": secrets must be base64 \
             encoded",
        ),
        (
            providers("[{aesgcm: {keys: []}}]"),
            "resources[0].providers[0].aesgcm.keys: Required value: at least one keys is required",
        ),
        (
            providers("[{aesgcm: {keys: [{secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}]"),
            "resources[0].providers[0].aesgcm.keys[0].name: Required value: name is a mandatory field for a key",
        ),
        (
            providers("[{kms: {apiVersion: v2, name: vault, endpoint: \"unix:///run/kms\"}}]"),
            "resources[0].providers[0].kms: Forbidden: key management services are not supported by this API server; \
             use secretbox, aesgcm or aescbc",
        ),
        (
            providers("[{identity: {}, aesgcm: {keys: [{name: a, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}]"),
            "resources[0].providers[0]: Invalid value: REDACTED: more than one provider specified in a single element, \
             should split into different list elements",
        ),
        (
            resources("[secrets, \"*.\"]"),
            "resources[0].resources: Invalid value: [\"secrets\",\"*.\"]: using overlapping resources such as 'secrets' \
             and '*.' in the same resource list is not allowed as they will be masked",
        ),
        (
            resources("[secrets, secrets]"),
            "resources[0].resources: Invalid value: [\"secrets\",\"secrets\"]: the same resource cannot be specified \
             multiple times",
        ),
        (
            resources("[\"*\"]"),
            "resources[0].resources[0]: Invalid value: \"*\": use '*.' to encrypt all the resources from core API group \
             or *.* to encrypt all resources",
        ),
        (
            resources("[Secrets]"),
            "resources[0].resources[0]: Invalid value: \"Secrets\": resource name should not contain capital letters",
        ),
        (
            resources("[\"secrets.*\"]"),
            "resources[0].resources[0]: Invalid value: \"secrets.*\": encrypting the same resource across groups is not \
             supported",
        ),
    ] {
        assert_eq!(
            found,
            format!("encryption provider configuration file FILE: {expected}")
        );
    }
    assert_eq!(
        rules("\n").unwrap_err(),
        "encryption provider configuration file FILE is empty"
    );
    let unknown = why("resorces: []");
    assert!(
        unknown.starts_with("error decoding encryption provider configuration file FILE: ")
            && unknown.contains("unknown field `resorces`"),
        "{unknown}"
    );
    let version = rules("apiVersion: v2\nkind: EncryptionConfiguration\n").unwrap_err();
    assert!(
        version.contains("no kind \"EncryptionConfiguration\" is registered for version \"v2\""),
        "{version}"
    );
}

#[test]
fn the_file_made_at_first_start_encrypts_secrets_with_its_own_key() {
    let (one, other) = (
        configuration::with_new_key().unwrap(),
        configuration::with_new_key().unwrap(),
    );
    let one = rules(&one).unwrap();
    let stored = seal(&one, PLAIN);
    assert!(stored.starts_with(b"k8s:enc:secretbox:v1:key1:"));
    assert_eq!(open(&one, &stored), Ok((PLAIN.to_vec(), false)));
    assert_eq!(open(&one, PLAIN), Ok((PLAIN.to_vec(), true)));
    assert!(open(&rules(&other).unwrap(), &stored).is_err());
    assert!(!one.of(&GroupResource::new("", "configmaps")).encrypts());
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("encryption.yaml");
    let text = |name: &str| {
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: \
             [secrets]\n  providers: [{}]\n",
            with_keys("secretbox", &[(name, key(5, 32))])
        )
    };
    std::fs::write(&path, text("one")).unwrap();
    let encryption = Encryption::from_file(Some(&path)).unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let writes = |encryption: &Encryption| {
        let stored = encryption.seal(&secrets(), PATH, PLAIN).unwrap().into_owned();
        String::from_utf8_lossy(&stored)
            .split(':')
            .nth(4)
            .map(str::to_owned)
    };
    let test = async {
        heard.recv().await.unwrap();
        // In place, by a rename, by something bad and by something good again.
        std::fs::write(&path, text("two")).unwrap();
        while writes(&encryption).as_deref() != Some("two") {
            heard.recv().await.unwrap();
        }
        std::fs::write(dir.path().join("next"), text("three")).unwrap();
        std::fs::rename(dir.path().join("next"), &path).unwrap();
        while writes(&encryption).as_deref() != Some("three") {
            heard.recv().await.unwrap();
        }
        std::fs::write(&path, "apiVersion: nonsense\n").unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert_eq!(writes(&encryption).as_deref(), Some("three"));
        std::fs::write(&path, text("four")).unwrap();
        while writes(&encryption).as_deref() != Some("four") {
            heard.recv().await.unwrap();
        }
    };
    tokio::select! {
        () = follow(&path, &encryption, |_| told.send(()).unwrap()) => panic!("not watched"),
        done = tokio::time::timeout(std::time::Duration::from_secs(10), test) => done.unwrap(),
    }
}
