//! All deadlines, in one ordered index.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use crate::ids::RegistrationId;
use crate::output::Timer;
use crate::path::{Name, Path};
use crate::time::Instant;

/// What a deadline belongs to. Each has at most one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) enum Key {
    /// The end of the belief of all terms.
    Belief,
    /// The next beat.
    Beat,
    /// A new lease record.
    Lease,
    /// A global.
    Global(Name),
    /// A lease record of another node.
    Record(Arc<str>),
    /// A registration.
    Registration(RegistrationId),
    /// A cache, by the path of its directory.
    Cache(Path),
    /// A cache's idleness.
    Idle(Path),
    /// A looked-up global's idleness.
    IdleGlobal(Name),
    /// The sweep of dead records.
    Janitor,
    /// When to stand for the janitor's office.
    Office,
    /// The end of closing.
    Close,
}

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Timers {
    by_key: BTreeMap<Key, Instant>,
    #[cfg_attr(feature = "check", serde(skip))]
    by_time: BTreeSet<(Instant, Key)>,
}

impl Timers {
    /// Sets, moves or (with `None`) clears the deadline of `key`.
    pub(crate) fn set(&mut self, key: Key, at: Option<Instant>) {
        let old = match at {
            Some(at) if self.by_key.get(&key) == Some(&at) => return,
            Some(at) => self.by_key.insert(key.clone(), at),
            None => self.by_key.remove(&key),
        };
        if let Some(old) = old {
            let was_there = self.by_time.remove(&(old, key.clone()));
            debug_assert!(was_there, "the two indices tell different stories about {key:?}");
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        self.by_time.first().map(|(at, key)| (*at, key.timer()))
    }

    /// Takes out the earliest deadline that is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    pub(crate) fn is_set(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    pub(crate) fn clear(&mut self) {
        self.by_key.clear();
        self.by_time.clear();
    }

    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.by_key.len(), self.by_time.len(), "the two indices of the timers differ");
        self.by_key.len()
    }
}

impl Key {
    fn timer(&self) -> Timer {
        match self {
            Self::Belief => Timer::Belief,
            Self::Beat => Timer::Beat,
            Self::Lease | Self::Registration(_) | Self::Cache(_) | Self::Record(_) => Timer::Retry,
            Self::Global(_) => Timer::Election,
            Self::Idle(_) | Self::IdleGlobal(_) => Timer::Idle,
            Self::Janitor | Self::Office => Timer::Janitor,
            Self::Close => Timer::Close,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Deed {
        Set(u64, Option<u64>),
        PopDue(u64),
        Clear,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            6 => (0..5_u64, prop::option::weighted(0.8, 0..8_u64)).prop_map(|(key, at)| Deed::Set(key, at)),
            3 => (0..8_u64).prop_map(Deed::PopDue),
            1 => Just(Deed::Clear),
        ]
    }

    fn key(number: u64) -> Key {
        Key::Registration(RegistrationId(number))
    }

    proptest! {
        /// One deadline a key, the earliest first, those of one time in the order of their keys, none before its time.
        #[test]
        fn an_index_is_as_good_as_a_list(deeds in prop::collection::vec(deed(), 0..60)) {
            let (mut timers, mut list) = (Timers::default(), Vec::<(Instant, Key)>::new());
            for deed in deeds {
                match deed {
                    Deed::Set(number, at) => {
                        let at = at.map(Instant::from_nanos);
                        timers.set(key(number), at);
                        list.retain(|(_, other)| *other != key(number));
                        list.extend(at.map(|at| (at, key(number))));
                    }
                    Deed::PopDue(now) => {
                        let now = Instant::from_nanos(now);
                        let due = list.iter().filter(|(at, _)| *at <= now).min().cloned();
                        list.retain(|entry| Some(entry) != due.as_ref());
                        prop_assert_eq!(timers.pop_due(now), due.map(|(_, key)| key));
                    }
                    Deed::Clear => {
                        timers.clear();
                        list.clear();
                    }
                }
                prop_assert_eq!(timers.len(), list.len());
                prop_assert_eq!(timers.next().map(|(at, _)| at), list.iter().map(|(at, _)| *at).min());
                for number in 0..5 {
                    let is_set = list.iter().any(|(_, other)| *other == key(number));
                    prop_assert_eq!(timers.is_set(&key(number)), is_set);
                }
            }
        }
    }
}
