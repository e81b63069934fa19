//! Kubernetes quantities as integers.
//!
//! Source: `k8s.io/apimachinery/pkg/api/resource` (suffix grammar). Values are held in thousandths, rounded up as
//! upstream's `ScaledValue` does; the range of an `i128` is far beyond what any resource needs.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths of the quantity (`100m` is 100, `1Ki` is 1,024,000), rounded up; `None` if it does not parse.
pub fn milli(quantity: &Quantity) -> Option<i128> {
    parse_milli(&quantity.0)
}

/// The quantity in whole units, rounded up.
pub fn value(quantity: &Quantity) -> Option<i128> {
    milli(quantity).map(|milli| ceil_div(milli, 1000))
}

/// Parses the text of a quantity into thousandths.
pub fn parse_milli(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (numerator, denominator) = scale(suffix)?;
    let denominator = denominator.checked_mul(10_i128.checked_pow(fraction.len() as u32)?)?;
    let milli = ceil_div(mantissa.checked_mul(numerator)?.checked_mul(1000)?, denominator);
    Some(if negative { -milli } else { milli })
}

/// Numerator and denominator of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            if !(-18..=18).contains(&exponent) {
                return None;
            }
            let power = 10_i128.pow(exponent.unsigned_abs());
            if exponent >= 0 { (power, 1) } else { (1, power) }
        }
    })
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}
