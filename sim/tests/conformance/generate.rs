//! Random steps: everything that a client can do, most of it about the same few znodes.

use queenright_core::Zxid;
use queenright_core::wire::{
    Acl, AddWatchMode, Check, Create, CreateFlags, CreateForm, Delete, MultiReadRequest, MultiRequest,
    OpCode, Permissions, Read, Request, SetData, WatcherType,
};

use crate::parse::assemble;
use crate::random::Random;
use crate::step::{Ask, Client, DEFAULT_TIMEOUT_MS, Hello, Part, Proof, Query, Spot, Step};

const STEPS: std::ops::Range<u64> = 34..46;
const CLIENTS: [Client; 3] = [Client('a'), Client('b'), Client('c')];
/// How many requests are written at once at most.
const PIPELINE_MAX: u64 = 5;

/// Znodes that may exist; those with digits come from sequential creates.
const PATHS: [&str; 16] = [
    "/",
    "/a",
    "/a",
    "/a",
    "/a/b",
    "/a/b",
    "/a/b/c",
    "/e",
    "/e",
    "/e/f",
    "/q-0000000000",
    "/a/q-0000000001",
    "/a/0000000000",
    "/e/f/g",
    "/missing",
    "/a/q-0000000002",
];
/// What most trials begin with.
const GROUND: [&str; 4] = ["/a", "/a/b", "/e", "/e/f"];
/// What sequential znodes are called before the server adds their number.
const PREFIXES: [&str; 6] = ["/q-", "/a/q-", "/a/", "/e/q-", "/a/b/", "/missing/q-"];
/// Znodes that every server has, which the trial's own root hides.
const SERVERS_OWN: [&str; 5] =
    ["^/zookeeper", "^/zookeeper/config", "^/zookeeper/quota", "^/", "^/zookeeper/x/y"];
const WRONG_PATHS: [&str; 19] = [
    "a",
    "",
    "/a/",
    "/a//b",
    "/a/.",
    "/a/..",
    "/./a",
    "/a/../b",
    "/a\0b",
    "/a/\u{1}",
    "/a/\u{1f}",
    "/a/\u{7f}",
    "/a/\u{9f}",
    "/a/\u{e000}",
    "/a/\u{f8ff}",
    "/a/\u{fff0}",
    "/a/\u{1f600}",
    "/a/...",
    "/a/\u{a0}b",
];
const IDENTITIES: [(&str, &str); 4] =
    [("digest", "ann:secret"), ("digest", "bob:other"), ("digest", "nobody"), ("ip", "1.2.3.4")];

/// The steps of a seed.
pub(crate) fn steps(seed: u64) -> Vec<Step> {
    let mut generator = Generator { random: Random::new(seed), steps: Vec::new(), connected: Vec::new() };
    for client in CLIENTS {
        generator.push(Step::Connect { client, hello: Hello::default() });
    }
    for path in GROUND {
        if !generator.random.chance(4) {
            let create = Create { path: path.into(), ..generator.create() };
            let client = generator.random.pick(&CLIENTS);
            generator.push(Step::Ask { client, asks: vec![Ask::new(Request::Create(create))] });
        }
    }
    let length = generator.random.between(STEPS);
    while (generator.steps.len() as u64) < length {
        generator.step();
    }
    generator.steps
}

struct Generator {
    random: Random,
    steps: Vec<Step>,
    /// Who has a connection, as far as one can tell: others have nothing to say.
    connected: Vec<Client>,
}

impl Generator {
    fn push(&mut self, step: Step) {
        if let Some(client) = step.client() {
            let is_cut = match &step {
                Step::Connect { .. } => false,
                Step::Reattach { hello, proof, .. } => {
                    *proof != Proof::Right || hello.ahead.is_some_and(|by| by > 0)
                }
                Step::Ask { asks, .. } => asks.iter().any(closes),
                Step::Drop { .. } | Step::Expire { .. } => true,
                Step::Sweep | Step::Strike { .. } => return,
            };
            match self.connected.iter().position(|other| *other == client) {
                Some(index) if is_cut => drop(self.connected.remove(index)),
                None if !is_cut => self.connected.push(client),
                Some(_) | None => {}
            }
        }
        self.steps.push(step);
    }

    fn step(&mut self) {
        let client = self.random.pick(&CLIENTS);
        if !self.connected.contains(&client) && !self.random.chance(3) {
            return self.reattach(client);
        }
        match self.random.below(1_000) {
            0..840 => {
                let ask = self.ask();
                self.push(Step::Ask { client, asks: vec![ask] });
            }
            840..920 => {
                let asks = self.pipeline();
                self.push(Step::Ask { client, asks });
            }
            920..940 => self.push(Step::Drop { client }),
            940..985 => self.reattach(client),
            985..990 => {
                let hello = self.hello();
                self.push(Step::Connect { client, hello });
            }
            990..997 => {
                self.push(Step::Ask { client, asks: vec![Ask::new(Request::CloseSession)] });
                self.push(Step::Connect { client, hello: Hello::default() });
            }
            _ => {
                let dropped = self.random.chance(2);
                self.push(Step::Expire { client, dropped });
                self.push(Step::Reattach { client, of: None, hello: Hello::default(), proof: Proof::Right });
                self.push(Step::Connect { client, hello: Hello::default() });
            }
        }
    }

    /// The client comes back, and mostly does what clients do then.
    fn reattach(&mut self, client: Client) {
        if self.random.chance(2) && self.connected.contains(&client) {
            self.push(Step::Drop { client });
            let other = self.random.pick(&CLIENTS);
            let ask = self.ask();
            self.push(Step::Ask { client: other, asks: vec![ask] });
        }
        let hello = self.hello();
        let proof = match self.random.below(8) {
            0 => Proof::Wrong,
            1 => Proof::Null,
            _ => Proof::Right,
        };
        self.push(Step::Reattach { client, of: None, hello, proof });
        if proof != Proof::Right || hello.ahead.is_some() {
            self.push(Step::Reattach { client, of: None, hello: Hello::default(), proof: Proof::Right });
        }
        if !self.random.chance(4) {
            let mut asks = Vec::new();
            if self.random.chance(3) {
                asks.push(Ask::new(self.auth()));
            }
            asks.push(Ask::new(self.set_watches()));
            self.push(Step::Ask { client, asks });
        }
    }

    fn hello(&mut self) -> Hello {
        let timeout_ms = match self.random.below(6) {
            0 => 0x7fff_ffff,
            1 => 60_001,
            2 => 12_345,
            _ => DEFAULT_TIMEOUT_MS,
        };
        let ahead = match self.random.below(12) {
            0 => Some(1),
            1 => Some(0),
            _ => None,
        };
        Hello { timeout_ms, is_old: self.random.chance(8), ahead, at: Spot::Leader }
    }

    /// Requests that are written at once. What the server answers out of turn, or closes the connection after,
    /// would make the outcome a matter of luck.
    fn pipeline(&mut self) -> Vec<Ask> {
        let length = self.random.between(2..PIPELINE_MAX + 1);
        let mut asks = Vec::new();
        while (asks.len() as u64) < length {
            let ask = self.ask();
            if !crate::trial::may_close(&ask) {
                asks.push(ask);
            }
        }
        asks
    }

    fn ask(&mut self) -> Ask {
        let query = self.query();
        let cut = match (self.random.below(60), &query) {
            (0, Query::Request(request)) if has_body(request) => 1 + self.random.below(6) as i32,
            (1, Query::Request(_)) => -(1 + self.random.below(6) as i32),
            _ => 0,
        };
        Ask { query, cut }
    }

    fn query(&mut self) -> Query {
        let request = match self.random.below(100) {
            0..23 => Request::Create(self.create()),
            23..32 => Request::Delete(self.delete()),
            32..41 => Request::SetData(self.set_data()),
            41..48 => Request::Exists(self.read()),
            48..55 => Request::GetData(self.read()),
            55..59 => Request::GetChildren(self.read()),
            59..63 => Request::GetChildren2(self.read()),
            63..66 => Request::GetAcl { path: self.readable_path() },
            66..69 => {
                let (path, acl, version) = (self.writable_path(), self.acl(), self.version());
                Request::SetAcl { path, acl, version }
            }
            69..78 => return self.multi(),
            78..81 => return self.multi_read(),
            81..85 => {
                let modes = [AddWatchMode::Persistent, AddWatchMode::PersistentRecursive];
                Request::AddWatch { path: self.readable_path(), mode: self.random.pick(&modes) }
            }
            85..87 => Request::RemoveWatches { path: self.path(), watcher: self.watcher() },
            87..88 => Request::CheckWatches { path: self.path(), watcher: self.watcher() },
            88..90 => self.set_watches(),
            90..92 => Request::GetEphemerals { prefix: self.path() },
            92..94 => Request::GetAllChildrenNumber { path: self.path() },
            94..95 => Request::WhoAmI,
            95 => Request::Sync { path: self.readable_path() },
            96 => match self.random.below(3) {
                0 => Request::Reconfig {
                    joining: None,
                    leaving: Some("5".into()),
                    new_members: None,
                    config_id: -1,
                },
                1 => Request::Check(Check { path: self.any_path(), version: self.version() }),
                _ => Request::Ping,
            },
            97..99 => match self.random.below(4) {
                0 => {
                    return Query::Raw {
                        opcode: self.random.pick(&[0, 10, 23, 99, 108, -12, -1]),
                        body: vec![],
                    };
                }
                1 => self.refused_auth(),
                _ => self.auth(),
            },
            _ => self.auth(),
        };
        Query::Request(request)
    }

    fn create(&mut self) -> Create {
        let (form, flags) = match self.random.below(20) {
            0..7 => (self.either_create(), CreateFlags::PERSISTENT),
            7..11 => (self.either_create(), CreateFlags::EPHEMERAL),
            11..13 => (self.either_create(), CreateFlags::PERSISTENT_SEQUENTIAL),
            13..15 => (self.either_create(), CreateFlags::EPHEMERAL_SEQUENTIAL),
            15 => (CreateForm::Container, CreateFlags::CONTAINER),
            // The type makes a container of all of them.
            16 => (CreateForm::Container, CreateFlags(self.random.below(5) as i32)),
            17 => {
                let ttl = self.random.pick(&[1, 60_000, (1 << 40) - 1, 1 << 40, 0, -1, -5]);
                (CreateForm::Ttl { ttl }, CreateFlags::TTL)
            }
            18 => (CreateForm::Ttl { ttl: 77 }, CreateFlags::TTL_SEQUENTIAL),
            _ => (self.either_create(), CreateFlags(self.random.pick(&[4, 5, 6, 7, 9, -1, 0x7fff_ffff]))),
        };
        let path = match self.random.below(14) {
            0 => self.random.pick(&WRONG_PATHS).into(),
            1 => self.random.pick(&SERVERS_OWN[..4]).into(),
            2..6 if flags.is_sequential() => self.random.pick(&PREFIXES).into(),
            // Beside the trial's root: numbers there do not begin anew with each trial.
            _ if flags.is_sequential() => self.random.pick(&PREFIXES).into(),
            _ => self.path(),
        };
        let path = if flags.is_sequential() && path.starts_with('^') { "/a/q-".into() } else { path };
        Create { form, path, data: self.data(), acl: self.acl(), flags }
    }

    fn either_create(&mut self) -> CreateForm {
        self.random.pick(&[CreateForm::Create, CreateForm::Create2])
    }

    fn delete(&mut self) -> Delete {
        Delete { path: self.any_path(), version: self.version() }
    }

    fn set_data(&mut self) -> SetData {
        SetData { path: self.writable_path(), data: self.data(), version: self.version() }
    }

    fn read(&mut self) -> Read {
        Read { path: self.readable_path(), watch: self.random.chance(2) }
    }

    fn multi(&mut self) -> Query {
        let mut parts = Vec::new();
        for _ in 0..self.random.below(5) {
            parts.push(match self.random.below(20) {
                0..9 => Part::Write(MultiRequest::Create(self.create())),
                9..12 => Part::Write(MultiRequest::Delete(self.delete())),
                12..16 => Part::Write(MultiRequest::SetData(self.set_data())),
                16..19 => {
                    let (path, version) = (self.any_path(), self.version());
                    Part::Write(MultiRequest::Check(Check { path, version }))
                }
                _ => Part::Read(self.read_part()),
            });
        }
        assemble(OpCode::Multi, parts)
    }

    fn multi_read(&mut self) -> Query {
        let mut parts = Vec::new();
        for _ in 0..self.random.below(5) {
            parts.push(match self.random.below(16) {
                0 => Part::Write(MultiRequest::SetData(self.set_data())),
                _ => Part::Read(self.read_part()),
            });
        }
        assemble(OpCode::MultiRead, parts)
    }

    fn read_part(&mut self) -> MultiReadRequest {
        let read = self.read();
        if self.random.chance(2) {
            MultiReadRequest::GetData(read)
        } else {
            MultiReadRequest::GetChildren(read)
        }
    }

    fn set_watches(&mut self) -> Request {
        let relative_zxid = Zxid(self.random.below(self.steps.len() as u64 + 2) as i64);
        let mut lists: [Vec<String>; 5] = Default::default();
        for list in &mut lists {
            for _ in 0..self.random.below(4) {
                list.push(self.path());
            }
        }
        let [data, exist, child, persistent, recursive] = lists;
        if self.random.chance(2) {
            Request::SetWatches { relative_zxid, data, exist, child }
        } else {
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive }
        }
    }

    fn watcher(&mut self) -> WatcherType {
        let usual = [WatcherType::Children, WatcherType::Data, WatcherType::Any];
        match self.random.below(12) {
            0 => WatcherType::Persistent,
            1 => WatcherType::PersistentRecursive,
            _ => self.random.pick(&usual),
        }
    }

    fn auth(&mut self) -> Request {
        let (scheme, auth) = match self.random.below(8) {
            0 => ("digest", "super:secret"),
            1..5 => IDENTITIES[0],
            _ => self.random.pick(&IDENTITIES),
        };
        Request::Auth { scheme: scheme.into(), auth: Some(auth.into()) }
    }

    fn refused_auth(&mut self) -> Request {
        let scheme = self.random.pick(&["world", "kerberos", ""]);
        Request::Auth { scheme: scheme.into(), auth: Some(b"anyone".into()) }
    }

    fn acl(&mut self) -> Option<Vec<Acl>> {
        let ann = "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=";
        let acl = |permissions, scheme, id| Acl::new(Permissions(permissions), scheme, id);
        Some(match self.random.below(40) {
            0..22 => vec![Acl::open()],
            22..24 => vec![Acl::creator_all()],
            24 => vec![acl(31, "auth", ""), acl(1, "world", "anyone")],
            25 => vec![acl(31 & !(1 << self.random.below(5)), "world", "anyone")],
            26 => vec![acl(1, "world", "anyone"), acl(1, "world", "anyone"), acl(30, "digest", ann)],
            27 => vec![acl(31, "digest", ann)],
            28 => vec![acl(31, "ip", "127.0.0.1")],
            29 => vec![acl(
                self.random.below(32) as i32,
                "ip",
                self.random.pick(&["127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0"]),
            )],
            30 => vec![acl(
                31,
                "ip",
                self.random.pick(&["127.0.0.1/33", "localhost", "127.0.0", "127.0.0.01", "", "::1"]),
            )],
            31 => vec![acl(31, "world", self.random.pick(&["everyone", ""]))],
            32 => vec![acl(31, "digest", self.random.pick(&["ann", "ann:a:b", ":", "ann:", ":x", ""]))],
            33 => vec![acl(31, self.random.pick(&["kerberos", "super", "x509", ""]), "x")],
            34 => vec![acl(self.random.pick(&[0, 32, -1, 33]), "world", "anyone")],
            35 => vec![],
            36 => return None,
            _ => vec![Acl::open()],
        })
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.random.below(8) {
            0 => None,
            1..4 => Some(Vec::new()),
            4 => Some(b"a longer text, with \n and \"".into()),
            n => Some(n.to_string().into_bytes()),
        }
    }

    fn version(&mut self) -> i32 {
        match self.random.below(20) {
            0..12 => -1,
            12..19 => self.random.below(4) as i32,
            _ => self.random.pick(&[-2, i32::MAX, i32::MIN]),
        }
    }

    /// A path that a znode can have.
    fn path(&mut self) -> String {
        self.random.pick(&PATHS).into()
    }

    /// Mostly such a path.
    fn any_path(&mut self) -> String {
        match self.random.below(24) {
            0 => self.random.pick(&WRONG_PATHS).into(),
            1 => self.random.pick(&SERVERS_OWN[..4]).into(),
            _ => self.path(),
        }
    }

    /// Mostly such a path, and none of the server's own: what happens to them outlives the trial.
    fn writable_path(&mut self) -> String {
        match self.random.below(24) {
            0 => self.random.pick(&WRONG_PATHS).into(),
            _ => self.path(),
        }
    }

    /// Mostly such a path, and none of the real root: what other trials left there shows.
    fn readable_path(&mut self) -> String {
        match self.random.below(24) {
            0 => self.random.pick(&WRONG_PATHS[2..]).into(),
            1 => self.random.pick(&SERVERS_OWN[..3]).into(),
            _ => self.path(),
        }
    }
}

/// Whether the server closes the connection after it.
fn closes(ask: &Ask) -> bool {
    match &ask.query {
        Query::Request(Request::CloseSession) | Query::Raw { .. } => true,
        Query::Request(Request::Auth { scheme, .. }) => !["digest", "ip"].contains(&scheme.as_str()),
        Query::Request(_) | Query::Mixed { .. } => false,
    }
}

fn has_body(request: &Request) -> bool {
    !matches!(request, Request::Ping | Request::WhoAmI | Request::CloseSession | Request::Auth { .. })
}
