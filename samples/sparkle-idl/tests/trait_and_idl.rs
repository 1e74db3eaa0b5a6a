//! Code generated from the `.idl` file and code from the trait can call each other.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::time::Duration;

use syshandle::{
    Context, Result,
    handle::Event,
    object::{Class, ClassInfo, Interface, Proxy},
    wait::Outcome,
};

/// Writes to the file when the event is signalled.
fn finish(context: &Context, mut file: File, when: Event) -> Result<Event> {
    let done = Event::new()?;
    let told = done.try_clone()?;
    context.on_signal(when, Duration::from_secs(10), move |outcome| {
        if matches!(outcome, Outcome::Fired) && file.write_all(b"Sparkly!\n").is_ok() {
            told.set().expect("an event");
        }
    })?;
    Ok(done)
}

struct ByIdl;

impl sparkle_idl::SparkleFinisher for ByIdl {
    fn add_sparkle_finish_to_file(
        &self,
        context: &Context,
        decorate_this_file: File,
        when_this_event_fires: Event,
    ) -> Result<Event> {
        finish(context, decorate_this_file, when_this_event_fires)
    }
}

struct ByTrait;

impl sparkle::SparkleFinisher for ByTrait {
    fn add_sparkle_finish_to_file(
        &self,
        context: &Context,
        decorate_this_file: File,
        when_this_event_fires: Event,
    ) -> Result<Event> {
        finish(context, decorate_this_file, when_this_event_fires)
    }
}

/// Lets a client finish a file, and returns the contents of the file.
fn finished(
    call: impl FnOnce(&File, &Event) -> Result<Event>,
    wait: impl FnOnce(&Event),
) -> String {
    let mut file = tempfile::tempfile().expect("a file");
    let ready = Event::new().expect("an event");
    let done = call(&file, &ready).expect("a call");
    file.write_all(b"Rinsing.\n").expect("a write");
    ready.set().expect("an event");
    wait(&done);
    let mut text = String::new();
    file.rewind().expect("a seek");
    file.read_to_string(&mut text).expect("a read");
    text
}

#[test]
fn client_of_the_trait_calls_server_of_the_idl_file() {
    let by_idl = sparkle_idl::SparkleFinisherClient::in_process(ByIdl).expect("a client");
    let client = sparkle::SparkleFinisherClient::from_client(by_idl.as_client().clone());
    let text = finished(
        |file, ready| client.add_sparkle_finish_to_file(file, ready),
        |done| client.wait(done).expect("an end"),
    );
    assert_eq!(text, "Rinsing.\nSparkly!\n");
}

#[test]
fn client_of_the_idl_file_calls_server_of_the_trait() {
    let by_trait = sparkle::SparkleFinisherClient::in_process(ByTrait).expect("a client");
    let client = sparkle_idl::SparkleFinisherClient::from_client(by_trait.as_client().clone());
    let text = finished(
        |file, ready| client.add_sparkle_finish_to_file(file, ready),
        |done| client.wait(done).expect("an end"),
    );
    assert_eq!(text, "Rinsing.\nSparkly!\n");
    // The trait declares rights for the file, and the `.idl` file doesn't. The server checks the
    // rights that the trait declares.
    let unwritable = File::open("/dev/null").expect("a file");
    let error = client
        .add_sparkle_finish_to_file(&unwritable, &Event::new().expect("an event"))
        .expect_err("a refusal");
    assert!(error.to_string().contains("expected read | write"), "{error}");
}

#[test]
fn both_describe_the_same_interface() {
    let by_idl = <dyn sparkle_idl::SparkleFinisher as Interface>::DESCRIPTION;
    let by_trait = <dyn sparkle::SparkleFinisher as Interface>::DESCRIPTION;
    assert_eq!(by_idl.iid, by_trait.iid);
    assert_eq!(by_idl.name, by_trait.name);
    for (a, b) in by_idl.methods.iter().zip(by_trait.methods) {
        assert_eq!(a.name, b.name);
        let names = |of: &[syshandle::describe::Parameter]| {
            of.iter().map(|parameter| parameter.name).collect::<Vec<_>>()
        };
        assert_eq!(names(a.parameters), names(b.parameters));
    }
    assert_eq!(by_idl.methods.len(), by_trait.methods.len());
    fn clsid<C: ClassInfo>(_: Class<C>) -> syshandle::Guid {
        C::CLSID
    }
    assert_eq!(clsid(sparkle_idl::SPARKLE_FINISHER), clsid(sparkle::SPARKLE_FINISHER));
}
