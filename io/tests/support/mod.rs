//! What the live tests share.

#![allow(dead_code, unused_imports, unused_macros)] // Each test binary includes all of it and uses a part.

pub(crate) mod child;
pub(crate) mod cluster;
pub(crate) mod log;
pub(crate) mod relay;
pub(crate) mod server;
pub(crate) mod tree;
pub(crate) mod venue;
pub(crate) mod zookeeper;
