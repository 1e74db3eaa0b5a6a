//! Tests with input that is designed to crash the reader or to keep it busy forever.
//!
//! Each test asserts that reading ends. The growth of the work is measured in steps, which don't
//! depend on the machine's load.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syshandle_idl::{Options, Report, check, check_text};

/// A file that contains every construct.
const EVERYTHING: &str = include_str!("everything.idl");

/// Time limit for reading a file. Every input takes much less time, on any machine; an endless loop
/// exceeds the limit.
const SOON: Duration = Duration::from_secs(60);

#[track_caller]
fn read(text: &str) -> Report {
    let start = Instant::now();
    let report = check_text("hostile.idl", text, &Options::default());
    let _ = report.to_string();
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    report
}

/// Reads a text and asserts that one of the messages contains `expected`.
#[track_caller]
fn complains(text: &str, expected: &str) {
    let report = read(text);
    let messages: Vec<_> = report.diagnostics().iter().map(|found| &found.message).collect();
    assert!(messages.iter().any(|message| message.contains(expected)), "{messages:#?}");
}

#[test]
fn everything_is_valid() {
    let report = read(EVERYTHING);
    assert!(report.is_success(), "{report}");
}

#[test]
fn any_prefix_of_a_file_is_read() {
    // The step is a prime number, so that the text is cut at every position within words.
    for end in (0..EVERYTHING.len()).step_by(23) {
        read(&EVERYTHING[..end]);
    }
}

#[test]
fn any_suffix_of_a_file_is_read() {
    for start in (0..EVERYTHING.len()).step_by(61) {
        read(&EVERYTHING[start..]);
    }
}

#[test]
fn a_file_with_any_wrong_character_is_read() {
    let wrong = b"([{<\"'#*,;}])>\\\0@";
    for at in (0..EVERYTHING.len()).step_by(37) {
        let mut bytes = EVERYTHING.as_bytes().to_vec();
        bytes[at] = wrong[at % wrong.len()];
        read(&String::from_utf8(bytes).expect("ASCII"));
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = 10_000;
    let nested = |open: &str| open.repeat(deep);
    complains(&format!("const long A = {}", nested("(")), "nested more than");
    complains(&format!("const long A = {}1;", nested("-")), "nested more than");
    complains(&format!("const long A = {}1;", nested("1 ? ")), "nested more than");
    complains(&format!("const long A = {}1;", nested("(long)")), "nested more than");
    complains(&nested("struct a { "), "nested more than");
    complains(&format!("typedef {}", nested("union { ")), "nested more than");
    complains(&nested("interface a { "), "nested more than");
    complains(&nested("library a { "), "nested more than");
    complains(&format!("typedef {}", nested("a<")), "nested more than");
    complains(&format!("typedef {}", nested("SAFEARRAY(")), "nested more than");
    complains(&format!("typedef {}", nested("pipe ")), "nested more than");
    complains(&format!("typedef long {}", nested("(*")), "nested more than");
    complains(&format!("void f({}", nested("void (*a)(")), "nested more than");
    complains(&format!("namespace a{} {{}}", nested(".a")), "the name of a namespace");
    complains(&nested("namespace a {"), "the name of a namespace");
}

#[test]
fn long_chains_are_refused() {
    let long = 10_000;
    complains(&format!("const long A = 1{};", " + 1".repeat(long)), "operators");
    complains(&format!("const long A = a{};", ".a".repeat(long)), "operators");
    complains(&format!("const long A = a{};", "[1]".repeat(long)), "operators");
    complains(&format!("typedef long {}a;", "*".repeat(long)), "pointers, arrays");
    complains(&format!("typedef long a{};", "[1]".repeat(long)), "pointers, arrays");
    complains(&format!("interface a<{}b> {{}}", "a,".repeat(long)), "type parameters");
}

/// Reads two texts, one of which is twice as long as the other, and asserts that the steps grow
/// about linearly. With quadratic growth, the longer text would take four times as many steps.
#[track_caller]
fn grows_evenly(text: impl Fn(usize) -> String) {
    let steps = |many: usize| read(&text(many)).statistics().steps;
    let (once, twice) = (steps(MANY), steps(2 * MANY));
    assert!(once > MANY as u64 / 2, "{once} steps: they aren't counted");
    assert!(twice * 2 < once * 5, "{once} steps, and {twice} for twice as much");
}

/// A number of errors that is so large that no hints are computed. Computing hints would also count
/// as steps.
const MANY: usize = 500;

#[test]
fn many_of_anything_are_read() {
    let numbered = |many: usize, line: fn(usize) -> String| (0..many).map(line).collect::<String>();
    for word in ["}", "[", ";", "@", "typedef long ", "#if 1\n", "#else\n", "#endif\n"] {
        grows_evenly(|many| word.repeat(many));
    }
    grows_evenly(|many| format!("[{}] interface a {{}}", "in,".repeat(many)));
    grows_evenly(|many| format!("[id({})] interface a {{}}", "1,".repeat(many)));
    for line in [
        |n| format!("typedef unknown{n} name{n};\n"),
        |n| format!("typedef name{} name{n};\n", n + 1),
        |n| format!("interface name{n} : name{} {{}}\n", n + 1),
        |n| format!("const long NAME{n} = NAME{} + 1;\n", n.max(1) - 1),
        |_| "const long SAME = 1;\n".to_owned(),
        |n| format!("#define name{n}(a) a\n"),
        |n| format!("namespace a.b.c {{ interface i{n} : a.b.c.i{} {{}} }}\n", n + 1),
        |n| format!("library l{n} {{ interface i{n}; coclass c{n} {{ interface i{n}; }} }}\n"),
    ] as [fn(usize) -> String; 8]
    {
        grows_evenly(|many| numbered(many, line));
    }
    grows_evenly(|many| format!("enum {{ {} }};", numbered(many, |n| format!("name{n},"))));
    for field in [
        |n| format!("[size_is(nome{n})] long name{n};"),
        |n| format!("long a{n}; struct {{ long b; }};"),
    ] as [fn(usize) -> String; 2]
    {
        grows_evenly(|many| format!("struct {{ {} }};", numbered(many, field)));
    }
    grows_evenly(|many| {
        let parameters = numbered(many, |n| format!("[size_is(nome{n})] long name{n},"));
        format!("void f({parameters});")
    });
    let parameters = numbered(2 * MANY, |n| format!("a{n},"));
    complains(&format!("#define f({parameters}) 1\nf(1)"), "macro with more");
}

#[test]
fn huge_words_are_read() {
    let huge = "a".repeat(1 << 20);
    read(&huge);
    read(&format!("\"{huge}"));
    read(&format!("/*{huge}"));
    read(&format!("typedef {huge} name;"));
    read(&format!("typedef long {huge}; typedef {huge}b name;"));
    read(&format!("const long a = 0x{huge};"));
    read(&format!("const long a = '{huge}';"));
    read(&format!("[uuid({huge})] interface a {{}}"));
    read(&format!("#include <{huge}>"));
    read(&format!("import \"{huge}\";"));
    complains(&" ".repeat(5 << 20), "exceeds the limit of 4194304 bytes");
}

#[test]
fn many_errors_in_one_long_line_are_drawn() {
    let report = read(&"const long A = ;".repeat(100_000));
    assert!(report.statistics().errors > 1_000);
    assert!(report.diagnostics().len() <= 200);
    assert!(report.to_string().len() < 100_000);
}

#[test]
fn exponentially_expanding_macros_are_refused() {
    let mut text = "#define A0 x\n".to_owned();
    for level in 1..64 {
        text += &format!("#define A{level} A{0} A{0}\n", level - 1);
    }
    complains(&(text + "A63"), "macros expand to more than");
    let calls = "#define F(a) a a\n".to_owned() + &"F(".repeat(60) + "1" + &")".repeat(60);
    complains(&calls, "macros expand to more than");
    complains(&format!("#define F(a) a\n{}", "F(".repeat(100_000)), "macro");
}

#[test]
fn exponentially_expanding_includes_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let itself = write("itself.idl", "#include \"itself.idl\"\n");
    let mut last = write("level0.idl", "");
    for level in 1..40 {
        let line = format!("#include \"level{}.idl\"\n", level - 1);
        last = write(&format!("level{level}.idl"), &line.repeat(2));
    }
    let start = Instant::now();
    let report = check(&[itself, last], &Options::default()).to_string();
    assert!(report.contains("includes nested more than"), "{report}");
    assert!(report.contains("files are included"), "{report}");
    assert!(start.elapsed() < SOON);
}

#[test]
fn files_that_import_each_other_are_read_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    fs::write(path("a.idl"), "import \"b.idl\"; typedef long a; typedef b c;").expect("a file");
    fs::write(path("b.idl"), "import \"a.idl\"; typedef long b; typedef a d;").expect("a file");
    fs::write(path("self.idl"), "import \"self.idl\"; typedef long e;").expect("a file");
    let report = check(&[path("a.idl"), path("self.idl")], &Options::default());
    assert!(report.is_success(), "{report}");
    assert_eq!(report.statistics().files_read, 3);
}

#[test]
fn binary_files_are_refused_or_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let utf16: Vec<u8> =
        "\u{feff}typedef long a;".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let fails = |path: &Path| !check(&[path.to_owned()], &Options::default()).is_success();
    assert!(fails(&written("noise.idl", &noise)));
    assert!(fails(&written("zeros.idl", &[0; 1000])));
    assert!(!fails(&written("empty.idl", b"")));
    assert!(!fails(&written("utf16.idl", &utf16)));
    assert!(!fails(&written("latin1.idl", b"/* \xa9 */ typedef long a;\x1a")));
    assert!(fails(directory.path()));
    assert!(fails(&directory.path().join("absent.idl")));
    assert!(fails(Path::new("/dev/zero")));
}

#[test]
fn definitions_from_outside_can_be_anything() {
    let hostile = ["", "=", "1=2", "a b", "A=\n#error x", "F(a)=a a", "\"", "#"];
    let definitions = hostile.map(str::to_owned).to_vec();
    let options = Options { definitions, ..Options::default() };
    let report = check_text("a.idl", "typedef long a;", &options);
    assert!(!report.is_success());
}
