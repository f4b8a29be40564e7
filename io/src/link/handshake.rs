//! Who is at the other end: mutual proof of the cookie. Pure.
//!
//! ```text
//! dialler                                   acceptor
//! Hello { dialler, wanted, nonce }   ->
//!                                    <-     Challenge { nonce }
//! proof over both                    ->
//!                                    <-     Welcome { proof }  or  NotMe { actual, proof }
//! ```
//! A proof is HMAC-SHA256 under the cookie of a label for the role, and of all that was said before:
//! versions, both nonces, and both identities. The dialler proves first, so that a stranger who dials learns
//! nothing that the cookie made. The dialler names the *life* of the node that it wants; another life at that
//! address says so, with a proof, and nothing that was meant for its predecessor reaches it.
//!
//! The cookie keeps strangers out; it does not hide or protect what follows from somebody who can alter the
//! stream. TLS does.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::codec;
use crate::process::NodeId;

/// The largest frame before the other end is known, in bytes.
pub(crate) const HANDSHAKE_FRAME_LEN_MAX: usize = 4 << 10;

/// The secret that the nodes of one cluster share. 32 random bytes are a good one: a short one can be guessed
/// by whoever makes a node dial him.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(Arc<[u8]>);

/// 32 bytes that were never used before.
pub(crate) type Nonce = [u8; 32];

/// The dialler, its hello sent.
#[derive(Debug)]
pub(crate) struct Dialler {
    cookie: Option<Cookie>,
    wanted: NodeId,
    hello: Vec<u8>,
}

/// The dialler, its proof sent.
#[derive(Debug)]
pub(crate) struct ProvenDialler {
    dialler: Dialler,
    challenge: Vec<u8>,
}

/// The acceptor, waiting for a hello.
#[derive(Debug)]
pub(crate) struct Acceptor {
    cookie: Option<Cookie>,
    me: NodeId,
    nonce: Nonce,
}

/// The acceptor, its challenge sent.
#[derive(Debug)]
pub(crate) struct ChallengingAcceptor {
    acceptor: Acceptor,
    dialler: NodeId,
    wanted: NodeId,
    hello: Vec<u8>,
    challenge: Vec<u8>,
}

/// Why there is no link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum HandshakeError {
    #[error("the other end does not speak the protocol of these links")]
    Foreign,
    #[error("the other end speaks version {theirs} of the link protocol, and this node {ours}")]
    Version { ours: u8, theirs: u8 },
    #[error("the other end has another cookie: all nodes of a cluster need the same one")]
    WrongCookie,
    #[error("{wanted} is gone: {actual} answers at its address")]
    WrongIncarnation { wanted: NodeId, actual: NodeId },
}

impl Cookie {
    /// The cookie of these bytes; `None` when there are none.
    #[must_use]
    pub fn new(secret: impl AsRef<[u8]>) -> Option<Self> {
        let secret = secret.as_ref();
        (!secret.is_empty()).then(|| Self(secret.into()))
    }
}

impl Dialler {
    /// Begins: the bytes are to be sent.
    pub(crate) fn new(cookie: Option<Cookie>, me: &NodeId, wanted: &NodeId, nonce: Nonce) -> (Self, Vec<u8>) {
        let hello = Hello { dialler: me.clone(), wanted: wanted.clone(), nonce };
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend_from_slice(&encoded(&hello));
        (Self { cookie, wanted: wanted.clone(), hello: bytes.clone() }, bytes)
    }

    /// Answers the challenge: the bytes are to be sent.
    pub(crate) fn handle_challenge(self, bytes: &[u8]) -> Result<(ProvenDialler, Vec<u8>), HandshakeError> {
        match decoded(bytes)? {
            Answer::Challenge { .. } => {}
            Answer::Unsupported { version } => {
                return Err(HandshakeError::Version { ours: VERSION, theirs: version });
            }
        }
        let proof = prove(self.cookie.as_ref(), DIALLER, &[&self.hello, bytes]);
        Ok((ProvenDialler { dialler: self, challenge: bytes.to_vec() }, encoded(&proof)))
    }
}

impl ProvenDialler {
    /// Ok when the wanted node is at the other end.
    pub(crate) fn handle_verdict(self, bytes: &[u8]) -> Result<(), HandshakeError> {
        let Self { dialler: Dialler { cookie, wanted, hello }, challenge } = self;
        let verify = |actual: &NodeId, proof: &Proof| {
            let said = [&hello[..], &challenge, &encoded(actual)];
            if verify(cookie.as_ref(), ACCEPTOR, &said, proof) {
                Ok(())
            } else {
                Err(HandshakeError::WrongCookie)
            }
        };
        match decoded(bytes)? {
            Verdict::Welcome { proof } => verify(&wanted, &proof),
            // Believed only with a proof: it makes every monitor of the wanted node's processes fire.
            Verdict::NotMe { actual, proof } => {
                verify(&actual, &proof)?;
                Err(if actual == wanted {
                    HandshakeError::Foreign
                } else {
                    HandshakeError::WrongIncarnation { wanted, actual }
                })
            }
            Verdict::WrongProof => Err(HandshakeError::WrongCookie),
        }
    }
}

impl Acceptor {
    pub(crate) fn new(cookie: Option<Cookie>, me: &NodeId, nonce: Nonce) -> Self {
        Self { cookie, me: me.clone(), nonce }
    }

    /// Challenges whoever said hello. The bytes are to be sent, also beside an error.
    pub(crate) fn handle_hello(
        self,
        bytes: &[u8],
    ) -> (Option<Vec<u8>>, Result<ChallengingAcceptor, HandshakeError>) {
        let Some((version, body)) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first()) else {
            return (None, Err(HandshakeError::Foreign));
        };
        if *version != VERSION {
            let error = HandshakeError::Version { ours: VERSION, theirs: *version };
            return (Some(encoded(&Answer::Unsupported { version: VERSION })), Err(error));
        }
        let Hello { dialler, wanted, nonce: _ } = match decoded(body) {
            Ok(hello) => hello,
            Err(error) => return (None, Err(error)),
        };
        let challenge = encoded(&Answer::Challenge { nonce: self.nonce });
        let next = ChallengingAcceptor {
            acceptor: self,
            dialler,
            wanted,
            hello: bytes.to_vec(),
            challenge: challenge.clone(),
        };
        (Some(challenge), Ok(next))
    }
}

impl ChallengingAcceptor {
    /// Ok with the node at the other end when it proved itself and wants this one. The bytes are to be sent,
    /// also beside an error.
    pub(crate) fn handle_proof(self, bytes: &[u8]) -> (Option<Vec<u8>>, Result<NodeId, HandshakeError>) {
        let Self { acceptor: Acceptor { cookie, me, nonce: _ }, dialler, wanted, hello, challenge } = self;
        let proof: Proof = match decoded(bytes) {
            Ok(proof) => proof,
            Err(error) => return (None, Err(error)),
        };
        if !verify(cookie.as_ref(), DIALLER, &[&hello, &challenge], &proof) {
            return (Some(encoded(&Verdict::WrongProof)), Err(HandshakeError::WrongCookie));
        }
        let proof = prove(cookie.as_ref(), ACCEPTOR, &[&hello, &challenge, &encoded(&me)]);
        if wanted == me {
            (Some(encoded(&Verdict::Welcome { proof })), Ok(dialler))
        } else {
            let verdict = Verdict::NotMe { actual: me.clone(), proof };
            (Some(encoded(&verdict)), Err(HandshakeError::WrongIncarnation { wanted, actual: me }))
        }
    }
}

const MAGIC: &[u8] = b"queenright";
const VERSION: u8 = 1;
const DIALLER: &[u8] = b"queenright link 1: dialler";
const ACCEPTOR: &[u8] = b"queenright link 1: acceptor";

#[derive(Serialize, Deserialize)]
struct Hello {
    dialler: NodeId,
    wanted: NodeId,
    nonce: Nonce,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Challenge { nonce: Nonce },
    Unsupported { version: u8 },
}

#[derive(Serialize, Deserialize)]
struct Proof([u8; 32]);

#[derive(Serialize, Deserialize)]
enum Verdict {
    Welcome { proof: Proof },
    NotMe { actual: NodeId, proof: Proof },
    WrongProof,
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    match codec::encode_into(value, &mut bytes, HANDSHAKE_FRAME_LEN_MAX) {
        Ok(()) => bytes,
        // Two ids of ADDRESS_LEN_MAX and a few fixed fields.
        Err(error) => unreachable!("a message of the handshake: {error}"),
    }
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, HandshakeError> {
    codec::decode(bytes).map_err(|_| HandshakeError::Foreign)
}

fn prove(cookie: Option<&Cookie>, role: &[u8], said: &[&[u8]]) -> Proof {
    Proof(mac(cookie, role, said).finalize().into_bytes().into())
}

/// Takes the same time whatever is wrong with the proof.
fn verify(cookie: Option<&Cookie>, role: &[u8], said: &[&[u8]], proof: &Proof) -> bool {
    mac(cookie, role, said).verify_slice(&proof.0).is_ok()
}

/// Each part goes in behind its length, so that no two lists of parts give the same input.
fn mac(cookie: Option<&Cookie>, role: &[u8], said: &[&[u8]]) -> Hmac<Sha256> {
    let key = cookie.map_or(&[][..], |cookie| &cookie.0);
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes a key of any length"),
    };
    for part in [role].iter().chain(said) {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::nodes;
    use proptest::prelude::*;

    /// Runs a handshake. `tamper` may change each of the four messages on its way.
    fn run(
        cookies: [Option<&str>; 2],
        [me, wanted, actual]: [&NodeId; 3],
        mut tamper: impl FnMut(usize, &mut Vec<u8>),
    ) -> (Result<(), HandshakeError>, Result<NodeId, HandshakeError>) {
        let [ours, theirs] = cookies.map(|cookie| cookie.and_then(Cookie::new));
        let gone = || HandshakeError::Foreign;
        let (dialler, mut hello) = Dialler::new(ours, me, wanted, [1; 32]);
        tamper(0, &mut hello);
        let (challenge, acceptor) = Acceptor::new(theirs, actual, [2; 32]).handle_hello(&hello);
        let Some(mut challenge) = challenge else { return (Err(gone()), acceptor.map(|_| me.clone())) };
        tamper(1, &mut challenge);
        let dialler = dialler.handle_challenge(&challenge);
        let (acceptor, (dialler, mut proof)) = match (acceptor, dialler) {
            (Ok(acceptor), Ok(dialler)) => (acceptor, dialler),
            (Err(acceptor), Ok(_)) => return (Err(gone()), Err(acceptor)),
            (Ok(_), Err(dialler)) => return (Err(dialler), Err(gone())),
            (Err(acceptor), Err(dialler)) => return (Err(dialler), Err(acceptor)),
        };
        tamper(2, &mut proof);
        let (verdict, accepted) = acceptor.handle_proof(&proof);
        let Some(mut verdict) = verdict else { return (Err(gone()), accepted) };
        tamper(3, &mut verdict);
        (dialler.handle_verdict(&verdict), accepted)
    }

    fn three() -> [NodeId; 3] {
        [
            "a:1@00000000000000000000000000000001",
            "b:2@00000000000000000000000000000002",
            "b:2@00000000000000000000000000000003",
        ]
        .map(|text| text.parse().unwrap())
    }

    #[test]
    fn the_same_cookie_opens() {
        let [a, b, _] = three();
        for cookie in [None, Some("secret")] {
            assert_eq!(run([cookie; 2], [&a, &b, &b], |_, _| {}), (Ok(()), Ok(a.clone())));
        }
    }

    #[test]
    fn another_cookie_does_not() {
        let [a, b, _] = three();
        for cookies in [[Some("one"), Some("two")], [None, Some("two")], [Some("one"), None]] {
            let wrong = HandshakeError::WrongCookie;
            assert_eq!(run(cookies, [&a, &b, &b], |_, _| {}), (Err(wrong.clone()), Err(wrong)));
        }
    }

    #[test]
    fn another_life_says_so_to_both_ends() {
        let [a, wanted, actual] = three();
        let error = HandshakeError::WrongIncarnation { wanted: wanted.clone(), actual: actual.clone() };
        let got = run([Some("secret"); 2], [&a, &wanted, &actual], |_, _| {});
        assert_eq!(got, (Err(error.clone()), Err(error)));
    }

    #[test]
    fn a_stranger_cannot_declare_a_node_dead() {
        let [a, wanted, actual] = three();
        let forged = encoded(&Verdict::NotMe { actual, proof: Proof([0; 32]) });
        let (dialled, _) = run([Some("secret"); 2], [&a, &wanted, &wanted], |at, bytes| {
            if at == 3 {
                bytes.clone_from(&forged);
            }
        });
        assert_eq!(dialled, Err(HandshakeError::WrongCookie));
    }

    #[test]
    fn a_proof_cannot_be_reflected() {
        // The attacker answers the dialler's challenge with the dialler's own proof.
        let [a, b, _] = three();
        let mut proof = Vec::new();
        let (dialled, _) = run([Some("secret"), Some("unknown")], [&a, &b, &b], |at, bytes| match at {
            2 => proof.clone_from(bytes),
            3 => *bytes = encoded(&Verdict::Welcome { proof: decoded(&proof).unwrap() }),
            _ => {}
        });
        assert_eq!(dialled, Err(HandshakeError::WrongCookie));
    }

    #[test]
    fn a_proof_cannot_be_replayed() {
        // The attacker says again what a dialler said earlier; an acceptor's nonce is another one by now.
        let [a, b, _] = three();
        let (mut hello, mut proof) = (Vec::new(), Vec::new());
        let heard = run([Some("secret"); 2], [&a, &b, &b], |at, bytes| match at {
            0 => hello.clone_from(bytes),
            2 => proof.clone_from(bytes),
            _ => {}
        });
        assert_eq!(heard, (Ok(()), Ok(a)));
        let again = |nonce| {
            let (_, acceptor) = Acceptor::new(Cookie::new("secret"), &b, nonce).handle_hello(&hello);
            acceptor.unwrap().handle_proof(&proof).1
        };
        assert_eq!(again([3; 32]), Err(HandshakeError::WrongCookie));
        assert!(again([2; 32]).is_ok(), "that was the nonce, so only its being another one protects");
    }

    #[test]
    fn another_version_is_named() {
        let [a, b, _] = three();
        let (dialled, accepted) = run([None; 2], [&a, &b, &b], |at, bytes| {
            if at == 0 {
                bytes[MAGIC.len()] = 9;
            }
        });
        assert_eq!(accepted, Err(HandshakeError::Version { ours: 1, theirs: 9 }));
        assert_eq!(dialled, Err(HandshakeError::Version { ours: 1, theirs: 1 }));
    }

    proptest! {
        #[test]
        fn every_altered_byte_is_noticed(
            me in nodes(), wanted in nodes(), message in 0usize..4, at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let (dialled, accepted) = run([Some("secret"); 2], [&me, &wanted, &wanted], |number, bytes| {
                if number == message {
                    let at = at.index(bytes.len());
                    bytes[at] ^= flip;
                }
            });
            // The verdict is the last word: the acceptor cannot know that it was altered.
            prop_assert!(dialled.is_err());
            prop_assert!(accepted.is_err() || message == 3);
        }

        #[test]
        fn the_largest_hello_fits(me in nodes(), wanted in nodes()) {
            let (_, hello) = Dialler::new(None, &me, &wanted, [1; 32]);
            prop_assert!(hello.len() <= HANDSHAKE_FRAME_LEN_MAX);
        }

        #[test]
        fn bytes_from_nowhere_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300), me in nodes(),
        ) {
            let _ = Acceptor::new(None, &me, [2; 32]).handle_hello(&bytes);
            let with_magic = [MAGIC, &[VERSION], &bytes].concat();
            let _ = Acceptor::new(None, &me, [2; 32]).handle_hello(&with_magic);
            let (dialler, _) = Dialler::new(None, &me, &me, [1; 32]);
            let _ = dialler.handle_challenge(&bytes);
        }
    }
}
