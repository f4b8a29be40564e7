//! The data of records, written and read by hand: an implementation of its own, so that the tests notice when
//! the format on the wire changes.

use std::time::Duration;

const FORMAT: u8 = 1;

pub(crate) fn lease(length: Duration, node: &str) -> Vec<u8> {
    let nanos = u64::try_from(length.as_nanos()).expect("a lease of less than 584 years");
    [&[FORMAT][..], &nanos.to_be_bytes(), node.as_bytes()].concat()
}

pub(crate) fn vacant() -> Vec<u8> {
    vec![FORMAT]
}

pub(crate) fn held(lease: &str, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(lease.len()).expect("a short name");
    [&[FORMAT][..], &len.to_be_bytes(), lease.as_bytes(), payload].concat()
}

/// Length and node, if it is a lease record.
pub(crate) fn read_lease(data: &[u8]) -> Option<(Duration, &str)> {
    let (nanos, node) = data.strip_prefix(&[FORMAT])?.split_at_checked(8)?;
    let nanos = u64::from_be_bytes(nanos.try_into().ok()?);
    Some((Duration::from_nanos(nanos), std::str::from_utf8(node).ok()?))
}

/// The holder's lease and its payload, or nothing for a vacant term, if it is a term record.
pub(crate) fn read_term(data: &[u8]) -> Option<Option<(&str, &[u8])>> {
    let rest = data.strip_prefix(&[FORMAT])?;
    if rest.is_empty() {
        return Some(None);
    }
    let (len, rest) = rest.split_at_checked(2)?;
    let len = u16::from_be_bytes(len.try_into().ok()?);
    let (lease, payload) = rest.split_at_checked(usize::from(len))?;
    Some(Some((std::str::from_utf8(lease).ok()?, payload)))
}
