//! A server that is behind what a node has seen, played by hand.

use queenright_core::op::{Op, OpError, Reply, Stat};
use queenright_core::{Freshness, Input, Instant, Output, SessionEpoch, SessionEvent, SessionId, Zxid};

use crate::checkers::Violation;
use crate::scenario::{Call, Machine, nodes};

/// How the node comes to the server that is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journey {
    /// By a new session, which remembers nothing.
    NewSession,
    /// By a reconnect within the session.
    OtherServer,
}

/// What a machine tells that has seen a member at 500, when a server at 420 shows none.
pub(super) fn travels_in_time(machine: &mut dyn Machine, journey: Journey) -> Result<(), Violation> {
    let connected = |epoch| {
        Input::Session(SessionEvent::Connected { session_epoch: SessionEpoch(epoch), session: SessionId(7) })
    };
    machine.handle_input(Instant::ORIGIN, connected(1));
    machine
        .call(Instant::ORIGIN, Call::Subscribe(nodes()))
        .map_err(|misuse| Violation::new("refused calls", misuse.to_string()))?;
    answer(machine, Zxid(500), &["B"]);
    let Some((Freshness::Fresh, seen)) = machine.directory(&nodes()) else {
        return Err(Violation::new("caches", "what there was, was not loaded"));
    };
    machine.handle_input(Instant::ORIGIN, Input::Session(SessionEvent::Suspended));
    machine.handle_input(
        Instant::ORIGIN,
        match journey {
            Journey::NewSession => connected(2),
            Journey::OtherServer => Input::Session(SessionEvent::Reconnected),
        },
    );
    answer(machine, Zxid(420), &[]);
    match machine.directory(&nodes()) {
        Some((Freshness::Stale { .. }, now)) if now == seen => Ok(()),
        other => Err(Violation::new("caches", format!("by a view of the past it came to {other:?}"))),
    }
}

/// Answers all that the machine asks for, once, from a server at `zxid` that has these members.
fn answer(machine: &mut dyn Machine, zxid: Zxid, members: &[&str]) {
    let mut requests = Vec::new();
    while let Some(output) = machine.poll_output() {
        if let Output::Request(request) = output {
            requests.push(request);
        }
    }
    for request in requests {
        let stat = Stat::default();
        let outcome = match request.op {
            Op::GetChildren { .. } => {
                Ok(Reply::Children { names: members.iter().map(|name| (*name).to_owned()).collect(), stat })
            }
            Op::AddWatch { .. } => Ok(Reply::WatchAdded),
            Op::Sync { .. } => Ok(Reply::Synced),
            Op::Create { .. }
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::GetData { .. }
            | Op::Exists { .. }
            | Op::RemoveWatch { .. }
            | Op::Multi(_) => Err(OpError::Unknown),
        };
        // What is sent at once because of it stays in the machine: it is not this server that will answer it.
        machine.handle_input(
            Instant::ORIGIN,
            Input::Response {
                session_epoch: request.session_epoch,
                request: request.id,
                zxid: Some(zxid),
                outcome,
            },
        );
    }
}
