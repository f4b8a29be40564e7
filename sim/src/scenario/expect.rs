//! What is expected at a point of a scenario, and of its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use queenright_core::output::{RegistrationStatus, StopReason};
use queenright_core::{Directory, Freshness, Holder, Name, RegistrationId, Token};

use super::calls::name;
use super::host::{Node, Process};
use super::run::{Museum, Variant};
use super::{L, ROOT, T};
use crate::checkers::{
    Claims, Contents, Life, Standing, Violation, check_leaders, check_owners, check_registrations,
};

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than every timeout and every pause of a machine.
const QUIET: Duration = Duration::from_secs(25);
/// Requests are answered within this time once nothing goes wrong.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) const PROPERTY_LIVENESS: &str = "liveness";
const LEADERS: &str = "leaders";
const CACHES: &str = "caches";
const REGISTRATIONS: &str = "registrations";

impl Museum {
    /// Waits until a node leads.
    pub fn until_leads(&mut self, node: Node, global: &str) {
        let what = format!("n{} does not come to lead {global}", node.0);
        self.run_until(LEADERS, &what, PATIENCE, |m| m.leads(node, global));
    }

    /// Waits until somebody leads, and gives them.
    pub fn until_somebody_leads(&mut self, global: &str) -> Node {
        let what = format!("nobody comes to lead {global}");
        let leader = |m: &Self| m.every_node().find(|node| m.leads(*node, global));
        self.run_until(LEADERS, &what, PATIENCE, |m| leader(m).is_some());
        leader(self).unwrap_or(Node(0))
    }

    /// Waits until a node does not lead any more.
    pub fn until_follows(&mut self, node: Node, global: &str) {
        let what = format!("n{} leads {global} on and on", node.0);
        self.run_until(LEADERS, &what, PATIENCE, |m| !m.leads(node, global));
    }

    /// Waits until every node has a connection and a session.
    pub fn until_connected(&mut self, node: Node) {
        let what = format!("n{} does not come to be connected", node.0);
        self.run_until("sessions", &what, PATIENCE, |m| {
            m.process(node).is_some_and(|process| process.told_session.is_some() && process.client.is_up())
        });
    }

    /// Waits until a registration has such a status.
    pub fn until_status(
        &mut self,
        node: Node,
        id: RegistrationId,
        what: &str,
        is_it: impl Fn(&RegistrationStatus) -> bool,
    ) {
        self.run_until(REGISTRATIONS, what, PATIENCE, |m| m.status(node, id).as_ref().is_some_and(&is_it));
    }

    /// Waits until an instance is registered.
    pub fn until_registered(&mut self, node: Node, id: RegistrationId) {
        self.until_status(node, id, "an instance is not registered", |status| {
            matches!(status, RegistrationStatus::Registered { .. })
        });
    }

    /// Waits until what waits for a request of this node has happened.
    pub fn until_sprung(&mut self, node: Node) {
        let what = "the request that the scenario is about is never sent";
        self.run_until(PROPERTY_LIVENESS, what, PATIENCE, |m| m.has_sprung(node));
    }

    /// Waits until a cache is fresh.
    pub fn until_fresh(&mut self, node: Node, directory: &Directory) {
        let what = format!("{directory} does not come to be fresh");
        self.run_until(CACHES, &what, PATIENCE, |m| m.freshness(node, directory) == Some(Freshness::Fresh));
    }

    /// Whether the application of a node believes to lead, by its clock, now.
    #[must_use]
    pub fn leads(&self, node: Node, global: &str) -> bool {
        let local = self.hosts[usize::from(node.0)].clock.local(self.now);
        self.process(node).and_then(|process| process.application.terms.get(&name(global))).is_some_and(
            |term| {
                // Nobody asks a process that stands still.
                term.until > local && !term.is_stopping
            },
        )
    }

    /// The token of the present term of a node.
    #[must_use]
    pub fn token_of(&self, node: Node, global: &str) -> Option<Token> {
        self.process(node)?.application.terms.get(&name(global)).map(|term| term.token)
    }

    /// How often a node was elected.
    #[must_use]
    pub fn elections_of(&self, node: Node) -> u32 {
        self.process(node).map_or(0, |process| process.application.elected_count)
    }

    /// Why a node was told to stop, in order.
    #[must_use]
    pub fn stops_of(&self, node: Node) -> Vec<StopReason> {
        self.process(node).map_or_else(Vec::new, |process| {
            process.application.stops.iter().map(|(_, reason)| *reason).collect()
        })
    }

    /// The last status of a registration.
    #[must_use]
    pub fn status(&self, node: Node, id: RegistrationId) -> Option<RegistrationStatus> {
        self.process(node)?.application.statuses.get(&id)?.last().cloned()
    }

    /// What a node was told last of the holder of a global.
    #[must_use]
    pub fn holder(&self, node: Node, global: &str) -> Option<Holder> {
        self.process(node)?.application.holders.get(&name(global)).cloned()
    }

    /// How fresh a cache is.
    #[must_use]
    pub fn freshness(&self, node: Node, directory: &Directory) -> Option<Freshness> {
        self.process(node)?.machine.directory(directory).map(|(freshness, _)| freshness)
    }

    /// The instances of a directory, as a node shows them.
    #[must_use]
    pub fn instances(&self, node: Node, directory: &Directory) -> Vec<String> {
        let shown = self.process(node).and_then(|process| process.machine.directory(directory));
        shown.map_or_else(Vec::new, |(_, instances)| {
            instances.iter().map(|instance| instance.name.to_string()).collect()
        })
    }

    /// What a node was told of trouble.
    #[must_use]
    pub fn degraded(&self, node: Node) -> &[String] {
        self.process(node).map_or(&[], |process| &process.application.degraded)
    }

    /// Whether a node has closed, or was never there.
    #[must_use]
    pub fn is_down(&self, node: Node) -> bool {
        self.process(node).is_none()
    }

    /// A node leads.
    pub fn expect_leader(&mut self, node: Node, global: &str) {
        let leads = self.leads(node, global);
        self.expect(LEADERS, leads, &format!("n{} must lead {global}", node.0));
    }

    /// A node does not lead.
    pub fn expect_follower(&mut self, node: Node, global: &str) {
        let leads = self.leads(node, global);
        self.expect(LEADERS, !leads, &format!("n{} must not lead {global}", node.0));
    }

    /// At most so many requests in a window, from now on, of each node.
    pub fn expect_requests(&mut self, window: Duration, max: u32) {
        self.checks.expect_requests(window, max);
    }

    /// Nothing goes wrong for a while, and then everything is as it must be.
    pub fn settle(&mut self) {
        self.run(QUIET);
        if !self.is_over() {
            let result = self.audit();
            self.check(result);
        }
    }

    /// Whether everything has come to what it must be.
    fn audit(&self) -> Result<(), Violation> {
        self.checks.completion.check_calls()?;
        self.checks.completion.check_requests(self.now.before(ANSWER))?;
        let tree = self.tree();
        let mut claims = BTreeMap::new();
        for process in self.processes() {
            let (life, application) = (process.life, &process.application);
            let session = process.client.session().filter(|_| process.client.is_up());
            let Some(session) = session else {
                return Err(Violation::new("sessions", format!("{life} has none after the quiet stretch")));
            };
            let wanted = application.registrations.values();
            check_registrations(tree, ROOT, life, session, wanted.clone())?;
            self.checks.caches.check(tree, ROOT, life, &application.subscriptions)?;
            self.check_views(process)?;
            let path = |directory: &Directory| format!("{ROOT}/{directory}");
            let instances: BTreeSet<String> = wanted
                .flat_map(|wanted| {
                    let plain = format!("{}/{}", path(&wanted.directory), wanted.instance);
                    [format!("{plain}+"), plain]
                })
                .collect();
            let queues = application.candidacies.iter();
            let queues = queues.map(|global| format!("{ROOT}/globals/{global}/queue")).collect();
            claims.insert(session, Claims { life, instances, queues });
        }
        check_owners(tree, ROOT, &claims)?;
        for global in self.globals() {
            self.check_leader(&global)?;
        }
        self.server.check_invariants();
        Ok(())
    }

    /// What drivers may read between events is what the events have told.
    fn check_views(&self, process: &Process) -> Result<(), Violation> {
        let life = process.life;
        for directory in &process.application.subscriptions {
            let told = self.checks.caches.contents(life, directory);
            let seen: Option<Contents> = process.machine.directory(directory).map(|(_, instances)| {
                instances.into_iter().map(|instance| (instance.name, instance.payload)).collect()
            });
            if told != seen.as_ref() {
                let detail = format!("{life} shows {seen:?} for {directory}, and has told {told:?}");
                return Err(Violation::new("views", detail));
            }
        }
        Ok(())
    }

    fn check_leader(&self, global: &Name) -> Result<(), Violation> {
        let believers: BTreeSet<Life> = self.checks.belief.believers(self.now, global).collect();
        let mut standing =
            Standing { global, candidates: Vec::new(), leaders: Vec::new(), views: Vec::new(), alive: &[] };
        for process in self.processes() {
            let (life, application) = (process.life, &process.application);
            if application.candidacies.contains(global) {
                standing.candidates.push(life);
            }
            if let Some(term) = application.terms.get(global)
                && believers.contains(&life)
            {
                standing.leaders.push((life, term.token));
            }
            if application.lookups.contains(global)
                && let Some(holder) = application.holders.get(global)
            {
                standing.views.push((life, holder.clone()));
            }
        }
        match self.variant {
            Variant::Real | Variant::Mutated(..) => check_leaders(self.tree(), ROOT, &standing),
            Variant::Naive(_) => self.check_naive_leaders(&standing),
        }
    }

    /// As [`check_leaders`], for machines that have no term record.
    fn check_naive_leaders(&self, standing: &Standing<'_>) -> Result<(), Violation> {
        let Standing { global, candidates, leaders, views, alive: _ } = standing;
        let wrong = |what: String| Err(Violation::new(LEADERS, format!("{global}: {what}")));
        match (candidates.as_slice(), leaders.as_slice()) {
            ([_, ..], []) => return wrong(format!("nobody leads it, and {candidates:?} stand for it")),
            ([], [_, ..]) | ([_, ..], [_, _, ..]) => return wrong(format!("{leaders:?} lead it")),
            ([], []) | ([_, ..], [_]) => {}
        }
        let payload = leaders.first().map(|(life, _)| self.hosts[usize::from(life.node)].name.as_str());
        for (life, view) in views {
            let seen = match view {
                Holder::Held { payload, .. } => Some(Arc::clone(payload)),
                Holder::Vacant | Holder::Unknown => None,
            };
            if seen.as_deref() != payload.map(str::as_bytes) {
                return wrong(format!("{life} was told {view:?}, and {leaders:?} lead it"));
            }
        }
        Ok(())
    }

    fn globals(&self) -> BTreeSet<Name> {
        let of = |process: &Process| {
            let application = &process.application;
            let all = application.candidacies.iter().chain(&application.lookups);
            all.chain(application.terms.keys()).cloned().collect::<Vec<_>>()
        };
        self.processes().flat_map(of).collect()
    }

    fn every_node(&self) -> impl Iterator<Item = Node> + use<> {
        (0..u8::try_from(self.hosts.len()).unwrap_or(u8::MAX)).map(Node)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.hosts.iter().filter_map(|host| host.process.as_ref())
    }

    fn process(&self, node: Node) -> Option<&Process> {
        self.hosts[usize::from(node.0)].process.as_ref()
    }
}

const _: () = assert!(QUIET.as_secs() > 2 * T.as_secs() + 2 * L.as_secs());
