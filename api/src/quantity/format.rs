//! Nano-units to the canonical text: no fraction, the largest suffix that needs none.

use super::{Format, NANO};

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Most zeros that are written before the largest suffix; what has more is written with an exponent.
const MOST_ZEROS: i64 = 18;

/// The canonical text.
pub(super) fn canonical(nanos: i128, power: u32, format: Format) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    // Small and fractional amounts lose nothing in decimal.
    let binary = format == Format::BinarySi && power == 0 && nanos % NANO == 0 && nanos.abs() >= 1024 * NANO;
    if binary {
        let (mut amount, mut power) = (nanos / NANO, 0);
        while amount % 1024 == 0 && power + 1 < BINARY.len() {
            amount /= 1024;
            power += 1;
        }
        return format!("{amount}{}", BINARY[power]);
    }
    let (mut amount, mut exponent) = (nanos, i64::from(power) - 9);
    while amount % 10 == 0 {
        amount /= 10;
        exponent += 1;
    }
    // The largest amounts have no room for more digits: what follows is text.
    let mut zeros = exponent.rem_euclid(3);
    exponent -= zeros;
    if exponent == 0 || format == Format::DecimalExponent || exponent - 18 > MOST_ZEROS {
        let suffix = match exponent {
            0 => String::new(),
            exponent => format!("e{exponent}"),
        };
        return format!("{amount}{:0<1$}{suffix}", "", zeros as usize);
    }
    zeros += (exponent - 18).max(0);
    // At least the first, as the smallest amount is one of that unit.
    let suffix = DECIMAL[(exponent.min(18) / 3 + 3).max(0) as usize];
    format!("{amount}{:0<1$}{suffix}", "", zeros as usize)
}
