//! Who may do what with the znodes that this library creates.

use std::fmt;
use std::ops::BitOr;

/// The access control list of every znode that this library creates.
///
/// All nodes of one cluster must be able to read, write, create and delete below the namespace root: give them one
/// identity, or list all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Acl {
    /// Anyone may do anything. Only for networks where everybody is trusted.
    #[default]
    Open,
    /// Whoever has the credentials of the creator may do anything, nobody else may do something. Needs
    /// [`Config::with_credentials`](crate::Config::with_credentials).
    CreatorAll,
    /// Exactly these.
    Custom(Vec<AclEntry>),
}

/// One line of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// What is allowed.
    pub permissions: Permissions,
    /// How the identity is proved: `world`, `auth`, `digest`, `ip`, `x509`, `sasl`.
    pub scheme: String,
    /// Whose: in scheme `digest`, `user:base64(sha1(user:password))`; in scheme `world`, `anyone`.
    pub id: String,
}

/// A set of ZooKeeper's five permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(u8);

impl Permissions {
    /// Read the data, list the children.
    pub const READ: Self = Self(1);
    /// Set the data.
    pub const WRITE: Self = Self(2);
    /// Create a child.
    pub const CREATE: Self = Self(4);
    /// Delete a child.
    pub const DELETE: Self = Self(8);
    /// Change the access control list.
    pub const ADMIN: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// Whether all of `other` are in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Permissions {
    /// In the letters of ZooKeeper's own tools: `crdwa`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (Self::CREATE, 'c'),
            (Self::DELETE, 'd'),
            (Self::READ, 'r'),
            (Self::WRITE, 'w'),
            (Self::ADMIN, 'a'),
        ];
        letters
            .iter()
            .filter(|(one, _)| self.contains(*one))
            .try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}
