//! The body of the fuzz target `cache`: bytes become changes of an honest server's tree, and what becomes of the
//! messages between it and a client, in every order that the port's contract allows.
//!
//! What must hold: what is told fits to what was told before, and was there once; "nothing" is told as a fresh answer only
//! if that was so since the connection came up; and once all was said, what was told is the tree, and so is the snapshot.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Bytes;
use crate::layout::{Layout, Znode};
use crate::op::{Change, ErrorCode, OpError, Outcome, Reply, Stat, WatchEvent};
use crate::{
    Config, Coordinator, Directory, Event, Freshness, Incarnation, Input, Instant, Name, Op, Output, Path,
    Request, SessionEpoch, SessionEvent, SessionId, Zxid,
};

const STEPS_MAX: usize = 600;
/// After so many rounds without an end of what is to be said there is none.
const ROUNDS_MAX: usize = 10_000;
const ZNODES: [&str; 6] = ["i", "i+", "j", "k+", "-", "+"];

/// Lives through the history that `data` stands for.
///
/// # Panics
/// When a cache breaks its contract: a bug of this crate.
pub fn cache(data: &[u8]) {
    let mut world = World::new(Bytes(data));
    for _ in 0..STEPS_MAX {
        if world.bytes.is_empty() {
            break;
        }
        world.step();
        world.settle();
    }
    world.end();
}

/// Names and payloads.
type Members = BTreeMap<Name, Vec<u8>>;

struct World<'a> {
    bytes: Bytes<'a>,
    core: Coordinator,
    now: Instant,
    session_epoch: SessionEpoch,
    is_up: bool,
    shows_zxids: bool,
    server: Server,
    /// Sent, and not served yet.
    requests: VecDeque<Request>,
    directories: Vec<Watched>,
}

/// A directory, as it is and as it was told.
struct Watched {
    directory: Directory,
    path: Path,
    told: Members,
    freshness: Freshness,
    /// All that ever was there.
    seen: BTreeSet<(Name, Vec<u8>)>,
    /// Whether nothing was there at any time since the connection came up.
    was_empty: bool,
}

/// One server, which tells the truth.
struct Server {
    znodes: BTreeMap<Path, (Vec<u8>, Stat)>,
    zxid: i64,
    watches: BTreeSet<Path>,
    /// What it has sent, in order.
    sent: VecDeque<Sent>,
}

enum Sent {
    Reply(Request, Zxid, Outcome),
    Event(WatchEvent),
}

impl<'a> World<'a> {
    fn new(mut bytes: Bytes<'a>) -> Self {
        let node = Name::new("node").expect("a name");
        let mut config = Config::new(node, Incarnation(7)).with_lease(Duration::from_secs(1));
        // With a small one several directories share a watch.
        config.watch_bytes_max = bytes.up_to(4) * 60;
        let shows_zxids = bytes.up_to(2) == 0;
        let (now, layout) = (Instant::from_millis(1_000), Layout::new(&config.root));
        let watched = |name: &str| {
            let directory = Directory::Service(Name::new(name).expect("a name"));
            let path = layout.directory(&directory);
            Watched {
                directory,
                path,
                told: BTreeMap::new(),
                freshness: Freshness::Loading,
                seen: BTreeSet::new(),
                was_empty: true,
            }
        };
        Self {
            bytes,
            core: Coordinator::new(config, now).expect("a good configuration"),
            now,
            session_epoch: SessionEpoch(0),
            is_up: false,
            shows_zxids,
            server: Server {
                znodes: BTreeMap::new(),
                zxid: 0,
                watches: BTreeSet::new(),
                sent: VecDeque::new(),
            },
            requests: VecDeque::new(),
            directories: ["s", "t", "u"].map(watched).into(),
        }
    }

    fn step(&mut self) {
        match self.bytes.up_to(16) {
            0..=4 => self.change(),
            5..=8 => self.serve(),
            9..=11 => self.deliver(),
            12 => {
                let index = self.bytes.up_to(self.directories.len());
                let directory = self.directories[index].directory.clone();
                match self.bytes.up_to(6) {
                    0 => self.core.unsubscribe(self.now, &directory),
                    1 => self.core.touch(self.now, &directory),
                    _ => self.core.subscribe(self.now, directory).expect("there are few"),
                }
            }
            13 if self.is_up => self.lose_connection(),
            13 => self.connect(),
            14 => self.now = self.now.after(Duration::from_millis(self.bytes.next().into())),
            _ => {
                if let Some((at, _)) = self.core.poll_timeout() {
                    self.now = self.now.max(at);
                }
            }
        }
    }

    /// Somebody else changes the tree.
    fn change(&mut self) {
        let index = self.bytes.up_to(self.directories.len());
        let znode = ZNODES[self.bytes.up_to(ZNODES.len())];
        let data = self.bytes.take(2);
        let watched = &mut self.directories[index];
        let Ok(path) = Path::new(format!("{}/{znode}", watched.path)) else { return };
        let is_there = self.server.znodes.contains_key(&path);
        match is_there && self.bytes.up_to(3) > 0 {
            true => self.server.delete(&path),
            false => self.server.put(&path, data),
        }
        let members = self.server.members(&watched.path);
        watched.was_empty |= members.is_empty();
        watched.seen.extend(self.server.znodes_of(&watched.path));
    }

    /// The server answers the next request.
    fn serve(&mut self) {
        if let Some(request) = self.requests.pop_front() {
            self.server.answer(request);
        }
    }

    /// The next message arrives; a reply may overtake events, and an event no reply.
    fn deliver(&mut self) {
        let is_reply = |sent: &Sent| matches!(sent, Sent::Reply(..));
        let first_reply = self.server.sent.iter().position(is_reply);
        let at = first_reply.filter(|_| self.bytes.up_to(2) == 0).unwrap_or(0);
        match self.server.sent.remove(at) {
            Some(Sent::Reply(request, zxid, outcome)) => {
                let zxid = self.shows_zxids.then_some(zxid);
                self.answer(&request, zxid, outcome);
            }
            Some(Sent::Event(mut event)) => {
                event.zxid = event.zxid.filter(|_| self.shows_zxids);
                let session_epoch = self.session_epoch;
                self.core.handle_input(self.now, Input::Watch { session_epoch, event });
            }
            None => {}
        }
    }

    /// Nothing that is under way arrives any more; some requests were served all the same.
    fn lose_connection(&mut self) {
        let served = self.bytes.up_to(4);
        let mut open: Vec<Request> = self.server.sent.drain(..).filter_map(Sent::request).collect();
        for _ in 0..served {
            self.serve();
        }
        open.extend(self.server.sent.drain(..).filter_map(Sent::request));
        open.extend(self.requests.drain(..));
        self.server.watches.clear();
        self.is_up = false;
        self.core.handle_input(self.now, Input::Session(SessionEvent::Suspended));
        for request in open {
            self.answer(&request, None, Err(OpError::Unknown));
        }
    }

    fn connect(&mut self) {
        let event = match self.session_epoch.0 > 0 && self.bytes.up_to(3) > 0 {
            true => SessionEvent::Reconnected,
            false => {
                if self.session_epoch.0 > 0 {
                    self.core.handle_input(self.now, Input::Session(SessionEvent::Lost));
                    self.settle();
                }
                self.session_epoch.0 += 1;
                let session = SessionId(self.session_epoch.0.cast_signed());
                SessionEvent::Connected { session_epoch: self.session_epoch, session }
            }
        };
        self.is_up = true;
        for watched in &mut self.directories {
            watched.was_empty = self.server.members(&watched.path).is_empty();
        }
        self.core.handle_input(self.now, Input::Session(event));
    }

    fn answer(&mut self, request: &Request, zxid: Option<Zxid>, outcome: Outcome) {
        let Request { id, session_epoch, .. } = *request;
        self.core.handle_input(self.now, Input::Response { session_epoch, request: id, zxid, outcome });
    }

    /// Takes what the core says, lets happen what is due, and looks whether all is well.
    fn settle(&mut self) {
        let mut rounds = 0;
        loop {
            self.drain();
            if self.core.poll_timeout().is_none_or(|(at, _)| at > self.now) {
                break;
            }
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "a deadline is due for ever: {:?}", self.core.poll_timeout());
            self.core.handle_timeout(self.now);
        }
        self.core.check_invariants();
        let is_quiet = self.is_up && self.requests.is_empty() && self.server.sent.is_empty();
        for watched in &self.directories {
            let Watched { directory, told, freshness, .. } = watched;
            for (name, payload) in told {
                let was_there = watched.seen.contains(&(name.clone(), payload.clone()));
                assert!(was_there, "{directory}: {name} never had the payload {payload:?}");
            }
            if *freshness != Freshness::Fresh {
                continue;
            }
            let is_honest = !told.is_empty() || watched.was_empty;
            assert!(
                is_honest,
                "{directory}: told to be empty, which it was not since the connection came up"
            );
            if is_quiet {
                let there = self.server.members(&watched.path);
                assert_eq!(*told, there, "{directory}: fresh, with nothing under way, and not what is there");
                let shown = self.core.directory(directory).into_iter().flat_map(|(_, instances)| instances);
                let shown: Members = shown.map(|it| (it.name, it.payload.to_vec())).collect();
                assert_eq!(shown, there, "{directory}: what is shown is not what was told");
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Request(request) if self.is_up && request.session_epoch == self.session_epoch => {
                    self.requests.push_back(request);
                }
                Output::Request(request) => self.answer(&request, None, Err(OpError::Unknown)),
                Output::Event(Event::Directory { directory, freshness, changes }) => {
                    let watched = self.directories.iter_mut().find(|watched| watched.directory == directory);
                    watched.expect("somebody asked for it").hear(freshness, changes);
                }
                Output::Event(_) => {}
            }
        }
    }

    /// All is said, and what is shown is what is there.
    fn end(&mut self) {
        if !self.is_up {
            self.connect();
            self.settle();
        }
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "no end of requests");
            match (self.requests.is_empty(), self.server.sent.is_empty()) {
                (false, _) => self.serve(),
                (true, false) => self.deliver(),
                (true, true) => {
                    let is_fresh = |watched: &Watched| {
                        let shown = self.core.directory(&watched.directory);
                        shown.is_none_or(|(freshness, _)| freshness == Freshness::Fresh)
                    };
                    if self.directories.iter().all(is_fresh) {
                        return;
                    }
                    let due = self.core.poll_timeout();
                    let (at, _) = due.expect("a directory is not fresh, and nothing is to happen");
                    self.now = self.now.max(at);
                }
            }
            self.settle();
        }
    }
}

impl Watched {
    fn hear(&mut self, freshness: Freshness, changes: Vec<crate::output::InstanceChange>) {
        use crate::output::InstanceChange::{Added, Removed, Updated};
        self.freshness = freshness;
        // The last word, when nobody is interested any more.
        if freshness == Freshness::Unknown {
            self.told.clear();
        }
        for change in changes {
            match change {
                Added(it) => {
                    let before = self.told.insert(it.name.clone(), it.payload.to_vec());
                    assert_eq!(before, None, "{}: {} came, and was there", self.directory, it.name);
                }
                Updated(it) => {
                    let before = self.told.insert(it.name.clone(), it.payload.to_vec());
                    assert!(before.is_some(), "{}: {} changed, and was not there", self.directory, it.name);
                }
                Removed(name) => {
                    let before = self.told.remove(&name);
                    assert!(before.is_some(), "{}: {name} went, and was not there", self.directory);
                }
            }
        }
    }
}

impl Server {
    fn put(&mut self, path: &Path, data: Vec<u8>) {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let change = match self.znodes.get_mut(path) {
            Some((old, stat)) => {
                *old = data;
                stat.mzxid = zxid;
                stat.version += 1;
                Change::DataChanged
            }
            None => {
                let stat = Stat { czxid: zxid, mzxid: zxid, ..Stat::default() };
                self.znodes.insert(path.clone(), (data, stat));
                Change::Created
            }
        };
        self.tell(change, path);
    }

    fn delete(&mut self, path: &Path) {
        self.zxid += 1;
        self.znodes.remove(path);
        self.tell(Change::Deleted, path);
    }

    /// One event, however many watches are above.
    fn tell(&mut self, change: Change, path: &Path) {
        if self.watches.iter().any(|watch| watch == path || path.below(watch).is_some()) {
            let event = WatchEvent { change, path: path.clone(), zxid: Some(Zxid(self.zxid)) };
            self.sent.push_back(Sent::Event(event));
        }
    }

    fn answer(&mut self, request: Request) {
        let absent = Err(OpError::Refused(ErrorCode::NoNode));
        let outcome = match &request.op {
            Op::AddWatch { path } => {
                self.watches.insert(path.clone());
                Ok(Reply::WatchAdded)
            }
            Op::RemoveWatch { path, .. } => {
                self.watches.remove(path);
                Ok(Reply::WatchRemoved)
            }
            Op::GetChildren { path, .. } => {
                let names: Vec<String> = self.children(path).map(|(name, _)| name.into()).collect();
                // A directory without children need not be there.
                match names.is_empty() {
                    true => absent,
                    false => Ok(Reply::Children { names, stat: Stat::default() }),
                }
            }
            Op::GetData { path, .. } => match self.znodes.get(path) {
                Some((data, stat)) => Ok(Reply::Data { data: data.clone(), stat: *stat }),
                None => absent,
            },
            Op::Exists { path, .. } => match self.znodes.get(path) {
                Some((_, stat)) => Ok(Reply::Exists { stat: *stat }),
                None => absent,
            },
            Op::Sync { .. } => Ok(Reply::Synced),
            // Whoever only looks writes nothing that matters here.
            Op::Create { .. } | Op::Delete { .. } | Op::SetData { .. } | Op::Multi(_) => absent,
        };
        self.sent.push_back(Sent::Reply(request, Zxid(self.zxid), outcome));
    }

    fn children<'a>(&'a self, parent: &'a Path) -> impl Iterator<Item = (&'a str, &'a Vec<u8>)> {
        let all = self.znodes.iter();
        all.filter_map(|(path, (data, _))| path.below(parent).map(|name| (name, data)))
    }

    /// The instances that the znodes of a directory stand for.
    fn znodes_of<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = (Name, Vec<u8>)> {
        self.children(directory).filter_map(|(znode, data)| {
            let Znode { name, has_payload } = Znode::parse(znode)?;
            Some((name, if has_payload { data.clone() } else { Vec::new() }))
        })
    }

    /// Those of them that count: one with a payload before its twin without.
    fn members(&self, directory: &Path) -> Members {
        let mut members = Members::new();
        for (znode, data) in self.children(directory) {
            match Znode::parse(znode) {
                Some(Znode { name, has_payload: true }) => drop(members.insert(name, data.clone())),
                Some(Znode { name, has_payload: false }) => drop(members.entry(name).or_default()),
                None => {}
            }
        }
        members
    }
}

impl Sent {
    fn request(self) -> Option<Request> {
        match self {
            Self::Reply(request, ..) => Some(request),
            Self::Event(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::mix;

    #[test]
    fn histories_of_chance_break_nothing() {
        for seed in 0..2_000_u64 {
            let len = (mix(seed) % 1_500) as usize;
            let data: Vec<u8> = (0..len as u64).map(|at| mix(mix(seed) ^ at) as u8).collect();
            cache(&data);
        }
    }
}
