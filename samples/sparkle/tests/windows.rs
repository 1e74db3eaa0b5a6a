//! Runs the sample's two programs through COM, which starts the server on the first call.
#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sparkle::{CLIENT_LINES, SERVER_LINES, SPARKLE_FINISHER};
use syshandle_registry::{ClassRegistration, ComRegistry};
use tempfile::TempDir;

/// A registration of the server, with a timeline file. Dropping this value removes it.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        let timeline = stage.timeline().to_str().unwrap().to_owned();
        let server = ClassRegistration {
            clsid: SPARKLE_FINISHER.clsid(),
            name: SPARKLE_FINISHER.name().to_owned(),
            program: env!("CARGO_BIN_EXE_sparkle-server").into(),
            arguments: Vec::new(),
            environment: vec![("SPARKLE_TIMELINE".to_owned(), timeline)],
        };
        ComRegistry::own().register(&server).unwrap();
        stage
    }

    fn timeline(&self) -> PathBuf {
        self.folder.path().join("timeline")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, file: &Path) -> Child {
        let mut client = Command::new(env!("CARGO_BIN_EXE_sparkle-client"));
        client.arg(file).env("SPARKLE_TIMELINE", self.timeline()).stdout(Stdio::piped());
        client.spawn().unwrap()
    }

    /// Returns the recorded steps in order, each with its side.
    fn steps(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.timeline()).unwrap_or_default();
        let mut rows: Vec<(u128, String)> = notes
            .lines()
            .filter_map(|row| {
                let (time, step) = row.split_once(' ')?;
                Some((time.parse().ok()?, step.to_owned()))
            })
            .collect();
        rows.sort_by_key(|row| row.0);
        rows.into_iter().map(|row| row.1).collect()
    }

    /// Waits until a step was recorded `times` times.
    fn until(&self, step: &str, times: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let steps = self.steps();
            if steps.iter().filter(|noted| *noted == step).count() >= times {
                return steps;
            }
            assert!(Instant::now() < deadline, "no `{step}` in time: {steps:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // An error is ignored, because the next registration overwrites this one.
        let _ = ComRegistry::own().clean(SPARKLE_FINISHER.clsid());
    }
}

/// Tests everything in one test, because a machine has only one registration of the server.
#[test]
fn the_file_is_finished_by_a_server_that_com_starts() {
    let stage = Stage::new();
    let file = stage.file("dishes.txt");
    finish(&stage, &file);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{CLIENT_LINES}{SERVER_LINES}"));
    let steps = stage.until("server clean up", 1);
    let place = |step: &str| steps.iter().position(|noted| noted == step).unwrap();
    // Each of these steps can happen only after the step before it.
    let order = [
        "client create file handle",
        "client create event handle 1",
        "client call server",
        "server receive file handle",
        "server receive event handle 1",
        "server create event handle 2",
        "server return to client",
        "client receive event handle 2",
    ];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{steps:?}");
    assert!(place("server write to file handle") < place("server signal event handle 2"));
    assert_eq!(steps.len(), 15, "{steps:?}");

    // A second run on the same file overwrites the lines, because it starts at the beginning of the
    // file.
    finish(&stage, &file);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{CLIENT_LINES}{SERVER_LINES}"));

    let files: Vec<_> = (0..4).map(|i| stage.file(&format!("dishes {i}.txt"))).collect();
    let clients: Vec<_> = files.iter().map(|file| stage.start(file)).collect();
    for client in clients {
        assert!(client.wait_with_output().unwrap().status.success());
    }
    for file in files {
        assert_eq!(fs::read_to_string(file).unwrap(), format!("{CLIENT_LINES}{SERVER_LINES}"));
    }
}

/// Runs the client on a file.
fn finish(stage: &Stage, file: &Path) {
    let output = stage.start(file).wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("is sparkly!"), "{told}");
}
