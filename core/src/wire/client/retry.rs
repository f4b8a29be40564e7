//! Whose turn it is, and how long to wait before it.

use super::Config;
use crate::backoff;
use crate::time::Instant;

/// The attempts so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    /// Whom the next one is for.
    pub(super) server: usize,
    /// Since a connection last held.
    pub(super) failures: u32,
    attempts: u64,
}

impl Retry {
    /// It is the next server's turn: when?
    pub(super) fn pause(&mut self, now: Instant, config: &Config) -> Instant {
        let count = config.server_count.max(1);
        self.server = (self.server + 1) % count;
        self.attempts = self.attempts.wrapping_add(1);
        let round = self.failures / u32::try_from(count).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        backoff::pause(now, config.retry_min, config.retry_max, round, config.seed ^ self.attempts)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_pauses_are_the_same() {
        for seed in 0..10 {
            let mut config = Config { seed, ..Config::new(1) };
            config.retry_max = config.retry_min;
            let mut retry = Retry::default();
            let pauses: BTreeSet<_> = (0..30).map(|_| retry.pause(Instant::ORIGIN, &config)).collect();
            assert_eq!(pauses.len(), 30);
        }
    }
}
