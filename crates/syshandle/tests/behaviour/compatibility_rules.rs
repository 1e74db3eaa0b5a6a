//! `syshandle idl diff` compares source files, and the handshake compares descriptions. Both call the
//! same changes compatible.
//!
//! Not compared are changes that the command judges more strictly, because it also considers
//! versions before the old one (a field that is no longer `#[added]`, or was removed), and
//! declarations of handles, which the handshake leaves to the proof of each handle.

use syshandle::describe::compatibility::differences;
use syshandle::describe::owned::Description;
use syshandle::handle::Event;
use syshandle::object::Interface;
use syshandle::{Decode, Encode, Result, interface};

/// Declares two versions of an interface, and checks whether they are compatible.
macro_rules! versions {
    ($name:ident is compatible: { $($old:tt)* } { $($new:tt)* }) => {
        versions!($name, true, { $($old)* } { $($new)* });
    };
    ($name:ident is incompatible: { $($old:tt)* } { $($new:tt)* }) => {
        versions!($name, false, { $($old)* } { $($new)* });
    };
    ($name:ident, $is_compatible:literal, { $($old:tt)* } { $($new:tt)* }) => {
        #[test]
        fn $name() {
            mod old {
                use super::*;
                $($old)*
            }
            mod new {
                use super::*;
                $($new)*
            }
            let old = (stringify!($($old)*), <dyn old::Thing as Interface>::DESCRIPTION);
            let new = (stringify!($($new)*), <dyn new::Thing as Interface>::DESCRIPTION);
            check(old, new, $is_compatible);
        }
    };
}

type Version = (&'static str, &'static syshandle::describe::Interface);

fn check(old: Version, new: Version, is_compatible: bool) {
    let source = |(text, _): Version| {
        let file = syn::parse_file(text).unwrap();
        syshandle_idl::rust::describe(file).unwrap()
    };
    let changes = syshandle_idl::diff::diff(&source(old), &source(new));
    assert_eq!(changes.iter().all(|change| change.is_compatible), is_compatible, "{changes:?}");
    let description = |(_, interface): Version| Description::of(interface).0;
    let (old, new) = (description(old), description(new));
    let found = [differences(&old, &new), differences(&new, &old)];
    assert_eq!(found.iter().all(|found| found.is_empty()), is_compatible, "{found:?}");
}

versions! { an_added_field_of_a_growable_struct is compatible:
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Vec<Job>) -> Result<Job>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] done: Option<Event>, #[added(required)] y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Vec<Job>) -> Result<Job>; }
    }
}

versions! { a_field_of_a_growable_struct_without_the_mark is incompatible:
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Vec<Job>) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Vec<Job>) -> Result<()>; }
    }
}

versions! { an_added_field_before_another_one is incompatible:
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] z: u8, #[added] y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
}

versions! { an_added_field_of_a_fixed_struct is incompatible:
    {
        #[derive(Encode, Decode)]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        pub(crate) struct Job { name: String, y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
}

versions! { a_struct_that_can_grow_only_now is incompatible:
    {
        #[derive(Encode, Decode)]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Job) -> Result<()>; }
    }
}

versions! { a_field_of_another_type is incompatible:
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] y: u8 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self) -> Result<Option<Job>>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Job { name: String, #[added] y: u16 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self) -> Result<Option<Job>>; }
    }
}

versions! { a_variant_at_the_end_of_a_growable_enum is compatible:
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { A4, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<Vec<Paper>>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { #[unknown] Unknown, A4, A3(Event) }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<Vec<Paper>>; }
    }
}

versions! { a_variant_before_another_one is incompatible:
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { A4, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) enum Paper { A3, A4, #[unknown] Unknown }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<()>; }
    }
}

versions! { a_variant_at_the_end_of_a_fixed_enum_that_is_only_an_argument is compatible:
    {
        #[derive(Encode, Decode)]
        pub(crate) enum Paper { A4 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        pub(crate) enum Paper { A4, A3 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Paper) -> Result<()>; }
    }
}

versions! { a_variant_at_the_end_of_a_fixed_enum_in_a_result is incompatible:
    {
        #[derive(Encode, Decode)]
        pub(crate) enum Paper { A4 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self) -> Result<Paper>; }
    }
    {
        #[derive(Encode, Decode)]
        pub(crate) enum Paper { A4, A3 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self) -> Result<Paper>; }
    }
}

versions! { swapped_fields is incompatible:
    {
        #[derive(Encode, Decode)]
        pub(crate) struct Size { width: u32, height: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Size) -> Result<()>; }
    }
    {
        #[derive(Encode, Decode)]
        pub(crate) struct Size { height: u32, width: u32 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: Size) -> Result<()>; }
    }
}

versions! { a_method_at_the_end_and_renamed_parameters is compatible:
    {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<()>; }
    }
    {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, y: u8) -> Result<()>; fn b(&self) -> Result<Event>; }
    }
}

versions! { a_method_before_another_one is incompatible:
    {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn a(&self, x: u8) -> Result<()>; }
    }
    {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec01")]
        pub(crate) trait Thing { fn b(&self) -> Result<Event>; fn a(&self, x: u8) -> Result<()>; }
    }
}

versions! { an_added_field_of_items_of_a_stream is compatible:
    {
        use syshandle::stream::Stream;
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Progress { bytes: u64 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec21")]
        pub(crate) trait Thing {
            fn copy(&self) -> Result<Stream<Progress>>;
        }
    }
    {
        use syshandle::stream::Stream;
        #[derive(Encode, Decode)]
        #[grows]
        pub(crate) struct Progress { bytes: u64, #[added] files: u64 }
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec21")]
        pub(crate) trait Thing {
            fn copy(&self) -> Result<Stream<Progress>>;
        }
    }
}

versions! { another_type_of_items_of_a_stream is incompatible:
    {
        use syshandle::stream::Stream;
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec22")]
        pub(crate) trait Thing {
            fn upload(&self, parts: Stream<Vec<u8>>) -> Result<()>;
        }
    }
    {
        use syshandle::stream::Stream;
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec22")]
        pub(crate) trait Thing {
            fn upload(&self, parts: Stream<String>) -> Result<()>;
        }
    }
}

versions! { a_stream_instead_of_a_list is incompatible:
    {
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec23")]
        pub(crate) trait Thing {
            fn list(&self) -> Result<Vec<u8>>;
        }
    }
    {
        use syshandle::stream::Stream;
        #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec23")]
        pub(crate) trait Thing {
            fn list(&self) -> Result<Stream<u8>>;
        }
    }
}
