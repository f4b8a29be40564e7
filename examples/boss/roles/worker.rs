//! The worker: does one job after the other, and none twice.

use std::time::Duration;

use queenright::Process;

use crate::message::{Assignment, Effort, Report};
use crate::recall::Recall;
use crate::voice::{Event, Voice};

/// The number of jobs that a worker remembers to have done.
const REMEMBERED_MAX: usize = 10_000;

/// A worker's work. It ends with its node. `effort` is how long a job takes.
pub(crate) async fn run(mut process: Process, effort: Duration, voice: Voice) {
    let mut done = Recall::new(REMEMBERED_MAX);
    loop {
        let Assignment { job, boss } = match process.expect_timeout(Duration::ZERO).await {
            Some(assignment) => assignment,
            None => {
                voice.tell(&Event::Idle);
                process.expect().await
            }
        };
        let id = job.id.clone();
        let effort = match done.get(&id) {
            Some(()) => {
                voice.tell(&Event::Dropped { job });
                Effort::Remembered
            }
            None => {
                voice.tell(&Event::Doing { job: job.clone() });
                tokio::time::sleep(effort).await;
                done.note(id.clone(), ());
                voice.tell(&Event::Done { job });
                Effort::Worked
            }
        };
        let worker = process.self_pid().clone();
        if let Err(error) = process.send(&boss, Report { id, worker, effort }).await {
            voice.tell(&Event::Trouble { what: format!("a report was not sent: {error}") });
        }
    }
}
