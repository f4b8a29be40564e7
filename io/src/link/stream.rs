//! The handshake on a byte stream.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep};

use super::frame::{self, FrameError};
use super::handshake::{Acceptor, Cookie, Dialler, HANDSHAKE_FRAME_LEN_MAX, HandshakeError, Nonce};
use crate::port::{Connection, Host};
use crate::process::NodeId;

/// Why a link did not come about, or came to its end.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    #[error("no handshake within {0:?}")]
    SlowHandshake(Duration),
    #[error("the other end closed the connection")]
    Closed,
    #[error("the other end said goodbye")]
    Goodbye,
    #[error("this end cut it")]
    Cut,
}

/// Reads until nothing is heard for too long.
///
/// All reads of a link share one timer, which is late on purpose and then looks at what was heard meanwhile: a timer of
/// its own would cost a small message more than being read.
pub(crate) struct Ear {
    timeout: Duration,
    heard_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Ear {
    pub(crate) fn new(timeout: Duration) -> Self {
        let heard_at = Instant::now();
        Self { timeout, heard_at, timer: Box::pin(tokio::time::sleep_until(heard_at + timeout)) }
    }

    /// Nobody listened until now, so silence begins now.
    pub(crate) fn restart(&mut self) {
        self.heard_at = Instant::now();
    }

    /// Reads something to the end of `buffer`. Cancel-safe.
    pub(crate) async fn read(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        buffer: &mut BytesMut,
    ) -> Result<(), LinkError> {
        loop {
            tokio::select! {
                biased;
                read = reader.read_buf(buffer) => {
                    self.heard_at = Instant::now();
                    return match read? {
                        0 => Err(LinkError::Closed),
                        _ => Ok(()),
                    };
                }
                () = &mut self.timer => {
                    let silent_at = self.heard_at + self.timeout;
                    if Instant::now() >= silent_at {
                        return Err(LinkError::Silent(self.timeout));
                    }
                    self.timer.as_mut().reset(silent_at);
                }
            }
        }
    }
}

/// Proves this node to the acceptor and makes sure that it is `wanted`. What arrived behind the handshake is
/// returned.
pub(crate) async fn dial(
    stream: &mut dyn Connection,
    cookie: Option<Cookie>,
    me: &NodeId,
    wanted: &NodeId,
    nonce: Nonce,
) -> Result<BytesMut, LinkError> {
    let mut buffer = BytesMut::new();
    let (dialler, hello) = Dialler::new(cookie, me, wanted, nonce);
    write(stream, &hello).await?;
    let (dialler, proof) = dialler.handle_challenge(&read(stream, &mut buffer).await?)?;
    write(stream, &proof).await?;
    dialler.handle_verdict(&read(stream, &mut buffer).await?)?;
    Ok(buffer)
}

/// Finds out who dials, and tells it why not if it may not. What arrived behind the handshake is returned.
pub(crate) async fn accept(
    stream: &mut dyn Connection,
    cookie: Option<Cookie>,
    me: &NodeId,
    nonce: Nonce,
) -> Result<(NodeId, BytesMut), LinkError> {
    let mut buffer = BytesMut::new();
    let hello = read(stream, &mut buffer).await?;
    let (answer, acceptor) = Acceptor::new(cookie, me, nonce).handle_hello(&hello);
    if let Some(answer) = answer {
        write(stream, &answer).await?;
    }
    let (verdict, dialler) = acceptor?.handle_proof(&read(stream, &mut buffer).await?);
    if let Some(verdict) = verdict {
        write(stream, &verdict).await?;
    }
    Ok((dialler?, buffer))
}

/// 32 fresh bytes.
pub(crate) fn nonce(host: &dyn Host) -> Nonce {
    let mut nonce = [0; 32];
    let (left, right) = nonce.split_at_mut(16);
    left.copy_from_slice(&host.entropy().to_be_bytes());
    right.copy_from_slice(&host.entropy().to_be_bytes());
    nonce
}

async fn read(stream: &mut dyn Connection, buffer: &mut BytesMut) -> Result<Bytes, LinkError> {
    loop {
        match frame::split_raw(buffer, HANDSHAKE_FRAME_LEN_MAX) {
            Ok(Some(frame)) => return Ok(frame),
            Ok(None) => {}
            // Whoever claims that much before he is known speaks something else.
            Err(_) => return Err(HandshakeError::Foreign.into()),
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(LinkError::Closed);
        }
    }
}

async fn write(stream: &mut dyn Connection, body: &[u8]) -> Result<(), LinkError> {
    stream.write_all(&frame::raw(body)).await?;
    stream.flush().await?;
    Ok(())
}
