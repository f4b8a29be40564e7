//! Takes steps against a server, in lock step: after each of them everything comes to rest, and what came is written
//! down.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use queenright_core::wire::{ConnectRequest, OpCode, Request};
use queenright_core::{SessionId, Zxid};
use queenright_sim::zookeeper::FromServer;

use crate::answers::Names;
use crate::place::Place;
use crate::print;
use crate::side::{Link, Side};
use crate::step::{Ask, Client, Fault, Hello, Proof, Query, Spot, Step};

/// Sessions that may last longer are not waited for.
const WAIT_MAX_MS: i32 = 1_000;
const EXPIRE: Hello = Hello { timeout_ms: 1, is_old: false, ahead: None, at: Spot::Leader };
/// Xids of the requests that end what is left of a trial.
const LAST_XID: i32 = i32::MAX;

/// A server with the clients of one trial.
struct Trial<'a> {
    side: &'a mut dyn Side,
    place: Place,
    base: Zxid,
    clients: BTreeMap<Client, Seat>,
    /// Who uses which connection.
    links: BTreeMap<Link, Client>,
    sessions: Vec<Session>,
    /// The followers that are cut off: answers may have to wait.
    cut_off: BTreeSet<Spot>,
}

/// What a client has.
#[derive(Debug, Default)]
struct Seat {
    link: Option<Link>,
    /// By its place in the list.
    session: Option<usize>,
    /// What it waits for over its connection.
    pending: VecDeque<(i32, String)>,
    last_xid: i32,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    password: Vec<u8>,
    timeout_ms: i32,
    is_over: bool,
}

/// What came of each step, as lines.
pub(crate) type Answers = Vec<Vec<String>>;

/// Takes `steps` against `side`.
pub(crate) fn run(side: &mut dyn Side, steps: &[Step]) -> Answers {
    let place = side.begin();
    let base = side.zxid();
    let (clients, links) = (BTreeMap::new(), BTreeMap::new());
    let (sessions, cut_off) = (Vec::new(), BTreeSet::new());
    let mut trial = Trial { side, place, base, clients, links, sessions, cut_off };
    let lines = steps.iter().map(|step| trial.take(step)).collect();
    trial.end();
    lines
}

impl Trial<'_> {
    fn take(&mut self, step: &Step) -> Vec<String> {
        match step {
            Step::Connect { client, hello } => {
                self.cut(*client);
                let request = self.hello(*hello, SessionId(0), None);
                self.open(*client, hello.at, request);
                self.rest(step)
            }
            Step::Reattach { client, of, hello, proof } => {
                if let Some(of) = of {
                    let session = self.clients.get(of).and_then(|seat| seat.session);
                    self.clients.entry(*client).or_default().session = session;
                }
                self.reattach(*client, *hello, *proof);
                self.rest(step)
            }
            Step::Drop { client } => {
                self.cut(*client);
                self.rest(step)
            }
            Step::Ask { client, asks } => {
                self.ask(*client, asks);
                self.rest(step)
            }
            Step::Expire { client, dropped } => self.expire(step, *client, *dropped),
            Step::Sweep => {
                self.side.sweep();
                self.rest(step)
            }
            Step::Strike { fault, at } => {
                match fault {
                    Fault::Cut => self.cut_off.insert(*at),
                    Fault::Heal | Fault::Kill => self.cut_off.remove(at),
                };
                self.side.strike(*fault, *at);
                self.rest(step)
            }
        }
    }

    fn ask(&mut self, client: Client, asks: &[Ask]) {
        let seat = self.clients.entry(client).or_default();
        let Some(link) = seat.link else { return };
        let mut numbered = Vec::with_capacity(asks.len());
        for ask in asks {
            seat.last_xid += 1;
            seat.pending.push_back((ask.answered_xid(seat.last_xid), print::ask(ask)));
            numbered.push((seat.last_xid, placed(ask, &self.place, self.base)));
        }
        self.side.send(link, numbered);
    }

    fn reattach(&mut self, client: Client, hello: Hello, proof: Proof) {
        let seat = self.clients.entry(client).or_default();
        let Some(session) = seat.session.and_then(|index| self.sessions.get(index)) else { return };
        let password = match proof {
            Proof::Right => Some(session.password.clone()),
            Proof::Wrong => Some(session.password.iter().map(|byte| !byte).collect()),
            Proof::Null => None,
        };
        let request = self.hello(hello, session.id, password);
        self.open(client, hello.at, request);
    }

    /// Waits for the end of a session, which is made short for that when it is not.
    fn expire(&mut self, step: &Step, client: Client, dropped: bool) -> Vec<String> {
        let before = self.side.zxid();
        let mut lines = Vec::new();
        let is_short =
            |trial: &Self| trial.live_session(client).map(|session| session.timeout_ms <= WAIT_MAX_MS);
        if is_short(self) == Some(false) {
            self.reattach(client, EXPIRE, Proof::Right);
            lines.extend(self.rest(step));
        }
        if is_short(self) != Some(true) {
            return lines;
        }
        if dropped {
            self.cut(client);
        }
        self.side.wait_beyond(before);
        if let Some(session) = self.session_mut(client) {
            session.is_over = true;
        }
        lines.extend(self.rest(step));
        lines
    }

    fn hello(&mut self, hello: Hello, session: SessionId, password: Option<Vec<u8>>) -> ConnectRequest {
        let Hello { timeout_ms, is_old, ahead, at: _ } = hello;
        let last_zxid_seen = ahead.map_or(Zxid(0), |ahead| Zxid(self.side.zxid().0 + ahead));
        let read_only = (!is_old).then_some(false);
        ConnectRequest { protocol_version: 0, last_zxid_seen, timeout_ms, session, password, read_only }
    }

    fn open(&mut self, client: Client, at: Spot, request: ConnectRequest) {
        let link = Link(self.links.len() as u64 + 1);
        self.links.insert(link, client);
        let seat = self.clients.entry(client).or_default();
        (seat.link, seat.last_xid) = (Some(link), 0);
        seat.pending.clear();
        self.side.open(link, at, request);
    }

    fn cut(&mut self, client: Client) {
        let seat = self.clients.entry(client).or_default();
        seat.pending.clear();
        if let Some(link) = seat.link.take() {
            self.side.cut(link);
        }
    }

    /// Waits until nothing is under way, and writes down what came.
    fn rest(&mut self, step: &Step) -> Vec<String> {
        let link = step.client().and_then(|client| self.clients.get(&client)?.link);
        let mut heard: BTreeMap<Link, Vec<(bool, String)>> = BTreeMap::new();
        for (link, message) in self.side.settle(link) {
            let is_event = matches!(message, FromServer::Event(_));
            let line = self.hear(link, &message);
            heard.entry(link).or_default().push((is_event, line));
        }
        let mut lines = Vec::new();
        for (link, mut said) in heard {
            if step.may_end_a_session() {
                // Which of its ephemerals goes first is the server's own affair.
                said.chunk_by_mut(|(a, _), (b, _)| *a && *b).for_each(|run| run.sort());
            }
            let Some(client) = self.links.get(&link) else { continue };
            lines.extend(said.into_iter().map(|(_, line)| format!("{client}: {line}")));
        }
        let may_wait = |seat: &Seat| seat.link.is_some() && !self.cut_off.is_empty();
        for (client, seat) in self.clients.iter_mut().filter(|(_, seat)| !may_wait(seat)) {
            lines.extend(seat.pending.drain(..).map(|(_, ask)| format!("{client}: no answer to {ask}")));
        }
        lines
    }

    fn hear(&mut self, link: Link, message: &FromServer) -> String {
        let is_current = |seat: &&mut Seat| seat.link == Some(link);
        let client = self.links.get(&link).copied();
        let mut remark = String::new();
        if let Some(seat) = client.and_then(|client| self.clients.get_mut(&client)).filter(is_current) {
            match message {
                FromServer::Connected(response) if !response.is_refusal() => {
                    let known = self.sessions.iter().position(|session| session.id == response.session);
                    let index = known.unwrap_or(self.sessions.len());
                    if known.is_none() {
                        self.sessions.push(Session {
                            id: response.session,
                            password: response.password.clone(),
                            timeout_ms: 0,
                            is_over: false,
                        });
                    }
                    seat.session = Some(index);
                    let session = &mut self.sessions[index];
                    session.timeout_ms = response.timeout_ms;
                    if session.password != response.password {
                        remark = ", and another password".into();
                    }
                }
                FromServer::Reply { xid, result, .. } => {
                    let place = seat.pending.iter().position(|(expected, _)| expected == xid);
                    match place {
                        Some(0) => {}
                        Some(_) => remark = format!(", before {}", seat.pending[0].1),
                        None => remark = format!(", as the answer to {xid}"),
                    }
                    place.map(|place| seat.pending.remove(place));
                    if let (Ok(queenright_core::wire::Response::CloseSession), Some(index)) =
                        (result, seat.session)
                    {
                        self.sessions[index].is_over = true;
                    }
                }
                FromServer::Close => seat.link = None,
                FromServer::Connected(_) | FromServer::Event(_) => {}
            }
        }
        let sessions: Vec<SessionId> = self.sessions.iter().map(|session| session.id).collect();
        let names = Names { place: &self.place, base: self.base, sessions: &sessions };
        names.message(message) + &remark
    }

    fn live_session(&self, client: Client) -> Option<&Session> {
        let index = self.clients.get(&client)?.session?;
        self.sessions.get(index).filter(|session| !session.is_over)
    }

    fn session_mut(&mut self, client: Client) -> Option<&mut Session> {
        let index = self.clients.get(&client)?.session?;
        self.sessions.get_mut(index)
    }

    /// Closes all sessions that are left: they would end at some later time, in somebody else's trial.
    fn end(mut self) {
        let clients: Vec<Client> = self.clients.keys().copied().collect();
        for client in clients {
            self.cut(client);
        }
        let left = std::mem::take(&mut self.sessions).into_iter().filter(|session| !session.is_over);
        for session in left {
            let request = self.hello(Hello::default(), session.id, Some(session.password));
            let link = Link(self.links.len() as u64 + 1);
            self.links.insert(link, Client('-'));
            self.side.open(link, Spot::Leader, request);
            self.side.settle(Some(link));
            self.side.send(link, vec![(LAST_XID, Ask::new(Request::CloseSession))]);
            self.side.settle(Some(link));
        }
        self.side.end(&self.place);
    }
}

/// The request with the server's own paths and zxids.
fn placed(ask: &Ask, place: &Place, base: Zxid) -> Ask {
    let mut query = place.query(&ask.query);
    if let Query::Request(
        Request::SetWatches { relative_zxid, .. } | Request::SetWatches2 { relative_zxid, .. },
    ) = &mut query
    {
        relative_zxid.0 += base.0;
    }
    Ask { query, cut: ask.cut }
}

/// Whether a request may be followed by the end of the connection.
pub(crate) fn may_close(ask: &Ask) -> bool {
    let known = [OpCode::Auth, OpCode::CloseSession].map(|opcode| opcode as i32);
    known.contains(&ask.opcode()) || matches!(ask.query, Query::Raw { .. })
}
