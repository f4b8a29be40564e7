use std::time::Duration;

use queenright_core::Name;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{eventually, spawn_echo, tcp_node, within};
use crate::codec::EncodeError;
use crate::process::{DiedReason, Match, ProcessId, ProcessMonitorNotification, SendError, SendPort};

#[tokio::test]
async fn messages_cross_and_come_back() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let echo = spawn_echo(&b);
    within(&a, |mut p| async move {
        for number in 0..100 {
            p.send(&echo, (p.self_pid().clone(), number)).await.unwrap();
            assert_eq!(p.expect::<u64>().await, number);
        }
    })
    .await;
    assert_eq!((a.stats().links_outbound, a.stats().links_inbound), (1, 1));
}

#[tokio::test]
async fn a_node_without_business_dials_nobody() {
    let (a, b, c) = (tcp_node().await, tcp_node().await, tcp_node().await);
    let target = spawn_echo(&b);
    within(&a, |p| async move { p.send(&target, 1u8).await.unwrap() }).await;
    eventually("b was dialled", || b.stats().links_inbound == 1).await;
    assert_eq!((b.stats().links_outbound, c.stats().links_inbound, c.stats().links_outbound), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_are_in_order_with_their_signals() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    const COUNT: u64 = 20_000;
    within(&a, move |mut p| async move {
        let me = p.self_pid().clone();
        let mut workers = Vec::new();
        for _ in 0..4 {
            let me = me.clone();
            let worker = b.spawn(move |mut p| async move {
                let mut last = 0;
                while last < COUNT {
                    let number: u64 = p.expect().await;
                    assert_eq!(number, last + 1);
                    last = number;
                }
                for number in 0..COUNT {
                    p.send(&me, (p.self_pid().clone(), number)).await.unwrap();
                }
            });
            p.monitor(&worker);
            workers.push(worker);
        }
        for number in 1..=COUNT {
            for worker in &workers {
                p.send(worker, number).await.unwrap();
            }
        }
        let mut next = std::collections::BTreeMap::new();
        let mut deaths = 0;
        while deaths < workers.len() {
            let arrived = p.receive_wait([
                Match::on(|(pid, number): (ProcessId, u64)| (pid, Ok(number))),
                Match::on(|told: ProcessMonitorNotification| (told.pid, Err(told.reason))),
            ]);
            let (pid, arrived) = arrived.await;
            let next = next.entry(pid).or_insert(0);
            match arrived {
                Ok(number) => {
                    assert_eq!(number, *next);
                    *next += 1;
                }
                Err(reason) => {
                    assert_eq!((reason, *next), (DiedReason::Normal, COUNT), "the death comes last");
                    deaths += 1;
                }
            }
        }
        drop(b);
    })
    .await;
}

#[tokio::test]
async fn exit_goes_behind_the_messages() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let (done, received) = tokio::sync::oneshot::channel();
    let worker = b.spawn(|mut p| async move {
        let mut sum = 0u64;
        while sum < 100 {
            sum += p.expect::<u64>().await;
        }
        let _ = done.send(sum);
        std::future::pending().await
    });
    within(&a, |mut p| async move {
        p.monitor(&worker);
        for _ in 0..100 {
            p.send(&worker, 1u64).await.unwrap();
        }
        // It stops at its next await, which may be the next receive: only the order of arrival is promised.
        tokio::time::sleep(Duration::from_millis(200)).await;
        p.exit(&worker, "thank you");
        let told: ProcessMonitorNotification = p.expect().await;
        assert_eq!(told.reason, DiedReason::Exited("thank you".into()));
    })
    .await;
    assert_eq!(received.await.unwrap(), 100);
}

#[tokio::test]
async fn ports_and_names_work_across_nodes() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let name = Name::new("printer").unwrap();
    let printer = b.spawn(|mut p| async move {
        let port: SendPort<String> = p.expect().await;
        p.send_chan(&port, "printed".into()).await.unwrap();
    });
    b.inner.register(name.clone(), &printer).unwrap();
    let node = b.id().clone();
    within(&a, move |p| async move {
        let (send, mut receive) = p.new_chan::<String>();
        p.nsend_remote(&node, &Name::new("nobody").unwrap(), send.clone()).await.unwrap();
        p.nsend_remote(&node, &name, send).await.unwrap();
        assert_eq!(receive.receive().await.as_deref(), Some("printed"));
    })
    .await;
}

#[tokio::test]
async fn links_and_monitors_cross_nodes() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let target = b.spawn(|mut p| async move {
        p.expect::<()>().await;
        panic!("boom");
    });
    within(&a, move |mut p| async move {
        let linked = {
            let target = target.clone();
            p.spawn_local(move |p| async move {
                p.link(&target);
                std::future::pending().await
            })
        };
        p.monitor(&linked);
        let direct = p.monitor(&target);
        let taken_back = p.monitor(&target);
        p.demonitor(taken_back);
        tokio::time::sleep(Duration::from_millis(50)).await;
        p.send(&target, ()).await.unwrap();
        let mut told = [p.expect::<ProcessMonitorNotification>().await, p.expect().await];
        told.sort_by_key(|told| told.reference != direct);
        assert_eq!(told[0].reason, DiedReason::Exception("panicked: boom".into()));
        assert!(matches!(&told[1].reason, DiedReason::Linked { origin, .. } if *origin == target));

        p.monitor(&target);
        assert_eq!(p.expect::<ProcessMonitorNotification>().await.reason, DiedReason::UnknownId);
        assert_eq!(p.expect_timeout::<ProcessMonitorNotification>(Duration::from_millis(50)).await, None);
    })
    .await;
    assert!(b.inner.watched.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_monitor_that_is_taken_back_leaves_nothing_behind() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let target = spawn_echo(&b);
    within(&a, |mut p| async move {
        let monitor = p.monitor(&target);
        let echo = |p: &super::Process| p.self_pid().clone();
        p.send(&target, (echo(&p), 1u64)).await.unwrap();
        p.expect::<u64>().await;
        p.demonitor(monitor);
        p.send(&target, (echo(&p), 2u64)).await.unwrap();
        p.expect::<u64>().await;
    })
    .await;
    assert!(b.inner.watched.lock().unwrap().is_empty());
}

/// What happens to it is the test's choice.
#[derive(Debug, PartialEq)]
enum Awkward {
    Refuses,
    Panics,
    Undecodable,
}

impl Serialize for Awkward {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Refuses => Err(S::Error::custom("not today")),
            Self::Panics => panic!("a bomb in a message"),
            Self::Undecodable => serializer.serialize_u8(1),
        }
    }
}

impl<'de> Deserialize<'de> for Awkward {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer)?;
        Err(D::Error::custom("never"))
    }
}

#[tokio::test]
async fn an_encode_error_hits_the_caller_and_nobody_else() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let echo = spawn_echo(&b);
    within(&a, |mut p| async move {
        let me = p.self_pid().clone();
        p.send(&echo, (me.clone(), 1u64)).await.unwrap();
        let error = p.send(&echo, Awkward::Refuses).await.unwrap_err();
        assert!(matches!(&error, SendError::Encode(EncodeError::Refused { .. })), "{error}");
        assert!(error.to_string().contains("not today"), "{error}");
        let error = p.send(&echo, vec![1u8; 17 << 20]).await.unwrap_err();
        assert!(matches!(&error, SendError::Encode(EncodeError::TooLarge { .. })), "{error}");
        let (_, reference) = {
            let echo = echo.clone();
            p.spawn_monitor(|p| async move {
                let _ = p.send(&echo, Awkward::Panics).await;
            })
        };
        let told: ProcessMonitorNotification = p.expect().await;
        assert_eq!(told.reference, reference);
        assert!(matches!(told.reason, DiedReason::Exception(text) if text.contains("a bomb")));
        p.send(&echo, (me, 2u64)).await.unwrap();
        assert_eq!((p.expect::<u64>().await, p.expect::<u64>().await), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_dropped_and_the_process_lives() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let (done, outcome) = tokio::sync::oneshot::channel();
    let picky = b.spawn(|mut p| async move {
        let number: u64 = p.expect().await;
        let awkward = p.expect_timeout::<Awkward>(Duration::from_millis(50)).await;
        let _ = done.send((number, awkward));
    });
    within(&a, |p| async move {
        p.send(&picky, Awkward::Undecodable).await.unwrap();
        p.send(&picky, 7u64).await.unwrap();
    })
    .await;
    assert_eq!(outcome.await.unwrap(), (7, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_may_dial_at_once() {
    for _ in 0..30 {
        let (a, b) = (tcp_node().await, tcp_node().await);
        let (echo_a, echo_b) = (spawn_echo(&a), spawn_echo(&b));
        let ask = |echo: ProcessId| {
            move |mut p: super::Process| async move {
                p.monitor(&echo);
                p.send(&echo, (p.self_pid().clone(), 1u64)).await.unwrap();
                p.expect::<u64>().await;
                assert_eq!(p.expect_timeout::<ProcessMonitorNotification>(Duration::ZERO).await, None);
            }
        };
        tokio::join!(within(&a, ask(echo_b)), within(&b, ask(echo_a)));
    }
}

#[tokio::test]
async fn a_large_message_crosses() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let (done, received) = tokio::sync::oneshot::channel();
    let target = b.spawn(|mut p| async move {
        let _ = done.send(p.expect::<String>().await);
    });
    let text = "x".repeat(8 << 20);
    let sent = text.clone();
    within(&a, |p| async move { p.send(&target, sent).await.unwrap() }).await;
    assert!(received.await.unwrap() == text);
}

#[tokio::test]
async fn a_reason_of_any_length_reaches_everybody() {
    let (a, b) = (tcp_node().await, tcp_node().await);
    let echo = spawn_echo(&b);
    within(&a, |mut p| async move {
        p.monitor(&echo);
        // As a careless implementation of the protocol could send it.
        let kill = crate::link::Signal::Kill { target: echo.number(), reason: "x".repeat(3000) };
        p.node.links.signal(echo.node(), &kill);
        let told: ProcessMonitorNotification = p.expect().await;
        let len = crate::process::REASON_LEN_MAX;
        assert_eq!(told.reason, DiedReason::Killed("x".repeat(len)));
    })
    .await;
}
