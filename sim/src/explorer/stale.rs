//! Reads of the election's records that show an older state than they should.
//!
//! A follower that lags does this, and so does a `sync` that was lost on the way; seldom where it matters most. So the
//! explorer remembers what these records said before, and lets some reads show that. The rules of the election
//! must hold all the same; the event that the lagging follower owes for its watch comes later.

use std::collections::{BTreeMap, VecDeque};

use queenright_core::Zxid;
use queenright_core::op::{Change, Stat};
use queenright_core::wire::{ErrorCode, MultiRequest, Read, Request, Response, WatchedEvent};

use super::mix::{mix, scale};
use crate::zookeeper::{ConnectionId, FromServer, Tree};

/// How many older states of a record are remembered.
const REMEMBERED_MAX: usize = 4;

/// What the records said, and the read that is to be answered from it.
#[derive(Debug)]
pub(super) struct OldViews {
    key: u64,
    /// One read in so many is stale; 0 for none.
    one_in: u64,
    reads: u64,
    remembered: BTreeMap<String, VecDeque<View>>,
    /// The read under way that will be stale.
    chosen: Option<Chosen>,
}

type View = (Vec<u8>, Stat);

#[derive(Debug)]
struct Chosen {
    connection: ConnectionId,
    xid: i32,
    path: String,
    watch: bool,
    view: View,
}

impl OldViews {
    pub(super) const fn new(key: u64, one_in: u64) -> Self {
        Self { key, one_in, reads: 0, remembered: BTreeMap::new(), chosen: None }
    }

    /// A request is about to reach the server: remembers what it overwrites, and chooses whether a read is stale.
    pub(super) fn before(&mut self, tree: &Tree, connection: ConnectionId, xid: i32, request: &Request) {
        if self.one_in == 0 {
            return;
        }
        if let Request::SetData(set) = request {
            self.remember(tree, &set.path);
        }
        if let Request::Multi(parts) = request {
            for part in parts {
                match part {
                    MultiRequest::SetData(set) => self.remember(tree, &set.path),
                    MultiRequest::Delete(delete) => self.remember(tree, &delete.path),
                    MultiRequest::Create(_) | MultiRequest::Check(_) => {}
                }
            }
        }
        if let Request::GetData(read) = request {
            self.choose(connection, xid, read);
        }
    }

    /// Makes an answer stale if it is the chosen one. Returns the event that is owed for it, if it left a watch.
    pub(super) fn after(&mut self, to: ConnectionId, message: &mut FromServer) -> Option<Stale> {
        let FromServer::Reply { xid, result, .. } = message else { return None };
        let chosen = self.chosen.take_if(|chosen| (chosen.connection, chosen.xid) == (to, *xid))?;
        let change = match result {
            Ok(Response::GetData { .. }) => Change::DataChanged,
            Err(ErrorCode::NO_NODE) => Change::Deleted,
            _ => return None,
        };
        let (data, stat) = chosen.view;
        *result = Ok(Response::GetData { data: Some(data), stat });
        let event = WatchedEvent { change, path: chosen.path, zxid: Zxid(-1) };
        Some(Stale { owed: chosen.watch.then_some(event) })
    }

    fn choose(&mut self, connection: ConnectionId, xid: i32, read: &Read) {
        self.reads += 1;
        let word = mix(self.key, self.reads);
        let Some(views) = self.remembered.get(&read.path) else { return };
        if word.is_multiple_of(self.one_in) {
            let index = usize::try_from(scale(mix(word, 1), views.len() as u64)).unwrap_or(0);
            let Some(view) = views.get(index).cloned() else { return };
            self.chosen = Some(Chosen { connection, xid, path: read.path.clone(), watch: read.watch, view });
        }
    }

    fn remember(&mut self, tree: &Tree, path: &str) {
        if !is_record(path) {
            return;
        }
        let Some(znode) = tree.get(path) else { return };
        let views = self.remembered.entry(path.to_owned()).or_default();
        if views.len() == REMEMBERED_MAX {
            views.pop_front();
        }
        views.push_back((znode.data().to_vec(), znode.stat()));
    }
}

/// An answer was made stale.
#[derive(Debug)]
pub(super) struct Stale {
    /// What the watch of the read must report once the follower has caught up.
    pub(super) owed: Option<WatchedEvent>,
}

/// Whether a path is that of a term or of a lease.
fn is_record(path: &str) -> bool {
    path.ends_with("/term") || path.contains("/leases/")
}
