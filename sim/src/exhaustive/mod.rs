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
//!   it connects again. Where losses are *late*, the node is told of each only after that, or does not notice the gap at all
//!   before it is back. A session ends, when the server says so.
//! - A node crashes and starts again; a session that it leaves ends before or after that. A session is given up by its node,
//!   and lives on (*abandon*). A candidacy is given up, and wanted again; the application of a term finishes by itself. An
//!   instance is withdrawn, and has another payload, or another one takes its place. A subscription is given up (*leave*).
//! - A janitor deletes an idle lease record, somebody deletes the znode of an instance (*kill*), or writes to it (*write*).
//! - A server *lags*: it answers reads from the past, for as long as the checker likes. It catches up before it answers a
//!   write or a `sync`, as real ones do, so an answer is never behind what its own client has written. Where nodes *stray*, they
//!   connect to one that is behind what they have seen: it answers a `sync` by itself, as a leader does that does not know yet
//!   that it is none any more, and their client does not tell what it has seen, as all real ones do. The rules of the election
//!   ask for neither.
//! - Time passes to the next deadline of a node that looks at its clock, and that node looks. It passes only when nothing is
//!   under way, except for what a fault holds up: a node that pauses (*lapse*; time may stop at whatever it would have acted
//!   on), a connection that stands still (*stall*), one that is broken, a server that lags. So a message takes no time at all,
//!   or as long as the checker likes at the price of a fault.
//! - The first node's clock is as slow as it may be, and the second's as fast.
//!
//! # What must hold
//! In each state: nobody believes to lead what another node believes to lead, in true time; tokens rise; what a node says
//! makes sense (`Alternation`); the creation of a lease record is sent once; a registration is told as there only if it is this
//! session's; a directory is told to be empty only if it was so since it was asked for; no coordinator contradicts itself. From
//! each state without a successor, and from samples of all others (one in 8 where nothing is under way, one in 256 elsewhere),
//! the run without faults must end with a leader for each global, with one candidate for each node that waits, with exactly
//! the registrations that are wanted, with caches that equal the tree and none that nobody wants, with term records that name
//! leaders and nobody else who lives, and with everybody knowing who looks a global up. Since each history ends in a state
//! without a successor, a leader can be reached from every state. Where a node leads in the first state, it must lead on for
//! several leases when nothing goes wrong.
//!
//! # What is not looked at twice
//! - *One node's input is one step's work*: what came of an input at an instant is remembered, for it depends on nothing
//!   else. That saves time, and no state.
//! - *Answers that commute*: when no fault is left that could come before, a node that will take its next answer whatever
//!   others do takes it now, and nothing else is tried in that state; `forced` says why that hides nothing. It keeps the
//!   order of each connection: only inputs of different nodes are swapped.
//! - *Faults that show*: a pause begins only when the others are quiet, for else it is no pause; a connection stands still only
//!   when something is on it; a server begins to lag only when somebody else's write can come next. Earlier would be the same.
//! - *Nodes are not interchangeable*, for their clocks differ: there is no symmetry to be used, and none is.
//!
//! # How states are told apart
//! By all of it but for what the module `canonical` names: it is precise rather than bold. What is compared is 128 bits of each
//! component. In the smallest worlds a search that is not ours, stateright's, comes to the same numbers of states and of steps,
//! with whole states that share nothing and are told apart by all of their bytes (`counted`). Time is bounded by a horizon, so
//! that there are finitely many states.
//!
//! # Guards
//! Each guard of the protocol is taken out in the world that misses it: `hunt` says which, `sim/CHECKED.md` after how many steps.

mod begin;
mod canonical;
#[cfg(test)]
mod counted;
mod drawn;
mod enabled;
mod fair;
mod guards;
mod link;
mod machine;
mod report;
mod repro;
mod search;
mod space;
mod state;
mod step;
mod story;
mod world;
mod worlds;

pub use drawn::draw;
pub use guards::{Hunt, hunt};
pub use report::{Found, Outcome, Progress, Step};
pub use repro::{BadRepro, Repro};
pub use search::{Order, Settings, check};
pub use story::narrate;
pub use world::{Faults, Goal, Start, World};
pub use worlds::{LARGER, WORLDS, find};
