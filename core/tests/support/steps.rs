//! The language of transcripts: one step a line, each with a leading `> `. `transcripts/README.md` explains it.

use queenright_core::op::{
    Change, Op, OpError, Outcome, Reply, Stat, Version, WatchEvent, Write, WriteReply,
};
use queenright_core::{
    Config, Directory, HostEvent, Input, Name, Path, RegistrationId, RequestId, SessionEpoch, SessionId,
    Terms, Token, Zxid,
};

use super::notation;
use super::words::{INCARNATIONS, Words, abbreviate, error_code, expand};
use super::world::World;

/// Takes one step, and gives all that came of it, a line each.
pub(crate) fn take(world: &mut World, step: &str) -> String {
    if let Some((pattern, answer)) = step.strip_prefix("answer ").and_then(|rest| rest.split_once(": ")) {
        world.answer(pattern, |op| parse_answer(&mut Words::new(answer), op));
        return world.take_log();
    }
    let mut words = Words::new(step);
    match words.word().as_str() {
        "config" => *world = World::new(config(&mut words)),
        "connect" => connect(world, &mut words),
        "suspend" => world.suspend(),
        "reconnect" => world.reconnect(),
        "lost" => world.lose_session(),
        "serve" => world.serve(if words.peek().is_some() { count(&mut words) } else { usize::MAX }),
        "apply" => world.apply_through(&rest(&mut words)),
        "lose" => {
            assert!(words.take("answer:"), "it is `lose answer: PATTERN`");
            world.lose_answer(&rest(&mut words));
        }
        "answer-again" => {
            let request = RequestId(words.number().unsigned_abs());
            let epoch = words.after("epoch").and_then(|epoch| epoch.parse().ok());
            world.answer_again(request, epoch.map_or(world.session_epoch, SessionEpoch));
        }
        "event" => event(world, &mut words),
        "elsewhere" => elsewhere(world, &mut words),
        "advance" => {
            let duration = words.duration();
            world.advance(world.now.after(duration));
        }
        "quietly" => {
            assert!(words.take("advance"), "it is `quietly advance 60s`");
            world.live_quietly(words.duration());
        }
        "wait" => world.wait(),
        "pause" => world.pause(words.duration()),
        "timer" => match world.core.poll_timeout() {
            Some((at, timer)) => world.note(&format!("{timer:?} at {}", notation::instant(at))),
            None => world.note("no deadline"),
        },
        "tree" => tree(world, &mut words),
        "show" => show(world, &mut words),
        command => {
            let result = self::command(world, command, &mut words);
            if let Err(misuse) = result {
                world.note(&format!("error: {misuse}"));
            }
            world.drain();
        }
    }
    words.finish();
    world.take_log()
}

/// A transcript without a `config` begins like this.
pub(crate) fn default_config() -> Config {
    let mut config = Config::new(Name::new("n1").expect("a name"), INCARNATIONS[0].1);
    config.root = Path::new("/q").expect("a path");
    // It would come into every transcript of more than a minute.
    config.janitor_period = None;
    config
}

fn config(words: &mut Words) -> Config {
    let mut config = default_config();
    while words.peek().is_some() {
        match words.word().as_str() {
            "lease" => config = config.with_lease(words.duration()),
            "drain" => config.drain = words.duration(),
            "idle" => config.cache_idle = words.duration(),
            "close-timeout" => config.close_timeout = words.duration(),
            "janitor" => config.janitor_period = Some(words.duration()),
            "watch-bytes" => config.watch_bytes_max = count(words),
            other => words.fail(&format!("a setting, not {other}")),
        }
    }
    config
}

fn command(world: &mut World, command: &str, words: &mut Words) -> Result<(), queenright_core::Misuse> {
    let now = world.now;
    match command {
        "register" => {
            let (directory, instance) = instance(words);
            world.core.register(now, directory, instance, words.data()).map(drop)
        }
        "update" => world.core.update(now, registration(words), words.data()),
        "unregister" => world.core.unregister(now, registration(words)),
        "subscribe" => world.core.subscribe(now, directory(&words.word())),
        "unsubscribe" => {
            world.core.unsubscribe(now, &directory(&words.word()));
            Ok(())
        }
        "touch" => {
            world.core.touch(now, &directory(&words.word()));
            Ok(())
        }
        "touch-global" => {
            world.core.touch_global(now, &words.name());
            Ok(())
        }
        "campaign" => {
            let (global, payload) = (words.name(), words.data());
            let terms = match words.word().as_str() {
                "one" => Terms::One,
                "many" => Terms::Many,
                other => words.fail(&format!("`one` or `many`, not {other}")),
            };
            world.core.campaign(now, global, payload, terms)
        }
        "resign" => world.core.resign(now, &words.name()),
        "look-up" => world.core.look_up(now, words.name()),
        "forget" => {
            world.core.forget(now, &words.name());
            Ok(())
        }
        "stopped" => {
            let (global, token) = (words.name(), Token(Zxid(words.number())));
            world.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
            Ok(())
        }
        "close" => {
            world.core.close(now);
            Ok(())
        }
        _ => words.fail("a step of transcripts/README.md"),
    }
}

fn connect(world: &mut World, words: &mut Words) {
    let session = words.session();
    let epoch = words.after("epoch").and_then(|epoch| epoch.parse().ok());
    world.connect(session, SessionEpoch(epoch.unwrap_or(world.session_epoch.0 + 1)));
}

/// An event by hand, whether the small ZooKeeper knows of it or not.
fn event(world: &mut World, words: &mut Words) {
    let change = match words.word().as_str() {
        "Created" => Change::Created,
        "Deleted" => Change::Deleted,
        "DataChanged" => Change::DataChanged,
        "ChildrenChanged" => Change::ChildrenChanged,
        other => words.fail(&format!("a change, not {other}")),
    };
    let path = words.path();
    let epoch = words.after("epoch").and_then(|epoch| epoch.parse().ok());
    let session_epoch = epoch.map_or(world.session_epoch, SessionEpoch);
    let event = WatchEvent { change, path, zxid: None };
    world.handle(Input::Watch { session_epoch, event });
}

/// Somebody else writes; nothing is delivered before the next `serve`.
fn elsewhere(world: &mut World, words: &mut Words) {
    let verb = words.word();
    let op = match verb.as_str() {
        "create" => {
            let mut mode = queenright_core::op::CreateMode::Persistent;
            if words.take("ephemeral") {
                mode = queenright_core::op::CreateMode::Ephemeral;
            }
            Op::Create { path: words.path(), data: words.data(), mode }
        }
        "set" => Op::SetData { path: words.path(), version: words.condition(), data: words.data() },
        "delete" => Op::Delete { path: words.path(), version: words.condition() },
        "expire" => {
            let session = words.session();
            world.tree.expire(session);
            world.queue_events();
            return;
        }
        "sequence" => {
            let (parent, next) = (words.path(), words.number());
            world.tree.set_next_sequence(parent, i32::try_from(next).expect("32 bits"));
            return;
        }
        "version" => {
            let path = words.path();
            let version = words.version().expect("`elsewhere version PATH v1`");
            world.tree.set_version(&path, version);
            return;
        }
        "layout" => {
            lay_out(world, words);
            return;
        }
        other => words.fail(&format!("something to do, not {other}")),
    };
    let session = words.after("owner").map_or(SessionId(0), |owner| Words::new(&owner).session());
    let outcome = world.tree.apply(session, &op);
    assert!(outcome.is_ok(), "`elsewhere` did not work: {op:?}: {outcome:?}");
    world.queue_events();
}

/// The directories that some node made before, and the globals named, vacant.
fn lay_out(world: &mut World, words: &mut Words) {
    let mut make = |path: &str, data: &[u8]| {
        let path = Path::new(path).expect("a path");
        let mode = queenright_core::op::CreateMode::Persistent;
        let _ = world.tree.apply(SessionId(0), &Op::Create { path, data: data.to_vec(), mode });
    };
    for path in ["/q", "/q/nodes", "/q/services", "/q/leases", "/q/globals"] {
        make(path, b"");
    }
    while words.peek().is_some() {
        let name = words.word();
        match name.strip_prefix("services/") {
            Some(_) => make(&format!("/q/{name}"), b""),
            None => {
                make(&format!("/q/globals/{name}"), b"");
                make(&format!("/q/globals/{name}/term"), &super::records::vacant());
                make(&format!("/q/globals/{name}/queue"), b"");
            }
        }
    }
}

fn tree(world: &mut World, words: &mut Words) {
    let below = if words.peek().is_some() { words.path() } else { Path::root() };
    let lines: Vec<String> = world
        .tree
        .znodes()
        .filter(|(path, _)| **path == below || path.below(&below).is_some())
        .map(|(path, znode)| {
            let (data, stat) = (notation::data(path, &znode.data), notation::stat(&znode.stat));
            abbreviate(format!("{path} {data}").trim_end()) + " " + &stat
        })
        .collect();
    for line in lines {
        world.note(&line);
    }
}

fn show(world: &mut World, words: &mut Words) {
    let what = words.word();
    let line = if what == "nodes" || what.starts_with("services/") {
        match world.core.directory(&directory(&what)) {
            Some((freshness, instances)) => {
                let instances: String = instances
                    .iter()
                    .map(|instance| {
                        format!(" {}={:?}", instance.name, String::from_utf8_lossy(&instance.payload))
                    })
                    .collect();
                format!("{what} {}:{instances}", notation::freshness(freshness))
            }
            None => format!("{what} is not cached"),
        }
    } else {
        let name = Name::new(&what).expect("a global");
        let holder =
            world.core.holder(&name).map_or("not followed".into(), |holder| notation::holder(&holder));
        let leads = if world.core.is_leading(&name) { "leading" } else { "not leading" };
        format!("{leads}, holder {holder}")
    };
    world.note(&line);
}

fn parse_answer(words: &mut Words, op: &Op) -> (Outcome, Option<Zxid>) {
    let first = words.word();
    let outcome = match first.as_str() {
        "unknown" => Err(OpError::Unknown),
        "ok" => Ok(parse_reply(words, op)),
        other => match (error_code(other), words.after("at")) {
            (Some(code), Some(index)) => {
                Err(OpError::RefusedAt { index: index.parse().expect("an index"), code })
            }
            (Some(code), None) => Err(OpError::Refused(code)),
            (None, _) => words.fail(&format!("`ok`, `unknown` or an error code, not {other}")),
        },
    };
    let header = words.after("header").map(|zxid| Words::new(&zxid).zxid().expect("a zxid"));
    words.finish();
    (outcome, header)
}

fn parse_reply(words: &mut Words, op: &Op) -> Reply {
    match op {
        Op::Create { path, .. } => {
            let stat = parse_stat(words);
            let name = words.after("as").map(|name| expand(&name));
            let parent = path.parent().expect("nobody creates the root");
            let path = name.map_or(path.clone(), |name| parent.child(&Name::new(name).expect("a name")));
            Reply::Created { path, stat }
        }
        Op::Delete { .. } => Reply::Deleted,
        Op::SetData { .. } => Reply::Set { stat: parse_stat(words) },
        Op::GetData { .. } => Reply::Data { data: words.data(), stat: parse_stat(words) },
        Op::Exists { .. } => Reply::Exists { stat: parse_stat(words) },
        Op::GetChildren { .. } => {
            let mut names = Vec::new();
            while words.peek().is_some_and(|word| *word != super::words::Word::Bare("header".into())) {
                names.push(expand(&words.word()));
            }
            Reply::Children { names, stat: Stat::default() }
        }
        Op::AddWatch { .. } => Reply::WatchAdded,
        Op::RemoveWatch { .. } => Reply::WatchRemoved,
        Op::Sync { .. } => Reply::Synced,
        Op::Multi(writes) => {
            let mzxid = words.zxid().unwrap_or_default();
            Reply::Multi(writes.iter().map(|write| write_reply(write, mzxid)).collect())
        }
    }
}

fn write_reply(write: &Write, mzxid: Zxid) -> WriteReply {
    match write {
        Write::Create { .. } => WriteReply::Created,
        Write::Delete { .. } => WriteReply::Deleted,
        Write::Check { .. } => WriteReply::Checked,
        Write::SetData { version, .. } => {
            let version = match version {
                Version::Any => 1,
                Version::Exactly(version) => version.wrapping_add(1),
            };
            WriteReply::Set { stat: Stat { version, mzxid, ..Stat::default() } }
        }
    }
}

/// `v3 0x20 czxid 0x10 owner 0xa`, each of them if it matters.
fn parse_stat(words: &mut Words) -> Stat {
    let version = words.version().unwrap_or_default();
    let mzxid = words.zxid().unwrap_or_default();
    let czxid = words.after("czxid").map_or(mzxid, |zxid| Words::new(&zxid).zxid().expect("a zxid"));
    let ephemeral_owner = words.after("owner").map_or(0, |owner| Words::new(&owner).session().0);
    Stat { czxid, mzxid, version, ephemeral_owner, ..Stat::default() }
}

fn instance(words: &mut Words) -> (Directory, Name) {
    let path = words.word();
    let (parent, instance) = path.rsplit_once('/').expect("DIRECTORY/INSTANCE");
    (directory(parent), Name::new(instance).expect("an instance's name"))
}

fn directory(text: &str) -> Directory {
    match text.strip_prefix("services/") {
        Some(service) => Directory::Service(Name::new(service).expect("a service's name")),
        None if text == "nodes" => Directory::Nodes,
        None => panic!("`{text}` is no directory: it is `nodes` or `services/NAME`"),
    }
}

fn registration(words: &mut Words) -> RegistrationId {
    let word = words.word();
    let number = word.strip_prefix('r').and_then(|number| number.parse().ok());
    RegistrationId(number.unwrap_or_else(|| panic!("`{word}` is no registration such as r1")))
}

fn count(words: &mut Words) -> usize {
    usize::try_from(words.number()).expect("a count")
}

fn rest(words: &mut Words) -> String {
    let mut all = Vec::new();
    while words.peek().is_some() {
        all.push(words.word());
    }
    all.join(" ")
}
