//! The machine's configuration from the node's.

use std::time::Duration;

use queenright_core::wire::client::{self, Credentials};
use queenright_core::wire::{self, AuthId};

use crate::acl::{Acl, Permissions};
use crate::config::Config;
use crate::error::Error;

/// The pauses between attempts to connect.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// `host:port` of each server, in an order of this client's own: a fleet spreads over them.
pub(super) fn servers(config: &Config, entropy: u128) -> Result<Vec<String>, Error> {
    let connect_string = config.connect_string()?;
    let mut servers: Vec<String> = connect_string.servers().iter().map(ToString::to_string).collect();
    let mut rest = entropy;
    for left in (1..servers.len()).rev() {
        let choices = left as u128 + 1;
        servers.swap(left, usize::try_from(rest % choices).unwrap_or(0));
        rest /= choices;
    }
    Ok(servers)
}

pub(super) fn machine(config: &Config, entropy: u128, server_count: usize) -> Result<client::Config, Error> {
    let timeout = config.connection_timeout();
    let credentials = config.credentials.iter().map(|credentials| Credentials {
        scheme: "digest".to_owned(),
        auth: format!("{}:{}", credentials.user, credentials.password).into_bytes(),
    });
    Ok(client::Config {
        session_timeout: config.session_timeout,
        connect_timeout: timeout,
        silence_max: timeout,
        close_timeout: config.close_timeout,
        retry_min: RETRY_MIN,
        retry_max: RETRY_MAX,
        seed: (entropy >> 64) as u64 ^ entropy as u64,
        credentials: credentials.collect(),
        acl: acl(&config.acl),
        chroot: config.connect_string()?.chroot().cloned(),
        ..client::Config::new(server_count)
    })
}

fn acl(acl: &Acl) -> Vec<wire::Acl> {
    match acl {
        Acl::Open => vec![wire::Acl::open()],
        Acl::CreatorAll => vec![wire::Acl::creator_all()],
        Acl::Custom(entries) => entries
            .iter()
            .map(|entry| wire::Acl {
                permissions: permissions(entry.permissions),
                id: AuthId::new(&entry.scheme, &entry.id),
            })
            .collect(),
    }
}

fn permissions(permissions: Permissions) -> wire::Permissions {
    [
        (Permissions::READ, wire::Permissions::READ),
        (Permissions::WRITE, wire::Permissions::WRITE),
        (Permissions::CREATE, wire::Permissions::CREATE),
        (Permissions::DELETE, wire::Permissions::DELETE),
        (Permissions::ADMIN, wire::Permissions::ADMIN),
    ]
    .into_iter()
    .filter(|(ours, _)| permissions.contains(*ours))
    .fold(wire::Permissions(0), |all, (_, theirs)| all.union(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::AclEntry;

    #[test]
    fn each_client_has_an_order_of_servers_of_its_own_and_forgets_none() {
        let config = Config::new("a:1,b:2,c:3,d:4");
        let mut orders: Vec<Vec<String>> =
            (0..24).map(|entropy| servers(&config, entropy).unwrap()).collect();
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 24, "all orders");
        for mut order in orders {
            order.sort();
            assert_eq!(order, ["a:1", "b:2", "c:3", "d:4"]);
        }
    }

    #[test]
    fn credentials_chroot_and_access_control_list_are_handed_on() {
        let entry = AclEntry {
            permissions: Permissions::READ | Permissions::ADMIN,
            scheme: "ip".into(),
            id: "10.0.0.0/8".into(),
        };
        let config = Config::new("a:1/x/y").with_credentials("u", "p").with_acl(Acl::Custom(vec![entry]));
        let machine = machine(&config, 7, 1).unwrap();
        assert_eq!(machine.credentials[0].auth, b"u:p");
        assert_eq!(machine.chroot.unwrap().as_str(), "/x/y");
        assert_eq!(machine.acl, [wire::Acl::new(wire::Permissions(17), "ip", "10.0.0.0/8")]);
        assert_eq!(machine.silence_max, config.connection_timeout());
    }
}
