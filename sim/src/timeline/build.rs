//! From what was recorded to what is drawn.

use std::collections::{BTreeMap, VecDeque};

use queenright_core::{Event as Told, Input, Output, SessionEvent};

use super::model::{Event, Fate, Kind, Lane, Message, Row, Span, Term, Timeline, Truth};
use super::recording::{Belief, Letter, Moment, Recording, Way, What};
use super::ruler::{held, ruler};
use crate::checkers::Life;

/// What a recording does not say of itself.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// What the picture is called.
    pub title: String,
    /// What the run was made from, in words.
    pub plan: String,
    /// What did not hold, in words.
    pub violation: Option<String>,
    /// The length of a lease, in nanoseconds.
    pub lease: u64,
    /// How many nodes there are.
    pub nodes: u8,
    /// How many servers there are.
    pub servers: u8,
    /// The names of the globals.
    pub globals: Vec<String>,
}

impl Timeline {
    /// What can be drawn of a recording.
    #[must_use]
    pub fn new(heading: Heading, recording: &Recording) -> Self {
        let mut build = Build::new(heading);
        for moment in &recording.moments {
            build.moment(moment);
        }
        build.finish()
    }
}

#[derive(Debug, Default)]
struct Build {
    timeline: Timeline,
    step: u64,
    /// The latest event of this step that was not the change of a znode.
    trigger: Option<u32>,
    /// By node: its latest event, and what struck it since.
    latest: BTreeMap<u8, u32>,
    struck: BTreeMap<u8, Vec<u32>>,
    /// Messages under way, by way and connection.
    flying: BTreeMap<(Way, u64), VecDeque<(usize, Letter)>>,
    /// The message and the arrival of each request, by connection and xid.
    requests: BTreeMap<(u64, i32), (usize, u32)>,
    /// By connection and message: what a request was about.
    asked: BTreeMap<(u64, usize), Vec<String>>,
    /// By server and path: the latest change.
    changes: BTreeMap<(u8, String), u32>,
    /// By transaction: its first change, which is the cause of those at other servers.
    transactions: BTreeMap<i64, u32>,
    /// From which node an event at a server came.
    origins: BTreeMap<u32, u8>,
    /// By global: whom the tree names.
    truth: BTreeMap<u32, Vec<Truth>>,
    /// What lasts: by lane and row.
    open: BTreeMap<(Lane, Row), Span>,
    /// By node and global: the term that is believed in.
    believed: BTreeMap<(u8, u32), Believed>,
    /// By node and global: whether it stands.
    stands: BTreeMap<(u8, u32), Life>,
}

#[derive(Debug)]
struct Believed {
    term: Term,
    /// Which of the node's coordinators extends it.
    core: u16,
    is_final: bool,
}

impl Build {
    fn new(Heading { title, plan, violation, lease, nodes, servers, globals }: Heading) -> Self {
        let timeline =
            Timeline { title, plan, violation, lease, nodes, servers, globals, ..Timeline::default() };
        Self { timeline, ..Self::default() }
    }

    fn moment(&mut self, Moment { at, step, what }: &Moment) {
        let at = at.as_nanos();
        self.timeline.end = self.timeline.end.max(at);
        if *step != self.step {
            (self.step, self.trigger) = (*step, None);
        }
        match what {
            What::Fault { node, text } => {
                let event = self.event(at, Lane::Faults, Kind::Fault, text.clone(), Vec::new());
                if let Some(node) = node {
                    self.struck.entry(*node).or_default().push(event);
                }
            }
            What::Hand { text } => {
                let causes = self.trigger.into_iter().collect();
                self.event(at, Lane::Faults, Kind::Fault, text.clone(), causes);
            }
            What::ServerWoke { text } => {
                self.event(at, Lane::Server(0), Kind::Process, text.clone(), Vec::new());
            }
            What::Held { node, way, until } => {
                let (lane, row) = (Lane::Node(*node), Row::Network);
                let text = match way {
                    Way::Up => "nothing passes towards servers",
                    Way::Down => "nothing passes from servers",
                };
                let (to, text) = (until.as_nanos(), text.to_owned());
                self.timeline.spans.push(Span { lane, row, from: at, to, state: "held".into(), text });
            }
            What::Started { life } => {
                self.at_node(at, *life, Kind::Process, format!("{life} starts"));
                self.begin(at, Lane::Node(life.node), Row::Process, "up", life.to_string());
            }
            What::Ended { life } => self.ended(at, *life),
            What::Paused { life, until } => {
                self.at_node(at, *life, Kind::Process, format!("{life} stands still until {until}"));
                self.begin(at, Lane::Node(life.node), Row::Process, "paused", format!("{life} stands still"));
            }
            What::Resumed { life } => {
                self.at_node(at, *life, Kind::Process, format!("{life} runs again"));
                self.begin(at, Lane::Node(life.node), Row::Process, "up", life.to_string());
            }
            What::Did { life, stands, text } => {
                self.at_node(at, *life, Kind::Call, format!("{life} does {text}"));
                if let Some(global) = stands.as_ref().and_then(|name| self.global(name.as_str())) {
                    self.stands.insert((life.node, global), *life);
                    if !self.believed.contains_key(&(life.node, global)) {
                        self.role(at, life.node, global);
                    }
                }
            }
            What::Told { life, input, text } => self.told(at, *life, input, text),
            What::Decided { life, output, text } => {
                self.at_node(at, *life, Kind::Output, format!("{life} → {text}"));
                if let Output::Event(Told::Withdrawn { global }) = output
                    && let Some(global) = self.global(global.as_str())
                {
                    self.stands.remove(&(life.node, global));
                    self.role(at, life.node, global);
                }
            }
            What::Believes { life, core, change } => self.believes(at, *life, *core, change),
            What::Sent { way, connection, node, server, letter } => {
                self.sent(at, *way, *connection, *node, *server, letter);
            }
            What::Mailed { way, connection, from, to, letter } => {
                let (kind, text) = (kind_of(letter, Kind::Sent), format!("sends {}", letter.text));
                let sent = self.in_order(at, *from, kind, text, Vec::new());
                self.set_out(*way, *connection, (Lane::Node(*from), Lane::Node(*to)), sent, letter);
            }
            What::Arrived { way, connection } => self.arrived(at, *way, *connection),
            What::Lost { way, connection, kept } => self.lost(at, *way, *connection, *kept),
            What::Changed { server, path, zxid, version } => {
                self.changed(at, *server, path, *zxid, *version);
            }
        }
    }

    fn event(&mut self, at: u64, lane: Lane, kind: Kind, text: String, mut causes: Vec<u32>) -> u32 {
        causes.sort_unstable();
        causes.dedup();
        let number = u32::try_from(self.timeline.events.len()).unwrap_or(u32::MAX);
        self.timeline.events.push(Event { at, lane, kind, text, causes });
        if kind != Kind::Change && kind != Kind::Lost {
            self.trigger = Some(number);
        }
        number
    }

    fn at_node(&mut self, at: u64, life: Life, kind: Kind, text: String) -> u32 {
        self.in_order(at, life.node, kind, text, Vec::new())
    }

    /// An event at a node: what was before it there led to it, and what struck the node.
    fn in_order(&mut self, at: u64, node: u8, kind: Kind, text: String, mut causes: Vec<u32>) -> u32 {
        causes.extend(self.latest.get(&node));
        causes.extend(self.struck.remove(&node).unwrap_or_default());
        let event = self.event(at, Lane::Node(node), kind, text, causes);
        self.latest.insert(node, event);
        event
    }

    fn global(&self, name: &str) -> Option<u32> {
        let found = self.timeline.globals.iter().position(|global| global == name)?;
        u32::try_from(found).ok()
    }

    /// A row shows something else from now on.
    fn begin(&mut self, at: u64, lane: Lane, row: Row, state: &str, text: String) {
        self.close(at, lane, row);
        self.open.insert((lane, row), Span { lane, row, from: at, to: at, state: state.to_owned(), text });
    }

    fn close(&mut self, at: u64, lane: Lane, row: Row) {
        if let Some(mut span) = self.open.remove(&(lane, row)) {
            span.to = at;
            if span.to > span.from {
                self.timeline.spans.push(span);
            }
        }
    }

    /// What a node is, when it does not lead.
    fn role(&mut self, at: u64, node: u8, global: u32) {
        let (lane, row) = (Lane::Node(node), Row::Role(global));
        match self.stands.get(&(node, global)) {
            Some(_) => self.begin(at, lane, row, "candidate", "candidate".into()),
            None => self.close(at, lane, row),
        }
    }

    fn ended(&mut self, at: u64, life: Life) {
        let (node, lane) = (life.node, Lane::Node(life.node));
        self.at_node(at, life, Kind::Process, format!("{life} ends"));
        for global in (0..).take(self.timeline.globals.len()) {
            self.revoke(at, node, global);
            self.stands.remove(&(node, global));
            self.close(at, lane, Row::Role(global));
        }
        self.close(at, lane, Row::Session);
        self.begin(at, lane, Row::Process, "down", format!("{life} has ended"));
    }

    fn told(&mut self, at: u64, life: Life, input: &Input, text: &str) {
        let kind = match input {
            Input::Session(_) => Kind::Session,
            Input::Response { .. } | Input::Watch { .. } | Input::Host(_) => Kind::Input,
        };
        self.at_node(at, life, kind, format!("{life} ← {text}"));
        let Input::Session(event) = input else { return };
        let (lane, row) = (Lane::Node(life.node), Row::Session);
        match event {
            SessionEvent::Connected { session, session_epoch } => {
                self.begin(at, lane, row, "connected", format!("session {session_epoch}, {session}"));
            }
            SessionEvent::Suspended => self.begin(at, lane, row, "suspended", "suspended".into()),
            SessionEvent::Reconnected => self.begin(at, lane, row, "connected", "reconnected".into()),
            SessionEvent::Lost => self.begin(at, lane, row, "lost", "lost".into()),
        }
    }

    fn believes(&mut self, at: u64, life: Life, core: u16, change: &Belief) {
        let (node, lane) = (life.node, Lane::Node(life.node));
        match change {
            Belief::Elected { global, token, until } => {
                let text = format!("{life} leads {global} with token {token}, until {until} at least");
                self.at_node(at, life, Kind::Belief, text);
                let Some(global) = self.global(global.as_str()) else { return };
                self.revoke(at, node, global);
                let points = vec![(at, until.as_nanos())];
                let token = token.0.0;
                let term = Term { node, global, token, points, revoked: None, held: Vec::new() };
                self.believed.insert((node, global), Believed { term, core, is_final: false });
                self.begin(at, lane, Row::Role(global), "leads", format!("leads, token {token:#x}"));
            }
            Belief::Extended { until } => {
                let all = self.believed.iter_mut().filter(|((of, _), _)| *of == node);
                for (_, believed) in all.filter(|(_, believed)| believed.core == core && !believed.is_final) {
                    believed.term.points.push((at, until.as_nanos()));
                }
            }
            Belief::Stopping { global, deadline } => {
                let text = format!("{life} stops what it does for {global}, by {deadline}");
                self.at_node(at, life, Kind::Belief, text);
                let Some(global) = self.global(global.as_str()) else { return };
                if let Some(believed) = self.believed.get_mut(&(node, global)) {
                    believed.is_final = true;
                    believed.term.points.push((at, deadline.as_nanos()));
                    self.begin(at, lane, Row::Role(global), "stopping", "stops".into());
                }
            }
            Belief::Revoked { global } => {
                self.at_node(at, life, Kind::Belief, format!("{life} leads {global} no more"));
                if let Some(global) = self.global(global.as_str()) {
                    self.revoke(at, node, global);
                    self.role(at, node, global);
                }
            }
        }
    }

    fn revoke(&mut self, at: u64, node: u8, global: u32) {
        if let Some(Believed { mut term, .. }) = self.believed.remove(&(node, global)) {
            term.revoked = Some(at);
            term.held = held(&term.points, term.revoked);
            self.timeline.terms.push(term);
        }
    }

    fn sent(&mut self, at: u64, way: Way, connection: u64, node: u8, server: u8, letter: &Letter) {
        let (lane, other) = (Lane::Node(node), Lane::Server(server));
        let (kind, text) = (kind_of(letter, Kind::Sent), format!("sends {}", letter.text));
        let (from, to, sent) = match way {
            Way::Up => (lane, other, self.in_order(at, node, kind, text, Vec::new())),
            Way::Down => {
                let request = letter.xid.and_then(|xid| self.requests.get(&(connection, xid)));
                let request = request.map(|(message, arrived)| (*arrived, *message));
                let mut causes: Vec<u32> = match request {
                    Some((arrived, _)) => vec![arrived],
                    None => self.trigger.into_iter().collect(),
                };
                let asked = request.map(|(_, message)| self.about(connection, message));
                for path in letter.paths.iter().chain(asked.iter().flatten()) {
                    causes.extend(self.changes.get(&(server, path.clone())));
                }
                let trigger = self.trigger;
                let event = self.event(at, other, kind, text, causes);
                // What comes next in this step has the same cause, not this answer.
                self.trigger = trigger;
                (other, lane, event)
            }
        };
        self.set_out(way, connection, (from, to), sent, letter);
    }

    /// A message is under way from now on.
    fn set_out(&mut self, way: Way, connection: u64, (from, to): (Lane, Lane), sent: u32, letter: &Letter) {
        let Letter { text, writes, is_ping: ping, .. } = letter.clone();
        let fate = Fate::Travelling;
        self.timeline.messages.push(Message { from, to, sent, ended: None, fate, writes, ping, text });
        let number = self.timeline.messages.len() - 1;
        self.flying.entry((way, connection)).or_default().push_back((number, letter.clone()));
    }

    /// The znodes that a request was about.
    fn about(&self, connection: u64, message: usize) -> Vec<String> {
        self.asked.get(&(connection, message)).cloned().unwrap_or_default()
    }

    fn arrived(&mut self, at: u64, way: Way, connection: u64) {
        let flying = self.flying.get_mut(&(way, connection)).and_then(VecDeque::pop_front);
        let Some((number, letter)) = flying else { return };
        let Message { sent, to, .. } = self.timeline.messages[number];
        let (kind, text) = (kind_of(&letter, Kind::Received), format!("receives {}", letter.text));
        let event = match to {
            Lane::Node(node) => self.in_order(at, node, kind, text, vec![sent]),
            Lane::Server(_) | Lane::Faults => self.event(at, to, kind, text, vec![sent]),
        };
        if let (Way::Up, Some(xid)) = (way, letter.xid) {
            self.requests.insert((connection, xid), (number, event));
            self.asked.insert((connection, number), letter.paths);
        }
        if let Lane::Node(node) = self.timeline.messages[number].from {
            self.origins.insert(event, node);
        }
        let message = &mut self.timeline.messages[number];
        (message.ended, message.fate) = (Some(event), Fate::Arrived);
    }

    fn lost(&mut self, at: u64, way: Way, connection: u64, kept: usize) {
        let Some(flying) = self.flying.get_mut(&(way, connection)) else { return };
        let lost = flying.split_off(kept.min(flying.len()));
        for (number, letter) in lost {
            let message = &self.timeline.messages[number];
            let lane = match (message.from, message.to) {
                (server @ Lane::Server(_), _) | (_, server) => server,
            };
            let mut causes = vec![message.sent];
            causes.extend(self.trigger);
            let text = format!("lost: {}", letter.text);
            let event = self.event(at, lane, kind_of(&letter, Kind::Lost), text, causes);
            let message = &mut self.timeline.messages[number];
            (message.ended, message.fate) = (Some(event), Fate::Lost);
            let request = letter.xid.and_then(|xid| self.requests.get(&(connection, xid)));
            if let (Way::Down, Some((request, _))) = (way, request) {
                self.timeline.messages[*request].fate = Fate::Unheard;
            }
        }
    }

    fn changed(&mut self, at: u64, server: u8, path: &str, zxid: Option<i64>, version: Option<i32>) {
        let first = zxid.and_then(|zxid| self.transactions.get(&zxid)).copied();
        let elsewhere =
            first.filter(|first| self.timeline.events[*first as usize].lane != Lane::Server(server));
        let source = elsewhere.or(self.trigger);
        let mut causes: Vec<u32> = source.into_iter().collect();
        causes.extend(self.changes.get(&(server, path.to_owned())));
        let text = match (zxid, version) {
            (Some(zxid), Some(version)) => format!("{path} is at version {version}, by {zxid:#x}"),
            (_, _) => format!("{path} is gone"),
        };
        let event = self.event(at, Lane::Server(server), Kind::Change, text, causes);
        self.changes.insert((server, path.to_owned()), event);
        if let Some(zxid) = zxid {
            self.transactions.entry(zxid).or_insert(event);
        }
        let origin = source.and_then(|source| self.origins.get(&source)).copied();
        if elsewhere.is_none() {
            self.name_holder(at, path, version, origin);
        }
    }

    /// The tree names somebody: a term record at an odd version is held by whoever wrote it (ARCHITECTURE.md, "The
    /// election").
    fn name_holder(&mut self, at: u64, path: &str, version: Option<i32>, origin: Option<u8>) {
        let global = path.strip_suffix("/term").and_then(|global| global.rsplit('/').next());
        let Some(global) = global.and_then(|name| self.global(name)) else { return };
        let named = self.truth.entry(global).or_default();
        // Another server has applied the same.
        if named.last().is_some_and(|last| last.version == version) {
            return;
        }
        if let Some(last) = named.last_mut() {
            last.to = at;
        }
        let node = origin.filter(|_| version.is_some_and(|version| version % 2 == 1));
        named.push(Truth { from: at, to: at, node, version });
    }

    fn finish(mut self) -> Timeline {
        let end = self.timeline.end;
        for ((node, global), Believed { mut term, .. }) in std::mem::take(&mut self.believed) {
            // Nobody knows what would have come: what was believed at the end is believed until it runs out.
            term.held = held(&term.points, None);
            debug_assert_eq!((term.node, term.global), (node, global));
            self.timeline.terms.push(term);
        }
        let open: Vec<(Lane, Row)> = self.open.keys().copied().collect();
        for (lane, row) in open {
            self.close(end, lane, row);
        }
        let terms = &mut self.timeline.terms;
        terms.sort_by_key(|term| (term.global, term.points.first().copied(), term.node));
        let spans = &mut self.timeline.spans;
        spans.sort_by_key(|span| (span.lane, span.row, span.from));
        let last = terms.iter().flat_map(|term| &term.held).map(|(_, to)| *to).max().unwrap_or(end).max(end);
        for global in (0..).take(self.timeline.globals.len()) {
            let mut truth = self.truth.remove(&global).unwrap_or_default();
            if let Some(named) = truth.last_mut() {
                named.to = last;
            }
            self.timeline.rulers.push(ruler(global, &self.timeline.terms, truth));
        }
        self.timeline
    }
}

fn kind_of(letter: &Letter, kind: Kind) -> Kind {
    if letter.is_ping { Kind::Ping } else { kind }
}
