//! Bounded worlds: who is there, where they begin, and which faults may happen how often.

use std::fmt;
use std::time::Duration;

use queenright_core::mutation::Mutation;
use queenright_core::{Config, Directory, Incarnation, Name, Path};

use crate::checkers::Life;

/// The most nodes of a world.
pub(super) const NODES_MAX: usize = 3;
/// The most globals of a world.
pub(super) const GLOBALS_MAX: usize = 2;

/// Where everything lives.
pub(super) const ROOT: &str = "/q";

/// How often each fault may happen in one history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
}

impl Faults {
    pub(super) const KINDS: usize = 6;

    pub(super) const fn counts(self) -> [u8; Self::KINDS] {
        [self.breaks, self.expiries, self.lapses, self.stalls, self.crashes, self.resignations]
    }
}

/// What has happened before the first fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All nodes are connected and stand for everything, and none of their requests has arrived. Directories and term
    /// records are there, from a term that is over.
    Standing,
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
    /// How many globals. All nodes stand for all of them.
    pub globals: u8,
    /// Where it begins.
    pub start: Start,
    /// Which faults.
    pub faults: Faults,
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
    /// A lease record was gone while its node lived.
    LeaseLost,
    /// A session ended while its node lived.
    SessionLost,
    /// A request of a connection that was broken was applied all the same.
    AppliedLate,
    /// An instance was registered in a second session.
    RegisteredAgain,
    /// A registration found its znode under a session that is over for its node.
    Occupied,
}

impl Goal {
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl World {
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

    pub(super) fn global(&self, index: u8) -> Name {
        name(if index == 0 { "g" } else { "h" })
    }

    pub(super) fn index(&self, global: &Name) -> u8 {
        u8::from(global.as_str() != "g")
    }

    pub(super) fn directory() -> Directory {
        Directory::Service(name("s"))
    }

    pub(super) fn instance(&self, node: u8) -> (Directory, Name, Vec<u8>) {
        (Self::directory(), name(&format!("i{node}")), self.payload.to_vec())
    }
}

impl fmt::Display for World {
    /// Its bounds, in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults { breaks, expiries, lapses, stalls, crashes, resignations } = self.faults;
        write!(f, "{}; {} nodes, {} globals, {:?}", self.about, self.nodes, self.globals, self.horizon)?;
        for (count, what) in [
            (breaks, "breaks"),
            (expiries, "expiries"),
            (lapses, "lapses"),
            (stalls, "stalls"),
            (crashes, "crashes"),
            (resignations, "resignations"),
        ] {
            if count > 0 {
                write!(f, ", {what} <= {count}")?;
            }
        }
        match self.states {
            Some(states) => write!(f, "; {states} states"),
            None => f.write_str("; not pinned"),
        }
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_else(|bad| panic!("{text}: {bad}"))
}
