//! A ZooKeeper server as a host: the model's end of connections on the simulated network.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use turmoil::net::{TcpListener, TcpStream};

use super::drawn::Drawn;
use super::fault::Place;
use super::shared::Shared;
use crate::timeline::Way;
use crate::zookeeper::{ConnectionId, ServerId};

/// Where servers listen.
pub(super) const PORT: u16 = 2181;
/// So much is read at a time.
const READ_LEN: usize = 16 * 1024;

/// Serves whoever connects, until the host crashes. The loop of the simulation keeps the servers' time.
pub(super) async fn serve(shared: Arc<Shared>, server: ServerId) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(attend(Arc::clone(&shared), server, socket));
    }
}

/// One connection, to its end, also that of a crash.
async fn attend(shared: Arc<Shared>, server: ServerId, mut socket: TcpStream) {
    let Ok(peer) = socket.peer_addr() else { return };
    let mut drawn = Drawn::begin(&shared, &socket, Place::Server(server.0), Way::Down);
    let (conn, task) = shared.accept(server, peer);
    let open = Open { shared, conn };
    // An error is the end of the connection, too.
    let _ = converse(&open.shared, conn, &mut socket, &task, &mut drawn).await;
}

struct Open {
    shared: Arc<Shared>,
    conn: ConnectionId,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.disconnect(self.conn);
    }
}

async fn converse(
    shared: &Shared,
    conn: ConnectionId,
    socket: &mut TcpStream,
    task: &Notify,
    drawn: &mut Option<Drawn>,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_LEN];
    loop {
        let output = shared.lock().endpoint.transmit(conn).to_vec();
        if !output.is_empty() {
            if let Some(drawn) = drawn {
                drawn.written(&output);
            }
            socket.write_all(&output).await?;
            shared.change(|now, endpoint| endpoint.transmitted(now, conn, output.len()));
            continue;
        }
        let (is_over, wants_input) = {
            let state = shared.lock();
            (state.endpoint.is_over(conn), state.endpoint.wants_input(conn))
        };
        if is_over {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = task.notified() => {}
            read = socket.read(&mut buffer), if wants_input => {
                let len = read?;
                if len == 0 {
                    return Ok(());
                }
                if let Some(drawn) = drawn {
                    drawn.read(&buffer[..len]);
                }
                shared.change(|now, endpoint| endpoint.receive(now, conn, &buffer[..len]));
            }
        }
    }
}
