//! Properties of the core under random histories. What proptest found is kept in `properties.proptest-regressions`,
//! and is lived through again by every run.

mod support;

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm, TestRng, TestRunner};
use queenright_core::{Config, Event, Incarnation, Instant, Name, SessionEpoch, SessionId, Terms};
use support::history::{self, Step};
use support::other::Act;
use support::world::World;
use support::{liar, records, steps};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        ..ProptestConfig::default() })]

    /// Any inputs, legal or not: no panic, invariants after every step, bounded outputs, terms in turns; and the
    /// same again.
    #[test]
    fn a_liar_cannot_break_it(steps in liar::steps()) {
        prop_assert_eq!(liar::live(&steps), liar::live(&steps));
    }

    /// Caches: in the end they are what the server has, and so is the copy of whoever was told of changes only.
    #[test]
    fn caches_converge(steps in history_of(caching())) {
        history::live(&steps);
    }

    /// Registrations: in the end there is exactly one znode, this session's and with the latest payload, or none.
    #[test]
    fn registrations_converge(steps in history_of(registering())) {
        history::live(&steps);
    }

    /// Elections: nobody else holds what this node believes to lead, tokens rise, and the only one who stands leads
    /// in the end.
    #[test]
    fn elections_are_safe_and_end(steps in history_of(electing())) {
        history::live(&steps);
    }

    /// One lease, with answers that come late and others who wait for it to fall silent.
    #[test]
    fn a_lease_is_safe_under_delay(steps in prop::collection::vec(leasing(), 1..60)) {
        history::live(&steps);
    }

    /// All of it at once, and the same again.
    #[test]
    fn everything_together(steps in history_of(prop_oneof![caching(), registering(), electing()].boxed())) {
        prop_assert_eq!(history::live(&steps), history::live(&steps));
    }

    /// Rules 3, 4 and 9 between two machines with clocks of their own: however fast or slow they run within the
    /// bound, the one stops believing, in real time, before the other may take over.
    #[test]
    fn a_belief_ends_before_anybody_takes_over(
        lease_millis in 50..3_600_000_u64,
        odd_nanos in 0..1_000_000_u64,
        bound_ppm in 0..100_000_u32,
        leader_rate in -1.0..=1.0_f64,
        observer_rate in -1.0..=1.0_f64,
    ) {
        let lease = Duration::from_millis(lease_millis).saturating_add(Duration::from_nanos(odd_nanos))
            .min(Duration::from_secs(3600));
        // Parts per million of local time that pass in a real second.
        let rate = |share: f64| {
            let deviation = (share * f64::from(bound_ppm)).trunc() as i64;
            u128::try_from(1_000_000 + deviation).expect("a clock does not run backwards")
        };
        let config = |incarnation| Config {
            clock_rate_ppm: bound_ppm,
            incarnation: Incarnation(incarnation),
            ..steps::default_config()
        }.with_lease(lease);

        let believed = belief(config(1));
        let silent = silence(config(2), lease);
        // Real time is local time over rate; both began at the same real moment, at which the beat was sent,
        // applied and seen. belief / leader's rate < silence / observer's rate, or equal at the very bounds.
        prop_assert!(
            believed.as_nanos() * rate(observer_rate) <= silent.as_nanos() * rate(leader_rate),
            "{believed:?} at {} ppm, {silent:?} at {} ppm", rate(leader_rate), rate(observer_rate),
        );
    }
}

/// A property that never meets what it is about holds for nothing.
#[test]
fn the_histories_reach_what_matters() {
    let reached = RefCell::new(REACHED.map(|phrase| (phrase, 0_usize)));
    for work in [caching(), registering(), electing()] {
        let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng)
            .run(&history_of(work), |steps| {
                let log = history::live(&steps);
                for (phrase, count) in reached.borrow_mut().iter_mut() {
                    *count += usize::from(log.contains(*phrase));
                }
                Ok(())
            })
            .unwrap();
    }
    let reached = reached.into_inner();
    let missed: Vec<_> = reached.iter().filter(|(_, count)| *count < 3).collect();
    assert!(missed.is_empty(), "hardly ever reached: {missed:?}, of {reached:?}");
}

const REACHED: [&str; 17] = [
    "ELECTED",
    "REVOKED",
    "extended until",
    "the lease ran out",
    ": resigned",
    "withdrawn from",
    "; set /q/globals/g0/term v",
    "[delete /q/leases/bob.",
    "→ unknown",
    "BadVersion at",
    "event DataChanged /q/globals/g0/term",
    "occupied by session 0x77",
    "occupied by session 0x10",
    " gone",
    "stale since",
    " ~p",
    " -n",
];

/// Guards are taken out one at a time, and the properties notice.
#[cfg(feature = "mutations")]
#[test]
fn a_missing_guard_is_noticed() {
    use queenright_core::mutation::Mutation;
    for (mutation, histories, complaint) in [
        (Mutation::LeaseFromReply, prop::collection::vec(leasing(), 1..60).boxed(), "led until"),
        (Mutation::NoWait, history_of(electing()), "still believes"),
        (Mutation::AdoptFromDeadSession, history_of(registering()), "told as registered"),
        (Mutation::WatchNotRearmed, history_of(caching()), "the cache and the server"),
    ] {
        let config = ProptestConfig {
            cases: 5_000,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let result = TestRunner::new_with_rng(config, rng).run(&histories, |steps| {
            let config = Config { mutation: Some(mutation), ..steps::default_config() };
            history::live_with(config, &steps);
            Ok(())
        });
        let noticed = result.expect_err(&format!("{mutation:?} is noticed")).to_string();
        assert!(noticed.contains(complaint), "{mutation:?}: {noticed}");
    }
}

/// For how long a leader believes after a claim that was answered at once, by its own clock.
fn belief(config: Config) -> Duration {
    let mut world = World::new(config);
    world.connect(SessionId(1), SessionEpoch(1));
    world.core.campaign(world.now, global(), Vec::new(), Terms::Many).expect("a valid campaign");
    world.drain();
    world.serve(usize::MAX);
    let until = world.events.iter().find_map(|event| {
        if let Event::Elected { valid_until, .. } = event { Some(*valid_until) } else { None }
    });
    until.expect("nobody else stands").since(Instant::ORIGIN)
}

/// For how long an observer waits for a beat of a record of length `lease`, by its own clock.
fn silence(config: Config, lease: Duration) -> Duration {
    let mut world = World::new(config);
    for (path, data) in [
        ("/q", Vec::new()),
        ("/q/leases", Vec::new()),
        ("/q/leases/other", records::lease(lease, "n2")),
        ("/q/globals", Vec::new()),
        ("/q/globals/boss", Vec::new()),
        ("/q/globals/boss/queue", Vec::new()),
        ("/q/globals/boss/term", records::vacant()),
    ] {
        write(&mut world, path, data);
    }
    write(&mut world, "/q/globals/boss/term", records::held("other", b""));
    world.connect(SessionId(2), SessionEpoch(1));
    world.core.campaign(world.now, global(), Vec::new(), Terms::Many).expect("a valid campaign");
    world.drain();
    world.serve(usize::MAX);
    let before = world.tree.zxid();
    // Nothing is sent before the deadline, and at it the holder is taken over.
    world.wait();
    world.serve(usize::MAX);
    assert!(world.tree.zxid() > before, "it was taken over");
    assert!(world.core.is_leading(&global()));
    world.now.since(Instant::ORIGIN)
}

fn write(world: &mut World, path: &str, data: Vec<u8>) {
    use queenright_core::op::{CreateMode, Op, Version};
    let path = queenright_core::Path::new(path).expect("a path");
    let op = if world.tree.get(&path).is_some() {
        Op::SetData { path, data, version: Version::Any }
    } else {
        Op::Create { path, data, mode: CreateMode::Persistent }
    };
    world.tree.apply(SessionId(0), &op).expect("an empty tree");
}

fn global() -> Name {
    Name::new("boss").expect("a name")
}

/// Work of one kind, in the weather of a network.
fn history_of(work: BoxedStrategy<Step>) -> BoxedStrategy<Vec<Step>> {
    prop::collection::vec(prop_oneof![3 => work, 4 => weather()], 1..80).boxed()
}

fn weather() -> BoxedStrategy<Step> {
    prop_oneof![
        6 => (0..8_usize).prop_map(Step::Serve),
        12 => Just(Step::Serve(usize::MAX)),
        2 => Just(Step::ApplyAll),
        2 => Just(Step::Overtake),
        3 => (0..4_usize, any::<bool>()).prop_map(|(index, is_applied)| Step::Lose { index, is_applied }),
        2 => Just(Step::Suspend),
        10 => Just(Step::Reconnect),
        1 => any::<bool>().prop_map(|is_expired| Step::Lost { is_expired }),
        10 => Just(Step::Connect),
        4 => (1..1_500_u64).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => (1..5_000_u64).prop_map(|millis| Step::Pause(Duration::from_millis(millis))),
    ]
    .boxed()
}

fn caching() -> BoxedStrategy<Step> {
    prop_oneof![
        2 => (0..2_u8).prop_map(|service| Step::Subscribe { service }),
        1 => (0..2_u8).prop_map(|service| Step::Unsubscribe { service }),
        6 => (0..2_u8, 0..3_u8, 0..3_u8)
            .prop_map(|(service, instance, payload)| Step::Other(Act::Sets { service, instance, payload })),
        3 => (0..2_u8, 0..3_u8).prop_map(|(service, instance)| Step::Other(Act::Deletes { service, instance })),
    ]
    .boxed()
}

fn registering() -> BoxedStrategy<Step> {
    prop_oneof![
        4 => (0..2_u8, 0..3_u8).prop_map(|(instance, payload)| Step::Register { instance, payload }),
        3 => (0..2_u8, 0..3_u8).prop_map(|(instance, payload)| Step::Update { instance, payload }),
        2 => (0..2_u8).prop_map(|instance| Step::Unregister { instance }),
        1 => (0..2_u8).prop_map(|instance| Step::Other(Act::Squats { instance })),
    ]
    .boxed()
}

fn leasing() -> BoxedStrategy<Step> {
    prop_oneof![
        2 => Just(Step::Campaign { global: 0, terms: Terms::Many }),
        4 => Just(Step::Serve(usize::MAX)),
        4 => Just(Step::ApplyAll),
        3 => Just(Step::Serve(0)),
        4 => (1..2_000_u64).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        4 => Just(Step::Other(Act::TakesOver { global: 0 })),
        1 => Just(Step::Other(Act::Releases { global: 0 })),
    ]
    .boxed()
}

fn electing() -> BoxedStrategy<Step> {
    let terms = prop_oneof![Just(Terms::One), Just(Terms::Many)];
    prop_oneof![
        6 => (0..2_u8, terms).prop_map(|(global, terms)| Step::Campaign { global, terms }),
        2 => (0..2_u8).prop_map(|global| Step::Resign { global }),
        3 => (0..2_u8).prop_map(|global| Step::Stopped { global }),
        2 => (0..3_u8).prop_map(|global| Step::LookUp { global }),
        1 => (0..3_u8).prop_map(|global| Step::Forget { global }),
        6 => (0..3_u8).prop_map(|global| Step::Other(Act::Claims { global })),
        2 => (0..3_u8).prop_map(|global| Step::Other(Act::Releases { global })),
        3 => Just(Step::Other(Act::Beats)),
        1 => Just(Step::Other(Act::Dies)),
        6 => (0..2_u8).prop_map(|global| Step::Other(Act::TakesOver { global })),
        6 => (1..4_u64).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
    ]
    .boxed()
}
