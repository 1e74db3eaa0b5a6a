//! Programs that depend on a crate which re-exports the library, and not on the library itself.

mod rustc;

use std::path::{Path, PathBuf};

use syshandle_idl::{Options, describe};

#[track_caller]
fn compile(file: &Path, crate_type: &str, output: &Path, crates: &[&str]) {
    if let Err(said) = rustc::compile(file, crate_type, output, crates) {
        panic!("{said}");
    }
}

fn source(file: &str) -> PathBuf {
    Path::new("tests/reexport").join(file)
}

#[test]
fn the_macros_need_no_dependency_on_the_library() {
    let output = tempfile::tempdir().expect("a folder");
    compile(&source("sdk.rs"), "lib", output.path(), &["syshandle"]);
    compile(&source("program.rs"), "bin", output.path(), &["sdk"]);
}

#[test]
fn code_generated_from_idl_needs_no_dependency_on_the_library() {
    let output = tempfile::tempdir().expect("a folder");
    compile(&source("sdk.rs"), "lib", output.path(), &["syshandle"]);
    for file in ["sparkle/idl/sparkle.idl", "sparkle-idl/idl/variety.idl"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(file);
        let crate_path = Some("sdk::ipc".parse().expect("a path"));
        let lowered = describe(&[file], &Options { crate_path, ..Options::default() });
        assert!(lowered.report.is_success(), "{}", lowered.report);
        let generated = output.path().join("generated.rs");
        std::fs::write(&generated, lowered.rust()).expect("a file");
        compile(&generated, "lib", output.path(), &["sdk"]);
    }
}
