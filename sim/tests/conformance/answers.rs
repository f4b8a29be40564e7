//! What servers say, as lines that are the same for every server: sessions are numbered in the order in which they
//! began, zxids count from the beginning of the trial, times are left out, and lists without an order are sorted.

use queenright_core::op::{Change, Stat};
use queenright_core::wire::{
    Acl, ConnectResponse, ErrorCode, MultiReadResult, MultiResult, Response, WatchedEvent,
};
use queenright_core::{SessionId, Zxid};
use queenright_sim::zookeeper::FromServer;

use crate::place::Place;
use crate::print;

/// What the names of a trial stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) place: &'a Place,
    /// The last transaction before the trial.
    pub(crate) base: Zxid,
    /// In the order in which they began.
    pub(crate) sessions: &'a [SessionId],
}

impl Names<'_> {
    pub(crate) fn message(self, message: &FromServer) -> String {
        match message {
            FromServer::Connected(response) => self.connected(response),
            FromServer::Reply { xid: _, zxid, result } => {
                let answer = match result {
                    Ok(response) => self.response(response),
                    Err(code) => error(*code),
                };
                format!("{} {answer}", self.zxid(*zxid))
            }
            FromServer::Event(event) => self.event(event),
            FromServer::Close => "closed".into(),
        }
    }

    fn connected(self, response: &ConnectResponse) -> String {
        let read_only = match response.read_only {
            None => " old",
            Some(false) => "",
            Some(true) => " read-only",
        };
        if response.is_refusal() {
            let ConnectResponse { protocol_version, session, password, .. } = response;
            let is_blank = session.0 == 0 && password.len() == 16 && password.iter().all(|byte| *byte == 0);
            let secret = if is_blank { "" } else { ", but with an id or a password" };
            return format!("refused, protocol {protocol_version}{secret}{read_only}");
        }
        let session = self.session(response.session.0);
        let length = response.password.len();
        format!("session {session} for {} ms, password of {length}{read_only}", response.timeout_ms)
    }

    fn event(self, event: &WatchedEvent) -> String {
        let WatchedEvent { change, path, zxid } = event;
        let zxid = if zxid.0 == -1 { String::new() } else { format!(" {}", self.zxid(*zxid)) };
        let change = match change {
            Change::Created => "created",
            Change::Deleted => "deleted",
            Change::DataChanged => "changed",
            Change::ChildrenChanged => "children changed",
        };
        format!("event{zxid}: {change} {}", self.path(path))
    }

    fn response(self, response: &Response) -> String {
        match response {
            Response::Create { path } => format!("created {}", self.path(path)),
            Response::Create2 { path, stat } => format!("created {} {}", self.path(path), self.stat(stat)),
            Response::Delete => "deleted".into(),
            Response::Exists { stat } => format!("exists {}", self.stat(stat)),
            Response::GetData { data, stat } => {
                format!("{} {}", print::data(data.as_deref()), self.stat(stat))
            }
            Response::SetData { stat } => format!("set {}", self.stat(stat)),
            Response::GetAcl { acl, stat } => format!("{} {}", access(acl), self.stat(stat)),
            Response::SetAcl { stat } => format!("set {}", self.stat(stat)),
            Response::GetChildren { children } => self.names(children),
            Response::GetChildren2 { children, stat } => {
                format!("{} {}", self.names(children), self.stat(stat))
            }
            Response::Sync { path } => format!("synced {}", self.path(path)),
            Response::Ping => "pong".into(),
            Response::Multi(results) => {
                list(results.iter().map(|result| self.multi_result(result)).collect(), "; ")
            }
            Response::MultiRead(results) => {
                list(results.iter().map(|result| self.read_result(result)).collect(), "; ")
            }
            Response::CheckWatches => "has such a watch".into(),
            Response::RemoveWatches => "watch removed".into(),
            Response::AddWatch => "watch added".into(),
            Response::Auth => "authenticated".into(),
            Response::SetWatches => "watches set".into(),
            Response::GetEphemerals { paths } => {
                sorted(paths.iter().map(|path| self.path(path)).collect(), " ")
            }
            Response::GetAllChildrenNumber { count } => format!("{count} below it"),
            Response::WhoAmI { identities } => {
                let one = |id: &queenright_core::wire::AuthId| {
                    format!("{} {}", print::word(&id.scheme), print::word(&id.id))
                };
                sorted(identities.iter().map(one).collect(), "; ")
            }
            Response::CloseSession => "session closed".into(),
        }
    }

    fn multi_result(self, result: &MultiResult) -> String {
        match result {
            MultiResult::Create { path } => format!("created {}", self.path(path)),
            MultiResult::Create2 { path, stat } => {
                format!("created {} {}", self.path(path), self.stat(stat))
            }
            MultiResult::Delete => "deleted".into(),
            MultiResult::SetData { stat } => format!("set {}", self.stat(stat)),
            MultiResult::Check => "checked".into(),
            MultiResult::Error(code) => error(*code),
        }
    }

    fn read_result(self, result: &MultiReadResult) -> String {
        match result {
            MultiReadResult::GetData { data, stat } => {
                format!("{} {}", print::data(data.as_deref()), self.stat(stat))
            }
            MultiReadResult::GetChildren { children } => self.names(children),
            MultiReadResult::Error(code) => error(*code),
        }
    }

    fn path(self, path: &str) -> String {
        print::path(&self.place.shown(path))
    }

    fn names(self, names: &[String]) -> String {
        sorted(names.iter().map(|name| print::word(name)).collect(), " ")
    }

    fn stat(self, stat: &Stat) -> String {
        let [created, modified, children] = [stat.czxid, stat.mzxid, stat.pzxid].map(|zxid| self.zxid(zxid));
        let Stat { version, cversion, aversion, data_length, num_children, .. } = stat;
        let owner = match stat.ephemeral_owner {
            0 => String::new(),
            owner => format!(" of {}", self.session(owner)),
        };
        format!(
            "{{c{created} m{modified} p{children} v{version} cv{cversion} av{aversion} \
             len {data_length} children {num_children}{owner}}}"
        )
    }

    fn session(self, session: i64) -> String {
        match self.sessions.iter().position(|known| known.0 == session) {
            Some(index) => format!("s{}", index + 1),
            None => format!("{session:#x}"),
        }
    }

    fn zxid(self, zxid: Zxid) -> String {
        match zxid.0 {
            -1 => "@none".into(),
            0 => "@zero".into(),
            zxid => format!("@{}", zxid - self.base.0),
        }
    }
}

fn error(code: ErrorCode) -> String {
    code.to_string()
}

fn access(acl: &[Acl]) -> String {
    sorted(acl.iter().map(print::acl_entry).collect(), "; ")
}

fn sorted(mut items: Vec<String>, separator: &str) -> String {
    items.sort();
    list(items, separator)
}

fn list(items: Vec<String>, separator: &str) -> String {
    format!("[{}]", items.join(separator))
}
