//! What must be true of every run, one property a file.
//!
//! A checker looks at what coordinators put out and at the tree of the model, never inside a machine. It is told in
//! real time: the time of the simulation, which no node can see. Each has tests of its own, on histories that
//! are wrong on purpose.

mod alternation;
mod belief;
mod caches;
mod completion;
mod history;
mod leaders;
mod names;
mod owners;
mod registrations;
mod requests;
#[cfg(test)]
mod testing;
mod tokens;

use std::fmt;

use serde::Serialize;

pub use alternation::Alternation;
pub use belief::ExclusiveBelief;
pub use caches::{Caches, Contents, instances};
pub use completion::{Call, Completion};
pub use leaders::{Standing, check_leaders};
pub use names::{LeaseNames, LeaseRecords};
pub use owners::{Claims, check_owners};
pub use registrations::{Mark, Wanted, check_registered, check_registrations, registered};
pub use requests::{BoundedRequests, Burst, Wants};
pub use tokens::RisingTokens;

/// One life of one node: after a restart it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Life {
    /// Which node.
    pub node: u8,
    /// How often it was started before.
    pub number: u32,
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property.
    pub property: &'static str,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    /// A violation of `property`.
    #[must_use]
    pub fn new(property: &'static str, detail: impl Into<String>) -> Self {
        Self { property, detail: detail.into() }
    }

    /// Whether nothing wrong happened, but something that should have happened did not.
    #[must_use]
    pub fn is_liveness(&self) -> bool {
        matches!(self.property, "leaders" | "leaders in time" | "sessions" | "bounded events")
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}.{}", self.node, self.number)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.detail)
    }
}

impl std::error::Error for Violation {}
