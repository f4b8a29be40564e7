//! What runs on a node.

use std::fmt;

use queenright_core::output::Instance;
use queenright_core::{
    Coordinator, Directory, Freshness, Holder, Input, Instant, Misuse, Name, Output, RegistrationId, Terms,
};

/// What an application asks of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// See [`Coordinator::register`].
    Register {
        /// Where.
        directory: Directory,
        /// Which.
        instance: Name,
        /// With what.
        payload: Vec<u8>,
    },
    /// See [`Coordinator::update`].
    Update {
        /// Which.
        id: RegistrationId,
        /// With what.
        payload: Vec<u8>,
    },
    /// See [`Coordinator::unregister`].
    Unregister {
        /// Which.
        id: RegistrationId,
    },
    /// See [`Coordinator::subscribe`].
    Subscribe(Directory),
    /// See [`Coordinator::unsubscribe`].
    Unsubscribe(Directory),
    /// See [`Coordinator::campaign`].
    Campaign {
        /// For which.
        global: Name,
        /// What its term record is to carry.
        payload: Vec<u8>,
        /// For how long.
        terms: Terms,
    },
    /// See [`Coordinator::resign`].
    Resign(Name),
    /// See [`Coordinator::look_up`].
    LookUp(Name),
    /// See [`Coordinator::forget`].
    Forget(Name),
    /// See [`Coordinator::close`].
    Close,
}

/// The coordinator's contract, so that a scenario can be played to others, too.
pub trait Machine: fmt::Debug {
    /// See [`Coordinator::handle_input`].
    fn handle_input(&mut self, now: Instant, input: Input);

    /// See [`Coordinator::handle_timeout`].
    fn handle_timeout(&mut self, now: Instant);

    /// See [`Coordinator::poll_output`].
    fn poll_output(&mut self) -> Option<Output>;

    /// See [`Coordinator::poll_timeout`].
    fn poll_timeout(&self) -> Option<Instant>;

    /// A call of the application. A registration gives its name.
    ///
    /// # Errors
    /// Misuse by the caller.
    fn call(&mut self, now: Instant, call: Call) -> Result<Option<RegistrationId>, Misuse>;

    /// See [`Coordinator::directory`].
    fn directory(&self, directory: &Directory) -> Option<(Freshness, Vec<Instance>)>;

    /// Whether its terms come with a token that rises, and a record whose version can be checked.
    fn has_tokens(&self) -> bool {
        true
    }

    /// See [`Coordinator::holder`].
    fn holder(&self, global: &Name) -> Option<Holder>;

    /// # Panics
    /// When the machine contradicts itself.
    fn check_invariants(&self) {}
}

impl Machine for Coordinator {
    fn handle_input(&mut self, now: Instant, input: Input) {
        Self::handle_input(self, now, input);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self).map(|(at, _)| at)
    }

    fn call(&mut self, now: Instant, call: Call) -> Result<Option<RegistrationId>, Misuse> {
        match call {
            Call::Register { directory, instance, payload } => {
                return self.register(now, directory, instance, payload).map(Some);
            }
            Call::Update { id, payload } => self.update(now, id, payload)?,
            Call::Unregister { id } => self.unregister(now, id)?,
            Call::Subscribe(directory) => self.subscribe(now, directory)?,
            Call::Unsubscribe(directory) => self.unsubscribe(now, &directory),
            Call::Campaign { global, payload, terms } => self.campaign(now, global, payload, terms)?,
            Call::Resign(global) => self.resign(now, &global)?,
            Call::LookUp(global) => self.look_up(now, global)?,
            Call::Forget(global) => self.forget(now, &global),
            Call::Close => self.close(now),
        }
        Ok(None)
    }

    fn directory(&self, directory: &Directory) -> Option<(Freshness, Vec<Instance>)> {
        Self::directory(self, directory)
    }

    fn holder(&self, global: &Name) -> Option<Holder> {
        Self::holder(self, global)
    }

    fn check_invariants(&self) {
        Self::check_invariants(self);
    }
}
