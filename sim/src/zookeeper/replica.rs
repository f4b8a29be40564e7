//! One server's copy of the data: its tree, its watches, and how far it has come in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use queenright_core::op::{Change as Happening, Stat};
use queenright_core::wire::Acl;
use queenright_core::{SessionId, Zxid};

use super::mutation::Mutation;
use super::transaction::{Change, Effect, SessionChange, Transaction};
use super::watches::Watches;
use super::{ConnectionId, Profile, Tree, Znode, path};

/// The state of one server.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) tree: Tree,
    pub(super) watches: Watches,
    /// The last transaction that was applied.
    pub(super) applied: Zxid,
    /// The sessions that have begun and are not over, as far as this server knows, with the timeouts that they began with.
    pub(super) sessions: BTreeMap<SessionId, Duration>,
}

/// What a transaction came to on one server.
#[derive(Debug)]
pub(super) struct Applied {
    /// One for each change.
    pub(super) effects: Vec<Effect>,
    /// In the order in which clients hear of them.
    pub(super) notices: Vec<Notice>,
}

/// A change that some connections watch.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) happening: Happening,
    pub(super) path: Arc<str>,
    /// The list that decides who may hear of it: the znode's own, as it was then.
    pub(super) acl: Arc<[Acl]>,
    pub(super) watchers: BTreeSet<ConnectionId>,
}

impl Replica {
    /// A server without history.
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            tree: Tree::new(),
            watches: Watches::new(profile),
            applied: Zxid(0),
            sessions: BTreeMap::new(),
        }
    }

    /// Applies the next transaction of the log.
    ///
    /// # Panics
    /// When it does not follow on what was applied: it was decided on another tree.
    pub(super) fn apply(&mut self, transaction: &Transaction) -> Applied {
        let Transaction { zxid, time_ms, changes, session, .. } = transaction;
        let (zxid, time_ms) = (*zxid, *time_ms);
        assert!(zxid > self.applied, "{zxid} was applied before: {} was the last", self.applied);
        let mut applied = Applied { effects: Vec::with_capacity(changes.len()), notices: Vec::new() };
        for change in changes {
            let effect = self.apply_change(zxid, time_ms, change, &mut applied.notices);
            applied.effects.push(effect);
        }
        match *session {
            SessionChange::None => {}
            SessionChange::Opened(session, timeout) => {
                self.sessions.insert(session, timeout);
            }
            SessionChange::Closed(session) => {
                self.sessions.remove(&session);
            }
        }
        if self.tree.broken.is(Mutation::WatchOrder) {
            applied.notices.reverse();
        }
        self.applied = zxid;
        applied
    }

    fn apply_change(
        &mut self,
        zxid: Zxid,
        time_ms: i64,
        change: &Change,
        notices: &mut Vec<Notice>,
    ) -> Effect {
        match change {
            Change::Create { path, data, acl, owner, children_created } => {
                let znode = Znode::new(data.clone(), Arc::clone(acl), *owner, zxid, time_ms);
                let stat = znode.stat();
                self.tree.insert(path, znode);
                let counts_those_there = self.tree.broken.is(Mutation::SequenceCounter);
                let parent = self.znode(path::parent(path));
                parent.children_created = *children_created;
                if counts_those_there {
                    parent.children_created = i32::try_from(parent.children.len()).unwrap_or(i32::MAX);
                }
                parent.children_changed_by = zxid;
                self.notify_data(Happening::Created, path, acl, notices);
                self.notify_parent(path, notices);
                Effect::Created { path: Arc::clone(path), stat }
            }
            Change::Delete { path } => {
                let deleted = self.tree.remove(path);
                let Znode { acl, .. } = deleted.unwrap_or_else(|| missing(path));
                self.znode(path::parent(path)).children_changed_by = zxid;
                let told = self.notify_data(Happening::Deleted, path, &acl, notices);
                let mut watchers = self.watches.trigger_children(path, Happening::Deleted);
                // Whoever watches both the znode and its children hears of its end once.
                watchers.retain(|connection| !told.contains(connection));
                notify(Happening::Deleted, path, &acl, watchers, notices);
                self.notify_parent(path, notices);
                Effect::Deleted
            }
            Change::SetData { path, data, version } => {
                let znode = self.znode(path);
                (znode.data, znode.version) = (data.clone(), *version);
                (znode.modified_by, znode.modified_ms) = (zxid, time_ms);
                let (stat, acl) = seen(znode);
                self.notify_data(Happening::DataChanged, path, &acl, notices);
                Effect::DataSet { stat }
            }
            // Nobody hears of it, and only the version of the list tells.
            Change::SetAcl { path, acl, version } => {
                let znode = self.znode(path);
                (znode.acl, znode.acl_version) = (Arc::clone(acl), *version);
                Effect::AclSet { stat: znode.stat() }
            }
            Change::SetCounter { path, children_created } => {
                self.znode(path).children_created = *children_created;
                Effect::Checked
            }
            Change::Check => Effect::Checked,
        }
    }

    fn notify_data(
        &mut self,
        happening: Happening,
        path: &Arc<str>,
        acl: &Arc<[Acl]>,
        notices: &mut Vec<Notice>,
    ) -> BTreeSet<ConnectionId> {
        let watchers = self.watches.trigger_data(path, happening);
        notify(happening, path, acl, watchers.clone(), notices);
        watchers
    }

    fn notify_parent(&mut self, path: &str, notices: &mut Vec<Notice>) {
        let parent = path::canonical(path::parent(path));
        let watchers = self.watches.trigger_children(parent, Happening::ChildrenChanged);
        let acl = Arc::clone(&self.znode(parent).acl);
        notify(Happening::ChildrenChanged, &parent.into(), &acl, watchers, notices);
    }

    fn znode(&mut self, path: &str) -> &mut Znode {
        self.tree.get_mut(path).unwrap_or_else(|| missing(path))
    }
}

fn notify(
    happening: Happening,
    path: &Arc<str>,
    acl: &Arc<[Acl]>,
    watchers: BTreeSet<ConnectionId>,
    notices: &mut Vec<Notice>,
) {
    if !watchers.is_empty() {
        notices.push(Notice { happening, path: Arc::clone(path), acl: Arc::clone(acl), watchers });
    }
}

fn seen(znode: &Znode) -> (Stat, Arc<[Acl]>) {
    (znode.stat(), Arc::clone(&znode.acl))
}

fn missing(path: &str) -> ! {
    panic!("a transaction names {path}, which is not in the tree: it was decided on another one")
}
