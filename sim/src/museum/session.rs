//! Sessions and connections: what is over and not noticed, and what is not over and given up.

use std::time::Duration;

use queenright_core::wire::client::{Client, Config as ClientConfig, Output as ClientOutput};
use queenright_core::{
    Config, Coordinator, Event, Incarnation, Input, Instant, Name, Output, SessionEpoch, SessionEvent,
    SessionId,
};

use super::naive::Naive;
use super::past::{Journey, travels_in_time};
use super::{Entry, Flaw, alone, cannot, foreign, naive};
use crate::checkers::Violation;
use crate::scenario::{Call, Kind, L, Machine, Museum, T, Which, nodes, service};

const LEADERS: &str = "leaders";
const CACHES: &str = "caches";
const REGISTRATIONS: &str = "registrations";
const STABILITY: &str = "stability";
const COMPLETION: &str = "completion";
const SESSIONS: &str = "sessions";
const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(10);

pub(super) const ENTRIES: &[Entry] = &[
    naive(
        "endless-connection-loss-no-verdict",
        "R/D",
        endless_connection_loss_no_verdict,
        Flaw::NeverRevokes,
        LEADERS,
    ),
    alone(
        "new-session-time-travel",
        "D/R",
        goes_on_where_it_was,
        goes_back_in_time,
        "naive machine `LastAnswerWins`",
        CACHES,
    ),
    naive(
        "refused-forever-after-wipe",
        "R",
        refused_forever_after_wipe,
        Flaw::MissingDirectoryIsLogged,
        SESSIONS,
    ),
    naive("zombie-lost-state", "R/O", zombie_lost_state, Flaw::LostIsNoEvent, CACHES),
    naive("state-events-dropped", "R", state_events_dropped, Flaw::StatesDropped, CACHES),
    alone(
        "event-order-inverted",
        "R",
        order_is_kept,
        order_is_believed,
        "naive machine `BelievesEveryEpoch`",
        SESSIONS,
    ),
    cannot(
        "wall-clock-timeouts",
        "R/X",
        "core has no clock: `Instant` comes from the driver, whose `Host` reads one that is monotonic and counts suspension",
    ),
    cannot(
        "ping-starved-by-replies",
        "R",
        "deadlines that have passed are applied before every input, in `Coordinator` and in the client machine alike",
    ),
    alone(
        "frozen-server-eats-session",
        "R",
        frozen_server_is_left,
        frozen_server_is_waited_for,
        "the same client, with a connect timeout as long as its session's",
        SESSIONS,
    ),
    naive(
        "expiry-noticed-late-by-backoff",
        "R",
        expiry_noticed_late_by_backoff,
        Flaw::RevokesOnlyOnLost,
        LEADERS,
    ),
    alone(
        "session-thrown-away-on-blip",
        "R",
        blip_keeps_the_session,
        blip_takes_the_session,
        "a client that gives its session up whenever its connection breaks",
        SESSIONS,
    ),
    naive(
        "indeterminate-treated-as-failure",
        "D/R",
        indeterminate_treated_as_failure,
        Flaw::UnknownIsFailure,
        REGISTRATIONS,
    ),
    cannot(
        "retry-crosses-session",
        "R",
        "`Request` names the session epoch in which it may be sent, and machines begin anew in each session",
    ),
    naive(
        "late-packet-of-moved-session",
        "D",
        late_packet_of_moved_session,
        Flaw::UnknownIsFailure,
        REGISTRATIONS,
    ),
    cannot(
        "session-cloned-by-two-processes",
        "O",
        "a session's id and password never leave the client: there is no call that resumes one; leases carry the incarnation, \
         which is drawn at each start",
    ),
    naive(
        "zxid-rollover-mass-disconnect",
        "R/D",
        zxid_rollover_mass_disconnect,
        Flaw::FlapsOnSuspend,
        STABILITY,
    ),
    cannot(
        "misreported-expired-while-connecting",
        "R",
        "a request without a connection is answered `OpError::Unknown`, which says nothing of the session; only \
         `SessionEvent::Lost` does",
    ),
    cannot(
        "expiry-handler-deadlock",
        "R",
        "handlers never wait: `handle_input` returns, and what it wants done is an `Output`",
    ),
    naive("close-hangs-or-loses", "R", close_hangs_or_loses, Flaw::WaitsForEver, COMPLETION),
    foreign("resolved-once-address", "R", "names are resolved by what dials: io's adapters, at each attempt"),
    cannot(
        "xid-wrap-and-out-of-order",
        "R",
        "the client machine numbers from 1 again after 2^31 − 1; an answer to another than the oldest request is \
         `Break::WrongXid`, and what was in flight is answered as unknown",
    ),
    cannot(
        "negative-session-id",
        "R",
        "`SessionId` is opaque, and `Option<SessionId>` where there may be none: nothing compares it with zero but the wire",
    ),
    naive("startup-order-and-deadline", "R/S", startup_order_and_deadline, Flaw::FailedLoadIsDone, CACHES),
    naive(
        "original-third-reconnect-deadlock",
        "S",
        original_third_reconnect_deadlock,
        Flaw::ThirdConnectBlocks,
        CACHES,
    ),
    naive("original-expiry-kills-node", "S", original_expiry_kills_node, Flaw::ExpiryKills, LEADERS),
];

fn endless_connection_loss_no_verdict(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.cut(a);
    m.run(L);
    // Nobody will ever tell A anything.
    m.expect_follower(a, "boss");
    m.campaign(b, "boss");
    m.until_leads(b, "boss");
}

fn refused_forever_after_wipe(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    let id = m.register(b, "x", "b", "here");
    m.until_registered(b, id);
    m.run(SECOND);
    m.wipe();
    m.run(3 * T);
    // What they know is newer than all that there is. They say so, and it is for people to decide.
    for node in [a, b] {
        let is_told =
            m.degraded(node).iter().any(|reason| reason.contains("it has lost what this node has seen"));
        m.expect(SESSIONS, is_told, "that the ensemble has gone back in time must be told");
    }
    m.restart(a);
    m.restart(b);
    m.campaign(a, "boss");
    m.register(b, "x", "b", "here");
    m.settle();
}

fn zombie_lost_state(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    // The connection heals while the end of the session is being dealt with, again and again.
    for _ in 0..3 {
        m.expire(a);
        m.run(MOMENT);
        m.blip(a);
        m.run(Duration::from_millis(150));
    }
    m.register(b, "x", "b", "");
    m.settle();
}

fn state_events_dropped(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    for _ in 0..100 {
        m.blip(a);
        m.run(Duration::from_millis(110));
    }
    m.register(b, "x", "b", "");
    m.settle();
}

fn expiry_noticed_late_by_backoff(m: &mut Museum) {
    m.configure(|config| config.retry_max = Duration::MAX);
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.cut(a);
    // However long the client may wait before it tries again.
    m.run(L);
    m.expect_follower(a, "boss");
    m.until_leads(b, "boss");
}

fn indeterminate_treated_as_failure(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/services/x", b"");
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "/x/"));
    let id = m.register(a, "x", "a", "v1");
    m.until_sprung(a);
    m.until_registered(a, id);
    m.drop_reply(a, Which::new(Kind::Set, "/x/"));
    m.update(a, id, "v2");
    m.settle();
}

fn late_packet_of_moved_session(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/services/x", b"");
    m.until_connected(a);
    m.hold_requests(a);
    let id = m.register(a, "x", "a", "here");
    m.run(MOMENT);
    m.blip(a);
    // The session is on another connection when the write on the old one arrives.
    m.run(Duration::from_millis(150));
    m.release(a);
    m.until_registered(a, id);
    m.settle();
}

fn zxid_rollover_mass_disconnect(m: &mut Museum) {
    let every: Vec<_> = (0..8).map(|number| m.node(&format!("N{number}"))).collect();
    for node in &every {
        m.campaign(*node, "boss");
        m.run(MOMENT);
    }
    m.until_somebody_leads("boss");
    m.run(SECOND);
    for node in &every {
        m.cut(*node);
    }
    m.run(SECOND);
    for node in &every {
        m.blip(*node);
        m.heal(*node);
    }
    m.settle();
    let elections: u32 = every.iter().map(|node| m.elections_of(*node)).sum();
    m.expect(STABILITY, elections == 1, &format!("a second without servers led to {elections} elections"));
}

fn close_hangs_or_loses(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.cut(a);
    m.run(SECOND);
    m.close(a);
    m.run(T);
    let is_down = m.is_down(a);
    m.expect(COMPLETION, is_down, "closing must end, also when nobody can be reached");
    m.heal(a);
    m.settle();
    let is_gone = m.tree().get("/queenright/services/x/a+").is_none();
    m.expect(REGISTRATIONS, is_gone, "what a closed node had registered must go");
}

fn startup_order_and_deadline(m: &mut Museum) {
    let b = m.node("B");
    let id = m.register(b, "x", "b", "here");
    m.until_registered(b, id);
    let a = m.node("A");
    m.cut(a);
    m.subscribe(a, service("x"));
    m.register_in(a, nodes(), "A", "");
    m.campaign(a, "boss");
    m.run(3 * T);
    m.heal(a);
    m.settle();
}

fn original_third_reconnect_deadlock(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.subscribe(a, service("x"));
    m.until_fresh(a, &service("x"));
    for _ in 0..3 {
        m.blip(a);
        m.run(SECOND);
    }
    m.register(b, "x", "b", "");
    m.settle();
}

fn original_expiry_kills_node(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.pause(b, 2 * T);
    m.run(3 * T);
    m.crash(a);
    m.until_leads(b, "boss");
    m.settle();
}

fn goes_on_where_it_was() -> Result<(), Violation> {
    travels_in_time(&mut coordinator()?, Journey::NewSession)
}

fn goes_back_in_time() -> Result<(), Violation> {
    travels_in_time(&mut Naive::new(Flaw::LastAnswerWins, name("A")?, Incarnation(1)), Journey::NewSession)
}

/// What a machine makes of states that come in an order in which they cannot have happened.
fn hears_out_of_order(machine: &mut dyn Machine) -> Result<(), Violation> {
    let now = Instant::from_millis(1);
    let connected = |epoch, session| SessionEvent::Connected {
        session_epoch: SessionEpoch(epoch),
        session: SessionId(session),
    };
    let subscribed = machine.call(now, Call::Subscribe(nodes()));
    subscribed.map_err(|misuse| Violation::new("refused calls", misuse.to_string()))?;
    let told = [
        SessionEvent::Lost,
        SessionEvent::Reconnected,
        connected(2, 20),
        connected(1, 10),
        SessionEvent::Suspended,
    ];
    let mut is_up = false;
    for event in told {
        machine.handle_input(now, Input::Session(event));
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Request(request) if request.session_epoch != SessionEpoch(2) => {
                    let detail =
                        format!("{request:?} was sent in a session that is over, or was never there");
                    return Err(Violation::new(SESSIONS, detail));
                }
                Output::Request(_) => is_up = true,
                Output::Event(Event::Closed) => return Err(Violation::new(SESSIONS, "it gave up")),
                Output::Event(_) => {}
            }
        }
    }
    if is_up { Ok(()) } else { Err(Violation::new(SESSIONS, "the session that there was, was not used")) }
}

fn order_is_kept() -> Result<(), Violation> {
    hears_out_of_order(&mut coordinator()?)
}

fn order_is_believed() -> Result<(), Violation> {
    hears_out_of_order(&mut Naive::new(Flaw::BelievesEveryEpoch, name("A")?, Incarnation(1)))
}

/// A client that dials a server which takes the connection and never says a word: how long until it tries another one.
fn leaves_a_frozen_server(connect_timeout: Duration) -> Result<(), Violation> {
    let config = ClientConfig { session_timeout: T, connect_timeout, ..ClientConfig::new(3) };
    let mut client = Client::new(Instant::ORIGIN, config);
    let mut dialled = Vec::new();
    let mut now = Instant::ORIGIN;
    while now <= Instant::ORIGIN.after(T) {
        client.handle_timeout(now);
        while let Some(output) = client.poll_output() {
            if let ClientOutput::Connect { server, .. } = output {
                dialled.push(server);
            }
        }
        now = client.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
    }
    // A session lasts that long: by then each of the others must have been asked.
    if dialled.starts_with(&[0, 1, 2]) {
        Ok(())
    } else {
        Err(Violation::new(SESSIONS, format!("only {dialled:?} were tried within a session's time")))
    }
}

fn frozen_server_is_left() -> Result<(), Violation> {
    leaves_a_frozen_server(ClientConfig::new(3).connect_timeout)
}

fn frozen_server_is_waited_for() -> Result<(), Violation> {
    leaves_a_frozen_server(T)
}

/// A client whose connection breaks, and what it asks the next server for.
fn resumes(after_break: fn(&mut Client, Instant)) -> Result<(), Violation> {
    let (mut now, session) = (Instant::ORIGIN, SessionId(-7));
    let mut client = Client::new(now, ClientConfig { session_timeout: T, ..ClientConfig::new(2) });
    let mut asked = Vec::new();
    while asked.len() < 2 && now < Instant::ORIGIN.after(T) {
        client.handle_timeout(now);
        while let Some(output) = client.poll_output() {
            if let ClientOutput::Connect { request, .. } = output {
                asked.push(request.session);
            }
        }
        if asked.len() == 1 && !client.is_up() {
            let response = queenright_core::wire::ConnectResponse {
                protocol_version: 0,
                timeout_ms: 6_000,
                session,
                password: vec![1; 16],
                read_only: Some(false),
            };
            client.handle_connected(now, response);
            after_break(&mut client, now);
            while client.poll_output().is_some() {}
        }
        now = client.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
    }
    match asked.as_slice() {
        [_, again] if *again == session => Ok(()),
        _ => {
            Err(Violation::new(SESSIONS, format!("after a break it asked for {asked:?}, not for {session}")))
        }
    }
}

fn blip_keeps_the_session() -> Result<(), Violation> {
    resumes(|client, now| client.handle_break(now, queenright_core::wire::client::Break::Transport))
}

fn blip_takes_the_session() -> Result<(), Violation> {
    resumes(|client, now| client.abandon(now))
}

fn coordinator() -> Result<Coordinator, Violation> {
    Coordinator::new(Config::new(name("A")?, Incarnation(1)), Instant::ORIGIN)
        .map_err(|error| Violation::new("configuration", error.to_string()))
}

fn name(text: &str) -> Result<Name, Violation> {
    Name::new(text).map_err(|error| Violation::new("names", error.to_string()))
}
