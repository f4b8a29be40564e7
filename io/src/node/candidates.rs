//! Globals as processes: one that lives once in the whole cluster, and is replaced when its node fails.
//!
//! ```text
//!             reserve a pid, stand            elected: start on that pid
//!   Standing ----------------------> Waiting --------------------------> Running
//!      ^                                                                  |    |
//!      '----- revoked: killed, joined, then released ---------------------'    '--> ended by itself: out,
//!                                                                                   unless registered again
//! ```
//!
//! The pid is part of the claim, so whoever reads the term record knows where to send.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use queenright_core::{Name, Terms};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::candidacy::Candidacy;
use crate::client::Client;
use crate::error::Error;
use crate::leadership::Leadership;
use crate::lock::lock;
use crate::mutation::Mutation;
use crate::process::{DiedReason, Gate, LocalNode, Process, Tenant};

/// What a global's process does; it may be started more than once in the life of a node.
pub(crate) type Computation = Arc<dyn Fn(Process) -> BoxFuture<'static, ()> + Send + Sync>;

/// After an error that is not final a candidate stands again after this pause.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Candidates {
    by_global: Arc<Mutex<BTreeMap<Name, Arc<Candidate>>>>,
    local: Arc<LocalNode>,
    client: Client,
    tasks: TaskTracker,
}

struct Candidate {
    /// The latest, and how many there were.
    computation: Mutex<(u64, Computation)>,
    withdrawn: CancellationToken,
    ended: CancellationToken,
}

/// How an elected process came to its end.
enum End {
    /// It returned, panicked, or was stopped by another process. `served` is the number of its computation.
    Own { reason: DiedReason, served: u64 },
    /// The term is over, or will be.
    Revoked,
    /// The candidacy is withdrawn.
    Withdrawn,
}

impl Candidates {
    pub(crate) fn new(local: Arc<LocalNode>, client: Client) -> Self {
        Self { by_global: Arc::default(), local, client, tasks: TaskTracker::new() }
    }

    /// Stands for `global` from now on. If this node stands for it already, `computation` serves its next term.
    pub(crate) fn register(&self, global: &Name, computation: Computation) {
        let mut by_global = lock(&self.by_global);
        if let Some(candidate) = by_global.get(global) {
            let mut latest = lock(&candidate.computation);
            *latest = (latest.0 + 1, computation);
            return;
        }
        let candidate = Arc::new(Candidate {
            computation: Mutex::new((0, computation)),
            withdrawn: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        by_global.insert(global.clone(), Arc::clone(&candidate));
        drop(by_global);
        let stand = Stand {
            global: global.clone(),
            candidate,
            by_global: Arc::clone(&self.by_global),
            local: Arc::clone(&self.local),
            client: self.client.clone(),
        };
        self.tasks.spawn(stand.run());
    }

    /// Stands for `global` no more; a process that runs for it is stopped first. Says whether this node stood for it.
    pub(crate) async fn withdraw(&self, global: &Name) -> bool {
        let Some(candidate) = lock(&self.by_global).remove(global) else { return false };
        candidate.withdrawn.cancel();
        candidate.ended.cancelled().await;
        true
    }

    /// Withdraws all of them, for at most `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        self.abandon();
        self.tasks.close();
        // What is not done by then is done by the client's closing.
        let _ = timeout(limit, self.tasks.wait()).await;
    }

    /// Withdraws all of them without waiting.
    pub(crate) fn abandon(&self) {
        for candidate in std::mem::take(&mut *lock(&self.by_global)).into_values() {
            candidate.withdrawn.cancel();
        }
    }
}

/// The task of one candidate.
struct Stand {
    global: Name,
    candidate: Arc<Candidate>,
    by_global: Arc<Mutex<BTreeMap<Name, Arc<Candidate>>>>,
    local: Arc<LocalNode>,
    client: Client,
}

impl Stand {
    async fn run(self) {
        let _ended = self.candidate.ended.clone().drop_guard();
        while !self.candidate.withdrawn.is_cancelled() {
            match self.term().await {
                Ok(End::Own { reason, served }) => {
                    info!(global = %self.global, %reason, "the process ended by itself");
                    if self.retire(served) {
                        return;
                    }
                }
                Ok(End::Revoked) => {}
                Ok(End::Withdrawn) | Err(Error::Closed) => {
                    self.retire(u64::MAX);
                    return;
                }
                // The candidacy before is still being withdrawn, or ZooKeeper is away.
                Err(Error::Timeout { .. }) => sleep(RETRY_PAUSE).await,
                Err(error) => {
                    warn!(global = %self.global, %error, "this node cannot stand");
                    self.retire(u64::MAX);
                    return;
                }
            }
        }
    }

    /// From standing to the end of one term.
    async fn term(&self) -> Result<End, Error> {
        let parked = self.local.reserve();
        let payload = parked.pid().to_string().into_bytes();
        let mut candidacy =
            self.client.campaign_for(self.global.clone(), payload.clone(), Terms::One).await?;
        let leadership = loop {
            let leadership = tokio::select! {
                biased;
                () = self.candidate.withdrawn.cancelled() => return Ok(self.leave(candidacy).await),
                leadership = candidacy.elected() => match leadership {
                    Ok(leadership) => leadership,
                    // A term that ended before anybody took it was the only one of this candidacy. If it was the client
                    // that closed, the next campaign says so.
                    Err(_) => return Ok(End::Revoked),
                },
            };
            // A claim whose answer was lost may have won for a mailbox that is gone. Such a term is given up.
            if leadership.payload() == payload {
                break leadership;
            }
        };
        let (served, computation) = lock(&self.candidate.computation).clone();
        let term = leadership.term();
        let outlives = self.client.guards().lack(Mutation::EndlessProcess);
        info!(global = %self.global, token = %leadership.token(), pid = %parked.pid(), "elected: the process starts");
        let tenant = self.local.spawn_reserved(
            parked,
            Gate::new(move || outlives || term.is_valid()),
            move |process| computation(process),
        );
        let end = self.oversee(tenant, &leadership, served).await;
        // Joined: only now may another node lead.
        drop(leadership);
        match end {
            End::Withdrawn => Ok(self.leave(candidacy).await),
            End::Own { .. } | End::Revoked => Ok(end),
        }
    }

    async fn oversee(&self, mut tenant: Tenant, leadership: &Leadership, served: u64) -> End {
        let end = tokio::select! {
            biased;
            reason = tenant.joined() => return own_or_revoked(reason, leadership, served),
            () = self.candidate.withdrawn.cancelled() => End::Withdrawn,
            () = leadership.stopping().cancelled() => End::Revoked,
        };
        if matches!(end, End::Revoked) && self.client.guards().lack(Mutation::EndlessProcess) {
            return end;
        }
        tenant.kill("its term is over");
        tenant.joined().await;
        end
    }

    async fn leave(&self, candidacy: Candidacy) -> End {
        // What takes longer is pursued by the client all the same.
        if let Err(error) = candidacy.resign().await {
            info!(global = %self.global, %error, "the candidacy is being withdrawn");
        }
        End::Withdrawn
    }

    /// Ends the candidacy unless somebody registered again since computation `served`. Decided and done under one lock,
    /// so that whoever registers later begins a new one.
    fn retire(&self, served: u64) -> bool {
        let mut by_global = lock(&self.by_global);
        if lock(&self.candidate.computation).0 > served {
            return false;
        }
        if by_global.get(&self.global).is_some_and(|candidate| Arc::ptr_eq(candidate, &self.candidate)) {
            by_global.remove(&self.global);
        }
        true
    }
}

/// Whether a process that is over ended by itself. After a pause of the whole node its own next poll may be the first to
/// find that the term is over; then it was not its own doing, nor is it that it fails because it may not act any more.
fn own_or_revoked(reason: DiedReason, leadership: &Leadership, served: u64) -> End {
    if reason == DiedReason::Normal || leadership.is_valid() {
        End::Own { reason, served }
    } else {
        End::Revoked
    }
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(lock(&self.by_global).keys()).finish()
    }
}
