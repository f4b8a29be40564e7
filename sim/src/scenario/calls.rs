//! What applications ask of their nodes.

use queenright_core::{Directory, HostEvent, Input, Misuse, Name, RegistrationId, Terms};

use super::ROOT;
use super::host::Node;
use super::machine::Call;
use super::run::Museum;
use crate::checkers::{self, Mark, Violation, Wanted};
use crate::zookeeper::ServerId;

/// The directory of a service.
///
/// # Panics
/// When `text` is not a name: scenarios are written by hand.
#[must_use]
pub fn service(text: &str) -> Directory {
    Directory::Service(name(text))
}

/// The directory of nodes.
#[must_use]
pub const fn nodes() -> Directory {
    Directory::Nodes
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

impl Museum {
    /// Stands for a global, for as many terms as come, with the node's name as payload.
    pub fn campaign(&mut self, node: Node, global: &str) {
        let payload = self.hosts[usize::from(node.0)].name.as_str().to_owned();
        self.campaign_with(node, global, &payload, Terms::Many);
    }

    /// Stands for a global.
    pub fn campaign_with(&mut self, node: Node, global: &str, payload: &str, terms: Terms) {
        if let Some(application) = self.application(node) {
            application.candidacies.insert(name(global));
            let life = self.life_of(node.0);
            if let Some(life) = life {
                self.checks.completion.recalled(life, &checkers::Call::Resign(name(global)));
            }
            let call = Call::Campaign { global: name(global), payload: payload.into(), terms };
            self.must(node, call);
        }
    }

    /// Stands for it no longer.
    pub fn resign(&mut self, node: Node, global: &str) {
        if let Some(application) = self.application(node) {
            application.candidacies.remove(&name(global));
            self.called(node, checkers::Call::Resign(name(global)));
            self.must(node, Call::Resign(name(global)));
        }
    }

    /// The application of the present term comes to its end by itself.
    pub fn finish(&mut self, node: Node, global: &str) {
        let global = name(global);
        let Some(application) = self.application(node) else { return };
        if let Some(term) = application.terms.get(&global) {
            let token = term.token;
            self.tell(node.0, Input::Host(HostEvent::Stopped { global, token }));
        }
    }

    /// Registers an instance. Gives its name, for what is asked about it later.
    pub fn register(&mut self, node: Node, service: &str, instance: &str, payload: &str) -> RegistrationId {
        self.register_in(node, self::service(service), instance, payload)
    }

    /// Registers an instance in a directory.
    pub fn register_in(
        &mut self,
        node: Node,
        directory: Directory,
        instance: &str,
        payload: &str,
    ) -> RegistrationId {
        let mark = if payload.is_empty() { Mark::Plain } else { Mark::Payload };
        let wanted =
            Wanted { directory: directory.clone(), instance: name(instance), payload: payload.into(), mark };
        let nobody = RegistrationId(u64::MAX);
        if self.application(node).is_none() {
            return nobody;
        }
        let call = Call::Register { directory, instance: name(instance), payload: payload.into() };
        let host = &mut self.hosts[usize::from(node.0)];
        let local = host.clock.local(self.now);
        let Some(process) = &mut host.process else { return nobody };
        match process.machine.call(local, call) {
            Ok(id) => {
                let id = id.unwrap_or(nobody);
                // Before its outputs, which may name it.
                process.application.registrations.insert(id, wanted);
                self.drive(node.0, |_, _| ());
                id
            }
            Err(misuse) => {
                self.fail(refused(&misuse));
                nobody
            }
        }
    }

    /// Replaces an instance's payload.
    pub fn update(&mut self, node: Node, id: RegistrationId, payload: &str) {
        let Some(application) = self.application(node) else { return };
        if let Some(wanted) = application.registrations.get_mut(&id) {
            wanted.payload = payload.into();
        }
        self.must(node, Call::Update { id, payload: payload.into() });
    }

    /// Withdraws an instance.
    pub fn unregister(&mut self, node: Node, id: RegistrationId) {
        let Some(application) = self.application(node) else { return };
        application.registrations.remove(&id);
        self.called(node, checkers::Call::Unregister(id));
        self.must(node, Call::Unregister { id });
    }

    /// Caches a directory.
    pub fn subscribe(&mut self, node: Node, directory: Directory) {
        let Some(application) = self.application(node) else { return };
        application.subscriptions.insert(directory.clone());
        if let Some(life) = self.life_of(node.0) {
            let tree = self.server.tree(ServerId::FIRST);
            self.checks.caches.subscribed(self.now, life, &directory, std::iter::once(tree), ROOT);
        }
        self.must(node, Call::Subscribe(directory));
    }

    /// Follows the holder of a global.
    pub fn look_up(&mut self, node: Node, global: &str) {
        let Some(application) = self.application(node) else { return };
        application.lookups.insert(name(global));
        self.must(node, Call::LookUp(name(global)));
    }

    /// Stops caring about a directory.
    pub fn unsubscribe(&mut self, node: Node, directory: &Directory) {
        let Some(application) = self.application(node) else { return };
        application.subscriptions.remove(directory);
        if let Some(life) = self.life_of(node.0) {
            self.checks.caches.unsubscribed(life, directory);
        }
        self.must(node, Call::Unsubscribe(directory.clone()));
    }

    /// Closes the node in good order.
    pub fn close(&mut self, node: Node) {
        let Some(application) = self.application(node) else { return };
        application.candidacies.clear();
        application.registrations.clear();
        application.subscriptions.clear();
        application.lookups.clear();
        self.called(node, checkers::Call::Close);
        self.must(node, Call::Close);
    }

    /// A call that may be misuse: gives what the node says to it.
    pub fn try_call(&mut self, node: Node, call: Call) -> Result<Option<RegistrationId>, Misuse> {
        let host = &mut self.hosts[usize::from(node.0)];
        let local = host.clock.local(self.now);
        let Some(process) = &mut host.process else { return Err(Misuse::Closing) };
        let result = process.machine.call(local, call);
        self.drive(node.0, |_, _| ());
        result
    }

    fn called(&mut self, node: Node, call: checkers::Call) {
        if let Some(life) = self.life_of(node.0) {
            self.checks.completion.called(life, call);
        }
    }

    fn must(&mut self, node: Node, call: Call) {
        self.note(format_args!("n{}: {call:?}", node.0));
        if let Err(misuse) = self.try_call(node, call) {
            self.fail(refused(&misuse));
        }
    }
}

fn refused(misuse: &Misuse) -> Violation {
    Violation::new("refused calls", misuse.to_string())
}
