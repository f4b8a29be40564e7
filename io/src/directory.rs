//! What is known of a directory: snapshots, and their changes.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use queenright_core::output::{Instance, InstanceChange};
use queenright_core::{Freshness, Name};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::handle::Handle;
use crate::node::Found;
use crate::port::Host;
use crate::process::{NodeId, ProcessId};
use crate::published::{Life, Published};

/// The members of a directory at one moment, and how far that can be trusted. Cheap to clone; never changes.
#[derive(Clone)]
pub struct Snapshot(Arc<Contents>);

/// What the driver publishes of a directory.
pub(crate) struct Contents {
    /// By name.
    pub(crate) instances: Vec<Instance>,
    pub(crate) freshness: Freshness,
    /// The names as processes or nodes, once somebody asked for them.
    pub(crate) pids: OnceLock<Arc<[ProcessId]>>,
    pub(crate) nodes: OnceLock<Arc<[NodeId]>>,
    pub(crate) host: Arc<dyn Host>,
}

/// A directory as it changes. Dropping it ends the interest.
///
/// It carries states, not a queue: a follower that was slow gets the difference to what it knew in one piece.
pub struct Follow {
    directory: Arc<Published<Contents>>,
    life: watch::Receiver<Life>,
    /// What was told so far; `None` before the first look.
    told: Option<Snapshot>,
    /// The driver lives as long as somebody follows.
    _handle: Handle,
}

/// How a directory differs from what was told before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Who came, changed or went, by name. In the first one, everybody came.
    pub changes: Vec<InstanceChange>,
    /// How far the whole can be trusted from now on.
    pub freshness: Freshness,
}

/// What the name of an instance can stand for.
pub(crate) trait Member: FromStr + Sized {
    fn cell(contents: &Contents) -> &OnceLock<Arc<[Self]>>;

    /// Some names stand for something else.
    fn left_out(names: &[&Name]);
}

impl Member for ProcessId {
    fn cell(contents: &Contents) -> &OnceLock<Arc<[Self]>> {
        &contents.pids
    }

    /// Whoever asks for the processes of a service meets instances of another kind: two uses of one name.
    fn left_out(names: &[&Name]) {
        warn!(count = names.len(), first = ?names.first(), "instances of a service are left out: they are no processes");
    }
}

impl Member for NodeId {
    fn cell(contents: &Contents) -> &OnceLock<Arc<[Self]>> {
        &contents.nodes
    }

    /// Clients that do not listen are members, too.
    fn left_out(names: &[&Name]) {
        debug!(count = names.len(), first = ?names.first(), "members are left out: they are no nodes with processes");
    }
}

impl Snapshot {
    /// The members whose names stand for a `T`; parsed once for all who hold this snapshot.
    pub(crate) fn parsed<T: Member>(&self) -> Found<T> {
        let members = T::cell(&self.0).get_or_init(|| {
            let (mut members, mut left_out) = (Vec::new(), Vec::new());
            for instance in &self.0.instances {
                match instance.name.as_str().parse() {
                    Ok(member) => members.push(member),
                    Err(_) => left_out.push(&instance.name),
                }
            }
            if !left_out.is_empty() {
                T::left_out(&left_out);
            }
            members.into()
        });
        Found::new(Arc::clone(members), self.0.freshness)
    }

    pub(crate) fn new(contents: Arc<Contents>) -> Self {
        Self(contents)
    }

    /// The members, by name.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.0.instances
    }

    /// The member called `name`.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        let index = self.0.instances.binary_search_by(|instance| instance.name.as_str().cmp(name)).ok()?;
        self.0.instances.get(index)
    }

    /// How far it can be trusted.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.0.freshness
    }

    /// For how long changes may have been missed, as of now; `None` for a snapshot that was fresh when it was taken.
    #[must_use]
    pub fn stale_for(&self) -> Option<Duration> {
        match self.0.freshness {
            Freshness::Stale { since } => Some(self.0.host.now().since(since)),
            Freshness::Loading | Freshness::Fresh | Freshness::Unknown => None,
        }
    }
}

impl Follow {
    pub(crate) fn new(
        directory: Arc<Published<Contents>>,
        life: watch::Receiver<Life>,
        handle: Handle,
    ) -> Self {
        Self { directory, life, told: None, _handle: handle }
    }

    /// The next change; the first one is the level at the time, once anything is known. `None` after the client was
    /// closed.
    ///
    /// Cancel-safe: a change that was not returned comes again.
    pub async fn next(&mut self) -> Option<Changes> {
        loop {
            let life = *self.life.borrow_and_update();
            if let Some(changes) = self.difference() {
                return Some(changes);
            }
            if life == Life::Over {
                return None;
            }
            self.life.changed().await.ok()?;
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Changes> + Send {
        stream::unfold(self, |mut follow| async move {
            let changes = follow.next().await?;
            Some((changes, follow))
        })
    }

    fn difference(&mut self) -> Option<Changes> {
        let now = Snapshot::new(self.directory.load());
        let is_news = match &self.told {
            None => now.freshness() != Freshness::Loading,
            Some(told) => told.freshness() != now.freshness() || told.instances() != now.instances(),
        };
        if !is_news {
            return None;
        }
        let known = self.told.as_ref().map_or(&[][..], Snapshot::instances);
        let changes = Changes { changes: diff(known, now.instances()), freshness: now.freshness() };
        self.told = Some(now);
        Some(changes)
    }
}

/// What turns `old` into `new`; both are sorted by name.
fn diff(old: &[Instance], new: &[Instance]) -> Vec<InstanceChange> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(before), None) => {
                changes.push(InstanceChange::Removed(before.name.clone()));
                old.next();
            }
            (None, Some(after)) => {
                changes.push(InstanceChange::Added(Instance::clone(after)));
                new.next();
            }
            (Some(before), Some(after)) => match before.name.cmp(&after.name) {
                std::cmp::Ordering::Less => {
                    changes.push(InstanceChange::Removed(before.name.clone()));
                    old.next();
                }
                std::cmp::Ordering::Greater => {
                    changes.push(InstanceChange::Added(Instance::clone(after)));
                    new.next();
                }
                std::cmp::Ordering::Equal => {
                    if before.payload != after.payload {
                        changes.push(InstanceChange::Updated(Instance::clone(after)));
                    }
                    old.next();
                    new.next();
                }
            },
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&Name> = self.0.instances.iter().map(|instance| &instance.name).collect();
        f.debug_struct("Snapshot").field("instances", &names).field("freshness", &self.0.freshness).finish()
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("told", &self.told).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str, payload: &[u8]) -> Instance {
        Instance { name: Name::new(name).unwrap(), payload: payload.into() }
    }

    #[test]
    fn a_difference_names_who_came_changed_and_went() {
        let old = [instance("a", b""), instance("b", b"1"), instance("c", b"")];
        let new = [instance("b", b"2"), instance("c", b""), instance("d", b"")];
        assert_eq!(
            diff(&old, &new),
            [
                InstanceChange::Removed(Name::new("a").unwrap()),
                InstanceChange::Updated(instance("b", b"2")),
                InstanceChange::Added(instance("d", b"")),
            ]
        );
        assert_eq!(diff(&new, &new), []);
        assert_eq!(diff(&[], &new).len(), 3);
        assert_eq!(diff(&new, &[]).len(), 3);
    }
}
