//! Histograms. Pure.

/// How many values were in each of `N` buckets, and above all of them.
#[derive(Debug, Clone)]
pub struct Histogram<const N: usize> {
    buckets: [u64; N],
    above: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: [0; N],
            above: 0,
            sum: 0.0,
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Takes a value in. `ends` are the upper ends of the buckets, ascending; a value at an end is inside.
    pub fn observe(&mut self, ends: &[f64; N], value: f64) {
        let at = ends.partition_point(|end| *end < value);
        *self.buckets.get_mut(at).unwrap_or(&mut self.above) += 1;
        self.sum += value;
    }

    /// Takes in what another one has seen.
    pub fn add(&mut self, other: &Self) {
        for (mine, others) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += others;
        }
        self.above += other.above;
        self.sum += other.sum;
    }

    /// How many values there were up to the end of each bucket.
    pub fn cumulative(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().scan(0_u64, |count, bucket| {
            *count += bucket;
            Some(*count)
        })
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum::<u64>() + self.above
    }

    /// All of them together.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_the_first_bucket_that_holds_them() {
        let mut histogram = Histogram::<3>::default();
        for value in [0.5, 1.0, 1.5, 4.0, 5.0] {
            histogram.observe(&[1.0, 2.0, 4.0], value);
        }
        let twice = &mut histogram.clone();
        twice.add(&histogram);
        for (histogram, times) in [(&histogram, 1), (&*twice, 2)] {
            let counts: Vec<u64> = histogram.cumulative().collect();
            assert_eq!(counts, [2, 3, 4].map(|count| count * times));
            assert_eq!(histogram.count(), 5 * times);
            assert!((histogram.sum() - 12.0 * times as f64).abs() < 1e-9);
        }
    }
}
