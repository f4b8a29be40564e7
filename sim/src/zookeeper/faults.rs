//! What an embedder does to an ensemble: who leads, which links carry, who is slow, who is down.
//!
//! None of it is decided here. There is no election: one that [`Ensemble::set_leader`] asks for is over at once.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use queenright_core::{Instant, Zxid};

use super::leader::{Leader, Learner};
use super::links::{ToFollower, ToLeader};
use super::outstanding::Outstanding;
use super::server::{Following, Server, State};
use super::sessions::{Sessions, Term};
use super::{ConnectionId, Ensemble, FromServer, ServerId};

/// There is no majority for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{server:?} can talk with too few servers: {found} with itself, and it takes {needed}")]
pub struct NoMajority {
    /// Who was to lead.
    pub server: ServerId,
    /// How many it can talk with, itself included; none when it is down.
    pub found: usize,
    /// How many it takes.
    pub needed: usize,
}

impl Ensemble {
    /// A change of leaders: `server` leads from now on, with a new epoch, and with all that is committed. Whoever can
    /// talk with it follows it at once; all of these, itself included, close the connections of their clients, as servers
    /// do that look for a leader. What the old leader has proposed and not committed is lost.
    ///
    /// Servers that cannot talk with it notice nothing: they serve on until their patience is over. An old leader among
    /// them commits nothing any more.
    ///
    /// All sessions get their whole timeout once more. A server alone always leads: there this does nothing.
    ///
    /// # Errors
    /// When `server` is down, or can talk with less than a majority, itself included: nothing happens.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn set_leader(&mut self, now: Instant, server: ServerId) -> Result<(), NoMajority> {
        self.run(now);
        let found = self.reachable_from(server).len();
        let needed = self.majority();
        if found < needed {
            return Err(NoMajority { server, found, needed });
        }
        if self.servers.len() > 1 {
            self.elect(now, server);
            self.run(now);
        }
        Ok(())
    }

    /// Nothing passes from one server to the other any more, until [`heal`](Self::heal). What is sent meanwhile arrives
    /// then, unless one of them has given the other up: after `sync_limit` ticks without a word a follower looks for
    /// another leader, and a leader looks for another follower, which it does not find: without a majority it steps down.
    ///
    /// # Panics
    /// When there are no such two servers.
    pub fn cut(&mut self, now: Instant, from: ServerId, to: ServerId) {
        self.run(now);
        self.links.set_cut(from, to, true);
    }

    /// The opposite of [`cut`](Self::cut). A server that looks for the leader finds it within half a tick.
    ///
    /// # Panics
    /// When there are no such two servers.
    pub fn heal(&mut self, now: Instant, from: ServerId, to: ServerId) {
        self.run(now);
        self.links.set_cut(from, to, false);
        self.run(now);
    }

    /// What is sent from one server to the other from now on takes so long.
    ///
    /// # Panics
    /// When there are no such two servers.
    pub fn delay(&mut self, now: Instant, from: ServerId, to: ServerId, delay: Duration) {
        self.run(now);
        self.links.set_delay(from, to, delay);
    }

    /// `server` lags: it takes part in everything, but applies nothing until it is [released](Self::release). Whoever
    /// begins to follow or to lead has caught up first.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn hold(&mut self, now: Instant, server: ServerId) {
        self.run(now);
        self.server_mut(server).is_held = true;
    }

    /// Whether `server` [lags](Self::hold).
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn is_held(&self, server: ServerId) -> bool {
        self.server(server).is_held
    }

    /// `server` applies what is committed, now and from now on.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn release(&mut self, now: Instant, server: ServerId) {
        self.run(now);
        self.server_mut(server).is_held = false;
        self.catch_up(now, server);
        self.run(now);
    }

    /// `server` dies. Its connections break, those to other servers, too; nothing committed is lost.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn crash(&mut self, now: Instant, server: ServerId) {
        self.run(now);
        self.look_for_leader(now, server);
        self.server_mut(server).state = State::Down;
        self.run(now);
    }

    /// `server` is started, after a [crash](Self::crash) or in place of one: it looks for the leader, and finds it within
    /// half a tick. A server alone serves at once.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn restart(&mut self, now: Instant, server: ServerId) {
        self.run(now);
        self.look_for_leader(now, server);
        self.server_mut(server).state = State::Looking;
        if self.servers.len() == 1 {
            self.elect(now, server);
        }
        self.run(now);
    }

    /// Makes `id` the leader of all that can talk with it.
    pub(super) fn elect(&mut self, now: Instant, id: ServerId) {
        let voters = self.reachable_from(id);
        for voter in &voters {
            self.look_for_leader(now, *voter);
        }
        self.learn(now, id);
        let is_alone = self.servers.len() == 1;
        let term = self.next_term();
        let half_tick = (self.config.tick / 2).max(Duration::from_nanos(1));
        let (tick, sweep_at) = (self.config.tick, now.after(self.config.sweep));
        if !is_alone {
            self.epoch += 1;
        }
        let epoch = self.epoch;
        let server = self.server_mut(id);
        if !is_alone {
            server.replica.applied = Zxid(i64::from(epoch) << 32);
        }
        let found = server.replica.sessions.iter().map(|(session, timeout)| (*session, *timeout));
        server.state = State::Leading(Box::new(Leader {
            term,
            sessions: Sessions::new(now, tick, found),
            outstanding: Outstanding::default(),
            proposals: VecDeque::new(),
            last_zxid: server.replica.applied,
            learners: BTreeMap::new(),
            syncs: VecDeque::new(),
            sweep_at,
            beat_at: (!is_alone).then(|| now.after(half_tick)),
        }));
        self.elected = Some(id);
        for voter in voters.into_iter().filter(|voter| *voter != id) {
            self.join(now, voter, id);
        }
    }

    /// `id`, which looks for a leader, follows the one that was elected.
    pub(super) fn join(&mut self, now: Instant, id: ServerId, leader: ServerId) {
        self.links.reset(id, leader);
        self.learn(now, id);
        let term = self.next_term();
        self.server_mut(id).state = State::Following(Following {
            leader,
            term,
            heard_at: now,
            touched: BTreeMap::new(),
            synced: VecDeque::new(),
        });
        let acked = self.server(leader).known;
        if let Some(leader) = self.server_mut(leader).leader_mut() {
            leader.learners.insert(id, Learner { term, heard_at: now, acked });
        }
        self.propose_again(now, leader, id, term);
    }

    /// `id` stops what it does, and serves nobody: all its clients' connections are closed.
    pub(super) fn look_for_leader(&mut self, now: Instant, id: ServerId) {
        let connections: Vec<_> = self.server(id).connections.iter().map(|(conn, _)| conn).collect();
        for conn in connections {
            self.hang_up(id, conn);
        }
        if self.elected == Some(id) {
            self.elected = None;
        }
        match mem::replace(&mut self.server_mut(id).state, State::Looking) {
            State::Leading(leader) => {
                for (other, Learner { term, .. }) in leader.learners {
                    self.tell_follower(now, id, other, term, ToFollower::Dropped);
                }
            }
            State::Following(Following { leader, term, .. }) => {
                self.tell_leader(now, id, leader, term, ToLeader::Left);
            }
            State::Looking => {}
            State::Down => self.server_mut(id).state = State::Down,
        }
    }

    /// The servers that look for a leader.
    pub(super) fn looking(&self) -> impl Iterator<Item = ServerId> {
        let looking = |server: &&Server| matches!(server.state, State::Looking);
        self.servers.iter().filter(looking).map(|server| server.id)
    }

    /// The server that has applied most.
    pub(super) fn most_advanced(&self) -> &Server {
        let rest = self.servers.iter().skip(1);
        rest.fold(&self.servers[0], |most, server| if server.applied > most.applied { server } else { most })
    }

    /// Gives `id` all that is committed: from the log, or else from a server that has it.
    fn learn(&mut self, now: Instant, id: ServerId) {
        if !self.log.reaches_back_to(self.server(id).applied) {
            let Server { replica, applied, .. } = self.most_advanced();
            let (tree, sessions) = (replica.tree.clone(), replica.sessions.clone());
            let (zxid, applied) = (replica.applied, *applied);
            let server = self.server_mut(id);
            (server.replica.tree, server.replica.sessions) = (tree, sessions);
            (server.replica.applied, server.applied) = (zxid, applied);
        }
        while let Some(transaction) = self.log.after(self.server(id).applied).cloned() {
            self.apply(now, id, &transaction);
        }
        let server = self.server_mut(id);
        server.known = server.applied;
    }

    /// The servers that are up and can talk with `id`, itself included, in order; none when it is down.
    fn reachable_from(&self, id: ServerId) -> Vec<ServerId> {
        let is_up = |server: &Server| !matches!(server.state, State::Down);
        if !is_up(self.server(id)) {
            return Vec::new();
        }
        let reachable = |server: &&Server| is_up(server) && self.links.can_talk(id, server.id);
        self.servers.iter().filter(reachable).map(|server| server.id).collect()
    }

    fn next_term(&mut self) -> Term {
        self.terms += 1;
        Term(self.terms)
    }

    /// Closes the connection from the server's side; its session lives on.
    pub(super) fn hang_up(&mut self, server: ServerId, conn: ConnectionId) {
        self.drop_connection(server, conn);
        self.send(conn, FromServer::Close);
    }
}
