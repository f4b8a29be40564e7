use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{SOON, eventually, spawn_echo, start, within};
use crate::adapter::OperatingSystem;
use crate::link::LinkConfig;
use crate::link::testing::{Weather, Wires};
use crate::mutation::Guards;
use crate::process::node::{LocalNode, NodeOptions};
use crate::process::{DiedReason, Match, Process, ProcessId, ProcessMonitorNotification, SendPort};

type Told = ProcessMonitorNotification;

async fn node(wires: &Arc<Wires>) -> LocalNode {
    node_with(wires, LinkConfig::default()).await
}

async fn node_with(wires: &Arc<Wires>, links: LinkConfig) -> LocalNode {
    start(wires.clone(), "127.0.0.1:0", links).await.unwrap()
}

/// A process that keeps what it receives.
fn spawn_collector(node: &LocalNode) -> (ProcessId, Arc<Mutex<Vec<u64>>>) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let into = collected.clone();
    let pid = node.spawn(|mut p| async move {
        loop {
            let number = p.expect().await;
            into.lock().unwrap().push(number);
        }
    });
    (pid, collected)
}

fn spawn_idle(node: &LocalNode) -> ProcessId {
    node.spawn(|p: Process| async move {
        let _p = p;
        std::future::pending().await
    })
}

#[tokio::test(start_paused = true)]
async fn what_arrives_before_a_cut_is_a_prefix_and_the_next_send_dials_again() {
    for bytes in (0..4000).step_by(97).chain([1, 2, 3, 4, 5, 20, 21, 22, 23]) {
        let wires = Wires::new();
        let (a, b) = (node(&wires).await, node(&wires).await);
        let (collector, collected) = spawn_collector(&b);
        let weather = wires.clone();
        let target = collector.clone();
        within(&a, move |mut p| async move {
            p.send(&target, 0u64).await.unwrap();
            p.monitor(&target);
            tokio::time::sleep(Duration::from_secs(1)).await;
            weather.set(Weather::BreaksAfter(bytes));
            for number in 1..200u64 {
                p.send(&target, number).await.unwrap();
            }
            assert_eq!(p.expect::<Told>().await.reason, DiedReason::Disconnected);
            weather.set(Weather::Fair);
            p.monitor(&target);
            p.send(&target, 1000u64).await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(p.expect_timeout::<Told>(Duration::ZERO).await, None, "each monitor once");
        })
        .await;
        // The sender noticed the cut at some point of its loop: what it sent after that went by the next
        // link. In each life of the link, what arrived is a prefix, so there is one gap at most.
        let collected = collected.lock().unwrap().clone();
        assert_eq!((collected[0], collected[collected.len() - 1]), (0, 1000), "{bytes}");
        let gaps = collected.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!(
            collected.is_sorted() && gaps == 1 || gaps == 2 && collected.contains(&199),
            "{bytes}: {collected:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_fires_every_monitor_and_link_once_at_both_ends() {
    let wires = Wires::new();
    let (a, b) = (node(&wires).await, node(&wires).await);
    let (on_a, on_b) = (spawn_idle(&a), spawn_idle(&b));
    let watch = |target: ProcessId, local: ProcessId| {
        move |mut p: Process| async move {
            p.monitor(&target);
            p.monitor(&target);
            p.monitor(&local);
            let linked = {
                let target = target.clone();
                p.spawn_local(move |p| async move {
                    p.link(&target);
                    std::future::pending().await
                })
            };
            p.monitor(&linked);
            let mut told: Vec<Told> = Vec::new();
            while let Some(next) = p.expect_timeout(Duration::from_secs(60)).await {
                told.push(next);
            }
            told.into_iter().map(|told| (told.pid == target, told.reason)).collect::<Vec<_>>()
        }
    };
    let (at_a, at_b, ()) = tokio::join!(
        within_minutes(&a, watch(on_b.clone(), on_a.clone())),
        within_minutes(&b, watch(on_a.clone(), on_b.clone())),
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            wires.set(Weather::BreaksAfter(0));
            tokio::time::sleep(Duration::from_secs(1)).await;
            wires.set(Weather::Fair);
        }
    );
    for (told, target) in [(at_a, on_b), (at_b, on_a)] {
        let linked = DiedReason::Linked { origin: target, reason: DiedReason::Disconnected.to_string() };
        let expected = [(true, DiedReason::Disconnected), (true, DiedReason::Disconnected), (false, linked)];
        assert_eq!(told, expected);
    }
}

/// As [`within`], with more of the virtual time.
async fn within_minutes<R, F, Fut>(node: &LocalNode, body: F) -> R
where
    R: Send + 'static,
    F: FnOnce(Process) -> Fut + Send + 'static,
    Fut: Future<Output = R> + Send + 'static,
{
    let (done, result) = tokio::sync::oneshot::channel();
    node.spawn(|p| async move {
        let _ = done.send(body(p).await);
    });
    tokio::time::timeout(SOON * 30, result).await.expect("in time").expect("the process lives")
}

#[tokio::test(start_paused = true)]
async fn a_silent_link_is_lost_at_both_ends_also_by_who_only_receives() {
    let wires = Wires::new();
    let (a, b) = (node(&wires).await, node(&wires).await);
    let target = spawn_idle(&b);
    let weather = wires.clone();
    within_minutes(&a, move |mut p| async move {
        p.monitor(&target);
        // Idle for long, and alive: both ends hear each other.
        assert_eq!(p.expect_timeout::<Told>(Duration::from_secs(300)).await, None);
        weather.set(Weather::Stalled);
        let stalled_at = tokio::time::Instant::now();
        assert_eq!(p.expect::<Told>().await.reason, DiedReason::Disconnected);
        let timeout = LinkConfig::default().heartbeat_timeout;
        assert!(stalled_at.elapsed() <= timeout, "{:?}", stalled_at.elapsed());
        tokio::time::sleep(timeout).await;
    })
    .await;
    assert_eq!((b.stats().links_inbound, a.stats().links_outbound), (0, 0));
    assert!(b.inner.watched.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_reaches_the_successor_of_a_node() {
    let wires = Wires::new();
    let (a, b) = (node(&wires).await, node(&wires).await);
    let (former, _) = spawn_collector(&b);
    let address = b.id().address().to_owned();
    within(&a, {
        let former = former.clone();
        move |mut p| async move {
            p.monitor(&former);
            p.send(&former, 1u64).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(b);
            // It vanished without a word: it may live behind a broken cable.
            assert_eq!(p.expect::<Told>().await.reason, DiedReason::Disconnected);
        }
    })
    .await;
    let b = start(wires.clone(), &address, LinkConfig::default()).await.unwrap();
    let (successor, collected) = spawn_collector(&b);
    assert_eq!(successor.number(), former.number(), "only the incarnation tells them apart");
    let pid = successor.clone();
    within(&a, move |mut p| async move {
        p.monitor(&former);
        p.send(&former, 2u64).await.unwrap();
        assert_eq!(p.expect::<Told>().await.reason, DiedReason::NodeDown);
        p.send(&pid, 3u64).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    assert_eq!(*collected.lock().unwrap(), [3]);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_delivers_everything_and_says_goodbye() {
    let wires = Wires::new();
    let (a, b) = (node(&wires).await, node(&wires).await);
    let (collector, collected) = spawn_collector(&a);
    let idle = spawn_idle(&b);
    within(&b, move |p| async move {
        for number in 0..10_000u64 {
            p.send(&collector, number).await.unwrap();
        }
    })
    .await;
    let (reason, ()) = tokio::join!(
        within(&a, move |mut p| async move {
            p.monitor(&idle);
            p.expect::<Told>().await.reason
        }),
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            b.close(SOON).await;
        }
    );
    assert_eq!(reason, DiedReason::Killed("its node closes".into()));
    eventually("everything has arrived", || collected.lock().unwrap().len() == 10_000).await;
    assert_eq!((a.stats().links_inbound, a.stats().links_outbound), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_only_dialled_hears_the_goodbye_too() {
    let wires = Wires::new();
    let (a, b) = (node(&wires).await, node(&wires).await);
    let target = spawn_idle(&b);
    within(&a, move |p| async move { p.send(&target, 1u8).await.unwrap() }).await;
    eventually("linked", || b.stats().links_inbound == 1).await;
    let begun = tokio::time::Instant::now();
    b.close(SOON).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(a.stats().links_outbound, 0);
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_peer_that_hangs() {
    let wires = Wires::new();
    let (a, b) = (node(&wires).await, node(&wires).await);
    let target = spawn_idle(&b);
    within(&a, move |p| async move { p.send(&target, 1u8).await.unwrap() }).await;
    wires.set(Weather::Stalled);
    let begun = tokio::time::Instant::now();
    a.close(Duration::from_secs(3)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_costs_bounded_memory_and_loses_nothing() {
    let wires = Wires::new();
    // Nobody gives up on anybody here.
    let patient = LinkConfig {
        heartbeat_interval: Duration::from_secs(3600),
        heartbeat_timeout: Duration::from_secs(7200),
        high_water: 100_000,
        ..LinkConfig::default()
    };
    let (a, b) = (node_with(&wires, patient.clone()).await, node_with(&wires, patient.clone()).await);
    let (collector, collected) = spawn_collector(&b);
    within(&a, {
        let collector = collector.clone();
        move |p| async move { p.send(&collector, 0u64).await.unwrap() }
    })
    .await;
    eventually("linked", || collected.lock().unwrap().len() == 1).await;
    wires.set(Weather::Stalled);
    const SENDERS: u64 = 50;
    const EACH: u64 = 1000;
    for sender in 0..SENDERS {
        let collector = collector.clone();
        a.spawn(move |p| async move {
            for number in 0..EACH {
                p.send(&collector, 1 + sender * EACH + number).await.unwrap();
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let waiting = a.stats().bytes_waiting;
    assert!((patient.high_water..patient.high_water + 100).contains(&waiting), "{waiting}");
    let refused = within(&a, move |p| async move { p.try_send(&collector, 7u64) });
    assert_eq!(refused.await, Err(crate::process::TrySendError::Full(7)));

    wires.set(Weather::Fair);
    eventually("all arrived", || collected.lock().unwrap().len() as u64 == SENDERS * EACH + 1).await;
    let mut last = BTreeMap::new();
    for number in collected.lock().unwrap().iter().skip(1).map(|number| number - 1) {
        assert!(last.insert(number / EACH, number) < Some(number), "in order by sender");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_is_killed_and_the_link_lives() {
    let wires = Wires::new();
    let links = LinkConfig { mailbox_high_water: 50_000, ..LinkConfig::default() };
    // A mailbox's patience is twice the heartbeat's: the beats go on while nothing is read.
    assert!(links.mailbox_patience >= links.heartbeat_timeout * 2);
    let (a, b) = (node_with(&wires, links.clone()).await, node_with(&wires, links.clone()).await);
    let (lazy, (collector, collected)) = (spawn_idle(&b), spawn_collector(&b));
    let (lazy_channel, channel_owner) = {
        let (tell, told) = tokio::sync::oneshot::channel::<SendPort<Vec<u8>>>();
        let owner = b.spawn(|p: Process| async move {
            let (send, _receive) = p.new_chan();
            let _ = tell.send(send);
            std::future::pending().await
        });
        (told.await.unwrap(), owner)
    };
    within_minutes(&a, move |mut p| async move {
        p.monitor(&collector);
        for target in [&lazy, &channel_owner] {
            p.monitor(target);
            for _ in 0..1000 {
                if *target == lazy {
                    p.send(target, vec![7u8; 10_000]).await.unwrap();
                } else {
                    p.send_chan(&lazy_channel, vec![7u8; 10_000]).await.unwrap();
                }
            }
            let told: Told = p.expect().await;
            assert_eq!(told.pid, *target);
            assert!(matches!(told.reason, DiedReason::Killed(text) if text.contains("took nothing for 30s")));
        }
        p.send(&collector, 1u64).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert_eq!(*collected.lock().unwrap(), [1]);
    assert_eq!(wires.dialled(), 2, "one link each way, never lost");
    assert!(b.stats().links_inbound == 1 && wires.carried() > 20_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_slows_the_sender_and_lives() {
    let wires = Wires::new();
    let links = LinkConfig { mailbox_high_water: 50_000, high_water: 50_000, ..LinkConfig::default() };
    let (a, b) = (node_with(&wires, links.clone()).await, node_with(&wires, links.clone()).await);
    let (done, received) = tokio::sync::oneshot::channel();
    let slow = b.spawn(|mut p| async move {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            p.expect::<Vec<u8>>().await;
        }
        let _ = done.send(());
    });
    let took = within_minutes(&a, move |p| async move {
        let begun = tokio::time::Instant::now();
        for _ in 0..100 {
            p.send(&slow, vec![7u8; 10_000]).await.unwrap();
        }
        begun.elapsed()
    })
    .await;
    received.await.unwrap();
    assert!(took > Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_is_dialled_with_rests() {
    let wires = Wires::new();
    let a = node(&wires).await;
    let nobody: ProcessId = "127.0.0.1:9@00000000000000000000000000000001.1".parse().unwrap();
    within_minutes(&a, move |mut p| async move {
        p.monitor(&nobody);
        assert_eq!(p.expect::<Told>().await.reason, DiedReason::Disconnected);
        for _ in 0..30_000 {
            p.send(&nobody, 1u64).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let dialled = wires.dialled();
    assert!((10..60).contains(&dialled), "{dialled} dials in 30 s");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(a.stats().links_outbound, 0, "forgotten when nobody sends");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_answered_is_told_by_a_cut() {
    let wires = Wires::new();
    let options = NodeOptions {
        listen: "127.0.0.1:0".into(),
        advertise: Some("127.0.0.1:9".into()),
        incarnation: queenright_core::Incarnation(1),
        links: LinkConfig::default(),
        guards: Guards::default(),
    };
    let a = LocalNode::start(options, wires.clone(), Arc::new(OperatingSystem)).await.unwrap();
    let b = node(&wires).await;
    let target = b.spawn(|mut p| async move {
        p.expect::<()>().await;
    });
    within(&a, move |mut p| async move {
        p.monitor(&target);
        p.send(&target, ()).await.unwrap();
        // The news of its death cannot come through.
        assert_eq!(p.expect::<Told>().await.reason, DiedReason::Disconnected);
    })
    .await;
}

/// Cuts and stalls at all moments, with traffic and monitors in both directions.
#[tokio::test(start_paused = true)]
async fn storms_are_survived_in_order_and_every_monitor_fires_once() {
    for seed in 0..SEEDS {
        storm(seed).await;
    }
}

/// How many storms are part of every test run.
const SEEDS: u64 = 8;

async fn storm(seed: u64) {
    let wires = Wires::new();
    let nodes = [node(&wires).await, node(&wires).await, node(&wires).await];
    let echoes: Vec<_> = nodes.iter().map(spawn_echo).collect();
    let outcomes: Vec<_> = nodes
        .iter()
        .map(|node| {
            let (done, outcome) = tokio::sync::oneshot::channel();
            let echoes = echoes.clone();
            node.spawn(|p| async move {
                let _ = done.send(converse(p, echoes).await);
            });
            outcome
        })
        .collect();
    // A plain generator is random enough, and the same in each run.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(draw(4000))).await;
        wires.set(match draw(3) {
            0 => Weather::Stalled,
            _ => Weather::BreaksAfter(draw(3000) as usize),
        });
        tokio::time::sleep(Duration::from_millis(draw(20_000))).await;
        wires.set(Weather::Fair);
    }
    for outcome in outcomes {
        let outcome = tokio::time::timeout(SOON * 30, outcome).await.expect("in time");
        assert_eq!(outcome.unwrap(), Ok(()), "seed {seed}");
    }
}

/// Sends numbers to every echo for five virtual minutes, with one monitor on each that is renewed when it
/// fires; the weather is fair at the end, and everybody must answer again.
async fn converse(mut p: Process, echoes: Vec<ProcessId>) -> Result<(), String> {
    const ROUNDS: u64 = 1000;
    let mut monitors = BTreeMap::new();
    for echo in &echoes {
        monitors.insert(p.monitor(echo), echo.clone());
    }
    let me = p.self_pid().clone();
    let mut answered = vec![0; echoes.len()];
    let mut round = 0;
    // After the storm, go on until the last question was answered by all.
    while round < ROUNDS || answered.iter().any(|last| *last < ROUNDS) {
        round += 1;
        if round > ROUNDS + 300 {
            return Err(format!("no answer since {answered:?}"));
        }
        for (index, echo) in echoes.iter().enumerate() {
            let question = (me.clone(), round * 10 + index as u64);
            p.send(echo, question).await.map_err(|error| error.to_string())?;
        }
        let until = tokio::time::Instant::now() + Duration::from_millis(300);
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let cases = [Match::on(|number: u64| Ok(number)), Match::on(|told: Told| Err(told.reference))];
            let Some(arrived) = p.receive_timeout(left, cases).await else { break };
            match arrived {
                Ok(number) => {
                    let last = &mut answered[(number % 10) as usize];
                    if number / 10 <= *last {
                        return Err(format!("{} after {last}", number / 10));
                    }
                    *last = number / 10;
                }
                Err(reference) => {
                    let echo = monitors.remove(&reference).ok_or("a monitor fired twice")?;
                    monitors.insert(p.monitor(&echo), echo);
                }
            }
        }
    }
    Ok(())
}
