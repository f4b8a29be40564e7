//! What the live tests share.

pub(crate) mod relay;
pub(crate) mod zookeeper;
