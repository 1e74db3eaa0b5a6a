//! A table of changes. Each is classified by `syshandle idl diff`, and tried with an old and a new
//! program in both directions. The classification equals what happens.
//!
//! `calls` are the calls that the old version of the interface knows. A change is compatible if all
//! of them have their result between an old client and a new server, and between a new client and an
//! old server. Otherwise one of them is refused, and none is misread. `more` are calls of a new
//! client that use what the old server doesn't know, and `lost` calls of an old client whose result
//! has what the client doesn't know.
//!
//! A field that a later version removes again is not in the table. The command calls this change
//! incompatible, because the values of the field get lost. Each call works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::PipeReader;

use syshandle::ErrorKind::{Incompatible, Malformed, NoSuchMethod, WrongHandle};
use syshandle::handle::{Event, OwnedHandle};
use syshandle::{CallError, Decode, Encode, Error, ErrorKind, Result, interface};

use self::objects::{OneClient, TwoClient};
use crate::support::pipe;

/// The object of each version.
struct Served;

/// A call, which returns whether its result is right.
type Call<C> = fn(&C) -> Result<bool>;

/// Calls, each with the error that it has.
type Failing<C> = &'static [(Call<C>, ErrorKind)];

/// Declares two versions of an interface with their servers and calls. A change is `compatible` or
/// `incompatible`, and gives a peer `more` authority or `no_more`.
macro_rules! change {
    ($name:ident: $verdict:ident, $authority:ident;
        old { $($old:tt)* } serves { $($serves:tt)* } calls { $($calls:tt)* }
        new { $($new:tt)* } $($rest:tt)*) => {
        change! { @new $name: $verdict, $authority;
            ($($old)*) ($($serves)*) ($($calls)*) ($($new)*) ($($serves)*) ($($calls)*) $($rest)* }
    };
    (@new $name:ident: $verdict:ident, $authority:ident;
        $old:tt $old_serves:tt $old_calls:tt $new:tt $before:tt $same:tt
        serves { $($serves:tt)* } $($rest:tt)*) => {
        change! { @new $name: $verdict, $authority;
            $old $old_serves $old_calls $new ($($serves)*) $same $($rest)* }
    };
    (@new $name:ident: $verdict:ident, $authority:ident;
        $old:tt $old_serves:tt $old_calls:tt $new:tt $serves:tt $same:tt
        calls { $($calls:tt)* } $($rest:tt)*) => {
        change! { @new $name: $verdict, $authority;
            $old $old_serves $old_calls $new $serves ($($calls)*) $($rest)* }
    };
    (@new $name:ident: $verdict:ident, $authority:ident;
        ($($old:tt)*) ($($old_serves:tt)*) ($($old_calls:tt)*)
        ($($new:tt)*) ($($new_serves:tt)*) ($($new_calls:tt)*)
        $(more { $($more:tt)* })? $(lost { $($lost:tt)* })?) => {
        #[test]
        fn $name() {
            mod old {
                use super::*;
                $($old)*
                impl Thing for Served { $($old_serves)* }
                pub(crate) const CALLS: &[Call<ThingClient>] = &[$($old_calls)*];
                pub(crate) const LOST: Failing<ThingClient> = &[$($($lost)*)?];
            }
            mod new {
                use super::*;
                $($new)*
                impl Thing for Served { $($new_serves)* }
                pub(crate) const CALLS: &[Call<ThingClient>] = &[$($new_calls)*];
                pub(crate) const MORE: Failing<ThingClient> = &[$($($more)*)?];
            }
            let old = new::ThingClient::in_process(Served).unwrap().cast::<old::ThingClient>();
            let old = old.unwrap();
            let new = old::ThingClient::in_process(Served).unwrap().cast::<new::ThingClient>();
            let new = new.unwrap();
            let mut results: Vec<_> = old::CALLS.iter().map(|call| call(&old)).collect();
            results.extend(new::CALLS.iter().map(|call| call(&new)));
            let (verdict, authority) = (stringify!($verdict), stringify!($authority));
            check((stringify!($($old)*), stringify!($($new)*)), verdict, authority, results);
            for (call, kind) in old::LOST {
                assert_fails(call(&old), *kind, true);
            }
            for (call, kind) in new::MORE {
                assert_fails(call(&new), *kind, false);
            }
        }
    };
}

/// Compares the classification of a change with the results of the calls.
fn check(sources: (&str, &str), verdict: &str, authority: &str, results: Vec<Result<bool>>) {
    let source = |text| syshandle_idl::rust::describe(syn::parse_file(text).unwrap()).unwrap();
    let changes = syshandle_idl::diff::diff(&source(sources.0), &source(sources.1));
    let is_compatible = changes.iter().all(|change| change.is_compatible);
    assert_eq!(is_compatible, verdict == "compatible", "the classification: {changes:?}");
    let gives_more = changes.iter().any(|change| change.gained_authority.is_some());
    assert_eq!(gives_more, authority == "more", "the authority: {changes:?}");
    let is_misread = |result: &Result<bool>| matches!(result, Ok(false));
    assert!(!results.iter().any(is_misread), "a call was misread: {results:?}");
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(refused.is_empty(), is_compatible, "the calls: {results:?}");
    for error in refused {
        let kinds = [Incompatible, Malformed, NoSuchMethod, WrongHandle];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
}

#[track_caller]
fn assert_fails(result: Result<bool>, kind: ErrorKind, may_have_run: bool) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (kind, may_have_run), "{error}");
}

fn event() -> Event {
    Event::new().unwrap()
}

fn file() -> File {
    File::open("/dev/null").unwrap()
}

/// The reading end of a pipe.
fn reader() -> OwnedHandle {
    let (reader, _): (PipeReader, _) = pipe();
    std::os::fd::OwnedFd::from(reader)
}

/// Returns the error of a call that has an error type of its own.
fn own<E: std::fmt::Debug>(error: CallError<E>) -> Error {
    match error {
        CallError::Call(error) => error,
        CallError::Method(error) => panic!("{error:?}"),
    }
}

// Methods.

change! { a_method_at_the_end: compatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed01")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed01")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<u8>; fn b(&self) -> Result<()>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } fn b(&self) -> Result<()> { Ok(()) } }
    more { (|c| c.b().map(|()| true), NoSuchMethod), }
}

change! { a_method_with_handles_at_the_end: compatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed02")]
        pub(crate) trait Thing { fn a(&self) -> Result<()>; }
    }
    serves { fn a(&self) -> Result<()> { Ok(()) } }
    calls { |c| c.a().map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed02")]
        pub(crate) trait Thing {
            fn a(&self) -> Result<()>;
            fn b(&self, x: Event) -> Result<File>;
        }
    }
    serves { fn a(&self) -> Result<()> { Ok(()) } fn b(&self, _: Event) -> Result<File> { Ok(file()) } }
    more { (|c| c.b(&event()).map(|_| true), NoSuchMethod), }
}

change! { a_method_before_another_one: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed03")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed03")]
        pub(crate) trait Thing { fn b(&self, x: u8) -> Result<u8>; fn a(&self, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } fn b(&self, x: u8) -> Result<u8> { Ok(x + 1) } }
    more { (|c| c.b(7).map(|_| true), Incompatible), }
}

change! { a_removed_method: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed04")]
        pub(crate) trait Thing { fn a(&self) -> Result<()>; fn b(&self) -> Result<()>; }
    }
    serves { fn a(&self) -> Result<()> { Ok(()) } fn b(&self) -> Result<()> { Ok(()) } }
    calls { |c| c.a().map(|()| true), |c| c.b().map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed04")]
        pub(crate) trait Thing { fn a(&self) -> Result<()>; }
    }
    serves { fn a(&self) -> Result<()> { Ok(()) } }
    calls { |c| c.a().map(|()| true), }
}

change! { swapped_methods: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed05")]
        pub(crate) trait Thing { fn a(&self) -> Result<u8>; fn b(&self) -> Result<u8>; }
    }
    serves { fn a(&self) -> Result<u8> { Ok(1) } fn b(&self) -> Result<u8> { Ok(2) } }
    calls { |c| Ok(c.a()? == 1), |c| Ok(c.b()? == 2), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed05")]
        pub(crate) trait Thing { fn b(&self) -> Result<u8>; fn a(&self) -> Result<u8>; }
    }
}

change! { a_renamed_method: compatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed06")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed06")]
        pub(crate) trait Thing { fn b(&self, x: u8) -> Result<u8>; }
    }
    serves { fn b(&self, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.b(7)? == 7), }
}

change! { an_error_type_of_its_own: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed07")]
        pub(crate) trait Thing { fn a(&self) -> Result<()>; }
    }
    serves { fn a(&self) -> Result<()> { Ok(()) } }
    calls { |c| c.a().map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Wrong { NoPaper }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed07")]
        pub(crate) trait Thing { fn a(&self) -> Result<(), CallError<Wrong>>; }
    }
    serves { fn a(&self) -> Result<(), CallError<Wrong>> { Ok(()) } }
    calls { |c| c.a().map(|()| true).map_err(own), }
}

// Parameters.

change! { a_renamed_parameter: compatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed10")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed10")]
        pub(crate) trait Thing { fn a(&self, y: u8) -> Result<u8>; }
    }
}

change! { an_added_parameter: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed11")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed11")]
        pub(crate) trait Thing { fn a(&self, x: u8, y: Option<File>) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8, _: Option<File>) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7, None)? == 7), }
    more { (|c| c.a(7, Some(&file())).map(|_| true), Incompatible), }
}

change! { swapped_parameters: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed12")]
        pub(crate) trait Thing { fn a(&self, x: u8, y: u8) -> Result<u8>; }
    }
    serves { fn a(&self, x: u8, _: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(7, 8)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed12")]
        pub(crate) trait Thing { fn a(&self, y: u8, x: u8) -> Result<u8>; }
    }
    serves { fn a(&self, _: u8, x: u8) -> Result<u8> { Ok(x) } }
    calls { |c| Ok(c.a(8, 7)? == 7), }
}

change! { a_number_of_another_size: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed13")]
        pub(crate) trait Thing { fn a(&self, x: u32) -> Result<()>; }
    }
    serves { fn a(&self, _: u32) -> Result<()> { Ok(()) } }
    calls { |c| c.a(7).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed13")]
        pub(crate) trait Thing { fn a(&self, x: u64) -> Result<()>; }
    }
    serves { fn a(&self, _: u64) -> Result<()> { Ok(()) } }
}

change! { a_value_that_becomes_optional: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed14")]
        pub(crate) trait Thing { fn a(&self, x: Vec<u8>) -> Result<()>; }
    }
    serves { fn a(&self, _: Vec<u8>) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&[7]).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed14")]
        pub(crate) trait Thing { fn a(&self, x: Option<Vec<u8>>) -> Result<()>; }
    }
    serves { fn a(&self, _: Option<Vec<u8>>) -> Result<()> { Ok(()) } }
    calls { |c| c.a(Some(&[7])).map(|()| true), }
}

change! { a_type_with_the_same_encoding: compatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed15")]
        pub(crate) trait Thing { fn a(&self, x: usize) -> Result<u64>; }
    }
    serves { fn a(&self, x: usize) -> Result<u64> { Ok(x as u64) } }
    calls { |c| Ok(c.a(7)? == 7), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed15")]
        pub(crate) trait Thing { fn a(&self, x: u64) -> Result<usize>; }
    }
    serves { fn a(&self, x: u64) -> Result<usize> { Ok(x as usize) } }
}

change! { an_array_of_another_length: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed16")]
        pub(crate) trait Thing { fn a(&self, x: [u8; 4]) -> Result<()>; }
    }
    serves { fn a(&self, _: [u8; 4]) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&[7; 4]).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed16")]
        pub(crate) trait Thing { fn a(&self, x: [u8; 8]) -> Result<()>; }
    }
    serves { fn a(&self, _: [u8; 8]) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&[7; 8]).map(|()| true), }
}

change! { a_list_that_becomes_a_set: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed17")]
        pub(crate) trait Thing { fn a(&self, x: Vec<u8>) -> Result<()>; }
    }
    serves { fn a(&self, _: Vec<u8>) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&[7, 8]).map(|()| true), |c| c.a(&[7, 7]).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed17")]
        pub(crate) trait Thing { fn a(&self, x: BTreeSet<u8>) -> Result<()>; }
    }
    serves { fn a(&self, _: BTreeSet<u8>) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&BTreeSet::from([7, 8])).map(|()| true), }
}

change! { a_set_that_becomes_a_list: compatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed18")]
        pub(crate) trait Thing { fn a(&self, x: BTreeSet<u8>) -> Result<()>; }
    }
    serves { fn a(&self, _: BTreeSet<u8>) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&BTreeSet::from([7, 8])).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed18")]
        pub(crate) trait Thing { fn a(&self, x: Vec<u8>) -> Result<()>; }
    }
    serves { fn a(&self, _: Vec<u8>) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&[7, 8]).map(|()| true), }
    more { (|c| c.a(&[7, 7]).map(|()| true), Malformed), }
}

// Structs.

change! { an_added_field: compatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed20")]
        pub(crate) trait Thing { fn a(&self, x: Vec<Job>) -> Result<BTreeMap<u8, Job>>; }
    }
    serves { fn a(&self, x: Vec<Job>) -> Result<BTreeMap<u8, Job>> { Ok((1..).zip(x).collect()) } }
    calls { |c| Ok(c.a(&[Job::new("a".into())])?[&1].name == "a"), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added(default = 1)] copies: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed20")]
        pub(crate) trait Thing { fn a(&self, x: Vec<Job>) -> Result<BTreeMap<u8, Job>>; }
    }
    calls { |c| {
        // The old server ignores the number, so the result has the default.
        let job = &c.a(&[Job::new("a".into()).with_copies(7)])?[&1];
        Ok(job.name == "a" && job.copies == 1)
    }, }
}

change! { an_added_handle_in_an_argument: compatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed21")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<String>; }
    }
    serves { fn a(&self, x: Job) -> Result<String> { Ok(x.name) } }
    calls { |c| Ok(c.a(&Job::new("a".into()))? == "a"), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] done: Option<Event>, #[added] more: Vec<File> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed21")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<String>; }
    }
    more {
        (|c| c.a(&Job::new("a".into()).with_done(Some(event()))).map(|_| true), Incompatible),
        (|c| c.a(&Job::new("a".into()).with_more(vec![file(), file()])).map(|_| true), Incompatible),
    }
}

change! { an_added_handle_in_a_result: compatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed22")]
        pub(crate) trait Thing { fn a(&self, full: bool) -> Result<Option<Job>>; }
    }
    serves { fn a(&self, _: bool) -> Result<Option<Job>> { Ok(Some(Job::new("a".into()))) } }
    calls { |c| Ok(c.a(false)?.unwrap().name == "a"), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] done: Option<Event> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed22")]
        pub(crate) trait Thing { fn a(&self, full: bool) -> Result<Option<Job>>; }
    }
    serves { fn a(&self, full: bool) -> Result<Option<Job>> {
        Ok(Some(Job::new("a".into()).with_done(full.then(event))))
    } }
    // A client of the new version may set what an old server ignores.
    calls { |c| { let job = c.a(true)?.unwrap(); Ok(job.name == "a" && job.done.is_none()) }, }
    lost { (|c| c.a(true).map(|_| true), Incompatible), }
}

change! { an_added_required_field: compatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed23")]
        pub(crate) trait Thing { fn a(&self, x: Option<Job>) -> Result<String>; }
    }
    serves { fn a(&self, x: Option<Job>) -> Result<String> { Ok(x.unwrap().name) } }
    calls { |c| Ok(c.a(Some(&Job::new("a".into())))? == "a"), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added(required)] size_max: Option<u32> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed23")]
        pub(crate) trait Thing { fn a(&self, x: Option<Job>) -> Result<String>; }
    }
    more { (|c| c.a(Some(&Job::new("a".into()).with_size_max(Some(7)))).map(|_| true), Incompatible), }
}

change! { an_added_field_without_the_mark: incompatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed24")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    serves { fn a(&self, _: Job) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&Job::new("a".into())).map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, copies: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed24")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    calls { |c| c.a(&Job::new("a".into(), 1)).map(|()| true), }
}

change! { an_added_field_of_a_fixed_struct: incompatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed25")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    serves { fn a(&self, _: Job) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&Job { name: "a".into() }).map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Job { name: String, done: Option<Event> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed25")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    calls { |c| c.a(&Job { name: "a".into(), done: Some(event()) }).map(|()| true), }
}

change! { an_added_field_before_another_one: incompatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed26")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    serves { fn a(&self, _: Job) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&Job::new("a".into()).with_y(7)).map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] z: u8, #[added] y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed26")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
}

change! { swapped_fields: incompatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Size { width: u32, height: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed27")]
        pub(crate) trait Thing { fn a(&self, x: Size) -> Result<Size>; }
    }
    serves { fn a(&self, x: Size) -> Result<Size> { Ok(x) } }
    calls { |c| Ok(c.a(&Size { width: 1, height: 2 })?.width == 1), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Size { height: u32, width: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed27")]
        pub(crate) trait Thing { fn a(&self, x: Size) -> Result<Size>; }
    }
}

change! { a_renamed_field: compatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Size { width: u32, height: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed28")]
        pub(crate) trait Thing { fn a(&self, x: Size) -> Result<Size>; }
    }
    serves { fn a(&self, x: Size) -> Result<Size> { Ok(x) } }
    calls { |c| Ok(c.a(&Size { width: 1, height: 2 })?.width == 1), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Size { columns: u32, height: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed28")]
        pub(crate) trait Thing { fn a(&self, x: Size) -> Result<Size>; }
    }
    calls { |c| Ok(c.a(&Size { columns: 1, height: 2 })?.columns == 1), }
}

change! { a_struct_that_can_grow_only_now: incompatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed29")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    serves { fn a(&self, _: Job) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&Job { name: "a".into() }).map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed29")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
}

change! { another_default: compatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added(default = 1)] copies: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed2a")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<u32>; }
    }
    serves { fn a(&self, x: Job) -> Result<u32> { Ok(x.copies) } }
    calls { |c| Ok(c.a(&Job::new("a".into()).with_copies(5))? == 5), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added(default = 2)] copies: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed2a")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<u32>; }
    }
}

// Enums.

change! { a_variant_of_a_growable_enum: compatible, no_more;
    old {
        #[derive(Debug, PartialEq, Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { A4, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed30")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<bool>; fn b(&self, big: bool) -> Result<Paper>; }
    }
    serves {
        fn a(&self, x: Paper) -> Result<bool> { Ok(x == Paper::Unknown) }
        fn b(&self, _: bool) -> Result<Paper> { Ok(Paper::A4) }
    }
    calls {
        |c| Ok(!c.a(&Paper::A4)?),
        |c| Ok(c.b(false)? == Paper::A4),
        // The new server sends its new variant.
        |c| Ok(c.b(true)? == Paper::Unknown),
    }
    new {
        #[derive(Debug, PartialEq, Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { #[unknown] Unknown, A4, A3 { trays: Vec<u8> } }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed30")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<bool>; fn b(&self, big: bool) -> Result<Paper>; }
    }
    serves {
        fn a(&self, x: Paper) -> Result<bool> { Ok(x == Paper::Unknown) }
        fn b(&self, big: bool) -> Result<Paper> {
            Ok(if big { Paper::A3 { trays: vec![1] } } else { Paper::A4 })
        }
    }
    calls {
        |c| Ok(!c.a(&Paper::A4)?),
        |c| Ok(c.b(false)? == Paper::A4),
        |c| c.a(&Paper::A3 { trays: vec![1, 2] }),
    }
}

change! { a_variant_with_a_handle: compatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) enum State { Idle, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed31")]
        pub(crate) trait Thing { fn a(&self, x: State) -> Result<()>; fn b(&self, busy: bool) -> Result<State>; }
    }
    serves {
        fn a(&self, _: State) -> Result<()> { Ok(()) }
        fn b(&self, _: bool) -> Result<State> { Ok(State::Idle) }
    }
    calls { |c| c.a(&State::Idle).map(|()| true), |c| Ok(matches!(c.b(false)?, State::Idle)), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) enum State { Idle, Busy(Event), #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed31")]
        pub(crate) trait Thing { fn a(&self, x: State) -> Result<()>; fn b(&self, busy: bool) -> Result<State>; }
    }
    serves {
        fn a(&self, _: State) -> Result<()> { Ok(()) }
        fn b(&self, busy: bool) -> Result<State> {
            Ok(if busy { State::Busy(event()) } else { State::Idle })
        }
    }
    more { (|c| c.a(&State::Busy(event())).map(|()| true), Incompatible), }
    lost { (|c| c.b(true).map(|_| true), Incompatible), }
}

change! { a_variant_of_a_fixed_enum_in_arguments: compatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Paper { A4 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed32")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<()>; }
    }
    serves { fn a(&self, _: Paper) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&Paper::A4).map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Paper { A4, A3 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed32")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<()>; }
    }
    more { (|c| c.a(&Paper::A3).map(|()| true), Malformed), }
}

change! { a_variant_of_a_fixed_enum_in_a_result: incompatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Paper { A4 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed33")]
        pub(crate) trait Thing { fn a(&self) -> Result<Paper>; }
    }
    serves { fn a(&self) -> Result<Paper> { Ok(Paper::A4) } }
    calls { |c| Ok(matches!(c.a()?, Paper::A4)), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Paper { A4, A3 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed33")]
        pub(crate) trait Thing { fn a(&self) -> Result<Paper>; }
    }
}

change! { a_variant_before_another_one: incompatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { A4, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed34")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<bool>; }
    }
    serves { fn a(&self, x: Paper) -> Result<bool> { Ok(matches!(x, Paper::A4)) } }
    calls { |c| c.a(&Paper::A4), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { A3, A4, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed34")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<bool>; }
    }
}

change! { a_renamed_variant: compatible, no_more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Paper { A3, A4 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed35")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<Paper>; }
    }
    serves { fn a(&self, x: Paper) -> Result<Paper> { Ok(x) } }
    calls { |c| Ok(matches!(c.a(&Paper::A4)?, Paper::A4)), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) enum Paper { A3, Letter }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed35")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<Paper>; }
    }
    calls { |c| Ok(matches!(c.a(&Paper::Letter)?, Paper::Letter)), }
}

change! { an_error_that_grows: compatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Wrong { text: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed36")]
        pub(crate) trait Thing { fn a(&self, full: bool) -> Result<(), CallError<Wrong>>; }
    }
    serves { fn a(&self, _: bool) -> Result<(), CallError<Wrong>> {
        Err(CallError::Method(Wrong::new("a".into())))
    } }
    calls { |c| match c.a(false) { Err(CallError::Method(wrong)) => Ok(wrong.text == "a"), other => other.map(|()| false).map_err(own) }, }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Wrong { text: String, #[added] log: Option<File> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed36")]
        pub(crate) trait Thing { fn a(&self, full: bool) -> Result<(), CallError<Wrong>>; }
    }
    serves { fn a(&self, full: bool) -> Result<(), CallError<Wrong>> {
        Err(CallError::Method(Wrong::new("a".into()).with_log(full.then(file))))
    } }
    lost { (|c| c.a(true).map(|()| true).map_err(own), Incompatible), }
}

// Bounds.

change! { narrower_bounds: incompatible, no_more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed40")]
        pub(crate) trait Thing { fn a(&self, #[range(1..=10)] x: u32) -> Result<()>; }
    }
    serves { fn a(&self, _: u32) -> Result<()> { Ok(()) } }
    calls { |c| c.a(3).map(|()| true), |c| c.a(10).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed40")]
        pub(crate) trait Thing { fn a(&self, #[range(1..=5)] x: u32) -> Result<()>; }
    }
}

change! { wider_bounds: compatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Job { #[range(1..=10)] pages: Vec<u8> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed41")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    serves { fn a(&self, _: Job) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&Job { pages: vec![0; 10] }).map(|()| true), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Job { #[range(0..=20)] pages: Vec<u8> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed41")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    more { (|c| c.a(&Job { pages: vec![0; 20] }).map(|()| true), Malformed), }
}

change! { other_bounds: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed42")]
        pub(crate) trait Thing { fn a(&self, #[range(1..=10)] x: u32) -> Result<()>; }
    }
    serves { fn a(&self, _: u32) -> Result<()> { Ok(()) } }
    calls { |c| c.a(3).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed42")]
        pub(crate) trait Thing { fn a(&self, #[range(11..=20)] x: u32) -> Result<()>; }
    }
    more { (|c| c.a(11).map(|()| true), Incompatible), }
}

change! { wider_bounds_in_a_result: incompatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Size { #[range(1..=10)] width: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed43")]
        pub(crate) trait Thing { fn a(&self) -> Result<Size>; }
    }
    serves { fn a(&self) -> Result<Size> { Ok(Size { width: 10 }) } }
    calls { |c| Ok(c.a()?.width >= 10), }
    new {
        #[derive(Debug, Encode, Decode)]
        pub(crate) struct Size { #[range(1..=20)] width: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed43")]
        pub(crate) trait Thing { fn a(&self) -> Result<Size>; }
    }
    serves { fn a(&self) -> Result<Size> { Ok(Size { width: 20 }) } }
}

// Handles and objects.

change! { more_kinds_of_handles: compatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed50")]
        pub(crate) trait Thing { fn a(&self, #[handle(file)] x: OwnedHandle) -> Result<()>; }
    }
    serves { fn a(&self, _: OwnedHandle) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&file().into()).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed50")]
        pub(crate) trait Thing { fn a(&self, #[handle(file | pipe)] x: OwnedHandle) -> Result<()>; }
    }
    more { (|c| c.a(&reader()).map(|()| true), WrongHandle), }
}

change! { more_rights: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed51")]
        pub(crate) trait Thing { fn a(&self, #[handle(file, read)] x: File) -> Result<()>; }
    }
    serves { fn a(&self, _: File) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&file()).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed51")]
        pub(crate) trait Thing { fn a(&self, #[handle(file, read | write)] x: File) -> Result<()>; }
    }
}

change! { another_kind_of_handle: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed52")]
        pub(crate) trait Thing { fn a(&self, x: File) -> Result<()>; }
    }
    serves { fn a(&self, _: File) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&file()).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed52")]
        pub(crate) trait Thing { fn a(&self, x: Event) -> Result<()>; }
    }
    serves { fn a(&self, _: Event) -> Result<()> { Ok(()) } }
    calls { |c| c.a(&event()).map(|()| true), }
}

change! { another_kind_of_handle_in_a_result: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed53")]
        pub(crate) trait Thing { #[handle(file)] fn a(&self) -> Result<OwnedHandle>; }
    }
    serves { fn a(&self) -> Result<OwnedHandle> { Ok(file().into()) } }
    calls { |c| c.a().map(|_| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed53")]
        pub(crate) trait Thing { #[handle(file | pipe)] fn a(&self) -> Result<OwnedHandle>; }
    }
    serves { fn a(&self) -> Result<OwnedHandle> { Ok(reader()) } }
}

/// The interfaces of the objects below.
mod objects {
    use syshandle::{Result, interface};

    #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed61")]
    pub(super) trait One {
        fn one(&self) -> Result<()>;
    }

    #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed62")]
    pub(super) trait Two {
        fn two(&self) -> Result<()>;
    }

    impl One for super::Served {
        fn one(&self) -> Result<()> {
            Ok(())
        }
    }

    impl Two for super::Served {
        fn two(&self) -> Result<()> {
            Ok(())
        }
    }
}

change! { an_object_with_another_interface: incompatible, more;
    old {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed60")]
        pub(crate) trait Thing { fn a(&self, x: OneClient) -> Result<()>; }
    }
    serves { fn a(&self, x: OneClient) -> Result<()> { x.one() } }
    calls { |c| c.a(&OneClient::in_process(Served)?).map(|()| true), }
    new {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed60")]
        pub(crate) trait Thing { fn a(&self, x: TwoClient) -> Result<()>; }
    }
    serves { fn a(&self, x: TwoClient) -> Result<()> { x.two() } }
    calls { |c| c.a(&TwoClient::in_process(Served)?).map(|()| true), }
}

change! { an_added_object: compatible, more;
    old {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed63")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<Job>; }
    }
    serves { fn a(&self, x: Job) -> Result<Job> { Ok(x) } }
    calls { |c| Ok(c.a(&Job::new("a".into()))?.name == "a"), }
    new {
        #[derive(Debug, Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] done: Option<OneClient> }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ed63")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<Job>; }
    }
    serves { fn a(&self, x: Job) -> Result<Job> {
        Ok(match x.name.as_str() {
            "full" => x.with_done(Some(OneClient::in_process(Served)?)),
            _ => x,
        })
    } }
    more { (|c| {
        let done = Some(OneClient::in_process(Served)?);
        c.a(&Job::new("a".into()).with_done(done)).map(|_| true)
    }, Incompatible), }
    lost { (|c| c.a(&Job::new("full".into())).map(|_| true), Incompatible), }
}
