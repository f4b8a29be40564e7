//! What is left of the operations: reads of names and counts, forms of create, requests that are none.

use queenright_core::Zxid;
use queenright_core::wire::{
    Check, Create, CreateFlags, CreateForm, ErrorCode, OpCode, Read, Request, Response,
};
use queenright_sim::zookeeper::{FromServer, Owner, ServerId};

use crate::harness::{World, create, creation, list};

#[test]
fn create_answers_with_a_stat_in_all_forms_but_the_first() {
    let table = [
        (CreateForm::Create, CreateFlags::PERSISTENT, false),
        (CreateForm::Create2, CreateFlags::PERSISTENT, true),
        (CreateForm::Container, CreateFlags::CONTAINER, true),
        (CreateForm::Ttl { ttl: 1000 }, CreateFlags::TTL, true),
    ];
    let mut world = World::new();
    let client = world.client();
    for (index, (form, flags, with_stat)) in table.into_iter().enumerate() {
        let create = Create { form, ..creation(&format!("/{index}"), flags) };
        let response = world.ok(&client, Request::Create(create));
        assert_eq!(matches!(response, Response::Create2 { .. }), with_stat, "{form:?}");
    }
}

#[test]
fn a_ping_is_answered_with_the_xid_of_pings_whatever_it_was_sent_with() {
    let mut world = World::new();
    let client = world.client();
    for xid in [-2, 0, 5] {
        world.send(&client, xid, Request::Ping);
        let answers = world.inbox(&client);
        let pong = FromServer::Reply { xid: -2, zxid: Zxid(1), result: Ok(Response::Ping) };
        assert_eq!(answers, [pong], "{xid}");
    }
}

#[test]
fn a_reconfig_that_cannot_be_read_spends_no_zxid() {
    let mut world = World::new();
    let client = world.client();
    for (opcode, zxid) in [(OpCode::Reconfig, 1), (OpCode::Create, 2), (OpCode::GetData, 2)] {
        let reply = world.ask(&client, Request::Garbled { opcode });
        let unread = (Zxid(zxid), Err(ErrorCode::MARSHALLING_ERROR));
        assert_eq!((reply.zxid, reply.result), unread, "{opcode:?}");
    }
}

#[test]
fn the_type_says_what_is_created_and_the_flags_whether_it_is_an_ephemeral() {
    let mut world = World::new();
    let client = world.client();
    let own = Owner::Session(client.session());
    let table = [
        (CreateForm::Create, CreateFlags::PERSISTENT, Ok(Owner::Nobody)),
        (CreateForm::Create, CreateFlags::EPHEMERAL, Ok(own)),
        (CreateForm::Create2, CreateFlags::EPHEMERAL_SEQUENTIAL, Ok(own)),
        // Not a container: only its own type makes one, and does so with any flags.
        (CreateForm::Create, CreateFlags::CONTAINER, Ok(Owner::Nobody)),
        (CreateForm::Container, CreateFlags::CONTAINER, Ok(Owner::Children)),
        (CreateForm::Container, CreateFlags::PERSISTENT, Ok(Owner::Children)),
        (CreateForm::Container, CreateFlags::EPHEMERAL, Ok(Owner::Children)),
        (CreateForm::Ttl { ttl: 5 }, CreateFlags::TTL, Ok(Owner::Ttl(5))),
        (CreateForm::Ttl { ttl: (1 << 40) - 1 }, CreateFlags::TTL_SEQUENTIAL, Ok(Owner::Ttl((1 << 40) - 1))),
        (CreateForm::Ttl { ttl: 1 << 40 }, CreateFlags::TTL, Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Ttl { ttl: 0 }, CreateFlags::TTL, Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Ttl { ttl: 5 }, CreateFlags::PERSISTENT, Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Ttl { ttl: -1 }, CreateFlags::PERSISTENT, Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Create, CreateFlags::TTL, Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Container, CreateFlags::TTL, Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Create, CreateFlags(7), Err(ErrorCode::BAD_ARGUMENTS)),
        (CreateForm::Create, CreateFlags(-1), Err(ErrorCode::BAD_ARGUMENTS)),
    ];
    for (index, (form, flags, expected)) in table.into_iter().enumerate() {
        let create = Create { form, ..creation(&format!("/{index}-"), flags) };
        let created = world.ask(&client, Request::Create(create)).result.map(|response| match response {
            Response::Create { path } | Response::Create2 { path, .. } => path,
            other => panic!("{other:?}"),
        });
        let owner = created.map(|path| world.server.tree(ServerId::FIRST).get(&path).unwrap().owner());
        assert_eq!(owner, expected, "{form:?} {flags:?}");
    }
}

#[test]
fn only_ephemerals_show_an_owner() {
    let mut world = World::new();
    let client = world.client();
    let forms = [
        (CreateForm::Container, CreateFlags::CONTAINER),
        (CreateForm::Ttl { ttl: 5 }, CreateFlags::TTL),
        (CreateForm::Create2, CreateFlags::EPHEMERAL),
    ];
    for (index, (form, flags)) in forms.into_iter().enumerate() {
        let path = format!("/{index}");
        world.ok(&client, Request::Create(Create { form, ..creation(&path, flags) }));
        let shown = if flags == CreateFlags::EPHEMERAL { client.session().0 } else { 0 };
        assert_eq!(world.stat(&path).ephemeral_owner, shown, "{flags:?}");
    }
}

#[test]
fn children_are_names_with_and_without_the_stat() {
    let mut world = World::new();
    let client = world.client();
    for path in ["/a", "/a/y", "/a/x", "/a/x/z"] {
        world.ok(&client, create(path));
    }
    let names = vec!["x".to_owned(), "y".to_owned()];
    assert_eq!(world.ok(&client, list("/a")), Response::GetChildren { children: names.clone() });
    let with_stat = Response::GetChildren2 { children: names, stat: world.stat("/a") };
    assert_eq!(world.ok(&client, Request::GetChildren2(Read::plain("/a"))), with_stat);
}

#[test]
fn descendants_are_counted_at_all_depths() {
    let mut world = World::new();
    let client = world.client();
    for path in ["/a", "/a!", "/a/b", "/a/b/c", "/a0", "/ab"] {
        world.ok(&client, create(path));
    }
    // The root's include the server's own three; under its other name it counts itself.
    for (path, expected) in [("/a", 2), ("/a/b", 1), ("/a/b/c", 0), ("/", 9), ("", 10)] {
        let request = Request::GetAllChildrenNumber { path: path.into() };
        assert_eq!(
            world.ok(&client, request),
            Response::GetAllChildrenNumber { count: expected },
            "{path:?}"
        );
    }
}

#[test]
fn sync_answers_with_its_path_whatever_it_is() {
    let mut world = World::new();
    let client = world.client();
    let request = Request::Sync { path: "no path".into() };
    assert_eq!(world.ok(&client, request), Response::Sync { path: "no path".into() });
}

#[test]
fn what_the_server_does_not_serve_ends_the_connection_and_not_the_session() {
    let check = Request::Check(Check { path: "/".into(), version: -1 });
    for request in [Request::Unsupported { opcode: 102 }, Request::Unsupported { opcode: 77 }, check] {
        let mut world = World::new();
        let client = world.client();
        world.send(&client, 4, request);
        let reply = FromServer::Reply { xid: 4, zxid: Zxid(-1), result: Err(ErrorCode::UNIMPLEMENTED) };
        assert_eq!(world.inbox(&client), [reply, FromServer::Close]);
        world.reattach(&client);
    }
}

#[test]
fn a_body_that_cannot_be_read_is_an_error_and_the_connection_stays() {
    let mut world = World::new();
    let client = world.client();
    for (opcode, spent) in [
        (OpCode::Create, 1),
        (OpCode::SetData, 1),
        (OpCode::Multi, 1),
        (OpCode::GetData, 0),
        (OpCode::MultiRead, 0),
        (OpCode::AddWatch, 0),
        (OpCode::RemoveWatches, 0),
    ] {
        let before = world.server.last_zxid(ServerId::FIRST);
        let reply = world.ask(&client, Request::Garbled { opcode });
        assert_eq!(reply.result, Err(ErrorCode::MARSHALLING_ERROR), "{opcode:?}");
        assert_eq!(reply.zxid, Zxid(before.0 + spent), "{opcode:?}");
    }
    world.send(&client, -4, Request::Garbled { opcode: OpCode::Auth });
    assert_eq!(world.inbox(&client), [FromServer::Close]);
}

#[test]
fn reconfiguration_is_switched_off() {
    let mut world = World::new();
    let client = world.client();
    let request =
        Request::Reconfig { joining: Some("x".into()), leaving: None, new_members: None, config_id: -1 };
    assert_eq!(world.error(&client, request), ErrorCode::RECONFIG_DISABLED);
}
