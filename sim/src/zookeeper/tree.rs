//! The tree of znodes, as transactions have made it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use queenright_core::op::Stat;
use queenright_core::wire::{Acl, Permissions};
use queenright_core::{SessionId, Zxid};

use super::mutation::Broken;
use super::path;

/// All znodes of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Boxed, because the map's nodes are half empty where names are given out in order.
    znodes: BTreeMap<Arc<str>, Box<Znode>>,
    /// Paths of the ephemerals of each session that has some.
    ephemerals: BTreeMap<SessionId, BTreeSet<Arc<str>>>,
    /// Paths of the znodes that a sweep may remove.
    sweepable: BTreeSet<Arc<str>>,
    /// The rule that a test broke. It stands here because all who decide and all who apply have a tree.
    pub(super) broken: Broken,
}

/// One znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    pub(super) data: Option<Arc<[u8]>>,
    pub(super) acl: Arc<[Acl]>,
    pub(super) owner: Owner,
    /// Their paths: the very ones under which the tree has them.
    pub(super) children: BTreeSet<Arc<str>>,
    /// How many children were ever created: where sequence numbers come from. Not the version that clients see.
    pub(super) children_created: i32,
    pub(super) created_by: Zxid,
    pub(super) modified_by: Zxid,
    pub(super) children_changed_by: Zxid,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
    pub(super) version: i32,
    pub(super) acl_version: i32,
}

/// What keeps a znode alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Nothing: it stays until it is deleted.
    Nobody,
    /// A session: it is an ephemeral.
    Session(SessionId),
    /// Its children: it is a container.
    Children,
    /// Its children, or a write during the last so many milliseconds.
    Ttl(i64),
}

impl Tree {
    /// The tree of a server without history.
    #[must_use]
    pub(super) fn new() -> Self {
        let mut tree = Self {
            znodes: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            sweepable: BTreeSet::new(),
            broken: Broken::default(),
        };
        let open: Arc<[Acl]> = Arc::new([Acl::open()]);
        let readable: Arc<[Acl]> = Arc::new([Acl::new(Permissions::READ, "world", "anyone")]);
        for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            let znode = Znode::new(Some(Arc::new([])), Arc::clone(&open), Owner::Nobody, Zxid(0), 0);
            let path: Arc<str> = path.into();
            // Nobody created these: they are children, but were never counted as created.
            tree.adopt(&path);
            tree.znodes.insert(path, Box::new(znode));
        }
        if let Some(config) = tree.znodes.get_mut("/zookeeper/config") {
            config.acl = readable;
            config.acl_version = -1;
        }
        tree
    }

    /// The znode at `path`. The empty path is the root, as on a real server.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Znode> {
        self.znodes.get(path::canonical(path)).map(AsRef::as_ref)
    }

    /// The names of the children of the znode at `path`, in order; none when there is no such znode.
    pub fn children(&self, path: &str) -> impl Iterator<Item = &str> {
        self.get(path).into_iter().flat_map(Znode::children)
    }

    /// The children of the znode at `path` under their names, in order; none when there is no such znode.
    pub fn family<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Znode)> {
        let path = path::canonical(path);
        let children = self.get(path).map(|znode| &znode.children);
        let first = children.and_then(BTreeSet::first).map_or("", AsRef::as_ref);
        let name = move |other: &'a str| {
            let (parent, name) = other.rsplit_once('/')?;
            (path::canonical(parent) == path).then_some(name)
        };
        // From the first one on come the others, and what is below them. A walk is cheaper than a search for each.
        self.znodes
            .range::<str, _>((Bound::Included(first), Bound::Unbounded))
            .filter_map(move |(path, znode)| Some((name(path)?, znode.as_ref())))
            .take(children.map_or(0, BTreeSet::len))
    }

    /// All znodes, in the order of their paths. The server's own below `/zookeeper` are among them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Znode)> {
        self.znodes.iter().map(|(path, znode)| (path.as_ref(), znode.as_ref()))
    }

    /// How many znodes there are, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.znodes.len()
    }

    /// Never: there is always a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.znodes.is_empty()
    }

    /// The paths of the ephemerals of `session`, in order.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        self.ephemerals.get(&session).into_iter().flatten().map(AsRef::as_ref)
    }

    /// The same, shared.
    pub(super) fn ephemeral_paths(&self, session: SessionId) -> impl Iterator<Item = &Arc<str>> {
        self.ephemerals.get(&session).into_iter().flatten()
    }

    /// The sessions that own ephemerals.
    pub(super) fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// The paths of containers and TTL nodes, in order.
    pub(super) fn sweepable(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sweepable.iter()
    }

    /// How many znodes there are below `path`.
    pub(super) fn descendant_count(&self, path: &str) -> usize {
        match path {
            "/" => self.len() - 1,
            // Below the root's other name is also the root itself.
            "" => self.len(),
            path => {
                // All that is below a path is one range of the map: '0' is what follows '/'.
                let (first, end) = (format!("{path}/"), format!("{path}0"));
                let range = (Bound::Included(first.as_str()), Bound::Excluded(end.as_str()));
                self.znodes.range::<str, _>(range).count()
            }
        }
    }

    /// The transactions that changed the data, and the list of children, of the znode at `path` last.
    pub(super) fn changed_by(&self, path: &str) -> Option<(Zxid, Zxid)> {
        self.get(path).map(|znode| (znode.modified_by, znode.children_changed_by))
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut Znode> {
        self.znodes.get_mut(path::canonical(path)).map(AsMut::as_mut)
    }

    /// Puts `znode` at `path`, under the parent that is there.
    pub(super) fn insert(&mut self, path: &Arc<str>, znode: Znode) {
        match znode.owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(Arc::clone(path));
            }
            Owner::Children | Owner::Ttl(_) => {
                self.sweepable.insert(Arc::clone(path));
            }
        }
        self.adopt(path);
        self.znodes.insert(Arc::clone(path), Box::new(znode));
    }

    /// Takes the znode at `path` out.
    pub(super) fn remove(&mut self, path: &str) -> Option<Znode> {
        let znode = self.znodes.remove(path)?;
        match znode.owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                if let Some(paths) = self.ephemerals.get_mut(&session) {
                    paths.remove(path);
                    if paths.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Owner::Children | Owner::Ttl(_) => {
                self.sweepable.remove(path);
            }
        }
        if let Some(parent) = self.get_mut(path::parent(path)) {
            parent.children.remove(path);
        }
        Some(*znode)
    }

    /// Tells the parent of `path` of its child.
    fn adopt(&mut self, path: &Arc<str>) {
        if let Some(parent) = self.get_mut(path::parent(path)).filter(|_| &**path != "/") {
            parent.children.insert(Arc::clone(path));
        }
    }
}

impl Znode {
    /// A znode that the transaction `zxid` creates at `now_ms`.
    pub(super) fn new(
        data: Option<Arc<[u8]>>,
        acl: Arc<[Acl]>,
        owner: Owner,
        zxid: Zxid,
        now_ms: i64,
    ) -> Self {
        Self {
            data,
            acl,
            owner,
            children: BTreeSet::new(),
            children_created: 0,
            created_by: zxid,
            modified_by: zxid,
            children_changed_by: zxid,
            created_ms: now_ms,
            modified_ms: now_ms,
            version: 0,
            acl_version: 0,
        }
    }

    /// Its data; empty when it has none.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.as_deref().unwrap_or_default()
    }

    /// Who may do what to it.
    #[must_use]
    pub fn acl(&self) -> &[Acl] {
        &self.acl
    }

    /// What keeps it alive.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// The names of its children, in order.
    pub(super) fn children(&self) -> impl Iterator<Item = &str> {
        self.children.iter().map(|path| path::name(path))
    }

    /// What clients see of it besides its data.
    #[must_use]
    pub fn stat(&self) -> Stat {
        let num_children = length(self.children.len());
        Stat {
            czxid: self.created_by,
            mzxid: self.modified_by,
            ctime: self.created_ms,
            mtime: self.modified_ms,
            version: self.version,
            // Counts deletions, too: each child was created once, and was deleted unless it is there.
            cversion: self.children_created.wrapping_mul(2).wrapping_sub(num_children),
            aversion: self.acl_version,
            // Containers and TTL nodes have a mark there, but servers do not show it: clients see 0.
            ephemeral_owner: match self.owner {
                Owner::Session(session) => session.0,
                Owner::Nobody | Owner::Children | Owner::Ttl(_) => 0,
            },
            data_length: length(self.data().len()),
            num_children,
            pzxid: self.children_changed_by,
        }
    }
}

/// A length as the protocol writes it.
fn length(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_children_and_nothing_below_or_beside_them() {
        let mut tree = Tree::new();
        for path in ["/a", "/a/c", "/a/c/d", "/a/c-", "/a/c/e", "/a/f", "/a.b", "/a.b/g", "/b"] {
            let acl = Arc::new([Acl::open()]);
            tree.insert(
                &path.into(),
                Znode::new(Some(path.as_bytes().into()), acl, Owner::Nobody, Zxid(1), 0),
            );
        }
        for path in ["/", "", "/a", "/a/c", "/a/c/d", "/a.b", "/b", "/none", "/a/"] {
            let names: Vec<&str> = tree.family(path).map(|(name, _)| name).collect();
            assert_eq!(names, tree.children(path).collect::<Vec<_>>(), "of {path}");
        }
        let data: Vec<&[u8]> = tree.family("/a").map(|(_, znode)| znode.data()).collect();
        assert_eq!(data, [&b"/a/c"[..], b"/a/c-", b"/a/f"]);
    }
}
