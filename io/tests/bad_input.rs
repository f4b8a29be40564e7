//! Bad input that needs no ZooKeeper: each ends in a clear error, or is refused with a warning, and nothing else is
//! disturbed.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // A test may panic, and wait for one thing of many.

mod support;

use std::future::pending;
use std::net::{SocketAddr, TcpListener as Port};
use std::time::Duration;

use queenright::{
    Config, DiedReason, Error, LinkConfig, Node, ProcessId, ProcessMonitorNotification, RegisterError,
    StartError, bootstrap,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::support::cluster::{PATIENCE, collector, eventually, idler, soon};
use crate::support::log::Log;

/// A port of the loopback that refuses connections.
fn refused() -> SocketAddr {
    Port::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn config() -> Config {
    Config::new(refused().to_string()).with_connect_timeout(Duration::from_secs(1))
}

/// Processes and links need no ZooKeeper.
async fn node(config: Config) -> Node {
    Node::start(config.with_close_timeout(Duration::from_millis(200))).await.unwrap()
}

/// Sends to an echo on another node and back, for at most `limit`: says whether the links between them work.
async fn reaches(one: &Node, two: &Node, limit: Duration) -> bool {
    let echo = two.spawn(|mut process| async move {
        let (from, text): (ProcessId, String) = process.expect().await;
        process.send(&from, text).await.unwrap();
    });
    let answer = one.run(move |mut process| async move {
        process.send(&echo, (process.self_pid().clone(), "hello".to_owned())).await.unwrap();
        process.expect_timeout::<String>(limit).await
    });
    answer.await.unwrap().as_deref() == Some("hello")
}

async fn converse(one: &Node, two: &Node) {
    assert!(reaches(one, two, PATIENCE).await, "{one:?} does not reach {two:?}");
}

#[tokio::test]
async fn servers_that_are_not_there_are_named_with_what_is_wrong() {
    let refused = refused().to_string();
    let silent = Port::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let cases = [
        (refused.clone(), vec![(&refused[..], "connection refused")]),
        ("zookeeper.invalid:2181".to_owned(), vec![("zookeeper.invalid:2181", "no address for this name")]),
        (
            format!("{refused},zookeeper.invalid,{silent}"),
            vec![(&refused[..], "connection refused"), ("zookeeper.invalid:2181", "no address")],
        ),
    ];
    for (servers, expected) in cases {
        let started = Instant::now();
        let config = Config::new(&servers).with_connect_timeout(Duration::from_millis(1500));
        let error = bootstrap(config, |_| async { panic!("it must not start") }).await;
        let Err::<(), _>(error @ Error::Connect { .. }) = error else { panic!("{error:?}") };
        let text = error.to_string();
        for (server, finding) in expected {
            let told =
                text.split(server).nth(1).is_some_and(|rest| rest.starts_with(&format!(" ({finding}")));
            assert!(told, "{server} {finding}: {text}");
        }
        assert!(text.contains("1.5s"), "{text}");
        // The deadline, the second that finding out may take, and the node's end.
        assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn what_cannot_be_configured_is_refused_before_anything_happens() {
    let taken = Port::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(Config, &[&str]); 10] = [
        (Config::new(""), &["configuration"]),
        (Config::new("host:port"), &["\"port\"", "port number"]),
        (Config::new("host:2181/no/"), &["configuration"]),
        (config().with_namespace("no-slash"), &["namespace", "'/'"]),
        (config().with_cookie(""), &["cookie", "empty"]),
        (config().with_listen("0.0.0.0:0"), &["0.0.0.0:0", "cookie", "TLS"]),
        (config().with_advertise("example.org:1"), &["example.org:1", "cookie"]),
        (config().with_listen(&taken), &["cannot listen", &taken]),
        (config().with_listen("127.0.0.1"), &["cannot listen", "127.0.0.1"]),
        (config().with_links(LinkConfig { frame_len_max: 1, ..LinkConfig::default() }), &["frame_len_max"]),
    ];
    for (config, parts) in cases {
        let error = Node::start(config).await.unwrap_err();
        assert!(matches!(error, Error::Config(_) | Error::Start(_)), "{error:?}");
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
    }
    let open = Node::start(config().with_listen("0.0.0.0:0").with_cookie("monster")).await.unwrap_err();
    let Error::Start(reason) = &open else { panic!("{open}") };
    assert!(matches!(**reason, StartError::Unspecified { .. }), "{open}");
    assert!(open.to_string().contains("advertised"), "{open}");
}

#[tokio::test]
async fn invalid_names_are_refused_by_every_verb() {
    let node = node(config()).await;
    let pid = idler(&node);
    let long = "x".repeat(513);
    let names = [
        ("", "empty"),
        (".", "."),
        ("..", ".."),
        ("a/b", "'/'"),
        ("/a", "'/'"),
        ("nul\0", "\\0"),
        ("line\nbreak", "\\n"),
        ("\u{1f41d}", "\u{1f41d}"),
        (&long, "513"),
    ];
    for (name, part) in names {
        let registered = node.register(name, &pid).unwrap_err();
        assert!(matches!(registered, RegisterError::Name(_)), "{registered}");
        let errors = [
            Error::from(registered),
            node.register_zk(name, &pid).await.unwrap_err(),
            node.get_capable(name).await.unwrap_err(),
            node.nsend_capable(name, 1_u8).await.unwrap_err(),
            node.nsend_peers(name, 1_u8).await.unwrap_err(),
            node.register_candidate(name, |_| pending()).await.unwrap_err(),
            node.whereis_global(name).await.unwrap_err(),
            node.client().register(name, None, Vec::new()).await.unwrap_err(),
            node.client().register("service", Some(name), Vec::new()).await.unwrap_err(),
            node.client().campaign(name, Vec::new()).await.unwrap_err(),
            node.client().follow(name).await.unwrap_err(),
        ];
        for error in errors {
            let is_about_the_name = matches!(error, Error::Name(_) | Error::Register(RegisterError::Name(_)));
            assert!(is_about_the_name, "{name:?}: {error:?}");
            assert!(error.to_string().contains(part), "{name:?}: {error}");
        }
        assert!(!node.unregister_zk(name, &pid));
        assert!(!node.withdraw(name).await);
        assert_eq!(node.whereis(name), None);
    }
    let overlong = node.client().register("service", None, vec![0; 300 << 10]).await.unwrap_err();
    assert!(matches!(overlong, Error::Misuse(_)), "{overlong}");
    // Nothing of it hurt: the node has one process, and names work.
    assert_eq!((node.stats().processes, node.stats().names), (1, 0));
    node.register("good", &pid).unwrap();
    node.close().await;
}

#[tokio::test]
async fn a_wrong_cookie_keeps_out_its_own_node_only() {
    let log = Log::start();
    let (one, two) = (node(config().with_cookie("right")).await, node(config().with_cookie("right")).await);
    let links = LinkConfig { handshake_timeout: Duration::from_secs(2), ..LinkConfig::default() };
    let strangers = [
        node(config().with_cookie("wrong").with_links(links.clone())).await,
        node(config().with_links(links)).await, // none at all
    ];
    converse(&one, &two).await;
    let (pid, received) = collector::<String>(&one);
    for stranger in &strangers {
        let target = pid.clone();
        let told = stranger.run(|mut process| async move {
            process.send(&target, "let me in".to_owned()).await.unwrap();
            process.monitor(&target);
            process.expect_timeout::<ProcessMonitorNotification>(PATIENCE).await
        });
        assert_eq!(soon(told).await.unwrap().unwrap().reason, DiedReason::Disconnected);
        // Nor does anything get out.
        let target = idler(stranger);
        let told = one.run(|mut process| async move {
            process.monitor(&target);
            process.expect_timeout::<ProcessMonitorNotification>(PATIENCE).await
        });
        assert_eq!(soon(told).await.unwrap().unwrap().reason, DiedReason::Disconnected);
    }
    assert!(log.warned_of(&["refused a connection", "another cookie"]), "{:?}", log.warnings());
    assert!(log.warned_of(&["lost the link", "cookie"]), "the stranger learns why: {:?}", log.warnings());
    converse(&one, &two).await;
    assert!(received.all().is_empty());
    assert_eq!((one.stats().links_inbound, two.stats().links_inbound), (1, 1));
}

/// Whatever is said to a node's port by somebody who does not know the protocol, it closes the connection.
#[tokio::test]
async fn garbage_on_the_port_of_a_node_disturbs_nobody() {
    let log = Log::start();
    let links = LinkConfig { handshake_timeout: Duration::from_secs(2), ..LinkConfig::default() };
    let one = node(config().with_cookie("monster").with_links(links)).await;
    let two = node(config().with_cookie("monster")).await;
    converse(&two, &one).await;
    let noise: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let gibibyte = (1_u32 << 30).to_be_bytes();
    let mut flood = gibibyte.to_vec();
    flood.resize(1 << 20, 0);
    let talk: [(&str, &[u8], Duration); 8] = [
        // At once, long before the handshake's time is over.
        ("noise", &noise, Duration::from_secs(1)),
        ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Duration::from_secs(1)),
        ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Duration::from_secs(1)),
        ("1 GiB", &gibibyte, Duration::from_secs(1)),
        ("1 GiB and some of it", &flood, Duration::from_secs(1)),
        ("an empty frame", &[0; 4], Duration::from_secs(1)),
        // Perhaps more will come; but not for ever.
        ("nothing", b"", Duration::from_secs(4)),
        ("half a length", &[0, 0], Duration::from_secs(4)),
    ];
    for (what, bytes, limit) in talk {
        let mut stream = TcpStream::connect(one.id().address()).await.unwrap();
        // It may be closed before all of it is written.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let closed = timeout(limit, stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "{what}: the connection stays open");
        assert!(answer.len() < 100, "{what}: {} bytes for a stranger", answer.len());
        converse(&two, &one).await;
    }
    assert!(log.warned_of(&["refused a connection", "does not speak the protocol"]), "{:?}", log.warnings());
    assert!(log.warned_of(&["refused a connection", "no handshake within 2s"]), "{:?}", log.warnings());

    // More of those who say nothing than a node bears at a time: they are closed, and friends come in again
    // when those who stayed are timed out.
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(one.id().address()).await.unwrap());
    }
    converse(&two, &one).await; // On the link that there is.
    let three = node(config().with_cookie("monster")).await;
    eventually("there is room again", async || reaches(&three, &one, Duration::from_secs(1)).await).await;
    drop(idle);
    eventually("only links are left", async || one.stats().links_inbound == 2).await;
}

/// Forwards connections to `server`. In the first of them it puts `bytes` into what the dialler sends, when it is told to,
/// and passes nothing on from then on.
async fn tamper(listener: TcpListener, server: SocketAddr, bytes: Vec<u8>, when: oneshot::Receiver<()>) {
    let mut first = Some((bytes, when));
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        let tampering = first.take();
        tokio::spawn(async move {
            let forwarding = tokio::io::copy_bidirectional(&mut client, &mut server);
            let Some((bytes, when)) = tampering else {
                let _ = forwarding.await;
                return;
            };
            tokio::select! {
                // Between two writes of the dialler, for it is idle then.
                told = when => told.unwrap(),
                ended = forwarding => panic!("{ended:?}"),
            }
            let _ = server.write_all(&bytes).await;
            // Until the acceptor has had enough.
            let _ = timeout(PATIENCE, server.read_to_end(&mut Vec::new())).await;
        });
    }
}

/// Whoever could alter the stream of a link that is proven can break it, and no more.
#[tokio::test]
async fn garbage_on_a_link_ends_that_link() {
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("a 1 GiB frame", (1_u32 << 30).to_be_bytes().to_vec(), "claims 1073741824 bytes"),
        ("the largest", u32::MAX.to_be_bytes().to_vec(), "claims 4294967295 bytes"),
        ("no kind", vec![0, 0, 0, 1, 250], "no kind of frame 250"),
        ("a half-baked signal", vec![0, 0, 0, 2, 5, 250], "malformed"),
    ];
    for (what, bytes, part) in cases {
        let log = Log::start();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = listener.local_addr().unwrap().to_string();
        let port = refused();
        let one = node(config().with_listen(port.to_string()).with_advertise(&relay)).await;
        let (two, three) = (node(config()).await, node(config()).await);
        let (now, when) = oneshot::channel();
        let tampering = tokio::spawn(tamper(listener, port, bytes, when));
        // `two` comes by the relay.
        assert!(reaches(&two, &one, PATIENCE).await, "{:?}", log.warnings());
        let target = idler(&one);
        let bystander = idler(&three);
        converse(&one, &three).await;
        let watcher = tokio::spawn({
            let two = two.clone();
            async move {
                two.run(|mut process| async move {
                    process.monitor(&bystander);
                    process.monitor(&target);
                    process.expect_timeout::<ProcessMonitorNotification>(PATIENCE).await
                })
                .await
            }
        });
        sleep(Duration::from_millis(200)).await;
        now.send(()).unwrap();
        eventually(what, async || log.warned_of(&["lost the link", part])).await;
        let told = soon(watcher).await.unwrap().unwrap().unwrap();
        assert_eq!((told.pid.node(), &told.reason), (one.id(), &DiedReason::Disconnected), "{what}");
        // All else goes on, and the link that was lost comes back.
        converse(&two, &one).await;
        converse(&one, &three).await;
        converse(&two, &three).await;
        assert_eq!(one.stats().links_inbound, 2, "{what}");
        tampering.abort();
    }
}
