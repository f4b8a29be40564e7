//! Access control: who is who, and who may do what.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use queenright_core::wire::{Acl, AuthId, ErrorCode, Permissions};

use super::digest;

/// Whether somebody with `identities` has one of the `wanted` permissions.
pub(super) fn is_permitted(acl: &[Acl], wanted: Permissions, identities: &[AuthId]) -> bool {
    // A list is never empty, except in trees that older servers wrote; those let everyone in.
    acl.is_empty()
        || identities.iter().any(|identity| identity.scheme == "super")
        || acl.iter().any(|entry| entry.permissions.intersects(wanted) && is_meant(&entry.id, identities))
}

/// The list that a znode gets when somebody with `identities` asks for `acl`.
pub(super) fn resolve(acl: Option<&[Acl]>, identities: &[AuthId]) -> Result<Arc<[Acl]>, ErrorCode> {
    let wanted = acl.filter(|acl| !acl.is_empty()).ok_or(ErrorCode::INVALID_ACL)?;
    let mut resolved = Vec::with_capacity(wanted.len());
    for (index, entry) in wanted.iter().enumerate() {
        if wanted[..index].contains(entry) {
            continue;
        }
        let AuthId { scheme, id } = &entry.id;
        match scheme.as_str() {
            "auth" => {
                let before = resolved.len();
                // An address is no proof of anything.
                let proven = identities.iter().filter(|identity| identity.scheme == "digest");
                resolved.extend(proven.map(|id| Acl { permissions: entry.permissions, id: id.clone() }));
                if resolved.len() == before {
                    return Err(ErrorCode::INVALID_ACL);
                }
            }
            "world" if id == "anyone" => resolved.push(entry.clone()),
            "digest" if is_digest(id) => resolved.push(entry.clone()),
            "ip" if Subnet::parse(id).is_some() => resolved.push(entry.clone()),
            _ => return Err(ErrorCode::INVALID_ACL),
        }
    }
    Ok(resolved.into())
}

/// The list without the digests of passwords, as those see it who may not set it.
pub(super) fn without_secrets(acl: &[Acl]) -> Vec<Acl> {
    let blank = |id: &AuthId| match id.scheme.as_str() {
        "digest" => AuthId::new("digest", &format!("{}:x", user(id))),
        _ => id.clone(),
    };
    acl.iter().map(|entry| Acl { permissions: entry.permissions, id: blank(&entry.id) }).collect()
}

/// Adds to `identities` those that an auth packet proves.
pub(super) fn authenticate(
    identities: &mut Vec<AuthId>,
    scheme: &str,
    auth: Option<&[u8]>,
    super_digest: Option<&str>,
) -> Result<(), ErrorCode> {
    match scheme {
        "digest" => {
            let auth = auth.ok_or(ErrorCode::AUTH_FAILED)?;
            let id = digest::identity(&String::from_utf8_lossy(auth));
            if super_digest == Some(id.as_str()) {
                add(identities, AuthId::new("super", ""));
            }
            add(identities, AuthId::new("digest", &id));
            Ok(())
        }
        // Every connection has this identity from the beginning.
        "ip" => Ok(()),
        _ => Err(ErrorCode::AUTH_FAILED),
    }
}

/// The identities, without secrets.
pub(super) fn who_am_i(identities: &[AuthId]) -> Vec<AuthId> {
    let public = |id: &AuthId| match id.scheme.as_str() {
        "digest" => AuthId::new("digest", user(id)),
        _ => id.clone(),
    };
    identities.iter().map(public).collect()
}

fn add(identities: &mut Vec<AuthId>, identity: AuthId) {
    if !identities.contains(&identity) {
        identities.push(identity);
    }
}

fn is_meant(entry: &AuthId, identities: &[AuthId]) -> bool {
    match entry.scheme.as_str() {
        "world" => entry.id == "anyone",
        "ip" => Subnet::parse(&entry.id).is_some_and(|subnet| {
            let addresses = identities.iter().filter(|identity| identity.scheme == "ip");
            addresses.filter_map(|identity| identity.id.parse().ok()).any(|address| subnet.contains(address))
        }),
        _ => identities.contains(entry),
    }
}

/// The part of a digest identity before the colon.
fn user(id: &AuthId) -> &str {
    id.id.split(':').next().unwrap_or_default()
}

/// Exactly two parts, but colons at the end do not count: Java's `split` drops them.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// An IPv4 address and how many of its leading bits matter. The server knows no other addresses in lists.
struct Subnet {
    address: u32,
    bits: u32,
}

impl Subnet {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok().filter(|bits| *bits <= 32)?),
            None => (text, 32),
        };
        // Not `Ipv4Addr::from_str`: leading zeros are allowed here.
        let bytes: Option<Vec<u8>> = address.split('.').map(|byte| byte.parse().ok()).collect();
        let bytes: [u8; 4] = bytes?.try_into().ok()?;
        Some(Self { address: u32::from(Ipv4Addr::from(bytes)), bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                let differing = self.address ^ u32::from(address);
                differing.leading_zeros() >= self.bits
            }
            IpAddr::V6(_) => false,
        }
    }
}
