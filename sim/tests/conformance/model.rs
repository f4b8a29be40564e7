//! The model as a server of trials.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use queenright_core::wire::{Acl, ConnectRequest, Create, CreateFlags, CreateForm, Request};
use queenright_core::{Instant, Zxid};
use queenright_sim::zookeeper::{
    ConnectionId, Ensemble, FromServer, Mutation, Profile, ServerConfig, ServerId,
};

use crate::bytes::{self, Ear};
use crate::place::Place;
use crate::side::{Kind, Link, Side};
use crate::step::{Ask, Fault, Spot};
use crate::zookeeper::PATIENT_SYNC_LIMIT;

/// The tick of the servers of all trials.
const TICK: Duration = Duration::from_millis(100);
/// Who may do everything: `super` with the password `secret`.
pub(crate) const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";
/// Each step takes so long.
const STEP: Duration = Duration::from_millis(1);
/// How often servers sweep that do.
pub(crate) const SWEEP_EACH: Duration = Duration::from_secs(1);
/// Longer than any trial, and than any session.
const NO_SWEEP_EACH: Duration = Duration::from_secs(1_000_000);
/// The place of each trial: its znode, below the root of a server that did nothing else.
const PLACE: &str = "/t";
/// Of a frame.
const LENGTH: usize = 4;
/// A connection that trials do not have.
const SETTING_UP: ConnectionId = ConnectionId(0);

/// The model.
pub(crate) struct Model {
    config: ServerConfig,
    kind: Kind,
    broken: Option<Mutation>,
    server: Ensemble,
    ears: BTreeMap<Link, Ear>,
    now: Instant,
    next_sweep: Instant,
}

impl Model {
    pub(crate) fn new(kind: Kind) -> Self {
        let config = ServerConfig {
            tick: TICK,
            min_session: TICK * 2,
            max_session: Duration::from_secs(60),
            sweep: match kind {
                Kind::Shared | Kind::Fresh | Kind::Ensemble => NO_SWEEP_EACH,
                Kind::Sweeping => SWEEP_EACH,
            },
            profile: Profile::V3_8,
            super_digest: Some(SUPER_DIGEST.into()),
            sync_limit: PATIENT_SYNC_LIMIT,
        };
        let now = Instant::from_millis(1_000_000);
        Self {
            server: ensemble(kind, &config, now),
            config,
            kind,
            broken: None,
            ears: BTreeMap::new(),
            now,
            next_sweep: now,
        }
    }

    /// The same, with a rule broken.
    pub(crate) fn broken(kind: Kind, rule: Mutation) -> Self {
        Self { broken: Some(rule), ..Self::new(kind) }
    }

    fn connect(&mut self, conn: ConnectionId, at: Spot, hello: ConnectRequest) {
        let server = self.server_at(at);
        self.server.connect(self.now, server, conn, Ipv4Addr::LOCALHOST.into(), hello);
    }

    fn server_at(&self, at: Spot) -> ServerId {
        match at {
            Spot::Leader => self.server.leader().expect("no fault costs the leader its majority"),
            Spot::One => ServerId(1),
            Spot::Two => ServerId(2),
        }
    }
}

/// One server, or three, of which the last leads.
fn ensemble(kind: Kind, config: &ServerConfig, now: Instant) -> Ensemble {
    let count = match kind {
        Kind::Shared | Kind::Fresh | Kind::Sweeping => 1,
        Kind::Ensemble => 3,
    };
    Ensemble::new(config.clone(), count, now)
}

impl Side for Model {
    fn begin(&mut self) -> Place {
        self.server = ensemble(self.kind, &self.config, self.now);
        if let Some(rule) = self.broken {
            self.server.break_rule(rule);
        }
        self.ears.clear();
        self.next_sweep = self.now.after(SWEEP_EACH);
        if self.kind == Kind::Fresh {
            return Place::default();
        }
        self.connect(SETTING_UP, Spot::Leader, ConnectRequest::new_session(60_000));
        let create = Create {
            form: CreateForm::Create,
            path: PLACE.into(),
            data: Some(Vec::new()),
            acl: Some(vec![Acl::open()]),
            flags: CreateFlags::PERSISTENT,
        };
        // The session stays: its end would come after the znode, and move all zxids.
        self.server.request(self.now, SETTING_UP, 0, Request::Create(create));
        while self.server.poll_output().is_some() {}
        Place(PLACE.into())
    }

    fn zxid(&mut self) -> Zxid {
        self.server.last_zxid(self.server_at(Spot::Leader))
    }

    fn open(&mut self, link: Link, at: Spot, hello: ConnectRequest) {
        self.now = self.now.after(STEP);
        self.connect(ConnectionId(link.0), at, hello);
    }

    fn send(&mut self, link: Link, asks: Vec<(i32, Ask)>) {
        self.now = self.now.after(STEP);
        for (xid, ask) in asks {
            self.ears.entry(link).or_default().expect(xid, &ask);
            let frame = bytes::frame(xid, &ask);
            let (xid, request) = Request::decode(&frame[LENGTH..]).expect("a request has a header");
            self.server.request(self.now, ConnectionId(link.0), xid, request);
        }
    }

    fn cut(&mut self, link: Link) {
        self.server.disconnect(self.now, ConnectionId(link.0));
    }

    fn strike(&mut self, fault: Fault, at: Spot) {
        self.now = self.now.after(STEP);
        let (now, leader, server) = (self.now, self.server_at(Spot::Leader), self.server_at(at));
        match fault {
            Fault::Cut => {
                self.server.cut(now, leader, server);
                self.server.cut(now, server, leader);
            }
            Fault::Heal => {
                self.server.heal(now, leader, server);
                self.server.heal(now, server, leader);
            }
            Fault::Kill => self.server.crash(now, server),
        }
    }

    fn settle(&mut self, _link: Option<Link>) -> Vec<(Link, FromServer)> {
        let mut messages = Vec::new();
        while let Some((ConnectionId(link), message)) = self.server.poll_output() {
            let ear = self.ears.entry(Link(link)).or_default();
            let heard = bytes::said(&message).map_or(FromServer::Close, |frame| ear.hear(&frame[LENGTH..]));
            messages.push((Link(link), heard));
        }
        self.server.check_invariants();
        messages
    }

    fn wait_beyond(&mut self, zxid: Zxid) {
        while self.server.last_zxid(self.server_at(Spot::Leader)) <= zxid {
            self.now = self.server.poll_timeout().expect("something to wait for");
            self.server.handle_timeout(self.now);
        }
    }

    fn sweep(&mut self) {
        self.now = self.now.max(self.next_sweep.after(SWEEP_EACH / 2));
        self.next_sweep = self.next_sweep.after(SWEEP_EACH);
        self.server.handle_timeout(self.now);
    }

    fn end(&mut self, _place: &Place) {}
}
