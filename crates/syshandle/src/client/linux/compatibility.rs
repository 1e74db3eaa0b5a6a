//! Comparison of a client's description of its interface with the server's.
//!
//! The greeting contains the hash of the server's description. If it equals the hash of the client's,
//! both sides understand each other. Otherwise the client requests the server's description before
//! its first call, and refuses the methods that would be misread.
//!
//! The hash also covers the interfaces of the objects that methods return. So references with a
//! number need no comparison if the client that has received them has the server's description.
//! Otherwise the description is requested of the first object with each interface, because the
//! greeting does not tell the hash of that interface.

use std::collections::BTreeMap;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::time::Instant;

use syshandle_types::Payload;
use syshandle_types::describe::compatibility::{Incompatibility, differences};
use syshandle_types::describe::owned::Description;

use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::differences::{Pair, recall, remember};
use crate::client::Client;
#[cfg(feature = "tokio")]
use crate::client::ReplyReader;
use crate::descriptions;
use crate::{Error, ErrorKind, Result};

impl Client {
    /// Returns the connection of a client that may make calls. Connects first if necessary, and
    /// compares the descriptions.
    #[inline]
    pub(super) fn ready(&self, deadline: &mut Deadline<'_>) -> Result<&Arc<ClientConnection>> {
        let connection = self.connection(deadline)?;
        if !self.is_compared() {
            self.compare(connection, deadline)?;
        }
        Ok(connection)
    }

    /// Returns whether the descriptions were compared.
    #[inline]
    pub(super) fn is_compared(&self) -> bool {
        self.object.shared.differences.get().is_some()
    }

    /// Returns an error if the server would misread a call of this method.
    #[inline]
    pub(super) fn check_method(&self, method: u32) -> Result<()> {
        match self.object.shared.differences.get() {
            Some(Some(found)) => refuse(found, method),
            _ => Ok(()),
        }
    }

    /// Returns whether client and server have the same descriptions of the interface and of all
    /// interfaces to which it leads.
    pub(super) fn is_described_alike(&self, connection: &ClientConnection) -> bool {
        match &self.object.shared.number {
            Some(_) => self.object.shared.is_covered,
            None => connection.description() == descriptions::of(self.interface).hash,
        }
    }

    /// Compares the hashes of the descriptions. If they are equal, or if the server does not announce
    /// its hash, the descriptions are not compared any more.
    pub(super) fn compare_hashes(&self, connection: &ClientConnection) {
        let theirs = connection.description();
        if theirs == 0 || theirs == descriptions::of(self.interface).hash {
            let _ = self.object.shared.differences.set(None);
        }
    }

    #[cold]
    fn compare(
        &self,
        connection: &Arc<ClientConnection>,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        // One thread requests the description while the others wait.
        let _turn = self.object.shared.connection.turn_of_thread();
        if self.is_compared() || self.recall(connection) {
            return Ok(());
        }
        let (method, body) = (descriptions::METHOD, request(false));
        let begun = self.own_call(method, &body, |call| connection.begin(call, deadline));
        let fetched = begun.and_then(|waiter| {
            let reply = connection.finish(waiter, deadline)?;
            let all = self.read_reply(connection, descriptions::METHOD, None, reply);
            self.method_ref(descriptions::METHOD).without_error(all)
        });
        self.finish_comparison(connection, fetched)
    }

    /// Compares the descriptions in a task, if they were not compared yet.
    #[cfg(feature = "tokio")]
    pub(super) async fn compare_in_task(&self, deadline: Instant) -> Result<()> {
        let _turn = self.object.shared.connection.turn_of_task(deadline).await?;
        let connection = self.connection(&mut Deadline::until(deadline, None))?;
        if self.is_compared() || self.recall(connection) {
            return Ok(());
        }
        let waiter = {
            let body = request(false);
            let deadline = Deadline::until(deadline, self.cancel.as_ref());
            self.own_call(descriptions::METHOD, &body, |call| {
                connection.begin_later(call, &deadline)
            })
        };
        let fetched = match waiter {
            Ok(waiter) => {
                let read: ReplyReader<_> = |client, method, declared, reply| {
                    client.method_ref(method).without_error(client.read(method, declared, reply?))
                };
                self.begun(descriptions::METHOD, waiter, deadline, read).await
            }
            Err(error) => Err(error),
        };
        self.finish_comparison(connection, fetched)
    }

    fn pair(&self, connection: &ClientConnection) -> Pair {
        (descriptions::of(self.interface).hash, connection.description(), connection.server())
    }

    /// Uses the differences that an earlier comparison found. Returns whether there was one.
    fn recall(&self, connection: &ClientConnection) -> bool {
        let pair = self.pair(connection);
        let found = match &self.object.shared.number {
            Some(_) if pair.0 == pair.1 => Some(None),
            Some(_) => connection.differences().of(pair.0),
            None => recall(&pair),
        };
        found.is_some_and(|found| {
            connection.differences().add(pair.0, &found);
            let _ = self.object.shared.differences.set(found);
            true
        })
    }

    /// Compares the descriptions, given the reply of the server.
    fn finish_comparison(
        &self,
        connection: &ClientConnection,
        fetched: Result<Vec<Vec<u8>>>,
    ) -> Result<()> {
        let theirs = fetched.and_then(|all| {
            let theirs = read_description(all.first().map(Vec::as_slice).unwrap_or_default())?;
            if theirs.iid == self.interface.iid {
                return Ok(theirs);
            }
            let text = format!("expected the description of this interface, got {}", theirs.iid);
            Err(Error::detected(ErrorKind::Malformed, text))
        });
        let theirs = theirs.map_err(|error| {
            // The call of the program has not been sent.
            error.did_not_run().at("comparison with the server's description")
        })?;
        let found = differences(&descriptions::of(self.interface).description, &theirs);
        // The hash of the interface of a number is known only now, and may be equal.
        if self.object.shared.number.is_none() || !found.is_empty() {
            crate::log::debug!(
                interface = self.interface.name,
                refused = found.len(),
                "the server has another version of the interface"
            );
        }
        let found = (!found.is_empty()).then(|| Arc::new(found));
        let pair = self.pair(connection);
        connection.differences().add(pair.0, &found);
        if self.object.shared.number.is_none() {
            remember(pair, found.clone());
        }
        let _ = self.object.shared.differences.set(found);
        Ok(())
    }
}

/// Returns the arguments of the call that requests the server's description of the interface, or of
/// all interfaces of the object.
pub(super) fn request(all: bool) -> Payload<'static> {
    let bits = if all { descriptions::ALL_INTERFACES } else { 0 };
    bits.to_le_bytes().to_vec().into()
}

/// Decodes a description that a server has sent.
pub(super) fn read_description(bytes: &[u8]) -> Result<Description> {
    let read = Description::from_bytes(bytes);
    read.map_err(|error| Error::detected(ErrorKind::Malformed, error.to_string()))
}

#[cold]
fn refuse(found: &BTreeMap<u32, Incompatibility>, method: u32) -> Result<()> {
    match found.get(&method) {
        Some(found) => Err(Error::detected(ErrorKind::Incompatible, found.to_string())),
        None => Ok(()),
    }
}
