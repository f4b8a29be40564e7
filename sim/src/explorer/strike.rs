//! Faults, as they strike.

use queenright_core::Instant;
use queenright_core::wire::{Acl, Create, CreateFlags, CreateForm, Delete, Request as Record, SetData};

use super::client::Client;
use super::fault::{Fault, ForeignPlace, Hand, Notice};
use super::network::Leaving;
use super::process::Pause;
use super::queue::Due;
use super::sometimes::Reached;
use super::world::World;
use crate::checkers::Violation;
use crate::timeline::What;
use crate::zookeeper::Owner;

impl World<'_> {
    /// A fault strikes, unless the healing has begun or its node is down.
    pub(super) fn strike(&mut self, number: u32) -> Result<(), Violation> {
        if self.now >= self.heal_at {
            return Ok(());
        }
        let fault = self.plan.faults[number as usize].fault;
        self.trace.note(self.now, &fault, |line| write!(line, "FAULT {number}: {fault}"));
        self.recorder.record(self.now, || What::Fault {
            node: fault.node(),
            text: format!("fault {number}: {fault}"),
        });
        match fault {
            Fault::Break { node, delivered, linger, notice } => {
                let leaving = Leaving { delivered, linger, notice };
                self.with_current_client(node, |client, env| {
                    if client.connection().is_some() {
                        client.break_connection(env, leaving);
                    }
                });
            }
            Fault::Abandon { node, delivered, linger } => {
                // A client that is still there keeps its socket until the kernel is done with it.
                let leaving = Leaving { delivered, linger, notice: Notice::Given };
                self.with_current_client(node, |client, env| client.abandon_session(env, leaving));
            }
            Fault::Stall { node, to_server, to_client } => {
                let process = self.nodes[usize::from(node)].process();
                if let Some(connection) = process.and_then(|process| process.client.connection()) {
                    self.network.stall(self.now, connection, to_server, to_client);
                }
            }
            Fault::Cut { node, server, to_server, to_client } => {
                self.network.cut(self.now, node, server, to_server, to_client)
            }
            Fault::Outage(outage) => self.outage(outage)?,
            Fault::Expire { node } => {
                let process = self.nodes[usize::from(node)].process();
                if let Some(session) = process.and_then(|process| process.client.session()) {
                    self.server.expire(self.now, session);
                    self.drain_server()?;
                }
            }
            Fault::Pause { node, length, point } => self.pause(node, length, point),
            Fault::Crash { node, restart, delivered, linger, notice } => {
                let leaving = Leaving { delivered, linger, notice };
                self.with_current_client(node, |client, env| client.die(env, leaving));
                if self.bury(node).is_some()
                    && let Some(after) = restart
                {
                    self.queue.at(self.now.after(after).min(self.heal_at), Due::Restart { node });
                }
            }
            Fault::Hand(hand) => self.meddle(hand)?,
        }
        Ok(())
    }

    /// From now on nothing breaks.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        self.trace.note(self.now, &2_u8, |line| line.write_str("HEALED"));
        self.recorder
            .record(self.now, || What::Fault { node: None, text: "healed: nothing breaks any more".into() });
        self.mend(Instant::from_nanos(u64::MAX))?;
        self.election()?;
        self.tidy()
    }

    /// What an outside hand left in the way of registrations is taken away.
    pub(super) fn tidy(&mut self) -> Result<(), Violation> {
        let tree = self.tree();
        let squatters = &self.squatters;
        let left = squatters
            .iter()
            .filter(|path| tree.get(path).is_some_and(|znode| znode.owner() == Owner::Nobody));
        let deletes: Vec<Record> = left.cloned().map(delete).collect();
        self.hand_in(deletes)
    }

    fn with_current_client(&mut self, node: u8, act: impl FnOnce(&mut Client, &mut super::client::Env<'_>)) {
        if let Some(process) = self.nodes[usize::from(node)].process() {
            let life = process.life.number;
            self.with_client(node, life, act);
        }
    }

    fn pause(&mut self, node: u8, length: std::time::Duration, point: super::fault::PausePoint) {
        let until: Instant = self.now.after(length).min(self.heal_at);
        let Some(process) = self.nodes[usize::from(node)].process() else { return };
        match (&mut process.pause, point) {
            (Pause::Until { until: current, .. }, _) => *current = until.max(*current),
            (pause, super::fault::PausePoint::BeforeInput) => {
                *pause = Pause::Until { until, held: Vec::new() }
            }
            (pause, super::fault::PausePoint::BeforeEffects) => {
                *pause = Pause::BeforeEffects(length);
                return;
            }
        }
        let life = process.life;
        self.recorder.record(self.now, || What::Paused { life, until });
        self.queue.at(until, Due::Resume { node, life: life.number });
    }

    fn meddle(&mut self, hand: Hand) -> Result<(), Violation> {
        let root = &self.names.root;
        let requests = match hand {
            Hand::DeleteInstance { pick } => self.instance_path(pick).map(delete).into_iter().collect(),
            Hand::GarbleInstance { pick } => {
                let garble = |path| Record::SetData(SetData { path, data: Some(vec![0xff; 3]), version: -1 });
                self.instance_path(pick).map(garble).into_iter().collect()
            }
            Hand::Squat { node, service, instance } => {
                let service = format!("{root}/services/{}", self.names.services[usize::from(service)]);
                let instance = &self.names.instances[usize::from(node)][usize::from(instance)];
                let paths = [format!("{service}/{instance}"), format!("{service}/{instance}+")];
                self.squatters.extend(paths.clone());
                let parents = [root.clone(), format!("{root}/services"), service];
                parents.into_iter().chain(paths).map(|path| create(path, Vec::new())).collect()
            }
            Hand::DeleteCandidate { pick } => {
                let candidates = self.paths(|path| path.contains("/queue/"));
                choose(candidates, pick).map(delete).into_iter().collect()
            }
            Hand::PresetSequence { global, left } => {
                let Some(name) = self.names.globals.get(usize::from(global)) else { return Ok(()) };
                let queue = format!("{root}/globals/{name}/queue");
                // Whoever stood while two thousand million others came and went would have no place among them, and none of
                // a whole queue may be the first: the order of wrapping numbers is one of those that stand close together.
                if self.server.tree(self.server.newest()).children(&queue).next().is_some() {
                    return Ok(());
                }
                if self.server.preset_sequence(self.now, &queue, i32::MAX - i32::from(left)) {
                    self.sometimes.reach(Reached::SequenceNearItsEnd);
                }
                return self.drain_server();
            }
            Hand::ForeignChild { place, index, kind } => {
                self.sometimes.reach(Reached::ForeignChild);
                let service = self.names.services.get(usize::from(index));
                let global = self.names.globals.get(usize::from(index));
                let parent = match (place, service, global) {
                    (ForeignPlace::Nodes, ..) => format!("{root}/nodes"),
                    (ForeignPlace::Service, Some(service), _) => format!("{root}/services/{service}"),
                    (ForeignPlace::Queue, _, Some(global)) => format!("{root}/globals/{global}/queue"),
                    (ForeignPlace::Leases, ..) => format!("{root}/leases"),
                    (ForeignPlace::Globals, ..) => format!("{root}/globals"),
                    (ForeignPlace::Service | ForeignPlace::Queue, ..) => return Ok(()),
                };
                let (name, data) = match kind {
                    0 => ("stray".to_owned(), vec![]),
                    1 => ("stray+".to_owned(), vec![0xfe; 5]),
                    2 => ("+".to_owned(), vec![1]),
                    _ => ("x".repeat(600), vec![0; 40]),
                };
                vec![create(format!("{parent}/{name}"), data)]
            }
        };
        if requests.is_empty() { Ok(()) } else { self.hand_in(requests) }
    }

    /// One of the instances that some session owns.
    fn instance_path(&self, pick: u32) -> Option<String> {
        let (services, nodes) =
            (format!("{}/services/", self.names.root), format!("{}/nodes/", self.names.root));
        choose(self.paths(|path| path.starts_with(&services) || path.starts_with(&nodes)), pick)
    }

    /// The ephemerals of the tree that are wanted, in order.
    fn paths(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let znodes = self.tree().iter();
        let ephemerals = znodes.filter(|(_, znode)| matches!(znode.owner(), Owner::Session(_)));
        ephemerals.map(|(path, _)| path).filter(|path| wanted(path)).map(str::to_owned).collect()
    }
}

fn choose(mut paths: Vec<String>, pick: u32) -> Option<String> {
    let count = u32::try_from(paths.len()).unwrap_or(u32::MAX);
    let index = pick.checked_rem(count)?;
    Some(paths.swap_remove(index as usize))
}

fn delete(path: String) -> Record {
    Record::Delete(Delete { path, version: -1 })
}

fn create(path: String, data: Vec<u8>) -> Record {
    let acl = Some(vec![Acl::open()]);
    Record::Create(Create {
        form: CreateForm::Create2,
        path,
        data: Some(data),
        acl,
        flags: CreateFlags::PERSISTENT,
    })
}
