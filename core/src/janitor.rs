//! The janitor: one node of the cluster looks, now and then, for lease records whose owners are gone (rule 12).
//!
//! | state | leads | timer | nodes listed | records listed | all read | deposed |
//! |---|---|---|---|---|---|---|
//! | Off | Waiting | – | – | – | – | – |
//! | Waiting | – | Nodes | – | – | – | Off |
//! | Nodes | – | – | Records | – | – | Off |
//! | Records | – | – | – | Reading | – | Off |
//! | Reading | – | – | – | – | Waiting | Off |
//!
//! The office is a global like any other, for which only nodes with a candidacy of their own stand. To delete a
//! record at a version that was first seen longer than W ago kills at most a node that does not beat, so it is
//! always safe; an idle standby does not beat, so a node that is a member is left in peace all the same.
//! Whatever fails is tried again in the next round.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ids::RequestId;
use crate::layout::Znode;
use crate::lease::is_own;
use crate::op::{Op, Outcome, Reply};
use crate::outbox::{LeaseName, Outbox, Owner, exactly};
use crate::path::Name;
use crate::record::LeaseRecord;
use crate::time::Instant;
use crate::timers::Key;

/// The global that the janitor holds.
pub(crate) const OFFICE: &str = "queenright:janitor";
/// A node stands for the office once it has stood for something else this long.
pub(crate) const STAND_AFTER: Duration = Duration::from_secs(60);
/// How many records one round reads.
const RECORDS_MAX: usize = 100;
/// A record must have been unchanged for at least this long.
const AGE_MIN: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
pub(crate) struct Janitor {
    state: State,
    /// Records by name: the version seen, and when it was first seen.
    seen: BTreeMap<LeaseName, (i32, Instant)>,
    /// Where the next round begins, so that all have their turn.
    cursor: LeaseNameOrStart,
}

type LeaseNameOrStart = Option<LeaseName>;

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "check", derive(serde::Serialize))]
enum State {
    #[default]
    Off,
    Waiting,
    Nodes {
        request: RequestId,
    },
    Records {
        request: RequestId,
        members: BTreeSet<Name>,
    },
    Reading {
        reads: BTreeMap<RequestId, LeaseName>,
        members: BTreeSet<Name>,
    },
}

impl Janitor {
    /// This node holds the office.
    pub(crate) fn start(&mut self, out: &mut Outbox) {
        if matches!(self.state, State::Off) {
            self.wait(out);
        }
    }

    /// It holds it no more.
    pub(crate) fn stop(&mut self, out: &mut Outbox) {
        self.state = State::Off;
        self.seen.clear();
        out.set_timer(Key::Janitor, None);
    }

    pub(crate) fn handle_timeout(&mut self, out: &mut Outbox) {
        match self.state {
            State::Off => {}
            State::Waiting if out.is_up() => {
                let op = Op::GetChildren { path: out.layout.nodes.clone(), watch: false };
                self.state = State::Nodes { request: out.request(Owner::Janitor, op) };
            }
            State::Waiting | State::Nodes { .. } | State::Records { .. } | State::Reading { .. } => {
                self.wait(out)
            }
        }
    }

    /// Answers of the connection before may never come: the round is given up.
    pub(crate) fn handle_down(&mut self, out: &mut Outbox) {
        match self.state {
            State::Off | State::Waiting => {}
            State::Nodes { .. } | State::Records { .. } | State::Reading { .. } => self.wait(out),
        }
    }

    pub(crate) fn handle_response(&mut self, request: RequestId, outcome: Outcome, out: &mut Outbox) {
        match &mut self.state {
            State::Nodes { request: awaited } if *awaited == request => match outcome {
                Ok(Reply::Children { names, .. }) => {
                    let members = names.iter().filter_map(|name| Some(Znode::parse(name)?.name)).collect();
                    let op = Op::GetChildren { path: out.layout.leases.clone(), watch: false };
                    self.state = State::Records { request: out.request(Owner::Janitor, op), members };
                }
                Ok(_) | Err(_) => self.wait(out),
            },
            State::Records { request: awaited, members } if *awaited == request => match outcome {
                Ok(Reply::Children { names, .. }) => {
                    let members = core::mem::take(members);
                    self.read(&names, members, out);
                }
                Ok(_) | Err(_) => self.wait(out),
            },
            State::Reading { reads, members } => {
                let Some(name) = reads.remove(&request) else { return };
                if let Ok(Reply::Data { data, stat }) = outcome {
                    inspect(&name, &data, stat.version, members, &mut self.seen, out);
                }
                if reads.is_empty() {
                    self.wait(out);
                }
            }
            State::Off | State::Waiting | State::Nodes { .. } | State::Records { .. } => {}
        }
    }

    fn wait(&mut self, out: &mut Outbox) {
        self.state = State::Waiting;
        let at = out.config.janitor_period.map(|period| out.now.after(period));
        out.set_timer(Key::Janitor, at);
    }

    fn read(&mut self, names: &[String], members: BTreeSet<Name>, out: &mut Outbox) {
        let config = &out.config;
        let listed: BTreeSet<LeaseName> = names
            .iter()
            .filter(|name| Name::new(name).is_ok() && !is_own(name, config))
            .map(|name| Arc::from(name.as_str()))
            .collect();
        self.seen.retain(|name, _| listed.contains(name));
        let after = listed.iter().filter(|name| self.cursor.as_ref().is_some_and(|cursor| *name > cursor));
        let before = listed.iter().filter(|name| self.cursor.as_ref().is_none_or(|cursor| *name <= cursor));
        let round: Vec<LeaseName> = after.chain(before).take(RECORDS_MAX).cloned().collect();
        self.cursor = round.last().cloned();
        let mut reads = BTreeMap::new();
        for name in round {
            let op = Op::GetData { path: out.layout.lease(&name), watch: false };
            reads.insert(out.request(Owner::Janitor, op), name);
        }
        if reads.is_empty() {
            self.wait(out);
        } else {
            self.state = State::Reading { reads, members };
        }
    }
}

/// Deletes a record that was unchanged for long enough and whose node is no member.
fn inspect(
    name: &LeaseName,
    data: &[u8],
    version: i32,
    members: &BTreeSet<Name>,
    seen: &mut BTreeMap<LeaseName, (i32, Instant)>,
    out: &mut Outbox,
) {
    let record = match LeaseRecord::decode(data) {
        Ok(record) => record,
        Err(bad) => {
            // What a newer version of this library wrote is not ours to judge.
            out.degraded(out.layout.lease(name), None, format!("the lease record is left alone: {bad}"));
            return;
        }
    };
    let now = out.now;
    let (known, since) = *seen.entry(Arc::clone(name)).or_insert((version, now));
    if known != version {
        seen.insert(Arc::clone(name), (version, now));
        return;
    }
    let age_min = AGE_MIN.max(out.config.silence(record.lease));
    let is_member = Name::new(&record.node).is_ok_and(|node| members.contains(&node));
    if now.since(since) < age_min || is_member {
        return;
    }
    if let Some(version) = exactly(version) {
        out.request(Owner::Nobody, Op::Delete { path: out.layout.lease(name), version });
    }
}
