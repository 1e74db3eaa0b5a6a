//! The scenarios, each in its own file.

mod amplification;
mod blocking_close;
mod broken_arena;
mod broken_counts;
mod churn;
mod connection_itself;
mod death;
mod door_flood;
mod dribble;
mod early_handles;
mod handle_counts;
mod handle_flood;
mod never_reads;
mod oversized;
mod shared_ends;
mod silence;
mod sparse_memory;
mod stranger;
mod together;
mod truncated;
mod unasked;
mod unread_answers;
mod unread_handles;
mod versions;
mod wrong_slots;

use syshandle_wire::Fault;

use crate::line::Answer;
use crate::scenario::Scenario;

pub(crate) const ALL: &[Scenario] = &[
    truncated::SCENARIO,
    oversized::SCENARIO,
    versions::SCENARIO,
    broken_counts::SCENARIO,
    wrong_slots::SCENARIO,
    handle_counts::SCENARIO,
    early_handles::SCENARIO,
    handle_flood::SCENARIO,
    door_flood::SCENARIO,
    silence::SCENARIO,
    churn::SCENARIO,
    dribble::SCENARIO,
    unasked::SCENARIO,
    never_reads::SCENARIO,
    death::SCENARIO,
    connection_itself::SCENARIO,
    shared_ends::SCENARIO,
    blocking_close::SCENARIO,
    unread_handles::SCENARIO,
    unread_answers::SCENARIO,
    broken_arena::SCENARIO,
    sparse_memory::SCENARIO,
    amplification::SCENARIO,
    together::SCENARIO,
    stranger::SCENARIO,
];

/// A method that no interface has. The server answers a call of it without running any method.
pub(crate) const NO_METHOD: u32 = u32::MAX - 1;

/// The method that every object has: it returns a door to the object.
pub(crate) const DOOR: u32 = u32::MAX;

/// Returns whether a call for a handle got its result, or an error that names a limit of this client.
fn is_reply_within_limits(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Reply { fault: None | Some(Fault::Busy { .. } | Fault::Unsendable { .. }), .. }
    )
}
