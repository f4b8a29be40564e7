//! What the core's tests share: a small ZooKeeper, and a notation for everything that goes in and out.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod history;
pub(crate) mod liar;
pub(crate) mod notation;
pub(crate) mod other;
pub(crate) mod records;
pub(crate) mod steps;
pub(crate) mod tree;
pub(crate) mod words;
pub(crate) mod world;
