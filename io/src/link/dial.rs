//! The dialling end of a link: the writer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, MissedTickBehavior};

use super::frame::{self, Frame};
use super::handshake::HandshakeError;
use super::links::{LINGER, Links, Loss, Which};
use super::outbound::{Outbound, Taken};
use super::stream::{self, Ear, LinkError};
use crate::mutation::Mutation;
use crate::port::{Connection, Host};

/// The rest after the first dial in a row that failed; it doubles up to [`REST_MAX`], and half of it is drawn
/// by lot.
const REST_MIN: Duration = Duration::from_millis(50);
/// The longest rest between two dials that failed.
const REST_MAX: Duration = Duration::from_secs(2);
/// A link that did not live this long counts as a dial that failed: two nodes that cannot agree do not storm
/// each other.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// Dials the peer and writes what is sent to it, until the link is lost; rests, and dials again if something
/// was sent in the meantime.
pub(super) async fn run(links: Arc<Links>, mut outbound: Arc<Outbound>) {
    let peer = outbound.peer().clone();
    let mut failures = 0;
    loop {
        let dialled = tokio::select! {
            biased;
            () = links.closed.cancelled() => return,
            () = outbound.stopped() => Err(LinkError::Cut),
            dialled = dial(&links, &outbound) => dialled,
        };
        let dialled_at = Instant::now();
        let (error, lived) = match dialled {
            Ok((connection, early)) => {
                tracing::debug!(node = %links.me, %peer, "linked");
                let error = tokio::select! {
                    biased;
                    () = links.closed.cancelled() => return,
                    error = serve(&links, &outbound, connection, early) => error,
                };
                (error, dialled_at.elapsed())
            }
            Err(error) => (error, Duration::ZERO),
        };
        let is_failure = lived < STABLE_AFTER && !matches!(error, LinkError::Goodbye);
        let successor = is_failure.then(|| Arc::new(Outbound::new(peer.clone(), links.guards)));
        let Some(lost) = links.lose(&peer, Which::Outbound(&outbound), loss(&error), successor.clone())
        else {
            return;
        };
        tell(&links, &outbound, &error, lost);
        let Some(successor) = successor else { return };
        tokio::select! {
            biased;
            () = links.closed.cancelled() => return,
            () = successor.stopped() => return,
            () = links.closing.cancelled() => {}
            () = tokio::time::sleep(rest(&*links.host, failures)) => {}
        }
        failures += 1;
        if links.retire(&successor) {
            return;
        }
        outbound = successor;
    }
}

async fn dial(links: &Links, outbound: &Outbound) -> Result<(Box<dyn Connection>, BytesMut), LinkError> {
    let timeout = links.config.handshake_timeout;
    let dial = async {
        let connection = links.network.connect(outbound.peer().address()).await?;
        #[cfg(feature = "tls")]
        let connection = match &links.config.tls {
            Some(tls) => tls.connect(connection, outbound.peer().address()).await?,
            None => connection,
        };
        let mut connection = connection;
        let nonce = stream::nonce(&*links.host);
        let early =
            stream::dial(&mut *connection, links.config.cookie.clone(), &links.me, outbound.peer(), nonce)
                .await?;
        Ok((connection, early))
    };
    tokio::time::timeout(timeout, dial).await.unwrap_or(Err(LinkError::SlowHandshake(timeout)))
}

/// Writes frames and listens for signs of life, until one of both fails.
async fn serve(
    links: &Links,
    outbound: &Outbound,
    connection: Box<dyn Connection>,
    mut early: BytesMut,
) -> LinkError {
    let (mut reader, writer) = tokio::io::split(connection);
    let written = tokio::select! {
        biased;
        () = outbound.stopped() => return LinkError::Cut,
        error = listen(&mut reader, &mut early, links.config.heartbeat_timeout) => return error,
        written = write(links, outbound, writer) => written,
    };
    if let Err(error) = written {
        return error.into();
    }
    // To close with unread bytes would reset the connection, and the reset could overtake our last frames in
    // the peer's system: let the peer close first.
    let _ = tokio::time::timeout(LINGER, listen(&mut reader, &mut early, LINGER)).await;
    LinkError::Goodbye
}

/// The acceptor sends signs of life, and perhaps a goodbye.
async fn listen(
    reader: &mut ReadHalf<Box<dyn Connection>>,
    buffer: &mut BytesMut,
    timeout: Duration,
) -> LinkError {
    let mut ear = Ear::new(timeout);
    loop {
        // Both are one byte long.
        match frame::split(buffer, 1) {
            Ok(Some(Frame::Goodbye)) => return LinkError::Goodbye,
            Ok(Some(Frame::Beat | Frame::Message { .. } | Frame::Signal(_))) => continue,
            Ok(None) => {}
            Err(error) => return error.into(),
        }
        if let Err(error) = ear.read(reader, buffer).await {
            return error;
        }
    }
}

/// Ends with Ok behind the goodbye.
async fn write(
    links: &Links,
    outbound: &Outbound,
    mut writer: WriteHalf<Box<dyn Connection>>,
) -> io::Result<()> {
    let heartbeat_interval = links.config.heartbeat_interval;
    let mut is_sent_twice = links.guards.lack(Mutation::SentTwice);
    let mut beat = tokio::time::interval_at(Instant::now() + heartbeat_interval, heartbeat_interval);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mine = Vec::new();
    loop {
        match outbound.take(&mut mine) {
            Taken::Bytes => {}
            Taken::Nothing => tokio::select! {
                biased;
                () = outbound.ready() => continue,
                _ = beat.tick() => frame::append_beat(&mut mine),
            },
            Taken::Finished => return writer.shutdown().await,
        }
        writer.write_all(&mine).await?;
        if std::mem::take(&mut is_sent_twice) {
            writer.write_all(&mine).await?;
        }
        // TLS keeps what it could not write at once.
        writer.flush().await?;
        mine.clear();
    }
}

fn loss(error: &LinkError) -> Loss {
    match error {
        LinkError::Goodbye | LinkError::Handshake(HandshakeError::WrongIncarnation { .. }) => Loss::NodeDown,
        LinkError::Handshake(
            HandshakeError::Foreign | HandshakeError::Version { .. } | HandshakeError::WrongCookie,
        )
        | LinkError::Io(_)
        | LinkError::Frame(_)
        | LinkError::Silent(_)
        | LinkError::SlowHandshake(_)
        | LinkError::Closed
        | LinkError::Cut => Loss::Disconnected,
    }
}

fn tell(links: &Links, outbound: &Outbound, error: &LinkError, lost: usize) {
    let (node, peer) = (&links.me, outbound.peer());
    match error {
        LinkError::Goodbye | LinkError::Cut => tracing::debug!(%node, %peer, %error, "the link is over"),
        LinkError::Io(_)
        | LinkError::Handshake(_)
        | LinkError::Frame(_)
        | LinkError::Silent(_)
        | LinkError::SlowHandshake(_)
        | LinkError::Closed => tracing::warn!(%node, %peer, %error, bytes_lost = lost, "lost the link"),
    }
}

fn rest(host: &dyn Host, failures: u32) -> Duration {
    let rest = REST_MIN.saturating_mul(1 << failures.min(10)).min(REST_MAX);
    let half = rest / 2;
    let lot = (host.entropy() as u64) % (half.as_nanos() as u64).max(1);
    half + Duration::from_nanos(lot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::OperatingSystem;

    #[test]
    fn rests_grow_to_a_cap() {
        for failures in 0..40 {
            let rest = rest(&OperatingSystem, failures);
            assert!(rest >= REST_MIN / 2 && rest <= REST_MAX, "{rest:?}");
        }
        assert!(rest(&OperatingSystem, 30) >= REST_MAX / 2);
    }
}
