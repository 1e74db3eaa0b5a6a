//! A FIFO to which programs write lines, and from which a test reads them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::TEST_TIMEOUT;
use crate::readable::is_readable;

/// A FIFO to which programs write lines. It lets a test wait for the next line instead of sleeping.
#[derive(Debug)]
pub struct LineFifo {
    path: PathBuf,
    pipe: std::fs::File,
    text: Vec<u8>,
}

impl LineFifo {
    /// Creates the FIFO at `path`.
    pub fn new(path: PathBuf) -> Self {
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        // Opens the FIFO for reading and writing, so that it always has a writer and reading never
        // reaches the end.
        let pipe = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
        Self { path, pipe: pipe.into(), text: Vec::new() }
    }

    /// Returns the path of the FIFO, to which programs write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next line.
    ///
    /// # Panics
    /// Panics if no line arrives within [`TEST_TIMEOUT`].
    pub fn line(&mut self) -> String {
        self.line_within(TEST_TIMEOUT).expect("no line arrived in the FIFO")
    }

    /// Returns the next line if it has already been written.
    pub fn line_now(&mut self) -> Option<String> {
        self.line_within(Duration::ZERO)
    }

    /// Waits at most `time` for the next line.
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(end) = self.text.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !is_readable(&self.pipe, deadline.saturating_duration_since(Instant::now())) {
                return None;
            }
            let mut part = [0; 4096];
            let len = self.pipe.read(&mut part).unwrap();
            self.text.extend(&part[..len]);
        }
    }
}
