//! Tests where imported and included files are searched, and how the options affect this.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use syshandle_idl::{Options, Preprocessor, Report, check};
use tempfile::TempDir;

/// Creates a directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    directory
}

fn run(directory: &TempDir, file: &str, options: &Options) -> Report {
    check(&[directory.path().join(file)], options)
}

#[track_caller]
fn succeeds(report: &Report) {
    assert!(report.is_success(), "{report}");
    assert_eq!(report.statistics().warnings, 0, "{report}");
}

#[test]
fn imports_are_found_beside_the_file_and_on_the_search_path() {
    let files = directory(&[
        ("a.idl", "import \"beside.idl\"; import \"far.idl\"; typedef beside x; typedef far y;"),
        ("beside.idl", "typedef long beside;"),
        ("inc/far.idl", "import \"farther.idl\"; typedef farther far;"),
        ("inc/farther.idl", "typedef long farther;"),
    ]);
    assert!(!run(&files, "a.idl", &Options::default()).is_success());
    let search = vec![files.path().join("inc")];
    succeeds(&run(&files, "a.idl", &Options { search, ..Options::default() }));
}

#[test]
fn names_of_files_are_written_as_on_windows() {
    let files = directory(&[
        (
            "a.idl",
            "import \"Inc\\\\Types.IDL\"; import \"OAIdl.idl\"; typedef t u; typedef BSTR v;",
        ),
        ("Inc/types.idl", "typedef long t;"),
    ]);
    succeeds(&run(&files, "a.idl", &Options::default()));
}

#[test]
fn file_on_the_search_path_comes_before_the_built_in_one() {
    let files = directory(&[
        ("a.idl", "import \"unknwn.idl\"; typedef ours a;"),
        ("inc/unknwn.idl", "typedef long ours;"),
    ]);
    assert!(!run(&files, "a.idl", &Options::default()).is_success());
    let search = vec![files.path().join("inc")];
    succeeds(&run(&files, "a.idl", &Options { search, ..Options::default() }));
}

#[test]
fn imported_file_has_macros_of_its_own() {
    let files = directory(&[
        ("a.idl", "#define T long\nimport \"b.idl\"; typedef T a; typedef U c;"),
        ("b.idl", "#define U long\n#ifdef T\n#error seen\n#endif\ntypedef U b;"),
    ]);
    let said = run(&files, "a.idl", &Options::default()).to_string();
    assert!(said.contains("unknown type `U`") && !said.contains("seen"), "{said}");
}

#[test]
fn included_file_shares_macros() {
    let files = directory(&[
        ("a.idl", "#include \"b.h\"\n#include <b.h>\ntypedef T a;"),
        ("b.h", "#pragma once\n#define T long\ntypedef T b;"),
    ]);
    let report = run(&files, "a.idl", &Options::default());
    succeeds(&report);
    assert_eq!(report.statistics().files_read, 2);
}

#[test]
fn imported_file_may_use_declarations_of_earlier_imports() {
    let files = directory(&[
        ("a.idl", "import \"types.idl\", \"uses.idl\";"),
        ("types.idl", "typedef long t;"),
        ("uses.idl", "import \"unknwn.idl\"; typedef t u;"),
    ]);
    succeeds(&run(&files, "a.idl", &Options::default()));
    assert!(!run(&files, "uses.idl", &Options::default()).is_success());
}

#[test]
fn part_of_a_file_is_checked_as_one() {
    let files = directory(&[
        ("whole.idl", "import \"unknwn.idl\";\ntypedef long t;\n#include \"part.idl\"\n"),
        ("part.idl", "[local] interface a : IUnknown { t f(); unknown g(); }"),
    ]);
    let said = run(&files, "part.idl", &Options::default()).to_string();
    assert!(said.contains("`unknown`") && !said.contains("`t`"), "{said}");
}

#[test]
fn a_struct_by_value_may_be_defined_in_files_that_are_not_known() {
    let text = "import \"unknwn.idl\"; struct B { struct A a; };";
    let files = directory(&[
        ("alone.idl", text),
        ("lacking.idl", &format!("import \"d3d9types.h\";\n{text}")),
        ("all.idl", "import \"a.idl\", \"alone.idl\";"),
        ("a.idl", "struct A { long a; };"),
        ("whole.idl", "struct A { long a; };\n#include \"part.idl\"\n"),
        ("part.idl", "import \"unknwn.idl\"; struct B { struct A a; }; typedef unknown C;"),
    ]);
    let said = run(&files, "alone.idl", &Options::default()).to_string();
    assert!(said.contains("struct `A` is used by value, but nothing defines it"), "{said}");
    let report = run(&files, "lacking.idl", &Options::default());
    assert!(report.is_success() && report.statistics().gaps == 2, "{report}");
    succeeds(&run(&files, "all.idl", &Options::default()));
    let said = run(&files, "part.idl", &Options::default()).to_string();
    assert!(said.contains("`unknown`") && !said.contains("struct `A`"), "{said}");
}

#[test]
fn error_in_an_imported_file_is_reported_at_its_position() {
    let files = directory(&[("a.idl", "import \"b.idl\";"), ("b.idl", "\ntypedef lnog b;")]);
    let report = run(&files, "a.idl", &Options::default());
    let location = report.location(&report.diagnostics()[0]).expect("a place");
    assert!(location.file.ends_with("b.idl"));
    assert_eq!((location.line, location.column), (2, 9));
}

#[test]
fn definitions_are_seen_by_every_file() {
    let files = directory(&[
        ("a.idl", "import \"b.idl\"; typedef T a;"),
        ("b.idl", "#if FLAG != 1 || !defined(T)\n#error absent\n#endif\n"),
    ]);
    let definitions = vec!["FLAG".to_owned(), "T=unsigned long".to_owned()];
    succeeds(&run(&files, "a.idl", &Options { definitions, ..Options::default() }));
}

#[test]
fn c_compiler_may_preprocess() {
    let Some(compiler) = c_compiler() else {
        println!("skipped: no C compiler");
        return;
    };
    let files = directory(&[
        (
            "a.idl",
            "#include \"b.h\"\nimport \"unknwn.idl\";\nTWICE(typedef A a;)\ntypedef A\n  unknown b;",
        ),
        ("b.h", "#define TWICE(...) __VA_ARGS__ __VA_ARGS__\n#define A FLAG\n"),
    ]);
    let options = Options {
        preprocessor: Preprocessor::Command(compiler),
        definitions: vec!["FLAG=long".to_owned()],
        ..Options::default()
    };
    let report = run(&files, "a.idl", &options);
    let location = report.location(&report.diagnostics()[0]).expect("a place");
    assert_eq!(report.diagnostics().len(), 1, "{report}");
    assert!(location.file.ends_with("a.idl"), "{report}");
    assert_eq!(location.line, 5, "{report}");
}

#[test]
fn absent_compiler_is_an_error() {
    let files = directory(&[("a.idl", "typedef long a;")]);
    let preprocessor = Preprocessor::Command("/no/such/compiler".into());
    let report = run(&files, "a.idl", &Options { preprocessor, ..Options::default() });
    assert!(report.to_string().contains("/no/such/compiler can't be started"), "{report}");
}

fn c_compiler() -> Option<PathBuf> {
    let works = |name: &str| Command::new(name).arg("--version").output().is_ok();
    ["cc", "gcc", "clang"].into_iter().find(|name| works(name)).map(PathBuf::from)
}
