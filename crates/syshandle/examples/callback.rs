//! A callback: the client passes an object of its own, and the server calls it while it works.
//!
//! Both objects are in this process, and their calls go through a real connection. Calls between
//! two processes look the same.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use syshandle::{Result, interface};

/// Receives the progress of a job.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d201")]
trait Progress {
    /// Reports a finished part. Returns whether the job should continue.
    fn finished(&self, part: u32, parts: u32) -> Result<bool>;
}

/// Runs jobs.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d202")]
trait Worker {
    /// Runs a job and returns the number of its finished parts.
    fn run(&self, parts: u32, progress: ProgressClient) -> Result<u32>;
}

struct Factory;

impl Worker for Factory {
    fn run(&self, parts: u32, progress: ProgressClient) -> Result<u32> {
        for part in 1..=parts {
            // A real worker would do this part of the job here.
            if !progress.finished(part, parts)? {
                return Ok(part);
            }
        }
        Ok(parts)
    }
}

/// Prints the progress, and stops the job after some parts.
struct Printer {
    parts_max: u32,
}

impl Progress for Printer {
    fn finished(&self, part: u32, parts: u32) -> Result<bool> {
        println!("part {part} of {parts}");
        Ok(part < self.parts_max)
    }
}

fn main() -> Result<()> {
    let worker = WorkerClient::in_process(Factory)?;
    let printer = ProgressClient::in_process(Printer { parts_max: 3 })?;
    println!("{} parts are finished", worker.run(5, &printer)?);
    Ok(())
}
