//! What leaders act upon: a resource that remembers the highest token it has seen, and a znode that leaders write to.

use std::collections::BTreeMap;
use std::time::Duration;

use queenright_core::wire::{Check, MultiRequest, Request as Record, SetData};
use queenright_core::{Name, Token};

use super::ROOT;
use super::host::{Node, Term};
use super::run::{Museum, Scheduled};
use crate::checkers::Violation;
use crate::zookeeper::{FromServer, ServerId};

const PROPERTY: &str = "guarded resource";

#[derive(Debug, Default)]
pub(super) struct Resource {
    /// How many terms of each global were announced.
    terms: BTreeMap<Name, u32>,
    highest_token: BTreeMap<Name, Token>,
    /// The latest term from which an effect was accepted.
    accepted: BTreeMap<Name, u32>,
    accepted_count: u32,
    rejected_count: u32,
}

/// What a leader decided to do, under way.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    global: Name,
    term: Term,
    target: Target,
    /// Whether it carries what proves its term.
    is_fenced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// A service that compares tokens.
    Service,
    /// A znode at this path.
    Znode(&'static str),
}

impl Resource {
    pub(super) fn term_begins(&mut self, global: &Name) -> u32 {
        let terms = self.terms.entry(global.clone()).or_default();
        *terms += 1;
        *terms
    }
}

impl Museum {
    /// The application of `node` looks whether it leads, and acts on the guarded resource: its effect arrives `after` the
    /// look, whatever happens to the node meanwhile. Who does not lead does nothing.
    pub fn act(&mut self, node: Node, global: &str, after: Duration) {
        self.send_effect(node, global, Target::Service, after);
    }

    /// Like [`act`](Self::act), by a write to the znode at `path`: with the check of the term, where there is one.
    pub fn write(&mut self, node: Node, global: &str, path: &'static str, after: Duration) {
        self.send_effect(node, global, Target::Znode(path), after);
    }

    /// How many effects the resource has accepted and rejected.
    #[must_use]
    pub const fn effects(&self) -> (u32, u32) {
        (self.resource.accepted_count, self.resource.rejected_count)
    }

    fn send_effect(&mut self, node: Node, global: &str, target: Target, after: Duration) {
        if self.is_over() {
            return;
        }
        let local = self.hosts[usize::from(node.0)].clock.local(self.now);
        let Some(process) = &self.hosts[usize::from(node.0)].process else { return };
        let global = super::calls::name(global);
        let Some(term) = process.application.terms.get(&global).filter(|term| term.until > local) else {
            return;
        };
        let is_fenced = process.machine.has_tokens();
        let effect = Effect { global, term: *term, target, is_fenced };
        self.schedule(self.now.after(after), Scheduled::Effect(effect));
    }

    pub(super) fn effect_arrives(&mut self, effect: &Effect) {
        let Effect { global, term, target, is_fenced } = effect;
        let is_accepted = match target {
            Target::Service => {
                let highest = self.resource.highest_token.entry(global.clone()).or_insert(term.token);
                *highest = term.token.max(*highest);
                !is_fenced || term.token >= *highest
            }
            Target::Znode(path) => self.write_as_leader(path, global, *term, *is_fenced),
        };
        self.note(format_args!("an effect of {global} with token {}: accepted {is_accepted}", term.token));
        if !is_accepted {
            self.resource.rejected_count += 1;
            return;
        }
        self.resource.accepted_count += 1;
        let latest = self.resource.accepted.entry(global.clone()).or_insert(term.ordinal);
        if term.ordinal < *latest {
            let detail = format!(
                "{global}: an effect of term {} was accepted after one of term {latest}",
                term.ordinal
            );
            return self.fail(Violation::new(PROPERTY, detail));
        }
        *latest = term.ordinal;
    }

    fn write_as_leader(&mut self, path: &str, global: &Name, term: Term, is_fenced: bool) -> bool {
        let data = Some(term.token.to_string().into_bytes());
        let set = SetData { path: path.into(), data, version: -1 };
        let request = if is_fenced {
            let check = Check { path: format!("{ROOT}/globals/{global}/term"), version: term.version };
            Record::Multi(vec![MultiRequest::Check(check), MultiRequest::SetData(set)])
        } else {
            Record::SetData(set)
        };
        let before = self.server.tree(ServerId::FIRST).get(path).map(|znode| znode.stat().version);
        let answers = self.hand_in([request]);
        let after = self.server.tree(ServerId::FIRST).get(path).map(|znode| znode.stat().version);
        debug_assert!(answers.iter().any(|answer| matches!(answer, FromServer::Reply { .. })));
        before != after
    }
}
