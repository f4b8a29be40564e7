//! Turns the core's events into what handles see.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use queenright_core::output::{RegistrationStatus, SessionStatus, StopReason};
use queenright_core::{
    Coordinator, Directory, Event, Freshness, Holder, HostEvent, Input, Name, RegistrationId, Token, Zxid,
};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::candidacy::{Answerable, Candidature};
use crate::directory::Contents;
use crate::handle::{Hub, Trouble};
use crate::leadership::{Term, Won};
use crate::mutation::Mutation;
use crate::published::{Life, Published};

/// The driver's side of everything that is published. When it goes, however it goes, every handle learns that there
/// will be no more.
pub(crate) struct Publisher {
    hub: Arc<Hub>,
    registrations: BTreeMap<RegistrationId, watch::Sender<RegistrationStatus>>,
    candidatures: BTreeMap<Name, Arc<Candidature>>,
    terms: BTreeMap<Name, Arc<Term>>,
}

impl Publisher {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, registrations: BTreeMap::new(), candidatures: BTreeMap::new(), terms: BTreeMap::new() }
    }

    /// Publishes one event; an answer for the core may follow from it.
    pub(crate) fn publish(&mut self, event: Event, core: &Coordinator) -> Option<Input> {
        match event {
            Event::Session(status) => self.session(status),
            Event::Registration { id, status } => self.registration(id, status),
            Event::Directory { directory, .. } => self.directory(&directory, core),
            Event::Holder { global, holder } => self.holder(&global, holder, core),
            Event::Elected { global, token, version, payload, valid_until } => {
                info!(%global, term = version, %token, "elected");
                self.hub.belief.extend(valid_until);
                let record = core.config().term_path(&global);
                let won = Won { global: global.clone(), token, record, version, payload };
                return self.elected(won);
            }
            Event::Extended { valid_until } => self.hub.belief.extend(valid_until),
            Event::Stop { global, token, deadline, reason } => {
                debug!(%global, %token, ?reason, %deadline, "must stop");
                if let Some(term) = self.terms.get(&global) {
                    term.stop(deadline, reason);
                }
                let nobody = self
                    .candidatures
                    .get(&global)
                    .is_none_or(|candidature| candidature.stop() == Answerable::Nobody);
                return nobody.then(|| stopped(global, token));
            }
            Event::Revoked { global, token } => self.revoked(&global, token),
            Event::Withdrawn { global } => {
                debug!(%global, "withdrawn");
                if let Some(candidature) = self.candidatures.remove(&global) {
                    candidature.withdraw();
                }
            }
            Event::Degraded { path, code, reason } => {
                warn!(%path, ?code, reason, "degraded");
                self.hub.trouble.store(Some(Arc::new(Trouble { path, code, reason })));
            }
            Event::Closed => {}
        }
        None
    }

    pub(crate) fn add_registration(&mut self, id: RegistrationId) -> watch::Receiver<RegistrationStatus> {
        let sender =
            self.registrations.entry(id).or_insert_with(|| watch::Sender::new(RegistrationStatus::Pending));
        sender.subscribe()
    }

    /// The cell of a directory, made when it is not there. It is there before the core tells its first event.
    pub(crate) fn open_directory(&self, directory: &Directory) -> Arc<Published<Contents>> {
        if let Some(published) = self.cell(directory) {
            return published;
        }
        let published = Arc::new(Published::new(self.contents(Freshness::Loading, Vec::new())));
        match directory {
            Directory::Nodes => self.hub.nodes.store(Some(Arc::clone(&published))),
            Directory::Service(service) => self.hub.services.insert(service.clone(), Arc::clone(&published)),
        }
        published
    }

    /// The cell of a global's holder, made when it is not there.
    pub(crate) fn open_holder(&self, global: &Name) -> Arc<Published<Holder>> {
        if let Some(published) = self.hub.holders.get(global) {
            return published;
        }
        let published = Arc::new(Published::new(Holder::Unknown));
        self.hub.holders.insert(global.clone(), Arc::clone(&published));
        published
    }

    pub(crate) fn candidature(&self, global: &Name) -> Option<Arc<Candidature>> {
        self.candidatures.get(global).cloned()
    }

    pub(crate) fn open_candidature(&mut self, global: Name, candidature: Arc<Candidature>) {
        self.candidatures.insert(global, candidature);
    }

    /// Whether it is this candidature that stands, and not a later one.
    pub(crate) fn is_current(&self, global: &Name, candidature: &Arc<Candidature>) -> bool {
        self.candidatures.get(global).is_some_and(|current| Arc::ptr_eq(current, candidature))
    }

    pub(crate) fn close_candidature(&mut self, global: &Name) {
        if let Some(candidature) = self.candidatures.remove(global) {
            candidature.withdraw();
        }
    }

    /// What was used since the last call.
    pub(crate) fn take_used(&self) -> (Vec<Directory>, Vec<Name>) {
        let nodes = self.hub.nodes.load();
        let nodes = nodes.as_ref().filter(|nodes| nodes.take_used()).map(|_| Directory::Nodes);
        let services = self.hub.services.entries().into_iter();
        let services =
            services.filter(|(_, cell)| cell.take_used()).map(|(name, _)| Directory::Service(name));
        let holders = self.hub.holders.entries().into_iter();
        let holders = holders.filter(|(_, cell)| cell.take_used()).map(|(name, _)| name);
        (nodes.into_iter().chain(services).collect(), holders.collect())
    }

    fn session(&self, status: SessionStatus) {
        match status {
            SessionStatus::Connected { session_epoch, session } => {
                info!(%session, %session_epoch, "connected")
            }
            SessionStatus::Suspended => info!("the connection to ZooKeeper is down"),
            SessionStatus::Reconnected => info!("reconnected within the session"),
            SessionStatus::Lost => info!("the session is lost"),
        }
        if matches!(status, SessionStatus::Connected { .. } | SessionStatus::Reconnected) {
            // What was wrong may have gone with the connection; if not, it is told again.
            self.hub.trouble.store(None);
        }
        self.hub.session.send_replace(Some(status));
    }

    fn registration(&mut self, id: RegistrationId, status: RegistrationStatus) {
        debug!(registration = %id, ?status, "registration");
        let is_gone = status == RegistrationStatus::Gone;
        let sender =
            self.registrations.entry(id).or_insert_with(|| watch::Sender::new(RegistrationStatus::Pending));
        sender.send_replace(status);
        if is_gone {
            self.registrations.remove(&id);
        }
    }

    fn directory(&self, directory: &Directory, core: &Coordinator) {
        let Some(published) = self.cell(directory) else { return };
        match core.directory(directory) {
            Some((freshness, mut instances)) => {
                let is_fresh = || published.load().freshness == freshness && freshness == Freshness::Fresh;
                if self.hub.guards.lack(Mutation::StaleDirectory) && is_fresh() {
                    return;
                }
                instances.sort_by(|a, b| a.name.cmp(&b.name));
                published.publish(self.contents(freshness, instances));
            }
            // The core has dropped it: the next lookup begins anew.
            None => {
                match directory {
                    Directory::Nodes => self.hub.nodes.store(None),
                    Directory::Service(service) => drop(self.hub.services.remove(service)),
                }
                published.finish(self.contents(Freshness::Unknown, Vec::new()));
            }
        }
    }

    fn holder(&self, global: &Name, holder: Holder, core: &Coordinator) {
        let Some(published) = self.hub.holders.get(global) else { return };
        if core.holder(global).is_some() {
            if self.hub.guards.lack(Mutation::StaleHolder) && *published.load() != Holder::Unknown {
                return;
            }
            published.publish(holder);
        } else {
            self.hub.holders.remove(global);
            published.finish(holder);
        }
    }

    fn elected(&mut self, mut won: Won) -> Option<Input> {
        let (global, token) = (won.global.clone(), won.token);
        if self.hub.guards.lack(Mutation::FallingTokens) {
            won.token = Token(Zxid(-token.0.0));
        }
        let Some(candidature) = self.candidatures.get(&global) else { return Some(stopped(global, token)) };
        let term = Arc::new(Term::new(
            won,
            Arc::clone(&self.hub.belief),
            Arc::clone(&self.hub.host),
            self.hub.guards,
        ));
        self.terms.insert(global, Arc::clone(&term));
        if !self.hub.guards.lack(Mutation::ElectedNotTold) {
            candidature.elected(term);
        }
        None
    }

    fn revoked(&mut self, global: &Name, token: Token) {
        let reason = self.terms.remove(global).and_then(|term| {
            term.end();
            term.stop_reason()
        });
        if let Some(candidature) = self.candidatures.get(global) {
            candidature.revoked();
        }
        match reason {
            // Given up on purpose: nothing that an operator must know.
            None | Some(StopReason::Resigned) => debug!(%global, %token, ?reason, "revoked"),
            Some(StopReason::LeaseRanOut | StopReason::LeaseLost | StopReason::Deposed) => {
                info!(%global, %token, ?reason, "revoked");
            }
        }
    }

    fn cell(&self, directory: &Directory) -> Option<Arc<Published<Contents>>> {
        match directory {
            Directory::Nodes => self.hub.nodes.load_full(),
            Directory::Service(service) => self.hub.services.get(service),
        }
    }

    fn contents(&self, freshness: Freshness, instances: Vec<queenright_core::output::Instance>) -> Contents {
        let (pids, nodes) = (OnceLock::new(), OnceLock::new());
        Contents { instances, freshness, pids, nodes, host: Arc::clone(&self.hub.host) }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for term in self.terms.values() {
            term.end();
        }
        for candidature in self.candidatures.values() {
            candidature.withdraw();
        }
        for status in self.registrations.values() {
            status.send_replace(RegistrationStatus::Gone);
        }
        let services = self.hub.services.entries().into_iter().map(|(_, cell)| cell);
        for cell in services.chain(self.hub.nodes.load_full()) {
            cell.finish(self.contents(Freshness::Unknown, Vec::new()));
        }
        for (_, cell) in self.hub.holders.entries() {
            cell.finish(Holder::Unknown);
        }
        self.hub.life.send_replace(Life::Over);
    }
}

fn stopped(global: Name, token: Token) -> Input {
    Input::Host(HostEvent::Stopped { global, token })
}
