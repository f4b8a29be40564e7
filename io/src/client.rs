//! Discovery and election, without processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use queenright_core::output::SessionStatus;
use queenright_core::{Coordinator, Directory, Freshness, Holder, Incarnation, Name, Terms};
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, debug, info_span};

use crate::adapter::{self, OperatingSystem, diagnose};
use crate::candidacy::{Candidacy, Candidature};
use crate::config::Config;
use crate::directory::{Contents, Follow, Snapshot};
use crate::driver::Driver;
use crate::error::Error;
use crate::handle::{Command, Farewell, Handle, Hub, Standing};
use crate::mutation::{Guards, Mutation};
use crate::port::{Host, ZooKeeper};
use crate::published::{Life, Published};
use crate::publisher::Publisher;
use crate::recording::Recorded;
use crate::registration::Registration;

/// A member of the cluster without processes: it registers and finds services, and stands for globals.
///
/// It works in the background, on the tokio runtime in which it was made; clones are handles of the same one. It ends
/// when it is [`close`](Self::close)d, or when the last clone and everything that was made with it has been dropped:
/// registrations, candidacies, leaderships, followers.
///
/// ```no_run
/// use queenright::{Client, Config};
///
/// # async fn example() -> Result<(), queenright::Error> {
/// let client = Client::connect(Config::new("localhost:2181")).await?;
/// let registration = client.register("web", None, b"http://10.0.0.7:8080".to_vec()).await?;
/// for instance in client.get_capable("web").await?.instances() {
///     println!("{} at {}", instance.name, String::from_utf8_lossy(&instance.payload));
/// }
///
/// let mut candidacy = client.campaign("sweeper", b"me".to_vec()).await?;
/// let leadership = candidacy.elected().await?;
/// while leadership.is_valid() {
///     // … what only one may do, with leadership.token() …
/// #   break;
/// }
/// drop(leadership); // another one may lead now
/// registration.unregister().await?;
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    handle: Handle,
    name: Name,
    request_timeout: Duration,
    /// How long resigning may take: a term's drain, and the release behind it.
    resign_timeout: Duration,
    instance_count: AtomicU64,
    /// Candidates are members: the janitor spares the records of nodes that are.
    membership: OnceCell<Arc<Registration>>,
}

/// For tests that take a guard out.
const FOR_EVER: Duration = Duration::from_secs(1_000_000_000);

impl Client {
    /// Connects to ZooKeeper, and returns once there is a session.
    ///
    /// # Errors
    /// [`Error::Config`], and [`Error::Connect`] at the connect timeout, naming the servers and what is wrong with each.
    ///
    /// Cancel-safe: dropping the future gives up.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let (zookeeper, last_failure) = adapter::zookeeper(&config)?;
        let client = Self::start(&config, zookeeper, Arc::new(OperatingSystem))?;
        if client.connected(config.connect_timeout).await {
            return Ok(client);
        }
        let mut tried = diagnose(&config.connect_string()?).await;
        if let Some(failure) = last_failure.load().as_deref() {
            tried = format!("{tried}; the last attempt: {failure}");
        }
        Err(Error::Connect { timeout: config.connect_timeout, tried })
    }

    /// As [`connect`](Self::connect), on other ports: for simulation.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub async fn with_ports(
        config: Config,
        zookeeper: Box<dyn ZooKeeper>,
        host: Arc<dyn Host>,
    ) -> Result<Self, Error> {
        let client = Self::start(&config, zookeeper, host)?;
        if client.connected(config.connect_timeout).await {
            return Ok(client);
        }
        Err(Error::Connect { timeout: config.connect_timeout, tried: config.servers })
    }

    /// Starts without waiting for a session.
    pub(crate) fn start(
        config: &Config,
        zookeeper: Box<dyn ZooKeeper>,
        host: Arc<dyn Host>,
    ) -> Result<Self, Error> {
        let incarnation = Incarnation(host.entropy());
        let name = match &config.name {
            Some(name) => Name::new(name)?,
            // 64 of the 128 bits: enough to be unique, short enough to be read.
            None => Name::new(format!("client-{:016x}", incarnation.0 >> 64))?,
        };
        Self::start_as(config, name, incarnation, zookeeper, host)
    }

    /// Starts under a name and an incarnation that the caller has drawn.
    pub(crate) fn start_as(
        config: &Config,
        name: Name,
        incarnation: Incarnation,
        zookeeper: Box<dyn ZooKeeper>,
        host: Arc<dyn Host>,
    ) -> Result<Self, Error> {
        config.check()?;
        let core_config = config.core_config(name.clone(), incarnation)?;
        let resign_timeout = core_config.drain + config.request_timeout;
        let now = host.now();
        let core = Coordinator::new(core_config, now).map_err(|error| Error::config(error.to_string()))?;
        let core = match &config.recordings {
            None => Recorded::without(core),
            Some(recordings) => Recorded::begin(core, now, recordings)?,
        };
        let hub = Arc::new(Hub::new(Arc::clone(&host), config.guards));
        let (handle, inbox) = Handle::new(Arc::clone(&hub));
        let driver = Driver::new(core, zookeeper, host, inbox, Publisher::new(hub));
        debug!(node = %name, %incarnation, ?config, "starting");
        tokio::spawn(driver.run().instrument(info_span!("queenright", node = %name)));
        Ok(Self(Arc::new(Inner {
            handle,
            name,
            request_timeout: match config.guards.lack(Mutation::EndlessCall) {
                true => FOR_EVER,
                false => config.request_timeout,
            },
            resign_timeout,
            instance_count: AtomicU64::new(0),
            membership: OnceCell::new(),
        })))
    }

    /// What this client is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Registers an instance of `service`, and returns once ZooKeeper has it. It stays registered, in every later session
    /// too, until the registration is dropped.
    ///
    /// Without a name for the `instance` this client makes one. An instance that is registered without metadata has
    /// none for good: whoever looks it up then needs no read.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Misuse`] for what cannot be registered, [`Error::Refused`], [`Error::Occupied`] when
    /// another session has that instance, and [`Error::Timeout`]. Nothing stays behind.
    ///
    /// Cancel-safe: a registration that was not returned is withdrawn.
    pub async fn register(
        &self,
        service: &str,
        instance: Option<&str>,
        metadata: impl Into<Vec<u8>>,
    ) -> Result<Registration, Error> {
        let service = Directory::Service(Name::new(service)?);
        let instance = match instance {
            Some(instance) => Name::new(instance)?,
            None => {
                let number = self.0.instance_count.fetch_add(1, Ordering::Relaxed);
                Name::new(format!("{}.{number}", self.0.name))?
            }
        };
        self.register_in(service, instance, metadata.into()).await
    }

    pub(crate) async fn register_in(
        &self,
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
    ) -> Result<Registration, Error> {
        let timeout = self.0.request_timeout;
        let registration = Registration::begin(&self.0.handle, directory, instance, payload, timeout).await?;
        registration.registered().await?;
        Ok(registration)
    }

    /// As [`register`](Self::register), without waiting for ZooKeeper.
    pub(crate) async fn begin_registration(
        &self,
        directory: Directory,
        instance: Name,
    ) -> Result<Registration, Error> {
        Registration::begin(&self.0.handle, directory, instance, Vec::new(), self.0.request_timeout).await
    }

    /// The instances of `service` that are registered now, as far as this client knows.
    ///
    /// The first call subscribes to the service and waits until something is known. From then on answers come from
    /// memory, which ZooKeeper keeps true by a watch: a lookup and a reference count, no lock, no request.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Timeout`] when nothing could be learnt in time, [`Error::Unavailable`] when ZooKeeper
    /// does not tell. Never an empty answer instead of an error; a stale one says so.
    pub async fn get_capable(&self, service: &str) -> Result<Snapshot, Error> {
        match self.0.handle.hub.services.load(service) {
            Some(contents) => match contents.freshness {
                Freshness::Fresh | Freshness::Stale { .. } => Ok(Snapshot::new(contents)),
                Freshness::Loading | Freshness::Unknown => {
                    self.learn(Directory::Service(Name::new(service)?)).await
                }
            },
            None => self.learn(Directory::Service(Name::new(service)?)).await,
        }
    }

    /// The same as [`get_capable`](Self::get_capable), in other people's words.
    ///
    /// # Errors
    /// As for [`get_capable`](Self::get_capable).
    pub async fn instances(&self, service: &str) -> Result<Snapshot, Error> {
        self.get_capable(service).await
    }

    /// The nodes that are up.
    ///
    /// # Errors
    /// As for [`get_capable`](Self::get_capable).
    pub async fn nodes(&self) -> Result<Snapshot, Error> {
        match self.0.handle.hub.nodes.load().as_ref().map(|published| published.load()) {
            Some(contents) => match contents.freshness {
                Freshness::Fresh | Freshness::Stale { .. } => Ok(Snapshot::new(contents)),
                Freshness::Loading | Freshness::Unknown => self.learn(Directory::Nodes).await,
            },
            None => self.learn(Directory::Nodes).await,
        }
    }

    /// The instances of `service` as they change, beginning with those that are there.
    ///
    /// # Errors
    /// [`Error::Name`], and [`Error::Closed`].
    pub async fn follow(&self, service: &str) -> Result<Follow, Error> {
        self.follow_in(Directory::Service(Name::new(service)?)).await
    }

    /// The nodes as they come and go, beginning with those that are up.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn follow_nodes(&self) -> Result<Follow, Error> {
        self.follow_in(Directory::Nodes).await
    }

    /// Stands for `global`, of which at most one candidate in the cluster leads at any time. Returns at once;
    /// whether and when this client leads is told by the candidacy.
    ///
    /// `payload` is what others see when they ask for the [`holder`](Self::holder).
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Misuse`] for what cannot be, [`Error::AlreadyCandidate`] when this client stands for
    /// it already, [`Error::Timeout`] when an earlier candidacy is still being withdrawn.
    ///
    /// Cancel-safe: a candidacy that was not returned is withdrawn.
    pub async fn campaign(&self, global: &str, payload: impl Into<Vec<u8>>) -> Result<Candidacy, Error> {
        self.campaign_for(Name::new(global)?, payload.into(), Terms::Many).await
    }

    pub(crate) async fn campaign_for(
        &self,
        global: Name,
        payload: Vec<u8>,
        terms: Terms,
    ) -> Result<Candidacy, Error> {
        let Inner { handle, resign_timeout, .. } = &*self.0;
        let membership = self.join(Vec::new()).await?;
        let deadline = Instant::now() + *resign_timeout;
        loop {
            let candidature = Arc::new(Candidature::new());
            // Before the driver hears of it: whatever becomes of this future, dropping the candidacy withdraws it.
            let candidacy = Candidacy::new(
                global.clone(),
                terms,
                Arc::clone(&candidature),
                *resign_timeout,
                handle.clone(),
                Arc::clone(&membership),
            );
            let (campaign, payload) = (global.clone(), payload.clone());
            let standing = handle
                .ask(|reply| Command::Campaign { global: campaign, payload, terms, candidature, reply })
                .await?;
            match standing {
                Standing::New => return Ok(candidacy),
                Standing::Taken(candidature) if candidature.is_abandoned() => {
                    timeout_at(deadline, candidature.withdrawn()).await.map_err(|_| Error::Timeout {
                        what: format!("withdrawing the earlier candidacy for {global}"),
                        timeout: *resign_timeout,
                        trouble: handle.trouble(),
                    })?;
                }
                Standing::Taken(_) => return Err(Error::AlreadyCandidate { global: global.to_string() }),
            }
        }
    }

    /// Makes this client a member, if it is none yet, without waiting for ZooKeeper; `payload` is for the first call.
    pub(crate) async fn join(&self, payload: Vec<u8>) -> Result<Arc<Registration>, Error> {
        let Inner { handle, name, request_timeout, membership, .. } = &*self.0;
        let begin = || async {
            Registration::begin(handle, Directory::Nodes, name.clone(), payload, *request_timeout)
                .await
                .map(Arc::new)
        };
        membership.get_or_try_init(begin).await.cloned()
    }

    /// Who holds `global`, as far as this client knows; answered from memory like [`get_capable`](Self::get_capable).
    /// Never [`Holder::Unknown`].
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Misuse`] for a reserved name, and [`Error::Timeout`] when nothing could be learnt in time.
    pub async fn holder(&self, global: &str) -> Result<Holder, Error> {
        if let Some(holder) = self.0.handle.hub.holders.load(global)
            && *holder != Holder::Unknown
        {
            return Ok(Holder::clone(&holder));
        }
        let global = Name::new(global)?;
        let looked_up = global.clone();
        let (published, mut life) =
            self.0.handle.ask(|reply| Command::LookUp { global: looked_up, reply }).await?;
        let known = published_as(&published, &mut life, |holder| *holder != Holder::Unknown);
        match timeout(self.0.request_timeout, known).await {
            Ok(Some(holder)) => Ok(Holder::clone(&holder)),
            Ok(None) => Err(Error::Closed),
            Err(_) => Err(self.late(format!("looking up who holds {global}"))),
        }
    }

    /// Waits until somebody holds `global`, and gives the payload of the term.
    pub(crate) async fn held(&self, global: &Name) -> Result<Arc<[u8]>, Error> {
        let looked_up = global.clone();
        let (published, mut life) =
            self.0.handle.ask(|reply| Command::LookUp { global: looked_up, reply }).await?;
        let held = published_as(&published, &mut life, |holder| matches!(holder, Holder::Held { .. }));
        match timeout(self.0.request_timeout, held).await.map(|holder| holder.as_deref().cloned()) {
            Ok(Some(Holder::Held { payload, .. })) => Ok(payload),
            Ok(Some(Holder::Unknown | Holder::Vacant) | None) => Err(Error::Closed),
            Err(_) => Err(self.late(format!("waiting for a holder of {global}"))),
        }
    }

    /// The state of the session with ZooKeeper; `None` before the first one.
    #[must_use]
    pub fn session(&self) -> Option<SessionStatus> {
        *self.0.handle.hub.session.borrow()
    }

    /// The state of the session as it changes. A slow reader skips to the latest.
    #[must_use]
    pub fn session_changes(&self) -> watch::Receiver<Option<SessionStatus>> {
        self.0.handle.hub.session.subscribe()
    }

    /// Ends everything in good order: leaderships are told to stop and released, registrations and candidacies
    /// withdrawn, the session closed. Returns when that is done, or at the close timeout.
    ///
    /// Dropping the future does not call it off.
    pub async fn close(self) {
        self.0.handle.bid(Farewell::Close);
        self.0.handle.ended().await;
    }

    /// Whether there was a session within `limit`.
    pub(crate) async fn connected(&self, limit: Duration) -> bool {
        let mut session = self.0.handle.hub.session.subscribe();
        timeout(limit, session.wait_for(Option::is_some)).await.is_ok_and(|waited| waited.is_ok())
    }

    async fn follow_in(&self, directory: Directory) -> Result<Follow, Error> {
        let (published, life) = self.0.handle.ask(|reply| Command::Subscribe { directory, reply }).await?;
        Ok(Follow::new(published, life, self.0.handle.clone()))
    }

    /// Subscribes, and waits until something is known.
    async fn learn(&self, directory: Directory) -> Result<Snapshot, Error> {
        let what = directory.to_string();
        let (published, mut life) =
            self.0.handle.ask(|reply| Command::Subscribe { directory, reply }).await?;
        let known = published_as(&published, &mut life, |contents: &Contents| {
            contents.freshness != Freshness::Loading
        });
        match timeout(self.0.request_timeout, known).await {
            Ok(Some(contents)) if contents.freshness == Freshness::Unknown => {
                let trouble = self.0.handle.trouble();
                Err(Error::Unavailable {
                    what,
                    trouble: trouble.unwrap_or_else(|| "no reason is known".to_owned()),
                })
            }
            Ok(Some(contents)) => Ok(Snapshot::new(contents)),
            Ok(None) => Err(Error::Closed),
            Err(_) => Err(self.late(format!("looking up {what}"))),
        }
    }

    pub(crate) fn guards(&self) -> Guards {
        self.0.handle.hub.guards
    }

    fn late(&self, what: String) -> Error {
        Error::Timeout { what, timeout: self.0.request_timeout, trouble: self.0.handle.trouble() }
    }
}

/// Waits until a published value is as wanted; `None` when it will not change any more.
async fn published_as<T>(
    published: &Published<T>,
    life: &mut watch::Receiver<Life>,
    wanted: impl Fn(&T) -> bool,
) -> Option<Arc<T>> {
    loop {
        let now = *life.borrow_and_update();
        if now == Life::Over {
            return None;
        }
        let value = published.load();
        if wanted(&value) {
            return Some(value);
        }
        life.changed().await.ok()?;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.0.name).field("session", &self.session()).finish()
    }
}
