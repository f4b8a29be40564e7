//! What a coordinator is told once.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::InvalidConfig;
use crate::ids::Incarnation;
use crate::path::{Name, Path};

/// The largest payload of a registration or a term, in bytes.
pub const PAYLOAD_LEN_MAX: usize = 256 * 1024;

/// Configuration of a [`Coordinator`](crate::Coordinator).
///
/// All nodes of one cluster must agree on `root` and on `clock_rate_ppm`; leases may differ, for each record
/// tells its own length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where everything lives.
    pub root: Path,
    /// What this node is called in its records and in the directory of nodes.
    pub node: Name,
    /// Drawn once for each start of this node.
    pub incarnation: Incarnation,
    /// L: for how long a beat lets this node believe that it leads. At least ten round trips.
    pub lease: Duration,
    /// D: how long before the end of a belief the application is told to stop.
    pub drain: Duration,
    /// ρ in millionths: how far the *rate* of any node's clock may be from true.
    pub clock_rate_ppm: u32,
    /// The least pause before a retry; doubled each time.
    pub retry_min: Duration,
    /// The greatest pause before a retry.
    pub retry_max: Duration,
    /// A cache that nobody used for this long is dropped.
    pub cache_idle: Duration,
    /// How many bytes of watched paths the client can carry; beyond it, one watch on a parent stands for many.
    pub watch_bytes_max: usize,
    /// How long `close` may take to delete what this node registered.
    pub close_timeout: Duration,
    /// How often one node of the cluster looks for records of dead nodes; `None` for never.
    pub janitor_period: Option<Duration>,
    /// A guard that is taken out, to see a checker fail. Tests only.
    // Recordings do not say: they are the same with and without the feature.
    #[cfg(feature = "mutations")]
    #[serde(skip)]
    pub mutation: Option<crate::mutation::Mutation>,
}

impl Config {
    /// The defaults for a node called `node`: root `/queenright`, a lease of 3 s.
    ///
    /// # Panics
    /// Never: the default root is a path.
    #[must_use]
    pub fn new(node: Name, incarnation: Incarnation) -> Self {
        let lease = Duration::from_secs(3);
        Self {
            root: Path::root().join("queenright"),
            node,
            incarnation,
            lease,
            drain: lease / 10,
            clock_rate_ppm: 5_000,
            retry_min: Duration::from_millis(50),
            retry_max: Duration::from_secs(5),
            cache_idle: Duration::from_secs(600),
            watch_bytes_max: 90 * 1024,
            close_timeout: Duration::from_secs(5),
            janitor_period: Some(Duration::from_secs(3600)),
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// Sets the lease length, and the drain time to a tenth of it.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self.drain = lease / 10;
        self
    }

    /// B: the time between two beats.
    #[must_use]
    pub fn beat(&self) -> Duration {
        self.lease / 3
    }

    /// W: for how long a record of length `lease` must have been seen unchanged before its owner is dead,
    /// whatever the rates of the two clocks within the bound (rule 9).
    #[must_use]
    pub fn silence(&self, lease: Duration) -> Duration {
        let (num, den) =
            (1_000_000 + u128::from(self.clock_rate_ppm), 1_000_000 - u128::from(self.clock_rate_ppm));
        let nanos = (lease.as_nanos() * num).div_ceil(den);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Where the term record of `global` is, for transactions that check its version
    /// (see [`Event::Elected`](crate::Event::Elected)).
    #[must_use]
    pub fn term_path(&self, global: &Name) -> Path {
        crate::layout::Layout::new(&self.root).term(global)
    }

    /// The guard that is taken out; nothing, in a build without the feature `mutations`.
    #[must_use]
    pub const fn mutation(&self) -> Option<crate::mutation::Mutation> {
        #[cfg(feature = "mutations")]
        return self.mutation;
        #[cfg(not(feature = "mutations"))]
        None
    }

    pub(crate) fn is_mutated(&self, mutation: crate::mutation::Mutation) -> bool {
        self.mutation() == Some(mutation)
    }

    /// Whether this configuration can be safe and live.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(3600));
        if self.lease < min || self.lease > max {
            return Err(InvalidConfig::Lease { lease: self.lease, min, max });
        }
        if self.drain * 3 > self.lease {
            return Err(InvalidConfig::Drain { drain: self.drain, lease: self.lease });
        }
        if self.clock_rate_ppm >= 100_000 {
            return Err(InvalidConfig::ClockRate { ppm: self.clock_rate_ppm });
        }
        if self.retry_min.is_zero() || self.retry_min > self.retry_max {
            return Err(InvalidConfig::Retry { min: self.retry_min, max: self.retry_max });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NANO: Duration = Duration::from_nanos(1);

    fn check(change: impl FnOnce(&mut Config)) -> Result<(), InvalidConfig> {
        let mut config = Config::new(Name::new("n1").unwrap(), Incarnation(1));
        change(&mut config);
        config.check()
    }

    #[test]
    fn limits_are_allowed_and_what_is_beyond_them_is_not() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(3600));
        for (lease, is_allowed) in [(min - NANO, false), (min, true), (max, true), (max + NANO, false)] {
            let found = check(|config| *config = config.clone().with_lease(lease));
            assert_eq!(
                found,
                if is_allowed { Ok(()) } else { Err(InvalidConfig::Lease { lease, min, max }) }
            );
        }
        let third = Duration::from_secs(1);
        for (drain, is_allowed) in [(Duration::ZERO, true), (third, true), (third + NANO, false)] {
            assert_eq!(check(|config| config.drain = drain).is_ok(), is_allowed, "{drain:?}");
        }
        for (ppm, is_allowed) in [(0, true), (99_999, true), (100_000, false)] {
            assert_eq!(check(|config| config.clock_rate_ppm = ppm).is_ok(), is_allowed, "{ppm}");
        }
        for (min, max, is_allowed) in
            [(Duration::ZERO, third, false), (NANO, NANO, true), (third, third - NANO, false)]
        {
            let found = check(|config| (config.retry_min, config.retry_max) = (min, max));
            assert_eq!(found.is_ok(), is_allowed, "{min:?} {max:?}");
        }
    }

    #[test]
    fn a_term_is_where_its_path_says() {
        let mut config = Config::new(Name::new("n1").unwrap(), Incarnation(1));
        config.root = Path::root().join("elsewhere");
        let path = config.term_path(&Name::new("boss").unwrap());
        assert_eq!(path.as_str(), "/elsewhere/globals/boss/term");
    }
}
