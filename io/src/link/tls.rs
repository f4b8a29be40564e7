use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::port::Connection;

/// Mutual TLS on links: every node shows a certificate of the cluster's authority, and wants to see one.
///
/// A certificate must be good for both ends of a connection (extended key usage: server and client, or none),
/// and name the host under which its node is advertised, or the one name that
/// [`with_server_name`](Self::with_server_name) gives to all.
#[derive(Clone)]
pub struct LinkTls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvalidTls {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A PEM text does not hold what it should.
    #[error("the PEM of the {what} has none, or a broken one: {reason}")]
    Pem {
        /// `certificate chain`, `private key` or `authorities`.
        what: &'static str,
        /// In the words of the parser.
        reason: String,
    },
    /// The parts do not fit together.
    #[error("the certificate, its key and the authorities do not fit together: {0}")]
    Unfit(String),
    /// The name is neither a DNS name nor an IP address.
    #[error("{name:?} cannot stand in a certificate: a DNS name or an IP address can")]
    ServerName {
        /// What stood there.
        name: String,
    },
}

impl LinkTls {
    /// From PEM texts: the node's certificate and what is between it and the authority, its private key, and
    /// the authorities' certificates.
    ///
    /// # Errors
    /// When a text cannot be parsed, or they do not fit together.
    pub fn from_pem(chain: &[u8], key: &[u8], authorities: &[u8]) -> Result<Self, InvalidTls> {
        let chain = certificates("certificate chain", chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| InvalidTls::Pem { what: "private key", reason: error.to_string() })?;
        let mut roots = RootCertStore::empty();
        for authority in certificates("authorities", authorities)? {
            roots.add(authority).map_err(unfit)?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(ring::default_provider()));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(unfit)?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unfit)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(unfit)?;
        Ok(Self { acceptor: Arc::new(server).into(), connector: Arc::new(client).into(), server_name: None })
    }

    /// As [`from_pem`](Self::from_pem), from files.
    ///
    /// # Errors
    /// When a file cannot be read, and as `from_pem`.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
        authorities: impl AsRef<Path>,
    ) -> Result<Self, InvalidTls> {
        Self::from_pem(&file(chain.as_ref())?, &file(key.as_ref())?, &file(authorities.as_ref())?)
    }

    /// Expects `name` in every node's certificate instead of its advertised host: one certificate can then
    /// serve all nodes.
    ///
    /// # Errors
    /// When it is not a name that can stand in a certificate.
    pub fn with_server_name(mut self, name: impl Into<String>) -> Result<Self, InvalidTls> {
        let name = name.into();
        match ServerName::try_from(name.clone()) {
            Ok(parsed) => self.server_name = Some(parsed),
            Err(_) => return Err(InvalidTls::ServerName { name }),
        }
        Ok(self)
    }

    pub(super) async fn accept(&self, connection: Box<dyn Connection>) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.acceptor.accept(connection).await?))
    }

    pub(super) async fn connect(
        &self,
        connection: Box<dyn Connection>,
        address: &str,
    ) -> io::Result<Box<dyn Connection>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => host(address)?,
        };
        Ok(Box::new(self.connector.connect(name, connection).await?))
    }
}

fn host(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if certificates.is_empty() => {
            Err(InvalidTls::Pem { what, reason: "no certificate".into() })
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(InvalidTls::Pem { what, reason: error.to_string() }),
    }
}

fn file(path: &Path) -> Result<Vec<u8>, InvalidTls> {
    std::fs::read(path).map_err(|error| InvalidTls::File { path: path.display().to_string(), error })
}

fn unfit(error: impl fmt::Display) -> InvalidTls {
    InvalidTls::Unfit(error.to_string())
}

impl fmt::Debug for LinkTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two authorities, and a node's certificate for 127.0.0.1 from each: see `tls_test/README.md`.
    const OURS: [&[u8]; 3] = [
        include_bytes!("tls_test/node.pem"),
        include_bytes!("tls_test/node.key"),
        include_bytes!("tls_test/authority.pem"),
    ];
    const THEIRS: [&[u8]; 3] = [
        include_bytes!("tls_test/stranger.pem"),
        include_bytes!("tls_test/stranger.key"),
        include_bytes!("tls_test/stranger_authority.pem"),
    ];

    pub(crate) fn ours() -> LinkTls {
        LinkTls::from_pem(OURS[0], OURS[1], OURS[2]).unwrap()
    }

    pub(crate) fn strangers() -> LinkTls {
        LinkTls::from_pem(THEIRS[0], THEIRS[1], THEIRS[2]).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        let error =
            |chain, key, authorities| LinkTls::from_pem(chain, key, authorities).unwrap_err().to_string();
        assert!(error(b"", OURS[1], OURS[2]).contains("certificate chain"));
        assert!(error(OURS[0], OURS[0], OURS[2]).contains("private key"));
        assert!(error(OURS[0], OURS[1], b"x").contains("authorities"));
        assert!(error(OURS[0], THEIRS[1], OURS[2]).contains("fit together"));
        assert!(LinkTls::from_pem_files("/nowhere", "/nowhere", "/nowhere").is_err());
        assert!(ours().with_server_name("not a name").is_err());
    }
}
