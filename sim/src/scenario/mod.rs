//! Scripted scenarios: a few nodes, the model ZooKeeper, and complete control of everything between them.
//!
//! Where the explorer draws its faults from a seed, a scenario says step by step what happens, in the words that bug
//! reports use: cut, heal, a lost reply, an expiry, a pause between a check and its effect. A [`Museum`] carries the
//! steps out and runs every checker on the way. The first violation is kept and the steps after it do nothing, so that
//! a scenario reads as its list of steps; [`Museum::verdict`] tells what became of it.
//!
//! What a node runs is a [`Machine`]: the real [`Coordinator`](queenright_core::Coordinator), or a naive one that does it the
//! way somebody once did. A scenario that a naive machine passes too proves nothing.
//!
//! ```
//! use queenright_sim::scenario::{Museum, T, Variant};
//!
//! let mut m = Museum::new(Variant::Real);
//! let (a, b) = (m.node("A"), m.node("B"));
//! m.campaign(a, "boss");
//! m.until_leads(a, "boss");
//! m.campaign(b, "boss");
//! m.cut(a);
//! m.until_leads(b, "boss");
//! m.heal(a);
//! m.settle();
//! m.expect_follower(a, "boss");
//! assert_eq!(m.verdict(), Ok(()));
//! # let _ = T;
//! ```

mod calls;
mod client;
mod expect;
mod host;
mod machine;
mod network;
mod observe;
mod resource;
mod run;
mod steps;
mod traps;

use std::time::Duration;

pub use calls::{nodes, service};
pub use host::Node;
pub use machine::{Call, Machine};
pub use run::{Museum, Variant};
pub use traps::{Kind, Which};

/// The session timeout that clients negotiate.
pub const T: Duration = Duration::from_secs(6);
/// The length of a lease.
pub const L: Duration = Duration::from_secs(3);
/// Where everything lives.
pub const ROOT: &str = "/queenright";
