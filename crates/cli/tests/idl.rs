//! Tests the command line of `syshandle idl`.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

const GOOD: &str = r#"
import "unknwn.idl";
[object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)]
interface IFinisher : IUnknown {
    HRESULT Finish([in, system_handle(sh_file, FILE_GENERIC_READ)] HANDLE file, [out, retval] long *lines);
}
"#;

/// Runs the command in a folder that contains one file, `a.idl`.
fn run(text: &str, arguments: &[&str]) -> (TempDir, Output) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.idl"), text).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_syshandle"))
        .arg("idl")
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .expect("a run");
    (folder, output)
}

#[test]
fn check_reports_errors_and_fails() {
    let (_folder, good) = run(GOOD, &["check", "a.idl"]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&good.stdout), "1 file is valid\n");
    let (_folder, bad) = run(&GOOD.replace("sh_file", "sh_fiel"), &["check", "a.idl"]);
    assert_eq!(bad.status.code(), Some(1));
    let text = String::from_utf8_lossy(&bad.stderr);
    assert!(text.contains("did you mean `sh_file`?") && text.contains("a.idl:5:39"), "{text}");
}

#[test]
fn check_accepts_macros_and_search_folders() {
    let text = "#ifndef NAME\n#error none\n#endif\nimport \"far.idl\";\n".to_owned() + GOOD;
    let (folder, failed) = run(&text, &["check", "a.idl"]);
    assert_eq!(failed.status.code(), Some(1));
    fs::create_dir(folder.path().join("inc")).expect("a folder");
    fs::write(folder.path().join("inc/far.idl"), "").expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_syshandle"))
        .args(["idl", "check", "-DNAME=1", "-I", "inc", "a.idl"])
        .current_dir(folder.path())
        .output()
        .expect("a run");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rust_writes_the_trait() {
    let (folder, output) = run(GOOD, &["rust", "a.idl", "-o", "a.rs"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(folder.path().join("a.rs")).expect("a file");
    assert!(text.contains("#[syshandle::interface(iid = \"1284c788"), "{text}");
    assert!(text.contains("#[handle(file, read)]") && text.contains("Result<i32>"), "{text}");
    let (_folder, shown) = run(GOOD, &["rust", "a.idl"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), text);
}

#[test]
fn rust_refers_to_the_library_by_the_given_path() {
    let (_folder, output) = run(GOOD, &["rust", "--crate", "my_sdk :: ipc", "a.idl"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let interface = "#[my_sdk::ipc::interface(";
    assert!(text.contains(interface) && text.contains("crate = my_sdk::ipc"), "{text}");
    assert!(
        text.contains("-> my_sdk::ipc::Result<i32>") && !text.contains("syshandle::"),
        "{text}"
    );
    let (_folder, output) = run(GOOD, &["rust", "--crate", "my-sdk", "a.idl"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("`my-sdk` is not the path of a crate or module"), "{text}");
}

#[test]
fn unsupported_declarations_are_named_and_fail_only_for_rust() {
    let foreign = GOOD.replace("long *lines", "VARIANT *lines").replace("unknwn", "oaidl");
    let (_folder, checked) = run(&foreign, &["check", "a.idl"]);
    assert_eq!(checked.status.code(), Some(0));
    let (_folder, output) = run(&foreign, &["rust", "a.idl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("`IFinisher::Finish`, parameter `lines`: type `VARIANT`"), "{text}");
}

#[test]
fn diff_fails_for_added_authority_unless_it_is_accepted() {
    let (folder, _) = run(GOOD, &["check", "a.idl"]);
    let wider = GOOD.replace("FILE_GENERIC_READ", "FILE_GENERIC_READ | FILE_GENERIC_WRITE");
    fs::write(folder.path().join("b.idl"), wider).expect("a file");
    let diff = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_syshandle"))
            .args(["idl", "diff"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("a run")
    };
    assert_eq!(diff(&["a.idl", "a.idl"]).status.code(), Some(0));
    let wider = diff(&["a.idl", "b.idl"]);
    let text = String::from_utf8_lossy(&wider.stdout);
    assert_eq!(wider.status.code(), Some(1));
    assert!(
        text.contains("Finisher::finish::file")
            && text.contains("MORE AUTHORITY: right write (to the server)"),
        "{text}"
    );
    let narrower = diff(&["b.idl", "a.idl"]);
    assert_eq!(narrower.status.code(), Some(0), "{}", String::from_utf8_lossy(&narrower.stdout));
    let accepted = diff(&["a.idl", "b.idl", "--accept", "Finisher::finish::file"]);
    assert_eq!(accepted.status.code(), Some(0));

    let source = "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
        pub trait Finisher {\n\
            fn finish(&self, #[handle(file, read)] file: File) -> Result<i32>;\n\
            fn more(&self, file: Event) -> Result<()>;\n\
        }\n";
    fs::write(folder.path().join("c.rs"), source).expect("a file");
    let more = diff(&["a.idl", "c.rs"]);
    let text = String::from_utf8_lossy(&more.stdout);
    assert_eq!(text.matches("MORE AUTHORITY").count(), 1, "{text}");
    assert!(
        text.contains("Finisher::more: method added at the end (compatible with old peers)"),
        "{text}"
    );
}

#[test]
fn emitted_file_is_valid_and_gives_the_same_interface() {
    let source = "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
        pub trait Finisher {\n\
            /// Finishes it.\n\
            fn finish_all(&self, #[handle(file, read | write)] the_file: File, when: Event,\n\
                words: Vec<u32>, name: String, maybe: Option<String>) -> Result<Event>;\n\
            fn place(&self, at: Place, how: How) -> Result<(u64, Vec<u8>)>;\n\
            fn next(&self, next: FinisherClient) -> Result<()>;\n\
        }\n\
        #[derive(Encode, Decode)] pub struct Place { pub x: f64, pub code: [u16; 4], pub words: Vec<u16> }\n\
        #[derive(Encode, Decode)] pub enum How { Dull, Shiny = 5 }\n\
        class! { pub THE_FINISHER: Finisher = \"ea27c73a-48c2-4714-9d20-a9d2c4f6aed3\"; }\n";
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.rs"), source).expect("a file");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_syshandle"))
            .arg("idl")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("a run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}\n{said}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), said)
    };
    // Rights become an access mask in the file. The trait's tables contain no masks, so a warning
    // is printed.
    let (_, warnings) = run(&["emit", "a.rs", "-o", "a.idl"]);
    assert_eq!(warnings.matches("warning: ").count(), 1, "{warnings}");
    assert!(warnings.contains("the access mask READ_CONTROL | SYNCHRONIZE | 0x19f"), "{warnings}");
    let (_, warnings) = run(&["check", "a.idl"]);
    assert_eq!(warnings, "");
    let (changes, warnings) = run(&["diff", "a.rs", "a.idl"]);
    assert_eq!(warnings, "");
    assert_eq!(changes, "", "{}", fs::read_to_string(folder.path().join("a.idl")).expect("a file"));
}

#[test]
fn emit_names_types_that_midl_cant_express() {
    let source = "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
        pub trait Finisher { fn a(&self, map: HashMap<u8, u8>, wide: u128) -> Result<()>; }\n";
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.rs"), source).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_syshandle"))
        .args(["idl", "emit", "a.rs"])
        .current_dir(folder.path())
        .output()
        .expect("a run");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("Finisher::a, parameter `map`: MIDL has no type"), "{text}");
    assert!(text.contains("parameter `wide`: MIDL has no type for `u128`"), "{text}");
}

/// Writes files to a folder and compares two of them with `idl diff`.
fn diff(files: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_syshandle"))
        .args(["idl", "diff"])
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .expect("a run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const TRAIT: &str = "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
    pub trait Finisher { fn finish(&self, place: Place) -> Result<()>; }\n";

#[test]
fn diff_fails_for_changes_that_break_old_peers_unless_they_are_accepted_or_not_denied() {
    let broken = GOOD.replace("long *lines", "hyper *lines");
    let files = [("a.idl", GOOD), ("b.idl", broken.as_str())];
    let (code, shown, said) = diff(&files, &["a.idl", "b.idl"]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("BREAKS old peers"), "{shown}");
    assert!(said.contains("breaks old peers: --accept Finisher::finish::result"), "{said}");
    let run = |more: &[&str]| diff(&files, &[&["a.idl", "b.idl"], more].concat()).0;
    assert_eq!(run(&["--accept", "Finisher::finish::result"]), Some(0));
    assert_eq!(run(&["--deny", "authority"]), Some(0));
    assert_eq!(run(&["--deny", "nothing"]), Some(0));
    assert_eq!(run(&["--deny", "breaks"]), Some(1));
    assert_eq!(run(&["--deny", "authority,breaks"]), Some(1));
    assert_eq!(run(&["--deny", "other"]), Some(2));
}

#[test]
fn diff_has_an_exit_code_of_its_own_for_files_that_it_cannot_compare() {
    let files = [("a.idl", GOOD), ("b.idl", "interface {"), ("c.rs", "mod absent;")];
    assert_eq!(diff(&files, &["a.idl", "b.idl"]).0, Some(2));
    assert_eq!(diff(&files, &["absent.idl", "a.idl"]).0, Some(2));
    let (code, _, said) = diff(&files, &["c.rs", "c.rs"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("module `absent` isn't found: searched c/absent.rs"), "{said}");
}

#[test]
fn diff_reads_the_files_of_modules() {
    let structs =
        |ty: &str| format!("#[derive(Encode, Decode)] pub struct Place {{ pub x: {ty} }}");
    let root = "mod types; #[cfg(test)] mod tests;\n".to_owned() + TRAIT;
    let (old, new) = (structs("u32"), structs("u64"));
    for place in ["types.rs", "types/mod.rs", "lib/types.rs"] {
        let root_name = if place.starts_with("lib/") { "api.rs" } else { "lib.rs" };
        let place = place.replace("lib/", "api/");
        let (before, after) = (format!("old/{place}"), format!("new/{place}"));
        let files = [
            (format!("old/{root_name}"), root.clone()),
            (format!("new/{root_name}"), root.clone()),
            (before, old.clone()),
            (after, new.clone()),
        ];
        let files: Vec<_> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let arguments = [format!("old/{root_name}"), format!("new/{root_name}")];
        let (code, shown, said) = diff(&files, &[&arguments[0], &arguments[1]]);
        assert_eq!(code, Some(1), "{shown}{said}");
        assert!(shown.contains("Place::x: type changed from `u32` to `u64`"), "{shown}");
    }
    let root =
        "#[path = \"other/place.rs\"] mod types; mod deep { pub mod inner; }\n".to_owned() + TRAIT;
    let files = [
        ("lib.rs", root.as_str()),
        ("other/place.rs", &new),
        ("deep/inner.rs", "#[derive(Encode)] pub struct Inner { pub a: u8 }"),
    ];
    assert_eq!(diff(&files, &["lib.rs", "lib.rs"]), (Some(0), String::new(), String::new()));
    let files = [("lib.rs", "#[path = \"lib.rs\"] mod again;")];
    let (code, _, said) = diff(&files, &["lib.rs", "lib.rs"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("lib.rs: the file is a module of itself"), "{said}");
}

#[test]
fn diff_finds_changes_of_the_com_layout_that_rust_does_not_show() {
    let file = |declarations: &str, parameters: &str| {
        format!(
            "import \"oaidl.idl\";\n{declarations}\n\
             [object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)]\n\
             interface IFinisher : IUnknown {{ HRESULT Finish({parameters}); }}\n"
        )
    };
    let look = |attributes: &str| format!("typedef {attributes} enum Look {{ DULL, SHINY }} Look;");
    let place = |ty: &str| format!("typedef struct Place {{ {ty} x; }} Place;");
    let cases = [
        (file("", "[in] BSTR a"), file("", "[in, string] LPCWSTR a"), "Finisher::finish::a: COM"),
        (file("", "[in] BOOL a"), file("", "[in] VARIANT_BOOL a"), "Finisher::finish::a: COM"),
        (file("", "[in] boolean a"), file("", "[in] BOOL a"), "Finisher::finish::a: COM"),
        (file("", "[in] long a"), file("", "[in] long *a"), "Finisher::finish::a: COM"),
        (
            file("", "[in] long n, [in, size_is(n)] BYTE *a"),
            file("", "[in] short n, [in, size_is(n)] BYTE *a"),
            "Finisher::finish::n: COM",
        ),
        (
            file("", "[in] long n, [in, size_is(n)] BYTE *a"),
            file("", "[in, size_is(n)] BYTE *a, [in] long n"),
            "Finisher::finish::a: COM",
        ),
        (
            file("", "[in, unique] long *a"),
            file("", "[in, ptr] long *a"),
            "Finisher::finish::a: COM",
        ),
        (
            file(&look(""), "[in] Look a"),
            file(&look("[v1_enum]"), "[in] Look a"),
            "Look: COM layout changed from `an enum of 2 bytes` to `an enum of 4 bytes`",
        ),
        (
            file(&place("BOOL"), "[in] Place *a"),
            file(&place("VARIANT_BOOL"), "[in] Place *a"),
            "Place::x: COM",
        ),
        (
            file(&place("long"), "[in] Place *a"),
            file(&place("__declspec(align(8)) long"), "[in] Place *a"),
            "Place::x: COM",
        ),
        (
            file(&place("long"), "[in] Place *a"),
            file(
                &format!("#pragma pack(push, 1)\n{}\n#pragma pack(pop)", place("long")),
                "[in] Place *a",
            ),
            "Place: COM layout changed from `the alignment of its fields` to `pragma pack(1)`",
        ),
        (
            file(&place("long"), "[in] Place *a"),
            file("typedef struct __declspec(align(8)) Place { long x; } Place;", "[in] Place *a"),
            "Place: COM layout changed from `the alignment of its fields` to `__declspec(align)(8)`",
        ),
        (
            file(&place("long *"), "[in] Place *a"),
            file(&place("long *"), "[in] Place *a").replace("uuid", "pointer_default(ref), uuid"),
            "Place::x: COM",
        ),
        (
            file("", "[in] long **a"),
            file("", "[in] long **a").replace("uuid", "pointer_default(ref), uuid"),
            "Finisher::finish::a: COM",
        ),
    ];
    for (old, new, expected) in &cases {
        let (code, shown, said) = diff(&[("a.idl", old), ("b.idl", new)], &["a.idl", "b.idl"]);
        assert!(code == Some(1) && shown.contains(expected), "{expected}\n{new}{shown}{said}");
        assert!(shown.contains("BREAKS old peers"), "{shown}");
        let same = diff(&[("a.idl", old)], &["a.idl", "a.idl"]);
        assert_eq!(same, (Some(0), String::new(), String::new()));
    }
    // The names of parameters and typedefs don't affect a layout.
    let old = file("", "[in] long n, [in, size_is(n)] BYTE *a");
    let new =
        file("typedef LONG Count;", "[in] Count count, [in, size_is(count)] unsigned char *a");
    assert_eq!(diff(&[("a.idl", &old), ("b.idl", &new)], &["a.idl", "b.idl"]).0, Some(0));
}

#[test]
fn diff_writes_json_for_programs() {
    let broken = GOOD.replace("long *lines", "hyper *lines");
    let files = [("a.idl", GOOD), ("b.idl", broken.as_str())];
    let (code, shown, said) = diff(&files, &["a.idl", "b.idl", "--format", "json"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert_eq!(
        shown,
        "{\"version\":1,\"changes\":[{\"name\":\"Finisher::finish::result\",\
         \"change\":\"type changed from `i32` to `i64`\",\"breaks\":true,\"gives\":null,\
         \"accepted\":false,\"denied\":true}]}\n"
    );
    let (code, shown, _) = diff(&files, &["a.idl", "a.idl", "--format", "json"]);
    assert_eq!((code, shown.as_str()), (Some(0), "{\"version\":1,\"changes\":[]}\n"));
}

#[test]
fn check_reports_valid_only_if_everything_was_checked() {
    let (_folder, lacking) = run(
        &("import \"d3d9types.h\"; typedef D3DFORMAT F;".to_owned() + GOOD),
        &["check", "a.idl"],
    );
    assert_eq!(lacking.status.code(), Some(0));
    let shown = String::from_utf8_lossy(&lacking.stdout);
    assert_eq!(shown, "1 file is without errors; 2 warnings name parts that were not checked\n");
}

#[test]
fn rust_converts_flags_enums_to_integers() {
    let text = "typedef enum Look { DULL = 1, SHINY = 2, LARGE = 4 } Look;".to_owned() + GOOD;
    let (_folder, warned) = run(&text, &["rust", "a.idl"]);
    assert_eq!(warned.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&warned.stderr).contains("look like flags"));
    let (_folder, flags) = run(&text, &["rust", "--flags", "Look", "a.idl"]);
    assert!(!String::from_utf8_lossy(&flags.stderr).contains("look like flags"));
    assert!(String::from_utf8_lossy(&flags.stdout).contains("pub type Look = u32;"));
}

/// Two interfaces. One of them has a method whose COM layout differs in Rust.
const LAYOUTS: &str = "import \"oaidl.idl\";
    [object, uuid(1284c788-6978-43d5-9a02-414901a2ec76)]
    interface IMeter : IUnknown {
        HRESULT Count([out, retval] long *count);
        HRESULT IsDone([out, retval] VARIANT_BOOL *done);
    }
    [object, uuid(1284c788-6978-43d5-9a02-414901a2ec77)]
    interface IPlain : IUnknown { HRESULT Count([out, retval] long *count); }
";

fn check_com(text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let (_folder, output) = run(text, &[&["check", "a.idl", "--com"], more].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_com_reports_each_method_with_a_different_com_layout_as_an_error() {
    let (code, shown, said) = check_com(LAYOUTS, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(shown, "1 of 3 methods have a different COM layout in Rust\n");
    assert!(
        said.starts_with("error: the COM layout of method `IMeter::IsDone` differs in Rust"),
        "{said}"
    );
    assert!(said.contains("a.idl:5:") && said.contains("2-byte integer"), "{said}");
    assert!(said.ends_with("syshandle: 1 error\n") && !said.contains("warning"), "{said}");
    let same = check_com(&LAYOUTS.replace("VARIANT_BOOL", "BOOL"), &[]);
    let shown = "0 of 3 methods have a different COM layout in Rust\n".to_owned();
    assert_eq!(same, (Some(0), shown, String::new()));
    // Without `--com`, the command checks only the IDL, which is valid.
    let (_folder, plain) = run(LAYOUTS, &["check", "a.idl"]);
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "1 file is valid\n");
}

#[test]
fn check_com_skips_private_interfaces() {
    let private = check_com(LAYOUTS, &["--private", "IMeter"]);
    let shown = "0 of 1 methods have a different COM layout in Rust\n".to_owned();
    assert_eq!(private, (Some(0), shown, String::new()));
    let (code, shown, _) = check_com(LAYOUTS, &["--private", "IMeter", "--private", "IPlain"]);
    let expected = "the files declare no methods whose COM layout can be compared\n";
    assert_eq!((code, shown.as_str()), (Some(0), expected));
    let (code, _, said) = check_com(LAYOUTS, &["--private", "IPlain"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("`IMeter::IsDone`"), "{said}");
}

#[test]
fn rust_marks_methods_of_a_private_interface_without_a_warning() {
    let (_folder, output) = run(LAYOUTS, &["rust", "a.idl", "--private", "IMeter"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("com = \"private\"").count(), 1, "{text}");
    assert_eq!(text.matches("#[com(").count(), 1, "{text}");
    let (_folder, output) = run(LAYOUTS, &["rust", "a.idl"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("warning: the COM layout of method `IMeter::IsDone`"), "{said}");
}

#[test]
fn options_with_unknown_names_are_errors() {
    let text = "typedef enum Look { DULL, SHINY } Look;".to_owned() + LAYOUTS;
    for (options, said) in [
        (
            &["rust", "a.idl", "--private", "IMetre"][..],
            "the private interface `IMetre` doesn't exist",
        ),
        (&["rust", "a.idl", "--flags", "Lock"], "the flags enum `Lock` doesn't exist"),
        (
            &["check", "a.idl", "--com", "--private", "IMetre"],
            "the private interface `IMetre` doesn't exist",
        ),
        (&["check", "a.idl", "--com", "--flags", "Lock"], "the flags enum `Lock` doesn't exist"),
    ] {
        let (_folder, output) = run(&text, options);
        assert_eq!(output.status.code(), Some(1), "{options:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(said) && error.contains("did you mean"), "{options:?}: {error}");
    }
    let (_folder, output) = run(&text, &["check", "a.idl", "--private", "IMeter"]);
    assert_eq!(output.status.code(), Some(2), "only --com has private interfaces");
}
