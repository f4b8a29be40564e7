//! What is drawn of a run is what happened.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;

use queenright_core::{Instant, Name, Token, Zxid};
use queenright_sim::checkers::Life;
use queenright_sim::explorer::{Plan, Repro, draw, run};
use queenright_sim::timeline::{
    Belief, Fate, Heading, Kind, Lane, Letter, Recording, Row, Timeline, Way, What,
};

/// So many seeds are drawn by a test: with faults of all kinds.
const SEEDS: u64 = 40;

fn of_seed(seed: u64) -> Timeline {
    draw(&Plan::from_seed(seed), &|_| ()).1
}

/// A run in which a node takes over without waiting for the end of the lease.
fn violated() -> Timeline {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/NoWait.repro.toml");
    let repro = Repro::from_toml(&fs::read_to_string(file).unwrap()).unwrap();
    draw(&repro.plan, &|config| config.mutation = repro.mutation).1
}

#[test]
fn drawing_changes_nothing_and_is_the_same_each_time() {
    for seed in 0..5 {
        let plan = Plan::from_seed(seed);
        let (drawn, timeline) = draw(&plan, &|_| ());
        assert_eq!(drawn.unwrap().fingerprint, run(&plan).unwrap().fingerprint);
        assert_eq!(timeline, of_seed(seed));
    }
}

#[test]
fn in_correct_runs_nobody_believes_beside_another_or_beside_the_tree() {
    let mut terms = 0;
    for seed in 0..SEEDS {
        let timeline = of_seed(seed);
        terms += timeline.terms.len();
        for ruler in &timeline.rulers {
            assert_eq!((ruler.overlap, &ruler.astray), (0, &Vec::new()), "seed {seed}: {ruler:?}");
        }
    }
    assert!(terms > 50, "{terms}");
}

#[test]
fn where_two_believe_at_once_the_overlap_is_measured() {
    let timeline = violated();
    assert!(timeline.violation.as_ref().unwrap().starts_with("exclusive belief"));
    let overlap = timeline.rulers.iter().map(|ruler| ruler.overlap).max().unwrap();
    assert!(overlap > 0 && overlap < 2 * timeline.lease, "{overlap}");
    // The drawing shows what the checker has seen, and nothing more.
    assert_eq!(timeline.rulers.iter().filter(|ruler| ruler.overlap > 0).count(), 1);
}

#[test]
fn a_cone_holds_all_that_led_to_an_event_and_nothing_that_came_later() {
    let timeline = violated();
    let last = timeline.events.iter().rposition(|event| event.kind == Kind::Belief).unwrap();
    let cone = timeline.cone(u32::try_from(last).unwrap());
    assert!(cone.iter().all(|event| *event as usize <= last));
    let lanes: std::collections::BTreeSet<Lane> =
        cone.iter().map(|event| timeline.events[*event as usize].lane).collect();
    let nodes = lanes.iter().filter(|lane| matches!(lane, Lane::Node(_))).count();
    assert!(nodes >= 2, "who took over has read what the other one wrote: {lanes:?}");
    assert!(lanes.contains(&Lane::Server(0)));
    assert!(cone.len() < timeline.events.len(), "and not all of it has led there");
    // A message has arrived because it was sent.
    for message in timeline.messages.iter().filter(|message| message.fate == Fate::Arrived) {
        assert!(timeline.cone(message.ended.unwrap()).contains(&message.sent), "{message:?}");
    }
}

#[test]
fn lost_requests_are_told_from_those_whose_answer_is_lost() {
    let (mut lost, mut unheard) = (0, 0);
    for seed in 0..SEEDS {
        let timeline = of_seed(seed);
        for message in timeline.messages.iter().filter(|message| message.writes) {
            let end = message.ended.map(|event| &timeline.events[event as usize]);
            match message.fate {
                Fate::Lost => {
                    lost += 1;
                    assert_eq!(end.unwrap().kind, Kind::Lost, "{message:?}");
                }
                Fate::Unheard => {
                    unheard += 1;
                    assert_eq!(end.unwrap().kind, Kind::Received, "it took effect: {message:?}");
                }
                Fate::Arrived => assert_eq!(end.unwrap().kind, Kind::Received, "{message:?}"),
                Fate::Travelling => assert_eq!(end, None, "{message:?}"),
            }
        }
    }
    assert!(lost > 10 && unheard > 10, "{lost} lost, {unheard} whose answer is lost");
}

#[test]
fn each_row_shows_one_thing_at_a_time() {
    for seed in 0..SEEDS {
        let timeline = of_seed(seed);
        for pair in timeline.spans.windows(2) {
            if (pair[0].lane, pair[0].row) == (pair[1].lane, pair[1].row) && pair[0].row != Row::Network {
                assert!(pair[0].to <= pair[1].from, "seed {seed}: {pair:?}");
            }
        }
    }
}

/// One node writes, and the answer is lost: the whole picture, as it is drawn.
#[test]
fn a_small_recording_gives_this_picture() {
    let (life, name) = (Life { node: 0, number: 0 }, |name| Name::new(name).unwrap());
    let at = Instant::from_millis;
    let mut recording = Recording::default();
    let mut step = |moments: Vec<(u64, What)>| {
        recording.begin_step();
        moments.into_iter().for_each(|(millis, what)| recording.push(at(millis), what));
    };
    let letter = |text: &str, writes| Letter {
        xid: Some(1),
        text: text.into(),
        paths: vec!["/q/globals/g/term".into()],
        writes,
        is_ping: false,
    };
    let (way, connection, node, server) = (Way::Up, 7, 0, 0);
    step(vec![
        (0, What::Started { life }),
        (0, What::Did { life, stands: Some(name("g")), text: "campaign".into() }),
        (0, What::Sent { way, connection, node, server, letter: letter("set #1", true) }),
    ]);
    let change = What::Changed { server, path: "/q/globals/g/term".into(), zxid: Some(5), version: Some(1) };
    step(vec![
        (2, What::Arrived { way, connection }),
        (2, change),
        (2, What::Sent { way: Way::Down, connection, node, server, letter: letter("reply #1", false) }),
    ]);
    step(vec![
        (3, What::Fault { node: Some(0), text: "break".into() }),
        (3, What::Lost { way: Way::Down, connection, kept: 0 }),
    ]);
    let elected = Belief::Elected { global: name("g"), token: Token(Zxid(5)), until: at(12) };
    step(vec![
        (4, What::Believes { life, core: 0, change: elected }),
        (6, What::Believes { life, core: 0, change: Belief::Extended { until: at(14) } }),
        // Another client of the same process has a lease of its own.
        (7, What::Believes { life, core: 1, change: Belief::Extended { until: at(99) } }),
        (9, What::Ended { life }),
    ]);
    let heading = Heading {
        title: "one write".into(),
        lease: 10_000_000,
        nodes: 1,
        servers: 1,
        globals: vec!["g".into()],
        ..Heading::default()
    };
    let drawn = serde_json::to_string_pretty(&Timeline::new(heading, &recording)).unwrap() + "\n";
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/timeline.golden.json");
    if std::env::var_os("UPDATE_TIMELINE").is_some() {
        fs::write(golden, &drawn).unwrap();
    }
    assert_eq!(
        drawn,
        fs::read_to_string(golden).unwrap(),
        "UPDATE_TIMELINE=1 writes it anew: read the difference"
    );
}
