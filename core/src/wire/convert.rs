//! Between the core's operations and the protocol's records.

use alloc::string::String;
use alloc::vec::Vec;

use crate::op::{CreateMode, Op, OpError, Outcome, Reply, Version, WatchEvent, WatchKind, Write, WriteReply};
use crate::path::Path;
use crate::wire::{
    Acl, AddWatchMode, Check, Create, CreateFlags, CreateForm, Delete, ErrorCode, MultiRequest, MultiResult,
    OpCode, Read, Request, Response, SetData, WatchedEvent, WatcherType,
};

/// The request that carries out `op`. Created znodes get `acl`.
///
/// It always asks for the form of answer that has a stat.
#[must_use]
pub fn request(op: &Op, acl: &[Acl]) -> Request {
    match op {
        Op::Create { path, data, mode } => Request::Create(create(path, data, *mode, acl)),
        Op::Delete { path, version } => Request::Delete(delete(path, *version)),
        Op::SetData { path, data, version } => Request::SetData(set_data(path, data, *version)),
        Op::GetData { path, watch } => Request::GetData(Read { path: text(path), watch: *watch }),
        Op::Exists { path, watch } => Request::Exists(Read { path: text(path), watch: *watch }),
        Op::GetChildren { path, watch } => Request::GetChildren2(Read { path: text(path), watch: *watch }),
        Op::AddWatch { path } => {
            Request::AddWatch { path: text(path), mode: AddWatchMode::PersistentRecursive }
        }
        Op::RemoveWatch { path, kind } => {
            let watcher = match kind {
                WatchKind::Data => WatcherType::Data,
                WatchKind::Children => WatcherType::Children,
                // The exact type exists since 3.9 only; this one takes the one-shots at the same path along.
                WatchKind::Recursive => WatcherType::Any,
            };
            Request::RemoveWatches { path: text(path), watcher }
        }
        Op::Multi(writes) => Request::Multi(writes.iter().map(|write| multi_request(write, acl)).collect()),
        Op::Sync { path } => Request::Sync { path: text(path) },
    }
}

/// The type of [`request`]`(op, …)`.
#[must_use]
pub const fn opcode(op: &Op) -> OpCode {
    match op {
        Op::Create { mode: CreateMode::Container, .. } => OpCode::CreateContainer,
        Op::Create { .. } => OpCode::Create2,
        Op::Delete { .. } => OpCode::Delete,
        Op::SetData { .. } => OpCode::SetData,
        Op::GetData { .. } => OpCode::GetData,
        Op::Exists { .. } => OpCode::Exists,
        Op::GetChildren { .. } => OpCode::GetChildren2,
        Op::AddWatch { .. } => OpCode::AddWatch,
        Op::RemoveWatch { .. } => OpCode::RemoveWatches,
        Op::Multi(_) => OpCode::Multi,
        Op::Sync { .. } => OpCode::Sync,
    }
}

/// How many bytes the frame of `op` takes at most, when its access control list takes `acl_len` and `chroot_len` more
/// stand before each path.
#[must_use]
pub fn frame_len(op: &Op, chroot_len: usize, acl_len: usize) -> usize {
    /// Headers, versions, flags and lengths around paths and data: a generous bound.
    const OVERHEAD: usize = 64;
    let path_len = |path: &Path| OVERHEAD + chroot_len + path.as_str().len();
    match op {
        Op::Create { path, data, .. } => path_len(path) + data.len() + acl_len,
        Op::SetData { path, data, .. } => path_len(path) + data.len(),
        Op::Delete { path, .. }
        | Op::GetData { path, .. }
        | Op::Exists { path, .. }
        | Op::GetChildren { path, .. }
        | Op::AddWatch { path }
        | Op::RemoveWatch { path, .. }
        | Op::Sync { path } => path_len(path),
        Op::Multi(writes) => {
            let write_len = |write: &Write| match write {
                Write::Create { path, data, .. } => path_len(path) + data.len() + acl_len,
                Write::SetData { path, data, .. } => path_len(path) + data.len(),
                Write::Delete { path, .. } | Write::Check { path, .. } => path_len(path),
            };
            OVERHEAD + writes.iter().map(write_len).sum::<usize>()
        }
    }
}

/// What `result`, the server's answer to [`request`]`(op, …)`, means to the core.
///
/// An answer that does not fit the operation, or that leaves open whether it was applied, is
/// [`OpError::Unknown`].
pub fn outcome(op: &Op, result: Result<Response, ErrorCode>) -> Outcome {
    let response = result.map_err(|code| code.definite().map_or(OpError::Unknown, OpError::Refused))?;
    let reply = match (op, response) {
        (Op::Create { .. }, Response::Create2 { path, stat }) => {
            Path::new(path).ok().map(|path| Reply::Created { path, stat })
        }
        (Op::Delete { .. }, Response::Delete) => Some(Reply::Deleted),
        (Op::SetData { .. }, Response::SetData { stat }) => Some(Reply::Set { stat }),
        (Op::GetData { .. }, Response::GetData { data, stat }) => {
            Some(Reply::Data { data: data.unwrap_or_default(), stat })
        }
        (Op::Exists { .. }, Response::Exists { stat }) => Some(Reply::Exists { stat }),
        (Op::GetChildren { .. }, Response::GetChildren2 { children, stat }) => {
            Some(Reply::Children { names: children, stat })
        }
        (Op::AddWatch { .. }, Response::AddWatch) => Some(Reply::WatchAdded),
        (Op::RemoveWatch { .. }, Response::RemoveWatches) => Some(Reply::WatchRemoved),
        (Op::Multi(writes), Response::Multi(results)) => return multi_outcome(writes, &results),
        (Op::Sync { .. }, Response::Sync { .. }) => Some(Reply::Synced),
        _ => None,
    };
    reply.ok_or(OpError::Unknown)
}

/// What a notification means to the core; `None` when its path is none.
#[must_use]
pub fn watch_event(event: WatchedEvent) -> Option<WatchEvent> {
    let WatchedEvent { change, path, zxid } = event;
    let path = Path::new(path).ok()?;
    Some(WatchEvent { change, path, zxid: (zxid.0 >= 0).then_some(zxid) })
}

fn multi_request(write: &Write, acl: &[Acl]) -> MultiRequest {
    match write {
        Write::Create { path, data, mode } => MultiRequest::Create(create(path, data, *mode, acl)),
        Write::Delete { path, version } => MultiRequest::Delete(delete(path, *version)),
        Write::SetData { path, data, version } => MultiRequest::SetData(set_data(path, data, *version)),
        Write::Check { path, version } => {
            MultiRequest::Check(Check { path: text(path), version: number(*version) })
        }
    }
}

fn multi_outcome(writes: &[Write], results: &[MultiResult]) -> Outcome {
    if writes.len() != results.len() {
        return Err(OpError::Unknown);
    }
    let mut replies = Vec::with_capacity(results.len());
    for (index, (write, result)) in writes.iter().zip(results).enumerate() {
        let reply = match (write, result) {
            (Write::Create { .. }, MultiResult::Create { .. } | MultiResult::Create2 { .. }) => {
                Some(WriteReply::Created)
            }
            (Write::Delete { .. }, MultiResult::Delete) => Some(WriteReply::Deleted),
            (Write::SetData { .. }, MultiResult::SetData { stat }) => Some(WriteReply::Set { stat: *stat }),
            (Write::Check { .. }, MultiResult::Check) => Some(WriteReply::Checked),
            // A part before the one that failed: the answer stands further on.
            (_, MultiResult::Error(ErrorCode::OK)) => None,
            (_, MultiResult::Error(code)) => return Err(refused_at(index, *code)),
            _ => return Err(OpError::Unknown),
        };
        replies.extend(reply);
    }
    if replies.len() == writes.len() { Ok(Reply::Multi(replies)) } else { Err(OpError::Unknown) }
}

fn refused_at(index: usize, code: ErrorCode) -> OpError {
    match (u32::try_from(index), code.definite()) {
        (Ok(index), Some(code)) => OpError::RefusedAt { index, code },
        _ => OpError::Unknown,
    }
}

fn create(path: &Path, data: &[u8], mode: CreateMode, acl: &[Acl]) -> Create {
    let (form, flags) = match mode {
        CreateMode::Persistent => (CreateForm::Create2, CreateFlags::PERSISTENT),
        CreateMode::Ephemeral => (CreateForm::Create2, CreateFlags::EPHEMERAL),
        CreateMode::EphemeralSequential => (CreateForm::Create2, CreateFlags::EPHEMERAL_SEQUENTIAL),
        CreateMode::Container => (CreateForm::Container, CreateFlags::CONTAINER),
    };
    Create { form, path: text(path), data: Some(data.into()), acl: Some(acl.into()), flags }
}

fn delete(path: &Path, version: Version) -> Delete {
    Delete { path: text(path), version: number(version) }
}

fn set_data(path: &Path, data: &[u8], version: Version) -> SetData {
    SetData { path: text(path), data: Some(data.into()), version: number(version) }
}

fn text(path: &Path) -> String {
    path.as_str().into()
}

/// A version's number on the wire, where −1 stands for any.
const fn number(version: Version) -> i32 {
    match version {
        Version::Any => -1,
        // Would be taken for "any" (CURATOR-688): no znode is ever at −2 either, so that it matches nothing.
        Version::Exactly(-1) => -2,
        Version::Exactly(version) => version,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;
    use crate::ids::Zxid;
    use crate::op::{Change, ErrorCode as Definite, Stat, WatchKind};

    fn path(text: &str) -> Path {
        Path::new(text).unwrap()
    }

    fn two_writes() -> Op {
        Op::Multi(vec![
            Write::Delete { path: path("/a"), version: Version::Any },
            Write::SetData { path: path("/b"), data: vec![1], version: Version::Exactly(7) },
        ])
    }

    #[test]
    fn requests_ask_for_a_stat() {
        let acl = [Acl::open()];
        let create = Op::Create { path: path("/a"), data: vec![], mode: CreateMode::Container };
        let Request::Create(create) = request(&create, &acl) else { panic!("not a create") };
        assert_eq!((create.form, create.flags), (CreateForm::Container, CreateFlags::CONTAINER));
        assert_eq!(create.acl.as_deref(), Some(&acl[..]));
        assert_eq!(create.data, Some(vec![]));
        let list = Op::GetChildren { path: path("/a"), watch: true };
        assert_eq!(request(&list, &acl), Request::GetChildren2(Read::watching("/a")));
    }

    #[test]
    fn a_computed_version_of_minus_one_is_never_any() {
        assert_eq!(number(Version::Any), -1);
        assert_eq!(number(Version::Exactly(-1)), -2);
        assert_eq!(number(Version::Exactly(0)), 0);
    }

    #[test]
    fn definite_errors_are_refusals_and_all_others_are_unknown() {
        let op = Op::Sync { path: path("/a") };
        assert_eq!(outcome(&op, Err(ErrorCode::NO_NODE)), Err(OpError::Refused(Definite::NoNode)));
        for code in [ErrorCode::SESSION_EXPIRED, ErrorCode::SYSTEM_ERROR, ErrorCode(-999)] {
            assert_eq!(outcome(&op, Err(code)), Err(OpError::Unknown), "{code}");
        }
    }

    #[test]
    fn an_answer_of_another_kind_or_with_a_path_that_is_none_is_unknown() {
        let op = Op::Create { path: path("/a"), data: vec![], mode: CreateMode::Ephemeral };
        let stat = Stat::default();
        assert_eq!(outcome(&op, Ok(Response::Delete)), Err(OpError::Unknown));
        assert_eq!(outcome(&op, Ok(Response::Create2 { path: "a/".into(), stat })), Err(OpError::Unknown));
        let created = Reply::Created { path: path("/a"), stat };
        assert_eq!(outcome(&op, Ok(Response::Create2 { path: "/a".into(), stat })), Ok(created));
    }

    #[test]
    fn a_failed_multi_tells_the_first_write_that_failed() {
        let failed = Response::Multi(vec![
            MultiResult::Error(ErrorCode::OK),
            MultiResult::Error(ErrorCode::BAD_VERSION),
        ]);
        let refused = OpError::RefusedAt { index: 1, code: Definite::BadVersion };
        assert_eq!(outcome(&two_writes(), Ok(failed)), Err(refused));
        let failed = Response::Multi(vec![
            MultiResult::Error(ErrorCode::NO_NODE),
            MultiResult::Error(ErrorCode::RUNTIME_INCONSISTENCY),
        ]);
        let refused = OpError::RefusedAt { index: 0, code: Definite::NoNode };
        assert_eq!(outcome(&two_writes(), Ok(failed)), Err(refused));
    }

    #[test]
    fn a_multi_whose_results_do_not_fit_is_unknown() {
        let ok = MultiResult::Error(ErrorCode::OK);
        for results in [
            vec![],
            vec![MultiResult::Delete],
            vec![MultiResult::Delete, ok],
            vec![MultiResult::Check, MultiResult::Delete],
        ] {
            assert_eq!(outcome(&two_writes(), Ok(Response::Multi(results))), Err(OpError::Unknown));
        }
        let stat = Stat { version: 8, ..Stat::default() };
        let fits = Response::Multi(vec![MultiResult::Delete, MultiResult::SetData { stat }]);
        let replies = vec![WriteReply::Deleted, WriteReply::Set { stat }];
        assert_eq!(outcome(&two_writes(), Ok(fits)), Ok(Reply::Multi(replies)));
    }

    #[test]
    fn events_of_old_servers_carry_no_zxid() {
        let event = |zxid| WatchedEvent { change: Change::Created, path: "/a".into(), zxid: Zxid(zxid) };
        assert_eq!(watch_event(event(-1)).unwrap().zxid, None);
        assert_eq!(watch_event(event(9)).unwrap().zxid, Some(Zxid(9)));
        assert_eq!(watch_event(WatchedEvent { path: "x".into(), ..event(9) }), None);
    }

    #[test]
    fn a_frame_counts_every_part_and_the_chroot() {
        const LEN: usize = 1_000_000;
        let set = |len| Write::SetData { path: path("/a/b"), data: vec![0; len], version: Version::Any };
        let op = Op::Multi(vec![set(500_000), set(499_000)]);
        assert!(frame_len(&op, 0, 0) < LEN);
        assert!(frame_len(&op, 1_000, 0) > LEN);
        let op = Op::Create { path: path("/a"), data: vec![0; 999_900], mode: CreateMode::Ephemeral };
        assert!(frame_len(&op, 0, 10) < LEN);
        assert!(frame_len(&op, 0, 100) > LEN);
    }

    #[test]
    fn a_frame_is_not_longer_than_what_is_counted_and_not_much_shorter() {
        let acl = [Acl::open(), Acl::open(), Acl::open(), Acl::open()];
        // A count, and for each the permissions and two words with their lengths.
        let (chroot, acl_len) = ("/chroot", 4 + acl.len() * (12 + "world".len() + "anyone".len()));
        let lens = [(0, 0), (0, 700), (300, 0), (200, 5_000)];
        let version = Version::Exactly(7);
        for (more, data_len) in lens {
            let below = |chroot: &str, name: &str| path(&format!("{chroot}/{name}{}", "x".repeat(more)));
            let data = || vec![7; data_len];
            let writes = |chroot: &str| {
                vec![
                    Write::Create { path: below(chroot, "a"), data: data(), mode: CreateMode::Container },
                    Write::SetData { path: below(chroot, "b"), data: data(), version },
                    Write::Delete { path: below(chroot, "c"), version },
                    Write::Check { path: below(chroot, "d"), version },
                ]
            };
            let ops = |chroot: &str| {
                let path = || below(chroot, "a");
                let mut ops = vec![
                    Op::Create { path: path(), data: data(), mode: CreateMode::EphemeralSequential },
                    Op::SetData { path: path(), data: data(), version },
                    Op::Delete { path: path(), version },
                    Op::GetData { path: path(), watch: true },
                    Op::Exists { path: path(), watch: false },
                    Op::GetChildren { path: path(), watch: true },
                    Op::AddWatch { path: path() },
                    Op::RemoveWatch { path: path(), kind: WatchKind::Data },
                    Op::Sync { path: path() },
                    Op::Multi(vec![]),
                    Op::Multi(writes(chroot)),
                ];
                ops.extend(writes(chroot).into_iter().map(|write| Op::Multi(vec![write])));
                ops
            };
            for (op, whole) in ops("").into_iter().zip(ops(chroot)) {
                let mut frame = Vec::new();
                request(&whole, &acl).encode(1, &mut frame);
                let parts = if let Op::Multi(writes) = &op { writes.len() + 1 } else { 1 };
                let counted = frame_len(&op, chroot.len(), acl_len);
                assert!(frame.len() <= counted, "{op:?}: {} of {counted}", frame.len());
                assert!(counted <= frame.len() + 64 * parts, "{op:?}: {} of {counted}", frame.len());
            }
        }
    }

    #[test]
    fn every_answer_is_told_as_what_it_is() {
        let stat = Stat { version: 3, ..Stat::default() };
        let (at, version) = (|| path("/a"), Version::Any);
        for (op, response, reply) in [
            (Op::Delete { path: at(), version }, Response::Delete, Reply::Deleted),
            (
                Op::SetData { path: at(), data: vec![], version },
                Response::SetData { stat },
                Reply::Set { stat },
            ),
            (
                Op::GetData { path: at(), watch: false },
                Response::GetData { data: None, stat },
                Reply::Data { data: vec![], stat },
            ),
            (Op::Exists { path: at(), watch: false }, Response::Exists { stat }, Reply::Exists { stat }),
            (
                Op::GetChildren { path: at(), watch: false },
                Response::GetChildren2 { children: vec!["b".into()], stat },
                Reply::Children { names: vec!["b".into()], stat },
            ),
            (Op::AddWatch { path: at() }, Response::AddWatch, Reply::WatchAdded),
            (
                Op::RemoveWatch { path: at(), kind: WatchKind::Data },
                Response::RemoveWatches,
                Reply::WatchRemoved,
            ),
            (Op::Sync { path: at() }, Response::Sync { path: "/a".into() }, Reply::Synced),
        ] {
            assert_eq!(outcome(&op, Ok(response)), Ok(reply), "{op:?}");
        }
    }
}
