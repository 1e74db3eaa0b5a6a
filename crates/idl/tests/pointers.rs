//! Tests the COM layout of pointers whose kind depends on `pointer_default`, and of enums that are
//! declared in the system's files.

use syshandle_idl::{Options, describe_text};

/// Returns, for each method of all interfaces, its name and whether its layout is reported as
/// different.
fn reported(text: &str) -> Vec<(String, bool)> {
    let lowered = describe_text("a.idl", text, &Options::default());
    assert!(lowered.report.is_success(), "{}", lowered.report);
    let interfaces = lowered.description.interfaces.iter();
    let methods = interfaces.flat_map(|interface| &interface.methods);
    methods.map(|method| (method.name.to_string(), method.differs.is_some())).collect()
}

fn interface(number: u8, attributes: &str, members: &str) -> String {
    format!(
        "[object, uuid(a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0e2{number:02x}){attributes}]\n\
         interface I{number} : IUnknown {{ {members} }}\n"
    )
}

const TYPES: &str = "typedef struct { long a; long *p; long b; } S;\n\
    typedef [string] wchar_t *T; typedef long *L;\n\
    typedef struct { ULONG n; [size_is(n)] BYTE *p; long x; } V;\n";

const METHODS: &str = "HRESULT A([in] S *a); HRESULT B([out] T *a); HRESULT C([out] L *a); \
    HRESULT D([in] V *a); HRESULT E([in] ULONG n, [in, size_is(n)] T *a);";

#[test]
fn pointers_of_types_outside_an_interface_are_reported_unless_all_defaults_are_unique() {
    for (default, differs) in [("", false), (", pointer_default(unique)", false)]
        .into_iter()
        .chain([(", pointer_default(ptr)", true), (", pointer_default(ref)", true)])
    {
        let text = format!("import \"oaidl.idl\";\n{TYPES}{}", interface(1, default, METHODS));
        let methods = reported(&text);
        assert_eq!(methods.len(), 5);
        assert!(methods.iter().all(|(_, is)| *is == differs), "{default}: {methods:?}");
    }
}

#[test]
fn types_of_an_interface_without_a_default_are_reported_if_another_interface_has_one() {
    let declares = interface(1, "", &format!("{TYPES} HRESULT Own([in] S *a);"));
    let uses = interface(2, ", pointer_default(ptr)", METHODS);
    let methods = reported(&format!("import \"oaidl.idl\";\n{declares}{uses}"));
    assert_eq!(methods.len(), 6);
    assert!(methods.iter().all(|(_, is)| *is), "{methods:?}");
}

#[test]
fn ref_pointers_within_values_are_reported() {
    let types =
        "typedef struct { long a; [ref] long *p; } R; typedef struct { [unique] long *p; } U;\n";
    let methods = "HRESULT A([in] R *a); HRESULT B([out] R *a); HRESULT C([in] U *a);";
    let methods = reported(&format!("import \"oaidl.idl\";\n{types}{}", interface(1, "", methods)));
    let differ: Vec<_> = methods.iter().map(|(_, is)| *is).collect();
    assert_eq!(differ, [true, true, false], "{methods:?}");
}

#[test]
fn enums_of_the_systems_files_that_are_v1_have_32_bits() {
    let enums = [
        "TYPEKIND",
        "TYMED",
        "CALLCONV",
        "FUNCKIND",
        "INVOKEKIND",
        "VARKIND",
        "DESCKIND",
        "SYSKIND",
        "READYSTATE",
    ];
    let systems: String =
        enums.iter().map(|name| format!("HRESULT Get{name}([in] {name} a);\n")).collect();
    let own = "typedef [v1_enum] enum Long { FIRST } Long; typedef enum Short { SECOND } Short;\n\
        HRESULT GetLong([in] Long a); HRESULT GetShort([in] Short a);";
    let text = format!(
        "import \"oaidl.idl\"; import \"ocidl.idl\";\n{}",
        interface(1, "", &(own.to_owned() + &systems))
    );
    let methods = reported(&text);
    let is_reported = |name: &str| methods.iter().find(|(of, _)| of == name).map(|(_, is)| *is);
    // A `v1_enum` in a system file is treated like one in the file itself, except if it is an
    // integer in the trait.
    assert_eq!(is_reported("get_long"), Some(true), "{methods:?}");
    assert_eq!(is_reported("get_short"), Some(false), "{methods:?}");
    for name in enums.iter().filter(|name| **name != "CALLCONV") {
        let name = format!("get_{}", name.to_lowercase());
        assert_eq!(is_reported(&name), Some(true), "{name}: {methods:?}");
    }
}
