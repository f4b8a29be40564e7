//! Where every choice of a run comes from: one seed, mixed with labels. There is no generator that several parts share,
//! so one choice more or less in one place moves no other.

use std::time::Duration;

/// Mixes two words into one, so that neighbours (seeds, node numbers, message indices) have nothing in common.
///
/// Source: the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15).rotate_left(17);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of choices with a label of its own.
#[derive(Debug)]
pub(crate) struct Draw {
    source: Source,
    drawn_count: u64,
}

/// Where the choices of a stream come from.
#[derive(Debug)]
enum Source {
    /// Mixed from a key.
    Key(u64),
    /// Somebody else's bytes, two for each choice; the first option is chosen when there are no more.
    #[cfg(any(test, feature = "fuzzing"))]
    Bytes(Vec<u8>),
}

impl Draw {
    /// The stream called `label` of `seed`.
    pub(crate) const fn new(seed: u64, label: u64) -> Self {
        Self { source: Source::Key(mix(seed, label)), drawn_count: 0 }
    }

    /// The stream that `bytes` choose.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self { source: Source::Bytes(bytes.into()), drawn_count: 0 }
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.drawn_count += 1;
        match &self.source {
            Source::Key(key) => mix(*key, self.drawn_count),
            #[cfg(any(test, feature = "fuzzing"))]
            Source::Bytes(bytes) => {
                let at = usize::try_from(self.drawn_count - 1).unwrap_or(usize::MAX).saturating_mul(2);
                let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(0));
                // In the upper bits, which are what counts for small numbers.
                byte(at) << 56 | byte(at.saturating_add(1)) << 48
            }
        }
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        scale(self.word(), bound)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A small index below `bound`.
    pub(crate) fn index(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }

    /// Whether a chance of one in `n` came up.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the options.
    pub(crate) fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        let index = usize::try_from(self.below(options.len() as u64)).unwrap_or(0);
        options[index]
    }

    /// A length of time from `low` to `high`.
    pub(crate) fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.between(nanos(low), nanos(high)))
    }
}

/// Nanoseconds of a duration of a simulation, all of which are shorter than centuries.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Maps a uniform word to a number below `bound`.
pub(crate) fn scale(word: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(word) * u128::from(bound)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_seeds_and_labels_share_nothing() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            for label in 0..64 {
                assert!(seen.insert(mix(seed, label)), "{seed} {label}");
            }
        }
        // Adding instead of mixing would make these two the same stream.
        assert_ne!(Draw::new(1, 2).word(), Draw::new(2, 1).word());
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_both_ends() {
        let mut draw = Draw::new(7, 7);
        let drawn: Vec<u64> = (0..1000).map(|_| draw.between(3, 6)).collect();
        assert_eq!(drawn.iter().min(), Some(&3));
        assert_eq!(drawn.iter().max(), Some(&6));
        assert_eq!(Draw::new(1, 1).below(0), 0);
    }
}
