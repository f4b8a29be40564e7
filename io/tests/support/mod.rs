//! What the live tests share.

#![allow(dead_code)] // Each test binary includes all of it and uses a part.

pub(crate) mod child;
pub(crate) mod cluster;
pub(crate) mod log;
pub(crate) mod relay;
pub(crate) mod tree;
pub(crate) mod zookeeper;
