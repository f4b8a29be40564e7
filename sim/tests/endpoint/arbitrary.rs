//! Whatever arrives: no panic, and no more memory than the bounds say.

use proptest::prelude::*;
use queenright_core::wire::{AddWatchMode, ConnectRequest, CreateFlags, Read, Request};
use queenright_sim::endpoint::{EVENTS_MAX, OUTPUT_LOW};

use crate::harness::{SESSION_MS, World, connect, create, frame, get};

/// Pieces of conversation, whole or damaged, and noise.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let sensible = prop_oneof![
        Just(connect(&ConnectRequest::new_session(SESSION_MS))),
        Just(frame(1, &create("/a", b"data", CreateFlags::EPHEMERAL))),
        Just(frame(2, &create("/a/b-", b"", CreateFlags::PERSISTENT_SEQUENTIAL))),
        Just(frame(3, &get("/a"))),
        Just(frame(4, &Request::Exists(Read::watching("/a")))),
        Just(frame(5, &Request::AddWatch { path: "/".into(), mode: AddWatchMode::PersistentRecursive })),
        Just(frame(-2, &Request::Ping)),
        Just(frame(9, &Request::CloseSession)),
        Just(b"mntr".to_vec()),
    ];
    let damaged =
        (sensible.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, with)| {
            let at = at.index(bytes.len());
            bytes[at] = with;
            bytes
        });
    prop_oneof![4 => sensible, 2 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #[test]
    fn nothing_that_arrives_breaks_the_server(
        pieces in prop::collection::vec((0_usize..3, piece(), any::<bool>()), 1..60)
    ) {
        let mut world = World::new();
        let mut clients = [world.accept(), world.accept(), world.accept()];
        for (client, bytes, reads) in pieces {
            let conn = clients[client];
            if world.endpoint.wants_input(conn) {
                world.receive(conn, &bytes);
            }
            if reads {
                world.read(conn);
            }
            prop_assert!(world.endpoint.transmit(conn).len() < EVENTS_MAX + OUTPUT_LOW);
            if world.is_over(conn) {
                world.endpoint.disconnect(world.now, conn);
                clients[client] = world.accept();
            }
            world.endpoint.ensemble().check_invariants();
        }
    }
}
