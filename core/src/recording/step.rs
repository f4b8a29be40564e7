//! Everything that can be done to a coordinator, as data.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::coordinator::Coordinator;
use crate::error::Misuse;
use crate::ids::RegistrationId;
use crate::input::Input;
use crate::output::{Directory, Terms};
use crate::path::Name;
use crate::time::Instant;

/// One call of a [`Coordinator`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// [`Coordinator::handle_input`].
    Input(Input),
    /// [`Coordinator::handle_timeout`].
    Timeout,
    /// [`Coordinator::register`].
    Register {
        /// Where.
        directory: Directory,
        /// As what.
        instance: Name,
        /// With what.
        payload: Vec<u8>,
    },
    /// [`Coordinator::update`].
    Update {
        /// Which registration.
        id: RegistrationId,
        /// With what.
        payload: Vec<u8>,
    },
    /// [`Coordinator::unregister`].
    Unregister(RegistrationId),
    /// [`Coordinator::subscribe`].
    Subscribe(Directory),
    /// [`Coordinator::touch`].
    Touch(Directory),
    /// [`Coordinator::unsubscribe`].
    Unsubscribe(Directory),
    /// [`Coordinator::campaign`].
    Campaign {
        /// For which global.
        global: Name,
        /// With what.
        payload: Vec<u8>,
        /// For how long.
        terms: Terms,
    },
    /// [`Coordinator::resign`].
    Resign(Name),
    /// [`Coordinator::look_up`].
    LookUp(Name),
    /// [`Coordinator::touch_global`].
    TouchGlobal(Name),
    /// [`Coordinator::forget`].
    Forget(Name),
    /// [`Coordinator::close`].
    Close,
}

impl Coordinator {
    /// Makes one call that is given as data. Returns the id of what was registered, if that was it.
    ///
    /// # Errors
    /// Those of the call.
    pub fn take(&mut self, now: Instant, step: Step) -> Result<Option<RegistrationId>, Misuse> {
        match step {
            Step::Input(input) => self.handle_input(now, input),
            Step::Timeout => self.handle_timeout(now),
            Step::Register { directory, instance, payload } => {
                return self.register(now, directory, instance, payload).map(Some);
            }
            Step::Update { id, payload } => self.update(now, id, payload)?,
            Step::Unregister(id) => self.unregister(now, id)?,
            Step::Subscribe(directory) => self.subscribe(now, directory)?,
            Step::Touch(directory) => self.touch(now, &directory),
            Step::Unsubscribe(directory) => self.unsubscribe(now, &directory),
            Step::Campaign { global, payload, terms } => self.campaign(now, global, payload, terms)?,
            Step::Resign(global) => self.resign(now, &global)?,
            Step::LookUp(global) => self.look_up(now, global)?,
            Step::TouchGlobal(global) => self.touch_global(now, &global),
            Step::Forget(global) => self.forget(now, &global),
            Step::Close => self.close(now),
        }
        Ok(None)
    }
}
