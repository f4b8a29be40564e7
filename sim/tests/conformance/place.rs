//! Where a trial happens: below a znode of its own, so that one server serves all trials.
//!
//! Paths that begin with a slash are below that znode, which is the trial's root. A path that begins with `^` is
//! taken as it is behind that mark; all others are no paths, and are left alone.

use std::borrow::Cow;

use queenright_core::wire::{MultiReadRequest, MultiRequest, Request};

use crate::step::{Part, Query};

/// The znode below which a trial happens; empty for the real root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(pub(crate) String);

impl Place {
    /// The path on the server.
    pub(crate) fn real(&self, path: &str) -> String {
        match path.strip_prefix('^') {
            Some(path) => path.into(),
            None if self.0.is_empty() => path.into(),
            None if path == "/" => self.0.clone(),
            None if path.starts_with('/') => format!("{}{path}", self.0),
            None => path.into(),
        }
    }

    /// The path in the trial.
    pub(crate) fn shown<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.0.is_empty() {
            return path.into();
        }
        match path.strip_prefix(&self.0) {
            Some("") => "/".into(),
            Some(rest) if rest.starts_with('/') => rest.into(),
            Some(_) | None => format!("^{path}").into(),
        }
    }

    /// The query on the server.
    pub(crate) fn query(&self, query: &Query) -> Query {
        let mut query = query.clone();
        match &mut query {
            Query::Request(request) => self.request(request),
            Query::Mixed { parts, .. } => {
                for part in parts {
                    match part {
                        Part::Write(write) => self.write(write),
                        Part::Read(read) => self.read(read),
                    }
                }
            }
            Query::Raw { .. } => {}
        }
        query
    }

    fn request(&self, request: &mut Request) {
        match request {
            Request::Create(create) => self.put(&mut create.path),
            Request::Delete(delete) => self.put(&mut delete.path),
            Request::SetData(set_data) => self.put(&mut set_data.path),
            Request::Check(check) => self.put(&mut check.path),
            Request::Exists(read)
            | Request::GetData(read)
            | Request::GetChildren(read)
            | Request::GetChildren2(read) => self.put(&mut read.path),
            Request::GetAcl { path }
            | Request::SetAcl { path, .. }
            | Request::Sync { path }
            | Request::CheckWatches { path, .. }
            | Request::RemoveWatches { path, .. }
            | Request::AddWatch { path, .. }
            | Request::GetEphemerals { prefix: path }
            | Request::GetAllChildrenNumber { path } => self.put(path),
            Request::Multi(parts) => parts.iter_mut().for_each(|part| self.write(part)),
            Request::MultiRead(parts) => parts.iter_mut().for_each(|part| self.read(part)),
            Request::SetWatches { relative_zxid: _, data, exist, child } => {
                [data, exist, child].into_iter().flatten().for_each(|path| self.put(path));
            }
            Request::SetWatches2 { relative_zxid: _, data, exist, child, persistent, recursive } => {
                let lists = [data, exist, child, persistent, recursive];
                lists.into_iter().flatten().for_each(|path| self.put(path));
            }
            Request::Ping
            | Request::Reconfig { .. }
            | Request::Auth { .. }
            | Request::WhoAmI
            | Request::CloseSession
            | Request::Garbled { .. }
            | Request::Unsupported { .. } => {}
        }
    }

    fn write(&self, write: &mut MultiRequest) {
        match write {
            MultiRequest::Create(create) => self.put(&mut create.path),
            MultiRequest::Delete(delete) => self.put(&mut delete.path),
            MultiRequest::SetData(set_data) => self.put(&mut set_data.path),
            MultiRequest::Check(check) => self.put(&mut check.path),
        }
    }

    fn read(&self, read: &mut MultiReadRequest) {
        match read {
            MultiReadRequest::GetData(read) | MultiReadRequest::GetChildren(read) => self.put(&mut read.path),
        }
    }

    fn put(&self, path: &mut String) {
        *path = self.real(path);
    }
}
