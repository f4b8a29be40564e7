//! One session: its requests in flight, its watchers, and whether its connection is up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use queenright_core::op::{ErrorCode, OpError, Outcome, Reply, WatchKind};
use queenright_core::wire::convert::frame_len;
use queenright_core::{Input, Op, Path, Request, RequestId, SessionEpoch, SessionEvent};
use tokio::time::Instant;
use tracing::warn;
use zookeeper_client::{Client, Error, SessionState};

use super::acl::AclList;
use super::connect::{Connector, Established, States};
use super::request::{Answer, Calling, FRAME_LEN_MAX, call, watch_of};
use super::watches::{Fired, WATCH_BYTES_MAX, Watches};

/// A session that lived this long was worth having: after it the next attempt is made at once.
const STABLE_AFTER: Duration = Duration::from_secs(2);

pub(super) struct Session {
    epoch: SessionEpoch,
    client: Arc<Client>,
    acl: Arc<AclList>,
    chroot_len: usize,
    since: Instant,
    link: Link,
    states: States,
    /// In the order of submission, which is the order of their replies (item 8).
    in_flight: VecDeque<InFlight>,
    /// Bytes of paths that watches in flight will add.
    path_bytes_in_flight: usize,
    watches: Watches,
}

/// What polling a session found.
pub(super) enum Verdict {
    /// It goes on; there are inputs.
    Alive,
    /// It is over; the last inputs are there.
    Over {
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Up,
    Down,
}

struct InFlight {
    request: RequestId,
    path_bytes: usize,
    step: Step,
}

/// How a request gets its answer when its turn comes.
enum Step {
    Call(Calling),
    Answered(Answer),
    /// The watcher is dropped in the order of the requests, so that an earlier `AddWatch` was answered by then.
    RemoveWatch(WatchKind, Path),
}

impl Session {
    pub(super) fn new(epoch: SessionEpoch, established: Established, connector: &Connector) -> Self {
        Self {
            epoch,
            client: established.client,
            acl: Arc::clone(&connector.acl),
            chroot_len: connector.chroot_len(),
            since: Instant::now(),
            link: Link::Up,
            states: established.states,
            in_flight: VecDeque::new(),
            path_bytes_in_flight: 0,
            watches: Watches::default(),
        }
    }

    pub(super) fn epoch(&self) -> SessionEpoch {
        self.epoch
    }

    pub(super) fn is_stable(&self) -> bool {
        self.since.elapsed() >= STABLE_AFTER
    }

    pub(super) fn submit(&mut self, request: Request) {
        let Request { id, op, .. } = request;
        let path_bytes = watch_of(&op).map_or(0, |(_, path)| self.chroot_len + path.as_str().len());
        let step = match self.refusal(&op) {
            Some(code) => Step::Answered(Answer::settled(Err(OpError::Refused(code)))),
            None => self.begin(op),
        };
        self.path_bytes_in_flight += path_bytes;
        self.in_flight.push_back(InFlight { request: id, path_bytes, step });
    }

    /// Adds at least one input, unless pending.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, inputs: &mut VecDeque<Input>) -> Poll<Verdict> {
        // Item 23: each reply and each watcher has a channel of its own. A reply that is there when an event was
        // found may have preceded it on the wire, so it goes first; the other way round costs one read too many.
        let mut reply = self.poll_reply(cx);
        let mut fired = Poll::Pending;
        if reply.is_pending() {
            fired = self.watches.poll_fired(cx);
            if fired.is_ready() {
                reply = self.poll_reply(cx);
            }
        }
        // Item 15: a state is published before what it causes. So it is asked for last, and told first.
        let mut over = self.poll_states(cx, inputs);
        if inputs.contains(&Input::Session(SessionEvent::Reconnected)) {
            // What the watchers hold now is from before the gap: a recursive one says nothing more until the core arms
            // it again, and of one-shots the core reads all there is. Told after the new lists it would be taken for
            // news: an instance that came and went would seem to be there for ever.
            fired = self.watches.discard(cx);
        }

        let suspect = matches!(&reply, Poll::Ready((_, answer)) if answer.suspect)
            || matches!(fired, Poll::Ready(Fired::Broken));
        if over.is_none() && suspect && self.task_is_gone() {
            over = Some("the task that served it has gone".to_owned());
        }
        if let Some(reason) = over {
            inputs.push_back(Input::Session(SessionEvent::Lost));
            if let Poll::Ready((request, answer)) = reply {
                inputs.push_back(self.response(request, answer.outcome));
            }
            self.answer_all(inputs);
            return Poll::Ready(Verdict::Over { reason });
        }

        if let Poll::Ready((request, answer)) = reply {
            if let Some(armed) = answer.armed {
                self.watches.install(armed);
            }
            inputs.push_back(self.response(request, answer.outcome));
        }
        if let Poll::Ready(Fired::Event(event)) = fired {
            inputs.push_back(Input::Watch { session_epoch: self.epoch, event });
        }
        if inputs.is_empty() { Poll::Pending } else { Poll::Ready(Verdict::Alive) }
    }

    /// Ends the session; gives the states to wait on for its end, unless it cannot be reached.
    pub(super) fn close(self) -> Option<States> {
        // Item 20: the last clone of the client closes the session, and requests in flight hold clones. The
        // watchers go after it: then they are not taken back one by one (item 28).
        let Self { client, in_flight, watches, states, link, .. } = self;
        drop(in_flight);
        drop(client);
        drop(watches);
        (link == Link::Up).then_some(states)
    }

    fn begin(&self, op: Op) -> Step {
        if let Op::RemoveWatch { path, kind } = op {
            return Step::RemoveWatch(kind, path);
        }
        // Item 7: the first poll enqueues the request; nobody needs to be woken yet.
        let mut calling = call(Arc::clone(&self.client), Arc::clone(&self.acl), op);
        match calling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Step::Answered(answer),
            Poll::Pending => Step::Call(calling),
        }
    }

    /// Why `op` must not be sent.
    fn refusal(&self, op: &Op) -> Option<ErrorCode> {
        if frame_len(op, self.chroot_len, self.acl.wire_len()) > FRAME_LEN_MAX {
            return Some(ErrorCode::TooLarge);
        }
        let (kind, path) = watch_of(op)?;
        // Item 4 (ZOOKEEPER-4466): it would silence the recursive watch for ever.
        if kind == WatchKind::Data && self.watches.is_armed(WatchKind::Recursive, path) {
            debug_assert!(false, "a one-shot watch on {path}, which has a recursive one");
            return Some(ErrorCode::BadArguments);
        }
        let bytes = self.watches.path_bytes(self.chroot_len) + self.path_bytes_in_flight;
        if !self.watches.is_armed(kind, path)
            && bytes + self.chroot_len + path.as_str().len() > WATCH_BYTES_MAX
        {
            warn!(%path, bytes, max = WATCH_BYTES_MAX, "refusing a watch: too many bytes of watched paths");
            return Some(ErrorCode::TooLarge);
        }
        None
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<(RequestId, Answer)> {
        let Some(front) = self.in_flight.front_mut() else { return Poll::Pending };
        if let Step::Call(calling) = &mut front.step {
            match calling.as_mut().poll(cx) {
                Poll::Ready(answer) => front.step = Step::Answered(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(InFlight { request, path_bytes, step }) = self.in_flight.pop_front() else {
            return Poll::Pending;
        };
        self.path_bytes_in_flight -= path_bytes;
        let answer = match step {
            Step::Answered(answer) => answer,
            Step::RemoveWatch(kind, path) => {
                self.watches.remove(kind, &path);
                Answer::settled(Ok(Reply::WatchRemoved))
            }
            Step::Call(_) => Answer::settled(Err(OpError::Unknown)),
        };
        Poll::Ready((request, answer))
    }

    /// Tells what became of the connection; gives the reason when the session is over.
    fn poll_states(&mut self, cx: &mut Context<'_>, inputs: &mut VecDeque<Input>) -> Option<String> {
        while let Poll::Ready(Some(state)) = self.states.poll_next_unpin(cx) {
            match state {
                SessionState::Disconnected | SessionState::ConnectedReadOnly => {
                    if self.link == Link::Up {
                        self.link = Link::Down;
                        inputs.push_back(Input::Session(SessionEvent::Suspended));
                    }
                }
                SessionState::SyncConnected => {
                    // Item 14: the latest state only. That it changed to what it was means a gap nobody saw.
                    if self.link == Link::Up {
                        inputs.push_back(Input::Session(SessionEvent::Suspended));
                    }
                    self.link = Link::Up;
                    inputs.push_back(Input::Session(SessionEvent::Reconnected));
                }
                SessionState::Expired => return Some("it expired".to_owned()),
                SessionState::AuthFailed => {
                    return Some("the server did not accept the credentials".to_owned());
                }
                SessionState::Closed => return Some("it was closed".to_owned()),
            }
        }
        None
    }

    /// Item 6: one more request tells at once, for a dead session task leaves the state as it was.
    fn task_is_gone(&self) -> bool {
        let mut probe = Box::pin(self.client.sync("/"));
        let answer = probe.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        matches!(answer, Poll::Ready(Err(Error::UnexpectedError(_))))
    }

    /// Item 18: everything in flight fails at the end of a session, most of it by now; what was not answered
    /// will not be.
    fn answer_all(&mut self, inputs: &mut VecDeque<Input>) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(InFlight { request, step, .. }) = self.in_flight.pop_front() {
            let outcome = match step {
                Step::Answered(answer) => answer.outcome,
                Step::RemoveWatch(..) => Ok(Reply::WatchRemoved),
                Step::Call(mut calling) => match calling.as_mut().poll(&mut cx) {
                    Poll::Ready(answer) => answer.outcome,
                    Poll::Pending => Err(OpError::Unknown),
                },
            };
            inputs.push_back(self.response(request, outcome));
        }
    }

    fn response(&self, request: RequestId, outcome: Outcome) -> Input {
        // Item 12: the crate shows no reply header, so there is no zxid.
        Input::Response { session_epoch: self.epoch, request, zxid: None, outcome }
    }
}
