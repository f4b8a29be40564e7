//! What callers ask for.

use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::mem;

use super::{Coordinator, Phase, REGISTRATIONS_MAX};
use crate::cache::Cache;
use crate::config::PAYLOAD_LEN_MAX;
use crate::error::Misuse;
use crate::ids::RegistrationId;
use crate::layout::{PAYLOAD_MARK, Znode};
use crate::output::{Directory, Event, Holder, Terms};
use crate::path::Name;
use crate::registration::Registration;
use crate::time::Instant;
use crate::timers::Key;

/// Globals that begin like this are the library's own.
const RESERVED_PREFIX: &str = "queenright:";

impl Coordinator {
    /// Registers an instance: an ephemeral znode stands for it in this session and in every later one, until
    /// [`unregister`](Self::unregister). Its status follows as events.
    ///
    /// An instance that is registered with an empty payload has none for good: its name says so, and readers
    /// need not read it.
    ///
    /// # Errors
    /// [`Misuse`] when this node registered it before, when the name or the payload cannot be stored, or after
    /// [`close`](Self::close).
    pub fn register(
        &mut self,
        now: Instant,
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
    ) -> Result<RegistrationId, Misuse> {
        self.check_running()?;
        check_payload(&payload)?;
        if instance.as_str().ends_with(PAYLOAD_MARK) {
            return Err(Misuse::ReservedName { instance });
        }
        let is_registered = [true, false].into_iter().any(|has_payload| {
            let znode = Znode { name: instance.clone(), has_payload };
            self.registered_paths.contains_key(&self.out.layout.instance(&directory, &znode))
        });
        if is_registered {
            return Err(Misuse::AlreadyRegistered { directory, instance });
        }
        if self.registrations.len() >= REGISTRATIONS_MAX {
            return Err(Misuse::TooManyRegistrations { max: REGISTRATIONS_MAX });
        }
        self.begin(now);
        self.registrations_made += 1;
        let id = RegistrationId(self.registrations_made);
        let registration = Registration::new(id, &directory, instance, payload, &mut self.out);
        self.registered_paths.insert(registration.path().clone(), id);
        self.registrations.insert(id, registration);
        self.finish();
        Ok(id)
    }

    /// Replaces an instance's payload, in this session and in every later one.
    ///
    /// # Errors
    /// [`Misuse`] when there is no such registration, when it was made without a payload, or when the payload is
    /// too large.
    pub fn update(&mut self, now: Instant, id: RegistrationId, payload: Vec<u8>) -> Result<(), Misuse> {
        self.check_running()?;
        check_payload(&payload)?;
        let registration = self.registrations.get(&id).filter(|registration| registration.is_wanted());
        let registration = registration.ok_or(Misuse::NotRegistered)?;
        if !registration.has_payload() && !payload.is_empty() {
            return Err(Misuse::NoPayload { instance: registration.instance().clone() });
        }
        self.begin(now);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.update(payload, &mut self.out);
        }
        self.finish();
        Ok(())
    }

    /// Withdraws an instance, finally. [`RegistrationStatus::Gone`](crate::output::RegistrationStatus::Gone)
    /// follows when its znode is known to be gone, or its session to be over.
    ///
    /// # Errors
    /// [`Misuse::NotRegistered`] when there is no such registration, or it was withdrawn before.
    pub fn unregister(&mut self, now: Instant, id: RegistrationId) -> Result<(), Misuse> {
        if !self.registrations.get(&id).is_some_and(Registration::is_wanted) {
            return Err(Misuse::NotRegistered);
        }
        self.begin(now);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.unregister(&mut self.out);
        }
        self.finish();
        Ok(())
    }

    /// Caches a directory from now on; again: keeps it. It is dropped by [`unsubscribe`](Self::unsubscribe), and
    /// when nobody used it for [`Config::cache_idle`](crate::Config::cache_idle); [`Freshness::Unknown`](crate::Freshness::Unknown) is then the last word on it.
    ///
    /// # Errors
    /// [`Misuse::Closing`] after [`close`](Self::close).
    pub fn subscribe(&mut self, now: Instant, directory: Directory) -> Result<(), Misuse> {
        self.check_running()?;
        self.begin(now);
        match self.caches.entry(self.out.layout.directory(&directory)) {
            Entry::Occupied(cache) => {
                // Somebody new listens: the present level is told again.
                let (freshness, changes) = (cache.get().freshness(), Vec::new());
                self.out.event(Event::Directory { directory, freshness, changes });
                cache.get().touch(self.out.now, &mut self.out);
            }
            Entry::Vacant(place) => {
                place.insert(Cache::new(directory, &mut self.out));
            }
        }
        self.finish();
        Ok(())
    }

    /// Tells that a directory was used since the last call, so that it is not dropped as idle.
    ///
    /// Drivers answer lookups from their own snapshots; they call this before
    /// [`handle_timeout`](Self::handle_timeout) when the timer is [`Timer::Idle`](crate::Timer::Idle).
    pub fn touch(&mut self, now: Instant, directory: &Directory) {
        // Not through `begin`: the deadline that is due must not be applied before this.
        if let Some(cache) = self.caches.get(&self.out.layout.directory(directory)) {
            cache.touch(now.max(self.out.now), &mut self.out);
        }
    }

    /// Drops the cache of a directory, and its watch.
    pub fn unsubscribe(&mut self, now: Instant, directory: &Directory) {
        self.begin(now);
        self.drop_cache(&self.out.layout.directory(directory));
        self.finish();
    }

    /// Stands for a global. [`Event::Elected`] follows when this node leads it, perhaps never.
    ///
    /// Again: `payload` and `terms` are for the next term; a claim that is under way keeps its own.
    ///
    /// # Errors
    /// [`Misuse`] for a reserved name, a payload that is too large, or after [`close`](Self::close).
    pub fn campaign(
        &mut self,
        now: Instant,
        global: Name,
        payload: Vec<u8>,
        terms: Terms,
    ) -> Result<(), Misuse> {
        self.check_running()?;
        check_payload(&payload)?;
        check_global(&global)?;
        self.begin(now);
        self.lease.want(&mut self.out);
        let standing = self.standing();
        self.election.campaign(global, payload, terms, &standing, &mut self.out);
        self.finish();
        Ok(())
    }

    /// Ends a candidacy. If this node leads, [`Event::Stop`] comes at once and the global is released when the
    /// host says that the application stopped, or when the deadline has passed. [`Event::Withdrawn`] follows
    /// when nothing is left.
    ///
    /// # Errors
    /// [`Misuse::NotCandidate`] when this node does not stand for it.
    pub fn resign(&mut self, now: Instant, global: &Name) -> Result<(), Misuse> {
        self.begin(now);
        let standing = self.standing();
        let was_candidate = self.election.resign(global, &standing, &mut self.out);
        self.finish();
        if was_candidate { Ok(()) } else { Err(Misuse::NotCandidate { global: global.clone() }) }
    }

    /// Follows the holder of a global, whether this node stands for it or not; again: keeps it. The answers are
    /// [`Event::Holder`]. It is dropped like a directory's cache.
    ///
    /// # Errors
    /// [`Misuse`] for a reserved name, or after [`close`](Self::close).
    pub fn look_up(&mut self, now: Instant, global: Name) -> Result<(), Misuse> {
        self.check_running()?;
        check_global(&global)?;
        self.begin(now);
        let standing = self.standing();
        self.election.look_up(&global, &standing, &mut self.out);
        let holder = self.election.holder(&global, &standing, &self.out).unwrap_or(Holder::Unknown);
        self.out.event(Event::Holder { global, holder });
        self.finish();
        Ok(())
    }

    /// Like [`touch`](Self::touch), for a global that is looked up.
    pub fn touch_global(&mut self, now: Instant, global: &Name) {
        self.election.touch(global, now.max(self.out.now), &mut self.out);
    }

    /// Gives up what [`look_up`](Self::look_up) began; [`Holder::Unknown`] is the last word.
    pub fn forget(&mut self, now: Instant, global: &Name) {
        self.begin(now);
        let standing = self.standing();
        self.election.forget(global, &standing, &mut self.out);
        self.finish();
    }

    /// Stops all terms, withdraws all registrations and candidacies, and then gives [`Event::Closed`], at the
    /// latest after [`Config::close_timeout`](crate::Config::close_timeout). Nothing comes after it.
    pub fn close(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        self.begin(now);
        self.phase = Phase::Closing;
        let close_at = self.out.now.after(self.out.config.close_timeout);
        self.out.set_timer(Key::Close, Some(close_at));
        for (path, cache) in mem::take(&mut self.caches) {
            // What else relies on the watch is withdrawn now.
            self.out.unwatch_recursively(&path);
            cache.end(&mut self.out);
        }
        for registration in self.registrations.values_mut().filter(|registration| registration.is_wanted()) {
            registration.unregister(&mut self.out);
        }
        let standing = self.standing();
        self.election.resign_all(&standing, &mut self.out);
        self.finish();
    }

    fn check_running(&self) -> Result<(), Misuse> {
        if self.phase == Phase::Running { Ok(()) } else { Err(Misuse::Closing) }
    }
}

fn check_payload(payload: &[u8]) -> Result<(), Misuse> {
    if payload.len() > PAYLOAD_LEN_MAX {
        return Err(Misuse::PayloadTooLarge { len: payload.len(), max: PAYLOAD_LEN_MAX });
    }
    Ok(())
}

fn check_global(global: &Name) -> Result<(), Misuse> {
    if global.as_str().starts_with(RESERVED_PREFIX) {
        return Err(Misuse::ReservedGlobal { global: global.clone() });
    }
    Ok(())
}
