//! A node and its process: the machine, its client, its application.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use queenright_core::output::{RegistrationStatus, StopReason};
use queenright_core::{Directory, Holder, Input, Instant, Name, Output, RegistrationId, SessionId, Token};

use super::client::Client;
use super::machine::Machine;
use super::traps::{Trap, Which};
use crate::checkers::{Life, Wanted};
use crate::explorer::clock::Clock;
use crate::zookeeper::ConnectionId;

/// Names a node of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub(super) u8);

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) starts: u32,
    pub(super) process: Option<Process>,
    /// How long its applications take to stop; never, without one.
    pub(super) stop_takes: Option<Duration>,
    pub(super) traps: Vec<(Which, Trap)>,
    /// Requests that left for the server.
    pub(super) request_count: u64,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    pub(super) machine: Box<dyn Machine>,
    pub(super) client: Client,
    pub(super) connection: Option<ConnectionId>,
    pub(super) application: Application,
    pub(super) pause: Pause,
    pub(super) told_session: Option<SessionId>,
    /// What the client has for the machine and is held back.
    pub(super) inbox: VecDeque<Input>,
    pub(super) hold: Hold,
    /// Nothing is told of a session's end until there is another one.
    pub(super) is_silent: bool,
}

/// What is held back between client and machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Nothing,
    /// Events of watches.
    Events,
    /// Replies, and therefore events, too.
    Replies,
}

#[derive(Debug)]
pub(super) enum Pause {
    None,
    /// Before the next outputs take effect, for so long.
    BeforeEffects(Duration),
    Until {
        until: Instant,
        held: Vec<Output>,
    },
}

/// What the application of one life wants, and what it was told.
#[derive(Debug, Default)]
pub(super) struct Application {
    pub(super) candidacies: BTreeSet<Name>,
    pub(super) registrations: BTreeMap<RegistrationId, Wanted>,
    pub(super) statuses: BTreeMap<RegistrationId, Vec<RegistrationStatus>>,
    pub(super) subscriptions: BTreeSet<Directory>,
    pub(super) lookups: BTreeSet<Name>,
    pub(super) holders: BTreeMap<Name, Holder>,
    pub(super) terms: BTreeMap<Name, Term>,
    pub(super) degraded: Vec<String>,
    pub(super) stops: Vec<(Name, StopReason)>,
    pub(super) elected_count: u32,
    pub(super) is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) token: Token,
    pub(super) version: i32,
    /// The how manyeth term of this global it is, in the order in which they were announced.
    pub(super) ordinal: u32,
    pub(super) until: Instant,
    pub(super) is_stopping: bool,
}

impl Host {
    pub(super) fn paused_until(&self) -> Option<Instant> {
        match self.process.as_ref()?.pause {
            Pause::None | Pause::BeforeEffects(_) => None,
            Pause::Until { until, .. } => Some(until),
        }
    }
}
