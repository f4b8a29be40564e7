//! Everything that comes out of the core, and every answer, as a line that reads as prose.

use std::time::Duration;

use queenright_core::op::{CreateMode, Op, OpError, Outcome, Reply, Stat, WatchKind, Write, WriteReply};
use queenright_core::output::{InstanceChange, RegistrationStatus, SessionStatus, StopReason};
use queenright_core::{Event, Freshness, Holder, Instant, Path};

use super::records;
use super::words::abbreviate;

pub(crate) fn op(op: &Op) -> String {
    let text = match op {
        Op::Create { path, data, mode } => create(path, data, *mode),
        Op::Delete { path, version } => delete(path, *version),
        Op::SetData { path, data, version } => set(path, data, *version),
        Op::GetData { path, watch } => format!("get{} {path}", and_watch(*watch)),
        Op::Exists { path, watch } => format!("exists{} {path}", and_watch(*watch)),
        Op::GetChildren { path, watch } => format!("list{} {path}", and_watch(*watch)),
        Op::AddWatch { path } => format!("watch tree {path}"),
        Op::RemoveWatch { path, kind } => match kind {
            WatchKind::Data => format!("unwatch {path}"),
            WatchKind::Children => format!("unwatch children {path}"),
            WatchKind::Recursive => format!("unwatch tree {path}"),
        },
        Op::Multi(writes) => {
            let writes: Vec<String> = writes.iter().map(write).collect();
            format!("multi [{}]", writes.join("; "))
        }
        Op::Sync { path } => format!("sync {path}"),
    };
    abbreviate(&text)
}

/// What is asked, without the data.
pub(crate) fn brief(op: &Op) -> String {
    match op {
        Op::Create { path, .. } => abbreviate(&format!("create {path}")),
        Op::Delete { path, .. } => abbreviate(&format!("delete {path}")),
        Op::SetData { path, .. } => abbreviate(&format!("set {path}")),
        Op::Multi(_) => "multi".into(),
        Op::GetData { .. }
        | Op::Exists { .. }
        | Op::GetChildren { .. }
        | Op::AddWatch { .. }
        | Op::RemoveWatch { .. }
        | Op::Sync { .. } => self::op(op),
    }
}

/// The answer to `op`.
pub(crate) fn outcome(op: &Op, outcome: &Outcome) -> String {
    let text = match outcome {
        Ok(reply) => self::reply(op, reply),
        Err(OpError::Unknown) => "unknown".into(),
        Err(error @ (OpError::Refused(_) | OpError::RefusedAt { .. })) => error.to_string(),
    };
    abbreviate(&text)
}

pub(crate) fn event(event: &Event) -> String {
    let text = match event {
        Event::Session(SessionStatus::Connected { session_epoch, session }) => {
            format!("session {session} connected, epoch {session_epoch}")
        }
        Event::Session(SessionStatus::Suspended) => "session suspended".into(),
        Event::Session(SessionStatus::Reconnected) => "session reconnected".into(),
        Event::Session(SessionStatus::Lost) => "session lost".into(),
        Event::Registration { id, status } => format!("{id} {}", registration(status)),
        Event::Directory { directory, freshness, changes } => {
            let changes: String = changes.iter().map(change).collect();
            format!("{directory} {}{changes}", self::freshness(*freshness))
        }
        Event::Holder { global, holder } => format!("holder of {global}: {}", self::holder(holder)),
        Event::Elected { global, token, version, payload, valid_until } => {
            let (payload, until) = (bytes(payload), instant(*valid_until));
            format!("ELECTED {global}, token {token}, term v{version} {payload}, until {until}")
        }
        Event::Extended { valid_until } => format!("extended until {}", instant(*valid_until)),
        Event::Stop { global, token, deadline, reason } => {
            let deadline = instant(*deadline);
            format!("STOP {global}, token {token}, by {deadline}: {}", self::reason(*reason))
        }
        Event::Revoked { global, token } => format!("REVOKED {global}, token {token}"),
        Event::Withdrawn { global } => format!("withdrawn from {global}"),
        Event::Degraded { path, code, reason } => {
            let code = code.map(|code| format!(" {code:?}")).unwrap_or_default();
            format!("degraded {path}{code}: {reason}")
        }
        Event::Closed => "closed".into(),
    };
    abbreviate(&text)
}

pub(crate) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Unknown => "unknown".into(),
        Holder::Vacant => "nobody".into(),
        Holder::Held { token, payload, own, stale_since } => {
            let whose = if *own { ", which is this node" } else { "" };
            let stale = stale_since.map(|since| format!(", stale since {}", instant(since)));
            format!("{}, token {token}{whose}{}", bytes(payload), stale.unwrap_or_default())
        }
    }
}

pub(crate) fn freshness(freshness: Freshness) -> String {
    match freshness {
        Freshness::Loading => "loading".into(),
        Freshness::Fresh => "fresh".into(),
        Freshness::Stale { since } => format!("stale since {}", instant(since)),
        Freshness::Unknown => "unknown".into(),
    }
}

/// A znode's data in the notation of its place.
pub(crate) fn data(path: &Path, data: &[u8]) -> String {
    let is_lease = path.parent().is_some_and(|parent| parent.file_name() == "leases");
    if let (true, Some((length, node))) = (is_lease, records::read_lease(data)) {
        return format!("{{lease {} of {node}}}", duration(length));
    }
    if let (true, Some(term)) = (path.file_name() == "term", records::read_term(data)) {
        return match term {
            Some((lease, payload)) => format!("{{held by {lease} {}}}", bytes(payload)),
            None => "{vacant}".into(),
        };
    }
    if data.is_empty() { String::new() } else { bytes(data) }
}

pub(crate) fn instant(at: Instant) -> String {
    duration(Duration::from_nanos(at.as_nanos()))
}

/// Seconds without the zeros behind.
pub(crate) fn duration(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Version, mzxid and owner.
pub(crate) fn stat(stat: &Stat) -> String {
    let owner = stat.owner().map(|owner| format!(" owner {owner}")).unwrap_or_default();
    format!("v{} {}{owner}", stat.version, stat.mzxid)
}

fn reply(op: &Op, reply: &Reply) -> String {
    match (op, reply) {
        (Op::Create { path, .. }, Reply::Created { path: created, stat }) => {
            let name = if path == created { String::new() } else { format!(" as {}", created.file_name()) };
            format!("created {}{name}", stat.czxid)
        }
        (_, Reply::Created { path, stat }) => format!("created {} as {path}", stat.czxid),
        (_, Reply::Deleted) => "deleted".into(),
        (_, Reply::Set { stat } | Reply::Exists { stat }) => self::stat(stat),
        (Op::GetData { path, .. }, Reply::Data { data, stat }) => {
            format!("{} {}", self::data(path, data), self::stat(stat)).trim_start().into()
        }
        (_, Reply::Data { data, stat }) => format!("{} {}", bytes(data), self::stat(stat)),
        (_, Reply::Children { names, .. }) if names.is_empty() => "no children".into(),
        (_, Reply::Children { names, .. }) => names.join(" "),
        (_, Reply::WatchAdded | Reply::WatchRemoved | Reply::Synced) => "ok".into(),
        (_, Reply::Multi(replies)) => {
            let replies: Vec<String> = replies.iter().map(write_reply).collect();
            format!("[{}]", replies.join("; "))
        }
    }
}

fn write_reply(reply: &WriteReply) -> String {
    match reply {
        WriteReply::Created => "created".into(),
        WriteReply::Deleted => "deleted".into(),
        WriteReply::Set { stat } => self::stat(stat),
        WriteReply::Checked => "checked".into(),
    }
}

fn write(write: &Write) -> String {
    match write {
        Write::Create { path, data, mode } => create(path, data, *mode),
        Write::Delete { path, version } => delete(path, *version),
        Write::SetData { path, data, version } => set(path, data, *version),
        Write::Check { path, version } => format!("check {path} {}", self::version(*version)),
    }
}

fn create(path: &Path, data: &[u8], mode: CreateMode) -> String {
    let mode = match mode {
        CreateMode::Persistent => "persistent",
        CreateMode::Ephemeral => "ephemeral",
        CreateMode::EphemeralSequential => "sequential",
        CreateMode::Container => "container",
    };
    format!("create {mode} {path} {}", self::data(path, data)).trim_end().into()
}

fn set(path: &Path, data: &[u8], version: queenright_core::op::Version) -> String {
    format!("set {path} {} {}", self::version(version), self::data(path, data)).trim_end().into()
}

fn delete(path: &Path, version: queenright_core::op::Version) -> String {
    format!("delete {path} {}", self::version(version))
}

fn version(version: queenright_core::op::Version) -> String {
    match version {
        queenright_core::op::Version::Any => "any".into(),
        queenright_core::op::Version::Exactly(version) => format!("v{version}"),
    }
}

fn and_watch(watch: bool) -> &'static str {
    if watch { " and watch" } else { "" }
}

fn registration(status: &RegistrationStatus) -> String {
    match status {
        RegistrationStatus::Pending => "pending".into(),
        RegistrationStatus::Registered { czxid } => format!("registered at {czxid}"),
        RegistrationStatus::Occupied { owner: Some(owner) } => format!("occupied by session {owner}"),
        RegistrationStatus::Occupied { owner: None } => "occupied by a znode that stays".into(),
        RegistrationStatus::Blocked { code } => format!("blocked: {code:?}"),
        RegistrationStatus::Gone => "gone".into(),
    }
}

fn change(change: &InstanceChange) -> String {
    match change {
        InstanceChange::Added(instance) => format!(" +{}{}", instance.name, payload(&instance.payload)),
        InstanceChange::Updated(instance) => format!(" ~{}{}", instance.name, payload(&instance.payload)),
        InstanceChange::Removed(name) => format!(" -{name}"),
    }
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Resigned => "resigned",
        StopReason::LeaseRanOut => "the lease ran out",
        StopReason::LeaseLost => "the lease record is gone",
        StopReason::Deposed => "deposed",
    }
}

fn payload(payload: &[u8]) -> String {
    if payload.is_empty() { String::new() } else { bytes(payload) }
}

fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() || c == '"') => {
            // A long text is named by its length: it is a payload, and the reader gets the idea.
            if text.len() > 100 { format!("<{} bytes>", text.len()) } else { format!("\"{text}\"") }
        }
        Ok(_) | Err(_) => {
            let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
            format!("{{bytes {}}}", numbers.join(" "))
        }
    }
}
