//! Access control lists and identities. The tables were asked of ZooKeeper 3.8.0.

use std::time::Duration;

use queenright_core::Instant;
use queenright_core::wire::{
    Acl, AuthId, ConnectRequest, Create, CreateFlags, ErrorCode, Permissions, Request, Response,
};
use queenright_sim::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId};

use crate::harness::{
    Client, LOCALHOST, TICK, World, create, create_as, create_for, creation, get, log_in, set, set_acl,
};

/// `user:secret`, hashed.
const USER: &str = "user:5w9W4eL3797Y4Wq8AcKUPPk8ha4=";

fn list_of(world: &mut World, client: &Client, path: &str) -> Vec<Acl> {
    match world.ok(client, Request::GetAcl { path: path.into() }) {
        Response::GetAcl { acl, .. } => acl,
        other => panic!("{other:?}"),
    }
}

#[test]
fn which_entries_a_list_may_have() {
    let table = [
        ("world", "anyone", true),
        ("world", "x", false),
        ("auth", "", false),
        ("super", "", false),
        ("x", "y", false),
        ("", "", false),
        ("digest", "a:b", true),
        ("digest", ":b", true),
        // Java's split drops what is empty at the end.
        ("digest", "a:b:", true),
        ("digest", "a:", false),
        ("digest", "a", false),
        ("digest", "", false),
        ("digest", "::b", false),
        ("digest", "a:b:c", false),
        ("ip", "127.0.0.1", true),
        ("ip", "127.0.0.1/8", true),
        ("ip", "01.2.3.4", true),
        ("ip", "1.2.3.4/33", false),
        ("ip", "1.2.3.4/-1", false),
        ("ip", "1.2.3.4/x", false),
        ("ip", "1.2.3.4/", false),
        ("ip", "1.2.3", false),
        ("ip", "1.2.3.400", false),
        ("ip", "::1", false),
    ];
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create("/a"));
    for (scheme, id, fits) in table {
        // One bad entry spoils a list.
        let acl = [Acl::open(), Acl::new(Permissions::READ, scheme, id)];
        let expected = if fits { None } else { Some(ErrorCode::INVALID_ACL) };
        assert_eq!(world.ask(&client, set_acl("/a", &acl, -1)).result.err(), expected, "{scheme}:{id}");
    }
}

#[test]
fn an_empty_list_and_none_at_all_are_invalid() {
    let mut world = World::new();
    let client = world.client();
    for acl in [None, Some(Vec::new())] {
        let create = Create { acl, ..creation("/a", CreateFlags::PERSISTENT) };
        assert_eq!(world.error(&client, Request::Create(create)), ErrorCode::INVALID_ACL);
    }
}

#[test]
fn duplicates_are_dropped() {
    let mut world = World::new();
    let client = world.client();
    let subnet = Acl::new(Permissions::READ, "ip", "1.2.3.4");
    world.ok(&client, create_for("/a", &[Acl::open(), subnet.clone(), Acl::open()]));
    assert_eq!(list_of(&mut world, &client, "/a"), [Acl::open(), subnet]);
}

#[test]
fn auth_stands_for_every_proven_identity() {
    let mut world = World::new();
    let client = world.client();
    assert_eq!(world.error(&client, create_for("/a", &[Acl::creator_all()])), ErrorCode::INVALID_ACL);
    for proof in ["user:secret", "nobody", "user:secret"] {
        assert_eq!(world.ok(&client, log_in(proof)), Response::Auth);
    }
    world.ok(&client, create_for("/a", &[Acl::new(Permissions::ALL, "auth", "ignored")]));
    let expected =
        [USER, "nobody:Nl7BemdfMnO8FsdHYa2D8s8HxZo="].map(|id| Acl::new(Permissions::ALL, "digest", id));
    assert_eq!(list_of(&mut world, &client, "/a"), expected, "an address proves nothing");
}

#[test]
fn who_has_no_admin_permission_sees_no_digest() {
    let mut world = World::new();
    let (owner, client) = (world.client(), world.client());
    world.ok(&owner, log_in("user:secret"));
    let world_reads = Acl::new(Permissions::READ, "world", "anyone");
    world.ok(&owner, create_for("/a", &[Acl::creator_all(), world_reads.clone()]));
    let full = Acl::new(Permissions::ALL, "digest", USER);
    assert_eq!(list_of(&mut world, &owner, "/a"), [full, world_reads.clone()]);
    assert_eq!(
        list_of(&mut world, &client, "/a"),
        [Acl::new(Permissions::ALL, "digest", "user:x"), world_reads]
    );
    // Admin is enough to see it, read is not needed.
    world
        .ok(&owner, create_for("/b", &[Acl::new(Permissions::ADMIN, "world", "anyone"), Acl::creator_all()]));
    assert_eq!(list_of(&mut world, &client, "/b")[1].id.id, USER);
}

#[test]
fn a_digest_lets_in_whoever_proves_it() {
    let mut world = World::new();
    let (owner, client) = (world.client(), world.client());
    world.ok(&owner, log_in("user:secret"));
    world.ok(&owner, create_for("/a", &[Acl::creator_all()]));
    world.ok(&client, log_in("user:guess"));
    assert_eq!(world.error(&client, get("/a")), ErrorCode::NO_AUTH);
    world.ok(&client, log_in("user:secret"));
    world.ok(&client, get("/a"));
}

#[test]
fn an_unknown_scheme_is_refused_and_the_connection_closed() {
    for scheme in ["world", "x", ""] {
        let mut world = World::new();
        let client = world.client();
        world.send(&client, -4, Request::Auth { scheme: scheme.into(), auth: Some(Vec::new()) });
        let refusal = FromServer::Reply {
            xid: -4,
            zxid: queenright_core::Zxid(0),
            result: Err(ErrorCode::AUTH_FAILED),
        };
        assert_eq!(world.inbox(&client), [refusal, FromServer::Close]);
        // The session lives on.
        world.reattach(&client);
    }
}

#[test]
fn auth_replies_carry_no_zxid_and_ip_is_always_proven() {
    let mut world = World::new();
    let client = world.client();
    for (scheme, proof) in [("ip", ""), ("digest", "user:secret"), ("digest", "")] {
        let reply = world.ask(&client, Request::Auth { scheme: scheme.into(), auth: Some(proof.into()) });
        assert_eq!((reply.result, reply.zxid.0), (Ok(Response::Auth), 0));
    }
    let Response::WhoAmI { identities } = world.ok(&client, Request::WhoAmI) else { panic!("nobody") };
    let expected = [AuthId::new("ip", "127.0.0.1"), AuthId::new("digest", "user"), AuthId::new("digest", "")];
    assert_eq!(identities, expected);
}

#[test]
fn the_superuser_may_do_everything() {
    let super_digest = Some("super:0bX78nEegDzJM3ju0iLBEJdWzjg=".to_owned());
    let mut world = World::with(ServerConfig { tick: TICK, super_digest, ..ServerConfig::default() });
    let (owner, root) = (world.client(), world.client());
    world.ok(&owner, create_for("/a", &[Acl::new(Permissions(0), "world", "anyone")]));
    assert_eq!(world.error(&owner, get("/a")), ErrorCode::NO_AUTH);
    world.ok(&root, log_in("super:pw"));
    for request in [get("/a"), set("/a", "x"), create("/a/b"), set_acl("/a", &[Acl::open()], -1)] {
        world.ok(&root, request);
    }
}

#[test]
fn addresses_match_by_their_leading_bits() {
    let table = [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.1.2.0/24", "10.1.2.4", true),
        ("10.1.2.0/24", "10.1.3.4", false),
        ("10.1.2.3/31", "10.1.2.2", true),
        ("10.1.2.3/0", "192.168.0.1", true),
        ("10.1.2.3/0", "::1", false),
    ];
    for (subnet, address, matches) in table {
        let (now, owner, other) = (Instant::ORIGIN, ConnectionId(1), ConnectionId(2));
        let mut server = Ensemble::new(ServerConfig::default(), 1, now);
        let acl = Some(vec![Acl::new(Permissions::ALL, "ip", subnet)]);
        server.connect(now, ServerId::FIRST, owner, LOCALHOST, ConnectRequest::new_session(10_000));
        server.request(
            now,
            owner,
            1,
            Request::Create(Create { acl, ..creation("/a", CreateFlags::PERSISTENT) }),
        );
        server.connect(
            now,
            ServerId::FIRST,
            other,
            address.parse().unwrap(),
            ConnectRequest::new_session(10_000),
        );
        while server.poll_output().is_some() {}
        server.request(now, other, 1, get("/a"));
        let Some((_, FromServer::Reply { result, .. })) = server.poll_output() else { panic!("no reply") };
        assert_eq!(result.is_ok(), matches, "{subnet} {address}");
    }
}

#[test]
fn the_end_of_a_session_asks_no_list() {
    let mut world = World::new();
    let (owner, client) = (world.client(), world.client());
    world.ok(&owner, create("/d"));
    world.ok(&client, create_as("/d/e", CreateFlags::EPHEMERAL));
    world.ok(&owner, set_acl("/d", &[Acl::new(Permissions::READ, "world", "anyone")], -1));
    world.disconnect(&client);
    world.ok(&owner, Request::Ping);
    for _ in 0..3 {
        world.pass(Duration::from_secs(5));
        world.ok(&owner, Request::Ping);
    }
    assert!(!world.has("/d/e"));
}
