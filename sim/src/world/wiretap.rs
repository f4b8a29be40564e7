//! What passes on a connection, for the timeline: frames, from the bytes at both of its ends.

use queenright_core::wire::{ConnectRequest, ConnectResponse, FRAME_LEN_MAX, Frames, Message, Request, xid};

use crate::explorer::recorded;
use crate::timeline::Letter;

/// One direction of a connection, at one of its ends.
#[derive(Debug)]
pub(super) struct Wiretap {
    speech: Speech,
    frames: Frames,
    heard_count: u64,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// By a client of ZooKeeper.
    Requests,
    /// By a server.
    Answers,
    /// By one node to another.
    Link,
}

/// The frames of one end of a link before the first that says something: who it is, and its proof.
const HANDSHAKE: u64 = 2;
/// The longest frame of a link in a simulation, and more than a server sends.
const LINK_FRAME_LEN_MAX: usize = 64 << 20;

impl Wiretap {
    pub(super) const fn new(speech: Speech) -> Self {
        let len_max = match speech {
            Speech::Requests => FRAME_LEN_MAX,
            Speech::Answers | Speech::Link => LINK_FRAME_LEN_MAX,
        };
        Self { speech, frames: Frames::new(len_max), heard_count: 0 }
    }

    /// Which messages are complete now. What cannot be read was written by somebody's own hand, and is not told.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Letter> {
        self.frames.push(bytes);
        let mut letters = Vec::new();
        while let Ok(Some(frame)) = self.frames.next_frame() {
            let is_greeting = self.heard_count == 0;
            letters.extend(match self.speech {
                Speech::Requests if is_greeting => greeting(frame),
                Speech::Requests => request(frame),
                Speech::Answers if is_greeting => welcome(frame),
                Speech::Answers => answer(frame),
                Speech::Link if self.heard_count < HANDSHAKE => Some(said("handshake".to_owned())),
                Speech::Link => link(frame),
            });
            self.heard_count += 1;
        }
        letters
    }
}

fn said(text: String) -> Letter {
    Letter { text, ..Letter::default() }
}

fn greeting(frame: &[u8]) -> Option<Letter> {
    let ConnectRequest { session, .. } = ConnectRequest::decode(frame).ok()?;
    Some(said(match session.0 {
        0 => "connect, new session".to_owned(),
        session => format!("connect, session {session:#x}"),
    }))
}

fn request(frame: &[u8]) -> Option<Letter> {
    let (xid, request) = Request::decode(frame).ok()?;
    Some(recorded::request(xid, &request))
}

fn welcome(frame: &[u8]) -> Option<Letter> {
    let response = ConnectResponse::decode(frame).ok()?;
    Some(said(format!("connected, session {:#x}, {} ms", response.session.0, response.timeout_ms)))
}

fn answer(frame: &[u8]) -> Option<Letter> {
    Some(match Message::decode(frame).ok()? {
        Message::Event(event) => {
            let text = format!("event {:?} {}", event.change, event.path);
            Letter { text, paths: vec![event.path], ..Letter::default() }
        }
        Message::Reply { xid, zxid, result } => {
            let outcome = result.map_or_else(|code| code.to_string(), |_| "answered".to_owned());
            let (text, is_ping) = (format!("reply #{xid} {outcome} at {zxid}"), xid == xid::PING);
            Letter { xid: Some(xid), text, is_ping, ..Letter::default() }
        }
    })
}

fn link(frame: &[u8]) -> Option<Letter> {
    let (text, is_ping) = queenright::overheard(frame)?;
    Some(Letter { text, is_ping, ..Letter::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_when_they_are_complete() {
        let mut bytes = Vec::new();
        ConnectRequest::new_session(4_000).encode(&mut bytes);
        Request::GetData(queenright_core::wire::Read::plain("/a")).encode(7, &mut bytes);
        Request::Ping.encode(xid::PING, &mut bytes);
        let mut tap = Wiretap::new(Speech::Requests);
        let told: Vec<Letter> = bytes.iter().flat_map(|byte| tap.hear(&[*byte])).collect();
        let texts: Vec<&str> = told.iter().map(|letter| letter.text.as_str()).collect();
        assert_eq!(texts, ["connect, new session", "GetData #7 /a", "Ping #-2"]);
        assert_eq!((told[1].xid, told[1].is_ping, told[2].is_ping), (Some(7), false, true));
    }

    #[test]
    fn a_link_says_something_after_its_handshake() {
        let mut tap = Wiretap::new(Speech::Link);
        let frames =
            [&[0, 0, 0, 1, 9][..], &[0, 0, 0, 1, 9], &[0, 0, 0, 1, 0], &[0, 0, 0, 1, 1], &[0, 0, 0, 1, 99]];
        let told: Vec<(String, bool)> =
            tap.hear(&frames.concat()).into_iter().map(|letter| (letter.text, letter.is_ping)).collect();
        let said = |text: &str, is_ping| (text.to_owned(), is_ping);
        let handshake = || said("handshake", false);
        assert_eq!(told, [handshake(), handshake(), said("sign of life", true), said("goodbye", false)]);
    }
}
