//! What a run says of itself while it is recorded: an engine's words for it, without an engine's types.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use queenright_core::{Event, Input, Instant, Name, Output, Token};

use crate::checkers::Life;
use crate::zookeeper::Tree;

/// A run as it was recorded, in the order in which it happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// What happened.
    pub moments: Vec<Moment>,
    step: u64,
    /// By server, what is known of each znode: who wrote it last, and its version.
    seen: BTreeMap<u8, BTreeMap<String, (i64, i32)>>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// When, in real time.
    pub at: Instant,
    /// What happens in one step has one cause: the first of it.
    pub step: u64,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A fault strikes, perhaps a node.
    Fault {
        /// Which node.
        node: Option<u8>,
        /// In words.
        text: String,
    },
    /// Somebody who is no node writes.
    Hand {
        /// In words.
        text: String,
    },
    /// A server's own clock says so: sessions end, containers are swept.
    ServerWoke {
        /// In words.
        text: String,
    },
    /// Nothing passes one way between a node and servers until then.
    Held {
        /// Which node.
        node: u8,
        /// Which way.
        way: Way,
        /// Until when.
        until: Instant,
    },
    /// A process begins.
    Started {
        /// Which.
        life: Life,
    },
    /// A process is gone.
    Ended {
        /// Which.
        life: Life,
    },
    /// A process stands still.
    Paused {
        /// Which.
        life: Life,
        /// Until when.
        until: Instant,
    },
    /// It runs again.
    Resumed {
        /// Which.
        life: Life,
    },
    /// An application does something.
    Did {
        /// Whose.
        life: Life,
        /// What it stands for from now on.
        stands: Option<Name>,
        /// In words.
        text: String,
    },
    /// A coordinator is told something.
    Told {
        /// Which.
        life: Life,
        /// What.
        input: Input,
        /// In words.
        text: String,
    },
    /// A coordinator decides something.
    Decided {
        /// Which.
        life: Life,
        /// What.
        output: Output,
        /// In words.
        text: String,
    },
    /// What a node believes changes, for its application has learned of it.
    Believes {
        /// Which.
        life: Life,
        /// By which of its coordinators, where it has several.
        core: u16,
        /// How.
        change: Belief,
    },
    /// A message sets out.
    Sent {
        /// Which way.
        way: Way,
        /// On which connection: first in, first out each way.
        connection: u64,
        /// The node at one end.
        node: u8,
        /// The server at the other one.
        server: u8,
        /// What it says.
        letter: Letter,
    },
    /// One node writes to another.
    Mailed {
        /// Which way: up from the node that dialled.
        way: Way,
        /// On which connection.
        connection: u64,
        /// Who.
        from: u8,
        /// To whom.
        to: u8,
        /// What it says.
        letter: Letter,
    },
    /// The first message of those under way on a connection has arrived.
    Arrived {
        /// Which way.
        way: Way,
        /// On which connection.
        connection: u64,
    },
    /// Of those under way only the first `kept` can still arrive.
    Lost {
        /// Which way.
        way: Way,
        /// On which connection.
        connection: u64,
        /// How many.
        kept: usize,
    },
    /// A server has applied a change.
    Changed {
        /// Which server.
        server: u8,
        /// To which znode.
        path: String,
        /// The transaction; of a deletion none is known.
        zxid: Option<i64>,
        /// Its version after that; `None` when it is gone.
        version: Option<i32>,
    },
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From a node to a server.
    Up,
    /// From a server to a node.
    Down,
}

/// How a belief changes. All times are real ones, translated from the node's clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Belief {
    /// It begins.
    Elected {
        /// In which global.
        global: Name,
        /// Its token.
        token: Token,
        /// Until when it lasts at least.
        until: Instant,
    },
    /// All that may still be extended last longer.
    Extended {
        /// Until when.
        until: Instant,
    },
    /// Its end is final.
    Stopping {
        /// In which global.
        global: Name,
        /// When it ends.
        deadline: Instant,
    },
    /// It is over.
    Revoked {
        /// In which global.
        global: Name,
    },
}

impl Belief {
    /// What an event of a coordinator makes of its beliefs. `real` translates times of its clock.
    #[must_use]
    pub fn told(event: &Event, real: impl Fn(Instant) -> Instant) -> Option<Self> {
        match event {
            Event::Elected { global, token, valid_until, .. } => {
                Some(Self::Elected { global: global.clone(), token: *token, until: real(*valid_until) })
            }
            Event::Extended { valid_until } => Some(Self::Extended { until: real(*valid_until) }),
            Event::Stop { global, deadline, .. } => {
                Some(Self::Stopping { global: global.clone(), deadline: real(*deadline) })
            }
            Event::Revoked { global, .. } => Some(Self::Revoked { global: global.clone() }),
            Event::Registration { .. }
            | Event::Session(_)
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Withdrawn { .. }
            | Event::Degraded { .. }
            | Event::Closed => None,
        }
    }
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// Which request it is, or answers.
    pub xid: Option<i32>,
    /// In words.
    pub text: String,
    /// The znodes that it is about.
    pub paths: Vec<String>,
    /// Whether it changes the tree.
    pub writes: bool,
    /// Whether it only says that somebody is there.
    pub is_ping: bool,
}

/// Takes a recording, or does nothing at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Option<Rc<RefCell<Recording>>>);

impl Recorder {
    /// One that records.
    pub(crate) fn on() -> Self {
        Self(Some(Rc::default()))
    }

    /// The next step begins.
    pub(crate) fn step(&self) {
        if let Some(recording) = &self.0 {
            recording.borrow_mut().step += 1;
        }
    }

    /// Something happened.
    pub(crate) fn record(&self, at: Instant, what: impl FnOnce() -> What) {
        if let Some(recording) = &self.0 {
            recording.borrow_mut().push(at, what());
        }
    }

    /// What an event says of the beliefs of a process.
    pub(crate) fn believes(&self, at: Instant, life: Life, event: &Event, real: impl Fn(Instant) -> Instant) {
        if let Some(recording) = &self.0
            && let Some(change) = Belief::told(event, real)
        {
            recording.borrow_mut().push(at, What::Believes { life, core: 0, change });
        }
    }

    /// A server may have applied something.
    pub(crate) fn look(&self, at: Instant, server: u8, tree: &Tree) {
        if let Some(recording) = &self.0 {
            recording.borrow_mut().look(at, server, tree);
        }
    }

    /// What was recorded.
    pub(crate) fn finish(self) -> Recording {
        self.0.map(|recording| recording.take()).unwrap_or_default()
    }
}

impl Recording {
    /// The next step begins.
    pub fn begin_step(&mut self) {
        self.step += 1;
    }

    /// Something happened, in this step.
    pub fn push(&mut self, at: Instant, what: What) {
        self.moments.push(Moment { at, step: self.step, what });
    }

    /// A server may have applied something.
    pub(crate) fn look(&mut self, at: Instant, server: u8, tree: &Tree) {
        let mut before = self.seen.remove(&server).unwrap_or_default();
        let mut changes = Vec::new();
        let mut now = BTreeMap::new();
        for (path, znode) in tree.iter() {
            let state = (znode.stat().mzxid.0, znode.stat().version);
            // What nobody wrote was there before the run.
            if before.remove(path) != Some(state) && state.0 != 0 {
                changes.push((path.to_owned(), Some(state.0), Some(state.1)));
            }
            now.insert(path.to_owned(), state);
        }
        changes.sort_by_key(|(_, zxid, _)| *zxid);
        changes.extend(before.into_keys().map(|path| (path, None, None)));
        self.seen.insert(server, now);
        for (path, zxid, version) in changes {
            self.push(at, What::Changed { server, path, zxid, version });
        }
    }
}
