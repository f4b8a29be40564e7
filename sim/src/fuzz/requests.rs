//! Requests that make sense, and some that hardly do: few paths, so that they meet.

use queenright_core::Zxid;
use queenright_core::wire::{
    Acl, AddWatchMode, Check, Create, CreateFlags, CreateForm, Delete, MultiReadRequest, MultiRequest,
    OpCode, Permissions, Read, Request, SetData, WatcherType,
};

use super::bytes::Bytes;

const PATHS: [&str; 16] = [
    "/a",
    "/b",
    "/a/b",
    "/a/b/c",
    "/a/b/c/d",
    "/b/-",
    "/a/n-",
    "/",
    "",
    "a",
    "/a/",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/a/\0",
    "/a/../b",
];
const FORMS: [CreateForm; 5] = [
    CreateForm::Create,
    CreateForm::Create2,
    CreateForm::Container,
    CreateForm::Ttl { ttl: 5_000 },
    CreateForm::Ttl { ttl: i64::MAX },
];
const WATCHERS: [WatcherType; 5] = [
    WatcherType::Children,
    WatcherType::Data,
    WatcherType::Any,
    WatcherType::Persistent,
    WatcherType::PersistentRecursive,
];
const MODES: [AddWatchMode; 2] = [AddWatchMode::Persistent, AddWatchMode::PersistentRecursive];
const IDENTITIES: [(&str, &str); 8] = [
    ("world", "anyone"),
    ("auth", ""),
    ("digest", "ann:1"),
    ("ip", "127.0.0.1"),
    ("ip", "10.0.0.0/8"),
    ("super", ""),
    ("", ""),
    ("world", "all"),
];
const PROOFS: [&[u8]; 4] = [b"ann:1", b"super:secret", b"", b"\xff:"];

/// Any request, mostly one that can be served.
pub(super) fn request(bytes: &mut Bytes<'_>) -> Request {
    match bytes.up_to(40) {
        0..=8 => Request::Create(create(bytes)),
        9..=11 => Request::Delete(delete(bytes)),
        12..=14 => Request::SetData(set_data(bytes)),
        15 | 16 => Request::Multi(bytes.several(5, part)),
        17 => Request::SetAcl { path: path(bytes), acl: acl(bytes), version: version(bytes) },
        18 | 19 => Request::Exists(read(bytes)),
        20 | 21 => Request::GetData(read(bytes)),
        22 => Request::GetChildren(read(bytes)),
        23 => Request::GetChildren2(read(bytes)),
        24 => Request::GetAcl { path: path(bytes) },
        25 => Request::MultiRead(bytes.several(5, |bytes| match bytes.one_in(2) {
            true => MultiReadRequest::GetData(read(bytes)),
            false => MultiReadRequest::GetChildren(read(bytes)),
        })),
        26 => Request::GetEphemerals { prefix: path(bytes) },
        27 => Request::GetAllChildrenNumber { path: path(bytes) },
        28 => Request::WhoAmI,
        29 | 30 => Request::AddWatch { path: path(bytes), mode: bytes.pick(&MODES) },
        31 => Request::RemoveWatches { path: path(bytes), watcher: bytes.pick(&WATCHERS) },
        32 => Request::CheckWatches { path: path(bytes), watcher: bytes.pick(&WATCHERS) },
        33 => set_watches(bytes),
        34 => Request::Sync { path: path(bytes) },
        35 => Request::Ping,
        36 => {
            let (scheme, _) = bytes.pick(&IDENTITIES);
            Request::Auth {
                scheme: scheme.into(),
                auth: (!bytes.one_in(5)).then(|| bytes.pick(&PROOFS).into()),
            }
        }
        37 => Request::Check(check(bytes)),
        38 => match bytes.up_to(3) {
            0 => Request::Reconfig { joining: None, leaving: None, new_members: None, config_id: -1 },
            1 => Request::Unsupported { opcode: i32::from(bytes.next()) - 128 },
            _ => Request::Garbled { opcode: bytes.pick(OpCode::ALL) },
        },
        _ => Request::CloseSession,
    }
}

fn path(bytes: &mut Bytes<'_>) -> String {
    match bytes.up_to(20) {
        known if known < PATHS.len() => PATHS[known].into(),
        16..=18 => format!("/b/-{:010}", bytes.up_to(4)),
        _ => String::from_utf8_lossy(bytes.take(12)).into_owned(),
    }
}

fn version(bytes: &mut Bytes<'_>) -> i32 {
    if bytes.one_in(3) { i32::from(bytes.next()) - 2 } else { -1 }
}

fn data(bytes: &mut Bytes<'_>) -> Option<Vec<u8>> {
    (!bytes.one_in(6)).then(|| bytes.take(9).into())
}

fn acl(bytes: &mut Bytes<'_>) -> Option<Vec<Acl>> {
    match bytes.up_to(8) {
        0..=5 => Some(vec![Acl::open()]),
        6 => None,
        _ => Some(bytes.several(3, |bytes| {
            let (scheme, id) = bytes.pick(&IDENTITIES);
            Acl::new(Permissions(bytes.up_to(34) as i32), scheme, id)
        })),
    }
}

fn create(bytes: &mut Bytes<'_>) -> Create {
    let form = if bytes.one_in(3) { bytes.pick(&FORMS) } else { CreateForm::Create };
    let flags = CreateFlags(bytes.up_to(8) as i32);
    Create { form, path: path(bytes), data: data(bytes), acl: acl(bytes), flags }
}

fn delete(bytes: &mut Bytes<'_>) -> Delete {
    Delete { path: path(bytes), version: version(bytes) }
}

fn set_data(bytes: &mut Bytes<'_>) -> SetData {
    SetData { path: path(bytes), data: data(bytes), version: version(bytes) }
}

fn check(bytes: &mut Bytes<'_>) -> Check {
    Check { path: path(bytes), version: version(bytes) }
}

fn read(bytes: &mut Bytes<'_>) -> Read {
    Read { path: path(bytes), watch: bytes.one_in(2) }
}

fn part(bytes: &mut Bytes<'_>) -> MultiRequest {
    match bytes.up_to(4) {
        0 => MultiRequest::Create(create(bytes)),
        1 => MultiRequest::Delete(delete(bytes)),
        2 => MultiRequest::SetData(set_data(bytes)),
        _ => MultiRequest::Check(check(bytes)),
    }
}

fn set_watches(bytes: &mut Bytes<'_>) -> Request {
    let relative_zxid = Zxid(i64::from(bytes.next()) - 1);
    let [data, exist, child] = [(); 3].map(|()| bytes.several(3, path));
    match bytes.one_in(2) {
        true => {
            let [persistent, recursive] = [(); 2].map(|()| bytes.several(3, path));
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive }
        }
        false => Request::SetWatches { relative_zxid, data, exist, child },
    }
}
