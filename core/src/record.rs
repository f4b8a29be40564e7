//! The data of lease records and term records (ARCHITECTURE.md, "The election").
//!
//! Both begin with a byte for their format; one that is not known is refused and never guessed, for nodes of
//! mixed versions that guess would not be safe. Integers are big endian.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::config::Config;
use crate::outbox::LeaseName;
use crate::path::Name;

/// The only format so far.
const FORMAT: u8 = 1;

/// What a lease record tells: it never changes, only its version does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseRecord {
    /// L of its owner.
    pub(crate) lease: Duration,
    /// Its owner.
    pub(crate) node: String,
}

/// What a term record tells. Its version is even when it is vacant and odd when it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TermRecord {
    Vacant,
    Held { lease: LeaseName, payload: Arc<[u8]> },
}

/// Why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRecord {
    /// Of another version of this library.
    Format,
    /// Garbage.
    Malformed,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "its format is not known to this version of the library",
            Self::Malformed => "it makes no sense",
        })
    }
}

impl LeaseRecord {
    pub(crate) fn new(config: &Config) -> Self {
        Self { lease: config.lease, node: config.node.as_str().into() }
    }

    /// Format byte, L in nanoseconds (8 bytes), node id. Never rounded: a shorter L in the record than in the
    /// node would make W too short.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let nanos = u64::try_from(self.lease.as_nanos()).unwrap_or(u64::MAX);
        let mut data = Vec::with_capacity(9 + self.node.len());
        data.push(FORMAT);
        data.extend_from_slice(&nanos.to_be_bytes());
        data.extend_from_slice(self.node.as_bytes());
        data
    }

    /// A length that no configuration allows makes the record malformed: nobody waits for a year, or not at all.
    pub(crate) fn decode(data: &[u8]) -> Result<Self, BadRecord> {
        let rest = body(data)?;
        let (nanos, node) = rest.split_at_checked(8).ok_or(BadRecord::Malformed)?;
        let nanos = u64::from_be_bytes(nanos.try_into().map_err(|_| BadRecord::Malformed)?);
        if !(1..=3_600_000_000_000).contains(&nanos) {
            return Err(BadRecord::Malformed);
        }
        let node = core::str::from_utf8(node).map_err(|_| BadRecord::Malformed)?;
        Ok(Self { lease: Duration::from_nanos(nanos), node: node.into() })
    }
}

impl TermRecord {
    /// Format byte; then nothing, or the length of the lease's name (2 bytes), the name, and the payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut data = alloc::vec![FORMAT];
        match self {
            Self::Vacant => {}
            Self::Held { lease, payload } => {
                let len = u16::try_from(lease.len()).unwrap_or(u16::MAX);
                data.extend_from_slice(&len.to_be_bytes());
                data.extend_from_slice(lease.as_bytes());
                data.extend_from_slice(payload);
            }
        }
        data
    }

    pub(crate) fn decode(data: &[u8]) -> Result<Self, BadRecord> {
        let rest = body(data)?;
        if rest.is_empty() {
            return Ok(Self::Vacant);
        }
        let (len, rest) = rest.split_at_checked(2).ok_or(BadRecord::Malformed)?;
        let len = u16::from_be_bytes(len.try_into().map_err(|_| BadRecord::Malformed)?);
        let (lease, payload) = rest.split_at_checked(usize::from(len)).ok_or(BadRecord::Malformed)?;
        let lease = core::str::from_utf8(lease).map_err(|_| BadRecord::Malformed)?;
        // It becomes a path: what is no name must not get that far.
        let lease = Name::new(lease).map_err(|_| BadRecord::Malformed)?;
        Ok(Self::Held { lease: lease.as_str().into(), payload: payload.into() })
    }
}

/// For checkers: the lease that the data of a term record names.
#[cfg(feature = "check")]
#[must_use]
pub fn named_lease(term: &[u8]) -> Option<Arc<str>> {
    match TermRecord::decode(term) {
        Ok(TermRecord::Held { lease, .. }) => Some(lease),
        Ok(TermRecord::Vacant) | Err(BadRecord::Format | BadRecord::Malformed) => None,
    }
}

fn body(data: &[u8]) -> Result<&[u8], BadRecord> {
    match data.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        Some(_) => Err(BadRecord::Format),
        None => Err(BadRecord::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Incarnation;

    #[test]
    fn records_round_trip() {
        let config = Config::new(Name::new("n").unwrap(), Incarnation(1));
        let lease = LeaseRecord::new(&config);
        assert_eq!(LeaseRecord::decode(&lease.encode()), Ok(lease));
        let held = TermRecord::Held { lease: "abc.1".into(), payload: Arc::from(&b"\0pid"[..]) };
        for record in [TermRecord::Vacant, held] {
            assert_eq!(TermRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(TermRecord::decode(b""), Err(BadRecord::Malformed));
        assert_eq!(TermRecord::decode(&[2]), Err(BadRecord::Format));
        assert_eq!(TermRecord::decode(&[1, 0]), Err(BadRecord::Malformed));
        assert_eq!(TermRecord::decode(&[1, 0, 3, b'a']), Err(BadRecord::Malformed));
        assert_eq!(TermRecord::decode(&[1, 0, 1, b'/']), Err(BadRecord::Malformed));
        assert_eq!(TermRecord::decode(&[1, 0, 0]), Err(BadRecord::Malformed), "an empty name is no name");
        assert_eq!(LeaseRecord::decode(&[1, 0, 0]), Err(BadRecord::Malformed));
        assert_eq!(LeaseRecord::decode(&[9; 20]), Err(BadRecord::Format));
        assert_eq!(LeaseRecord::decode(&[1; 20]), Err(BadRecord::Malformed), "a lease of a million years");
        assert_eq!(
            LeaseRecord::decode(&[1, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(BadRecord::Malformed),
            "and one of none"
        );
    }
}
