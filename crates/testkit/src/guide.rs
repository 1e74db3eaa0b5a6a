//! The chapters of the guide, whose code is compiled and run as doctests. The package that the
//! first chapter builds is tested together with the documentation of the command.

macro_rules! chapters {
    ($($name:ident $file:literal)*) => {
        $(
            #[doc = include_str!(concat!("../../../docs/guide/", $file))]
            #[derive(Debug)]
            pub struct $name;
        )*
    };
}

chapters! {
    Handles "handles.md"
    Changing "changing.md"
    Callers "callers.md"
    LongWork "long-work.md"
    Streams "streams.md"
    Testing "testing.md"
    Com "com.md"
}

// The crate `syshandle-dynamic` has no Windows part.
#[cfg(not(windows))]
chapters! {
    Dynamic "dynamic.md"
}
