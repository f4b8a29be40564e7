//! What travels on a link after the handshake. Pure.
//!
//! A frame is its length (four bytes, big-endian, of what follows), a byte that names its kind, and its body.
//! Numbers in a head are fixed-width and big-endian; payloads and signals are encoded by [`codec`].

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use queenright_core::Name;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{self, EncodeError};
use crate::process::{DiedReason, Fingerprint, Message};

/// A frame as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Nothing but a sign of life.
    Beat,
    /// The sender's node closes: all its processes are dead.
    Goodbye,
    /// A message for somebody.
    Message { to: Address, fingerprint: Fingerprint, payload: Bytes },
    /// What one node's process layer tells the other's.
    Signal(Signal),
}

/// For whom a message is, on the node at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A process, by its number.
    Process(u64),
    /// Whoever is registered under a name.
    Named(Name),
    /// A typed channel of a process.
    Channel { process: u64, channel: u64 },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(number) => write!(f, "process {number}"),
            Self::Named(name) => write!(f, "{name:?}"),
            Self::Channel { process, channel } => write!(f, "channel {channel} of process {process}"),
        }
    }
}

/// Signals concern processes by their numbers; which node is meant follows from the link and the direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    /// Tell us once when your process `target` dies.
    Watch { target: u64 },
    /// Nobody here wants to know any more.
    Unwatch { target: u64 },
    /// Our process `target`, which you watch, died.
    Died { target: u64, reason: DiedReason },
    /// Ask your process `target` to stop.
    Exit { target: u64, reason: String },
    /// Stop your process `target`.
    Kill { target: u64, reason: String },
}

/// Why bytes are not frames. The link cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a frame claims {len} bytes, and {max} is the limit (`frame_len_max`)")]
    TooLarge { len: usize, max: usize },
    #[error("a frame of kind {kind} has a malformed body")]
    Malformed { kind: u8 },
    #[error("there is no kind of frame {kind}")]
    UnknownKind { kind: u8 },
}

/// Appends a message. `len_max` bounds the frame without its length.
///
/// # Errors
/// When the message cannot be encoded or is too large; then, and when its `Serialize` panics, `buffer` is as
/// before.
pub(crate) fn append_message<T: Message>(
    buffer: &mut Vec<u8>,
    len_max: usize,
    to: &Address,
    message: &T,
) -> Result<(), EncodeError> {
    append(buffer, |buffer| {
        let end = buffer.len().saturating_add(len_max);
        match to {
            Address::Process(number) => {
                buffer.push(PROCESS);
                buffer.extend_from_slice(&number.to_be_bytes());
            }
            Address::Named(name) => {
                buffer.push(NAMED);
                // A name has at most NAME_LEN_MAX bytes, which two hold.
                buffer.extend_from_slice(&(name.as_str().len() as u16).to_be_bytes());
                buffer.extend_from_slice(name.as_str().as_bytes());
            }
            Address::Channel { process, channel } => {
                buffer.push(CHANNEL);
                buffer.extend_from_slice(&process.to_be_bytes());
                buffer.extend_from_slice(&channel.to_be_bytes());
            }
        }
        buffer.extend_from_slice(&Fingerprint::of::<T>().0.to_be_bytes());
        codec::encode_into(message, buffer, end).map_err(|error| match error {
            EncodeError::TooLarge { type_name, .. } => EncodeError::TooLarge { type_name, max: len_max },
            EncodeError::Refused { type_name, reason } => EncodeError::Refused { type_name, reason },
        })
    })
}

/// Appends a signal.
///
/// # Errors
/// Never in practice: reasons are bounded.
pub(crate) fn append_signal(buffer: &mut Vec<u8>, signal: &Signal) -> Result<(), EncodeError> {
    append(buffer, |buffer| {
        buffer.push(SIGNAL);
        let end = buffer.len() + SIGNAL_LEN_MAX;
        codec::encode_into(signal, buffer, end)
    })
}

/// Appends a sign of life.
pub(crate) fn append_beat(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[0, 0, 0, 1, BEAT]);
}

/// Appends the last frame of a link.
pub(crate) fn append_goodbye(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[0, 0, 0, 1, GOODBYE]);
}

/// What the body of a frame says, in words, and whether it is only a sign of life: for simulators that show it. `None` when it
/// is none.
#[must_use]
pub fn overheard(body: &[u8]) -> Option<(String, bool)> {
    Some(match decode(Bytes::copy_from_slice(body)).ok()? {
        Frame::Beat => ("sign of life".to_owned(), true),
        Frame::Goodbye => ("goodbye".to_owned(), false),
        Frame::Message { to, payload, .. } => (format!("{} bytes to {to}", payload.len()), false),
        Frame::Signal(signal) => (format!("{signal:?}"), false),
    })
}

/// Splits the next frame off the front of `buffer`; `None` until all of it is there.
///
/// # Errors
/// When what stands there is not a frame. Its length is judged before anything is made of it.
pub(crate) fn split(buffer: &mut BytesMut, len_max: usize) -> Result<Option<Frame>, FrameError> {
    match split_raw(buffer, len_max)? {
        Some(body) => decode(body).map(Some),
        None => Ok(None),
    }
}

/// As [`split`], for frames without a kind: those of the handshake.
///
/// # Errors
/// When the claimed length is above `len_max`.
pub(crate) fn split_raw(buffer: &mut BytesMut, len_max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_be_bytes(*length) as usize;
    if len > len_max {
        return Err(FrameError::TooLarge { len, max: len_max });
    }
    if buffer.len() < 4 + len {
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(len).freeze()))
}

/// The bytes of a frame without a kind.
pub(crate) fn raw(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

const BEAT: u8 = 0;
const GOODBYE: u8 = 1;
const PROCESS: u8 = 2;
const NAMED: u8 = 3;
const CHANNEL: u8 = 4;
const SIGNAL: u8 = 5;

/// The largest signal: a reason, a pid within it, and a few numbers.
const SIGNAL_LEN_MAX: usize = 4 << 10;

fn append(
    buffer: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    /// Cuts off what was begun, unless it is finished.
    struct Begun<'a> {
        buffer: &'a mut Vec<u8>,
        start: usize,
    }
    impl Drop for Begun<'_> {
        fn drop(&mut self) {
            self.buffer.truncate(self.start);
        }
    }

    let start = buffer.len();
    let begun = Begun { buffer, start };
    begun.buffer.extend_from_slice(&[0; 4]);
    body(begun.buffer)?;
    let end = begun.buffer.len();
    // Frames are at most FRAME_LEN_LIMIT long.
    begun.buffer[start..start + 4].copy_from_slice(&((end - start - 4) as u32).to_be_bytes());
    std::mem::forget(begun);
    Ok(())
}

fn decode(mut body: Bytes) -> Result<Frame, FrameError> {
    let Ok(kind) = body.try_get_u8() else { return Err(FrameError::Malformed { kind: 0 }) };
    let malformed = FrameError::Malformed { kind };
    match kind {
        BEAT if body.is_empty() => Ok(Frame::Beat),
        GOODBYE if body.is_empty() => Ok(Frame::Goodbye),
        PROCESS | NAMED | CHANNEL => {
            let Some(to) = decode_address(kind, &mut body) else { return Err(malformed) };
            let Ok(fingerprint) = body.try_get_u64() else { return Err(malformed) };
            Ok(Frame::Message { to, fingerprint: Fingerprint(fingerprint), payload: body })
        }
        SIGNAL => codec::decode(&body).map(Frame::Signal).map_err(|_| malformed),
        BEAT | GOODBYE => Err(malformed),
        kind => Err(FrameError::UnknownKind { kind }),
    }
}

fn decode_address(kind: u8, body: &mut Bytes) -> Option<Address> {
    if kind == NAMED {
        let len = body.try_get_u16().ok()?.into();
        if body.len() < len {
            return None;
        }
        let name = body.split_to(len);
        return Some(Address::Named(Name::new(std::str::from_utf8(&name).ok()?).ok()?));
    }
    let process = body.try_get_u64().ok()?;
    if kind == CHANNEL {
        return Some(Address::Channel { process, channel: body.try_get_u64().ok()? });
    }
    Some(Address::Process(process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessId;
    use crate::process::tests::nodes;
    use proptest::prelude::*;
    use serde::Serializer;

    const MAX: usize = 1 << 20;

    fn addresses() -> impl Strategy<Value = Address> {
        prop_oneof![
            any::<u64>().prop_map(Address::Process),
            "[a-zA-Zéß .:-]{3,30}".prop_map(|name| Address::Named(Name::new(name).unwrap())),
            any::<(u64, u64)>().prop_map(|(process, channel)| Address::Channel { process, channel }),
        ]
    }

    fn reasons() -> impl Strategy<Value = DiedReason> {
        prop_oneof![
            Just(DiedReason::Normal),
            ".{0,40}".prop_map(DiedReason::Exception),
            (nodes(), any::<u64>(), ".{0,40}").prop_map(|(node, number, reason)| DiedReason::Linked {
                origin: ProcessId::new(node, number),
                reason
            }),
        ]
    }

    fn signals() -> impl Strategy<Value = Signal> {
        (any::<u64>(), reasons(), ".{0,40}").prop_flat_map(|(target, died, reason)| {
            prop_oneof![
                Just(Signal::Watch { target }),
                Just(Signal::Unwatch { target }),
                Just(Signal::Died { target, reason: died }),
                Just(Signal::Exit { target, reason: reason.clone() }),
                Just(Signal::Kill { target, reason }),
            ]
        })
    }

    fn frames() -> impl Strategy<Value = (Vec<u8>, Frame)> {
        prop_oneof![
            Just(Frame::Beat),
            Just(Frame::Goodbye),
            signals().prop_map(Frame::Signal),
            (addresses(), prop::collection::vec(any::<u64>(), 0..40)).prop_map(|(to, message)| {
                let mut payload = Vec::new();
                codec::encode_into(&message, &mut payload, MAX).unwrap();
                Frame::Message { to, fingerprint: Fingerprint::of::<Vec<u64>>(), payload: payload.into() }
            }),
        ]
        .prop_map(|frame| {
            let mut bytes = Vec::new();
            match &frame {
                Frame::Beat => append_beat(&mut bytes),
                Frame::Goodbye => append_goodbye(&mut bytes),
                Frame::Signal(signal) => append_signal(&mut bytes, signal).unwrap(),
                Frame::Message { to, payload, .. } => {
                    let message: Vec<u64> = codec::decode(payload).unwrap();
                    append_message(&mut bytes, MAX, to, &message).unwrap();
                }
            }
            (bytes, frame)
        })
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut_of_the_stream(
            frames in prop::collection::vec(frames(), 0..10),
            cuts in prop::collection::vec(1usize..50, 1..200),
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let (mut buffer, mut got, mut at) = (BytesMut::new(), Vec::new(), 0);
            for cut in cuts.into_iter().chain([stream.len()]) {
                let end = stream.len().min(at + cut);
                buffer.extend_from_slice(&stream[at..end]);
                at = end;
                while let Some(frame) = split(&mut buffer, MAX).unwrap() {
                    got.push(frame);
                }
            }
            prop_assert_eq!(got, frames.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>());
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn bytes_from_nowhere_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..100), kind in 0u8..8,
        ) {
            let mut framed = raw(&[&[kind], &bytes[..]].concat());
            let _ = split(&mut BytesMut::from(&framed[..]), MAX);
            framed.truncate(framed.len() / 2);
            prop_assert_eq!(split(&mut BytesMut::from(&framed[..]), MAX), Ok(None));
            let _ = split(&mut BytesMut::from(&bytes[..]), MAX);
        }
    }

    #[test]
    fn a_gibibyte_is_refused_by_its_header_alone() {
        let mut buffer = BytesMut::from(&(1u32 << 30).to_be_bytes()[..]);
        assert_eq!(split(&mut buffer, MAX), Err(FrameError::TooLarge { len: 1 << 30, max: MAX }));
        assert!(buffer.capacity() < 1 << 10);
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_no_trace() {
        let mut buffer = b"before".to_vec();
        let error = append_message(&mut buffer, 100, &Address::Process(1), &vec![7u8; 84]).unwrap_err();
        assert!(matches!(error, EncodeError::TooLarge { max: 100, .. }), "{error}");
        assert_eq!(buffer, b"before");
        // 17 bytes of head and one of length: 82 fit.
        append_message(&mut buffer, 100, &Address::Process(1), &vec![7u8; 82]).unwrap();
        assert!(append_message(&mut buffer, 100, &Address::Process(1), &vec![7u8; 83]).is_err());
    }

    #[test]
    fn a_panic_while_encoding_leaves_no_trace() {
        #[derive(Deserialize)]
        struct Bomb;
        impl Serialize for Bomb {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("a bomb in a message")
            }
        }
        let mut buffer = b"before".to_vec();
        let attempt =
            std::panic::AssertUnwindSafe(|| append_message(&mut buffer, MAX, &Address::Process(1), &Bomb));
        assert!(std::panic::catch_unwind(attempt).is_err());
        assert_eq!(buffer, b"before");
    }
}
