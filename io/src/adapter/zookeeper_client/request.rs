//! One operation as a call of the crate, and its answer as the core's.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use queenright_core::op::{ErrorCode, OpError, Outcome, Reply, Stat, Version, WatchKind, Write, WriteReply};
use queenright_core::{Op, Path, Zxid};
use zookeeper_client::{
    AddWatchMode, Client, CreateMode, Error, MultiWriteError, MultiWriteResult, OneshotWatcher,
    PersistentWatcher,
};

use super::acl::AclList;

/// The most bytes of one request, below the server's default `jute.maxbuffer` of 0xfffff. The crate has no
/// limit of its own, and a frame that is too large costs the connection and all that is in flight on it
/// (the adapter's item 13).
pub(super) const FRAME_LEN_MAX: usize = 1_000_000;

/// What the protocol takes for "any version".
const ANY_VERSION: i32 = -1;

/// The answer to one operation.
pub(super) struct Answer {
    /// What the core is told.
    pub(super) outcome: Outcome,
    /// The watcher that came with it.
    pub(super) armed: Option<Armed>,
    /// Whether the answer is of a kind that a living session task never gives (item 6).
    pub(super) suspect: bool,
}

/// A watcher that a successful request left.
pub(super) enum Armed {
    /// By a watching read.
    Once(WatchKind, Path, OneshotWatcher),
    /// By `AddWatch`.
    Recursive(Path, PersistentWatcher),
}

/// A request under way. The crate enqueues the request when the future is *first polled*, because the call
/// itself stands inside of it; dropping it afterwards does not cancel the request (items 7 and 10).
pub(super) type Calling = BoxFuture<'static, Answer>;

/// The call that carries out `op`. Nothing is sent before the first poll.
///
/// Must not be given an [`Op::RemoveWatch`]: giving up a watch is dropping its watcher, not a call.
pub(super) fn call(client: Arc<Client>, acl: Arc<AclList>, op: Op) -> Calling {
    match op {
        Op::Create { path, data, mode } => Box::pin(async move {
            let options = create_mode(mode).with_acls(acl.as_acls());
            let result = client.create(path.as_str(), &data, &options).await;
            // Item 30: the name is not in the answer, only the number that the server appended.
            plain(result.map(|(stat, sequence)| {
                let path = match mode {
                    queenright_core::op::CreateMode::EphemeralSequential => {
                        Path::new(format!("{path}{sequence}")).ok()
                    }
                    queenright_core::op::CreateMode::Persistent
                    | queenright_core::op::CreateMode::Ephemeral
                    | queenright_core::op::CreateMode::Container => Some(path),
                };
                path.map(|path| Reply::Created { path, stat: self::stat(&stat) })
            }))
        }),
        Op::Delete { path, version } => Box::pin(async move {
            plain(client.delete(path.as_str(), exactly(version)).await.map(|()| Some(Reply::Deleted)))
        }),
        Op::SetData { path, data, version } => Box::pin(async move {
            let result = client.set_data(path.as_str(), &data, exactly(version)).await;
            plain(result.map(|stat| Some(Reply::Set { stat: self::stat(&stat) })))
        }),
        Op::GetData { path, watch: false } => Box::pin(async move {
            let result = client.get_data(path.as_str()).await;
            plain(result.map(|(data, stat)| Some(Reply::Data { data, stat: self::stat(&stat) })))
        }),
        Op::GetData { path, watch: true } => Box::pin(async move {
            match client.get_and_watch_data(path.as_str()).await {
                Ok((data, stat, watcher)) => Answer::armed(
                    Ok(Reply::Data { data, stat: self::stat(&stat) }),
                    Armed::Once(WatchKind::Data, path.clone(), watcher),
                ),
                Err(error) => Answer::failed(&error),
            }
        }),
        Op::Exists { path, watch: false } => {
            Box::pin(async move { plain_exists(client.check_stat(path.as_str()).await) })
        }
        Op::Exists { path, watch: true } => Box::pin(async move {
            match client.check_and_watch_stat(path.as_str()).await {
                // The watch is left whether the znode exists or not.
                Ok((found, watcher)) => {
                    Answer::armed(exists(found.as_ref()), Armed::Once(WatchKind::Data, path.clone(), watcher))
                }
                Err(error) => Answer::failed(&error),
            }
        }),
        // Item 12: `list_children` shows no Stat, so there would be nothing to order two lists by.
        Op::GetChildren { path, watch: false } => Box::pin(async move {
            let result = client.get_children(path.as_str()).await;
            plain(result.map(|(names, stat)| Some(Reply::Children { names, stat: self::stat(&stat) })))
        }),
        Op::GetChildren { path, watch: true } => Box::pin(async move {
            match client.get_and_watch_children(path.as_str()).await {
                Ok((names, stat, watcher)) => Answer::armed(
                    Ok(Reply::Children { names, stat: self::stat(&stat) }),
                    Armed::Once(WatchKind::Children, path.clone(), watcher),
                ),
                Err(error) => Answer::failed(&error),
            }
        }),
        Op::AddWatch { path } => Box::pin(async move {
            match client.watch(path.as_str(), AddWatchMode::PersistentRecursive).await {
                Ok(watcher) => Answer::armed(Ok(Reply::WatchAdded), Armed::Recursive(path.clone(), watcher)),
                Err(error) => Answer::failed(&error),
            }
        }),
        Op::Multi(writes) => Box::pin(async move { multi(&client, &acl, writes).await }),
        Op::Sync { path } => {
            Box::pin(async move { plain(client.sync(path.as_str()).await.map(|()| Some(Reply::Synced))) })
        }
        Op::RemoveWatch { .. } => {
            debug_assert!(false, "giving up a watch is no call");
            Box::pin(async { Answer::settled(Ok(Reply::WatchRemoved)) })
        }
    }
}

/// The watch that a successful `op` leaves.
pub(super) fn watch_of(op: &Op) -> Option<(WatchKind, &Path)> {
    match op {
        Op::GetData { path, watch: true } | Op::Exists { path, watch: true } => Some((WatchKind::Data, path)),
        Op::GetChildren { path, watch: true } => Some((WatchKind::Children, path)),
        Op::AddWatch { path } => Some((WatchKind::Recursive, path)),
        Op::Create { .. }
        | Op::Delete { .. }
        | Op::SetData { .. }
        | Op::GetData { watch: false, .. }
        | Op::Exists { watch: false, .. }
        | Op::GetChildren { watch: false, .. }
        | Op::RemoveWatch { .. }
        | Op::Multi(_)
        | Op::Sync { .. } => None,
    }
}

impl Answer {
    /// An answer without a watcher.
    pub(super) fn settled(outcome: Outcome) -> Self {
        Self { outcome, armed: None, suspect: false }
    }

    fn armed(outcome: Outcome, armed: Armed) -> Self {
        Self { outcome, armed: Some(armed), suspect: false }
    }

    fn failed(error: &Error) -> Self {
        let outcome = Err(refusal(error).map_or(OpError::Unknown, OpError::Refused));
        Self { outcome, armed: None, suspect: is_suspect(error) }
    }
}

/// The definite answers, and only those (item 11): everything that is not on this list, `SessionExpired` and
/// `ClientClosed` and codes that we do not know included, may have happened.
#[allow(clippy::wildcard_enum_match_arm)] // A white list, of a non-exhaustive enum that is not ours.
fn refusal(error: &Error) -> Option<ErrorCode> {
    Some(match error {
        Error::NoNode => ErrorCode::NoNode,
        Error::NodeExists => ErrorCode::NodeExists,
        Error::BadVersion => ErrorCode::BadVersion,
        Error::NotEmpty => ErrorCode::NotEmpty,
        Error::NoAuth => ErrorCode::NoAuth,
        Error::InvalidAcl => ErrorCode::InvalidAcl,
        Error::NoChildrenForEphemerals => ErrorCode::NoChildrenForEphemerals,
        Error::QuotaExceeded => ErrorCode::QuotaExceeded,
        Error::Throttled => ErrorCode::Throttled,
        Error::NotReadOnly => ErrorCode::NotReadOnly,
        Error::SessionMoved => ErrorCode::SessionMoved,
        Error::NoWatcher => ErrorCode::NoWatcher,
        Error::ReconfigDisabled => ErrorCode::ReconfigDisabled,
        Error::Unimplemented => ErrorCode::Unimplemented,
        Error::MarshallingError => ErrorCode::MarshallingError,
        Error::BadArguments(_) => ErrorCode::BadArguments,
        _ => return None,
    })
}

/// A request that a dead session task can no longer take is answered with `UnexpectedError`, and so is one that
/// it took and let fall (item 6). Other answers have that name too, so this is a suspicion only.
fn is_suspect(error: &Error) -> bool {
    matches!(error, Error::UnexpectedError(_))
}

/// The answer to a call that leaves no watcher; `None` stands for an answer that makes no sense.
fn plain(result: Result<Option<Reply>, Error>) -> Answer {
    match result {
        Ok(reply) => Answer::settled(reply.ok_or(OpError::Unknown)),
        Err(error) => Answer::failed(&error),
    }
}

fn plain_exists(result: Result<Option<zookeeper_client::Stat>, Error>) -> Answer {
    match result {
        Ok(found) => Answer::settled(exists(found.as_ref())),
        Err(error) => Answer::failed(&error),
    }
}

fn exists(found: Option<&zookeeper_client::Stat>) -> Outcome {
    match found {
        Some(stat) => Ok(Reply::Exists { stat: self::stat(stat) }),
        None => Err(OpError::Refused(ErrorCode::NoNode)),
    }
}

async fn multi(client: &Client, acl: &AclList, writes: Vec<Write>) -> Answer {
    let mut writer = client.new_multi_writer();
    for (index, write) in writes.iter().enumerate() {
        let added = match write {
            Write::Create { path, data, mode } => {
                writer.add_create(path.as_str(), data, &create_mode(*mode).with_acls(acl.as_acls()))
            }
            Write::Delete { path, version } => writer.add_delete(path.as_str(), exactly(*version)),
            Write::SetData { path, data, version } => {
                writer.add_set_data(path.as_str(), data, exactly(*version))
            }
            Write::Check { path, version } => {
                writer.add_check_version(path.as_str(), exactly(*version).unwrap_or(ANY_VERSION))
            }
        };
        if let Err(error) = added {
            return Answer::settled(Err(refused_at(index, &error)));
        }
    }
    match writer.commit().await {
        Ok(results) => {
            let replies = results.iter().map(write_reply).collect::<Option<Vec<_>>>();
            Answer::settled(replies.map(Reply::Multi).ok_or(OpError::Unknown))
        }
        Err(MultiWriteError::OperationFailed { index, source }) => {
            Answer::settled(Err(refused_at(index, &source)))
        }
        Err(MultiWriteError::RequestFailed { source }) => Answer::failed(&source),
    }
}

/// Item 31: the index tells which part failed, and different parts mean different things to the election.
fn refused_at(index: usize, error: &Error) -> OpError {
    match (u32::try_from(index), refusal(error)) {
        (Ok(index), Some(code)) => OpError::RefusedAt { index, code },
        (Err(_), _) | (_, None) => OpError::Unknown,
    }
}

fn write_reply(result: &MultiWriteResult) -> Option<WriteReply> {
    Some(match result {
        // Item 30: the Stat of a create inside a multi is not valid on 3.8.
        MultiWriteResult::Create { .. } => WriteReply::Created,
        MultiWriteResult::Delete => WriteReply::Deleted,
        MultiWriteResult::SetData { stat } => WriteReply::Set { stat: self::stat(stat) },
        MultiWriteResult::Check => WriteReply::Checked,
        // Non-exhaustive in the crate; nothing else was asked for.
        _ => return None,
    })
}

fn create_mode(mode: queenright_core::op::CreateMode) -> CreateMode {
    match mode {
        queenright_core::op::CreateMode::Persistent => CreateMode::Persistent,
        queenright_core::op::CreateMode::Ephemeral => CreateMode::Ephemeral,
        queenright_core::op::CreateMode::EphemeralSequential => CreateMode::EphemeralSequential,
        queenright_core::op::CreateMode::Container => CreateMode::Container,
    }
}

fn exactly(version: Version) -> Option<i32> {
    match version {
        Version::Any => None,
        Version::Exactly(version) => Some(version),
    }
}

fn stat(stat: &zookeeper_client::Stat) -> Stat {
    Stat {
        czxid: Zxid(stat.czxid),
        mzxid: Zxid(stat.mzxid),
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
        ephemeral_owner: stat.ephemeral_owner,
        data_length: stat.data_length,
        num_children: stat.num_children,
        pzxid: Zxid(stat.pzxid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_white_list_is_definite() {
        assert_eq!(Answer::failed(&Error::NoNode).outcome, Err(OpError::Refused(ErrorCode::NoNode)));
        assert_eq!(
            Answer::failed(&Error::BadArguments(&"x")).outcome.unwrap_err().code(),
            Some(ErrorCode::BadArguments)
        );
        for error in [
            Error::ConnectionLoss,
            Error::SessionExpired,
            Error::ClientClosed,
            Error::AuthFailed,
            Error::Timeout,
            Error::UnexpectedErrorCode(-42),
            Error::RuntimeInconsistent,
            Error::UnexpectedError("x".into()),
        ] {
            assert_eq!(Answer::failed(&error).outcome, Err(OpError::Unknown), "{error}");
        }
        assert!(Answer::failed(&Error::UnexpectedError("x".into())).suspect);
        assert!(!Answer::failed(&Error::ConnectionLoss).suspect);
    }

    #[test]
    fn a_failed_transaction_names_its_part() {
        assert_eq!(
            refused_at(3, &Error::BadVersion),
            OpError::RefusedAt { index: 3, code: ErrorCode::BadVersion }
        );
        assert_eq!(refused_at(3, &Error::UnexpectedErrorCode(-2)), OpError::Unknown);
    }
}
