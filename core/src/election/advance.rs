//! What a global does next, given all that is known. Calling it again does nothing.

use alloc::sync::Arc;

use super::claim::{ClaimKind, Open};
use super::global::{Candidacy, Global, Interest, Role, Standing, release_op};
use super::records::{Life, Records};
use super::term::{Asked, Known, Phase};
use crate::lease::is_own;
use crate::mutation::Mutation;
use crate::op::Op;
use crate::outbox::{LeaseName, Outbox, Owner};
use crate::output::{Event, Holder, StopReason};
use crate::time::Instant;
use crate::watches::Tree;

/// How many steps one change can lead to; more would be a machine that runs in circles.
const STEPS_MAX: usize = 8;

/// A term that anybody may take whose turn it is.
enum Opening {
    Vacant { base: i32 },
    Absent { base: i32 },
    Silent { base: i32, holder: LeaseName, version: i32 },
}

impl Global {
    pub(crate) fn advance(&mut self, standing: &Standing, records: &mut Records, out: &mut Outbox) {
        // Before anything is read for a candidacy of which nothing is left.
        self.withdraw(out);
        self.do_what_is_due(standing, records, out);
        if self.withdraw(out) {
            // A campaign, or a look-up, that waited for that begins now.
            self.do_what_is_due(standing, records, out);
        }
        self.set_timer(records, out);
        let holder = self.holder(standing, records, out);
        self.tell_holder(holder, out);
    }

    fn do_what_is_due(&mut self, standing: &Standing, records: &mut Records, out: &mut Outbox) {
        let mut steps = 0;
        while self.step(standing, records, out) {
            steps += 1;
            assert!(steps < STEPS_MAX, "{}: runs in circles", self.name);
        }
        self.queue.advance(self.wants_candidate(), out);
        self.read(out);
        self.observe(standing, records, out);
    }

    pub(crate) fn holder(&self, standing: &Standing, records: &Records, out: &Outbox) -> Holder {
        match self.view.known() {
            Known::Nothing | Known::Illegible { .. } => Holder::Unknown,
            Known::Missing | Known::Appeared | Known::Vacant { .. } => Holder::Vacant,
            // Read before this node gave it up, and not again since.
            Known::Held { .. } if self.view.is_released() => Holder::Vacant,
            Known::Held { lease, payload, token, .. } => {
                let own = standing.lease.as_ref() == Some(lease);
                // What is observed for other globals alone is not told here, for nothing would tell when it changes.
                let is_observed = self.observed.as_ref() == Some(lease) || is_own(lease, &out.config);
                match self.life_of_holder(records, out) {
                    Some((_, _, Life::Dead)) if is_observed && !own => Holder::Vacant,
                    Some((_, _, Life::Silent { dead_at, .. }))
                        if dead_at <= out.now && is_observed && !own =>
                    {
                        Holder::Vacant
                    }
                    Some(_) | None => Holder::Held {
                        token: *token,
                        payload: Arc::clone(payload),
                        own,
                        stale_since: self.view.stale_since(),
                    },
                }
            }
        }
    }

    pub(crate) fn check_invariants(&self, standing: &Standing, out: &Outbox) {
        self.queue.check_invariants(out);
        match &self.role {
            Role::Holding(term) => {
                assert!(standing.lease.is_some(), "{}: held without a lease", self.name);
                if term.phase() == Phase::Leading {
                    let valid_until = standing.valid_until.unwrap_or(Instant::ORIGIN);
                    assert!(
                        valid_until.before(out.config.drain) > out.now,
                        "{}: led beyond the lease",
                        self.name
                    );
                }
            }
            Role::Follower { .. }
            | Role::Claiming { .. }
            | Role::Releasing { .. }
            | Role::Vacating { .. } => {}
        }
        if matches!(self.candidacy, Candidacy::InTerm { .. }) {
            let is_in_term = matches!(self.role, Role::Holding(_) | Role::Releasing { .. });
            assert!(is_in_term, "{}: in a term that is over", self.name);
        }
        if self.view.is_current() {
            assert!(out.is_up(), "{}: believes a read without a connection", self.name);
        }
    }

    /// One change of the role. Says whether there may be another one.
    fn step(&mut self, standing: &Standing, records: &Records, out: &mut Outbox) -> bool {
        let is_wanted = self.is_wanted();
        let may_send = out.is_up() && self.retry_at.is_none_or(|at| at <= out.now);
        match &mut self.role {
            Role::Holding(term) => {
                let valid_until = standing.valid_until.unwrap_or(Instant::ORIGIN);
                let is_valid = valid_until.before(out.config.drain) > out.now;
                match term.phase() {
                    Phase::Pending if !is_wanted => {
                        let version = term.version();
                        self.release(version, out);
                        true
                    }
                    Phase::Pending if is_valid => {
                        term.elect(valid_until, &self.name, out);
                        true
                    }
                    Phase::Pending => false,
                    Phase::Leading if !is_wanted => {
                        term.stop(StopReason::Resigned, valid_until, &self.name, out);
                        true
                    }
                    Phase::Leading if !is_valid => {
                        term.stop(StopReason::LeaseRanOut, valid_until, &self.name, out);
                        true
                    }
                    Phase::Leading => false,
                    Phase::Stopping { deadline } if deadline <= out.now => {
                        let version = term.revoke(&self.name, out);
                        self.release(version, out);
                        true
                    }
                    Phase::Stopping { .. } => false,
                }
            }
            Role::Releasing { version, request: request @ None } if may_send => {
                let Some(op) = release_op(&self.path, *version, out) else { return false };
                *request = Some(out.request(Owner::Release(self.name.clone()), op));
                false
            }
            Role::Follower { open: Open::Lost(claim) } if !is_wanted => {
                // Rule 10: it is sent again until the answer is definite, for it may still be applied. Under a
                // name that is gone it never will.
                if standing.lease.as_ref() != Some(&claim.lease) {
                    self.role = Role::Follower { open: Open::No };
                    return true;
                }
                if may_send && self.view.is_current() {
                    let claim = claim.clone();
                    self.send_claim(claim, out);
                }
                false
            }
            Role::Follower { .. } => self.take_turn(may_send, standing, records, out),
            Role::Claiming { .. } | Role::Releasing { .. } | Role::Vacating { .. } => false,
        }
    }

    /// Rules 7, 9 and 11: who may take what is open, when it is their turn.
    fn take_turn(
        &mut self,
        may_send: bool,
        standing: &Standing,
        records: &Records,
        out: &mut Outbox,
    ) -> bool {
        let Some((since, opening)) = self.opening(records, out) else { return false };
        let Some(turn) = self.turn(out) else { return false };
        if !may_send || since.after(turn) > out.now {
            return false;
        }
        if self.may_claim(standing, out) {
            match opening {
                Opening::Vacant { base } => self.claim(base, ClaimKind::Vacant, standing, out),
                Opening::Absent { base } => self.claim(base, ClaimKind::FromAbsent, standing, out),
                Opening::Silent { base, holder, version } => {
                    self.claim(base, ClaimKind::FromSilent { holder, version }, standing, out);
                }
            }
        } else if self.candidacy == Candidacy::Out && !out.config.is_mutated(Mutation::NobodyVacates) {
            match opening {
                Opening::Vacant { .. } => {}
                Opening::Absent { base } => self.vacate(base, None, out),
                Opening::Silent { base, holder, version } => self.vacate(base, Some((holder, version)), out),
            }
        }
        false
    }

    /// What is open now, and since when.
    fn opening(&self, records: &Records, out: &Outbox) -> Option<(Instant, Opening)> {
        if !self.view.is_current() {
            return None;
        }
        if let Known::Vacant { version } = self.view.known() {
            // Only for those who stand: a node that looks it up has nothing to do.
            return self.is_standing().then_some((self.view.read_at(), Opening::Vacant { base: *version }));
        }
        let (base, holder, life) = self.life_of_holder(records, out)?;
        match life {
            Life::Dead => Some((self.view.read_at(), Opening::Absent { base })),
            Life::Silent { version, dead_at } if dead_at <= out.now && !records.is_in_doubt(&holder) => {
                Some((dead_at, Opening::Silent { base, holder, version }))
            }
            Life::Silent { .. } | Life::Unknown => None,
        }
    }

    fn wants_candidate(&self) -> bool {
        match self.role {
            Role::Follower { .. } | Role::Claiming { .. } | Role::Vacating { .. } => {
                matches!(self.candidacy, Candidacy::Standing(_))
            }
            Role::Holding(_) | Role::Releasing { .. } => false,
        }
    }

    fn read(&mut self, out: &mut Outbox) {
        if !out.is_up() || self.is_idle() || self.retry_at.is_some_and(|at| at > out.now) {
            return;
        }
        self.retry_at = None;
        let needs_watch = match self.role {
            // What the record says until the release is answered is of no use.
            Role::Releasing { .. } => return,
            Role::Holding(_) | Role::Claiming { .. } => true,
            // It may still be applied, and nobody else would tell.
            Role::Follower { open: Open::Lost(_) | Open::Refused } => true,
            Role::Follower { open: Open::No } | Role::Vacating { .. } => {
                self.interest == Interest::LookedUp || self.queue.rank().is_some_and(|rank| rank <= 1)
            }
        };
        if self.is_standing() && matches!(self.view.known(), Known::Missing) {
            // Until now this node only waited for a record to appear; whoever stands makes it.
            self.view.read_again();
        }
        if !self.view.needs_read(needs_watch) {
            return;
        }
        let path = self.path.clone();
        let watch = needs_watch && out.watch_data(&path, Tree::Globals);
        let asked = match self.view.known() {
            Known::Missing if !self.is_standing() => Asked::Existence,
            Known::Missing
            | Known::Appeared
            | Known::Nothing
            | Known::Vacant { .. }
            | Known::Held { .. }
            | Known::Illegible { .. } => Asked::Data,
        };
        let op = match asked {
            Asked::Data => Op::GetData { path, watch },
            Asked::Existence => Op::Exists { path, watch },
        };
        let request = out.request(Owner::TermRead(self.name.clone()), op);
        self.view.reading(request, needs_watch, asked);
    }

    /// Rule 8: those whose turn may come observe the holder's record, and those who are to tell who holds it.
    fn observe(&mut self, standing: &Standing, records: &mut Records, out: &mut Outbox) {
        let is_observer = self.interest == Interest::LookedUp || self.turn(out).is_some();
        if is_observer && !self.view.is_current() {
            // A read is under way: what it shows decides.
            return;
        }
        let holder = match self.view.held() {
            Some((lease, _, _)) if is_observer && standing.lease.as_ref() != Some(lease) => {
                Some(Arc::clone(lease))
            }
            Some(_) | None => None,
        };
        if self.observed != holder
            && let Some(old) = self.observed.take()
        {
            records.forget(&old, &self.name, out);
        }
        if let Some(lease) = &holder {
            records.observe(lease, &self.name, out);
        }
        self.observed = holder;
    }

    /// Ends a candidacy of which nothing is left. Says whether it did.
    fn withdraw(&mut self, out: &mut Outbox) -> bool {
        let is_done = matches!(self.role, Role::Follower { open: Open::No }) && self.queue.is_absent();
        if let (Candidacy::Leaving { next }, true) = (&mut self.candidacy, is_done) {
            self.candidacy = match next.take() {
                Some(campaign) => Candidacy::Standing(campaign),
                None => Candidacy::Out,
            };
            out.event(Event::Withdrawn { global: self.name.clone() });
            return true;
        }
        false
    }

    fn set_timer(&self, records: &Records, out: &mut Outbox) {
        let mut at: Option<Instant> = None;
        let mut by = |other: Option<Instant>| {
            if let Some(other) = other {
                at = Some(at.map_or(other, |at| at.min(other)));
            }
        };
        match &self.role {
            Role::Holding(term) => match term.phase() {
                Phase::Stopping { deadline } => by(Some(deadline)),
                // The belief has a timer of its own for all terms together.
                Phase::Pending | Phase::Leading => {}
            },
            Role::Follower { .. } => by(self.turn_at(records, out)),
            Role::Claiming { .. } | Role::Releasing { .. } | Role::Vacating { .. } => {}
        }
        if out.is_up() {
            by(self.retry_at);
            by(self.queue.retry_at());
        }
        out.set_timer(self.timer(), at);
    }

    fn turn_at(&self, records: &Records, out: &Outbox) -> Option<Instant> {
        let turn = self.turn(out).zip(self.opening(records, out)).map(|(turn, (since, _))| since.after(turn));
        // First that it is told as vacant; then the turn. Without a lease, or with a read under way, something else
        // comes before either.
        let dead_at = match self.life_of_holder(records, out) {
            Some((_, _, Life::Silent { dead_at, .. }))
                if self.view.is_current() && self.observed.is_some() =>
            {
                Some(dead_at)
            }
            Some(_) | None => None,
        };
        turn.or(dead_at).filter(|at| *at > out.now)
    }
}
