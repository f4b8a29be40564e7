//! Who may do what, and where a client's paths begin.

crate::exhibits! {
    auth_not_replayed,
    noauth_hot_loop,
    parent_create_needs_permission,
    exists_needs_read_permission_now,
    chroot_missing,
    chroot_strip_asymmetry,
}
