//! The watchers of one session: at most one for each path and kind.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use queenright_core::op::{Change, WatchEvent, WatchKind};
use queenright_core::{Path, Zxid};
use tracing::{debug, trace};
use zookeeper_client::{EventType, PersistentWatcher, WatchedEvent};

use super::request::Armed;

/// The most bytes of watched server paths. At a reconnect the crate announces its watches again, in frames of
/// 128 KiB; a second frame makes the session unrecoverable (the adapter's item 2), so there must never be
/// one. The core's own budget is lower; this is the last line.
pub(super) const WATCH_BYTES_MAX: usize = 120 * 1024;

type Key = (WatchKind, Path);

/// What polling the watchers found.
pub(super) enum Fired {
    /// A change.
    Event(WatchEvent),
    /// A watcher broke: the session task is gone without a word (item 6).
    Broken,
}

/// Replaced and removed watchers are aborted, which drops them before they deliver anything more. Dropping one that
/// has not fired makes the crate send `removeWatches`, unless another one needs the same watch (items 26 and 28).
///
/// Must be dropped as a whole, unpolled, once the session is over: polling a watcher then panics (item 27).
#[derive(Default)]
pub(super) struct Watches {
    armed: BTreeMap<Key, AbortHandle>,
    watchers: FuturesUnordered<Abortable<BoxFuture<'static, Turn>>>,
    path_bytes: usize,
}

/// One step of a watcher.
enum Turn {
    /// A one-shot's only event.
    Once(WatchKind, Path, WatchedEvent),
    /// A recursive one's next event; it goes on.
    Again(Path, PersistentWatcher, WatchedEvent),
    /// Its channel was closed under it.
    Panicked,
}

impl Watches {
    /// Takes the watcher that came with an answer.
    pub(super) fn install(&mut self, armed: Armed) {
        match armed {
            Armed::Once(kind, path, watcher) => {
                // Item 26: reads of one path share one watch on the server. What an older watcher of it holds
                // undelivered happened before this read, and the read shows it.
                let event_path = path.clone();
                let turn = async move { Turn::Once(kind, event_path, watcher.changed().await) };
                self.put((kind, path), guarded(turn));
            }
            Armed::Recursive(path, watcher) => {
                let key = (WatchKind::Recursive, path);
                // Item 1: the new request made the *old* stream live again, events that it still holds included;
                // the new watcher is redundant, and dropping it sends nothing as long as the old one is there.
                if !self.armed.contains_key(&key) {
                    let turn = again(key.1.clone(), watcher);
                    self.put(key, turn);
                }
            }
        }
    }

    /// Gives up a watch; a second time does nothing.
    pub(super) fn remove(&mut self, kind: WatchKind, path: &Path) {
        let key = (kind, path.clone());
        if let Some(handle) = self.armed.remove(&key) {
            self.path_bytes -= path.as_str().len();
            handle.abort();
        }
    }

    pub(super) fn is_armed(&self, kind: WatchKind, path: &Path) -> bool {
        // A lookup by reference would need a borrowed form of the pair; paths are reference-counted.
        self.armed.contains_key(&(kind, path.clone()))
    }

    /// How many bytes of server paths are watched, below a chroot of `chroot_len` bytes.
    pub(super) fn path_bytes(&self, chroot_len: usize) -> usize {
        self.path_bytes + self.armed.len() * chroot_len
    }

    /// The next event. Changes of the session's state that come through watchers are swallowed: they are told
    /// elsewhere.
    pub(super) fn poll_fired(&mut self, cx: &mut Context<'_>) -> Poll<Fired> {
        loop {
            let event = match self.watchers.poll_next_unpin(cx) {
                Poll::Pending | Poll::Ready(None) => return Poll::Pending,
                Poll::Ready(Some(Err(Aborted))) => continue,
                Poll::Ready(Some(Ok(Turn::Panicked))) => return Poll::Ready(Fired::Broken),
                Poll::Ready(Some(Ok(Turn::Once(kind, path, event)))) => {
                    self.remove(kind, &path);
                    event
                }
                Poll::Ready(Some(Ok(Turn::Again(path, watcher, event)))) => {
                    if event.event_type == EventType::Session && event.session_state.is_terminated() {
                        // Item 27: polling it again would panic.
                        drop(watcher);
                        self.remove(WatchKind::Recursive, &path);
                    } else {
                        let turn = again(path.clone(), watcher);
                        self.put((WatchKind::Recursive, path), turn);
                    }
                    event
                }
            };
            if let Some(event) = watch_event(event) {
                return Poll::Ready(Fired::Event(event));
            }
        }
    }

    /// Drops what was delivered so far; pending unless a watcher broke.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) -> Poll<Fired> {
        loop {
            match self.poll_fired(cx) {
                Poll::Ready(Fired::Event(event)) => trace!(?event, "dropped: from before a gap"),
                broken_or_pending @ (Poll::Ready(Fired::Broken) | Poll::Pending) => return broken_or_pending,
            }
        }
    }

    fn put(&mut self, key: Key, turn: BoxFuture<'static, Turn>) {
        let (handle, registration) = AbortHandle::new_pair();
        let bytes = key.1.as_str().len();
        match self.armed.insert(key, handle) {
            Some(replaced) => replaced.abort(),
            None => self.path_bytes += bytes,
        }
        self.watchers.push(Abortable::new(turn, registration));
    }
}

fn again(path: Path, mut watcher: PersistentWatcher) -> BoxFuture<'static, Turn> {
    guarded(async move {
        let event = watcher.changed().await;
        Turn::Again(path, watcher, event)
    })
}

/// Watchers panic when the session task has gone away silently (item 6). That ends a session, not the driver.
fn guarded(turn: impl Future<Output = Turn> + Send + 'static) -> BoxFuture<'static, Turn> {
    AssertUnwindSafe(turn).catch_unwind().map(|turn| turn.unwrap_or(Turn::Panicked)).boxed()
}

fn watch_event(event: WatchedEvent) -> Option<WatchEvent> {
    let change = match event.event_type {
        EventType::Session => return None,
        EventType::NodeCreated => Change::Created,
        EventType::NodeDeleted => Change::Deleted,
        EventType::NodeDataChanged => Change::DataChanged,
        EventType::NodeChildrenChanged => Change::ChildrenChanged,
    };
    // Below a recursive watch there may be znodes of others, with names that are none of ours.
    let path = match Path::new(&event.path) {
        Ok(path) => path,
        Err(error) => {
            debug!(%error, "ignoring a watch event for a znode that cannot be ours");
            return None;
        }
    };
    // Item 24: −1 on servers before 3.9.
    let zxid = (event.zxid != WatchedEvent::NO_ZXID).then_some(Zxid(event.zxid));
    Some(WatchEvent { change, path, zxid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_news_and_foreign_names_are_no_events() {
        use zookeeper_client::SessionState;
        assert_eq!(watch_event(WatchedEvent::new_session(SessionState::Disconnected)), None);
        let foreign = format!("/a/{}", "x".repeat(queenright_core::path::NAME_LEN_MAX + 1));
        assert_eq!(watch_event(WatchedEvent::new(EventType::NodeCreated, foreign)), None);
        let event = WatchedEvent::new(EventType::NodeDeleted, "/a");
        let expected = WatchEvent { change: Change::Deleted, path: Path::new("/a").unwrap(), zxid: None };
        assert_eq!(watch_event(event.clone()), Some(expected.clone()));
        assert_eq!(watch_event(event.with_zxid(7)), Some(WatchEvent { zxid: Some(Zxid(7)), ..expected }));
    }

    #[test]
    fn a_watcher_that_panics_is_reported_as_broken() {
        let mut watches = Watches::default();
        let key = (WatchKind::Data, Path::new("/a").unwrap());
        watches.put(key, guarded(async { panic!("closed under it") }));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(watches.poll_fired(&mut cx), Poll::Ready(Fired::Broken)));
    }

    #[test]
    fn what_was_delivered_before_a_gap_can_be_dropped() {
        let mut watches = Watches::default();
        let path = Path::new("/a").unwrap();
        let event = WatchedEvent::new(EventType::NodeCreated, "/a");
        let turn = Turn::Once(WatchKind::Data, path.clone(), event);
        watches.put((WatchKind::Data, path.clone()), guarded(async move { turn }));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(watches.discard(&mut cx).is_pending());
        assert!(!watches.is_armed(WatchKind::Data, &path), "a one-shot that fired is gone, told or not");
        assert!(watches.poll_fired(&mut cx).is_pending());
    }

    #[test]
    fn path_bytes_are_counted_once_for_each_path_and_kind() {
        let mut watches = Watches::default();
        let pending = || guarded(std::future::pending());
        let path = Path::new("/abc").unwrap();
        watches.put((WatchKind::Data, path.clone()), pending());
        watches.put((WatchKind::Data, path.clone()), pending());
        watches.put((WatchKind::Children, path.clone()), pending());
        assert_eq!(watches.path_bytes(10), 2 * (4 + 10));
        watches.remove(WatchKind::Data, &path);
        watches.remove(WatchKind::Data, &path);
        assert_eq!(watches.path_bytes(10), 14);
        assert!(!watches.is_armed(WatchKind::Data, &path));
        assert!(watches.is_armed(WatchKind::Children, &path));
    }
}
