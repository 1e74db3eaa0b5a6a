//! Checks all interleavings of starting clients and ending servers: promise 9 of
//! `docs/promises.md`.
//!
//! The model drives [`Step`] and [`IdleExitStep`] themselves, as the library does. The model has
//! the resources that they use: a path, a lock, notes, sockets with their queues, and programs that
//! serve, end, hang or crash. Any step of a process may come between any two steps of another one.

mod model;
mod search;
mod state;

use self::model::{ActivationModel, OmittedStep};
use self::search::{check, find_violation};
use super::protocol::{Answer, Step};
use crate::idle_exit::IdleExitStep;

/// The unmodified protocol.
const SOUND: ActivationModel = ActivationModel {
    clients: 0,
    visits: 0,
    servers_max: 0,
    crashes: 0,
    failures: 0,
    omitted: None,
};

#[test]
fn clients_that_come_and_a_server_that_goes_lose_no_call_in_any_order() {
    check(ActivationModel {
        clients: 2,
        visits: 3,
        servers_max: 6,
        crashes: 0,
        failures: 0,
        ..SOUND
    });
    check(ActivationModel {
        clients: 4,
        visits: 1,
        servers_max: 4,
        crashes: 0,
        failures: 0,
        ..SOUND
    });
}

#[test]
fn a_process_that_dies_at_any_step_leaves_no_obstacle_in_any_order() {
    check(ActivationModel {
        clients: 2,
        visits: 2,
        servers_max: 6,
        crashes: 2,
        failures: 0,
        ..SOUND
    });
    check(ActivationModel {
        clients: 3,
        visits: 1,
        servers_max: 5,
        crashes: 2,
        failures: 0,
        ..SOUND
    });
}

#[test]
fn programs_that_end_or_hang_are_told_and_replaced_in_any_order() {
    check(ActivationModel {
        clients: 2,
        visits: 2,
        servers_max: 6,
        crashes: 0,
        failures: 2,
        ..SOUND
    });
    check(ActivationModel {
        clients: 3,
        visits: 1,
        servers_max: 6,
        crashes: 1,
        failures: 2,
        ..SOUND
    });
}

#[test]
fn a_step_that_is_left_out_is_missed() {
    // Four steps can be omitted without an effect in this model. `Pause` only saves time.
    // `CheckConfinement` concerns a single process. Without `Queue`, the client connects after the
    // program runs. `Settle` only removes notes that are obsolete.
    let steps = [
        (Step::TryLock, Answer::Done),
        (Step::LookForFailure, Answer::Done),
        (Step::ConnectAgain, Answer::Nobody),
        (Step::EndHung, Answer::Done),
        (Step::RemoveOld, Answer::Done),
        (Step::NoteStart, Answer::Done),
        (Step::Listen, Answer::Done),
        (Step::Spawn, Answer::Done),
        (Step::Meet, Answer::Greeted),
        (Step::EndStarted, Answer::Done),
        (Step::RemoveFailed, Answer::Done),
        (Step::NoteFailure, Answer::Done),
    ];
    // `ShutDown` and `DropQueue` only anticipate what the kernel does when the server ends.
    let leaves = [IdleExitStep::TryLock, IdleExitStep::Look, IdleExitStep::RemoveSocket];
    let steps = steps.map(|(step, answer)| OmittedStep::Step(step, answer));
    for omitted in steps.into_iter().chain(leaves.map(OmittedStep::IdleExit)) {
        // The failures that must occur for the step to be needed.
        use Step::{
            EndHung, EndStarted, LookForFailure, NoteFailure, NoteStart, RemoveFailed, RemoveOld,
        };
        let (crashes, failures) = match omitted {
            OmittedStep::Step(RemoveOld, _) => (1, 0),
            OmittedStep::Step(EndHung, _) => (1, 1),
            OmittedStep::Step(EndStarted | LookForFailure | NoteFailure | NoteStart, _) => (0, 1),
            OmittedStep::Step(RemoveFailed, _) => (0, 1),
            _ => (0, 0),
        };
        let omitted = Some(omitted);
        let model =
            ActivationModel { clients: 2, visits: 2, servers_max: 4, crashes, failures, omitted };
        let missed = find_violation(model);
        let missed = missed.err().unwrap_or_else(|| panic!("{omitted:?} is missed by nobody"));
        println!("{omitted:?}: {}", missed.split(": ModelState").next().unwrap_or_default());
    }
}
