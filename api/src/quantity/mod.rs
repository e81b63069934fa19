//! `resource.Quantity`: exact numbers with units, e.g. `100m`, `1.5Gi`, `2e3`.
//!
//! Kept as a count of nano-units, which is upstream's precision: finer input is rounded away from zero, and values
//! saturate at 2^63-1. Source: `k8s.io/apimachinery/pkg/api/resource`.

mod format;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;
/// Values saturate here, in nano-units.
const MAX: i128 = i64::MAX as i128 * NANO;

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
    format: Format,
}

impl Quantity {
    /// A whole number.
    pub fn new(value: i64, format: Format) -> Self {
        Self {
            nanos: i128::from(value) * NANO,
            format,
        }
    }

    /// Thousandths, as CPU is counted.
    pub fn from_millis(millis: i64) -> Self {
        Self {
            nanos: i128::from(millis) * 1_000_000,
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

    /// In whole units, rounded away from zero.
    pub fn value(self) -> i64 {
        self.scaled(NANO)
    }

    /// In thousandths, rounded away from zero; saturates.
    pub fn millis(self) -> i64 {
        self.scaled(1_000_000)
    }

    fn scaled(self, unit: i128) -> i64 {
        let out = round_up(self.nanos, unit);
        i64::try_from(out).unwrap_or(if out < 0 { i64::MIN } else { i64::MAX })
    }

    /// As a float, for ratios.
    pub fn as_f64(self) -> f64 {
        self.nanos as f64 / NANO as f64
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
        self.nanos % NANO == 0
    }

    /// How it is printed.
    pub fn format(self) -> Format {
        self.format
    }

    /// The sum; keeps this one's format unless it is zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            nanos: (self.nanos + other.nanos).clamp(-MAX, MAX),
            format: if self.nanos == 0 {
                other.format
            } else {
                self.format
            },
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
        Self {
            nanos: self.nanos.saturating_mul(i128::from(times)).clamp(-MAX, MAX),
            ..self
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

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (nanos, format) = parse::parse(text)?;
        Ok(Self { nanos, format })
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format::canonical(self.nanos, self.format))
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
