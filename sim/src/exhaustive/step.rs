//! What comes of what happens in a state.

use queenright_core::op::{Op, Version};
use queenright_core::wire::{Acl, ConnectRequest, ConnectResponse, convert};
use queenright_core::{Path, SessionEpoch, SessionEvent, Zxid};

use super::enabled::{
    ABANDONS, BREAKS, CRASHES, EXPIRIES, FINISHES, KILLS, LAGS, LAPSES, LEAVES, RESIGNATIONS, RETURNS,
    STALLS, STRAYS, WRITES,
};
use super::link::{Link, Said, State as LinkState};
use super::machine::{Machine, Stimulus, unknown};
use super::space::{JANITOR, LEASES, SERVER_TIME, Space, connection};
use super::state::{Action, NOBODY, State};
use super::world::{Goal, ROOT, Start, World};
use crate::checkers::{self, Life, Mark, Violation, Wanted};
use crate::zookeeper::{Ensemble, FromServer, ServerId, Znode};

pub(super) const TIMEOUT_MS: i32 = 30_000;

/// A state, and what was seen on the way to it.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) state: State,
    pub(super) goals: u32,
    pub(super) violation: Option<Violation>,
}

impl Next {
    pub(super) const fn begin(state: State) -> Self {
        Self { state, goals: 0, violation: None }
    }
}

impl Space<'_> {
    /// What comes of `action`, which must be possible.
    pub(super) fn next(&mut self, state: &State, action: Action) -> Next {
        let mut next = Next::begin(*state);
        self.act(&mut next, action);
        self.check_exclusive(&mut next);
        self.look_at_directory(&mut next);
        next
    }

    fn act(&mut self, next: &mut Next, action: Action) {
        let spend =
            |next: &mut Next, fault: usize| next.state.left[fault] = next.state.left[fault].saturating_sub(1);
        match action {
            Action::Serve(node) => self.serve_next(next, node),
            Action::Answer(node) => {
                let is_answer = |said: &u32| matches!(self.said.get(*said), Said::Answer { .. });
                let link = self.link(next, node);
                if let Some(at) = link.down.iter().position(is_answer) {
                    self.hear(next, node, at);
                }
            }
            Action::Event(node) => self.hear(next, node, 0),
            Action::Stopped(node, global) => self.stimulate(next, node, &Stimulus::Stopped(global)),
            Action::Time(node) => {
                let due = self.nodes.get(next.state.machines[usize::from(node)]).due;
                next.state.now = next.state.now.max(due.unwrap_or(0));
                self.stimulate(next, node, &Stimulus::Time);
            }
            Action::Break(node) => {
                spend(next, BREAKS);
                self.suspend(next, node, false);
            }
            Action::Connect(node) => self.connect(next, node, false),
            Action::Stray(node) => {
                spend(next, STRAYS);
                self.connect(next, node, true);
            }
            Action::Abandon(node) => {
                spend(next, ABANDONS);
                self.suspend(next, node, false);
                self.change_link(next, node, |link| {
                    link.orphan = link.session.take().map(|session| session.session);
                });
                self.stimulate(next, node, &Stimulus::Session(SessionEvent::Lost));
            }
            Action::Expire(node) => {
                let mut link = self.link(next, node).clone();
                let session = match link.orphan.take() {
                    Some(orphan) => Some(orphan),
                    None => {
                        spend(next, EXPIRIES);
                        link.session.as_ref().map(|session| session.session)
                    }
                };
                next.state.links[usize::from(node)] = self.add_link(link);
                let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
                if let Some(session) = session {
                    ensemble.expire(SERVER_TIME, session);
                }
                self.settle_server(next, ensemble);
            }
            Action::Lapse(node) => {
                spend(next, LAPSES);
                next.state.paused |= 1 << node;
            }
            Action::Resume(node) => {
                let ends = self.nodes.get(next.state.machines[usize::from(node)]).ends;
                if ends.iter().any(|end| *end != 0 && *end <= next.state.now) {
                    next.goals |= Goal::BeliefLapsed.bit();
                }
                next.state.paused &= !(1 << node);
            }
            Action::Stall(node) => {
                spend(next, STALLS);
                self.change_link(next, node, |link| link.state = LinkState::Stalled);
            }
            Action::Free(node) => self.change_link(next, node, |link| link.state = LinkState::Up),
            Action::Crash(node) => {
                spend(next, CRASHES);
                next.state.machines[usize::from(node)] = NOBODY;
                next.state.paused &= !(1 << node);
                self.change_link(next, node, |link| {
                    link.state = LinkState::Down;
                    link.down.clear();
                    link.lost = 0;
                    link.orphan = link.session.take().map(|session| session.session).or(link.orphan);
                });
            }
            Action::Restart(node) => self.restart(next, node),
            Action::Resign(node, global) => {
                spend(next, RESIGNATIONS);
                self.stimulate(next, node, &Stimulus::Resign(global));
            }
            Action::Unregister(node, instance) => {
                spend(next, RESIGNATIONS);
                self.stimulate(next, node, &Stimulus::Unregister(instance));
            }
            Action::Finish(node, global) => {
                spend(next, FINISHES);
                self.stimulate(next, node, &Stimulus::Finish(global));
            }
            Action::Leave(node) => {
                spend(next, LEAVES);
                self.stimulate(next, node, &Stimulus::Unsubscribe);
            }
            Action::Pass(node) => {
                next.state.now = self.next_point(&next.state, node).unwrap_or(next.state.now);
            }
            Action::Kill(node) => {
                spend(next, KILLS);
                if let Some(path) = self.victim(&next.state, node) {
                    self.meddle(next, &Op::Delete { path, version: Version::Any });
                }
            }
            Action::Write(node) => {
                spend(next, WRITES);
                if let Some(path) = self.victim(&next.state, node) {
                    self.meddle(next, &Op::SetData { path, data: b"?".to_vec(), version: Version::Any });
                }
            }
            Action::Lag(node) => {
                spend(next, LAGS);
                let server = self.world.server_of(node);
                self.change_server(next, |ensemble, _| ensemble.hold(SERVER_TIME, server));
            }
            Action::Gap(node) => {
                spend(next, BREAKS);
                let lost = self.pending(next, node);
                self.change_link(next, node, |link| {
                    link.state = LinkState::Down;
                    link.down.clear();
                    link.lost = lost;
                });
            }
            Action::Lose(node) => {
                let lost = self.link(next, node).lost;
                self.change_link(next, node, |link| link.lost = 0);
                self.give_up(next, node, lost.into());
            }
            Action::Again(node, global) => {
                spend(next, RETURNS);
                let again = match self.world.start {
                    Start::Standing | Start::Orphaned | Start::Joining | Start::Led => {
                        Stimulus::Campaign(global)
                    }
                    Start::Registering => Stimulus::Register(global),
                };
                self.stimulate(next, node, &again);
            }
            Action::CatchUp(node) => {
                let server = self.world.server_of(node);
                self.change_server(next, |ensemble, _| ensemble.release(SERVER_TIME, server));
            }
        }
    }

    fn link(&self, next: &Next, node: u8) -> &Link {
        self.links.get(next.state.links[usize::from(node)])
    }

    fn change_link(&mut self, next: &mut Next, node: u8, change: impl FnOnce(&mut Link)) {
        let mut link = self.link(next, node).clone();
        change(&mut link);
        next.state.links[usize::from(node)] = self.add_link(link);
    }

    /// Something reaches a node.
    pub(super) fn stimulate(&mut self, next: &mut Next, node: u8, stimulus: &Stimulus) {
        let index = usize::from(node);
        let before = next.state.machines[index];
        let reaction = self.react(before, next.state.now, stimulus);
        next.state.machines[index] = reaction.machine;
        next.goals |= reaction.goals;
        if next.violation.is_none() {
            next.violation.clone_from(&reaction.violation);
        }
        for (global, token) in &reaction.elected {
            let last = &mut next.state.tokens[usize::from(*global)];
            if *last >= *token && next.violation.is_none() {
                let detail = format!("n{node} leads with token {token}, after somebody did with {last}");
                next.violation = Some(Violation::new("rising tokens", detail));
            }
            if *last != 0 {
                next.goals |= Goal::ElectedAfterAnother.bit();
            }
            *last = *token;
        }
        if reaction.is_told_empty && next.state.emptied & 1 << node == 0 && next.violation.is_none() {
            let detail =
                format!("n{node} tells that the directory is empty, which it has not been since it asked");
            next.violation = Some(Violation::new("caches", detail));
        }
        let registered = reaction.registered;
        let sent = reaction.sent.clone();
        if !sent.is_empty() {
            self.change_link(next, node, |link| link.up.extend_from_slice(&sent));
        }
        if let Some(czxid) = registered {
            self.check_registered(next, node, czxid);
        }
    }

    fn serve_next(&mut self, next: &mut Next, node: u8) {
        let link = self.link(next, node);
        let (is_late, is_astray) = (link.state == LinkState::Down, link.is_astray);
        let Some(op) = link.up.first().copied() else { return };
        self.change_link(next, node, |link| {
            link.up.remove(0);
        });
        let service = self.serve(next.state.server, node, is_astray, op);
        next.state.server = service.server;
        next.goals |= service.goals;
        if is_late && service.is_write {
            next.goals |= Goal::AppliedLate.bit();
        }
        let said = service.said.clone();
        self.carry(next, &said);
    }

    /// What the server says goes to whoever listens.
    fn carry(&mut self, next: &mut Next, said: &[(u8, u32)]) {
        for (to, said) in said {
            if *to < self.world.nodes && self.link(next, *to).state != LinkState::Down {
                self.change_link(next, *to, |link| link.down.push(*said));
            }
        }
    }

    fn change_server(&mut self, next: &mut Next, change: impl FnOnce(&mut Ensemble, &[Acl])) {
        let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
        change(&mut ensemble, &self.acl);
        self.settle_server(next, ensemble);
    }

    fn settle_server(&mut self, next: &mut Next, mut ensemble: Ensemble) {
        let (said, _) = self.drain(&mut ensemble, None);
        next.state.server = self.add_server(ensemble);
        self.carry(next, &said);
    }

    fn hear(&mut self, next: &mut Next, node: u8, at: usize) {
        let Some(said) = self.link(next, node).down.get(at).copied() else { return };
        let said = self.said.get(said).clone();
        let seen = match &said {
            Said::Answer { zxid, .. } => Some(*zxid),
            Said::Event(_) | Said::Close => None,
        };
        self.change_link(next, node, |link| {
            link.down.remove(at);
            link.seen = link.seen.max(seen.unwrap_or(link.seen));
        });
        match said {
            Said::Answer { zxid, outcome } => {
                let zxid = self.shown(zxid);
                self.stimulate(next, node, &Stimulus::Answer { zxid, outcome });
            }
            Said::Event(event) => self.stimulate(next, node, &Stimulus::Watch(event)),
            Said::Close => self.suspend(next, node, true),
        }
    }

    /// The connection is gone, as the node sees it: nobody can tell what became of what is not answered.
    fn suspend(&mut self, next: &mut Next, node: u8, is_closed: bool) {
        self.change_link(next, node, |link| {
            link.state = LinkState::Down;
            link.down.clear();
            if is_closed {
                link.up.clear();
            }
        });
        let pending = self.pending(next, node);
        if self.world.is_late {
            self.change_link(next, node, |link| link.lost = pending);
        }
        self.stimulate(next, node, &Stimulus::Session(SessionEvent::Suspended));
        if !self.world.is_late {
            self.give_up(next, node, pending.into());
        }
    }

    /// How many answers are owed to a node.
    fn pending(&self, next: &Next, node: u8) -> u8 {
        let pending = self.nodes.get(next.state.machines[usize::from(node)]).machine.pending();
        u8::try_from(pending).unwrap_or_else(|_| panic!("{pending} requests at once"))
    }

    /// Nobody can tell what became of the oldest of its requests.
    fn give_up(&mut self, next: &mut Next, node: u8, count: usize) {
        for _ in 0..count {
            self.stimulate(next, node, &unknown());
        }
    }

    fn connect(&mut self, next: &mut Next, node: u8, is_astray: bool) {
        let link = self.link(next, node).clone();
        let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
        // What the old connection had under way is lost by now.
        let server = self.world.server_in_use(node, is_astray);
        // Who strays does not say what it has seen.
        let seen = if is_astray { Zxid(0) } else { link.seen };
        // A server that is behind the node turns it away, and one that lags knows of no new session.
        if ensemble.is_held(server) && (link.session.is_none() || seen > ensemble.last_zxid(server)) {
            ensemble.release(SERVER_TIME, server);
        }
        let response = establish(&mut ensemble, server, node, link.session.as_ref(), seen);
        let is_refused = response.timeout_ms == 0;
        // Also what was sent in a gap that nobody had noticed.
        let lost = self.pending(next, node);
        self.change_link(next, node, |link| {
            link.up.clear();
            link.down.clear();
            link.lost = lost;
            link.is_astray = is_astray;
            if is_refused {
                link.session = None;
                return;
            }
            if link.session.is_none() {
                link.epoch = SessionEpoch(link.epoch.0 + 1);
            }
            link.session = Some(response.clone());
            link.state = LinkState::Up;
        });
        self.settle_server(next, ensemble);
        let session_epoch = self.link(next, node).epoch;
        let event = match (link.session, is_refused) {
            (Some(_), true) => SessionEvent::Lost,
            (Some(_), false) => SessionEvent::Reconnected,
            (None, _) => SessionEvent::Connected { session_epoch, session: response.session },
        };
        // What it is told from here on, it has asked for from here on.
        next.state.emptied &= !(1 << node);
        self.look_at_directory(next);
        self.stimulate(next, node, &Stimulus::Session(event));
    }

    fn restart(&mut self, next: &mut Next, node: u8) {
        let index = usize::from(node);
        next.state.lives[index] += 1;
        let life = Life { node, number: next.state.lives[index].into() };
        let machine = Machine::new(self.world, life, super::space::clock(node, next.state.now));
        next.state.machines[index] = self.add_machine(machine);
        self.change_link(next, node, |link| {
            link.up.clear();
            link.epoch = SessionEpoch(0);
            link.seen = Zxid(0);
        });
        let mut ensemble = self.servers.get(next.state.server).ensemble.clone();
        ensemble.disconnect(SERVER_TIME, connection(node));
        self.settle_server(next, ensemble);
        self.command(next, node);
    }

    /// What its application asks of a node from the first.
    pub(super) fn command(&mut self, next: &mut Next, node: u8) {
        if self.world.is_onlooker(node) {
            for global in 0..self.world.globals {
                self.stimulate(next, node, &Stimulus::LookUp(global));
            }
        } else {
            self.stand(next, node);
        }
        if self.world.is_subscriber(node) {
            self.stimulate(next, node, &Stimulus::Subscribe);
        }
    }

    /// A node wants all that there is to lead, or to be found under.
    pub(super) fn stand(&mut self, next: &mut Next, node: u8) {
        for global in 0..self.world.globals {
            self.stimulate(next, node, &Stimulus::Campaign(global));
        }
        if self.world.start == Start::Registering && node == 0 {
            self.stimulate(next, node, &Stimulus::Register(0));
        }
    }

    /// Somebody with a connection of its own does something.
    fn meddle(&mut self, next: &mut Next, op: &Op) {
        self.change_server(next, |ensemble, acl| {
            ensemble.request(SERVER_TIME, JANITOR, 1, convert::request(op, acl));
        });
    }

    /// Notes for those who cache the directory when it is empty.
    fn look_at_directory(&self, next: &mut Next) {
        let nodes = (0..self.world.nodes).filter(|node| self.world.is_subscriber(*node));
        let asking = nodes.fold(0, |bits, node| bits | 1 << node);
        if asking & !next.state.emptied == 0 {
            return;
        }
        let tree = self.servers.get(next.state.server).ensemble.tree(self.world.newest());
        if checkers::instances(tree, ROOT, &World::directory()).is_empty() {
            next.state.emptied |= asking;
        }
    }

    /// What somebody else may delete of `node`'s.
    pub(super) fn victim(&self, state: &State, node: u8) -> Option<Path> {
        match self.world.start {
            Start::Standing | Start::Orphaned | Start::Joining | Start::Led => self.idle_record(state, node),
            Start::Registering => self.registered_znode(state, node),
        }
    }

    fn registered_znode(&self, state: &State, node: u8) -> Option<Path> {
        let tree = self.servers.get(state.server).ensemble.tree(self.world.newest());
        let machine = &self.nodes.get(state.machines[usize::from(node)]).machine;
        self.wanted(machine).find_map(|wanted| checkers::registered(tree, ROOT, &wanted))
    }

    /// The lease record that `node` had in the first state, if it has never been written since: whoever saw it before has
    /// seen it unchanged for as long as it takes, and may delete it at that version.
    fn idle_record(&self, state: &State, node: u8) -> Option<Path> {
        let tree = self.servers.get(state.server).ensemble.tree(self.world.newest());
        let incarnation = self.world.config(Life { node, number: 0 }).incarnation.to_string();
        let names = tree.children(LEASES.trim_end_matches('/'));
        let paths = names.filter(|name| name.starts_with(&incarnation)).map(|name| format!("{LEASES}{name}"));
        let is_idle = |path: &String| {
            tree.get(path).map(Znode::stat).is_some_and(|stat| stat.version == 0 && stat.czxid <= self.begun)
        };
        let path = paths.into_iter().find(is_idle)?;
        Path::new(&path).ok()
    }

    fn check_exclusive(&self, next: &mut Next) {
        let now = next.state.now;
        for global in 0..usize::from(self.world.globals) {
            let believes = |node: &usize| {
                let machine = next.state.machines[*node];
                machine != NOBODY && self.nodes.get(machine).ends[global] > now
            };
            let mut believers = (0..usize::from(self.world.nodes)).filter(believes);
            if let (Some(one), Some(other)) = (believers.next(), believers.next())
                && next.violation.is_none()
            {
                let name = self.world.global(u8::from(global != 0));
                let detail = format!("n{one} and n{other} both believe to lead {name}");
                next.violation = Some(Violation::new("exclusive belief", detail));
            }
        }
    }

    fn check_registered(&mut self, next: &mut Next, node: u8, czxid: Zxid) {
        let link = self.link(next, node);
        if link.epoch > SessionEpoch(1) {
            next.goals |= Goal::RegisteredAgain.bit();
        }
        let Some(session) = link.session.as_ref().map(|session| session.session) else { return };
        let machine = &self.nodes.get(next.state.machines[usize::from(node)]).machine;
        let tree = self.servers.get(next.state.server).ensemble.tree(self.world.newest());
        let wrong = self.wanted(machine).find_map(|wanted| {
            checkers::check_registered(tree, ROOT, machine.life, &wanted, czxid, session).err()
        });
        next.violation = next.violation.take().or(wrong);
    }

    /// What a node wants to be registered.
    pub(super) fn wanted(&self, machine: &Machine) -> impl Iterator<Item = Wanted> {
        let instances = (0..).zip(&machine.registrations).zip(&machine.editions);
        let wanted = instances.filter(|((_, registration), _)| registration.is_some());
        wanted.map(|((number, _), edition)| {
            let (directory, instance, payload) = self.world.instance(machine.life, number, *edition);
            let mark = if payload.is_empty() { Mark::Plain } else { Mark::Payload };
            Wanted { directory, instance, payload, mark }
        })
    }
}

/// A connection of `node`, in the session that it had or in a new one. A refusal says so.
fn establish(
    ensemble: &mut Ensemble,
    server: ServerId,
    node: u8,
    session: Option<&ConnectResponse>,
    seen: Zxid,
) -> ConnectResponse {
    ensemble.disconnect(SERVER_TIME, connection(node));
    let request = match session {
        Some(session) => ConnectRequest::reattach(session, seen),
        None => ConnectRequest::new_session(TIMEOUT_MS),
    };
    ensemble.connect(SERVER_TIME, server, connection(node), [127, 0, 0, 1].into(), request);
    match ensemble.poll_output() {
        Some((_, FromServer::Connected(response))) => response,
        other => panic!("the server does not answer a connection: {other:?}"),
    }
}
