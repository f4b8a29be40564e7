//! Access control lists in the crate's types.

use zookeeper_client::{Acls, AuthId, Permission};

use crate::acl::{Acl, Permissions};

/// The list that every created znode gets.
#[derive(Debug)]
pub(super) struct AclList(List);

#[derive(Debug)]
enum List {
    Open,
    CreatorAll,
    Custom(Vec<zookeeper_client::Acl>),
}

impl AclList {
    pub(super) fn new(acl: &Acl) -> Self {
        Self(match acl {
            Acl::Open => List::Open,
            Acl::CreatorAll => List::CreatorAll,
            Acl::Custom(entries) => List::Custom(
                entries
                    .iter()
                    .map(|entry| {
                        let id = AuthId::new(&entry.scheme, &entry.id);
                        zookeeper_client::Acl::new(permission(entry.permissions), id)
                    })
                    .collect(),
            ),
        })
    }

    pub(super) fn as_acls(&self) -> Acls<'_> {
        match &self.0 {
            List::Open => Acls::anyone_all(),
            List::CreatorAll => Acls::creator_all(),
            List::Custom(entries) => Acls::new(entries),
        }
    }

    /// How many bytes the list takes in a request.
    pub(super) fn wire_len(&self) -> usize {
        // A count; then for each the permissions and two strings with their lengths.
        4 + self.as_acls().iter().map(|acl| 12 + acl.scheme().len() + acl.id().len()).sum::<usize>()
    }
}

fn permission(permissions: Permissions) -> Permission {
    [
        (Permissions::READ, Permission::READ),
        (Permissions::WRITE, Permission::WRITE),
        (Permissions::CREATE, Permission::CREATE),
        (Permissions::DELETE, Permission::DELETE),
        (Permissions::ADMIN, Permission::ADMIN),
    ]
    .into_iter()
    .filter(|(ours, _)| permissions.contains(*ours))
    .fold(Permission::NONE, |all, (_, theirs)| all | theirs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::AclEntry;

    #[test]
    fn a_custom_list_keeps_its_entries_and_permissions() {
        let entry = |permissions| AclEntry { permissions, scheme: "ip".into(), id: "10.0.0.0/8".into() };
        let list = AclList::new(&Acl::Custom(vec![
            entry(Permissions::ALL),
            entry(Permissions::READ | Permissions::WRITE),
        ]));
        let acls = list.as_acls();
        assert_eq!(acls.len(), 2);
        assert_eq!(acls[0].permission(), Permission::ALL);
        assert_eq!(acls[1].permission(), Permission::READ | Permission::WRITE);
        assert_eq!((acls[1].scheme(), acls[1].id()), ("ip", "10.0.0.0/8"));
        assert_eq!(list.wire_len(), 4 + 2 * (12 + 2 + 10));
    }
}
