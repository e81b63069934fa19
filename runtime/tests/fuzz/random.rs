//! Random choices from a seed that can be given again.

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Numbers at which programs err.
pub const NUMBERS: [u64; 14] = [
    0,
    1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Text at which programs err.
pub const WORDS: [&str; 24] = [
    "",
    "/",
    ".",
    "..",
    "../../../../../../../etc/passwd",
    "/proc/self/exe",
    "/proc/self/fd/7",
    "a\0b",
    "\n",
    "-1",
    "0",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "1e9",
    "0x10",
    "root",
    ":",
    "sha256:../../../..",
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "\u{202e}\u{0}",
    "SCMP_ACT_ALLOW",
    "%s%n",
    "//a//b/./..//c",
];

/// Changes some bytes.
pub fn bytes(random: &mut Random, data: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=random.below(4) {
        if data.is_empty() {
            data.push(random.next() as u8);
        }
        let at = random.below(data.len());
        match random.below(9) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.next() as u8,
            2 => data.truncate(at),
            3 => data.insert(at, random.next() as u8),
            4 => {
                let end = data.len().min(at + 1 + random.below(16));
                data.drain(at..end);
            }
            5 => {
                let number = random.pick(&NUMBERS).to_le_bytes();
                let width = *random.pick(&[1, 2, 4, 8]);
                let end = data.len().min(at + width);
                data[at..end].copy_from_slice(&number[..end - at]);
            }
            6 => {
                let word = random.pick(&WORDS).as_bytes().to_vec();
                data.splice(at..at, word);
            }
            7 => {
                let end = data.len().min(at + 1 + random.below(64));
                let copy = data[at..end].to_vec();
                let to = random.below(data.len());
                data.splice(to..to, copy);
            }
            _ => {
                if let Some(other) = (!others.is_empty()).then(|| random.pick(others)) {
                    let from = random.below(other.len().max(1)).min(other.len());
                    data.truncate(at);
                    data.extend_from_slice(&other[from..]);
                }
            }
        }
    }
    data.truncate(1 << 20);
}
