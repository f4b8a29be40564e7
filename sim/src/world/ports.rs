//! queenright's ports on the simulated network, on the simulated clock, and on entropy that the seed gives.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use queenright::port::{Connection, Host, Listener, Network};
use queenright_core::op::Op;
use queenright_core::{Instant, Name, Output};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::drawn::Drawn;
use super::fault::Place;
use super::shared::Shared;
use crate::checkers::Life;
use crate::explorer::mix::mix;
use crate::explorer::show;
use crate::timeline::{Belief, Way, What};

/// The ports of one life of one node.
pub(super) struct Ports {
    shared: Arc<Shared>,
    node: u8,
    life: u32,
    /// How far the rate of this node's clock is from true.
    clock_ppm: i32,
    /// What was told last: the clock never goes back.
    told_nanos: AtomicU64,
    drawn_count: AtomicU64,
    /// How many clients there were in this life.
    core_count: AtomicU16,
}

impl Ports {
    pub(super) const fn new(shared: Arc<Shared>, node: u8, life: u32, clock_ppm: i32) -> Self {
        let (told_nanos, drawn_count) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { shared, node, life, clock_ppm, told_nanos, drawn_count, core_count: AtomicU16::new(0) }
    }
}

impl Host for Ports {
    fn now(&self) -> Instant {
        let shown = shown(self.shared.now(), self.clock_ppm).as_nanos();
        let told = self.told_nanos.fetch_max(shown, Ordering::Relaxed);
        Instant::from_nanos(told.max(shown))
    }

    fn entropy(&self) -> u128 {
        let number = self.drawn_count.fetch_add(2, Ordering::Relaxed);
        let life = mix(self.shared.seed, u64::from(self.node) << 32 | u64::from(self.life));
        u128::from(mix(life, number)) << 64 | u128::from(mix(life, number + 1))
    }
}

/// What a clock shows whose rate is so many millionths off.
fn shown(real: Instant, ppm: i32) -> Instant {
    let nanos = i128::from(real.as_nanos());
    let nanos = nanos + nanos * i128::from(ppm) / 1_000_000;
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// When such a clock shows that.
fn real(shown: Instant, ppm: i32) -> Instant {
    let nanos = i128::from(shown.as_nanos()) * 1_000_000 / (1_000_000 + i128::from(ppm));
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The ports of one client, of which the timeline is told what it decides.
pub(super) struct Heard {
    ports: Arc<Ports>,
    /// Which one of this life.
    core: u16,
}

impl Heard {
    pub(super) fn new(ports: &Arc<Ports>) -> Arc<Self> {
        let core = ports.core_count.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { ports: Arc::clone(ports), core })
    }
}

impl Host for Heard {
    fn now(&self) -> Instant {
        self.ports.now()
    }

    fn entropy(&self) -> u128 {
        self.ports.entropy()
    }

    fn observe(&self, output: &Output) {
        let Ports { shared, node, life, .. } = &*self.ports;
        let life = Life { node: *node, number: *life };
        match output {
            Output::Request(request) => {
                if let Some(global) = stands_for(&request.op) {
                    let text = format!("campaign for {global}");
                    shared.record(|| What::Did { life, stands: Some(global), text });
                }
            }
            Output::Event(event) => {
                shared.record(|| {
                    let text = show::text(|line| show::output(line, output));
                    What::Decided { life, output: output.clone(), text }
                });
                if let Some(change) = Belief::told(event, |at| real(at, self.ports.clock_ppm)) {
                    shared.record(|| What::Believes { life, core: self.core, change });
                }
            }
        }
    }
}

/// The global in whose queue a request puts a candidate.
fn stands_for(op: &Op) -> Option<Name> {
    let Op::Create { path, .. } = op else { return None };
    let queue = path.parent().filter(|parent| parent.file_name() == "queue")?;
    Name::new(queue.parent()?.file_name()).ok()
}

/// A handle of the ports as a network: its futures outlive the call.
#[derive(Clone)]
pub(super) struct Wires(pub(super) Arc<Ports>);

impl Network for Wires {
    fn bind<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(Bound { listener, wires: self.clone() }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await;
            let what = (self.0.node, address, stream.is_ok());
            self.0.shared.note(&what, |line| match &stream {
                Ok(_) => write!(line, "node-{} connects to {address}", self.0.node),
                Err(error) => write!(line, "node-{} cannot connect to {address}: {error}", self.0.node),
            });
            Ok(Box::new(Watched::new(stream?, self.clone(), Way::Up)) as Box<dyn Connection>)
        })
    }
}

struct Bound {
    listener: TcpListener,
    wires: Wires,
}

impl Listener for Bound {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Connection>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            Ok((Box::new(Watched::new(stream, self.wires.clone(), Way::Down)) as Box<dyn Connection>, from))
        })
    }
}

/// A connection of which every byte that is read or written is part of the run's fingerprint.
struct Watched {
    stream: TcpStream,
    wires: Wires,
    /// For the timeline, if one is drawn.
    drawn: Option<Drawn>,
}

impl Watched {
    /// A connection on which this end writes in the direction of `way`.
    fn new(stream: TcpStream, wires: Wires, way: Way) -> Self {
        let drawn = Drawn::begin(&wires.0.shared, &stream, Place::Node(wires.0.node), way);
        Self { stream, wires, drawn }
    }

    fn note(&self, direction: &str, bytes: &[u8]) {
        let Ports { shared, node, .. } = &*self.wires.0;
        shared.note(&(node, direction, bytes), |line| {
            let peer = self.stream.peer_addr().ok().and_then(|peer| turmoil::reverse_lookup(peer.ip()));
            write!(line, "node-{node} {direction} {}: {} bytes", peer.unwrap_or_default(), bytes.len())
        });
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.note("<-", &buf.filled()[before..]);
        if let Some(drawn) = &mut self.drawn {
            drawn.read(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.note("->", &buf[..count]);
        if let Some(drawn) = &mut self.drawn {
            drawn.written(&buf[..count]);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_can_be_translated() {
        for ppm in [-100_000, -2_500, 0, 5_000, 100_000] {
            for nanos in [0, 1, 999_999, 1_000_000_007, 3_600_000_000_000] {
                let there_and_back = real(shown(Instant::from_nanos(nanos), ppm), ppm).as_nanos();
                assert!(there_and_back.abs_diff(nanos) <= 2, "{ppm} {nanos}: {there_and_back}");
            }
        }
        let (second, shown_then) = (Instant::from_millis(1_000), Instant::from_millis(1_005));
        assert_eq!((shown(second, 5_000), real(shown_then, 5_000)), (shown_then, second));
    }
}
