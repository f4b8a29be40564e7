//! One line for everything that a trace tells.

use std::fmt::{Result, Write};

use queenright_core::op::{Op, Outcome, Reply, Stat, WatchEvent, Write as Part, WriteReply};
use queenright_core::{Event, Input, Output, Request};

/// Data longer than this is cut off.
const DATA_SHOWN_MAX: usize = 24;

/// What `tell` writes.
pub(crate) fn text(tell: impl FnOnce(&mut dyn Write) -> Result) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = tell(&mut text);
    text
}

pub(crate) fn input(line: &mut dyn Write, input: &Input) -> Result {
    match input {
        Input::Session(event) => write!(line, "{event:?}"),
        Input::Response { request, outcome: answer, zxid, .. } => {
            write!(line, "{request} ")?;
            outcome(line, answer)?;
            match zxid {
                Some(zxid) => write!(line, " at {zxid}"),
                None => Ok(()),
            }
        }
        Input::Watch { session_epoch, event: WatchEvent { change, path, zxid } } => {
            write!(line, "watch {change:?} {path} (session {session_epoch}")?;
            match zxid {
                Some(zxid) => write!(line, ", {zxid})"),
                None => line.write_char(')'),
            }
        }
        Input::Host(event) => write!(line, "{event:?}"),
    }
}

pub(crate) fn output(line: &mut dyn Write, output: &Output) -> Result {
    match output {
        Output::Request(Request { id, session_epoch, op: operation }) => {
            write!(line, "{id} (session {session_epoch}) ")?;
            op(line, operation)
        }
        Output::Event(event) => self::event(line, event),
    }
}

fn event(line: &mut dyn Write, event: &Event) -> Result {
    match event {
        Event::Elected { global, token, version, payload, valid_until } => {
            write!(line, "ELECTED {global} token {token} version {version} until {valid_until} ")?;
            data(line, payload)
        }
        Event::Extended { valid_until } => write!(line, "EXTENDED until {valid_until}"),
        Event::Stop { global, token, deadline, reason } => {
            write!(line, "STOP {global} token {token} by {deadline}: {reason:?}")
        }
        Event::Revoked { global, token } => write!(line, "REVOKED {global} token {token}"),
        Event::Session(_)
        | Event::Registration { .. }
        | Event::Directory { .. }
        | Event::Holder { .. }
        | Event::Withdrawn { .. }
        | Event::Degraded { .. }
        | Event::Closed => write!(line, "{event:?}"),
    }
}

fn op(line: &mut dyn Write, op: &Op) -> Result {
    let watching = |watch: bool| if watch { " and watch" } else { "" };
    match op {
        Op::Create { path, data: bytes, mode } => {
            write!(line, "create {mode:?} {path} = ")?;
            data(line, bytes)
        }
        Op::Delete { path, version } => write!(line, "delete {path} at {version}"),
        Op::SetData { path, data: bytes, version } => {
            write!(line, "set {path} at {version} = ")?;
            data(line, bytes)
        }
        Op::GetData { path, watch } => write!(line, "get {path}{}", watching(*watch)),
        Op::Exists { path, watch } => write!(line, "exists {path}{}", watching(*watch)),
        Op::GetChildren { path, watch } => write!(line, "list {path}{}", watching(*watch)),
        Op::AddWatch { path } => write!(line, "watch all of {path}"),
        Op::RemoveWatch { path, kind } => write!(line, "unwatch {path} {kind:?}"),
        Op::Multi(parts) => {
            line.write_str("multi")?;
            parts.iter().try_for_each(|written| {
                line.write_str(" [")?;
                part(line, written)?;
                line.write_char(']')
            })
        }
        Op::Sync { .. } => line.write_str("sync"),
    }
}

fn part(line: &mut dyn Write, part: &Part) -> Result {
    match part {
        Part::Create { path, data: bytes, mode } => {
            write!(line, "create {mode:?} {path} = ")?;
            data(line, bytes)
        }
        Part::Delete { path, version } => write!(line, "delete {path} at {version}"),
        Part::SetData { path, data: bytes, version } => {
            write!(line, "set {path} at {version} = ")?;
            data(line, bytes)
        }
        Part::Check { path, version } => write!(line, "check {path} at {version}"),
    }
}

pub(crate) fn outcome(line: &mut dyn Write, outcome: &Outcome) -> Result {
    match outcome {
        Err(error) => write!(line, "{error}"),
        Ok(Reply::Created { path, stat: created }) => {
            write!(line, "created {path} ")?;
            stat(line, created)
        }
        Ok(Reply::Deleted) => line.write_str("deleted"),
        Ok(Reply::Set { stat: after }) => {
            line.write_str("set ")?;
            stat(line, after)
        }
        Ok(Reply::Data { data: bytes, stat: read }) => {
            data(line, bytes)?;
            line.write_char(' ')?;
            stat(line, read)
        }
        Ok(Reply::Exists { stat: read }) => stat(line, read),
        Ok(Reply::Children { names, stat: read }) => {
            write!(line, "{names:?} ")?;
            stat(line, read)
        }
        Ok(Reply::WatchAdded) => line.write_str("watch armed"),
        Ok(Reply::WatchRemoved) => line.write_str("watch removed"),
        Ok(Reply::Synced) => line.write_str("synced"),
        Ok(Reply::Multi(replies)) => {
            line.write_str("multi")?;
            replies.iter().try_for_each(|reply| match reply {
                WriteReply::Created => line.write_str(" created"),
                WriteReply::Deleted => line.write_str(" deleted"),
                WriteReply::Set { stat: after } => {
                    line.write_char(' ')?;
                    stat(line, after)
                }
                WriteReply::Checked => line.write_str(" checked"),
            })
        }
    }
}

fn stat(line: &mut dyn Write, Stat { czxid, mzxid, version, ephemeral_owner, .. }: &Stat) -> Result {
    write!(line, "(v{version} c{czxid} m{mzxid}")?;
    if *ephemeral_owner != 0 {
        write!(line, " owner 0x{ephemeral_owner:x}")?;
    }
    line.write_char(')')
}

fn data(line: &mut dyn Write, data: &[u8]) -> Result {
    let shown = &data[..data.len().min(DATA_SHOWN_MAX)];
    let more = if shown.len() < data.len() { "…" } else { "" };
    write!(line, "\"{}{more}\"", shown.escape_ascii())
}
