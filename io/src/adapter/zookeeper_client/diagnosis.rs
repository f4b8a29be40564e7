//! Why no server gave a session: the crate only says that none did.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::connect_string::{ConnectString, Server};

/// How long each server is tried.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is wrong with each server, on one line. Takes a second at most.
pub(crate) async fn diagnose(servers: &ConnectString) -> String {
    let findings = join_all(servers.servers().iter().map(|server| async move {
        let finding = timeout(PROBE_TIMEOUT, probe(server)).await;
        let finding = finding.unwrap_or_else(|_| "does not answer".to_owned());
        format!("{server} ({finding})")
    }));
    findings.await.join(", ")
}

async fn probe(server: &Server) -> String {
    let addresses = match lookup_host((server.host.as_str(), server.port)).await {
        Ok(addresses) => addresses.collect::<Vec<_>>(),
        Err(error) => return format!("no address for this name: {error}"),
    };
    match TcpStream::connect(addresses.as_slice()).await {
        Ok(_) => "accepts connections but gives no session: is it ZooKeeper, and has it a quorum?".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: is ZooKeeper running there?".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_server_gets_its_own_reason() {
        let listening = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listening.local_addr().unwrap().port();
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let servers = format!("127.0.0.1:{open},127.0.0.1:{closed}").parse().unwrap();
        let text = diagnose(&servers).await;
        assert!(text.contains(&format!("127.0.0.1:{open} (accepts")), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{closed} (connection refused")), "{text}");
    }
}
