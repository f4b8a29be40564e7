//! What is drawn, as data. Times are nanoseconds of real time since the beginning.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A run that can be drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// What it is called.
    pub title: String,
    /// What it was made from, in words.
    pub plan: String,
    /// What did not hold, in words.
    pub violation: Option<String>,
    /// The length of a lease.
    pub lease: u64,
    /// When it ended.
    pub end: u64,
    /// How many nodes there are.
    pub nodes: u8,
    /// How many servers there are.
    pub servers: u8,
    /// The globals, by number.
    pub globals: Vec<String>,
    /// All that happened, in order.
    pub events: Vec<Event>,
    /// Messages between nodes and servers.
    pub messages: Vec<Message>,
    /// What lasted.
    pub spans: Vec<Span>,
    /// What nodes believed.
    pub terms: Vec<Term>,
    /// Belief and truth, by global.
    pub rulers: Vec<Ruler>,
}

/// Something that happened at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: u64,
    /// Where.
    pub lane: Lane,
    /// What kind of thing.
    pub kind: Kind,
    /// In words.
    pub text: String,
    /// What led to it, by number; all of them came before.
    pub causes: Vec<u32>,
}

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Nowhere: from outside.
    Faults,
    /// At a server.
    Server(u8),
    /// At a node.
    Node(u8),
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A fault, or an outside hand.
    Fault,
    /// A process begins, ends, pauses or resumes.
    Process,
    /// An application does something.
    Call,
    /// A session changes.
    Session,
    /// A coordinator is told something.
    Input,
    /// A coordinator decides something.
    Output,
    /// A belief begins or ends.
    Belief,
    /// A message sets out.
    Sent,
    /// A message arrives.
    Received,
    /// A message is lost.
    Lost,
    /// The same, of a message that only says that somebody is there.
    Ping,
    /// A znode changes.
    Change,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// From where.
    pub from: Lane,
    /// To where.
    pub to: Lane,
    /// The event of sending it.
    pub sent: u32,
    /// The event of its arrival, or of its loss.
    pub ended: Option<u32>,
    /// What became of it.
    pub fate: Fate,
    /// Whether it changes the tree.
    pub writes: bool,
    /// Whether it only says that somebody is there.
    pub ping: bool,
    /// In words.
    pub text: String,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It had not arrived when the run ended.
    Travelling,
    /// It arrived.
    Arrived,
    /// It did not, and never will.
    Lost,
    /// It arrived and took effect, and whoever sent it will not hear of it.
    Unheard,
}

/// Something that lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where.
    pub lane: Lane,
    /// In which of the lane's rows.
    pub row: Row,
    /// From when.
    pub from: u64,
    /// Until when.
    pub to: u64,
    /// Its state, a word for a colour.
    pub state: String,
    /// In words.
    pub text: String,
}

/// A row of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Row {
    /// What holds messages up.
    Network,
    /// The process.
    Process,
    /// The session, as the coordinator knows it.
    Session,
    /// The role in a global.
    Role(u32),
}

/// A belief to lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Whose.
    pub node: u8,
    /// In which global.
    pub global: u32,
    /// Its token.
    pub token: i64,
    /// When something was said of its end, and when that is.
    pub points: Vec<(u64, u64)>,
    /// When it was over, if anybody said so.
    pub revoked: Option<u64>,
    /// When it truly held: from, to.
    pub held: Vec<(u64, u64)>,
}

/// Belief against truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruler {
    /// Of which global.
    pub global: u32,
    /// Who leads by the tree.
    pub truth: Vec<Truth>,
    /// When two believed at once: from, to. Nothing, in a correct run.
    pub overlaps: Vec<(u64, u64)>,
    /// The sum of that.
    pub overlap: u64,
    /// When somebody believed while the tree named somebody else: from, to.
    pub astray: Vec<(u64, u64)>,
}

/// Whom the tree names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// From when.
    pub from: u64,
    /// Until when.
    pub to: u64,
    /// The node; `None` when the place is vacant.
    pub node: Option<u8>,
    /// The version of the record.
    pub version: Option<i32>,
}

impl Timeline {
    /// All that led to an event, itself included.
    #[must_use]
    pub fn cone(&self, event: u32) -> BTreeSet<u32> {
        let mut cone = BTreeSet::new();
        let mut open = vec![event];
        while let Some(next) = open.pop() {
            if let Some(found) = self.events.get(next as usize)
                && cone.insert(next)
            {
                open.extend(&found.causes);
            }
        }
        cone
    }
}
