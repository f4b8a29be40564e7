//! No hot loop: the requests of a node in a second of real time are bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use queenright_core::Instant;
use queenright_core::op::Op;

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

/// What a node puts out at once when its connection is up: as much as it wants something, however often that was before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Burst {
    requests: usize,
    watches: usize,
}

/// What a node wants at most.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// Instances that it registers, and those that it withdraws.
    pub registrations: usize,
    /// Directories that it follows.
    pub subscriptions: usize,
    /// Globals.
    pub globals: usize,
}

impl Burst {
    /// Counts a request.
    pub fn requested(&mut self, op: &Op) {
        self.requests += 1;
        self.watches += usize::from(matches!(op, Op::AddWatch { .. }));
    }

    /// That was all of them.
    ///
    /// # Errors
    /// When there were more than `wants` is good for.
    pub fn check(self, life: Life, wants: Wants) -> Result<(), Violation> {
        let Wants { registrations, subscriptions, globals } = wants;
        // A beat or a new lease, and a `sync`; a write and a read; a watch and a list; the term, the queue, a release.
        let max = 2 + 2 * registrations + 2 * subscriptions + 3 * globals;
        let Self { requests, watches } = self;
        if watches > subscriptions || requests > max {
            let detail = format!(
                "{life} put out {requests} requests when its connection was up, {watches} of them watches, and wants at most {wants:?}"
            );
            return Err(Violation::new(PROPERTY, detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use queenright_core::Path;

    use super::*;

    #[test]
    fn a_reconnect_costs_what_is_wanted_and_no_more() {
        let life = Life { node: 0, number: 0 };
        let wants = Wants { registrations: 1, subscriptions: 1, globals: 0 };
        let watch = Op::AddWatch { path: Path::root() };
        let burst = |watches: usize, others: usize| {
            let mut burst = Burst::default();
            (0..watches).for_each(|_| burst.requested(&watch));
            (0..others).for_each(|_| burst.requested(&Op::Sync { path: Path::root() }));
            burst
        };
        assert_eq!(burst(1, 5).check(life, wants), Ok(()));
        assert!(burst(1, 6).check(life, wants).is_err(), "a read of something that is not wanted any more");
        assert!(burst(2, 0).check(life, wants).is_err(), "a watch for a directory that nobody follows");
    }

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
