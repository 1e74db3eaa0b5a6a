//! Tests methods with handles. If no difference is reported, slots and type strings must match
//! MIDL's published ones.

use syshandle_com::{CompiledInterface, HandleForm};
use syshandle_idl::{Options, describe_text};

use crate::description;
use crate::ndr::Reader;

/// Methods whose layout is the same as in the `.idl` file, with their slots and type strings.
const SAME: &[(&str, &str, &str)] = &[
    ("OneIn", "[in, system_handle(sh_file)] HANDLE a", "0x008b at 8: handle 0\n0x0070 at 16: long"),
    (
        "OneOut",
        "[out, system_handle(sh_event)] HANDLE *a",
        "0x2113 at 8: handle 2\n0x0070 at 16: long",
    ),
    (
        "MaskOfZero",
        "[in, system_handle(sh_pipe, 0)] HANDLE a",
        "0x008b at 8: handle 12\n0x0070 at 16: long",
    ),
    (
        "TwoOut",
        "[in] long n, [out, system_handle(sh_job)] HANDLE *a, [out, system_handle(sh_token)] HANDLE *b",
        "0x0048 at 8: long\n0x2113 at 16: handle 11\n0x2113 at 24: handle 5\n0x0070 at 32: long",
    ),
    (
        "ListIn",
        "[in] ULONG n, [in, size_is(n), system_handle(sh_event)] HANDLE *a",
        "0x0048 at 8: long\n0x010b at 16: complex array of handle 2 aligned 1, count in the parameter \
         at 8\n0x0070 at 24: long",
    ),
    (
        "ListOut",
        "[out] ULONG *n, [out, size_is(, *n), system_handle(sh_mutex)] HANDLE **a",
        "0x2150 at 8: long\n0x2013 at 16: ref to pointer -> unique -> complex array of handle 3 \
         aligned 1, count in what is pointed at by the parameter at 8\n0x0070 at 24: long",
    ),
];

/// Methods whose layout differs from the `.idl` file, with a part of the reported reason.
const REPORTED: &[(&str, &str, &str)] = &[
    ("Mask", "[in, system_handle(sh_file, GENERIC_READ)] HANDLE a", "mask GENERIC_READ"),
    ("MaskOut", "[out, system_handle(sh_event, SYNCHRONIZE)] HANDLE *a", "mask SYNCHRONIZE"),
    ("Unique", "[in, unique, system_handle(sh_event)] HANDLE a", "may be NULL"),
    ("Pointer", "[in, system_handle(sh_event)] HANDLE *a", "a pointer to a handle"),
    ("UniquePointer", "[in, unique, system_handle(sh_event)] HANDLE *a", "may be NULL"),
    ("Both", "[in, out, system_handle(sh_event)] HANDLE *a", "an `in, out` parameter"),
    ("Late", "[out, system_handle(sh_event)] HANDLE *a, [in] long b", "precedes an `in` parameter"),
    (
        "Behind",
        "[in, size_is(n), system_handle(sh_event)] HANDLE *a, [in] ULONG n",
        "a counted array of a handle",
    ),
    ("Constant", "[in, size_is(2), system_handle(sh_event)] HANDLE *a", "expression"),
    ("Array", "[in, system_handle(sh_event)] HANDLE a[2]", "arrays as parameters"),
    (
        "Pipes",
        "[out, system_handle(sh_pipe)] HANDLE *a, [out, system_handle(sh_pipe)] HANDLE *b",
        "opaque",
    ),
    ("Named", "[in] Handles a", "arrays as parameters"),
    ("Struct", "[in] Held *a", "within another value"),
];

#[test]
fn handles_have_the_slots_of_the_file_or_are_reported() {
    let methods = SAME.iter().chain(REPORTED);
    let methods: String =
        methods.map(|(name, of, _)| format!("    HRESULT {name}({of});\n")).collect();
    let text = format!(
        "import \"oaidl.idl\";\n\
         typedef [system_handle(sh_event)] HANDLE Handles[2];\n\
         typedef struct Held {{ [system_handle(sh_event)] HANDLE a; long b; }} Held;\n\
         [object, uuid(a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0e001), pointer_default(unique)]\n\
         interface IHandles : IUnknown {{\n{methods}}}"
    );
    let lowered = describe_text("handles.idl", &text, &Options::default());
    assert!(lowered.report.is_success(), "{}", lowered.report);
    let interface = &lowered.description.interfaces[0];
    let described = description::describe(&lowered.description, interface).unwrap();
    let compiled = CompiledInterface::new(described, HandleForm::System).unwrap();
    let reader = Reader {
        types: &compiled.format_strings.types,
        procedures: &compiled.format_strings.procedures,
        count_bytes: 6,
    };
    for (at, (name, _, expected)) in SAME.iter().enumerate() {
        assert_eq!(interface.methods[at].differs, None, "{name}");
        assert!(!compiled.methods[at].is_opaque(), "{name}");
        let words = reader.methods(&compiled.format_strings.offsets[at..=at]).remove(0);
        let (_, slots) = words.split_once('\n').unwrap();
        assert_eq!(slots, *expected, "{name}");
    }
    for (method, (name, _, reason)) in interface.methods[SAME.len()..].iter().zip(REPORTED) {
        let reported = method.differs.as_deref().unwrap_or("nothing");
        assert!(reported.contains(reason), "{name}: {reported}");
    }
}
