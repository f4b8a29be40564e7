use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};

use crate::port::{Connection, Listener, Network};

/// TCP by tokio, without Nagle's delay: messages are gathered before they are written, so that what is
/// written is meant to leave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Network for Tcp {
    fn bind<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(Bound(listener)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}

struct Bound(TcpListener);

impl Listener for Bound {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Connection>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn Connection>, from))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_cross() {
        let mut listener = Tcp.bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mut ours, (mut theirs, _)) = tokio::try_join!(Tcp.connect(&address), listener.accept()).unwrap();
        ours.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        theirs.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }

    /// With Nagle's delay the second of two small writes waits for an acknowledgement of the first, which a reader that
    /// has nothing to say yet delays for 40 ms.
    #[tokio::test]
    async fn what_is_written_leaves_at_once_both_ways() {
        let mut listener = Tcp.bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (dialled, (accepted, _)) = tokio::try_join!(Tcp.connect(&address), listener.accept()).unwrap();
        let (accepted, dialled) = typical_delay(dialled, accepted).await;
        typical_delay(accepted, dialled).await;
    }

    /// Of the second write, among many: the first acknowledgements of a connection are never delayed, and the machine is
    /// busy now and then.
    async fn typical_delay(
        mut from: Box<dyn Connection>,
        mut to: Box<dyn Connection>,
    ) -> (Box<dyn Connection>, Box<dyn Connection>) {
        let mut delays = Vec::new();
        for _ in 0..61 {
            from.write_all(b"1").await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let begun = Instant::now();
            from.write_all(b"2").await.unwrap();
            to.read_exact(&mut [0; 2]).await.unwrap();
            delays.push(begun.elapsed());
            // Who answers is taken for one whose acknowledgements can wait for the answers.
            to.write_all(b"3").await.unwrap();
            from.read_exact(&mut [0; 1]).await.unwrap();
        }
        let late = &mut delays[31..];
        late.sort();
        assert!(late[late.len() / 2] < Duration::from_millis(20), "{late:?}");
        (to, from)
    }
}
