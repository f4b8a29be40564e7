//! The bodies of the fuzz targets of this crate.

pub use crate::link::fuzz::link;
