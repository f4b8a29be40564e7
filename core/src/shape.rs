//! Which answers fit a request. Answers come from outside: one that does not fit says nothing.

use crate::op::{CreateMode, Op, Reply};
use crate::path::Path;

/// What must come back if the request succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Shape {
    Created(Path),
    /// With the sequence number that the server appends.
    CreatedInSequence(Path),
    Deleted,
    Set,
    Data,
    Exists,
    Children,
    WatchAdded,
    WatchRemoved,
    /// One answer for each write.
    Multi(usize),
    Synced,
}

impl Shape {
    pub(crate) fn of(op: &Op) -> Self {
        match op {
            Op::Create { path, mode: CreateMode::EphemeralSequential, .. } => {
                Self::CreatedInSequence(path.clone())
            }
            Op::Create {
                path,
                mode: CreateMode::Persistent | CreateMode::Ephemeral | CreateMode::Container,
                ..
            } => Self::Created(path.clone()),
            Op::Delete { .. } => Self::Deleted,
            Op::SetData { .. } => Self::Set,
            Op::GetData { .. } => Self::Data,
            Op::Exists { .. } => Self::Exists,
            Op::GetChildren { .. } => Self::Children,
            Op::AddWatch { .. } => Self::WatchAdded,
            Op::RemoveWatch { .. } => Self::WatchRemoved,
            Op::Multi(writes) => Self::Multi(writes.len()),
            Op::Sync { .. } => Self::Synced,
        }
    }

    /// Whether an older view of the server could mislead.
    pub(crate) fn is_read(&self) -> bool {
        match self {
            Self::Data | Self::Exists | Self::Children => true,
            Self::Created(_)
            | Self::CreatedInSequence(_)
            | Self::Deleted
            | Self::Set
            | Self::WatchAdded
            | Self::WatchRemoved
            | Self::Multi(_)
            | Self::Synced => false,
        }
    }

    /// Whether the leader decided it: such an answer is never behind one that any server gave before. All others come
    /// from the server that the client is connected to, which may be.
    pub(crate) fn is_write(&self) -> bool {
        match self {
            Self::Created(_) | Self::CreatedInSequence(_) | Self::Deleted | Self::Set | Self::Multi(_) => {
                true
            }
            Self::Data
            | Self::Exists
            | Self::Children
            | Self::WatchAdded
            | Self::WatchRemoved
            | Self::Synced => false,
        }
    }

    pub(crate) fn fits(&self, reply: &Reply) -> bool {
        match reply {
            Reply::Created { path: created, .. } => match self {
                Self::Created(path) => created == path,
                Self::CreatedInSequence(path) => {
                    created.as_str().strip_prefix(path.as_str()).is_some_and(is_sequence)
                }
                Self::Deleted
                | Self::Set
                | Self::Data
                | Self::Exists
                | Self::Children
                | Self::WatchAdded
                | Self::WatchRemoved
                | Self::Multi(_)
                | Self::Synced => false,
            },
            Reply::Deleted => *self == Self::Deleted,
            Reply::Set { .. } => *self == Self::Set,
            Reply::Data { .. } => *self == Self::Data,
            Reply::Exists { .. } => *self == Self::Exists,
            Reply::Children { .. } => *self == Self::Children,
            Reply::WatchAdded => *self == Self::WatchAdded,
            Reply::WatchRemoved => *self == Self::WatchRemoved,
            Reply::Multi(replies) => *self == Self::Multi(replies.len()),
            Reply::Synced => *self == Self::Synced,
        }
    }
}

/// A signed 32-bit integer in at least ten digits, which wraps.
pub(crate) fn is_sequence(text: &str) -> bool {
    text.len() >= 10 && !text.starts_with('+') && text.parse::<i32>().is_ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::op::{Stat, Version};

    fn created(path: &str) -> Reply {
        Reply::Created { path: Path::new(path).unwrap(), stat: Stat::default() }
    }

    fn create(path: &str, mode: CreateMode) -> Shape {
        Shape::of(&Op::Create { path: Path::new(path).unwrap(), data: vec![], mode })
    }

    #[test]
    fn a_creation_is_answered_with_its_own_path() {
        let plain = create("/q/a-", CreateMode::Persistent);
        assert!(plain.fits(&created("/q/a-")));
        assert!(!plain.fits(&created("/q/a-0000000001")));
        assert!(!plain.fits(&created("/")));

        let sequential = create("/q/a-", CreateMode::EphemeralSequential);
        for good in ["/q/a-0000000001", "/q/a--000000001", "/q/a--2147483648", "/q/a-2147483647"] {
            assert!(sequential.fits(&created(good)), "{good}");
        }
        for bad in ["/", "/q", "/q/a-", "/q/a-1", "/q/b-0000000001", "/q/a-x/0000000001", "/q/a-+000000001"] {
            assert!(!sequential.fits(&created(bad)), "{bad}");
        }
    }

    #[test]
    fn what_was_not_asked_is_no_answer() {
        let delete = Shape::of(&Op::Delete { path: Path::root(), version: Version::Any });
        assert!(delete.fits(&Reply::Deleted));
        assert!(!delete.fits(&Reply::Synced));
        assert!(!delete.fits(&created("/")));
        let multi = Shape::of(&Op::Multi(vec![]));
        assert!(multi.fits(&Reply::Multi(vec![])));
        assert!(!multi.fits(&Reply::Multi(vec![crate::op::WriteReply::Deleted])));
    }
}
