//! The three roles. They know each other by messages only.

pub(crate) mod boss;
pub(crate) mod requestor;
pub(crate) mod worker;
