//! Values that MIDL can express, and values that it can't.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use syshandle::{Guid, handle::Event};

use super::Test;
use super::interface::{EverythingClient, Parcel, SHARED};

pub(crate) const TESTS: &[Test] = &[
    ("numbers_cross_in_registers_and_on_the_stack", numbers),
    ("texts_and_lists_cross", texts),
    ("lists_of_handles_cross", lists),
    ("what_midl_has_no_words_for_crosses", opaque),
    ("an_object_of_this_process_is_called_the_same_way", in_process),
];

fn client() -> EverythingClient {
    EverythingClient::activate(SHARED).unwrap()
}

fn numbers() {
    let back = client().numbers(0.5, 2, 0.25, i64::MAX, true, 1000.0).unwrap();
    assert_eq!(back, (1002.75, -i64::MAX, false));
}

fn texts() {
    let id: Guid = "0f8b7a52-6f0e-4f7a-9c5e-1b7b0a9d3f01".parse().unwrap();
    let (text, same, list) = client().texts("dishes Ä 🫧", &id, &[1, 2, 3]).unwrap();
    assert_eq!((text.as_str(), same, list), ("🫧 Ä sehsid", id, vec![3, 2, 1]));
    let (text, _, list) = client().texts("", &id, &[]).unwrap();
    assert_eq!((text.as_str(), list), ("", vec![]));
}

fn lists() {
    let mut files: Vec<_> = (0..20).map(|_| tempfile::tempfile().unwrap()).collect();
    assert_eq!(client().files(&files).unwrap(), 20);
    for file in &mut files {
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "served");
    }
    assert_eq!(client().files(&[]).unwrap(), 0);
    let event = Event::new().unwrap();
    assert!(client().perhaps(Some(&event)).unwrap().unwrap().poll().unwrap());
    assert!(client().perhaps(None).unwrap().is_none());
}

fn opaque() {
    let mut file = tempfile::tempfile().unwrap();
    let events = vec![Event::new().unwrap(), Event::new().unwrap()];
    let mut parcels = BTreeMap::new();
    parcels.insert("a".to_owned(), Parcel::Events(events));
    parcels.insert("b".to_owned(), Parcel::File(file.try_clone().unwrap(), u128::MAX));
    parcels.insert("c".to_owned(), Parcel::Empty);
    let back = client().opaque(&parcels).unwrap();
    let Some(Parcel::Events(events)) = back.get("a") else { panic!("{back:?}") };
    assert!(events.iter().all(|event| event.poll().unwrap()));
    let Some(Parcel::File(_, u128::MAX)) = back.get("b") else { panic!("{back:?}") };
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, u128::MAX.to_string());
}

fn in_process() {
    use super::server::Servant;
    let client = EverythingClient::in_process(Servant::default()).unwrap();
    let event = Event::new().unwrap();
    assert!(client.event(&event).unwrap().poll().unwrap());
    assert_eq!(client.who().unwrap().client_pid, std::process::id());
    let error = client.fail("no").unwrap_err();
    assert_eq!(error.to_string(), "Everything::fail: no");
}
