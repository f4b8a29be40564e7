//! One connection, and what it is to be sent.

use std::net::SocketAddr;

use queenright_core::Instant;
use queenright_core::wire::{FRAME_LEN_MAX, Frames};

use super::{OUTPUT_LOW, Traffic};
use crate::zookeeper::ServerId;

/// So much of a connection's buffer is kept when all of it was sent: enough for a client that asks one thing at a time,
/// and little enough for ten thousand that ask nothing.
const BUFFER_KEPT: usize = 512;

/// A connection that is open.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) server: ServerId,
    pub(super) peer: SocketAddr,
    pub(super) phase: Phase,
    pub(super) output: Output,
    /// The length of the last reply, which no limit applies to.
    pub(super) reply_len: usize,
    pub(super) traffic: Traffic,
}

/// How far a connection has come: see the table of [`endpoint`](super).
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Its first frame, or word, is not complete.
    Opening {
        /// What is there of it.
        frames: Frames,
        /// Until when it must be.
        deadline: Instant,
    },
    /// It has a session.
    Serving {
        /// The requests that are not served yet.
        frames: Frames,
    },
    /// The server has no more to say than what is still to be sent.
    Closing {
        /// Until when that must be read.
        deadline: Instant,
    },
    /// Everything is said.
    Over,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Output {
    buffer: Vec<u8>,
    /// So many bytes at its beginning were sent already.
    sent: usize,
}

impl Connection {
    /// A connection from `peer` to `server`, of which nothing was heard.
    pub(super) const fn new(server: ServerId, peer: SocketAddr, deadline: Instant) -> Self {
        Self {
            server,
            peer,
            phase: Phase::Opening { frames: Frames::new(FRAME_LEN_MAX), deadline },
            output: Output { buffer: Vec::new(), sent: 0 },
            reply_len: 0,
            traffic: Traffic { received: 0, sent: 0 },
        }
    }

    /// Whether there is room for the answers to more requests.
    pub(super) fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Opening { .. } | Phase::Serving { .. } => self.output.len() < OUTPUT_LOW,
            Phase::Closing { .. } | Phase::Over => false,
        }
    }
}

impl Phase {
    /// Until when it must have ended.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Opening { deadline, .. } | Self::Closing { deadline } => Some(*deadline),
            Self::Serving { .. } | Self::Over => None,
        }
    }
}

impl Output {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.sent..]
    }

    pub(super) const fn len(&self) -> usize {
        self.buffer.len() - self.sent
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append.
    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The first `count` bytes were sent.
    ///
    /// # Panics
    /// When there were not so many.
    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "{count} bytes were sent, of {}", self.len());
        self.sent += count;
        if self.is_empty() {
            self.clear();
        } else if self.sent > self.buffer.len() / 2 {
            // Moves no more bytes than were sent, so that a client that reads slowly costs no more than a fast one.
            self.buffer.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Forgets what is still there.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        self.sent = 0;
    }
}
