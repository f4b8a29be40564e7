//! A client that does nothing but send and count.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use queenright_core::wire::{ConnectRequest, Request};

/// Longer than any bench.
const SESSION_MS: i32 = 40_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// A server that is not up yet may take a connection and forget it.
const OPENING_PATIENCE: Duration = Duration::from_secs(2);

/// A connection with a session.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Opens a session.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    /// Opens a session, if there is somebody who has one.
    pub(crate) fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(OPENING_PATIENCE))?;
        let mut connection = Self { stream, received: Vec::new() };
        let mut bytes = Vec::new();
        ConnectRequest::new_session(SESSION_MS).encode(&mut bytes);
        connection.stream.write_all(&bytes)?;
        connection.try_skip(1)?;
        connection.stream.set_read_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    pub(crate) fn encode(requests: &[Request]) -> Vec<u8> {
        let mut bytes = Vec::new();
        requests.iter().zip(1..).for_each(|(request, xid)| request.encode(xid, &mut bytes));
        bytes
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request, and waits for its reply.
    pub(crate) fn ask(&mut self, request: &Request) {
        self.send(&Self::encode(std::slice::from_ref(request)));
        self.skip(1);
    }

    /// Waits for so many frames.
    pub(crate) fn skip(&mut self, count: usize) {
        self.try_skip(count).unwrap();
    }

    fn try_skip(&mut self, mut count: usize) -> std::io::Result<()> {
        let mut chunk = [0; 0x1_0000];
        loop {
            let mut taken = 0;
            while count > 0 {
                let Some(prefix) = self.received[taken..].first_chunk::<4>() else { break };
                let end = taken + 4 + usize::try_from(i32::from_be_bytes(*prefix)).unwrap();
                if end > self.received.len() {
                    break;
                }
                (taken, count) = (end, count - 1);
            }
            self.received.drain(..taken);
            if count == 0 {
                return Ok(());
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                some => self.received.extend_from_slice(&chunk[..some]),
            }
        }
    }
}
