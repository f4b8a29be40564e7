//! The election: which globals this node stands for, holds or looks up, and what it knows of their holders.
//!
//! The protocol is in ARCHITECTURE.md, "The election": two persistent records decide everything, and the queue
//! of ephemerals only who tries next. Rule numbers in comments are those of that page.

mod advance;
mod claim;
mod global;
mod queue;
mod records;
mod term;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use global::{Campaign, Standing, is_beat};

use crate::ids::{RequestId, Token};
use crate::mutation::Mutation;
use crate::op::{Change, Outcome};
use crate::outbox::{LeaseName, Outbox};
use crate::output::{Holder, Terms};
use crate::path::{Name, Path};
use crate::time::Instant;
use crate::timers::Key;
use global::Global;
use records::Records;

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Election {
    globals: BTreeMap<Name, Global>,
    records: Records,
    /// Indices over `globals`, so that what happens often need not look at all of them.
    wanted: BTreeSet<Name>,
    holding: BTreeSet<Name>,
    leading: BTreeSet<Name>,
    /// Of globals that are in `globals` no more: what rule 6 wants remembered, as long as the lease lasts under which
    /// their terms were led.
    released: BTreeMap<Name, i32>,
}

impl Election {
    /// Whether a lease is needed.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Whether this node stands for anything but `office`, and whether it stands for that.
    pub(crate) fn candidacies(&self, office: &str) -> (bool, bool) {
        let for_office = self.wanted.contains(office);
        (self.wanted.len() > usize::from(for_office), for_office)
    }

    /// Whether beats must go out.
    pub(crate) fn is_holding(&self) -> bool {
        !self.holding.is_empty()
    }

    pub(crate) fn is_leading(&self) -> bool {
        !self.leading.is_empty()
    }

    pub(crate) fn is_leading_of(&self, global: &Name) -> bool {
        self.leading.contains(global)
    }

    /// Whether nothing of this node is left in any global.
    pub(crate) fn is_idle(&self) -> bool {
        self.globals.values().all(Global::is_idle)
    }

    pub(crate) fn campaign(
        &mut self,
        name: Name,
        payload: Vec<u8>,
        terms: Terms,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        self.global(&name, out).campaign(Campaign { payload: payload.into(), terms });
        self.advance(&name, standing, out);
    }

    /// Says whether there was a candidacy.
    pub(crate) fn resign(&mut self, name: &Name, standing: &Standing, out: &mut Outbox) -> bool {
        let was_wanted = self.globals.get_mut(name).is_some_and(Global::resign);
        self.advance(name, standing, out);
        was_wanted
    }

    pub(crate) fn resign_all(&mut self, standing: &Standing, out: &mut Outbox) {
        for name in self.names() {
            out.set_timer(Key::IdleGlobal(name.clone()), None);
            if let Some(global) = self.globals.get_mut(&name) {
                global.forget(out);
                global.resign();
            }
            self.advance(&name, standing, out);
        }
    }

    /// Closing took too long: what is still held is over, released or not.
    pub(crate) fn end(&mut self, out: &mut Outbox) {
        for name in &self.holding {
            if let Some(global) = self.globals.get_mut(name) {
                global.end(out);
            }
        }
    }

    pub(crate) fn look_up(&mut self, name: &Name, standing: &Standing, out: &mut Outbox) {
        self.global(name, out).look_up();
        self.touch(name, out.now, out);
        self.advance(name, standing, out);
    }

    /// Somebody used the answer: it is kept for another while.
    pub(crate) fn touch(&mut self, name: &Name, now: Instant, out: &mut Outbox) {
        if self.globals.get(name).is_some_and(Global::is_looked_up) {
            out.set_timer(Key::IdleGlobal(name.clone()), Some(now.after(out.config.cache_idle)));
        }
    }

    pub(crate) fn forget(&mut self, name: &Name, standing: &Standing, out: &mut Outbox) {
        out.set_timer(Key::IdleGlobal(name.clone()), None);
        if let Some(global) = self.globals.get_mut(name) {
            global.forget(out);
        }
        self.advance(name, standing, out);
    }

    pub(crate) fn holder(&self, name: &Name, standing: &Standing, out: &Outbox) -> Option<Holder> {
        Some(self.globals.get(name)?.holder(standing, &self.records, out))
    }

    pub(crate) fn handle_up(&mut self, is_new_session: bool, standing: &Standing, out: &mut Outbox) {
        for name in self.names() {
            if let Some(global) = self.globals.get_mut(&name) {
                global.handle_up(is_new_session, out);
            }
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_down(&mut self, is_lost: bool, standing: &Standing, out: &mut Outbox) {
        self.records.handle_down(out);
        for name in self.names() {
            if let Some(global) = self.globals.get_mut(&name) {
                global.handle_down(is_lost, out);
            }
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_timeout(&mut self, name: &Name, standing: &Standing, out: &mut Outbox) {
        self.advance(name, standing, out);
    }

    /// Rule 4: the end of the belief has come for all terms.
    pub(crate) fn handle_belief(&mut self, standing: &Standing, out: &mut Outbox) {
        for name in self.leading.clone() {
            self.advance(&name, standing, out);
        }
    }

    /// The lease was extended: terms that waited for it may be believed now.
    pub(crate) fn handle_extended(&mut self, standing: &Standing, out: &mut Outbox) {
        if out.config.is_mutated(Mutation::PendingNotWoken) {
            return;
        }
        let pending: Vec<Name> = self.holding.difference(&self.leading).cloned().collect();
        for name in pending {
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_lease_usable(&mut self, standing: &Standing, out: &mut Outbox) {
        for name in self.wanted.clone() {
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_lease_gone(&mut self, standing: &Standing, out: &mut Outbox) {
        // Records that name the old lease are not this node's any more, however old they are.
        self.released.clear();
        for name in self.holding.clone() {
            if let Some(global) = self.globals.get_mut(&name) {
                global.handle_lease_gone(out);
            }
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_stopped(
        &mut self,
        name: &Name,
        token: Token,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        if let Some(global) = self.globals.get_mut(name) {
            global.handle_stopped(token, out);
        }
        self.advance(name, standing, out);
    }

    pub(crate) fn handle_term_event(&mut self, name: &str, standing: &Standing, out: &mut Outbox) {
        if let Some(global) = self.globals.get_mut(name) {
            let name = global.name.clone();
            global.handle_term_event(standing, out);
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_candidate_event(
        &mut self,
        name: &str,
        znode: &str,
        change: Change,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        if let Some(global) = self.globals.get_mut(name) {
            let name = global.name.clone();
            global.queue.handle_event(znode, change);
            self.advance(&name, standing, out);
        }
    }

    pub(crate) fn handle_record_event(&mut self, lease: &str, out: &mut Outbox) {
        self.records.handle_event(lease, out);
    }

    pub(crate) fn handle_record_in_doubt(&mut self, lease: &LeaseName, out: &mut Outbox) {
        self.records.handle_doubt(lease, out);
    }

    pub(crate) fn handle_record_retry(&mut self, lease: &LeaseName, out: &mut Outbox) {
        self.records.handle_retry(lease, out);
    }

    pub(crate) fn handle_record(
        &mut self,
        lease: &LeaseName,
        request: RequestId,
        outcome: Outcome,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        if self.records.handle_read(lease, request, outcome, out) {
            let observers: Vec<Name> = self.records.observers(lease).cloned().collect();
            for name in observers {
                self.advance(&name, standing, out);
            }
        }
    }

    pub(crate) fn handle_watch_failed(&mut self, tree: &Path, standing: &Standing, out: &mut Outbox) {
        self.records.handle_watch_failed(tree, out);
        if out.layout.globals.below(tree).is_some() || out.layout.globals == *tree {
            for name in self.names() {
                if let Some(global) = self.globals.get_mut(&name) {
                    global.handle_watch_failed(out);
                }
                self.advance(&name, standing, out);
            }
        }
    }

    /// An answer for one global: `handle` applies it.
    pub(crate) fn handle_answer(
        &mut self,
        name: &Name,
        answer: Answer,
        standing: &Standing,
        out: &mut Outbox,
    ) {
        let Some(global) = self.globals.get_mut(name) else { return };
        match answer {
            Answer::Read(request, outcome) => global.handle_term_read(request, outcome, standing, out),
            Answer::Claim(request, outcome) => global.handle_claim(request, outcome, standing, out),
            Answer::Release(request, outcome) => global.handle_release(request, &outcome, out),
            Answer::Vacated(request, outcome) => global.handle_vacated(request, &outcome, out),
            Answer::CandidateCreated(request, outcome) => global.queue.handle_created(request, outcome, out),
            Answer::CandidateDeleted(request, outcome) => global.queue.handle_deleted(request, outcome, out),
            Answer::QueueListed(request, outcome) => global.queue.handle_list(request, outcome, out),
            Answer::QueueFenced(request, outcome) => global.queue.handle_fenced(request, &outcome, out),
            Answer::QueueWatched(znode, outcome) => global.queue.handle_watched(&znode, &outcome, out),
        }
        self.advance(name, standing, out);
    }

    pub(crate) fn check_invariants(&self, standing: &Standing, out: &Outbox) {
        self.records.check_invariants(out);
        for (name, global) in &self.globals {
            global.check_invariants(standing, out);
            assert_eq!(
                self.wanted.contains(name),
                global.is_wanted(),
                "{name}: the index of the wanted is wrong"
            );
            assert_eq!(
                self.holding.contains(name),
                global.is_holding(),
                "{name}: the index of the held is wrong"
            );
            assert_eq!(
                self.leading.contains(name),
                global.is_leading(),
                "{name}: the index of the led is wrong"
            );
            assert!(!global.is_idle(), "{name}: kept for nothing");
        }
    }

    fn names(&self) -> Vec<Name> {
        self.globals.keys().cloned().collect()
    }

    fn global(&mut self, name: &Name, out: &Outbox) -> &mut Global {
        let released = self.released.remove(name);
        self.globals.entry(name.clone()).or_insert_with(|| Global::new(name.clone(), released, out))
    }

    /// Lets a global do what is due, and keeps the indices true.
    fn advance(&mut self, name: &Name, standing: &Standing, out: &mut Outbox) {
        let Some(global) = self.globals.get_mut(name) else { return };
        global.advance(standing, &mut self.records, out);
        set(&mut self.wanted, name, global.is_wanted());
        set(&mut self.holding, name, global.is_holding());
        set(&mut self.leading, name, global.is_leading());
        if global.is_idle()
            && let Some(global) = self.globals.remove(name)
        {
            if let Some(version) = global.released()
                && !out.config.is_mutated(Mutation::ReleaseForgotten)
            {
                self.released.insert(name.clone(), version);
            }
            global.leave(&mut self.records, out);
        }
    }
}

/// An answer to a request of one global.
#[derive(Debug)]
pub(crate) enum Answer {
    Read(RequestId, Outcome),
    Claim(RequestId, Outcome),
    Release(RequestId, Outcome),
    Vacated(RequestId, Outcome),
    CandidateCreated(RequestId, Outcome),
    CandidateDeleted(RequestId, Outcome),
    QueueListed(RequestId, Outcome),
    QueueFenced(RequestId, Outcome),
    QueueWatched(String, Outcome),
}

fn set(index: &mut BTreeSet<Name>, name: &Name, is_in: bool) {
    match (is_in, index.contains(name)) {
        (true, false) => {
            index.insert(name.clone());
        }
        (false, true) => {
            index.remove(name);
        }
        (true, true) | (false, false) => {}
    }
}
