//! How a plan is drawn: every choice from a stream of its own, which a seed or somebody's bytes feed.

use std::time::Duration;

use super::fault::{self, Kind, Limits, Strike};
use super::mix::{Draw, mix};
use super::outage;
use super::plan::{
    ClientPlan, Ending, Expiry, Gaps, Losses, NetworkPlan, NodePlan, Offline, Order, Plan, Rearmed, Zxids,
    one_server, usual_patience,
};
use super::workload::{self, Action, INSTANCES};

/// How much there is in a plan.
struct Size {
    nodes: &'static [u8],
    /// In an ensemble: how many servers, and how many nodes more.
    servers: &'static [u8],
    joiners: &'static [u8],
    globals: &'static [u8],
    services: &'static [u8],
    /// In leases, the least and the most.
    heal_at: (u64, u64),
    faults_max: u64,
    outages_max: u64,
    /// Beside what every node does at its start.
    actions_max: u64,
    /// How many requests of a node a fault may be tied to.
    requests: u64,
    /// In fifths of a lease. The shorter, the more pings there are.
    connection_timeout: &'static [u8],
    ending: Ending,
}

/// Long enough for what takes several terms, sessions or returns to come about.
const LONG: Size = Size {
    nodes: &[1, 2, 2, 3, 3, 3, 4, 4, 5],
    servers: &[1, 2, 3, 3, 3, 4, 5],
    joiners: &[0, 0, 0, 1, 2],
    globals: &[1, 1, 2, 3],
    services: &[1, 1, 2],
    heal_at: (5, 20),
    faults_max: 14,
    outages_max: 6,
    actions_max: 16,
    requests: 60,
    connection_timeout: &[1, 1, 2, 5, 10],
    ending: Ending::Late,
};

/// Long enough for one thing to go wrong in the middle of another, and so short that there can be many.
const BRIEF: Size = Size {
    nodes: &[1, 2, 2, 3, 3, 3],
    servers: LONG.servers,
    joiners: LONG.joiners,
    globals: &[1],
    services: &[1],
    heal_at: (1, 5),
    faults_max: 5,
    outages_max: 3,
    actions_max: 5,
    requests: 30,
    connection_timeout: &[1, 5, 10, 10],
    ending: Ending::Settled,
};

/// The fewest events: a fuzzer looks for what is not there yet by itself, if only there is time for very many runs.
#[cfg(any(test, feature = "fuzzing"))]
const SMALL: Size = Size {
    nodes: &[2, 2, 3, 1],
    servers: &[1, 3, 2],
    joiners: &[0],
    heal_at: (1, 3),
    faults_max: 3,
    outages_max: 2,
    actions_max: 3,
    connection_timeout: &[10, 5],
    ..BRIEF
};

/// ρ by default, and so the fastest and the slowest clock of most runs.
pub(super) const CLOCK_RATE_PPM: u32 = 5_000;
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
    pub(super) const FAMILY: u64 = 9;
    pub(super) const DRIVER: u64 = 10;
}

/// The choices that belong to a label.
type Stream<'a> = dyn Fn(u64) -> Draw + 'a;

/// What kind of plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One server, up to three nodes, one global and one service, a few leases with up to five faults, and an end as soon as
    /// all has settled. Most are found by these, because there can be so many.
    Brief,
    /// One server, up to five nodes, three globals and two services, up to twenty leases with up to fourteen faults, and a long
    /// rest: what takes several terms, sessions or returns comes about.
    Long,
    /// [`Self::Brief`] on one to five servers with outages, with clients that may not tell that a session is over, drivers that
    /// hear of it late, and queues whose numbers wrap around.
    BriefEnsemble,
    /// [`Self::Long`] on such servers, with up to seven nodes; most end as soon as all has settled.
    LongEnsemble,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Brief, Self::Long, Self::BriefEnsemble, Self::LongEnsemble];

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brief => "brief",
            Self::Long => "long",
            Self::BriefEnsemble => "brief-ensemble",
            Self::LongEnsemble => "long-ensemble",
        }
    }

    /// That of a seed: of sixteen eleven are brief, two long; two and one are of ensembles.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        match Draw::new(seed, label::FAMILY).below(16) {
            0..=10 => Self::Brief,
            11..=12 => Self::Long,
            13..=14 => Self::BriefEnsemble,
            _ => Self::LongEnsemble,
        }
    }
}

impl Plan {
    /// Draws everything from a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self::of_family(Family::of_seed(seed), seed)
    }

    /// Draws everything but the family.
    #[must_use]
    pub fn of_family(family: Family, seed: u64) -> Self {
        let stream = |label| Draw::new(seed, label);
        match family {
            Family::Brief => Self::draw(seed, &BRIEF, &stream),
            Family::Long => Self::draw(seed, &LONG, &stream),
            Family::BriefEnsemble => Self::draw_ensemble(seed, &BRIEF, &stream),
            Family::LongEnsemble => Self::draw_ensemble(seed, &LONG, &stream),
        }
    }

    fn draw(seed: u64, size: &Size, stream: &Stream<'_>) -> Self {
        let mut draw = stream(label::SHAPE);
        let lease = Duration::from_millis(draw.pick(&[300, 1_000, 3_000]));
        let session_timeout = lease * u32::from(draw.pick(&[1_u8, 2, 2, 4, 8]));
        let tick = session_timeout / 10;
        let heal_at = lease * u32::try_from(draw.between(size.heal_at.0, size.heal_at.1)).unwrap_or(1);
        let limits = Limits {
            nodes: draw.pick(size.nodes),
            globals: draw.pick(size.globals),
            services: draw.pick(size.services),
            instances: INSTANCES,
            lease,
            session: session_timeout,
            heal_at,
            requests: size.requests,
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
            ending: size.ending,
            stale_one_in: draw.pick(&[0, 0, 0, 2, 8]),
            stop_time_max,
            nodes: (0..limits.nodes).map(|node| NodePlan::draw(stream, node, &limits)).collect(),
            network: NetworkPlan::draw(stream, lease),
            client: ClientPlan::draw(stream, size, lease, session_timeout),
            delays: Vec::new(),
            faults: faults(stream, size, &limits),
            actions: actions(stream, size, &limits),
        }
    }

    fn draw_ensemble(seed: u64, size: &Size, stream: &Stream<'_>) -> Self {
        let mut plan = Self::draw(seed, size, stream);
        let mut draw = stream(label::ENSEMBLE);
        plan.servers = draw.pick(size.servers);
        plan.sync_limit = draw.pick(&[2, 5, 5, 15]);
        plan.ending = if draw.one_in(8) { size.ending } else { Ending::Settled };
        plan.client.state_lag_max = match stream(label::DRIVER).below(8) {
            0 => plan.lease / 2,
            1 => plan.lease / 20,
            _ => Duration::ZERO,
        };
        plan.client.losses = draw.pick(&[Losses::Reported, Losses::Reported, Losses::Silent]);
        let mut limits = Limits {
            nodes: u8::try_from(plan.nodes.len()).unwrap_or(1),
            globals: plan.globals,
            services: plan.services,
            instances: INSTANCES,
            lease: plan.lease,
            session: plan.session_timeout,
            heal_at: plan.heal_at,
            requests: size.requests,
            clock_rate_ppm: plan.clock_rate_ppm,
        };
        for _ in 0..draw.pick(size.joiners) {
            plan.nodes.push(NodePlan::draw(stream, limits.nodes, &limits));
            limits.nodes += 1;
        }
        let kinds: Vec<outage::Kind> = outage::Kind::all(plan.servers).filter(|_| draw.one_in(2)).collect();
        if !kinds.is_empty() {
            let count = draw.between(1, size.outages_max);
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
        let mut plan = Self::draw_ensemble(seed, &SMALL, &stream);
        let at = 8 + Self::SECTIONS.iter().map(|(_, len)| len).sum::<usize>();
        plan.delays = bytes.get(at..).unwrap_or_default().iter().copied().take(DELAYS_MAX).collect();
        plan
    }

    /// By label, how many bytes choose what it is for; what has none is drawn from the seed.
    const SECTIONS: [(u64, usize); 10] = [
        (label::SHAPE, 20),
        (label::ENSEMBLE, 90),
        (label::CLIENT, 28),
        (label::NETWORK, 8),
        (label::CLOCKS, 2),
        (mix(label::PROFILE, 0), 40),
        (mix(label::PROFILE, 1), 40),
        (mix(label::PROFILE, 2), 40),
        (label::FAULTS, 72),
        (label::WORKLOAD, 60),
    ];
}

/// The most messages whose delays bytes choose.
#[cfg(any(test, feature = "fuzzing"))]
const DELAYS_MAX: usize = 2_000;

fn faults(stream: &Stream<'_>, size: &Size, limits: &Limits) -> Vec<Strike> {
    let mut draw = stream(label::FAULTS);
    // Swarm testing (A. Groce et al., ISSTA 2012): a run without breaks finds what breaks would hide.
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| draw.one_in(2)).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let count = draw.between(1, size.faults_max);
    (0..count).map(|_| fault::draw(&mut draw, &kinds, limits)).collect()
}

fn actions(stream: &Stream<'_>, size: &Size, limits: &Limits) -> Vec<Action> {
    let mut draw = stream(label::WORKLOAD);
    let count = draw.below(size.actions_max + 1);
    (0..count).map(|_| workload::action(&mut draw, limits)).collect()
}

impl NodePlan {
    fn draw(stream: &Stream<'_>, node: u8, limits: &Limits) -> Self {
        let mut draw = stream(mix(label::PROFILE, u64::from(node)));
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
    fn draw(stream: &Stream<'_>, size: &Size, lease: Duration, session_timeout: Duration) -> Self {
        let mut draw = stream(label::CLIENT);
        let lag = |draw: &mut Draw| match draw.below(6) {
            0 => lease / 2,
            1 => lease / 20,
            _ => Duration::ZERO,
        };
        Self {
            connection_timeout: (lease / 5 * u32::from(draw.pick(size.connection_timeout)))
                .min(session_timeout * 3 / 5),
            reconnect_max: lease / u32::from(draw.pick(&[100_u8, 10, 3])),
            offline: draw.pick(&[Offline::Kept, Offline::Unknown]),
            rearmed: draw.pick(&[Rearmed::All, Rearmed::OneShots, Rearmed::Nothing]),
            zxids: draw.pick(&[Zxids::Shown, Zxids::Hidden]),
            reply_lag_max: lag(&mut draw),
            event_lag_max: lag(&mut draw),
            state_lag_max: Duration::ZERO,
            gaps: draw.pick(&[Gaps::Reported, Gaps::SomeNoticedLate]),
            order: draw.pick(&[Order::Wire, Order::Streams, Order::Streams]),
            expiry: draw.pick(&[Expiry::Heard, Expiry::Guessed]),
            losses: Losses::Reported,
        }
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
        assert!(plans.iter().any(|plan| plan.servers == 1) && plans.iter().any(|plan| plan.servers == 3));
        assert!(
            plans.iter().any(|plan| plan.faults.len() > 3)
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
        let plans: Vec<Plan> = (0..200).map(|seed| Plan::of_family(Family::LongEnsemble, seed)).collect();
        for kind in kinds {
            assert!(plans.iter().any(|plan| has(plan, kind)));
            assert!(plans.iter().any(|plan| !has(plan, kind)));
        }
    }
}
