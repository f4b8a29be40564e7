//! Local names, published in ZooKeeper as services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
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
#[derive(Debug, Default)]
pub(crate) struct Published(Mutex<BTreeMap<Offer, CancellationToken>>);

impl Published {
    /// Notes an offer; `None` when it is published already.
    pub(crate) fn begin(&self, service: &Name, pid: &ProcessId) -> Option<CancellationToken> {
        let mut offers = lock(&self.0);
        let offer = (service.clone(), pid.clone());
        if offers.contains_key(&offer) {
            return None;
        }
        let withdrawn = CancellationToken::new();
        offers.insert(offer, withdrawn.clone());
        Some(withdrawn)
    }

    /// Forgets an offer, and lets whoever keeps it withdraw it. Says whether there was one.
    pub(crate) fn end(&self, service: &Name, pid: &ProcessId) -> bool {
        let token = lock(&self.0).remove(&(service.clone(), pid.clone()));
        token.inspect(CancellationToken::cancel).is_some()
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
