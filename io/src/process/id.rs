use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use queenright_core::Incarnation;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The longest advertised address, in bytes. With the incarnation and a process number it stays a valid znode
/// name.
pub const ADDRESS_LEN_MAX: usize = 300;

/// One life of one node: where it is reached, and the 128 bits that it drew when it started.
///
/// A node that restarts on the same address is another one. As text: `127.0.0.1:4000@` and 32 hexadecimal
/// digits.
///
/// A clone costs a counter: pids are everywhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(Arc<Identity>);

/// Compared by incarnation first: the bits decide nearly always, and are compared faster than the text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    incarnation: Incarnation,
    address: Box<str>,
}

/// A process of a node. Never reused: not by the node, and not by its successor on the same address.
///
/// As text: the node, a dot, and the number in decimal. The text is one valid znode name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    number: u64,
    node: NodeId,
}

/// Why a text is not a [`NodeId`] or a [`ProcessId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// The address is not `host:port`.
    #[error(
        "{address:?} is not an address that other nodes can dial: write host:port, the host a name, an IPv4 \
         address or an IPv6 address in brackets, and the port between 1 and 65535"
    )]
    Address {
        /// What stood there.
        address: String,
    },
    /// The address has too many bytes.
    #[error("an address of {len} bytes is too long: {ADDRESS_LEN_MAX} is the limit")]
    AddressTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not `<address>@<32 hexadecimal digits>`.
    #[error("{text:?} is not a node's id: that is host:port, '@' and 32 lower-case hexadecimal digits")]
    Node {
        /// What stood there.
        text: String,
    },
    /// Not `<node>.<number>`.
    #[error("{text:?} is not a process id: that is a node's id, '.' and a number")]
    Process {
        /// What stood there.
        text: String,
    },
}

impl NodeId {
    /// The node that advertises `address` (`host:port`) in its life `incarnation`.
    ///
    /// # Errors
    /// When `address` is not one that other nodes could dial.
    pub fn new(address: impl AsRef<str>, incarnation: Incarnation) -> Result<Self, InvalidId> {
        let address = address.as_ref();
        check_address(address)?;
        Ok(Self(Arc::new(Identity { incarnation, address: address.into() })))
    }

    /// The advertised address, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Which life of the node.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }
}

impl ProcessId {
    pub(crate) fn new(node: NodeId, number: u64) -> Self {
        Self { number, node }
    }

    /// The node on which it lives or lived.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Its number on that node.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Allowed is what [`Name`](queenright_core::Name) allows and a resolver could know, without the characters
/// that separate the parts of an id.
fn check_address(address: &str) -> Result<(), InvalidId> {
    if address.len() > ADDRESS_LEN_MAX {
        return Err(InvalidId::AddressTooLong { len: address.len() });
    }
    let invalid = || InvalidId::Address { address: address.into() };
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let inner = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(invalid)?,
        // A second colon belongs to an IPv6 address, and that needs brackets.
        None if host.contains(':') => return Err(invalid()),
        None => host,
    };
    let dialable = !inner.is_empty()
        && inner.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '/' | '@' | '[' | ']'));
    match canonical(port) {
        Some(1..=0xffff) if dialable => Ok(()),
        _ => Err(invalid()),
    }
}

/// A number in the one way in which we write it, so that equal ids have equal texts.
fn canonical(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    let unusual = text.starts_with('+') || text.len() > 1 && text.starts_with('0');
    (!unusual).then_some(number)
}

impl FromStr for NodeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::Node { text: text.into() };
        let (address, hex) = text.rsplit_once('@').ok_or_else(invalid)?;
        let plain = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bits = u128::from_str_radix(hex, 16).ok().filter(|_| plain).ok_or_else(invalid)?;
        Self::new(address, Incarnation(bits))
    }
}

impl FromStr for ProcessId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::Process { text: text.into() };
        let (node, number) = text.rsplit_once('.').ok_or_else(invalid)?;
        Ok(Self { number: canonical(number).ok_or_else(invalid)?, node: node.parse()? })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.address, self.0.incarnation)
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.number)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Hash for NodeId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.incarnation.hash(state);
    }
}

/// Text for formats that people read, the parts for the others.
impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        (&*self.0.address, self.0.incarnation.0).serialize(serializer)
    }
}

/// A node's id as it stands in a message; the address is copied once only, into the id.
#[derive(Deserialize)]
struct Parts<'a>(#[serde(borrow)] Cow<'a, str>, u128);

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        let Parts(address, bits) = Parts::deserialize(deserializer)?;
        Self::new(address, Incarnation(bits)).map_err(D::Error::custom)
    }
}

impl Serialize for ProcessId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        (&self.node, self.number).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProcessId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        let (node, number) = <(NodeId, u64)>::deserialize(deserializer)?;
        Ok(Self { number, node })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::codec;
    use proptest::prelude::*;
    use queenright_core::Name;

    pub(crate) fn nodes() -> impl Strategy<Value = NodeId> {
        let host = prop_oneof![
            "[a-z0-9]([a-z0-9.-]{0,40}[a-z0-9])?",
            any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
        ];
        (host, 1u16.., any::<u128>())
            .prop_map(|(host, port, bits)| NodeId::new(format!("{host}:{port}"), Incarnation(bits)).unwrap())
    }

    proptest! {
        #[test]
        fn ids_survive_text_and_bytes(node in nodes(), number in any::<u64>()) {
            prop_assert_eq!(&node.to_string().parse::<NodeId>().unwrap(), &node);
            let pid = ProcessId::new(node, number);
            prop_assert_eq!(&pid.to_string().parse::<ProcessId>().unwrap(), &pid);
            let mut bytes = Vec::new();
            codec::encode_into(&pid, &mut bytes, 1 << 10).unwrap();
            prop_assert_eq!(codec::decode::<ProcessId>(&bytes).unwrap(), pid);
        }

        #[test]
        fn a_pid_is_a_znode_name(
            host in "[a-z]{1,290}", port in 1u16.., bits in any::<u128>(), number in any::<u64>(),
        ) {
            let node = NodeId::new(format!("{host}:{port}"), Incarnation(bits)).unwrap();
            prop_assert!(Name::new(ProcessId::new(node, number).to_string()).is_ok());
        }

        #[test]
        fn a_text_that_is_accepted_is_the_canonical_one(text in "[a-z0-9.:@\\[\\]+]{0,60}") {
            if let Ok(pid) = text.parse::<ProcessId>() {
                prop_assert_eq!(pid.to_string(), text);
            }
        }
    }

    #[test]
    fn addresses_that_nobody_could_dial_are_refused() {
        let long = format!("{}:1", "x".repeat(ADDRESS_LEN_MAX));
        for bad in [
            "",
            "host",
            ":1",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "host:01",
            "a b:1",
            "a/b:1",
            "a@b:1",
            "::1:80",
            "[::1:80",
            "[]:80",
            "höst:1",
            &long,
        ] {
            assert!(NodeId::new(bad, Incarnation(1)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = "127.0.0.1:4000@000000000000000000000000000000ff.12";
        assert_eq!(good.parse::<ProcessId>().unwrap().number(), 12);
        for bad in [
            "127.0.0.1:4000@000000000000000000000000000000FF.12",
            "127.0.0.1:4000@0000000000000000000000000000ff.12",
            "127.0.0.1:4000@+00000000000000000000000000000ff.12",
            "127.0.0.1:4000@000000000000000000000000000000ff.012",
            "127.0.0.1:4000@000000000000000000000000000000ff.",
            "127.0.0.1:4000@000000000000000000000000000000ff",
            "127.0.0.1:4000.12",
        ] {
            assert!(bad.parse::<ProcessId>().is_err(), "{bad:?}");
        }
    }
}
