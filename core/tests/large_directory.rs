//! A directory with more payloads than are read at once: too large for a transcript.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::VecDeque;

use queenright_core::op::{Reply, Stat};
use queenright_core::{
    Config, Coordinator, Directory, Event, Freshness, Incarnation, Input, Instant, Name, Op, Output, Request,
    SessionEpoch, SessionEvent, SessionId,
};

/// So many instances, each with a payload.
const INSTANCES: usize = 600;
/// So many of them are read at once.
const AT_ONCE: usize = 256;

#[test]
fn payloads_are_read_so_many_at_a_time_and_all_of_them_are_told_in_one_piece() {
    let config = Config::new(Name::new("n1").unwrap(), Incarnation(1));
    let mut core = Coordinator::new(config, Instant::ORIGIN).unwrap();
    let session = SessionEvent::Connected { session_epoch: SessionEpoch(1), session: SessionId(1) };
    core.handle_input(Instant::ORIGIN, Input::Session(session));
    core.subscribe(Instant::ORIGIN, Directory::Service(Name::new("db").unwrap())).unwrap();

    let (mut reading, mut most, mut told) = (VecDeque::new(), 0, None);
    loop {
        while let Some(output) = core.poll_output() {
            match output {
                Output::Request(request) if matches!(request.op, Op::GetData { .. }) => {
                    reading.push_back(request);
                }
                Output::Request(request) => answer(&mut core, request),
                Output::Event(Event::Directory { freshness: Freshness::Fresh, changes, .. }) => {
                    assert!(told.replace(changes.len()).is_none(), "told in pieces");
                }
                Output::Event(_) => {}
            }
        }
        most = most.max(reading.len());
        let Some(request) = reading.pop_front() else { break };
        answer(&mut core, request);
    }
    assert_eq!((most, told), (AT_ONCE, Some(INSTANCES)));
}

/// What a server says in which there is nothing but the directory.
fn answer(core: &mut Coordinator, request: Request) {
    let stat = Stat { ephemeral_owner: 2, ..Stat::default() };
    let reply = match request.op {
        Op::Sync { .. } => Reply::Synced,
        Op::AddWatch { .. } => Reply::WatchAdded,
        Op::GetChildren { .. } => {
            Reply::Children { names: (0..INSTANCES).map(|number| format!("i{number}+")).collect(), stat }
        }
        Op::GetData { .. } => Reply::Data { data: b"payload".to_vec(), stat },
        other @ (Op::Create { .. }
        | Op::Delete { .. }
        | Op::SetData { .. }
        | Op::Exists { .. }
        | Op::RemoveWatch { .. }
        | Op::Multi(_)) => panic!("nobody asked for {other:?}"),
    };
    let (session_epoch, request) = (request.session_epoch, request.id);
    let input = Input::Response { session_epoch, request, zxid: None, outcome: Ok(reply) };
    core.handle_input(Instant::ORIGIN, input);
}
