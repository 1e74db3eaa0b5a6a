//! The boundaries, each with its reason. The test also fails if an exception is no longer needed or
//! if a number could be lower.

use crate::check::{Boundary, EVERY, Never};

/// The boundaries between the modules of each crate, by the name of the crate's folder.
pub(crate) const BOUNDARIES: &[(&str, &[Boundary<'_>])] = &[(
    "syshandle",
    &[
        Boundary {
            from: &["client"],
            never: Never::Imports(&["server"]),
            because: "a client must work, and be understood, without the code of a server",
            exceptions: &[],
        },
        Boundary {
            from: &["server"],
            never: Never::Imports(&["client"]),
            because: "a server must work, and be understood, without the code of a client",
            exceptions: &[],
        },
        Boundary {
            from: &["activation"],
            never: Never::Imports(&["server"]),
            because: "activation starts servers of other programs, and needs nothing of this one's",
            exceptions: &[],
        },
        Boundary {
            from: &["server::linux::reactor"],
            never: Never::Imports(&[
                "server::linux::acceptor",
                "server::linux::call",
                "server::linux::connection",
                "server::linux::context",
                "server::linux::doors",
                "server::linux::classes",
                "server::linux::session",
                "server::linux::task",
                "untyped_object",
            ]),
            because: "the reactor knows sources, clients and work items only as traits",
            exceptions: &[],
        },
        Boundary {
            from: &["server::linux::arguments", "server::linux::context"],
            never: Never::Imports(&[
                "server::linux::connection",
                "server::linux::doors",
                "server::linux::served_object",
                "untyped_object",
            ]),
            because: "a call knows its connection only as a trait, because objects refer to calls",
            exceptions: &[("server::linux::context", "server::linux::connection::calls")],
        },
        Boundary {
            from: &["limits", "quota"],
            never: Never::Imports(&["activation", "client", "server"]),
            because: "both sides use them, so neither owns them",
            exceptions: &[],
        },
        Boundary {
            from: &[EVERY],
            never: Never::ImportsThroughRoot(&["activation", "client", "server"]),
            because: "the name of the defining module shows the dependency",
            // The macros in `generated` expand in other crates, which can name only the root
            // module.
            exceptions: &[
                ("generated", "activation"),
                ("generated", "client"),
                ("generated", "client::cancel"),
            ],
        },
    ],
)];

/// The number of files in the largest cycle of imports in each crate. 1 means that there is no
/// cycle.
pub(crate) const CYCLES: &[(&str, usize)] = &[
    ("adversary", 1),
    ("cli", 2),
    ("com", 5),
    ("dynamic", 5),
    ("fault-injection", 2),
    ("idl", 7),
    ("macros", 1),
    ("model", 4),
    ("os", 4),
    ("registry", 2),
    ("syshandle", 5),
    ("testkit", 5),
    ("types", 5),
    ("wire", 2),
];

/// A rule about dependencies between crates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depends<'r> {
    pub(crate) crates: &'r [&'r str],
    /// The crates on which `crates` must not depend, directly or indirectly.
    pub(crate) never: &'r [&'r str],
    /// If set, the only crates on which `crates` may depend.
    pub(crate) only: Option<&'r [&'r str]>,
    /// The crates whose tests may depend on a crate in `never`.
    pub(crate) tests_of: &'r [&'r str],
    pub(crate) because: &'r str,
}

/// The rules about dependencies between crates.
pub(crate) const DEPENDENCIES: &[Depends<'_>] = &[
    Depends {
        crates: &[
            "syshandle-com",
            "syshandle-idl",
            "syshandle-macros",
            "syshandle-model",
            "syshandle-os",
            "syshandle-registry",
            "syshandle-types",
            "syshandle-wire",
        ],
        never: &["syshandle"],
        only: None,
        // The tests of this crate use the macro, and the generated code refers to the facade.
        tests_of: &["syshandle-com"],
        because: "the facade is built from these crates",
    },
    Depends {
        crates: &["syshandle-macros"],
        never: &[],
        only: Some(&["syshandle-model"]),
        tests_of: &[],
        because: "every user compiles the macros first",
    },
    Depends {
        crates: &["syshandle-model"],
        never: &[],
        only: Some(&[]),
        tests_of: &[],
        because: "the macros depend on it, and every user compiles the macros first",
    },
    Depends {
        crates: &["syshandle-types"],
        never: &[],
        only: Some(&[]),
        tests_of: &[],
        because: "every crate of the runtime depends on it",
    },
    Depends {
        crates: &["syshandle-wire"],
        never: &[],
        only: Some(&["syshandle-types"]),
        tests_of: &[],
        because: "the state machines of the wire do no I/O",
    },
    Depends {
        crates: &["syshandle-os"],
        never: &[],
        only: Some(&["syshandle-types"]),
        tests_of: &[],
        because: "handles know nothing of messages",
    },
    Depends {
        crates: &["syshandle-idl"],
        never: &[],
        only: Some(&["syshandle-model", "syshandle-types"]),
        tests_of: &[],
        because: "a reader of `.idl` files needs only the rules of compatibility from the runtime",
    },
];
