//! The requestor: wants one job done, and does not rest before it knows that it is.

use std::fmt;
use std::time::Duration;

use queenright::{Match, Process, ProcessId, ProcessMonitorNotification};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

use crate::message::{Answer, BOSS, Job, JobId, Request};
use crate::voice::{Event, Voice};

/// While it waits, the requestor looks this often who the boss is. Looking costs no request.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// After this long without an answer the job is sent again.
const RESEND_AFTER: Duration = Duration::from_secs(3);
/// After this long a boss that had too much to do is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// A job was not reported done in time. It may be done all the same.
#[derive(Debug, Error)]
#[error("the job was not done within {timeout:?}: {progress}")]
pub(crate) struct Unfinished {
    timeout: Duration,
    progress: Progress,
}

/// How far a requestor has come.
#[derive(Debug)]
enum Progress {
    LookingForBoss { trouble: Option<String> },
    Sent { boss: ProcessId },
    Accepted { boss: ProcessId },
    Full { boss: ProcessId },
    Lost { boss: ProcessId, reason: String },
}

/// Has `task` done, by whichever boss there is, and returns who did it.
pub(crate) async fn run(
    mut process: Process,
    task: String,
    limit: Duration,
    voice: Voice,
) -> Result<ProcessId, Unfinished> {
    let id = JobId { requestor: process.self_pid().clone(), number: 1 };
    let mut progress = Progress::LookingForBoss { trouble: None };
    let job = Job { id, task, attempt: 1 };
    match timeout(limit, pursue(&mut process, job, &mut progress, voice)).await {
        Ok(worker) => Ok(worker),
        Err(_) => Err(Unfinished { timeout: limit, progress }),
    }
}

async fn pursue(process: &mut Process, mut job: Job, progress: &mut Progress, voice: Voice) -> ProcessId {
    let mut lost = None;
    loop {
        let boss = find(process, lost.as_ref(), progress).await;
        voice.tell(&Event::FoundBoss { boss: boss.clone() });
        match ask(process, &job, &boss, progress, voice).await {
            Ok(worker) => return worker,
            Err(reason) => {
                *progress = Progress::Lost { boss: boss.clone(), reason: reason.clone() };
                voice.tell(&Event::LostBoss { reason });
            }
        }
        // It may be done, and its report lost with the boss.
        job = job.once_more();
        lost = Some(boss);
    }
}

/// Waits until there is a boss: another one than the one that was lost, unless that one is still the boss a while later.
async fn find(process: &Process, lost: Option<&ProcessId>, progress: &mut Progress) -> ProcessId {
    let patience = sleep(RESEND_AFTER);
    tokio::pin!(patience);
    loop {
        match process.whereis_global(BOSS).await {
            Ok(Some(boss)) if Some(&boss) != lost || patience.is_elapsed() => return boss,
            Ok(Some(_)) => {}
            Ok(None) => *progress = Progress::LookingForBoss { trouble: None },
            Err(error) => *progress = Progress::LookingForBoss { trouble: Some(error.to_string()) },
        }
        tokio::select! {
            () = &mut patience, if !patience.is_elapsed() => {}
            () = sleep(LOOK_INTERVAL) => {}
        }
    }
}

enum Heard {
    Answer(Answer),
    Death(String),
}

/// Asks one boss until the job is done, or, `Err`, until that boss is lost.
async fn ask(
    process: &mut Process,
    job: &Job,
    boss: &ProcessId,
    progress: &mut Progress,
    voice: Voice,
) -> Result<ProcessId, String> {
    let monitor = process.monitor(boss);
    loop {
        if let Err(error) = process.send(boss, Request { job: job.clone() }).await {
            process.demonitor(monitor);
            return Err(error.to_string());
        }
        match progress {
            Progress::LookingForBoss { .. } => *progress = Progress::Sent { boss: boss.clone() },
            // A boss that cannot be reached is lost again: that tells more.
            Progress::Lost { .. }
            | Progress::Sent { .. }
            | Progress::Accepted { .. }
            | Progress::Full { .. } => {}
        }
        let resend_at = Instant::now() + RESEND_AFTER;
        loop {
            let heard = process.receive_timeout(
                LOOK_INTERVAL,
                [
                    Match::when(|answer: &Answer| job.id.is_of(answer), Heard::Answer),
                    Match::when(
                        |notice: &ProcessMonitorNotification| notice.reference == monitor,
                        |notice| Heard::Death(notice.reason.to_string()),
                    ),
                ],
            );
            match heard.await {
                Some(Heard::Answer(Answer::Accepted { .. })) => {
                    if !matches!(progress, Progress::Accepted { .. }) {
                        voice.tell(&Event::Waiting { task: job.task.clone() });
                    }
                    *progress = Progress::Accepted { boss: boss.clone() };
                }
                Some(Heard::Answer(Answer::Full { .. })) => {
                    *progress = Progress::Full { boss: boss.clone() };
                    sleep(FULL_PAUSE).await;
                    break;
                }
                Some(Heard::Answer(Answer::Done { worker, .. })) => {
                    process.demonitor(monitor);
                    return Ok(worker);
                }
                Some(Heard::Death(reason)) => return Err(reason),
                None => {
                    // A boss that stands still keeps its connections: ZooKeeper tells first that it is the boss no more.
                    if matches!(process.whereis_global(BOSS).await, Ok(Some(other)) if other != *boss) {
                        process.demonitor(monitor);
                        return Err("another one is the boss now".to_owned());
                    }
                    // Perhaps something was lost: once more.
                    if Instant::now() >= resend_at {
                        break;
                    }
                }
            }
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LookingForBoss { trouble: None } => f.write_str(
                "there is no boss; start one: `boss` without a job, with the same --zookeeper and --namespace",
            ),
            Self::LookingForBoss { trouble: Some(trouble) } => {
                write!(f, "it is not known who the boss is: {trouble}")
            }
            Self::Sent { boss } => write!(
                f,
                "the boss, {boss}, does not answer; can this machine reach it, and have both the same --cookie?"
            ),
            Self::Accepted { boss } => {
                write!(f, "the boss, {boss}, has accepted it, and no worker has reported it done")
            }
            Self::Lost { boss, reason } => write!(
                f,
                "the boss, {boss}, was lost ({reason}), and there is no other; can this machine reach it, and have both \
                 the same --cookie?"
            ),
            Self::Full { boss } => write!(f, "the boss, {boss}, has too much to do; try again later"),
        }
    }
}
