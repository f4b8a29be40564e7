//! Sessions: how they begin, how long they last, and how they end.

use std::time::Duration;

use queenright_core::op::Change;
use queenright_core::wire::{ConnectRequest, CreateFlags, ErrorCode, Request, Response};
use queenright_core::{Instant, SessionId, Zxid};
use queenright_sim::zookeeper::{FromServer, ServerId};

use crate::harness::{TICK, World, create, create_as, event, get, log_in, watch_below, watch_data};

fn refused(answers: &[FromServer]) -> bool {
    match answers {
        [FromServer::Connected(response), FromServer::Close] => {
            assert_eq!((response.timeout_ms, response.session), (0, SessionId(0)));
            assert_eq!(response.password, [0; 16]);
            response.is_refusal()
        }
        _ => false,
    }
}

/// The ids of a server that was started anew, with nothing left of the earlier one: kazoo's clients came back to the sessions
/// of others.
#[test]
fn a_server_that_starts_later_gives_no_session_a_second_time() {
    let mut earlier = World::new();
    let old = earlier.client();
    let mut world = World::new_at(earlier.now.after(Duration::from_millis(1)));
    let others: Vec<_> = (0..100).map(|_| world.client().session()).collect();
    assert!(!others.contains(&old.session()));
    let (_, answers) = world.connect(ConnectRequest::reattach(&old.established, Zxid(0)));
    assert!(refused(&answers), "{answers:?}");
    // Whenever that is, the id begins with the server's.
    for start in [0, 1_800_000_000_000, u64::MAX / 1_000_000] {
        let session = World::new_at(Instant::from_millis(start)).client().session();
        assert_eq!(session.0 >> 56, i64::from(ServerId::FIRST.0), "{session}");
    }
}

#[test]
fn timeouts_are_clamped_between_2_and_20_ticks() {
    let mut world = World::new();
    for (asked, got) in [
        (10_000, 10_000),
        (4_000, 4_000),
        (3_999, 4_000),
        (0, 4_000),
        (-5, 4_000),
        (40_001, 40_000),
        (i32::MAX, 40_000),
    ] {
        let (_, answers) = world.connect(ConnectRequest::new_session(asked));
        let [FromServer::Connected(response)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(response.timeout_ms, got, "{asked}");
    }
}

#[test]
fn a_new_session_spends_a_zxid_and_a_reattachment_none() {
    let mut world = World::new();
    let before = world.server.last_zxid(ServerId::FIRST);
    let client = world.client();
    let after = world.server.last_zxid(ServerId::FIRST);
    assert_eq!(after, Zxid(before.0 + 1));
    world.disconnect(&client);
    world.reattach(&client);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), after);
}

#[test]
fn session_ids_are_unique_and_are_no_marks_of_containers() {
    let mut world = World::new();
    let clients: Vec<_> = (0..100).map(|_| world.client()).collect();
    let mut ids: Vec<_> = clients.iter().map(|client| client.session()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    for SessionId(id) in ids {
        let top = id.cast_unsigned() >> 56;
        assert!(id != 0 && top != 0xff && top != 0x80, "{id:x}");
    }
    assert_ne!(clients[0].established.password, clients[1].established.password);
}

#[test]
fn the_answer_has_a_read_only_byte_when_the_request_has_one() {
    let mut world = World::new();
    for (asked, got) in [(Some(true), Some(false)), (Some(false), Some(false)), (None, None)] {
        let request = ConnectRequest { read_only: asked, ..ConnectRequest::new_session(10_000) };
        let (_, answers) = world.connect(request);
        let [FromServer::Connected(response)] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(response.read_only, got);
    }
}

#[test]
fn a_client_that_has_seen_the_future_is_turned_away_without_a_word() {
    let mut world = World::new();
    world.client();
    let seen = Zxid(world.server.last_zxid(ServerId::FIRST).0 + 1);
    let (_, answers) =
        world.connect(ConnectRequest { last_zxid_seen: seen, ..ConnectRequest::new_session(10_000) });
    assert_eq!(answers, [FromServer::Close]);
    assert_eq!(world.server.sessions().count(), 1);
}

#[test]
fn reattaching_takes_over_id_and_password_but_not_the_timeout_nor_identities() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, log_in("user:secret"));
    world.disconnect(&client);
    let mut request = ConnectRequest::reattach(&client.established, Zxid(0));
    request.timeout_ms = 30_000;
    let (conn, answers) = world.connect(request);
    let [FromServer::Connected(response)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((response.session, &response.password), (client.session(), &client.established.password));
    assert_eq!(response.timeout_ms, 30_000);
    let again = crate::harness::Client { conn, established: response.clone() };
    // The new timeout holds at once, before another frame comes.
    world.pass(Duration::from_secs(29));
    assert!(world.server.sessions().any(|session| session == client.session()));
    let Response::WhoAmI { identities } = world.ok(&again, Request::WhoAmI) else { panic!("nobody") };
    assert_eq!(identities.len(), 1, "only the address is left: {identities:?}");
}

#[test]
fn reattaching_closes_the_old_connection_even_with_a_wrong_password() {
    let mut world = World::new();
    let client = world.client();
    let again = world.reattach(&client);
    assert_eq!(world.inbox(&client), [FromServer::Close]);

    let mut request = ConnectRequest::reattach(&again.established, Zxid(0));
    request.password = Some(vec![1; 16]);
    let (_, answers) = world.connect(request);
    assert!(refused(&answers), "{answers:?}");
    assert_eq!(world.inbox(&again), [FromServer::Close]);
    // The session itself lives on.
    world.reattach(&again);
}

#[test]
fn a_session_that_is_over_or_never_was_is_refused() {
    let mut world = World::new();
    let client = world.client();
    world.expire(client.session());
    for session in [client.session(), SessionId(12345)] {
        let mut request = ConnectRequest::reattach(&client.established, Zxid(0));
        request.session = session;
        let (_, answers) = world.connect(request);
        assert!(refused(&answers), "{answers:?}");
    }
}

#[test]
fn a_session_ends_at_the_first_tick_after_its_timeout() {
    for offset in [0, 1, 1_000, 1_999] {
        let mut world = World::new();
        world.pass(Duration::from_millis(offset));
        let (start, client) = (world.now, world.client());
        let ends_at = world.server.poll_timeout().unwrap();
        let lasted = ends_at.since(start);
        let timeout = Duration::from_secs(10);
        assert!(lasted > timeout && lasted <= timeout + TICK, "{lasted:?} at {offset}");
        assert_eq!(ends_at.as_nanos() % u64::try_from(TICK.as_nanos()).unwrap(), 0);
        world.pass(lasted.checked_sub(Duration::from_nanos(1)).unwrap());
        assert_eq!(world.server.sessions().count(), 1);
        world.pass(Duration::from_nanos(1));
        assert_eq!(world.server.sessions().count(), 0);
        assert_eq!(world.inbox(&client), [FromServer::Close]);
    }
}

#[test]
fn every_frame_renews_a_session() {
    let mut world = World::new();
    let client = world.client();
    for request in [Request::Ping, get("/nope"), create("bad"), log_in("user:secret")] {
        world.pass(Duration::from_secs(9));
        let _ = world.ask(&client, request);
    }
    world.pass(Duration::from_secs(9));
    assert_eq!(world.server.sessions().count(), 1);
}

#[test]
fn a_lost_connection_leaves_the_session_and_its_ephemerals_until_the_timeout() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create_as("/e", CreateFlags::EPHEMERAL));
    world.disconnect(&client);
    world.pass(Duration::from_secs(10));
    assert!(world.has("/e"));
    world.pass(TICK);
    assert!(!world.has("/e"));
    assert_eq!(world.inbox(&client), []);
}

#[test]
fn close_deletes_the_ephemerals_tells_watchers_replies_and_hangs_up() {
    let mut world = World::new();
    let (client, other) = (world.client(), world.client());
    for path in ["/e1", "/e2"] {
        world.ok(&client, create_as(path, CreateFlags::EPHEMERAL));
    }
    world.ok(&client, watch_data("/e1"));
    world.ok(&other, watch_below("/"));
    let zxid = Zxid(world.server.last_zxid(ServerId::FIRST).0 + 1);
    world.send(&client, 3, Request::CloseSession);
    let inbox = world.inbox(&client);
    assert!(matches!(&inbox[0], FromServer::Event(event) if event.path == "/e1" && event.zxid == zxid));
    assert_eq!(
        inbox[1..],
        [FromServer::Reply { xid: 3, zxid, result: Ok(Response::CloseSession) }, FromServer::Close]
    );
    assert_eq!(world.events(&other), [event(Change::Deleted, "/e1"), event(Change::Deleted, "/e2")]);
    assert_eq!(world.server.sessions().collect::<Vec<_>>(), [other.session()]);
}

#[test]
fn expiry_spends_one_zxid_and_the_expired_client_hears_only_the_end_of_its_connection() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create_as("/e1", CreateFlags::EPHEMERAL));
    world.ok(&client, create_as("/e2", CreateFlags::EPHEMERAL));
    world.ok(&client, watch_data("/e1"));
    let before = world.server.last_zxid(ServerId::FIRST);
    world.expire(client.session());
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    assert_eq!(world.server.last_zxid(ServerId::FIRST), Zxid(before.0 + 1));
    // Once: it is over.
    world.expire(client.session());
    assert_eq!(world.server.last_zxid(ServerId::FIRST), Zxid(before.0 + 1));
}

#[test]
fn frames_that_cross_with_the_end_of_their_connection_are_ignored() {
    let mut world = World::new();
    let client = world.client();
    world.expire(client.session());
    world.inbox(&client);
    let zxid = world.server.last_zxid(ServerId::FIRST);
    world.send(&client, 1, create("/late"));
    assert_eq!((world.inbox(&client), world.server.last_zxid(ServerId::FIRST)), (vec![], zxid));
    assert!(!world.has("/late"));
}

#[test]
fn deadlines_come_before_the_input_that_is_late() {
    let mut world = World::new();
    let client = world.client();
    world.ok(&client, create_as("/e", CreateFlags::EPHEMERAL));
    // Nobody called handle_timeout in between.
    world.now = world.now.after(Duration::from_secs(60));
    world.send(&client, 1, Request::Ping);
    assert_eq!(world.inbox(&client), [FromServer::Close]);
    assert!(!world.has("/e"));
}

#[test]
fn the_ephemerals_of_a_session_are_its_own() {
    let mut world = World::new();
    let (one, two) = (world.client(), world.client());
    world.ok(&one, create("/d"));
    for (client, path) in [(&one, "/d/one"), (&two, "/d/two"), (&one, "/one")] {
        world.ok(client, create_as(path, CreateFlags::EPHEMERAL));
    }
    let owned = |world: &mut World, client, prefix: &str| {
        let request = Request::GetEphemerals { prefix: prefix.into() };
        match world.ok(client, request) {
            Response::GetEphemerals { paths } => paths,
            other => panic!("{other:?}"),
        }
    };
    for all in ["", "/"] {
        assert_eq!(owned(&mut world, &one, all), ["/d/one", "/one"]);
    }
    // A prefix is text, and not a parent.
    assert_eq!(owned(&mut world, &one, "/d"), ["/d/one"]);
    assert_eq!(owned(&mut world, &one, "/o"), ["/one"]);
    assert_eq!(owned(&mut world, &two, "/d/o"), [""; 0]);
    world.expire(one.session());
    assert!(world.has("/d/two") && !world.has("/d/one"));
    assert_eq!(world.error(&two, get("/one")), ErrorCode::NO_NODE);
}

#[test]
fn a_server_without_sessions_has_no_deadline() {
    let mut world = World::new();
    assert_eq!(world.server.poll_timeout(), None);
    let client = world.client();
    assert!(world.server.poll_timeout() > Some(Instant::ORIGIN));
    world.send(&client, 1, Request::CloseSession);
    assert_eq!(world.server.poll_timeout(), None);
}
