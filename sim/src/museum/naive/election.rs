//! Leadership by the lowest ephemeral of a queue.

use queenright_core::op::{Change, CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Version, WatchEvent};
use queenright_core::output::StopReason;
use queenright_core::{Event, Instant, Name, Token, Zxid};

use super::{Alarm, Flaw, Link, Naive, PAUSE, Pending, Phase, is_unknown, path};

/// What a node does for one global.
#[derive(Debug)]
pub(super) struct Candidacy {
    payload: Vec<u8>,
    is_wanted: bool,
    znode: Option<String>,
    state: State,
    ahead: Option<String>,
    created: u32,
    /// Of the znode that was created last.
    latest: Token,
    /// Under which epoch of the connection the queue was last asked for.
    is_listing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Out,
    Creating,
    /// The answer to its creation was lost.
    Unsure,
    Waiting,
    Leading(Token),
    Stopping(Token),
}

impl Naive {
    pub(super) fn campaign(&mut self, global: Name, payload: Vec<u8>) {
        let candidacy = self.candidacies.entry(global.clone()).or_insert(Candidacy {
            payload: Vec::new(),
            is_wanted: true,
            znode: None,
            state: State::Out,
            ahead: None,
            created: 0,
            latest: Token(Zxid(0)),
            is_listing: false,
        });
        if candidacy.state == State::Out || self.flaw != Flaw::FirstPayloadForEver {
            candidacy.payload = payload;
        }
        candidacy.is_wanted = true;
        if candidacy.state == State::Out {
            if self.link == Link::Down && self.has(Flaw::LeadsWhenAlone) {
                self.elect(&global, Token(Zxid(1)));
            }
            self.join(&global);
        }
    }

    pub(super) fn resign(&mut self, global: &Name) {
        let frees_first = self.has(Flaw::FreesBeforeStopping);
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        candidacy.is_wanted = false;
        match candidacy.state {
            State::Leading(token) => {
                candidacy.state = State::Stopping(token);
                if frees_first {
                    self.withdraw(global);
                }
                self.stop(global, token);
            }
            State::Stopping(_) => {}
            State::Out | State::Creating | State::Unsure | State::Waiting => self.withdraw(global),
        }
    }

    fn stop(&mut self, global: &Name, token: Token) {
        let (global, deadline) = (global.clone(), Instant::FAR_FUTURE);
        self.event(Event::Stop { global, token, deadline, reason: StopReason::Resigned });
    }

    pub(super) fn stopped(&mut self, global: &Name, token: Token) {
        let declines = self.has(Flaw::DeclinedForEver);
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        if !matches!(candidacy.state, State::Leading(held) | State::Stopping(held) if held == token) {
            return;
        }
        candidacy.state = State::Waiting;
        candidacy.is_wanted &= !declines;
        self.event(Event::Revoked { global: global.clone(), token });
        let is_wanted = self.candidacies.get(global).is_some_and(|candidacy| candidacy.is_wanted);
        self.withdraw(global);
        if is_wanted {
            self.wake_in(PAUSE, Alarm::Finish(global.clone()));
        }
    }

    /// Whose work ended by itself stands again, after a pause.
    pub(super) fn declined(&mut self, global: &Name) {
        if let Some(candidacy) = self.candidacies.get_mut(global) {
            candidacy.state = State::Out;
        }
        self.join(global);
    }

    /// Deletes the candidate, if it is known.
    fn withdraw(&mut self, global: &Name) {
        let (is_up, forgets) = (self.is_up(), self.has(Flaw::DeleteForgotten));
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        candidacy.ahead = None;
        match candidacy.znode.clone() {
            Some(znode) if is_up => {
                let op = Op::Delete {
                    path: path(&format!("globals/{global}/queue/{znode}")),
                    version: Version::Any,
                };
                self.send(Pending::Withdrawal(global.clone(), znode), op);
            }
            Some(_) if forgets => self.gone(global),
            Some(_) => {}
            None if matches!(candidacy.state, State::Creating | State::Unsure) && !forgets => {}
            None => self.gone(global),
        }
    }

    pub(super) fn withdrawn(&mut self, global: &Name, znode: &str, outcome: Outcome) {
        if is_unknown(&outcome) && !self.has(Flaw::DeleteForgotten) {
            return;
        }
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        if candidacy.znode.as_deref() == Some(znode) {
            candidacy.znode = None;
        }
        self.gone(global);
    }

    fn gone(&mut self, global: &Name) {
        let Some(candidacy) = self.candidacies.get(global) else { return };
        if !candidacy.is_wanted {
            let state = candidacy.state;
            if let State::Stopping(_) = state {
                // The name is free; its work goes on for a while.
                return;
            }
            self.candidacies.remove(global);
            self.event(Event::Withdrawn { global: global.clone() });
        }
    }

    fn join(&mut self, global: &Name) {
        let (is_up, guid) = (self.is_up(), self.guid.clone());
        let (is_anonymous, resets) = (self.has(Flaw::NoGuid), self.has(Flaw::ResetsWhenSelfMissing));
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        if !is_up || !candidacy.is_wanted || candidacy.state == State::Creating {
            return;
        }
        candidacy.created += 1;
        if !resets {
            candidacy.znode = None;
        }
        if !matches!(candidacy.state, State::Leading(_) | State::Stopping(_)) {
            candidacy.state = State::Creating;
        }
        let count = if is_anonymous { 0 } else { candidacy.created };
        let queue = format!("globals/{global}/queue/{guid}.{count}-");
        let data = candidacy.payload.clone();
        let op = Op::Create { path: path(&queue), data, mode: CreateMode::EphemeralSequential };
        self.send(Pending::Candidate(global.clone()), op);
    }

    pub(super) fn candidate_created(&mut self, global: &Name, outcome: Outcome) {
        let forgets = self.has(Flaw::NoGuid) || self.has(Flaw::UnknownIsFailure);
        let gives_up = self.has(Flaw::GivesUpOnError);
        let logs = self.has(Flaw::MissingDirectoryIsLogged);
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        match outcome {
            Ok(Reply::Created { path, stat }) => {
                if let Some(old) = candidacy.znode.take() {
                    let op = Op::Delete {
                        path: super::path(&format!("globals/{global}/queue/{old}")),
                        version: Version::Any,
                    };
                    self.send(Pending::Nothing, op);
                }
                let Some(candidacy) = self.candidacies.get_mut(global) else { return };
                candidacy.znode = Some(path.file_name().to_owned());
                candidacy.latest = Token(stat.czxid);
                candidacy.state = State::Waiting;
                if candidacy.is_wanted { self.list_queue(global) } else { self.withdraw(global) }
            }
            Err(_) if gives_up => candidacy.state = State::Waiting,
            Err(OpError::Refused(ErrorCode::NoNode)) if logs && candidacy.created > 2 => {
                candidacy.state = State::Waiting;
            }
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                candidacy.state = State::Out;
                self.make_parents(&path(&format!("globals/{global}/queue/x")));
                self.join(global);
            }
            Err(OpError::Unknown) => candidacy.state = if forgets { State::Out } else { State::Unsure },
            Ok(_) | Err(_) => {
                candidacy.state = State::Out;
                let pause = if self.has(Flaw::RetriesAtOnce) { PAUSE / 1000 } else { PAUSE };
                self.wake_in(pause, Alarm::Candidate(global.clone()));
            }
        }
    }

    pub(super) fn try_again(&mut self, global: &Name) {
        let Some(candidacy) = self.candidacies.get(global) else { return };
        match (candidacy.state, candidacy.znode.is_some()) {
            (State::Out, false) => self.join(global),
            _ => self.list_queue(global),
        }
    }

    fn list_queue(&mut self, global: &Name) {
        if !self.is_up() {
            return;
        }
        if let Some(candidacy) = self.candidacies.get_mut(global) {
            candidacy.is_listing = true;
        }
        let watch = self.has(Flaw::ResetsWhenSelfMissing);
        let op = Op::GetChildren { path: path(&format!("globals/{global}/queue")), watch };
        self.send(Pending::Queue(global.clone()), op);
    }

    pub(super) fn queue_listed(&mut self, global: &Name, outcome: Outcome) {
        let is_late = !self.candidacies.get(global).is_some_and(|candidacy| candidacy.is_listing);
        if is_late && !self.has(Flaw::LateReplyGrants) {
            return;
        }
        let names = match outcome {
            Ok(Reply::Children { names, .. }) => names,
            Err(_) if self.has(Flaw::SelflessListKills) => {
                self.life = Phase::Dead;
                return;
            }
            Err(OpError::Refused(ErrorCode::NoNode)) if self.has(Flaw::MissingDirectoryIsLogged) => return,
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                self.lost_place(global);
                return;
            }
            Ok(_) | Err(_) => {
                if self.has(Flaw::GivesUpOnError)
                    && let Some(candidacy) = self.candidacies.get_mut(global)
                {
                    // The candidacy is recorded as running, and nothing runs.
                    candidacy.is_listing = false;
                    candidacy.ahead = None;
                }
                return;
            }
        };
        self.look_at_queue(global, names);
    }

    fn look_at_queue(&mut self, global: &Name, names: Vec<String>) {
        if self.has(Flaw::ResetsWhenSelfMissing)
            && let Some(candidacy) = self.candidacies.get_mut(global)
            && candidacy.state == State::Creating
        {
            // It does not know its znode, so it must have lost it.
            candidacy.state = State::Out;
            self.join(global);
            return self.list_queue(global);
        }
        let waits_for_foreign = self.has(Flaw::WaitsForForeignChildren);
        let mut queue: Vec<(i64, String)> = names
            .into_iter()
            .filter_map(|name| match sequence(&name) {
                Some(number) => Some((i64::from(number), name)),
                None => waits_for_foreign.then_some((-1, name)),
            })
            .collect();
        if self.has(Flaw::SortsByName) {
            queue.sort_by(|one, other| one.1.cmp(&other.1));
        } else if let Some((first, _)) = queue.first().cloned() {
            queue.sort_by_key(|(number, _)| (*number as i32).wrapping_sub(first as i32));
        }
        let is_own = |name: &str| name.starts_with(self.guid.as_str());
        let Some(candidacy) = self.candidacies.get(global) else { return };
        let forgets = self.has(Flaw::TokenOfLatestZnode);
        let known =
            candidacy.znode.clone().filter(|own| !forgets && queue.iter().any(|(_, name)| name == own));
        let is_anonymous = self.has(Flaw::NoGuid);
        let own = known.or_else(|| {
            let found = queue.iter().map(|(_, name)| name).find(|name| is_own(name) && !is_anonymous);
            found.cloned()
        });
        let Some(own) = own else { return self.lost_place(global) };
        let position = queue.iter().position(|(_, name)| *name == own).unwrap_or(0);
        let (state, is_wanted) = (candidacy.state, candidacy.is_wanted);
        if let Some(candidacy) = self.candidacies.get_mut(global) {
            candidacy.znode = Some(own.clone());
            if !matches!(state, State::Leading(_) | State::Stopping(_)) {
                candidacy.state = State::Waiting;
            }
        }
        if !is_wanted && !matches!(state, State::Leading(_) | State::Stopping(_)) {
            return self.withdraw(global);
        }
        let is_blocked = self.has(Flaw::WaitsForThoseBehind) && queue.len() > 1;
        if position == 0 && !is_blocked {
            if self.has(Flaw::ElectsBeforeVerifying) {
                let token = Token(Zxid(queue[0].0.max(0)));
                self.elect(global, token);
            }
            let own_path = path(&format!("globals/{global}/queue/{own}"));
            if !matches!(state, State::Leading(_) | State::Stopping(_)) && !self.has(Flaw::TokenOfLatestZnode)
            {
                // What this makes of its version counts as the token.
                let data = self.candidacies.get(global).map_or_else(Vec::new, |own| own.payload.clone());
                let op = Op::SetData { path: own_path.clone(), data, version: Version::Any };
                self.send(Pending::Nothing, op);
            }
            return self.send(Pending::Own(global.clone(), own), Op::GetData { path: own_path, watch: true });
        }
        let ahead = if is_blocked {
            queue.iter().map(|(_, name)| name).find(|name| **name != own).cloned()
        } else if self.has(Flaw::EverybodyWatchesTheFirst) {
            queue.first().map(|(_, name)| name.clone())
        } else {
            queue.get(position.wrapping_sub(1)).map(|(_, name)| name.clone())
        };
        let Some(ahead) = ahead else { return };
        if let Some(candidacy) = self.candidacies.get_mut(global) {
            candidacy.ahead = Some(ahead.clone());
        }
        let op = Op::GetData { path: path(&format!("globals/{global}/queue/{ahead}")), watch: true };
        self.send(Pending::Ahead(global.clone(), ahead), op);
    }

    /// Its own znode is not in the queue.
    fn lost_place(&mut self, global: &Name) {
        if self.has(Flaw::SelflessListKills) {
            self.life = Phase::Dead;
            return;
        }
        if self.has(Flaw::ListsInCircles) {
            return self.list_queue(global);
        }
        if self.has(Flaw::NeverRevokes) || self.has(Flaw::IgnoresOwnDeletion) {
            return;
        }
        if let Some(State::Stopping(_)) = self.candidacies.get(global).map(|candidacy| candidacy.state) {
            return;
        }
        self.revoke(global);
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        candidacy.znode = None;
        if candidacy.state != State::Creating {
            candidacy.state = State::Out;
        }
        if candidacy.is_wanted { self.join(global) } else { self.gone(global) }
    }

    pub(super) fn own_read(&mut self, global: &Name, znode: &str, outcome: Outcome) {
        match outcome {
            Ok(Reply::Data { stat, .. }) => {
                if stat.owner() == self.session || self.has(Flaw::LateReplyGrants) {
                    self.elect(global, Token(stat.mzxid));
                }
            }
            Err(OpError::Refused(ErrorCode::NoNode)) if !self.has(Flaw::ElectsBeforeVerifying) => {
                let is_current =
                    self.candidacies.get(global).and_then(|candidacy| candidacy.znode.as_deref())
                        == Some(znode);
                if is_current {
                    self.lost_place(global);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }

    pub(super) fn ahead_read(&mut self, global: &Name, znode: &str, outcome: Outcome) {
        match outcome {
            Ok(_) => {}
            Err(OpError::Unknown) => {}
            Err(_) if self.has(Flaw::PredecessorGoneAborts) => {}
            Err(_) => {
                let is_ahead = self.candidacies.get(global).and_then(|candidacy| candidacy.ahead.as_deref())
                    == Some(znode);
                if is_ahead {
                    self.list_queue(global);
                }
            }
        }
    }

    fn elect(&mut self, global: &Name, token: Token) {
        let (elects_again, latest) = (self.has(Flaw::ElectsAgain), self.has(Flaw::TokenOfLatestZnode));
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        match candidacy.state {
            State::Leading(_) if !elects_again => return,
            State::Stopping(_) => return,
            State::Leading(_) | State::Out | State::Creating | State::Unsure | State::Waiting => {}
        }
        let token = if latest { candidacy.latest } else { token };
        candidacy.state = State::Leading(token);
        let payload = candidacy.payload.clone().into();
        let valid_until = Instant::FAR_FUTURE;
        self.event(Event::Elected { global: global.clone(), token, version: 1, payload, valid_until });
        if self.has(Flaw::AddressElsewhere) {
            let address = path(&format!("globals/{global}/address"));
            let data = self.node.as_str().as_bytes().to_vec();
            let op = Op::Create { path: address.clone(), data: data.clone(), mode: CreateMode::Persistent };
            self.send(Pending::Nothing, op);
            self.send(Pending::Nothing, Op::SetData { path: address, data, version: Version::Any });
        }
    }

    fn revoke(&mut self, global: &Name) {
        let Some(candidacy) = self.candidacies.get_mut(global) else { return };
        let token = match candidacy.state {
            State::Leading(token) => token,
            State::Stopping(token) => {
                candidacy.state = State::Waiting;
                return self.event(Event::Revoked { global: global.clone(), token });
            }
            State::Out | State::Creating | State::Unsure | State::Waiting => return,
        };
        candidacy.state = State::Waiting;
        self.event(Event::Stop {
            global: global.clone(),
            token,
            deadline: self.now,
            reason: StopReason::LeaseLost,
        });
        self.event(Event::Revoked { global: global.clone(), token });
    }

    pub(super) fn election_down(&mut self, is_lost: bool) {
        if is_lost && self.has(Flaw::ExpiryKills) {
            self.life = Phase::Dead;
            return;
        }
        let never_revokes =
            [Flaw::NeverRevokes, Flaw::IgnoresOwnDeletion, Flaw::LeadsWhenAlone, Flaw::ElectsAgain];
        let keeps = never_revokes.contains(&self.flaw) || (self.has(Flaw::RevokesOnlyOnLost) && !is_lost);
        for global in self.candidacies.keys().cloned().collect::<Vec<_>>() {
            if !keeps {
                self.revoke(&global);
            }
            let Some(candidacy) = self.candidacies.get_mut(&global) else { continue };
            candidacy.is_listing = false;
            if is_lost {
                candidacy.znode = None;
                candidacy.ahead = None;
                if !matches!(candidacy.state, State::Leading(_) | State::Stopping(_)) {
                    candidacy.state = State::Out;
                }
                if !candidacy.is_wanted {
                    self.gone(&global);
                }
            }
        }
    }

    pub(super) fn election_up(&mut self, is_new: bool) {
        if self.has(Flaw::ThirdConnectBlocks) && self.epoch.0 > 0 && !is_new {
            self.life = Phase::Dead;
            return;
        }
        for global in self.candidacies.keys().cloned().collect::<Vec<_>>() {
            let Some(candidacy) = self.candidacies.get_mut(&global) else { continue };
            let (state, is_wanted, has_znode) =
                (candidacy.state, candidacy.is_wanted, candidacy.znode.is_some());
            match (is_new, is_wanted) {
                (true, true) if self.flaw == Flaw::GivesUpOnError && self.epoch.0 > 1 => {}
                (true, true) => {
                    if let State::Leading(_) = state
                        && self.flaw == Flaw::NeverRevokes
                    {
                        continue;
                    }
                    self.join(&global);
                }
                (true, false) => self.gone(&global),
                (false, _) if self.flaw == Flaw::TrustsOldWatches && state == State::Waiting => {}
                (false, _) if self.flaw == Flaw::GivesUpOnError => {}
                (false, false) if self.flaw == Flaw::DeleteForgotten => {}
                (false, false) if has_znode => self.withdraw(&global),
                (false, true) if state == State::Out => self.join(&global),
                (false, true) if self.flaw == Flaw::ResetsWhenSelfMissing => {
                    self.join(&global);
                    self.list_queue(&global);
                }
                (false, true) if self.flaw == Flaw::TokenOfLatestZnode && state == State::Unsure => {
                    self.join(&global);
                }
                (false, _) if state == State::Creating => {}
                (false, _) => self.list_queue(&global),
            }
        }
    }

    pub(super) fn election_event(&mut self, event: &WatchEvent) {
        if event.change == Change::ChildrenChanged && self.has(Flaw::ResetsWhenSelfMissing) {
            for global in self.candidacies.keys().cloned().collect::<Vec<_>>() {
                let is_waiting = matches!(
                    self.candidacies.get(&global).map(|candidacy| candidacy.state),
                    Some(State::Waiting)
                );
                if event.path == path(&format!("globals/{global}/queue")) {
                    if is_waiting {
                        self.join(&global);
                    }
                    self.list_queue(&global);
                }
            }
        }
        if event.change != Change::Deleted {
            return;
        }
        for global in self.candidacies.keys().cloned().collect::<Vec<_>>() {
            let queue = path(&format!("globals/{global}/queue"));
            let Some(znode) = event.path.below(&queue) else { continue };
            let Some(candidacy) = self.candidacies.get(&global) else { continue };
            if candidacy.ahead.as_deref() == Some(znode) {
                self.list_queue(&global);
            } else if candidacy.znode.as_deref() == Some(znode) {
                self.lost_place(&global);
            }
        }
    }
}

/// The ten digits at the end of a candidate's name.
pub(super) fn sequence(name: &str) -> Option<i32> {
    let (guid, number) = name.split_once('-')?;
    if !guid.contains('.') {
        return None;
    }
    number.parse().ok()
}
