//! The scenarios, grouped by the rules that they break.

mod blocking;
mod connections;
mod descriptions;
mod doors;
mod frames;
mod handles;
mod handshake;
mod memory;
mod objects;
mod one_way;
mod registered;

use crate::scenario::Scenario;

const ALL: &[Scenario] = &[
    frames::TRUNCATED,
    frames::OVERSIZED,
    frames::HEADERS,
    frames::FRAGMENTS,
    frames::UNSOLICITED,
    frames::BATCH,
    handshake::VERSIONS,
    handshake::EARLY_HANDLES,
    handshake::SILENCE,
    handles::SLOTS,
    handles::GROWTH,
    handles::COUNTS,
    handles::FLOOD,
    handles::UNREAD,
    doors::FLOOD,
    doors::CYCLES,
    doors::SHARED_ENDS,
    doors::UNREAD_ANSWERS,
    connections::CHURN,
    connections::NEVER_READS,
    connections::UNREAD_EVENTS,
    connections::DEATH,
    objects::NUMBERS,
    one_way::ONE_WAY,
    registered::SLOTS,
    descriptions::REQUESTS,
    memory::ARENA,
    memory::SPARSE,
    memory::AMPLIFICATION,
    blocking::CLOSE,
    blocking::FULL_EVENT,
    blocking::ENDLESS_TASKS,
    handshake::REFUSED_USER,
];

impl Scenario {
    /// Returns all scenarios in the order in which they run.
    pub fn all() -> &'static [Self] {
        ALL
    }

    /// Returns the scenario with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|scenario| scenario.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
