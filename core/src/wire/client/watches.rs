//! What a client remembers of the watches that it armed.
//!
//! | kind | armed by | used up by | armed again after a reconnect, if the client does that |
//! |---|---|---|---|
//! | data | a read that found the znode | created, changed, deleted | as data |
//! | exist | an exists that did not | created, changed, deleted | as exist |
//! | child | a read of children | children changed, deleted | as child |
//! | recursive | an added watch | nothing | as recursive |

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::Zxid;
use crate::op::{Change, ErrorCode, Op, OpError, Outcome, WatchKind};
use crate::path::Path;
use crate::wire::Request;
use crate::wire::client::chroot::Chroot;

/// The most bytes of paths in one request that arms watches again, as in ZooKeeper's own client: the server refuses
/// frames of a megabyte.
const BATCH_BYTES_MAX: usize = 128 * 1024;

/// Watches, by the core's paths.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    data: BTreeSet<Path>,
    exist: BTreeSet<Path>,
    child: BTreeSet<Path>,
    recursive: BTreeSet<Path>,
}

/// Which watches a change triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matching {
    /// A one-shot, which it uses up.
    pub one_shot: bool,
    /// A recursive one, at its path or above.
    pub recursive: bool,
}

impl Watches {
    /// Whether a recursive watch is armed on exactly this path.
    #[must_use]
    pub fn is_recursive(&self, path: &Path) -> bool {
        self.recursive.contains(path)
    }

    /// Which armed watches `change` at `path` triggers.
    #[must_use]
    pub fn matching(&self, change: Change, path: &str) -> Matching {
        let data = || self.data.contains(path) || self.exist.contains(path);
        let one_shot = match change {
            Change::Created | Change::DataChanged => data(),
            Change::Deleted => data() || self.child.contains(path),
            Change::ChildrenChanged => self.child.contains(path),
        };
        let recursive = match change {
            Change::Created | Change::DataChanged | Change::Deleted => {
                let ancestors = core::iter::successors(Some(path), |path| {
                    path.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty())
                });
                ancestors.chain(Some("/")).any(|path| self.recursive.contains(path))
            }
            Change::ChildrenChanged => false,
        };
        Matching { one_shot, recursive }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() + self.exist.len() + self.child.len() + self.recursive.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A request was answered: what it armed or gave up.
    pub(super) fn answered(&mut self, op: &Op, outcome: &Outcome) {
        match (op, outcome) {
            (Op::GetData { path, watch: true } | Op::Exists { path, watch: true }, Ok(_)) => {
                self.exist.remove(path);
                self.data.insert(path.clone());
            }
            (Op::Exists { path, watch: true }, Err(OpError::Refused(ErrorCode::NoNode))) => {
                self.data.remove(path);
                self.exist.insert(path.clone());
            }
            (Op::GetChildren { path, watch: true }, Ok(_)) => {
                self.child.insert(path.clone());
            }
            (Op::AddWatch { path }, Ok(_)) => {
                self.recursive.insert(path.clone());
            }
            // What the server does not have, it cannot be asked to have again.
            (Op::RemoveWatch { path, kind }, Ok(_) | Err(OpError::Refused(ErrorCode::NoWatcher))) => {
                self.removed(path, *kind);
            }
            _ => {}
        }
    }

    fn removed(&mut self, path: &Path, kind: WatchKind) {
        let (data, child, recursive) = match kind {
            WatchKind::Data => (true, false, false),
            WatchKind::Children => (false, true, false),
            // Asked for as "any", which takes the one-shots along.
            WatchKind::Recursive => (true, true, true),
        };
        if data {
            self.data.remove(path);
            self.exist.remove(path);
        }
        if child {
            self.child.remove(path);
        }
        if recursive {
            self.recursive.remove(path);
        }
    }

    /// A watch fired: uses up what is one-shot.
    pub(super) fn fired(&mut self, change: Change, path: &Path) {
        match change {
            Change::Created | Change::DataChanged => self.removed(path, WatchKind::Data),
            Change::ChildrenChanged => self.removed(path, WatchKind::Children),
            Change::Deleted => {
                self.removed(path, WatchKind::Data);
                self.removed(path, WatchKind::Children);
            }
        }
    }

    /// What arms all of them again on another connection. The recursive ones come last: a server that keeps one
    /// mode for each path (3.8, ZOOKEEPER-4466) then keeps that one, which sees all that the one-shot would.
    pub(super) fn rearm(&self, relative_zxid: Zxid, chroot: &Chroot) -> Vec<Request> {
        let mut batches = Vec::new();
        let mut batch = Batch::default();
        let lists = [&self.data, &self.exist, &self.child, &self.recursive];
        for (list, paths) in lists.into_iter().enumerate() {
            for path in paths {
                let path = chroot.full(path);
                if batch.bytes + path.len() > BATCH_BYTES_MAX && batch.bytes > 0 {
                    batches.push(core::mem::take(&mut batch).request(relative_zxid));
                }
                batch.bytes += path.len();
                batch.lists[list].push(path);
            }
        }
        if batch.bytes > 0 {
            batches.push(batch.request(relative_zxid));
        }
        batches
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.data.is_disjoint(&self.exist), "a znode was there and was not");
    }
}

#[derive(Default)]
struct Batch {
    bytes: usize,
    lists: [Vec<String>; 4],
}

impl Batch {
    /// The request of servers since 3.6 only where it is needed.
    fn request(self, relative_zxid: Zxid) -> Request {
        let [data, exist, child, recursive] = self.lists;
        if recursive.is_empty() {
            Request::SetWatches { relative_zxid, data, exist, child }
        } else {
            let persistent = Vec::new();
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;
    use crate::op::{Reply, Stat};

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    #[allow(clippy::wildcard_enum_match_arm)]
    fn armed(ops: &[Op]) -> Watches {
        let mut watches = Watches::default();
        for op in ops {
            let outcome = match op {
                Op::AddWatch { .. } => Ok(Reply::WatchAdded),
                Op::GetChildren { .. } => Ok(Reply::Children { names: vec![], stat: Stat::default() }),
                Op::Exists { .. } => Err(OpError::Refused(ErrorCode::NoNode)),
                Op::GetData { .. } => Ok(Reply::Data { data: vec![], stat: Stat::default() }),
                op => panic!("{op:?} arms nothing"),
            };
            watches.answered(op, &outcome);
        }
        watches.check_invariants();
        watches
    }

    fn rearm(watches: &Watches) -> Vec<Request> {
        watches.rearm(Zxid(9), &Chroot::new(None))
    }

    #[test]
    fn one_shots_are_armed_again_until_they_fire_and_recursive_ones_for_ever() {
        let mut watches = armed(&[
            Op::GetData { path: path("/a"), watch: true },
            Op::GetData { path: path("/b"), watch: false },
            Op::Exists { path: path("/c"), watch: true },
            Op::GetChildren { path: path("/d"), watch: true },
            Op::AddWatch { path: path("/e") },
        ]);
        let all = Request::SetWatches2 {
            relative_zxid: Zxid(9),
            data: vec!["/a".into()],
            exist: vec!["/c".into()],
            child: vec!["/d".into()],
            persistent: vec![],
            recursive: vec!["/e".into()],
        };
        assert_eq!(rearm(&watches), [all]);
        assert_eq!((watches.len(), watches.is_empty()), (4, false));
        assert!(Watches::default().is_empty());
        for (change, at) in [
            (Change::DataChanged, "/a"),
            (Change::Created, "/c"),
            (Change::ChildrenChanged, "/d"),
            (Change::Deleted, "/e"),
        ] {
            watches.fired(change, &path(at));
        }
        let lists = [vec![], vec![], vec![], vec!["/e".into()]];
        assert_eq!(rearm(&watches), [Batch { bytes: 2, lists }.request(Zxid(9))]);
    }

    #[test]
    fn no_request_is_larger_than_a_batch_unless_one_path_is() {
        const LEN: usize = 512;
        let batches = |lens: &[usize]| {
            let watch = |(number, len): (usize, &usize)| Op::GetData {
                path: path(&format!("/{number:0>width$}", width = len - 1)),
                watch: true,
            };
            let ops: Vec<Op> = lens.iter().enumerate().map(watch).collect();
            rearm(&armed(&ops)).len()
        };
        let mut lens = vec![LEN; BATCH_BYTES_MAX / LEN];
        assert_eq!(batches(&lens), 1, "just full");
        lens.push(2);
        assert_eq!(batches(&lens), 2);
        let long =
            (0..=BATCH_BYTES_MAX / LEN).map(|_| format!("/{}", "x".repeat(LEN - 1))).collect::<String>();
        let watches = armed(&[Op::GetData { path: path(&long), watch: true }]);
        assert_eq!(rearm(&watches).len(), 1, "alone");
    }

    #[test]
    fn a_deletion_uses_up_every_one_shot_of_its_path() {
        let mut watches = armed(&[
            Op::GetData { path: path("/a"), watch: true },
            Op::GetChildren { path: path("/a"), watch: true },
            Op::GetChildren { path: path("/a/b"), watch: true },
        ]);
        watches.fired(Change::Deleted, &path("/a"));
        assert_eq!(watches.len(), 1);
    }

    #[test]
    fn a_change_tells_which_watches_it_triggers() {
        let watches =
            armed(&[Op::AddWatch { path: path("/d") }, Op::GetData { path: path("/d/x"), watch: true }]);
        let matching = |change, at| {
            let Matching { one_shot, recursive } = watches.matching(change, at);
            (one_shot, recursive)
        };
        assert_eq!(matching(Change::Deleted, "/d/x"), (true, true));
        assert_eq!(matching(Change::Created, "/d/y/z"), (false, true));
        assert_eq!(matching(Change::ChildrenChanged, "/d"), (false, false));
        assert_eq!(matching(Change::Deleted, "/e"), (false, false));
        assert_eq!(matching(Change::Deleted, "/"), (false, false));
        assert!(armed(&[Op::AddWatch { path: Path::root() }]).matching(Change::Created, "/x/y").recursive);
    }

    #[test]
    fn removing_the_recursive_one_takes_the_one_shots_along_as_the_server_does() {
        let mut watches = armed(&[
            Op::GetChildren { path: path("/a"), watch: true },
            Op::AddWatch { path: path("/a") },
            Op::GetData { path: path("/b"), watch: true },
        ]);
        let remove = Op::RemoveWatch { path: path("/a"), kind: WatchKind::Recursive };
        watches.answered(&remove, &Err(OpError::Unknown));
        assert_eq!(watches.len(), 3, "nobody knows whether it was removed");
        watches.answered(&remove, &Ok(Reply::WatchRemoved));
        assert_eq!(watches.len(), 1);
    }

    #[test]
    fn long_lists_go_in_batches_and_only_the_last_ones_need_a_new_server() {
        let mut watches = Watches::default();
        for i in 0..3_000 {
            watches.data.insert(path(&format!("/{i:0100}")));
        }
        watches.recursive.insert(path("/r"));
        let batches = rearm(&watches);
        assert_eq!(batches.len(), 3);
        let mut seen = 0;
        for batch in &batches[..2] {
            let Request::SetWatches { data, .. } = batch else { panic!("{batch:?}") };
            let bytes: usize = data.iter().map(String::len).sum();
            assert!(bytes <= BATCH_BYTES_MAX && bytes > BATCH_BYTES_MAX - 102, "{bytes}");
            seen += data.len();
        }
        let Request::SetWatches2 { data, recursive, .. } = &batches[2] else { panic!("{:?}", batches[2]) };
        assert_eq!((seen + data.len(), recursive.len()), (3_000, 1));
    }
}
