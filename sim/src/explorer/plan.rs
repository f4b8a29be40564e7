//! Everything that a run depends on, drawn from one seed and printable.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{self, Kind, Limits, Strike};
use super::mix::Draw;
use super::outage;
use super::workload::{self, Action, INSTANCES, Step};

/// The most faults of one plan.
const FAULTS_MAX: u64 = 14;
/// The most outages of one plan.
const OUTAGES_MAX: u64 = 6;
/// The most steps of the workload of one plan, beside what every node does at its start.
const ACTIONS_MAX: u64 = 16;
/// ρ by default, and so the fastest and the slowest clock of most runs.
const CLOCK_RATE_PPM: u32 = 5_000;
/// ρ of the others: so large that a message fits between the end of a lease by one clock and by another.
const CLOCK_RATE_PPM_LARGE: u32 = 50_000;

/// The labels of the streams of choices that a seed is mixed into.
mod label {
    pub(super) const SHAPE: u64 = 1;
    pub(super) const FAULTS: u64 = 2;
    pub(super) const WORKLOAD: u64 = 3;
    pub(super) const PROFILE: u64 = 4;
    pub(super) const CLIENT: u64 = 5;
    pub(super) const NETWORK: u64 = 6;
    pub(super) const ENSEMBLE: u64 = 7;
    pub(super) const CLOCKS: u64 = 8;
}

/// The choices that belong to a label.
type Stream<'a> = dyn Fn(u64) -> Draw + 'a;

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
    /// Replies wait up to so long between client and core; state changes do not.
    #[serde(with = "humantime_serde")]
    pub reply_lag_max: Duration,
    /// Events wait up to so long, and so are overtaken by replies.
    #[serde(with = "humantime_serde")]
    pub event_lag_max: Duration,
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
    /// Draws everything from a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self::draw(seed, &|label| Draw::new(seed, label))
    }

    fn draw(seed: u64, stream: &Stream<'_>) -> Self {
        let mut draw = stream(label::SHAPE);
        let lease = Duration::from_millis(draw.pick(&[300, 1_000, 3_000]));
        let session_timeout = lease * u32::from(draw.pick(&[1_u8, 2, 2, 4, 8]));
        let tick = session_timeout / 10;
        let heal_at = lease * u32::try_from(draw.between(5, 20)).unwrap_or(5);
        let limits = Limits {
            nodes: draw.pick(&[1, 2, 2, 3, 3, 3, 4, 4, 5]),
            globals: draw.pick(&[1, 1, 2, 3]),
            services: draw.pick(&[1, 1, 2]),
            instances: INSTANCES,
            lease,
            session: session_timeout,
            heal_at,
            clock_rate_ppm: if stream(label::CLOCKS).one_in(4) {
                CLOCK_RATE_PPM_LARGE
            } else {
                CLOCK_RATE_PPM
            },
        };
        let stop_time_max = lease / u32::from(draw.pick(&[100_u8, 10, 3]));
        const RETRIES: u32 = 4;
        let silence = lease + lease * 2 * limits.clock_rate_ppm / 1_000_000;
        // Old sessions and silent holders are gone, look-ups have vacated (2 s and a jitter after W), and
        // whatever waits for a retry has had some.
        let quiet = (session_timeout + tick) * 2 + silence * 3 + Duration::from_secs(4) + lease * RETRIES;
        Self {
            seed,
            servers: one_server(),
            sync_limit: usual_patience(),
            globals: limits.globals,
            services: limits.services,
            lease,
            clock_rate_ppm: limits.clock_rate_ppm,
            session_timeout,
            tick,
            heal_at,
            quiet,
            ending: Ending::Late,
            stale_one_in: draw.pick(&[0, 0, 0, 2, 8]),
            stop_time_max,
            nodes: (0..limits.nodes).map(|node| NodePlan::draw(stream, node, &limits)).collect(),
            network: NetworkPlan::draw(stream, lease),
            client: ClientPlan::draw(stream, lease, session_timeout),
            delays: Vec::new(),
            faults: faults(stream, &limits),
            actions: actions(stream, &limits),
        }
    }
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

    /// The plan of a seed, and beside it up to seven nodes, one to five servers with outages, clients that may not tell
    /// that a session is over, queues whose numbers wrap around; most end as soon as all has settled.
    #[must_use]
    pub fn of_ensemble(seed: u64) -> Self {
        Self::draw_ensemble(seed, &|label| Draw::new(seed, label))
    }

    fn draw_ensemble(seed: u64, stream: &Stream<'_>) -> Self {
        let mut plan = Self::draw(seed, stream);
        let mut draw = stream(label::ENSEMBLE);
        plan.servers = draw.pick(&[1, 2, 3, 3, 3, 4, 5]);
        plan.sync_limit = draw.pick(&[2, 5, 5, 15]);
        plan.ending = if draw.one_in(8) { Ending::Late } else { Ending::Settled };
        plan.client.losses = draw.pick(&[Losses::Reported, Losses::Reported, Losses::Silent]);
        let mut limits = Limits {
            nodes: u8::try_from(plan.nodes.len()).unwrap_or(1),
            globals: plan.globals,
            services: plan.services,
            instances: INSTANCES,
            lease: plan.lease,
            session: plan.session_timeout,
            heal_at: plan.heal_at,
            clock_rate_ppm: plan.clock_rate_ppm,
        };
        for _ in 0..draw.pick(&[0, 0, 0, 1, 2]) {
            plan.nodes.push(NodePlan::draw(stream, limits.nodes, &limits));
            limits.nodes += 1;
        }
        let kinds: Vec<outage::Kind> = outage::Kind::all(plan.servers).filter(|_| draw.one_in(2)).collect();
        if !kinds.is_empty() {
            let count = draw.between(1, OUTAGES_MAX);
            plan.faults.extend((0..count).map(|_| outage::strike(&mut draw, &kinds, plan.servers, &limits)));
        }
        plan
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Plan {
    /// The plan that `bytes` choose, in sections: the seed, the shape of the world, then what each section of
    /// [`Self::SECTIONS`] is for; the rest is the delays. Whatever they are, it makes sense.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let seed = bytes.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let stream = |label: u64| {
            let mut at = 8;
            for (section, len) in Self::SECTIONS {
                if section == label {
                    return Draw::of_bytes(
                        bytes.get(at..).map_or(&[][..], |rest| &rest[..len.min(rest.len())]),
                    );
                }
                at += len;
            }
            Draw::new(seed, label)
        };
        let mut plan = Self::draw_ensemble(seed, &stream);
        // An end that comes soon makes runs short, and so many.
        plan.ending = Ending::Settled;
        let at = 8 + Self::SECTIONS.iter().map(|(_, len)| len).sum::<usize>();
        plan.delays = bytes.get(at..).unwrap_or_default().iter().copied().take(DELAYS_MAX).collect();
        plan
    }

    /// By label, how many bytes choose what it is for; what has none is drawn from the seed.
    const SECTIONS: [(u64, usize); 12] = [
        (label::SHAPE, 20),
        (label::ENSEMBLE, 128),
        (label::CLIENT, 28),
        (label::NETWORK, 8),
        (label::CLOCKS, 2),
        (super::mix::mix(label::PROFILE, 0), 40),
        (super::mix::mix(label::PROFILE, 1), 40),
        (super::mix::mix(label::PROFILE, 2), 40),
        (super::mix::mix(label::PROFILE, 3), 40),
        (super::mix::mix(label::PROFILE, 4), 40),
        (label::FAULTS, 300),
        (label::WORKLOAD, 260),
    ];
}

/// The most messages whose delays bytes choose.
#[cfg(any(test, feature = "fuzzing"))]
const DELAYS_MAX: usize = 2_000;

/// What plans had before there could be several.
const fn one_server() -> u8 {
    1
}

/// What plans had before they could differ.
const fn usual_clocks() -> u32 {
    CLOCK_RATE_PPM
}

/// ZooKeeper's own.
const fn usual_patience() -> u32 {
    5
}

fn faults(stream: &Stream<'_>, limits: &Limits) -> Vec<Strike> {
    let mut draw = stream(label::FAULTS);
    // Swarm testing (A. Groce et al., ISSTA 2012): a run without breaks finds what breaks would hide.
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| draw.one_in(2)).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let count = draw.between(1, FAULTS_MAX);
    (0..count).map(|_| fault::draw(&mut draw, &kinds, limits)).collect()
}

fn actions(stream: &Stream<'_>, limits: &Limits) -> Vec<Action> {
    let mut draw = stream(label::WORKLOAD);
    let count = draw.below(ACTIONS_MAX + 1);
    (0..count).map(|_| workload::action(&mut draw, limits)).collect()
}

impl NodePlan {
    fn draw(stream: &Stream<'_>, node: u8, limits: &Limits) -> Self {
        let mut draw = stream(super::mix::mix(label::PROFILE, u64::from(node)));
        let bound = i32::try_from(limits.clock_rate_ppm).unwrap_or(0);
        Self {
            clock_origin: draw.below(1 << 50),
            clock_rate_ppm: match draw.below(4) {
                0 => bound,
                1 => -bound,
                2 => 0,
                _ => i32::try_from(draw.below(u64::from(2 * limits.clock_rate_ppm))).unwrap_or(0) - bound,
            },
            start_at: if draw.one_in(2) {
                Duration::ZERO
            } else {
                draw.duration(Duration::ZERO, limits.lease * 2)
            },
            profile: workload::profile(&mut draw, limits),
        }
    }
}

impl NetworkPlan {
    fn draw(stream: &Stream<'_>, lease: Duration) -> Self {
        let mut draw = stream(label::NETWORK);
        let delay_max = lease / u32::from(draw.pick(&[50_u8, 100, 250]));
        Self {
            delay_min: delay_max / u32::from(draw.pick(&[1_u8, 2, 10])),
            delay_max,
            spike_one_in: draw.pick(&[0, 0, 100, 20]),
            spike_max: lease / u32::from(draw.pick(&[1_u8, 2, 5])),
        }
    }
}

impl ClientPlan {
    fn draw(stream: &Stream<'_>, lease: Duration, session_timeout: Duration) -> Self {
        let mut draw = stream(label::CLIENT);
        let lag = |draw: &mut Draw| match draw.below(6) {
            0 => lease / 2,
            1 => lease / 20,
            _ => Duration::ZERO,
        };
        Self {
            connection_timeout: (lease / 5 * u32::from(draw.pick(&[1_u8, 1, 2, 5, 10])))
                .min(session_timeout * 3 / 5),
            reconnect_max: lease / u32::from(draw.pick(&[100_u8, 10, 3])),
            offline: draw.pick(&[Offline::Kept, Offline::Unknown]),
            rearmed: draw.pick(&[Rearmed::All, Rearmed::OneShots, Rearmed::Nothing]),
            zxids: draw.pick(&[Zxids::Shown, Zxids::Hidden]),
            reply_lag_max: lag(&mut draw),
            event_lag_max: lag(&mut draw),
            gaps: draw.pick(&[Gaps::Reported, Gaps::SomeNoticedLate]),
            order: draw.pick(&[Order::Wire, Order::Streams, Order::Streams]),
            expiry: draw.pick(&[Expiry::Heard, Expiry::Guessed]),
            losses: Losses::Reported,
        }
    }
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
             zxids {:?}, gaps {:?}, order {:?}, replies lag {:?}, events lag {:?}, expiry {:?}, losses {:?}",
            client.connection_timeout,
            client.reconnect_max,
            client.offline,
            client.rearmed,
            client.zxids,
            client.gaps,
            client.order,
            client.reply_lag_max,
            client.event_lag_max,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explorer::Fault;

    #[test]
    fn a_seed_draws_one_plan_and_seeds_differ() {
        assert_eq!(Plan::from_seed(3), Plan::from_seed(3));
        assert_ne!(Plan::from_seed(3).to_string(), Plan::from_seed(4).to_string());
    }

    #[test]
    fn any_bytes_choose_a_plan_that_makes_sense_and_long_ones_choose_all_of_it() {
        let mut draw = Draw::new(1, 1);
        for len in (0..1_500).step_by(50) {
            let bytes: Vec<u8> = (0..len).map(|_| draw.index(u8::MAX)).collect();
            let plan = Plan::of_bytes(&bytes);
            assert_eq!(plan.check(), Ok(()), "{plan}");
        }
        let plans: Vec<Plan> = (0..50)
            .map(|_| Plan::of_bytes(&(0..1_500).map(|_| draw.index(u8::MAX)).collect::<Vec<u8>>()))
            .collect();
        assert!(plans.iter().any(|plan| plan.servers == 1) && plans.iter().any(|plan| plan.servers == 5));
        assert!(
            plans.iter().any(|plan| plan.faults.len() > 10)
                && plans.iter().all(|plan| !plan.delays.is_empty())
        );
    }

    #[test]
    fn every_kind_of_fault_is_on_in_some_plans_and_off_in_others() {
        let has =
            |plan: &Plan, wanted: fn(&Fault) -> bool| plan.faults.iter().any(|strike| wanted(&strike.fault));
        let kinds: [fn(&Fault) -> bool; 9] = [
            |fault| matches!(fault, Fault::Break { .. }),
            |fault| matches!(fault, Fault::Abandon { .. }),
            |fault| matches!(fault, Fault::Stall { .. }),
            |fault| matches!(fault, Fault::Cut { .. }),
            |fault| matches!(fault, Fault::Expire { .. }),
            |fault| matches!(fault, Fault::Pause { .. }),
            |fault| matches!(fault, Fault::Crash { .. }),
            |fault| matches!(fault, Fault::Hand(_)),
            |fault| matches!(fault, Fault::Outage(_)),
        ];
        let plans: Vec<Plan> = (0..200).map(Plan::of_ensemble).collect();
        for kind in kinds {
            assert!(plans.iter().any(|plan| has(plan, kind)));
            assert!(plans.iter().any(|plan| !has(plan, kind)));
        }
    }
}
