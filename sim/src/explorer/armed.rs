//! What a client remembers of the watches that it armed.

use std::collections::BTreeSet;

use queenright_core::op::{Change, ErrorCode, Op, OpError, Outcome, WatchKind};
use queenright_core::wire::Request;
use queenright_core::{Path, Zxid};

use super::plan::OneShots;

/// The watches of one session.
#[derive(Debug, Default)]
pub(super) struct Armed {
    /// On the data of znodes that were there.
    data: BTreeSet<Path>,
    /// On znodes that were not there.
    exist: BTreeSet<Path>,
    child: BTreeSet<Path>,
    recursive: BTreeSet<Path>,
}

/// Which of the streams of the client tell of one event: each watch that it matches has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    /// It used a one-shot watch up.
    OneShot,
    /// A recursive watch covers it.
    Recursive,
    /// Both.
    Both,
}

impl Armed {
    /// A request was answered: what it armed or gave up.
    pub(super) fn answered(&mut self, op: &Op, outcome: &Outcome) {
        match (op, outcome) {
            (Op::GetData { path, watch: true } | Op::Exists { path, watch: true }, Ok(_)) => {
                self.data.insert(path.clone());
            }
            (Op::Exists { path, watch: true }, Err(OpError::Refused(ErrorCode::NoNode))) => {
                self.exist.insert(path.clone());
            }
            (Op::GetChildren { path, watch: true }, Ok(_)) => {
                self.child.insert(path.clone());
            }
            (Op::AddWatch { path }, Ok(_)) => {
                self.recursive.insert(path.clone());
            }
            (Op::RemoveWatch { path, kind }, Ok(_)) => self.remove(path, *kind),
            _ => {}
        }
    }

    fn remove(&mut self, path: &Path, kind: WatchKind) {
        match kind {
            WatchKind::Data => {
                self.data.remove(path);
                self.exist.remove(path);
            }
            WatchKind::Children => {
                self.child.remove(path);
            }
            WatchKind::Recursive => {
                self.recursive.remove(path);
            }
        }
    }

    /// A watch fired: uses up what is one-shot.
    pub(super) fn fired(&mut self, change: Change, path: &Path) -> Streams {
        let was_data = self.data.contains(path) || self.exist.contains(path);
        let was_one_shot = match change {
            Change::Created | Change::DataChanged => was_data,
            Change::Deleted => was_data || self.child.contains(path),
            Change::ChildrenChanged => true,
        };
        match change {
            Change::Created | Change::DataChanged => {
                self.data.remove(path);
                self.exist.remove(path);
            }
            Change::Deleted => {
                self.data.remove(path);
                self.exist.remove(path);
                self.child.remove(path);
            }
            Change::ChildrenChanged => {
                self.child.remove(path);
            }
        }
        let is_below = self.recursive.iter().any(|tree| tree == path || path.below(tree).is_some());
        match (was_one_shot, is_below && change != Change::ChildrenChanged) {
            (true, true) => Streams::Both,
            (false, true) => Streams::Recursive,
            (_, false) => Streams::OneShot,
        }
    }

    /// A reconnect within the session, as zookeeper-client 0.11 does it: one-shot watches are armed again by one
    /// request, if the plan wants it so; recursive ones are not, although the client keeps their streams.
    pub(super) fn reconnected(&mut self, one_shots: OneShots, relative_zxid: Zxid) -> Option<Request> {
        match one_shots {
            OneShots::Rearmed => {}
            OneShots::Lost => {
                self.data.clear();
                self.exist.clear();
                self.child.clear();
            }
        }
        if self.data.is_empty() && self.exist.is_empty() && self.child.is_empty() {
            return None;
        }
        let text = |paths: &BTreeSet<Path>| paths.iter().map(|path| path.as_str().to_owned()).collect();
        Some(Request::SetWatches {
            relative_zxid,
            data: text(&self.data),
            exist: text(&self.exist),
            child: text(&self.child),
        })
    }

    /// A new session has none.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use queenright_core::op::{Reply, Stat};

    use super::*;

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    #[test]
    fn one_shots_are_armed_again_until_they_fire_and_recursive_ones_are_forgotten() {
        let mut armed = Armed::default();
        let data = || Ok(Reply::Data { data: vec![], stat: Stat::default() });
        armed.answered(&Op::GetData { path: path("/a"), watch: true }, &data());
        armed.answered(&Op::GetData { path: path("/b"), watch: false }, &data());
        armed.answered(
            &Op::Exists { path: path("/c"), watch: true },
            &Err(OpError::Refused(ErrorCode::NoNode)),
        );
        armed.answered(&Op::AddWatch { path: path("/d") }, &Ok(Reply::WatchAdded));
        let Some(Request::SetWatches { data, exist, child, .. }) =
            armed.reconnected(OneShots::Rearmed, Zxid(3))
        else {
            panic!("nothing is armed");
        };
        assert_eq!((data, exist, child), (vec!["/a".to_owned()], vec!["/c".to_owned()], vec![]));
        armed.fired(Change::DataChanged, &path("/a"));
        armed.fired(Change::Created, &path("/c"));
        assert_eq!(armed.reconnected(OneShots::Rearmed, Zxid(3)), None);
    }

    #[test]
    fn an_event_comes_once_for_each_watch_that_it_matches() {
        let mut armed = Armed::default();
        armed.answered(&Op::AddWatch { path: path("/d") }, &Ok(Reply::WatchAdded));
        let data = Ok(Reply::Data { data: vec![], stat: Stat::default() });
        armed.answered(&Op::GetData { path: path("/d/x"), watch: true }, &data);
        assert_eq!(armed.fired(Change::Deleted, &path("/d/x")), Streams::Both);
        assert_eq!(armed.fired(Change::Created, &path("/d/x")), Streams::Recursive);
        assert_eq!(armed.fired(Change::Deleted, &path("/e")), Streams::OneShot);
        assert_eq!(armed.fired(Change::ChildrenChanged, &path("/d")), Streams::OneShot);
    }
}
