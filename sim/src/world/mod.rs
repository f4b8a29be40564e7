//! Whole nodes on a simulated network: queenright's driver, processes and links, and your own services, with the model
//! ZooKeeper and with everything going wrong that happens to machines and networks.
//!
//! [`Simulation`] is where to begin, and [a page](crate::docs::simulate_your_service) that shows it. Underneath is turmoil: each node and each server is one of its hosts, with a tokio
//! runtime on a paused clock. The client is queenright's native one, for the other opens real sockets.
//!
//! # What is deterministic
//!
//! Everything of queenright: the same seed gives the same run in every process that ran the same seeds before it, one at a
//! time. (Runs side by side, or after others, can differ for some seeds, it seems because tokio numbers tasks for the whole
//! process: play a failure again with the campaign's own first seed and one thread.) Your service is, too, if it takes time from
//! tokio, decides nothing by the order of a `HashMap`, and writes `biased;` in its `select!`s. Without `biased;` tokio
//! draws the order of the branches; it draws them from the seed when everything is compiled with `--cfg tokio_unstable`.

pub mod colony;
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

pub use explore::{Explored, SEED_VARIABLE, run_seed};
pub use failure::Failure;
pub use fault::{Fault, Place, Strike};
pub use member::Member;
pub use simulation::{Report, Simulation};
