//! The native client where there is no ZooKeeper: it says so, and names what it tried.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::time::Duration;

use queenright::{Client, ClientKind, Config, Error, Tls};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn config(servers: impl Into<String>) -> Config {
    Config::new(servers).with_client(ClientKind::Native).with_connect_timeout(Duration::from_millis(400))
}

async fn failure(servers: String) -> String {
    let error = Client::connect(config(servers)).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn servers_that_are_not_there_are_named_each_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(format!("{closed},no-such-host.invalid:1")).await;
    assert!(error.contains(&format!("{closed} (connection refused")), "{error}");
    assert!(error.contains("no-such-host.invalid:1 (no address"), "{error}");
    assert!(error.contains("the last attempt: "), "{error}");
}

#[tokio::test]
async fn a_server_that_is_no_zookeeper_is_left_and_told_of() {
    for (answer, reason) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "cannot be read"),
        (&[0, 0, 0, 2, 1, 2], "cannot be read"),
        (&[], "the server closed it"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(answer).await;
            }
        });
        let error = failure(address.to_string()).await;
        assert!(error.contains(reason), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = config(address.to_string()).with_lease(Duration::from_millis(500));
    let error = Client::connect(config).await.unwrap_err().to_string();
    assert!(error.contains("gave no session in time"), "{error}");
}

#[test]
fn tls_to_zookeeper_is_refused_with_what_to_do() {
    let error = config("a:1").with_zookeeper_tls(Tls::new("")).check().unwrap_err().to_string();
    assert!(cfg!(not(feature = "tls")) || error.contains("use ClientKind::ZooKeeperClient"), "{error}");
}
