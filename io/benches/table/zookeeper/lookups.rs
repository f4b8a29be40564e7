//! Lookups in memory, beside a map that one would write by hand.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use queenright::pick;

use super::server::Server;
use super::{client, namespace};
use crate::measure::{Row, Target};

const INSTANCES: usize = 100;
/// Which are looked up, the one that is measured among them.
const SERVICES: usize = 16;
const LOOKUPS: u32 = 1_000_000;
const SLICES: usize = 9;

type Map = RwLock<HashMap<String, Arc<Vec<(String, Vec<u8>)>>>>;

pub(super) async fn rows(server: &Server, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let all = format!("warm get_capable, {INSTANCES} instances, beside a clone of an Arc in RwLock<HashMap>");
    let one = "warm get_capable and one picked, beside the same";
    if !wanted(&all) && !wanted(one) {
        return Vec::new();
    }
    let client = client(server.address(), &namespace()).await;
    let registrations: Vec<_> = futures_util::future::try_join_all(
        (0..INSTANCES).map(|_| client.register("web", None, vec![b'x'; 230])),
    )
    .await
    .expect("they are registered");
    while client.get_capable("web").await.expect("the server answers").instances().len() < INSTANCES {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let map = Map::default();
    let list =
        registrations.iter().map(|instance| (instance.instance().to_owned(), vec![b'x'; 230])).collect();
    map.write().expect("nobody panicked").insert("web".to_owned(), Arc::new(list));
    for other in 1..SERVICES {
        let other = format!("service-{other}");
        client.get_capable(&other).await.expect("the server answers");
        map.write().expect("nobody panicked").insert(other, Arc::default());
    }

    let mut list = Row::new(all, "ns", Target::AtMost(1.0));
    let mut picked = Row::new(one, "ns", Target::AtMost(2.0));
    for _ in 0..SLICES {
        let begun = Instant::now();
        for _ in 0..LOOKUPS {
            black_box(client.get_capable(black_box("web")).await.expect("it is known").instances().len());
        }
        list.ours.push(each(begun));

        let begun = Instant::now();
        for turn in 0..LOOKUPS {
            let found = client.get_capable(black_box("web")).await.expect("it is known");
            black_box(
                pick::round_robin(found.instances(), turn.into())
                    .expect("there are some")
                    .name
                    .as_str()
                    .len(),
            );
        }
        picked.ours.push(each(begun));

        let begun = Instant::now();
        for _ in 0..LOOKUPS {
            let map = map.read().expect("nobody panicked");
            black_box(map.get(black_box("web")).expect("it is there").clone().len());
        }
        let limit = each(begun);
        list.limit.push(limit);
        picked.limit.push(limit);
    }
    drop(registrations);
    client.close().await;
    vec![list, picked]
}

fn each(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / f64::from(LOOKUPS)
}
