//! Links between nodes: one TCP connection per direction, dialled on first use.
//!
//! ```text
//! send --encode--> Outbound (outbound.rs): one shared buffer per peer
//!                     | swapped out
//!                     v
//!                  dial.rs, the writer  =====TCP=====>  accept.rs, the reader ----> Deliver
//!                                       <----beats----
//! ```
//! What one direction loses, both lose: a node that can no longer hear or tell a peer cuts both, tells its
//! own monitors and links once ([`Deliver::lost`]), and so makes the peer tell its own. The next send dials
//! again. Within one life of a link, what arrives is a prefix of what was sent, in its order, signals
//! included.

mod accept;
mod config;
mod dial;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod handshake;
mod links;
mod outbound;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

pub use config::{InvalidLinkConfig, LinkConfig};
pub use frame::overheard;
pub(crate) use frame::{Address, Signal};
pub use handshake::Cookie;
pub(crate) use links::{Attempt, Deliver, Delivery, Links, Loss};
#[cfg(feature = "tls")]
pub use tls::{InvalidTls, LinkTls};
