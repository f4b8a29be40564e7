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
