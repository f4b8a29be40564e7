//! A simulation that failed, as people need to see it.

use std::fmt;
use std::time::Duration;

use super::fault::Strike;

/// The properties of the simulator's own service that say that something happens.
const LIVENESS: [&str; 6] = ["completion", "members", "leaders", "caches", "messages flow", "monitors fire"];

/// What was wrong first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) property: String,
    pub(super) detail: String,
    pub(super) at: Duration,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, detail, at } = self;
        write!(f, "{property} at {at:?}: {detail}")
    }
}

/// A property that did not hold, and what led to it.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) broken: Broken,
    pub(super) seed: u64,
    pub(super) trace: Vec<String>,
    /// All that the run depended on, but for its faults.
    pub(super) settings: String,
    /// The faults, with their places in the plan.
    pub(super) faults: Vec<(usize, Strike)>,
    /// How many more there were before it was made small.
    pub(super) left_out: usize,
    pub(super) replay: String,
}

impl Failure {
    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What did not hold: the name of a check, or one of those that every simulation has.
    #[must_use]
    pub fn property(&self) -> &str {
        &self.broken.property
    }

    /// What was seen.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.broken.detail
    }

    /// When, from the beginning of the simulation.
    #[must_use]
    pub const fn at(&self) -> Duration {
        self.broken.at
    }

    /// Whether nothing wrong happened, and something that should have happened did not.
    #[must_use]
    pub fn is_liveness(&self) -> bool {
        LIVENESS.contains(&self.property())
    }

    /// The faults that were needed for it.
    pub fn faults(&self) -> impl Iterator<Item = &Strike> {
        self.faults.iter().map(|(_, strike)| strike)
    }
}

impl fmt::Display for Failure {
    /// What did not hold, the last lines of the trace, the settings, the faults, and as the last line how to see it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { property, detail, at } = &self.broken;
        writeln!(f, "VIOLATION of {property} at {at:?}, seed {}: {detail}\n", self.seed)?;
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\n{}", self.settings)?;
        let more = match self.left_out {
            0 => String::new(),
            count => format!(" ({count} more were not needed)"),
        };
        writeln!(f, "faults: {}{more}", self.faults.len())?;
        for (_, strike) in &self.faults {
            writeln!(f, "  {strike}")?;
        }
        write!(f, "\nreplay: {}", self.replay)
    }
}

impl std::error::Error for Failure {}
