//! The server's end of connections, byte by byte.

#![allow(clippy::unwrap_used)] // Not known to be tests: what is not a test function.

mod arbitrary;
mod bounds;
mod faults;
mod frames;
mod harness;
mod words;
