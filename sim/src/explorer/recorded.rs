//! A run with a recording of it: for the timeline.

use queenright_core::Config;
use queenright_core::wire::{MultiRequest, MultiResult, OpCode, Read, Request, Response};

use super::application::Names;
use super::failure::Failure;
use super::network::ToServer;
use super::plan::Plan;
use super::trace::Tracing;
use super::{Summary, attempt};
use crate::timeline::{Heading, Letter, Recorder, Timeline};
use crate::zookeeper::FromServer;

/// Runs a plan once more, and tells what can be drawn of it, whether it fails or not.
pub fn draw(plan: &Plan, configure: &dyn Fn(&mut Config)) -> (Result<Summary, Box<Failure>>, Timeline) {
    let recorder = Recorder::on();
    let (result, trace) = attempt(plan, configure, Tracing::Last, recorder.clone());
    let result = result.map_err(|violation| Box::new(Failure::new(plan, violation, trace.into_lines())));
    let heading = Heading {
        title: format!("queenright: seed {}", plan.seed),
        plan: plan.to_string(),
        violation: result.as_ref().err().map(|failure| failure.violation().to_string()),
        lease: u64::try_from(plan.lease.as_nanos()).unwrap_or(u64::MAX),
        nodes: u8::try_from(plan.nodes.len()).unwrap_or(u8::MAX),
        servers: plan.servers,
        globals: Names::new(plan).globals.iter().map(ToString::to_string).collect(),
    };
    let timeline = Timeline::new(heading, &recorder.finish());
    (result, timeline)
}

/// What a message to a server says.
pub(super) fn to_server(message: &ToServer) -> Letter {
    match message {
        ToServer::Connect(request) => {
            let session = request.session.0;
            let text = if session == 0 {
                "connect, new session".into()
            } else {
                format!("connect, session {session:#x}")
            };
            Letter { text, ..Letter::default() }
        }
        ToServer::Request { xid, request } => self::request(*xid, request),
        ToServer::End => Letter { text: "end of the connection".into(), ..Letter::default() },
    }
}

/// What a request says.
pub(crate) fn request(xid: i32, request: &Request) -> Letter {
    let paths = paths(request);
    let name = request.opcode().map_or_else(|code| format!("type {code}"), |code| format!("{code:?}"));
    let text = format!("{name} #{xid} {}", paths.join(" "));
    let writes = matches!(
        request,
        Request::Create(_)
            | Request::Delete(_)
            | Request::SetData(_)
            | Request::Multi(_)
            | Request::CloseSession
    );
    let is_ping = request.opcode() == Ok(OpCode::Ping);
    Letter { xid: Some(xid), text: text.trim_end().to_owned(), paths, writes, is_ping }
}

/// What a message from a server says.
pub(super) fn from_server(message: &FromServer) -> Letter {
    match message {
        FromServer::Connected(response) => {
            let text = format!("connected, session {:#x}, {} ms", response.session.0, response.timeout_ms);
            Letter { text, ..Letter::default() }
        }
        FromServer::Reply { xid, zxid, result } => {
            let outcome = match result {
                Ok(Response::Multi(parts))
                    if parts.iter().any(|part| matches!(part, MultiResult::Error(_))) =>
                {
                    "failed as a whole".to_owned()
                }
                Ok(_) => "ok".to_owned(),
                Err(code) => code.to_string(),
            };
            let is_ping = *result == Ok(Response::Ping);
            Letter {
                xid: Some(*xid),
                text: format!("reply #{xid} {outcome} at {zxid}"),
                is_ping,
                ..Letter::default()
            }
        }
        FromServer::Event(event) => {
            let text = format!("event {:?} {}", event.change, event.path);
            Letter { text, paths: vec![event.path.clone()], ..Letter::default() }
        }
        FromServer::Close => Letter { text: "close".into(), ..Letter::default() },
    }
}

/// The znodes that a request is about, as far as a picture needs them.
fn paths(request: &Request) -> Vec<String> {
    let one = |path: &String| vec![path.clone()];
    if let Request::Create(create) = request {
        one(&create.path)
    } else if let Request::Delete(delete) = request {
        one(&delete.path)
    } else if let Request::SetData(set) = request {
        one(&set.path)
    } else if let Request::Exists(Read { path, .. })
    | Request::GetData(Read { path, .. })
    | Request::GetChildren(Read { path, .. })
    | Request::GetChildren2(Read { path, .. })
    | Request::Sync { path } = request
    {
        one(path)
    } else if let Request::Multi(parts) = request {
        let path = |part: &MultiRequest| match part {
            MultiRequest::Create(create) => create.path.clone(),
            MultiRequest::Delete(delete) => delete.path.clone(),
            MultiRequest::SetData(set) => set.path.clone(),
            MultiRequest::Check(check) => check.path.clone(),
        };
        parts.iter().map(path).collect()
    } else {
        Vec::new()
    }
}
