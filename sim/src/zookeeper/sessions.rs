//! The sessions, and when each is over. Only the leader of an ensemble knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright_core::{Instant, SessionId};

/// The first session of a server is the one after this. Real ids begin with the number of the server, too, and the
/// first byte is never 0x80 or 0xff, which mark containers and TTL nodes.
const ID_BASE: i64 = 1 << 56;

/// All sessions that are not over.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    tick: Duration,
    ends: BTreeMap<SessionId, Instant>,
    by_end: BTreeSet<(Instant, SessionId)>,
    opened: i64,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(tick: Duration) -> Self {
        Self { tick, ends: BTreeMap::new(), by_end: BTreeSet::new(), opened: 0 }
    }

    /// Begins a session.
    pub(super) fn open(&mut self, now: Instant, timeout: Duration) -> SessionId {
        self.opened += 1;
        let session = SessionId(ID_BASE + self.opened);
        self.set_end(session, end(now, timeout, self.tick));
        session
    }

    /// The client of `session` was heard of: it lives for `timeout` from now on, and on to the end of a tick. Tells
    /// whether there is such a session.
    pub(super) fn touch(&mut self, now: Instant, session: SessionId, timeout: Duration) -> bool {
        let live = self.contains(session);
        if live {
            self.set_end(session, end(now, timeout, self.tick));
        }
        live
    }

    /// Ends a session. Tells whether there was one.
    pub(super) fn close(&mut self, session: SessionId) -> bool {
        let ends_at = self.ends.remove(&session);
        ends_at.is_some_and(|ends_at| self.by_end.remove(&(ends_at, session)))
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.ends.contains_key(&session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SessionId> {
        self.ends.keys().copied()
    }

    /// The next session to end unless its client is heard of, and when.
    pub(super) fn next_end(&self) -> Option<(Instant, SessionId)> {
        self.by_end.first().copied()
    }

    /// Panics when the two indexes differ.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.ends.len(), self.by_end.len(), "sessions with no end, or ends with no session");
        for (session, ends_at) in &self.ends {
            assert!(self.by_end.contains(&(*ends_at, *session)), "the end of {session} is not scheduled");
        }
    }

    fn set_end(&mut self, session: SessionId, ends_at: Instant) {
        match self.ends.insert(session, ends_at) {
            // Ends are whole ticks, and a client that is busy sends a lot within one.
            Some(earlier) if earlier == ends_at => return,
            Some(earlier) => drop(self.by_end.remove(&(earlier, session))),
            None => {}
        }
        self.by_end.insert((ends_at, session));
    }
}

/// The password of `session`: 16 bytes that need not be kept, since they follow from the id.
///
/// Real servers mix in a secret of theirs. This one has none: whoever knows the id can compute the password.
pub(super) fn password(session: SessionId) -> [u8; 16] {
    let mut state = session.0.cast_unsigned();
    let mut next = || {
        // Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (OOPSLA 2014), as splitmix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let number = u128::from(next()) << 64 | u128::from(next());
    number.to_be_bytes()
}

/// The first tick after `timeout` has passed; never that very instant.
fn end(now: Instant, timeout: Duration, tick: Duration) -> Instant {
    let tick = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX);
    let ticks = now.after(timeout).as_nanos() / tick;
    Instant::from_nanos(ticks.saturating_add(1).saturating_mul(tick))
}
