//! The last checks, after the quiet stretch.

use std::collections::{BTreeMap, BTreeSet};

use queenright_core::{Directory, Instant};

use super::process::Process;
use super::world::World;
use crate::checkers::{
    Claims, Contents, Life, Standing, Violation, check_leaders, check_owners, check_registrations,
};
use crate::zookeeper::Role;

impl World<'_> {
    /// Whether everything has come to what it must be, and requests put out until then are answered.
    ///
    /// # Errors
    /// The first thing that has not.
    pub(super) fn audit(&self, answered_until: Instant) -> Result<(), Violation> {
        self.checks.completion.check_calls()?;
        self.checks.completion.check_requests(answered_until)?;
        let (tree, root) = (self.tree(), self.names.root.as_str());
        let mut claims = BTreeMap::new();
        for process in self.processes() {
            let life = process.life;
            let Some(session) = process.client.session() else {
                return Err(Violation::new("sessions", format!("{life} has none after the quiet stretch")));
            };
            let wanted = process.application.registrations.values();
            check_registrations(tree, root, life, session, wanted.clone())?;
            self.checks.caches.check(tree, root, life, &process.application.subscriptions)?;
            self.check_views(process)?;
            let path = |directory: &Directory| match directory {
                Directory::Nodes => format!("{root}/nodes"),
                Directory::Service(name) => format!("{root}/services/{name}"),
            };
            let instances: BTreeSet<String> = wanted
                .flat_map(|wanted| {
                    let plain = format!("{}/{}", path(&wanted.directory), wanted.instance);
                    [format!("{plain}+"), plain]
                })
                .collect();
            let queues = process
                .application
                .candidacies
                .keys()
                .map(|global| format!("{root}/globals/{}/queue", self.names.globals[usize::from(*global)]))
                .collect();
            claims.insert(session, Claims { life, instances, queues });
        }
        check_owners(tree, root, &claims)?;
        let alive = self.alive();
        self.standings(&alive).try_for_each(|standing| check_leaders(tree, root, &standing))?;
        self.check_servers()
    }

    /// Every global that somebody stands for is led.
    ///
    /// # Errors
    /// The first one that is not.
    pub(super) fn check_led(&self) -> Result<(), Violation> {
        for Standing { global, candidates, leaders, .. } in self.standings(&[]) {
            if leaders.is_empty() && !candidates.is_empty() {
                let within = self.plan.led_within();
                let detail = format!(
                    "{global}: nobody leads it {within:?} after all has healed, and {candidates:?} stand for it"
                );
                return Err(Violation::new("leaders in time", detail));
            }
        }
        Ok(())
    }

    /// All servers serve, and have come to the same state.
    fn check_servers(&self) -> Result<(), Violation> {
        let wrong = |what: String| Err(Violation::new("servers", what));
        let Some(leader) = self.server.leader() else { return wrong("nobody leads".into()) };
        for server in self.server.servers() {
            let role = self.server.role(server);
            if matches!(role, Role::Looking | Role::Down) {
                return wrong(format!("{server:?} is {role:?}"));
            }
            if !self.server.tree(server).iter().eq(self.server.tree(leader).iter()) {
                return wrong(format!("{server:?} shows something else than the leader, {leader:?}"));
            }
        }
        Ok(())
    }

    /// What drivers may read between events is what the events have told.
    fn check_views(&self, process: &Process) -> Result<(), Violation> {
        let (life, application) = (process.life, &process.application);
        let wrong = |what: String| Err(Violation::new("views", format!("{life}: {what}")));
        for directory in &application.subscriptions {
            let told = self.checks.caches.contents(life, directory);
            let seen: Option<Contents> = process.core.directory(directory).map(|(_, instances)| {
                instances.into_iter().map(|instance| (instance.name, instance.payload)).collect()
            });
            if told != seen.as_ref() {
                return wrong(format!("shows {seen:?} for {directory}, and has told {told:?}"));
            }
        }
        for number in &application.lookups {
            let global = &self.names.globals[usize::from(*number)];
            let (told, seen) = (application.holders.get(number), process.core.holder(global));
            if told != seen.as_ref() {
                return wrong(format!("shows {seen:?} for {global}, and has told {told:?}"));
            }
        }
        Ok(())
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.nodes.iter().filter_map(|node| node.running())
    }

    /// All who live, and what the names of their lease records begin with.
    fn alive(&self) -> Vec<(Life, String)> {
        let prefix = |process: &Process| format!("{}.", process.core.config().incarnation);
        self.processes().map(|process| (process.life, prefix(process))).collect()
    }

    fn standings<'a>(&'a self, alive: &'a [(Life, String)]) -> impl Iterator<Item = Standing<'a>> {
        (0..).zip(&self.names.globals).map(move |(number, global)| {
            let believers: BTreeSet<_> = self.checks.belief.believers(self.now, global).collect();
            let mut standing =
                Standing { global, candidates: Vec::new(), leaders: Vec::new(), views: Vec::new(), alive };
            for process in self.processes() {
                let (life, application) = (process.life, &process.application);
                if application.candidacies.contains_key(&number) {
                    standing.candidates.push(life);
                }
                if let Some(token) = application.running(number)
                    && believers.contains(&life)
                {
                    standing.leaders.push((life, token));
                }
                if application.lookups.contains(&number)
                    && let Some(holder) = application.holders.get(&number)
                {
                    standing.views.push((life, holder.clone()));
                }
            }
            standing
        })
    }
}
