use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::ProcessId;

/// The most text that a reason carries, in bytes; the rest is cut off.
pub const REASON_LEN_MAX: usize = 1024;

/// Why a process died, as far as the one who is told can know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DiedReason {
    /// Its future completed.
    Normal,
    /// It panicked, or gave up by [`die`](super::Process::die).
    Exception(String),
    /// It was asked to by [`exit`](super::Process::exit), for this reason.
    Exited(String),
    /// It was killed, for this reason.
    Killed(String),
    /// A process died to which it was linked.
    Linked {
        /// Where the chain of links began.
        origin: ProcessId,
        /// Why that one died.
        reason: String,
    },
    /// The link to its node was lost: it may well live, and nobody here can tell.
    Disconnected,
    /// Its node said goodbye, or another life of that node answers at its address: it is dead.
    NodeDown,
    /// There was no such process when the monitor or link was set up: dead before, or never there.
    UnknownId,
}

/// Names one monitor. Unique on the node that set it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MonitorRef(pub(crate) u64);

/// What a monitor sends to the process that set it up: once, unless it was demonitored before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMonitorNotification {
    /// Which monitor.
    pub reference: MonitorRef,
    /// Who died.
    pub pid: ProcessId,
    /// Why.
    pub reason: DiedReason,
}

impl DiedReason {
    /// This reason with no more text than [`REASON_LEN_MAX`], for what came from elsewhere.
    pub(crate) fn bounded(self) -> Self {
        match self {
            Self::Exception(text) => Self::Exception(bounded(text)),
            Self::Exited(text) => Self::Exited(bounded(text)),
            Self::Killed(text) => Self::Killed(bounded(text)),
            Self::Linked { origin, reason } => Self::Linked { origin, reason: bounded(reason) },
            Self::Normal | Self::Disconnected | Self::NodeDown | Self::UnknownId => self,
        }
    }

    /// What a process dies of that was linked to `pid`, which died of `self`.
    ///
    /// A chain of links names its origin only: reasons do not grow along it.
    pub(crate) fn through_link(&self, pid: &ProcessId) -> Self {
        match self {
            Self::Linked { .. } => self.clone(),
            Self::Normal
            | Self::Exception(_)
            | Self::Exited(_)
            | Self::Killed(_)
            | Self::Disconnected
            | Self::NodeDown
            | Self::UnknownId => Self::Linked { origin: pid.clone(), reason: bounded(self.to_string()) },
        }
    }
}

/// Cuts `text` to [`REASON_LEN_MAX`] bytes.
pub(crate) fn bounded(mut text: String) -> String {
    if let Some(end) = (0..=REASON_LEN_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at)) {
        text.truncate(end);
    }
    text
}

impl fmt::Display for DiedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("it ended normally"),
            Self::Exception(text) => write!(f, "it failed: {text}"),
            Self::Exited(text) => write!(f, "it was asked to exit: {text}"),
            Self::Killed(text) => write!(f, "it was killed: {text}"),
            Self::Linked { origin, reason } => write!(f, "it was linked to {origin}: {reason}"),
            Self::Disconnected => f.write_str("the link to its node was lost"),
            Self::NodeDown => f.write_str("its node is down"),
            Self::UnknownId => f.write_str("there is no such process"),
        }
    }
}

impl fmt::Display for MonitorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queenright_core::Incarnation;

    #[test]
    fn a_chain_of_links_names_its_origin() {
        let node = super::super::id::NodeId::new("a:1", Incarnation(1)).unwrap();
        let (first, second) = (ProcessId::new(node.clone(), 1), ProcessId::new(node, 2));
        let died = DiedReason::Exception("boom".into()).through_link(&first);
        assert_eq!(died.through_link(&second), died);
        assert!(died.to_string().contains("boom"), "{died}");
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        let cut = bounded("é".repeat(REASON_LEN_MAX));
        assert!(cut.len() <= REASON_LEN_MAX && cut.len() > REASON_LEN_MAX - 2);
    }
}
