//! The clock of one node: its own origin and its own rate.

use queenright_core::Instant;

const MILLION: i64 = 1_000_000;

/// A monotonic clock that began at an arbitrary point and runs a little too fast or too slow.
///
/// Real time, here: that of the simulation, in which the checkers think. Only whole nanoseconds are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: u64,
    /// Local nanoseconds per million real ones.
    rate: u64,
}

impl Clock {
    /// A clock that shows `origin` nanoseconds when the simulation begins, and is `rate_ppm` millionths too fast.
    pub(crate) fn new(origin: u64, rate_ppm: i32) -> Self {
        let rate = u64::try_from(MILLION + i64::from(rate_ppm)).unwrap_or(1).max(1);
        Self { origin, rate }
    }

    /// What the clock shows at a real time.
    pub(crate) fn local(self, real: Instant) -> Instant {
        let elapsed = u128::from(real.as_nanos()) * u128::from(self.rate) / MILLION as u128;
        Instant::from_nanos(self.origin.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX)))
    }

    /// The first real time at which the clock shows `local` or more.
    pub(crate) fn real(self, local: Instant) -> Instant {
        let elapsed = u128::from(local.as_nanos().saturating_sub(self.origin));
        let real = (elapsed * MILLION as u128).div_ceil(u128::from(self.rate));
        Instant::from_nanos(u64::try_from(real).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_passed_at_its_real_time_and_not_a_moment_before() {
        for rate_ppm in [-5_000, -1, 0, 1, 5_000] {
            let clock = Clock::new(987_654_321, rate_ppm);
            for nanos in [0, 1, 999, 1_000_000, 123_456_789_012] {
                let deadline = Instant::from_nanos(987_654_321 + nanos);
                let real = clock.real(deadline);
                assert!(clock.local(real) >= deadline, "{rate_ppm} {nanos}");
                if let Some(before) = real.as_nanos().checked_sub(1) {
                    assert!(clock.local(Instant::from_nanos(before)) < deadline, "{rate_ppm} {nanos}");
                }
            }
        }
    }

    #[test]
    fn a_fast_clock_shows_more() {
        let second = Instant::from_millis(1000);
        assert_eq!(Clock::new(5, 5_000).local(second).as_nanos(), 5 + 1_005_000_000);
        assert_eq!(Clock::new(5, -5_000).local(second).as_nanos(), 5 + 995_000_000);
    }
}
