//! The components that states are made of, each kept once, and what becomes of them: a node that was seen to take an input
//! at an instant takes it again at no cost.
//!
//! A step is the work of real code: [`Machine::step`] runs the coordinator, and the model server answers. It depends on the
//! one component that it changes and on what reaches it, so what came of it once holds in every other state with the same
//! two. States outnumber components by far.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use queenright_core::op::{CreateMode, Op, OpError, Outcome, Reply, Write};
use queenright_core::output::{RegistrationStatus, SessionStatus, StopReason};
use queenright_core::wire::{Acl, convert};
use queenright_core::{Event, Instant, SessionId, Token, Zxid};

use super::canonical::{Digest, digest};
use super::link::{Link, Said};
use super::machine::{Application, Machine, Step, Stimulus};
use super::story::Told;
use super::world::{GLOBALS_MAX, Goal, World};
use crate::checkers::{Life, Violation};
use crate::zookeeper::{ConnectionId, Ensemble, FromServer};

/// The server's clock stands still: sessions end when the world says so.
pub(super) const SERVER_TIME: Instant = Instant::ORIGIN;

/// Things that are kept once, under the numbers in which they came.
#[derive(Debug)]
pub(super) struct Pool<K, T> {
    numbers: HashMap<K, u32, BuildHasherDefault<Digest64>>,
    items: Vec<T>,
}

impl<K: Eq + Hash, T> Pool<K, T> {
    fn new() -> Self {
        Self { numbers: HashMap::default(), items: Vec::new() }
    }

    fn intern(&mut self, key: K, item: impl FnOnce() -> T) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number =
            u32::try_from(self.items.len()).unwrap_or_else(|_| panic!("more components than numbers"));
        self.items.push(item());
        self.numbers.insert(key, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.items[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

/// A hasher for small keys.
#[derive(Debug, Default)]
pub(super) struct Digest64(u64);

impl Hasher for Digest64 {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// A machine, and what is asked of it in every state.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Machine,
    /// When it must look at its clock, in true time.
    pub(super) due: Option<u64>,
    /// When its beliefs end, in true time; zero for none.
    pub(super) ends: [u64; GLOBALS_MAX],
}

impl Node {
    /// Who leads a global, with which token, if this one does.
    pub(super) fn leads(&self, global: usize, now: u64) -> Option<(Life, Token)> {
        match self.machine.terms[global] {
            Application::Leads { token, .. } if self.ends[global] > now => Some((self.machine.life, token)),
            Application::Idle
            | Application::Leads { .. }
            | Application::Stopping { .. }
            | Application::Stopped { .. } => None,
        }
    }
}

/// A server, and what is asked of it in every state.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) ensemble: Ensemble,
    pub(super) sessions: Vec<SessionId>,
    /// The nodes whose servers lag, as bits.
    pub(super) lagging: u8,
}

/// What came of a stimulus.
#[derive(Debug)]
pub(super) struct Reaction {
    pub(super) machine: u32,
    pub(super) sent: Box<[u32]>,
    pub(super) elected: Box<[(u8, u16)]>,
    pub(super) registered: Option<Zxid>,
    /// Whether the directory is told to be empty, and was not told so before.
    pub(super) is_told_empty: bool,
    pub(super) violation: Option<Violation>,
    pub(super) goals: u32,
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) server: u32,
    pub(super) said: Box<[(u8, u32)]>,
    pub(super) goals: u32,
    pub(super) is_write: bool,
}

#[derive(Debug)]
pub(super) struct Space<'w> {
    pub(super) world: &'w World,
    pub(super) horizon: u64,
    pub(super) nodes: Pool<u128, Node>,
    pub(super) links: Pool<Link, Link>,
    pub(super) servers: Pool<u128, Server>,
    pub(super) ops: Pool<Op, Op>,
    pub(super) said: Pool<Said, Said>,
    stimuli: Pool<Stimulus, Stimulus>,
    reactions: Pool<(u32, u32, u64), Reaction>,
    services: Pool<(u32, u8, bool, u32), Service>,
    pub(super) acl: [Acl; 1],
    /// The last transaction before the first state.
    pub(super) begun: Zxid,
    /// What nodes take and say, when somebody listens.
    pub(super) story: Option<Vec<Told>>,
}

impl<'w> Space<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            horizon: u64::try_from(world.horizon.as_nanos()).unwrap_or(u64::MAX),
            nodes: Pool::new(),
            links: Pool::new(),
            servers: Pool::new(),
            ops: Pool::new(),
            said: Pool::new(),
            stimuli: Pool::new(),
            reactions: Pool::new(),
            services: Pool::new(),
            acl: [Acl::open()],
            begun: Zxid(0),
            story: None,
        }
    }

    pub(super) fn add_machine(&mut self, machine: Machine) -> u32 {
        self.nodes.intern(digest(&machine), || {
            let node = machine.life.node;
            let due = machine.core.poll_timeout().map(|(at, _)| true_time(node, at));
            let mut ends = [0; GLOBALS_MAX];
            for (end, term) in ends.iter_mut().zip(&machine.terms) {
                *end = term.until().map_or(0, |until| true_time(node, until));
            }
            Node { machine, due, ends }
        })
    }

    pub(super) fn add_link(&mut self, link: Link) -> u32 {
        if let Some(number) = self.links.numbers.get(&link) {
            return *number;
        }
        self.links.intern(link.clone(), || link)
    }

    pub(super) fn add_server(&mut self, ensemble: Ensemble) -> u32 {
        let mut state = Digest::new();
        ensemble.fingerprint(&mut state);
        self.servers.intern(state.finish(), || {
            let sessions = ensemble.sessions().collect();
            let lags = |node: &u8| ensemble.is_held(self.world.server_of(*node));
            let lagging = (0..self.world.nodes).filter(lags).fold(0, |bits, node| bits | 1 << node);
            Server { ensemble, sessions, lagging }
        })
    }

    pub(super) fn add_op(&mut self, op: Op) -> u32 {
        if let Some(number) = self.ops.numbers.get(&op) {
            return *number;
        }
        self.ops.intern(op.clone(), || op)
    }

    pub(super) fn add_said(&mut self, said: Said) -> u32 {
        if let Some(number) = self.said.numbers.get(&said) {
            return *number;
        }
        self.said.intern(said.clone(), || said)
    }

    /// What the machine does when `stimulus` reaches it at `now`, in true time.
    pub(super) fn react(&mut self, machine: u32, now: u64, stimulus: &Stimulus) -> &Reaction {
        let number = match self.stimuli.numbers.get(stimulus) {
            Some(number) => *number,
            None => self.stimuli.intern(stimulus.clone(), || stimulus.clone()),
        };
        let key = (machine, number, now);
        if let Some(known) = self.reactions.numbers.get(&key).copied()
            && self.story.is_none()
        {
            return self.reactions.get(known);
        }
        let before = &self.nodes.get(machine).machine;
        let at = clock(before.life.node, now);
        let step = before.step(self.world, at, stimulus);
        if let Some(story) = &mut self.story {
            story.push(Told::heard(at, before, stimulus, &step));
        }
        let goals = goals_of(stimulus, &step);
        let registered = step.registered();
        let Step { machine, sent, elected, is_told_empty, violation, .. } = step;
        // There is one epoch.
        let token = |zxid: Zxid| {
            u16::try_from(zxid.0 & 0xffff_ffff).unwrap_or_else(|_| panic!("{zxid} is too high for a state"))
        };
        let reaction = Reaction {
            sent: sent.into_iter().map(|op| self.add_op(op)).collect(),
            elected: elected.into_iter().map(|(global, by)| (global, token(by.0))).collect(),
            machine: self.add_machine(machine),
            registered,
            is_told_empty,
            violation,
            goals,
        };
        let number = self.reactions.intern(key, || reaction);
        self.reactions.get(number)
    }

    /// The zxid of an answer, if the world's clients show any.
    pub(super) fn shown(&self, zxid: Zxid) -> Option<Zxid> {
        (zxid > Zxid(0) && self.world.faults.strays == 0).then_some(zxid)
    }

    /// What the server does with a request of `node`.
    pub(super) fn serve(&mut self, server: u32, node: u8, is_astray: bool, op: u32) -> &Service {
        let key = (server, node, is_astray, op);
        if let Some(known) = self.services.numbers.get(&key) {
            return self.services.get(*known);
        }
        let mut ensemble = self.servers.get(server).ensemble.clone();
        let request = self.ops.get(op).clone();
        let home = self.world.server_in_use(node, is_astray);
        let is_sync = matches!(request, Op::Sync { .. });
        let mut reads_past = false;
        if ensemble.is_held(home) {
            // The answer comes behind what it shows, and behind all before that.
            if request.is_write() || is_sync && !is_astray {
                ensemble.release(SERVER_TIME, home);
            } else {
                reads_past = ensemble.last_zxid(home) < ensemble.last_zxid(self.world.newest());
            }
        }
        let (said, mut goals) = if is_sync && ensemble.is_held(home) {
            // It leads, as far as it knows.
            let zxid = ensemble.last_zxid(home);
            (vec![(node, self.add_said(Said::Answer { zxid, outcome: Ok(Reply::Synced) }))], 0)
        } else {
            ensemble.request(SERVER_TIME, connection(node), 1, convert::request(&request, &self.acl));
            self.drain(&mut ensemble, Some((node, &request)))
        };
        if reads_past {
            goals |= Goal::ReadThePast.bit();
        }
        let is_write = goals & WRITE != 0;
        let service =
            Service { said: said.into(), goals: goals & !WRITE, server: self.add_server(ensemble), is_write };
        let number = self.services.intern(key, || service);
        self.services.get(number)
    }

    /// What the server says, and to whom.
    pub(super) fn drain(
        &mut self,
        ensemble: &mut Ensemble,
        asked: Option<(u8, &Op)>,
    ) -> (Vec<(u8, u32)>, u32) {
        let (mut all, mut goals) = (Vec::new(), 0);
        while let Some((conn, message)) = ensemble.poll_output() {
            let node = u8::try_from(conn.0).unwrap_or(u8::MAX);
            let said = match message {
                FromServer::Reply { zxid, result, .. } => {
                    let Some((_, op)) = asked else { continue };
                    let outcome = convert::outcome(op, result);
                    goals |= goals_of_write(op, &outcome);
                    Said::Answer { zxid, outcome }
                }
                FromServer::Event(event) => match convert::watch_event(event) {
                    Some(event) => Said::Event(event),
                    None => continue,
                },
                FromServer::Close => Said::Close,
                // Whoever connects looks at it before.
                FromServer::Connected(_) => continue,
            };
            all.push((node, self.add_said(said)));
        }
        (all, goals)
    }
}

/// Where lease records live.
pub(super) const LEASES: &str = "/q/leases/";

/// A mark among goals: the request was a write that was applied.
const WRITE: u32 = 1 << 31;

fn goals_of_write(op: &Op, outcome: &Outcome) -> u32 {
    let (Op::Multi(_) | Op::SetData { .. } | Op::Create { .. } | Op::Delete { .. }, Ok(_)) = (op, outcome)
    else {
        return 0;
    };
    let Op::Multi(writes) = op else { return WRITE };
    WRITE
        | match (writes.first(), writes.len()) {
            (Some(Write::Delete { .. }), 4) => Goal::TakenOverSilent.bit(),
            (Some(Write::SetData { .. }), 3) => Goal::TakenOverAbsent.bit(),
            // A claim of a vacant term begins with the proof of life, and has as many.
            (Some(Write::Delete { .. }), 2) | (Some(Write::SetData { .. }), 1) => Goal::Vacated.bit(),
            (Some(_), _) | (None, _) => 0,
        }
}

fn goals_of(stimulus: &Stimulus, step: &Step) -> u32 {
    let is_ack = matches!(stimulus, Stimulus::Answer { outcome: Ok(Reply::Multi(_)), .. });
    let is_refused =
        matches!(stimulus, Stimulus::Answer { outcome: Err(error), .. } if *error != OpError::Unknown);
    let is_renamed = step.sent.iter().any(|op| {
        matches!(op, Op::Create { mode: CreateMode::Persistent, path, .. }
        if path.as_str().starts_with(LEASES))
    });
    let lost = if is_refused && is_renamed { Goal::LeaseLost.bit() } else { 0 };
    step.events.iter().fold(lost, |goals, event| {
        goals
            | match event {
                Event::Elected { .. } if is_ack => Goal::Elected.bit(),
                Event::Elected { .. } => Goal::Elected.bit() | Goal::ClaimAdopted.bit(),
                Event::Stop { reason: StopReason::LeaseRanOut, .. } => Goal::RanOut.bit(),
                Event::Session(SessionStatus::Lost) => Goal::SessionLost.bit(),
                Event::Registration { status: RegistrationStatus::Occupied { .. }, .. } => {
                    Goal::Occupied.bit()
                }
                Event::Registration { .. }
                | Event::Stop { .. }
                | Event::Session(_)
                | Event::Directory { .. }
                | Event::Holder { .. }
                | Event::Extended { .. }
                | Event::Revoked { .. }
                | Event::Withdrawn { .. }
                | Event::Degraded { .. }
                | Event::Closed => 0,
            }
    })
}

/// The connection of the janitor.
pub(super) const JANITOR: ConnectionId = ConnectionId(u8::MAX as u64);

/// The connection that a node uses. A number serves again once the server has dropped it.
pub(super) const fn connection(node: u8) -> ConnectionId {
    ConnectionId(node as u64)
}

/// What a node's clock shows at a true time.
pub(super) fn clock(node: u8, now: u64) -> Instant {
    Instant::from_nanos(now * rate(node) / 1_000_000)
}

/// The first true time at which a node's clock shows `at`.
pub(super) fn true_time(node: u8, at: Instant) -> u64 {
    let time = (u128::from(at.as_nanos()) * 1_000_000).div_ceil(u128::from(rate(node)));
    u64::try_from(time).unwrap_or(u64::MAX)
}

fn rate(node: u8) -> u64 {
    1_000_000_u64.saturating_add_signed(World::rate_ppm(node))
}
