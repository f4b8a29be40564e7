//! One global: what its term record says, whether this node holds it, and what it does next.
//!
//! The role of this node (rules 4 to 7, 9 and 10):
//!
//! | role | read shows own lease | claim ok | claim refused | claim unknown | lease gone | resigned | released |
//! |---|---|---|---|---|---|---|---|
//! | Follower | Holding | – | – | – | – | – | – |
//! | Claiming | waits for the answer | Holding | Follower | Follower, claim open | – | waits | – |
//! | Holding | – | – | – | – | Releasing | stops, then Releasing | – |
//! | Releasing | – | – | – | – | – | – | Follower |
//! | Vacating | – | – | – | – | – | – | – (answered: Follower) |
//!
//! `advance` looks at everything that is known and sends what is due; it is called after every change, and
//! calling it once more does nothing.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::claim::{Claim, ClaimKind, Open};
use super::queue::Queue;
use super::records::{Life, Records};
use super::term::{Asked, Known, Phase, Term, TermView};
use crate::backoff::{Backoff, mix, salt};
use crate::ids::RequestId;
use crate::lease::is_own;
use crate::mutation::Mutation;
use crate::op::{CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Version, Write, WriteReply};
use crate::outbox::{Fact, InFlight, LeaseName, Outbox, Owner, exactly};
use crate::output::{Event, Holder, StopReason, Terms};

use crate::path::{Name, Path};
use crate::record::TermRecord;
use crate::time::Instant;
use crate::timers::Key;

/// The second in the queue gives the first this long, or four round trips.
const TURN: Duration = Duration::from_millis(200);
/// Nodes that only look a global up leave its candidates this long after W before they vacate it.
const VACATE_AFTER: Duration = Duration::from_secs(2);

/// What a claim is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Campaign {
    pub(crate) payload: Arc<[u8]>,
    pub(crate) terms: Terms,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Global {
    pub(crate) name: Name,
    pub(super) path: Path,
    pub(super) candidacy: Candidacy,
    pub(super) role: Role,
    pub(super) view: TermView,
    pub(super) queue: Queue,
    /// Whether somebody here looks it up.
    pub(super) interest: Interest,
    /// Whose record is observed for this global.
    pub(super) observed: Option<LeaseName>,
    pub(super) backoff: Backoff,
    pub(super) retry_at: Option<Instant>,
    pub(super) told: Holder,
}

/// What the caller wants of a global.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Candidacy {
    /// Nothing.
    Out,
    /// To lead it.
    Standing(Campaign),
    /// It leads it, or is releasing what it led; `next` is for the term after this one.
    InTerm { next: Option<Campaign> },
    /// To have nothing to do with it any more, and to be told when that is so; `next` came after that.
    Leaving { next: Option<Campaign> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Interest {
    None,
    LookedUp,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(super) enum Role {
    Follower { open: Open },
    Claiming { request: RequestId, claim: Claim },
    Holding(Term),
    Releasing { version: i32, request: Option<RequestId> },
    Vacating { request: RequestId },
}

/// What the lease says, for all globals alike.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) lease: Option<LeaseName>,
    pub(crate) valid_until: Option<Instant>,
}

impl Global {
    /// `released`: see [`Self::released`] of an earlier machine for this global.
    pub(crate) fn new(name: Name, released: Option<i32>, out: &Outbox) -> Self {
        Self {
            path: out.layout.term(&name),
            queue: Queue::new(name.clone(), out),
            name,
            candidacy: Candidacy::Out,
            role: Role::Follower { open: Open::No },
            view: TermView::new(released),
            interest: Interest::None,
            observed: None,
            backoff: Backoff::default(),
            retry_at: None,
            told: Holder::Unknown,
        }
    }

    /// The version below which no view of this global may be believed, if this node released a term of it (rule 6).
    pub(crate) fn released(&self) -> Option<i32> {
        self.view.released()
    }

    /// Whether nothing is wanted of it, and nothing is left to be done.
    pub(crate) fn is_idle(&self) -> bool {
        self.candidacy == Candidacy::Out
            && self.interest == Interest::None
            && matches!(self.role, Role::Follower { open: Open::No })
            && self.queue.is_absent()
    }

    /// Whether a term is held, believed or not: then beats go out.
    pub(crate) fn is_holding(&self) -> bool {
        matches!(self.role, Role::Holding(_))
    }

    pub(crate) fn is_leading(&self) -> bool {
        matches!(&self.role, Role::Holding(term) if term.is_leading())
    }

    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.candidacy, Candidacy::Standing(_) | Candidacy::InTerm { .. })
    }

    pub(crate) fn campaign(&mut self, campaign: Campaign) {
        if matches!(self.view.known(), Known::Missing) {
            // Until now this node only waited for a record to appear; whoever stands makes it.
            self.view.read_again();
        }
        match &mut self.candidacy {
            Candidacy::Out | Candidacy::Standing(_) => self.candidacy = Candidacy::Standing(campaign),
            Candidacy::InTerm { next } | Candidacy::Leaving { next } => *next = Some(campaign),
        }
    }

    /// Says whether there was anything to resign from.
    pub(crate) fn resign(&mut self) -> bool {
        let was_wanted = match &self.candidacy {
            Candidacy::Standing(_) | Candidacy::InTerm { .. } | Candidacy::Leaving { next: Some(_) } => true,
            Candidacy::Out | Candidacy::Leaving { next: None } => false,
        };
        if was_wanted {
            self.candidacy = Candidacy::Leaving { next: None };
        }
        was_wanted
    }

    pub(crate) fn look_up(&mut self) {
        self.interest = Interest::LookedUp;
    }

    pub(crate) fn is_looked_up(&self) -> bool {
        self.interest == Interest::LookedUp
    }

    /// Nobody looks it up any more; what is told of its holder from here on is for a candidate.
    pub(crate) fn forget(&mut self, out: &mut Outbox) {
        if self.interest == Interest::LookedUp {
            self.interest = Interest::None;
            self.told = Holder::Unknown;
            out.event(Event::Holder { global: self.name.clone(), holder: Holder::Unknown });
        }
    }

    /// The node closes: a term that it holds is over now.
    pub(crate) fn end(&mut self, out: &mut Outbox) {
        if let Role::Holding(term) = &mut self.role {
            term.depose(StopReason::Resigned, &self.name, out);
        }
    }

    /// Gives up what it watches, before it is dropped.
    pub(crate) fn leave(mut self, records: &mut Records, out: &mut Outbox) {
        if let Some(lease) = self.observed.take() {
            records.forget(&lease, &self.name, out);
        }
        out.unwatch_data(&self.path);
        out.set_timer(self.timer(), None);
    }

    pub(crate) fn handle_up(&mut self, is_new_session: bool, out: &Outbox) {
        self.backoff.succeed();
        self.retry_at = None;
        self.view.read_behind();
        self.queue.handle_up(is_new_session, out);
    }

    pub(crate) fn handle_down(&mut self, is_lost: bool, out: &Outbox) {
        self.view.handle_down(out.now);
        self.queue.handle_down(is_lost);
    }

    pub(crate) fn handle_term_event(&mut self, standing: &Standing, out: &mut Outbox) {
        // Rule 7: who knows the odd version may claim the even one behind it from the event alone; the read
        // follows it on the same connection.
        if let (Some(base), Some(0), true) =
            (self.view.held_version(), self.queue.rank(), self.may_claim(standing, out))
        {
            self.claim(base.wrapping_add(1), ClaimKind::Vacant, standing, out);
        }
        if !out.config.is_mutated(Mutation::TermEventIgnored) {
            self.view.read_again();
        }
    }

    pub(crate) fn handle_term_read(
        &mut self,
        request: RequestId,
        outcome: Outcome,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        let Some(asked) = self.view.answered(request, out.now) else { return };
        match outcome {
            Ok(Reply::Data { data, stat }) => {
                self.backoff.succeed();
                let is_applied = self.view.apply(&data, &stat, &self.path, out);
                if is_applied {
                    if !out.config.is_mutated(Mutation::ClaimNotAdopted) {
                        self.resolve_by_read(standing, out);
                    }
                } else {
                    // An older view: another read must follow, for this one may have left its watch for nothing.
                    self.view.read_again();
                    self.pause(out);
                }
            }
            // It is there now.
            Ok(Reply::Exists { .. }) => self.view.appeared(),
            Err(OpError::Refused(ErrorCode::NoNode)) => self.handle_missing_term(asked, out),
            Err(OpError::Refused(code) | OpError::RefusedAt { code, .. }) => {
                out.degraded(self.path.clone(), Some(code), "the term record cannot be read");
                self.view.read_again();
                self.pause(out);
            }
            Ok(_) | Err(OpError::Unknown) => {
                self.view.read_again();
                self.pause(out);
            }
        }
    }

    pub(crate) fn handle_claim(
        &mut self,
        request: RequestId,
        outcome: Outcome,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        let claim = match &self.role {
            Role::Claiming { request: awaited, claim } if *awaited == request => claim.clone(),
            // A late answer: after "unknown" the read alone decides (rule 5).
            Role::Follower { .. }
            | Role::Claiming { .. }
            | Role::Holding(_)
            | Role::Releasing { .. }
            | Role::Vacating { .. } => {
                return;
            }
        };
        self.role = Role::Follower { open: Open::No };
        self.view.read_again();
        match outcome {
            Ok(Reply::Multi(replies)) => match replies.last() {
                Some(WriteReply::Set { stat }) if stat.version == claim.made() => {
                    self.backoff.succeed();
                    let held = TermRecord::Held {
                        lease: Arc::clone(&claim.lease),
                        payload: Arc::clone(&claim.campaign.payload),
                    };
                    if self.view.apply(&held.encode(), stat, &self.path, out) {
                        self.resolve_by_read(standing, out);
                    }
                }
                _ => self.role = Role::Follower { open: Open::Lost(claim) },
            },
            Err(OpError::RefusedAt { index, code: ErrorCode::NoNode })
                if index == claim.proof_at() && !out.config.is_mutated(Mutation::DeadNameKept) =>
            {
                out.tell(Fact::LeaseGone(claim.lease));
            }
            // Somebody was faster, or the record that was to be deleted is gone or alive: read again (rule 14).
            Err(OpError::RefusedAt { index, code: code @ (ErrorCode::BadVersion | ErrorCode::NoNode) }) => {
                if (index, code) == (claim.base_at(), ErrorCode::BadVersion) {
                    self.view.refute(claim.base);
                }
                self.role = Role::Follower { open: Open::Refused };
                self.doubt_holder(out);
            }
            Err(error) => {
                if let Some(code) = error.code() {
                    out.degraded(self.path.clone(), Some(code), "a claim is refused");
                }
                if !out.config.is_mutated(Mutation::LostClaimForgotten) {
                    self.role = Role::Follower { open: Open::Lost(claim) };
                }
                self.pause(out);
            }
            Ok(_) => self.role = Role::Follower { open: Open::Lost(claim) },
        }
    }

    pub(crate) fn handle_release(&mut self, request: RequestId, outcome: &Outcome, out: &mut Outbox) {
        let Role::Releasing { version, request: awaited } = self.role else { return };
        if awaited != Some(request) {
            return;
        }
        self.view.read_behind();
        match outcome {
            // Definite (rule 6).
            Ok(_) | Err(OpError::Refused(ErrorCode::BadVersion | ErrorCode::NoNode)) => {
                self.backoff.succeed();
                self.role = Role::Follower { open: Open::No };
                self.end_of_term();
            }
            Err(error) => {
                if let Some(code) = error.code() {
                    out.degraded(self.path.clone(), Some(code), "a release is refused");
                }
                self.role = Role::Releasing { version, request: None };
                self.pause(out);
            }
        }
    }

    pub(crate) fn handle_vacated(&mut self, request: RequestId, outcome: &Outcome, out: &mut Outbox) {
        if matches!(self.role, Role::Vacating { request: awaited } if awaited == request) {
            self.role = Role::Follower { open: Open::No };
            self.view.read_behind();
            if outcome.is_err() {
                self.doubt_holder(out);
                self.pause(out);
            }
        }
    }

    /// The application of the term `token` has stopped, after it was told to or by itself.
    pub(crate) fn handle_stopped(&mut self, token: crate::ids::Token, out: &mut Outbox) {
        let Role::Holding(term) = &mut self.role else { return };
        let is_of_this_term = term.token() == token || out.config.is_mutated(Mutation::StoppedOfAnyTerm);
        if !is_of_this_term || term.phase() == Phase::Pending {
            return;
        }
        // By itself, or as told. In the first case the candidacy ends unless it is for many terms, or another
        // campaign was made during this one.
        let version = term.revoke(&self.name, out);
        self.release(version, out);
    }

    /// Rule 3: this node's record is gone. Every belief ends now, and every term becomes a release.
    pub(crate) fn handle_lease_gone(&mut self, out: &mut Outbox) {
        if let Role::Holding(term) = &mut self.role {
            let version = term.depose(StopReason::LeaseLost, &self.name, out);
            self.release(version, out);
        }
    }

    pub(crate) fn handle_watch_failed(&mut self, out: &mut Outbox) {
        // Also a read that is under way: nothing would tell of what changes after it.
        self.view.read_behind();
        self.queue.handle_watch_failed(out);
        self.pause(out);
    }

    /// What a read, or the answer of a claim, says about this node's own terms (rules 5 and 10).
    fn resolve_by_read(&mut self, standing: &Standing, out: &mut Outbox) {
        let version = self.view.version();
        if let Role::Follower { open } = &mut self.role {
            let is_settled = match open {
                Open::No => false,
                // The record moved on: what expected the version before can no longer be applied.
                Open::Lost(claim) => version.wrapping_sub(claim.base) > 0,
                Open::Refused => true,
            };
            if is_settled {
                *open = Open::No;
            }
        }
        if let Role::Holding(term) = &mut self.role {
            if version.wrapping_sub(term.version()) > 0 {
                let released = term.depose(StopReason::Deposed, &self.name, out);
                self.release(released, out);
            }
            return;
        }
        let Some((lease, payload, token)) = self.view.held() else { return };
        let is_current = standing.lease.as_ref() == Some(lease);
        let may_hold = matches!(self.role, Role::Follower { .. });
        if !may_hold || !is_own(lease, &out.config) {
            return;
        }
        let term = Term::new(version, token, Arc::clone(payload));
        if is_current && self.is_standing() {
            self.begin_term(term, out);
        } else if is_current && !out.config.is_mutated(Mutation::UnwantedTermKept) {
            // Rule 10: it is ours, and not wanted.
            self.release(version, out);
        }
        // Under an older name of ours: dead, and taken over like any other (rule 9).
    }

    fn begin_term(&mut self, term: Term, out: &Outbox) {
        if let Candidacy::Standing(campaign) = &self.candidacy {
            let is_next = campaign.terms == Terms::Many
                || campaign.payload != *term.payload()
                || out.config.is_mutated(Mutation::OneTermIsMany);
            self.candidacy = Candidacy::InTerm { next: is_next.then(|| campaign.clone()) };
        }
        self.role = Role::Holding(term);
    }

    /// Rule 6: from here on the term is over for this node, whatever a read shows.
    pub(super) fn release(&mut self, version: i32, out: &Outbox) {
        self.view.release(version, out);
        self.role = Role::Releasing { version, request: None };
    }

    /// Its record was not as it should be: nothing is done again on the strength of what was read of it before.
    fn doubt_holder(&self, out: &mut Outbox) {
        if let Some(lease) = &self.observed
            && !out.config.is_mutated(Mutation::RefusalNotReadAgain)
        {
            out.tell(Fact::RecordInDoubt(Arc::clone(lease)));
        }
    }

    fn end_of_term(&mut self) {
        if let Candidacy::InTerm { next } = &mut self.candidacy {
            self.candidacy = match next.take() {
                Some(campaign) => Candidacy::Standing(campaign),
                None => Candidacy::Leaving { next: None },
            };
        }
    }

    pub(super) fn is_standing(&self) -> bool {
        matches!(self.candidacy, Candidacy::Standing(_))
    }

    fn handle_missing_term(&mut self, asked: Asked, out: &mut Outbox) {
        if self.view.missing(asked) {
            out.degraded(
                self.path.clone(),
                Some(ErrorCode::NoNode),
                "somebody deleted the term record, which is no safe thing to do: its versions start anew",
            );
        }
        if let Role::Holding(term) = &mut self.role {
            let version = term.depose(StopReason::Deposed, &self.name, out);
            self.role = Role::Releasing { version, request: None };
        }
        if let Role::Follower { open: open @ Open::Refused } = &mut self.role {
            // Nothing is held in a record that is not there.
            *open = Open::No;
        }
        if self.is_standing() && !out.config.is_mutated(Mutation::MissingTermNotMade) {
            if !self.backoff.is_calm() {
                self.pause(out);
            } else {
                self.backoff.fail(out.now, &out.config, 0);
            }
            out.create_parents(&self.path);
            let data = TermRecord::Vacant.encode();
            let op = Op::Create { path: self.path.clone(), data, mode: CreateMode::Persistent };
            out.request(Owner::Nobody, op);
            self.view.read_again();
        }
    }

    pub(super) fn may_claim(&self, standing: &Standing, out: &Outbox) -> bool {
        matches!(self.role, Role::Follower { .. })
            && self.is_standing()
            && standing.lease.is_some()
            && out.is_up()
            && self.retry_at.is_none_or(|at| at <= out.now)
    }

    pub(super) fn claim(&mut self, base: i32, kind: ClaimKind, standing: &Standing, out: &mut Outbox) {
        let (Candidacy::Standing(campaign), Some(lease)) = (&self.candidacy, &standing.lease) else { return };
        let claim = Claim { base, kind, lease: Arc::clone(lease), campaign: campaign.clone() };
        self.send_claim(claim, out);
    }

    pub(super) fn send_claim(&mut self, claim: Claim, out: &mut Outbox) {
        if let Some(op) = claim.op(&self.path, out) {
            let request = out.request(Owner::Claim(self.name.clone(), Arc::clone(&claim.lease)), op);
            self.role = Role::Claiming { request, claim };
            // The read goes behind it: one round trip whatever comes of it.
            self.view.read_behind();
        }
    }

    pub(super) fn vacate(&mut self, base: i32, silent: Option<(LeaseName, i32)>, out: &mut Outbox) {
        let mut writes = Vec::with_capacity(2);
        let Some(version) = exactly(base) else { return };
        if let Some((holder, version)) = silent
            && !out.config.is_mutated(Mutation::VacateWithoutKill)
        {
            let Some(version) = exactly(version) else { return };
            writes.push(Write::Delete { path: out.layout.lease(&holder), version });
        }
        writes.push(Write::SetData { path: self.path.clone(), data: TermRecord::Vacant.encode(), version });
        let request = out.request(Owner::Vacate(self.name.clone()), Op::Multi(writes));
        self.role = Role::Vacating { request };
    }

    pub(super) fn pause(&mut self, out: &Outbox) {
        self.retry_at = Some(self.backoff.fail(out.now, &out.config, salt(self.name.as_str())));
    }

    /// How long this node leaves to those whose turn it is before its own.
    pub(super) fn turn(&self, out: &Outbox) -> Option<Duration> {
        match (&self.candidacy, self.queue.rank(), self.interest) {
            (Candidacy::Standing(_), Some(0), _) => Some(Duration::ZERO),
            (Candidacy::Standing(_), Some(1), _) => Some(TURN.max(out.round_trip() * 4)),
            (Candidacy::Out, _, Interest::LookedUp) => {
                let jitter = mix(salt(self.name.as_str()) ^ out.config.incarnation.0 as u64) % 1_000;
                Some(VACATE_AFTER + Duration::from_millis(jitter))
            }
            (
                Candidacy::Standing(_)
                | Candidacy::Out
                | Candidacy::InTerm { .. }
                | Candidacy::Leaving { .. },
                _,
                _,
            ) => None,
        }
    }

    pub(super) fn life_of_holder(&self, records: &Records, out: &Outbox) -> Option<(i32, LeaseName, Life)> {
        let version = self.view.held_version()?;
        let (lease, _, _) = self.view.held()?;
        let is_own_old = is_own(lease, &out.config);
        let life = if is_own_old { Life::Dead } else { records.life(lease, out) };
        Some((version, Arc::clone(lease), life))
    }

    pub(super) fn timer(&self) -> Key {
        Key::Global(self.name.clone())
    }

    pub(super) fn tell_holder(&mut self, holder: Holder, out: &mut Outbox) {
        let has_listener = self.interest == Interest::LookedUp || self.is_wanted();
        if has_listener && self.told != holder {
            self.told = holder.clone();
            out.event(Event::Holder { global: self.name.clone(), holder });
        }
    }
}

/// Whether the answer of a claim proves that the lease named in it was alive when it was applied, so that it
/// counts as a beat sent at `in_flight.sent_at`.
pub(crate) fn is_beat(in_flight: &InFlight, outcome: &Outcome) -> bool {
    matches!((&in_flight.owner, outcome), (Owner::Claim(..) | Owner::Beat(_), Ok(_)))
}

/// The write that ends a term (rule 6).
pub(super) fn release_op(path: &Path, version: i32, out: &Outbox) -> Option<Op> {
    let version =
        if out.config.is_mutated(Mutation::ReleaseAtAnyVersion) { Version::Any } else { exactly(version)? };
    Some(Op::SetData { path: path.clone(), data: TermRecord::Vacant.encode(), version })
}
