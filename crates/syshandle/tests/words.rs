//! The attribute `#[handle(…)]` accepts exactly the library's names of kinds, rights, sorts of
//! files and sorts of sockets.

use syshandle::handle::{Files, Kind, Rights, Sockets};
use syshandle_model::{FILES, KINDS, RIGHTS, SOCKETS};

#[test]
fn every_kind_has_its_word_and_its_constant() {
    let words: Vec<_> = KINDS.iter().map(|entry| (entry.0, entry.1.to_owned())).collect();
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| (kind.name(), format!("{kind:?}"))).collect();
    assert_eq!(words, kinds);
}

#[test]
fn every_right_has_its_word() {
    assert!(RIGHTS.iter().all(|word| Rights::from_word(word).is_some()));
    assert_eq!(RIGHTS.len(), Rights::all().iter().count());
}

#[test]
fn every_sort_of_file_has_its_word() {
    assert!(FILES.iter().all(|word| Files::from_word(word).is_some()));
    assert_eq!(FILES.len(), Files::all().iter().count());
}

#[test]
fn every_sort_of_socket_has_its_word() {
    assert!(SOCKETS.iter().all(|word| Sockets::from_word(word).is_some()));
    assert_eq!(SOCKETS.len(), Sockets::all().iter().count());
}
