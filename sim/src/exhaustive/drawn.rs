//! A counterexample as a picture.
//!
//! Steps take no time, but for those that say so. In the picture each comes [`APART`] after the one before, so that they can be
//! told from each other; everything that has a time, as the end of a belief, is shifted by as much as the steps before it.

use std::collections::VecDeque;

use queenright_core::op::{Op, WatchEvent};
use queenright_core::wire::convert;
use queenright_core::{Input, Instant, Output, SessionEvent};

use super::link::{Link, Said, State as LinkState};
use super::machine::{Application, Machine, Stimulus};
use super::repro::Repro;
use super::space::{Space, true_time};
use super::state::{Action, NOBODY, State};
use super::story::{Heard, Lived, Told, live};
use super::world::NODES_MAX;
use crate::checkers::{Life, Violation};
use crate::explorer::{recorded, show};
use crate::timeline::{Belief, Heading, Letter, Recorder, Timeline, Way, What};

/// In nanoseconds.
const APART: u64 = 20_000_000;

/// Takes the steps of a counterexample again, and tells what can be drawn of it: nothing, when it comes before the first
/// state.
///
/// # Errors
/// A step that is not possible where it stands.
pub fn draw(repro: &Repro) -> Result<(Timeline, Option<Violation>), String> {
    let world = &repro.world;
    let Lived { space, first, told, violation } = live(repro)?;
    let recorder = Recorder::on();
    if let Some(first) = first {
        let clock = Clock::new(first, &told);
        let mut drawing = Drawing {
            space: &space,
            recorder: recorder.clone(),
            state: first,
            clock: &clock,
            step: 0,
            asked: [0; NODES_MAX],
            up: Default::default(),
            owed: Default::default(),
        };
        drawing.begin();
        // What nodes hear in a step is told before what comes of it.
        let mut heard = Vec::new();
        let mut taken = None;
        for told in told {
            match told {
                Told::Taken { action, .. } => taken = Some(action),
                Told::Heard(one) => heard.push(one),
                Told::Became(after) => {
                    if let Some(action) = taken.take() {
                        drawing.step(action, &std::mem::take(&mut heard), after);
                    }
                }
            }
        }
    }
    let lease = world.config(Life { node: 0, number: 0 }).lease.as_nanos();
    let heading = Heading {
        title: format!("queenright: {}", world.name),
        plan: plan(repro),
        violation: violation.as_ref().map(ToString::to_string),
        lease: u64::try_from(lease).unwrap_or(u64::MAX),
        nodes: world.nodes,
        servers: world.servers(),
        globals: (0..world.globals).map(|global| world.global(global).to_string()).collect(),
    };
    Ok((Timeline::new(heading, &recorder.finish()), violation))
}

fn plan(Repro { world, steps, completion, .. }: &Repro) -> String {
    let mutation = world.mutation.map_or_else(String::new, |guard| format!("\nwithout the guard {guard:?}"));
    let steps: String = (1..).zip(steps).map(|(number, step)| format!("\n{number:>3} {step}")).collect();
    let then = if *completion { "\n    then nothing goes wrong any more" } else { "" };
    let apart = APART / 1_000_000;
    format!(
        "{}{mutation}\na step takes {apart} ms here, and no time there, if it does not say so{steps}{then}",
        world.bounds()
    )
}

/// From true time to that of the picture.
struct Clock {
    /// When each step is, by the number of steps before it.
    states: Vec<State>,
}

impl Clock {
    fn new(first: State, told: &[Told]) -> Self {
        let became = told.iter().filter_map(|told| match told {
            Told::Became(state) => Some(*state),
            Told::Taken { .. } | Told::Heard(_) => None,
        });
        Self { states: std::iter::once(first).chain(became).collect() }
    }

    fn of_step(&self, step: usize) -> Instant {
        Instant::from_nanos(self.states[step].now + APART * step as u64)
    }

    /// Between the steps before `time` and those that are not.
    fn of_time(&self, time: u64) -> Instant {
        let before = self.states.partition_point(|state| state.now < time);
        Instant::from_nanos(time + APART * before.saturating_sub(1) as u64)
    }

    /// The first step after `step` whose state is `such`, or the last one.
    fn until(&self, step: usize, such: impl Fn(&State) -> bool) -> Instant {
        let later = (step + 1..self.states.len()).find(|later| such(&self.states[*later]));
        self.of_step(later.unwrap_or(self.states.len() - 1))
    }
}

struct Drawing<'a, 'w> {
    space: &'a Space<'w>,
    recorder: Recorder,
    state: State,
    clock: &'a Clock,
    /// How many steps there were.
    step: usize,
    /// How many requests each node has sent; that is the xid of the latest.
    asked: [i32; NODES_MAX],
    /// The xids of requests under way.
    up: [VecDeque<i32>; NODES_MAX],
    /// Those whose answers are under way.
    owed: [VecDeque<i32>; NODES_MAX],
}

impl Drawing<'_, '_> {
    /// Who is there, and what is under way, before the first step.
    fn begin(&mut self) {
        self.recorder.step();
        for node in 0..self.space.world.nodes {
            let Some(machine) = self.machine(node) else { continue };
            let life = machine.life;
            self.record(What::Started { life });
            if let Some(session) = &self.link(node).session {
                let event = SessionEvent::Connected {
                    session_epoch: self.link(node).epoch,
                    session: session.session,
                };
                self.record(What::Told { life, input: Input::Session(event), text: format!("{event:?}") });
            }
            for (global, stands) in (0..).zip(&machine.stands) {
                if *stands {
                    self.did(life, Some(global), "campaign");
                }
            }
            for (global, term) in (0..).zip(&machine.terms) {
                if let Application::Leads { token, until } = term {
                    let letter = Letter {
                        text: "what it had claimed before".into(),
                        writes: true,
                        ..Letter::default()
                    };
                    self.send(Way::Up, ANSWERS, node, letter);
                    self.arrive(Way::Up, ANSWERS, node);
                    self.look();
                    let until = self.end(node, *until);
                    let global = self.space.world.global(global);
                    let change = Belief::Elected { global, token: *token, until };
                    self.record(What::Believes { life, core: 0, change });
                }
            }
        }
        self.look();
        for node in 0..self.space.world.nodes {
            let Link { up, down, .. } = self.link(node).clone();
            for op in up {
                self.ask(node, self.space.ops.get(op));
            }
            self.say(node, &down);
        }
    }

    fn step(&mut self, action: Action, heard: &[Heard], after: State) {
        self.step += 1;
        self.recorder.step();
        let before = std::mem::replace(&mut self.state, after);
        let served = self.happens(action, &before);
        for one in heard {
            self.hear(one);
        }
        self.look();
        for node in 0..self.space.world.nodes {
            let was = self.space.links.get(before.links[usize::from(node)]).down.len();
            let is = self.link(node).clone();
            // What was said before is drawn already, but for what this step took.
            let taken = usize::from(action == Action::Answer(node) || action == Action::Event(node));
            let kept = if matches!(action, Action::Connect(_) | Action::Stray(_)) {
                0
            } else {
                was.saturating_sub(taken)
            };
            self.say(node, is.down.get(kept..).unwrap_or_default());
        }
        // Nobody is there to hear the answer.
        if let Some(node) = served
            && let Some(xid) = self.owed[usize::from(node)].back().copied()
            && self.link(node).state == LinkState::Down
        {
            let text = format!("reply #{xid}, to nobody");
            self.send(Way::Down, ANSWERS, node, Letter { xid: Some(xid), text, ..Letter::default() });
            self.lose(Way::Down, node);
        }
    }

    /// The step itself. Tells whose request the server has taken.
    fn happens(&mut self, action: Action, before: &State) -> Option<u8> {
        let life = |of: &Self, node: u8| {
            let machine = before.machines[usize::from(node)];
            (machine != NOBODY).then(|| of.space.nodes.get(machine).machine.life)
        };
        match action {
            Action::Serve(node) => {
                self.arrive(Way::Up, ANSWERS, node);
                let xid = self.up[usize::from(node)].pop_front();
                self.owed[usize::from(node)].extend(xid);
                return Some(node);
            }
            Action::Answer(node) => {
                self.arrive(Way::Down, ANSWERS, node);
                self.owed[usize::from(node)].pop_front();
            }
            Action::Event(node) => {
                self.arrive(Way::Down, EVENTS, node);
                if self.link(node).state == LinkState::Down {
                    self.lose(Way::Down, node);
                    self.lose(Way::Up, node);
                }
            }
            Action::Break(node) | Action::Gap(node) | Action::Abandon(node) => {
                self.strike(node, action);
                self.lose(Way::Down, node);
            }
            Action::Crash(node) => {
                self.strike(node, action);
                self.lose(Way::Down, node);
                if let Some(life) = life(self, node) {
                    self.record(What::Ended { life });
                }
            }
            Action::Connect(node) | Action::Stray(node) => {
                self.lose(Way::Down, node);
                self.lose(Way::Up, node);
            }
            Action::Restart(node) => {
                self.lose(Way::Up, node);
                if let Some(life) = self.machine(node).map(|machine| machine.life) {
                    self.record(What::Started { life });
                }
            }
            Action::Lapse(node) => {
                self.strike(node, action);
                if let Some(life) = life(self, node) {
                    let until = self.clock.until(self.step, |state| state.paused & 1 << node == 0);
                    self.record(What::Paused { life, until });
                }
            }
            Action::Resume(node) => {
                if let Some(life) = life(self, node) {
                    self.record(What::Resumed { life });
                }
            }
            Action::Stall(node) => {
                self.strike(node, action);
                let links = &self.space.links;
                let moves =
                    |state: &State| links.get(state.links[usize::from(node)]).state != LinkState::Stalled;
                let until = self.clock.until(self.step, moves);
                self.record(What::Held { node, way: Way::Up, until });
                self.record(What::Held { node, way: Way::Down, until });
            }
            Action::Expire(node)
            | Action::Kill(node)
            | Action::Write(node)
            | Action::Lag(node)
            | Action::CatchUp(node) => {
                self.strike(node, action);
            }
            Action::Stopped(..)
            | Action::Time(_)
            | Action::Free(_)
            | Action::Resign(..)
            | Action::Finish(..)
            | Action::Unregister(..)
            | Action::Leave(_)
            | Action::Pass(_)
            | Action::Lose(_)
            | Action::Again(..) => {}
        }
        None
    }

    fn hear(&mut self, heard: &Heard) {
        let Heard { life, stimulus, epoch, asked, sent, events, .. } = heard;
        let life = *life;
        let input = match stimulus {
            Stimulus::Answer { zxid, outcome } => asked.map(|(session_epoch, request)| {
                let (zxid, outcome) = (*zxid, outcome.clone());
                Input::Response { session_epoch, request, zxid, outcome }
            }),
            Stimulus::Watch(event) => Some(Input::Watch { session_epoch: *epoch, event: event.clone() }),
            Stimulus::Session(event) => Some(Input::Session(*event)),
            Stimulus::Time => self.did(life, None, "look at its clock"),
            Stimulus::Stopped(global) => self.did(life, None, &format!("say that it has stopped {global}")),
            Stimulus::Campaign(global) => self.did(life, Some(*global), "campaign"),
            Stimulus::Resign(_) => self.did(life, None, "resign"),
            Stimulus::Finish(global) => self.did(life, None, &format!("finish with {global}")),
            Stimulus::LookUp(_) => self.did(life, None, "look up"),
            Stimulus::Register(_) => self.did(life, None, "register"),
            Stimulus::Unregister(_) => self.did(life, None, "unregister"),
            Stimulus::Subscribe => self.did(life, None, "subscribe"),
            Stimulus::Unsubscribe => self.did(life, None, "unsubscribe"),
        };
        if let Some(input) = input {
            let text = show::text(|line| show::input(line, &input));
            self.record(What::Told { life, input, text });
        }
        for event in events {
            let output = Output::Event(event.clone());
            let text = show::text(|line| show::output(line, &output));
            self.record(What::Decided { life, output, text });
            self.recorder.believes(self.now(), life, event, |at| self.end(life.node, at));
        }
        sent.iter().for_each(|op| self.ask(life.node, op));
    }

    /// A request sets out.
    fn ask(&mut self, node: u8, op: &Op) {
        let xid = &mut self.asked[usize::from(node)];
        *xid += 1;
        let xid = *xid;
        self.up[usize::from(node)].push_back(xid);
        let request = convert::request(op, &self.space.acl);
        self.send(Way::Up, ANSWERS, node, recorded::request(xid, &request));
    }

    /// Servers have said something.
    fn say(&mut self, node: u8, said: &[u32]) {
        // Answers of this step come behind those that are under way.
        let mut xids = self.unanswered(node, said).into_iter();
        for said in said {
            match self.space.said.get(*said) {
                Said::Answer { outcome, .. } => {
                    let xid = xids.next();
                    let outcome = show::text(|line| show::outcome(line, outcome));
                    let text = format!("reply #{} {outcome}", xid.unwrap_or(0));
                    self.send(Way::Down, ANSWERS, node, Letter { xid, text, ..Letter::default() });
                }
                Said::Event(WatchEvent { change, path, .. }) => {
                    let (text, paths) = (format!("event {change:?} {path}"), vec![path.to_string()]);
                    self.send(Way::Down, EVENTS, node, Letter { text, paths, ..Letter::default() });
                }
                Said::Close => {
                    self.send(Way::Down, EVENTS, node, Letter { text: "close".into(), ..Letter::default() });
                }
            }
        }
    }

    /// The xids of the answers in `said`.
    fn unanswered(&self, node: u8, said: &[u32]) -> Vec<i32> {
        let is_answer = |said: &&u32| matches!(self.space.said.get(**said), Said::Answer { .. });
        let owed = &self.owed[usize::from(node)];
        let count = said.iter().filter(is_answer).count().min(owed.len());
        owed.iter().skip(owed.len() - count).copied().collect()
    }

    fn strike(&self, node: u8, action: Action) {
        self.record(What::Fault { node: Some(node), text: action.to_string() });
    }

    fn lose(&mut self, way: Way, node: u8) {
        for connection in [connection(node, ANSWERS), connection(node, EVENTS)] {
            self.record(What::Lost { way, connection, kept: 0 });
        }
        match way {
            Way::Up => self.up[usize::from(node)].clear(),
            Way::Down => self.owed[usize::from(node)].clear(),
        }
    }

    fn send(&self, way: Way, kind: u64, node: u8, letter: Letter) {
        let server = self.space.world.server_in_use(node, self.link(node).is_astray).0 - 1;
        let connection = connection(node, kind);
        self.record(What::Sent { way, connection, node, server, letter });
    }

    fn arrive(&self, way: Way, kind: u64, node: u8) {
        self.record(What::Arrived { way, connection: connection(node, kind) });
    }

    /// What servers have applied.
    fn look(&self) {
        let ensemble = &self.space.servers.get(self.state.server).ensemble;
        for server in ensemble.servers() {
            self.recorder.look(self.now(), server.0 - 1, ensemble.tree(server));
        }
    }

    /// Nothing that a coordinator is told.
    fn did(&self, life: Life, stands: Option<u8>, text: &str) -> Option<Input> {
        let stands = stands.map(|global| self.space.world.global(global));
        self.record(What::Did { life, stands, text: text.to_owned() });
        None
    }

    fn record(&self, what: What) {
        self.recorder.record(self.now(), || what);
    }

    fn now(&self) -> Instant {
        self.clock.of_step(self.step)
    }

    /// A time of a node's clock.
    fn end(&self, node: u8, at: Instant) -> Instant {
        self.clock.of_time(true_time(node, at))
    }

    fn machine(&self, node: u8) -> Option<&Machine> {
        let machine = self.state.machines[usize::from(node)];
        (machine != NOBODY).then(|| &self.space.nodes.get(machine).machine)
    }

    fn link(&self, node: u8) -> &Link {
        self.space.links.get(self.state.links[usize::from(node)])
    }
}

/// Answers may overtake events: what is first in, first out are two connections.
const ANSWERS: u64 = 0;
const EVENTS: u64 = 1;

fn connection(node: u8, kind: u64) -> u64 {
    u64::from(node) << 1 | kind
}
