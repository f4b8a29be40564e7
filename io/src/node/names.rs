//! Local names, published in ZooKeeper as services.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use queenright_core::{Directory, Misuse, Name};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::client::Client;
use crate::error::Error;
use crate::lock::lock;
use crate::process::{NameChange, NameChanges, ProcessId};
use crate::registration::Registration;

/// A name that came back before ZooKeeper had forgotten it is tried again after this pause.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A service, and the process that offers it.
type Offer = (Name, ProcessId);

/// What was published by hand, under any name: see [`Node::register_zk`](super::Node::register_zk).
#[derive(Clone, Debug, Default)]
pub(crate) struct Published(Arc<Mutex<BTreeMap<Offer, Arc<Publication>>>>);

#[derive(Debug, Default)]
struct Publication {
    /// ZooKeeper has it, or will not have it from this publication.
    settled: CancellationToken,
    /// Nobody wants it any more.
    withdrawn: CancellationToken,
    /// ZooKeeper has forgotten it, so that it can be published again.
    over: CancellationToken,
}

/// The right to publish an offer, until it goes: only then can the offer be published again.
pub(crate) struct Publishing {
    offers: Published,
    offer: Offer,
    publication: Arc<Publication>,
}

impl Published {
    /// Begins to publish an offer; `None` when it is published. While somebody else is about to publish or to withdraw it,
    /// waits for what becomes of that.
    pub(crate) async fn begin(&self, service: &Name, pid: &ProcessId) -> Option<Publishing> {
        let offer = (service.clone(), pid.clone());
        loop {
            let other = match lock(&self.0).entry(offer.clone()) {
                Entry::Vacant(entry) => {
                    let publication = Arc::clone(entry.insert(Arc::default()));
                    return Some(Publishing { offers: self.clone(), offer, publication });
                }
                Entry::Occupied(entry) => Arc::clone(entry.get()),
            };
            if other.withdrawn.is_cancelled() {
                other.over.cancelled().await;
            } else if other.settled.is_cancelled() {
                return None;
            } else {
                other.settled.cancelled().await;
            }
        }
    }

    /// Lets whoever keeps an offer withdraw it. Says whether there was one that nobody had withdrawn.
    pub(crate) fn end(&self, service: &Name, pid: &ProcessId) -> bool {
        let offers = lock(&self.0);
        let publication = offers.get(&(service.clone(), pid.clone()));
        publication.is_some_and(|publication| {
            let is_first = !publication.withdrawn.is_cancelled();
            publication.withdrawn.cancel();
            publication.settled.cancel();
            is_first
        })
    }
}

impl Publishing {
    /// ZooKeeper has it.
    pub(crate) fn done(&self) {
        self.publication.settled.cancel();
    }

    /// Waits until nobody wants it any more.
    pub(crate) async fn withdrawn(&self) {
        self.publication.withdrawn.cancelled().await;
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        lock(&self.offers.0).remove(&self.offer);
        let Publication { settled, withdrawn, over } = &*self.publication;
        for token in [settled, withdrawn, over] {
            token.cancel();
        }
    }
}

/// Registers each local name that begins with `prefix` as a service, for as long as a process has it.
pub(crate) async fn publish(
    mut changes: NameChanges,
    client: Client,
    prefix: String,
    stop: CancellationToken,
) {
    let mut published: BTreeMap<Offer, Registration> = BTreeMap::new();
    let mut waiting: BTreeSet<Offer> = BTreeSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changes = changes.next() => {
                for change in changes {
                    match change {
                        NameChange::Registered { name, pid } if name.as_str().starts_with(&prefix) => {
                            waiting.insert((name, pid));
                        }
                        NameChange::Registered { .. } => {}
                        NameChange::Unregistered { name, pid } => {
                            let offer = (name, pid);
                            waiting.remove(&offer);
                            published.remove(&offer);
                        }
                    }
                }
            }
            () = sleep(RETRY_PAUSE), if !waiting.is_empty() => {}
        }
        for offer in std::mem::take(&mut waiting) {
            match begin(&client, &offer).await {
                Ok(registration) => {
                    published.insert(offer, registration);
                }
                // The offer before is still being withdrawn.
                Err(Error::Misuse(Misuse::AlreadyRegistered { .. })) => {
                    waiting.insert(offer);
                }
                Err(Error::Closed) => return,
                Err(error) => warn!(service = %offer.0, pid = %offer.1, %error, "a name is not published"),
            }
        }
    }
}

async fn begin(client: &Client, (service, pid): &Offer) -> Result<Registration, Error> {
    let instance = Name::new(pid.to_string())?;
    client.begin_registration(Directory::Service(service.clone()), instance).await
}
