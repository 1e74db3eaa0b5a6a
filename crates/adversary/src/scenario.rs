//! A scenario of an attack, the server that it attacks, and the attempts that it reports.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use syshandle_types::{Guid, Printable};
use syshandle_wire::{FrameKind, Header, Hello};

use crate::raw_connection::{RESPONSE_TIMEOUT, RawConnection, Response};

/// A way to break the rules.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The name, a single word.
    pub name: &'static str,
    /// A short description.
    pub description: &'static str,
    /// Whether the scenario is for a client that the server accepts. Otherwise it is for a client
    /// that the server refuses.
    pub accepted: bool,
    /// The method that the scenario calls, if it needs one. The others run no method.
    pub method: Option<MethodShape>,
    pub(crate) run: fn(&TargetServer, &mut Vec<Attempt>) -> io::Result<()>,
}

/// A method with one argument, an event, and without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodShape {
    /// Starts a background task that waits for the event.
    WaitsForEvent,
    /// Sets the event.
    SetsEvent,
}

/// The server that a scenario attacks.
#[derive(Clone, Debug)]
pub struct TargetServer {
    /// The server's socket.
    pub address: PathBuf,
    /// A class that the server serves.
    pub clsid: Guid,
    /// An interface of that class.
    pub iid: Guid,
    /// The number of a method of the shape [`MethodShape::WaitsForEvent`].
    pub wait_method: Option<u32>,
    /// The number of a method of the shape [`MethodShape::SetsEvent`].
    pub set_method: Option<u32>,
}

/// A violation of the rules, and the server's responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What the client did.
    pub description: String,
    /// The server's responses, each with a count if there is more than one.
    pub responses: String,
    /// Whether all responses are correct.
    pub passed: bool,
}

impl Scenario {
    /// Runs the scenario in this process.
    ///
    /// # Errors
    /// Returns an error if the server ends the scenario early, which is also a failure.
    pub fn run(&self, target: &TargetServer) -> io::Result<Vec<Attempt>> {
        syshandle_os::raise_descriptor_limit();
        let mut attempts = Vec::new();
        (self.run)(target, &mut attempts)?;
        Ok(attempts)
    }
}

impl fmt::Display for MethodShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitsForEvent => "method that waits for an event in a background task",
            Self::SetsEvent => "method that sets an event",
        })
    }
}

impl TargetServer {
    /// Returns the number of the method of this shape, if the server has one.
    pub fn method(&self, shape: MethodShape) -> Option<u32> {
        match shape {
            MethodShape::WaitsForEvent => self.wait_method,
            MethodShape::SetsEvent => self.set_method,
        }
    }

    /// Connects and receives the greeting.
    pub(crate) fn connect_greeted(&self) -> io::Result<RawConnection> {
        RawConnection::connect_greeted(&self.address)
    }

    /// Connects, receives the greeting and sends the hello.
    pub(crate) fn open(&self) -> io::Result<RawConnection> {
        RawConnection::open(&self.address, self.clsid, self.iid)
    }

    /// Connects as an honest client does. The server must serve it without a retry. Also returns
    /// the identifier of the server's process.
    pub(crate) fn open_without_retry(&self) -> io::Result<(RawConnection, Option<u32>)> {
        let connection = RawConnection::connect(&self.address)?;
        let pid = match connection.receive(RESPONSE_TIMEOUT) {
            Response::Greeting(_, server) => server.map(|server| server.pid),
            other => return Err(io::Error::other(format!("the server doesn't greet: {other}"))),
        };
        connection.send_frame(&Header::new(FrameKind::Hello), &self.hello().write(), &[])?;
        Ok((connection, pid))
    }

    /// Returns a valid hello.
    pub(crate) fn hello(&self) -> Hello {
        Hello { clsid: self.clsid, iid: self.iid }
    }
}

impl Attempt {
    /// Encodes the attempt as one line of text for [`Attempt::parse`].
    pub fn write(&self) -> String {
        let verdict = if self.passed { "right" } else { "wrong" };
        format!("{verdict}\t{}\t{}", Printable(&self.description), Printable(&self.responses))
    }

    /// Parses the output of [`Attempt::write`].
    pub fn parse(line: &str) -> Option<Self> {
        let (verdict, rest) = line.split_once('\t')?;
        let (description, responses) = rest.split_once('\t')?;
        let passed = match verdict {
            "right" => true,
            "wrong" => false,
            _ => return None,
        };
        Some(Self { description: description.into(), responses: responses.into(), passed })
    }
}

/// Counts the responses to an attempt that is repeated.
#[derive(Debug)]
pub(crate) struct Tally {
    description: String,
    responses: BTreeMap<String, u32>,
    passed: bool,
}

impl Tally {
    pub(crate) fn new(description: impl Into<String>) -> Self {
        Self { description: description.into(), responses: BTreeMap::new(), passed: true }
    }

    /// Counts a response, and whether it is correct.
    pub(crate) fn add(&mut self, response: &Response, correct: bool) {
        self.add_text(response.to_string(), correct);
    }

    /// Counts a result that is described in words.
    pub(crate) fn add_text(&mut self, result: impl Into<String>, correct: bool) {
        *self.responses.entry(result.into()).or_default() += 1;
        self.passed &= correct;
    }

    /// Waits for the end of the connection. Any other response is a failure.
    pub(crate) fn expect_end(&mut self, connection: &RawConnection) {
        let response = connection.receive_end();
        let correct = matches!(response, Response::Closed | Response::Refused(_));
        self.add(&response, correct);
    }

    /// Receives a reply with a fault. Any other response is a failure.
    pub(crate) fn expect_fault(&mut self, connection: &RawConnection) {
        let response = connection.receive(RESPONSE_TIMEOUT);
        self.add(&response, matches!(response, Response::Reply { fault: Some(_), .. }));
    }

    /// Returns the attempt with all of its responses.
    pub(crate) fn finish(self) -> Attempt {
        let responses: Vec<_> = self
            .responses
            .iter()
            .map(|(response, count)| match count {
                1 => response.clone(),
                count => format!("{response} ({count} times)"),
            })
            .collect();
        Attempt {
            description: self.description,
            responses: responses.join("; "),
            passed: self.passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_what_write_writes() {
        let attempt =
            Attempt { description: "a\tb".into(), responses: "closed".into(), passed: true };
        let parsed = Attempt::parse(&attempt.write()).expect("a valid line");
        assert_eq!(parsed, Attempt { description: r"a\tb".into(), ..attempt });
        assert_eq!(Attempt::parse("what\tever\tthis"), None);
    }
}
