//! What the server does with each request.

use std::sync::Arc;

use queenright_core::op::Change as Happening;
use queenright_core::wire::{
    AddWatchMode, Create, CreateFlags, CreateForm, ErrorCode, MultiRequest, MultiResult, OpCode, Request,
    Response, WatchedEvent, WatcherType, xid as xids,
};
use queenright_core::{Instant, SessionId, Zxid};

use super::prepare::{self, Draft};
use super::read::Answer;
use super::transaction::{Change, Effect};
use super::watches::Watched;
use super::{ConnectionId, Ensemble, FromServer, Profile, acl};

/// What replies and events carry where no transaction is meant.
pub(super) const NO_ZXID: Zxid = Zxid(-1);

/// How a create is answered: with the stat or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CreateAnswer {
    Path,
    PathAndStat,
}

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
    /// Does what a client asks for, and answers it.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        conn: ConnectionId,
        session: SessionId,
        xid: i32,
        request: Request,
    ) {
        let result = match request {
            Request::Create(create) => self.create(now, conn, session, create),
            Request::Delete(delete) => {
                self.write(now, conn, session, |draft| draft.delete(&delete)).map(|_| Response::Delete)
            }
            Request::SetData(set_data) => {
                self.write(now, conn, session, |draft| draft.set_data(set_data)).map(answer_to_write)
            }
            Request::SetAcl { path, acl, version } => {
                let decide = |draft: &mut Draft<'_>| draft.set_acl(&path, acl.as_deref(), version);
                self.write(now, conn, session, decide).map(answer_to_write)
            }
            Request::Multi(parts) => self.multi(now, conn, session, parts),
            Request::Exists(read) => {
                let answer = self.view(conn).exists(&read);
                self.leave_watch(conn, &read.path, answer)
            }
            Request::GetData(read) => {
                let answer = self.view(conn).data(&read);
                self.leave_watch(conn, &read.path, answer)
            }
            Request::GetChildren(read) => {
                let answer = self.view(conn).children(&read);
                self.leave_watch(conn, &read.path, answer)
            }
            Request::GetChildren2(read) => {
                let answer = self.view(conn).children_with_stat(&read);
                self.leave_watch(conn, &read.path, answer)
            }
            Request::GetAcl { path } => self.view(conn).acl(&path),
            Request::MultiRead(reads) => Ok(self.view(conn).several(&reads)),
            Request::GetEphemerals { prefix } => Ok(self.view(conn).ephemerals(session, &prefix)),
            Request::GetAllChildrenNumber { path } => self.view(conn).descendant_count(&path),
            Request::WhoAmI => Ok(Response::WhoAmI { identities: acl::who_am_i(self.view(conn).identities) }),
            Request::Sync { path } => Ok(Response::Sync { path }),
            Request::Ping => return self.reply(conn, xids::PING, Ok(Response::Ping)),
            Request::AddWatch { path, mode } => {
                self.replica.watches.add(mode, &path, conn);
                Ok(Response::AddWatch)
            }
            Request::CheckWatches { watcher, .. } | Request::RemoveWatches { watcher, .. }
                if self.config.profile == Profile::V3_8 && is_new(watcher) =>
            {
                Err(ErrorCode::MARSHALLING_ERROR)
            }
            Request::CheckWatches { path, watcher } => match self.replica.watches.has(watcher, &path, conn) {
                true => Ok(Response::CheckWatches),
                false => Err(ErrorCode::NO_WATCHER),
            },
            Request::RemoveWatches { path, watcher } => {
                match self.replica.watches.remove(watcher, &path, conn) {
                    true => Ok(Response::RemoveWatches),
                    false => Err(ErrorCode::NO_WATCHER),
                }
            }
            Request::SetWatches { relative_zxid, data, exist, child } => {
                let (persistent, recursive) = (Vec::new(), Vec::new());
                self.set_watches(
                    conn,
                    WatchLists { relative_zxid, data, exist, child, persistent, recursive },
                )
            }
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => self
                .set_watches(conn, WatchLists { relative_zxid, data, exist, child, persistent, recursive }),
            Request::Reconfig { .. } => {
                self.commit(now, Vec::new());
                Err(ErrorCode::RECONFIG_DISABLED)
            }
            Request::Garbled { opcode: OpCode::Auth } => return self.hang_up(conn),
            Request::Garbled { opcode } => {
                if self.spends_zxid_unread(opcode) {
                    self.commit(now, Vec::new());
                }
                Err(ErrorCode::MARSHALLING_ERROR)
            }
            Request::Auth { scheme, auth } => return self.authenticate(conn, xid, &scheme, auth.as_deref()),
            Request::Check(check) if self.config.profile == Profile::V3_8 => {
                match self.write(now, conn, session, |draft| draft.check(&check)) {
                    // Real servers fail to write the answer, and go on.
                    Ok(_) => return,
                    Err(code) => Err(code),
                }
            }
            // A check is a part of a multi; alone it is as unknown as those that are unknown.
            Request::Check(_) | Request::Unsupported { .. } => {
                self.reply_at(conn, xid, NO_ZXID, Err(ErrorCode::UNIMPLEMENTED));
                return self.hang_up(conn);
            }
            Request::CloseSession => {
                // The connection is still there: it hears of its own ephemerals first.
                self.end_session(now, session);
                self.reply(conn, xid, Ok(Response::CloseSession));
                return self.hang_up(conn);
            }
        };
        self.reply(conn, xid, result);
    }

    /// A write of its own. It spends a zxid, whether it may happen or not.
    fn write(
        &mut self,
        now: Instant,
        conn: ConnectionId,
        session: SessionId,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<Change, ErrorCode>,
    ) -> Result<Effect, ErrorCode> {
        let decided = decide(&mut Draft::new(&self.replica.tree, self.author(conn, session)));
        let (changes, refusal) = match decided {
            Ok(change) => (vec![change], None),
            Err(code) => (Vec::new(), Some(code)),
        };
        let effect = self.commit(now, changes).effects.pop();
        match refusal {
            Some(code) => Err(code),
            // One change has one effect.
            None => effect.ok_or(ErrorCode::SYSTEM_ERROR),
        }
    }

    fn create(
        &mut self,
        now: Instant,
        conn: ConnectionId,
        session: SessionId,
        create: Create,
    ) -> Result<Response, ErrorCode> {
        let answer = match create.form {
            CreateForm::Create => CreateAnswer::Path,
            CreateForm::Create2 | CreateForm::Container | CreateForm::Ttl { .. } => CreateAnswer::PathAndStat,
        };
        match (self.write(now, conn, session, |draft| draft.create(create))?, answer) {
            (Effect::Created { path, .. }, CreateAnswer::Path) => Ok(Response::Create { path: text(&path) }),
            (effect, _) => Ok(answer_to_write(effect)),
        }
    }

    /// All or nothing. A failed one is answered with results, too.
    fn multi(
        &mut self,
        now: Instant,
        conn: ConnectionId,
        session: SessionId,
        parts: Vec<MultiRequest>,
    ) -> Result<Response, ErrorCode> {
        if self.config.profile == Profile::V3_9 && parts.iter().any(is_unreadable) {
            self.commit(now, Vec::new());
            return Err(ErrorCode::MARSHALLING_ERROR);
        }
        let profile = self.config.profile;
        let answers: Vec<_> = parts.iter().map(|part| answer_to_part(profile, part)).collect();
        let mut draft = Draft::new(&self.replica.tree, self.author(conn, session));
        let decided: Result<Vec<Change>, (usize, ErrorCode)> = parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| match profile {
                Profile::V3_8 if lacks_time_to_live(&part) => Err((index, ErrorCode::MARSHALLING_ERROR)),
                Profile::V3_8 | Profile::V3_9 => draft.part(part).map_err(|code| (index, code)),
            })
            .collect();
        match decided {
            Ok(changes) => {
                let effects = self.commit(now, changes).effects;
                let results =
                    effects.into_iter().zip(answers).map(|(effect, answer)| part_result(effect, answer));
                Ok(Response::Multi(results.collect()))
            }
            Err((_, ErrorCode::MARSHALLING_ERROR)) => {
                self.commit(now, Vec::new());
                Err(ErrorCode::MARSHALLING_ERROR)
            }
            Err((failed, code)) => {
                self.commit(now, Vec::new());
                let result = |index: usize| match index.cmp(&failed) {
                    std::cmp::Ordering::Less => ErrorCode::OK,
                    std::cmp::Ordering::Equal => code,
                    std::cmp::Ordering::Greater => ErrorCode::RUNTIME_INCONSISTENCY,
                };
                Ok(Response::Multi(
                    (0..answers.len()).map(|index| MultiResult::Error(result(index))).collect(),
                ))
            }
        }
    }

    /// Whether a zxid was spent before it shows that the body cannot be read.
    fn spends_zxid_unread(&self, opcode: OpCode) -> bool {
        match (opcode, self.config.profile) {
            // The only write that is read first.
            (OpCode::Reconfig, _) => false,
            (OpCode::Check, Profile::V3_8) => true,
            (opcode, _) => opcode.spends_zxid(),
        }
    }

    fn leave_watch(&mut self, conn: ConnectionId, path: &str, answer: Answer) -> Result<Response, ErrorCode> {
        let (result, watched) = answer;
        if let Some(watched) = watched {
            self.replica.watches.add_one_shot(watched, path, conn);
        }
        result
    }

    /// Leaves the watches of an earlier connection again; what they have missed is told at once, and without a look
    /// at access control lists, as real servers do.
    fn set_watches(&mut self, conn: ConnectionId, lists: WatchLists) -> Result<Response, ErrorCode> {
        let seen = lists.relative_zxid;
        for path in lists.data {
            let missed = match self.view(conn).changed_by(&path) {
                None => Some(Happening::Deleted),
                Some((data, _)) => (data > seen).then_some(Happening::DataChanged),
            };
            self.watch_or_tell(conn, Watched::Data, path, missed);
        }
        for path in lists.exist {
            let missed = self.view(conn).changed_by(&path).map(|_| Happening::Created);
            self.watch_or_tell(conn, Watched::Data, path, missed);
        }
        for path in lists.child {
            let missed = match self.view(conn).changed_by(&path) {
                None => Some(Happening::Deleted),
                Some((_, children)) => (children > seen).then_some(Happening::ChildrenChanged),
            };
            self.watch_or_tell(conn, Watched::Children, path, missed);
        }
        for path in lists.persistent {
            self.replica.watches.add(AddWatchMode::Persistent, &path, conn);
        }
        for path in lists.recursive {
            self.replica.watches.add(AddWatchMode::PersistentRecursive, &path, conn);
        }
        Ok(Response::SetWatches)
    }

    fn watch_or_tell(
        &mut self,
        conn: ConnectionId,
        watched: Watched,
        path: String,
        missed: Option<Happening>,
    ) {
        match missed {
            Some(change) => self.send(conn, FromServer::Event(WatchedEvent { change, path, zxid: NO_ZXID })),
            None => self.replica.watches.add_one_shot(watched, &path, conn),
        }
    }

    fn authenticate(&mut self, conn: ConnectionId, xid: i32, scheme: &str, auth: Option<&[u8]>) {
        let super_digest = self.config.super_digest.as_deref();
        let Some(connection) = self.connections.get_mut(conn) else { return };
        let result = acl::authenticate(&mut connection.identities, scheme, auth, super_digest);
        let refused = result.is_err();
        self.reply_at(conn, xid, Zxid(0), result.map(|()| Response::Auth));
        if refused {
            self.hang_up(conn);
        }
    }
}

fn answer_to_write(effect: Effect) -> Response {
    match effect {
        Effect::Created { path, stat } => Response::Create2 { path: text(&path), stat },
        Effect::Deleted => Response::Delete,
        Effect::DataSet { stat } => Response::SetData { stat },
        Effect::AclSet { stat } => Response::SetAcl { stat },
        Effect::Checked => unreachable!("a check is a part of a multi only"),
    }
}

fn part_result(effect: Effect, answer: CreateAnswer) -> MultiResult {
    match effect {
        Effect::Created { path, stat } => match answer {
            CreateAnswer::Path => MultiResult::Create { path: text(&path) },
            CreateAnswer::PathAndStat => MultiResult::Create2 { path: text(&path), stat },
        },
        Effect::Deleted => MultiResult::Delete,
        Effect::DataSet { stat } => MultiResult::SetData { stat },
        Effect::Checked => MultiResult::Check,
        Effect::AclSet { .. } => unreachable!("no part of a multi sets a list"),
    }
}

/// Inside a multi the flags say what is created, and so how it is answered; but create2 asks for its stat, and gets it
/// since 3.9.
fn answer_to_part(profile: Profile, part: &MultiRequest) -> CreateAnswer {
    match part {
        MultiRequest::Create(create)
            if create.flags.is_swept()
                || (create.form == CreateForm::Create2 && profile == Profile::V3_9) =>
        {
            CreateAnswer::PathAndStat
        }
        MultiRequest::Create(_)
        | MultiRequest::Delete(_)
        | MultiRequest::SetData(_)
        | MultiRequest::Check(_) => CreateAnswer::Path,
    }
}

/// Whether 3.8 does not know the type.
fn is_new(watcher: WatcherType) -> bool {
    match watcher {
        WatcherType::Persistent | WatcherType::PersistentRecursive => true,
        WatcherType::Children | WatcherType::Data | WatcherType::Any => false,
    }
}

/// A TTL node in a request that has no place for the time to live: 3.8 takes it for one that has, and stumbles.
fn lacks_time_to_live(part: &MultiRequest) -> bool {
    match part {
        MultiRequest::Create(create) => {
            let is_ttl = matches!(create.flags, CreateFlags::TTL | CreateFlags::TTL_SEQUENTIAL);
            is_ttl && !matches!(create.form, CreateForm::Ttl { .. })
        }
        MultiRequest::Delete(_) | MultiRequest::SetData(_) | MultiRequest::Check(_) => false,
    }
}

/// What does not even parse since 3.9.
fn is_unreadable(part: &MultiRequest) -> bool {
    match part {
        MultiRequest::Create(create) => create.acl.is_none() || prepare::known(create.flags).is_none(),
        MultiRequest::Delete(_) | MultiRequest::SetData(_) | MultiRequest::Check(_) => false,
    }
}

fn text(path: &Arc<str>) -> String {
    path.as_ref().into()
}
