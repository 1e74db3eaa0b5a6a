//! The search for states that violate an invariant.

use std::collections::{HashMap, VecDeque};

use stateright::{Checker, Model, Property};

use super::super::protocol::Step;
use super::model::ActivationModel;
use super::state::ModelState;

/// Checks the invariants in all states, and that every process can finish from every state.
pub(super) fn check(model: ActivationModel) {
    let checker = model.checker().spawn_bfs().join();
    let states = checker.unique_state_count();
    checker.assert_properties();
    println!("{model:?}: {states} states");
    assert!(states > 100, "the model is run");
    find_violation(model).unwrap_or_else(|violation| panic!("{model:?}: {violation}"));
}

/// Searches for a state that violates an invariant, and then for a state from which some client
/// can never finish.
pub(super) fn find_violation(model: ActivationModel) -> Result<(), String> {
    let properties = model.properties();
    let mut places = HashMap::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut ends = VecDeque::new();
    let mut all = model.init_states();
    places.insert(all[0].clone(), 0);
    before.push(Vec::new());
    let mut place = 0;
    while place < all.len() {
        let state = all[place].clone();
        let broken = properties.iter().find(|is| !(is.condition)(&model, &state));
        if let Some(Property { name, .. }) = broken {
            return Err(format!("not so: {name}: {state:?}"));
        }
        if state.clients.iter().all(|client| client.is_dead || client.step == Step::Failed) {
            ends.push_back(place);
        }
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        for next in actions.into_iter().filter_map(|action| model.next_state(&state, action)) {
            let number = *places.entry(next.clone()).or_insert(all.len());
            if number == all.len() {
                all.push(next);
                before.push(Vec::new());
            }
            before[number].push(place);
        }
        place += 1;
    }
    let mut ends_well = vec![false; all.len()];
    while let Some(place) = ends.pop_front() {
        if !std::mem::replace(&mut ends_well[place], true) {
            ends.extend(&before[place]);
        }
    }
    // A client may wait for a socket when the model has no more of them. This is a limit of the
    // model.
    let is_full = |state: &ModelState| state.servers.len() == model.servers_max;
    let stuck = all.iter().zip(&ends_well).find(|(state, well)| !**well && !is_full(state));
    match stuck {
        None => Ok(()),
        Some((state, _)) => Err(format!("no step is possible from here: {state:?}")),
    }
}
