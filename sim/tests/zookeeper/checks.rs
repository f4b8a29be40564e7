//! Which error wins when several would do.

use queenright_core::wire::{
    Acl, Create, CreateFlags, CreateForm, ErrorCode, MultiResult, Permissions, Request, Response,
};

use crate::harness::{
    Client, World, check, create, create_as, create_for, creation, delete, deletion, exists, get, list,
    log_in, set_acl, setting,
};

/// `/locked` belongs to somebody else, `/locked/child` too, `/short` is an ephemeral.
fn world() -> (World, Client) {
    let mut world = World::new();
    let (owner, client) = (world.client(), world.client());
    world.ok(&owner, log_in("owner:secret"));
    world.ok(&owner, create_for("/locked", &[Acl::creator_all()]));
    world.ok(&owner, create_for("/locked/child", &[Acl::creator_all()]));
    world.ok(&owner, create_as("/short", CreateFlags::EPHEMERAL));
    (world, client)
}

#[test]
fn create_flags_ttl_path_list_parent_permission_name_ephemeral_parent() {
    let (mut world, client) = world();
    let good = || creation("/locked/x", CreateFlags::PERSISTENT);
    let no_list = Some(Vec::new());
    let ttl = CreateForm::Ttl { ttl: 0 };
    let table = [
        // Each row repairs the fault that won in the row before.
        (Create { flags: CreateFlags(9), form: ttl, path: "x".into(), acl: no_list.clone(), ..good() }, -8),
        (Create { flags: CreateFlags::TTL, form: ttl, path: "x".into(), acl: no_list.clone(), ..good() }, -8),
        (Create { path: "x".into(), acl: no_list.clone(), ..good() }, -8),
        (Create { path: "/nope//x".into(), acl: no_list, ..good() }, -114),
        (Create { path: "/nope//x".into(), ..good() }, -101),
        (Create { path: "/locked/.".into(), ..good() }, -102),
        (Create { path: "/locked/child".into(), ..good() }, -102),
        (Create { path: "/short/.".into(), ..good() }, -8),
        (Create { path: "/short/x".into(), ..good() }, -108),
        (Create { path: "/short".into(), ..good() }, -110),
    ];
    for (create, code) in table {
        let shown = format!("{create:?}");
        assert_eq!(world.error(&client, Request::Create(create)), ErrorCode(code), "{shown}");
    }
}

#[test]
fn delete_path_parent_permission_on_the_parent_znode_version_children() {
    let (mut world, client) = world();
    world.ok(&client, create("/full"));
    world.ok(&client, create("/full/child"));
    let table = [
        ("x", 7, -8),
        ("/nope/x", 7, -101),
        ("/locked/nope", 7, -102),
        ("/locked/child", 7, -102),
        ("/nope", 7, -101),
        ("/full", 7, -103),
        ("/full", -2, -103),
        ("/full", -1, -111),
        ("/full", 0, -111),
        // Only the parent's list matters.
        ("/locked", 7, -103),
        ("/locked", -1, -111),
    ];
    for (path, version, code) in table {
        let request = Request::Delete(deletion(path, version));
        assert_eq!(world.error(&client, request), ErrorCode(code), "{path} at {version}");
    }
}

#[test]
fn set_data_path_znode_permission_version() {
    let (mut world, client) = world();
    world.ok(&client, create("/a"));
    for (path, code) in [("a", -8), ("/nope", -101), ("/locked", -102), ("/a", -103)] {
        assert_eq!(world.error(&client, Request::SetData(setting(path, "", 7))), ErrorCode(code), "{path}");
    }
}

#[test]
fn set_acl_path_list_znode_permission_version_of_the_list() {
    let (mut world, client) = world();
    world.ok(&client, create("/a"));
    world.ok(&client, Request::SetData(setting("/a", "", -1)));
    let open = &[Acl::open()][..];
    let table = [
        ("a", &[][..], -8),
        ("/nope", &[], -114),
        ("/nope", open, -101),
        ("/locked", open, -102),
        // The data is at version 1, the list at 0.
        ("/a", open, -103),
    ];
    for (path, acl, code) in table {
        assert_eq!(world.error(&client, set_acl(path, acl, 1)), ErrorCode(code), "{path}");
    }
    world.ok(&client, set_acl("/a", open, 0));
    assert_eq!(world.stat("/a").aversion, 1);
}

#[test]
fn check_path_znode_permission_version() {
    let (mut world, client) = world();
    world.ok(&client, create("/a"));
    for (path, code) in [("a", -8), ("/nope", -101), ("/locked", -102), ("/a", -103)] {
        let failed = Response::Multi(vec![MultiResult::Error(ErrorCode(code))]);
        assert_eq!(world.ok(&client, Request::Multi(vec![check(path, 7)])), failed, "{path}");
    }
}

#[test]
fn reads_znode_permission() {
    let (mut world, client) = world();
    let requests: [fn(&str) -> Request; 4] =
        [get, list, exists, |path| Request::GetAllChildrenNumber { path: path.into() }];
    for request in requests {
        assert_eq!(world.error(&client, request("/nope")), ErrorCode::NO_NODE);
        assert_eq!(world.error(&client, request("/locked")), ErrorCode::NO_AUTH);
    }
    let get_acl = |path: &str| Request::GetAcl { path: path.into() };
    assert_eq!(world.error(&client, get_acl("/nope")), ErrorCode::NO_NODE);
    assert_eq!(world.error(&client, get_acl("/locked")), ErrorCode::NO_AUTH);
}

#[test]
fn every_permission_is_for_one_thing() {
    let all =
        [Permissions::READ, Permissions::WRITE, Permissions::CREATE, Permissions::DELETE, Permissions::ADMIN];
    let without = |missing: Permissions| Acl::new(Permissions(31 & !missing.0), "world", "anyone");
    for missing in all {
        let mut world = World::new();
        let client = world.client();
        world.ok(&client, create_for("/a", &[without(missing)]));
        let (can_create, created) =
            (missing != Permissions::CREATE, world.ask(&client, create("/a/b")).result);
        assert_eq!(created.is_ok(), can_create, "{missing:?}");
        let deleted = world.ask(&client, delete("/a/b")).result;
        assert_eq!(deleted.is_ok(), can_create && missing != Permissions::DELETE, "{missing:?}");
        assert_eq!(world.ask(&client, get("/a")).result.is_ok(), missing != Permissions::READ, "{missing:?}");
        let set = world.ask(&client, Request::SetData(setting("/a", "", -1))).result;
        assert_eq!(set.is_ok(), missing != Permissions::WRITE, "{missing:?}");
        let set = world.ask(&client, set_acl("/a", &[Acl::open()], -1)).result;
        assert_eq!(set.is_ok(), missing != Permissions::ADMIN, "{missing:?}");
    }
}
