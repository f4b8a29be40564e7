//! How a client shall behave.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::mutation::Mutation;
use crate::path::Path;
use crate::wire::Acl;

/// The most bytes of one request, below the server's limit of [`FRAME_LEN_MAX`](crate::wire::FRAME_LEN_MAX): a frame that is too large
/// costs the connection, and all that is in flight on it.
pub(super) const REQUEST_LEN_MAX: usize = 1_000_000;

/// The configuration of a [`Client`](super::Client).
#[derive(Clone, Debug)]
pub struct Config {
    /// How many servers there are; the embedder knows them by number. They are tried in turn, from number 0. At
    /// least one.
    pub server_count: usize,
    /// The session timeout to ask for.
    pub session_timeout: Duration,
    /// How long an attempt may take: to connect, and to be given a session.
    pub connect_timeout: Duration,
    /// After so long without a word from the server the connection is given up; never later than two thirds of the
    /// session timeout that the server grants. A third of it in which nothing was sent, or nothing was heard, sends a
    /// ping; without one that had time to be answered nobody despairs.
    pub silence_max: Duration,
    /// How long a close waits for the server.
    pub close_timeout: Duration,
    /// The pause before the first attempts to reconnect, one for each server; doubled after each round over them.
    pub retry_min: Duration,
    /// The longest pause. A connection that held for so long starts the pauses anew.
    pub retry_max: Duration,
    /// What the jitter of the pauses is derived from: another number for each client, so that a fleet does not come
    /// back as one.
    pub seed: u64,
    /// Proven on each connection, before anything else.
    pub credentials: Vec<Credentials>,
    /// The access control list of each created znode.
    pub acl: Vec<Acl>,
    /// Where all paths are; created when it is missing.
    pub chroot: Option<Path>,
    /// Whether the client arms the watches of a session again after a reconnect, as ZooKeeper's own clients do. The core does not
    /// need it, for it arms what it wants on each connection; and of what it wants no more while there is none it says
    /// nothing, so that this would be armed, too, for the rest of the session.
    pub rearms: bool,
    /// The most bytes of one request; what may be longer is refused and not sent.
    pub request_len_max: usize,
    /// A guard of this client that tests take out: see [`Mutation`].
    #[cfg(feature = "mutations")]
    pub mutation: Option<Mutation>,
}

/// An identity and its proof, for one of the server's schemes.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `digest`, for instance.
    pub scheme: String,
    /// What that scheme wants; `user:password` for `digest`.
    pub auth: Vec<u8>,
}

impl Config {
    /// For `server_count` servers, with defaults for the rest: a session of 8 s, 0.6 s of silence.
    #[must_use]
    pub fn new(server_count: usize) -> Self {
        Self {
            server_count,
            session_timeout: Duration::from_secs(8),
            connect_timeout: Duration::from_secs(1),
            silence_max: Duration::from_millis(600),
            close_timeout: Duration::from_secs(5),
            retry_min: Duration::from_millis(20),
            retry_max: Duration::from_secs(2),
            seed: 0,
            credentials: Vec::new(),
            acl: vec![Acl::open()],
            chroot: None,
            rearms: false,
            request_len_max: REQUEST_LEN_MAX,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// Without a guard, if the feature `mutations` is there to take it out.
    #[must_use]
    pub fn without(
        #[cfg_attr(not(feature = "mutations"), expect(unused_mut))] mut self,
        guard: Option<Mutation>,
    ) -> Self {
        #[cfg(feature = "mutations")]
        {
            self.mutation = guard;
        }
        #[cfg(not(feature = "mutations"))]
        let _ = guard;
        self
    }

    pub(super) fn is_mutated(&self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(mutation);
        #[cfg(not(feature = "mutations"))]
        {
            let _ = mutation;
            false
        }
    }
}

/// Without the secret.
impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Credentials").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
