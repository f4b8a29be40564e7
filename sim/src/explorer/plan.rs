//! Everything that a run depends on, drawn from one seed and printable.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drawn::CLOCK_RATE_PPM;
use super::fault::Strike;
use super::workload::{Action, Step};

/// A run before it happens.
///
/// Same plan, same run. Faults and steps are lists, and no delay depends on how many of them there are, so that
/// one can be taken out without moving the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where it was drawn from; delays are drawn from it during the run.
    #[serde(with = "super::written::seed")]
    pub seed: u64,
    /// How many servers there are.
    #[serde(default = "one_server")]
    pub servers: u8,
    /// After so many ticks without a word of each other, servers give each other up.
    #[serde(default = "usual_patience")]
    pub sync_limit: u32,
    /// How many globals there are.
    pub globals: u8,
    /// How many services there are.
    pub services: u8,
    /// L.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// ρ, in millionths: no clock is faster or slower by more.
    #[serde(default = "usual_clocks")]
    pub clock_rate_ppm: u32,
    /// What clients ask for.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// The server's tick.
    #[serde(with = "humantime_serde")]
    pub tick: Duration,
    /// When the faults end.
    #[serde(with = "humantime_serde")]
    pub heal_at: Duration,
    /// How long after that the last checks are at the latest.
    #[serde(with = "humantime_serde")]
    pub quiet: Duration,
    /// Whether they may be earlier.
    #[serde(default)]
    pub ending: Ending,
    /// One read in so many of the election's records shows an older state; 0 for none.
    pub stale_one_in: u64,
    /// The slowest stop of an application.
    #[serde(with = "humantime_serde")]
    pub stop_time_max: Duration,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// Delays.
    pub network: NetworkPlan,
    /// What the clients of this run do where the port's contract leaves it open.
    pub client: ClientPlan,
    /// How long the first messages take, one byte each: those of each node towards servers and back, in turn. What is
    /// not said here is drawn from the seed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delays: Vec<u8>,
    /// What goes wrong.
    pub faults: Vec<Strike>,
    /// What the applications do.
    pub actions: Vec<Action>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// What its clock shows at the beginning, in nanoseconds.
    pub clock_origin: u64,
    /// By how many millionths its clock is too fast.
    pub clock_rate_ppm: i32,
    /// When it starts.
    #[serde(with = "humantime_serde")]
    pub start_at: Duration,
    /// What its application does at each start.
    pub profile: Vec<Step>,
}

/// How long messages take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPlan {
    /// At least.
    #[serde(with = "humantime_serde")]
    pub delay_min: Duration,
    /// At most, without a spike.
    #[serde(with = "humantime_serde")]
    pub delay_max: Duration,
    /// One message in so many is held up, and with it what follows on its connection; 0 for none.
    pub spike_one_in: u64,
    /// For how long at most.
    #[serde(with = "humantime_serde")]
    pub spike_max: Duration,
}

/// The freedom of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientPlan {
    /// After so long without a word from the server the connection is given up.
    #[serde(with = "humantime_serde")]
    pub connection_timeout: Duration,
    /// Between two attempts to connect.
    #[serde(with = "humantime_serde")]
    pub reconnect_max: Duration,
    /// What becomes of requests submitted while the connection is down.
    pub offline: Offline,
    /// Which watches are armed again at a reconnect.
    pub rearmed: Rearmed,
    /// Whether replies and events tell their zxid.
    pub zxids: Zxids,
    /// Replies wait up to so long between client and core; state changes overtake them.
    #[serde(with = "humantime_serde")]
    pub reply_lag_max: Duration,
    /// Events wait up to so long, and so are overtaken by replies.
    #[serde(with = "humantime_serde")]
    pub event_lag_max: Duration,
    /// Changes of state wait up to so long, and hold up what came after them: a driver that is slow to take its inputs,
    /// while the client is in the next session already.
    #[serde(with = "humantime_serde", default)]
    pub state_lag_max: Duration,
    /// Whether a short gap is always reported.
    pub gaps: Gaps,
    /// In which order news reach the core; the lags are for streams.
    pub order: Order,
    /// How the end of a session is found out.
    pub expiry: Expiry,
    /// Whether the core is told of it.
    #[serde(default)]
    pub losses: Losses,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ending {
    /// After the whole quiet stretch, the last part of which nobody has anything to do in but beats.
    #[default]
    Late,
    /// As soon as all is as it must be, and is still so two leases later.
    Settled,
}

/// What becomes of requests submitted while the connection is down, within a living session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Offline {
    /// They are kept, and sent after the reconnect.
    Kept,
    /// They are answered as unknown.
    Unknown,
}

/// Which watches a client arms again by itself when it reconnects within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rearmed {
    /// All of them, and the server reports what one-shots missed.
    All,
    /// The one-shots, as zookeeper-client 0.11.
    OneShots,
    /// None: they are lost.
    Nothing,
}

/// In which order replies, events and changes of the session's state reach the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// In that of the wire, at once.
    Wire,
    /// Each kind in a stream of its own, as far apart as the port's contract allows, as with zookeeper-client 0.11.
    Streams,
}

/// How a client finds out that its session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expiry {
    /// From the server, when it comes back; by itself only when no server has spoken to it for two session timeouts.
    Heard,
    /// Also by itself, after a long silence, as zookeeper-client 0.11.
    Guessed,
}

/// Whether a client tells that its session is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Losses {
    /// It does.
    #[default]
    Reported,
    /// It only tells of the next one, once it has one.
    Silent,
}

/// Whether the client's interface shows zxids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Zxids {
    /// It does.
    Shown,
    /// It does not, as that of zookeeper-client 0.11.
    Hidden,
}

/// How gaps in the connection are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Gaps {
    /// Suspended at their beginning, Reconnected at their end.
    Reported,
    /// Some only by Reconnected, at their end.
    SomeNoticedLate,
}

impl Plan {
    /// How long after the faults have ended every global that somebody stands for is led at the latest, by a single server:
    /// a connection that stood still is given up, another one is made, dead sessions leave the queue, a dead holder's silence
    /// lasts, and then it is a turn, with a retry on the way.
    #[must_use]
    pub fn led_within(&self) -> Duration {
        const TURN: Duration = Duration::from_millis(500);
        let silence = self.lease + self.lease * 2 * self.clock_rate_ppm / 1_000_000;
        let reconnect = self.client.connection_timeout + self.client.reconnect_max;
        reconnect + self.session_timeout + self.tick * 2 + silence + TURN + self.lease
    }
}

/// What plans had before there could be several.
pub(super) const fn one_server() -> u8 {
    1
}

/// What plans had before they could differ.
const fn usual_clocks() -> u32 {
    CLOCK_RATE_PPM
}

/// ZooKeeper's own.
pub(super) const fn usual_patience() -> u32 {
    5
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} nodes, {} servers (patience {} ticks), {} globals, {} services",
            self.seed,
            self.nodes.len(),
            self.servers,
            self.sync_limit,
            self.globals,
            self.services
        )?;
        writeln!(
            f,
            "  lease {:?}, clocks ±{} ppm, session {:?} (tick {:?}), slowest stop {:?}, one stale read in {}; heals at {:?}, ends {:?} later, {:?}",
            self.lease,
            self.clock_rate_ppm,
            self.session_timeout,
            self.tick,
            self.stop_time_max,
            self.stale_one_in,
            self.heal_at,
            self.quiet,
            self.ending
        )?;
        let NetworkPlan { delay_min, delay_max, spike_one_in, spike_max } = self.network;
        writeln!(f, "  delays {delay_min:?} to {delay_max:?}, one in {spike_one_in} up to {spike_max:?}")?;
        let client = self.client;
        writeln!(
            f,
            "  clients: connection timeout {:?}, reconnect within {:?}, offline requests {:?}, watches armed again {:?}, \
             zxids {:?}, gaps {:?}, order {:?}, replies lag {:?}, events lag {:?}, states lag {:?}, expiry {:?}, losses {:?}",
            client.connection_timeout,
            client.reconnect_max,
            client.offline,
            client.rearmed,
            client.zxids,
            client.gaps,
            client.order,
            client.reply_lag_max,
            client.event_lag_max,
            client.state_lag_max,
            client.expiry,
            client.losses
        )?;
        for (number, node) in self.nodes.iter().enumerate() {
            writeln!(
                f,
                "  n{number}: clock {:+} ppm from {}, starts at {:?}: {:?}",
                node.clock_rate_ppm, node.clock_origin, node.start_at, node.profile
            )?;
        }
        for (number, strike) in self.faults.iter().enumerate() {
            writeln!(f, "  fault {number} {strike}")?;
        }
        for action in &self.actions {
            writeln!(f, "  {action}")?;
        }
        Ok(())
    }
}
