//! One registration: a znode that must be there, or must not, whatever happens in between.
//!
//! | state | up, new session | up, same session | down | event on the znode | unregister |
//! |---|---|---|---|---|---|
//! | Offline | Creating | Reading | – | – | Gone, if no session owns it |
//! | Creating | – | Reading | Offline | – | waits for the answers |
//! | CreatingWatched | – | Reading | Offline | Reading, once it is answered | waits for the answer |
//! | Reading | – | Reading | Offline | – | waits for the answer |
//! | Held | – | – | Offline | Reading | Deleting |
//! | Occupied | – | – | Offline | Reading | Gone |
//! | Deleting | – | Reading | Offline | – | – |
//! | Backoff | – | – | Offline | – | Reading |
//!
//! Every write is followed on the same connection by a read that leaves the watch: the read decides, whatever
//! became of the write's answer. Only where a recursive watch is armed already, a creation that succeeds, with
//! nothing heard in between, decides alone: it says whose the znode is, and what comes after it is told. A znode
//! is ours if and only if the current session owns it; the name is this node's own, so no other session of this
//! node can have made it but one that is dead or dying, and that one is waited for, never adopted (Dubbo 5125).
//! It is deleted at the version that was read, never blindly. One that is not wanted is gone when it is absent behind a write
//! that came after its creation, whatever became of that.

use alloc::vec::Vec;

use crate::backoff::{Backoff, salt};
use crate::ids::{RegistrationId, RequestId, Zxid};
use crate::layout::Znode;
use crate::mutation::Mutation;
use crate::op::{Change, CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Stat, Version};
use crate::outbox::{Fact, Outbox, Owner, exactly};
use crate::output::{Directory, Event, RegistrationStatus};
use crate::path::{Name, Path};
use crate::timers::Key;
use crate::watches::Tree;

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Registration {
    id: RegistrationId,
    directory: Directory,
    instance: Name,
    path: Path,
    has_payload: bool,
    wanted: Wanted,
    state: State,
    /// What was told last.
    status: RegistrationStatus,
    backoff: Backoff,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum Wanted {
    Present(Vec<u8>),
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum State {
    /// No connection. `owned`: the session that is only suspended may own a znode.
    Offline { owned: Owned },
    /// A create, and a read behind it. `refusal` is the create's, when it had one.
    Creating { create: RequestId, read: RequestId, refusal: Option<ErrorCode> },
    /// A create under a recursive watch. `is_settled`: nothing was heard or wanted since that it could not know of.
    CreatingWatched { create: RequestId, is_settled: bool },
    /// A read that leaves a watch, perhaps behind a write. `is_fenced`: behind one after which nothing of an earlier
    /// connection can come.
    Reading { read: RequestId, is_fenced: bool },
    /// The znode is ours, as last read.
    Held { czxid: Zxid, version: i32 },
    /// Somebody else's znode is in the way.
    Occupied,
    /// A delete at the version read.
    Deleting { request: RequestId },
    /// Refused, or in doubt on a living connection.
    Backoff { owned: Owned },
    /// Not there, and not wanted.
    Gone,
}

/// Whether the session that was last connected may own the znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum Owned {
    Maybe,
    No,
}

impl Registration {
    pub(crate) fn new(
        id: RegistrationId,
        directory: &Directory,
        instance: Name,
        payload: Vec<u8>,
        out: &mut Outbox,
    ) -> Self {
        let has_payload = !payload.is_empty();
        let path = out.layout.instance(directory, &Znode { name: instance.clone(), has_payload });
        let mut registration = Self {
            id,
            directory: directory.clone(),
            instance,
            path,
            has_payload,
            wanted: Wanted::Present(payload),
            state: State::Offline { owned: Owned::No },
            status: RegistrationStatus::Pending,
            backoff: Backoff::default(),
        };
        registration.publish(RegistrationStatus::Pending, out);
        if out.is_up() {
            registration.create(out);
        }
        registration
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn instance(&self) -> &Name {
        &self.instance
    }

    pub(crate) fn has_payload(&self) -> bool {
        self.has_payload
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted != Wanted::Absent
    }

    /// Whether nothing is left to be done for it, ever.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    pub(crate) fn update(&mut self, payload: Vec<u8>, out: &mut Outbox) {
        self.wanted = Wanted::Present(payload);
        // "Registered" means with the wanted payload: it is told again when the read behind the write shows it.
        if matches!(self.status, RegistrationStatus::Registered { .. }) {
            self.publish(RegistrationStatus::Pending, out);
        }
        match self.state {
            State::Held { version, .. } => self.set(version, out),
            State::CreatingWatched { .. } => self.unsettle(),
            // The read that comes compares what is there with what is wanted.
            State::Offline { .. }
            | State::Creating { .. }
            | State::Reading { .. }
            | State::Occupied
            | State::Deleting { .. }
            | State::Backoff { .. }
            | State::Gone => {}
        }
    }

    /// It must not be there any more, and never again.
    pub(crate) fn unregister(&mut self, out: &mut Outbox) {
        self.wanted = Wanted::Absent;
        match self.state {
            State::Creating { .. } | State::CreatingWatched { .. }
                if out.config.is_mutated(Mutation::CreationForgotten) =>
            {
                self.finish(out);
            }
            State::Held { version, .. } => self.delete(version, out),
            State::Occupied | State::Offline { owned: Owned::No } | State::Backoff { owned: Owned::No } => {
                self.finish(out);
            }
            State::Backoff { owned: Owned::Maybe } => self.read(out),
            State::Offline { owned: Owned::Maybe }
            | State::Creating { .. }
            | State::CreatingWatched { .. }
            | State::Reading { .. }
            | State::Deleting { .. }
            | State::Gone => {}
        }
    }

    pub(crate) fn handle_up(&mut self, is_new_session: bool, out: &mut Outbox) {
        if self.is_gone() {
            return;
        }
        self.backoff.succeed();
        match (&self.wanted, is_new_session) {
            (Wanted::Present(_), true) => self.create(out),
            // What the session before owned went with it.
            (Wanted::Absent, true) => self.finish(out),
            (Wanted::Present(_) | Wanted::Absent, false) => self.read(out),
        }
    }

    pub(crate) fn handle_down(&mut self, is_lost: bool, out: &mut Outbox) {
        let owned = match self.state {
            State::Gone => return,
            _ if is_lost => Owned::No,
            State::Offline { owned } | State::Backoff { owned } => owned,
            State::Occupied => Owned::No,
            State::Deleting { .. } if out.config.is_mutated(Mutation::DeleteForgotten) => Owned::No,
            State::Creating { .. }
            | State::CreatingWatched { .. }
            | State::Reading { .. }
            | State::Held { .. }
            | State::Deleting { .. } => Owned::Maybe,
        };
        out.set_timer(Key::Registration(self.id), None);
        self.state = State::Offline { owned };
        if self.wanted == Wanted::Absent && owned == Owned::No {
            self.finish(out);
        } else if is_lost {
            self.publish(RegistrationStatus::Pending, out);
        }
    }

    pub(crate) fn handle_timeout(&mut self, out: &mut Outbox) {
        if out.is_up() && matches!(self.state, State::Backoff { .. }) {
            self.retry(out);
        }
    }

    /// The watch that covers it could not be armed.
    pub(crate) fn handle_watch_failed(&mut self, tree: &Path, out: &mut Outbox) {
        if self.path.below(tree).is_some() && out.is_up() {
            match self.state {
                State::Held { .. } => self.back_off(Owned::Maybe, out),
                State::Occupied => self.back_off(Owned::No, out),
                State::CreatingWatched { .. } => self.unsettle(),
                State::Offline { .. }
                | State::Creating { .. }
                | State::Reading { .. }
                | State::Deleting { .. }
                | State::Backoff { .. }
                | State::Gone => {}
            }
        }
    }

    /// The watch that covered it was given up, which happens on a living connection.
    pub(crate) fn handle_uncovered(&mut self, out: &mut Outbox) {
        match self.state {
            State::Held { .. } | State::Occupied => self.read(out),
            State::CreatingWatched { .. } => self.unsettle(),
            State::Offline { .. }
            | State::Creating { .. }
            | State::Reading { .. }
            | State::Deleting { .. }
            | State::Backoff { .. }
            | State::Gone => {}
        }
    }

    pub(crate) fn handle_event(&mut self, change: Change, out: &mut Outbox) {
        match (self.state, change) {
            (State::Held { .. } | State::Occupied, Change::Deleted | Change::DataChanged) => self.read(out),
            (State::CreatingWatched { .. }, Change::Deleted | Change::DataChanged) => self.unsettle(),
            (State::Held { .. } | State::Occupied, Change::Created | Change::ChildrenChanged)
                if !out.is_watched(&self.path) =>
            {
                self.read(out);
            }
            // A znode that was there cannot be created: this is the echo of our own creation, told by a
            // watch on the tree.
            (State::Held { .. } | State::Occupied, Change::Created | Change::ChildrenChanged)
            // The read that is under way, or will be, shows it.
            | (
                State::Offline { .. }
                | State::Creating { .. }
                | State::CreatingWatched { .. }
                | State::Reading { .. }
                | State::Deleting { .. }
                | State::Backoff { .. }
                | State::Gone,
                _,
            ) => {}
        }
    }

    pub(crate) fn handle_response(&mut self, request: RequestId, outcome: Outcome, out: &mut Outbox) {
        match self.state {
            State::Creating { create, read, .. } if request == create => {
                let refusal = outcome.err().and_then(OpError::code);
                self.state = State::Creating { create, read, refusal };
            }
            State::Creating { read, refusal, .. } if request == read => self.decide(outcome, refusal, out),
            State::CreatingWatched { create, is_settled } if request == create => {
                self.created(create, outcome, is_settled, out);
            }
            State::Reading { read, is_fenced } if request == read => {
                let is_absent = outcome == Err(OpError::Refused(ErrorCode::NoNode));
                if is_absent && !is_fenced && !self.is_wanted() {
                    self.read_fenced(out);
                } else {
                    self.decide(outcome, None, out);
                }
            }
            State::Deleting { request: delete } if request == delete => match outcome {
                Ok(_) | Err(OpError::Refused(ErrorCode::NoNode)) => self.deleted(out),
                Err(OpError::Refused(ErrorCode::BadVersion))
                    if out.config.is_mutated(Mutation::RefusalIsDeletion) =>
                {
                    self.deleted(out)
                }
                Err(OpError::Refused(ErrorCode::BadVersion) | OpError::Unknown) if out.is_up() => {
                    self.read(out)
                }
                // The session ended with it, which is told next.
                Err(OpError::Refused(ErrorCode::BadVersion) | OpError::Unknown) => {}
                Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                    self.blocked(code, Owned::Maybe, out);
                }
            },
            State::Offline { .. }
            | State::Creating { .. }
            | State::CreatingWatched { .. }
            | State::Reading { .. }
            | State::Held { .. }
            | State::Occupied
            | State::Deleting { .. }
            | State::Backoff { .. }
            | State::Gone => {}
        }
    }

    pub(crate) fn check_invariants(&self, out: &Outbox) {
        match self.state {
            State::Offline { owned } => {
                assert!(!out.is_up(), "{}: nobody looks after it", self.path);
                assert!(
                    self.is_wanted() || owned == Owned::Maybe,
                    "{}: nothing is left to be done",
                    self.path
                );
            }
            State::CreatingWatched { is_settled, .. } => {
                assert!(out.is_up(), "{}: thinks that it is connected", self.path);
                let is_relying = is_settled && self.is_wanted();
                assert!(!is_relying || out.is_watched(&self.path), "{}: relies on no watch", self.path);
            }
            State::Creating { .. }
            | State::Reading { .. }
            | State::Deleting { .. }
            | State::Backoff { .. } => assert!(out.is_up(), "{}: thinks that it is connected", self.path),
            State::Held { .. } => {
                assert!(out.is_up(), "{}: thinks that it is connected", self.path);
                assert!(out.is_watched(&self.path), "{}: nothing tells of changes", self.path);
            }
            State::Occupied => {
                assert!(out.is_up() && self.is_wanted(), "{}: waits for nothing", self.path);
                assert!(out.is_watched(&self.path), "{}: nothing tells of changes", self.path);
            }
            State::Gone => assert!(!self.is_wanted(), "{}: wanted, and given up", self.path),
        }
        if matches!(self.status, RegistrationStatus::Registered { .. }) {
            assert!(self.is_wanted() || !self.is_gone(), "{}: told as there", self.path);
        }
    }

    /// What the read behind a write, or alone, says about the znode.
    fn decide(&mut self, outcome: Outcome, refusal: Option<ErrorCode>, out: &mut Outbox) {
        match outcome {
            Ok(Reply::Data { data, stat }) => {
                let is_as_wanted = matches!(&self.wanted, Wanted::Present(payload) if *payload == data);
                self.found(is_as_wanted, &stat, out);
            }
            Err(OpError::Refused(ErrorCode::NoNode)) => self.absent(refusal, out),
            Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                self.blocked(code, Owned::Maybe, out);
            }
            Ok(_) | Err(OpError::Unknown) => self.back_off(Owned::Maybe, out),
        }
    }

    /// What a creation under a recursive watch says.
    fn created(&mut self, create: RequestId, outcome: Outcome, is_settled: bool, out: &mut Outbox) {
        match outcome {
            Ok(Reply::Created { stat, .. }) if is_settled => self.found(true, &stat, out),
            Err(OpError::Refused(code @ ErrorCode::NoNode)) => self.absent(Some(code), out),
            // The session ended with it, which is told next.
            Err(OpError::Unknown) if !out.is_up() => {}
            Ok(_) | Err(OpError::Refused(ErrorCode::NodeExists) | OpError::Unknown) => self.read(out),
            Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                let read = self.request_read(out);
                self.state = State::Creating { create, read, refusal: Some(code) };
            }
        }
    }

    /// What the answer to the creation would say is not all that there is to know.
    fn unsettle(&mut self) {
        if let State::CreatingWatched { is_settled, .. } = &mut self.state {
            *is_settled = false;
        }
    }

    fn found(&mut self, is_as_wanted: bool, stat: &Stat, out: &mut Outbox) {
        if !out.is_watched(&self.path) && self.is_wanted() {
            // The recursive watch went while the answer was on its way, and the read left none.
            if self.backoff.is_calm() {
                self.backoff.fail(out.now, &out.config, 0);
                self.read(out);
            } else {
                self.back_off(Owned::Maybe, out);
            }
            return;
        }
        let is_ours = stat.owner().is_some() && stat.owner() == out.session();
        let is_adopted = out.config.is_mutated(Mutation::AdoptFromDeadSession) && stat.owner().is_some();
        if !is_ours && !is_adopted {
            self.state = State::Occupied;
            match self.wanted {
                Wanted::Present(_) => self.publish(RegistrationStatus::Occupied { owner: stat.owner() }, out),
                Wanted::Absent => self.finish(out),
            }
            return;
        }
        match &self.wanted {
            Wanted::Absent => self.delete(stat.version, out),
            Wanted::Present(_) if is_as_wanted || out.config.is_mutated(Mutation::OldPayloadKept) => {
                self.backoff.succeed();
                self.state = State::Held { czxid: stat.czxid, version: stat.version };
                self.publish(RegistrationStatus::Registered { czxid: stat.czxid }, out);
            }
            Wanted::Present(_) => self.set(stat.version, out),
        }
    }

    fn absent(&mut self, refusal: Option<ErrorCode>, out: &mut Outbox) {
        if self.wanted == Wanted::Absent {
            self.finish(out);
            return;
        }
        match refusal {
            Some(ErrorCode::NoNode) if self.backoff.is_calm() => {
                // Once at once; then with pauses, for somebody may be removing the parents again and again.
                self.backoff.fail(out.now, &out.config, 0);
                out.create_parents(&self.path);
                self.create(out);
            }
            Some(ErrorCode::NoNode) => {
                out.create_parents(&self.path);
                self.back_off(Owned::No, out);
            }
            None | Some(ErrorCode::NodeExists) if self.backoff.is_calm() => {
                self.backoff.fail(out.now, &out.config, 0);
                self.create(out);
            }
            None | Some(ErrorCode::NodeExists) => self.back_off(Owned::No, out),
            // The read behind it found nothing: there is nothing of ours to look for.
            Some(code) => self.blocked(code, Owned::No, out),
        }
    }

    fn blocked(&mut self, code: ErrorCode, owned: Owned, out: &mut Outbox) {
        out.degraded(self.path.clone(), Some(code), "the registration is refused");
        if self.is_wanted() {
            self.publish(RegistrationStatus::Blocked { code }, out);
        }
        self.back_off(owned, out);
    }

    fn back_off(&mut self, owned: Owned, out: &mut Outbox) {
        self.state = State::Backoff { owned };
        let at = self.backoff.fail(out.now, &out.config, salt(self.path.as_str()));
        out.set_timer(Key::Registration(self.id), Some(at));
    }

    fn retry(&mut self, out: &mut Outbox) {
        match (self.state, &self.wanted) {
            (State::Backoff { owned: Owned::No }, Wanted::Present(_)) => self.create(out),
            _ => self.read(out),
        }
    }

    fn create(&mut self, out: &mut Outbox) {
        let Wanted::Present(payload) = &self.wanted else { return };
        let op = Op::Create { path: self.path.clone(), data: payload.clone(), mode: CreateMode::Ephemeral };
        // The watch first: it tells of all that comes after the creation.
        let needs_one_shot = out.watch_own(&self.path, self.tree());
        let create = out.request(Owner::Registration(self.id), op);
        self.state = if needs_one_shot {
            let read = self.request_read(out);
            State::Creating { create, read, refusal: None }
        } else {
            State::CreatingWatched { create, is_settled: true }
        };
    }

    fn read(&mut self, out: &mut Outbox) {
        out.set_timer(Key::Registration(self.id), None);
        self.state = State::Reading { read: self.request_read(out), is_fenced: false };
    }

    /// Reads again, behind a write that changes nothing: below an ephemeral there is never a znode. That it is not there is
    /// no proof that it never comes: its creation may be on its way to a majority still, and neither a `sync` nor a read
    /// waits for that. A write does.
    fn read_fenced(&mut self, out: &mut Outbox) {
        let fence = Op::Delete { path: self.path.join("fence"), version: Version::Any };
        out.request(Owner::Nobody, fence);
        self.state = State::Reading { read: self.request_read(out), is_fenced: true };
    }

    fn request_read(&self, out: &mut Outbox) -> RequestId {
        let watch =
            out.watch_own(&self.path, self.tree()) && !out.config.is_mutated(Mutation::OwnZnodeNotWatched);
        out.request(Owner::Registration(self.id), Op::GetData { path: self.path.clone(), watch })
    }

    fn tree(&self) -> Tree {
        match self.directory {
            Directory::Nodes => Tree::Nodes,
            Directory::Service(_) => Tree::Services,
        }
    }

    /// Replaces the payload; the read behind it decides, and leaves a new watch for the one that this fires.
    fn set(&mut self, version: i32, out: &mut Outbox) {
        let Wanted::Present(payload) = &self.wanted else { return };
        let Some(version) = exactly(version) else {
            self.back_off(Owned::Maybe, out);
            return;
        };
        let op = Op::SetData { path: self.path.clone(), data: payload.clone(), version };
        out.request(Owner::Nobody, op);
        self.read(out);
    }

    fn delete(&mut self, version: i32, out: &mut Outbox) {
        let Some(version) = exactly(version) else {
            self.back_off(Owned::Maybe, out);
            return;
        };
        let op = Op::Delete { path: self.path.clone(), version };
        self.state = State::Deleting { request: out.request(Owner::Registration(self.id), op) };
    }

    fn deleted(&mut self, out: &mut Outbox) {
        // Our own delete fired it, whether its event has come or not.
        out.watch_gone(&self.path);
        match self.wanted {
            Wanted::Absent => self.finish(out),
            // Unregistering is final, so this cannot be; it would be wanted again.
            Wanted::Present(_) => self.create(out),
        }
    }

    fn finish(&mut self, out: &mut Outbox) {
        out.set_timer(Key::Registration(self.id), None);
        out.unwatch_data(&self.path);
        self.state = State::Gone;
        self.publish(RegistrationStatus::Gone, out);
        out.tell(Fact::Unregistered(self.id));
    }

    fn publish(&mut self, status: RegistrationStatus, out: &mut Outbox) {
        let is_first = matches!(self.state, State::Offline { owned: Owned::No }) && self.status == status;
        if self.status != status || is_first {
            self.status = status.clone();
            out.event(Event::Registration { id: self.id, status });
        }
    }
}
