//! `resource.Quantity`: exact numbers with units, e.g. `100m`, `1.5Gi`, `2e3`.
//!
//! Kept as a count of nano-units, which is upstream's precision: finer input is rounded away from zero. Values with binary
//! suffixes saturate at 2^63-1; of larger decimal ones, whose size nothing limits, the first digits are kept, and a power of
//! ten. Source: `k8s.io/apimachinery/pkg/api/resource`.

mod format;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;
/// Values with binary suffixes saturate here, in nano-units.
const MAX: i128 = i64::MAX as i128 * NANO;
/// Digits that are kept; twice as much still fits.
const DIGITS: u32 = 37;
/// The first number with more digits.
const MORE: u128 = 10u128.pow(DIGITS);

/// Which family of suffixes a quantity was written with, and is printed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// `1e3`.
    DecimalExponent,
    /// `1Ki`, `1Mi`.
    BinarySi,
    /// `1m`, `1k`, `1M`.
    #[default]
    DecimalSi,
}

/// Why a text is no quantity; the words are upstream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the form number, suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// Unknown suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// The number has, for example, two points.
    #[error("unable to parse numeric part of quantity")]
    Number,
}

/// An exact amount. Equality and order look at the amount only, not at the way it was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    nanos: i128,
    /// The amount is so many nano-units times ten to this power; zero unless all digits are in use, so that each amount
    /// has one form.
    power: u32,
    format: Format,
}

impl Quantity {
    /// A whole number.
    pub fn new(value: i64, format: Format) -> Self {
        Self {
            nanos: i128::from(value) * NANO,
            power: 0,
            format,
        }
    }

    /// Thousandths, as CPU is counted.
    pub fn from_millis(millis: i64) -> Self {
        Self {
            nanos: i128::from(millis) * 1_000_000,
            power: 0,
            format: Format::DecimalSi,
        }
    }

    /// Reads a JSON string or number, as the API accepts both.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, QuantityError> {
        match value {
            serde_json::Value::String(text) => text.parse(),
            serde_json::Value::Number(number) => number.to_string().parse(),
            _ => Err(QuantityError::Format),
        }
    }

    /// In whole units, rounded away from zero; saturates.
    pub fn value(self) -> i64 {
        self.scaled(NANO)
    }

    /// In thousandths, rounded away from zero; saturates.
    pub fn millis(self) -> i64 {
        self.scaled(1_000_000)
    }

    fn scaled(self, unit: i128) -> i64 {
        let out = round_up(self.nanos, unit);
        let fits = i64::try_from(out).ok().filter(|_| self.power == 0);
        fits.unwrap_or(if out < 0 { i64::MIN } else { i64::MAX })
    }

    /// As a float, for ratios.
    pub fn as_f64(self) -> f64 {
        let power = i32::try_from(self.power).unwrap_or(i32::MAX);
        self.nanos as f64 / NANO as f64 * 10f64.powi(power)
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a multiple of a whole unit.
    pub fn is_whole(self) -> bool {
        self.power >= 9 || self.nanos % (NANO / 10i128.pow(self.power)) == 0
    }

    /// How it is printed.
    pub fn format(self) -> Format {
        self.format
    }

    /// The sum; keeps this one's format unless it is zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let power = self.power.max(other.power);
        let at = |one: Self| {
            let factor = 10i128.checked_pow(power - one.power);
            factor.map_or(0, |factor| one.nanos / factor)
        };
        Self {
            format: if self.nanos == 0 {
                other.format
            } else {
                self.format
            },
            ..Self::of(at(self) + at(other), power)
        }
    }

    /// The one form of an amount.
    fn of(mut nanos: i128, mut power: u32) -> Self {
        while nanos.unsigned_abs() >= MORE {
            nanos = round_up(nanos, 10);
            power = power.saturating_add(1);
        }
        while power > 0 && nanos.unsigned_abs() < MORE / 10 {
            if nanos == 0 {
                power = 0;
                break;
            }
            nanos *= 10;
            power -= 1;
        }
        Self {
            nanos,
            power,
            format: Format::default(),
        }
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self {
            nanos: -other.nanos,
            ..other
        })
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, times: i64) -> Self {
        let times = i128::from(times);
        let product = match self.nanos.checked_mul(times) {
            Some(nanos) => Self::of(nanos, self.power),
            // As many digits as `times` may have are too many.
            None => Self::of(self.nanos / 10i128.pow(19) * times, self.power.saturating_add(19)),
        };
        Self {
            format: self.format,
            ..product
        }
    }

    /// The same amount, printed as another one is.
    #[must_use]
    pub fn written_as(self, other: Self) -> Self {
        Self {
            format: other.format,
            ..self
        }
    }

    /// The canonical text of a quantity's text, or why it is none.
    pub fn canonical(text: &str) -> Result<String, QuantityError> {
        text.parse::<Self>().map(|quantity| quantity.to_string())
    }
}

/// Divides, rounding away from zero.
fn round_up(value: i128, unit: i128) -> i128 {
    let (quotient, rest) = (value / unit, value % unit);
    quotient + rest.signum()
}

impl Quantity {
    /// What amounts are ordered by: of those with a power the number of digits, then the digits.
    fn rank(self) -> (i64, i128) {
        let power = i64::from(self.power);
        (if self.nanos < 0 { -power } else { power }, self.nanos)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for Quantity {}
impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
    }
}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (nanos, power, format) = parse::parse(text)?;
        Ok(Self {
            format,
            ..Self::of(nanos, power)
        })
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format::canonical(self.nanos, self.power, self.format))
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
