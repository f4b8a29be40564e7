//! A value that the driver publishes and anybody reads without asking it.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

/// One published value: reading it costs no lock, and following it no queue.
pub(crate) struct Published<T> {
    value: ArcSwap<T>,
    /// Whether it was read since the driver last asked.
    used: AtomicBool,
    life: watch::Sender<Life>,
}

/// What followers wait on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The value changes.
    Current,
    /// It will not change any more.
    Over,
}

impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: ArcSwap::from_pointee(value),
            used: AtomicBool::new(false),
            life: watch::Sender::new(Life::Current),
        }
    }

    /// The value now; counts as use.
    pub(crate) fn load(&self) -> Arc<T> {
        // A store would move the cache line between readers; it is needed once between two idle checks.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.value.load_full()
    }

    pub(crate) fn publish(&self, value: T) {
        self.value.store(Arc::new(value));
        self.life.send_replace(Life::Current);
    }

    /// A last value; followers end after it.
    pub(crate) fn finish(&self, value: T) {
        self.value.store(Arc::new(value));
        self.life.send_replace(Life::Over);
    }

    /// Wakes at each change from now on; while it exists the value counts as used.
    pub(crate) fn follow(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Whether it was used since the last call.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed) || self.life.receiver_count() > 0
    }
}

/// Published values by key. The driver alone changes it, by replacing the whole map: lookups are frequent and new
/// keys are rare. Keys are what this program itself looks up, so a quick hash will do.
pub(crate) struct PublishedMap<K, T>(ArcSwap<FxHashMap<K, Arc<Published<T>>>>);

impl<K: Hash + Eq + Clone, T> PublishedMap<K, T> {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(FxHashMap::default()))
    }

    /// The value of `key` now; counts as use.
    pub(crate) fn load<Q>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // No reference is counted but the one to the value.
        self.0.load().get(key).map(|published| published.load())
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<Arc<Published<T>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.load().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: Arc<Published<T>>) {
        let mut map = FxHashMap::clone(&self.0.load());
        map.insert(key, value);
        self.0.store(Arc::new(map));
    }

    pub(crate) fn remove(&self, key: &K) -> Option<Arc<Published<T>>> {
        let mut map = FxHashMap::clone(&self.0.load());
        let removed = map.remove(key);
        self.0.store(Arc::new(map));
        removed
    }

    /// In the order of the keys, so that nothing depends on how they hash.
    pub(crate) fn entries(&self) -> Vec<(K, Arc<Published<T>>)>
    where
        K: Ord,
    {
        let map = self.0.load();
        let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), Arc::clone(value))).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_told_once_and_following_is_use() {
        let published = Published::new(1);
        assert!(!published.take_used(), "new is not used");
        published.load();
        assert!(published.take_used());
        assert!(!published.take_used());
        let follower = published.follow();
        assert!(published.take_used() && published.take_used());
        drop(follower);
        assert!(!published.take_used());
    }

    #[test]
    fn a_map_gives_its_entries_in_order() {
        let map = PublishedMap::<String, u32>::new();
        for key in ["c", "a", "b"] {
            map.insert(key.into(), Arc::new(Published::new(0)));
        }
        assert!(map.get("a").is_some());
        assert!(map.remove(&"a".to_owned()).is_some());
        assert!(map.get("a").is_none());
        let keys: Vec<_> = map.entries().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["b", "c"]);
    }

    #[tokio::test]
    async fn followers_see_the_latest_value_and_the_end() {
        let published = Published::new(1);
        let mut life = published.follow();
        published.publish(2);
        published.publish(3);
        life.changed().await.unwrap();
        assert_eq!((*life.borrow_and_update(), *published.load()), (Life::Current, 3));
        published.finish(4);
        life.changed().await.unwrap();
        assert_eq!((*life.borrow_and_update(), *published.load()), (Life::Over, 4));
    }
}
