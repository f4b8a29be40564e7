use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{SOON, eventually, tcp_node, within};
use crate::process::{DiedReason, Gate, Process, ProcessMonitorNotification, SendError};

fn gate() -> (Arc<AtomicBool>, Gate) {
    let open = Arc::new(AtomicBool::new(true));
    let watched = open.clone();
    (open, Gate::new(move || watched.load(Ordering::SeqCst)))
}

#[tokio::test]
async fn a_reserved_pid_keeps_its_mail_for_the_process() {
    let node = tcp_node().await;
    let parked = node.reserve();
    let pid = parked.pid().clone();
    let target = pid.clone();
    let (asked, answered) = tokio::sync::oneshot::channel();
    within(&node, |p| async move { p.send(&target, 7u32).await.unwrap() }).await;
    let mut tenant = node.spawn_reserved(parked, gate().1, |mut p: Process| async move {
        let number: u32 = p.expect().await;
        let _ = asked.send((p.self_pid().clone(), number));
    });
    assert_eq!(answered.await.unwrap(), (pid.clone(), 7));
    assert_eq!(tenant.pid(), &pid);
    assert_eq!(tenant.joined().await, DiedReason::Normal);
    assert_eq!(tenant.joined().await, DiedReason::Normal);
}

#[tokio::test]
async fn a_reservation_that_is_given_up_is_dead() {
    let node = tcp_node().await;
    let parked = node.reserve();
    let pid = parked.pid().clone();
    let reason = within(&node, |mut p| async move {
        p.monitor(&pid);
        tokio::task::spawn_blocking(move || drop(parked)).await.unwrap();
        p.expect::<ProcessMonitorNotification>().await.reason
    });
    assert!(matches!(reason.await, DiedReason::Killed(_)));
    eventually("nothing is left", || node.stats().processes == 0).await;
}

#[tokio::test]
async fn behind_a_closed_gate_nothing_is_polled_and_nothing_sent() {
    let node = tcp_node().await;
    let (open, gate) = gate();
    let polled = Arc::new(AtomicBool::new(false));
    let noted = polled.clone();
    let (turn, turned) = tokio::sync::oneshot::channel::<()>();
    let mut tenant = node.spawn_reserved(node.reserve(), gate, move |_| async move {
        let _ = turned.await;
        noted.store(true, Ordering::SeqCst);
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    open.store(false, Ordering::SeqCst);
    turn.send(()).unwrap();
    assert!(matches!(tenant.joined().await, DiedReason::Killed(_)));
    assert!(!polled.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_send_in_the_poll_in_which_the_gate_closes_is_refused() {
    let node = tcp_node().await;
    let (open, gate) = gate();
    let (told, refusal) = tokio::sync::oneshot::channel();
    let mut tenant = node.spawn_reserved(node.reserve(), gate, |p: Process| async move {
        let me = p.self_pid().clone();
        p.try_send(&me, 1u8).unwrap();
        open.store(false, Ordering::SeqCst);
        let _ = told.send(p.send(&me, 2u8).await);
    });
    tenant.joined().await;
    assert_eq!(refusal.await.unwrap(), Err(SendError::TermOver));
}

#[tokio::test]
async fn joined_means_that_the_future_is_gone() {
    struct Slow(Arc<AtomicBool>);
    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(50));
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let node = tcp_node().await;
    let dropped = Arc::new(AtomicBool::new(false));
    let slow = Slow(dropped.clone());
    let (running, ran) = tokio::sync::oneshot::channel();
    let mut tenant = node.spawn_reserved(node.reserve(), gate().1, move |_| async move {
        let _slow = slow;
        let _ = running.send(());
        std::future::pending().await
    });
    ran.await.unwrap();
    tenant.kill("the term ends");
    let reason = tokio::time::timeout(SOON, tenant.joined()).await.unwrap();
    assert_eq!(reason, DiedReason::Killed("the term ends".into()));
    assert!(dropped.load(Ordering::SeqCst));
}
