//! How bytes become requests, and what ends a connection.

use queenright_core::Zxid;
use queenright_core::wire::{ConnectRequest, CreateFlags, Read, Request};
use queenright_sim::zookeeper::ServerId;

use crate::harness::{SESSION_MS, World, connect, create, frame, frames, get, parse_message, parse_session};

#[test]
fn a_connection_may_come_byte_by_byte() {
    let mut world = World::new();
    let conn = world.accept();
    let mut bytes = connect(&ConnectRequest::new_session(SESSION_MS));
    bytes.extend(frame(1, &create("/a", b"1", CreateFlags::PERSISTENT)));
    let (last, all_but_last) = bytes.split_last().unwrap();
    for byte in all_but_last {
        world.receive(conn, &[*byte]);
    }
    let session = world.session(conn);
    assert_eq!((session.timeout_ms, session.password.len()), (SESSION_MS, 16));
    assert_ne!(session.id, 0);
    world.receive(conn, &[*last]);
    let messages = world.messages(conn);
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].xid, messages[0].zxid, messages[0].error), (1, 2, 0));
}

#[test]
fn requests_in_one_segment_are_answered_in_order() {
    let mut world = World::new();
    let conn = world.accept();
    let mut bytes = connect(&ConnectRequest::new_session(SESSION_MS));
    bytes.extend(frame(7, &create("/a", b"1", CreateFlags::PERSISTENT)));
    bytes.extend(frame(8, &get("/a")));
    bytes.extend(frame(9, &get("/b")));
    bytes.extend(frame(-2, &Request::Ping));
    world.receive(conn, &bytes);
    let bodies = frames(&world.read(conn));
    assert_ne!(parse_session(&bodies[0]).id, 0);
    let replies: Vec<_> = bodies[1..].iter().map(|body| parse_message(body)).collect();
    let heads: Vec<_> = replies.iter().map(|reply| (reply.xid, reply.zxid, reply.error)).collect();
    assert_eq!(heads, [(7, 2, 0), (8, 2, 0), (9, 2, -101), (-2, 2, 0)]);
    assert!(replies[1].body.starts_with(&[0, 0, 0, 1, b'1']), "{replies:?}");
    assert!(!world.is_over(conn));
}

#[test]
fn clients_that_do_not_know_of_read_only_servers_are_not_told() {
    let mut world = World::new();
    for (read_only, is_told) in [(None, false), (Some(false), true), (Some(true), true)] {
        let conn = world.accept();
        world.receive(
            conn,
            &connect(&ConnectRequest { read_only, ..ConnectRequest::new_session(SESSION_MS) }),
        );
        assert_eq!(world.session(conn).has_read_only, is_told, "{read_only:?}");
    }
}

#[test]
fn what_is_no_connect_request_is_not_answered() {
    let negative = (-1_i32).to_be_bytes().to_vec();
    let too_long = 0x10_0000_i32.to_be_bytes().to_vec();
    let too_short = [&8_i32.to_be_bytes()[..], &[0; 8]].concat();
    let empty = vec![0; 4];
    for bytes in [negative, too_long, too_short, empty] {
        let mut world = World::new();
        let conn = world.accept();
        world.receive(conn, &bytes);
        assert!(world.is_over(conn), "{bytes:?}");
        assert!(world.read(conn).is_empty(), "{bytes:?}");
        assert_eq!(world.endpoint.ensemble().sessions().count(), 0);
        // What comes behind it finds nobody.
        world.receive(conn, &connect(&ConnectRequest::new_session(SESSION_MS)));
        assert!(world.read(conn).is_empty());
    }
}

#[test]
fn a_client_that_knows_more_than_the_server_is_not_answered() {
    let mut world = World::new();
    let conn = world.accept();
    let request = ConnectRequest { last_zxid_seen: Zxid(99), ..ConnectRequest::new_session(SESSION_MS) };
    world.receive(conn, &connect(&request));
    assert!(world.is_over(conn));
}

#[test]
fn after_a_frame_that_is_none_the_connection_closes_and_the_session_lives() {
    let negative = (-1_i32).to_be_bytes().to_vec();
    let too_long = 0x10_0000_i32.to_be_bytes().to_vec();
    let without_header = [&4_i32.to_be_bytes()[..], &[0; 4]].concat();
    for bytes in [negative, too_long, without_header] {
        let mut world = World::new();
        let (conn, _) = world.client();
        // What came before it is answered.
        let mut segment = frame(1, &create("/a", b"", CreateFlags::EPHEMERAL));
        segment.extend(&bytes);
        segment.extend(frame(2, &Request::Ping));
        world.receive(conn, &segment);
        assert!(!world.is_over(conn), "before all was sent");
        let replies = world.messages(conn);
        assert_eq!(replies.iter().map(|reply| reply.xid).collect::<Vec<_>>(), [1], "{bytes:?}");
        assert!(world.is_over(conn));
        assert!(world.endpoint.ensemble().tree(ServerId::FIRST).get("/a").is_some());
        assert_eq!(world.endpoint.ensemble().sessions().count(), 1);
    }
}

#[test]
fn a_frame_of_the_greatest_length_is_served() {
    let mut world = World::new();
    let (conn, _) = world.client();
    let overhead = frame(1, &create("/a", b"", CreateFlags::PERSISTENT)).len() - 4;
    let data = vec![b'x'; 0xf_ffff - overhead];
    let longest = create("/a", &data, CreateFlags::PERSISTENT);
    world.request(conn, 1, &longest);
    assert_eq!(world.messages(conn)[0].error, 0);
    let (conn, _) = world.client();
    world.request(conn, 1, &create("/b", &[&data[..], b"x"].concat(), CreateFlags::PERSISTENT));
    assert!(world.is_over(conn));
    assert!(world.endpoint.ensemble().tree(ServerId::FIRST).get("/b").is_none());
}

#[test]
fn a_body_that_cannot_be_read_is_an_error_and_no_more() {
    let mut world = World::new();
    let (conn, _) = world.client();
    let mut short = frame(5, &get("/a"));
    short.truncate(12 + 2);
    short[..4].copy_from_slice(&10_i32.to_be_bytes());
    world.receive(conn, &short);
    world.request(conn, 6, &Request::Ping);
    let replies = world.messages(conn);
    // A ping is answered with the xid of pings, whatever it carries.
    assert_eq!(replies.iter().map(|reply| (reply.xid, reply.error)).collect::<Vec<_>>(), [(5, -5), (-2, 0)]);
}

#[test]
fn the_end_of_a_session_is_answered_and_closes_the_connection() {
    let mut world = World::new();
    let (conn, _) = world.client();
    world.request(conn, 1, &Request::CloseSession);
    world.request(conn, 2, &Request::Ping);
    let replies = world.messages(conn);
    assert_eq!(replies.iter().map(|reply| reply.xid).collect::<Vec<_>>(), [1]);
    assert!(world.is_over(conn));
}

#[test]
fn an_event_comes_before_the_reply_that_shows_the_change() {
    let mut world = World::new();
    let (conn, _) = world.client();
    world.request(conn, 1, &Request::Exists(Read::watching("/a")));
    world.request(conn, 2, &create("/a", b"", CreateFlags::PERSISTENT));
    let messages = world.messages(conn);
    let heads: Vec<_> = messages.iter().map(|message| (message.xid, message.zxid, message.error)).collect();
    assert_eq!(heads, [(1, 1, -101), (-1, 2, 0), (2, 2, 0)]);
    // Created, connected, and the path.
    assert_eq!(messages[1].body, [0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, b'/', b'a']);
}

#[test]
fn who_comes_back_to_a_session_closes_its_earlier_connection() {
    let mut world = World::new();
    let (first, session) = world.client();
    let second = world.accept();
    let request = ConnectRequest {
        session: queenright_core::SessionId(session.id),
        password: Some(session.password.clone()),
        ..ConnectRequest::new_session(SESSION_MS)
    };
    world.receive(second, &connect(&request));
    assert!(world.is_over(first));
    assert_eq!(world.session(second), session);
    // With a wrong password, too; and then the newcomer is sent away.
    let third = world.accept();
    world.receive(third, &connect(&ConnectRequest { password: Some(vec![0; 16]), ..request }));
    assert!(world.is_over(second));
    let refused = world.session(third);
    assert_eq!((refused.id, refused.timeout_ms, refused.password), (0, 0, vec![0; 16]));
    assert!(world.is_over(third));
    assert_eq!(world.endpoint.ensemble().sessions().count(), 1);
}
