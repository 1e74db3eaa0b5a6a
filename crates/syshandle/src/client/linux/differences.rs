//! Differences between descriptions of clients and servers that comparisons have found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use syshandle_os::Credentials;
use syshandle_types::describe::compatibility::Incompatibility;

/// The methods of a client that its server would misread, by their numbers; `None` if the server has
/// the same description.
pub(super) type Differences = Option<Arc<BTreeMap<u32, Incompatibility>>>;

/// The hashes of a client's and its server's description, and the server. The differences are known
/// for one server only, because a server can announce the hash of another server's description.
pub(super) type Pair = (u64, u64, Credentials);

/// Differences that were found, the newest one last.
static FOUND: Mutex<Vec<(Pair, Differences)>> = Mutex::new(Vec::new());

/// Number of pairs whose differences a process remembers. A program has few clients whose servers
/// have other versions of their interfaces.
const FOUND_MAX: usize = 64;

/// The differences that comparisons with objects of one connection have found, by the hash of the
/// client's description. A server has one description of each interface, so they are true for all
/// objects of the connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionDifferences(Mutex<BTreeMap<u64, Differences>>);

impl ConnectionDifferences {
    /// Returns the differences of a client with this hash, if they are known.
    pub(super) fn of(&self, description: u64) -> Option<Differences> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&description).cloned()
    }

    pub(super) fn add(&self, description: u64, found: &Differences) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(description, found.clone());
    }
}

/// Returns the differences that a comparison on another connection has found.
pub(super) fn recall(pair: &Pair) -> Option<Differences> {
    let known = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(known, _)| known == pair).map(|(_, found)| found.clone())
}

/// Remembers differences for other connections.
pub(super) fn remember(pair: Pair, found: Differences) {
    // A process of another pid namespace has no number, so another one could not be told from it.
    if pair.2.pid == 0 {
        return;
    }
    let mut known = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() == FOUND_MAX {
        known.remove(0);
    }
    known.push((pair, found));
}
