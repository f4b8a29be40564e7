//! Identifiers. All of them come from outside or from counters: nothing here is random.

use core::fmt;

use serde::{Deserialize, Serialize};

/// ZooKeeper's transaction id: a total order over everything that was ever written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zxid(pub i64);

/// A ZooKeeper session as the server names it. Opaque: its top bit may be set (ZOOKEEPER-1622).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub i64);

/// Counts the sessions that this node established; the first one is 1.
///
/// Every request carries the epoch under which it was sent, and every reply and watch event the epoch to
/// which it belongs; what belongs to an older one is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionEpoch(pub u64);

/// Names a request for as long as its answer is awaited. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// 128 bits that the host draws once for each start of a node. Every guid and every lease name derives from
/// them and from a counter, so that they are unique and the core stays deterministic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

/// A registration of this node. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistrationId(pub u64);

/// The fencing token of a term: the zxid of the write that began it, so it rises from term to term of a
/// global, and across everything else that the ensemble ever wrote.
///
/// Source: M. Kleppmann, "How to do distributed locking" (2016), for the idea.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub Zxid);

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Display for SessionEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Incarnation {
    /// Whether `text` is how it is written. Records are full of them, so nothing is written for that.
    pub(crate) fn is_written_as(self, text: &str) -> bool {
        let digits = (0..u128::BITS / 4).rev().map(|place| (self.0 >> (place * 4)) as u8 & 0xf);
        text.bytes().eq(digits.map(|digit| b"0123456789abcdef"[usize::from(digit)]))
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_incarnation_knows_how_it_is_written(incarnation: u128, shift in 0..128_u32, other: u128) {
            let incarnation = Incarnation(incarnation >> shift);
            let text = incarnation.to_string();
            prop_assert!(incarnation.is_written_as(&text));
            prop_assert_eq!(incarnation.is_written_as(&Incarnation(other).to_string()), incarnation.0 == other);
            for wrong in [&text[1..], &text.to_uppercase().replace('0', "O"), &(text.clone() + "0"), ""] {
                prop_assert!(!incarnation.is_written_as(wrong) || wrong == text, "{wrong}");
            }
        }
    }
}
