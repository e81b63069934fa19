//! Text to nano-units.

use super::{DIGITS, Format, MAX, NANO, QuantityError};

/// Reads number and suffix: nano-units, the power of ten by which they are to be multiplied, and the format.
pub(super) fn parse(text: &str) -> Result<(i128, u32, Format), QuantityError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) => (false, text),
        None => return Err(QuantityError::Format),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    if number.is_empty() || !suffix.bytes().all(is_suffix_byte) {
        return Err(QuantityError::Format);
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(QuantityError::Number);
    }
    let (unit, format) = unit(suffix)?;
    let (amount, power) = scale(whole, fraction, unit);
    Ok((if negative { -amount } else { amount }, power, format))
}

fn is_suffix_byte(b: u8) -> bool {
    b.is_ascii_digit() || b"eEinumkKMGTP+-".contains(&b)
}

/// What one unit is worth.
#[derive(Debug, Clone, Copy)]
enum Unit {
    /// 10 to this power.
    Ten(i32),
    /// 2 to this power.
    Two(u32),
}

fn unit(suffix: &str) -> Result<(Unit, Format), QuantityError> {
    let ten = |power| Ok((Unit::Ten(power), Format::DecimalSi));
    let two = |power| Ok((Unit::Two(power), Format::BinarySi));
    match suffix {
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "" => ten(0),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        _ => {
            let power = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            let power = power.strip_prefix('+').unwrap_or(power);
            // An exponent beyond i32 is refused by upstream as well.
            let power: i32 = power.parse().map_err(|_| QuantityError::Suffix)?;
            Ok((Unit::Ten(power), Format::DecimalExponent))
        }
    }
}

/// `whole.fraction` units in nano-units, rounded up, and a power of ten to multiply them by. What has a binary suffix
/// saturates, as upstream.
fn scale(whole: &str, fraction: &str, unit: Unit) -> (i128, u32) {
    // The decimal point moves by this many digits for a result in nano-units.
    let (shift, factor) = match unit {
        Unit::Ten(power) => (i64::from(power) + 9, None),
        Unit::Two(power) => (9, Some(1i128 << power)),
    };
    let mut digits = whole
        .bytes()
        .chain(fraction.bytes())
        .skip_while(|b| *b == b'0')
        .peekable();
    let leading = whole.len() + fraction.len() - digits.clone().count();
    if digits.peek().is_none() {
        return (0, 0);
    }
    // How many of the digits (leading zeros removed) are left of the moved point.
    let wanted = whole.len() as i64 + shift - leading as i64;
    let kept = wanted.min(i64::from(DIGITS));
    let mut amount: i128 = 0;
    for _ in 0..kept.max(0) {
        amount = amount * 10 + i128::from(digits.next().map_or(0, |b| b - b'0'));
    }
    let Some(factor) = factor else {
        let rest = digits.any(|b| b != b'0');
        // No text is so long, and no exponent so large, that the power would not fit.
        return (
            amount + i128::from(rest),
            u32::try_from(wanted - kept).unwrap_or(u32::MAX),
        );
    };
    if kept < wanted || amount > MAX {
        return (MAX, 0);
    }
    // Digits below a nano-unit still count: "0.1Ki" is exact at this precision already, so only the rounding of the last
    // place is left to do, after multiplying.
    (binary(amount, digits, factor), 0)
}

/// Multiplies `amount` and the digits behind it by a power of two, rounding the result up.
fn binary(amount: i128, digits: impl Iterator<Item = u8>, factor: i128) -> i128 {
    // amount <= 9.3e27 and factor <= 1.2e18 would overflow; anything near that saturates anyway.
    let Some(mut out) = amount.checked_mul(factor) else {
        return MAX;
    };
    let (mut place, mut scale) = (0i128, 1i128);
    let mut rest = false;
    for b in digits {
        if scale < 1_000_000_000_000_000_000 {
            place = place * 10 + i128::from(b - b'0');
            scale *= 10;
        } else {
            rest |= b != b'0';
        }
    }
    let product = place * factor;
    out += product / scale + i128::from(product % scale != 0 || rest);
    out.min(MAX)
}

const _: () = assert!(NANO == 1_000_000_000);
