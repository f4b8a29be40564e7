//! The lease records of other nodes, as observed: who is dead, and since when who is silent (rule 8).
//!
//! | state | read ok, higher version | read ok, same | read NoNode | event | down |
//! |---|---|---|---|---|---|
//! | Unseen | Seen now | – | Dead | – | Unseen |
//! | Seen | Seen now | Seen, since as before | Dead | reads again | Unseen |
//! | Dead | – | – | – | – | Dead |
//!
//! One record is observed once, however many globals its owner holds. What was first seen is keyed by the name
//! of the record and never carried to another one, and starts anew when our own connection was down. A record
//! that is absent after a term named it was deleted, and never returns.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::time::Duration;

use crate::backoff::{Backoff, salt};
use crate::ids::RequestId;
use crate::mutation::Mutation;
use crate::op::{ErrorCode, Op, OpError, Outcome, Reply};
use crate::outbox::{LeaseName, Outbox, Owner};
use crate::path::{Name, Path};
use crate::record::LeaseRecord;
use crate::time::Instant;
use crate::timers::Key;
use crate::watches::Tree;

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Records {
    by_name: BTreeMap<LeaseName, Record>,
}

/// What is known of the holder behind a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Not observed, or not long enough.
    Unknown,
    /// Silent at `version` since `since`; dead at `dead_at` unless it beats (rule 9b).
    Silent { version: i32, dead_at: Instant },
    /// Its record is gone (rule 9a).
    Dead,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
struct Record {
    state: State,
    read: Option<RequestId>,
    observers: BTreeSet<Name>,
    backoff: Backoff,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum State {
    Unseen,
    Seen {
        version: i32,
        since: Instant,
        lease: Duration,
    },
    /// It is there and makes no sense: nobody dies of that.
    Illegible,
    Dead,
}

impl Records {
    /// `global` is held under `lease`, as a read of its term just said: observe it.
    pub(crate) fn observe(&mut self, lease: &LeaseName, global: &Name, out: &mut Outbox) {
        let record = self.by_name.entry(Arc::clone(lease)).or_insert_with(Record::new);
        record.observers.insert(global.clone());
        if record.read.is_none() && matches!(record.state, State::Unseen) && record.backoff.is_calm() {
            record.read(lease, out);
        }
    }

    /// `global` is not held under `lease` any more, or nobody here needs to know.
    pub(crate) fn forget(&mut self, lease: &LeaseName, global: &Name, out: &mut Outbox) {
        let Some(record) = self.by_name.get_mut(lease) else { return };
        record.observers.remove(global);
        if record.observers.is_empty() {
            // Its watch stays: it fires with the next beat, or when the record goes, and costs no more than to take it back.
            self.by_name.remove(lease);
            out.set_timer(Key::Record(Arc::clone(lease)), None);
        }
    }

    pub(crate) fn life(&self, lease: &LeaseName, out: &Outbox) -> Life {
        match self.by_name.get(lease).map(|record| &record.state) {
            None | Some(State::Unseen) if out.config.is_mutated(Mutation::UnseenIsDead) => Life::Dead,
            None | Some(State::Unseen | State::Illegible) => Life::Unknown,
            Some(State::Dead) => Life::Dead,
            Some(State::Seen { version, since, lease }) => {
                let silence = if out.config.is_mutated(Mutation::NoWait) {
                    Duration::ZERO
                } else if out.config.is_mutated(Mutation::NoClockRate) {
                    *lease
                } else {
                    out.config.silence(*lease)
                };
                Life::Silent { version: *version, dead_at: since.after(silence) }
            }
        }
    }

    /// Whether it is being read again: what was known of it must not be acted on before the answer.
    pub(crate) fn is_in_doubt(&self, lease: &LeaseName) -> bool {
        self.by_name.get(lease).is_some_and(|record| record.read.is_some() || !record.backoff.is_calm())
    }

    pub(crate) fn observers(&self, lease: &LeaseName) -> impl Iterator<Item = &Name> {
        self.by_name.get(lease).into_iter().flat_map(|record| &record.observers)
    }

    /// Our own connection was down: silence proves nothing from before.
    pub(crate) fn handle_down(&mut self, out: &mut Outbox) {
        for (lease, record) in &mut self.by_name {
            record.read = None;
            record.backoff.succeed();
            match record.state {
                State::Seen { .. } | State::Illegible => record.state = State::Unseen,
                State::Unseen | State::Dead => {}
            }
            out.set_timer(Key::Record(Arc::clone(lease)), None);
        }
    }

    pub(crate) fn handle_event(&mut self, lease: &str, out: &mut Outbox) {
        let Some(record) = self.by_name.get_mut(lease) else { return };
        if out.is_up() && !matches!(record.state, State::Dead) {
            record.read(&Arc::from(lease), out);
        }
    }

    /// Somebody acted on what is known of it, and was refused.
    pub(crate) fn handle_doubt(&mut self, lease: &LeaseName, out: &mut Outbox) {
        let Some(record) = self.by_name.get_mut(lease) else { return };
        if out.is_up() && record.read.is_none() && !matches!(record.state, State::Dead) {
            record.read(lease, out);
        }
    }

    /// The watch above failed, or a retry is due.
    pub(crate) fn handle_retry(&mut self, lease: &LeaseName, out: &mut Outbox) {
        if let Some(record) = self.by_name.get_mut(lease)
            && out.is_up()
            && record.read.is_none()
            && !record.backoff.is_calm()
        {
            record.read(lease, out);
        }
    }

    pub(crate) fn handle_watch_failed(&mut self, tree: &Path, out: &mut Outbox) {
        for (lease, record) in &mut self.by_name {
            if out.layout.lease(lease).below(tree).is_some() && !matches!(record.state, State::Dead) {
                // Nothing would tell of beats after a read that is under way: another one counts.
                record.read = None;
                record.retry_later(lease, out);
            }
        }
    }

    /// Says whether those who wait for the answer may go on.
    pub(crate) fn handle_read(
        &mut self,
        lease: &LeaseName,
        request: RequestId,
        outcome: Outcome,
        out: &mut Outbox,
    ) -> bool {
        let Some(record) = self.by_name.get_mut(lease) else { return false };
        if record.read != Some(request) {
            return false;
        }
        record.read = None;
        match outcome {
            Ok(Reply::Data { data, stat }) => {
                record.backoff.succeed();
                record.see(&data, stat.version, lease, out);
                true
            }
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                record.state = State::Dead;
                true
            }
            Err(OpError::Unknown) if out.config.is_mutated(Mutation::UnknownIsAbsent) => {
                record.state = State::Dead;
                true
            }
            Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                out.degraded(out.layout.lease(lease), Some(code), "a lease record cannot be read");
                record.retry_later(lease, out);
                false
            }
            Ok(_) | Err(OpError::Unknown) => {
                record.retry_later(lease, out);
                false
            }
        }
    }

    pub(crate) fn check_invariants(&self, out: &Outbox) {
        for (lease, record) in &self.by_name {
            assert!(!record.observers.is_empty(), "record {lease} is observed for nobody");
            match record.state {
                State::Seen { since, .. } => {
                    assert!(out.is_up(), "record {lease} is believed without a connection");
                    assert!(since <= out.now, "record {lease} was seen in the future");
                }
                State::Unseen | State::Illegible | State::Dead => {}
            }
        }
    }
}

impl Record {
    fn new() -> Self {
        Self { state: State::Unseen, read: None, observers: BTreeSet::new(), backoff: Backoff::default() }
    }

    fn read(&mut self, lease: &LeaseName, out: &mut Outbox) {
        if !out.is_up() {
            return;
        }
        out.set_timer(Key::Record(Arc::clone(lease)), None);
        let path = out.layout.lease(lease);
        let watch = out.watch_data(&path, Tree::Leases);
        self.read = Some(out.request(Owner::Record(Arc::clone(lease)), Op::GetData { path, watch }));
    }

    fn see(&mut self, data: &[u8], version: i32, lease: &LeaseName, out: &mut Outbox) {
        let decoded = match LeaseRecord::decode(data) {
            Ok(decoded) => decoded,
            Err(bad) => {
                out.degraded(
                    out.layout.lease(lease),
                    None,
                    alloc::format!("the lease record is refused: {bad}"),
                );
                self.state = State::Illegible;
                return;
            }
        };
        match self.state {
            // A lower version is an older view, an equal one no news.
            State::Seen { version: known, .. } if version.wrapping_sub(known) <= 0 => {}
            State::Dead => {}
            State::Seen { since, lease, .. } if out.config.is_mutated(Mutation::SilenceNotBroken) => {
                self.state = State::Seen { version, since, lease };
            }
            State::Unseen | State::Seen { .. } | State::Illegible => {
                self.state = State::Seen { version, since: out.now, lease: decoded.lease };
            }
        }
    }

    fn retry_later(&mut self, lease: &LeaseName, out: &mut Outbox) {
        let at = self.backoff.fail(out.now, &out.config, salt(lease));
        out.set_timer(Key::Record(Arc::clone(lease)), Some(at));
    }
}
