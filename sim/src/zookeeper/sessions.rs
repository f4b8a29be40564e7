//! The sessions, and when each is over. Only a leader knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright_core::{Instant, SessionId};

use super::ServerId;

/// All sessions that a leader knows.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    tick: Duration,
    all: BTreeMap<SessionId, Session>,
    by_end: BTreeSet<(Instant, SessionId)>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    state: State,
    /// Who may write in its name: the server over which it came last.
    owner: Option<Owner>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Until then, unless its client is heard of.
    Live { ends_at: Instant },
    /// Its end is proposed.
    Closing,
}

/// A server, for as long as it follows without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) server: ServerId,
    pub(super) term: Term,
}

/// Numbers the times that servers begin to lead or to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term(pub(super) u64);

/// Why a request of a session is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// It is over.
    Expired,
    /// It has been taken up at another server since.
    Moved,
}

impl Sessions {
    /// Those that a new leader finds: all of them get their whole timeout once more.
    pub(super) fn new(
        now: Instant,
        tick: Duration,
        found: impl IntoIterator<Item = (SessionId, Duration)>,
    ) -> Self {
        let mut sessions = Self { tick, all: BTreeMap::new(), by_end: BTreeSet::new() };
        for (session, timeout) in found {
            sessions.set_end(session, end(now, timeout, tick), None);
        }
        sessions
    }

    /// Begins a session.
    pub(super) fn open(&mut self, now: Instant, session: SessionId, timeout: Duration, owner: Owner) {
        self.set_end(session, end(now, timeout, self.tick), Some(owner));
    }

    /// The client of `session` was heard of: it lives for `timeout` from now on, and on to the end of a tick. Tells
    /// whether there is such a session.
    pub(super) fn touch(&mut self, now: Instant, session: SessionId, timeout: Duration) -> bool {
        match self.all.get(&session).copied() {
            Some(Session { state: State::Live { .. }, owner }) => {
                self.set_end(session, end(now, timeout, self.tick), owner);
                true
            }
            Some(Session { state: State::Closing, .. }) | None => false,
        }
    }

    /// The client of `session` comes back over `owner`. Tells whether there is such a session.
    pub(super) fn take_up(
        &mut self,
        now: Instant,
        session: SessionId,
        timeout: Duration,
        owner: Owner,
    ) -> bool {
        let live = self.touch(now, session, timeout);
        if let Some(session) = self.all.get_mut(&session).filter(|_| live) {
            session.owner = Some(owner);
        }
        live
    }

    /// Whether a request of `session` that came over `asking` may be served.
    pub(super) fn check(&mut self, session: SessionId, asking: Owner) -> Result<(), Unserved> {
        match self.all.get_mut(&session) {
            Some(Session { state: State::Live { .. }, owner }) => {
                if *owner.get_or_insert(asking) == asking {
                    Ok(())
                } else {
                    Err(Unserved::Moved)
                }
            }
            Some(Session { state: State::Closing, .. }) | None => Err(Unserved::Expired),
        }
    }

    /// The end of `session` is proposed: nothing renews it any more. Tells whether it was not before.
    pub(super) fn close(&mut self, session: SessionId) -> bool {
        let Some(Session { state, .. }) = self.all.get_mut(&session) else { return false };
        match std::mem::replace(state, State::Closing) {
            State::Live { ends_at } => self.by_end.remove(&(ends_at, session)),
            State::Closing => false,
        }
    }

    /// The end of `session` has happened.
    pub(super) fn forget(&mut self, session: SessionId) {
        if let Some(Session { state: State::Live { ends_at }, .. }) = self.all.remove(&session) {
            self.by_end.remove(&(ends_at, session));
        }
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.all.contains_key(&session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SessionId> {
        self.all.keys().copied()
    }

    /// The next session to end unless its client is heard of, and when.
    pub(super) fn next_end(&self) -> Option<(Instant, SessionId)> {
        self.by_end.first().copied()
    }

    /// Panics when the two indexes differ.
    pub(super) fn check_invariants(&self) {
        let mut scheduled = 0;
        for (session, Session { state, .. }) in &self.all {
            if let State::Live { ends_at } = state {
                assert!(self.by_end.contains(&(*ends_at, *session)), "the end of {session} is not scheduled");
                scheduled += 1;
            }
        }
        assert_eq!(scheduled, self.by_end.len(), "ends with no session");
    }

    fn set_end(&mut self, session: SessionId, ends_at: Instant, owner: Option<Owner>) {
        let renewed = Session { state: State::Live { ends_at }, owner };
        if let Some(Session { state: State::Live { ends_at: earlier }, .. }) =
            self.all.insert(session, renewed)
        {
            // Ends are whole ticks, and a client that is busy sends a lot within one.
            if earlier == ends_at {
                return;
            }
            self.by_end.remove(&(earlier, session));
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
