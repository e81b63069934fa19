//! Declaring sets and maps, with the user data that tells nft how to print them.

use super::family::Family;

/// A component of a key or value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// `ipv4_addr` or `ipv6_addr`.
    Address,
    /// `inet_proto`.
    Protocol,
    /// `inet_service`.
    Port,
    /// `mark`.
    Mark,
    /// The number that `numgen` makes. It has no type name, so such a map is declared by `typeof`.
    Random,
}

impl Type {
    /// nft's number of the type (`enum datatypes` in nftables' `datatype.h`).
    fn number(self, family: Family) -> u32 {
        match (self, family) {
            (Self::Random, _) => 4,
            (Self::Address, Family::V4) => 7,
            (Self::Address, Family::V6) => 8,
            (Self::Protocol, _) => 12,
            (Self::Port, _) => 13,
            (Self::Mark, _) => 19,
        }
    }

    /// Bytes in a concatenation, where every component is padded to a word.
    fn length(self, family: Family) -> u32 {
        match self {
            Self::Address => family.address_length(),
            _ => 4,
        }
    }

    /// Kept in host order by the kernel.
    fn host_order(self) -> bool {
        matches!(self, Self::Mark | Self::Random)
    }
}

/// What a map holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// A plain set.
    None,
    /// Verdicts.
    Verdict,
    /// Data.
    Data(&'static [Type]),
}

/// A set or map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) key: &'static [Type],
    pub(super) value: Value,
    /// Filled by rules, elements expire; at most this many.
    pub(super) dynamic: Option<u32>,
}

/// The number and total length of a concatenation: six bits for each component.
pub(super) fn concatenation(types: &[Type], family: Family) -> (u32, u32) {
    types.iter().fold((0, 0), |(number, length), t| {
        (number << 6 | t.number(family), length + t.length(family))
    })
}

/// User data of a set: byte order of key and value, and their `typeof` expressions where a type has no name. Without
/// it nft shows and writes swapped marks (trap 4). The format is nftables' own: records of type, length, value.
pub(super) fn user_data(set: &Set, family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    record(&mut out, 0, &order(set.key).to_ne_bytes());
    let value = match set.value {
        Value::Data(types) => types,
        _ => &[],
    };
    if set.value != Value::None {
        record(&mut out, 1, &order(value).to_ne_bytes());
    }
    if set.key.contains(&Type::Random) {
        record(&mut out, 3, &type_of(set.key, family));
        record(&mut out, 4, &type_of(value, family));
    }
    out
}

/// 1 for a single component in host order, else 0: concatenations know the order of each component.
fn order(types: &[Type]) -> u32 {
    u32::from(matches!(types, [only] if only.host_order()))
}

fn record(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    // Values are a few dozen bytes: five components at the most.
    out.extend([kind, value.len() as u8]);
    out.extend(value);
}

/// A concatenation of expressions, numbered as nftables' `enum expr_types`.
fn type_of(types: &[Type], family: Family) -> Vec<u8> {
    let mut components = Vec::new();
    for (i, t) in types.iter().enumerate() {
        record(&mut components, i as u8, &expression_of(*t, family));
    }
    expression(13, &components)
}

fn expression_of(t: Type, family: Family) -> Vec<u8> {
    let mut data = Vec::new();
    let mut number = |kind, value: u32| record(&mut data, kind, &value.to_ne_bytes());
    match (t, family) {
        // payload: protocol description, field.
        (Type::Address, Family::V4) => {
            number(0, 12);
            number(1, 12);
        }
        (Type::Address, Family::V6) => {
            number(0, 13);
            number(1, 9);
        }
        (Type::Port, _) => {
            number(0, 11);
            number(1, 2);
        }
        // meta: key.
        (Type::Protocol, _) => number(0, 16),
        (Type::Mark, _) => number(0, 3),
        // numgen: random, modulus (any), offset.
        (Type::Random, _) => {
            number(0, 1);
            number(1, 2);
            number(2, 0);
        }
    }
    let id = match t {
        Type::Address | Type::Port => 7,
        Type::Protocol | Type::Mark => 9,
        Type::Random => 23,
    };
    expression(id, &data)
}

fn expression(id: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    record(&mut out, 0, &id.to_ne_bytes());
    record(&mut out, 1, data);
    out
}
