//! Errors of methods, as the caller receives them.

use std::io;
use std::time::Duration;

use syshandle::describe::Type;
use syshandle::generated::{DecodeError, Decoder, Encoder};
#[cfg(not(windows))]
use syshandle::object::Proxy;
use syshandle::testing::simulated_error;
use syshandle::{
    CallError, Context, Decode, Encode, Error, ErrorKind, Result, class, describe::Describe,
    handle::Event, interface,
};

#[cfg(not(windows))]
use crate::support::world::World;

/// An interface whose methods fail in the way that the caller requests.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a11")]
pub(crate) trait Failing {
    fn io(&self, errno: Option<i32>) -> Result<()>;
    fn fail(&self, number: u8, may_have_run: bool) -> Result<()>;
    fn simulate(&self, number: u8, may_have_run: bool) -> Result<()>;
    /// Starts background tasks until its client may start no more, and passes on the error.
    fn start_tasks(&self, context: &Context, refuse: bool) -> Result<()>;
    /// Passes on the error of another call.
    fn pass_on(&self, refuse: bool) -> Result<()>;
    fn abort(&self, context: &Context) -> Result<()>;
    fn set_up(&self, setup: Setup) -> Result<()>;
    fn list(&self, rings: Vec<Ring>, #[range(0..=3)] count: u8) -> Result<()>;
    fn typed(&self, source: Source) -> std::result::Result<(), Source>;
    /// Succeeds, refuses the call, fails with an [`Error`], or fails with its own error type.
    fn typed_or_not(&self, how: How) -> std::result::Result<u8, CallError<Source>>;
    fn take(&self, tree: Tree) -> Result<()>;
    fn give(&self) -> Result<Vec<Tree>>;
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct Setup {
    name: String,
    rings: Vec<Ring>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct Ring {
    #[range(1..=64)]
    size: u32,
    pair: (u8, Option<Level>),
}

/// A number of which the server accepts only 0 to 9. The client can send any number.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Level(#[range(0..=9)] u8);

#[derive(Debug, Encode, Decode)]
pub(crate) enum Source {
    Inline { level: Level },
    Pair(u8, Level),
}

/// Selects how `typed_or_not` ends.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(crate) enum How {
    Well,
    OfItsOwn,
    Refused(u8),
    Failed(u8),
    OfTheSystem,
    Panicked,
}

/// Contains a value that can't be sent, several levels deep.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Tree {
    branches: Vec<Branch>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) enum Branch {
    Leaf(Unsendable),
    Pair { two: (u8, Option<Unsendable>) },
}

#[derive(Debug)]
pub(crate) struct Unsendable;

impl Encode for Unsendable {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.fail(syshandle_types::EncodeErrorKind::Value("so it is".into()));
    }
}

impl Decode for Unsendable {
    fn decode(_: &mut Decoder<'_>) -> std::result::Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Describe for Unsendable {
    const TYPE: Type = <() as Describe>::TYPE;
    type Argument<'a> = &'a Self;
    type Output = Self;
}

class! {
    pub(crate) FAILING: Failing = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d61";
}

/// The number of the error "access denied".
const DENIED: i32 = if cfg!(windows) { 5 } else { 13 };

/// The kinds that a method may report.
const KINDS: [ErrorKind; 15] = [
    ErrorKind::Failed,
    ErrorKind::NotAllowed,
    ErrorKind::Busy,
    ErrorKind::TimedOut,
    ErrorKind::WrongHandle,
    ErrorKind::Malformed,
    ErrorKind::TooLarge,
    ErrorKind::System,
    ErrorKind::NotRegistered,
    ErrorKind::BadRegistration,
    ErrorKind::Insecure,
    ErrorKind::NoRuntimeDirectory,
    ErrorKind::StartFailed,
    ErrorKind::ActivationDenied,
    ErrorKind::AlreadyRunning,
];

/// The kinds that only the runtime may report.
const RUNTIME_KINDS: [ErrorKind; 11] = [
    ErrorKind::NoSuchClass,
    ErrorKind::NoSuchInterface,
    ErrorKind::NoSuchMethod,
    ErrorKind::Unproven,
    ErrorKind::HandlesLost,
    ErrorKind::Cancelled,
    ErrorKind::OtherProcess,
    ErrorKind::Disconnected,
    ErrorKind::Violation,
    ErrorKind::Aborted,
    ErrorKind::Panicked,
];

/// Returns every kind, with its index.
fn kinds() -> impl Iterator<Item = (u8, ErrorKind)> {
    (0..).zip(KINDS.into_iter().chain(RUNTIME_KINDS))
}

fn kind(number: u8) -> ErrorKind {
    kinds().nth(number.into()).unwrap().1
}

pub(crate) struct FailingObject;

impl Failing for FailingObject {
    fn typed_or_not(&self, how: How) -> std::result::Result<u8, CallError<Source>> {
        match how {
            How::Well => Ok(7),
            How::OfItsOwn => Err(CallError::Method(Source::Pair(1, Level(2)))),
            How::Refused(number) => Err(Error::new(kind(number), "so it is").refused().into()),
            How::Failed(number) => Err(Error::new(kind(number), "so it is").into()),
            How::OfTheSystem => Err(io::Error::from_raw_os_error(DENIED))?,
            How::Panicked => panic!("so it is"),
        }
    }

    fn take(&self, _: Tree) -> Result<()> {
        Ok(())
    }

    fn give(&self) -> Result<Vec<Tree>> {
        let tree = |branches| Tree { branches };
        Ok(vec![tree(vec![]), tree(vec![Branch::Leaf(Unsendable)])])
    }

    fn io(&self, errno: Option<i32>) -> Result<()> {
        Err(match errno {
            Some(errno) => io::Error::from_raw_os_error(errno).into(),
            None => io::Error::new(io::ErrorKind::UnexpectedEof, "half a line").into(),
        })
    }

    fn fail(&self, number: u8, may_have_run: bool) -> Result<()> {
        let error = Error::new(kind(number), "so it is");
        Err(if may_have_run { error } else { error.refused() })
    }

    fn simulate(&self, number: u8, may_have_run: bool) -> Result<()> {
        let error = simulated_error(kind(number), "so it is");
        Err(if may_have_run { error } else { error.refused() })
    }

    fn start_tasks(&self, context: &Context, refuse: bool) -> Result<()> {
        loop {
            let task = context.on_timer(Duration::MAX, drop);
            task.map_err(|error| if refuse { error.refused() } else { error })?;
        }
    }

    fn pass_on(&self, refuse: bool) -> Result<()> {
        let other: FailingClient = FAILING.in_process(Self)?;
        let error = other.fail(2, false).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
        Err(if refuse { error.refused() } else { error })
    }

    fn abort(&self, context: &Context) -> Result<()> {
        context.abort("enough");
        Ok(())
    }

    fn set_up(&self, _: Setup) -> Result<()> {
        Ok(())
    }

    fn list(&self, _: Vec<Ring>, _: u8) -> Result<()> {
        Ok(())
    }

    fn typed(&self, source: Source) -> std::result::Result<(), Source> {
        Err(source)
    }
}

fn failing() -> FailingClient {
    FailingClient::in_process(FailingObject).unwrap()
}

#[test]
fn an_error_of_the_system_keeps_its_kind_and_number_on_its_way_to_the_caller() {
    let failing = failing();
    let denied = failing.io(Some(DENIED)).unwrap_err();
    assert_eq!((denied.kind(), denied.may_have_run()), (ErrorKind::Failed, true));
    assert_eq!(denied.raw_os_error(), Some(DENIED));
    assert_eq!(denied.io_kind(), Some(io::ErrorKind::PermissionDenied));
    let text = io::Error::from_raw_os_error(DENIED).to_string();
    assert_eq!(denied.to_string(), format!("Failing::io: {text}"));
    let short = failing.io(None).unwrap_err();
    assert_eq!((short.raw_os_error(), short.io_kind()), (None, Some(io::ErrorKind::UnexpectedEof)));
    let none = failing.fail(0, true).unwrap_err();
    assert_eq!((none.raw_os_error(), none.io_kind()), (None, None));
}

#[test]
fn a_method_can_fail_and_refuse_with_each_kind_that_it_may_report() {
    let failing = failing();
    for (number, kind) in kinds() {
        let expected = if KINDS.contains(&kind) { kind } else { ErrorKind::Failed };
        for may_have_run in [false, true] {
            let error = failing.fail(number, may_have_run).unwrap_err();
            assert_eq!((error.kind(), error.may_have_run()), (expected, may_have_run), "{kind:?}");
            assert_eq!(error.to_string(), "Failing::fail: so it is");
        }
    }
}

#[test]
fn a_fake_can_fail_and_refuse_with_every_kind() {
    let one: FailingClient = FailingClient::in_process(FailingObject).unwrap();
    let of_class: FailingClient = FAILING.in_process(FailingObject).unwrap();
    let cast: FailingClient = of_class.cast().unwrap();
    for failing in [one, of_class, cast] {
        for (number, kind) in kinds() {
            for may_have_run in [false, true] {
                let error = failing.simulate(number, may_have_run).unwrap_err();
                assert_eq!((error.kind(), error.may_have_run()), (kind, may_have_run));
                assert_eq!(error.to_string(), "Failing::simulate: so it is");
            }
        }
    }
}

#[test]
fn a_method_with_an_error_type_of_its_own_can_also_refuse_and_fail_with_each_kind() {
    let failing = failing();
    assert_eq!(failing.typed_or_not(&How::Well).unwrap(), 7);
    let own = failing.typed_or_not(&How::OfItsOwn).unwrap_err();
    assert!(matches!(own, CallError::Method(Source::Pair(1, Level(2)))), "{own:?}");
    let call = |how| match failing.typed_or_not(&how) {
        Err(CallError::Call(error)) => error,
        other => panic!("{other:?}"),
    };
    for (number, kind) in kinds() {
        let expected = if KINDS.contains(&kind) { kind } else { ErrorKind::Failed };
        for (how, may_have_run) in [(How::Refused(number), false), (How::Failed(number), true)] {
            let error = call(how);
            assert_eq!((error.kind(), error.may_have_run()), (expected, may_have_run), "{kind:?}");
            assert_eq!(error.to_string(), "Failing::typed_or_not: so it is");
        }
    }
    let error = call(How::OfTheSystem);
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::Failed, Some(DENIED)));
    let error = call(How::Panicked);
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Panicked, true));
}

#[test]
fn a_value_that_cannot_be_sent_is_named_by_its_place_in_the_arguments() {
    let failing = failing();
    let place = |branches| {
        let error = failing.take(&Tree { branches }).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Malformed, false));
        let text = error.to_string();
        let rest =
            text.strip_prefix("Failing::take: parameter `").unwrap_or_else(|| panic!("{text}"));
        let (place, why) = rest.split_once("`: ").unwrap();
        assert_eq!(why, "a value can't be encoded: so it is");
        place.to_owned()
    };
    let none = || Branch::Pair { two: (1, None) };
    assert_eq!(place(vec![none(), Branch::Leaf(Unsendable)]), "tree.branches[1].Leaf.0");
    // The error names the first value that can't be sent.
    let branches =
        vec![none(), Branch::Pair { two: (1, Some(Unsendable)) }, Branch::Leaf(Unsendable)];
    assert_eq!(place(branches), "tree.branches[1].Pair.two.1");
}

#[test]
fn a_value_that_cannot_be_sent_is_named_by_its_place_in_the_result() {
    let error = failing().give().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::System, true));
    let expected = "Failing::give: the result can't be sent: `[1].branches[0].Leaf.0`: \
                    a value can't be encoded: so it is";
    assert_eq!(error.to_string(), expected);
}

/// An interface that an object of the class `PAIR` has too.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a12")]
trait Titled {
    fn title(&self) -> Result<String>;
}

/// An interface that no object has.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1a13")]
trait Absent {
    fn nothing(&self) -> Result<()>;
}

class! {
    PAIR: Failing + Titled = "3a0b5a5e-6f1c-4a0e-8d7b-1f0c9b3e2d52";
}

impl Titled for FailingObject {
    fn title(&self) -> Result<String> {
        Ok("so it is".into())
    }
}

#[test]
fn an_object_made_from_one_interface_says_how_to_make_one_with_all_interfaces_of_its_class() {
    let error = failing().cast::<TitledClient>().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::NoSuchInterface, false));
    let expected = "the object has no interface `Titled`, only `Failing`: `CLASS.in_process(…)` \
                    makes an object with all interfaces of its class";
    assert_eq!(error.to_string(), expected);
    let pair: FailingClient = PAIR.in_process(FailingObject).unwrap();
    let text = pair.cast::<AbsentClient>().unwrap_err().to_string();
    assert_eq!(text, "the object has no interface `Absent`, only `Failing`, `Titled`");
}

#[test]
fn an_error_that_a_method_passes_on_says_nothing_about_the_callers_own_call() {
    let error = failing().pass_on(false).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Failed, true));
    assert_eq!(error.to_string(), "Failing::pass_on: Failing::fail: so it is");
    // With `refused`, the method states that it had no effects. The caller then gets the kind of the
    // error that the method passes on.
    let error = failing().pass_on(true).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, false));
}

// On Windows, the waits of this test take a thousand threads of the thread pool.
#[cfg(not(windows))]
#[test]
fn an_error_of_the_context_that_a_method_passes_on_keeps_its_kind() {
    // A server of its own, because this client starts as many background tasks as it may have.
    let world = World::new();
    let failing: FailingClient = world.activate(FAILING);
    for (refuse, may_have_run) in [(false, true), (true, false)] {
        let error = failing.start_tasks(refuse).unwrap_err();
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Busy, may_have_run));
        assert!(error.to_string().starts_with("Failing::start_tasks: "), "{error}");
    }
}

// On Windows, `tests/com` has this test.
#[cfg(not(windows))]
#[test]
fn a_method_of_another_process_forges_no_kind_that_only_the_runtime_reports() {
    let world = World::new();
    let failing: FailingClient = world.activate(FAILING);
    assert_ne!(failing.as_client().server().unwrap().pid, std::process::id());
    for (number, kind) in kinds() {
        let expected = if KINDS.contains(&kind) { kind } else { ErrorKind::Failed };
        for may_have_run in [false, true] {
            for error in [
                failing.fail(number, may_have_run).unwrap_err(),
                failing.simulate(number, may_have_run).unwrap_err(),
            ] {
                assert_eq!((error.kind(), error.may_have_run()), (expected, may_have_run));
            }
        }
        let own = match failing.typed_or_not(&How::Failed(number)) {
            Err(CallError::Call(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!((own.kind(), own.may_have_run()), (expected, true), "{kind:?}");
    }
    let error = failing.pass_on(false).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Failed, true));
}

#[test]
fn a_connection_that_the_server_aborts_is_not_a_method_that_failed() {
    let failing = failing();
    let error = failing.abort().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, true));
    assert_eq!(error.to_string(), "Failing::abort: enough");
    let error = failing.io(None).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Aborted, false));
}

#[test]
fn a_wait_that_timed_out_does_not_say_that_something_did_not_run() {
    let failing = failing();
    let event = Event::new().unwrap();
    event.set().unwrap();
    // Connects, so that the short time is for the wait alone.
    failing.wait(&event).unwrap();
    let hasty = failing.with_timeout(Duration::from_millis(20));
    let error = hasty.wait(&event).unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::TimedOut, true));
    assert_eq!(format!("{error:?}"), "timed out waiting for the object (TimedOut)");
}

fn ring(size: u32, level: Option<u8>) -> Ring {
    Ring { size, pair: (1, level.map(Level)) }
}

#[test]
fn an_error_within_a_value_names_the_field() {
    let failing = failing();
    let text = |error: Error| {
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Malformed, false));
        error.to_string()
    };
    let setup = |rings| Setup { name: "s".into(), rings };
    let good = || ring(1, Some(9));
    failing.set_up(&setup(vec![good(), good(), good()])).unwrap();
    let error = failing.set_up(&setup(vec![good(), good(), ring(65, None)])).unwrap_err();
    let expected = "Failing::set_up: parameter `setup.rings[2].size`: expected 1 to 64, got 65";
    assert_eq!(text(error), expected);
    let error = failing.set_up(&setup(vec![ring(1, Some(10))])).unwrap_err();
    let expected = "Failing::set_up: parameter `setup.rings[0].pair.1.0`: expected 0 to 9, got 10";
    assert_eq!(text(error), expected);
    let error = failing.list(&[good(), ring(0, None)], 0).unwrap_err();
    assert_eq!(text(error), "Failing::list: parameter `rings[1].size`: expected 1 to 64, got 0");
    let error = failing.list(&[], 4).unwrap_err();
    assert_eq!(text(error), "Failing::list: parameter `count`: expected 0 to 3, got 4");
    for (source, place) in [
        (Source::Inline { level: Level(10) }, "source.Inline.level.0"),
        (Source::Pair(1, Level(10)), "source.Pair.1.0"),
    ] {
        let Err(CallError::Call(error)) = failing.typed(&source) else { panic!("it was taken") };
        let expected = format!("Failing::typed: parameter `{place}`: expected 0 to 9, got 10");
        assert_eq!(text(error), expected);
    }
}

#[test]
fn an_object_of_a_class_in_this_process_has_all_interfaces_of_the_class() {
    let pair: FailingClient = PAIR.in_process(FailingObject).unwrap();
    pair.take(&Tree { branches: Vec::new() }).unwrap();
    assert_eq!(pair.cast::<TitledClient>().unwrap().title().unwrap(), "so it is");
    let error = pair.cast::<AbsentClient>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchInterface);
    let error = PAIR.in_process::<AbsentClient, _>(FailingObject).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchInterface);
}
