//! Another node, which keeps to the rules of the election, and whose clock runs like that of the node under test.

use std::collections::BTreeMap;
use std::time::Duration;

use queenright_core::op::{CreateMode, Op, Version};
use queenright_core::{Instant, Path, SessionId, Zxid};

use super::records;
use super::words::INCARNATIONS;
use super::world::World;

/// Its session, which squats on names now and then.
pub(crate) const OTHER: SessionId = SessionId(0x77);
const LEASE: Duration = Duration::from_secs(3);

/// The version of each lease record, and since when it has been that.
pub(crate) type Silence = BTreeMap<Path, (i32, Instant)>;

/// What it does next, if it may.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Sets { service: u8, instance: u8, payload: u8 },
    Deletes { service: u8, instance: u8 },
    Squats { instance: u8 },
    Claims { global: u8 },
    Releases { global: u8 },
    Beats,
    Dies,
    TakesOver { global: u8 },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Other {
    /// How many lease records it has had.
    leases: u32,
    /// Until when it believes, while it has one.
    valid_until: Option<Instant>,
    /// What it holds under it, and since which write.
    holds: BTreeMap<u8, Zxid>,
}

impl Other {
    pub(crate) fn acts(&mut self, act: Act, world: &mut World, seen: &Silence) {
        match act {
            Act::Sets { service, instance, payload } => sets(world, service, instance, payload),
            Act::Deletes { service, instance } => deletes(world, service, instance),
            Act::Squats { instance } => squats(world, &own_instance(instance)),
            Act::Claims { global } => self.claims(world, global),
            Act::Releases { global } => self.releases(world, global),
            Act::Beats => self.beats(world),
            Act::Dies => self.dies(world),
            Act::TakesOver { global } => self.takes_over(world, global, seen),
        }
    }

    /// Claims a vacant term (rule 7).
    fn claims(&mut self, world: &mut World, global: u8) {
        if read_term(world, global).is_some_and(|(version, _)| version & 1 == 0) {
            self.holds_from_now_on(world, global);
        }
    }

    pub(crate) fn holds_from_now_on(&mut self, world: &mut World, global: u8) {
        if world.tree.get(&self.record()).is_none() {
            // Somebody took it for dead, or it never lived.
            *self = Self { leases: self.leases + 1, ..Self::default() };
        }
        let (path, data) = (self.record(), records::lease(LEASE, "n2"));
        writes(world, &create(path.as_str(), &data, CreateMode::Persistent));
        writes(world, &Op::SetData { path, data, version: Version::Any });
        write_term(world, global, records::held(&self.lease(), b"other"));
        if world.tree.get(&term(global)).is_some() {
            self.valid_until = Some(world.now.after(LEASE));
            self.holds.insert(global, world.tree.zxid());
        }
    }

    /// Rule 6.
    fn releases(&mut self, world: &mut World, global: u8) {
        let mine = self.lease();
        if read_term(world, global).is_some_and(|(_, holder)| holder.as_ref() == Some(&mine)) {
            self.holds.remove(&global);
            write_term(world, global, records::vacant());
        }
    }

    /// Rule 3.
    fn beats(&mut self, world: &mut World) {
        let path = self.record();
        if world.tree.get(&path).is_some() {
            writes(world, &Op::SetData { path, data: records::lease(LEASE, "n2"), version: Version::Any });
            self.valid_until = Some(world.now.after(LEASE));
        }
    }

    /// It gives its record up (rule 12).
    pub(crate) fn dies(&mut self, world: &mut World) {
        writes(world, &Op::Delete { path: self.record(), version: Version::Any });
        *self = Self { leases: self.leases, ..Self::default() };
    }

    /// It saw the holder's record unchanged for W: rule 9.
    fn takes_over(&mut self, world: &mut World, global: u8, seen: &Silence) {
        let Some((_, Some(holder))) = read_term(world, global) else { return };
        let path = lease(&holder);
        let Some(&(version, since)) = seen.get(&path) else { return };
        let config = world.core.config();
        if world.now.since(since) >= config.silence(config.lease) {
            writes(world, &Op::Delete { path, version: Version::Exactly(version) });
            write_term(world, global, records::vacant());
            self.holds_from_now_on(world, global);
        }
    }

    /// Nobody takes from it what it may still believe to hold.
    pub(crate) fn check(&self, world: &World) {
        if self.valid_until.is_none_or(|until| world.now >= until) {
            return;
        }
        for (global, since) in &self.holds {
            let znode = world.tree.get(&term(*global)).expect("terms are not deleted");
            assert_eq!(znode.stat.mzxid, *since, "g{global}: taken from another who still believes");
        }
    }

    fn lease(&self) -> String {
        format!("{}.{}", INCARNATIONS[2].1, self.leases)
    }

    fn record(&self) -> Path {
        lease(&self.lease())
    }
}

/// An instance of a service comes, or changes.
fn sets(world: &mut World, service: u8, instance: u8, payload: u8) {
    let path = instance_path(service, payload, instance);
    let data = if payload == 0 { Vec::new() } else { vec![payload] };
    writes(world, &create(&format!("/q/services/s{service}"), b"", CreateMode::Container));
    if world.tree.get(&path).is_some() {
        writes(world, &Op::SetData { path, data, version: Version::Any });
    } else {
        writes(world, &create(path.as_str(), &data, CreateMode::Ephemeral));
    }
}

/// An instance of a service goes.
fn deletes(world: &mut World, service: u8, instance: u8) {
    for payload in [0, 1] {
        let path = instance_path(service, payload, instance);
        writes(world, &Op::Delete { path, version: Version::Any });
    }
}

/// It registers what the node under test wants to.
fn squats(world: &mut World, path: &Path) {
    let parent = path.parent().expect("an instance is somewhere");
    writes(world, &create(parent.as_str(), b"", CreateMode::Container));
    writes(world, &create(path.as_str(), b"squatter", CreateMode::Ephemeral));
}

/// Whatever comes of it; what a watch sees of it is on its way.
pub(crate) fn writes(world: &mut World, op: &Op) {
    let _ = world.tree.apply(OTHER, op);
    world.queue_events();
}

/// Version and holder of a term, as the server has it.
pub(crate) fn read_term(world: &World, global: u8) -> Option<(i32, Option<String>)> {
    let znode = world.tree.get(&term(global))?;
    let holder = records::read_term(&znode.data).expect("everybody writes what is understood");
    Some((znode.stat.version, holder.map(|(lease, _)| lease.to_owned())))
}

pub(crate) fn create(path: &str, data: &[u8], mode: CreateMode) -> Op {
    Op::Create { path: Path::new(path).expect("a path"), data: data.to_vec(), mode }
}

/// What the node under test registers.
pub(crate) fn own_instance(instance: u8) -> Path {
    Path::new(format!("/q/services/own/i{instance}+")).expect("a path")
}

pub(crate) fn term(global: u8) -> Path {
    Path::new(format!("/q/globals/g{global}/term")).expect("a path")
}

fn write_term(world: &mut World, global: u8, data: Vec<u8>) {
    writes(world, &Op::SetData { path: term(global), data, version: Version::Any });
}

/// An instance with a payload and one without never share a name here: that would be two nodes with one pid.
fn instance_path(service: u8, payload: u8, instance: u8) -> Path {
    let name = if payload == 0 { format!("n{instance}") } else { format!("p{instance}+") };
    Path::new(format!("/q/services/s{service}/{name}")).expect("a path")
}

fn lease(name: &str) -> Path {
    Path::new(format!("/q/leases/{name}")).expect("a path")
}
