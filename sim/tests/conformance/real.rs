//! A real server as a server of trials, over plain sockets.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use queenright_core::wire::{
    Acl, ConnectRequest, Create, CreateFlags, CreateForm, Delete, ErrorCode, Frames, Read, Request, Response,
};
use queenright_core::{SessionId, Zxid};
use queenright_sim::zookeeper::FromServer;

use crate::bytes::{self, Ear};
use crate::model::{SUPER_DIGEST, SWEEP_EACH};
use crate::place::Place;
use crate::quorum::Quorum;
use crate::side::{Kind, Link, Side};
use crate::step::{Ask, Fault, Spot};

/// The xid of the reads with which a connection is brought to rest. Those of the steps are positive.
const REST_XID: i32 = -77;
/// A server that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A server that is cut off has said all that it can after so long.
const QUIET: Duration = Duration::from_millis(200);
/// What servers send has no limit.
const REPLY_LEN_MAX: usize = 1 << 30;
const NO_SWEEP_EACH: Duration = Duration::from_secs(1_000_000);
const POLL: Duration = Duration::from_millis(4);

/// A real server, or three.
pub(crate) struct Real {
    kind: Kind,
    /// Ends with this.
    quorum: Quorum,
    links: BTreeMap<Link, Socket>,
    /// The connection of somebody who may do everything, and makes and clears places.
    master: Socket,
    master_xid: i32,
    trials: u64,
    next_sweep: Instant,
}

/// A connection.
struct Socket {
    at: Spot,
    session: Option<SessionId>,
    /// The session may be at home elsewhere: whatever is asked here may end this.
    is_old: bool,
    stream: TcpStream,
    frames: Frames,
    ear: Ear,
}

impl Real {
    /// Starts a server.
    pub(crate) fn start(kind: Kind) -> Self {
        let sweep = match kind {
            Kind::Shared | Kind::Fresh | Kind::Ensemble => NO_SWEEP_EACH,
            Kind::Sweeping => SWEEP_EACH,
        };
        let properties = [
            format!("-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}"),
            format!("-Dznode.container.checkIntervalMs={}", sweep.as_millis()),
        ];
        let quorum = match kind {
            Kind::Shared | Kind::Fresh | Kind::Sweeping => Quorum::alone(&properties),
            Kind::Ensemble => Quorum::ensemble(&properties),
        };
        let address = quorum.address(Spot::Leader);
        let mut master = Socket::new(Spot::Leader, address, &ConnectRequest::new_session(60_000));
        let hello = master.next();
        assert!(matches!(&hello, FromServer::Connected(hello) if !hello.is_refusal()), "{hello:?}");
        let links = BTreeMap::new();
        let (master_xid, trials, next_sweep) = (0, 0, Instant::now());
        let mut real = Self { kind, quorum, links, master, master_xid, trials, next_sweep };
        let proof = Request::Auth { scheme: "digest".into(), auth: Some(b"super:secret".into()) };
        assert_eq!(real.ask(proof).1, Ok(Response::Auth));
        real
    }

    /// Asks as the master.
    fn ask(&mut self, request: Request) -> (Zxid, Result<Response, ErrorCode>) {
        self.master_xid += 1;
        self.master.send(&[(self.master_xid, Ask::new(request))]);
        match self.master.next() {
            FromServer::Reply { zxid, result, .. } => (zxid, result),
            other => panic!("the master was answered {other:?}"),
        }
    }

    /// Waits for a sweep, so that the next one is far away.
    fn meet_sweep(&mut self) {
        let container = format!("/swept{}", self.trials);
        let child = format!("{container}/child");
        self.make(&container, CreateForm::Container, CreateFlags::CONTAINER);
        self.make(&child, CreateForm::Create, CreateFlags::PERSISTENT);
        self.clear(&child);
        let deadline = Instant::now() + PATIENCE;
        while self.ask(Request::Exists(Read::plain(container.as_str()))).1.is_ok() {
            assert!(Instant::now() < deadline, "nothing is swept");
            thread::sleep(POLL);
        }
        self.next_sweep = Instant::now() + SWEEP_EACH;
    }

    fn make(&mut self, path: &str, form: CreateForm, flags: CreateFlags) {
        let (data, acl) = (Some(Vec::new()), Some(vec![Acl::open()]));
        let created = self.ask(Request::Create(Create { form, path: path.into(), data, acl, flags })).1;
        assert!(created.is_ok(), "{path} cannot be created: {created:?}");
    }

    fn clear(&mut self, path: &str) {
        let children = match self.ask(Request::GetChildren(Read::plain(path))).1 {
            Ok(Response::GetChildren { children }) => children,
            Err(ErrorCode::NO_NODE) => return,
            other => panic!("{path} cannot be listed: {other:?}"),
        };
        for child in children {
            self.clear(&format!("{path}/{child}"));
        }
        let deleted = self.ask(Request::Delete(Delete { path: path.into(), version: -1 })).1;
        assert!(matches!(deleted, Ok(_) | Err(ErrorCode::NO_NODE)), "{path} cannot be deleted: {deleted:?}");
    }
}

impl Side for Real {
    fn begin(&mut self) -> Place {
        self.trials += 1;
        match self.kind {
            Kind::Shared => {}
            Kind::Ensemble => self.quorum.mend(),
            Kind::Fresh => {
                assert_eq!(self.trials, 1, "a second trial at the root");
                return Place::default();
            }
            Kind::Sweeping => self.meet_sweep(),
        }
        let place = Place(format!("/t{}", self.trials));
        self.make(&place.0, CreateForm::Create, CreateFlags::PERSISTENT);
        place
    }

    fn zxid(&mut self) -> Zxid {
        self.ask(Request::Ping).0
    }

    fn open(&mut self, link: Link, at: Spot, hello: ConnectRequest) {
        for socket in self.links.values_mut() {
            socket.is_old |= socket.session == Some(hello.session);
        }
        self.links.insert(link, Socket::new(at, self.quorum.address(at), &hello));
    }

    fn send(&mut self, link: Link, asks: Vec<(i32, Ask)>) {
        if let Some(socket) = self.links.get_mut(&link) {
            socket.send(&asks);
        }
    }

    fn cut(&mut self, link: Link) {
        self.links.remove(&link);
    }

    fn strike(&mut self, fault: Fault, at: Spot) {
        self.quorum.strike(fault, at);
    }

    fn settle(&mut self, link: Option<Link>) -> Vec<(Link, FromServer)> {
        let mut messages = Vec::new();
        let others: Vec<Link> = self.links.keys().copied().filter(|other| Some(*other) != link).collect();
        // What the others hear was said before the first one got its answer.
        for links in [link.into_iter().collect(), others] {
            for link in &links {
                let Some(socket) = self.links.get_mut(link) else { continue };
                if !(socket.is_old || self.quorum.is_cut_off(socket.at)) {
                    socket.begin_rest(self.kind);
                }
            }
            for link in links {
                let Some(socket) = self.links.get_mut(&link) else { continue };
                let heard = |message| messages.push((link, message));
                match socket.is_old || self.quorum.is_cut_off(socket.at) {
                    true => socket.listen(heard),
                    false => socket.rest(self.kind, heard),
                }
                if messages.last() == Some(&(link, FromServer::Close)) {
                    self.links.remove(&link);
                }
            }
        }
        messages
    }

    fn wait_beyond(&mut self, zxid: Zxid) {
        let deadline = Instant::now() + PATIENCE;
        while self.zxid() <= zxid {
            assert!(Instant::now() < deadline, "nothing happens after {zxid}");
            thread::sleep(POLL);
        }
    }

    fn sweep(&mut self) {
        let over = self.next_sweep + SWEEP_EACH / 2;
        thread::sleep(over.saturating_duration_since(Instant::now()));
        self.next_sweep += SWEEP_EACH;
    }

    fn end(&mut self, place: &Place) {
        self.links.clear();
        if !place.0.is_empty() {
            self.clear(&place.0.clone());
        }
    }
}

impl Socket {
    fn new(at: Spot, address: SocketAddr, hello: &ConnectRequest) -> Self {
        let mut stream = TcpStream::connect(address).expect("the server takes connections");
        stream.set_nodelay(true).unwrap();
        let mut frame = Vec::new();
        hello.encode(&mut frame);
        stream.write_all(&frame).expect("a new connection takes a frame");
        Self {
            at,
            session: None,
            is_old: false,
            stream,
            frames: Frames::new(REPLY_LEN_MAX),
            ear: Ear::default(),
        }
    }

    fn send(&mut self, asks: &[(i32, Ask)]) {
        let mut bytes = Vec::new();
        for (xid, ask) in asks {
            self.ear.expect(*xid, ask);
            bytes.extend(bytes::frame(*xid, ask));
        }
        // When the server has closed it, the next read tells.
        let _ = self.stream.write_all(&bytes);
    }

    /// Asks for an answer behind all that is under way.
    fn begin_rest(&mut self, kind: Kind) {
        if self.ear.is_connected {
            let path = "/zookeeper";
            self.send(&[(
                REST_XID,
                Ask::new(match kind {
                    Kind::Shared | Kind::Fresh | Kind::Sweeping => Request::Exists(Read::plain(path)),
                    // A follower answers it when it has applied all that its leader had committed.
                    Kind::Ensemble => Request::Sync { path: path.into() },
                }),
            )]);
        }
    }

    /// Reads all that is under way.
    fn rest(&mut self, kind: Kind, mut heard: impl FnMut(FromServer)) {
        let mut is_closing = false;
        if !self.ear.is_connected {
            let first = self.next();
            is_closing = bytes::is_last(&first);
            let is_closed = first == FromServer::Close;
            heard(first);
            if is_closed {
                return;
            }
            if !is_closing {
                self.begin_rest(kind);
            }
        }
        loop {
            match self.next() {
                // What comes after the last answer is a matter of luck, but for the end.
                FromServer::Reply { xid: REST_XID, .. } if is_closing => {}
                FromServer::Reply { xid: REST_XID, .. } => return,
                FromServer::Close => return heard(FromServer::Close),
                message => {
                    is_closing |= bytes::is_last(&message);
                    heard(message);
                }
            }
        }
    }

    /// Reads what comes from a server that cannot answer everything.
    fn listen(&mut self, mut heard: impl FnMut(FromServer)) {
        while let Some(message) = self.next_within(QUIET) {
            let is_closed = message == FromServer::Close;
            heard(message);
            if is_closed {
                return;
            }
        }
    }

    fn next(&mut self) -> FromServer {
        self.next_within(PATIENCE).unwrap_or_else(|| panic!("the server hangs: {:?}", self.ear))
    }

    fn next_within(&mut self, patience: Duration) -> Option<FromServer> {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        loop {
            if let Some(frame) = self.frames.next_frame().expect("a frame has a length") {
                let message = self.ear.hear(frame);
                if let FromServer::Connected(response) = &message {
                    self.session = Some(response.session);
                }
                return Some(message);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Some(FromServer::Close),
                Ok(len) => self.frames.push(&chunk[..len]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Some(FromServer::Close),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return None,
                    _ => panic!("{error}: {:?}", self.ear),
                },
            }
        }
    }
}
