//! Histories in an honest world: a server that keeps its rules, a network that does not, and others who do as they
//! may. In the end all is healed, and what is there must be what was wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use queenright_core::op::{CreateMode, Op, Version};
use queenright_core::output::{InstanceChange, RegistrationStatus};
use queenright_core::{
    Config, Directory, Event, Freshness, Holder, HostEvent, Input, Instant, Name, Path, RegistrationId,
    SessionId, Terms, Token,
};

use super::other::{self, Act, OTHER, Other, Silence, create, own_instance, term};
use super::records;
use super::words::INCARNATIONS;
use super::world::World;

/// Long enough for every retry, and for a term to run out and be won again.
const HEALING: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Serve(usize),
    ApplyAll,
    Overtake,
    Lose { index: usize, is_applied: bool },
    Suspend,
    Reconnect,
    Lost { is_expired: bool },
    Connect,
    Pass(Duration),
    Pause(Duration),
    Campaign { global: u8, terms: Terms },
    Resign { global: u8 },
    Stopped { global: u8 },
    LookUp { global: u8 },
    Forget { global: u8 },
    Register { instance: u8, payload: u8 },
    Update { instance: u8, payload: u8 },
    Unregister { instance: u8 },
    Subscribe { service: u8 },
    Unsubscribe { service: u8 },
    Other(Act),
}

/// Lives through the steps, heals, closes, and gives everything that happened as text.
pub(crate) fn live(steps: &[Step]) -> String {
    live_with(super::steps::default_config(), steps)
}

/// The same, with a configuration.
pub(crate) fn live_with(config: Config, steps: &[Step]) -> String {
    let mut history = History::new(config);
    for step in steps {
        history.take(step);
        history.check();
    }
    history.heal();
    history.check_converged();
    history.close();
    history.world.take_log()
}

struct History {
    world: World,
    sessions: i64,
    /// How many of the world's events were looked at.
    events_seen: usize,
    registrations: BTreeMap<u8, Registered>,
    statuses: BTreeMap<RegistrationId, RegistrationStatus>,
    subscribed: BTreeSet<u8>,
    told: BTreeMap<Directory, BTreeMap<Name, Vec<u8>>>,
    looked_up: BTreeSet<u8>,
    candidacies: BTreeMap<u8, Terms>,
    holders: BTreeMap<Name, Holder>,
    terms: BTreeMap<Name, Term>,
    last_tokens: BTreeMap<Name, Token>,
    other: Other,
    silence: Silence,
    is_closed: bool,
}

#[derive(Clone, Debug)]
struct Registered {
    id: RegistrationId,
    payload: Vec<u8>,
    is_wanted: bool,
}

/// A term that the application believes in.
#[derive(Clone, Copy, Debug)]
struct Term {
    token: Token,
    valid_until: Instant,
    is_stopping: bool,
}

impl History {
    fn new(config: Config) -> Self {
        let mut history = Self {
            world: World::new(config),
            sessions: 0,
            events_seen: 0,
            registrations: BTreeMap::new(),
            statuses: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            told: BTreeMap::new(),
            looked_up: BTreeSet::new(),
            candidacies: BTreeMap::new(),
            holders: BTreeMap::new(),
            terms: BTreeMap::new(),
            last_tokens: BTreeMap::new(),
            other: Other::default(),
            silence: Silence::new(),
            is_closed: false,
        };
        for path in ["/q", "/q/leases", "/q/globals", "/q/services", "/q/nodes"] {
            other::writes(&mut history.world, &create(path, b"", CreateMode::Persistent));
        }
        // Somebody stood for the first two before, and holds the second one now.
        for global in 0..2 {
            other::writes(
                &mut history.world,
                &create(&format!("/q/globals/g{global}"), b"", CreateMode::Persistent),
            );
            other::writes(
                &mut history.world,
                &create(term(global).as_str(), &records::vacant(), CreateMode::Persistent),
            );
        }
        history.other.holds_from_now_on(&mut history.world, 1);
        history.connect();
        history
    }

    fn take(&mut self, step: &Step) {
        let now = self.world.now;
        match *step {
            Step::Serve(count) => self.world.serve(count),
            Step::ApplyAll => self.world.apply_all(),
            Step::Overtake => self.world.overtake(),
            Step::Lose { index, is_applied } => self.world.lose(index, is_applied && self.world.is_up()),
            Step::Suspend if self.world.is_up() => self.world.suspend(),
            Step::Reconnect if self.world.session_is_open() => self.world.reconnect(),
            Step::Lost { is_expired } if self.world.session_is_open() => {
                if is_expired {
                    self.world.tree.expire(self.world.session);
                }
                self.world.lose_session();
            }
            Step::Connect if !self.world.session_is_open() => self.connect(),
            Step::Suspend | Step::Reconnect | Step::Lost { .. } | Step::Connect => {}
            Step::Pass(duration) => self.world.advance(now.after(duration)),
            Step::Pause(duration) => self.world.pause(duration),
            Step::Campaign { global, terms } => {
                let done = self.world.core.campaign(now, name("g", global), vec![b'p', global], terms);
                assert_eq!(done, Ok(()), "nothing forbids it");
                self.candidacies.insert(global, terms);
            }
            Step::Resign { global } => {
                // A candidacy for one term ends by itself, and the answer is an error then.
                let _ = self.world.core.resign(now, &name("g", global));
                self.candidacies.remove(&global);
            }
            Step::Stopped { global } => {
                let global = name("g", global);
                if let Some(term) = self.terms.get(&global) {
                    let token = term.token;
                    self.world.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
                }
            }
            Step::LookUp { global } => {
                assert_eq!(self.world.core.look_up(now, name("g", global)), Ok(()));
                self.looked_up.insert(global);
            }
            Step::Forget { global } => {
                self.world.core.forget(now, &name("g", global));
                self.looked_up.remove(&global);
            }
            Step::Register { instance, payload } => self.register(instance, payload),
            Step::Update { instance, payload } => self.update(instance, payload),
            Step::Unregister { instance } => {
                if let Some(registered) = self.registrations.get_mut(&instance).filter(|it| it.is_wanted) {
                    registered.is_wanted = false;
                    assert_eq!(self.world.core.unregister(now, registered.id), Ok(()));
                }
            }
            Step::Subscribe { service } => {
                assert_eq!(self.world.core.subscribe(now, directory(service)), Ok(()));
                self.subscribed.insert(service);
            }
            Step::Unsubscribe { service } => {
                self.world.core.unsubscribe(now, &directory(service));
                self.subscribed.remove(&service);
            }
            Step::Other(act) => self.other.acts(act, &mut self.world, &self.silence),
        }
        self.world.drain();
        self.world.queue_events();
        self.observe();
    }

    fn connect(&mut self) {
        self.sessions += 1;
        let epoch = queenright_core::SessionEpoch(self.world.session_epoch.0 + 1);
        self.world.connect(SessionId(0x1000 + self.sessions), epoch);
    }

    fn register(&mut self, instance: u8, payload: u8) {
        let now = self.world.now;
        let result = self.world.core.register(now, own_directory(), name("i", instance), vec![b'v', payload]);
        match (result, self.registrations.get(&instance)) {
            (Ok(id), _) => {
                let registered = Registered { id, payload: vec![b'v', payload], is_wanted: true };
                self.registrations.insert(instance, registered);
            }
            // It is registered, or still being withdrawn.
            (Err(_), Some(_)) => {}
            (Err(misuse), None) => panic!("nothing forbids it: {misuse}"),
        }
    }

    fn update(&mut self, instance: u8, payload: u8) {
        if let Some(registered) = self.registrations.get_mut(&instance).filter(|it| it.is_wanted) {
            registered.payload = vec![b'v', payload];
            let done = self.world.core.update(self.world.now, registered.id, registered.payload.clone());
            assert_eq!(done, Ok(()));
        }
    }

    /// What the application hears.
    fn observe(&mut self) {
        for event in self.world.events.split_off(self.events_seen) {
            assert!(!self.is_closed, "after Closed: {event:?}");
            match event {
                Event::Elected { global, token, valid_until, .. } => {
                    let last = self.last_tokens.insert(global.clone(), token);
                    assert!(last.is_none_or(|last| last < token), "tokens rise: {last:?}, then {token:?}");
                    let term = Term { token, valid_until, is_stopping: false };
                    assert!(self.terms.insert(global, term).is_none(), "elected twice");
                }
                Event::Extended { valid_until } => {
                    for term in self.terms.values_mut().filter(|term| !term.is_stopping) {
                        assert!(valid_until >= term.valid_until, "an extension shortens nothing");
                        term.valid_until = valid_until;
                    }
                }
                Event::Stop { global, token, deadline, .. } => {
                    let term = self.terms.get_mut(&global).expect("only a term that began is stopped");
                    assert_eq!(term.token, token);
                    assert!(!term.is_stopping, "stopped twice");
                    assert!(deadline <= term.valid_until, "a stop gives no more time than there was");
                    (term.valid_until, term.is_stopping) = (deadline, true);
                }
                Event::Revoked { global, token } => {
                    let term = self.terms.remove(&global).expect("only a term that began ends");
                    assert_eq!(term.token, token);
                }
                Event::Registration { id, status } => {
                    let gone = self.statuses.insert(id, status) == Some(RegistrationStatus::Gone);
                    assert!(!gone, "Gone is the last word on {id}");
                }
                Event::Directory { directory, freshness, changes } => {
                    self.apply_changes(directory, freshness, changes);
                }
                Event::Holder { global, holder } => drop(self.holders.insert(global, holder)),
                Event::Closed => self.is_closed = true,
                Event::Session(_) | Event::Withdrawn { .. } | Event::Degraded { .. } => {}
            }
        }
        self.world.events.clear();
        self.events_seen = 0;
        let records: Vec<(Path, i32)> = self
            .world
            .tree
            .znodes()
            .filter(|(path, _)| path.parent().is_some_and(|parent| parent.file_name() == "leases"))
            .map(|(path, znode)| (path.clone(), znode.stat.version))
            .collect();
        for (path, version) in records {
            let seen = self.silence.entry(path).or_insert((version, self.world.now));
            if seen.0 != version {
                *seen = (version, self.world.now);
            }
        }
    }

    /// A listener's own copy, made of what it was told and nothing else.
    fn apply_changes(&mut self, directory: Directory, freshness: Freshness, changes: Vec<InstanceChange>) {
        if freshness == Freshness::Unknown {
            self.told.remove(&directory);
            return;
        }
        let copy = self.told.entry(directory).or_default();
        for change in changes {
            match change {
                InstanceChange::Added(instance) | InstanceChange::Updated(instance) => {
                    copy.insert(instance.name, instance.payload.to_vec());
                }
                InstanceChange::Removed(name) => drop(copy.remove(&name)),
            }
        }
    }

    /// Whatever just happened: whoever believes that it leads does so alone.
    fn check(&self) {
        for (global, held) in &self.terms {
            if self.world.now >= held.valid_until {
                continue;
            }
            let path = Path::new(format!("/q/globals/{global}/term")).expect("a path");
            let znode = self.world.tree.get(&path).expect("terms are not deleted");
            assert_eq!(
                znode.stat.mzxid, held.token.0,
                "{global}: led until {}, and changed",
                held.valid_until
            );
        }
        for registered in self.registrations.values().filter(|_| self.world.session_is_open()) {
            let Some(RegistrationStatus::Registered { czxid }) = self.statuses.get(&registered.id) else {
                continue;
            };
            let mut znodes = self.world.tree.znodes().filter(|(_, znode)| znode.stat.czxid == *czxid);
            let is_own = znodes.all(|(_, znode)| znode.stat.owner() == Some(self.world.session));
            assert!(is_own, "{}: told as registered, under a session that is over", registered.id);
        }
        self.other.check(&self.world);
    }

    /// The network is well again, everybody else is gone, and time passes.
    fn heal(&mut self) {
        if !self.world.session_is_open() {
            self.connect();
        } else if !self.world.is_up() {
            self.world.reconnect();
        }
        for session in 0x1001..=0x1000 + self.sessions {
            if SessionId(session) != self.world.session {
                self.world.tree.expire(SessionId(session));
            }
        }
        let squatted: Vec<Path> = self
            .world
            .tree
            .znodes()
            .filter(|(path, znode)| {
                path.as_str().starts_with("/q/services/own/") && znode.stat.owner() == Some(OTHER)
            })
            .map(|(path, _)| path.clone())
            .collect();
        for path in squatted {
            other::writes(&mut self.world, &Op::Delete { path, version: Version::Any });
        }
        self.other.dies(&mut self.world);
        self.world.queue_events();
        self.world.live_quietly(HEALING);
        self.observe();
        self.check();
    }

    fn check_converged(&self) {
        let (core, tree) = (&self.world.core, &self.world.tree);
        for service in &self.subscribed {
            let directory = directory(*service);
            let truth: BTreeMap<Name, Vec<u8>> = tree
                .children(&Path::new(format!("/q/services/s{service}")).expect("a path"))
                .map(|path| {
                    let name = path.file_name().trim_end_matches('+');
                    (Name::new(name).expect("a name"), tree.get(path).expect("it is there").data.clone())
                })
                .collect();
            let (freshness, instances) = core.directory(&directory).expect("it is subscribed to");
            let cached: BTreeMap<Name, Vec<u8>> =
                instances.into_iter().map(|it| (it.name, it.payload.to_vec())).collect();
            assert_eq!(freshness, Freshness::Fresh, "{directory}");
            assert_eq!(cached, truth, "{directory}: the cache and the server");
            assert_eq!(self.told.get(&directory), Some(&truth), "{directory}: what was told and the server");
        }
        for (instance, registered) in &self.registrations {
            let znode = tree.get(&own_instance(*instance));
            let status = self.statuses.get(&registered.id).expect("every registration has a status");
            if registered.is_wanted {
                let znode = znode.expect("what is registered is there");
                assert_eq!(znode.stat.owner(), Some(self.world.session), "it is this session's");
                assert_eq!(znode.data, registered.payload, "with the payload that came last");
                assert_eq!(*status, RegistrationStatus::Registered { czxid: znode.stat.czxid });
            } else {
                assert!(znode.is_none(), "what was withdrawn is not there");
                assert_eq!(*status, RegistrationStatus::Gone);
            }
        }
        for global in 0..3 {
            self.check_global(global);
        }
    }

    fn check_global(&self, global: u8) {
        let (global_name, core) = (name("g", global), &self.world.core);
        let term = other::read_term(&self.world, global);
        let holder = term.as_ref().and_then(|(_, holder)| holder.clone());
        let is_own = holder.as_ref().is_some_and(|it| it.starts_with(&INCARNATIONS[0].1.to_string()));
        match self.candidacies.get(&global) {
            Some(Terms::Many) => {
                assert!(core.is_leading(&global_name), "{global_name}: the only one who stands leads")
            }
            // It may have had its term.
            Some(Terms::One) => {}
            None => {
                assert!(!core.is_leading(&global_name), "{global_name}: nobody stands for it, and it is led")
            }
        }
        assert_eq!(is_own, core.is_leading(&global_name), "{global_name}: the record and the belief");
        let queue = Path::new(format!("/q/globals/{global_name}/queue")).expect("a path");
        assert_eq!(self.world.tree.children(&queue).count(), 0, "{global_name}: nobody waits");
        if self.looked_up.contains(&global) {
            let told = self.holders.get(&global_name).expect("whoever looks up is told");
            let is_told_own = matches!(told, Holder::Held { own: true, stale_since: None, .. });
            assert_eq!(is_told_own, is_own, "{global_name}: {told:?}");
            assert_eq!(*told == Holder::Vacant, !is_own, "{global_name}: {told:?}");
        }
    }

    fn close(&mut self) {
        self.world.core.close(self.world.now);
        self.world.drain();
        self.world.live_quietly(Duration::from_secs(10));
        self.observe();
        assert!(self.is_closed, "closing ends");
        assert!(self.terms.is_empty(), "with all terms");
        let left: Vec<&Path> = self
            .world
            .tree
            .znodes()
            .filter(|(_, znode)| znode.stat.owner() == Some(self.world.session))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(left, [] as [&Path; 0], "nothing of the session is left");
        self.world.suspend();
        self.world.reconnect();
        self.world.live_quietly(HEALING);
        self.observe();
    }
}

fn name(prefix: &str, number: u8) -> Name {
    Name::new(format!("{prefix}{number}")).expect("a name")
}

fn directory(service: u8) -> Directory {
    Directory::Service(name("s", service))
}

fn own_directory() -> Directory {
    Directory::Service(Name::new("own").expect("a name"))
}
