//! Completion indexes: sets of numbers written as `1,3-5,7`.

use std::collections::BTreeMap;
use std::fmt;
use std::iter;

/// A set of indexes, kept as ranges: two thousand million of them are one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexes {
    /// First index to last, none next to each other.
    ranges: BTreeMap<i64, i64>,
}

impl Indexes {
    /// Parses; what is malformed or beyond `bound` is left out.
    pub fn parse(text: &str, bound: i64) -> Self {
        let mut set = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
                set.extend(from.max(0), to.min(bound - 1));
            }
        }
        set
    }

    /// Whether it is in the set.
    pub fn contains(&self, index: i64) -> bool {
        let below = self.ranges.range(..=index).next_back();
        below.is_some_and(|(_, to)| index <= *to)
    }

    /// Adds one; whether it was not there.
    pub fn insert(&mut self, index: i64) -> bool {
        let is_new = !self.contains(index);
        if is_new {
            self.extend(index, index);
        }
        is_new
    }

    /// Adds all from the first to the last, none if the last is below the first.
    fn extend(&mut self, mut from: i64, mut to: i64) {
        if to < from {
            return;
        }
        // What begins at or before the index behind the new range, and reaches up to the one in front of it, is one with it.
        while let Some((&start, &end)) = self.ranges.range(..=to.saturating_add(1)).next_back()
            && end >= from.saturating_sub(1)
        {
            self.ranges.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.ranges.insert(from, to);
    }

    /// Those from 0 to below `bound` that are not in the set.
    pub fn missing(&self, bound: i64) -> impl Iterator<Item = i64> {
        let starts = iter::once(0).chain(self.ranges.values().map(|to| to.saturating_add(1)));
        let ends = self.ranges.keys().copied().chain(iter::once(bound));
        starts
            .zip(ends)
            .flat_map(move |(start, end)| start..end.min(bound))
    }
}

/// Two neighbours are `1,2` as upstream has them, more are a range.
impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (from, to)) in self.ranges.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match to - from {
                0 => write!(f, "{comma}{from}")?,
                1 => write!(f, "{comma}{from},{to}")?,
                _ => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_a_set_of_numbers(numbers in prop::collection::vec(0i64..40, 0..60), bound in 0i64..50) {
            let (mut set, mut plain) = (Indexes::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(set.insert(number), plain.insert(number));
            }
            let missing: Vec<_> = (0..bound).filter(|number| !plain.contains(number)).collect();
            prop_assert_eq!(set.missing(bound).collect::<Vec<_>>(), missing);
            prop_assert_eq!(Indexes::parse(&set.to_string(), 40), set);
        }

        #[test]
        fn hostile_indexes_do_no_harm(text in "[0-9,-]{0,12}") {
            let beyond = |index: &i64| !(0..40).contains(index);
            let mut ranges = Indexes::parse(&text, 40).ranges.into_iter();
            prop_assert!(!ranges.any(|(from, to)| beyond(&from) || beyond(&to) || to < from));
        }
    }

    #[test]
    fn as_upstream_writes_them() {
        let text = "7,0,1,3,6,5";
        assert_eq!(Indexes::parse(text, 8).to_string(), "0,1,3,5-7");
        assert_eq!(Indexes::parse(text, 7).to_string(), "0,1,3,5,6");
        assert_eq!(Indexes::parse("5-3,x,1-,-2,4", 8).to_string(), "4");
    }

    /// Written out, these are two thousand million numbers.
    #[test]
    fn two_thousand_million_are_a_range() {
        let most = i64::from(i32::MAX);
        let mut set = Indexes::parse("0-2147483640,2147483643", most);
        assert_eq!(
            set.missing(most).collect::<Vec<_>>(),
            [
                2_147_483_641,
                2_147_483_642,
                2_147_483_644,
                2_147_483_645,
                2_147_483_646
            ]
        );
        assert!(set.insert(2_147_483_642) && !set.insert(7));
        assert_eq!(set.to_string(), "0-2147483640,2147483642,2147483643");
        let all = format!("0-{0},{0}-{1}", i64::MAX - 1, i64::MAX);
        assert_eq!(Indexes::parse(&all, i64::MAX).missing(i64::MAX).count(), 0);
    }
}
