//! Steps as text: the notation of `golden/README.md`.

use std::fmt::Write as _;

use queenright_core::wire::{
    Acl, AddWatchMode, Create, CreateForm, MultiReadRequest, MultiRequest, OpCode, Permissions, Read,
    Request, WatcherType,
};

use crate::step::{
    Ask, DEFAULT_TIMEOUT_MS, FAULTS, FLAGS, Hello, Part, Proof, Query, SPOTS, Spot, Step, create_verb,
    usual_flags,
};

/// The step as a line, without its mark.
pub(crate) fn step(step: &Step) -> String {
    match step {
        Step::Connect { client, hello } => format!("{client} connect{}", self::hello(hello)),
        Step::Reattach { client, of, hello, proof } => {
            let of = of.map_or(String::new(), |of| format!(" of {of}"));
            let proof = match proof {
                Proof::Right => "",
                Proof::Wrong => " wrong-password",
                Proof::Null => " null-password",
            };
            format!("{client} reattach{of}{}{proof}", self::hello(hello))
        }
        Step::Drop { client } => format!("{client} drop"),
        Step::Ask { client, asks } => {
            let asks: Vec<String> = asks.iter().map(ask).collect();
            format!("{client} {}", asks.join(" | "))
        }
        Step::Expire { client, dropped: false } => format!("{client} expire"),
        Step::Expire { client, dropped: true } => format!("{client} expire dropped"),
        Step::Sweep => "sweep".into(),
        Step::Strike { fault, at } => format!("{} {}", named(*fault, &FAULTS), named(*at, &SPOTS)),
    }
}

fn named<T: PartialEq>(thing: T, names: &[(T, &'static str)]) -> &'static str {
    names.iter().find(|(named, _)| *named == thing).map_or("?", |(_, name)| name)
}

fn hello(hello: &Hello) -> String {
    let mut text = String::new();
    if hello.timeout_ms != DEFAULT_TIMEOUT_MS {
        put(&mut text, format_args!(" timeout {}", hello.timeout_ms));
    }
    if hello.is_old {
        text.push_str(" old");
    }
    if let Some(ahead) = hello.ahead {
        put(&mut text, format_args!(" ahead {ahead}"));
    }
    if hello.at != Spot::Leader {
        put(&mut text, format_args!(" at {}", named(hello.at, &SPOTS)));
    }
    text
}

/// One request.
pub(crate) fn ask(ask: &Ask) -> String {
    let mut text = match &ask.query {
        Query::Request(request) => self::request(request),
        Query::Mixed { opcode, parts } => {
            let verb = if *opcode == OpCode::Multi { "multi" } else { "multi-read" };
            list(verb, parts.iter().map(part))
        }
        Query::Raw { opcode, body } => {
            let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            let space = if hex.is_empty() { "" } else { " " };
            format!("raw {opcode}{space}{hex}")
        }
    };
    match ask.cut {
        0 => {}
        cut if cut > 0 => put(&mut text, format_args!(" short {cut}")),
        cut => put(&mut text, format_args!(" long {}", -cut)),
    }
    text
}

fn request(request: &Request) -> String {
    match request {
        Request::Create(create) => self::create(create),
        Request::Delete(delete) => format!("delete {}{}", path(&delete.path), at(delete.version)),
        Request::SetData(set) => {
            format!("set {} {}{}", path(&set.path), data(set.data.as_deref()), at(set.version))
        }
        Request::Check(check) => format!("check {}{}", path(&check.path), at(check.version)),
        Request::Exists(read) => self::read("exists", read),
        Request::GetData(read) => self::read("get", read),
        Request::GetChildren(read) => self::read("list", read),
        Request::GetChildren2(read) => self::read("list2", read),
        Request::GetAcl { path } => format!("get-acl {}", self::path(path)),
        Request::SetAcl { path, acl, version } => {
            format!("set-acl {}{}{}", self::path(path), at(*version), self::acl(acl.as_deref()))
        }
        Request::Sync { path } => format!("sync {}", self::path(path)),
        Request::Ping => "ping".into(),
        Request::Multi(writes) => list("multi", writes.iter().map(write)),
        Request::MultiRead(reads) => list("multi-read", reads.iter().map(read_part)),
        Request::Reconfig { .. } => "reconfig".into(),
        Request::CheckWatches { path, watcher } => {
            format!("check-watches {} {}", self::path(path), self::watcher(*watcher))
        }
        Request::RemoveWatches { path, watcher } => {
            format!("remove-watches {} {}", self::path(path), self::watcher(*watcher))
        }
        Request::AddWatch { path, mode: AddWatchMode::Persistent } => {
            format!("add-watch {} persistent", self::path(path))
        }
        Request::AddWatch { path, mode: AddWatchMode::PersistentRecursive } => {
            format!("add-watch {} recursive", self::path(path))
        }
        Request::Auth { scheme, auth } => {
            format!("auth {} {}", word(scheme), data(auth.as_deref()))
        }
        Request::SetWatches { relative_zxid, data, exist, child } => {
            let lists = [("data", data), ("exist", exist), ("child", child)];
            format!("set-watches @{}{}", relative_zxid.0, watch_lists(&lists))
        }
        Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => {
            let lists = [
                ("data", data),
                ("exist", exist),
                ("child", child),
                ("persistent", persistent),
                ("recursive", recursive),
            ];
            format!("set-watches2 @{}{}", relative_zxid.0, watch_lists(&lists))
        }
        Request::GetEphemerals { prefix } => format!("get-ephemerals {}", path(prefix)),
        Request::GetAllChildrenNumber { path } => format!("count {}", self::path(path)),
        Request::WhoAmI => "who-am-i".into(),
        Request::CloseSession => "close".into(),
        Request::Garbled { .. } | Request::Unsupported { .. } => {
            unreachable!("{request:?} is read, not written")
        }
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Write(write) => self::write(write),
        Part::Read(read) => read_part(read),
    }
}

fn write(write: &MultiRequest) -> String {
    match write {
        MultiRequest::Create(create) => request(&Request::Create(create.clone())),
        MultiRequest::Delete(delete) => request(&Request::Delete(delete.clone())),
        MultiRequest::SetData(set_data) => request(&Request::SetData(set_data.clone())),
        MultiRequest::Check(check) => request(&Request::Check(check.clone())),
    }
}

fn read_part(part: &MultiReadRequest) -> String {
    match part {
        MultiReadRequest::GetData(read) => self::read("get", read),
        MultiReadRequest::GetChildren(read) => self::read("list", read),
    }
}

fn list(verb: &str, parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    format!("{verb} [ {} ]", parts.join(" ; ")).replace("[  ]", "[ ]")
}

fn create(create: &Create) -> String {
    let mut text = format!("{} {}", create_verb(create), path(&create.path));
    if create.data.as_deref() != Some(&[]) {
        put(&mut text, format_args!(" {}", data(create.data.as_deref())));
    }
    if create.flags != usual_flags(create.form) {
        match FLAGS.iter().find(|(flags, _)| *flags == create.flags) {
            Some((_, word)) => put(&mut text, format_args!(" {word}")),
            None => put(&mut text, format_args!(" flags {}", create.flags.0)),
        }
    }
    if let CreateForm::Ttl { ttl } = create.form {
        put(&mut text, format_args!(" for {ttl}"));
    }
    if create.acl.as_deref() != Some(&[Acl::open()]) {
        text.push_str(&acl(create.acl.as_deref()));
    }
    text
}

fn read(verb: &str, read: &Read) -> String {
    format!("{verb} {}{}", path(&read.path), if read.watch { " watch" } else { "" })
}

fn at(version: i32) -> String {
    if version == -1 { String::new() } else { format!(" at {version}") }
}

/// An access control list, as it stands behind a request.
pub(crate) fn acl(acl: Option<&[Acl]>) -> String {
    match acl {
        None => " acl null".into(),
        Some([]) => " acl empty".into(),
        Some(entries) => entries.iter().map(|entry| format!(" acl {}", acl_entry(entry))).collect(),
    }
}

/// One entry of it.
pub(crate) fn acl_entry(entry: &Acl) -> String {
    format!("{} {} {}", permissions(entry.permissions), word(&entry.id.scheme), word(&entry.id.id))
}

/// The letters of permissions, in the order of their bits.
pub(crate) const PERMISSIONS: [(Permissions, char); 5] = [
    (Permissions::READ, 'r'),
    (Permissions::WRITE, 'w'),
    (Permissions::CREATE, 'c'),
    (Permissions::DELETE, 'd'),
    (Permissions::ADMIN, 'a'),
];

fn permissions(permissions: Permissions) -> String {
    if !(1..=Permissions::ALL.0).contains(&permissions.0) {
        return permissions.0.to_string();
    }
    let given = PERMISSIONS.iter().filter(|(one, _)| permissions.intersects(*one));
    given.map(|(_, letter)| letter).collect()
}

fn watch_lists(lists: &[(&str, &Vec<String>)]) -> String {
    let mut text = String::new();
    for (name, paths) in lists {
        for path in *paths {
            put(&mut text, format_args!(" {name} {}", self::path(path)));
        }
    }
    text
}

fn watcher(watcher: WatcherType) -> &'static str {
    match watcher {
        WatcherType::Children => "children",
        WatcherType::Data => "data",
        WatcherType::Any => "any",
        WatcherType::Persistent => "persistent",
        WatcherType::PersistentRecursive => "recursive",
    }
}

/// A path or another word: in quotes unless it is plain.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.^:=+-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.into() } else { format!("{text:?}") }
}

/// A path.
pub(crate) fn path(path: &str) -> String {
    word(path)
}

/// Data: in quotes, or null.
pub(crate) fn data(data: Option<&[u8]>) -> String {
    data.map_or_else(|| "null".into(), |data| format!("{:?}", String::from_utf8_lossy(data)))
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}
