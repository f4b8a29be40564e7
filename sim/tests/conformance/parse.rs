//! Text as steps: the notation of `golden/README.md`. What [`print`](crate::print) writes, this reads.

use queenright_core::Zxid;
use queenright_core::wire::{
    Acl, AddWatchMode, AuthId, Check, Create, CreateFlags, CreateForm, Delete, MultiReadRequest,
    MultiRequest, OpCode, Permissions, Read, Request, SetData, WatcherType,
};

use crate::print::PERMISSIONS;
use crate::step::{Ask, Client, FAULTS, FLAGS, Hello, Part, Proof, Query, SPOTS, Spot, Step, usual_flags};
use crate::words::Words;

/// The verbs of what one may create.
const CREATES: [(CreateForm, &str); 4] = [
    (CreateForm::Create, "create"),
    (CreateForm::Create2, "create2"),
    (CreateForm::Container, "create-container"),
    (CreateForm::Ttl { ttl: 0 }, "create-ttl"),
];

const WATCHERS: [(WatcherType, &str); 5] = [
    (WatcherType::Children, "children"),
    (WatcherType::Data, "data"),
    (WatcherType::Any, "any"),
    (WatcherType::Persistent, "persistent"),
    (WatcherType::PersistentRecursive, "recursive"),
];

const MODES: [(AddWatchMode, &str); 2] =
    [(AddWatchMode::Persistent, "persistent"), (AddWatchMode::PersistentRecursive, "recursive")];

/// Reads a step, without its mark.
pub(crate) fn step(line: &str) -> Result<Step, String> {
    let mut words = Words::new(line)?;
    let step = step_of(&mut words).map_err(|complaint| format!("{line}: {complaint}"))?;
    match words.next_text() {
        None => Ok(step),
        Some(word) => Err(format!("{line}: what is {word}?")),
    }
}

fn step_of(words: &mut Words) -> Result<Step, String> {
    if words.take("sweep") {
        return Ok(Step::Sweep);
    }
    if let Some(fault) = words.one_of(&FAULTS) {
        return Ok(Step::Strike { fault, at: spot(words)? });
    }
    let client = client(words)?;
    if words.take("connect") {
        Ok(Step::Connect { client, hello: hello(words)? })
    } else if words.take("reattach") {
        let of = if words.take("of") { Some(self::client(words)?) } else { None };
        let hello = hello(words)?;
        let proof = match words.one_of(&[(Proof::Wrong, "wrong-password"), (Proof::Null, "null-password")]) {
            Some(proof) => proof,
            None => Proof::Right,
        };
        Ok(Step::Reattach { client, of, hello, proof })
    } else if words.take("drop") {
        Ok(Step::Drop { client })
    } else if words.take("expire") {
        Ok(Step::Expire { client, dropped: words.take("dropped") })
    } else {
        let mut asks = vec![ask(words)?];
        while words.take("|") {
            asks.push(ask(words)?);
        }
        Ok(Step::Ask { client, asks })
    }
}

fn client(words: &mut Words) -> Result<Client, String> {
    let name = words.text("a client")?;
    let mut letters = name.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        return Err(format!("{name} is no client: they have one letter each"));
    };
    Ok(Client(letter))
}

fn spot(words: &mut Words) -> Result<Spot, String> {
    words.one_of(&SPOTS).ok_or_else(|| "a server is missing".into())
}

fn hello(words: &mut Words) -> Result<Hello, String> {
    let mut hello = Hello::default();
    if words.take("timeout") {
        hello.timeout_ms = words.number("a timeout")?;
    }
    hello.is_old = words.take("old");
    if words.take("ahead") {
        hello.ahead = Some(words.number("a number of transactions")?);
    }
    if words.take("at") {
        hello.at = spot(words)?;
    }
    Ok(hello)
}

fn ask(words: &mut Words) -> Result<Ask, String> {
    let query = query(words)?;
    let cut = if words.take("short") {
        words.number("a number of bytes")?
    } else if words.take("long") {
        -words.number::<i32>("a number of bytes")?
    } else {
        0
    };
    Ok(Ask { query, cut })
}

fn query(words: &mut Words) -> Result<Query, String> {
    let multi = words.one_of(&[(OpCode::Multi, "multi"), (OpCode::MultiRead, "multi-read")]);
    if let Some(opcode) = multi {
        return several(opcode, words);
    }
    if words.take("raw") {
        return raw(words);
    }
    request(words).map(Query::Request)
}

fn raw(words: &mut Words) -> Result<Query, String> {
    let opcode = words.number("a type")?;
    let digits = if words.is_empty() { String::new() } else { words.text("bytes")? };
    let byte = |at: usize| digits.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let body: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    Ok(Query::Raw { opcode, body: body.ok_or_else(|| format!("{digits} are no hexadecimal bytes"))? })
}

/// The parts of a multi or a multiRead. Those that belong into the other kind make it a mixed one.
fn several(opcode: OpCode, words: &mut Words) -> Result<Query, String> {
    if !words.take("[") {
        return Err("parts in brackets are missing".into());
    }
    let mut parts = Vec::new();
    while !words.take("]") {
        if !parts.is_empty() && !words.take(";") {
            return Err("a semicolon or a bracket is missing".into());
        }
        parts.push(match request(words)? {
            Request::Create(create) => Part::Write(MultiRequest::Create(create)),
            Request::Delete(delete) => Part::Write(MultiRequest::Delete(delete)),
            Request::SetData(set_data) => Part::Write(MultiRequest::SetData(set_data)),
            Request::Check(check) => Part::Write(MultiRequest::Check(check)),
            Request::GetData(read) => Part::Read(MultiReadRequest::GetData(read)),
            Request::GetChildren(read) => Part::Read(MultiReadRequest::GetChildren(read)),
            other => return Err(format!("no part of a multi: {other:?}")),
        });
    }
    Ok(assemble(opcode, parts))
}

/// A multi or a multiRead of these parts, or one that is mixed.
pub(crate) fn assemble(opcode: OpCode, parts: Vec<Part>) -> Query {
    let writes: Vec<MultiRequest> = parts.iter().filter_map(Part::write).cloned().collect();
    let reads: Vec<MultiReadRequest> = parts.iter().filter_map(Part::read).cloned().collect();
    match opcode {
        OpCode::MultiRead if writes.is_empty() => Query::Request(Request::MultiRead(reads)),
        OpCode::Multi if reads.is_empty() => Query::Request(Request::Multi(writes)),
        opcode => Query::Mixed { opcode, parts },
    }
}

impl Part {
    fn write(&self) -> Option<&MultiRequest> {
        match self {
            Self::Write(write) => Some(write),
            Self::Read(_) => None,
        }
    }

    fn read(&self) -> Option<&MultiReadRequest> {
        match self {
            Self::Read(read) => Some(read),
            Self::Write(_) => None,
        }
    }
}

fn request(words: &mut Words) -> Result<Request, String> {
    if let Some(form) = words.one_of(&CREATES) {
        return create(form, words).map(Request::Create);
    }
    let verb = words.text("a request")?;
    let request = match verb.as_str() {
        "delete" => Request::Delete(Delete { path: path(words)?, version: at(words)? }),
        "set" => {
            let (path, data) = (path(words)?, words.data()?);
            Request::SetData(SetData { path, data, version: at(words)? })
        }
        "check" => Request::Check(Check { path: path(words)?, version: at(words)? }),
        "exists" => Request::Exists(read(words)?),
        "get" => Request::GetData(read(words)?),
        "list" => Request::GetChildren(read(words)?),
        "list2" => Request::GetChildren2(read(words)?),
        "get-acl" => Request::GetAcl { path: path(words)? },
        "set-acl" => {
            let (path, version) = (path(words)?, at(words)?);
            Request::SetAcl { path, acl: acl(words)?, version }
        }
        "sync" => Request::Sync { path: path(words)? },
        "ping" => Request::Ping,
        "reconfig" => {
            let (joining, leaving) = (None, Some("5".into()));
            Request::Reconfig { joining, leaving, new_members: None, config_id: -1 }
        }
        "check-watches" => Request::CheckWatches { path: path(words)?, watcher: watcher(words)? },
        "remove-watches" => Request::RemoveWatches { path: path(words)?, watcher: watcher(words)? },
        "add-watch" => {
            let path = path(words)?;
            Request::AddWatch { path, mode: words.one_of(&MODES).ok_or("a mode is missing")? }
        }
        "auth" => {
            let scheme = words.text("a scheme")?;
            Request::Auth { scheme, auth: words.data()? }
        }
        "set-watches" | "set-watches2" => set_watches(verb == "set-watches2", words)?,
        "get-ephemerals" => Request::GetEphemerals { prefix: path(words)? },
        "count" => Request::GetAllChildrenNumber { path: path(words)? },
        "who-am-i" => Request::WhoAmI,
        "close" => Request::CloseSession,
        other => return Err(format!("no request: {other}")),
    };
    Ok(request)
}

fn create(form: CreateForm, words: &mut Words) -> Result<Create, String> {
    let path = path(words)?;
    let data = if words.has_data() { words.data()? } else { Some(Vec::new()) };
    let flags = match words.one_of(&FLAGS) {
        Some(flags) => flags,
        None if words.take("flags") => CreateFlags(words.number("flags")?),
        None => usual_flags(form),
    };
    let form = match form {
        CreateForm::Ttl { .. } if words.take("for") => {
            CreateForm::Ttl { ttl: words.number("a time to live")? }
        }
        form => form,
    };
    Ok(Create { form, path, data, acl: acl(words)?, flags })
}

/// The entries that stand here; the open list when there are none.
fn acl(words: &mut Words) -> Result<Option<Vec<Acl>>, String> {
    let mut entries = Vec::new();
    while words.take("acl") {
        if words.take("null") {
            return Ok(None);
        }
        if words.take("empty") {
            return Ok(Some(Vec::new()));
        }
        let permissions = permissions(&words.text("permissions")?)?;
        let (scheme, id) = (words.text("a scheme")?, words.text("an id")?);
        entries.push(Acl { permissions, id: AuthId { scheme, id } });
    }
    Ok(Some(if entries.is_empty() { vec![Acl::open()] } else { entries }))
}

fn permissions(text: &str) -> Result<Permissions, String> {
    if let Ok(number) = text.parse() {
        return Ok(Permissions(number));
    }
    let mut all = 0;
    for letter in text.chars() {
        let known = PERMISSIONS.iter().find(|(_, known)| *known == letter);
        let (permission, _) = known.ok_or_else(|| format!("{letter} is no permission"))?;
        all |= permission.0;
    }
    Ok(Permissions(all))
}

fn set_watches(with_persistent: bool, words: &mut Words) -> Result<Request, String> {
    let zxid = words.text("a zxid")?;
    let relative = zxid.strip_prefix('@').and_then(|number| number.parse().ok());
    let relative_zxid = Zxid(relative.ok_or_else(|| format!("{zxid} is no zxid: @5 is one"))?);
    let names = [(0, "data"), (1, "exist"), (2, "child"), (3, "persistent"), (4, "recursive")];
    let mut lists: [Vec<String>; 5] = Default::default();
    while let Some(list) = words.one_of(&names) {
        lists[list].push(path(words)?);
    }
    let [data, exist, child, persistent, recursive] = lists;
    Ok(match with_persistent {
        true => Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive },
        false => Request::SetWatches { relative_zxid, data, exist, child },
    })
}

fn read(words: &mut Words) -> Result<Read, String> {
    Ok(Read { path: path(words)?, watch: words.take("watch") })
}

fn watcher(words: &mut Words) -> Result<WatcherType, String> {
    words.one_of(&WATCHERS).ok_or_else(|| "a type of watch is missing".into())
}

fn path(words: &mut Words) -> Result<String, String> {
    words.text("a path")
}

fn at(words: &mut Words) -> Result<i32, String> {
    if words.take("at") { words.number("a version") } else { Ok(-1) }
}
