//! Types that grow: programs with an old and a new version of an interface work together, and
//! nothing is misread.

use std::collections::BTreeMap;
use std::io::{PipeReader, Read};
use std::sync::Mutex;

use syshandle::describe::{Definition, Describe, Growth, Type};
use syshandle::handle::OwnedHandle;
use syshandle::{CallError, Error, ErrorKind};

use crate::support::pipe;

/// The first version of an interface.
mod old {
    use std::collections::{BTreeMap, BTreeSet};

    use syshandle::{CallError, Decode, Encode, Result, handle::OwnedHandle, interface};

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(crate) struct Job {
        pub(crate) name: String,
        #[handle(pipe, write)]
        pub(crate) log: Option<OwnedHandle>,
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
    #[grows]
    pub(crate) enum Mode {
        #[unknown]
        Unknown,
        Fast,
        Slow(u8),
    }

    #[derive(Debug, Encode, Decode)]
    pub(crate) struct Outer {
        pub(crate) before: u8,
        pub(crate) job: Box<Job>,
        pub(crate) mode: Mode,
        pub(crate) after: u8,
    }

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(crate) struct Failure {
        pub(crate) text: String,
    }

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b01")]
    pub(crate) trait Jobs {
        fn run(&self, job: Job, #[handle(pipe, write)] last: OwnedHandle) -> Result<String>;
        fn run_all(
            &self,
            outer: Outer,
            list: Vec<Job>,
            map: BTreeMap<u8, Option<Job>>,
            #[handle(pipe, write)] last: OwnedHandle,
        ) -> Result<String>;
        fn get(&self, what: u8) -> Result<Job>;
        fn get_all(&self, what: u8) -> Result<(Outer, Vec<Job>, u8)>;
        fn fail(&self, what: u8) -> Result<(), CallError<Failure>>;
        fn mode(&self, mode: Mode) -> Result<String>;
        fn modes(&self, modes: BTreeSet<(u8, Mode)>) -> Result<usize>;
        fn chosen(&self, what: u8) -> Result<Mode>;
        fn back(&self, mode: Mode) -> Result<Mode>;
    }
}

/// The second version of the interface.
mod new {
    use std::collections::{BTreeMap, BTreeSet};

    use syshandle::{CallError, Decode, Encode, Result, handle::OwnedHandle, interface};

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(crate) struct Job {
        pub(crate) name: String,
        #[handle(pipe, write)]
        pub(crate) log: Option<OwnedHandle>,
        #[added(default = 1)]
        pub(crate) copies: u32,
        #[added]
        #[handle(pipe, write)]
        pub(crate) done: Option<OwnedHandle>,
        #[added(required)]
        pub(crate) pages_max: Option<u32>,
        #[added]
        pub(crate) notes: Vec<String>,
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
    #[grows]
    pub(crate) enum Mode {
        Fast,
        Slow(u8),
        Careful {
            level: u8,
            name: String,
        },
        #[unknown]
        Unknown,
    }

    #[derive(Debug, Encode, Decode)]
    pub(crate) struct Outer {
        pub(crate) before: u8,
        pub(crate) job: Box<Job>,
        pub(crate) mode: Mode,
        pub(crate) after: u8,
    }

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(crate) struct Failure {
        pub(crate) text: String,
        #[added]
        pub(crate) line: u32,
        #[added]
        #[handle(pipe, write)]
        pub(crate) report: Option<OwnedHandle>,
    }

    #[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1b01")]
    pub(crate) trait Jobs {
        fn run(&self, job: Job, #[handle(pipe, write)] last: OwnedHandle) -> Result<String>;
        fn run_all(
            &self,
            outer: Outer,
            list: Vec<Job>,
            map: BTreeMap<u8, Option<Job>>,
            #[handle(pipe, write)] last: OwnedHandle,
        ) -> Result<String>;
        fn get(&self, what: u8) -> Result<Job>;
        fn get_all(&self, what: u8) -> Result<(Outer, Vec<Job>, u8)>;
        fn fail(&self, what: u8) -> Result<(), CallError<Failure>>;
        fn mode(&self, mode: Mode) -> Result<String>;
        fn modes(&self, modes: BTreeSet<(u8, Mode)>) -> Result<usize>;
        fn chosen(&self, what: u8) -> Result<Mode>;
        fn back(&self, mode: Mode) -> Result<Mode>;
    }
}

/// The servers of both versions.
#[derive(Default)]
struct Server {
    /// The writing end of a pipe, which the results contain.
    writer: Mutex<Option<OwnedHandle>>,
}

impl Server {
    fn with(writer: OwnedHandle) -> Self {
        Self { writer: Mutex::new(Some(writer)) }
    }

    fn writer(&self) -> Option<OwnedHandle> {
        self.writer.lock().unwrap().take()
    }
}

macro_rules! server {
    ($version:ident) => {
        impl $version::Jobs for Server {
            fn run(&self, job: $version::Job, last: OwnedHandle) -> syshandle::Result<String> {
                write(&last, "last");
                Ok(job.text())
            }

            fn run_all(
                &self,
                outer: $version::Outer,
                list: Vec<$version::Job>,
                map: BTreeMap<u8, Option<$version::Job>>,
                last: OwnedHandle,
            ) -> syshandle::Result<String> {
                write(&last, "last");
                let list: Vec<_> = list.iter().map($version::Job::text).collect();
                let map: Vec<_> = map
                    .iter()
                    .map(|(key, job)| {
                        format!("{key} {}", job.as_ref().map_or("-".into(), |job| job.text()))
                    })
                    .collect();
                let $version::Outer { before, job, mode, after } = outer;
                let job = job.text();
                Ok(format!(
                    "{before} {job} {mode:?} {after}; {}; {}",
                    list.join(", "),
                    map.join(", ")
                ))
            }

            fn get(&self, what: u8) -> syshandle::Result<$version::Job> {
                Ok($version::Job::result(what, self.writer()))
            }

            fn get_all(
                &self,
                what: u8,
            ) -> syshandle::Result<($version::Outer, Vec<$version::Job>, u8)> {
                let job = Box::new($version::Job::result(what, None));
                let mode = $version::Mode::Slow(2);
                let outer = $version::Outer { before: 1, job, mode, after: 2 };
                let list = vec![
                    $version::Job::result(0, None),
                    $version::Job::result(what, self.writer()),
                ];
                Ok((outer, list, 3))
            }

            fn fail(&self, what: u8) -> Result<(), CallError<$version::Failure>> {
                Err(CallError::Method($version::Failure::result(what, self.writer())))
            }

            fn mode(&self, mode: $version::Mode) -> syshandle::Result<String> {
                Ok(format!("{mode:?}"))
            }

            fn modes(
                &self,
                modes: std::collections::BTreeSet<(u8, $version::Mode)>,
            ) -> syshandle::Result<usize> {
                Ok(modes.len())
            }

            fn chosen(&self, what: u8) -> syshandle::Result<$version::Mode> {
                Ok($version::Mode::result(what))
            }

            fn back(&self, mode: $version::Mode) -> syshandle::Result<$version::Mode> {
                Ok(mode)
            }
        }
    };
}
server!(old);
server!(new);

impl old::Job {
    fn text(&self) -> String {
        if let Some(log) = &self.log {
            write(log, "log");
        }
        self.name.clone()
    }

    fn result(_: u8, log: Option<OwnedHandle>) -> Self {
        Self::new("made".into(), log)
    }
}

impl new::Job {
    fn text(&self) -> String {
        for (handle, text) in [(&self.log, "log"), (&self.done, "done")] {
            if let Some(handle) = handle {
                write(handle, text);
            }
        }
        let Self { name, copies, pages_max, notes, .. } = self;
        format!("{name} {copies} {pages_max:?} {notes:?}")
    }

    /// Makes a result: 0 without, 1 with an added handle, 2 with a required field.
    fn result(what: u8, done: Option<OwnedHandle>) -> Self {
        let job = Self::new("made".into(), None).with_notes(vec!["note".into()]);
        match what {
            0 => job,
            1 => job.with_done(done),
            _ => job.with_pages_max(Some(7)),
        }
    }
}

impl old::Failure {
    fn result(_: u8, _: Option<OwnedHandle>) -> Self {
        Self::new("failed".into())
    }
}

impl new::Failure {
    fn result(what: u8, report: Option<OwnedHandle>) -> Self {
        let report = if what == 1 { report } else { None };
        Self::new("failed".into()).with_line(7).with_report(report)
    }
}

impl old::Mode {
    fn result(_: u8) -> Self {
        Self::Slow(3)
    }
}

impl new::Mode {
    fn result(what: u8) -> Self {
        match what {
            0 => Self::Slow(3),
            _ => Self::Careful { level: 1, name: "x".into() },
        }
    }
}

fn write(pipe: &OwnedHandle, text: &str) {
    rustix::io::write(pipe, text.as_bytes()).unwrap();
}

/// Reads a pipe until every copy of its writing end is closed.
fn drain(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

/// Returns clients of the old and of the new version of one object, which the old or the new version
/// of the server serves.
fn old_server() -> (old::JobsClient, new::JobsClient) {
    let client = old::JobsClient::in_process(Server::default()).unwrap();
    let other = client.cast().unwrap();
    (client, other)
}

fn new_server(server: Server) -> (old::JobsClient, new::JobsClient) {
    let client = new::JobsClient::in_process(server).unwrap();
    (client.cast().unwrap(), client)
}

/// Checks that a call failed, that it did not run, and what its error says.
#[track_caller]
fn assert_not_run(error: &Error, text: &str) {
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    assert!(!error.may_have_run(), "{error}");
    let shown = error.to_string();
    assert!(shown.contains(text), "{shown}");
}

#[test]
fn an_old_client_gets_defaults_in_a_new_server() {
    let (client, _) = new_server(Server::default());
    let (log, writer) = pipe();
    let (last, last_writer) = pipe();
    let job = old::Job::new("print".into(), Some(writer));
    assert_eq!(client.run(&job, &last_writer).unwrap(), "print 1 None []");
    drop((job, last_writer));
    assert_eq!((drain(log), drain(last)), ("log".into(), "last".into()));
}

#[test]
fn a_new_client_works_with_a_new_server() {
    let (_, client) = new_server(Server::default());
    let (done, writer) = pipe();
    let (last, last_writer) = pipe();
    let job = new::Job::new("print".into(), None)
        .with_copies(2)
        .with_done(Some(writer))
        .with_pages_max(Some(9))
        .with_notes(vec!["a".into()]);
    assert_eq!(client.run(&job, &last_writer).unwrap(), "print 2 Some(9) [\"a\"]");
    drop((job, last_writer));
    assert_eq!((drain(done), drain(last)), ("done".into(), "last".into()));
}

#[test]
fn an_old_server_skips_the_plain_fields_of_a_new_client() {
    let (_, client) = old_server();
    let (log, writer) = pipe();
    let (last, last_writer) = pipe();
    let job =
        new::Job::new("print".into(), Some(writer)).with_copies(2).with_notes(vec!["a".into()]);
    assert_eq!(client.run(&job, &last_writer).unwrap(), "print");
    drop((job, last_writer));
    assert_eq!((drain(log), drain(last)), ("log".into(), "last".into()));
}

#[test]
fn a_handle_in_an_unknown_field_is_closed_and_the_call_does_not_run() {
    let (_, client) = old_server();
    let (log, log_writer) = pipe();
    let (done, done_writer) = pipe();
    let (last, last_writer) = pipe();
    let job = new::Job::new("print".into(), Some(log_writer)).with_done(Some(done_writer));
    let error = client.run(&job, &last_writer).unwrap_err();
    assert_not_run(
        &error,
        "1 handle is in an unknown field: the receiver's version of `Job` has 2 fields",
    );
    assert!(error.to_string().contains("`job`"), "{error}");
    drop((job, last_writer));
    // The method did not write, and the server holds none of the handles.
    assert_eq!([drain(log), drain(done), drain(last)], ["", "", ""]);
}

#[test]
fn a_required_field_that_is_set_is_refused_by_an_old_server() {
    let (_, client) = old_server();
    let (_last, last) = pipe();
    let job = new::Job::new("print".into(), None).with_pages_max(Some(9));
    let error = client.run(&job, &last).unwrap_err();
    assert_not_run(
        &error,
        "field 5 is required and unknown: the receiver's version of `Job` has 2 fields",
    );
    // With its default, the field requires nothing.
    assert_eq!(client.run(&job.with_pages_max(None), &last).unwrap(), "print");
}

#[test]
fn nested_values_lists_and_maps_grow() {
    let make = |name: &str| new::Job::new(name.into(), None).with_notes(vec!["n".into()]);
    let outer = |mode| new::Outer { before: 7, job: Box::new(make("in")), mode, after: 8 };
    let map = || BTreeMap::from([(1, Some(make("one"))), (2, None), (3, Some(make("three")))]);
    let (last, writer) = pipe();

    let (old_client, new_client) = old_server();
    let careful = new::Mode::Careful { level: 1, name: "x".into() };
    let text =
        new_client.run_all(&outer(careful), &[make("a"), make("b")], &map(), &writer).unwrap();
    assert_eq!(text, "7 in Unknown 8; a, b; 1 one, 2 -, 3 three");
    // A handle in any unknown field is found.
    let (done, done_writer) = pipe();
    let with_handle = make("b").with_done(Some(done_writer));
    let error = new_client
        .run_all(&outer(new::Mode::Fast), &[make("a"), with_handle], &map(), &writer)
        .unwrap_err();
    assert_not_run(&error, "1 handle is in an unknown field");
    assert!(error.to_string().contains("`list[1]`"), "{error}");
    assert_eq!(drain(done), "");
    let mut map_with_limit = map();
    map_with_limit.insert(3, Some(make("three").with_pages_max(Some(1))));
    let error =
        new_client.run_all(&outer(new::Mode::Fast), &[], &map_with_limit, &writer).unwrap_err();
    assert_not_run(&error, "field 5 is required");

    let (old_to_new, _) = new_server(Server::default());
    let make = |name: &str| old::Job::new(name.into(), None);
    let outer =
        old::Outer { before: 7, job: Box::new(make("in")), mode: old::Mode::Slow(1), after: 8 };
    let list = [make("a"), make("b")];
    let map = BTreeMap::from([(1, Some(make("one"))), (2, None)]);
    let text = old_to_new.run_all(&outer, &list, &map, &writer).unwrap();
    assert_eq!(text, "7 in 1 None [] Slow(1) 8; a 1 None [], b 1 None []; 1 one 1 None [], 2 -");
    let text = old_client.run_all(&outer, &list, &map, &writer).unwrap();
    assert_eq!(text, "7 in Slow(1) 8; a, b; 1 one, 2 -");
    drop(writer);
    assert_eq!(drain(last), "lastlastlast");
}

#[test]
fn a_result_with_an_unknown_handle_or_a_required_field_is_an_error_of_the_client() {
    for what in [1, 2] {
        let (reader, writer) = pipe();
        let client = new::JobsClient::in_process(Server::with(writer)).unwrap();
        let client: old::JobsClient = client.cast().unwrap();
        let errors = match what {
            1 => ["1 handle is in an unknown field", "result"],
            _ => ["field 5 is required and unknown", "result"],
        };
        let error = client.get_all(what).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.may_have_run());
        for text in errors {
            assert!(error.to_string().contains(text), "{error}");
        }
        drop(client);
        assert_eq!(drain(reader), "");
    }
    let (reader, writer) = pipe();
    let (_, client) = new_server(Server::with(writer));
    let (outer, list, last) = client.get_all(1).unwrap();
    assert_eq!((outer.before, outer.after, last), (1, 2, 3));
    write(list[1].done.as_ref().unwrap(), "used");
    drop((list, client));
    assert_eq!(drain(reader), "used");
    let (client, _) = new_server(Server::default());
    let (outer, list, last) = client.get_all(0).unwrap();
    assert_eq!((outer.mode, outer.after, list.len(), last), (old::Mode::Slow(2), 2, 2, 3));
    let (_, client) = old_server();
    let (outer, list, last) = client.get_all(0).unwrap();
    assert_eq!((outer.job.copies, list[1].pages_max, last), (1, None, 3));
    assert_eq!(client.get(0).unwrap().notes, Vec::<String>::new());
}

#[test]
fn the_error_of_a_method_grows() {
    let (old_client, new_client) = new_server(Server::default());
    let CallError::Method(failure) = old_client.fail(0).unwrap_err() else { panic!("no failure") };
    assert_eq!(failure.text, "failed");
    let CallError::Method(failure) = new_client.fail(0).unwrap_err() else { panic!("no failure") };
    assert_eq!((failure.line, failure.report.is_some()), (7, false));
    let (_, new_client) = old_server();
    let CallError::Method(failure) = new_client.fail(0).unwrap_err() else { panic!("no failure") };
    assert_eq!((failure.text.as_str(), failure.line), ("failed", 0));
    // A handle in the error that the client doesn't know.
    let (reader, writer) = pipe();
    let (old_client, new_client) = new_server(Server::with(writer));
    let CallError::Call(error) = old_client.fail(1).unwrap_err() else { panic!("a failure") };
    assert!(error.to_string().contains("1 handle is in an unknown field"), "{error}");
    assert!(error.may_have_run());
    drop((old_client, new_client));
    assert_eq!(drain(reader), "");
}

#[test]
fn an_unknown_variant_is_received_but_not_sent() {
    let (_, client) = old_server();
    let careful = new::Mode::Careful { level: 1, name: "x".into() };
    assert_eq!(client.mode(&careful).unwrap(), "Unknown");
    assert_eq!(client.mode(&new::Mode::Slow(7)).unwrap(), "Slow(7)");
    // A server can't send it back.
    let error = client.back(&careful).unwrap_err();
    assert!(error.to_string().contains("an unknown variant of `Mode` can't be sent"), "{error}");
    assert_eq!(client.back(&new::Mode::Fast).unwrap(), new::Mode::Fast);
    // And no client.
    let error = client.mode(&new::Mode::Unknown).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Incompatible, false));
    assert!(error.to_string().contains("an unknown variant of `Mode` can't be sent"), "{error}");
    let (client, _) = new_server(Server::default());
    assert_eq!(client.chosen(0).unwrap(), old::Mode::Slow(3));
    assert_eq!(client.chosen(1).unwrap(), old::Mode::Unknown);
    assert_eq!(client.back(&old::Mode::Fast).unwrap(), old::Mode::Fast);
}

#[test]
fn an_unknown_variant_is_no_key() {
    let (_, client) = old_server();
    let known = [(1, new::Mode::Fast), (2, new::Mode::Fast), (1, new::Mode::Slow(1))];
    assert_eq!(client.modes(&known.into()).unwrap(), 3);
    let careful = new::Mode::Careful { level: 1, name: "x".into() };
    let error = client.modes(&[(1, careful), (2, new::Mode::Fast)].into()).unwrap_err();
    assert_not_run(
        &error,
        "a key has an unknown variant: the receiver's version of `Mode` has 2 variants",
    );
}

#[test]
fn the_description_says_what_can_grow() {
    let Type::Named { definition, .. } = new::Job::TYPE else { panic!("another type") };
    let Definition::GrowableStruct(fields) = definition() else { panic!("no growable struct") };
    let growths: Vec<_> = fields.iter().map(|field| field.growth).collect();
    let (original, added) = (Growth::Original, Growth::Added);
    assert_eq!(growths, [original, original, added, added, Growth::Required, added]);
    let Type::Named { definition, .. } = old::Mode::TYPE else { panic!("another type") };
    let Definition::GrowableEnum { variants, unknown } = definition() else {
        panic!("no growable enum")
    };
    let names: Vec<_> = variants.iter().map(|variant| (variant.name, variant.value)).collect();
    assert_eq!((names, unknown), (vec![("Fast", 1), ("Slow", 2)], "Unknown"));
}
