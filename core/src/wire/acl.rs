//! Who may do what to a znode.

use alloc::string::String;

/// One entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// What is permitted.
    pub permissions: Permissions,
    /// To whom.
    pub id: AuthId,
}

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthId {
    /// How it is proven: `world`, `auth`, `digest`, `ip`, `super`.
    pub scheme: String,
    /// Who.
    pub id: String,
}

/// A set of permissions, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(pub i32);

impl Permissions {
    /// To read data and children.
    pub const READ: Self = Self(1);
    /// To set data.
    pub const WRITE: Self = Self(2);
    /// To create children.
    pub const CREATE: Self = Self(4);
    /// To delete children.
    pub const DELETE: Self = Self(8);
    /// To set the access control list.
    pub const ADMIN: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// Whether the sets have a permission in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl AuthId {
    /// The identity `id`, proven by `scheme`.
    #[must_use]
    pub fn new(scheme: &str, id: &str) -> Self {
        Self { scheme: scheme.into(), id: id.into() }
    }
}

impl Acl {
    /// `permissions` for the identity `id`, proven by `scheme`.
    #[must_use]
    pub fn new(permissions: Permissions, scheme: &str, id: &str) -> Self {
        Self { permissions, id: AuthId::new(scheme, id) }
    }

    /// Everything to everyone.
    #[must_use]
    pub fn open() -> Self {
        Self::new(Permissions::ALL, "world", "anyone")
    }

    /// Everything to whoever creates the znode; refused on a connection without credentials.
    #[must_use]
    pub fn creator_all() -> Self {
        Self::new(Permissions::ALL, "auth", "")
    }
}

#[cfg(test)]
mod tests {
    use super::Permissions;

    #[test]
    fn permissions_are_sets() {
        let (read, all) = (Permissions::READ, Permissions::ALL);
        let both = read.union(Permissions::WRITE);
        assert_eq!(both, Permissions(3));
        assert_eq!(both.union(read), both);
        assert!(both.intersects(read) && all.intersects(both));
        assert!(!both.intersects(Permissions::ADMIN) && !Permissions(0).intersects(all));
    }
}
