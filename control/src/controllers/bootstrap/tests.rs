//! The signature, as kubeadm checks it.

use super::signer::signature;

/// Made by Python's hmac over `BASE64URL({"alg":"HS256","kid":"abcdef"}).BASE64URL(hello)`.
#[test]
fn a_signature_is_what_others_compute() {
    assert_eq!(
        signature("hello", "abcdef", "0123456789abcdef"),
        "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..MxsnbCjBaYzcbNIFa06F-wuF9LX26rhMlrL4zA1511s"
    );
}
