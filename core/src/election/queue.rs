//! A candidate in the queue of a global: it decides who tries next, and nothing else (rule 11).
//!
//! | state | wanted | create ok | create unknown | list without it | list with it | not wanted | new session |
//! |---|---|---|---|---|---|---|---|
//! | Absent | Creating | – | – | – | Deleting, for it is an orphan of ours | – | – |
//! | Creating | – | Queued | Unsure | – | – | waits for the answer | Absent |
//! | Unsure | Fencing | – | – | – | – | Fencing | Absent |
//! | Fencing | – | – | – | – | – | – | Absent |
//! | Fenced | lists | – | – | Absent | Queued | lists | Absent |
//! | Queued | – | – | – | Absent | Queued | Deleting | Absent |
//! | Deleting | – | – | – | Absent | – | – | Absent |
//!
//! A candidate's name carries the incarnation of its node and a counter, so a lost answer to its creation is
//! resolved by listing. Not by listing alone: the creation may have gone to another server, and be committed after a
//! `sync` on the connection that came next, for one that leads answers that by itself. So first comes a fence, a write
//! that changes nothing: once the leader has decided it, no creation can come any more that was sent before, and the server
//! that tells so has applied all of them. A fence whose answer is lost (Fencing) leads back to Unsure. Every child of this
//! incarnation that is not the candidate is deleted when it is seen.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::backoff::{Backoff, salt};
use crate::ids::{Incarnation, RequestId};
use crate::mutation::Mutation;
use crate::op::{Change, CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Version};
use crate::outbox::{Outbox, Owner};
use crate::path::{Name, Path};
use crate::shape::is_sequence;
use crate::time::Instant;
use crate::watches::Tree;

/// How many candidates in front of it a candidate watches.
const WATCHED_MAX: usize = 2;

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Queue {
    global: Name,
    path: Path,
    state: State,
    list: List,
    /// The names of the candidates directly in front, nearest first, with watches on them.
    ahead: Vec<String>,
    /// Counts candidates of this node for this global: part of their names.
    created: u64,
    backoff: Backoff,
    /// Nothing is sent before.
    retry_at: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum State {
    Absent,
    Creating {
        request: RequestId,
    },
    /// Its creation may have happened, or may happen yet.
    Unsure,
    Fencing {
        request: RequestId,
    },
    /// Its creation has happened, or never will.
    Fenced,
    Queued {
        znode: String,
        rank: Option<usize>,
    },
    Deleting {
        znode: String,
        request: RequestId,
    },
    /// A delete whose answer was lost, or that could not be sent.
    Doomed {
        znode: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum List {
    Idle,
    Wanted,
    InFlight { request: RequestId },
}

impl Queue {
    pub(crate) fn new(global: Name, out: &Outbox) -> Self {
        Self {
            path: out.layout.queue(&global),
            global,
            state: State::Absent,
            list: List::Idle,
            ahead: Vec::new(),
            created: 0,
            backoff: Backoff::default(),
            retry_at: None,
        }
    }

    /// How many candidates wait in front of this node's; `None` when that is not known.
    pub(crate) fn rank(&self) -> Option<usize> {
        match &self.state {
            State::Queued { rank, .. } => *rank,
            State::Absent
            | State::Creating { .. }
            | State::Unsure
            | State::Fencing { .. }
            | State::Fenced
            | State::Deleting { .. }
            | State::Doomed { .. } => None,
        }
    }

    /// Whether nothing of this node is, or may be, in the queue.
    pub(crate) fn is_absent(&self) -> bool {
        self.state == State::Absent && self.list == List::Idle
    }

    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Sends whatever is due, given whether a candidate is wanted.
    pub(crate) fn advance(&mut self, is_wanted: bool, out: &mut Outbox) {
        if !out.is_up() || self.retry_at.is_some_and(|at| at > out.now) {
            return;
        }
        self.retry_at = None;
        match (&self.state, is_wanted) {
            (State::Absent, true) if self.list == List::Idle => self.create(out),
            (State::Queued { znode, .. } | State::Doomed { znode }, false) => {
                let znode = znode.clone();
                self.delete(znode, out);
            }
            (State::Doomed { znode }, true) => {
                // It is deleted all the same: a new one goes to the end of the queue.
                let znode = znode.clone();
                self.delete(znode, out);
            }
            (State::Unsure, _) => self.fence(out),
            (State::Fenced, _) if self.list == List::Idle => self.list = List::Wanted,
            (
                State::Absent
                | State::Creating { .. }
                | State::Fencing { .. }
                | State::Fenced
                | State::Deleting { .. },
                _,
            )
            | (State::Queued { .. }, true) => {}
        }
        if self.list == List::Wanted {
            let op = Op::GetChildren { path: self.path.clone(), watch: false };
            self.list = List::InFlight { request: out.request(Owner::QueueList(self.global.clone()), op) };
        }
    }

    pub(crate) fn handle_up(&mut self, is_new_session: bool, out: &Outbox) {
        self.backoff.succeed();
        self.retry_at = None;
        self.ahead.clear();
        if is_new_session {
            // The session that owned it is over; a new candidate has a new name.
            self.state = State::Absent;
            self.list = List::Idle;
            return;
        }
        if let State::Queued { rank, .. } = &mut self.state {
            *rank = None;
        }
        self.list = List::Idle;
        if !out.config.is_mutated(Mutation::QueueNotListedAgain) {
            self.list_again();
        }
    }

    pub(crate) fn handle_down(&mut self, is_lost: bool) {
        if is_lost {
            // It goes with the session that owned it.
            self.state = State::Absent;
            self.list = List::Idle;
            self.ahead.clear();
            return;
        }
        if matches!(self.list, List::InFlight { .. }) {
            self.list = List::Wanted;
        }
        if let State::Queued { rank, .. } = &mut self.state {
            *rank = None;
        }
    }

    pub(crate) fn handle_created(&mut self, request: RequestId, outcome: Outcome, out: &mut Outbox) {
        if self.state != (State::Creating { request }) {
            return;
        }
        match outcome {
            Ok(Reply::Created { path, .. }) => {
                self.state = State::Queued { znode: path.file_name().into(), rank: None };
                self.list = List::Wanted;
            }
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                self.state = State::Absent;
                let is_first = self.backoff.is_calm();
                out.create_parents(&self.path.join("-"));
                self.pause(out);
                if is_first {
                    self.retry_at = None;
                }
            }
            Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                out.degraded(self.path.clone(), Some(code), "no candidate can be made here");
                self.state = State::Absent;
                self.pause(out);
            }
            Ok(_) | Err(OpError::Unknown) => {
                self.state = State::Unsure;
                self.pause(out);
            }
        }
    }

    pub(crate) fn handle_fenced(&mut self, request: RequestId, outcome: &Outcome, out: &mut Outbox) {
        if self.state != (State::Fencing { request }) {
            return;
        }
        match outcome {
            // Whatever it is, the leader has decided it.
            Ok(_) | Err(OpError::Refused(_) | OpError::RefusedAt { .. }) => self.state = State::Fenced,
            Err(OpError::Unknown) => {
                self.state = State::Unsure;
                self.pause(out);
            }
        }
    }

    pub(crate) fn handle_deleted(&mut self, request: RequestId, outcome: Outcome, out: &mut Outbox) {
        let State::Deleting { znode, request: awaited } = &self.state else { return };
        if *awaited != request {
            return;
        }
        match outcome {
            Ok(_) | Err(OpError::Refused(ErrorCode::NoNode)) => self.state = State::Absent,
            Err(_) if out.config.is_mutated(Mutation::CandidateForgotten) => self.state = State::Absent,
            Err(error) => {
                if let Some(code) = error.code() {
                    out.degraded(self.path.join(znode), Some(code), "the candidate cannot be deleted");
                }
                self.state = State::Doomed { znode: znode.clone() };
                self.pause(out);
            }
        }
    }

    pub(crate) fn handle_list(&mut self, request: RequestId, outcome: Outcome, out: &mut Outbox) {
        if self.list != (List::InFlight { request }) {
            return;
        }
        self.list = List::Idle;
        match outcome {
            Ok(Reply::Children { names, .. }) => self.apply_list(names, out),
            Err(OpError::Refused(ErrorCode::NoNode)) => self.apply_list(Vec::new(), out),
            Ok(_) | Err(OpError::Unknown | OpError::Refused(_) | OpError::RefusedAt { .. }) => {
                self.list = List::Wanted;
                self.pause(out);
            }
        }
    }

    /// The watch on a candidate in front was set, or not: one that went before it could be set is a change.
    pub(crate) fn handle_watched(&mut self, znode: &str, outcome: &Outcome, out: &Outbox) {
        let is_there = matches!(outcome, Ok(Reply::Data { .. }));
        if !is_there
            && !out.config.is_mutated(Mutation::GoneStillAwaited)
            && self.ahead.iter().any(|ahead| ahead == znode)
        {
            self.ahead.clear();
            self.list_again();
        }
    }

    /// A candidate went, or something else was done to one. When all in front are watched, and one of them goes, the others
    /// are known without a list: nobody comes in between, and no name comes back.
    pub(crate) fn handle_event(&mut self, znode: &str, change: Change) {
        let index = self.ahead.iter().position(|ahead| ahead == znode);
        if let (Some(index), Change::Deleted, State::Queued { rank: Some(rank), .. }) =
            (index, change, &mut self.state)
            && *rank == self.ahead.len()
            && self.list == List::Idle
        {
            self.ahead.remove(index);
            *rank = self.ahead.len();
        } else if index.is_some() || self.own_znode() == Some(znode) {
            self.ahead.clear();
            self.list_again();
        }
    }

    /// The watch that covers the queue failed.
    pub(crate) fn handle_watch_failed(&mut self, out: &mut Outbox) {
        self.list_again();
        self.pause(out);
    }

    pub(crate) fn check_invariants(&self, out: &Outbox) {
        assert!(self.ahead.len() <= WATCHED_MAX, "{}: watches too many candidates", self.global);
        if let State::Queued { rank: Some(rank), .. } = &self.state {
            assert!(self.ahead.len() <= *rank, "{}: watches candidates that are not in front", self.global);
            assert!(out.is_up(), "{}: knows its rank without a connection", self.global);
            let is_tended = *rank == 0 || !self.ahead.is_empty() || self.list != List::Idle;
            assert!(is_tended, "{}: nobody tells when its turn comes", self.global);
        }
    }

    fn own_znode(&self) -> Option<&str> {
        match &self.state {
            State::Queued { znode, .. } => Some(znode),
            State::Absent
            | State::Creating { .. }
            | State::Unsure
            | State::Fencing { .. }
            | State::Fenced
            | State::Deleting { .. }
            | State::Doomed { .. } => None,
        }
    }

    fn list_again(&mut self) {
        match self.state {
            State::Queued { .. } | State::Fenced => self.list = List::Wanted,
            State::Absent
            | State::Creating { .. }
            | State::Unsure
            | State::Fencing { .. }
            | State::Deleting { .. }
            | State::Doomed { .. } => {}
        }
    }

    fn apply_list(&mut self, names: Vec<String>, out: &mut Outbox) {
        let (mut queue, mut foreign) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            match parse(&name) {
                Some((_, sequence)) => queue.push((sequence, name)),
                None => foreign.push(name),
            }
        }
        if let Some(first) = foreign.first() {
            // Told once, however many there are.
            let reason =
                format!("{} children that are no candidates are ignored, such as {first:?}", foreign.len());
            out.degraded(self.path.clone(), None, reason);
        }
        let incarnation = out.config.incarnation;
        let is_own = |name: &str| parse(name).is_some_and(|(owner, _)| owner == incarnation);
        let own = match &self.state {
            State::Queued { znode, .. } => queue.iter().find(|(_, name)| name == znode).cloned(),
            // The first one, if the answer to its creation was lost.
            State::Fenced => first_of(&queue, |name| is_own(name) && self.is_current(name)),
            State::Absent
            | State::Creating { .. }
            | State::Unsure
            | State::Fencing { .. }
            | State::Deleting { .. }
            | State::Doomed { .. } => return,
        };
        for (_, name) in queue.iter().filter(|(_, name)| is_own(name)) {
            let is_orphan = own.as_ref().is_none_or(|(_, own)| own != name);
            if is_orphan && !out.config.is_mutated(Mutation::OrphanKept) {
                let op = Op::Delete { path: self.path.join(name), version: Version::Any };
                out.request(Owner::Nobody, op);
            }
        }
        let Some((sequence, znode)) = own else {
            // Somebody deleted it, or it was never made: another one, not at once if that happens again.
            self.state = State::Absent;
            self.pause(out);
            return;
        };
        self.backoff.succeed();
        queue.retain(|(other, name)| !is_own(name) && other.wrapping_sub(sequence) < 0);
        queue.sort_unstable_by_key(|(other, _)| core::cmp::Reverse(other.wrapping_sub(sequence)));
        self.state = State::Queued { znode, rank: Some(queue.len()) };
        self.watch(queue.into_iter().take(WATCHED_MAX).map(|(_, name)| name).collect(), out);
    }

    fn watch(&mut self, ahead: Vec<String>, out: &mut Outbox) {
        for znode in &ahead {
            if !self.ahead.contains(znode) {
                // Not by exists: that would leave a watch on a znode that is gone and never returns.
                let path = self.path.join(znode);
                let watch = out.watch_data(&path, Tree::Globals);
                let owner = Owner::QueueWatch(self.global.clone(), znode.clone());
                out.request(owner, Op::GetData { path, watch });
            }
        }
        self.ahead = ahead;
    }

    fn create(&mut self, out: &mut Outbox) {
        self.created += 1;
        let prefix = self.prefix(out);
        let op = Op::Create {
            path: self.path.join(&prefix),
            data: out.config.node.as_str().into(),
            mode: CreateMode::EphemeralSequential,
        };
        self.state =
            State::Creating { request: out.request(Owner::CandidateCreate(self.global.clone()), op) };
    }

    fn delete(&mut self, znode: String, out: &mut Outbox) {
        for ahead in self.ahead.drain(..) {
            out.unwatch_data(&self.path.join(&ahead));
        }
        let op = Op::Delete { path: self.path.join(&znode), version: Version::Any };
        let request = out.request(Owner::CandidateDelete(self.global.clone()), op);
        self.state = State::Deleting { znode, request };
    }

    /// A write that changes nothing: candidates have a number behind this name.
    fn fence(&mut self, out: &mut Outbox) {
        let path = self.path.join(&self.prefix(out));
        let op = Op::Delete { path, version: Version::Any };
        self.state = State::Fencing { request: out.request(Owner::QueueFence(self.global.clone()), op) };
    }

    /// How the name of the candidate created last begins.
    fn prefix(&self, out: &Outbox) -> String {
        format!("{}.{}-", out.config.incarnation, self.created)
    }

    fn pause(&mut self, out: &Outbox) {
        self.retry_at = Some(self.backoff.fail(out.now, &out.config, salt(self.path.as_str())));
    }

    fn is_current(&self, name: &str) -> bool {
        name.split_once('-')
            .and_then(|(guid, _)| guid.split_once('.'))
            .is_some_and(|(_, count)| count.parse() == Ok(self.created))
    }
}

/// The first of the queue that `is_it`, in the order of wrapping sequence numbers.
fn first_of(queue: &[(i32, String)], is_it: impl Fn(&str) -> bool) -> Option<(i32, String)> {
    let mut own = queue.iter().filter(|(_, name)| is_it(name));
    let first = own.next()?;
    Some(own.fold(first, |first, next| if next.0.wrapping_sub(first.0) < 0 { next } else { first }).clone())
}

/// `<incarnation>.<count>-<sequence>`; anything else is no candidate.
fn parse(name: &str) -> Option<(Incarnation, i32)> {
    let (guid, sequence) = name.split_once('-')?;
    let (incarnation, count) = guid.split_once('.')?;
    if incarnation.len() != 32 || !is_sequence(sequence) {
        return None;
    }
    count.parse::<u64>().ok()?;
    Some((Incarnation(u128::from_str_radix(incarnation, 16).ok()?), sequence.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_candidates_parse() {
        let name = |sequence: &str| format!("{}.7-{sequence}", Incarnation(3));
        assert_eq!(parse(&name("0000000012")), Some((Incarnation(3), 12)));
        assert_eq!(parse(&name("-2147483648")), Some((Incarnation(3), i32::MIN)));
        assert_eq!(parse(&name("-000000001")), Some((Incarnation(3), -1)));
        for bad in ["README", "", "-", "x.1-0000000001", &name("12"), &name("00000000x1"), "lock-0000000001"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_first_is_found_across_the_wrap() {
        let queue = [(i32::MIN, "b".into()), (i32::MAX, "a".into()), (i32::MIN + 5, "c".into())];
        assert_eq!(first_of(&queue, |_| true), Some((i32::MAX, "a".into())));
        assert_eq!(first_of(&queue, |name| name != "a"), Some((i32::MIN, "b".into())));
        assert_eq!(first_of(&queue, |_| false), None);
    }

    proptest! {
        /// Wherever in the circle of numbers a queue is, as long as it does not reach half around.
        #[test]
        fn the_first_is_who_came_first(
            start in any::<i32>(),
            gaps in prop::collection::vec(1..1_000_000_i32, 1..30),
            turn in any::<prop::sample::Index>(),
            mine in any::<u32>(),
        ) {
            let numbers = gaps.iter().scan(start, |at, gap| { *at = at.wrapping_add(*gap); Some(*at) });
            let names = (0..gaps.len()).map(|index| format!("{index}"));
            let mut queue: Vec<(i32, String)> = numbers.zip(names).collect();
            let is_mine = |name: &str| mine >> name.parse::<u32>().unwrap() & 1 == 1;
            let expected = queue.iter().find(|(_, name)| is_mine(name)).cloned();
            // Listings come in any order.
            let turn = turn.index(queue.len());
            queue.rotate_left(turn);
            prop_assert_eq!(first_of(&queue, is_mine), expected);
        }

        #[test]
        fn a_candidate_is_parsed_as_it_was_named(incarnation in any::<u128>(), count in any::<u64>(), sequence in any::<i32>()) {
            let name = format!("{}.{count}-{sequence:010}", Incarnation(incarnation));
            prop_assert_eq!(parse(&name), Some((Incarnation(incarnation), sequence)));
        }
    }
}
