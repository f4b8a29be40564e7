//! A link is an entrance: who comes through it, and who does not.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::testing::Wires;
use super::{Cookie, LinkConfig, stream};
use crate::adapter::{OperatingSystem, Tcp};
use crate::mutation::Guards;
use crate::port::{Connection, Network};
use crate::process::tests::{SOON, eventually, spawn_echo, start, within};
use crate::process::{
    DiedReason, LocalNode, NodeId, Process, ProcessId, ProcessMonitorNotification, StartError,
};

async fn node(wires: &Arc<Wires>, cookie: &str) -> LocalNode {
    let links = LinkConfig { cookie: Cookie::new(cookie), ..LinkConfig::default() };
    start(wires.clone(), "127.0.0.1:0", links).await.unwrap()
}

async fn connect(wires: &Arc<Wires>, node: &LocalNode) -> Box<dyn Connection> {
    wires.connect(node.id().address()).await.unwrap()
}

fn stranger() -> NodeId {
    "127.0.0.1:9@00000000000000000000000000000009".parse().unwrap()
}

/// Dials as a node would.
async fn admitted(wires: &Arc<Wires>, node: &LocalNode, cookie: &str) -> Box<dyn Connection> {
    let mut connection = connect(wires, node).await;
    stream::dial(&mut *connection, Cookie::new(cookie), &stranger(), node.id(), [7; 32]).await.unwrap();
    connection
}

/// Reads until the other end closes. Panics when it does not.
async fn closed(connection: &mut dyn Connection) -> Vec<u8> {
    let mut said = Vec::new();
    let read = tokio::time::timeout(SOON, connection.read_to_end(&mut said)).await;
    assert!(read.is_ok(), "still open");
    said
}

async fn converses(a: &LocalNode, b: &LocalNode) {
    let echo = spawn_echo(b);
    within(a, |mut p| async move {
        p.send(&echo, (p.self_pid().clone(), 1u64)).await.unwrap();
        p.expect::<u64>().await;
    })
    .await;
}

async fn fate_of_monitor(node: &LocalNode, target: ProcessId) -> DiedReason {
    within(node, |mut p: Process| async move {
        p.monitor(&target);
        p.expect::<ProcessMonitorNotification>().await.reason
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn garbage_on_the_port_disturbs_nobody() {
    let wires = Wires::new();
    let (a, b) = (node(&wires, "secret").await, node(&wires, "secret").await);
    converses(&a, &b).await;
    let http = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec();
    let gibibyte = (1u32 << 30).to_be_bytes().to_vec();
    let empty_frames = vec![0; 1000];
    let hello_without_body = super::frame::raw(b"queenright\x01");
    let later_version = super::frame::raw(b"queenright\x09from the future");
    for garbage in [http, gibibyte, empty_frames, hello_without_body, later_version] {
        let mut connection = connect(&wires, &b).await;
        connection.write_all(&garbage).await.unwrap();
        closed(&mut *connection).await;
    }
    converses(&a, &b).await;
    assert_eq!((wires.dialled(), b.stats().links_inbound), (2 + 5, 1), "a and b kept their links");
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_a_gibibyte_ends_the_link_of_a_friend_too() {
    let wires = Wires::new();
    let b = node(&wires, "secret").await;
    let mut connection = admitted(&wires, &b, "secret").await;
    eventually("linked", || b.stats().links_inbound == 1).await;
    connection.write_all(&(1u32 << 30).to_be_bytes()).await.unwrap();
    closed(&mut *connection).await;
    eventually("it is lost", || b.stats().links_inbound == 0).await;
}

#[tokio::test(start_paused = true)]
async fn frames_from_nowhere_end_the_link() {
    let wires = Wires::new();
    let b = node(&wires, "secret").await;
    for body in [&b""[..], b"\x63", b"\x02short", b"\x05\xff\xff", b"\x00and more"] {
        let mut connection = admitted(&wires, &b, "secret").await;
        connection.write_all(&super::frame::raw(body)).await.unwrap();
        closed(&mut *connection).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_cookie_opens_nothing() {
    let wires = Wires::new();
    let (a, b) = (node(&wires, "secret").await, node(&wires, "Secret").await);
    let echo = spawn_echo(&b);
    assert_eq!(fate_of_monitor(&a, echo).await, DiedReason::Disconnected);
    assert_eq!(b.stats().links_inbound, 0);
    // Whoever has no cookie learns nothing before he gave a proof, and after it only that it was wrong.
    let mut connection = connect(&wires, &b).await;
    let refused = stream::dial(&mut *connection, None, &stranger(), b.id(), [7; 32]).await;
    assert!(refused.unwrap_err().to_string().contains("another cookie"));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_shown_the_door() {
    let wires = Wires::new();
    let b = node(&wires, "secret").await;
    let begun = tokio::time::Instant::now();
    // Slowly, byte by byte, is nothing too.
    let mut connection = connect(&wires, &b).await;
    let drip = async {
        while connection.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1900)).await;
        }
    };
    drip.await;
    let timeout = LinkConfig::default().handshake_timeout;
    assert!((timeout..timeout * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn strangers_are_few_and_do_not_crowd_out_friends_that_are_in() {
    let wires = Wires::new();
    let links = LinkConfig { cookie: Cookie::new("secret"), unauthenticated_max: 3, ..LinkConfig::default() };
    let b = start(wires.clone(), "127.0.0.1:0", links).await.unwrap();
    let a = node(&wires, "secret").await;
    converses(&a, &b).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(connect(&wires, &b).await);
    }
    let begun = tokio::time::Instant::now();
    closed(&mut *connect(&wires, &b).await).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "at once");
    converses(&a, &b).await;
    tokio::time::sleep(LinkConfig::default().handshake_timeout).await;
    let c = node(&wires, "secret").await;
    converses(&c, &b).await;
}

#[tokio::test(start_paused = true)]
async fn a_dialler_is_not_held_up_by_a_foreign_listener() {
    let wires = Wires::new();
    let a = node(&wires, "secret").await;
    let answers: [&[u8]; 4] = [b"", b"SSH-2.0-OpenSSH\r\n", &[0x40, 0, 0, 0], &[0, 0, 0, 1, 7]];
    for answer in answers {
        let mut listener = wires.bind("127.0.0.1:0").await.unwrap();
        let target = format!("{}@{:032x}.1", listener.local_addr().unwrap(), 1);
        let serve = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.write_all(answer).await.unwrap();
            closed(&mut *connection).await
        };
        let (reason, said) = tokio::join!(fate_of_monitor(&a, target.parse().unwrap()), serve);
        assert_eq!(reason, DiedReason::Disconnected);
        assert!(said.len() < 500 && said.windows(10).any(|part| part == b"queenright"), "only the hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_link_from_the_same_node_replaces_the_first() {
    let wires = Wires::new();
    let b = node(&wires, "secret").await;
    let mut first = admitted(&wires, &b, "secret").await;
    let mut second = admitted(&wires, &b, "secret").await;
    closed(&mut *first).await;
    let mut byte = [0];
    let beat = tokio::time::timeout(SOON, second.read_exact(&mut byte)).await;
    assert!(beat.is_ok(), "the second one beats");
    assert_eq!(b.stats().links_inbound, 1);
}

#[tokio::test]
async fn without_a_secret_only_loopback_is_bound_or_advertised() {
    let open = LinkConfig::default();
    let error = start(Arc::new(Tcp), "0.0.0.0:0", open.clone()).await.err().unwrap().to_string();
    assert!(error.contains("0.0.0.0:0") && error.contains("set a cookie, or TLS"), "{error}");

    let secret = LinkConfig { cookie: Cookie::new("secret"), ..open.clone() };
    let error = start(Arc::new(Tcp), "0.0.0.0:0", secret).await.err().unwrap();
    assert!(matches!(error, StartError::Unspecified { .. }), "{error}");

    let options = crate::process::NodeOptions {
        listen: "127.0.0.1:0".into(),
        advertise: Some("example.org:0".into()),
        incarnation: queenright_core::Incarnation(1),
        links: open,
        guards: Guards::default(),
    };
    let refused = LocalNode::start(options.clone(), Arc::new(Tcp), Arc::new(OperatingSystem)).await;
    assert!(refused.err().unwrap().to_string().contains("example.org:0"));
    let links = LinkConfig { cookie: Cookie::new("secret"), ..LinkConfig::default() };
    let options = crate::process::NodeOptions { links, ..options };
    let node = LocalNode::start(options, Arc::new(Tcp), Arc::new(OperatingSystem)).await.unwrap();
    assert!(node.id().address().starts_with("example.org:"));
    assert!(!node.id().address().ends_with(":0"), "the port that was bound");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = start(Arc::new(Tcp), "127.0.0.1:0", LinkConfig::default()).await.unwrap();
    let address = taken.id().address().to_owned();
    let error = start(Arc::new(Tcp), &address, LinkConfig::default()).await.err().unwrap().to_string();
    assert!(error.contains(&address), "{error}");
}

#[tokio::test(start_paused = true)]
async fn early_frames_behind_the_handshake_are_delivered() {
    let wires = Wires::new();
    let b = node(&wires, "secret").await;
    let (done, received) = tokio::sync::oneshot::channel();
    let target = b.spawn(|mut p| async move {
        let _ = done.send(p.expect::<u64>().await);
    });
    let mut connection = admitted(&wires, &b, "secret").await;
    let mut frames = Vec::new();
    let to = super::Address::Process(target.number());
    super::frame::append_message(&mut frames, 1000, &to, &7u64).unwrap();
    let mut halves = BytesMut::from(&frames[..]);
    let rest = halves.split_off(frames.len() / 2);
    connection.write_all(&halves).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    connection.write_all(&rest).await.unwrap();
    assert_eq!(received.await.unwrap(), 7);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_lets_in_who_has_a_certificate() {
    use super::tls::tests::{ours, strangers};
    let with = |tls| async {
        let links = LinkConfig { tls, ..LinkConfig::default() };
        start(Arc::new(Tcp), "127.0.0.1:0", links).await.unwrap()
    };
    let (a, b) = (with(Some(ours())).await, with(Some(ours())).await);
    converses(&a, &b).await;
    converses(&b, &a).await;
    let named = with(Some(ours().with_server_name("localhost").unwrap())).await;
    converses(&named, &b).await;
    for tls in [Some(strangers()), None, Some(ours().with_server_name("example.org").unwrap())] {
        let stranger = with(tls).await;
        let reason = fate_of_monitor(&stranger, spawn_echo(&b)).await;
        assert_eq!(reason, DiedReason::Disconnected);
    }
    // A large message is more than one record, and more than a socket's buffer.
    within(&a, {
        let echo = spawn_echo(&b);
        move |mut p| async move {
            p.send(&echo, vec![1u8; 5 << 20]).await.unwrap();
            p.send(&echo, (p.self_pid().clone(), 1u64)).await.unwrap();
            p.expect::<u64>().await;
        }
    })
    .await;
}
