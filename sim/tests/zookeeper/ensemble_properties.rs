//! What is true of several servers after any sequence of inputs and faults.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use queenright_core::Zxid;
use queenright_core::op::Stat;
use queenright_core::wire::{ConnectRequest, ConnectResponse, CreateFlags, ErrorCode, Request, Response};
use queenright_sim::zookeeper::{FromServer, Role, ServerId, Tree};

use crate::harness::{
    Client, World, create_as, deletion, get, list, setting, watch_below, watch_children, watch_data,
};
use crate::replication::{LEADER, ONE, TWO};

const CLIENT_COUNT: usize = 4;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Step {
    Ask(usize, Request),
    Move(usize, ServerId),
    Expire(usize),
    Pass(Duration),
    Fault(Fault),
}

#[derive(Clone, Debug)]
enum Fault {
    Cut(ServerId, ServerId),
    Heal(ServerId, ServerId),
    Delay(ServerId, ServerId, Duration),
    Hold(ServerId),
    Release(ServerId),
    Elect(ServerId),
    Crash(ServerId),
    Restart(ServerId),
}

fn servers() -> impl Strategy<Value = ServerId> {
    (1u8..=3).prop_map(ServerId)
}

fn pairs() -> impl Strategy<Value = (ServerId, ServerId)> {
    prop::sample::select(vec![(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)])
        .prop_map(|(from, to)| (ServerId(from), ServerId(to)))
}

fn paths() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/a", "/a/b", "/c"]).prop_map(Into::into)
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        4 => (paths(), (0..4).prop_map(CreateFlags)).prop_map(|(path, flags)| create_as(&path, flags)),
        2 => paths().prop_map(|path| Request::Delete(deletion(&path, -1))),
        3 => paths().prop_map(|path| Request::SetData(setting(&path, "x", -1))),
        3 => paths().prop_map(|path| get(&path)),
        1 => paths().prop_map(|path| list(&path)),
        1 => Just(Request::Ping),
        1 => paths().prop_map(|path| Request::Sync { path }),
        1 => paths().prop_map(|path| watch_data(&path)),
        1 => paths().prop_map(|path| watch_children(&path)),
        1 => paths().prop_map(|path| watch_below(&path)),
    ]
}

fn times() -> impl Strategy<Value = Duration> {
    prop_oneof![3 => 0u64..900, 1 => 0u64..6_000].prop_map(Duration::from_millis)
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => pairs().prop_map(|(from, to)| Fault::Cut(from, to)),
        4 => pairs().prop_map(|(from, to)| Fault::Heal(from, to)),
        2 => (pairs(), times()).prop_map(|((from, to), delay)| Fault::Delay(from, to, delay)),
        1 => servers().prop_map(Fault::Hold),
        2 => servers().prop_map(Fault::Release),
        2 => servers().prop_map(Fault::Elect),
        1 => servers().prop_map(Fault::Crash),
        2 => servers().prop_map(Fault::Restart),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        16 => (0..CLIENT_COUNT, requests()).prop_map(|(client, request)| Step::Ask(client, request)),
        4 => (0..CLIENT_COUNT, servers()).prop_map(|(client, server)| Step::Move(client, server)),
        1 => (0..CLIENT_COUNT).prop_map(Step::Expire),
        5 => times().prop_map(Step::Pass),
        5 => faults().prop_map(Step::Fault),
    ];
    prop::collection::vec(step, 1..90)
}

/// A client that checks what it is told.
#[derive(Default)]
struct Watchful {
    /// Its latest connection, if that has not ended.
    open: Option<Client>,
    established: Option<ConnectResponse>,
    seen: Zxid,
    asked: VecDeque<(i32, Request, Zxid)>,
    xid: i32,
}

/// Clients and servers, and every state that some server was ever in.
struct Crowd {
    world: World,
    clients: Vec<Watchful>,
    states: BTreeMap<Zxid, Tree>,
    /// The last write that anybody was told of.
    told: Zxid,
}

impl Crowd {
    fn new() -> Self {
        let world = World::ensemble(3);
        let clients = (0..CLIENT_COUNT).map(|_| Watchful::default()).collect();
        let mut crowd = Self { world, clients, states: BTreeMap::new(), told: Zxid(0) };
        for index in 0..CLIENT_COUNT {
            let server = [ONE, TWO, LEADER][index % 3];
            crowd.take(&Step::Move(index, server));
        }
        crowd
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask(index, request) => self.ask(*index, request.clone()),
            Step::Move(index, server) => self.move_to(*index, *server),
            Step::Expire(index) => {
                if let Some(established) = &self.clients[*index].established {
                    self.world.expire(established.session);
                }
            }
            Step::Pass(time) => {
                // In pieces, so that no state is passed over.
                let until = self.world.now.after(*time);
                while let Some(at) = self.world.server.poll_timeout().filter(|at| *at <= until) {
                    let step = at.since(self.world.now);
                    self.world.pass(step);
                    self.look();
                }
                self.world.pass(until.since(self.world.now));
            }
            Step::Fault(fault) => self.strike(fault),
        }
        self.look();
    }

    fn ask(&mut self, index: usize, request: Request) {
        let client = &mut self.clients[index];
        let Some(open) = client.open.clone() else { return };
        client.xid += 1;
        let xid = if request == Request::Ping { -2 } else { client.xid };
        client.asked.push_back((xid, request.clone(), self.told));
        self.world.send(&open, xid, request);
    }

    fn move_to(&mut self, index: usize, server: ServerId) {
        let client = &mut self.clients[index];
        if let Some(open) = client.open.take() {
            self.world.disconnect(&open);
            self.world.inbox(&open);
        }
        client.asked.clear();
        let request = match &client.established {
            Some(established) => ConnectRequest::reattach(established, client.seen),
            None => ConnectRequest { last_zxid_seen: client.seen, ..ConnectRequest::new_session(10_000) },
        };
        let (conn, answers) = self.world.connect_to(server, request);
        let established = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 0,
            session: queenright_core::SessionId(0),
            password: Vec::new(),
            read_only: None,
        };
        self.clients[index].open = Some(Client { conn, established });
        for message in answers {
            self.hear(index, message);
        }
    }

    fn strike(&mut self, fault: &Fault) {
        self.world.strike(|servers, now| match *fault {
            Fault::Cut(from, to) => servers.cut(now, from, to),
            Fault::Heal(from, to) => servers.heal(now, from, to),
            Fault::Delay(from, to, delay) => servers.delay(now, from, to, delay),
            Fault::Hold(server) => servers.hold(now, server),
            Fault::Release(server) => servers.release(now, server),
            Fault::Elect(server) => drop(servers.set_leader(now, server)),
            Fault::Crash(server) => servers.crash(now, server),
            Fault::Restart(server) => servers.restart(now, server),
        });
    }

    /// Looks at all servers, and at all that the clients were told.
    fn look(&mut self) {
        let servers: Vec<_> = self.world.server.servers().collect();
        for server in servers {
            let zxid = self.world.server.last_zxid(server);
            let tree = self.world.server.tree(server);
            // Prefix: two servers that are as far have made the same of the same log.
            let state = self.states.entry(zxid).or_insert_with(|| tree.clone());
            assert_eq!(state, tree, "{server:?} at {zxid}");
        }
        for index in 0..CLIENT_COUNT {
            let Some(open) = self.clients[index].open.clone() else { continue };
            for message in self.world.inbox(&open) {
                self.hear(index, message);
            }
        }
    }

    fn hear(&mut self, index: usize, message: FromServer) {
        let client = &mut self.clients[index];
        match message {
            FromServer::Connected(response) => {
                client.established = (!response.is_refusal()).then_some(response);
            }
            FromServer::Event(event) => {
                // It has seen nothing yet of what the event announces.
                assert!(event.zxid > client.seen, "{event:?} after {}", client.seen);
            }
            FromServer::Close => {
                client.open = None;
                client.asked.clear();
            }
            FromServer::Reply { xid, zxid, result } => {
                let (asked, request, told) = client.asked.pop_front().expect("nothing was asked");
                assert_eq!(asked, xid, "out of order");
                assert!(zxid >= client.seen, "the past after {}: {zxid}", client.seen);
                client.seen = zxid;
                self.check(&request, zxid, told, result);
            }
        }
    }

    /// Compares an answer with the state that it is about.
    fn check(&mut self, request: &Request, zxid: Zxid, told: Zxid, result: Result<Response, ErrorCode>) {
        let is_write = matches!(request, Request::Create(_) | Request::Delete(_) | Request::SetData(_));
        if is_write {
            // Linearised: after everything that anybody knew of when it was asked for.
            assert!(zxid > told, "{request:?} at {zxid}, after {told}");
            self.told = self.told.max(zxid);
        }
        // A state that went by within one input was not seen.
        let Some(tree) = self.states.get(&zxid) else { return };
        let stat = |path: &str| tree.get(path).map(|znode| znode.stat());
        match (request, result) {
            (Request::Create(_), Ok(Response::Create { path })) => {
                assert_eq!(stat(&path).map(|stat| stat.czxid), Some(zxid));
            }
            (Request::SetData(set), Ok(Response::SetData { stat: shown })) => {
                assert_eq!((shown.mzxid, stat(&set.path)), (zxid, Some(shown)));
            }
            (Request::Delete(delete), Ok(Response::Delete)) => assert_eq!(stat(&delete.path), None),
            (Request::GetData(read), Ok(Response::GetData { stat: shown, .. })) => {
                assert_eq!(stat(&read.path), Some(shown));
            }
            (Request::GetData(read), Err(ErrorCode::NO_NODE)) => assert_eq!(stat(&read.path), None),
            (Request::GetChildren(read), Ok(Response::GetChildren { children })) => {
                assert!(tree.children(&read.path).eq(children.iter().map(String::as_str)));
            }
            _ => {}
        }
    }

    /// All faults end.
    fn heal(&mut self) {
        for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)] {
            let (from, to) = (ServerId(from), ServerId(to));
            self.take(&Step::Fault(Fault::Delay(from, to, Duration::ZERO)));
            self.take(&Step::Fault(Fault::Heal(from, to)));
        }
        for server in [ONE, TWO, LEADER] {
            self.take(&Step::Fault(Fault::Release(server)));
            if self.world.server.role(server) == Role::Down {
                self.take(&Step::Fault(Fault::Restart(server)));
            }
        }
        self.take(&Step::Pass(PATIENCE * 2));
        if self.world.server.leader().is_none() {
            self.take(&Step::Fault(Fault::Elect(TWO)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever breaks: what each client sees is one history, from which all servers show prefixes; and when nothing is
    /// broken any more, everything works.
    #[test]
    fn one_history_whatever_breaks(steps in steps()) {
        let mut crowd = Crowd::new();
        for step in &steps {
            crowd.take(step);
        }
        crowd.heal();
        for (index, server) in [ONE, TWO, LEADER, ONE].into_iter().enumerate() {
            // Twice: the first connection may tell that the session is over.
            crowd.take(&Step::Move(index, server));
            if crowd.clients[index].established.is_none() {
                crowd.take(&Step::Move(index, server));
            }
            crowd.ask(index, create_as("/last-", CreateFlags::PERSISTENT_SEQUENTIAL));
            crowd.look();
            prop_assert!(crowd.clients[index].asked.is_empty(), "no answer to client {index}");
        }
        prop_assert_eq!(crowd.world.server.tree(ONE), crowd.world.server.tree(LEADER));
        prop_assert_eq!(crowd.world.server.tree(TWO), crowd.world.server.tree(LEADER));
    }

    /// Same inputs, same outputs; and a clone goes the same way as its original.
    #[test]
    fn faults_are_deterministic(steps in steps()) {
        let (mut one, mut two) = (Crowd::new(), Crowd::new());
        for step in &steps {
            one.take(step);
            two.world.server = two.world.server.clone();
            two.take(step);
            for (first, second) in one.clients.iter().zip(&two.clients) {
                prop_assert_eq!((first.seen, &first.established), (second.seen, &second.established));
                prop_assert_eq!(&first.asked, &second.asked);
            }
        }
        prop_assert_eq!(one.states, two.states);
    }

    /// Where nothing breaks, clients of any one server of three cannot tell that it is not alone.
    #[test]
    fn without_faults_three_servers_are_as_one(
        server in servers(),
        asked in prop::collection::vec((0..CLIENT_COUNT, requests()), 1..60),
    ) {
        let (mut alone, mut three) = (World::new(), World::ensemble(3));
        let first: Vec<_> = (0..CLIENT_COUNT).map(|_| alone.client()).collect();
        let second: Vec<_> = (0..CLIENT_COUNT).map(|_| three.client_of(server)).collect();
        for (client, request) in asked {
            alone.send(&first[client], 1, request.clone());
            three.send(&second[client], 1, request);
            for (first, second) in first.iter().zip(&second) {
                let (told, expected) = (three.inbox(second), alone.inbox(first));
                let told: Vec<_> = told.into_iter().map(plain).collect();
                let expected: Vec<_> = expected.into_iter().map(plain).collect();
                prop_assert_eq!(told, expected);
            }
        }
    }
}

/// A message without what names the epoch and the server.
fn plain(message: FromServer) -> FromServer {
    let low = |zxid: Zxid| Zxid(zxid.0 & 0xffff_ffff);
    let plain_stat = |stat: Stat| Stat {
        czxid: low(stat.czxid),
        mzxid: low(stat.mzxid),
        pzxid: low(stat.pzxid),
        ephemeral_owner: stat.ephemeral_owner & ((1 << 56) - 1),
        ..stat
    };
    match message {
        FromServer::Event(mut event) => {
            event.zxid = low(event.zxid);
            FromServer::Event(event)
        }
        FromServer::Reply { xid, zxid, result } => {
            let result = result.map(|response| match response {
                Response::GetData { data, stat } => Response::GetData { data, stat: plain_stat(stat) },
                Response::SetData { stat } => Response::SetData { stat: plain_stat(stat) },
                other => other,
            });
            FromServer::Reply { xid, zxid: low(zxid), result }
        }
        other => other,
    }
}
