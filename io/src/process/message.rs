use std::any::{Any, type_name};
use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

/// What can be sent to a process: any type that serde can write and read again.
///
/// Within a node a message is moved; between nodes it is encoded. Both nodes must know the type by the same
/// path and fields: in practice, they are of the same build.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// Names a type on the wire: the 64-bit FNV-1a hash of its path.
///
/// Two types with one fingerprint do no harm beyond a message that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(pub(crate) u64);

/// A message in a mailbox.
pub(crate) struct Envelope {
    body: Body,
    /// What it adds to the memory that other nodes occupy here, in bytes; zero for a local message.
    charge: usize,
}

/// Whether an envelope holds what a receive asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Yes: [`Envelope::into_message`] gives it.
    Yes,
    /// It holds something else, or the predicate declined.
    No,
    /// It claims to be of the type, and is not. A warning was written; nobody will ever receive it.
    Spoiled,
}

enum Body {
    Local(Box<dyn Any + Send>),
    Remote { fingerprint: Fingerprint, payload: Bytes },
}

/// What an envelope occupies beside its payload, for accounting.
const ENVELOPE_OVERHEAD: usize = 64;
/// A smaller payload is copied out of the buffer in which it arrived, so that a message that waits long does
/// not hold on to a buffer many times its size.
const COPY_BELOW: usize = 4 << 10;

impl Fingerprint {
    pub(crate) fn of<T: ?Sized>() -> Self {
        let name = type_name::<T>();
        // A name is a constant of the program: where it stands says which one it is.
        let at = (name.as_ptr() as usize, name.len());
        KNOWN.with(|known| {
            let slot = &known[(at.0 ^ at.0 >> 6) % KNOWN_LEN];
            match slot.get() {
                (known, fingerprint) if known == at => fingerprint,
                _ => {
                    let fingerprint = Self::of_text(name);
                    slot.set((at, fingerprint));
                    fingerprint
                }
            }
        })
    }

    fn of_text(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }
}

/// How many types' fingerprints a thread remembers: to hash a name takes longer than to encode a small message.
const KNOWN_LEN: usize = 64;
thread_local! {
    static KNOWN: [Cell<((usize, usize), Fingerprint)>; KNOWN_LEN] =
        const { [const { Cell::new(((0, 0), Fingerprint(0))) }; KNOWN_LEN] };
}

impl Envelope {
    pub(crate) fn local<T: Message>(message: T) -> Self {
        Self { body: Body::Local(Box::new(message)), charge: 0 }
    }

    pub(crate) fn remote(fingerprint: Fingerprint, payload: Bytes) -> Self {
        let charge = payload.len() + ENVELOPE_OVERHEAD;
        let payload = if payload.len() < COPY_BELOW { Bytes::copy_from_slice(&payload) } else { payload };
        Self { body: Body::Remote { fingerprint, payload }, charge }
    }

    pub(crate) fn charge(&self) -> usize {
        self.charge
    }

    /// Tells whether this holds a `T`, or claims to.
    pub(crate) fn is<T: Message>(&self) -> bool {
        match &self.body {
            Body::Local(message) => message.is::<T>(),
            Body::Remote { fingerprint, .. } => *fingerprint == Fingerprint::of::<T>(),
        }
    }

    /// Tells whether this is a `T` that `accept` likes.
    ///
    /// A remote message is decoded at most once, by the first receive that asks for its type.
    pub(crate) fn fit<T: Message>(&mut self, accept: impl FnOnce(&T) -> bool) -> Fit {
        if let Body::Remote { fingerprint, payload } = &self.body {
            if *fingerprint != Fingerprint::of::<T>() {
                return Fit::No;
            }
            match decoded::<T>(payload) {
                Some(message) => self.body = Body::Local(Box::new(message)),
                None => return Fit::Spoiled,
            }
        }
        match &self.body {
            Body::Local(message) if message.downcast_ref().is_some_and(accept) => Fit::Yes,
            Body::Local(_) | Body::Remote { .. } => Fit::No,
        }
    }

    /// The message: always after [`Fit::Yes`] for its type; otherwise `None` when it is of another type, or claims to
    /// be of this one and is not, of which a warning was written.
    pub(crate) fn into_message<T: Message>(self) -> Option<T> {
        match self.body {
            Body::Local(message) => message.downcast().ok().map(|message| *message),
            Body::Remote { fingerprint, payload } if fingerprint == Fingerprint::of::<T>() => {
                decoded(&payload)
            }
            Body::Remote { .. } => None,
        }
    }
}

fn decoded<T: Message>(payload: &[u8]) -> Option<T> {
    codec::decode(payload)
        .inspect_err(|error| tracing::warn!(%error, "dropped a message; is its sender of another build?"))
        .ok()
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Local(_) => f.write_str("Envelope(local)"),
            Body::Remote { fingerprint, payload } => {
                write!(f, "Envelope({:016x}, {} bytes)", fingerprint.0, payload.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote<T: Message>(message: &T) -> Envelope {
        let mut bytes = Vec::new();
        codec::encode_into(message, &mut bytes, 1 << 20).unwrap();
        Envelope::remote(Fingerprint::of::<T>(), bytes.into())
    }

    #[test]
    fn an_envelope_fits_its_type_only() {
        for mut envelope in [Envelope::local(7u32), remote(&7u32)] {
            assert_eq!(envelope.fit::<u64>(|_| true), Fit::No);
            assert_eq!(envelope.fit::<u32>(|_| false), Fit::No);
            assert_eq!(envelope.fit::<u32>(|n| *n == 7), Fit::Yes);
            assert_eq!(envelope.into_message::<u32>(), Some(7));
        }
    }

    #[test]
    fn a_liar_is_spoiled() {
        let liar = || Envelope::remote(Fingerprint::of::<String>(), Bytes::from_static(b"\xff\xff"));
        assert!(liar().is::<String>());
        assert_eq!(liar().into_message::<String>(), None);
        let mut envelope = liar();
        assert_eq!(envelope.fit::<String>(|_| true), Fit::Spoiled);
        assert_eq!(envelope.fit::<u32>(|_| true), Fit::No);
    }

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        // The published test vectors: nodes of later versions must agree.
        assert_eq!(Fingerprint::of_text("").0, 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fingerprint::of_text("foobar").0, 0x8594_4171_f739_67e8);
        assert_ne!(Fingerprint::of::<u32>(), Fingerprint::of::<u64>());
        for _ in 0..2 {
            assert_eq!(Fingerprint::of::<u32>(), Fingerprint::of_text("u32"), "remembered or not");
            assert_eq!(Fingerprint::of::<[u32; 7]>(), Fingerprint::of_text("[u32; 7]"));
        }
    }
}
