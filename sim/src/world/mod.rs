//! Whole nodes on a simulated network: queenright's driver, processes and links, and your own services, with the model
//! ZooKeeper and with everything going wrong that happens to machines and networks.
//!
//! [`Simulation`] is where to begin, and [a page](crate::docs::simulate_your_service) that shows it. Underneath is turmoil: each node and each server is one of its hosts, with a tokio
//! runtime on a paused clock. The client is queenright's native one, for the other opens real sockets.
//!
//! # What is deterministic
//!
//! Everything of queenright: the same seed gives the same run, in any process, whatever ran there before. In one process only
//! one simulation runs at a time, the others wait; other tokio runtimes should not be at work beside it, for tokio numbers
//! tasks for the whole process, and the numbers decide in which order a killed node's tasks are dropped (run tests with
//! cargo-nextest, or one at a time, if a failure will not come again). Your service is deterministic, too, if it takes time from
//! tokio, decides nothing by the order of a `HashMap`, and writes `biased;` in its `select!`s. Without `biased;` tokio
//! draws the order of the branches; it draws them from the seed when everything is compiled with `--cfg tokio_unstable`.

mod alone;
pub mod colony;
mod drawn;
mod engine;
mod explore;
mod failure;
mod fault;
mod links;
mod member;
mod ports;
mod random;
mod server;
mod shared;
mod simulation;
mod wiretap;

pub use explore::{Explored, SEED_VARIABLE, run_seed};
pub use failure::Failure;
pub use fault::{Fault, Place, Strike};
pub use member::Member;
pub use simulation::{Report, Simulation};
