//! A server applies a transaction: its tree changes, its clients hear of it, and who asked for it is answered.

use queenright_core::wire::{Permissions, WatchedEvent};
use queenright_core::{Instant, Zxid};

use super::replica::Notice;
use super::service::NO_ZXID;
use super::transaction::{SessionChange, Transaction};
use super::{Ensemble, FromServer, Profile, ServerId, acl};

impl Ensemble {
    /// Applies the next transaction of the log on `id`.
    pub(super) fn apply(&mut self, now: Instant, id: ServerId, transaction: &Transaction) {
        let Transaction { zxid, session, origin, verdict, .. } = transaction;
        let asker = origin.filter(|origin| origin.server == id);
        if let SessionChange::Closed(session) = *session {
            // A client that did not ask for the end of its session hears nothing but the end of its connection: real
            // servers close it before they would have sent the events.
            let connection = self.server(id).connections.of(session);
            let not_asked = connection.filter(|conn| asker.is_none_or(|asker| asker.conn != *conn));
            if let Some(conn) = not_asked {
                self.hang_up(id, conn);
            }
        }
        let server = self.server_mut(id);
        let applied = server.replica.apply(transaction);
        server.applied += 1;
        if let Some(leader) = server.leader_mut() {
            leader.outstanding.applied(*zxid);
            if let SessionChange::Closed(session) = *session {
                leader.sessions.forget(session);
            }
        }
        for notice in applied.notices {
            self.tell(id, *zxid, notice);
        }
        let Some(asker) = asker else { return };
        match session {
            SessionChange::Opened(..) => self.finish_opening(now, id, asker.conn, asker.ticket, true),
            SessionChange::Closed(_) | SessionChange::None => {
                self.finish_write(id, asker.conn, asker.ticket, verdict.answer(applied.effects));
            }
        }
    }

    /// Tells those who watch and may read. Who may not has lost its one-shot watch all the same.
    fn tell(&mut self, id: ServerId, zxid: Zxid, notice: Notice) {
        let Notice { happening, path, acl, watchers } = notice;
        let zxid = match self.config.profile {
            Profile::V3_8 => NO_ZXID,
            Profile::V3_9 => zxid,
        };
        for conn in watchers {
            let connection = self.server(id).connections.get(conn);
            let may_read = connection
                .is_some_and(|connection| acl::is_permitted(&acl, Permissions::READ, &connection.identities));
            if may_read {
                let event = WatchedEvent { change: happening, path: path.as_ref().into(), zxid };
                self.send(conn, FromServer::Event(event));
            }
        }
    }
}
