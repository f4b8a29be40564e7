//! No hot loop: the requests of a node in a second of real time are bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use queenright_core::Instant;

use super::{Life, Violation};

const PROPERTY: &str = "bounded requests";

/// Counts the requests of each life, second by second.
#[derive(Debug)]
pub struct BoundedRequests {
    window: Duration,
    max: u32,
    counts: BTreeMap<Life, (u64, u32)>,
    peak: u32,
}

impl BoundedRequests {
    /// At most `max` requests in a `window`.
    #[must_use]
    pub const fn new(window: Duration, max: u32) -> Self {
        Self { window, max, counts: BTreeMap::new(), peak: 0 }
    }

    /// A coordinator put a request out.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn requested(&mut self, now: Instant, life: Life) -> Result<(), Violation> {
        let number = now.as_nanos() / u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX).max(1);
        let (current, count) = self.counts.entry(life).or_insert((number, 0));
        if *current != number {
            (*current, *count) = (number, 0);
        }
        *count += 1;
        self.peak = self.peak.max(*count);
        if *count > self.max {
            let Self { window, max, .. } = self;
            let detail = format!("{life} sent more than {max} requests in {window:?}");
            return Err(Violation::new(PROPERTY, detail));
        }
        Ok(())
    }

    /// The most that any life sent in one window.
    #[must_use]
    pub const fn peak(&self) -> u32 {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hot_loop_is_seen_and_a_steady_pace_is_not() {
        let life = Life { node: 0, number: 0 };
        let mut requests = BoundedRequests::new(Duration::from_secs(1), 10);
        for millis in (0..10_000).step_by(100) {
            requests.requested(Instant::from_millis(millis), life).unwrap();
        }
        assert_eq!(requests.peak(), 10);
        let mut requests = BoundedRequests::new(Duration::from_secs(1), 10);
        assert!((0..11).any(|_| requests.requested(Instant::from_millis(5), life).is_err()));
    }
}
