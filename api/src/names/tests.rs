use super::*;

#[test]
fn names_that_are_good() {
    for text in ["a", "a-b", "123", "a1"] {
        assert!(dns1123_label(text).is_empty(), "{text}");
        assert!(dns1123_subdomain(text).is_empty(), "{text}");
        assert!(qualified_name(text).is_empty(), "{text}");
    }
    assert!(dns1123_subdomain("a.b-c.d").is_empty());
    assert!(qualified_name("example.com/My_Name.x").is_empty());
    assert!(label_value("").is_empty());
    assert!(port_name("http-2").is_empty());
    assert!(env_var_name("A B-é".trim_end_matches('é')).is_empty());
    assert!(config_map_key(".a_B-c").is_empty());
    assert!(path_segment("system:node:x").is_empty());
    assert!(ip("2001:db8::1").is_empty() && cidr("10.0.0.0/8").is_empty());
}

#[test]
fn names_that_are_not() {
    assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
    assert_eq!(
        dns1123_label("A"),
        [
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
          end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
          '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ]
    );
    assert_eq!(
        dns1123_subdomain("a_b"),
        [
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
          start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
          '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ]
    );
    assert!(dns1035_label("1a")[0].starts_with("a DNS-1035 label must"));
    assert_eq!(dns1123_label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
    assert_eq!(
        label_value("a b"),
        [
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
          start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
          validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ]
    );
    assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
    assert!(qualified_name("a/b/c")[0].ends_with("prefix and '/' (e.g. 'example.com/MyName')"));
    assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
    assert_eq!(port_name("8080"), ["must contain at least one letter (a-z)"]);
    assert_eq!(config_map_key(".."), ["must not be '..'"]);
    assert_eq!(
        path_segment("a/b%"),
        ["may not contain '/'", "may not contain '%'"]
    );
    assert!(
        !env_var_name("a=b").is_empty() && !ip("10.0.0.256").is_empty() && !cidr("10.0.0.0/33").is_empty()
    );
    assert!(!is_dns1123_label("") && !is_dns1123_subdomain("a..b"));
}
