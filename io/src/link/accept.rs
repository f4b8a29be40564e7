//! The accepting end of a link: the reader.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::frame::{self, Frame};
use super::handshake::HandshakeError;
use super::links::{Delivery, Links, Loss, Which};
use super::stream::{self, Ear, LinkError};
use crate::lock::lock;
use crate::port::{Connection, Listener};
use crate::process::NodeId;

/// A link from a peer.
pub(crate) struct Inbound {
    peer: NodeId,
    reading: Mutex<Reading>,
    stop: CancellationToken,
    goodbye: Notify,
}

/// Held while frames are delivered, so that closing waits for the last delivery.
#[derive(Clone, Copy)]
enum Reading {
    Allowed,
    Over,
}

/// After an accept that failed (no more file descriptors, mostly).
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// The buffer grows by at most this before each read, in bytes: by what really arrives, not by what a frame
/// claims.
const READ_LEN: usize = 64 << 10;

impl Inbound {
    fn new(peer: NodeId) -> Self {
        Self {
            peer,
            reading: Mutex::new(Reading::Allowed),
            stop: CancellationToken::new(),
            goodbye: Notify::new(),
        }
    }

    pub(super) fn peer(&self) -> &NodeId {
        &self.peer
    }

    /// Waits for the delivery that is under way, and lets no other begin.
    pub(super) fn close(&self) {
        *lock(&self.reading) = Reading::Over;
        self.stop.cancel();
    }

    /// Tells the peer that this node closes.
    pub(super) fn say_goodbye(&self) {
        self.goodbye.notify_one();
    }
}

/// Accepts connections until the node closes.
pub(super) async fn listen(links: Arc<Links>, mut listener: Box<dyn Listener>) {
    let unauthenticated = Arc::new(Semaphore::new(links.config.unauthenticated_max));
    loop {
        let accepted = tokio::select! {
            biased;
            () = links.closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((connection, from)) => match unauthenticated.clone().try_acquire_owned() {
                Ok(permit) => links.spawn(run(links.clone(), connection, from, permit)),
                Err(_) => {
                    tracing::debug!(node = %links.me, %from, "too many connections have no proof yet: closed one")
                }
            },
            Err(error) => {
                tracing::warn!(node = %links.me, %error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn run(
    links: Arc<Links>,
    connection: Box<dyn Connection>,
    from: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    let accepted = tokio::select! {
        biased;
        () = links.closing.cancelled() => return,
        accepted = authenticate(&links, connection) => accepted,
    };
    let (connection, peer, early) = match accepted {
        Ok(accepted) => accepted,
        // A probe of a load balancer, mostly.
        Err(LinkError::Closed) => return,
        Err(LinkError::Handshake(error @ HandshakeError::WrongIncarnation { .. })) => {
            tracing::debug!(node = %links.me, %from, %error, "told a dialler that its peer is gone");
            return;
        }
        Err(error) => {
            tracing::warn!(node = %links.me, %from, %error, "refused a connection");
            return;
        }
    };
    drop(permit);
    let inbound = Arc::new(Inbound::new(peer.clone()));
    links.install(&inbound);
    let error = tokio::select! {
        biased;
        () = links.closed.cancelled() => LinkError::Cut,
        () = inbound.stop.cancelled() => LinkError::Cut,
        error = serve(&links, &inbound, connection, early) => error,
    };
    let loss = match &error {
        LinkError::Goodbye => Loss::NodeDown,
        LinkError::Io(_)
        | LinkError::Handshake(_)
        | LinkError::Frame(_)
        | LinkError::Silent(_)
        | LinkError::SlowHandshake(_)
        | LinkError::Closed
        | LinkError::Cut => Loss::Disconnected,
    };
    if links.lose(&peer, Which::Inbound(&inbound), loss, None).is_none() {
        return;
    }
    match &error {
        LinkError::Goodbye | LinkError::Cut => {
            tracing::debug!(node = %links.me, %peer, %error, "the link is over")
        }
        LinkError::Io(_)
        | LinkError::Handshake(_)
        | LinkError::Frame(_)
        | LinkError::Silent(_)
        | LinkError::SlowHandshake(_)
        | LinkError::Closed => tracing::warn!(node = %links.me, %peer, %error, "lost the link"),
    }
}

async fn authenticate(
    links: &Links,
    connection: Box<dyn Connection>,
) -> Result<(Box<dyn Connection>, NodeId, BytesMut), LinkError> {
    let timeout = links.config.handshake_timeout;
    let handshake = async {
        #[cfg(feature = "tls")]
        let connection = match &links.config.tls {
            Some(tls) => tls.accept(connection).await?,
            None => connection,
        };
        let mut connection = connection;
        let nonce = stream::nonce(&*links.host);
        let (peer, early) =
            stream::accept(&mut *connection, links.config.cookie.clone(), &links.me, nonce).await?;
        Ok((connection, peer, early))
    };
    tokio::time::timeout(timeout, handshake).await.unwrap_or(Err(LinkError::SlowHandshake(timeout)))
}

async fn serve(
    links: &Links,
    inbound: &Inbound,
    connection: Box<dyn Connection>,
    early: BytesMut,
) -> LinkError {
    let (reader, writer) = tokio::io::split(connection);
    tokio::select! {
        biased;
        error = read(links, inbound, reader, early) => error,
        error = beat(inbound, writer, links.config.heartbeat_interval) => error,
    }
}

async fn read(
    links: &Links,
    inbound: &Inbound,
    mut reader: ReadHalf<Box<dyn Connection>>,
    mut buffer: BytesMut,
) -> LinkError {
    let mut ear = Ear::new(links.config.heartbeat_timeout);
    loop {
        match deliver_all(links, inbound, &mut buffer) {
            Ok(None) => {}
            Ok(Some(pressure)) => {
                pressure.await;
                ear.restart();
                continue;
            }
            Err(error) => return error,
        }
        buffer.reserve(READ_LEN);
        if let Err(error) = ear.read(&mut reader, &mut buffer).await {
            return error;
        }
    }
}

/// Delivers the frames that are complete. Stops when a receiver cannot take more for now.
fn deliver_all(
    links: &Links,
    inbound: &Inbound,
    buffer: &mut BytesMut,
) -> Result<Option<BoxFuture<'static, ()>>, LinkError> {
    let Some(deliver) = links.deliver() else { return Err(LinkError::Cut) };
    let reading = lock(&inbound.reading);
    match *reading {
        Reading::Allowed => {}
        Reading::Over => return Err(LinkError::Cut),
    }
    while let Some(frame) = frame::split(buffer, links.config.frame_len_max)? {
        let delivery = match frame {
            Frame::Beat => continue,
            Frame::Goodbye => return Err(LinkError::Goodbye),
            Frame::Message { to, fingerprint, payload } => Delivery::Message { to, fingerprint, payload },
            Frame::Signal(signal) => Delivery::Signal(signal),
        };
        if let Some(pressure) = deliver.deliver(&inbound.peer, delivery) {
            return Ok(Some(pressure));
        }
    }
    Ok(None)
}

/// Signs of life, also while nothing is read because a receiver is behind: the dialler must be able to tell
/// that from a dead node.
async fn beat(
    inbound: &Inbound,
    mut writer: WriteHalf<Box<dyn Connection>>,
    interval: Duration,
) -> LinkError {
    let mut bytes = Vec::new();
    loop {
        let is_goodbye = tokio::time::timeout(interval, inbound.goodbye.notified()).await.is_ok();
        bytes.clear();
        if is_goodbye {
            frame::append_goodbye(&mut bytes);
        } else {
            frame::append_beat(&mut bytes);
        }
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
    }
}
