//! Pauses between retries: doubled, capped, and jittered by derivation, not by chance.

use core::time::Duration;

use crate::config::Config;
use crate::time::Instant;

/// How often in a row something failed, and so how long to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// When to try again after one more failure: between half of the pause and all of it, so that nodes that
    /// failed together do not come back together.
    pub(crate) fn fail(&mut self, now: Instant, config: &Config, salt: u64) -> Instant {
        let doublings = self.failures;
        self.failures = self.failures.saturating_add(1).min(31);
        let incarnation = config.incarnation.0;
        let seed = (incarnation as u64) ^ ((incarnation >> 64) as u64) ^ mix(salt) ^ u64::from(self.failures);
        pause(now, config.retry_min, config.retry_max, doublings, seed)
    }

    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Whether nothing failed since the last success.
    pub(crate) fn is_calm(self) -> bool {
        self.failures == 0
    }
}

/// The end of a pause of `min`, doubled so often but `max` at most; shortened by up to half, by what `seed` says.
pub(crate) fn pause(now: Instant, min: Duration, max: Duration, doublings: u32, seed: u64) -> Instant {
    let pause = min.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(max);
    let half = pause / 2;
    now.after(half + Duration::from_nanos(mix(seed) % (half.as_nanos().max(1) as u64)))
}

/// FNV-1a over a text: a salt for [`Backoff::fail`].
pub(crate) fn salt(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finaliser of SplitMix64 (G. Steele et al., "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::{Incarnation, Name};

    fn config(incarnation: u128) -> Config {
        let mut config = Config::new(Name::new("n1").unwrap(), Incarnation(incarnation));
        config.retry_min = Duration::from_millis(100);
        config.retry_max = Duration::from_secs(3);
        config
    }

    #[test]
    fn pauses_grow_from_the_least_to_the_greatest_and_begin_anew_after_a_success() {
        let (mut backoff, config) = (Backoff::default(), config(7));
        for _ in 0..2 {
            assert!(backoff.is_calm());
            for most in [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000].map(Duration::from_millis) {
                let pause = backoff.fail(Instant::ORIGIN, &config, 1).since(Instant::ORIGIN);
                assert!(most / 2 <= pause && pause < most, "{pause:?} of {most:?}");
                assert!(!backoff.is_calm());
            }
            for _ in 0..100 {
                backoff.fail(Instant::ORIGIN, &config, 1);
            }
            backoff.succeed();
        }
    }

    /// Whatever two retries differ in, they are not made at the same time.
    #[test]
    fn those_who_fail_together_do_not_come_back_together() {
        let first =
            |incarnation: u128, salt| Backoff::default().fail(Instant::ORIGIN, &config(incarnation), salt);
        let nodes: BTreeSet<_> = (0..128).map(|bit| first(1 << bit ^ 1 << 100, 1)).collect();
        let machines: BTreeSet<_> = (0..64).map(|bit| first(1, 1 << bit)).collect();
        assert_eq!(nodes.len(), 64, "the halves of an incarnation are folded into one");
        assert_eq!(machines.len(), 64);
        let mut config = config(1);
        config.retry_max = config.retry_min;
        for salt in 0..10 {
            let mut backoff = Backoff::default();
            let retries: BTreeSet<_> =
                (0..30).map(|_| backoff.fail(Instant::ORIGIN, &config, salt)).collect();
            assert_eq!(retries.len(), 30);
        }
        assert_ne!(salt("/a"), salt("/b"));
        assert_ne!(salt("/ab"), salt("/ba"));
    }
}
