//! The one machine that drivers drive.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::Config;
use crate::error::{InvalidConfig, Misuse};
use crate::ids::RegistrationId;
use crate::input::Input;
use crate::output::{Directory, Freshness, Holder, Instance, Output, Terms, Timer};
use crate::path::Name;
use crate::time::Instant;

/// SKELETON: the API is final in shape, the bodies are being written.
#[derive(Debug)]
pub struct Coordinator {
    config: Config,
}

#[allow(clippy::todo, unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Coordinator {
    /// # Errors
    /// When the configuration cannot be safe.
    pub fn new(config: Config, now: Instant) -> Result<Self, InvalidConfig> { config.check()?; Ok(Self { config }) }
    pub fn config(&self) -> &Config { &self.config }

    // inputs
    pub fn handle_input(&mut self, now: Instant, input: Input) { todo!() }
    pub fn handle_timeout(&mut self, now: Instant) { todo!() }

    // commands
    /// Register an instance; an ephemeral znode stands for it in every session until `unregister`.
    pub fn register(&mut self, now: Instant, directory: Directory, instance: Name, payload: Vec<u8>) -> Result<RegistrationId, Misuse> { todo!() }
    /// Replace the payload (same instance; empty <-> non-empty is allowed too).
    pub fn update(&mut self, now: Instant, id: RegistrationId, payload: Vec<u8>) -> Result<(), Misuse> { todo!() }
    pub fn unregister(&mut self, now: Instant, id: RegistrationId) -> Result<(), Misuse> { todo!() }
    /// Start (or keep) a cache of the directory; idempotent. It is dropped by `unsubscribe`, or `cache_idle` after the
    /// last `subscribe`/`touch`: then `Event::Directory { freshness: Unknown, .. }` is the last word on it.
    pub fn subscribe(&mut self, now: Instant, directory: Directory) -> Result<(), Misuse> { todo!() }
    /// Tell that a cached directory was used since the last call; the driver calls it before `handle_timeout` when the timer is `Idle`.
    pub fn touch(&mut self, now: Instant, directory: &Directory) { todo!() }
    pub fn unsubscribe(&mut self, now: Instant, directory: &Directory) { todo!() }
    /// Stand for a global. Again: replaces payload and terms, for the next term (a claim under way keeps its own).
    pub fn campaign(&mut self, now: Instant, global: Name, payload: Vec<u8>, terms: Terms) -> Result<(), Misuse> { todo!() }
    /// End the candidacy; a term is stopped and released. `Event::Withdrawn` follows when nothing is left behind.
    pub fn resign(&mut self, now: Instant, global: &Name) -> Result<(), Misuse> { todo!() }
    /// Follow the holder of a global (Event::Holder); idempotent; dropped when unused like a directory (`touch_global`).
    pub fn look_up(&mut self, now: Instant, global: Name) -> Result<(), Misuse> { todo!() }
    pub fn touch_global(&mut self, now: Instant, global: &Name) { todo!() }
    pub fn forget(&mut self, now: Instant, global: &Name) { todo!() }
    /// Stop all terms, delete all registrations and candidates, then `Event::Closed`, at the latest after `close_timeout`.
    pub fn close(&mut self, now: Instant) { todo!() }

    // outputs
    pub fn poll_output(&mut self) -> Option<Output> { todo!() }
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> { todo!() }

    // views
    pub fn directory(&self, directory: &Directory) -> Option<(Freshness, Vec<Instance>)> { todo!() }
    pub fn holder(&self, global: &Name) -> Option<Holder> { todo!() }
    /// Panics when the machine contradicts itself.
    pub fn check_invariants(&self) { todo!() }
    #[doc(hidden)]
    pub fn _unused(&self) -> Option<Arc<[u8]>> { None }
}
