//! Who may do what, and where a client's paths begin.

use std::time::Duration;

use queenright_core::output::RegistrationStatus;
use queenright_core::wire::{Acl, AuthId, Permissions};

use super::desk::{
    chroot_is_made, chroot_is_missing, credentials_are_proven_again, credentials_are_proven_once,
};
use super::desk::{paths_come_back_as_they_went, paths_come_back_longer};
use super::{Entry, Flaw, alone, cannot, foreign, naive};
use crate::scenario::{L, Museum};

const REQUESTS: &str = "bounded requests";
const REGISTRATIONS: &str = "registrations";
const LEADERS: &str = "leaders";
const SECOND: Duration = Duration::from_secs(1);

pub(super) const ENTRIES: &[Entry] = &[
    alone(
        "auth-not-replayed",
        "R",
        credentials_are_proven_again,
        credentials_are_proven_once,
        "a client whose credentials reach the server on its first connection only",
        "access",
    ),
    cannot(
        "ops-overtake-auth",
        "R",
        "the client machine is `Preparing` until all credentials are accepted: only then there is a `Connected`, and before it \
         every request is answered as unknown",
    ),
    cannot(
        "auth-failed-terminal-or-transient",
        "R",
        "a refusal is `Break::AuthRefused`, told with its code; another attempt follows after a pause, and `close` works in every \
         state",
    ),
    naive("noauth-hot-loop", "R", noauth_hot_loop, Flaw::RetriesAtOnce, REQUESTS),
    naive(
        "parent-create-needs-permission",
        "R/S",
        parent_create_needs_permission,
        Flaw::ParentsFirst,
        REGISTRATIONS,
    ),
    cannot(
        "parents-get-wrong-acl",
        "R",
        "one access control list for all znodes, told in the client's configuration; with access control all nodes of a cluster \
         share an identity",
    ),
    naive(
        "exists-needs-read-permission-now",
        "R",
        exists_needs_read_permission_now,
        Flaw::WaitsForEver,
        LEADERS,
    ),
    foreign(
        "rotated-credentials-cannot-touch-own-nodes",
        "X",
        "credentials are told once, when a client is made; other ones are another client's, with a session of its own",
    ),
    alone(
        "chroot-missing",
        "R/D/S",
        chroot_is_made,
        chroot_is_missing,
        "a client that only puts the chroot in front of its paths",
        "chroot",
    ),
    cannot(
        "chroot-dropped-on-ensemble-update",
        "R",
        "the chroot is a field of the client's configuration; servers are numbers to it",
    ),
    alone(
        "chroot-strip-asymmetry",
        "R",
        paths_come_back_as_they_went,
        paths_come_back_longer,
        "a client that only puts the chroot in front of its paths",
        "chroot",
    ),
];

fn may(permissions: Permissions) -> Vec<Acl> {
    vec![Acl { permissions, id: AuthId { scheme: "world".into(), id: "anyone".into() } }]
}

fn noauth_hot_loop(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/services/x", b"");
    m.admin_set_acl("/queenright/services/x", may(Permissions::READ));
    let id = m.register(a, "x", "a", "here");
    m.run(4 * L);
    let status = m.status(a, id);
    let is_told = matches!(status, Some(RegistrationStatus::Blocked { .. }));
    m.expect(REGISTRATIONS, is_told, "the refusal must be told");
    m.admin_delete("/queenright/services/x");
    m.settle();
}

fn parent_create_needs_permission(m: &mut Museum) {
    let a = m.node("A");
    m.admin_create("/queenright/services/x", b"");
    for parent in ["/queenright/services", "/queenright", "/"] {
        m.admin_set_acl(parent, may(Permissions::READ));
    }
    let id = m.register(a, "x", "a", "here");
    m.until_registered(a, id);
    m.settle();
}

fn exists_needs_read_permission_now(m: &mut Museum) {
    let (a, b) = (m.node("A"), m.node("B"));
    m.campaign(a, "boss");
    m.until_leads(a, "boss");
    m.admin_set_acl("/queenright/globals/boss/queue", may(Permissions::CREATE));
    m.admin_set_acl("/queenright/globals/boss/term", may(Permissions::WRITE));
    m.campaign(b, "boss");
    m.blip(a);
    m.run(10 * SECOND);
    let is_told = !m.degraded(a).is_empty() || !m.degraded(b).is_empty();
    m.expect(LEADERS, is_told, "that READ is missing must be told");
}
