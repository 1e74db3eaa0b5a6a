//! A program that depends on a crate which re-exports the library, and not on the library itself.

mod rustc;

use std::path::Path;

#[test]
fn the_macros_need_no_dependency_on_the_library() {
    let output = tempfile::tempdir().expect("a folder");
    let compile = |file: &str, crate_type, crates: &[&str]| {
        let file = Path::new("tests/reexport").join(file);
        let result = rustc::compile(&file, crate_type, output.path(), crates);
        if let Err(said) = result {
            panic!("{said}");
        }
    };
    compile("sdk.rs", "lib", &["syshandle"]);
    compile("program.rs", "bin", &["sdk"]);
}
