//! An exhaustive checker: every interleaving of a bounded world of real coordinators and the model ZooKeeper.
//!
//! Where the [`explorer`](crate::explorer) draws histories, this takes all of them, as long as the bounds of a [`World`]
//! allow: so many nodes, so many faults of each kind, so much time. The nodes are real
//! [`Coordinator`](queenright_core::Coordinator)s, cloned before each step, and the server is the real model.
//!
//! # What is one step
//! - The server takes the next request of a connection; a node takes the next answer, or the next event. Requests and answers
//!   are first in, first out; an answer may overtake events, but no event an answer.
//! - A connection breaks: all that is unanswered is unknown to the node. What it had sent may still be applied, as late as
//!   it connects again. A session ends, when the server says so.
//! - A node crashes and starts again; a session that it leaves ends before or after that. A candidacy is given up.
//! - Time passes to the next deadline of a node that looks at its clock, and that node looks. It passes only when nothing is
//!   under way, except for what a fault holds up: a node that pauses (*lapse*), a connection that stands still (*stall*), one
//!   that is broken. So a message takes no time at all, or as long as the checker likes at the price of a fault.
//! - The first node's clock is as slow as it may be, and the second's as fast.
//!
//! # What must hold
//! In each state: nobody believes to lead what another node believes to lead, in true time; tokens rise; what a node says
//! makes sense (`Alternation`); a registration is told as there only if it is this session's; no coordinator contradicts
//! itself. From each state without a successor, and from a sample of all others, the run without faults must end with a
//! leader for each global, with exactly the registrations that are wanted, and with caches that equal the tree. Since each
//! history ends in a state without a successor, a leader can be reached from every state.
//!
//! # How states are told apart
//! By all of it but for what the module `canonical` names: it is precise rather than bold. Nodes are not interchangeable,
//! for their clocks differ. Time is bounded by a horizon, so that there are finitely many states.

mod begin;
mod canonical;
mod fair;
mod link;
mod machine;
mod report;
mod search;
mod space;
mod state;
mod step;
mod world;
mod worlds;

pub use report::{Found, Outcome, Progress, Step, narrate};
pub use search::{Order, Settings, check};
pub use world::{Faults, Goal, Start, World};
pub use worlds::WORLDS;
