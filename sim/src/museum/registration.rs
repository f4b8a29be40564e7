//! Instances that are registered and not there, or there and not registered.

use std::time::Duration;

use queenright_core::Holder;
use queenright_core::mutation::Mutation;
use queenright_core::output::RegistrationStatus;

use super::{Entry, Flaw, cannot, naive, without};
use crate::scenario::{Kind, L, Museum, T, Which, nodes, service};

const REGISTRATIONS: &str = "registrations";
const OWNERS: &str = "owners";
const LEADERS: &str = "leaders";
const CACHES: &str = "caches";
const SECOND: Duration = Duration::from_secs(1);

pub(super) const ENTRIES: &[Entry] = &[
    naive(
        "nodeexists-own-create-reply-lost",
        "R/S",
        nodeexists_own_create_reply_lost,
        Flaw::NodeExistsIsFailure,
        REGISTRATIONS,
    ),
    without(
        "nodeexists-accepted-from-dead-session",
        "R",
        nodeexists_accepted_from_dead_session,
        Mutation::AdoptFromDeadSession,
        REGISTRATIONS,
    ),
    naive(
        "nodeexists-fatal-on-fast-restart",
        "R/S",
        nodeexists_fatal_on_fast_restart,
        Flaw::NodeExistsIsFailure,
        REGISTRATIONS,
    ),
    naive(
        "delete-and-recreate-live-node",
        "R/X",
        delete_and_recreate_live_node,
        Flaw::DeletesAndRecreates,
        REGISTRATIONS,
    ),
    cannot(
        "create-lands-in-next-session",
        "R",
        "`Request` names the session epoch in which it may be sent; in any other the client answers that nobody can tell",
    ),
    naive(
        "reregister-stale-payload",
        "R",
        reregister_stale_payload,
        Flaw::FirstPayloadForEver,
        REGISTRATIONS,
    ),
    naive(
        "unregister-forgotten-on-connection-loss",
        "O/S",
        unregister_forgotten_on_connection_loss,
        Flaw::DeleteForgotten,
        OWNERS,
    ),
    naive(
        "close-with-create-in-flight",
        "R",
        close_with_create_in_flight,
        Flaw::CloseIgnoresCreation,
        OWNERS,
    ),
    naive(
        "delete-hits-someone-elses-node",
        "R",
        delete_hits_someone_elses_node,
        Flaw::DeletesByPath,
        REGISTRATIONS,
    ),
    naive("persistent-squatter", "R", persistent_squatter, Flaw::NodeExistsIsFine, REGISTRATIONS),
    naive("immortal-ephemeral", "R", immortal_ephemeral, Flaw::WaitsForEver, LEADERS),
    naive(
        "removed-by-hand-never-restored",
        "O",
        removed_by_hand_never_restored,
        Flaw::NotWatched,
        REGISTRATIONS,
    ),
    naive("membership-self-view-lies", "X", membership_self_view_lies, Flaw::CountsItselfIn, CACHES),
    naive(
        "holder-thinks-active-after-session-swap",
        "R",
        holder_thinks_active_after_session_swap,
        Flaw::OnlyFirstRegisteredAgain,
        REGISTRATIONS,
    ),
    naive(
        "registration-hijacked-by-updater",
        "O",
        registration_hijacked_by_updater,
        Flaw::NodeExistsIsFine,
        REGISTRATIONS,
    ),
    naive(
        "parent-vanishes-between-mkdir-and-create",
        "D/R",
        parent_vanishes_between_mkdir_and_create,
        Flaw::ParentsOnce,
        REGISTRATIONS,
    ),
    naive(
        "only-first-instance-reregistered",
        "R",
        only_first_instance_reregistered,
        Flaw::OnlyFirstRegisteredAgain,
        REGISTRATIONS,
    ),
    cannot(
        "upsert-race",
        "R",
        "no operation is create-or-set: a registration's name is its node's own, and every write is at the version that was read",
    ),
    naive("protected-name-grows", "R", protected_name_grows, Flaw::NameGrows, REGISTRATIONS),
    cannot(
        "permanent-entry-removed-on-close",
        "O",
        "`Coordinator::register` makes ephemerals only; there is no permanent entry that closing could remove",
    ),
    naive(
        "original-replaced-candidate-stale-address",
        "S",
        original_replaced_candidate_stale_address,
        Flaw::FirstPayloadForEver,
        LEADERS,
    ),
    naive(
        "original-unregister-and-late-agent-ignored",
        "S",
        original_unregister_and_late_agent_ignored,
        Flaw::UnregisterIgnored,
        OWNERS,
    ),
    cannot(
        "original-disconnect-treated-as-death",
        "S",
        "each node registers what is its own, and `Coordinator` knows nothing of links between nodes: their loss is no input",
    ),
];

fn nodeexists_own_create_reply_lost(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/services/x", b"");
    m.until_connected(a);
    m.drop_reply(a, Which::new(Kind::CreateEphemeral, "/x/"));
    let id = m.register(a, "x", "a", "here");
    m.until_sprung(a);
    m.until_registered(a, id);
    m.settle();
}

fn nodeexists_accepted_from_dead_session(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.crash(a);
    m.restart(a);
    // The znode of the session before is there, and will go.
    let id = m.register(a, "x", "a", "here");
    m.until_status(a, id, "nobody says that it is there already", |status| {
        matches!(
            status,
            RegistrationStatus::Occupied { owner: Some(_) } | RegistrationStatus::Registered { .. }
        )
    });
    m.run(2 * T);
    m.until_registered(a, id);
    m.settle();
}

fn nodeexists_fatal_on_fast_restart(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register_in(a, nodes(), "A", "address");
    m.until_registered(a, id);
    for _ in 0..3 {
        m.crash(a);
        m.run(SECOND);
        m.restart(a);
        m.register_in(a, nodes(), "A", "address");
        m.run(SECOND);
    }
    m.settle();
}

fn delete_and_recreate_live_node(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.run(SECOND);
    let before = m.tree().get("/queenright/services/x/a+").map(|znode| znode.stat().czxid);
    for _ in 0..3 {
        m.blip(a);
        m.run(SECOND);
    }
    let after = m.tree().get("/queenright/services/x/a+").map(|znode| znode.stat().czxid);
    m.expect(REGISTRATIONS, before.is_some() && before == after, "a valid znode was made anew");
    m.settle();
}

fn reregister_stale_payload(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "v1");
    m.until_registered(a, id);
    m.update(a, id, "v2");
    m.run(SECOND);
    m.expire(a);
    m.settle();
}

fn unregister_forgotten_on_connection_loss(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.drop_request(a, Which::new(Kind::Delete, "/x/"));
    m.run(SECOND);
    m.unregister(a, id);
    m.until_sprung(a);
    m.settle();
}

fn close_with_create_in_flight(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/services/x", b"");
    m.until_connected(a);
    let id = m.register(a, "x", "a", "here");
    // The creation is under way.
    m.unregister(a, id);
    m.settle();
}

fn delete_hits_someone_elses_node(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "A's");
    m.until_registered(a, id);
    m.cut(a);
    m.run(SECOND);
    m.unregister(a, id);
    m.run(2 * T);
    // A's session is over, and its name is somebody else's.
    let hand = m.hand();
    m.hand_creates(hand, "/queenright/services/x/a+", b"another's");
    m.heal(a);
    m.run(2 * T);
    let is_there = m.tree().get("/queenright/services/x/a+").is_some();
    m.expect(REGISTRATIONS, is_there, "somebody else's znode was deleted");
    m.hand_leaves(hand);
    m.settle();
}

fn persistent_squatter(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/nodes/A+", b"squatter");
    let id = m.register_in(a, nodes(), "A", "address");
    m.until_status(a, id, "the squatter is not told", |status| {
        matches!(status, RegistrationStatus::Occupied { owner: None } | RegistrationStatus::Registered { .. })
    });
    m.run(T);
    m.admin_delete("/queenright/nodes/A+");
    m.until_registered(a, id);
    m.settle();
}

fn immortal_ephemeral(m: &mut Museum) {
    let a = m.node("A");
    let queue = "/queenright/globals/boss/queue";
    m.admin_create(queue, b"");
    // The server has forgotten to end this one.
    let hand = m.hand();
    let name = format!("{queue}/{:032x}.1-{:010}", 0xdead, -1);
    m.hand_creates(hand, &name, b"");
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.hand_leaves(hand);
    m.settle();
}

fn removed_by_hand_never_restored(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.run(SECOND);
    m.admin_delete("/queenright/services/x/a+");
    m.settle();
}

fn membership_self_view_lies(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    let id = m.register_in(b, nodes(), "B", "");
    m.until_registered(b, id);
    // A looks who is there before it is there itself.
    m.subscribe(a, nodes());
    m.settle();
    m.register_in(a, nodes(), "A", "");
    m.settle();
}

fn holder_thinks_active_after_session_swap(m: &mut Museum) {
    let a = m.node("A");
    m.register(a, "x", "a", "");
    let id = m.register(a, "y", "a", "");
    m.until_registered(a, id);
    m.swap_session(a);
    m.settle();
}

fn registration_hijacked_by_updater(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "v1");
    m.until_registered(a, id);
    m.run(SECOND);
    // A tool that "updates" by deleting and creating.
    let hand = m.hand();
    m.admin_delete("/queenright/services/x/a+");
    m.hand_creates(hand, "/queenright/services/x/a+", b"v2");
    m.run(SECOND);
    let status = m.status(a, id);
    let is_told = matches!(status, Some(RegistrationStatus::Occupied { owner: Some(_) }));
    m.expect(REGISTRATIONS, is_told, "A must be told whose its znode is");
    m.hand_leaves(hand);
    m.settle();
}

fn parent_vanishes_between_mkdir_and_create(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.cut(a);
    m.run(2 * T);
    m.reap("/queenright/services/x");
    let is_gone = m.tree().get("/queenright/services/x").is_none();
    m.expect(REGISTRATIONS, is_gone, "the directory must be empty, and go");
    m.heal(a);
    m.settle();
}

fn only_first_instance_reregistered(m: &mut Museum) {
    let a = m.node("A");
    m.register(a, "x", "a", "1");
    let id = m.register(a, "x", "b", "2");
    m.until_registered(a, id);
    m.expire(a);
    m.settle();
}

fn protected_name_grows(m: &mut Museum) {
    let a = m.node("A");
    let id = m.register(a, "x", "a", "here");
    m.campaign(a, "boss");
    m.until_registered(a, id);
    for _ in 0..20 {
        m.expire(a);
        m.run(SECOND);
    }
    m.settle();
    let longest = m.tree().iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    m.expect(REGISTRATIONS, longest < 120, "names have grown");
}

fn original_replaced_candidate_stale_address(m: &mut Museum) {
    let (a, b, c) = (m.node("A"), m.node("B"), m.node("C"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.campaign_with(b, "boss", "before", queenright_core::Terms::Many);
    m.run(SECOND);
    // B stands again, with another address.
    m.campaign(b, "boss");
    m.look_up(c, "boss");
    m.run(SECOND);
    m.crash(a);
    m.until_leads(b, "boss");
    m.run(L);
    let holder = m.holder(c, "boss");
    let knows = matches!(&holder, Some(Holder::Held { payload, .. }) if **payload == *b"B");
    m.expect(LEADERS, knows, &format!("C was told {holder:?}"));
    m.settle();
}

fn original_unregister_and_late_agent_ignored(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    let id = m.register(a, "x", "a", "");
    m.until_registered(a, id);
    // B comes later, and sees what was there before.
    m.subscribe(b, service("x"));
    m.until_fresh(b, &service("x"));
    let seen = m.instances(b, &service("x"));
    m.expect(CACHES, seen == ["a"], "who comes later must see what was there before");
    m.unregister(a, id);
    m.settle();
}
