//! ZooKeeper over TLS: both sides show certificates.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use std::time::Duration;

use queenright::{Client, Config, Tls};

use crate::support::zookeeper::ZooKeeper;

const AUTHORITY: &str = include_str!("../src/link/tls_test/authority.pem");
const CERTIFICATE: &str = include_str!("../src/link/tls_test/node.pem");
const KEY: &str = include_str!("../src/link/tls_test/node.key");
const STRANGER_CERTIFICATE: &str = include_str!("../src/link/tls_test/stranger.pem");
const STRANGER_KEY: &str = include_str!("../src/link/tls_test/stranger.key");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ZooKeeper: make live"]
async fn zookeeper_is_reached_over_tls_by_those_whom_it_trusts() {
    let (zookeeper, secure) = ZooKeeper::start_secure(&format!("{CERTIFICATE}{KEY}"), AUTHORITY);
    let config = |tls| {
        let config = Config::new(secure.to_string()).with_zookeeper_tls(tls);
        config.with_connect_timeout(Duration::from_secs(3))
    };
    let client = Client::connect(config(Tls::new(AUTHORITY).with_identity(CERTIFICATE, KEY))).await.unwrap();
    let registration = client.register("s", Some("x"), b"secret".to_vec()).await.unwrap();
    let plain = Client::connect(Config::new(zookeeper.connect_string())).await.unwrap();
    assert!(plain.get_capable("s").await.unwrap().instance("x").is_some());
    registration.unregister().await.unwrap();

    // A client whom the server does not trust, and one that does not trust the server.
    let untrusted = Tls::new(AUTHORITY).with_identity(STRANGER_CERTIFICATE, STRANGER_KEY);
    assert!(Client::connect(config(untrusted)).await.is_err());
    let distrustful =
        Tls::new(include_str!("../src/link/tls_test/stranger_authority.pem")).with_identity(CERTIFICATE, KEY);
    assert!(Client::connect(config(distrustful)).await.is_err());
    let garbage = Client::connect(config(Tls::new("no certificate"))).await.unwrap_err().to_string();
    assert!(garbage.contains("authorities' certificates"), "{garbage}");
}
