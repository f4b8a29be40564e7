//! What every handle holds: the way to the driver, and what the driver publishes.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use queenright_core::op::{ErrorCode, Outcome, Write};
use queenright_core::output::{RegistrationStatus, SessionStatus};
use queenright_core::{Directory, Holder, Misuse, Name, Path, RegistrationId, Terms, Token};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::candidacy::Candidature;
use crate::directory::Contents;
use crate::error::Error;
use crate::leadership::Belief;
use crate::mutation::Guards;
use crate::port::Host;
use crate::published::{Life, Published, PublishedMap};

/// How many commands may wait for the driver; whoever has one more waits.
const COMMANDS_MAX: usize = 256;
/// How many guarded writes of leaders may be in flight; whoever has one more waits.
const GUARDED_MAX: usize = 256;

/// Wants something of the driver, and waits for its answer.
pub(crate) enum Command {
    Register {
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
        reply: Reply<(RegistrationId, watch::Receiver<RegistrationStatus>)>,
    },
    Update {
        id: RegistrationId,
        payload: Vec<u8>,
        reply: Reply<()>,
    },
    Subscribe {
        directory: Directory,
        reply: Reply<(Arc<Published<Contents>>, watch::Receiver<Life>)>,
    },
    LookUp {
        global: Name,
        reply: Reply<(Arc<Published<Holder>>, watch::Receiver<Life>)>,
    },
    Campaign {
        global: Name,
        payload: Vec<u8>,
        terms: Terms,
        /// Made by the caller, whose guard says good-bye to it: so nothing is left of a caller that is cancelled.
        candidature: Arc<Candidature>,
        reply: Reply<Standing>,
    },
    /// Replaces a candidacy's payload and terms, if it is still the one that stands.
    Recampaign {
        global: Name,
        candidature: Arc<Candidature>,
        payload: Vec<u8>,
        terms: Terms,
        reply: Reply<()>,
    },
    Write {
        writes: Vec<Write>,
        reply: oneshot::Sender<Result<Outcome, NotSent>>,
    },
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Misuse>>;

/// What a campaign meets.
pub(crate) enum Standing {
    /// It stands.
    New,
    /// There is a candidacy already, perhaps one that is being withdrawn.
    Taken(Arc<Candidature>),
}

/// There is no connection over which a write could go now.
pub(crate) struct NotSent;

/// Says good-bye to the driver; never waits. There is at most one for each handle.
pub(crate) enum Farewell {
    Unregister(RegistrationId),
    /// This candidature and no later one for the same global.
    Resign(Name, Arc<Candidature>),
    Stopped {
        global: Name,
        token: Token,
    },
    Close,
}

/// The way to the driver. It runs as long as one of these exists, and closes in good order after the last.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) hub: Arc<Hub>,
    commands: mpsc::Sender<Command>,
    farewells: mpsc::UnboundedSender<Farewell>,
}

/// What the driver publishes.
pub(crate) struct Hub {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) nodes: ArcSwapOption<Published<Contents>>,
    pub(crate) services: PublishedMap<Name, Contents>,
    pub(crate) holders: PublishedMap<Name, Holder>,
    pub(crate) belief: Arc<Belief>,
    pub(crate) session: watch::Sender<Option<SessionStatus>>,
    /// The last thing that was wrong, for error messages.
    pub(crate) trouble: ArcSwapOption<Trouble>,
    pub(crate) guarded: Semaphore,
    pub(crate) life: watch::Sender<Life>,
    pub(crate) guards: Guards,
}

/// Something that the core retries, and that may not cure itself.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) path: Path,
    pub(crate) code: Option<ErrorCode>,
    pub(crate) reason: String,
}

/// The driver's ends.
pub(crate) struct Inbox {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) farewells: mpsc::UnboundedReceiver<Farewell>,
}

impl Hub {
    pub(crate) fn new(host: Arc<dyn Host>, guards: Guards) -> Self {
        Self {
            host,
            guards,
            nodes: ArcSwapOption::empty(),
            services: PublishedMap::new(),
            holders: PublishedMap::new(),
            belief: Arc::new(Belief::default()),
            session: watch::Sender::new(None),
            trouble: ArcSwapOption::empty(),
            guarded: Semaphore::new(GUARDED_MAX),
            life: watch::Sender::new(Life::Current),
        }
    }
}

impl Handle {
    pub(crate) fn new(hub: Arc<Hub>) -> (Self, Inbox) {
        let (commands, inbox_commands) = mpsc::channel(COMMANDS_MAX);
        let (farewells, inbox_farewells) = mpsc::unbounded_channel();
        (Self { hub, commands, farewells }, Inbox { commands: inbox_commands, farewells: inbox_farewells })
    }

    /// Asks the driver, and waits for its answer.
    ///
    /// Cancel-safe for what leaves nothing behind; for the rest see [`ask_for`](Self::ask_for).
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Closed)?;
        answered(answer.await)
    }

    /// Asks for something that must be given back.
    ///
    /// Cancel-safe: what the driver did for a caller that is gone it undoes, and what it had answered by then is given
    /// back with the farewell that `undo` makes of it.
    pub(crate) async fn ask_for<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
        undo: impl FnOnce(T) -> Farewell,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Closed)?;
        let mut awaited = Awaited { answer, undo: Some(undo), handle: self };
        answered((&mut awaited.answer).await)
    }

    /// Sends a leader's writes. `Err` when nothing was sent.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<Outcome, NotSent> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Write { writes, reply }).await.map_err(|_| NotSent)?;
        // A driver that ended with the request in its hands did not tell what became of it.
        answer.await.unwrap_or(Ok(Err(queenright_core::op::OpError::Unknown)))
    }

    pub(crate) fn bid(&self, farewell: Farewell) {
        // When the driver has gone, there is nothing left to say good-bye to.
        let _ = self.farewells.send(farewell);
    }

    /// Waits until the driver has ended.
    pub(crate) async fn ended(&self) {
        let mut life = self.hub.life.subscribe();
        let _ = life.wait_for(|life| *life == Life::Over).await;
    }

    /// Why things may take so long, in words.
    pub(crate) fn trouble(&self) -> Option<String> {
        let session = *self.hub.session.borrow();
        match session {
            None => return Some("there was no session with ZooKeeper yet".to_owned()),
            Some(SessionStatus::Suspended) => return Some("the connection to ZooKeeper is down".to_owned()),
            Some(SessionStatus::Lost) => {
                return Some("the session with ZooKeeper is lost, and there is no new one yet".to_owned());
            }
            Some(SessionStatus::Connected { .. } | SessionStatus::Reconnected) => {}
        }
        self.hub.trouble.load().as_deref().map(ToString::to_string)
    }
}

fn answered<T>(answer: Result<Result<T, Misuse>, oneshot::error::RecvError>) -> Result<T, Error> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Misuse::Closing)) | Err(_) => Err(Error::Closed),
        Ok(Err(misuse)) => Err(Error::Misuse(misuse)),
    }
}

/// An answer that may have come, and not have been seen, when its caller goes.
struct Awaited<'a, T, F: FnOnce(T) -> Farewell> {
    answer: oneshot::Receiver<Result<T, Misuse>>,
    undo: Option<F>,
    handle: &'a Handle,
}

impl<T, F: FnOnce(T) -> Farewell> Drop for Awaited<'_, T, F> {
    fn drop(&mut self) {
        // From here on the driver sees that nobody listens; what it said before is here, unless it was seen.
        self.answer.close();
        if let (Ok(Ok(unseen)), Some(undo)) = (self.answer.try_recv(), self.undo.take()) {
            self.handle.bid(undo(unseen));
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.reason, self.path)?;
        match self.code {
            Some(code) => write!(f, ": {}", crate::error::explain(code)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
