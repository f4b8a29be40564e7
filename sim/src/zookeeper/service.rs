//! What a server answers by itself: reads, watches, pings, authentication.

use queenright_core::op::Change as Happening;
use queenright_core::wire::{AddWatchMode, AuthId, ErrorCode, Request, Response, WatchedEvent, WatcherType};
use queenright_core::{SessionId, Zxid};

use super::read::{Answer, View};
use super::watches::{Watched, Watches};
use super::{ConnectionId, Ensemble, FromServer, Profile, ServerId, acl};

/// What replies and events carry where no transaction is meant.
pub(super) const NO_ZXID: Zxid = Zxid(-1);

/// The lists of setWatches.
struct WatchLists {
    relative_zxid: Zxid,
    data: Vec<String>,
    exist: Vec<String>,
    child: Vec<String>,
    persistent: Vec<String>,
    recursive: Vec<String>,
}

impl Ensemble {
    /// Serves a request that needs no leader, for somebody with these identities.
    pub(super) fn serve(
        &mut self,
        id: ServerId,
        conn: ConnectionId,
        session: SessionId,
        request: Request,
        identities: &[AuthId],
    ) -> Result<Response, ErrorCode> {
        let profile = self.config.profile;
        let replica = &mut self.server_mut(id).replica;
        let (view, watches) = (View { tree: &replica.tree, identities, profile }, &mut replica.watches);
        match request {
            Request::Exists(read) => leave_watch(watches, conn, &read.path, view.exists(&read)),
            Request::GetData(read) => leave_watch(watches, conn, &read.path, view.data(&read)),
            Request::GetChildren(read) => leave_watch(watches, conn, &read.path, view.children(&read)),
            Request::GetChildren2(read) => {
                leave_watch(watches, conn, &read.path, view.children_with_stat(&read))
            }
            Request::GetAcl { path } => view.acl(&path),
            Request::MultiRead(reads) => Ok(view.several(&reads)),
            Request::GetEphemerals { prefix } => Ok(view.ephemerals(session, &prefix)),
            Request::GetAllChildrenNumber { path } => view.descendant_count(&path),
            Request::WhoAmI => Ok(Response::WhoAmI { identities: acl::who_am_i(identities) }),
            Request::Sync { path } => Ok(Response::Sync { path }),
            Request::Ping => Ok(Response::Ping),
            Request::AddWatch { path, mode } => {
                watches.add(mode, &path, conn);
                Ok(Response::AddWatch)
            }
            Request::CheckWatches { watcher, .. } | Request::RemoveWatches { watcher, .. }
                if profile == Profile::V3_8 && is_new(watcher) =>
            {
                Err(ErrorCode::MARSHALLING_ERROR)
            }
            Request::CheckWatches { path, watcher } => match watches.has(watcher, &path, conn) {
                true => Ok(Response::CheckWatches),
                false => Err(ErrorCode::NO_WATCHER),
            },
            Request::RemoveWatches { path, watcher } => match watches.remove(watcher, &path, conn) {
                true => Ok(Response::RemoveWatches),
                false => Err(ErrorCode::NO_WATCHER),
            },
            Request::SetWatches { relative_zxid, data, exist, child } => {
                let (persistent, recursive) = (Vec::new(), Vec::new());
                let lists = WatchLists { relative_zxid, data, exist, child, persistent, recursive };
                self.set_watches(id, conn, lists)
            }
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => {
                let lists = WatchLists { relative_zxid, data, exist, child, persistent, recursive };
                self.set_watches(id, conn, lists)
            }
            Request::Garbled { .. } => Err(ErrorCode::MARSHALLING_ERROR),
            Request::Create(_)
            | Request::Delete(_)
            | Request::SetData(_)
            | Request::SetAcl { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::Check(_)
            | Request::CloseSession
            | Request::Auth { .. }
            | Request::Unsupported { .. } => unreachable!("{request:?} is nothing that waits for its turn"),
        }
    }

    /// Answers a proof of identity.
    pub(super) fn authenticate(
        &mut self,
        id: ServerId,
        conn: ConnectionId,
        xid: i32,
        scheme: &str,
        auth: Option<&[u8]>,
    ) {
        let super_digest = self.config.super_digest.clone();
        let Some(connection) = self.server_mut(id).connections.get_mut(conn) else { return };
        let mut identities = connection.identities.to_vec();
        let result = acl::authenticate(&mut identities, scheme, auth, super_digest.as_deref());
        connection.identities = identities.into();
        let refused = result.is_err();
        self.reply_at(conn, xid, Zxid(0), result.map(|()| Response::Auth));
        if refused {
            self.hang_up(id, conn);
        }
    }

    /// Leaves the watches of an earlier connection again; what they have missed is told at once, and without a look
    /// at access control lists, as real servers do.
    fn set_watches(
        &mut self,
        id: ServerId,
        conn: ConnectionId,
        lists: WatchLists,
    ) -> Result<Response, ErrorCode> {
        let seen = lists.relative_zxid;
        for path in lists.data {
            let missed = match self.tree(id).changed_by(&path) {
                None => Some(Happening::Deleted),
                Some((data, _)) => (data > seen).then_some(Happening::DataChanged),
            };
            self.watch_or_tell(id, conn, Watched::Data, path, missed);
        }
        for path in lists.exist {
            let missed = self.tree(id).changed_by(&path).map(|_| Happening::Created);
            self.watch_or_tell(id, conn, Watched::Data, path, missed);
        }
        for path in lists.child {
            let missed = match self.tree(id).changed_by(&path) {
                None => Some(Happening::Deleted),
                Some((_, children)) => (children > seen).then_some(Happening::ChildrenChanged),
            };
            self.watch_or_tell(id, conn, Watched::Children, path, missed);
        }
        let watches = &mut self.server_mut(id).replica.watches;
        for path in lists.persistent {
            watches.add(AddWatchMode::Persistent, &path, conn);
        }
        for path in lists.recursive {
            watches.add(AddWatchMode::PersistentRecursive, &path, conn);
        }
        Ok(Response::SetWatches)
    }

    fn watch_or_tell(
        &mut self,
        id: ServerId,
        conn: ConnectionId,
        watched: Watched,
        path: String,
        missed: Option<Happening>,
    ) {
        match missed {
            Some(change) => self.send(conn, FromServer::Event(WatchedEvent { change, path, zxid: NO_ZXID })),
            None => self.server_mut(id).replica.watches.add_one_shot(watched, &path, conn),
        }
    }
}

fn leave_watch(
    watches: &mut Watches,
    conn: ConnectionId,
    path: &str,
    answer: Answer,
) -> Result<Response, ErrorCode> {
    let (result, watched) = answer;
    if let Some(watched) = watched {
        watches.add_one_shot(watched, path, conn);
    }
    result
}

/// Whether 3.8 does not know the type.
fn is_new(watcher: WatcherType) -> bool {
    match watcher {
        WatcherType::Persistent | WatcherType::PersistentRecursive => true,
        WatcherType::Children | WatcherType::Data | WatcherType::Any => false,
    }
}
