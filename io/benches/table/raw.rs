//! The limit for messages between nodes: one TCP connection, frames with a length, and nothing else that a node has:
//! no links, no monitors, no names, no identity at the other end, no bound for a receiver that is behind.
//!
//! It is as fast as we know how: senders encode into one buffer, the writer swaps it out, the reader hands slices of its
//! buffer to mailboxes of tokio's own.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// One end of the connection, with the mailboxes at it.
#[derive(Clone)]
pub(crate) struct Raw {
    out: Arc<Out>,
    mailboxes: Arc<RwLock<HashMap<u64, mpsc::UnboundedSender<Bytes>>>>,
}

#[derive(Default)]
struct Out {
    buffer: Mutex<Vec<u8>>,
    ready: Notify,
    space: Notify,
}

/// Senders wait above this, as between our nodes.
const HIGH_WATER: usize = 1 << 20;
const ENCODING: bincode::config::Configuration = bincode::config::standard();

impl Raw {
    pub(crate) fn start(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.into_split();
        let raw = Self { out: Arc::default(), mailboxes: Arc::default() };
        let mailboxes = Arc::clone(&raw.mailboxes);
        tokio::spawn(async move {
            let mut buffer = BytesMut::new();
            loop {
                buffer.reserve(64 << 10);
                if !matches!(reader.read_buf(&mut buffer).await, Ok(1..)) {
                    return;
                }
                let mailboxes = mailboxes.read().unwrap_or_else(PoisonError::into_inner);
                while let Some(head) = buffer.first_chunk::<4>() {
                    let len = u32::from_be_bytes(*head) as usize;
                    if buffer.len() < 4 + len {
                        break;
                    }
                    buffer.advance(4);
                    let mut frame = buffer.split_to(len).freeze();
                    let to = frame.get_u64();
                    if let Some(mailbox) = mailboxes.get(&to) {
                        // Its receiver may be gone.
                        let _ = mailbox.send(frame);
                    }
                }
            }
        });
        let out = Arc::clone(&raw.out);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                std::mem::swap(&mut *out.buffer.lock().unwrap_or_else(PoisonError::into_inner), &mut mine);
                if mine.is_empty() {
                    out.ready.notified().await;
                    continue;
                }
                out.space.notify_waiters();
                if writer.write_all(&mine).await.is_err() {
                    return;
                }
                mine.clear();
            }
        });
        Ok(raw)
    }

    pub(crate) fn mailbox(&self, number: u64) -> mpsc::UnboundedReceiver<Bytes> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.mailboxes.write().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
        receiver
    }

    pub(crate) async fn send<T: Serialize>(&self, to: u64, message: &T) {
        loop {
            let space = self.out.space.notified();
            {
                let mut buffer = self.out.buffer.lock().unwrap_or_else(PoisonError::into_inner);
                if buffer.len() < HIGH_WATER {
                    let was_empty = buffer.is_empty();
                    append(&mut buffer, to, message);
                    drop(buffer);
                    if was_empty {
                        self.out.ready.notify_one();
                    }
                    return;
                }
            }
            space.await;
        }
    }
}

/// What [`Raw::send`] sent.
pub(crate) fn decoded<T: DeserializeOwned>(frame: &[u8]) -> T {
    let decoded = bincode::serde::decode_from_slice(frame, ENCODING);
    decoded.map(|(message, _)| message).expect("what the other end encoded")
}

fn append<T: Serialize>(buffer: &mut Vec<u8>, to: u64, message: &T) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&to.to_be_bytes());
    bincode::serde::encode_into_std_write(message, buffer, ENCODING).expect("a message of the bench");
    let len = (buffer.len() - start - 4) as u32;
    buffer[start..start + 4].copy_from_slice(&len.to_be_bytes());
}
