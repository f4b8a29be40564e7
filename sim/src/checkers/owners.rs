//! Every ephemeral in the tree is known to the node whose session owns it: nothing is left behind, nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};

use queenright_core::SessionId;

use super::{Life, Violation};
use crate::zookeeper::{Owner, Tree};

const PROPERTY: &str = "owners";

/// What a live node stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Which node.
    pub life: Life,
    /// The paths of its instances, with and without the mark of a payload.
    pub instances: BTreeSet<String>,
    /// The paths of the queues in which it may have one candidate each.
    pub queues: BTreeSet<String>,
}

/// After a quiet stretch: every ephemeral below `root` belongs to a session in `claims`, which says what it is there for.
///
/// # Errors
/// The first one that nobody knows, or a second candidate in a queue.
pub fn check_owners(tree: &Tree, root: &str, claims: &BTreeMap<SessionId, Claims>) -> Result<(), Violation> {
    let mut candidates = BTreeSet::new();
    for (path, znode) in tree.iter() {
        let owner = match znode.owner() {
            Owner::Session(owner) => owner,
            Owner::Nobody | Owner::Children | Owner::Ttl(_) => continue,
        };
        if !path.starts_with(root) {
            continue;
        }
        let wrong = |what: String| Err(Violation::new(PROPERTY, format!("{path} {what}")));
        let Some(Claims { life, instances, queues }) = claims.get(&owner) else {
            return wrong(format!("belongs to session {owner}, which no live node has"));
        };
        let queue = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if queues.contains(queue) {
            if !candidates.insert((owner, queue.to_owned())) {
                return wrong(format!("is {life}'s second candidate"));
            }
        } else if !instances.contains(path) {
            return wrong(format!("belongs to {life}, which does not stand for it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::Server;

    /// Whether a tree passes in which this node's session owns `own` and another one owns `other`.
    fn check(own: &[&str], other: &[&str]) -> Result<(), Violation> {
        let mut server = Server::new();
        let ((session, connection), (_, stranger)) = (server.session(), server.session());
        for path in own {
            server.create(path, b"", Some(connection));
        }
        for path in other {
            server.create(path, b"", Some(stranger));
        }
        server.create("/q/globals/g/queue/README", b"", None);
        let claims = Claims {
            life: Life { node: 0, number: 0 },
            instances: BTreeSet::from(["/q/nodes/a".to_owned()]),
            queues: BTreeSet::from(["/q/globals/g/queue".to_owned()]),
        };
        check_owners(server.tree(), "/q", &BTreeMap::from([(session, claims)]))
    }

    #[test]
    fn what_is_known_passes_and_so_does_what_no_session_owns() {
        check(&["/q/nodes/a", "/q/globals/g/queue/x-0000000001"], &[]).unwrap();
        check(&[], &["/elsewhere/x"]).unwrap();
    }

    #[test]
    fn what_nobody_stands_for_is_seen() {
        assert!(check(&["/q/nodes/b"], &[]).is_err());
        assert!(check(&["/q/globals/h/queue/x-0000000001"], &[]).is_err());
        assert!(check(&["/q/globals/g/queue/x-0000000001", "/q/globals/g/queue/x-0000000002"], &[]).is_err());
        assert!(check(&[], &["/q/nodes/a"]).is_err());
    }
}
