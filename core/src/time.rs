//! Time as an argument: points in time are numbers that the driver hands in.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, in nanoseconds since an origin that the driver chose.
///
/// The clock behind it must be monotonic and must count the time during which the machine was suspended
/// (`CLOCK_BOOTTIME` on Linux): the safety of a lease rests on its *rate* only, never on the wall clock.
/// All arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ORIGIN: Self = Self(0);
    /// Later than every deadline.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// `self + duration`, at most [`Instant::FAR_FUTURE`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// `self - duration`, at least [`Instant::ORIGIN`].
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    /// Seconds with six decimals: `12.345678s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Instant::FAR_FUTURE.after(Duration::from_secs(1)), Instant::FAR_FUTURE);
        assert_eq!(Instant::ORIGIN.after(Duration::MAX), Instant::FAR_FUTURE);
        assert_eq!(Instant::from_millis(1).before(Duration::from_secs(1)), Instant::ORIGIN);
        assert_eq!(Instant::ORIGIN.since(Instant::from_millis(5)), Duration::ZERO);
        assert_eq!(Instant::from_millis(7).since(Instant::from_millis(5)), Duration::from_millis(2));
    }

    #[test]
    fn display_is_seconds() {
        extern crate alloc;
        assert_eq!(alloc::format!("{}", Instant::from_nanos(12_345_678_901)), "12.345678s");
    }
}
