//! One connection on which there is a session: when to ping, when to despair, what is still to be answered.

use core::time::Duration;

use crate::output::Request;
use crate::time::Instant;
use crate::wire::OpCode;

/// Pings in one time of silence: the answer to one of them comes before the next but one is due.
const PINGS_PER_SILENCE: u32 = 3;
/// However short a session a server grants, timers stay humane.
const SILENCE_MIN: Duration = Duration::from_millis(10);

/// What a connection with a session remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) up_at: Instant,
    heard_at: Instant,
    sent_at: Instant,
    silence_max: Duration,
    /// When the first ping since the last quiet was sent; only for as long as one is not answered.
    pinged_at: Instant,
    /// Sent, and not answered: these have no place in the order of the others.
    pub(super) pings: u32,
    pub(super) auths: u32,
    pub(super) set_watches: u32,
}

/// Something sent whose answer comes in order.
#[derive(Clone, Debug)]
pub(super) enum Awaited {
    /// A request of the core.
    Request { xid: i32, opcode: OpCode, request: Request },
    /// One that was not sent; its refusal waits for the answers before it.
    Refused { request: Request, code: crate::op::ErrorCode },
    /// A request for the chroot.
    Chroot { xid: i32, step: ChrootStep },
    /// The end of the session.
    Close { xid: i32 },
}

/// How the chroot comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChrootStep {
    /// Is it there?
    Look,
    /// Create one above it. Whether that works shows at the last.
    MakeAbove,
    /// Create it.
    Make,
}

impl Link {
    /// A connection that just got a session of `session_timeout`.
    pub(super) fn new(now: Instant, silence_max: Duration, session_timeout: Duration) -> Self {
        Self {
            up_at: now,
            heard_at: now,
            sent_at: now,
            silence_max: silence_max.min(session_timeout * 2 / 3).max(SILENCE_MIN),
            pinged_at: now,
            pings: 0,
            auths: 0,
            set_watches: 0,
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    pub(super) fn pinged(&mut self, now: Instant) {
        if self.pings == 0 {
            self.pinged_at = now;
        }
        self.pings += 1;
    }

    /// When the server has been silent for too long. Never without a ping that it had time to answer: a client that was
    /// held up itself has to ask before it despairs.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        let answer_time = self.silence_max - self.silence_max / PINGS_PER_SILENCE;
        let silent_at = self.heard_at.after(self.silence_max).max(self.pinged_at.after(answer_time));
        (self.pings > 0).then_some(silent_at)
    }

    /// When to ping next: the server wants to hear something, and so does the client.
    pub(super) fn ping_at(&self) -> Instant {
        let quiet_since = if self.pings == 0 { self.sent_at.min(self.heard_at) } else { self.sent_at };
        quiet_since.after(self.silence_max / PINGS_PER_SILENCE)
    }

    /// The earlier of the two.
    pub(super) fn due_at(&self) -> Instant {
        self.silent_at().map_or(self.ping_at(), |silent_at| silent_at.min(self.ping_at()))
    }
}

impl Awaited {
    /// Its number on the wire, and the type of the request that went out under it.
    pub(super) const fn sent(&self) -> Option<(i32, OpCode)> {
        match *self {
            Self::Request { xid, opcode, .. } => Some((xid, opcode)),
            Self::Refused { .. } => None,
            Self::Chroot { xid, step: ChrootStep::Look } => Some((xid, OpCode::Exists)),
            Self::Chroot { xid, step: ChrootStep::MakeAbove | ChrootStep::Make } => {
                Some((xid, OpCode::Create2))
            }
            Self::Close { xid } => Some((xid, OpCode::CloseSession)),
        }
    }
}
