//! One connection of the native client: dialled, written, read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use queenright_core::Instant;
use queenright_core::wire::client::{Bytes, Client};
use queenright_core::wire::{ConnectRequest, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::port::{Connection, Network};

/// How much is read at once.
const READ_LEN: usize = 16 * 1024;

pub(super) struct Link {
    address: String,
    bytes: Bytes,
    socket: Socket,
}

enum Socket {
    Dialling(BoxFuture<'static, io::Result<Box<dyn Connection>>>),
    Open {
        stream: Box<dyn Connection>,
        buffer: Box<[u8]>,
        written: Written,
    },
    /// Told as soon as it is asked.
    Broken(Option<io::Error>),
}

/// Whether what was written has left: a stream may hold it back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Flushed,
    Unflushed,
}

/// What became of a connection.
pub(super) enum Progress {
    /// Nothing; the task is woken when there is something.
    None,
    /// Something was read.
    Read,
    /// It is over.
    Broken(io::Error),
}

impl Link {
    pub(super) fn dial(network: Arc<dyn Network>, address: String, request: &ConnectRequest) -> Self {
        let target = address.clone();
        let dialling = Box::pin(async move { network.connect(&target).await });
        Self { address, bytes: Bytes::new(request), socket: Socket::Dialling(dialling) }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn send(&mut self, xid: i32, request: &Request) {
        self.bytes.send(xid, request);
    }

    /// Hands the next record that was read to the machine; whether there was one.
    pub(super) fn deliver(&mut self, now: Instant, machine: &mut Client) -> bool {
        self.bytes.deliver(now, machine)
    }

    /// Dials, writes what there is, and reads once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Progress {
        if let Socket::Dialling(dialling) = &mut self.socket {
            match dialling.as_mut().poll(cx) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Err(error)) => self.socket = Socket::Broken(Some(error)),
                Poll::Ready(Ok(stream)) => {
                    let buffer = vec![0; READ_LEN].into_boxed_slice();
                    self.socket = Socket::Open { stream, buffer, written: Written::Flushed };
                }
            }
        }
        self.poll_write(cx);
        match &mut self.socket {
            Socket::Dialling(_) => Progress::None,
            Socket::Open { stream, buffer, .. } => {
                let mut read = ReadBuf::new(buffer);
                match Pin::new(stream).poll_read(cx, &mut read) {
                    Poll::Pending => Progress::None,
                    Poll::Ready(Err(error)) => Progress::Broken(error),
                    Poll::Ready(Ok(())) if read.filled().is_empty() => {
                        Progress::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"))
                    }
                    Poll::Ready(Ok(())) => {
                        self.bytes.receive(read.filled());
                        Progress::Read
                    }
                }
            }
            Socket::Broken(error) => match error.take() {
                Some(error) => Progress::Broken(error),
                None => Progress::None,
            },
        }
    }

    /// Writes what can be written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) {
        let Socket::Open { stream, written, .. } = &mut self.socket else { return };
        let outgoing = self.bytes.outgoing();
        let mut sent = 0;
        let broken = loop {
            if sent == outgoing.len() {
                break match written {
                    Written::Flushed => None,
                    Written::Unflushed => match Pin::new(stream).poll_flush(cx) {
                        Poll::Pending => None,
                        Poll::Ready(Ok(())) => {
                            *written = Written::Flushed;
                            None
                        }
                        Poll::Ready(Err(error)) => Some(error),
                    },
                };
            }
            match Pin::new(&mut *stream).poll_write(cx, &outgoing[sent..]) {
                Poll::Pending => break None,
                Poll::Ready(Ok(0)) => break Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(len)) => {
                    sent += len;
                    *written = Written::Unflushed;
                }
                Poll::Ready(Err(error)) => break Some(error),
            }
        };
        outgoing.drain(..sent);
        if broken.is_some() {
            self.socket = Socket::Broken(broken);
        }
    }
}
