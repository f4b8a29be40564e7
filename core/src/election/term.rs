//! A term: as this node holds it, and as its record was last read.

use alloc::format;
use alloc::sync::Arc;

use crate::ids::{RequestId, Token};
use crate::mutation::Mutation;
use crate::op::Stat;
use crate::outbox::{LeaseName, Outbox};
use crate::output::{Event, StopReason};
use crate::path::{Name, Path};
use crate::record::TermRecord;
use crate::time::Instant;

/// A term that this node holds.
///
/// | phase | the lease lasts beyond the drain | told to stop | stopped, or the deadline passed | deposed |
/// |---|---|---|---|---|
/// | Pending | Leading: Elected | – | – | over |
/// | Leading | – | Stopping: Stop | – | over: Stop, Revoked |
/// | Stopping | – (final) | – | over: Revoked | over: Revoked |
#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) struct Term {
    version: i32,
    token: Token,
    payload: Arc<[u8]>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) enum Phase {
    /// Held, and not believed yet: the lease has to be extended first.
    Pending,
    Leading,
    /// The end is final, and the deadline frozen (rule 4).
    Stopping {
        deadline: Instant,
    },
}

impl Term {
    pub(super) fn new(version: i32, token: Token, payload: Arc<[u8]>) -> Self {
        debug_assert!(version & 1 == 1, "a held term has an odd version");
        Self { version, token, payload, phase: Phase::Pending }
    }

    pub(super) fn version(&self) -> i32 {
        self.version
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    pub(super) fn payload(&self) -> &Arc<[u8]> {
        &self.payload
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn is_leading(&self) -> bool {
        self.phase == Phase::Leading
    }

    pub(super) fn elect(&mut self, valid_until: Instant, global: &Name, out: &mut Outbox) {
        assert_eq!(self.phase, Phase::Pending, "{global}: elected twice");
        assert!(valid_until > out.now, "{global}: elected without a lease");
        self.phase = Phase::Leading;
        out.event(Event::Elected {
            global: global.clone(),
            token: self.token,
            version: self.version,
            payload: Arc::clone(&self.payload),
            valid_until,
        });
    }

    /// Tells the application to stop by `deadline`.
    pub(super) fn stop(&mut self, reason: StopReason, deadline: Instant, global: &Name, out: &mut Outbox) {
        assert_eq!(self.phase, Phase::Leading, "{global}: stopped twice, or never led");
        self.phase = Phase::Stopping { deadline };
        out.event(Event::Stop { global: global.clone(), token: self.token, deadline, reason });
    }

    /// The application is done, or its time is over. Gives the version to release.
    pub(super) fn revoke(&mut self, global: &Name, out: &mut Outbox) -> i32 {
        assert_ne!(self.phase, Phase::Pending, "{global}: revoked before it was elected");
        out.event(Event::Revoked { global: global.clone(), token: self.token });
        self.version
    }

    /// It is over at once, whatever the application does. Gives the version to release.
    pub(super) fn depose(&mut self, reason: StopReason, global: &Name, out: &mut Outbox) -> i32 {
        match self.phase {
            Phase::Pending => return self.version,
            Phase::Leading => self.stop(reason, out.now, global, out),
            Phase::Stopping { .. } => {}
        }
        self.revoke(global, out)
    }
}

/// What a term record said when it was last read, and what is being done to read it again.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) struct TermView {
    known: Known,
    /// No version below this is believed (rule 5).
    floor: Option<i32>,
    /// The floor that the last release under this view left (rule 6).
    released: Option<i32>,
    read: Read,
    read_at: Instant,
    /// Since when the connection that watched it is down.
    down_since: Option<Instant>,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) enum Known {
    Nothing,
    /// There is no record: nobody ever stood for this global.
    Missing,
    /// There was none, and there is one now, not read yet.
    Appeared,
    Vacant {
        version: i32,
    },
    Held {
        version: i32,
        lease: LeaseName,
        payload: Arc<[u8]>,
        token: Token,
    },
    /// Somebody wrote what this node does not understand: nobody's to take, and no term of before is left.
    Illegible {
        version: i32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum Read {
    Wanted,
    InFlight { request: RequestId, is_watched: bool, asked: Asked },
    Done { is_watched: bool },
}

/// What a read asks for. Only a question for existence leaves a watch on what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) enum Asked {
    Data,
    Existence,
}

impl TermView {
    /// A view of a record of which this node knows that it is at `released` at least.
    pub(super) fn new(released: Option<i32>) -> Self {
        Self {
            known: Known::Nothing,
            floor: released,
            released,
            read: Read::Wanted,
            read_at: Instant::ORIGIN,
            down_since: None,
        }
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// The version last read; 0 when none was.
    pub(super) fn version(&self) -> i32 {
        match self.known {
            Known::Nothing | Known::Missing | Known::Appeared => 0,
            Known::Vacant { version } | Known::Held { version, .. } | Known::Illegible { version } => version,
        }
    }

    pub(super) fn held(&self) -> Option<(&LeaseName, &Arc<[u8]>, Token)> {
        match &self.known {
            Known::Held { lease, payload, token, .. } => Some((lease, payload, *token)),
            Known::Nothing
            | Known::Missing
            | Known::Appeared
            | Known::Vacant { .. }
            | Known::Illegible { .. } => None,
        }
    }

    pub(super) fn held_version(&self) -> Option<i32> {
        match self.known {
            Known::Held { version, .. } => Some(version),
            Known::Nothing
            | Known::Missing
            | Known::Appeared
            | Known::Vacant { .. }
            | Known::Illegible { .. } => None,
        }
    }

    /// Whether what is known was read on this connection, and nothing since says otherwise.
    pub(super) fn is_current(&self) -> bool {
        matches!(self.read, Read::Done { .. })
    }

    /// Since when what is known may be out of date.
    pub(super) fn stale_since(&self) -> Option<Instant> {
        match self.read {
            Read::Done { is_watched: false } => Some(self.read_at),
            Read::Wanted | Read::InFlight { .. } | Read::Done { is_watched: true } => self.down_since,
        }
    }

    pub(super) fn read_at(&self) -> Instant {
        self.read_at
    }

    /// Something happened to it. A read that is under way shows what: the port delivers no event before a
    /// reply that preceded it.
    pub(super) fn read_again(&mut self) {
        match self.read {
            Read::Done { .. } => self.read = Read::Wanted,
            Read::Wanted | Read::InFlight { .. } => {}
        }
    }

    /// A write goes out, or a watch is not there: only a read behind that tells.
    pub(super) fn read_behind(&mut self) {
        self.read = Read::Wanted;
    }

    /// Whether a read must be sent, given whether it must leave a watch.
    pub(super) fn needs_read(&self, needs_watch: bool) -> bool {
        match self.read {
            Read::Wanted => true,
            Read::InFlight { is_watched, .. } | Read::Done { is_watched } => needs_watch && !is_watched,
        }
    }

    pub(super) fn reading(&mut self, request: RequestId, is_watched: bool, asked: Asked) {
        self.read = Read::InFlight { request, is_watched, asked };
    }

    /// What was asked, if this is the answer that counts; it does once.
    pub(super) fn answered(&mut self, request: RequestId, now: Instant) -> Option<Asked> {
        match self.read {
            Read::InFlight { request: awaited, is_watched, asked } if awaited == request => {
                self.read = Read::Done { is_watched };
                self.read_at = now;
                self.down_since = None;
                Some(asked)
            }
            Read::Wanted | Read::InFlight { .. } | Read::Done { .. } => None,
        }
    }

    /// Rule 5: value and version from one reply. Says whether it was believed.
    pub(super) fn apply(&mut self, data: &[u8], stat: &Stat, path: &Path, out: &mut Outbox) -> bool {
        let version = stat.version;
        let is_old = self.floor.is_some_and(|floor| version.wrapping_sub(floor) < 0);
        if is_old && !out.config.is_mutated(Mutation::NoFloor) {
            return false;
        }
        let is_odd = version & 1 == 1;
        self.known = match TermRecord::decode(data) {
            Ok(TermRecord::Held { lease, payload }) if is_odd => {
                Known::Held { version, lease, payload, token: Token(stat.mzxid) }
            }
            Ok(TermRecord::Vacant) if !is_odd => Known::Vacant { version },
            Ok(TermRecord::Held { .. } | TermRecord::Vacant) => {
                let (is, should) = if is_odd { ("vacant", "held") } else { ("held", "vacant") };
                let reason = format!(
                    "the term is {is} at version {version}, which says that it is {should}: somebody wrote it by hand"
                );
                out.degraded(path.clone(), None, reason);
                Known::Illegible { version }
            }
            Err(bad) => {
                out.degraded(
                    path.clone(),
                    None,
                    format!("the term record at version {version} is refused: {bad}"),
                );
                Known::Illegible { version }
            }
        };
        self.floor = Some(version);
        true
    }

    /// Whether what is known is a term that this node has released since.
    pub(super) fn is_released(&self) -> bool {
        match (&self.known, self.released) {
            (Known::Held { version, .. }, Some(released)) => version.wrapping_sub(released) < 0,
            (Known::Held { .. }, None) => false,
            (
                Known::Nothing
                | Known::Missing
                | Known::Appeared
                | Known::Vacant { .. }
                | Known::Illegible { .. },
                _,
            ) => false,
        }
    }

    /// A write at `version` was refused for the version: if the record was ever seen there, it is past it by now, whatever a
    /// read shows. (A claim by word of an event alone is made at a version that nobody has seen yet.)
    pub(super) fn refute(&mut self, version: i32) {
        if self.floor == Some(version) {
            self.raise_floor(version.wrapping_add(1));
        }
    }

    fn raise_floor(&mut self, to: i32) {
        self.floor = Some(self.floor.filter(|floor| floor.wrapping_sub(to) > 0).unwrap_or(to));
    }

    /// Rule 6: the term at `version` is over for this node, whatever a read shows.
    pub(super) fn release(&mut self, version: i32, out: &Outbox) {
        if !out.config.is_mutated(Mutation::ReleaseNotFinal) {
            self.raise_floor(version.wrapping_add(1));
        }
        self.released = self.floor;
        self.read_behind();
    }

    /// What must not be forgotten as long as this node's lease lasts: a read that shows an older term is out of date, and
    /// would have this node hold again what it released.
    pub(super) fn released(&self) -> Option<i32> {
        self.released
    }

    /// There is a record now, and what it says must be read.
    pub(super) fn appeared(&mut self) {
        self.known = Known::Appeared;
        self.read = Read::Wanted;
    }

    /// There is no record. Says whether there was one.
    pub(super) fn missing(&mut self, asked: Asked) -> bool {
        let was_known = self.floor.is_some();
        if asked == Asked::Data {
            self.read = Read::Done { is_watched: false };
        }
        self.known = Known::Missing;
        self.floor = None;
        self.released = None;
        was_known
    }

    pub(super) fn handle_down(&mut self, now: Instant) {
        self.read = Read::Wanted;
        self.down_since = self.down_since.or(Some(now));
    }
}
