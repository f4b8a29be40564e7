//! The server's tasks: one that accepts, one that keeps the time, and one for each connection.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::state::{Shared, State};
use crate::zookeeper::ConnectionId;

/// How long to wait when the system refuses a connection: it is out of something, file descriptors usually, and to
/// try again at once would fail, too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves whoever connects, until told to stop, or until nobody was connected for `quiet`. Tasks that it has spawned
/// end with the runtime.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    quiet: Option<Duration>,
) {
    let idle = async {
        match quiet {
            Some(quiet) => shared.idle(quiet).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        () = stop.notified() => {}
        () = accept(&listener, &shared) => {}
        () = shared.keep_time() => {}
        () = idle => {}
    }
}

/// Accepts connections, for ever.
async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // Answers are small, and somebody waits for each. If the socket is gone already, its task will see.
                let _ = socket.set_nodelay(true);
                let conn = shared.accept(peer);
                tokio::spawn(attend(Arc::clone(shared), conn, socket));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, to its end.
async fn attend(shared: Arc<Shared>, conn: ConnectionId, mut socket: TcpStream) {
    let end = poll_fn(|context| poll_connection(&shared, conn, &mut socket, context)).await;
    tracing::debug!(conn = conn.0, ?end, "a connection has ended");
    shared.forget(conn);
}

/// Moves bytes in both directions for as long as there are some, and room for them.
fn poll_connection(
    shared: &Shared,
    conn: ConnectionId,
    socket: &mut TcpStream,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        // Nothing changes between the last look and the end of this turn, so that no wake-up is lost.
        let mut state = shared.lock();
        state.tasks.entry(conn).or_insert_with(|| context.waker().clone()).clone_from(context.waker());
        let turn = poll_turn(shared, &mut state, conn, socket, context);
        shared.wake(&mut state, Some(conn));
        match ready!(turn)? {
            Turn::Moved => {}
            Turn::Over => return Poll::Ready(Ok(())),
        }
    }
}

/// What came of looking at a connection once.
enum Turn {
    Moved,
    Over,
}

fn poll_turn(
    shared: &Shared,
    state: &mut State,
    conn: ConnectionId,
    socket: &mut TcpStream,
    context: &mut Context<'_>,
) -> Poll<io::Result<Turn>> {
    let State { endpoint, buffer, is_paused, .. } = state;
    if endpoint.is_over(conn) {
        return Poll::Ready(Ok(Turn::Over));
    }
    if *is_paused {
        return Poll::Pending;
    }
    while !endpoint.transmit(conn).is_empty() {
        match Pin::new(&mut *socket).poll_write(context, endpoint.transmit(conn)) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => endpoint.transmitted(shared.clock.now(), conn, count),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            // The socket wakes this task when it has room; until then there may be something to read.
            Poll::Pending => break,
        }
    }
    if endpoint.is_over(conn) {
        return Poll::Ready(Ok(Turn::Over));
    }
    if !endpoint.wants_input(conn) {
        return Poll::Pending;
    }
    let mut read = ReadBuf::new(buffer);
    ready!(Pin::new(&mut *socket).poll_read(context, &mut read))?;
    if read.filled().is_empty() {
        return Poll::Ready(Ok(Turn::Over));
    }
    endpoint.receive(shared.clock.now(), conn, read.filled());
    Poll::Ready(Ok(Turn::Moved))
}
