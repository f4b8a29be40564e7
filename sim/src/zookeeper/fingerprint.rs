//! What tells two states of an ensemble apart, for whoever explores all of them.

use std::hash::{Hash, Hasher};

use super::Ensemble;

impl Ensemble {
    /// Feeds everything to `state` that answers can depend on while no link between servers is slow or cut: trees, watches,
    /// sessions, connections, how many sessions began, and what a server
    /// that lags has not applied yet. Left out are what only numbers things that are equal or not
    /// (tickets, terms), access control lists, and dates: the caller's clock must stand still.
    ///
    /// # Panics
    /// When a request is waiting.
    pub(crate) fn fingerprint(&self, state: &mut impl Hasher) {
        for server in &self.servers {
            server.is_held.hash(state);
            let mut applied = server.applied;
            while let Some(transaction) = self.log.after(applied) {
                transaction.hash_changes(state);
                applied += 1;
            }
            server.replica.applied.hash(state);
            for (path, znode) in
                server.replica.tree.iter().filter(|(path, _)| !path.starts_with("/zookeeper"))
            {
                path.hash(state);
                znode.data.hash(state);
                znode.owner.hash(state);
                znode.children_created.hash(state);
                let changed = [znode.created_by, znode.modified_by, znode.children_changed_by];
                changed.hash(state);
                (znode.version, znode.acl_version).hash(state);
            }
            server.replica.watches.hash(state);
            server.replica.sessions.keys().for_each(|session| session.hash(state));
            for (conn, connection) in server.connections.iter() {
                assert!(connection.is_idle(), "a request is waiting");
                (conn, connection.session).hash(state);
            }
            server.opened().hash(state);
        }
    }
}
