//! What is true of a server between any two inputs.

use std::collections::BTreeSet;

use super::{Ensemble, Owner, Tree, path};

impl Ensemble {
    /// Looks for contradictions. Costs as much as a walk over all znodes and watches.
    ///
    /// # Panics
    /// When there is one: a bug of the model.
    pub fn check_invariants(&self) {
        let live = |session| self.sessions.contains(session);
        self.sessions.check_invariants();
        self.connections.check_invariants(live);
        self.replica.watches.check_invariants(|conn| self.connections.get(conn).is_some());
        self.replica.tree.check_invariants();
        for session in self.replica.tree.owners() {
            assert!(live(session), "session {session} is over, and its ephemerals are not");
        }
        for (path, znode) in self.replica.tree.iter() {
            let stat = znode.stat();
            for zxid in [stat.czxid, stat.mzxid, stat.pzxid] {
                assert!(zxid <= self.replica.applied, "{path} was changed by {zxid}, which is to come");
            }
            assert!(
                stat.czxid <= stat.mzxid && stat.czxid <= stat.pzxid,
                "{path} was changed before it was there"
            );
        }
    }
}

impl Tree {
    fn check_invariants(&self) {
        let (mut ephemeral_count, mut sweepable) = (0, BTreeSet::new());
        for (path, znode) in self.iter() {
            assert!(path::is_valid(path), "{path:?} is not a path");
            if path != "/" {
                let parent = self.get(path::parent(path));
                assert!(
                    parent.is_some_and(|parent| parent.children.contains(path::name(path))),
                    "the parent of {path} is not there, or does not know it"
                );
            }
            for name in &znode.children {
                let child = format!("{}/{name}", path.trim_end_matches('/'));
                assert!(self.get(&child).is_some(), "{path} has a child {name}, which is not there");
            }
            match znode.owner() {
                Owner::Nobody => {}
                Owner::Session(session) => {
                    assert!(znode.children.is_empty(), "the ephemeral {path} has children");
                    assert!(
                        self.ephemerals(session).any(|owned| owned == path),
                        "{path} is in no list of {session}"
                    );
                    ephemeral_count += 1;
                }
                Owner::Children | Owner::Ttl(_) => {
                    sweepable.insert(path);
                }
            }
        }
        let listed: usize = self.owners().map(|session| self.ephemerals(session).count()).sum();
        assert_eq!(listed, ephemeral_count, "a session is said to own what is not its ephemeral");
        assert!(
            self.sweepable().map(AsRef::as_ref).eq(sweepable),
            "the sweep looks at other znodes than it should"
        );
    }
}
