//! `syshandle idl`, as people run it.

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

/// Runs the command in a folder with one file, `a.idl`.
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
fn check_says_what_is_wrong_and_fails() {
    let (_folder, good) = run(GOOD, &["check", "a.idl"]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&good.stdout), "1 file is valid\n");
    let (_folder, bad) = run(&GOOD.replace("sh_file", "sh_fiel"), &["check", "a.idl"]);
    assert_eq!(bad.status.code(), Some(1));
    let text = String::from_utf8_lossy(&bad.stderr);
    assert!(text.contains("did you mean `sh_file`?") && text.contains("a.idl:5:39"), "{text}");
}

#[test]
fn check_takes_macros_and_folders() {
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
fn what_means_nothing_here_is_named_and_fails_only_for_rust() {
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
fn diff_fails_for_what_gives_more_unless_it_is_accepted() {
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
            && text.contains("GIVES MORE: right write (to the server)"),
        "{text}"
    );
    assert_eq!(diff(&["b.idl", "a.idl"]).status.code(), Some(0));
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
    assert_eq!(text.matches("GIVES MORE").count(), 1, "{text}");
    assert!(text.contains("Finisher::more: method added at the end (old peers go on)"), "{text}");
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
        assert!(output.status.success() && said.is_empty(), "{arguments:?}\n{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&["emit", "a.rs", "-o", "a.idl"]);
    run(&["check", "a.idl"]);
    let changes = run(&["diff", "a.rs", "a.idl"]);
    assert_eq!(changes, "", "{}", fs::read_to_string(folder.path().join("a.idl")).expect("a file"));
}

#[test]
fn emit_names_what_midl_cant_express() {
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
