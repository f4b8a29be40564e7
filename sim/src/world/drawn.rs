//! A run as a picture: what is written down of connections, sessions and beliefs while it happens, and what is made of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll};

use queenright::adapter::NativeClient;
use queenright::port::ZooKeeper;
use queenright_core::{Input, Request};
use turmoil::net::TcpStream;

use super::fault::Place;
use super::shared::Shared;
use super::simulation::Settings;
use super::wiretap::{Speech, Wiretap};
use crate::checkers::Life;
use crate::explorer::show;
use crate::timeline::{Heading, Moment, Recording, Timeline, Way, What};

/// One end of a connection. When it goes, what is under way towards it is lost.
pub(super) struct Drawn {
    shared: Arc<Shared>,
    number: u64,
    /// Which way this end writes.
    way: Way,
    ends: Ends,
    written: Wiretap,
    read: Wiretap,
}

/// The machines at both ends.
#[derive(Clone, Copy)]
enum Ends {
    /// Who writes here, and to whom.
    Nodes { from: u8, to: u8 },
    /// One of them writes here.
    Server { node: u8, server: u8 },
}

impl Drawn {
    /// Of a stream between machines of the simulation, if a timeline is drawn.
    pub(super) fn begin(shared: &Arc<Shared>, stream: &TcpStream, here: Place, way: Way) -> Option<Self> {
        if !shared.is_recorded() {
            return None;
        }
        let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        let there = Place::named(&turmoil::reverse_lookup(peer.ip())?)?;
        let (ends, written, read) = match (here, there) {
            (Place::Node(from), Place::Node(to)) => (Ends::Nodes { from, to }, Speech::Link, Speech::Link),
            (Place::Node(node), Place::Server(number)) => {
                (Ends::Server { node, server: number - 1 }, Speech::Requests, Speech::Answers)
            }
            (Place::Server(number), Place::Node(node)) => {
                (Ends::Server { node, server: number - 1 }, Speech::Answers, Speech::Requests)
            }
            // They talk inside the model.
            (Place::Server(_), Place::Server(_)) => return None,
        };
        let number = shared.number_of(match way {
            Way::Up => local,
            Way::Down => peer,
        });
        let (written, read) = (Wiretap::new(written), Wiretap::new(read));
        Some(Self { shared: Arc::clone(shared), number, way, ends, written, read })
    }

    /// Bytes set out.
    pub(super) fn written(&mut self, bytes: &[u8]) {
        let (way, connection) = (self.way, self.number);
        for letter in self.written.hear(bytes) {
            self.shared.record(|| match self.ends {
                Ends::Nodes { from, to } => What::Mailed { way, connection, from, to, letter },
                Ends::Server { node, server } => What::Sent { way, connection, node, server, letter },
            });
        }
    }

    /// Bytes arrived.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let (way, connection) = (self.other_way(), self.number);
        for _letter in self.read.hear(bytes) {
            self.shared.record(|| What::Arrived { way, connection });
        }
    }

    const fn other_way(&self) -> Way {
        match self.way {
            Way::Up => Way::Down,
            Way::Down => Way::Up,
        }
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let (way, connection) = (self.other_way(), self.number);
        self.shared.record(|| What::Lost { way, connection, kept: 0 });
    }
}

/// A client of ZooKeeper, of which the timeline is told what becomes of its sessions.
pub(super) struct Observed {
    pub(super) client: NativeClient,
    pub(super) shared: Arc<Shared>,
    pub(super) life: Life,
}

impl ZooKeeper for Observed {
    fn submit(&mut self, request: Request) {
        self.client.submit(request);
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        let input = self.client.poll_input(cx);
        if let Poll::Ready(input @ Input::Session(_)) = &input {
            self.shared.record(|| {
                let text = show::text(|line| show::input(line, input));
                What::Told { life: self.life, input: input.clone(), text }
            });
        }
        input
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.poll_close(cx)
    }
}

/// A process that runs, for as long as this exists.
pub(super) struct Lived {
    shared: Arc<Shared>,
    life: Life,
}

impl Lived {
    pub(super) fn begin(shared: &Arc<Shared>, life: Life) -> Self {
        shared.record(|| What::Started { life });
        Self { shared: Arc::clone(shared), life }
    }
}

impl Drop for Lived {
    fn drop(&mut self) {
        self.shared.record(|| What::Ended { life: self.life });
    }
}

/// The picture of a recording.
pub(super) fn draw(
    settings: &Settings,
    plan: String,
    violation: Option<String>,
    recording: &Recording,
) -> Timeline {
    let heading = Heading {
        title: format!("queenright: whole nodes, seed {}", settings.seed),
        plan,
        violation,
        lease: u64::try_from(settings.lease.as_nanos()).unwrap_or(u64::MAX),
        nodes: settings.nodes,
        servers: settings.servers,
        globals: globals(recording),
    };
    Timeline::new(heading, recording)
}

/// All globals that were ever held.
fn globals(recording: &Recording) -> Vec<String> {
    let global = |moment: &Moment| {
        let What::Changed { path, .. } = &moment.what else { return None };
        path.strip_suffix("/term")?.rsplit_once("/globals/").map(|(_, global)| global.to_owned())
    };
    let all: BTreeSet<String> = recording.moments.iter().filter_map(global).collect();
    all.into_iter().collect()
}
