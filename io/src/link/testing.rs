//! A network in memory that can be stalled, cut, and cut in the middle of what was sent.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};

use crate::lock::lock;
use crate::port::{Connection, Listener, Network};

/// The network of one test.
pub(crate) struct Wires {
    listeners: Mutex<BTreeMap<String, mpsc::Sender<Incoming>>>,
    weather: watch::Sender<Weather>,
    next_port: AtomicU16,
    dialled: AtomicUsize,
    /// What travelled, in bytes.
    carried: Arc<AtomicUsize>,
}

/// What happens to bytes, on every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Nothing arrives, and nobody is told.
    Stalled,
    /// After this many further bytes in one direction a connection breaks; new ones cannot be made.
    BreaksAfter(usize),
}

type Incoming = (DuplexStream, SocketAddr);

/// What a connection holds in each direction and each half of its way.
const PIPE_LEN: usize = 16 << 10;

impl Wires {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            listeners: Mutex::default(),
            weather: watch::Sender::new(Weather::Fair),
            next_port: AtomicU16::new(1000),
            dialled: AtomicUsize::new(0),
            carried: Arc::default(),
        })
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How often somebody dialled.
    pub(crate) fn dialled(&self) -> usize {
        self.dialled.load(Ordering::SeqCst)
    }

    pub(crate) fn carried(&self) -> usize {
        self.carried.load(Ordering::SeqCst)
    }

    fn relay(&self, from: DuplexStream, to: DuplexStream) {
        let ((from_reader, from_writer), (to_reader, to_writer)) =
            (tokio::io::split(from), tokio::io::split(to));
        let there = carry(from_reader, to_writer, self.weather.subscribe(), self.carried.clone());
        let back = carry(to_reader, from_writer, self.weather.subscribe(), self.carried.clone());
        // When one direction ends, both do.
        tokio::spawn(async move {
            tokio::select! {
                () = there => {}
                () = back => {}
            }
        });
    }
}

impl Network for Wires {
    fn bind<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let address: SocketAddr = match address.strip_suffix(":0") {
                Some(_) => (Ipv4Addr::LOCALHOST, self.next_port.fetch_add(1, Ordering::SeqCst)).into(),
                None => address.parse().map_err(io::Error::other)?,
            };
            let mut listeners = lock(&self.listeners);
            if listeners.get(&address.to_string()).is_some_and(|listener| !listener.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let (sender, incoming) = mpsc::channel(100);
            listeners.insert(address.to_string(), sender);
            Ok(Box::new(Bound { address, incoming }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Connection>>> {
        Box::pin(async move {
            self.dialled.fetch_add(1, Ordering::SeqCst);
            let mut weather = self.weather.subscribe();
            while *weather.borrow_and_update() == Weather::Stalled {
                weather.changed().await.map_err(io::Error::other)?;
            }
            let listener = lock(&self.listeners).get(address).cloned();
            let listener = listener.filter(|_| *weather.borrow() == Weather::Fair);
            let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
            let ((ours, near), (far, theirs)) = (tokio::io::duplex(PIPE_LEN), tokio::io::duplex(PIPE_LEN));
            let from = (Ipv4Addr::LOCALHOST, self.next_port.fetch_add(1, Ordering::SeqCst)).into();
            listener.send((theirs, from)).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            self.relay(near, far);
            Ok(Box::new(ours) as Box<dyn Connection>)
        })
    }
}

struct Bound {
    address: SocketAddr,
    incoming: mpsc::Receiver<Incoming>,
}

impl Listener for Bound {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Connection>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, from) = self.incoming.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
            Ok((Box::new(stream) as Box<dyn Connection>, from))
        })
    }
}

async fn carry(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    mut weather: watch::Receiver<Weather>,
    carried: Arc<AtomicUsize>,
) {
    let mut chunk = [0; 1000];
    let mut left = None;
    loop {
        let read = tokio::select! {
            biased;
            changed = weather.changed() => {
                // Also when nothing is on its way.
                if changed.is_err() || *weather.borrow() == Weather::BreaksAfter(0) {
                    return;
                }
                left = None;
                continue;
            }
            read = from.read(&mut chunk) => read,
        };
        let Ok(mut len @ 1..) = read else { return };
        loop {
            match *weather.borrow_and_update() {
                Weather::Fair => break,
                Weather::Stalled => {}
                Weather::BreaksAfter(bytes) => {
                    let left = left.get_or_insert(bytes);
                    len = len.min(*left);
                    *left -= len;
                    break;
                }
            }
            if weather.changed().await.is_err() {
                return;
            }
        }
        carried.fetch_add(len, Ordering::SeqCst);
        if len == 0 || to.write_all(&chunk[..len]).await.is_err() {
            return;
        }
    }
}
