//! Faults: the vocabulary of the steps.

use std::time::Duration;

use queenright_core::SessionId;
use queenright_core::wire::{
    Acl, ConnectRequest, Create, CreateFlags, CreateForm, Delete, Request as Record, SetData,
};

use super::host::{Application, Hold, Node, Pause};
use super::network::Way;
use super::run::{LOCALHOST, Museum, Scheduled};
use super::traps::{Trap, Which};
use crate::checkers::Violation;
use crate::zookeeper::{ConnectionId, FromServer, Owner, ServerId, Tree};

/// Sessions of outside hands last this long.
const HAND_SESSION_MS: i32 = 120_000;

/// A session of an outside hand, which lasts.
#[derive(Clone, Copy, Debug)]
pub struct Hand(ConnectionId);

impl Museum {
    /// Nothing gets through between a node and the ensemble, in either direction, until [`heal`](Self::heal).
    pub fn cut(&mut self, node: Node) {
        self.cut_to_server(node);
        self.cut_to_client(node);
    }

    /// Nothing that the node says gets through.
    pub fn cut_to_server(&mut self, node: Node) {
        self.note(format_args!("cut from n{}", node.0));
        self.network.block(node.0, Way::Up, true);
    }

    /// Nothing that the ensemble says gets through to the node.
    pub fn cut_to_client(&mut self, node: Node) {
        self.note(format_args!("cut to n{}", node.0));
        self.network.block(node.0, Way::Down, true);
    }

    /// The end of a cut.
    pub fn heal(&mut self, node: Node) {
        self.note(format_args!("heal n{}", node.0));
        self.network.block(node.0, Way::Up, false);
        self.network.block(node.0, Way::Down, false);
    }

    /// How long each message between a node and the ensemble takes from now on; a millisecond otherwise.
    pub fn distance(&mut self, node: Node, delay: Duration) {
        self.network.set_delay(node.0, delay);
    }

    /// The connection of a node breaks, and both ends notice. It comes back by itself, within the session.
    pub fn blip(&mut self, node: Node) {
        self.note(format_args!("the connection of n{} breaks", node.0));
        if let Some(connection) = self.connection(node) {
            self.break_connection(node.0, connection);
        }
    }

    /// The next request that fits is lost, and the connection with it.
    pub fn drop_request(&mut self, node: Node, which: Which) {
        self.hosts[usize::from(node.0)].traps.push((which, Trap::DropRequest));
    }

    /// The next request that fits is carried out; its answer is lost, and the connection with it.
    pub fn drop_reply(&mut self, node: Node, which: Which) {
        self.hosts[usize::from(node.0)].traps.push((which, Trap::DropReply));
    }

    /// From the next request that fits on, answers (and what comes behind them) wait between client and machine until
    /// [`release`](Self::release).
    pub fn hold_reply(&mut self, node: Node, which: Which) {
        self.hosts[usize::from(node.0)].traps.push((which, Trap::HoldReply));
    }

    /// Whether all that waited for a request of this node has come to pass.
    #[must_use]
    pub fn has_sprung(&self, node: Node) -> bool {
        self.hosts[usize::from(node.0)].traps.is_empty()
    }

    /// Events of watches wait between client and machine; answers overtake them.
    pub fn hold_events(&mut self, node: Node) {
        self.set_hold(node, Hold::Events);
    }

    /// Answers and events wait between client and machine.
    pub fn hold_replies(&mut self, node: Node) {
        self.set_hold(node, Hold::Replies);
    }

    /// What the node sends on its present connection waits in front of the server, also when the node gives the
    /// connection up.
    pub fn hold_requests(&mut self, node: Node) {
        if let Some(connection) = self.connection(node) {
            self.network.hold(connection);
        }
    }

    /// What was held goes on.
    pub fn release(&mut self, node: Node) {
        self.note(format_args!("release n{}", node.0));
        self.network.release(node.0);
        self.set_hold(node, Hold::Nothing);
        let Some(process) = &mut self.hosts[usize::from(node.0)].process else { return };
        for input in std::mem::take(&mut process.inbox) {
            self.tell(node.0, input);
        }
    }

    /// The ensemble ends the session of a node, as if its timeout were over.
    pub fn expire(&mut self, node: Node) {
        if let Some(session) = self.session_of(node) {
            self.note(format_args!("expire n{} ({session})", node.0));
            self.server.expire(self.now, session);
            self.drain_server();
        }
    }

    /// The session of a node is replaced, and the client tells only of the new one.
    pub fn swap_session(&mut self, node: Node) {
        if let Some(process) = &mut self.hosts[usize::from(node.0)].process {
            process.is_silent = true;
        }
        self.expire(node);
    }

    /// The process of a node stands still from now on, for so long.
    pub fn pause(&mut self, node: Node, length: Duration) {
        self.note(format_args!("pause n{} for {length:?}", node.0));
        let until = self.now.after(length);
        let Some(process) = &mut self.hosts[usize::from(node.0)].process else { return };
        process.pause = Pause::Until { until, held: Vec::new() };
        let life = process.life;
        self.schedule(until, Scheduled::Resume { node: node.0, life });
    }

    /// The process of a node stands still for so long as soon as its machine has decided something, before that takes effect.
    pub fn pause_before_effects(&mut self, node: Node, length: Duration) {
        if let Some(process) = &mut self.hosts[usize::from(node.0)].process {
            process.pause = Pause::BeforeEffects(length);
        }
    }

    /// The process of a node is gone at once.
    pub fn crash(&mut self, node: Node) {
        self.note(format_args!("crash n{}", node.0));
        self.bury(node.0);
    }

    /// The process of a node starts anew, with nothing but its name.
    pub fn restart(&mut self, node: Node) {
        if !self.is_over() {
            self.bury(node.0);
            self.start(node.0);
        }
    }

    /// How long the applications of a node take to stop when they are told to; `None` for ever.
    pub fn stop_takes(&mut self, node: Node, length: Option<Duration>) {
        self.hosts[usize::from(node.0)].stop_takes = length;
    }

    /// An outside hand creates a persistent znode, and its parents.
    pub fn admin_create(&mut self, path: &str, data: &[u8]) {
        for (end, _) in path.match_indices('/').skip(1) {
            self.hand_in([create(&path[..end], b"", CreateFlags::PERSISTENT)]);
        }
        self.hand_in([create(path, data, CreateFlags::PERSISTENT)]);
    }

    /// An outside hand sets the data of a znode.
    pub fn admin_set(&mut self, path: &str, data: &[u8]) {
        self.hand_in([Record::SetData(SetData { path: path.into(), data: Some(data.into()), version: -1 })]);
    }

    /// An outside hand deletes a znode, and what is below it.
    pub fn admin_delete(&mut self, path: &str) {
        let below = format!("{path}/");
        let tree = self.server.tree(ServerId::FIRST).iter();
        let mut paths: Vec<String> = tree
            .map(|(found, _)| found)
            .filter(|found| *found == path || found.starts_with(&below))
            .map(str::to_owned)
            .collect();
        paths.sort_unstable_by(|one, other| other.cmp(one));
        self.hand_in(paths.into_iter().map(|path| Record::Delete(Delete { path, version: -1 })));
    }

    /// An outside hand changes who may do what to a znode.
    pub fn admin_set_acl(&mut self, path: &str, acl: Vec<Acl>) {
        self.hand_in([Record::SetAcl { path: path.into(), acl: Some(acl), version: -1 }]);
    }

    /// An outside hand with a session that lasts.
    pub fn hand(&mut self) -> Hand {
        self.hands += 1;
        let connection = ConnectionId(u64::MAX - self.hands);
        self.server.connect(
            self.now,
            ServerId::FIRST,
            connection,
            LOCALHOST,
            ConnectRequest::new_session(HAND_SESSION_MS),
        );
        self.drain_server();
        Hand(connection)
    }

    /// The hand creates an ephemeral of its own session.
    pub fn hand_creates(&mut self, hand: Hand, path: &str, data: &[u8]) {
        self.server.request(self.now, hand.0, 1, create(path, data, CreateFlags::EPHEMERAL));
        self.drain_server();
    }

    /// The hand's session is over.
    pub fn hand_leaves(&mut self, hand: Hand) {
        self.server.request(self.now, hand.0, 2, Record::CloseSession);
        self.drain_server();
    }

    /// The servers' clean-up removes a container that has no children.
    pub fn reap(&mut self, path: &str) {
        let is_empty =
            self.server.tree(ServerId::FIRST).get(path).is_some_and(|znode| znode.stat().num_children == 0);
        if is_empty {
            self.admin_delete(path);
        }
    }

    /// The ensemble loses all its data, and all connections.
    pub fn wipe(&mut self) {
        self.note(format_args!("wipe"));
        self.server = super::run::server(self.now);
        self.checks.wiped();
        for number in 0..self.hosts.len() {
            let node = Node(u8::try_from(number).unwrap_or(u8::MAX));
            self.blip(node);
        }
    }

    /// The znodes, as the ensemble has them.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        self.server.tree(ServerId::FIRST)
    }

    /// The session that a node believes to have.
    #[must_use]
    pub fn session_of(&self, node: Node) -> Option<SessionId> {
        self.hosts[usize::from(node.0)].process.as_ref()?.client.session()
    }

    /// The ephemerals of a node's session whose path contains `part`.
    #[must_use]
    pub fn ephemerals_of(&self, node: Node, part: &str) -> Vec<String> {
        let Some(session) = self.session_of(node) else { return Vec::new() };
        self.tree()
            .iter()
            .filter(|(path, znode)| path.contains(part) && znode.owner() == Owner::Session(session))
            .map(|(path, _)| path.to_owned())
            .collect()
    }

    /// How many requests the machine of a node has put out.
    #[must_use]
    pub fn requests_of(&self, node: Node) -> u64 {
        self.hosts[usize::from(node.0)].request_count
    }

    /// A violation of `property` unless `is_so`.
    pub fn expect(&mut self, property: &'static str, is_so: bool, otherwise: &str) {
        if !is_so {
            self.fail(Violation::new(property, otherwise));
        }
    }

    pub(super) fn application(&mut self, node: Node) -> Option<&mut Application> {
        if self.is_over() {
            return None;
        }
        self.hosts[usize::from(node.0)].process.as_mut().map(|process| &mut process.application)
    }

    fn connection(&self, node: Node) -> Option<ConnectionId> {
        self.hosts[usize::from(node.0)].process.as_ref()?.connection
    }

    fn set_hold(&mut self, node: Node, hold: Hold) {
        if let Some(process) = &mut self.hosts[usize::from(node.0)].process {
            process.hold = hold;
        }
    }

    /// What the server says to an outside hand's request.
    pub fn ask(&mut self, request: Record) -> Vec<FromServer> {
        self.hand_in([request])
    }
}

pub(super) fn create(path: &str, data: &[u8], flags: CreateFlags) -> Record {
    Record::Create(Create {
        form: CreateForm::Create2,
        path: path.into(),
        data: Some(data.into()),
        acl: Some(vec![Acl::open()]),
        flags,
    })
}
