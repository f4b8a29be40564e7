//! The states of small worlds, counted by stateright instead of by [`search`](super::search).
//!
//! What a step is comes from the same code, and nothing else does. Here every state is whole: a [`Space`] of its own holds its
//! components and no others, so that nothing is remembered of other steps and no number means anything elsewhere; the state is
//! told from others by all of the bytes that it comes to, not by a digest of each component; and the search, its queue and its
//! table are stateright's. Each state keeps the numbers of its own requests, while the checker goes on with those of whichever
//! state of the same name it met first.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use stateright::{Checker, Model, Property};

use super::canonical::encode;
use super::link::Link;
use super::search::{Settings, check};
use super::space::Space;
use super::state::{Action, NOBODY, State};
use super::world::World;
use super::worlds::find;
use crate::checkers::Violation;

/// A state, and all that it is made of.
#[derive(Clone, Debug)]
struct Whole {
    space: Arc<Space<'static>>,
    state: State,
    encoding: Arc<[u8]>,
    violation: Option<Violation>,
}

impl Whole {
    /// The same state with what it is made of, and nothing else.
    fn of(space: &Space<'static>, state: &State, violation: Option<Violation>) -> Self {
        let (space, state) = alone(space, state);
        let encoding = encoding(&space, &state).into();
        Self { space: Arc::new(space), state, encoding, violation }
    }
}

impl PartialEq for Whole {
    fn eq(&self, other: &Self) -> bool {
        self.encoding == other.encoding
    }
}

impl Hash for Whole {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.encoding.hash(state);
    }
}

fn alone(space: &Space<'static>, state: &State) -> (Space<'static>, State) {
    let mut alone = Space::new(space.world);
    alone.begun = space.begun;
    let state = alone.adopt(space, state);
    (alone, state)
}

/// Whatever is written, byte for byte.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        panic!("these bytes are compared, not hashed")
    }
}

/// All of a state that its future depends on.
fn encoding(space: &Space<'_>, state: &State) -> Vec<u8> {
    let mut bytes = Bytes::default();
    let State { now, server, machines, links, tokens, left, paused, lives, emptied } = state;
    (now, tokens, left, paused, lives, emptied).hash(&mut bytes);
    space.servers.get(*server).ensemble.fingerprint(&mut bytes);
    for machine in machines {
        let machine = (*machine != NOBODY).then(|| &space.nodes.get(*machine).machine);
        encode(&machine, &mut bytes);
    }
    for link in links {
        let Link { state, session, epoch, seen, lost, up, down, orphan, is_astray } = space.links.get(*link);
        (state, session, epoch, seen, lost, orphan, is_astray).hash(&mut bytes);
        up.iter().map(|op| space.ops.get(*op)).collect::<Vec<_>>().hash(&mut bytes);
        down.iter().map(|said| space.said.get(*said)).collect::<Vec<_>>().hash(&mut bytes);
    }
    bytes.0
}

/// A world as stateright wants it.
#[derive(Clone, Copy)]
struct Counted(&'static World);

impl Model for Counted {
    type State = Whole;
    type Action = Action;

    fn init_states(&self) -> Vec<Whole> {
        let mut space = Space::new(self.0);
        let first = space.begin().unwrap_or_else(|violation| panic!("{}: {violation}", self.0.name));
        vec![Whole::of(&space, &first, None)]
    }

    fn actions(&self, whole: &Whole, actions: &mut Vec<Action>) {
        let (mut space, state) = alone(&whole.space, &whole.state);
        space.tried(&state, actions);
    }

    fn next_state(&self, whole: &Whole, action: Action) -> Option<Whole> {
        let (mut space, state) = alone(&whole.space, &whole.state);
        let next = space.next(&state, action);
        Some(Whole::of(&space, &next.state, next.violation))
    }

    /// Stateright stops when it has nothing left to look for.
    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("no step violates anything", |_, whole: &Whole| whole.violation.is_none())]
    }
}

#[test]
fn stateright_counts_the_same_states_and_steps() {
    for name in ["orphans", "resign", "registers", "crash", "onlooker", "astray", "given-up", "written"] {
        let world = find(name).unwrap_or_else(|| panic!("there is no world {name}"));
        let counted = Counted(world).checker().spawn_bfs().join();
        counted.assert_properties();
        let outcome = check(world, Settings::default(), &mut |_| ())
            .unwrap_or_else(|found| panic!("{name}: {}", found.violation));
        let ours = (outcome.states, outcome.transitions);
        // No step led to the first state.
        let theirs = (counted.unique_state_count() as u64, counted.state_count() as u64 - 1);
        assert_eq!(ours, theirs, "{name}: states and steps");
        assert_eq!(Some(theirs.0), world.states, "{name}: states on record");
    }
}
