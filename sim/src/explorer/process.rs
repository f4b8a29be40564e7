//! One node, and the process that runs on it: a coordinator, its client and its application.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright_core::{Coordinator, Instant, Name, Output, RequestId, SessionId, Token};

use super::alarm::Alarm;
use super::application::Application;
use super::client::Client;
use super::clock::Clock;
use super::shape::Shape;
use crate::checkers::{Burst, Life};

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) clock: Clock,
    /// How often it was started.
    pub(super) starts: u32,
    /// How many requests all its processes put out.
    pub(super) requests: u32,
    pub(super) presence: Presence,
}

/// Whether a node's process runs.
#[derive(Debug)]
pub(super) enum Presence {
    /// It does not, or not yet, or not any more.
    Down,
    /// It does.
    Up(Box<Process>),
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    pub(super) core: Coordinator,
    pub(super) client: Client,
    pub(super) application: Application,
    pub(super) pause: Pause,
    pub(super) alarm: Alarm,
    /// The session that the core was told of.
    pub(super) told_session: Option<SessionId>,
    /// Transactions of the election that are not answered yet.
    pub(super) open: BTreeMap<RequestId, Shape>,
    /// The terms whose beginning was acknowledged.
    pub(super) acknowledged: BTreeSet<Token>,
    /// What it puts out while it hears that its connection is up.
    pub(super) burst: Option<Burst>,
    /// Globals that it led until its lease ran out.
    pub(super) lapsed: BTreeSet<Name>,
    /// The names of znodes of which it was told on this connection that they are gone.
    pub(super) told_gone: BTreeSet<String>,
}

/// Whether a process runs or stands still.
#[derive(Debug)]
pub(super) enum Pause {
    /// It runs.
    None,
    /// It will stand still for so long before its next outputs take effect.
    BeforeEffects(Duration),
    /// It stands still; these outputs have not taken effect yet.
    Until { until: Instant, held: Vec<Output> },
}

impl Node {
    pub(super) fn process(&mut self) -> Option<&mut Process> {
        match &mut self.presence {
            Presence::Up(process) => Some(process),
            Presence::Down => None,
        }
    }

    /// The process, if it is still the one of this life.
    pub(super) fn process_of(&mut self, life: u32) -> Option<&mut Process> {
        self.process().filter(|process| process.life.number == life)
    }

    pub(super) fn running(&self) -> Option<&Process> {
        match &self.presence {
            Presence::Up(process) => Some(process),
            Presence::Down => None,
        }
    }

    /// Until when its process stands still.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        match self.running()?.pause {
            Pause::None | Pause::BeforeEffects(_) => None,
            Pause::Until { until, .. } => Some(until),
        }
    }
}
