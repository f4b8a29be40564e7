//! How a node is set up.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use queenright_core::{Incarnation, Name, Path};

use crate::acl::Acl;
use crate::connect_string::ConnectString;
use crate::error::Error;
use crate::link::{Cookie, LinkConfig};
use crate::mutation::Guards;

/// The shortest session that can survive a lost connection: ping, notice, reconnect.
const SESSION_TIMEOUT_MIN: Duration = Duration::from_millis(200);
/// The longest, ZooKeeper's own default at its default tick is 40 s; beyond an hour it is a mistake.
const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The configuration of a [`Client`](crate::Client) or a node. Every value but the servers has a default.
///
/// ```
/// use std::time::Duration;
/// use queenright::Config;
///
/// let config = Config::new("zk1:2181,zk2:2181,zk3:2181/my-app")
///     .with_credentials("alice", "secret")
///     .with_lease(Duration::from_secs(2));
/// config.check().expect("a good configuration");
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) servers: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) acl: Acl,
    pub(crate) zookeeper_tls: Option<Tls>,
    pub(crate) client_kind: ClientKind,
    pub(crate) session_timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) drain: Option<Duration>,
    pub(crate) root: String,
    pub(crate) name: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) cache_idle: Duration,
    pub(crate) recordings: Option<Recordings>,
    // For nodes; a client does not listen.
    pub(crate) listen: Option<String>,
    pub(crate) advertise: Option<String>,
    pub(crate) cookie: Option<Vec<u8>>,
    pub(crate) register_prefix: Option<String>,
    pub(crate) link_tls: Option<Tls>,
    pub(crate) links: LinkConfig,
    pub(crate) guards: Guards,
}

/// Which client talks to ZooKeeper. They differ in what they need and cost, not in what they promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientKind {
    /// The crate `zookeeper-client`: with TLS, and a reactor thread of its own.
    #[default]
    ZooKeeperClient,
    /// The client that the simulator runs: on tokio, without Nagle's delay, with zxids and in the order of the wire.
    /// No TLS.
    Native,
}

/// Where recordings go.
#[derive(Clone, Debug)]
pub(crate) struct Recordings {
    pub(crate) directory: PathBuf,
    pub(crate) len_max: u64,
}

/// What proves to ZooKeeper who we are, in its scheme `digest`.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Certificates for TLS, all in PEM.
#[derive(Clone)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub struct Tls {
    pub(crate) authorities: String,
    pub(crate) identity: Option<TlsIdentity>,
}

/// Our own certificate and its key.
#[derive(Clone)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(crate) struct TlsIdentity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Config {
    /// A configuration for the ZooKeeper at `servers`: `host:port`, several of them with commas between, and a
    /// path behind the last one below which everything shall be (a *chroot*; it is created when missing).
    ///
    /// Nothing is checked before [`Config::check`] or the connect.
    #[must_use]
    pub fn new(servers: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            credentials: None,
            acl: Acl::Open,
            zookeeper_tls: None,
            client_kind: ClientKind::default(),
            session_timeout: Duration::from_secs(8),
            lease: Duration::from_secs(3),
            drain: None,
            root: "/queenright".to_owned(),
            name: None,
            connect_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            cache_idle: Duration::from_secs(600),
            recordings: None,
            listen: None,
            advertise: None,
            cookie: None,
            register_prefix: None,
            link_tls: None,
            links: LinkConfig::default(),
            guards: Guards::default(),
        }
    }

    /// Proves to ZooKeeper to be `user` (scheme `digest`). ZooKeeper accepts any password: a wrong one only shows when
    /// a znode's access control list refuses it.
    #[must_use]
    pub fn with_credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        self
    }

    /// Who may do what with the znodes that this node creates. Default: [`Acl::Open`].
    #[must_use]
    pub fn with_acl(mut self, acl: Acl) -> Self {
        self.acl = acl;
        self
    }

    /// Speaks TLS to ZooKeeper. Needs the feature `tls`.
    #[must_use]
    pub fn with_zookeeper_tls(mut self, tls: Tls) -> Self {
        self.zookeeper_tls = Some(tls);
        self
    }

    /// Records everything that the core of this node is told, into a new file `NAME-INCARNATION.rec` in `directory` (which is
    /// made when missing), of at most `len_max` bytes: at the limit the recording ends, and the node goes on. `queenright-sim
    /// replay --recording` lives through it again, bit by bit, on any machine; see [`queenright_core::recording`].
    ///
    /// Cheap enough to be left on. A recording holds what was registered, payloads included, but no credentials. A node that
    /// is killed loses the last few milliseconds of it. Default: nothing is recorded.
    #[must_use]
    pub fn with_recordings(mut self, directory: impl Into<PathBuf>, len_max: u64) -> Self {
        self.recordings = Some(Recordings { directory: directory.into(), len_max });
        self
    }

    /// Which client talks to ZooKeeper. Default: [`ClientKind::ZooKeeperClient`].
    #[must_use]
    pub fn with_client(mut self, kind: ClientKind) -> Self {
        self.client_kind = kind;
        self
    }

    /// How long ZooKeeper keeps this node's registrations when it hears nothing. Default: 8 s; the server may clamp it.
    ///
    /// It says nothing about leaders: those depend on the lease. Keep it modest, for the pauses between attempts to
    /// reconnect grow until the session's end.
    #[must_use]
    pub fn with_session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// For how long a leader may believe in itself without news from ZooKeeper, so roughly how long a crashed one
    /// is waited for. Default: 3 s; at least ten round trips to ZooKeeper.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long before the end of its lease a leader is told to stop. Default: a tenth of the lease; at most a third.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = Some(drain);
        self
    }

    /// The znode below which everything of the cluster is. Default: `/queenright`.
    #[must_use]
    pub fn with_namespace(mut self, root: impl Into<String>) -> Self {
        self.root = root.into();
        self
    }

    /// What this node is called; unique in the cluster. Default: drawn at each start.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long to wait for the first session. Default: 15 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call waits for ZooKeeper. Default: 10 s.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long closing may take. Default: 5 s.
    #[must_use]
    pub fn with_close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// A cache that nobody used for this long is dropped, with its watch. Default: 10 min.
    #[must_use]
    pub fn with_cache_idle(mut self, idle: Duration) -> Self {
        self.cache_idle = idle;
        self
    }

    /// Where a node listens for others: `host:port`, port 0 for any. Nodes only.
    #[must_use]
    pub fn with_listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Under which address other nodes reach this one, when it is not the one on which it listens. Nodes only.
    #[must_use]
    pub fn with_advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Limits, heartbeat and timeouts of the links between nodes. Its cookie and TLS yield to
    /// [`with_cookie`](Self::with_cookie) and [`with_link_tls`](Self::with_link_tls). Nodes only.
    #[must_use]
    pub fn with_links(mut self, links: LinkConfig) -> Self {
        self.links = links;
        self
    }

    /// The secret that the cluster's nodes share. Without one, and without TLS, a node listens on and talks to its own
    /// machine only. Nodes only.
    #[must_use]
    pub fn with_cookie(mut self, cookie: impl Into<Vec<u8>>) -> Self {
        self.cookie = Some(cookie.into());
        self
    }

    /// Only local names that begin with `prefix` are published, prefix included. Default: all names are. Nodes only.
    #[must_use]
    pub fn with_register_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.register_prefix = Some(prefix.into());
        self
    }

    /// Speaks mutual TLS between nodes. Needs the feature `tls`, and an identity. Nodes only.
    #[must_use]
    pub fn with_link_tls(mut self, tls: Tls) -> Self {
        self.link_tls = Some(tls);
        self
    }

    /// Takes a guard out.
    #[cfg(feature = "mutations")]
    #[doc(hidden)]
    #[must_use]
    pub fn without(mut self, guard: Option<crate::mutation::Mutation>) -> Self {
        self.guards = Guards(guard);
        self
    }

    /// Whether this configuration makes sense, without touching the network.
    ///
    /// # Errors
    /// [`Error::Config`], naming the first thing that is wrong and what to do.
    pub fn check(&self) -> Result<(), Error> {
        self.connect_string()?;
        self.namespace()?;
        if let Some(name) = &self.name {
            Name::new(name).map_err(|error| Error::config(format!("the node's name: {error}")))?;
        }
        if self.session_timeout < SESSION_TIMEOUT_MIN || self.session_timeout > SESSION_TIMEOUT_MAX {
            return Err(Error::config(format!(
                "a session timeout of {:?} is not between {SESSION_TIMEOUT_MIN:?} and {SESSION_TIMEOUT_MAX:?}",
                self.session_timeout
            )));
        }
        if self.acl == Acl::CreatorAll && self.credentials.is_none() {
            return Err(Error::config(
                "the access control list gives all rights to the creator, who has no identity: add \
                 Config::with_credentials",
            ));
        }
        if matches!(&self.acl, Acl::Custom(entries) if entries.is_empty()) {
            return Err(Error::config(
                "an empty access control list lets nobody in, and ZooKeeper refuses it",
            ));
        }
        if self.credentials.as_ref().is_some_and(|credentials| credentials.user.contains(':')) {
            return Err(Error::config(
                "a user's name cannot contain ':', which divides it from the password",
            ));
        }
        if !cfg!(feature = "tls") && (self.zookeeper_tls.is_some() || self.link_tls.is_some()) {
            return Err(Error::config(
                "this program was built without TLS: switch on queenright's feature `tls`",
            ));
        }
        if self.client_kind == ClientKind::Native && self.zookeeper_tls.is_some() {
            return Err(Error::config(
                "the native client speaks no TLS to ZooKeeper: use ClientKind::ZooKeeperClient, or leave \
                 Config::with_zookeeper_tls out",
            ));
        }
        self.links()?;
        let name = Name::new("any").map_err(|error| Error::config(error.to_string()))?;
        self.core_config(name, Incarnation(0))?.check().map_err(|error| Error::config(error.to_string()))
    }

    pub(crate) fn connect_string(&self) -> Result<ConnectString, Error> {
        self.servers.parse().map_err(Error::config::<String>)
    }

    /// The idle timeout of a connection: from the lease and not from the session, or one stopped server would depose a
    /// healthy leader (the adapter's item 17). Beyond 3/5 of the session the crate would ignore it.
    pub(crate) fn connection_timeout(&self) -> Duration {
        /// Below this, a scheduling hiccup of the machine looks like a dead server.
        const CONNECTION_TIMEOUT_MIN: Duration = Duration::from_millis(100);
        (self.lease / 5).max(CONNECTION_TIMEOUT_MIN).min(self.session_timeout * 3 / 5)
    }

    /// What the core is told about it.
    pub(crate) fn core_config(
        &self,
        node: Name,
        incarnation: Incarnation,
    ) -> Result<queenright_core::Config, Error> {
        let mut core = queenright_core::Config::new(node, incarnation).with_lease(self.lease);
        core.root = self.namespace()?;
        core.drain = self.drain.unwrap_or(core.drain);
        core.close_timeout = self.close_timeout;
        core.cache_idle = self.cache_idle;
        Ok(core)
    }

    /// How links to other nodes shall be.
    pub(crate) fn links(&self) -> Result<LinkConfig, Error> {
        let mut links = self.links.clone();
        if let Some(cookie) = &self.cookie {
            let cookie = Cookie::new(cookie);
            links.cookie =
                Some(cookie.ok_or_else(|| Error::config("the cookie is empty: any stranger has it"))?);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.link_tls {
            links.tls = Some(tls.for_links()?);
        }
        Ok(links)
    }

    fn namespace(&self) -> Result<Path, Error> {
        Path::new(&self.root).map_err(|error| Error::config(format!("the namespace: {error}")))
    }
}

impl Tls {
    /// Trusts the certificates of `authorities` (PEM) to vouch for the other side.
    #[must_use]
    pub fn new(authorities: impl Into<String>) -> Self {
        Self { authorities: authorities.into(), identity: None }
    }

    /// Shows the other side this certificate (PEM, with its chain); `key` belongs to it.
    #[must_use]
    pub fn with_identity(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.identity = Some(TlsIdentity { certificate: certificate.into(), key: key.into() });
        self
    }

    #[cfg(feature = "tls")]
    fn for_links(&self) -> Result<crate::link::LinkTls, Error> {
        let Some(TlsIdentity { certificate, key }) = &self.identity else {
            return Err(Error::config(
                "TLS between nodes is mutual: give this node a certificate with Tls::with_identity",
            ));
        };
        crate::link::LinkTls::from_pem(certificate.as_bytes(), key.as_bytes(), self.authorities.as_bytes())
            .map_err(|error| Error::config(format!("TLS between nodes: {error}")))
    }
}

impl fmt::Debug for Config {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("user", &self.credentials.as_ref().map(|credentials| &credentials.user))
            .field("acl", &self.acl)
            .field("session_timeout", &self.session_timeout)
            .field("lease", &self.lease)
            .field("root", &self.root)
            .field("name", &self.name)
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("register_prefix", &self.register_prefix)
            .field("recordings", &self.recordings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::{AclEntry, Permissions};

    fn complaint(config: Config) -> String {
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_good() {
        Config::new("localhost").check().unwrap();
        assert_eq!(Config::new("localhost").connection_timeout(), Duration::from_millis(600));
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        let config = || Config::new("localhost:2181");
        assert!(complaint(Config::new("localhost:x")).contains("\"x\" is no port number"));
        assert!(complaint(config().with_namespace("queenright")).contains("must begin with '/'"));
        assert!(complaint(config().with_name("a/b")).contains("'/'"));
        assert!(complaint(config().with_lease(Duration::from_millis(1))).contains("lease of 1ms"));
        assert!(complaint(config().with_drain(Duration::from_secs(2))).contains("drain time of 2s"));
        assert!(complaint(config().with_session_timeout(Duration::ZERO)).contains("session timeout of 0ns"));
        assert!(complaint(config().with_acl(Acl::CreatorAll)).contains("with_credentials"));
        assert!(complaint(config().with_acl(Acl::Custom(Vec::new()))).contains("lets nobody in"));
        assert!(complaint(config().with_credentials("a:b", "c")).contains("':'"));
        let entry = AclEntry { permissions: Permissions::ALL, scheme: "ip".into(), id: "127.0.0.1".into() };
        config().with_acl(Acl::Custom(vec![entry])).check().unwrap();
    }

    #[test]
    fn the_connection_timeout_follows_the_lease_within_the_session() {
        let config = |lease, session| {
            Config::new("x")
                .with_lease(Duration::from_millis(lease))
                .with_session_timeout(Duration::from_millis(session))
                .connection_timeout()
                .as_millis()
        };
        assert_eq!(config(10_000, 30_000), 2_000);
        assert_eq!(config(10_000, 2_000), 1_200);
        assert_eq!(config(50, 2_000), 100);
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = Config::new("localhost").with_credentials("alice", "hunter2").with_cookie("monster");
        let text = format!("{config:?}");
        assert!(text.contains("alice") && !text.contains("hunter2") && !text.contains("monster"), "{text}");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_between_nodes_reaches_the_links_and_is_mutual() {
        let authority = include_str!("link/tls_test/authority.pem");
        let (chain, key) = (include_str!("link/tls_test/node.pem"), include_str!("link/tls_test/node.key"));
        let config = || Config::new("localhost:2181");
        let with = |tls: Tls| config().with_link_tls(tls);
        assert!(complaint(with(Tls::new(authority))).contains("mutual"));
        assert!(complaint(with(Tls::new(authority).with_identity(chain, "garbage"))).contains("private key"));
        assert!(with(Tls::new(authority).with_identity(chain, key)).links().unwrap().tls.is_some());
        assert!(config().links().unwrap().tls.is_none());
    }
}
