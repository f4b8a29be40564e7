//! Bounded worlds: who is there, where they begin, and which faults may happen how often.

use std::fmt;
use std::time::Duration;

use queenright_core::mutation::Mutation;
use queenright_core::{Config, Directory, Incarnation, Name, Path, Terms};
use serde::{Deserialize, Serialize};

use crate::checkers::Life;
use crate::zookeeper::ServerId;

/// The most nodes of a world.
pub(super) const NODES_MAX: usize = 3;
/// The most globals of a world.
pub(super) const GLOBALS_MAX: usize = 2;

/// Where everything lives.
pub(super) const ROOT: &str = "/q";

/// How often each fault may happen in one history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// A connection breaks. What was sent may still arrive until the node is back; what was answered is lost.
    pub breaks: u8,
    /// The server ends a session.
    pub expiries: u8,
    /// A node pauses: it takes no input and sees no deadline, while others go on.
    pub lapses: u8,
    /// A connection stands still both ways, and lives.
    pub stalls: u8,
    /// A node crashes. It may start again, as another life; its session ends sooner or later.
    pub crashes: u8,
    /// A candidacy or a registration is given up.
    pub resignations: u8,
    /// A janitor deletes the lease record of a node that has never held anything, as the record has not changed for long; or
    /// somebody deletes the znode of an instance.
    pub kills: u8,
    /// The server of a node lags: it answers reads from the past, until it catches up. With any, each node has a server of
    /// its own; without, there is one for all.
    pub lags: u8,
    /// A candidacy that was given up is wanted again; or an instance, given up or not, with another payload.
    pub returns: u8,
    /// The application of a term comes to its end by itself.
    pub finishes: u8,
    /// Somebody writes to the znode of an instance.
    pub writes: u8,
    /// A node connects to a server that is behind what it has seen: one that leads no more, and does not know it, so that it
    /// answers a `sync` alone; and the client does not say what it has seen. Such a client shows no zxids, either. With any,
    /// nodes are connected to the server that leads, and what lags is where they stray to.
    pub strays: u8,
    /// A node gives its session up, which lives on at the server.
    pub abandons: u8,
    /// A subscription is given up.
    pub leaves: u8,
}

impl Faults {
    pub(super) const KINDS: usize = 14;

    /// What each is called.
    pub(super) const NAMES: [&'static str; Self::KINDS] = [
        "breaks",
        "expiries",
        "lapses",
        "stalls",
        "crashes",
        "resignations",
        "kills",
        "lags",
        "returns",
        "finishes",
        "writes",
        "strays",
        "abandons",
        "leaves",
    ];

    pub(super) const fn counts(self) -> [u8; Self::KINDS] {
        let Self { breaks, expiries, lapses, stalls, crashes, resignations, kills, lags, returns, .. } = self;
        let Self { finishes, writes, strays, abandons, leaves, .. } = self;
        [
            breaks,
            expiries,
            lapses,
            stalls,
            crashes,
            resignations,
            kills,
            lags,
            returns,
            finishes,
            writes,
            strays,
            abandons,
            leaves,
        ]
    }
}

/// What has happened before the first fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All nodes are connected and stand for everything, and none of their requests has arrived. Directories and term
    /// records are there, from a term that is over.
    Standing,
    /// The same, but for the term records: they name a holder that has died and left its lease record.
    Orphaned,
    /// The same, but all nodes but the last have settled: they wait for the silence of the dead holder to last.
    Joining,
    /// The first node leads everything, and all others wait behind it.
    Led,
    /// The first node registers an instance, and the last one caches the directory.
    Registering,
}

/// A bounded world.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How many nodes.
    pub nodes: u8,
    /// How many globals. All nodes stand for all of them, but for the onlookers.
    pub globals: u8,
    /// So many nodes, the last ones, only look the globals up.
    pub onlookers: u8,
    /// For how many terms the others stand.
    pub terms: Terms,
    /// Whether an application may say that it has stopped when its term is over, also by then.
    pub is_slow: bool,
    /// How many instances the first node may register. From the first it registers one.
    pub instances: u8,
    /// Where it begins.
    pub start: Start,
    /// Which faults.
    pub faults: Faults,
    /// That nobody can tell what became of a request is told late: also after its node has connected again. Or else before
    /// anything else.
    pub is_late: bool,
    /// No deadline later than this, in true time, is acted on.
    pub horizon: Duration,
    /// The payload of the instance that is registered.
    pub payload: &'static [u8],
    /// What must be reached somewhere in it, or nothing was checked there.
    pub goals: &'static [Goal],
    /// How many states it has.
    pub states: Option<u64>,
    /// A guard that is taken out, to see a property fail.
    pub mutation: Option<Mutation>,
}

/// States that a world must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// A node was elected.
    Elected,
    /// One after another.
    ElectedAfterAnother,
    /// A take-over from a holder whose record was gone (rule 9a) was applied.
    TakenOverAbsent,
    /// A take-over from a silent holder (rule 9b) was applied.
    TakenOverSilent,
    /// A claim whose answer was lost was found to have been applied.
    ClaimAdopted,
    /// A belief ended while its node did not look.
    BeliefLapsed,
    /// An application was told to stop because the lease ran out.
    RanOut,
    /// A node learned that its lease record is gone.
    LeaseLost,
    /// A session ended while its node lived.
    SessionLost,
    /// A request of a connection that was broken was applied all the same.
    AppliedLate,
    /// An instance was registered in a second session.
    RegisteredAgain,
    /// A server that lags answered a read.
    ReadThePast,
    /// A registration found its znode under a session that is over for its node.
    Occupied,
    /// Somebody who only looked vacated the term of a dead holder (rule 9).
    Vacated,
}

impl Goal {
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl World {
    /// The same world with another bound.
    ///
    /// # Errors
    /// When there is no such bound, or the checker has no room for so much.
    pub fn with(mut self, bound: &str, value: u32) -> Result<Self, String> {
        self.states = None;
        let small = u8::try_from(value).map_err(|_| format!("{bound}: {value} is too much"))?;
        let Faults { breaks, expiries, lapses, stalls, crashes, resignations, kills, lags, returns, .. } =
            &mut self.faults;
        match bound {
            "nodes" => self.nodes = small,
            "globals" => self.globals = small,
            "breaks" => *breaks = small,
            "expiries" => *expiries = small,
            "lapses" => *lapses = small,
            "stalls" => *stalls = small,
            "crashes" => *crashes = small,
            "resignations" => *resignations = small,
            "kills" => *kills = small,
            "lags" => *lags = small,
            "returns" => *returns = small,
            "finishes" => self.faults.finishes = small,
            "writes" => self.faults.writes = small,
            "strays" => self.faults.strays = small,
            "abandons" => self.faults.abandons = small,
            "leaves" => self.faults.leaves = small,
            "late" => self.is_late = small > 0,
            _ => {
                return Err(format!(
                    "there is no bound {bound:?}: nodes, globals, {}",
                    Faults::NAMES.join(", ")
                ));
            }
        }
        self.check_bounds()?;
        Ok(self)
    }

    /// Whether the checker has room for it.
    pub(super) fn check_bounds(&self) -> Result<(), String> {
        match (usize::from(self.nodes), usize::from(self.globals)) {
            (1..=NODES_MAX, 0..=GLOBALS_MAX) if self.faults.strays > 0 && self.faults.lags == 0 => {
                Err("nobody strays where no server lags".to_owned())
            }
            (1..=NODES_MAX, 0..=GLOBALS_MAX) => Ok(()),
            (nodes, globals) => Err(format!(
                "{nodes} nodes and {globals} globals: a world has 1 to {NODES_MAX} nodes and up to {GLOBALS_MAX} globals"
            )),
        }
    }

    pub(super) fn config(&self, life: Life) -> Config {
        let number = u128::from(life.node) << 16 | u128::from(life.number);
        let incarnation = Incarnation(number + 1);
        let mut config = Config::new(name(&format!("n{}", life.node)), incarnation);
        config.root = Path::new(ROOT).unwrap_or_else(|bad| panic!("{ROOT}: {bad}"));
        config.janitor_period = None;
        #[cfg(feature = "mutations")]
        {
            config.mutation = self.mutation;
        }
        config
    }

    /// How far the rate of a node's clock is from true, in millionths: the first one is as slow as it may be, so that its
    /// leases last longest, and the second as fast, so that its patience ends soonest.
    pub(super) const fn rate_ppm(node: u8) -> i64 {
        match node {
            0 => -5_000,
            1 => 5_000,
            _ => 0,
        }
    }

    /// How many servers there are: the last one leads.
    pub(super) const fn servers(&self) -> u8 {
        if self.faults.lags > 0 { self.nodes + 1 } else { 1 }
    }

    /// The server that a node uses, or strays to.
    pub(super) const fn server_of(&self, node: u8) -> ServerId {
        if self.faults.lags > 0 { ServerId(node + 1) } else { ServerId::FIRST }
    }

    /// The server that a node uses, if it has strayed or not.
    pub(super) const fn server_in_use(&self, node: u8, is_astray: bool) -> ServerId {
        if self.faults.strays > 0 && !is_astray { self.newest() } else { self.server_of(node) }
    }

    /// Whether a node only looks the globals up.
    pub(super) const fn is_onlooker(&self, node: u8) -> bool {
        node + self.onlookers >= self.nodes
    }

    /// Whether a node caches the directory from the first.
    pub(super) fn is_subscriber(&self, node: u8) -> bool {
        self.start == Start::Registering && node + 1 == self.nodes && node != 0
    }

    /// Whether somebody else has a connection of its own.
    pub(super) const fn has_janitor(&self) -> bool {
        self.faults.kills > 0 || self.faults.writes > 0
    }

    /// The server that has everything.
    pub(super) const fn newest(&self) -> ServerId {
        ServerId(self.servers())
    }

    pub(super) fn global(&self, index: u8) -> Name {
        name(if index == 0 { "g" } else { "h" })
    }

    pub(super) fn index(&self, global: &Name) -> u8 {
        u8::from(global.as_str() != "g")
    }

    pub(super) fn directory() -> Directory {
        Directory::Service(name("s"))
    }

    /// What a node registers as which instance, the how manieth time in this life: each time it has another payload, if it
    /// has any.
    pub(super) fn instance(&self, life: Life, instance: u8, edition: u8) -> (Directory, Name, Vec<u8>) {
        let payload = self.payload.repeat(usize::from(edition) + life.number as usize % 8);
        let letter = if instance == 0 { 'i' } else { 'j' };
        (Self::directory(), name(&format!("{letter}{}", life.node)), payload)
    }
}

impl World {
    /// What it is, and what bounds it, in a line.
    #[must_use]
    pub fn bounds(&self) -> String {
        let Self { about, nodes, globals, horizon, .. } = self;
        let faults = self.faults.counts().into_iter().zip(Faults::NAMES).filter(|(count, _)| *count > 0);
        let faults: String = faults.map(|(count, what)| format!(", {what} <= {count}")).collect();
        format!("{about}; {nodes} nodes, {globals} globals, {horizon:?}{faults}")
    }
}

impl fmt::Display for World {
    /// Its bounds, and how many states it has, in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.states {
            Some(states) => write!(f, "{}; {states} states", self.bounds()),
            None => write!(f, "{}; not exhausted", self.bounds()),
        }
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_else(|bad| panic!("{text}: {bad}"))
}
