//! Many runs, on as many cores as there are. What a campaign comes to does not depend on how many.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use queenright_core::Config;

use super::failure::Failure;
use super::mix::mix;
use super::plan::Plan;
use super::run_with;
use super::sometimes::Sometimes;

/// Runs that a thread takes at a time: so few that the first failure ends a campaign soon.
const BATCH: u64 = 16;

/// Which runs, and how.
pub struct Campaign<'a> {
    /// Their seeds.
    pub seeds: Range<u64>,
    /// How many threads share them.
    pub jobs: NonZeroUsize,
    /// The plan of a seed.
    pub plan: &'a (dyn Fn(u64) -> Plan + Sync),
    /// A last word on the configuration of every coordinator.
    pub configure: &'a (dyn Fn(&mut Config) + Sync),
    /// Hears how far it is, from any of the threads.
    pub watch: &'a (dyn Fn(&Tally) + Sync),
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that are over.
    pub runs: u64,
    /// Their events.
    pub events: u64,
}

/// What a campaign came to: all of its runs, or those up to the first failure.
#[derive(Debug)]
pub struct Report {
    /// How many runs there were, and events in them.
    pub tally: Tally,
    /// The most requests that any node put out within a lease.
    pub request_peak: u32,
    /// How often each state was reached.
    pub sometimes: Sometimes,
    /// Of all runs together.
    pub fingerprint: u64,
    /// Of the lowest seed that failed.
    pub failure: Option<Box<Failure>>,
}

impl Campaign<'_> {
    /// Runs it, to the end or to the first failure.
    #[must_use]
    pub fn run(&self) -> Report {
        let next = AtomicU64::new(self.seeds.start);
        // No batch is begun beyond a failure, and those below it are finished: so the lowest seed that fails is found,
        // however the threads share the work.
        let end = AtomicU64::new(self.seeds.end);
        let report = Mutex::new(Report::new());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.get() {
                scope.spawn(|| self.work(&next, &end, &report));
            }
        });
        report.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self, next: &AtomicU64, end: &AtomicU64, report: &Mutex<Report>) {
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= end.load(Ordering::Relaxed) {
                return;
            }
            let mut batch = Report::new();
            for seed in first..(first + BATCH).min(self.seeds.end) {
                batch.add(seed, &(self.plan)(seed), self.configure);
                if batch.failure.is_some() {
                    end.fetch_min(first, Ordering::Relaxed);
                    break;
                }
            }
            let tally = {
                let mut report = report.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                report.merge(batch);
                report.tally
            };
            (self.watch)(&tally);
        }
    }
}

impl Report {
    fn new() -> Self {
        Self {
            tally: Tally::default(),
            request_peak: 0,
            sometimes: Sometimes::default(),
            fingerprint: 0,
            failure: None,
        }
    }

    fn add(&mut self, seed: u64, plan: &Plan, configure: &dyn Fn(&mut Config)) {
        self.tally.runs += 1;
        match run_with(plan, configure) {
            Ok(summary) => {
                self.tally.events += summary.events;
                self.request_peak = self.request_peak.max(summary.request_peak);
                self.sometimes.merge(&summary.sometimes);
                // A sum: the order in which threads finish does not show.
                self.fingerprint = self.fingerprint.wrapping_add(mix(seed, summary.fingerprint));
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    fn merge(&mut self, other: Self) {
        let Self { tally, request_peak, sometimes, fingerprint, failure } = other;
        self.tally.runs += tally.runs;
        self.tally.events += tally.events;
        self.request_peak = self.request_peak.max(request_peak);
        self.sometimes.merge(&sometimes);
        self.fingerprint = self.fingerprint.wrapping_add(fingerprint);
        let seed = |failure: &Failure| failure.plan().seed;
        self.failure = match (self.failure.take(), failure) {
            (Some(one), Some(other)) => Some(if seed(&other) < seed(&one) { other } else { one }),
            (one, other) => one.or(other),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queenright_core::mutation::Mutation;

    fn campaign(jobs: usize, mutation: Option<Mutation>) -> Report {
        Campaign {
            seeds: 0..200,
            jobs: NonZeroUsize::new(jobs).unwrap(),
            plan: &Plan::from_seed,
            configure: &|config| config.mutation = mutation,
            watch: &|_| (),
        }
        .run()
    }

    #[test]
    fn the_number_of_threads_does_not_show() {
        let (one, three) = (campaign(1, None), campaign(3, None));
        assert_eq!(one.tally, Tally { runs: 200, events: one.tally.events });
        assert_eq!((one.tally, one.fingerprint), (three.tally, three.fingerprint));
        assert_eq!(one.sometimes, three.sometimes);
    }

    #[test]
    fn the_lowest_seed_that_fails_is_found() {
        let seeds = [1, 2, 5].map(|jobs| {
            let report = campaign(jobs, Some(Mutation::NoWait));
            report.failure.map(|failure| failure.plan().seed)
        });
        assert!(seeds[0].is_some(), "without a wait somebody leads too early");
        assert_eq!(seeds, [seeds[0]; 3]);
    }
}
