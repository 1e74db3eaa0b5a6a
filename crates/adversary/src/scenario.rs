//! Scenarios of an attack, the server that they attack, and the attempts that they report.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use syshandle_types::{Guid, Printable};
use syshandle_wire::{FrameKind, Header, Hello};

use crate::raw_connection::{RESPONSE_TIMEOUT, RawConnection, Response};

/// One way to break the rules of the protocol.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Name, which is a single word.
    pub name: &'static str,
    /// Short description.
    pub description: &'static str,
    /// Whether the scenario requires a client that the server's policy allows. Otherwise, it
    /// requires one that the policy rejects.
    pub accepted: bool,
    /// The shape of the method that the scenario calls. `None` if it runs no method.
    pub method: Option<MethodShape>,
    pub(crate) run: fn(&TargetServer, &mut Vec<Attempt>) -> io::Result<()>,
}

/// The shape of a method with one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodShape {
    /// The method starts a background task that waits for the event, and returns nothing.
    WaitsForEvent,
    /// The method sets the event, and returns nothing.
    SetsEvent,
    /// The method takes a `u32`, and returns a list of as many new events.
    ReturnsEvents,
}

/// The server that a scenario attacks.
#[derive(Clone, Debug)]
pub struct TargetServer {
    /// Path of the server's socket.
    pub address: PathBuf,
    /// A class that the server serves.
    pub clsid: Guid,
    /// An interface of that class.
    pub iid: Guid,
    /// Number of a method with the shape [`MethodShape::WaitsForEvent`].
    pub wait_method: Option<u32>,
    /// Number of a method with the shape [`MethodShape::SetsEvent`].
    pub set_method: Option<u32>,
    /// Number of a method with the shape [`MethodShape::ReturnsEvents`].
    pub events_method: Option<u32>,
}

/// One violation of the rules, and the server's responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The client's action.
    pub description: String,
    /// The server's responses. Repeated responses have a count.
    pub responses: String,
    /// Whether all responses were correct.
    pub passed: bool,
}

impl Scenario {
    /// Runs the scenario in this process.
    ///
    /// # Errors
    /// Returns an error if the server ends the scenario early, which also counts as a failure.
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
            Self::ReturnsEvents => "method that returns a number of new events",
        })
    }
}

impl TargetServer {
    /// Returns the number of the server's method with this shape, if it has one.
    pub fn method(&self, shape: MethodShape) -> Option<u32> {
        match shape {
            MethodShape::WaitsForEvent => self.wait_method,
            MethodShape::SetsEvent => self.set_method,
            MethodShape::ReturnsEvents => self.events_method,
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

    /// Connects as an honest client, which the server must serve at the first attempt. Also returns
    /// the server's process ID.
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
        Hello::new(self.clsid, self.iid)
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

/// Counts the responses to a repeated attempt.
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

    /// Adds a response, and whether it is correct.
    pub(crate) fn add(&mut self, response: &Response, correct: bool) {
        self.add_text(response.to_string(), correct);
    }

    /// Adds a result that is described by a text.
    pub(crate) fn add_text(&mut self, result: impl Into<String>, correct: bool) {
        *self.responses.entry(result.into()).or_default() += 1;
        self.passed &= correct;
    }

    /// Waits for the end of the connection. Any other response counts as a failure.
    pub(crate) fn expect_end(&mut self, connection: &RawConnection) {
        let response = connection.receive_end();
        let correct = matches!(response, Response::Closed | Response::Refused(_));
        self.add(&response, correct);
    }

    /// Receives a reply with a fault. Any other response counts as a failure.
    pub(crate) fn expect_fault(&mut self, connection: &RawConnection) {
        let response = connection.receive(RESPONSE_TIMEOUT);
        self.add(&response, matches!(response, Response::Reply { fault: Some(_), .. }));
    }

    /// Returns the attempt with all its responses.
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
