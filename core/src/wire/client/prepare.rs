//! What comes first on a connection: the credentials, and with a new session the chroot.

use crate::input::SessionEvent;
use crate::mutation::Mutation;
use crate::time::Instant;
use crate::wire::client::link::{Awaited, ChrootStep};
use crate::wire::client::{Break, Client, Credentials, State};
use crate::wire::{Create, CreateFlags, CreateForm, ErrorCode, Read, Request as Record, xid};

impl Client {
    /// A new session: what has to be there before the core hears of it.
    pub(super) fn prepare(&mut self, now: Instant) {
        self.authenticate(now);
        if let Some(chroot) = self.chroot.path() {
            let look = Record::Exists(Read::plain(chroot.as_str()));
            self.send_for_chroot(now, ChrootStep::Look, look);
        }
        self.establish_when_prepared();
    }

    /// A request for the chroot was answered.
    pub(super) fn handle_chroot(&mut self, now: Instant, step: ChrootStep, error: Option<ErrorCode>) {
        match (step, error) {
            // Who may not even look at it knows that it is there (3.9).
            (ChrootStep::Look, None | Some(ErrorCode::NO_AUTH))
            | (ChrootStep::Make, None | Some(ErrorCode::NODE_EXISTS))
            | (ChrootStep::MakeAbove, _) => self.establish_when_prepared(),
            (ChrootStep::Look, Some(ErrorCode::NO_NODE)) => {
                let mut znodes = self.chroot.znodes().into_iter().peekable();
                while let Some(path) = znodes.next() {
                    let step = if znodes.peek().is_some() { ChrootStep::MakeAbove } else { ChrootStep::Make };
                    let create = Create {
                        form: CreateForm::Create2,
                        path: path.into(),
                        data: Some(alloc::vec![]),
                        acl: Some(self.config.acl.clone()),
                        flags: CreateFlags::PERSISTENT,
                    };
                    self.send_for_chroot(now, step, Record::Create(create));
                }
            }
            (ChrootStep::Look | ChrootStep::Make, Some(code)) => self.fall(now, Break::ChrootRefused(code)),
        }
    }

    /// Tells the core of the session, unless something is still to be answered.
    pub(super) fn establish_when_prepared(&mut self) {
        let State::Preparing { link, session } = &self.state else { return };
        if link.auths > 0 || !self.in_flight.is_empty() {
            return;
        }
        let (link, established) = (*link, session.clone());
        if self.session_epoch.0 == 0 || !self.config.is_mutated(Mutation::EpochNotCounted) {
            self.session_epoch.0 += 1;
        }
        let (session_epoch, session) = (self.session_epoch, established.session);
        self.session = Some(established);
        self.state = State::Up(link);
        self.tell(SessionEvent::Connected { session_epoch, session });
    }

    /// Proves who we are.
    pub(super) fn authenticate(&mut self, now: Instant) {
        for index in 0..self.config.credentials.len() {
            let Credentials { scheme, auth } = self.config.credentials[index].clone();
            if let Some(link) = self.link_mut() {
                link.auths += 1;
            }
            self.send(now, xid::AUTH, Record::Auth { scheme, auth: Some(auth) });
        }
    }

    fn send_for_chroot(&mut self, now: Instant, step: ChrootStep, record: Record) {
        let xid = self.next_xid();
        self.in_flight.push_back(Awaited::Chroot { xid, step });
        self.send(now, xid, record);
    }
}
