use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use queenright_core::Name;
use serde::{Deserialize, Serialize, Serializer};

use super::{SOON, eventually, tcp_node, within};
use crate::process::{DiedReason, Match, Process, ProcessMonitorNotification, RegisterError};

/// Monitors what `body` does, until it dies.
async fn death_of<F, Fut>(body: F) -> DiedReason
where
    F: FnOnce(Process) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let node = tcp_node().await;
    within(&node, |mut p| async move {
        let (pid, reference) = p.spawn_monitor(body);
        let told: ProcessMonitorNotification = p.expect().await;
        assert_eq!((&told.pid, told.reference), (&pid, reference));
        told.reason
    })
    .await
}

#[tokio::test]
async fn a_local_message_is_moved_and_never_encoded() {
    #[derive(Deserialize)]
    struct Address(usize, Box<u8>);
    impl Serialize for Address {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("encoded")
        }
    }
    let node = tcp_node().await;
    within(&node, |mut p| async move {
        let boxed = Box::new(7);
        let address = Address(&raw const *boxed as usize, boxed);
        p.send(&p.self_pid().clone(), address).await.unwrap();
        let Address(sent, boxed) = p.expect().await;
        assert_eq!(sent, &raw const *boxed as usize);
    })
    .await;
}

#[tokio::test]
async fn receives_select_by_type_and_predicate_and_leave_the_rest_in_order() {
    let node = tcp_node().await;
    within(&node, |mut p| async move {
        let me = p.self_pid().clone();
        for number in 0..10u32 {
            p.send(&me, number).await.unwrap();
            p.send(&me, format!("text {number}")).await.unwrap();
        }
        assert_eq!(p.expect::<String>().await, "text 0");
        let odd = |n: &u32| n % 2 == 1;
        for expected in [1, 3, 5] {
            assert_eq!(p.receive_wait([Match::when(odd, |n: u32| n)]).await, expected);
        }
        // The first message that any case takes, not the first case that any message fits.
        let next = p.receive_wait([Match::on(|text: String| text), Match::on(|n: u32| n.to_string())]).await;
        assert_eq!(next, "0");
        for expected in [2, 4, 6, 7, 8, 9] {
            assert_eq!(p.expect::<u32>().await, expected);
        }
        assert_eq!(p.expect_timeout::<u32>(Duration::ZERO).await, None);
        let mut dropped = 0;
        while p.receive_timeout(Duration::ZERO, [Match::any(|| dropped += 1)]).await.is_some() {}
        assert_eq!(dropped, 9);
    })
    .await;
}

#[tokio::test]
async fn a_long_mailbox_is_searched_once() {
    let node = tcp_node().await;
    let begun = std::time::Instant::now();
    within(&node, |mut p| async move {
        let me = p.self_pid().clone();
        for number in 0..20_000u32 {
            p.send(&me, number).await.unwrap();
        }
        // Each receive looks at what waited and then at what is new: this is linear in both.
        for _ in 0..50 {
            p.send(&me, String::new()).await.unwrap();
            p.expect::<String>().await;
        }
        assert_eq!(p.expect::<u32>().await, 0);
    })
    .await;
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn channels_carry_their_type() {
    let node = tcp_node().await;
    within(&node, |p| async move {
        let (send, mut receive) = p.new_chan::<String>();
        let port = send.clone();
        p.spawn_local(|p| async move {
            for number in 0..3 {
                p.send_chan(&port, format!("{number}")).await.unwrap();
            }
        });
        for number in 0..3 {
            assert_eq!(receive.receive().await.unwrap(), format!("{number}"));
        }
        drop(receive);
        p.send_chan(&send, "into the void".into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_port_closes_with_its_process() {
    let node = tcp_node().await;
    let mut port = within(&node, |p| async move { p.new_chan::<u8>().1 }).await;
    assert_eq!(tokio::time::timeout(SOON, port.receive()).await.unwrap(), None);
}

#[tokio::test]
async fn deaths_have_reasons() {
    assert_eq!(death_of(|_| async {}).await, DiedReason::Normal);
    assert_eq!(
        death_of(|_| async { panic!("boom {}", 1) }).await,
        DiedReason::Exception("panicked: boom 1".into())
    );
    assert_eq!(
        death_of(|p| async move { p.die("no such file").await }).await,
        DiedReason::Exception("no such file".into())
    );
    let exit = death_of(|p| async move {
        p.exit(&p.self_pid().clone(), "enough");
        p.expect_forever().await
    });
    assert_eq!(exit.await, DiedReason::Exited("enough".into()));
    let kill = death_of(|p| async move {
        p.kill(&p.self_pid().clone(), "enough");
        p.expect_forever().await
    });
    assert_eq!(kill.await, DiedReason::Killed("enough".into()));
}

#[tokio::test]
async fn a_panic_before_the_first_await_is_the_process_s_own() {
    let reason = death_of(|p| {
        let pid = p.self_pid().clone();
        assert!(pid.number() == u64::MAX, "not this one");
        async {}
    });
    assert!(matches!(reason.await, DiedReason::Exception(text) if text.contains("not this one")));
}

#[tokio::test]
async fn a_killed_process_stops_wherever_it_awaits_and_its_future_is_dropped() {
    struct Noted(Arc<AtomicBool>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let node = tcp_node().await;
    let sleeper = |p: Process| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(p);
    };
    // It never waits: every await of ours is a place to stop.
    let spinner = |p: Process| async move {
        let me = p.self_pid().clone();
        loop {
            p.send(&me, 1u8).await.unwrap();
        }
    };
    type Body = Box<dyn FnOnce(Process) -> futures_util::future::BoxFuture<'static, ()> + Send>;
    let bodies: [Body; 2] =
        [Box::new(move |p| Box::pin(sleeper(p))), Box::new(move |p| Box::pin(spinner(p)))];
    for body in bodies {
        let dropped = Arc::new(AtomicBool::new(false));
        let noted = Noted(dropped.clone());
        within(&node, move |mut p| async move {
            let (pid, _) = p.spawn_monitor(move |p| async move {
                let _noted = noted;
                body(p).await;
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            p.kill(&pid, "stop");
            let told: ProcessMonitorNotification = p.expect().await;
            assert_eq!(told.reason, DiedReason::Killed("stop".into()));
            assert!(dropped.load(Ordering::SeqCst), "dropped before anybody is told");
        })
        .await;
    }
}

#[tokio::test]
async fn links_kill_in_one_direction_and_name_the_origin() {
    let node = tcp_node().await;
    within(&node, |mut p| async move {
        let origin = p.spawn_local(|mut p| async move {
            p.expect::<()>().await;
        });
        let first = {
            let origin = origin.clone();
            p.spawn_local(move |p| async move {
                p.link(&origin);
                p.expect_forever().await
            })
        };
        let second = p.spawn_local(move |p| async move {
            p.link(&first);
            p.expect_forever().await
        });
        let bystander = p.spawn_local(|p| p.expect_forever_owned());
        let last = p.monitor(&second);
        p.monitor(&bystander);
        // They link when they run.
        eventually("all are linked", || p.get_node_stats().watches == 4).await;
        p.send(&origin, ()).await.unwrap();
        let told: ProcessMonitorNotification = p.expect().await;
        assert_eq!(told.reference, last);
        assert_eq!(told.reason, DiedReason::Linked { origin, reason: "it ended normally".into() });
        assert_eq!(p.expect_timeout::<ProcessMonitorNotification>(Duration::from_millis(50)).await, None);
    })
    .await;
}

#[tokio::test]
async fn who_is_unlinked_in_time_lives() {
    let node = tcp_node().await;
    within(&node, |p| async move {
        let child = p.spawn_link(|mut p| async move {
            p.expect::<()>().await;
        });
        p.unlink(&child);
        p.send(&child, ()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    })
    .await;
}

#[tokio::test]
async fn monitors_tell_once_each_behind_what_was_sent_and_not_after_demonitor() {
    let node = tcp_node().await;
    within(&node, |mut p| async move {
        let me = p.self_pid().clone();
        let worker = p.spawn_local(|mut p| async move {
            p.expect::<()>().await;
            for number in 0..100u32 {
                p.send(&me, number).await.unwrap();
            }
        });
        let [first, second, third] = [(); 3].map(|()| p.monitor(&worker));
        p.demonitor(second);
        p.send(&worker, ()).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 102 {
            seen.push(
                p.receive_wait([
                    Match::on(|number: u32| Ok(number)),
                    Match::on(|told: ProcessMonitorNotification| Err(told.reference)),
                ])
                .await,
            );
        }
        let expected: Vec<_> = (0..100).map(Ok).chain([Err(first), Err(third)]).collect();
        assert_eq!(seen, expected);

        // The dead: at once. And a notification that has arrived is taken back too.
        let late = p.monitor(&worker);
        p.demonitor(late);
        assert_eq!(p.expect_timeout::<ProcessMonitorNotification>(Duration::ZERO).await, None);
        p.monitor(&worker);
        assert_eq!(p.expect::<ProcessMonitorNotification>().await.reason, DiedReason::UnknownId);
        assert_eq!(p.get_node_stats().watches, 0);
    })
    .await;
}

#[tokio::test]
async fn names_belong_to_the_living() {
    let node = tcp_node().await;
    within(&node, |p| async move {
        let worker = p.spawn_local(|mut p| async move {
            p.expect::<()>().await;
        });
        p.register("worker", &worker).unwrap();
        assert_eq!(p.whereis("worker"), Some(worker.clone()));
        assert!(matches!(p.register("worker", p.self_pid()), Err(RegisterError::Taken { .. })));
        assert!(matches!(p.register("a/b", p.self_pid()), Err(RegisterError::Name(_))));
        p.nsend("worker", ()).await.unwrap();
        eventually("the name is free", || p.whereis("worker").is_none()).await;
        assert!(matches!(p.register("worker", &worker), Err(RegisterError::Dead { .. })));
        p.nsend("worker", ()).await.unwrap();
        let foreign = "127.0.0.1:1@00000000000000000000000000000001.1".parse().unwrap();
        assert!(matches!(p.register("worker", &foreign), Err(RegisterError::NotLocal { .. })));
        p.register("me", p.self_pid()).unwrap();
        assert_eq!(p.unregister("me").as_ref(), Some(p.self_pid()));
        assert_eq!(p.unregister("me"), None);
        p.nsend_remote(&p.node().clone(), &Name::new("me").unwrap(), 1u8).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn closing_kills_everybody_and_lets_nobody_start() {
    let node = tcp_node().await;
    for _ in 0..10 {
        node.spawn(|p| p.expect_forever_owned());
    }
    node.close(SOON).await;
    assert_eq!(node.stats().processes, 0);
    node.spawn(|p| p.expect_forever_owned());
    eventually("the late one is gone", || node.stats().processes == 0).await;
}

impl Process {
    async fn expect_forever(&self) {
        std::future::pending().await
    }

    async fn expect_forever_owned(self) {
        std::future::pending().await
    }
}
