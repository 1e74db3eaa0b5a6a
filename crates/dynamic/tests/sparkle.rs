//! The interface of the sample, called without its trait.
#![cfg(not(windows))]

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::time::Duration;

use sparkle::{SPARKLE_FINISHER, SparkleFinisher};
use syshandle::handle::{Event, Kind};
use syshandle::{Context, Result, Server};
use syshandle_dynamic::{DynamicClient, Value};

const PATIENCE: Duration = Duration::from_secs(30);

/// A finisher that decorates at once.
struct Finisher;

impl SparkleFinisher for Finisher {
    fn add_sparkle_finish_to_file(
        &self,
        context: &Context,
        mut file: File,
        when: Event,
    ) -> Result<Event> {
        let done = Event::new()?;
        let signal = done.try_clone()?;
        context.on_signal(when, PATIENCE, move |_| {
            let _ = file.write_all(b"sparkle\n");
            let _ = signal.set();
        })?;
        Ok(done)
    }
}

#[test]
fn the_sample_works_by_its_description_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::new().class(SPARKLE_FINISHER, || Finisher).path(&path).start().unwrap();
    let client = DynamicClient::connect(&path, None).unwrap();
    let description = client.description().unwrap();
    assert_eq!(description.name, "SparkleFinisher");
    let method = &description.methods[0];
    assert!(method.docs.starts_with("Adds a sparkle finish to a file."), "{}", method.docs);
    let parameters: Vec<_> = method
        .parameters
        .iter()
        .map(|it| format!("{}: {}", it.name, description.type_text(&it.ty)))
        .collect();
    assert_eq!(parameters, ["decorate_this_file: File", "when_this_event_fires: Event"]);

    let mut file = tempfile::tempfile().unwrap();
    let event = Event::new().unwrap();
    let ready = event.try_clone().unwrap();
    let arguments = [Value::handle(file.try_clone().unwrap()), Value::handle(ready)];
    let result = client.call(&method.name, &arguments).unwrap();
    let Value::Handle(done) = result else { panic!("{result:?}") };
    assert_eq!(done.kind(), Some(Kind::Event));
    event.set().unwrap();
    let done: Event = done.into_handle().unwrap().into();
    assert!(syshandle::wait::wait_any(&[&done], Some(PATIENCE)).unwrap().is_some());
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "sparkle\n");
    drop((client, arguments));
    server.shutdown();
    server.join().unwrap();
}
