use std::task::{Context, Poll};

use queenright_core::{Input, Request};

/// A ZooKeeper client, as the core needs one.
///
/// Contract:
/// - Requests leave in the order of submission, each within the session of its epoch; one whose session is over is
///   not sent and is answered as unknown.
/// - Each request is answered exactly once, in the order of submission within a session.
/// - An event is never delivered before a reply that preceded it on the wire. A reply may overtake events, and a
///   change of the session's state may overtake both, with one exception: after
///   [`Reconnected`](queenright_core::SessionEvent::Reconnected) no event from before the gap is delivered any more.
/// - When a session ends, all that is in flight is answered before the next
///   [`Connected`](queenright_core::SessionEvent::Connected); its watches are gone.
/// - Expiry is an event, never an exit: the port establishes the next session by itself, with a capped and jittered
///   back-off, until it is closed.
pub trait ZooKeeper: Send {
    /// Sends a request. Never blocks.
    fn submit(&mut self, request: Request);

    /// The next session event, reply or watch event. Losing the interest and asking again loses nothing.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input>;

    /// Closes the session, after what was submitted before. Ready when the server has closed it or cannot be reached;
    /// callers bound it with a timeout.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
