//! The plays, each in its own file.

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
use crate::play::Play;

pub(crate) const ALL: &[Play] = &[
    truncated::PLAY,
    oversized::PLAY,
    versions::PLAY,
    broken_counts::PLAY,
    wrong_slots::PLAY,
    handle_counts::PLAY,
    early_handles::PLAY,
    handle_flood::PLAY,
    door_flood::PLAY,
    silence::PLAY,
    churn::PLAY,
    dribble::PLAY,
    unasked::PLAY,
    never_reads::PLAY,
    death::PLAY,
    connection_itself::PLAY,
    shared_ends::PLAY,
    blocking_close::PLAY,
    unread_handles::PLAY,
    unread_answers::PLAY,
    broken_arena::PLAY,
    sparse_memory::PLAY,
    amplification::PLAY,
    together::PLAY,
    stranger::PLAY,
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
