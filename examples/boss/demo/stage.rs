//! The children on the stage, what they tell, and the requestors.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use queenright::Node;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::chronicle::{Chronicle, Departing, Player};
use super::scribe::{Scribe, name};
use crate::cli::Setup;
use crate::roles::requestor;
use crate::voice::{Event, Voice};

/// How many notes wait to be taken; children that tell more wait.
const NOTES_MAX: usize = 1024;
/// How long a child may take to end when its output has ended, or when it was killed.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Why the story cannot go on.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{what} took longer than {limit:?}")]
    Late { what: &'static str, limit: Duration },
    #[error("{who} ended, and should not have{}", .status.map(|status| format!(": {status}")).unwrap_or_default())]
    Lost { who: &'static str, status: Option<ExitStatus> },
    #[error("{who} did not end in good order: {status}")]
    Disorder { who: &'static str, status: ExitStatus },
    #[error("{who} tells what cannot be understood: {line:?}")]
    Gibberish { who: &'static str, line: String },
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
}

/// Dropping it kills the children. If this process dies without doing so, their input ends, and with it they.
pub(crate) struct Stage {
    pub(crate) chronicle: Chronicle,
    pub(crate) scribe: Scribe,
    began: Instant,
    players: Vec<Performer>,
    notes: mpsc::Receiver<Note>,
    taker: mpsc::Sender<Note>,
}

struct Performer {
    process: Child,
    /// Its leash: the child ends when this is dropped.
    input: ChildStdin,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// On the stage.
    Present,
    /// Told to leave.
    Leaving,
    /// Its output has ended.
    Gone,
}

struct Note {
    at: Instant,
    news: News,
}

enum News {
    Told(Player, String),
    Ended(Player),
    Outcome(Result<(), String>),
}

impl Stage {
    pub(crate) fn new() -> Self {
        let (taker, notes) = mpsc::channel(NOTES_MAX);
        Self {
            chronicle: Chronicle::default(),
            scribe: Scribe::new(),
            began: Instant::now(),
            players: Vec::new(),
            notes,
            taker,
        }
    }

    /// Since the story began.
    pub(crate) fn time(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says something about what happens now.
    pub(crate) fn narrate(&self, text: &str) {
        self.scribe.narrate(self.time(), text);
    }

    /// Starts one more child: this program, as a member.
    pub(crate) fn enter(&mut self, setup: &Setup, work: Duration) -> Result<Player, Failure> {
        let io = |error| Failure::Io { what: "a child cannot be started", error };
        let mut command = Command::new(std::env::current_exe().map_err(io)?);
        command.arg("--child").args(["--zookeeper", setup.servers()]).args(["--namespace", &setup.namespace]);
        for (option, duration) in
            [("--session-timeout", setup.session_timeout), ("--lease", setup.lease), ("--work", work)]
        {
            command.args([option, &humantime::format_duration(duration).to_string()]);
        }
        if let Some(cookie) = &setup.cookie {
            // Arguments can be seen by everybody on this machine.
            command.env("QUEENRIGHT_COOKIE", cookie);
        }
        if let Some(directory) = &setup.record {
            command.arg("--record").arg(directory);
        }
        command.args((0..setup.verbose).map(|_| "-v"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(io)?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io(std::io::ErrorKind::BrokenPipe.into()));
        };
        let player = self.players.len();
        tokio::spawn(listen(player, output, self.taker.clone()));
        self.players.push(Performer { process, input, presence: Presence::Present });
        Ok(player)
    }

    /// Asks for `count` jobs at once, each by a requestor of its own.
    pub(crate) fn request(&mut self, node: &Node, count: u16, limit: Duration) {
        for _ in 0..count {
            let task = task(self.chronicle.requested());
            let (node, taker) = (node.clone(), self.taker.clone());
            tokio::spawn(async move {
                let outcome =
                    node.run(move |process| requestor::run(process, task, limit, Voice::Silent)).await;
                let outcome = match outcome {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(unfinished)) => Err(unfinished.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                // The story may have been broken off.
                let _ = taker.send(Note { at: Instant::now(), news: News::Outcome(outcome) }).await;
            });
        }
    }

    /// Makes the boss leave; tells who it was.
    pub(crate) async fn dismiss(&mut self, how: Departing) -> Result<Player, Failure> {
        let nobody = || Failure::Lost { who: "the boss", status: None };
        let boss = self.chronicle.boss().ok_or_else(nobody)?;
        self.chronicle.departs(boss, how, self.began.elapsed());
        match how {
            Departing::HandOver => self.let_go(boss).await?,
            Departing::Killed => {
                let performer = self.players.get_mut(boss).ok_or_else(nobody)?;
                performer.presence = Presence::Leaving;
                // SIGKILL.
                performer.process.start_kill().map_err(|error| Failure::Io { what: "kill -9", error })?;
            }
        }
        Ok(boss)
    }

    /// Presses Enter at a child.
    pub(crate) async fn let_go(&mut self, player: Player) -> Result<(), Failure> {
        let Some(performer) = self.players.get_mut(player) else { return Ok(()) };
        performer.presence = Presence::Leaving;
        let pressed = performer.input.write_all(b"\n").await;
        pressed.map_err(|error| Failure::Io { what: "pressing Enter", error })
    }

    /// Waits until a child that was let go has ended, in good order.
    pub(crate) async fn gone(&mut self, player: Player) -> Result<(), Failure> {
        self.pump("leaving", END_LIMIT, |stage| {
            stage.players.get(player).is_none_or(|performer| performer.presence == Presence::Gone)
        })
        .await?;
        let Some(performer) = self.players.get_mut(player) else { return Ok(()) };
        match timeout(END_LIMIT, performer.process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::Disorder { who: name(player), status }),
            Ok(Err(error)) => Err(Failure::Io { what: "waiting for a child's end", error }),
            Err(_) => Err(Failure::Late { what: "a child's end", limit: END_LIMIT }),
        }
    }

    /// Takes notes until the chronicle is as wanted.
    ///
    /// # Errors
    /// When that takes too long, or a child ends that should not.
    pub(crate) async fn until(
        &mut self,
        what: &'static str,
        limit: Duration,
        wanted: impl Fn(&Chronicle) -> bool,
    ) -> Result<(), Failure> {
        self.pump(what, limit, |stage| wanted(&stage.chronicle)).await
    }

    /// Ends all children that are left, and waits until they are dead.
    pub(crate) async fn clear(&mut self) {
        for performer in &mut self.players {
            // It has ended already when this fails.
            let _ = performer.process.start_kill();
            let _ = timeout(END_LIMIT, performer.process.wait()).await;
        }
    }

    async fn pump(
        &mut self,
        what: &'static str,
        limit: Duration,
        wanted: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        while !wanted(self) {
            // The stage has a sender of its own: the channel does not end.
            let Ok(Some(note)) = timeout_at(deadline, self.notes.recv()).await else {
                return Err(Failure::Late { what, limit });
            };
            self.take(note)?;
        }
        Ok(())
    }

    fn take(&mut self, Note { at, news }: Note) -> Result<(), Failure> {
        let at = at - self.began;
        match news {
            News::Told(player, line) => {
                let who = name(player);
                let event: Event = match serde_json::from_str(&line) {
                    Ok(event) => event,
                    // Killed in the middle of a word.
                    Err(_) if self.has_left(player) => return Ok(()),
                    Err(_) => return Err(Failure::Gibberish { who, line }),
                };
                self.chronicle.event(player, at, &event);
                self.scribe.event(player, at, &event, &self.chronicle);
            }
            News::Ended(player) => {
                let is_surprise = !self.has_left(player);
                if let Some(performer) = self.players.get_mut(player) {
                    performer.presence = Presence::Gone;
                    if is_surprise {
                        let status = performer.process.try_wait().ok().flatten();
                        return Err(Failure::Lost { who: name(player), status });
                    }
                }
            }
            News::Outcome(outcome) => self.chronicle.outcome(outcome),
        }
        Ok(())
    }

    fn has_left(&self, player: Player) -> bool {
        self.players.get(player).is_none_or(|performer| match performer.presence {
            Presence::Present => false,
            Presence::Leaving | Presence::Gone => true,
        })
    }
}

/// Passes on what a child tells, until its output ends.
async fn listen(player: Player, output: ChildStdout, taker: mpsc::Sender<Note>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let note = Note { at: Instant::now(), news: News::Told(player, line) };
        if taker.send(note).await.is_err() {
            return;
        }
    }
    let _ = taker.send(Note { at: Instant::now(), news: News::Ended(player) }).await;
}

/// What there is to do in a hive.
fn task(number: usize) -> String {
    const TASKS: [&str; 7] = [
        "fetch nectar",
        "feed the brood",
        "sweep the floor",
        "fan the entrance",
        "build comb",
        "guard the gate",
        "dance for the others",
    ];
    let what = TASKS.get((number - 1) % TASKS.len()).copied().unwrap_or("rest");
    format!("#{number} {what}")
}
