//! Two leaders, or a leader that is none.

use std::time::Duration;

use super::{Entry, Flaw, cannot, naive};
use crate::scenario::{Kind, L, Museum, T, Which};

const BELIEF: &str = "exclusive belief";
const GUARD: &str = "guarded resource";
const ALTERNATION: &str = "alternation";
const LEADERS: &str = "leaders";
const SECOND: Duration = Duration::from_secs(1);

pub(super) const ENTRIES: &[Entry] = &[
    naive("gc-pause-outlives-session", "D", gc_pause_outlives_session, Flaw::NoTokens, GUARD),
    naive(
        "local-expiry-fires-after-server-expiry",
        "R/X",
        local_expiry_fires_after_server_expiry,
        Flaw::RevokesOnlyOnLost,
        BELIEF,
    ),
    naive(
        "stale-reply-grants-after-revoke",
        "X",
        stale_reply_grants_after_revoke,
        Flaw::LateReplyGrants,
        BELIEF,
    ),
    naive(
        "leader-node-removed-by-hand",
        "O/S",
        leader_node_removed_by_hand,
        Flaw::IgnoresOwnDeletion,
        BELIEF,
    ),
    naive(
        "wrong-node-published-as-token",
        "R",
        wrong_node_published_as_token,
        Flaw::TokenOfLatestZnode,
        "rising tokens",
    ),
    naive(
        "name-prefix-sorts-before-sequence",
        "R",
        name_prefix_sorts_before_sequence,
        Flaw::SortsByName,
        BELIEF,
    ),
    naive("zombie-writes-without-guard", "R", zombie_writes_without_guard, Flaw::NoTokens, GUARD),
    naive("lock-flag-survives-expiry", "R/O", lock_flag_survives_expiry, Flaw::NeverRevokes, BELIEF),
    naive("no-reaction-to-disconnect", "R/D", no_reaction_to_disconnect, Flaw::RevokesOnlyOnLost, LEADERS),
    cannot(
        "read-only-server-believed",
        "R",
        "`SessionEvent` has no word for a read-only connection: to the core it is one that is down",
    ),
    naive("double-start-same-node", "R", double_start_same_node, Flaw::ElectsAgain, ALTERNATION),
    naive("handover-overlap", "R", handover_overlap, Flaw::FreesBeforeStopping, BELIEF),
    naive(
        "netsplit-duplicates-never-merged",
        "R/O",
        netsplit_duplicates_never_merged,
        Flaw::LeadsWhenAlone,
        BELIEF,
    ),
    naive(
        "leader-identity-in-two-places",
        "R",
        leader_identity_in_two_places,
        Flaw::AddressElsewhere,
        LEADERS,
    ),
    naive(
        "original-follower-caches-itself-as-leader",
        "S",
        original_follower_caches_itself_as_leader,
        Flaw::FollowerIsItsOwnLeader,
        LEADERS,
    ),
    naive(
        "original-elect-before-verify",
        "S",
        original_elect_before_verify,
        Flaw::ElectsBeforeVerifying,
        BELIEF,
    ),
    naive(
        "original-leader-outlives-controller",
        "S",
        original_leader_outlives_controller,
        Flaw::LeaderOutlivesController,
        ALTERNATION,
    ),
];

fn gc_pause_outlives_session(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    // A has looked whether it leads; then it stands still, and its effect leaves when it goes on.
    m.act(a, "boss", 2 * T);
    m.pause(a, 2 * T);
    m.expire(a);
    m.run(T);
    m.act(b, "boss", Duration::ZERO);
    m.run(2 * T);
    m.settle();
}

fn local_expiry_fires_after_server_expiry(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.cut(a);
    m.run(3 * T);
    m.heal(a);
    m.settle();
    m.expect_leader(b, "boss");
}

fn stale_reply_grants_after_revoke(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.until_connected(a);
    // The answer that says "you are first" waits in the client while everything changes.
    m.hold_reply(a, Which::new(Kind::Get, "boss"));
    m.campaign(a, "boss");
    m.until_sprung(a);
    m.run(SECOND);
    m.cut(a);
    m.campaign(b, "boss");
    m.until_leads(b, "boss");
    m.release(a);
    m.run(SECOND);
    m.heal(a);
    m.settle();
}

fn leader_node_removed_by_hand(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    for znode in m.ephemerals_of(a, "/boss/queue/") {
        m.admin_delete(&znode);
    }
    m.run(SECOND);
    m.settle();
}

fn wrong_node_published_as_token(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.admin_create("/queenright/globals/boss/queue", b"");
    m.until_connected(a);
    // A has n1 and does not know it; B gets n2; whoever begins anew now has n3.
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "boss"));
    m.campaign(a, "boss");
    m.until_sprung(a);
    m.campaign(b, "boss");
    let first = m.until_somebody_leads("boss");
    m.run(SECOND);
    m.crash(first);
    m.until_somebody_leads("boss");
    m.settle();
}

fn name_prefix_sorts_before_sequence(m: &mut Museum) {
    // The museum's nodes have names that sort against their order.
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(L);
    m.expect_leader(a, "boss");
    m.settle();
}

fn zombie_writes_without_guard(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.admin_create("/app/state", b"");
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.write(a, "boss", "/app/state", 2 * T);
    m.pause(a, 2 * T);
    m.expire(a);
    m.run(T);
    m.write(b, "boss", "/app/state", Duration::ZERO);
    m.run(2 * T);
    let (accepted, rejected) = m.effects();
    m.expect(GUARD, (accepted, rejected) == (1, 1), "B's write must be accepted, and A's rejected");
}

fn lock_flag_survives_expiry(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.expire(a);
    m.run(2 * L);
    m.settle();
}

fn no_reaction_to_disconnect(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.cut(a);
    m.run(L);
    // It is deposed by its own clock, without a word from anybody.
    m.expect_follower(a, "boss");
    m.until_leads(b, "boss");
    m.run(3 * T);
    m.heal(a);
    m.settle();
}

fn double_start_same_node(m: &mut Museum) {
    let a = m.node("A");
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.blip(a);
    m.settle();
    let elections = m.elections_of(a);
    m.expect(ALTERNATION, elections == 1, "a blip must not elect a leader again");
}

fn handover_overlap(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.stop_takes(a, Some(L * 2 / 3));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.resign(a, "boss");
    m.until_leads(b, "boss");
    m.settle();
}

fn netsplit_duplicates_never_merged(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.until_connected(a);
    m.until_connected(b);
    m.cut(b);
    m.campaign(a, "boss");
    m.run(T);
    m.campaign(b, "boss");
    m.until_leads(a, "boss");
    m.run(T);
    m.heal(b);
    m.settle();
}

fn leader_identity_in_two_places(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.look_up(c, "boss");
    m.run(SECOND);
    // B wins; where it is stays untold.
    m.drop_request(b, Which::new(Kind::Set, "address"));
    m.crash(a);
    m.until_leads(b, "boss");
    m.settle();
}

fn original_follower_caches_itself_as_leader(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.look_up(b, "boss");
    m.settle();
}

fn original_elect_before_verify(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.until_connected(a);
    m.hold_reply(a, Which::new(Kind::List, "boss"));
    m.campaign(a, "boss");
    m.until_sprung(a);
    m.run(SECOND);
    // The list that shows A first is on its way when A's znode goes.
    for znode in m.ephemerals_of(a, "/boss/queue/") {
        m.admin_delete(&znode);
    }
    m.campaign(b, "boss");
    m.until_leads(b, "boss");
    m.release(a);
    m.settle();
}

fn original_leader_outlives_controller(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign(b, "boss");
    m.run(SECOND);
    m.close(a);
    m.until_leads(b, "boss");
    m.settle();
    let is_down = m.is_down(a);
    m.expect("completion", is_down, "A must have closed");
}
