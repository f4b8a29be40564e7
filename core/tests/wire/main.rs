//! The protocol as bytes.

mod bytes;
mod captured;
mod damaged;
mod properties;
mod records;
mod stream;
