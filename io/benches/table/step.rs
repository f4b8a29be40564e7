//! One step of the core: an input, and its outputs drained.

use std::time::{Duration, Instant};

use queenright_core::op::{Change, OpError, Reply, Stat, WatchEvent};
use queenright_core::{
    Config, Coordinator, Directory, Incarnation, Input, Name, Op, Output, Path, SessionEpoch, SessionEvent,
    SessionId,
};

use crate::measure::{Row, Target};

const SLICES: usize = 9;
const STEPS: u32 = 100_000;
const SESSION: SessionEpoch = SessionEpoch(1);

pub(crate) fn rows(wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for instances in [100, 10_000] {
        let what = format!("core: an instance of {instances} comes or goes, one step");
        if !wanted(&what) {
            continue;
        }
        let mut row = Row::new(&*what, "ns", Target::AtMost(300.0));
        let mut growth = Row::new(format!("{what}: growth in {STEPS} steps"), "B", Target::AtMost(0.0));
        let mut watcher = Watcher::new(instances);
        watcher.steps();
        for _ in 0..SLICES {
            let before = crate::allocated();
            let took = watcher.steps();
            growth.ours.push(crate::allocated() as f64 - before as f64);
            row.ours.push(took.as_nanos() as f64 / f64::from(STEPS));
        }
        rows.extend([row, growth]);
    }
    rows
}

/// A connected machine that follows a service.
struct Watcher {
    core: Coordinator,
    now: queenright_core::Instant,
    came: Input,
    went: Input,
}

impl Watcher {
    fn new(instances: usize) -> Self {
        let now = queenright_core::Instant::from_millis(1_000);
        let name = |text: &str| Name::new(text).expect("a name");
        let config = Config::new(name("node"), Incarnation(7));
        let service = Path::new(format!("{}/services/web", config.root)).expect("a path");
        let mut core = Coordinator::new(config, now).expect("a good configuration");
        let connected = SessionEvent::Connected { session_epoch: SESSION, session: SessionId(7) };
        core.handle_input(now, Input::Session(connected));
        core.subscribe(now, Directory::Service(name("web"))).expect("it runs");
        while let Some(output) = core.poll_output() {
            let Output::Request(request) = output else { continue };
            let outcome = if matches!(request.op, Op::AddWatch { .. }) {
                Ok(Reply::WatchAdded)
            } else if let Op::GetChildren { path, .. } = request.op
                && path == service
            {
                let names = (0..instances).map(|number| format!("instance-{number:08}")).collect();
                Ok(Reply::Children { names, stat: Stat::default() })
            } else {
                Err(OpError::Unknown)
            };
            let request = request.id;
            core.handle_input(now, Input::Response { session_epoch: SESSION, request, zxid: None, outcome });
        }
        let known = core.directory(&Directory::Service(name("web"))).map(|(_, known)| known.len());
        assert_eq!(known, Some(instances), "the service is known");
        let path = Path::new(format!("{service}/instance-00000050-x")).expect("a path");
        let event = |change| Input::Watch {
            session_epoch: SESSION,
            event: WatchEvent { change, path: path.clone(), zxid: None },
        };
        Self { core, now, came: event(Change::Created), went: event(Change::Deleted) }
    }

    fn steps(&mut self) -> Duration {
        let begun = Instant::now();
        let mut events = 0;
        for step in 0..STEPS {
            let input = if step % 2 == 0 { &self.came } else { &self.went };
            self.core.handle_input(self.now, input.clone());
            while let Some(output) = self.core.poll_output() {
                events += u32::from(matches!(output, Output::Event(_)));
            }
        }
        assert_eq!(events, STEPS, "each step tells of one change");
        begun.elapsed()
    }
}
