//! The boss: takes jobs from requestors, and has workers do them. There is one in the whole cluster.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use queenright::{Error, Match, MonitorRef, Process, ProcessId, ProcessMonitorNotification, SendError};

use crate::ledger::{Acceptance, Ledger, Settlement};
use crate::message::{Answer, Assignment, Job, Report, Request, WORKER};
use crate::voice::{Event, Voice};

/// While jobs wait for workers, the boss looks for some this often.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// It says so at most this often.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

/// A boss's work. It ends with its term, or with its node.
pub(crate) async fn run(process: Process, voice: Voice) {
    voice.tell(&Event::Elected);
    let mut boss =
        Boss { process, voice, ledger: Ledger::new(), monitors: BTreeMap::new(), complained_at: None };
    // An error here means that the term, or the node, is over.
    while boss.turn().await.is_ok() {}
}

struct Boss {
    process: Process,
    voice: Voice,
    ledger: Ledger,
    /// The workers who have been given jobs and live, as far as anybody knows.
    monitors: BTreeMap<ProcessId, MonitorRef>,
    complained_at: Option<Instant>,
}

enum Heard {
    Request(Request),
    Report(Report),
    Death(ProcessMonitorNotification),
}

impl Boss {
    /// Hears one message, and gives work out.
    async fn turn(&mut self) -> Result<(), Error> {
        let cases = [Match::on(Heard::Request), Match::on(Heard::Report), Match::on(Heard::Death)];
        let heard = match self.ledger.has_waiting() {
            true => self.process.receive_timeout(LOOK_INTERVAL, cases).await,
            false => Some(self.process.receive_wait(cases).await),
        };
        match heard {
            Some(Heard::Request(Request { job })) => self.accept(job).await?,
            Some(Heard::Report(report)) => self.settle(report).await?,
            Some(Heard::Death(notice)) => self.bury(notice),
            None => {}
        }
        self.delegate().await
    }

    async fn accept(&mut self, job: Job) -> Result<(), SendError> {
        let id = job.id.clone();
        let answer = match self.ledger.accept(job.clone()) {
            Acceptance::New => {
                self.voice.tell(&Event::Accepted { job });
                Answer::Accepted { id: id.clone() }
            }
            Acceptance::Waits => Answer::Accepted { id: id.clone() },
            Acceptance::With { worker, job } => {
                self.give(worker, job).await?;
                Answer::Accepted { id: id.clone() }
            }
            Acceptance::Finished { worker } => Answer::Done { id: id.clone(), worker },
            Acceptance::Full => Answer::Full { id: id.clone() },
        };
        self.process.send(&id.requestor, answer).await
    }

    async fn settle(&mut self, report: Report) -> Result<(), SendError> {
        let (id, worker) = (report.id.clone(), report.worker.clone());
        match self.ledger.report(report) {
            Settlement::Finished { requestor } => {
                self.process.send(&requestor, Answer::Done { id, worker }).await
            }
            Settlement::Repeated { first } => {
                let job = format!("number {} of {}", id.number, id.requestor.node().address());
                self.voice.tell(&Event::Repeated { job, first, second: worker });
                Ok(())
            }
            Settlement::Known => Ok(()),
        }
    }

    fn bury(&mut self, notice: ProcessMonitorNotification) {
        let ProcessMonitorNotification { reference, pid, reason } = notice;
        // Not for a monitor that was replaced.
        if self.monitors.get(&pid) != Some(&reference) {
            return;
        }
        self.monitors.remove(&pid);
        let orphan_count = self.ledger.worker_died(&pid, Instant::now());
        self.voice.tell(&Event::WorkerLost { worker: pid, reason: reason.to_string(), orphan_count });
    }

    /// Gives all jobs out that wait, if there is anybody.
    async fn delegate(&mut self) -> Result<(), Error> {
        if !self.ledger.has_waiting() {
            return Ok(());
        }
        let workers = match self.process.get_capable(WORKER).await {
            Ok(workers) => workers,
            Err(Error::Closed) => return Err(Error::Closed),
            Err(error) => {
                self.complain(Event::Trouble { what: error.to_string() });
                return Ok(());
            }
        };
        while let Some((worker, job)) = self.ledger.assign(&workers, Instant::now()) {
            self.voice.tell(&Event::Delegating { job: job.clone(), worker: worker.clone() });
            self.give(worker, job).await?;
        }
        if self.ledger.has_waiting() {
            self.complain(Event::NoWorkforce);
        }
        Ok(())
    }

    async fn give(&mut self, worker: ProcessId, job: Job) -> Result<(), SendError> {
        if !self.monitors.contains_key(&worker) {
            self.monitors.insert(worker.clone(), self.process.monitor(&worker));
        }
        let boss = self.process.self_pid().clone();
        self.process.send(&worker, Assignment { job, boss }).await
    }

    fn complain(&mut self, event: Event) {
        let now = Instant::now();
        if self.complained_at.is_none_or(|at| now - at >= COMPLAINT_INTERVAL) {
            self.complained_at = Some(now);
            self.voice.tell(&event);
        }
    }
}
