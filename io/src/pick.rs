//! Which of several instances to ask: plain functions over what a lookup gave.
//!
//! A lookup gives all instances in one order, that of their names, and [`Found`](crate::Found) and
//! [`Snapshot::instances`](crate::Snapshot::instances) are slices; so none of these functions keeps a state, takes a
//! lock or asks anybody. What must be remembered, or drawn by lot, comes from the caller. All of them give `None` for
//! an empty slice, and nothing else.
//!
//! | | spreads the load | the same caller meets the same instance | costs |
//! |---|---|---|---|
//! | [`round_robin`] | evenly | no | an index |
//! | [`random`] | evenly, in the long run | no | an index |
//! | [`sticky`] | as the choice does to which it falls back | until that instance goes | one comparison for each instance |
//! | [`rendezvous`] | evenly over the keys | for the same key, on every node, and nearly always after a change | one hash for each instance |
//!
//! ```no_run
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use queenright::{Error, Node, ProcessId, pick};
//!
//! static TURN: AtomicU64 = AtomicU64::new(0);
//!
//! /// Each call meets the next one.
//! async fn next_worker(node: &Node) -> Result<Option<ProcessId>, Error> {
//!     let workers = node.get_capable("worker").await?;
//!     Ok(pick::round_robin(&workers, TURN.fetch_add(1, Ordering::Relaxed)).cloned())
//! }
//!
//! /// Each customer meets the same one, whichever node asks.
//! async fn worker_of(node: &Node, customer: &str) -> Result<Option<ProcessId>, Error> {
//!     let workers = node.get_capable("worker").await?;
//!     Ok(pick::rendezvous(&workers, customer).cloned())
//! }
//! ```

use queenright_core::Name;
use queenright_core::output::Instance;

use crate::process::{NodeId, ProcessId};

/// The one whose `turn` it is: count the turn up with every call.
///
/// ```
/// # use queenright::pick;
/// let replicas = ["a", "b", "c"];
/// let met: Vec<_> = (0..5).filter_map(|turn| pick::round_robin(&replicas, turn)).collect();
/// assert_eq!(met, [&"a", &"b", &"c", &"a", &"b"]);
/// ```
#[must_use]
pub fn round_robin<T>(members: &[T], turn: u64) -> Option<&T> {
    let len = members.len() as u64;
    // A remainder is below the length.
    turn.checked_rem(len).and_then(|index| members.get(index as usize))
}

/// Anyone, by lot: `entropy` is any 64 random bits, from whatever generator the caller trusts; the same bits give the
/// same choice.
///
/// ```
/// # use queenright::pick;
/// let replicas = ["a", "b", "c"];
/// assert_eq!(pick::random(&replicas, 0), Some(&"a"));
/// assert_eq!(pick::random(&replicas, u64::MAX), Some(&"c"));
/// ```
#[must_use]
pub fn random<T>(members: &[T], entropy: u64) -> Option<&T> {
    // The bits as a fraction of one, times the length: no division, and the least bias.
    let index = (u128::from(entropy) * members.len() as u128) >> 64;
    members.get(index as usize)
}

/// The one that was chosen before, while it is there; `choose` says which one otherwise.
///
/// ```
/// # use queenright::pick;
/// let mut mine = None;
/// for replicas in [&["a", "b", "c"][..], &["b", "c"], &["b"], &["a", "b"]] {
///     mine = pick::sticky(replicas, mine, |all| pick::round_robin(all, 1));
/// }
/// assert_eq!(mine, Some(&"b"));
/// ```
#[must_use]
pub fn sticky<'a, T: PartialEq>(
    members: &'a [T],
    chosen: Option<&T>,
    choose: impl FnOnce(&'a [T]) -> Option<&'a T>,
) -> Option<&'a T> {
    let still = chosen.and_then(|chosen| members.iter().find(|member| *member == chosen));
    still.or_else(|| choose(members))
}

/// The one that belongs to `key`: the same one for everybody who asks with the same instances, on all nodes and in all
/// builds. When one of *n* instances goes, only its own keys move, to all others alike; when one comes, it takes
/// 1/(*n* + 1) of the keys, and no other key moves.
///
/// It does not share anything out fairly that is not many keys: of 10 keys, one instance may well have 4.
///
/// Source: D. Thaler and C. Ravishankar, "A name-based mapping scheme for rendezvous" (1996).
///
/// ```
/// # use queenright::pick;
/// let replicas = ["a", "b", "c", "d"];
/// let home = pick::rendezvous(&replicas, "customer 4711");
/// let others: Vec<_> = replicas.into_iter().filter(|replica| Some(replica) != home).collect();
/// // Whoever else goes, the customer stays.
/// for gone in others {
///     let left: Vec<_> = replicas.into_iter().filter(|replica| *replica != gone).collect();
///     assert_eq!(pick::rendezvous(&left, "customer 4711"), home);
/// }
/// ```
#[must_use]
pub fn rendezvous<T: Member>(members: &[T], key: impl AsRef<[u8]>) -> Option<&T> {
    let key = hash(key.as_ref());
    // Of equals the last one; all see them in the same order.
    members.iter().max_by_key(|member| mixed(member.identity() ^ key))
}

/// What [`rendezvous`] can choose among.
pub trait Member {
    /// A hash of what names the member: the same on every node, in every build, for ever.
    fn identity(&self) -> u64;
}

impl Member for ProcessId {
    fn identity(&self) -> u64 {
        mixed(self.node().identity() ^ self.number())
    }
}

/// The life of the node is drawn by lot, and names it alone.
impl Member for NodeId {
    fn identity(&self) -> u64 {
        let bits = self.incarnation().0;
        mixed((bits >> 64) as u64 ^ bits as u64)
    }
}

impl Member for Instance {
    fn identity(&self) -> u64 {
        self.name.identity()
    }
}

impl Member for Name {
    fn identity(&self) -> u64 {
        hash(self.as_str().as_bytes())
    }
}

impl Member for str {
    fn identity(&self) -> u64 {
        hash(self.as_bytes())
    }
}

impl Member for String {
    fn identity(&self) -> u64 {
        hash(self.as_bytes())
    }
}

impl<T: Member + ?Sized> Member for &T {
    fn identity(&self) -> u64 {
        (**self).identity()
    }
}

/// FNV-1a, and its bits mixed: alone it hardly mixes the last bytes, in which names differ.
fn hash(bytes: &[u8]) -> u64 {
    mixed(
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }),
    )
}

/// Every bit out depends on every bit in: the finalizer of SplitMix64. It maps 0 to 0, so a constant goes in first.
fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::nodes;
    use proptest::prelude::*;

    fn pids(count: usize) -> Vec<ProcessId> {
        (0..count)
            .map(|number| format!("10.0.0.{}:4000@{:032x}.{}", number % 7, number % 7 + 1, number).parse())
            .collect::<Result<_, _>>()
            .unwrap()
    }

    fn homes<T: Member>(members: &[T]) -> Vec<u64> {
        (0..KEYS).map(|key| rendezvous(members, format!("key-{key}")).unwrap().identity()).collect()
    }

    const KEYS: usize = 10_000;

    #[test]
    fn nobody_is_chosen_among_nobody() {
        let nobody: [String; 0] = [];
        assert_eq!(round_robin(&nobody, 7), None);
        assert_eq!(random(&nobody, 7), None);
        assert_eq!(sticky(&nobody, Some(&"a".to_owned()), |all| all.first()), None);
        assert_eq!(rendezvous(&nobody, "key"), None);
    }

    #[test]
    fn turns_and_lots_are_even() {
        let members: Vec<u32> = (0..7).collect();
        let mut turns = [0; 7];
        let mut lots = [0; 7];
        for turn in 0..7_000 {
            turns[*round_robin(&members, u64::MAX - turn).unwrap() as usize] += 1;
            lots[*random(&members, mixed(turn)).unwrap() as usize] += 1;
        }
        assert_eq!(turns, [1_000; 7]);
        assert!(lots.iter().all(|count| (900..1_100).contains(count)), "{lots:?}");
    }

    #[test]
    fn keys_are_even_over_processes() {
        let members = pids(10);
        let homes = homes(&members);
        for member in &members {
            let keys = homes.iter().filter(|home| **home == member.identity()).count();
            assert!((KEYS / 10 - 150..KEYS / 10 + 150).contains(&keys), "{member}: {keys}");
        }
    }

    #[test]
    fn one_that_comes_takes_its_share_from_all_and_nobody_else_moves() {
        let (before, after) = (pids(9), pids(10));
        let (old, new) = (homes(&before), homes(&after));
        let newcomer = after[9].identity();
        let moved: Vec<_> = old.iter().zip(&new).filter(|(old, new)| old != new).collect();
        assert!(moved.iter().all(|(_, new)| **new == newcomer), "a key moved between two that were there");
        assert!((KEYS / 10 - 150..KEYS / 10 + 150).contains(&moved.len()), "{}", moved.len());
        for member in &before {
            let lost = moved.iter().filter(|(old, _)| **old == member.identity()).count();
            assert!((60..180).contains(&lost), "{member}: {lost}");
        }
    }

    #[test]
    fn homes_are_the_same_in_every_build() {
        // Nodes of different versions must agree: these figures, computed by hand in another language, may never change.
        let chosen = ["a", "b", "c", "d", "e", "f"].map(|key| *rendezvous(&["x", "y", "z"], key).unwrap());
        assert_eq!(chosen, ["y", "z", "x", "y", "z", "x"]);
        assert_eq!(pids(1)[0].identity(), 0x5e41_ab08_7439_611e);
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(mut members in prop::collection::vec(nodes(), 1..20), key in ".{0,10}") {
            let home = rendezvous(&members, &key).cloned();
            members.reverse();
            prop_assert_eq!(rendezvous(&members, &key).cloned(), home);
        }

        #[test]
        fn who_was_chosen_is_kept_while_it_is_there(
            members in prop::collection::btree_set(0u8..50, 1..20), chosen in 0u8..50,
        ) {
            let members: Vec<_> = members.into_iter().collect();
            let again = sticky(&members, Some(&chosen), |all| all.first());
            let expected = if members.contains(&chosen) { chosen } else { members[0] };
            prop_assert_eq!(again, Some(&expected));
        }
    }
}
