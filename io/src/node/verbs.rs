//! The verbs of Cloud Haskell's ZooKeeper backend, for nodes and for their processes.

use std::sync::{Arc, Weak};

use queenright_core::{Directory, Holder, Name};
use tracing::debug;

use super::{Cluster, Found, Node};
use crate::error::Error;
use crate::process::{
    Match, Message, NodeId, Process, ProcessId, ProcessMonitorNotification, RegisterError, SendError,
};

impl Node {
    /// Sends a message to a process: see [`Process::send`].
    ///
    /// # Errors
    /// When the message cannot be encoded.
    pub async fn send<T: Message>(&self, to: &ProcessId, message: T) -> Result<(), SendError> {
        self.0.local.send(to, message).await
    }

    /// Asks a process to stop: see [`Process::exit`].
    pub fn exit(&self, pid: &ProcessId, reason: impl AsRef<str>) {
        self.0.local.exit(pid, reason.as_ref());
    }

    /// Stops a process: see [`Process::kill`].
    pub fn kill(&self, pid: &ProcessId, reason: impl AsRef<str>) {
        self.0.local.kill(pid, reason.as_ref());
    }

    /// Gives a process of this node a name, until it is unregistered or dies. If the name begins with the
    /// [register prefix](crate::Config::with_register_prefix) it is published in ZooKeeper as a service of that name, in the
    /// background, and withdrawn when the process dies, however it dies.
    ///
    /// # Errors
    /// When the name cannot be one, or another process has it, or `pid` is dead or lives elsewhere.
    pub fn register(&self, name: impl AsRef<str>, pid: &ProcessId) -> Result<(), RegisterError> {
        self.0.local.register(Name::new(name)?, pid)
    }

    /// Takes a name back. Tells who had it.
    pub fn unregister(&self, name: impl AsRef<str>) -> Option<ProcessId> {
        self.0.local.names().unregister(name.as_ref())
    }

    /// Who is registered under `name` on this node.
    #[must_use]
    pub fn whereis(&self, name: impl AsRef<str>) -> Option<ProcessId> {
        self.0.local.names().whereis(name.as_ref())
    }

    /// Publishes a process of this node as an instance of `service`, whatever its local names are, and returns once
    /// ZooKeeper has it. It is withdrawn when the process dies, or by [`unregister_zk`](Self::unregister_zk); an offer that
    /// is still on its way out is waited for.
    ///
    /// # Errors
    /// [`Error::Name`]; [`Error::Register`] when the process is dead or lives elsewhere: only its own node sees its death;
    /// [`Error::Refused`], [`Error::Timeout`]. Nothing stays behind.
    ///
    /// Cancel-safe: what was not returned is withdrawn.
    pub async fn register_zk(&self, service: &str, pid: &ProcessId) -> Result<(), Error> {
        self.0.register_zk(service, pid).await
    }

    /// Withdraws what [`register_zk`](Self::register_zk) published. Says whether there was anything.
    pub fn unregister_zk(&self, service: &str, pid: &ProcessId) -> bool {
        Name::new(service).is_ok_and(|service| self.0.published.end(&service, pid))
    }

    /// The processes that offer `service`, on all nodes. From memory after the first call, which waits until something
    /// is known: see [`Client::get_capable`](crate::Client::get_capable).
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Timeout`], [`Error::Unavailable`]. Never an empty answer instead of an error.
    ///
    /// Cancel-safe.
    pub async fn get_capable(&self, service: &str) -> Result<Found<ProcessId>, Error> {
        Ok(self.0.client.get_capable(service).await?.parsed())
    }

    /// Sends a message to every process that offers `service`; tells how many there are.
    ///
    /// # Errors
    /// As for [`get_capable`](Self::get_capable), and when the message cannot be encoded.
    pub async fn nsend_capable<T: Message + Clone>(&self, service: &str, message: T) -> Result<usize, Error> {
        let found = self.get_capable(service).await?;
        for pid in &*found {
            self.send(pid, message.clone()).await?;
        }
        Ok(found.len())
    }

    /// The nodes that are up, this one included.
    ///
    /// # Errors
    /// As for [`get_capable`](Self::get_capable).
    pub async fn get_peers(&self) -> Result<Found<NodeId>, Error> {
        Ok(self.0.client.nodes().await?.parsed())
    }

    /// Sends a message to whoever has the local name `name`, on every node, this one included; tells how many nodes
    /// there are.
    ///
    /// # Errors
    /// As for [`get_peers`](Self::get_peers), and when the message cannot be encoded.
    pub async fn nsend_peers<T: Message + Clone>(&self, name: &str, message: T) -> Result<usize, Error> {
        let name = Name::new(name)?;
        let peers = self.get_peers().await?;
        for node in &*peers {
            self.0.local.nsend_remote(node, &name, message.clone()).await?;
        }
        Ok(peers.len())
    }

    /// Stands for `global`: when this node is elected it runs `computation` as a process, of which there is one in the
    /// whole cluster. Returns the process that holds the global, on whichever node, as soon as that is known.
    ///
    /// The candidacy belongs to the node and outlives the caller. It ends with [`withdraw`](Self::withdraw), with the
    /// node, and when the elected process ends by itself. When the term is lost the process is killed, and the node
    /// stands again. Registering again keeps the process that runs, and makes `computation` serve the next term.
    ///
    /// The process's future is polled only while the term is valid, and its sends test it too; what it does beyond that
    /// needs a fencing token: see [`Client::campaign`](crate::Client::campaign).
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Misuse`] for a reserved name, [`Error::NotAProcess`] when something else holds the
    /// global, and [`Error::Timeout`] when no holder became known in time; the candidacy stays.
    ///
    /// Cancel-safe: the candidacy stays.
    pub async fn register_candidate<F, Fut>(&self, global: &str, computation: F) -> Result<ProcessId, Error>
    where
        F: Fn(Process) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.register_candidate(global, computation).await
    }

    /// Stands for `global` no more. If its process runs here it is stopped and joined, and then the global is released.
    /// Says whether this node stood for it.
    pub async fn withdraw(&self, global: &str) -> bool {
        match Name::new(global) {
            Ok(global) => self.0.candidates.withdraw(&global).await,
            Err(_) => false,
        }
    }

    /// The process that holds `global`, if there is one that is not known to be dead. From memory after the first call.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Timeout`], and [`Error::NotAProcess`] when what holds it is no process.
    pub async fn whereis_global(&self, global: &str) -> Result<Option<ProcessId>, Error> {
        match self.0.client.holder(global).await? {
            Holder::Held { payload, .. } => pid_of(global, &payload).map(Some),
            Holder::Vacant | Holder::Unknown => Ok(None),
        }
    }
}

/// The same verbs, in the mouth of a process. An elected process whose term is over sends nothing.
impl Process {
    /// See [`Node::get_capable`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_capable(&self, service: &str) -> Result<Found<ProcessId>, Error> {
        self.cluster()?.get_capable(service).await
    }

    /// See [`Node::nsend_capable`].
    ///
    /// # Errors
    /// As there, and when this process may not act any more.
    pub async fn nsend_capable<T: Message + Clone>(&self, service: &str, message: T) -> Result<usize, Error> {
        let found = self.get_capable(service).await?;
        for pid in &*found {
            self.send(pid, message.clone()).await?;
        }
        Ok(found.len())
    }

    /// See [`Node::get_peers`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_peers(&self) -> Result<Found<NodeId>, Error> {
        self.cluster()?.get_peers().await
    }

    /// See [`Node::nsend_peers`].
    ///
    /// # Errors
    /// As there, and when this process may not act any more.
    pub async fn nsend_peers<T: Message + Clone>(&self, name: &str, message: T) -> Result<usize, Error> {
        let name = Name::new(name)?;
        let peers = self.get_peers().await?;
        for node in &*peers {
            self.nsend_remote(node, &name, message.clone()).await?;
        }
        Ok(peers.len())
    }

    /// See [`Node::register_zk`].
    ///
    /// # Errors
    /// As there.
    pub async fn register_zk(&self, service: &str, pid: &ProcessId) -> Result<(), Error> {
        self.cluster()?.0.register_zk(service, pid).await
    }

    /// See [`Node::register_candidate`].
    ///
    /// # Errors
    /// As there.
    pub async fn register_candidate<F, Fut>(&self, global: &str, computation: F) -> Result<ProcessId, Error>
    where
        F: Fn(Process) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.cluster()?.0.register_candidate(global, computation).await
    }

    /// See [`Node::withdraw`].
    pub async fn withdraw(&self, global: &str) -> bool {
        match self.cluster() {
            Ok(node) => node.withdraw(global).await,
            Err(_) => false,
        }
    }

    /// See [`Node::whereis_global`].
    ///
    /// # Errors
    /// As there.
    pub async fn whereis_global(&self, global: &str) -> Result<Option<ProcessId>, Error> {
        self.cluster()?.whereis_global(global).await
    }

    fn cluster(&self) -> Result<Node, Error> {
        self.attached().and_then(Weak::upgrade).map(Node).ok_or(Error::Closed)
    }
}

impl Cluster {
    async fn register_zk(self: &Arc<Self>, service: &str, pid: &ProcessId) -> Result<(), Error> {
        let service = Name::new(service)?;
        if pid.node() != self.local.id() {
            return Err(RegisterError::NotLocal { pid: pid.clone() }.into());
        }
        let Some(publishing) = self.published.begin(&service, pid).await else { return Ok(()) };
        let instance = Name::new(pid.to_string())?;
        let registration = self.client.register_in(Directory::Service(service), instance, Vec::new()).await?;
        publishing.done();
        let offered = pid.clone();
        // The keeper of the registration: it ends with the process, and the registration with it.
        self.local.spawn(move |mut keeper| async move {
            let reference = keeper.monitor(&offered);
            let died = keeper.receive_wait([Match::when(
                |notice: &ProcessMonitorNotification| notice.reference == reference,
                |_| (),
            )]);
            tokio::select! {
                biased;
                () = publishing.withdrawn() => {}
                () = died => {}
            }
            // Whoever publishes it again waits for that; what takes longer than a request may is withdrawn all the same.
            if let Err(error) = registration.unregister().await {
                debug!(%error, "an offer takes its time to go");
            }
            drop(publishing);
        });
        Ok(())
    }

    async fn register_candidate<F, Fut>(&self, global: &str, computation: F) -> Result<ProcessId, Error>
    where
        F: Fn(Process) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let name = Name::new(global)?;
        self.candidates.register(&name, Arc::new(move |process| Box::pin(computation(process))));
        let payload = self.client.held(&name).await?;
        pid_of(global, &payload)
    }
}

fn pid_of(global: &str, payload: &[u8]) -> Result<ProcessId, Error> {
    std::str::from_utf8(payload)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::NotAProcess { global: global.to_owned() })
}
