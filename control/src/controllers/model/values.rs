//! Values that a requirement lists: in the order in which they were written, and found without going through them all.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most values that are gone through one by one.
const FEW: usize = 16;

/// The values. A selector may list a hundred thousand, and is held against every pod that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    listed: Vec<String>,
    /// Places of the values in the order of their texts, if there are more than a few.
    sorted: Vec<u32>,
}

impl From<Vec<String>> for Values {
    fn from(listed: Vec<String>) -> Self {
        let mut sorted: Vec<u32> = Vec::new();
        if listed.len() > FEW {
            sorted.extend((0..).take(listed.len()));
            sorted.sort_unstable_by_key(|place| &listed[*place as usize]);
        }
        Self { listed, sorted }
    }
}

impl Values {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The first.
    pub fn first(&self) -> Option<&String> {
        self.listed.first()
    }

    /// Whether it is listed.
    pub fn contains(&self, value: &String) -> bool {
        if self.sorted.is_empty() {
            return self.listed.contains(value);
        }
        let at = |place: &u32| self.listed[*place as usize].cmp(value);
        self.sorted.binary_search_by(at).is_ok()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.listed.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Vec<String>>::deserialize(deserializer).map(|listed| listed.unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// One by one, the 200,000 values of a selector held against 20,000 pods are four thousand million.
    #[test]
    fn very_many_values_keep_their_order_and_are_found() {
        let listed: Vec<String> = (0..200_000)
            .rev()
            .map(|number| format!("value-{number}"))
            .collect();
        let values: Values = serde_json::from_value(json!(listed)).unwrap();
        for value in &listed[..20_000] {
            assert!(values.contains(value));
            assert!(!values.contains(&format!("{value}x")));
        }
        assert_eq!(values.first(), Some(&listed[0]));
        assert_eq!(json!(values), json!(listed));
        assert_eq!(
            serde_json::from_value::<Values>(json!(null)).unwrap(),
            Values::default()
        );
    }
}
