//! What is answered to four-letter words: operators' questions, in place of a first frame.
//!
//! The texts are those of real servers as far as clients and tools read them. What this server does not measure is 0.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};

use queenright_core::SessionId;
use queenright_core::wire::FourLetterWord;

use super::Endpoint;
use super::connection::{Connection, Phase};
use crate::zookeeper::{ConnectionId, ServerId};

/// As clients parse it: the version whose protocol is spoken, and what really is behind.
const VERSION: &str =
    concat!("3.9.3-queenright-", env!("CARGO_PKG_VERSION"), ", a model that keeps nothing on disk");

/// The answer to `word`.
pub(super) fn answer(endpoint: &Endpoint, server: ServerId, word: FourLetterWord) -> String {
    let mut text = String::new();
    let written = match word {
        FourLetterWord::Ruok => write!(text, "imok"),
        FourLetterWord::Isro => write!(text, "rw"),
        FourLetterWord::Envi => environment(&mut text),
        FourLetterWord::Srvr => state(&mut text, endpoint, server, false),
        FourLetterWord::Stat => state(&mut text, endpoint, server, true),
        FourLetterWord::Mntr => monitor(&mut text, endpoint, server),
        FourLetterWord::Conf => configuration(&mut text, endpoint),
        FourLetterWord::Cons => connections(&mut text, endpoint, server, true),
        FourLetterWord::Dump => dump(&mut text, endpoint, server),
        FourLetterWord::Wchs => watch_summary(&mut text, endpoint, server),
        FourLetterWord::Wchc => watches_by_session(&mut text, endpoint, server),
        FourLetterWord::Wchp => watches_by_path(&mut text, endpoint, server),
    };
    debug_assert!(written.is_ok(), "text cannot be full");
    text
}

fn environment(text: &mut String) -> std::fmt::Result {
    writeln!(text, "Environment:")?;
    writeln!(text, "zookeeper.version={VERSION}")?;
    writeln!(text, "os.name={}", std::env::consts::OS)?;
    writeln!(text, "os.arch={}", std::env::consts::ARCH)
}

fn state(text: &mut String, endpoint: &Endpoint, server: ServerId, with_clients: bool) -> std::fmt::Result {
    let ensemble = endpoint.ensemble();
    writeln!(text, "Zookeeper version: {VERSION}")?;
    if with_clients {
        writeln!(text, "Clients:")?;
        connections(text, endpoint, server, false)?;
    }
    writeln!(text, "Latency min/avg/max: 0/0.0/0")?;
    writeln!(text, "Received: {}", endpoint.traffic.received)?;
    writeln!(text, "Sent: {}", endpoint.traffic.sent)?;
    writeln!(text, "Connections: {}", endpoint.connections_to(server).count())?;
    writeln!(text, "Outstanding: 0")?;
    writeln!(text, "Zxid: {:#x}", ensemble.last_zxid(server).0)?;
    writeln!(text, "Mode: standalone")?;
    writeln!(text, "Node count: {}", ensemble.tree(server).len())
}

fn monitor(text: &mut String, endpoint: &Endpoint, server: ServerId) -> std::fmt::Result {
    let ensemble = endpoint.ensemble();
    let tree = ensemble.tree(server);
    let sessions = ensemble.sessions();
    let ephemerals: usize = ensemble.sessions().map(|session| tree.ephemerals(session).count()).sum();
    let size: usize = tree.iter().map(|(path, znode)| path.len() + znode.data().len()).sum();
    let mut line = |name: &str, value: &dyn Display| writeln!(text, "zk_{name}\t{value}");
    line("version", &VERSION)?;
    line("server_state", &"standalone")?;
    line("avg_latency", &"0.0")?;
    line("max_latency", &0)?;
    line("min_latency", &0)?;
    line("packets_received", &endpoint.traffic.received)?;
    line("packets_sent", &endpoint.traffic.sent)?;
    line("num_alive_connections", &endpoint.connections_to(server).count())?;
    line("outstanding_requests", &0)?;
    line("znode_count", &tree.len())?;
    line("watch_count", &ensemble.watch_count(server))?;
    line("ephemerals_count", &ephemerals)?;
    line("approximate_data_size", &size)?;
    line("global_sessions", &sessions.count())?;
    line("local_sessions", &0)
}

fn configuration(text: &mut String, endpoint: &Endpoint) -> std::fmt::Result {
    let config = endpoint.ensemble().config();
    writeln!(text, "tickTime={}", config.tick.as_millis())?;
    writeln!(text, "maxClientCnxns=0")?;
    writeln!(text, "minSessionTimeout={}", config.min_session.as_millis())?;
    writeln!(text, "maxSessionTimeout={}", config.max_session.as_millis())?;
    writeln!(text, "serverId=0")
}

fn connections(
    text: &mut String,
    endpoint: &Endpoint,
    server: ServerId,
    with_sessions: bool,
) -> std::fmt::Result {
    let sessions = sessions_by_connection(endpoint, server);
    for (conn, connection) in endpoint.connections_to(server) {
        let Connection { peer, traffic, output, phase, .. } = connection;
        let interest = match phase {
            Phase::Serving { .. } => 1,
            Phase::Opening { .. } | Phase::Closing { .. } | Phase::Over => 0,
        };
        write!(
            text,
            " /{peer}[{interest}](queued={},recved={},sent={}",
            output.len(),
            traffic.received,
            traffic.sent
        )?;
        if let (true, Some(session)) = (with_sessions, sessions.get(conn)) {
            write!(text, ",sid={:#x},lop=NA", session.0)?;
        }
        writeln!(text, ")")?;
    }
    writeln!(text)
}

fn dump(text: &mut String, endpoint: &Endpoint, server: ServerId) -> std::fmt::Result {
    let ensemble = endpoint.ensemble();
    writeln!(text, "SessionTracker dump:")?;
    writeln!(text, "Global Sessions({}):", ensemble.sessions().count())?;
    for session in ensemble.sessions() {
        writeln!(text, "{:#x}", session.0)?;
    }
    writeln!(text, "ephemeral nodes dump:")?;
    let has_some = |session: &SessionId| ensemble.tree(server).ephemerals(*session).next().is_some();
    writeln!(text, "Sessions with Ephemerals ({}):", ensemble.sessions().filter(has_some).count())?;
    for session in ensemble.sessions().filter(has_some) {
        writeln!(text, "{:#x}:", session.0)?;
        for path in ensemble.tree(server).ephemerals(session) {
            writeln!(text, "\t{path}")?;
        }
    }
    let sessions = sessions_by_connection(endpoint, server);
    writeln!(text, "Connections dump:")?;
    writeln!(text, "Connections ({}):", endpoint.connections_to(server).count())?;
    for (conn, connection) in endpoint.connections_to(server) {
        let session = sessions.get(conn).map_or(0, |session| session.0);
        writeln!(text, "\tip: /{} sessionId: {session:#x}", connection.peer)?;
    }
    Ok(())
}

/// As real servers do, this and the two below leave out the watches on children.
fn watch_summary(text: &mut String, endpoint: &Endpoint, server: ServerId) -> std::fmt::Result {
    let ensemble = endpoint.ensemble();
    let connections: BTreeSet<_> = ensemble.data_watches(server).map(|(_, conn)| conn).collect();
    let paths: BTreeSet<_> = ensemble.data_watches(server).map(|(path, _)| path).collect();
    writeln!(text, "{} connections watching {} paths", connections.len(), paths.len())?;
    writeln!(text, "Total watches:{}", ensemble.data_watches(server).count())
}

fn watches_by_session(text: &mut String, endpoint: &Endpoint, server: ServerId) -> std::fmt::Result {
    let sessions = sessions_by_connection(endpoint, server);
    let mut by_session: BTreeMap<SessionId, Vec<&str>> = BTreeMap::new();
    for (path, conn) in endpoint.ensemble().data_watches(server) {
        if let Some(session) = sessions.get(&conn) {
            by_session.entry(*session).or_default().push(path);
        }
    }
    for (session, paths) in by_session {
        writeln!(text, "{:#x}", session.0)?;
        paths.iter().try_for_each(|path| writeln!(text, "\t{path}"))?;
    }
    writeln!(text)
}

fn watches_by_path(text: &mut String, endpoint: &Endpoint, server: ServerId) -> std::fmt::Result {
    let sessions = sessions_by_connection(endpoint, server);
    let mut last = None;
    for (path, conn) in endpoint.ensemble().data_watches(server) {
        let Some(session) = sessions.get(&conn) else { continue };
        if last.replace(path) != Some(path) {
            writeln!(text, "{path}")?;
        }
        writeln!(text, "\t{:#x}", session.0)?;
    }
    writeln!(text)
}

fn sessions_by_connection(endpoint: &Endpoint, server: ServerId) -> BTreeMap<ConnectionId, SessionId> {
    let ensemble = endpoint.ensemble();
    let with_connection = |session| ensemble.connection_of(server, session).map(|conn| (conn, session));
    ensemble.sessions().filter_map(with_connection).collect()
}
