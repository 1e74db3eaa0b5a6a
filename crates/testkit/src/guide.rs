//! The chapters of the guide, whose code is compiled and run as documentation tests. The package of
//! the first chapter is tested with the documents of the command.

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
    Callers "callers.md"
    LongWork "long-work.md"
    Testing "testing.md"
    Com "com.md"
}
