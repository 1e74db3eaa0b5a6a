//! An interface in two versions: an old client calls a new server, and a new client calls an old
//! server.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

/// The first version, which old programs contain.
mod v1 {
    use syshandle::{Decode, Encode, Result, interface};

    /// A job for a printer.
    #[derive(Encode, Decode)]
    #[grows]
    pub(crate) struct Job {
        pub(crate) title: String,
    }

    /// Prints.
    #[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d7a1")]
    pub(crate) trait Printer {
        /// Prints a job, and tells what was printed.
        fn print(&self, job: Job) -> Result<String>;
    }
}

/// The second version. It has the same IID.
mod v2 {
    use syshandle::{Decode, Encode, Result, interface};

    /// A job for a printer.
    #[derive(Encode, Decode)]
    #[grows]
    pub(crate) struct Job {
        pub(crate) title: String,
        #[added(default = 1)]
        pub(crate) copies: u32,
        /// An old server refuses a job with a limit, because it would ignore it.
        #[added(required)]
        pub(crate) pages_max: Option<u32>,
    }

    /// Prints.
    #[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d7a1")]
    pub(crate) trait Printer {
        /// Prints a job, and tells what was printed.
        fn print(&self, job: Job) -> Result<String>;
    }
}

struct Device;

impl v1::Printer for Device {
    fn print(&self, job: v1::Job) -> syshandle::Result<String> {
        Ok(job.title)
    }
}

impl v2::Printer for Device {
    fn print(&self, job: v2::Job) -> syshandle::Result<String> {
        Ok(format!("{}, copies: {}, limit: {:?}", job.title, job.copies, job.pages_max))
    }
}

fn main() -> syshandle::Result<()> {
    let new_server = v2::PrinterClient::in_process(Device)?;
    let old_client: v1::PrinterClient = new_server.cast()?;
    println!("old client, new server: {}", old_client.print(&v1::Job::new("letter".into()))?);

    let old_server = v1::PrinterClient::in_process(Device)?;
    let new_client: v2::PrinterClient = old_server.cast()?;
    let job = v2::Job::new("poster".into()).with_copies(2);
    println!("new client, old server: {}", new_client.print(&job)?);

    let job = job.with_pages_max(Some(4));
    if let Err(error) = new_client.print(&job) {
        println!("with a limit: {error}");
    }
    Ok(())
}
