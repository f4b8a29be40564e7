//! Four-letter words.

use queenright_core::wire::{CreateFlags, Read, Request};

use crate::harness::{World, create};

/// A world with one session, one ephemeral, watches on the data of two znodes and on the children of one.
fn inhabited() -> World {
    let mut world = World::new();
    let (conn, _) = world.client();
    world.request(conn, 1, &create("/a", b"12345", CreateFlags::PERSISTENT));
    world.request(conn, 2, &create("/a/e", b"", CreateFlags::EPHEMERAL));
    world.request(conn, 3, &Request::GetData(Read::watching("/a")));
    world.request(conn, 4, &Request::Exists(Read::watching("/none")));
    world.request(conn, 5, &Request::GetChildren(Read::watching("/a")));
    world.read(conn);
    world
}

#[track_caller]
fn assert_lines(answer: &str, lines: &[&str]) {
    for line in lines {
        assert!(answer.lines().any(|found| found == *line), "no line {line:?} in:\n{answer}");
    }
}

#[test]
fn health() {
    let mut world = World::new();
    assert_eq!(world.word(b"ruok"), "imok");
    assert_eq!(world.word(b"isro"), "rw");
}

#[test]
fn a_word_may_come_in_pieces_and_all_other_words_are_lengths() {
    let mut world = World::new();
    let conn = world.accept();
    world.receive(conn, b"ru");
    assert!(!world.is_over(conn));
    world.receive(conn, b"ok");
    assert_eq!(world.read(conn), b"imok");
    assert!(world.is_over(conn));
    assert_eq!(world.word(b"xxxx"), "");
    assert_eq!(world.word(b"RUOK"), "");
}

#[test]
fn within_a_session_a_word_is_a_length() {
    let mut world = World::new();
    let (conn, _) = world.client();
    world.receive(conn, b"ruok");
    assert!(world.is_over(conn) && world.read(conn).is_empty());
}

#[test]
fn the_version_is_one_that_clients_can_parse() {
    let answer = World::new().word(b"envi");
    let version = answer.lines().find_map(|line| line.strip_prefix("zookeeper.version=")).unwrap();
    assert!(version.starts_with("3.9."), "{version}");
    let number = version.split('-').next().unwrap();
    assert!(number.split('.').all(|part| part.parse::<u32>().is_ok()), "{number}");
}

#[test]
fn the_state_of_the_server() {
    let mut world = inhabited();
    let answer = world.word(b"srvr");
    assert!(answer.starts_with("Zookeeper version: 3.9."), "{answer}");
    // The connect request and five more; the connection that asks counts.
    assert_lines(
        &answer,
        &["Received: 7", "Sent: 6", "Connections: 2", "Zxid: 0x3", "Mode: standalone", "Node count: 6"],
    );
    let answer = world.word(b"stat");
    assert_lines(&answer, &["Clients:", " /127.0.0.1:4711[1](queued=0,recved=6,sent=6)", "Mode: standalone"]);
    let answer = world.word(b"mntr");
    assert_lines(
        &answer,
        &[
            "zk_server_state\tstandalone",
            "zk_znode_count\t6",
            "zk_ephemerals_count\t1",
            "zk_watch_count\t3",
            "zk_num_alive_connections\t2",
            "zk_global_sessions\t1",
        ],
    );
    assert_lines(
        &world.word(b"conf"),
        &["tickTime=2000", "minSessionTimeout=4000", "maxSessionTimeout=40000"],
    );
}

#[test]
fn connections_sessions_and_watches() {
    let mut world = inhabited();
    let session = format!("{:#x}", world.endpoint.ensemble().sessions().next().unwrap().0);
    let cons = world.word(b"cons");
    assert!(cons.contains(&format!("(queued=0,recved=6,sent=6,sid={session},")), "{cons}");
    let dump = world.word(b"dump");
    assert_lines(&dump, &["Sessions with Ephemerals (1):", &format!("{session}:"), "\t/a/e"]);
    // As on real servers, watches on children are not among them.
    assert_eq!(world.word(b"wchs"), "1 connections watching 2 paths\nTotal watches:2\n");
    assert_eq!(world.word(b"wchc"), format!("{session}\n\t/a\n\t/none\n\n"));
    assert_eq!(world.word(b"wchp"), format!("/a\n\t{session}\n/none\n\t{session}\n\n"));
}
