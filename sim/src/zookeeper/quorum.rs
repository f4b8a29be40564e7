//! How servers agree: what the leader does, and what goes between it and its followers.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use queenright_core::{Instant, SessionId};

use super::leader::{Learner, Proposal, Submission};
use super::links::{Message, ToFollower, ToLeader};
use super::prepare::Draft;
use super::server::{Server, State};
use super::sessions::{Owner, Term};
use super::transaction::Change;
use super::{Ensemble, Owner as ZnodeOwner, ServerId};

impl Ensemble {
    /// How many servers are more than half of them.
    pub(super) const fn majority(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// Takes what a client of `server` wants to whoever leads it.
    pub(super) fn submit(&mut self, now: Instant, server: ServerId, submission: Submission) {
        let Some(owner) = self.server(server).as_owner() else { return };
        match self.server(server).following().map(|following| following.leader) {
            Some(leader) => self.tell_leader(now, server, leader, owner.term, ToLeader::Submit(submission)),
            None => self.decide(now, server, owner, submission),
        }
    }

    /// Ends `session`, whose client is not there to be answered.
    pub(super) fn end_session(&mut self, now: Instant, leader: ServerId, session: SessionId) {
        let Server { replica, state: State::Leading(state), .. } = self.server_mut(leader) else {
            return;
        };
        if state.sessions.close(session) {
            let proposal = state.end(&replica.tree, session, None);
            self.propose(now, leader, proposal);
        }
    }

    /// Proposes a change that nobody asked for. Tells whether it made sense.
    pub(super) fn change_by_itself(
        &mut self,
        now: Instant,
        leader: ServerId,
        change: impl FnOnce(&mut Draft<'_>) -> Option<Change>,
    ) -> bool {
        let server = self.server(leader);
        let tree = &server.replica.tree;
        let proposal = server.leader().and_then(|leader| leader.change_by_itself(tree, change));
        let is_some = proposal.is_some();
        if let Some(proposal) = proposal {
            self.propose(now, leader, proposal);
        }
        is_some
    }

    /// Removes the containers and TTL nodes that have had their time, each in a transaction of its own.
    pub(super) fn sweep(&mut self, now: Instant, leader: ServerId) {
        let now_ms = wall_clock_ms(now);
        let tree = self.tree(leader);
        let is_over = |path: &&Arc<str>| {
            tree.get(path).is_some_and(|znode| match znode.owner() {
                ZnodeOwner::Nobody | ZnodeOwner::Session(_) => false,
                // A container that never had a child is still waiting for its first.
                ZnodeOwner::Children => znode.children.is_empty() && znode.children_created > 0,
                ZnodeOwner::Ttl(ttl) => znode.children.is_empty() && now_ms - znode.modified_ms > ttl,
            })
        };
        let paths: Vec<_> = tree.sweepable().filter(is_over).cloned().collect();
        for path in paths {
            self.change_by_itself(now, leader, |draft| draft.remove(&path));
        }
        let interval = self.config.sweep;
        if let Some(leader) = self.server_mut(leader).leader_mut() {
            leader.sweep_at = next_of(leader.sweep_at, interval, now);
        }
    }

    /// A leader looks after its followers: pings them, gives up those that are silent, takes in those that look for it.
    /// It steps down when a majority is silent.
    pub(super) fn beat(&mut self, now: Instant, id: ServerId) {
        if self.elected == Some(id) {
            let looking: Vec<_> = self.looking().filter(|other| self.links.can_talk(id, *other)).collect();
            for other in looking {
                self.join(now, other, id);
            }
        }
        let (patience, half_tick, majority) =
            (self.patience(), (self.config.tick / 2).max(Duration::from_nanos(1)), self.majority());
        let Some(leader) = self.server_mut(id).leader_mut() else { return };
        leader.beat_at = leader.beat_at.map(|at| next_of(at, half_tick, now));
        let is_silent = |learner: &Learner| learner.heard_at.after(patience) <= now;
        let silent: Vec<_> = leader
            .learners
            .iter()
            .filter(|(_, learner)| is_silent(learner))
            .map(|(id, it)| (*id, it.term))
            .collect();
        for (other, _) in &silent {
            leader.learners.remove(other);
        }
        let followers: Vec<_> = leader.learners.iter().map(|(id, learner)| (*id, learner.term)).collect();
        let has_majority = followers.len() + 1 >= majority;
        for (other, term) in silent {
            self.tell_follower(now, id, other, term, ToFollower::Dropped);
        }
        if !has_majority {
            return self.look_for_leader(now, id);
        }
        for (other, term) in followers {
            self.tell_follower(now, id, other, term, ToFollower::Ping);
        }
    }

    /// Takes the next message to where it goes.
    pub(super) fn deliver(&mut self, now: Instant) {
        match self.links.receive() {
            Some((from, to, term, Message::ToLeader(message))) => {
                self.hear_follower(now, to, from, term, message)
            }
            Some((from, to, term, Message::ToFollower(message))) => {
                self.hear_leader(now, to, from, term, message)
            }
            None => {}
        }
    }

    /// Applies what `id` knows to be committed, and answers the syncs that waited for it, each in its turn.
    pub(super) fn catch_up(&mut self, now: Instant, id: ServerId) {
        loop {
            self.answer_syncs(id);
            let server = self.server(id);
            if server.is_held || server.applied >= server.known {
                return;
            }
            let Some(transaction) = self.log.after(server.applied).cloned() else { return };
            self.apply(now, id, &transaction);
        }
    }

    /// Forgets what every server that takes part has applied.
    pub(super) fn forget_log(&mut self) {
        let taking_part = self.servers.iter().filter(|server| server.as_owner().is_some());
        if let Some(applied) = taking_part.map(|server| server.applied).min() {
            self.log.forget(applied);
        }
    }

    pub(super) fn tell_leader(
        &mut self,
        now: Instant,
        from: ServerId,
        to: ServerId,
        term: Term,
        message: ToLeader,
    ) {
        self.links.send(now, from, to, term, Message::ToLeader(message));
    }

    pub(super) fn tell_follower(
        &mut self,
        now: Instant,
        from: ServerId,
        to: ServerId,
        term: Term,
        message: ToFollower,
    ) {
        self.links.send(now, from, to, term, Message::ToFollower(message));
    }

    /// Tells a new follower of the proposals that are under way.
    pub(super) fn propose_again(&mut self, now: Instant, leader: ServerId, to: ServerId, term: Term) {
        let proposed = self.proposed(leader);
        if proposed > self.server(leader).known {
            self.tell_follower(now, leader, to, term, ToFollower::Propose { proposed });
        }
    }

    fn answer_syncs(&mut self, id: ServerId) {
        loop {
            let server = self.server_mut(id);
            let applied = server.applied;
            let Some(following) = server.following_mut() else { return };
            let Some((needed, conn, ticket)) = following.synced.front().copied() else { return };
            if needed > applied {
                return;
            }
            following.synced.pop_front();
            self.finish_sync(id, conn, ticket);
        }
    }

    fn decide(&mut self, now: Instant, leader: ServerId, owner: Owner, submission: Submission) {
        let profile = self.config.profile;
        let Server { replica, state: State::Leading(state), .. } = self.server_mut(leader) else {
            return;
        };
        let proposal = state.decide(now, &replica.tree, profile, owner, submission);
        self.propose(now, leader, proposal);
    }

    fn propose(&mut self, now: Instant, id: ServerId, proposal: Proposal) {
        let Some(leader) = self.server_mut(id).leader_mut() else { return };
        leader.append(wall_clock_ms(now), proposal);
        let followers: Vec<_> = leader.learners.iter().map(|(id, learner)| (*id, learner.term)).collect();
        let proposed = self.proposed(id);
        for (other, term) in followers {
            self.tell_follower(now, id, other, term, ToFollower::Propose { proposed });
        }
        self.commit(now, id);
    }

    /// The length of the log, proposals of `leader` included.
    fn proposed(&self, leader: ServerId) -> u64 {
        let server = self.server(leader);
        server.known + server.leader().map_or(0, |leader| leader.proposals.len() as u64)
    }

    /// Commits the proposals that a majority has. Only who was elected last can: nobody else has a majority, although
    /// acknowledgements of followers that have left may make it look so.
    fn commit(&mut self, now: Instant, id: ServerId) {
        if self.elected != Some(id) {
            return;
        }
        let majority = self.majority();
        let server = self.server_mut(id);
        let before = server.known;
        let mut committed = VecDeque::new();
        loop {
            let number = server.known + 1;
            let Some(leader) = server.leader_mut() else { return };
            if leader.holder_count(number) < majority {
                break;
            }
            let Some(transaction) = leader.proposals.pop_front() else { break };
            committed.push_back(transaction);
            server.known = number;
        }
        if committed.is_empty() {
            return;
        }
        let Some(leader) = server.leader_mut() else { return };
        let followers: Vec<_> = leader.learners.iter().map(|(id, learner)| (*id, learner.term)).collect();
        // One after the other: a sync is answered before what its client wrote behind it.
        for (number, transaction) in (before + 1..).zip(committed) {
            self.log.push(transaction);
            for (other, term) in &followers {
                self.tell_follower(now, id, *other, *term, ToFollower::Commit { committed: number });
            }
            let Some(leader) = self.server_mut(id).leader_mut() else { break };
            let due = leader.syncs.iter().take_while(|(needed, ..)| *needed <= number).count();
            let synced: Vec<_> = leader.syncs.drain(..due).collect();
            for (_, other, conn, ticket) in synced {
                if let Some((_, term)) = followers.iter().find(|(follower, _)| *follower == other) {
                    self.tell_follower(now, id, other, *term, ToFollower::Synced { conn, ticket });
                }
            }
        }
        self.catch_up(now, id);
    }

    fn hear_follower(&mut self, now: Instant, id: ServerId, from: ServerId, term: Term, message: ToLeader) {
        let proposed = self.proposed(id);
        let known = self.server(id).known;
        let Some(leader) = self.server_mut(id).leader_mut() else { return };
        let Some(learner) = leader.learners.get_mut(&from).filter(|learner| learner.term == term) else {
            return;
        };
        learner.heard_at = now;
        let owner = Owner { server: from, term };
        match message {
            ToLeader::Submit(submission) => self.decide(now, id, owner, submission),
            ToLeader::Validate { conn, ticket, session, timeout } => {
                let valid = leader.sessions.take_up(now, session, timeout, owner);
                self.tell_follower(now, id, from, term, ToFollower::Validated { conn, ticket, valid });
            }
            ToLeader::Sync { conn, ticket } if proposed > known => {
                leader.syncs.push_back((proposed, from, conn, ticket));
            }
            ToLeader::Sync { conn, ticket } => {
                self.tell_follower(now, id, from, term, ToFollower::Synced { conn, ticket });
            }
            ToLeader::Ack { proposed } => {
                learner.acked = learner.acked.max(proposed);
                self.commit(now, id);
            }
            ToLeader::Touched(sessions) => {
                for (session, timeout) in sessions {
                    leader.sessions.touch(now, session, timeout);
                }
            }
            ToLeader::Left => {
                leader.learners.remove(&from);
            }
        }
    }

    fn hear_leader(&mut self, now: Instant, id: ServerId, from: ServerId, term: Term, message: ToFollower) {
        let server = self.server_mut(id);
        let (applied, known) = (server.applied, server.known);
        let following =
            server.following_mut().filter(|following| (following.leader, following.term) == (from, term));
        let Some(following) = following else { return };
        following.heard_at = now;
        match message {
            ToFollower::Propose { proposed } => {
                self.tell_leader(now, id, from, term, ToLeader::Ack { proposed });
            }
            ToFollower::Commit { committed } => {
                server.known = known.max(committed);
                self.catch_up(now, id);
            }
            ToFollower::Ping => {
                let touched = mem::take(&mut following.touched);
                self.tell_leader(now, id, from, term, ToLeader::Touched(touched));
            }
            ToFollower::Validated { conn, ticket, valid } => {
                self.finish_opening(now, id, conn, ticket, valid)
            }
            ToFollower::Synced { conn, ticket } if known > applied => {
                following.synced.push_back((known, conn, ticket));
            }
            ToFollower::Synced { conn, ticket } => self.finish_sync(id, conn, ticket),
            ToFollower::Dropped => self.look_for_leader(now, id),
        }
    }
}

/// The first instant of a series, `interval` apart and through `at`, that is later than `now`.
fn next_of(at: Instant, interval: Duration, now: Instant) -> Instant {
    let passed = now.since(at).as_nanos() / interval.as_nanos().max(1) + 1;
    at.after(interval.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)))
}

pub(super) fn wall_clock_ms(now: Instant) -> i64 {
    i64::try_from(now.as_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
