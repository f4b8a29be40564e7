//! Death is for ever: the creation of a lease record is sent once, nothing names the record before that was acknowledged, and
//! a record that was deleted never returns (rule 2).

use std::collections::BTreeMap;

use queenright_core::op::{Op, Write};
use queenright_core::{Path, Zxid};

use super::{Life, Violation};
use crate::zookeeper::Tree;

const PROPERTY: &str = "lease names";

/// Follows every name that was ever drawn.
#[derive(Debug, Default)]
pub struct LeaseNames {
    names: BTreeMap<String, Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// Its creation was sent, and perhaps lost.
    Sent,
    /// Its creation was acknowledged: it may be used.
    Usable,
}

/// When each record in the tree was created.
#[derive(Debug)]
pub struct LeaseRecords {
    /// The path of their directory.
    leases: String,
    created: BTreeMap<String, Zxid>,
    /// The transaction that last added or removed one.
    seen: Option<Zxid>,
}

impl LeaseNames {
    /// A coordinator put a request out.
    ///
    /// # Errors
    /// When it creates a record for the second time, or its own claim or beat names one that is not known to be there.
    pub fn requested(&mut self, life: Life, op: &Op) -> Result<(), Violation> {
        let wrong = |what: String| Err(Violation::new(PROPERTY, format!("{life} {what}")));
        if let Op::Create { path, .. } = op
            && is_lease(path)
        {
            return match self.names.insert(path.to_string(), Name::Sent) {
                Some(_) => wrong(format!("sends the creation of {path} for the second time")),
                None => Ok(()),
            };
        }
        match written(op).find(|path| self.names.get(path.as_str()) != Some(&Name::Usable)) {
            Some(path) => wrong(format!("writes to {path}, which was never acknowledged")),
            None => Ok(()),
        }
    }

    /// The creation of the record at `path` was acknowledged.
    pub fn created(&mut self, path: &Path) {
        if let Some(name) = self.names.get_mut(path.as_str()) {
            *name = Name::Usable;
        }
    }
}

impl LeaseRecords {
    /// Those of the coordinators with this root.
    #[must_use]
    pub fn new(root: &str) -> Self {
        Self { leases: format!("{root}/leases"), created: BTreeMap::new(), seen: None }
    }

    /// The tree has changed, perhaps.
    ///
    /// # Errors
    /// When a record is there again.
    pub fn tree_changed(&mut self, tree: &Tree) -> Result<(), Violation> {
        let changed = tree.get(&self.leases).map(|znode| znode.stat().pzxid);
        if self.seen == changed {
            return Ok(());
        }
        self.seen = changed;
        for (name, znode) in tree.family(&self.leases) {
            let czxid = znode.stat().czxid;
            match self.created.get(name) {
                None => drop(self.created.insert(name.to_owned(), czxid)),
                Some(before) if *before != czxid => {
                    return Err(Violation::new(PROPERTY, format!("{name} was deleted, and is there again")));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn is_lease(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.file_name() == "leases")
}

/// The records that an operation sets.
fn written(op: &Op) -> impl Iterator<Item = &Path> {
    let (alone, parts) = match op {
        Op::SetData { path, .. } => (Some(path), &[][..]),
        Op::Multi(parts) => (None, parts.as_slice()),
        Op::Create { .. }
        | Op::Delete { .. }
        | Op::GetData { .. }
        | Op::Exists { .. }
        | Op::GetChildren { .. }
        | Op::AddWatch { .. }
        | Op::RemoveWatch { .. }
        | Op::Sync { .. } => (None, &[][..]),
    };
    let set = parts.iter().filter_map(|part| match part {
        Write::SetData { path, .. } => Some(path),
        Write::Create { .. } | Write::Delete { .. } | Write::Check { .. } => None,
    });
    alone.into_iter().chain(set).filter(|path| is_lease(path))
}

#[cfg(test)]
mod tests {
    use queenright_core::op::{CreateMode, Version};

    use super::*;
    use crate::checkers::testing::Server;

    const A: Life = Life { node: 0, number: 0 };

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    fn create(text: &str) -> Op {
        Op::Create { path: path(text), data: vec![], mode: CreateMode::Persistent }
    }

    fn beat(text: &str) -> Op {
        Op::SetData { path: path(text), data: vec![], version: Version::Any }
    }

    #[test]
    fn a_creation_sent_twice_is_seen() {
        let mut names = LeaseNames::default();
        names.requested(A, &create("/q/leases/r")).unwrap();
        names.requested(A, &create("/q/leases/s")).unwrap();
        names.requested(A, &create("/q/globals/g")).unwrap();
        names.requested(A, &create("/q/globals/g")).unwrap();
        assert!(names.requested(A, &create("/q/leases/r")).is_err());
    }

    #[test]
    fn a_name_that_is_used_before_its_acknowledgement_is_seen() {
        let mut names = LeaseNames::default();
        names.requested(A, &create("/q/leases/r")).unwrap();
        assert!(names.requested(A, &beat("/q/leases/r")).is_err());
        let write = Write::SetData { path: path("/q/leases/r"), data: vec![], version: Version::Any };
        assert!(names.requested(A, &Op::Multi(vec![write.clone()])).is_err());
        names.created(&path("/q/leases/r"));
        names.requested(A, &beat("/q/leases/r")).unwrap();
        names.requested(A, &Op::Multi(vec![write])).unwrap();
    }

    #[test]
    fn a_record_that_returns_is_seen() {
        let mut records = LeaseRecords::new("/q");
        let mut server = Server::new();
        server.create("/q/leases/r", b"", None);
        records.tree_changed(server.tree()).unwrap();
        server.delete("/q/leases/r");
        records.tree_changed(server.tree()).unwrap();
        server.create("/q/leases/s", b"", None);
        records.tree_changed(server.tree()).unwrap();
        server.create("/q/leases/r", b"", None);
        assert!(records.tree_changed(server.tree()).is_err());
    }
}
