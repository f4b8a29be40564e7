//! A relay that counts what passes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use queenright_core::wire::{FRAME_LEN_MAX, Frames, OpCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards to a server. Pings and connect requests are left out of all counts.
pub(crate) struct Relay {
    pub(crate) address: String,
    counts: Arc<Mutex<Counts>>,
    is_cut: watch::Sender<bool>,
}

#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// By the number of the operation.
    requests: BTreeMap<i32, usize>,
    /// Both ways, with the lengths of frames.
    pub(crate) bytes: usize,
    last: Instant,
    last_request: Instant,
}

/// The xid of pings.
const PING: i32 = -2;

impl Relay {
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has free ports");
        let address = listener.local_addr().expect("it is bound").to_string();
        let counts = Arc::new(Mutex::new(Counts::new()));
        let (told, server) = (Arc::clone(&counts), server.to_owned());
        let (is_cut, cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *cut.borrow() {
                    continue;
                }
                // At the end the server goes first.
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                for stream in [&client, &upstream] {
                    stream.set_nodelay(true).expect("a socket");
                }
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = upstream.into_split();
                tokio::spawn(pass(from_client, to_server, Arc::clone(&told), true, cut.clone()));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&told), false, cut.clone()));
            }
        });
        Self { address, counts, is_cut }
    }

    /// What passed since the last call, once nothing has for a while.
    pub(crate) async fn take(&self) -> Counts {
        const QUIET: Duration = Duration::from_millis(300);
        loop {
            let last = self.counts.lock().unwrap_or_else(PoisonError::into_inner).last;
            if last.elapsed() >= QUIET {
                break;
            }
            tokio::time::sleep(QUIET - last.elapsed().min(QUIET) + Duration::from_millis(1)).await;
        }
        self.take_now()
    }

    /// What passed since the last call.
    pub(crate) fn take_now(&self) -> Counts {
        std::mem::replace(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner), Counts::new())
    }

    /// Nothing passes any more, as when the process of a client is killed. Tells when a request last did.
    pub(crate) fn cut(&self) -> Instant {
        self.is_cut.send_replace(true);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).last_request
    }
}

impl Counts {
    fn new() -> Self {
        let now = Instant::now();
        Self { requests: BTreeMap::new(), bytes: 0, last: now, last_request: now }
    }

    fn count(&mut self, frame: &[u8], is_from_client: bool) {
        let number = |at: usize| frame.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes);
        if number(0) == Some(PING) {
            return;
        }
        self.bytes += 4 + frame.len();
        self.last = Instant::now();
        if let (true, Some(operation)) = (is_from_client, number(4)) {
            *self.requests.entry(operation).or_default() += 1;
            self.last_request = self.last;
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.values().sum()
    }

    pub(crate) fn listings(&self) -> usize {
        let of = |operation: OpCode| self.requests.get(&operation.number()).copied().unwrap_or_default();
        of(OpCode::GetChildren) + of(OpCode::GetChildren2)
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    counts: Arc<Mutex<Counts>>,
    is_from_client: bool,
    mut cut: watch::Receiver<bool>,
) {
    let mut frames = Frames::new(FRAME_LEN_MAX);
    let mut buffer = vec![0; 64 << 10];
    let mut is_connect = true;
    loop {
        let read = tokio::select! {
            // Both halves of a connection end here, and so it does.
            _ = cut.wait_for(|is_cut| *is_cut) => return,
            read = from.read(&mut buffer) => read,
        };
        let Ok(len @ 1..) = read else { return };
        frames.push(&buffer[..len]);
        while let Some(frame) = frames.next_frame().expect("clients and servers know the protocol") {
            if !std::mem::take(&mut is_connect) {
                counts.lock().unwrap_or_else(PoisonError::into_inner).count(frame, is_from_client);
            }
        }
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}
