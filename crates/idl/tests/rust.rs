//! Tests the Rust source that is generated for `.idl` files, and which files are refused.

use syshandle_idl::{Options, Report, describe_text};

/// Returns the Rust source for a file with these members of an interface.
fn lowered(before: &str, members: &str) -> Result<String, Box<Report>> {
    let text = format!(
        "import \"oaidl.idl\";\n{before}\n\
         [object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)]\n\
         interface IThing : IUnknown {{\n{members}\n}}\n"
    );
    let lowered = describe_text("a.idl", &text, &Options::default());
    match lowered.report.is_success() {
        true => Ok(lowered.rust()),
        false => Err(Box::new(lowered.report)),
    }
}

#[track_caller]
fn becomes(before: &str, member: &str, expected: &str) {
    let text = lowered(before, member).unwrap_or_else(|report| panic!("{report}"));
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
    let flat = flat
        .replace(", )", ")")
        .replace('|', " | ")
        .replace("  |  ", " | ")
        .replace("context: &syshandle::Context", "_");
    assert!(flat.contains(expected), "{expected}\n{flat}");
}

#[track_caller]
fn refuses(member: &str, expected: &str) {
    let report = lowered("", member).expect_err("an error").to_string();
    assert!(report.contains(expected) && report.contains("a.idl:"), "{report}");
}

#[test]
fn output_parameters_become_results() {
    becomes("", "HRESULT A();", "fn a(&self, _) -> syshandle::Result<()>;");
    becomes("", "HRESULT A([out, retval] long *b);", "-> syshandle::Result<i32>;");
    becomes("", "HRESULT A([out] hyper *b, [out] BSTR *c);", "Result<(i64, String)>;");
    becomes(
        "",
        "HRESULT A([in, out] short *b);",
        "fn a(&self, _, b: i16) -> syshandle::Result<i16>",
    );
}

#[test]
fn lengths_are_part_of_their_lists() {
    becomes("", "HRESULT A([in] long n, [in, size_is(n)] BYTE *b);", "(&self, _, b: Vec<u8>)");
    becomes(
        "",
        "HRESULT A([out] long *n, [out, size_is(, *n)] double **b);",
        "(&self, _) -> syshandle::Result<Vec<f64>>",
    );
    becomes(
        "",
        "HRESULT A([in] long n, [out, size_is(n)] BYTE *b);",
        "(&self, _, n: i32) -> syshandle::Result<Vec<u8>>",
    );
    becomes("", "HRESULT A([in] long n, [in, size_is(n * 2)] BYTE *b);", "n: i32, b: Vec<u8>");
    becomes("", "HRESULT A([in] long b[2][3]);", "b: [[i32; 3]; 2]");
}

#[test]
fn handles_have_the_types_of_their_kinds() {
    let handle = |kind: &str| format!("HRESULT A([in, system_handle({kind})] HANDLE b);");
    becomes("", &handle("sh_file"), "_, b: std::fs::File)");
    becomes("", &handle("sh_file, 3"), "#[handle(file, read | write)] b: std::fs::File)");
    becomes("", &handle("sh_pipe, FILE_GENERIC_WRITE"), "_, b: std::io::PipeWriter)");
    becomes("", &handle("sh_pipe"), "#[handle(pipe)] b: syshandle::handle::OwnedHandle)");
    becomes("", &handle("sh_socket"), "#[handle(socket)] b: syshandle::handle::OwnedHandle)");
    becomes("", &handle("sh_reg_key, KEY_READ"), "_, b: syshandle::handle::RegKey)");
    becomes(
        "",
        &handle("sh_section, SECTION_MAP_READ"),
        "#[handle(section, read)] b: syshandle::handle::Section",
    );
    for (kind, name) in [
        ("sh_event", "Event"),
        ("sh_semaphore", "Semaphore"),
        ("sh_mutex", "Mutex"),
        ("sh_process", "Process"),
        ("sh_token", "Token"),
        ("sh_thread", "Thread"),
        ("sh_composition", "Composition"),
        ("sh_job", "Job"),
        ("sh_section", "Section"),
    ] {
        becomes("", &handle(kind), &format!("_, b: syshandle::handle::{name})"));
    }
}

#[test]
fn max_is_and_last_is_say_one_less() {
    becomes(
        "",
        "HRESULT A([in, range(0, 9)] long n, [in, max_is(n)] BYTE *b);",
        "#[range(1..=10)] b: Vec<u8>",
    );
    becomes(
        "",
        "HRESULT A([in] long n, [in, size_is(8), last_is(n)] BYTE *b);",
        "#[range(0..=8)] b: Vec<u8>",
    );
    becomes("", "HRESULT A([in, max_is(9)] BYTE *b);", "#[range(10..=10)] b: Vec<u8>");
}

#[test]
fn a_string_buffer_is_a_string() {
    becomes(
        "",
        "HRESULT A([in] ULONG n, [out, size_is(n)] LPWSTR b);",
        "fn a(&self, _, n: u32) -> syshandle::Result<String>;",
    );
    refuses("HRESULT A([out] LPWSTR b);", "an output parameter must be a pointer");
}

#[test]
fn only_requested_interfaces_are_converted() {
    let text = "import \"oaidl.idl\";\n\
        [object, uuid(00000000-0000-0000-0000-000000000001)] interface IBad : IUnknown { HRESULT A([in] VARIANT v); }\n\
        [object, uuid(00000000-0000-0000-0000-000000000002)] interface IUsed : IUnknown { HRESULT A(); }\n\
        [object, uuid(00000000-0000-0000-0000-000000000003)] interface IGood : IUnknown { HRESULT A([in] IUsed *u); }\n";
    let only = |name: &str| {
        let options = Options { only: vec![name.to_owned()], ..Options::default() };
        describe_text("a.idl", text, &options)
    };
    let good = only("IGood");
    assert_eq!(good.report.to_string(), "");
    let names: Vec<_> = good.description.interfaces.iter().map(|of| of.name.to_string()).collect();
    assert_eq!(names, ["Good", "Used"]);
    assert!(!only("IBad").report.is_success());
    let unknown = only("IGod").report.to_string();
    assert!(unknown.contains("the requested interface or class `IGod` doesn't exist"), "{unknown}");
    assert!(unknown.contains("did you mean `IGood`?"), "{unknown}");
    // Without `--only`, interfaces that can be converted are converted, and the others are
    // reported.
    let all = describe_text("a.idl", text, &Options::default());
    assert_eq!(all.report.statistics().errors, 1);
    assert_eq!(all.description.interfaces.len(), 2);
}

#[test]
fn nullable_pointers_are_optional() {
    becomes("", "HRESULT A([in] long *b);", "b: i32)");
    becomes("", "HRESULT A([in, unique] long *b);", "b: Option<i32>)");
    becomes("", "HRESULT A([in, unique] LPCWSTR b);", "b: Option<String>)");
    becomes("", "HRESULT A([in, unique] IThing *b);", "b: Option<ThingClient>)");
}

#[test]
fn a_type_that_contains_itself_is_boxed() {
    let list = "typedef struct _ITEM { long n; [unique] struct _ITEM *next; } ITEM;";
    becomes(list, "HRESULT A([in] ITEM *b);", "pub next: Option<Box<Item>>");
}

#[test]
fn unsupported_declarations_are_reported() {
    refuses("HRESULT A([in] VARIANT b);", "method `IThing::A`, parameter `b`: type `VARIANT`");
    refuses("HRESULT A([in] SAFEARRAY(long) b);", "type `SAFEARRAY`");
    refuses("HRESULT A([in] HANDLE b);", "only a number in another process");
    refuses(
        "HRESULT A([in] REFIID b, [out, iid_is(b)] void **c);",
        "`iid_is` selects the interface of the object at run time",
    );
    refuses("HRESULT A([in] void *b);", "the type that it points to is unknown");
    refuses("HRESULT A([in] IUnknown *b);", "name the interface of the object");
    refuses("HRESULT A([in] HWND b);", "it refers to a window or a graphics object");
    refuses("void A();", "this return type can't report an error");
}

#[test]
fn all_errors_are_reported_in_one_run() {
    let members = "HRESULT A([in] VARIANT b, [in] HANDLE c);\nHRESULT D([in] void *e);";
    let report = lowered("", members).expect_err("errors");
    assert_eq!(report.statistics().errors, 3, "{report}");
}
