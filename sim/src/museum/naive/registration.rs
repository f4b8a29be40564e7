//! A registration by an ephemeral.

use queenright_core::op::{
    Change, CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Stat, Version, WatchEvent, WatchKind,
};
use queenright_core::output::RegistrationStatus;
use queenright_core::{Directory, Event, Name, Path, RegistrationId};

use super::{Alarm, Flaw, Naive, PAUSE, Pending, is_unknown, path, pending};

#[derive(Debug)]
pub(super) struct Registration {
    path: Path,
    first_payload: Vec<u8>,
    payload: Vec<u8>,
    is_wanted: bool,
    /// Whether a session of this node may own it.
    is_there: bool,
    is_acknowledged: bool,
    made_parents: bool,
    growth: u32,
}

impl Naive {
    pub(super) fn register(
        &mut self,
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
    ) -> RegistrationId {
        self.registrations_made += 1;
        let id = RegistrationId(self.registrations_made);
        let mark = if payload.is_empty() { "" } else { "+" };
        let registration = Registration {
            path: path(&format!("{directory}/{instance}{mark}")),
            first_payload: payload.clone(),
            payload,
            is_wanted: true,
            is_there: false,
            is_acknowledged: false,
            made_parents: false,
            growth: 0,
        };
        self.registrations.insert(id, registration);
        self.status(id, pending());
        self.create(id);
        id
    }

    pub(super) fn update(&mut self, id: RegistrationId, payload: Vec<u8>) {
        let Some(registration) = self.registrations.get_mut(&id) else { return };
        registration.payload.clone_from(&payload);
        let path = registration.path.clone();
        if self.is_up() {
            self.send(Pending::Set(id), Op::SetData { path, data: payload, version: Version::Any });
        }
    }

    pub(super) fn unregister(&mut self, id: RegistrationId) {
        let Some(registration) = self.registrations.get_mut(&id) else { return };
        registration.is_wanted = false;
        let (is_there, path) = (registration.is_there, registration.path.clone());
        let is_ignored = !registration.is_acknowledged && self.flaw == Flaw::CloseIgnoresCreation;
        let is_up = self.is_up();
        if is_ignored || self.has(Flaw::UnregisterIgnored) || (!is_there && !is_up) {
            self.over(id);
        } else if is_up {
            self.send(Pending::Delete(id), Op::Delete { path, version: Version::Any });
        } else if self.has(Flaw::DeleteForgotten) {
            self.over(id);
        }
    }

    /// The watches on this node's own znodes in a directory go with that on the directory.
    pub(super) fn drop_own_watches(&mut self, directory: &Directory) {
        let root = path(&directory.to_string());
        let own: Vec<Path> = self.registrations.values().map(|own| own.path.clone()).collect();
        for path in own.into_iter().filter(|path| path.below(&root).is_some()) {
            self.send(Pending::Nothing, Op::RemoveWatch { path, kind: WatchKind::Data });
        }
    }

    fn over(&mut self, id: RegistrationId) {
        self.registrations.remove(&id);
        self.status(id, RegistrationStatus::Gone);
    }

    fn status(&mut self, id: RegistrationId, status: RegistrationStatus) {
        self.event(Event::Registration { id, status });
    }

    fn create(&mut self, id: RegistrationId) {
        let is_up = self.is_up();
        let first_for_ever = self.has(Flaw::FirstPayloadForEver);
        let grows = self.has(Flaw::NameGrows);
        let Some(registration) = self.registrations.get_mut(&id) else { return };
        if !is_up || !registration.is_wanted {
            return;
        }
        let data = if first_for_ever { &registration.first_payload } else { &registration.payload }.clone();
        if grows && registration.growth > 0 {
            registration.path = Path::new(format!("{}x", registration.path)).unwrap_or_else(|_| Path::root());
        }
        registration.growth += 1;
        registration.is_there = true;
        let path = registration.path.clone();
        if !registration.made_parents {
            registration.made_parents = true;
            if self.has(Flaw::ParentsFirst) {
                return self.make_parents_for(&path, &Pending::Parent(id));
            }
            self.make_parents(&path);
        }
        self.send(Pending::Create(id), Op::Create { path, data, mode: CreateMode::Ephemeral });
    }

    fn read(&mut self, id: RegistrationId) {
        let Some(registration) = self.registrations.get(&id) else { return };
        let path = registration.path.clone();
        let watch = !self.has(Flaw::NotWatched);
        if self.is_up() {
            self.send(Pending::Read(id), Op::GetData { path, watch });
        }
    }

    pub(super) fn registration_created(&mut self, id: RegistrationId, outcome: Outcome) {
        let makes_parents_once = self.has(Flaw::ParentsOnce);
        let Some(registration) = self.registrations.get_mut(&id) else { return };
        match outcome {
            Ok(Reply::Created { stat, .. }) => {
                registration.is_acknowledged = true;
                if !registration.is_wanted {
                    return self.unregister(id);
                }
                self.status(id, RegistrationStatus::Registered { czxid: stat.czxid });
                self.read(id);
            }
            Err(OpError::Refused(ErrorCode::NodeExists)) => {
                if self.has(Flaw::NodeExistsIsFailure) {
                    self.status(id, RegistrationStatus::Blocked { code: ErrorCode::NodeExists });
                } else {
                    self.read(id);
                }
            }
            Err(OpError::Refused(ErrorCode::NoNode)) => {
                if !makes_parents_once {
                    registration.made_parents = false;
                    self.wake_in(PAUSE, Alarm::Registration(id));
                }
            }
            Err(OpError::Unknown) => {
                if self.has(Flaw::UnknownIsFailure) {
                    self.status(id, RegistrationStatus::Blocked { code: ErrorCode::Throttled });
                }
            }
            Ok(_) | Err(_) => {
                registration.is_there = false;
                let pause = if self.has(Flaw::RetriesAtOnce) { PAUSE / 1000 } else { PAUSE };
                self.wake_in(pause, Alarm::Registration(id));
            }
        }
    }

    /// Its creation waits for that of its parents, which may not be its to make.
    pub(super) fn parent_made(&mut self, id: RegistrationId, outcome: &Outcome) {
        match outcome {
            Ok(_) | Err(OpError::Refused(ErrorCode::NodeExists)) => self.create(id),
            Err(_) => self.status(id, RegistrationStatus::Blocked { code: ErrorCode::NoAuth }),
        }
    }

    pub(super) fn register_again(&mut self, id: RegistrationId) {
        self.create(id);
    }

    pub(super) fn registration_read(&mut self, id: RegistrationId, outcome: Outcome) {
        let Some(registration) = self.registrations.get(&id) else { return };
        let (is_wanted, payload) = (registration.is_wanted, registration.payload.clone());
        match outcome {
            Ok(Reply::Data { data, stat }) => {
                let is_ours = self.is_ours(&stat);
                if !is_wanted {
                    if is_ours || self.has(Flaw::DeletesByPath) {
                        self.unregister(id);
                    } else {
                        self.over(id);
                    }
                } else if !is_ours {
                    self.status(id, RegistrationStatus::Occupied { owner: stat.owner() });
                } else if data != payload && !self.has(Flaw::FirstPayloadForEver) {
                    self.update(id, payload);
                } else {
                    self.status(id, RegistrationStatus::Registered { czxid: stat.czxid });
                }
            }
            Err(OpError::Refused(ErrorCode::NoNode)) if is_wanted => self.create(id),
            Err(OpError::Refused(ErrorCode::NoNode)) => self.over(id),
            Ok(_) | Err(_) => {}
        }
    }

    fn is_ours(&self, stat: &Stat) -> bool {
        self.has(Flaw::NodeExistsIsFine) || (stat.owner().is_some() && stat.owner() == self.session)
    }

    pub(super) fn registration_set(&mut self, id: RegistrationId, outcome: Outcome) {
        if outcome.is_ok() {
            self.read(id);
        }
    }

    pub(super) fn registration_deleted(&mut self, id: RegistrationId, outcome: Outcome) {
        if is_unknown(&outcome) && !self.has(Flaw::DeleteForgotten) {
            return;
        }
        if self.registrations.get(&id).is_some_and(|registration| !registration.is_wanted) {
            self.over(id);
        }
    }

    pub(super) fn registrations_lost(&mut self) {
        if self.has(Flaw::DeletesByPath) {
            // What is left of the session is cleaned up when there is a connection again.
            return;
        }
        for id in self.registrations.keys().copied().collect::<Vec<_>>() {
            let Some(registration) = self.registrations.get_mut(&id) else { continue };
            registration.is_there = false;
            if registration.is_wanted {
                self.status(id, pending());
            } else {
                self.over(id);
            }
        }
    }

    pub(super) fn registrations_up(&mut self, is_new: bool) {
        for (number, id) in self.registrations.keys().copied().collect::<Vec<_>>().into_iter().enumerate() {
            let Some(registration) = self.registrations.get(&id) else { continue };
            let (is_wanted, path) = (registration.is_wanted, registration.path.clone());
            match (is_new, is_wanted) {
                (true, true)
                    if number > 0 && self.epoch.0 > 1 && self.has(Flaw::OnlyFirstRegisteredAgain) => {}
                (true, true) => self.create(id),
                (true, false) if self.has(Flaw::DeletesByPath) => self.unregister(id),
                (true, false) => self.over(id),
                (false, true) if self.has(Flaw::DeletesAndRecreates) => {
                    self.send(Pending::Nothing, Op::Delete { path, version: Version::Any });
                    self.create(id);
                }
                (false, true) if self.has(Flaw::NodeExistsIsFailure) => self.create(id),
                (false, true) if self.has(Flaw::UnknownIsFailure) => {}
                (false, false) if self.has(Flaw::DeleteForgotten) => {}
                (false, _) => self.read(id),
            }
        }
    }

    pub(super) fn registration_event(&mut self, event: &WatchEvent) {
        let mut registrations = self.registrations.iter();
        let found = registrations.find(|(_, registration)| registration.path == event.path);
        let Some((id, _)) = found else { return };
        let id = *id;
        match event.change {
            Change::Deleted | Change::DataChanged => self.read(id),
            Change::Created | Change::ChildrenChanged => {}
        }
    }
}
