//! Establishing a session, as often as it takes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use zookeeper_client::{Client, CreateMode, Error, SessionState};

use super::acl::AclList;
use crate::config::{Config, Credentials, Tls};
use crate::connect_string::ConnectString;

/// The pause after the first attempt that failed; doubled after each further one.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How to get a session.
pub(super) struct Connector {
    connect_string: ConnectString,
    credentials: Option<Credentials>,
    tls: Option<Tls>,
    session_timeout: Duration,
    connection_timeout: Duration,
    pub(super) acl: Arc<AclList>,
}

/// A session, and the states through which it will go.
pub(super) struct Established {
    pub(super) client: Arc<Client>,
    pub(super) states: States,
}

/// Changes of a session's state; pending for ever after a terminal one.
pub(super) type States = BoxStream<'static, SessionState>;

/// An attempt to get a session; says why it failed. Dropping it gives up.
pub(super) type Attempt = BoxFuture<'static, Result<Established, String>>;

/// The pauses between attempts: capped, and jittered so that a fleet does not come back as one.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failure_count: u32,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, crate::Error> {
        config.check()?;
        Ok(Self {
            connect_string: config.connect_string()?,
            credentials: config.credentials.clone(),
            tls: config.zookeeper_tls.clone(),
            session_timeout: config.session_timeout,
            connection_timeout: config.connection_timeout(),
            acl: Arc::new(AclList::new(&config.acl)),
        })
    }

    /// How many bytes the chroot puts before each path.
    pub(super) fn chroot_len(&self) -> usize {
        self.connect_string.chroot().map_or(0, |path| path.as_str().len())
    }

    pub(super) fn attempt(self: &Arc<Self>) -> Attempt {
        let connector = Arc::clone(self);
        Box::pin(async move { connector.establish().await })
    }

    async fn establish(&self) -> Result<Established, String> {
        // Item 16: never read-only, for such a session can silently go on under another id.
        // Item 17: the connection's timeout comes from the lease.
        // Item 19: one round over the servers is enough; the loop around it is ours.
        let mut connector = Client::connector()
            .with_session_timeout(self.session_timeout)
            .with_connection_timeout(self.connection_timeout)
            .with_fail_eagerly();
        if let Some(Credentials { user, password }) = &self.credentials {
            // Item 21: the crate sends it again at each reconnect.
            connector = connector.with_auth("digest", format!("{user}:{password}").as_bytes());
        }
        let servers = self.connect_string.to_string();
        let connected = match &self.tls {
            None => connector.connect(&servers).await,
            Some(tls) => secure_connect(connector, tls, &servers).await?,
        };
        let client = connected.map_err(|error| {
            if matches!(error, Error::NoHosts | Error::Timeout) {
                format!("no server of {servers} gave a session")
            } else {
                format!("{servers}: {error}")
            }
        })?;
        // The watcher swallows the state of this moment, so a terminal one must be asked for.
        let watcher = client.state_watcher();
        if client.state().is_terminated() {
            return Err(format!("{servers} ended the session at once ({})", client.state()));
        }
        self.make_chroot(&client).await?;
        let states = stream::unfold(watcher, |mut watcher| async move {
            let state = watcher.changed().await;
            Some((state, watcher))
        });
        Ok(Established { client: Arc::new(client), states: states.boxed() })
    }

    /// Item 22: nobody checks the chroot, and everything below a missing one is `NoNode`.
    async fn make_chroot(&self, client: &Client) -> Result<(), String> {
        let Some(chroot) = self.connect_string.chroot() else { return Ok(()) };
        let unrooted = client.clone().chroot("/").map_err(|_| "the root is no path".to_owned())?;
        let make = async {
            match unrooted.check_stat(chroot.as_str()).await {
                // Who may not even look at it knows that it is there (3.9).
                Ok(Some(_)) | Err(Error::NoAuth) => Ok(()),
                Ok(None) => {
                    let options = CreateMode::Persistent.with_acls(self.acl.as_acls());
                    unrooted.mkdir(chroot.as_str(), &options).await
                }
                Err(error) => Err(error),
            }
        };
        match tokio::time::timeout(self.session_timeout, make).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the chroot {chroot} cannot be created: {error}")),
            Err(_) => Err(format!("the chroot {chroot} could not be looked at in time")),
        }
    }
}

impl Backoff {
    /// Forgets earlier failures.
    pub(super) fn reset(&mut self) {
        self.failure_count = 0;
    }

    /// The pause after one more failure.
    pub(super) fn pause(&mut self) -> Pin<Box<tokio::time::Sleep>> {
        let pause = jittered(self.failure_count, random_fraction());
        self.failure_count = self.failure_count.saturating_add(1);
        Box::pin(tokio::time::sleep(pause))
    }
}

/// Between half and all of the pause after `failure_count` failures.
fn jittered(failure_count: u32, fraction: f64) -> Duration {
    let full = PAUSE_MIN.saturating_mul(1_u32 << failure_count.min(16)).min(PAUSE_MAX);
    full.mul_f64(0.5 + fraction / 2.0)
}

/// In [0, 1). Without entropy the pauses are only less spread.
fn random_fraction() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(feature = "tls")]
async fn secure_connect(
    connector: zookeeper_client::Connector,
    tls: &Tls,
    servers: &str,
) -> Result<Result<Client, Error>, String> {
    // Two providers of cryptography are linked in (the crate's and ours), and rustls refuses to choose between
    // them. A program that has chosen keeps its choice.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let options = zookeeper_client::TlsOptions::new()
        .with_pem_ca(&tls.authorities)
        .map_err(|error| format!("the authorities' certificates for ZooKeeper: {error}"))?;
    let options = match &tls.identity {
        None => options,
        Some(identity) => options
            .with_pem_identity(&identity.certificate, &identity.key)
            .map_err(|error| format!("our certificate for ZooKeeper: {error}"))?,
    };
    Ok(connector.with_tls(options).secure_connect(servers).await)
}

#[cfg(not(feature = "tls"))]
#[allow(clippy::unused_async)]
async fn secure_connect(
    _: zookeeper_client::Connector,
    _: &Tls,
    _: &str,
) -> Result<Result<Client, Error>, String> {
    Err("this program was built without TLS".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_cap_and_never_vanish() {
        assert_eq!(jittered(0, 0.0), PAUSE_MIN / 2);
        assert_eq!(jittered(1, 1.0), PAUSE_MIN * 2);
        for failures in [6, 16, u32::MAX] {
            assert_eq!(jittered(failures, 1.0), PAUSE_MAX);
            assert_eq!(jittered(failures, 0.0), PAUSE_MAX / 2);
        }
    }
}
