//! The body of the fuzz target `link`: the handshake under tampering, and streams of frames in any pieces.

use bytes::BytesMut;
use sha2::{Digest, Sha256};

use super::frame::{
    Address, Frame, FrameError, append_beat, append_goodbye, append_message, append_signal, split,
};
use super::handshake::{Acceptor, Cookie, Dialler, HandshakeError};
use crate::codec;
use crate::process::{Fingerprint, NodeId};

/// The longest frame here: short, so that lengths over the limit are found.
const LEN_MAX: usize = 1_000;

/// Takes `data` as a stream of frames, or as what somebody does to the four messages of a handshake: its first byte says
/// which.
///
/// # Panics
/// When the codec or the handshake breaks its contract: a bug of this crate.
pub fn link(data: &[u8]) {
    match data.split_first() {
        Some((choice, body)) if choice % 2 == 0 => frames(body, usize::from(*choice) % 13 + 1),
        Some((choice, body)) => handshake(*choice, body),
        None => {}
    }
}

/// A stream is the same frames and ends in the same way, whatever its pieces are; what was read is the same after it was
/// written and read again.
fn frames(stream: &[u8], len: usize) {
    let (frames, error) = split_all(stream, stream.len().max(1));
    assert_eq!(split_all(stream, len), (frames.clone(), error), "cut into pieces");
    for frame in frames {
        let mut bytes = Vec::new();
        match &frame {
            Frame::Beat => append_beat(&mut bytes),
            Frame::Goodbye => append_goodbye(&mut bytes),
            Frame::Signal(signal) => append_signal(&mut bytes, signal).expect("what was read can be written"),
            // Only its receiver knows its type; here it is as good as any other, if it can be one.
            Frame::Message { to, payload, .. } => {
                if let Ok(message) = codec::decode(payload) {
                    same_message(to, &message);
                }
                continue;
            }
        }
        assert_eq!(split(&mut BytesMut::from(&bytes[..]), LEN_MAX), Ok(Some(frame)));
    }
}

fn same_message(to: &Address, message: &Vec<u8>) {
    let mut bytes = Vec::new();
    append_message(&mut bytes, LEN_MAX, to, message).expect("what was read can be written");
    match split(&mut BytesMut::from(&bytes[..]), LEN_MAX) {
        Ok(Some(Frame::Message { to: echo, fingerprint, payload })) => {
            assert_eq!((&echo, fingerprint), (to, Fingerprint::of::<Vec<u8>>()));
            assert_eq!(codec::decode::<Vec<u8>>(&payload).as_ref(), Ok(message));
        }
        other => panic!("a message to {to:?} was read as {other:?}"),
    }
}

/// The frames of a stream that comes in pieces of `len` bytes, and how it ends.
fn split_all(stream: &[u8], len: usize) -> (Vec<Frame>, Option<FrameError>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(len) {
        buffer.extend_from_slice(piece);
        loop {
            match split(&mut buffer, LEN_MAX) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(buffer.len() <= LEN_MAX + 4, "{} bytes wait for the end of a frame", buffer.len());
    }
    (frames, None)
}

/// Both ends agree only if nobody touched what they said, and they have one cookie; and only he who has it can make either
/// of them believe anything.
fn handshake(choice: u8, data: &[u8]) {
    let mut tamper = Tamper { data, touched: false };
    let node = |text: &str| text.parse::<NodeId>().expect("a node");
    let (me, wanted) =
        (node("a:1@00000000000000000000000000000001"), node("b:2@00000000000000000000000000000002"));
    let same_life = choice & 2 == 0;
    let actual = if same_life { wanted.clone() } else { node("b:2@00000000000000000000000000000003") };
    let same_cookie = choice & 4 == 0;
    let cookie = |secret: &str| Cookie::new(secret);
    let (ours, theirs) = (cookie("secret"), cookie(if same_cookie { "secret" } else { "other" }));
    // As fresh as those of real handshakes: with the same ones each time a fuzzer sees in one run what is a proof in the next,
    // for libFuzzer reads along where memory is compared.
    let nonce = |end: u8| Sha256::new().chain_update([end, choice]).chain_update(data).finalize().into();

    let (dialler, mut hello) = Dialler::new(ours, &me, &wanted, nonce(0));
    tamper.with(&mut hello);
    let (challenge, acceptor) = Acceptor::new(theirs, &actual, nonce(1)).handle_hello(&hello);
    let mut challenge = challenge.unwrap_or_default();
    tamper.with(&mut challenge);
    let mut proof = Vec::new();
    let dialler = dialler.handle_challenge(&challenge).map(|(dialler, bytes)| {
        proof = bytes;
        dialler
    });
    tamper.with(&mut proof);
    let mut verdict = Vec::new();
    let accepted = acceptor.and_then(|acceptor| {
        let (bytes, accepted) = acceptor.handle_proof(&proof);
        verdict = bytes.unwrap_or_default();
        accepted
    });
    let heard = !tamper.touched;
    tamper.with(&mut verdict);
    let dialled = dialler.and_then(|dialler| dialler.handle_verdict(&verdict));

    if let Ok(peer) = &accepted {
        assert!(heard && same_cookie && same_life, "accepted, and should not have been");
        assert_eq!(*peer, me);
    }
    // What the acceptor says last is believed for its proof: it was made by him who has the cookie, of these very words.
    if dialled.is_ok() {
        assert!(accepted.is_ok(), "dialled, and not accepted: {accepted:?}");
    }
    if let Err(HandshakeError::WrongIncarnation { .. }) = &dialled {
        assert!(heard && same_cookie && !same_life, "told of another life by somebody else");
    }
    if !tamper.touched && same_cookie {
        assert_eq!((dialled.is_ok(), accepted.is_ok()), (same_life, same_life));
    }
}

/// Somebody on the way.
struct Tamper<'a> {
    data: &'a [u8],
    touched: bool,
}

impl Tamper<'_> {
    /// Replaces a message, changes a byte of it, or leaves it.
    fn with(&mut self, message: &mut Vec<u8>) {
        let before = message.clone();
        match self.next() % 4 {
            0 => {
                let len = usize::from(self.next()).min(self.data.len());
                let (taken, rest) = self.data.split_at(len);
                *message = taken.into();
                self.data = rest;
            }
            1 => {
                let (at, by) = (usize::from(self.next()), self.next());
                let len = message.len().max(1);
                if let Some(byte) = message.get_mut(at % len) {
                    *byte ^= by;
                }
            }
            _ => {}
        }
        self.touched |= *message != before;
    }

    /// The next byte; 3, which does nothing, when there is none.
    fn next(&mut self) -> u8 {
        let Some((byte, rest)) = self.data.split_first() else { return 3 };
        self.data = rest;
        *byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Small numbers: they are lengths and kinds.
        #[test]
        fn bytes_of_chance_break_nothing(data in prop::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..200)) {
            link(&data);
        }
    }
}
