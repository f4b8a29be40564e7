//! What a boss knows of its jobs: a machine without I/O. The boss's process does what it says.
//!
//! ```text
//!               accept                assign                    report
//!   (unknown) ----------> Waiting --------------> With(worker) --------> finished, remembered for a while
//!                            ^                         |
//!                            '------ worker died ------'
//! ```
//!
//! A new boss begins with an empty ledger: requestors ask it again, under the same ids. So a job can be done more than
//! once, but is never done less than once when its requestor was told that it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use queenright::ProcessId;

use crate::message::{Effort, Job, JobId, Report};
use crate::recall::Recall;

/// The most jobs that are open at a time; requestors of more are told to come back.
pub(crate) const OPEN_MAX: usize = 10_000;
/// The number of finished jobs that are remembered, for requestors that ask again.
pub(crate) const FINISHED_MAX: usize = 10_000;
/// For how long a worker that died, or could not be reached, gets no jobs. ZooKeeper lists it until its session has
/// ended; if it comes back it has earned another chance.
pub(crate) const SHUN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Ledger {
    open: BTreeMap<JobId, Open>,
    /// The open jobs without a worker, in the order in which they are to be assigned.
    waiting: VecDeque<JobId>,
    /// Who did what.
    finished: Recall<ProcessId>,
    /// Until when a worker gets nothing.
    shunned: BTreeMap<ProcessId, Instant>,
    last_served: Option<ProcessId>,
}

#[derive(Debug)]
struct Open {
    job: Job,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    With(ProcessId),
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// It is new, and waits for a worker.
    New,
    /// It waits already.
    Waits,
    /// A worker has it. Its report may be lost: send it the job again; if that is done, it says so again.
    With { worker: ProcessId, job: Job },
    /// It is done.
    Finished { worker: ProcessId },
    /// There are [`OPEN_MAX`] others.
    Full,
}

/// What becomes of a report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// The job is done now: tell its requestor.
    Finished { requestor: ProcessId },
    /// It was done already, and this worker did it once more.
    Repeated { first: ProcessId },
    /// Nothing new, or nothing of ours.
    Known,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            finished: Recall::new(FINISHED_MAX),
            shunned: BTreeMap::new(),
            last_served: None,
        }
    }

    /// A requestor wants `job` done.
    pub(crate) fn accept(&mut self, job: Job) -> Acceptance {
        if let Some(worker) = self.finished.get(&job.id) {
            return Acceptance::Finished { worker: worker.clone() };
        }
        if let Some(open) = self.open.get(&job.id) {
            return match &open.state {
                State::Waiting => Acceptance::Waits,
                State::With(worker) => Acceptance::With { worker: worker.clone(), job: open.job.clone() },
            };
        }
        if self.open.len() >= OPEN_MAX {
            return Acceptance::Full;
        }
        self.waiting.push_back(job.id.clone());
        self.open.insert(job.id.clone(), Open { job, state: State::Waiting });
        Acceptance::New
    }

    /// Whether a job waits for a worker.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives the next job to the next of `workers`: the one that follows in their order upon the one who was served
    /// last, so that all of them have their turn, whoever comes and goes. `None` when no job waits, or nobody can
    /// do it.
    pub(crate) fn assign(&mut self, workers: &[ProcessId], now: Instant) -> Option<(ProcessId, Job)> {
        self.shunned.retain(|_, until| *until > now);
        let able = || workers.iter().filter(|worker| !self.shunned.contains_key(worker));
        let last = self.last_served.as_ref();
        let worker = able().filter(|worker| Some(*worker) > last).min().or_else(|| able().min())?.clone();
        let id = self.waiting.pop_front()?;
        let open = self.open.get_mut(&id)?;
        open.state = State::With(worker.clone());
        self.last_served = Some(worker.clone());
        Some((worker, open.job.clone()))
    }

    /// A worker reports a job done.
    pub(crate) fn report(&mut self, report: Report) -> Settlement {
        let Report { id, worker, effort } = report;
        if let Some(first) = self.finished.get(&id) {
            return match effort {
                Effort::Worked => Settlement::Repeated { first: first.clone() },
                Effort::Remembered => Settlement::Known,
            };
        }
        // Done is done, whoever it was assigned to in the meantime.
        let Some(open) = self.open.remove(&id) else { return Settlement::Known };
        if open.state == State::Waiting {
            self.waiting.retain(|waiting| *waiting != id);
        }
        let requestor = id.requestor.clone();
        self.finished.note(id, worker);
        Settlement::Finished { requestor }
    }

    /// A worker died, or cannot be reached. Its jobs wait for another one, before all others, each marked as one that
    /// may be done; tells how many there are.
    pub(crate) fn worker_died(&mut self, worker: &ProcessId, now: Instant) -> usize {
        self.shunned.insert(worker.clone(), now + SHUN);
        let mut orphans = VecDeque::new();
        for (id, open) in &mut self.open {
            if matches!(&open.state, State::With(holder) if holder == worker) {
                open.job = open.job.clone().once_more();
                open.state = State::Waiting;
                orphans.push_back(id.clone());
            }
        }
        let count = orphans.len();
        orphans.append(&mut self.waiting);
        self.waiting = orphans;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: u64) -> ProcessId {
        format!("h:{number}@0000000000000000000000000000000{number}.{number}").parse().unwrap()
    }

    fn job(number: u64) -> Job {
        Job { id: JobId { requestor: pid(9), number }, task: format!("job {number}"), attempt: 1 }
    }

    fn worked(number: u64, worker: u64) -> Report {
        Report { id: job(number).id, worker: pid(worker), effort: Effort::Worked }
    }

    fn remembered(number: u64, worker: u64) -> Report {
        Report { effort: Effort::Remembered, ..worked(number, worker) }
    }

    fn with_jobs(count: u64) -> Ledger {
        let mut ledger = Ledger::new();
        for number in 1..=count {
            assert_eq!(ledger.accept(job(number)), Acceptance::New);
        }
        ledger
    }

    /// Assigns everything; says who got which job.
    fn assign_all(ledger: &mut Ledger, workers: &[ProcessId], now: Instant) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| ledger.assign(workers, now))
            .map(|(worker, job)| (job.id.number, worker.number()))
            .collect()
    }

    #[test]
    fn jobs_go_round_in_the_order_of_their_coming() {
        let mut ledger = with_jobs(5);
        // The order of the list does not matter.
        let workers = [pid(3), pid(1), pid(2)];
        let given = assign_all(&mut ledger, &workers, Instant::now());
        assert_eq!(given, [(1, 1), (2, 2), (3, 3), (4, 1), (5, 2)]);
        assert!(!ledger.has_waiting());
    }

    #[test]
    fn whoever_comes_and_goes_the_round_goes_on() {
        let (mut ledger, now) = (with_jobs(4), Instant::now());
        assert_eq!(ledger.assign(&[pid(1), pid(3)], now).unwrap().0, pid(1));
        assert_eq!(ledger.assign(&[pid(1), pid(2), pid(3)], now).unwrap().0, pid(2));
        assert_eq!(ledger.assign(&[pid(1), pid(3)], now).unwrap().0, pid(3));
        assert_eq!(ledger.assign(&[pid(1), pid(2), pid(3)], now).unwrap().0, pid(1));
    }

    #[test]
    fn without_workers_jobs_wait() {
        let mut ledger = with_jobs(1);
        assert_eq!(ledger.assign(&[], Instant::now()), None);
        assert!(ledger.has_waiting());
        assert_eq!(ledger.accept(job(1)), Acceptance::Waits);
        assert_eq!(ledger.assign(&[pid(1)], Instant::now()), Some((pid(1), job(1))));
    }

    #[test]
    fn a_report_finishes_a_job_once() {
        let mut ledger = with_jobs(1);
        ledger.assign(&[pid(1)], Instant::now());
        assert_eq!(ledger.report(worked(1, 1)), Settlement::Finished { requestor: pid(9) });
        assert_eq!(ledger.report(remembered(1, 1)), Settlement::Known);
        assert_eq!(ledger.accept(job(1)), Acceptance::Finished { worker: pid(1) });
        assert!(!ledger.has_waiting());
    }

    #[test]
    fn who_asks_again_has_the_job_sent_again_to_the_same_worker() {
        let mut ledger = with_jobs(1);
        ledger.assign(&[pid(1)], Instant::now());
        assert_eq!(ledger.accept(job(1)), Acceptance::With { worker: pid(1), job: job(1) });
        assert_eq!(ledger.report(remembered(1, 1)), Settlement::Finished { requestor: pid(9) });
    }

    #[test]
    fn the_jobs_of_the_dead_come_first_and_are_marked() {
        let (mut ledger, now) = (with_jobs(3), Instant::now());
        assign_all(&mut ledger, &[pid(1), pid(2)], now);
        ledger.accept(job(4));
        assert_eq!(ledger.worker_died(&pid(1), now), 2, "jobs 1 and 3");
        let given: Vec<_> = std::iter::from_fn(|| ledger.assign(&[pid(1), pid(2)], now))
            .map(|(worker, job)| (job.id.number, job.attempt, worker.number()))
            .collect();
        assert_eq!(given, [(1, 2, 2), (3, 2, 2), (4, 1, 2)]);
        assert_eq!(ledger.worker_died(&pid(7), now), 0, "one without jobs");
    }

    #[test]
    fn who_died_is_shunned_for_a_while() {
        let (mut ledger, now) = (with_jobs(1), Instant::now());
        ledger.worker_died(&pid(1), now);
        assert_eq!(ledger.assign(&[pid(1)], now), None);
        assert!(ledger.has_waiting());
        assert_eq!(ledger.assign(&[pid(1)], now + SHUN).unwrap().0, pid(1));
        assert!(ledger.shunned.is_empty(), "bounded by who died lately");
    }

    #[test]
    fn a_worker_taken_for_dead_may_report_all_the_same() {
        let (mut ledger, now) = (with_jobs(2), Instant::now());
        assign_all(&mut ledger, &[pid(1)], now);
        ledger.worker_died(&pid(1), now);
        // Job 1 waits again when its report arrives: it is not assigned once more.
        assert_eq!(ledger.report(worked(1, 1)), Settlement::Finished { requestor: pid(9) });
        assert_eq!(assign_all(&mut ledger, &[pid(2)], now), [(2, 2)]);
        // Job 2 is with another one when its report arrives: what that one does is a repeat.
        assert_eq!(ledger.report(worked(2, 1)), Settlement::Finished { requestor: pid(9) });
        assert_eq!(ledger.report(worked(2, 2)), Settlement::Repeated { first: pid(1) });
    }

    #[test]
    fn a_new_boss_knows_nothing_and_takes_jobs_as_they_come() {
        let mut ledger = Ledger::new();
        assert_eq!(ledger.report(worked(1, 1)), Settlement::Known, "assigned by the boss before");
        let again = job(1).once_more();
        assert_eq!(ledger.accept(again.clone()), Acceptance::New);
        assert_eq!(ledger.assign(&[pid(1)], Instant::now()), Some((pid(1), again)));
        assert_eq!(ledger.report(remembered(1, 1)), Settlement::Finished { requestor: pid(9) });
    }

    #[test]
    fn a_full_ledger_refuses_new_jobs_and_knows_its_own() {
        let mut ledger = with_jobs(OPEN_MAX as u64);
        assert_eq!(ledger.accept(job(0)), Acceptance::Full);
        assert_eq!(ledger.accept(job(1)), Acceptance::Waits);
        ledger.assign(&[pid(1)], Instant::now());
        ledger.report(worked(1, 1));
        assert_eq!(ledger.accept(job(0)), Acceptance::New);
    }
}
