//! Processes: tasks with a mailbox and a name that works across nodes, in the manner of Cloud Haskell.
//!
//! Delivery is at most once, and in order from any one process to any other, signals (exit, kill, the death
//! that a link or a monitor tells) included. A process that is to stop does so at its next await: its future
//! is dropped.
//!
//! ```text
//! Process (handle.rs, receive.rs)     what a process can do
//!   LocalNode, Inner (node.rs)        the table of processes, routing
//!     watch.rs, arrival.rs            links and monitors; what other nodes send
//!     registry.rs                     local names, and their changes
//!     run.rs                          a process's task
//!   Cell (cell.rs), Inbox (inbox.rs)  what is kept of one process
//! ```

mod arrival;
mod cell;
mod channel;
mod error;
mod gate;
mod handle;
mod id;
mod inbox;
mod message;
mod node;
mod reason;
mod receive;
mod registry;
mod reserve;
mod run;
mod stats;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub use channel::{ReceivePort, SendPort};
pub use error::{SendError, StartError, TrySendError};
pub use handle::Process;
pub use id::{ADDRESS_LEN_MAX, InvalidId, NodeId, ProcessId};
pub(crate) use message::Fingerprint;
pub use message::Message;
pub use reason::{DiedReason, MonitorRef, ProcessMonitorNotification, REASON_LEN_MAX};
pub use receive::Match;
pub use registry::RegisterError;
pub use stats::NodeStats;

// What the node's upper layer, which knows ZooKeeper, stands on.
#[allow(unused_imports)]
pub(crate) use {
    gate::Gate,
    node::{LocalNode, NodeOptions},
    registry::{NameChange, NameChanges},
    reserve::{Parked, Tenant},
};
