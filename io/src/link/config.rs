use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use super::handshake::Cookie;
use crate::codec::FRAME_LEN_LIMIT;

/// How this node's links behave. All nodes of a cluster should agree on the cookie, the size of frames and
/// the heartbeat.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The secret by which nodes know each other. Without one, and without TLS, a node talks to its own
    /// machine only.
    pub cookie: Option<Cookie>,
    /// TLS on every link, mutual.
    #[cfg(feature = "tls")]
    pub tls: Option<super::tls::LinkTls>,
    /// The largest frame, and so about the largest message, in bytes. Default 16 MiB. A larger one is refused
    /// at the sender; one that arrives all the same ends the link.
    pub frame_len_max: usize,
    /// Bytes that wait for a peer before senders wait. Default 1 MiB.
    pub high_water: usize,
    /// Bytes from other nodes that wait in one mailbox before their links are read no further. Default 16
    /// MiB.
    pub mailbox_high_water: usize,
    /// How long a process may take nothing from a mailbox above that mark; then it is killed, for it stops
    /// everybody whose messages come by the same link. Default 30 s.
    pub mailbox_patience: Duration,
    /// An idle link carries a sign of life this often, in both directions. Default 5 s.
    pub heartbeat_interval: Duration,
    /// A link on which nothing was heard for this long is lost. Default 15 s.
    pub heartbeat_timeout: Duration,
    /// How long a dial or an incoming handshake may take in all. Default 5 s.
    pub handshake_timeout: Duration,
    /// Incoming connections that have not proved who they are; more are closed at once. Default 64.
    pub unauthenticated_max: usize,
}

/// Why links cannot be as configured.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidLinkConfig {
    /// Strangers could join the cluster.
    #[error(
        "{address} can be reached by other machines, and nothing keeps strangers out: set a cookie, or TLS, or \
         listen on and advertise a loopback address"
    )]
    Open {
        /// The address to be bound or advertised.
        address: String,
    },
    /// `frame_len_max` is out of its range.
    #[error("frame_len_max is {len}, which is not between {FRAME_LEN_MAX_LEAST} and {FRAME_LEN_LIMIT} bytes")]
    FrameLen {
        /// What was asked for.
        len: usize,
    },
    /// A healthy link would be taken for a dead one.
    #[error(
        "a heartbeat every {interval:?} does not keep a link alive that is lost after {timeout:?}: twice the \
         interval is the least"
    )]
    Heartbeat {
        /// What was asked for.
        interval: Duration,
        /// What was asked for.
        timeout: Duration,
    },
    /// A limit or a duration is zero.
    #[error("{option} is zero, and nothing could ever be sent or accepted")]
    Zero {
        /// Which.
        option: &'static str,
    },
}

/// A handshake, a signal and a small message fit.
const FRAME_LEN_MAX_LEAST: usize = 8 << 10;

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            cookie: None,
            #[cfg(feature = "tls")]
            tls: None,
            frame_len_max: 16 << 20,
            high_water: 1 << 20,
            mailbox_high_water: 16 << 20,
            mailbox_patience: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(5),
            unauthenticated_max: 64,
        }
    }
}

impl LinkConfig {
    /// # Errors
    /// When links could not work like this.
    pub(crate) fn validate(&self) -> Result<(), InvalidLinkConfig> {
        if !(FRAME_LEN_MAX_LEAST..=FRAME_LEN_LIMIT).contains(&self.frame_len_max) {
            return Err(InvalidLinkConfig::FrameLen { len: self.frame_len_max });
        }
        let zero = [
            ("high_water", self.high_water == 0),
            ("mailbox_high_water", self.mailbox_high_water == 0),
            ("mailbox_patience", self.mailbox_patience.is_zero()),
            ("heartbeat_interval", self.heartbeat_interval.is_zero()),
            ("handshake_timeout", self.handshake_timeout.is_zero()),
            ("unauthenticated_max", self.unauthenticated_max == 0),
        ];
        if let Some((option, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(InvalidLinkConfig::Zero { option });
        }
        if self.heartbeat_timeout < self.heartbeat_interval * 2 {
            return Err(InvalidLinkConfig::Heartbeat {
                interval: self.heartbeat_interval,
                timeout: self.heartbeat_timeout,
            });
        }
        Ok(())
    }

    /// # Errors
    /// When strangers could reach `address` (`host:port`) and nothing would keep them out.
    pub(crate) fn check_exposure(&self, address: &str) -> Result<(), InvalidLinkConfig> {
        if self.keeps_strangers_out() || is_loopback(address) {
            return Ok(());
        }
        Err(InvalidLinkConfig::Open { address: address.into() })
    }

    #[cfg(feature = "tls")]
    fn keeps_strangers_out(&self) -> bool {
        self.cookie.is_some() || self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    fn keeps_strangers_out(&self) -> bool {
        self.cookie.is_some()
    }
}

/// A name other than `localhost` may resolve to anything.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_open_to_all() {
        let bare = LinkConfig::default();
        for good in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:80", "localhost:4000"] {
            assert_eq!(bare.check_exposure(good), Ok(()), "{good}");
        }
        for bad in ["0.0.0.0:0", "10.0.0.1:1", "[::]:80", "example.org:4000", "localhost.example.org:1"] {
            let error = bare.check_exposure(bad).unwrap_err();
            assert!(error.to_string().contains("set a cookie"), "{error}");
        }
        let with_cookie = LinkConfig { cookie: Cookie::new("secret"), ..bare };
        assert_eq!(with_cookie.check_exposure("0.0.0.0:0"), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert_eq!(LinkConfig::default().validate(), Ok(()));
        let bad = [
            LinkConfig { frame_len_max: 100, ..LinkConfig::default() },
            LinkConfig { frame_len_max: FRAME_LEN_LIMIT + 1, ..LinkConfig::default() },
            LinkConfig { high_water: 0, ..LinkConfig::default() },
            LinkConfig { heartbeat_timeout: Duration::from_secs(9), ..LinkConfig::default() },
        ];
        for config in bad {
            assert!(config.validate().is_err(), "{config:?}");
        }
    }
}
