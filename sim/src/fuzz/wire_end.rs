//! The client's end of a connection, as far as it can judge the server.

use queenright_core::wire::{ConnectResponse, Frames, Message};
use queenright_core::{SessionId, Zxid};

use crate::zookeeper::ConnectionId;

/// Longer than anything that a server sends here.
const LEN_MAX: usize = 0x1000_0000;
/// What refusals of requests that no server serves carry.
const UNSERVED: Zxid = Zxid(-1);

pub(super) struct WireEnd {
    pub(super) conn: ConnectionId,
    phase: Phase,
    received: Frames,
    last_xid: i32,
}

/// What opens a session again.
pub(super) struct Entry {
    pub(super) session: SessionId,
    pub(super) password: Vec<u8>,
}

enum Phase {
    /// Nothing was sent.
    Fresh,
    /// The first thing that was sent was a connect request.
    Asked,
    /// It was answered with a session.
    Open { last_reply: i32, last_zxid: Zxid },
    /// It was sent what is no request: nothing can be said of what comes back.
    Noisy,
}

impl WireEnd {
    pub(super) const fn new(conn: ConnectionId) -> Self {
        Self { conn, phase: Phase::Fresh, received: Frames::new(LEN_MAX), last_xid: 0 }
    }

    /// Whether something was sent.
    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self.phase, Phase::Fresh)
    }

    pub(super) const fn next_xid(&mut self) -> i32 {
        self.last_xid += 1;
        self.last_xid
    }

    pub(super) fn has_sent(&mut self, is_whole: bool) {
        match self.phase {
            _ if !is_whole => self.phase = Phase::Noisy,
            Phase::Fresh => self.phase = Phase::Asked,
            Phase::Asked | Phase::Open { .. } | Phase::Noisy => {}
        }
    }

    /// What came from the server. Gives the session that began, if one did.
    ///
    /// # Panics
    /// When a server does not say such a thing.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Option<Entry> {
        if matches!(self.phase, Phase::Noisy) {
            return None;
        }
        self.received.push(bytes);
        let mut entry = None;
        while let Some(body) = self.received.next_frame().expect("a server sends frames") {
            match &mut self.phase {
                Phase::Fresh => panic!("nothing was sent, and {body:?} came"),
                Phase::Noisy => {}
                Phase::Asked => {
                    let response = ConnectResponse::decode(body).expect("a connect response");
                    if response.session != SessionId(0) {
                        let password = response.password.to_vec();
                        entry = Some(Entry { session: response.session, password });
                    }
                    self.phase = Phase::Open { last_reply: 0, last_zxid: Zxid(0) };
                }
                Phase::Open { last_reply, last_zxid } => match Message::decode(body).expect("a message") {
                    Message::Event(_) => {}
                    Message::Reply { xid, zxid, .. } => {
                        // Pings and proofs have xids of their own. What is not served is refused at once, and a write
                        // before it, which is on its way to the leader, is not answered any more.
                        if xid > 0 && zxid != UNSERVED {
                            assert!(*last_reply < xid && xid <= self.last_xid, "{xid} after {last_reply}");
                            *last_reply = xid;
                        }
                        // Some errors and proofs of identity carry none.
                        if zxid > Zxid(0) {
                            assert!(*last_zxid <= zxid, "{zxid} after {last_zxid}");
                            *last_zxid = zxid;
                        }
                    }
                },
            }
        }
        entry
    }
}
