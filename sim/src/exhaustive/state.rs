//! A state of a world, and what can happen in it.

use std::fmt;

use super::world::{Faults, GLOBALS_MAX, NODES_MAX};

/// No machine: the node is down.
pub(super) const NOBODY: u32 = u32::MAX;

/// Components are numbers of the space that interned them, so that two states are equal if and only if their numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// True time, in nanoseconds.
    pub(super) now: u64,
    pub(super) server: u32,
    pub(super) machines: [u32; NODES_MAX],
    pub(super) links: [u32; NODES_MAX],
    /// The tokens that were announced last.
    pub(super) tokens: [u16; GLOBALS_MAX],
    /// How many faults are left.
    pub(super) left: [u8; Faults::KINDS],
    /// The nodes that pause, as bits.
    pub(super) paused: u8,
    /// How often each node was started.
    pub(super) lives: [u8; NODES_MAX],
    /// The nodes since whose last connection the directory that they cache has been empty at some time, as bits.
    pub(super) emptied: u8,
}

/// A step of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// The server takes the next request of a node.
    Serve(u8),
    /// A node takes the next answer.
    Answer(u8),
    /// A node takes the next event, or the end of its connection.
    Event(u8),
    /// The application of a term is done.
    Stopped(u8, u8),
    /// The earliest deadline of all nodes that look at their clocks has come.
    Time(u8),
    /// A connection breaks.
    Break(u8),
    /// A node connects: in its session if that lives, and else it learns that it does not.
    Connect(u8),
    /// The server ends the session of a node.
    Expire(u8),
    /// A node pauses.
    Lapse(u8),
    /// It goes on.
    Resume(u8),
    /// Its connection stands still.
    Stall(u8),
    /// It moves again.
    Free(u8),
    /// A node crashes.
    Crash(u8),
    /// It starts again.
    Restart(u8),
    /// A node gives its candidacy up.
    Resign(u8, u8),
    /// A node withdraws an instance.
    Unregister(u8, u8),
    /// Time passes to what a node that pauses would act on, and it does not.
    Pass(u8),
    /// A janitor deletes the lease record of a node that has never held anything, or somebody its instance.
    Kill(u8),
    /// A node's server applies nothing from now on.
    Lag(u8),
    /// It catches up.
    CatchUp(u8),
    /// A node is told that nobody can tell what became of its requests on an earlier connection.
    Lose(u8),
    /// A connection breaks, and its node does not notice before it is back.
    Gap(u8),
    /// A node wants again what it has given up: a candidacy, or an instance, which has another payload now; that one it may
    /// have still, or have for the first time.
    Again(u8, u8),
    /// The application of a term comes to its end by itself.
    Finish(u8, u8),
    /// Somebody writes to an instance of a node.
    Write(u8),
    /// A node connects to a server that is behind what it has seen.
    Stray(u8),
    /// A node gives its session up.
    Abandon(u8),
    /// A node gives its subscription up.
    Leave(u8),
}

impl Action {
    /// Whether it is the arrival of something, and no fault or the passing of time.
    pub(super) const fn is_under_way(self) -> bool {
        matches!(self, Self::Serve(_) | Self::Answer(_) | Self::Event(_) | Self::Lose(_) | Self::Stopped(..))
    }

    /// As two bytes: which, and about what.
    pub(super) const fn to_bits(self) -> u16 {
        let (kind, node, global) = match self {
            Self::Serve(node) => (0, node, 0),
            Self::Answer(node) => (1, node, 0),
            Self::Event(node) => (2, node, 0),
            Self::Stopped(node, global) => (3, node, global),
            Self::Time(node) => (4, node, 0),
            Self::Break(node) => (5, node, 0),
            Self::Connect(node) => (6, node, 0),
            Self::Expire(node) => (7, node, 0),
            Self::Lapse(node) => (8, node, 0),
            Self::Resume(node) => (9, node, 0),
            Self::Stall(node) => (10, node, 0),
            Self::Free(node) => (11, node, 0),
            Self::Crash(node) => (12, node, 0),
            Self::Restart(node) => (13, node, 0),
            Self::Resign(node, global) => (14, node, global),
            Self::Unregister(node, instance) => (15, node, instance),
            Self::Pass(node) => (16, node, 0),
            Self::Kill(node) => (17, node, 0),
            Self::Lag(node) => (18, node, 0),
            Self::CatchUp(node) => (19, node, 0),
            Self::Lose(node) => (20, node, 0),
            Self::Again(node, global) => (21, node, global),
            Self::Gap(node) => (22, node, 0),
            Self::Finish(node, global) => (23, node, global),
            Self::Write(node) => (24, node, 0),
            Self::Stray(node) => (25, node, 0),
            Self::Abandon(node) => (26, node, 0),
            Self::Leave(node) => (27, node, 0),
        };
        kind << 8 | (node as u16) << 4 | global as u16
    }

    pub(super) fn from_bits(bits: u16) -> Option<Self> {
        let [kind, about] = bits.to_be_bytes();
        let (node, global) = (about >> 4, about & 15);
        Some(match kind {
            0 => Self::Serve(node),
            1 => Self::Answer(node),
            2 => Self::Event(node),
            3 => Self::Stopped(node, global),
            4 => Self::Time(node),
            5 => Self::Break(node),
            6 => Self::Connect(node),
            7 => Self::Expire(node),
            8 => Self::Lapse(node),
            9 => Self::Resume(node),
            10 => Self::Stall(node),
            11 => Self::Free(node),
            12 => Self::Crash(node),
            13 => Self::Restart(node),
            14 => Self::Resign(node, global),
            15 => Self::Unregister(node, global),
            16 => Self::Pass(node),
            17 => Self::Kill(node),
            18 => Self::Lag(node),
            19 => Self::CatchUp(node),
            20 => Self::Lose(node),
            21 => Self::Again(node, global),
            22 => Self::Gap(node),
            23 => Self::Finish(node, global),
            24 => Self::Write(node),
            25 => Self::Stray(node),
            26 => Self::Abandon(node),
            27 => Self::Leave(node),
            28.. => return None,
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serve(node) => write!(f, "serve n{node}"),
            Self::Answer(node) => write!(f, "answer n{node}"),
            Self::Event(node) => write!(f, "event n{node}"),
            Self::Stopped(node, global) => write!(f, "stopped n{node} {global}"),
            Self::Time(node) => write!(f, "time n{node}"),
            Self::Break(node) => write!(f, "break n{node}"),
            Self::Connect(node) => write!(f, "connect n{node}"),
            Self::Expire(node) => write!(f, "expire n{node}"),
            Self::Lapse(node) => write!(f, "lapse n{node}"),
            Self::Resume(node) => write!(f, "resume n{node}"),
            Self::Stall(node) => write!(f, "stall n{node}"),
            Self::Free(node) => write!(f, "free n{node}"),
            Self::Crash(node) => write!(f, "crash n{node}"),
            Self::Restart(node) => write!(f, "restart n{node}"),
            Self::Resign(node, global) => write!(f, "resign n{node} {global}"),
            Self::Unregister(node, instance) => write!(f, "unregister n{node} {instance}"),
            Self::Pass(node) => write!(f, "pass n{node}"),
            Self::Kill(node) => write!(f, "kill n{node}"),
            Self::Lag(node) => write!(f, "lag n{node}"),
            Self::CatchUp(node) => write!(f, "catch-up n{node}"),
            Self::Lose(node) => write!(f, "lose n{node}"),
            Self::Gap(node) => write!(f, "gap n{node}"),
            Self::Again(node, global) => write!(f, "again n{node} {global}"),
            Self::Finish(node, global) => write!(f, "finish n{node} {global}"),
            Self::Write(node) => write!(f, "write n{node}"),
            Self::Stray(node) => write!(f, "stray n{node}"),
            Self::Abandon(node) => write!(f, "abandon n{node}"),
            Self::Leave(node) => write!(f, "leave n{node}"),
        }
    }
}
