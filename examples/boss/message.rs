//! What requestors, bosses and workers say to each other.

use std::fmt;

use queenright::ProcessId;
use serde::{Deserialize, Serialize};

/// The global that the boss holds.
pub(crate) const BOSS: &str = "boss";
/// The name under which each worker is found.
pub(crate) const WORKER: &str = "worker";

/// Names one job, however often it is asked for. A pid is never reused, so no two requestors name a job alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct JobId {
    /// Who wants it done, and is told when it is.
    pub(crate) requestor: ProcessId,
    /// The requestor's own count.
    pub(crate) number: u64,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) task: String,
    /// 1 when nobody can have done it before. Each reason to doubt that adds one: its boss changed, its worker died.
    pub(crate) attempt: u32,
}

/// Requestor to boss: have this done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) job: Job,
}

/// Boss to requestor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The boss sees to it, as long as it is the boss.
    Accepted { id: JobId },
    /// The boss has too much to do: ask again later.
    Full { id: JobId },
    /// A worker reported it done.
    Done { id: JobId, worker: ProcessId },
}

/// Boss to worker: do this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) job: Job,
    /// Who is told when it is done.
    pub(crate) boss: ProcessId,
}

/// Worker to boss: it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: JobId,
    pub(crate) worker: ProcessId,
    pub(crate) effort: Effort,
}

/// What a worker had to do for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effort {
    /// The job.
    Worked,
    /// Nothing: it had done that job already.
    Remembered,
}

impl JobId {
    /// Whose answer an answer is.
    pub(crate) fn is_of(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Accepted { id } | Answer::Full { id } | Answer::Done { id, .. } => self == id,
        }
    }
}

impl Job {
    /// The same, after something happened that may have left it done or not.
    pub(crate) fn once_more(mut self) -> Self {
        self.attempt = self.attempt.saturating_add(1);
        self
    }

    /// Whether somebody may have done it before.
    pub(crate) fn may_be_done(&self) -> bool {
        self.attempt > 1
    }
}

/// As people write it: the task, and a mark if it may have been done before.
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.task)?;
        if self.may_be_done() {
            write!(f, " (attempt {})", self.attempt)?;
        }
        Ok(())
    }
}
