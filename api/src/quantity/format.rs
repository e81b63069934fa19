//! Nano-units to the canonical text: no fraction, the largest suffix that needs none.

use super::{Format, NANO};

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The canonical text.
pub(super) fn canonical(nanos: i128, format: Format) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    // Small and fractional amounts lose nothing in decimal.
    let binary = format == Format::BinarySi && nanos % NANO == 0 && nanos.abs() >= 1024 * NANO;
    if binary {
        let (mut amount, mut power) = (nanos / NANO, 0);
        while amount % 1024 == 0 && power + 1 < BINARY.len() {
            amount /= 1024;
            power += 1;
        }
        return format!("{amount}{}", BINARY[power]);
    }
    let (mut amount, mut power) = (nanos, 0);
    while amount % 1000 == 0 && power + 1 < DECIMAL.len() {
        amount /= 1000;
        power += 1;
    }
    match (format, power) {
        (Format::DecimalExponent, 3) => amount.to_string(),
        (Format::DecimalExponent, _) => format!("{amount}e{}", (power as i32 - 3) * 3),
        _ => format!("{amount}{}", DECIMAL[power]),
    }
}
