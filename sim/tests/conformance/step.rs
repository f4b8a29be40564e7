//! What clients do to a server, step by step.

use std::fmt;

use queenright_core::wire::{
    Create, CreateFlags, CreateForm, MultiReadRequest, MultiRequest, OpCode, Request, xid,
};

/// A client. It has one session at a time, and one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Client(pub(crate) char);

/// One step, after which everything comes to rest: all answers are in, and all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new connection, and a new session over it.
    Connect { client: Client, hello: Hello },
    /// A new connection for the session that the client had last, or another one had, be it over or not.
    Reattach { client: Client, of: Option<Client>, hello: Hello, proof: Proof },
    /// The connection breaks; the session lives on.
    Drop { client: Client },
    /// Requests, all of them written before the first answer is read.
    Ask { client: Client, asks: Vec<Ask> },
    /// The client comes back with the shortest timeout, says no more, or breaks the connection, too, and then its
    /// session is over.
    Expire { client: Client, dropped: bool },
    /// Time passes, and a sweep is among what happens in it.
    Sweep,
    /// Something happens to a server.
    Strike { fault: Fault, at: Spot },
}

/// One server of an ensemble: its leader, or one of two followers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    #[default]
    Leader,
    One,
    Two,
}

/// What happens to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing passes between it and its leader. Whatever they say arrives later.
    Cut,
    /// The opposite.
    Heal,
    /// It dies.
    Kill,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) timeout_ms: i32,
    /// Clients before 3.4 do not know the byte.
    pub(crate) is_old: bool,
    /// Pretends to have seen a transaction that is so many after the last one.
    pub(crate) ahead: Option<i64>,
    /// Which server.
    pub(crate) at: Spot,
}

/// The password with which a client comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Right,
    Wrong,
    Null,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) query: Query,
    /// How many bytes of the body are left out; negative for bytes that are added.
    pub(crate) cut: i32,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    Request(Request),
    /// A multi, or a multiRead, with both reads and writes in it: no server takes it.
    Mixed {
        opcode: OpCode,
        parts: Vec<Part>,
    },
    /// Anything.
    Raw {
        opcode: i32,
        body: Vec<u8>,
    },
}

/// One part of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Write(MultiRequest),
    Read(MultiReadRequest),
}

pub(crate) const DEFAULT_TIMEOUT_MS: i32 = 30_000;

impl Default for Hello {
    fn default() -> Self {
        Self { timeout_ms: DEFAULT_TIMEOUT_MS, is_old: false, ahead: None, at: Spot::Leader }
    }
}

impl Step {
    /// Whose step it is.
    pub(crate) fn client(&self) -> Option<Client> {
        match self {
            Self::Connect { client, .. }
            | Self::Reattach { client, .. }
            | Self::Drop { client }
            | Self::Ask { client, .. }
            | Self::Expire { client, .. } => Some(*client),
            Self::Sweep | Self::Strike { .. } => None,
        }
    }

    /// Whether a session may end in it: then the order of what is deleted is the server's own affair.
    pub(crate) fn may_end_a_session(&self) -> bool {
        match self {
            Self::Expire { .. } => true,
            Self::Ask { asks, .. } => asks.iter().any(|ask| ask.opcode() == OpCode::CloseSession as i32),
            Self::Connect { .. }
            | Self::Reattach { .. }
            | Self::Drop { .. }
            | Self::Sweep
            | Self::Strike { .. } => false,
        }
    }
}

impl Ask {
    pub(crate) fn new(request: Request) -> Self {
        Self { query: Query::Request(request), cut: 0 }
    }

    /// The xid of the answer when `asked` is that of the request. Pings have one of their own, whatever they were sent with.
    pub(crate) fn answered_xid(&self, asked: i32) -> i32 {
        if self.opcode() == OpCode::Ping as i32 { xid::PING } else { asked }
    }

    /// The type in the header.
    pub(crate) fn opcode(&self) -> i32 {
        match &self.query {
            Query::Request(request) => request.opcode().map_or_else(|number| number, OpCode::number),
            Query::Mixed { opcode, .. } => *opcode as i32,
            Query::Raw { opcode, .. } => *opcode,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) const SPOTS: [(Spot, &str); 3] =
    [(Spot::Leader, "leader"), (Spot::One, "one"), (Spot::Two, "two")];

pub(crate) const FAULTS: [(Fault, &str); 3] =
    [(Fault::Cut, "cut"), (Fault::Heal, "heal"), (Fault::Kill, "kill")];

/// The flags that have a word, and the word.
pub(crate) const FLAGS: [(CreateFlags, &str); 7] = [
    (CreateFlags::PERSISTENT, "persistent"),
    (CreateFlags::EPHEMERAL, "ephemeral"),
    (CreateFlags::PERSISTENT_SEQUENTIAL, "sequential"),
    (CreateFlags::EPHEMERAL_SEQUENTIAL, "ephemeral-sequential"),
    (CreateFlags::CONTAINER, "container"),
    (CreateFlags::TTL, "ttl"),
    (CreateFlags::TTL_SEQUENTIAL, "ttl-sequential"),
];

/// What is created when nothing else is said.
pub(crate) fn usual_flags(form: CreateForm) -> CreateFlags {
    match form {
        CreateForm::Create | CreateForm::Create2 => CreateFlags::PERSISTENT,
        CreateForm::Container => CreateFlags::CONTAINER,
        CreateForm::Ttl { .. } => CreateFlags::TTL,
    }
}

/// The verb of each form.
pub(crate) fn create_verb(create: &Create) -> &'static str {
    match create.form {
        CreateForm::Create => "create",
        CreateForm::Create2 => "create2",
        CreateForm::Container => "create-container",
        CreateForm::Ttl { .. } => "create-ttl",
    }
}
