//! This node's lease record: its data version is the heartbeat, and its existence is this node's life
//! (ARCHITECTURE.md, "The election": records, and rules 1 to 4 and 12).
//!
//! | state | wanted and up | create ok | create anything else | beat ok | beat NoNode | retired |
//! |---|---|---|---|---|---|---|
//! | None | Creating, fresh name | – | – | – | – | – |
//! | Creating | – | Usable | None, name burnt | – | – | None |
//! | Usable | – | – | – | valid longer | None, gone | Retired |
//! | Retired | – | – | – | – | – | – |
//!
//! A reply to a request under an older name never changes the new one.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::backoff::{Backoff, salt};
use crate::config::Config;
use crate::ids::RequestId;
use crate::mutation::Mutation;
use crate::op::{CreateMode, ErrorCode, Op, OpError, Outcome, Version, Write};
use crate::outbox::{Fact, LeaseName, Outbox, Owner};
use crate::record::LeaseRecord;
use crate::time::Instant;
use crate::timers::Key;

/// How many beats may be unanswered; the next one waits for an answer.
const BEATS_MAX: usize = 64;

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Lease {
    state: State,
    /// How many names were drawn from the incarnation.
    names: u64,
    backoff: Backoff,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum State {
    None,
    Creating {
        request: RequestId,
    },
    Usable {
        name: LeaseName,
        /// Until when this node may believe that it leads what it holds.
        valid_until: Option<Instant>,
        /// When the record was last written to, as far as this node sent it.
        beaten_at: Option<Instant>,
        beats: Vec<RequestId>,
    },
    Retired,
}

impl Lease {
    pub(crate) fn new() -> Self {
        Self { state: State::None, names: 0, backoff: Backoff::default() }
    }

    /// The name under which claims can be made.
    pub(crate) fn name(&self) -> Option<&LeaseName> {
        match &self.state {
            State::Usable { name, .. } => Some(name),
            State::None | State::Creating { .. } | State::Retired => None,
        }
    }

    /// Rule 4: the end of every belief under the current name.
    pub(crate) fn valid_until(&self) -> Option<Instant> {
        match &self.state {
            State::Usable { valid_until, .. } => *valid_until,
            State::None | State::Creating { .. } | State::Retired => None,
        }
    }

    /// Takes a new name if there is none, and the link is up and no pause is under way (rule 2).
    pub(crate) fn want(&mut self, out: &mut Outbox) {
        if matches!(self.state, State::None) && out.is_up() && !out.timers.is_set(&Key::Lease) {
            self.create(out);
        }
    }

    pub(crate) fn handle_up(&mut self, is_wanted: bool, is_holding: bool, out: &mut Outbox) {
        self.backoff.succeed();
        match self.state {
            State::None if is_wanted => self.create(out),
            // During an outage no beat waits in the client; one goes out at once (rule 3).
            State::Usable { .. } if is_holding => self.beat(out),
            State::None | State::Creating { .. } | State::Usable { .. } | State::Retired => {}
        }
    }

    /// A pause is over. Whoever wanted a record may have changed its mind meanwhile.
    pub(crate) fn handle_timeout(&mut self, is_wanted: bool, out: &mut Outbox) {
        if matches!(self.state, State::None) && is_wanted && out.is_up() {
            self.create(out);
        }
    }

    /// Sets the deadline of the next beat, or clears it: beats go out while any term is held, and only then.
    pub(crate) fn schedule_beat(&self, is_holding: bool, out: &mut Outbox) {
        let at = match &self.state {
            State::Usable { beaten_at, .. }
                if is_holding && out.is_up() && !out.config.is_mutated(Mutation::NoBeat) =>
            {
                Some(beaten_at.map_or(out.now, |at| at.after(out.config.beat())))
            }
            State::None | State::Creating { .. } | State::Usable { .. } | State::Retired => None,
        };
        out.set_timer(Key::Beat, at);
    }

    /// Rule 3: a beat goes out on time whether or not the one before it was answered.
    pub(crate) fn beat(&mut self, out: &mut Outbox) {
        let data = LeaseRecord::new(&out.config).encode();
        let now = out.now;
        if let State::Usable { name, beaten_at, beats, .. } = &mut self.state {
            *beaten_at = Some(now);
            if beats.len() < BEATS_MAX {
                let op = Op::SetData { path: out.layout.lease(name), data, version: Version::Any };
                beats.push(out.request(Owner::Beat(Arc::clone(name)), op));
            }
        }
    }

    /// A claim goes out, which is a beat too.
    pub(crate) fn beaten(&mut self, name: &LeaseName, at: Instant) {
        if let State::Usable { name: current, beaten_at, .. } = &mut self.state
            && current == name
        {
            *beaten_at = Some(beaten_at.map_or(at, |beaten_at| beaten_at.max(at)));
        }
    }

    pub(crate) fn handle_created(
        &mut self,
        name: &LeaseName,
        request: RequestId,
        outcome: &Outcome,
        out: &mut Outbox,
    ) {
        match &self.state {
            State::Creating { request: awaited, .. } if *awaited == request => {}
            State::None | State::Creating { .. } | State::Usable { .. } | State::Retired => return,
        }
        match outcome {
            Ok(_) => {
                self.backoff.succeed();
                self.state = State::Usable {
                    name: Arc::clone(name),
                    valid_until: None,
                    beaten_at: None,
                    beats: Vec::new(),
                };
                out.tell(Fact::LeaseUsable);
            }
            Err(OpError::Unknown) if out.config.is_mutated(Mutation::CreateSentTwice) && out.is_up() => {
                self.create_named(Arc::clone(name), out);
            }
            // Whatever else it was, the name is burnt: it is never used, and the record, if it is there, is
            // left to the janitor.
            Err(error) => {
                self.state = State::None;
                if let Some(code) = error.code() {
                    if code == ErrorCode::NoNode {
                        out.create_parents(&out.layout.lease(name));
                    } else {
                        out.degraded(out.layout.lease(name), Some(code), "no lease record can be made here");
                    }
                    if code == ErrorCode::NoNode && self.backoff.is_calm() && out.is_up() {
                        self.backoff.fail(out.now, &out.config, 0);
                        self.create(out);
                        return;
                    }
                }
                let at = self.backoff.fail(out.now, &out.config, salt(name));
                out.set_timer(Key::Lease, Some(at));
            }
        }
    }

    pub(crate) fn handle_beat(
        &mut self,
        name: &LeaseName,
        request: RequestId,
        outcome: &Outcome,
        out: &mut Outbox,
    ) {
        if let State::Usable { name: current, beats, .. } = &mut self.state
            && current == name
        {
            beats.retain(|beat| *beat != request);
        }
        match outcome {
            Err(OpError::Refused(ErrorCode::NoNode)) => out.tell(Fact::LeaseGone(Arc::clone(name))),
            Err(OpError::Refused(code)) => {
                out.degraded(out.layout.lease(name), Some(*code), "a beat is refused")
            }
            Ok(_) | Err(OpError::RefusedAt { .. } | OpError::Unknown) => {}
        }
    }

    /// A write to the record of `name` that was sent at `sent_at` succeeded (rules 3 and 7). Says whether
    /// beliefs last longer now.
    pub(crate) fn acknowledged(&mut self, name: &LeaseName, sent_at: Instant, out: &Outbox) -> bool {
        let State::Usable { name: current, valid_until, .. } = &mut self.state else { return false };
        if current != name {
            return false;
        }
        let counted_from = if out.config.is_mutated(Mutation::LeaseFromReply) { out.now } else { sent_at };
        let until = Some(counted_from.after(out.config.lease));
        let is_later = until > *valid_until;
        *valid_until = until.max(*valid_until);
        is_later
    }

    /// The record of `name` is gone: if that is the current one, this node is dead to all others (rule 3).
    /// Says whether it is; what is said of an older name changes nothing.
    pub(crate) fn gone(&mut self, name: &LeaseName, out: &mut Outbox) -> bool {
        let is_current = self.name() == Some(name);
        if is_current {
            self.state = State::None;
            out.set_timer(Key::Beat, None);
        }
        is_current
    }

    /// Rule 12: every term is released, so the name is dropped first and its record deleted afterwards.
    pub(crate) fn retire(&mut self, out: &mut Outbox) {
        if let State::Usable { name, .. } = &self.state
            && out.is_up()
        {
            let op = Op::Delete { path: out.layout.lease(name), version: Version::Any };
            out.request(Owner::LeaseDelete(Arc::clone(name)), op);
        }
        self.state = State::Retired;
        out.set_timer(Key::Beat, None);
        out.set_timer(Key::Lease, None);
    }

    pub(crate) fn check_invariants(&self) {
        match &self.state {
            State::None | State::Creating { .. } | State::Retired => {}
            State::Usable { valid_until, beats, .. } => {
                assert!(beats.len() <= BEATS_MAX, "too many beats are unanswered");
                assert!(valid_until.is_none() || self.names > 0, "a lease without a name");
            }
        }
    }

    fn create(&mut self, out: &mut Outbox) {
        if !out.config.is_mutated(Mutation::NameNotBurnt) {
            self.names += 1;
        }
        let name: LeaseName = format!("{}.{}", out.config.incarnation, self.names).into();
        self.create_named(name, out);
    }

    /// Sent once for each name, and nothing names it before the Ok (rule 2).
    fn create_named(&mut self, name: LeaseName, out: &mut Outbox) {
        out.set_timer(Key::Lease, None);
        let op = Op::Create {
            path: out.layout.lease(&name),
            data: LeaseRecord::new(&out.config).encode(),
            mode: CreateMode::Persistent,
        };
        let request = out.request(Owner::LeaseCreate(Arc::clone(&name)), op);
        self.state = State::Creating { request };
    }
}

/// The write that goes in front of every claim: it fails if this node is dead, and beats if not.
pub(crate) fn proof_of_life(name: &LeaseName, out: &Outbox) -> Write {
    Write::SetData {
        path: out.layout.lease(name),
        data: LeaseRecord::new(&out.config).encode(),
        version: Version::Any,
    }
}

/// Whether `name` is one that this node drew, now or earlier in its life.
pub(crate) fn is_own(name: &str, config: &Config) -> bool {
    name.split_once('.').is_some_and(|(incarnation, _)| config.incarnation.is_written_as(incarnation))
}
