//! What applications do.

use queenright_core::{Directory, HostEvent, Input, Misuse, Name, Terms};

use super::application::Stage;
use super::process::Pause;
use super::sometimes::Reached;
use super::workload::Step;
use super::world::World;
use crate::checkers::{Call, Mark, Violation, Wanted};
use crate::timeline::What;

const PROPERTY: &str = "refused calls";

impl World<'_> {
    /// A node that starts registers itself.
    pub(super) fn join(&mut self, node: u8) -> Result<(), Violation> {
        let name = self.names.nodes[usize::from(node)].clone();
        let Some(process) = self.nodes[usize::from(node)].process() else { return Ok(()) };
        let payload = process.life.to_string().into_bytes();
        self.register(node, Directory::Nodes, name, payload)
    }

    /// One step of an application, if it makes sense now.
    pub(super) fn perform(&mut self, node: u8, step: Step) -> Result<(), Violation> {
        let index = usize::from(node);
        let Some(process) = self.nodes[index].process() else { return Ok(()) };
        if process.application.stage == Stage::Closing || matches!(process.pause, Pause::Until { .. }) {
            return Ok(());
        }
        let life = process.life;
        self.trace.note(self.now, &(life, step), |line| write!(line, "{life} does {step:?}"));
        self.recorder.record(self.now, || {
            let stands = if let Step::Campaign { global, .. } = step {
                Some(self.names.globals[usize::from(global)].clone())
            } else {
                None
            };
            What::Did { life, stands, text: format!("{step:?}") }
        });
        let Some(process) = self.nodes[index].process() else { return Ok(()) };
        let application = &mut process.application;
        match step {
            Step::Campaign { global, terms } => {
                if terms == Terms::One && application.is_ending(global) {
                    return Ok(());
                }
                let payload = application.campaign(global, terms);
                let name = self.names.globals[usize::from(global)].clone();
                self.checks.completion.recalled(life, &Call::Resign(name.clone()));
                let result =
                    self.drive(node, |core, now| Answer::of(core.campaign(now, name, payload, terms)))?;
                result.accepted(&format_args!("{life}'s campaign"))
            }
            Step::Resign { global } => {
                if !application.resign(global) {
                    return Ok(());
                }
                let name = self.names.globals[usize::from(global)].clone();
                self.checks.completion.called(life, Call::Resign(name.clone()));
                let result = self.drive(node, |core, now| Answer::of(core.resign(now, &name)))?;
                result.accepted(&format_args!("{life}'s resignation"))
            }
            Step::Finish { global } => {
                let Some(token) = application.running(global) else { return Ok(()) };
                application.stopped(global, token);
                let global = self.names.globals[usize::from(global)].clone();
                let input = Input::Host(HostEvent::Stopped { global, token });
                self.sometimes.reach(Reached::FinishedByItself);
                self.observe_input(node, &input)?;
                self.drive(node, |core, now| core.handle_input(now, input))
            }
            Step::Register { service, instance, payload } => {
                let (directory, instance) = self.instance(node, service, instance);
                let Some(process) = self.nodes[index].process() else { return Ok(()) };
                if process.application.registration(&directory, &instance).is_some() {
                    return Ok(());
                }
                self.register(node, directory, instance, bytes(payload))
            }
            Step::Update { service, instance, payload } => {
                let (directory, instance) = self.instance(node, service, instance);
                let Some(process) = self.nodes[index].process() else { return Ok(()) };
                let Some(id) = process.application.registration(&directory, &instance) else { return Ok(()) };
                match process.application.registrations.get_mut(&id) {
                    // Without a payload it was made, and without one it stays.
                    Some(Wanted { mark: Mark::Plain, .. }) | None => return Ok(()),
                    Some(wanted @ Wanted { mark: Mark::Payload, .. }) => wanted.payload = bytes(payload),
                }
                let result =
                    self.drive(node, |core, now| Answer::of(core.update(now, id, bytes(payload))))?;
                result.accepted(&format_args!("{life}'s update"))
            }
            Step::Unregister { service, instance } => {
                let (directory, instance) = self.instance(node, service, instance);
                let Some(process) = self.nodes[index].process() else { return Ok(()) };
                let Some(id) = process.application.registration(&directory, &instance) else { return Ok(()) };
                process.application.registrations.remove(&id);
                self.checks.completion.called(life, Call::Unregister(id));
                let result = self.drive(node, |core, now| Answer::of(core.unregister(now, id)))?;
                result.accepted(&format_args!("{life}'s withdrawal of {id}"))
            }
            Step::Subscribe(watched) => {
                let directory = self.names.directory(watched);
                application.subscriptions.insert(directory.clone());
                let trees = self.server.servers().map(|id| self.server.tree(id));
                self.checks.caches.subscribed(self.now, life, &directory, trees, &self.names.root);
                let result = self.drive(node, |core, now| Answer::of(core.subscribe(now, directory)))?;
                result.accepted(&format_args!("{life}'s subscription"))
            }
            Step::Unsubscribe(watched) => {
                let directory = self.names.directory(watched);
                if application.subscriptions.remove(&directory) {
                    self.checks.caches.unsubscribed(life, &directory);
                    self.drive(node, |core, now| core.unsubscribe(now, &directory))?;
                }
                Ok(())
            }
            Step::LookUp { global } => {
                application.lookups.insert(global);
                let name = self.names.globals[usize::from(global)].clone();
                let result = self.drive(node, |core, now| Answer::of(core.look_up(now, name)))?;
                result.accepted(&format_args!("{life}'s look-up"))
            }
            Step::Forget { global } => {
                if application.lookups.remove(&global) {
                    let name = self.names.globals[usize::from(global)].clone();
                    self.drive(node, |core, now| core.forget(now, &name))?;
                }
                Ok(())
            }
            Step::Close => {
                application.close();
                self.checks.completion.called(life, Call::Close);
                self.drive(node, queenright_core::Coordinator::close)
            }
        }
    }

    fn instance(&self, node: u8, service: u8, instance: u8) -> (Directory, Name) {
        let directory = Directory::Service(self.names.services[usize::from(service)].clone());
        (directory, self.names.instances[usize::from(node)][usize::from(instance)].clone())
    }

    fn register(
        &mut self,
        node: u8,
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
    ) -> Result<(), Violation> {
        let mark = if payload.is_empty() { Mark::Plain } else { Mark::Payload };
        let wanted = Wanted {
            directory: directory.clone(),
            instance: instance.clone(),
            payload: payload.clone(),
            mark,
        };
        // Not by `drive`: what the core puts out at once may name the registration, which must be known by then.
        let index = usize::from(node);
        let local = self.nodes[index].clock.local(self.now);
        let Some(process) = self.nodes[index].process() else { return Ok(()) };
        let life = process.life;
        match process.core.register(local, directory, instance, payload) {
            Ok(id) => {
                process.application.registrations.insert(id, wanted);
                self.drive(node, |_, _| ())
            }
            // Withdrawn a moment ago, and not gone yet.
            Err(Misuse::AlreadyRegistered { .. }) => self.drive(node, |_, _| ()),
            Err(misuse) => Err(Violation::new(PROPERTY, format!("{life}'s registration: {misuse}"))),
        }
    }
}

/// What a call came to.
#[derive(Debug, Default)]
enum Answer {
    /// It was accepted, or nobody was there to call.
    #[default]
    Accepted,
    Refused(Misuse),
}

impl Answer {
    fn of(result: Result<(), Misuse>) -> Self {
        match result {
            Ok(()) => Self::Accepted,
            Err(misuse) => Self::Refused(misuse),
        }
    }

    /// The workload makes only calls that make sense.
    fn accepted(self, call: &std::fmt::Arguments<'_>) -> Result<(), Violation> {
        match self {
            Self::Accepted => Ok(()),
            Self::Refused(misuse) => Err(Violation::new(PROPERTY, format!("{call}: {misuse}"))),
        }
    }
}

fn bytes(payload: u8) -> Vec<u8> {
    match payload {
        0 => Vec::new(),
        byte => vec![byte; 1 + usize::from(byte % 32)],
    }
}
