//! What the world says: things of the right kind, true by chance.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::World;
use crate::layout::Place;
use crate::op::{ErrorCode, OpError, Outcome, Reply, Stat, Version, Write, WriteReply};
use crate::record::{LeaseRecord, TermRecord};
use crate::{Incarnation, Name, Op, Path, Zxid};

impl World<'_> {
    /// An answer to `op`: of its kind mostly, and true only by chance.
    pub(super) fn lie(&mut self, op: &Op) -> Outcome {
        match self.bytes.up_to(12) {
            0 => return Err(OpError::Unknown),
            1 => return Err(OpError::Refused(self.code())),
            2 => {
                let index = self.bytes.up_to(4) as u32;
                return Err(OpError::RefusedAt { index, code: self.code() });
            }
            3 => return Ok(if self.bytes.up_to(2) == 0 { Reply::Synced } else { Reply::Multi(Vec::new()) }),
            _ => {}
        }
        Ok(match op {
            Op::Create { path, .. } => Reply::Created { path: self.created(path), stat: self.stat(None) },
            Op::Delete { .. } => Reply::Deleted,
            Op::SetData { version, .. } => Reply::Set { stat: self.stat(Some(*version)) },
            Op::GetData { path, .. } => {
                let data = self.data(path);
                Reply::Data { data, stat: self.stat(None) }
            }
            Op::Exists { .. } => Reply::Exists { stat: self.stat(None) },
            Op::GetChildren { .. } => {
                let names = (0..self.bytes.up_to(5)).map(|_| self.child()).collect();
                Reply::Children { names, stat: self.stat(None) }
            }
            Op::AddWatch { .. } => Reply::WatchAdded,
            Op::RemoveWatch { .. } => Reply::WatchRemoved,
            Op::Multi(writes) => Reply::Multi(writes.iter().map(|write| self.written(write)).collect()),
            Op::Sync { .. } => Reply::Synced,
        })
    }

    fn written(&mut self, write: &Write) -> WriteReply {
        match write {
            Write::Create { .. } => WriteReply::Created,
            Write::Delete { .. } => WriteReply::Deleted,
            Write::SetData { version, .. } => WriteReply::Set { stat: self.stat(Some(*version)) },
            Write::Check { .. } => WriteReply::Checked,
        }
    }

    fn created(&mut self, path: &Path) -> Path {
        match self.layout.place(path) {
            Place::Lease(lease) => self.lease = lease.into(),
            Place::Candidate { .. } => {
                self.candidate = format!("{}{:010}", path.file_name(), self.bytes.next());
                return self.layout.root.join(&self.candidate);
            }
            Place::Term(_) | Place::Elsewhere => {}
        }
        path.clone()
    }

    fn data(&mut self, path: &Path) -> Vec<u8> {
        if self.bytes.up_to(8) == 0 {
            return self.bytes.take(12);
        }
        match self.layout.place(path) {
            Place::Lease(_) => LeaseRecord::new(self.core.config()).encode(),
            Place::Term(_) => match self.bytes.up_to(4) {
                0 => TermRecord::Vacant.encode(),
                1 => {
                    TermRecord::Held { lease: "other.1".into(), payload: self.bytes.take(3).into() }.encode()
                }
                _ => {
                    let (lease, payload) = (Arc::clone(&self.lease), self.bytes.take(3).into());
                    TermRecord::Held { lease, payload }.encode()
                }
            },
            Place::Candidate { .. } | Place::Elsewhere => self.bytes.take(3),
        }
    }

    fn stat(&mut self, version: Option<Version>) -> Stat {
        let version = match version {
            Some(Version::Exactly(version)) => version.wrapping_add(1),
            Some(Version::Any) | None => i32::from(self.bytes.next() as i8),
        };
        Stat {
            czxid: Zxid(i64::from(self.bytes.next() % 8)),
            mzxid: Zxid(self.bytes.next().into()),
            version,
            ephemeral_owner: i64::from(self.bytes.next() % 4),
            ..Stat::default()
        }
    }

    fn code(&mut self) -> ErrorCode {
        match self.bytes.up_to(6) {
            0 => ErrorCode::NoNode,
            1 => ErrorCode::NodeExists,
            2 => ErrorCode::BadVersion,
            3 => ErrorCode::NoAuth,
            4 => ErrorCode::Unimplemented,
            _ => ErrorCode::TooLarge,
        }
    }

    fn child(&mut self) -> String {
        match self.bytes.up_to(6) {
            0 => self.candidate.clone(),
            1 => format!("{}.1-{:010}", Incarnation(9), self.bytes.next()),
            2 => "README".into(),
            3 => "i".into(),
            4 => "i+".into(),
            _ => String::from_utf8_lossy(&self.bytes.take(3)).into_owned(),
        }
    }

    fn valid_child(&mut self) -> Name {
        let child = self.child();
        Name::new(child).unwrap_or_else(|_| Name::new("stranger").expect("a name"))
    }

    pub(super) fn some_path(&mut self) -> Path {
        match self.bytes.up_to(6) {
            0 => {
                let directory = self.directory();
                let child = self.valid_child();
                self.layout.directory(&directory).child(&child)
            }
            1 => self.layout.lease(if self.bytes.up_to(2) == 0 { &self.lease } else { "other.1" }),
            2 | 3 => {
                let global = self.global();
                self.layout.term(&global)
            }
            4 => {
                let global = self.global();
                let child = self.valid_child();
                self.layout.queue(&global).child(&child)
            }
            _ => self.layout.root.clone(),
        }
    }
}
