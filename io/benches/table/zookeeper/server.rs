//! The ZooKeeper that all rows share.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use queenright_sim::DevServer;

/// The argument by which this program becomes the server.
pub(crate) const SERVER: &str = "zookeeper-server";

/// Started by whoever asks first for its address; it ends with this.
#[derive(Default)]
pub(crate) struct Server(OnceLock<(String, Option<Child>)>);

impl Server {
    pub(crate) fn address(&self) -> &str {
        let (address, _) = self.0.get_or_init(|| match std::env::var("QUEENRIGHT_ZOOKEEPER") {
            Ok(address) => (address, None),
            Err(_) => {
                let program = std::env::current_exe().expect("this program has a path");
                let mut command = Command::new(program);
                command.arg(SERVER).stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut child = command.spawn().expect("this program can be run again");
                let mut address = String::new();
                let stdout = child.stdout.take().expect("it is piped");
                BufReader::new(stdout).read_line(&mut address).expect("the server tells its address");
                (address.trim().to_owned(), Some(child))
            }
        });
        address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((_, Some(child))) = self.0.get_mut() {
            // It ends when its input does.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Serves until whoever started this is gone.
pub(crate) async fn serve() {
    let server = DevServer::start().await.expect("the loopback has free ports");
    println!("{}", server.connect_string());
    std::io::stdout().flush().expect("somebody reads the address");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    // Whatever ends it: nobody is there any more.
    let _ = ended.await;
}
