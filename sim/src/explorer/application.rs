//! The application on one node: what it wants, and the terms that it is in.

use std::collections::{BTreeMap, BTreeSet};

use queenright_core::{Directory, Holder, Instant, Name, RegistrationId, Terms, Token};

use super::plan::Plan;
use super::workload::Watched;
use crate::checkers::{Life, Wanted};

/// The names of everything in a run.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) root: String,
    pub(super) globals: Vec<Name>,
    pub(super) services: Vec<Name>,
    pub(super) nodes: Vec<Name>,
    /// By node and number.
    pub(super) instances: Vec<Vec<Name>>,
}

impl Names {
    /// # Panics
    /// Never: all of these are names.
    pub(super) fn new(plan: &Plan) -> Self {
        let name = |text: String| Name::new(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let nodes = 0..plan.nodes.len();
        let instances = 0..super::workload::INSTANCES;
        Self {
            root: "/queenright".into(),
            globals: (0..plan.globals).map(|number| name(format!("g{number}"))).collect(),
            services: (0..plan.services).map(|number| name(format!("s{number}"))).collect(),
            nodes: nodes.clone().map(|node| name(format!("n{node}"))).collect(),
            instances: nodes
                .map(|node| instances.clone().map(|number| name(format!("n{node}-i{number}"))).collect())
                .collect(),
        }
    }

    pub(super) fn directory(&self, watched: Watched) -> Directory {
        match watched {
            Watched::Nodes => Directory::Nodes,
            Watched::Service(service) => Directory::Service(self.services[usize::from(service)].clone()),
        }
    }

    pub(super) fn global_number(&self, global: &Name) -> Option<u8> {
        self.globals.iter().position(|known| known == global).and_then(|number| u8::try_from(number).ok())
    }
}

/// What the application of one life wants, and what it was told.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) life: Life,
    /// By global; each with the payload of its last campaign.
    pub(super) candidacies: BTreeMap<u8, (Candidacy, Vec<u8>)>,
    campaigns: u32,
    /// Globals whose candidacy was resigned, or ended with its only term, and is not withdrawn yet.
    ending: BTreeSet<u8>,
    /// By directory and instance, so that none is registered twice.
    pub(super) registrations: BTreeMap<RegistrationId, Wanted>,
    pub(super) subscriptions: BTreeSet<Directory>,
    pub(super) lookups: BTreeSet<u8>,
    /// What was told last of each global.
    pub(super) holders: BTreeMap<u8, Holder>,
    /// By global.
    pub(super) terms: BTreeMap<u8, Term>,
    pub(super) stage: Stage,
}

/// A candidacy that was not resigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidacy {
    /// It ends with the next term.
    One,
    /// It ends with the term that runs.
    LastTerm,
    /// It goes on.
    Many,
}

/// A term of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// The application acts while its clock shows less than `until`.
    Running { token: Token, until: Instant },
    /// It was told to stop, and will have.
    Stopping { token: Token },
    /// It has stopped.
    Stopped { token: Token },
}

/// The life of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    Closing,
}

impl Application {
    pub(super) const fn new(life: Life) -> Self {
        Self {
            life,
            candidacies: BTreeMap::new(),
            campaigns: 0,
            ending: BTreeSet::new(),
            registrations: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            lookups: BTreeSet::new(),
            holders: BTreeMap::new(),
            terms: BTreeMap::new(),
            stage: Stage::Running,
        }
    }

    pub(super) fn registration(&self, directory: &Directory, instance: &Name) -> Option<RegistrationId> {
        let mut registrations = self.registrations.iter();
        registrations
            .find(|(_, wanted)| wanted.directory == *directory && wanted.instance == *instance)
            .map(|(id, _)| *id)
    }

    /// Stands for a global, again perhaps: then it counts for the term after the one that runs. Returns the payload, which
    /// no other campaign has.
    pub(super) fn campaign(&mut self, global: u8, terms: Terms) -> Vec<u8> {
        let candidacy = match terms {
            Terms::One => Candidacy::One,
            Terms::Many => Candidacy::Many,
        };
        self.campaigns += 1;
        let payload = format!("{}#{}", self.life, self.campaigns).into_bytes();
        self.candidacies.insert(global, (candidacy, payload.clone()));
        payload
    }

    /// The term that answers the campaign with `payload` begins.
    pub(super) fn elected(&mut self, global: u8, token: Token, until: Instant, payload: &[u8]) {
        self.terms.insert(global, Term::Running { token, until });
        if let Some((candidacy @ Candidacy::One, campaign)) = self.candidacies.get_mut(&global)
            && campaign == payload
        {
            *candidacy = Candidacy::LastTerm;
        }
    }

    pub(super) fn extended(&mut self, later: Instant) {
        for term in self.terms.values_mut() {
            match term {
                Term::Running { until, .. } => *until = later,
                Term::Stopping { .. } | Term::Stopped { .. } => {}
            }
        }
    }

    /// Told to stop. Returns whether there is something to stop.
    pub(super) fn stopping(&mut self, global: u8) -> bool {
        match self.terms.get_mut(&global) {
            Some(term @ Term::Running { .. }) => {
                *term = Term::Stopping { token: term.token() };
                true
            }
            Some(Term::Stopping { .. } | Term::Stopped { .. }) | None => false,
        }
    }

    /// The application of a term has come to its end, perhaps after the term.
    pub(super) fn stopped(&mut self, global: u8, token: Token) {
        if let Some(term) = self.terms.get_mut(&global)
            && term.token() == token
        {
            *term = Term::Stopped { token };
        }
    }

    pub(super) fn revoked(&mut self, global: u8) {
        self.terms.remove(&global);
        if let Some((Candidacy::LastTerm, _)) = self.candidacies.get(&global) {
            self.candidacies.remove(&global);
            self.ending.insert(global);
        }
    }

    /// Stands no longer. Returns whether it did.
    pub(super) fn resign(&mut self, global: u8) -> bool {
        let stood = self.candidacies.remove(&global).is_some();
        if stood {
            self.ending.insert(global);
        }
        stood
    }

    /// Whether a candidacy for one term is over and not withdrawn yet: who stands again before cannot tell which of
    /// the two is withdrawn.
    pub(super) fn is_ending(&self, global: u8) -> bool {
        self.ending.contains(&global)
    }

    /// Nothing is left of a candidacy. Returns whether that makes sense: it was resigned, or was for one term.
    pub(super) fn withdrawn(&mut self, global: u8) -> bool {
        if self.ending.remove(&global) {
            return true;
        }
        match self.candidacies.get(&global) {
            // Its only term was held, and over before it could be believed.
            Some((Candidacy::One, _)) => {
                self.candidacies.remove(&global);
                true
            }
            Some((Candidacy::LastTerm, _)) => true,
            Some((Candidacy::Many, _)) => false,
            None => true,
        }
    }

    /// The running term of a global.
    pub(super) fn running(&self, global: u8) -> Option<Token> {
        match self.terms.get(&global)? {
            Term::Running { token, .. } => Some(*token),
            Term::Stopping { .. } | Term::Stopped { .. } => None,
        }
    }

    /// Whether a term is running whose time is over.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.terms.values().any(|term| match term {
            Term::Running { until, .. } => *until <= now,
            Term::Stopping { .. } | Term::Stopped { .. } => false,
        })
    }

    /// Whether a term is running whose time is not over.
    pub(super) fn leads(&self, now: Instant) -> bool {
        self.terms.values().any(|term| match term {
            Term::Running { until, .. } => *until > now,
            Term::Stopping { .. } | Term::Stopped { .. } => false,
        })
    }

    /// From now on it wants nothing.
    pub(super) fn close(&mut self) {
        self.stage = Stage::Closing;
        self.candidacies.clear();
        self.registrations.clear();
        self.subscriptions.clear();
        self.lookups.clear();
    }
}

impl Term {
    const fn token(self) -> Token {
        match self {
            Self::Running { token, .. } | Self::Stopping { token } | Self::Stopped { token } => token,
        }
    }
}
