//! Messages of errors in calls between two versions of an interface whose types grow.

use std::collections::BTreeSet;

use syshandle::handle::Event;
use syshandle::{Result, class};
use syshandle_testkit::Messages;

mod old {
    use std::collections::BTreeSet;

    use syshandle::{Decode, Encode, Result, interface};

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(super) struct Job {
        pub(super) title: String,
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
    #[grows]
    pub(super) enum Paper {
        A4,
        #[unknown]
        Unknown,
    }

    #[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b61")]
    pub(super) trait Printer {
        fn print(&self, job: Job) -> Result<()>;
        fn load(&self, papers: Vec<Paper>) -> Result<()>;
        fn select(&self, papers: BTreeSet<Paper>) -> Result<()>;
    }
}

mod new {
    use std::collections::BTreeSet;

    use syshandle::{Decode, Encode, Result, handle::Event, interface};

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(super) struct Job {
        pub(super) title: String,
        #[added(required)]
        pub(super) pages_max: Option<u32>,
        #[added]
        pub(super) done: Vec<Event>,
    }

    #[derive(Debug, Encode, Decode)]
    #[grows]
    pub(super) enum Paper {
        A4,
        Watched(Event),
        #[unknown]
        Unknown,
    }

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
    #[grows]
    pub(super) enum Size {
        A4,
        A3,
        #[unknown]
        Unknown,
    }

    #[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b61")]
    pub(super) trait Printer {
        fn print(&self, job: Job) -> Result<()>;
        fn load(&self, papers: Vec<Paper>) -> Result<()>;
        fn select(&self, papers: BTreeSet<Size>) -> Result<()>;
    }
}

class! {
    PRINTER: old::Printer = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b62";
}

struct Device;

impl old::Printer for Device {
    fn print(&self, _: old::Job) -> Result<()> {
        Ok(())
    }

    fn load(&self, _: Vec<old::Paper>) -> Result<()> {
        Ok(())
    }

    fn select(&self, _: BTreeSet<old::Paper>) -> Result<()> {
        Ok(())
    }
}

/// Adds the errors of a new client that calls an old server.
pub(crate) fn calls(messages: &mut Messages) {
    let printer: old::PrinterClient = PRINTER.in_process(Device).unwrap();
    let printer: new::PrinterClient = printer.cast().unwrap();
    let event = || Event::new().unwrap();
    let job = || new::Job::new("a title".into());
    messages.add(
        "a required field of a later version",
        &printer.print(&job().with_pages_max(Some(1))).unwrap_err(),
    );
    messages.add(
        "a handle in a field of a later version",
        &printer.print(&job().with_done(vec![event()])).unwrap_err(),
    );
    messages.add(
        "handles in a field of a later version",
        &printer.print(&job().with_done(vec![event(), event()])).unwrap_err(),
    );
    messages.add(
        "a handle in a variant of a later version",
        &printer.load(&[new::Paper::A4, new::Paper::Watched(event())]).unwrap_err(),
    );
    let sizes = BTreeSet::from([new::Size::A4, new::Size::A3]);
    messages
        .add("a key that is a variant of a later version", &printer.select(&sizes).unwrap_err());
    messages
        .add("a variant that can't be sent", &printer.load(&[new::Paper::Unknown]).unwrap_err());
}
