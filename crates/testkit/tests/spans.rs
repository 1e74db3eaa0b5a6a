//! The `tracing` spans and events of an activation and a call.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};

use syshandle_testkit::{Fixture, SERVER, TEST_SERVICE};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The written lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn activation_calls_and_handles_can_be_followed() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let client = fixture.activate().unwrap();
        let file = File::open("/dev/null").unwrap();
        assert!(client.len(&file).is_ok());
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let class = TEST_SERVICE.clsid().to_string();
    for parts in [
        ["activate{class=", &class, "new"],
        ["activate{", "starting the server", SERVER.to_str().unwrap()],
        ["activate{", "interface=\"TestService\"", "close"],
        ["call{method=TestService::len", "", "new"],
        ["call{method=TestService::len", "sending", "handles=1"],
        ["call{method=TestService::len", "received", "handles=0"],
        ["call{method=TestService::len", "", "close"],
    ] {
        let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line has {parts:?}:\n{text}");
    }
}
