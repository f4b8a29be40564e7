use queenright_core::Instant;

use crate::port::Host;

/// The operating system's clock and entropy.
///
/// On Linux and Android the clock is `CLOCK_BOOTTIME`, which counts the time during which the machine was
/// suspended (`CLOCK_MONOTONIC` does not). On Apple's systems `CLOCK_MONOTONIC` counts it; elsewhere the
/// monotonic clock of the standard library has to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperatingSystem;

impl Host for OperatingSystem {
    fn now(&self) -> Instant {
        Instant::from_nanos(nanos())
    }

    /// # Panics
    /// When the operating system has no entropy to give: nothing that is unique could be made then.
    fn entropy(&self) -> u128 {
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            panic!("the operating system gave no entropy: {error}");
        }
        u128::from_le_bytes(bytes)
    }
}

#[cfg(unix)]
fn nanos() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;

    let time = clock_gettime(CLOCK);
    // Time since boot is never negative, and 2^64 nanoseconds are 584 years.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(not(unix))]
fn nanos() -> u64 {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let origin = ORIGIN.get_or_init(std::time::Instant::now);
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_clock_advances_at_the_rate_of_time() {
        let (ours, theirs) = (OperatingSystem.now(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (ours, theirs) = (OperatingSystem.now().since(ours), theirs.elapsed());
        assert!(ours >= Duration::from_millis(20), "{ours:?}");
        assert!(ours.abs_diff(theirs) < Duration::from_millis(500), "{ours:?} {theirs:?}");
    }

    #[test]
    fn entropy_does_not_repeat() {
        assert_ne!(OperatingSystem.entropy(), OperatingSystem.entropy());
    }
}
