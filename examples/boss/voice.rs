//! What the roles tell of themselves: a line for each event, for people or for the demo that started this process.

use std::io::Write;

use queenright::ProcessId;
use serde::{Deserialize, Serialize};

use crate::message::Job;

/// What happens in the life of a boss, a worker or a requestor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// This node works, and stands for boss.
    Ready { worker: ProcessId, boss: Option<ProcessId> },
    /// A process of this node is the boss now.
    Elected,
    /// The boss sees to a job from now on.
    Accepted { job: Job },
    /// The boss gives a job to a worker.
    Delegating { job: Job, worker: ProcessId },
    /// There is a job, and nobody to do it.
    NoWorkforce,
    /// A worker died, or cannot be reached; its jobs wait for another one.
    WorkerLost { worker: ProcessId, reason: String, orphan_count: usize },
    /// A job that was done is done once more, by another worker.
    Repeated { job: String, first: ProcessId, second: ProcessId },
    /// A worker has nothing to do.
    Idle,
    /// A worker begins a job.
    Doing { job: Job },
    /// A worker has done a job.
    Done { job: Job },
    /// A worker was given a job that it has done before, and reports that.
    Dropped { job: Job },
    /// A requestor knows the boss that it was looking for.
    FoundBoss { boss: ProcessId },
    /// A requestor lost its boss.
    LostBoss { reason: String },
    /// The boss has accepted a requestor's job.
    Waiting { task: String },
    /// A requestor knows that its job is done.
    Acknowledged { worker: ProcessId },
    /// Something does not work at present.
    Trouble { what: String },
    /// This node ends in good order.
    Closing { why: String },
}

/// To whom events are told. Whether they listen is their affair: a closed pipe stops nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// On standard output, in words.
    People,
    /// On standard output, as one line of JSON each.
    Demo,
    /// To nobody.
    Silent,
}

impl Voice {
    pub(crate) fn tell(self, event: &Event) {
        let line = match self {
            Self::People => event.in_words(brief),
            Self::Demo => match serde_json::to_string(event) {
                Ok(line) => line,
                Err(_) => return,
            },
            Self::Silent => return,
        };
        // In one call, so that the lines of two processes do not mix.
        let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
    }
}

impl Event {
    /// In words; `name` says what a process is called.
    pub(crate) fn in_words(&self, name: impl Fn(&ProcessId) -> String) -> String {
        match self {
            Self::Ready { worker, boss: Some(boss) } => {
                format!("Ready: the boss is {}, and a worker is {}", name(boss), name(worker))
            }
            Self::Ready { worker, boss: None } => {
                format!("Ready: there is no boss yet, and a worker is {}", name(worker))
            }
            Self::Elected => "I'm the boss!".to_owned(),
            Self::Accepted { job } => format!("Accepted: {job}"),
            Self::Delegating { job, worker } => format!("'Delegating' task: {job} to {}", name(worker)),
            Self::NoWorkforce => "Where is my workforce?!".to_owned(),
            Self::WorkerLost { worker, reason, orphan_count } => {
                format!("Lost worker {}: {reason}; {orphan_count} of its jobs go to others", name(worker))
            }
            Self::Repeated { job, first, second } => {
                format!("Done twice: {job}, by {} and by {}", name(first), name(second))
            }
            Self::Idle => "Worker waiting for task...".to_owned(),
            Self::Doing { job } => format!("Doing task: {job}"),
            Self::Done { job } => format!("Done: {job}"),
            Self::Dropped { job } => format!("Done before, and not again: {job}"),
            Self::FoundBoss { boss } => format!("The boss is {}", name(boss)),
            Self::LostBoss { reason } => format!("Lost the boss ({reason}): looking for the next one..."),
            Self::Waiting { task } => format!("The boss has accepted: {task}"),
            Self::Acknowledged { worker } => format!("Done by {}", name(worker)),
            Self::Trouble { what } => format!("Trouble: {what}"),
            Self::Closing { why } => format!("{why}: closing..."),
        }
    }
}

/// Where a process lives, and its number there: enough for people.
pub(crate) fn brief(pid: &ProcessId) -> String {
    format!("{}#{}", pid.node().address(), pid.number())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::JobId;

    #[test]
    fn what_is_told_to_the_demo_can_be_read_again() {
        let pid: ProcessId = "127.0.0.1:4000@f00000000000000000000000000000ff.12".parse().unwrap();
        let id = JobId { requestor: pid.clone(), number: u64::MAX };
        let job = Job { id, task: "sweep\nthe \"floor\"".to_owned(), attempt: 2 };
        for event in [
            Event::Elected,
            Event::Ready { worker: pid.clone(), boss: None },
            Event::Delegating { job: job.clone(), worker: pid.clone() },
            Event::WorkerLost { worker: pid, reason: "gone".to_owned(), orphan_count: 3 },
            Event::Done { job },
        ] {
            let line = serde_json::to_string(&event).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
    }

    #[test]
    fn people_see_addresses_and_attempts() {
        let pid: ProcessId = "127.0.0.1:4000@f00000000000000000000000000000ff.12".parse().unwrap();
        let job =
            Job { id: JobId { requestor: pid.clone(), number: 1 }, task: "sweep".to_owned(), attempt: 1 };
        let event = Event::Delegating { job: job.once_more(), worker: pid };
        assert_eq!(event.in_words(brief), "'Delegating' task: sweep (attempt 2) to 127.0.0.1:4000#12");
    }
}
