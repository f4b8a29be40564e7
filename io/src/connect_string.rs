//! Where the ZooKeeper servers are: `host:port,host:port/chroot`.

use std::fmt;
use std::str::FromStr;

use queenright_core::Path;

/// ZooKeeper's own port.
const DEFAULT_PORT: u16 = 2181;

/// A parsed connect string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectString {
    servers: Vec<Server>,
    chroot: Option<Path>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// A name or an address; an IPv6 address has no brackets.
    pub(crate) host: String,
    /// Its client port.
    pub(crate) port: u16,
}

impl ConnectString {
    /// At least one.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Below which all paths are, if not below the root.
    pub(crate) fn chroot(&self) -> Option<&Path> {
        self.chroot.as_ref()
    }

    /// The servers alone.
    pub(crate) fn hosts(&self) -> String {
        self.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

impl FromStr for ConnectString {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            format!(
                "{text:?} does not say where ZooKeeper is: {why}; write host:port, several of them with commas \
                 between, and perhaps /a/path behind the last"
            )
        };
        let (hosts, chroot) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let chroot = match chroot {
            "" | "/" => None,
            chroot => Some(Path::new(chroot).map_err(|error| bad(&error.to_string()))?),
        };
        let servers = hosts
            .split(',')
            .map(|server| server.trim().parse().map_err(|why: String| bad(&why)))
            .collect::<Result<Vec<Server>, String>>()?;
        Ok(Self { servers, chroot })
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (host, port) =
                bracketed.split_once(']').ok_or_else(|| format!("{text:?} has no closing bracket"))?;
            (host, port.strip_prefix(':'))
        } else {
            match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(format!("the IPv6 address in {text:?} needs brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(format!("{text:?} names no host"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(format!("{port:?} is no port number")),
                Ok(port) => port,
            },
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.hosts(), self.chroot.as_ref().map_or("", Path::as_str))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_chroot_are_told_apart() {
        let parse = |text: &str| text.parse::<ConnectString>().unwrap();
        assert_eq!(parse("a").to_string(), "a:2181");
        assert_eq!(parse("a:1, b:2/x/y").to_string(), "a:1,b:2/x/y");
        assert_eq!(parse("a:1,b:2/x/y").chroot(), Some(&Path::new("/x/y").unwrap()));
        assert_eq!(parse("a:1/").chroot(), None);
        assert_eq!(parse("[::1]:7,[fe80::2]").to_string(), "[::1]:7,[fe80::2]:2181");
        assert_eq!(parse("[::1]").servers()[0].host, "::1");
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, part) in [
            ("", "names no host"),
            ("a:b", "\"b\" is no port"),
            ("a:0", "\"0\" is no port"),
            (":1", "names no host"),
            ("a,,b", "names no host"),
            ("::1", "needs brackets"),
            ("[::1", "closing bracket"),
            ("a/x/", "must not be empty"),
            ("a b:1", "names no host"),
        ] {
            let error = text.parse::<ConnectString>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
