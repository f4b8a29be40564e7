//! What is true after any sequence of inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use queenright_core::Zxid;
use queenright_core::op::Change;
use queenright_core::wire::{ConnectRequest, CreateFlags, MultiRequest, MultiResult, Request, Response};
use queenright_sim::zookeeper::{FromServer, ServerId};

use crate::harness::{
    Client, World, check, create_as, creation, deletion, setting, watch_below, watch_children, watch_data,
    watch_exists,
};

/// How many clients take part.
const CLIENT_COUNT: usize = 3;

/// One input.
#[derive(Clone, Debug)]
enum Step {
    Ask(usize, Request),
    Reconnect(usize),
    Expire(usize),
    Pass(Duration),
}

fn paths() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"]).prop_map(Into::into)
}

fn versions() -> impl Strategy<Value = i32> {
    prop_oneof![3 => Just(-1), 2 => 0..3]
}

fn kinds() -> impl Strategy<Value = CreateFlags> {
    (0..4).prop_map(CreateFlags)
}

fn writes() -> impl Strategy<Value = MultiRequest> {
    prop_oneof![
        3 => (paths(), kinds()).prop_map(|(path, flags)| MultiRequest::Create(creation(&path, flags))),
        2 => (paths(), versions()).prop_map(|(path, version)| MultiRequest::Delete(deletion(&path, version))),
        2 => (paths(), versions()).prop_map(|(path, version)| MultiRequest::SetData(setting(&path, "x", version))),
        1 => (paths(), versions()).prop_map(|(path, version)| check(&path, version)),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        4 => (paths(), kinds()).prop_map(|(path, flags)| create_as(&path, flags)),
        2 => (paths(), versions()).prop_map(|(path, version)| Request::Delete(deletion(&path, version))),
        2 => (paths(), versions()).prop_map(|(path, version)| Request::SetData(setting(&path, "x", version))),
        2 => prop::collection::vec(writes(), 0..5).prop_map(Request::Multi),
        1 => paths().prop_map(|path| watch_data(&path)),
        1 => paths().prop_map(|path| watch_exists(&path)),
        1 => paths().prop_map(|path| watch_children(&path)),
        1 => paths().prop_map(|path| watch_below(&path)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0..CLIENT_COUNT, requests()).prop_map(|(client, request)| Step::Ask(client, request)),
        1 => (0..CLIENT_COUNT).prop_map(Step::Reconnect),
        1 => (0..CLIENT_COUNT).prop_map(Step::Expire),
        1 => (0u64..8_000).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
    ];
    prop::collection::vec(step, 1..60)
}

/// Clients that come back, with a new session when theirs is over.
struct Crowd {
    world: World,
    clients: Vec<Client>,
}

impl Crowd {
    fn new() -> Self {
        let mut world = World::new();
        let clients = (0..CLIENT_COUNT).map(|_| world.client()).collect();
        Self { world, clients }
    }

    fn come_back(&mut self, index: usize) {
        let client = &self.clients[index];
        let request =
            ConnectRequest::reattach(&client.established, self.world.server.last_zxid(ServerId::FIRST));
        let (conn, answers) = self.world.connect(request);
        self.clients[index] = match answers.into_iter().next() {
            Some(FromServer::Connected(established)) if !established.is_refusal() => {
                Client { conn, established }
            }
            _ => self.world.client(),
        };
    }

    fn is_connected(&self, index: usize) -> bool {
        let client = &self.clients[index];
        self.world.server.connection_of(ServerId::FIRST, client.session()) == Some(client.conn)
    }

    /// Takes a step. The harness looks at the invariants after each input.
    fn take(&mut self, step: Step) {
        match step {
            Step::Ask(index, request) => {
                if !self.is_connected(index) {
                    self.come_back(index);
                }
                self.world.send(&self.clients[index].clone(), 1, request);
            }
            Step::Reconnect(index) => {
                self.world.disconnect(&self.clients[index].clone());
                self.come_back(index);
            }
            Step::Expire(index) => self.world.expire(self.clients[index].session()),
            Step::Pass(time) => self.world.pass(time),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// No sequence of inputs makes the server contradict itself, and zxids never go back.
    #[test]
    fn invariants_hold(steps in steps()) {
        let mut crowd = Crowd::new();
        let mut last = Zxid(0);
        for step in steps {
            crowd.take(step);
            prop_assert!(crowd.world.server.last_zxid(ServerId::FIRST) >= last);
            last = crowd.world.server.last_zxid(ServerId::FIRST);
        }
    }

    /// Same inputs, same outputs; and a clone goes the same way as its original.
    #[test]
    fn runs_are_deterministic(steps in steps()) {
        let (mut one, mut two) = (Crowd::new(), Crowd::new());
        for step in steps {
            one.take(step.clone());
            two.world.server = two.world.server.clone();
            two.take(step);
            for index in 0..CLIENT_COUNT {
                let (first, second) = (one.clients[index].clone(), two.clients[index].clone());
                prop_assert_eq!(one.world.inbox(&first), two.world.inbox(&second));
            }
        }
        prop_assert_eq!(one.world.server.tree(ServerId::FIRST), two.world.server.tree(ServerId::FIRST));
    }

    /// A multi does what its parts would do one after the other, or nothing.
    #[test]
    fn a_multi_is_atomic(before in prop::collection::vec(writes(), 0..12), parts in prop::collection::vec(writes(), 0..6)) {
        let mut world = World::new();
        let client = world.client();
        for write in before {
            let _ = world.ask(&client, alone(write));
        }
        let mut serial = World::new();
        serial.client();
        serial.server = world.server.clone();
        let tree = world.server.tree(ServerId::FIRST).clone();

        let answer = world.ok(&client, Request::Multi(parts.clone()));
        let Response::Multi(results) = answer else { panic!("{answer:?}") };
        prop_assert_eq!(results.len(), parts.len());
        let failed = results.iter().any(|result| matches!(result, MultiResult::Error(_)));
        // A check alone is not served: it is a multi of one, which fails as that part does.
        let all_fit = parts.iter().all(|part| match serial.ask(&client, alone(part.clone())).result {
            Ok(Response::Multi(results)) => !matches!(results[..], [MultiResult::Error(_)]),
            result => result.is_ok(),
        });
        prop_assert_eq!(failed, !all_fit);
        if failed {
            prop_assert_eq!(world.server.tree(ServerId::FIRST), &tree);
        } else {
            let shape = |world: &World| -> Vec<_> {
                let znodes = world.server.tree(ServerId::FIRST).iter();
                znodes.map(|(path, znode)| (path.to_owned(), znode.owner(), znode.stat().version, znode.stat().cversion)).collect()
            };
            prop_assert_eq!(shape(&world), shape(&serial));
        }
    }

    /// Sequence numbers of one parent rise with each create, and no name is given twice.
    #[test]
    fn sequence_numbers_rise(deletions in prop::collection::vec(any::<bool>(), 1..40)) {
        let mut world = World::new();
        let client = world.client();
        world.ok(&client, create_as("/q", CreateFlags::PERSISTENT));
        let mut names = BTreeSet::new();
        for (expected, is_deleted) in deletions.into_iter().enumerate() {
            let path = world.created(&client, create_as("/q/n-", CreateFlags::EPHEMERAL_SEQUENTIAL));
            prop_assert_eq!(&path, &format!("/q/n-{expected:010}"));
            prop_assert!(names.last().is_none_or(|last| *last < path));
            if is_deleted {
                world.ok(&client, Request::Delete(deletion(&path, -1)));
            }
            names.insert(path);
        }
    }

    /// A one-shot watch gives one event at most, however often it is left again before it fires, and it does give one
    /// when its znode changes.
    #[test]
    fn one_shots_fire_once(rounds in prop::collection::vec((0usize..3, 0usize..4), 1..30)) {
        let mut world = World::new();
        let (actor, watcher) = (world.client(), world.client());
        world.ok(&actor, create_as("/a", CreateFlags::PERSISTENT));
        for (watch_count, change_count) in rounds {
            for _ in 0..watch_count {
                world.ok(&watcher, watch_data("/a"));
            }
            for _ in 0..change_count {
                world.ok(&actor, Request::SetData(setting("/a", "x", -1)));
            }
            let pending = watch_count > 0 && change_count == 0;
            let events = world.events(&watcher);
            prop_assert_eq!(events.len(), usize::from(watch_count > 0 && change_count > 0));
            if pending {
                world.ok(&actor, Request::SetData(setting("/a", "x", -1)));
                prop_assert_eq!(world.events(&watcher).len(), 1);
            }
        }
    }

    /// Replaying the events of a recursive watch over what it watched gives the tree: none is missing, none is too many.
    #[test]
    fn a_recursive_watch_sees_every_change(steps in steps()) {
        let mut crowd = Crowd::new();
        let observer = crowd.world.client();
        crowd.world.ok(&observer, watch_below("/"));
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for step in steps {
            crowd.take(step);
            crowd.world.send(&observer, 2, Request::Ping);
            for message in crowd.world.inbox(&observer) {
                let FromServer::Event(event) = message else { continue };
                match event.change {
                    Change::Created => prop_assert!(seen.insert(event.path, 0).is_none()),
                    Change::Deleted => prop_assert!(seen.remove(&event.path).is_some()),
                    Change::DataChanged => *seen.get_mut(&event.path).unwrap() += 1,
                    Change::ChildrenChanged => prop_assert!(false, "a recursive watch heard of a list"),
                }
            }
            let tree: BTreeMap<_, _> = crowd.world.server.tree(ServerId::FIRST).iter()
                .filter(|(path, _)| *path != "/" && !path.starts_with("/zookeeper"))
                .map(|(path, znode)| (path.to_owned(), znode.stat().version.cast_unsigned()))
                .collect();
            prop_assert_eq!(&seen, &tree);
        }
    }
}

/// The request that does what a part does, by itself.
fn alone(write: MultiRequest) -> Request {
    match write {
        MultiRequest::Create(create) => Request::Create(create),
        MultiRequest::Delete(delete) => Request::Delete(delete),
        MultiRequest::SetData(set_data) => Request::SetData(set_data),
        MultiRequest::Check(_) => Request::Multi(vec![write]),
    }
}
