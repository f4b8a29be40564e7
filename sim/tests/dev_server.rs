//! The dev server, as tests of programs use it: with a client that nobody here wrote.

#![allow(clippy::unwrap_used)] // Not known to be tests: what is not a test function.

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use queenright_sim::{DevServer, OpCode, SessionId, StartError};
use zookeeper_client::{Acls, Client, CreateMode, Error, EventType, SessionState};

/// How long anything may take on a slow machine, beyond what it must.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sessions may be as short as two of them, and end within one.
const TICK: Duration = Duration::from_millis(100);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

async fn quick_server() -> DevServer {
    DevServer::builder().tick(TICK).session_limits(TICK * 2, PATIENCE).start().await.unwrap()
}

async fn connect(server: &DevServer, timeout: Duration) -> Client {
    let servers = server.connect_string();
    within(Client::connector().with_session_timeout(timeout).connect(&servers)).await.unwrap()
}

fn persistent() -> zookeeper_client::CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

fn ephemeral() -> zookeeper_client::CreateOptions<'static> {
    CreateMode::Ephemeral.with_acls(Acls::anyone_all())
}

fn session_of(client: &Client) -> SessionId {
    SessionId(client.session_id().0)
}

fn word(server: &DevServer, word: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(word).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn a_client_of_zookeeper_finds_what_it_knows() {
    let server = DevServer::start().await.unwrap();
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let client = connect(&server, PATIENCE).await;
    let watcher = connect(&server, PATIENCE).await;
    let (_, created) = watcher.check_and_watch_stat("/a").await.unwrap();
    client.create("/a", b"one", &persistent()).await.unwrap();
    let event = within(created.changed()).await;
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeCreated, "/a"));
    let (data, stat) = watcher.get_data("/a").await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"one"[..], 0));
    // Znodes have real dates.
    let age = i128::from(stat.ctime) - i128::try_from(before.as_millis()).unwrap();
    assert!((0..60_000).contains(&age), "{age} ms");
    assert_eq!(server.tree().get("/a").unwrap().data(), b"one");
    assert_eq!(server.sessions(), [session_of(&client), session_of(&watcher)]);
}

#[tokio::test]
async fn an_expired_session_is_over_for_its_client_and_for_others() {
    let server = quick_server().await;
    let (client, watcher) = (connect(&server, PATIENCE).await, connect(&server, PATIENCE).await);
    let mut states = client.state_watcher();
    client.create("/here", b"", &ephemeral()).await.unwrap();
    let (_, _, gone) = watcher.get_and_watch_data("/here").await.unwrap();
    assert!(server.expire_session(session_of(&client)));
    assert_eq!(within(gone.changed()).await.event_type, EventType::NodeDeleted);
    within(async { while states.changed().await != SessionState::Expired {} }).await;
    assert_eq!(client.get_data("/here").await.unwrap_err(), Error::SessionExpired);
    assert_eq!(server.sessions(), [session_of(&watcher)]);
    assert!(!server.expire_session(session_of(&client)));
}

#[tokio::test]
async fn a_silent_session_ends_within_a_tick_of_its_timeout() {
    let server = quick_server().await;
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let mut bytes = Vec::new();
    queenright_core::wire::ConnectRequest::new_session(300).encode(&mut bytes);
    let asked_at = Instant::now();
    stream.write_all(&bytes).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let took = asked_at.elapsed();
    assert_eq!(answer.len(), 4 + 37, "nothing but the session");
    assert!(took > Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn who_was_cut_off_comes_back_to_its_session() {
    let server = quick_server().await;
    let client = connect(&server, PATIENCE).await;
    client.create("/here", b"", &ephemeral()).await.unwrap();
    let mut states = client.state_watcher();
    assert_eq!(states.state(), SessionState::SyncConnected);
    let session = session_of(&client);
    server.drop_connections();
    // Told with the latest state only: back in no time, it was never seen as away.
    within(async { while states.changed().await != SessionState::SyncConnected {} }).await;
    assert_eq!(session_of(&client), session);
    client.get_data("/here").await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_leaves_a_write_that_happened() {
    let server = quick_server().await;
    let client = connect(&server, PATIENCE).await;
    server.lose_next_reply(OpCode::Create);
    let error = within(client.create("/a", b"", &persistent())).await.unwrap_err();
    assert_eq!(error, Error::ConnectionLoss);
    assert!(server.tree().get("/a").is_some());
    let error = within(async {
        loop {
            match client.create("/a", b"", &persistent()).await {
                Err(Error::ConnectionLoss) => {}
                other => return other.unwrap_err(),
            }
        }
    });
    assert_eq!(error.await, Error::NodeExists);
}

#[tokio::test]
async fn a_paused_server_answers_later() {
    let server = quick_server().await;
    let client = connect(&server, PATIENCE).await;
    server.pause();
    let creating = client.create("/a", b"", &persistent());
    tokio::pin!(creating);
    assert!(tokio::time::timeout(TICK * 3, &mut creating).await.is_err(), "a paused server has answered");
    assert!(server.tree().get("/a").is_none());
    // New connections are accepted, and hear nothing.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"ruok").unwrap();
    stream.set_read_timeout(Some(TICK)).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap_err();
    server.resume();
    within(creating).await.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"imok");
}

#[tokio::test]
async fn a_session_ends_while_the_server_is_paused_and_is_over_when_it_goes_on() {
    let server = quick_server().await;
    let client = connect(&server, TICK * 4).await;
    client.create("/here", b"", &ephemeral()).await.unwrap();
    server.pause();
    tokio::time::sleep(TICK * 6).await;
    assert_eq!(server.sessions().len(), 1, "nothing is noticed yet");
    server.resume();
    assert!(server.sessions().is_empty());
    assert!(server.tree().get("/here").is_none());
    let mut states = client.state_watcher();
    within(async {
        while states.state() != SessionState::Expired {
            states.changed().await;
        }
    })
    .await;
}

#[test]
fn it_outlives_the_runtime_in_which_it_was_started() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime().block_on(DevServer::start()).unwrap();
    assert_eq!(word(&server, b"ruok"), "imok");
    runtime().block_on(async {
        connect(&server, PATIENCE).await.create("/a", b"", &persistent()).await.unwrap();
    });
    assert!(server.tree().get("/a").is_some());
}

#[test]
fn it_has_stopped_when_it_is_dropped() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(DevServer::start()).unwrap();
    let address = server.address();
    let mut open = TcpStream::connect(address).unwrap();
    assert_eq!(word(&server, b"ruok"), "imok");
    drop(server);
    TcpStream::connect(address).unwrap_err();
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(open.read(&mut [0; 1]), Ok(0) | Err(_)));
    // And its port is free for the next one.
    let server = runtime.block_on(DevServer::builder().listen(address).start()).unwrap();
    assert_eq!(server.address(), address);
    // In a runtime, too.
    runtime.block_on(async move { drop(server) });
}

#[tokio::test]
async fn it_stops_by_itself_when_it_was_idle() {
    let quiet = Duration::from_millis(300);
    let mut server = DevServer::builder().exit_when_idle(quiet).start().await.unwrap();
    let client = TcpStream::connect(server.address()).unwrap();
    assert!(tokio::time::timeout(quiet * 2, server.stopped()).await.is_err(), "it left its client");
    drop(client);
    let left_at = Instant::now();
    within(server.stopped()).await;
    assert!(left_at.elapsed() >= quiet - Duration::from_millis(10), "{:?}", left_at.elapsed());
    TcpStream::connect(server.address()).unwrap_err();
    within(server.stopped()).await;
}

#[tokio::test]
async fn what_makes_no_sense_does_not_start() {
    let start = |builder: queenright_sim::DevServerBuilder| async move { builder.start().await.unwrap_err() };
    let remote = DevServer::builder().listen("0.0.0.0:0".parse().unwrap());
    assert!(matches!(start(remote.clone()).await, StartError::Remote(_)));
    assert!(remote.allow_remote().start().await.is_ok());
    assert!(matches!(start(DevServer::builder().tick(Duration::ZERO)).await, StartError::Setting(_)));
    assert!(matches!(start(DevServer::builder().sweep(Duration::ZERO)).await, StartError::Setting(_)));
    let limits = DevServer::builder().session_limits(PATIENCE, TICK);
    assert!(matches!(start(limits).await, StartError::Setting(_)));
    let first = DevServer::start().await.unwrap();
    let error = start(DevServer::builder().listen(first.address())).await;
    assert!(matches!(error, StartError::InUse(address) if address == first.address()));
    assert!(error.to_string().contains(&first.address().port().to_string()), "{error}");
}

#[tokio::test]
async fn who_may_do_everything() {
    let server = DevServer::builder().super_user("root:secret").start().await.unwrap();
    let owner = connect(&server, PATIENCE).await;
    owner.auth("digest", b"owner:pw").await.unwrap();
    let private = CreateMode::Persistent.with_acls(Acls::creator_all());
    owner.create("/private", b"", &private).await.unwrap();
    let other = connect(&server, PATIENCE).await;
    assert_eq!(other.get_data("/private").await.unwrap_err(), Error::NoAuth);
    other.auth("digest", b"root:secret").await.unwrap();
    other.get_data("/private").await.unwrap();
}
