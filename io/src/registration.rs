//! An instance that this client keeps registered.

use std::time::Duration;

use futures_util::stream::{self, Stream};
use queenright_core::output::RegistrationStatus;
use queenright_core::{Directory, Name, RegistrationId};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::Error;
use crate::handle::{Command, Farewell, Handle};

/// A registered instance. ZooKeeper has it in every session of the client until this is dropped or
/// [`unregister`](Self::unregister)ed.
#[derive(Debug)]
#[must_use = "dropping a registration unregisters it"]
pub struct Registration {
    id: RegistrationId,
    directory: Directory,
    instance: Name,
    status: watch::Receiver<RegistrationStatus>,
    timeout: Duration,
    handle: Handle,
}

impl Registration {
    /// Asks for the registration, without waiting for ZooKeeper.
    pub(crate) async fn begin(
        handle: &Handle,
        directory: Directory,
        instance: Name,
        payload: Vec<u8>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let command = |reply| Command::Register {
            directory: directory.clone(),
            instance: instance.clone(),
            payload,
            reply,
        };
        let (id, status) = handle.ask_for(command, |(id, _)| Farewell::Unregister(id)).await?;
        Ok(Self { id, directory, instance, status, timeout, handle: handle.clone() })
    }

    /// The name under which it is registered.
    #[must_use]
    pub fn instance(&self) -> &str {
        self.instance.as_str()
    }

    /// Its status now.
    #[must_use]
    pub fn status(&self) -> RegistrationStatus {
        self.status.borrow().clone()
    }

    /// Its status now, and from now on; a slow reader skips to the latest. Ends when the registration does.
    pub fn status_changes(&self) -> impl Stream<Item = RegistrationStatus> + Send + use<> {
        let mut status = self.status.clone();
        status.mark_changed();
        stream::unfold(status, |mut status| async move {
            status.changed().await.ok()?;
            let now = status.borrow_and_update().clone();
            Some((now, status))
        })
    }

    /// Replaces the metadata, and returns once ZooKeeper has it.
    ///
    /// # Errors
    /// As for [`Client::register`](crate::Client::register); the registration stays, and so does the wish for the new
    /// metadata. Metadata cannot be added to an instance that was registered without.
    pub async fn update(&mut self, metadata: impl Into<Vec<u8>>) -> Result<(), Error> {
        let (id, payload) = (self.id, metadata.into());
        self.handle.ask(|reply| Command::Update { id, payload, reply }).await?;
        self.registered().await
    }

    /// Withdraws the instance, and returns once ZooKeeper has forgotten it.
    ///
    /// # Errors
    /// When that takes longer than the request timeout; it is withdrawn all the same as soon as it is possible.
    pub async fn unregister(self) -> Result<(), Error> {
        let (mut status, limit) = (self.status.clone(), self.timeout);
        let (handle, what) = (self.handle.clone(), self.what());
        drop(self);
        // The channel closes behind the last status.
        let gone = status.wait_for(|status| *status == RegistrationStatus::Gone);
        match timeout(limit, gone).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Timeout {
                what: format!("unregistering {what}"),
                timeout: limit,
                trouble: handle.trouble(),
            }),
        }
    }

    /// Waits until ZooKeeper has it, with what was asked for last.
    pub(crate) async fn registered(&self) -> Result<(), Error> {
        let limit = self.timeout;
        let mut status = self.status.clone();
        let settled = status.wait_for(|status| match status {
            RegistrationStatus::Registered { .. }
            | RegistrationStatus::Blocked { .. }
            | RegistrationStatus::Gone => true,
            RegistrationStatus::Pending | RegistrationStatus::Occupied { .. } => false,
        });
        let is_over = matches!(timeout(limit, settled).await, Ok(Err(_)));
        let status = if is_over { RegistrationStatus::Gone } else { self.status() };
        match status {
            RegistrationStatus::Registered { .. } => Ok(()),
            RegistrationStatus::Blocked { code } => Err(Error::Refused { what: self.what(), code }),
            RegistrationStatus::Occupied { owner } => Err(Error::Occupied { what: self.what(), owner }),
            RegistrationStatus::Pending => Err(Error::Timeout {
                what: format!("registering {}", self.what()),
                timeout: limit,
                trouble: self.handle.trouble(),
            }),
            RegistrationStatus::Gone => Err(Error::Closed),
        }
    }

    fn what(&self) -> String {
        format!("{} in {}", self.instance, self.directory)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.handle.bid(Farewell::Unregister(self.id));
    }
}
