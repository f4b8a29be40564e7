//! What is true of a server between any two inputs.

use std::collections::BTreeSet;

use super::leader::Leader;
use super::server::Server;
use super::transaction::SessionChange;
use super::{Ensemble, Owner, ServerId, Tree, path};

impl Ensemble {
    /// Looks for contradictions. Costs as much as a walk over all znodes and watches of all servers.
    ///
    /// # Panics
    /// When there is one: a bug of the model.
    pub fn check_invariants(&self) {
        for server in &self.servers {
            self.check_server(server);
        }
        for (one, other) in self.servers.iter().zip(self.servers.iter().skip(1)) {
            if one.applied == other.applied {
                let is_same = one.replica.tree == other.replica.tree;
                assert!(is_same, "{:?} and {:?} made different trees of one log", one.id, other.id);
                assert_eq!(one.replica.sessions, other.replica.sessions, "and different sessions");
            }
        }
        let leading = self.servers.iter().filter_map(|server| Some((server.id, server.leader()?)));
        for (id, leader) in leading {
            self.check_leader(id, leader);
        }
        if let Some(elected) = self.elected {
            assert!(self.server(elected).leader().is_some(), "{elected:?} is elected, and does not lead");
            assert_eq!(
                self.server(elected).known,
                self.log.len(),
                "{elected:?} does not know all that is committed"
            );
        }
    }

    fn check_server(&self, server: &Server) {
        let Server { id, replica, connections, applied, known, .. } = server;
        assert!(applied <= known, "{id:?} has applied more than it knows to be committed");
        assert!(*known <= self.log.len(), "{id:?} takes for committed what is not");
        let served = server.as_owner().is_some();
        assert!(served || connections.iter().next().is_none(), "{id:?} serves nobody, and has connections");
        assert!(!served || self.log.reaches_back_to(*applied), "the log does not reach back to {id:?}");
        // A session that came here from a server that is ahead may begin, and end, in what this one has yet to apply.
        let to_come = |session| {
            self.log.all_after(*applied).any(|transaction| match transaction.session {
                SessionChange::None => false,
                SessionChange::Opened(other, _) | SessionChange::Closed(other) => other == session,
            })
        };
        connections.check_invariants(|session| replica.sessions.contains_key(&session) || to_come(session));
        replica.watches.check_invariants(|conn| connections.get(conn).is_some());
        replica.tree.check_invariants();
        for session in replica.tree.owners() {
            assert!(
                replica.sessions.contains_key(&session),
                "session {session} is over, and its ephemerals are not"
            );
        }
        for (path, znode) in replica.tree.iter() {
            let stat = znode.stat();
            for zxid in [stat.czxid, stat.mzxid, stat.pzxid] {
                assert!(zxid <= replica.applied, "{path} was changed by {zxid}, which is to come");
            }
            assert!(
                stat.czxid <= stat.mzxid && stat.czxid <= stat.pzxid,
                "{path} was changed before it was there"
            );
        }
    }

    fn check_leader(&self, id: ServerId, leader: &Leader) {
        let replica = &self.server(id).replica;
        leader.sessions.check_invariants();
        leader.outstanding.check_invariants(replica.applied);
        for session in replica.sessions.keys() {
            assert!(leader.sessions.contains(*session), "the leader {id:?} does not know session {session}");
        }
        let zxids = leader.proposals.iter().map(|proposal| proposal.zxid);
        assert!(zxids.is_sorted(), "{id:?} proposes out of order");
        if self.elected == Some(id) {
            let next = self.server(id).known + 1;
            let committed = !leader.proposals.is_empty() && leader.holder_count(next) >= self.majority();
            assert!(!committed, "{id:?} has a majority for what it does not commit");
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
                    parent.is_some_and(|parent| parent.children.contains(path)),
                    "the parent of {path} is not there, or does not know it"
                );
            }
            for child in &znode.children {
                assert_eq!(path::canonical(path::parent(child)), path, "{child} is a child of {path}");
                assert!(self.get(child).is_some(), "{path} has a child {child}, which is not there");
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
