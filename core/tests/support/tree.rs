//! A ZooKeeper of one server and one watching client, as far as the core can tell: enough to answer its
//! requests. Everybody else's writes are applied by name, and what the client watches is noted as events.
//!
//! This is a partner for tests of the core alone. The simulator's model is the faithful one.

use std::collections::{BTreeMap, BTreeSet};

use queenright_core::op::{
    Change, CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Stat, Version, WatchEvent, WatchKind, Write,
    WriteReply,
};
use queenright_core::{Path, SessionId, Zxid};

#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    znodes: BTreeMap<Path, Znode>,
    /// The next sequence number of a child, where it is not simply the count of creations.
    sequences: BTreeMap<Path, i32>,
    zxid: i64,
    one_shots: BTreeSet<Path>,
    recursive: BTreeSet<Path>,
    events: Vec<WatchEvent>,
}

#[derive(Clone, Debug)]
pub(crate) struct Znode {
    pub(crate) data: Vec<u8>,
    pub(crate) stat: Stat,
}

impl Tree {
    /// A tree whose first write gets the zxid after `zxid`.
    pub(crate) fn new(zxid: i64) -> Self {
        let root = Znode { data: Vec::new(), stat: Stat::default() };
        Self { znodes: BTreeMap::from([(Path::root(), root)]), zxid, ..Self::default() }
    }

    /// The watching client's operation.
    pub(crate) fn apply(&mut self, session: SessionId, op: &Op) -> Outcome {
        match op {
            Op::Create { path, data, mode } => self.write(|tree| {
                let path = tree.create(session, path, data, *mode)?;
                let stat = tree.znodes[&path].stat;
                Ok(Reply::Created { path, stat })
            }),
            Op::Delete { path, version } => {
                self.write(|tree| tree.delete(path, *version).map(|()| Reply::Deleted))
            }
            Op::SetData { path, data, version } => {
                self.write(|tree| tree.set(path, data, *version).map(|stat| Reply::Set { stat }))
            }
            Op::GetData { path, watch } => {
                let znode = self.znodes.get(path).ok_or(OpError::Refused(ErrorCode::NoNode))?;
                let reply = Reply::Data { data: znode.data.clone(), stat: znode.stat };
                if *watch {
                    self.one_shots.insert(path.clone());
                }
                Ok(reply)
            }
            Op::Exists { path, watch } => {
                if *watch {
                    self.one_shots.insert(path.clone());
                }
                let znode = self.znodes.get(path).ok_or(OpError::Refused(ErrorCode::NoNode))?;
                Ok(Reply::Exists { stat: znode.stat })
            }
            Op::GetChildren { path, watch } => {
                assert!(!watch, "the core leaves no child watches");
                let stat = self.znodes.get(path).ok_or(OpError::Refused(ErrorCode::NoNode))?.stat;
                let names = self.children(path).map(|child| child.file_name().to_owned()).collect();
                Ok(Reply::Children { names, stat })
            }
            Op::AddWatch { path } => {
                self.recursive.insert(path.clone());
                Ok(Reply::WatchAdded)
            }
            Op::RemoveWatch { path, kind } => {
                let was_there = match kind {
                    WatchKind::Data => self.one_shots.remove(path),
                    WatchKind::Recursive => self.recursive.remove(path),
                    WatchKind::Children => panic!("the core leaves no child watches"),
                };
                if was_there { Ok(Reply::WatchRemoved) } else { Err(OpError::Refused(ErrorCode::NoWatcher)) }
            }
            Op::Multi(writes) => self.multi(session, writes),
            Op::Sync { .. } => Ok(Reply::Synced),
        }
    }

    /// The end of a session, as the server decides it.
    pub(crate) fn expire(&mut self, session: SessionId) {
        self.zxid += 1;
        let owned: Vec<Path> = self
            .znodes
            .iter()
            .filter(|(_, znode)| znode.stat.owner() == Some(session))
            .map(|(path, _)| path.clone())
            .collect();
        for path in owned {
            self.znodes.remove(&path);
            self.fire(Change::Deleted, &path);
        }
    }

    /// The client's connection broke: its watches are gone, and what they had to say with them.
    pub(crate) fn disconnect(&mut self) {
        self.one_shots.clear();
        self.recursive.clear();
        self.events.clear();
    }

    pub(crate) fn take_events(&mut self) -> Vec<WatchEvent> {
        std::mem::take(&mut self.events)
    }

    /// Every znode but the root, in the order of paths.
    pub(crate) fn znodes(&self) -> impl Iterator<Item = (&Path, &Znode)> {
        self.znodes.iter().filter(|(path, _)| path.as_str() != "/")
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&Znode> {
        self.znodes.get(path)
    }

    pub(crate) fn children<'a>(&'a self, parent: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.znodes.keys().filter(move |path| path.parent().as_ref() == Some(parent))
    }

    pub(crate) fn set_next_sequence(&mut self, parent: Path, next: i32) {
        self.sequences.insert(parent, next);
    }

    pub(crate) fn set_version(&mut self, path: &Path, version: i32) {
        self.znodes.get_mut(path).expect("no such znode").stat.version = version;
    }

    pub(crate) fn zxid(&self) -> Zxid {
        Zxid(self.zxid)
    }

    /// Every write costs a zxid, a failed one too, and a failed one leaves nothing else behind.
    fn write(&mut self, write: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.zxid += 1;
        write(self)
    }

    fn multi(&mut self, session: SessionId, writes: &[Write]) -> Outcome {
        self.zxid += 1;
        let mut after = self.clone();
        let mut replies = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            let reply = match write {
                Write::Create { path, data, mode } => {
                    after.create(session, path, data, *mode).map(|_| WriteReply::Created)
                }
                Write::Delete { path, version } => after.delete(path, *version).map(|()| WriteReply::Deleted),
                Write::SetData { path, data, version } => {
                    after.set(path, data, *version).map(|stat| WriteReply::Set { stat })
                }
                Write::Check { path, version } => after.check(path, *version).map(|()| WriteReply::Checked),
            };
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    let index = u32::try_from(index).expect("a short transaction");
                    let code = error.code().expect("the tree refuses with a code");
                    return Err(OpError::RefusedAt { index, code });
                }
            }
        }
        *self = after;
        Ok(Reply::Multi(replies))
    }

    fn create(
        &mut self,
        session: SessionId,
        path: &Path,
        data: &[u8],
        mode: CreateMode,
    ) -> Result<Path, OpError> {
        let parent = path.parent().expect("the root exists");
        let Some(above) = self.znodes.get_mut(&parent) else {
            return Err(OpError::Refused(ErrorCode::NoNode));
        };
        let is_ephemeral = matches!(mode, CreateMode::Ephemeral | CreateMode::EphemeralSequential);
        let path = if mode == CreateMode::EphemeralSequential {
            let next = self.sequences.entry(parent.clone()).or_insert(above.stat.cversion);
            let sequence = *next;
            *next = next.wrapping_add(1);
            Path::new(format!("{path}{sequence:010}")).expect("a path with a number is a path")
        } else {
            path.clone()
        };
        if self.znodes.contains_key(&path) {
            return Err(OpError::Refused(ErrorCode::NodeExists));
        }
        let zxid = Zxid(self.zxid);
        let above = self.znodes.get_mut(&parent).expect("it was there");
        above.stat.cversion += 1;
        above.stat.pzxid = zxid;
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ephemeral_owner: if is_ephemeral { session.0 } else { 0 },
            ..Stat::default()
        };
        self.znodes.insert(path.clone(), Znode { data: data.to_vec(), stat });
        self.fire(Change::Created, &path);
        Ok(path)
    }

    fn delete(&mut self, path: &Path, version: Version) -> Result<(), OpError> {
        self.check(path, version)?;
        if self.children(path).next().is_some() {
            return Err(OpError::Refused(ErrorCode::NotEmpty));
        }
        self.znodes.remove(path);
        self.fire(Change::Deleted, path);
        Ok(())
    }

    fn set(&mut self, path: &Path, data: &[u8], version: Version) -> Result<Stat, OpError> {
        self.check(path, version)?;
        let zxid = Zxid(self.zxid);
        let znode = self.znodes.get_mut(path).expect("it was checked");
        znode.data = data.to_vec();
        znode.stat.version = znode.stat.version.wrapping_add(1);
        znode.stat.mzxid = zxid;
        let stat = znode.stat;
        self.fire(Change::DataChanged, path);
        Ok(stat)
    }

    fn check(&self, path: &Path, version: Version) -> Result<(), OpError> {
        let znode = self.znodes.get(path).ok_or(OpError::Refused(ErrorCode::NoNode))?;
        match version {
            Version::Any => Ok(()),
            Version::Exactly(version) if version == znode.stat.version => Ok(()),
            Version::Exactly(_) => Err(OpError::Refused(ErrorCode::BadVersion)),
        }
    }

    fn fire(&mut self, change: Change, path: &Path) {
        let had_one_shot = self.one_shots.remove(path);
        let is_below_recursive =
            self.recursive.iter().any(|above| above == path || path.below(above).is_some());
        if had_one_shot || is_below_recursive {
            self.events.push(WatchEvent { change, path: path.clone(), zxid: None });
        }
    }
}
