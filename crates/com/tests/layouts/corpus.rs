//! Compares the format strings of all methods in the corpus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use syshandle_idl::{Options, describe};

use crate::verdict::{Comparison, Verdict, compare};
use crate::widl;

#[test]
fn every_difference_from_widl_is_reported() {
    let (Some(command), Some(imports)) = (widl::command(), widl::imports()) else {
        println!(
            "skipped: there is no widl with the files of Windows: install mingw-w64-tools (or \
             wine64-tools) and libwine-dev"
        );
        return;
    };
    let start = Instant::now();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in
        [here.join("tests/layouts"), here.join("../../samples"), here.join("../idl/tests")]
    {
        find(&folder, &mut files);
    }
    let own = files.len();
    if std::env::var_os("LAYOUTS_OWN").is_none() {
        find(Path::new(WINE), &mut files);
    }
    files.sort();
    println!("{} files of this project, {} of libwine-dev", own, files.len() - own);
    // The decoder panics if it finds an unknown code. `verdict::read` catches the panic.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicUsize::new(0);
    let one_thread = || {
        let (mut found, mut not_compiled) = (Vec::new(), 0);
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            match widl::compile(command, imports, file) {
                Ok(tables) if tables.interfaces.is_empty() => {}
                Ok(tables) => {
                    let lowered = describe(std::slice::from_ref(file), &Options::default());
                    compare(&lowered, &tables, &mut found);
                }
                Err(why) => {
                    if !file.starts_with(WINE) {
                        println!("{}: {why}", file.display());
                    }
                    not_compiled += 1;
                }
            }
        }
        (found, not_compiled)
    };
    let (mut found, mut not_compiled) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(one_thread)).collect();
        for thread in threads {
            let (more, others) = thread.join().unwrap();
            found.extend(more);
            not_compiled += others;
        }
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    std::panic::set_hook(hook);
    println!("{not_compiled} files that widl doesn't compile");
    let counts = report(&found);
    println!("{:.1?}", start.elapsed());
    assert!(counts > 300, "too few methods were compared: {counts}");
    let silent: Vec<_> = found.iter().filter(|of| of.is_silent()).map(|of| &of.name).collect();
    assert!(silent.is_empty(), "{} unreported differences: {silent:?}", silent.len());
}

#[test]
fn a_difference_without_a_report_is_found() {
    let (Some(command), Some(imports)) = (widl::command(), widl::imports()) else {
        println!("skipped: there is no widl with the files of Windows");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("silent.idl");
    let text = "import \"oaidl.idl\";\n\
        [object, uuid(a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0e101), pointer_default(unique)]\n\
        interface ISilent : IUnknown {\n\
            HRESULT Same([in] long a);\n\
            HRESULT Narrow([out] VARIANT_BOOL *a);\n\
            HRESULT Late([out] long *a, [in] long b);\n\
        }\n\
        [object, uuid(a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0e102), pointer_default(unique)]\n\
        interface INumbered : IDispatch { HRESULT First([in] long a); }\n";
    std::fs::write(&file, text).unwrap();
    let tables = widl::compile(command, imports, &file).unwrap();
    let mut lowered = describe(std::slice::from_ref(&file), &Options::default());
    let mut found = Vec::new();
    compare(&lowered, &tables, &mut found);
    assert!(found.iter().all(|of| !of.is_silent()));
    // Removes all reported differences.
    for interface in &mut lowered.description.interfaces {
        interface.methods.iter_mut().for_each(|method| method.differs = None);
    }
    found.clear();
    compare(&lowered, &tables, &mut found);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let silent = found.iter().filter(|of| of.is_silent()).map(|of| of.name.as_str());
    let silent: Vec<_> = silent.collect();
    assert_eq!(silent, ["INumbered::first", "ISilent::late", "ISilent::narrow"]);
}

/// The `.idl` folder of the package `libwine-dev`.
const WINE: &str = "/usr/include/wine";

/// Prints a summary of the results, and returns the number of methods.
#[expect(clippy::print_stdout, reason = "the counts are what this test is run for")]
fn report(found: &[Verdict]) -> usize {
    let count = |is: &dyn Fn(&Verdict) -> bool| found.iter().filter(|of| is(of)).count();
    let differs = |of: &Verdict| matches!(of.tables, Comparison::Different { .. });
    println!(
        "{} methods: {} have the tables of widl, {} but for what has no effect, {} differ",
        found.len(),
        count(&|of| matches!(of.tables, Comparison::Same)),
        count(&|of| matches!(of.tables, Comparison::Excepted)),
        count(&differs),
    );
    println!(
        "reported: {} of those that differ, {} of the others",
        count(&|of| differs(of) && of.reported.is_some()),
        count(&|of| !differs(of) && of.reported.is_some()),
    );
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for of in found.iter().filter(|of| !differs(of)) {
        let Some(reason) = &of.reported else { continue };
        let reason = reason.rsplit("`: ").next().unwrap_or(reason);
        *reasons.entry(reason).or_default() += 1;
    }
    println!("reasons of those that were reported although widl's tables agree:");
    if std::env::var_os("LAYOUTS_VERBOSE").is_some() {
        for of in found.iter().filter(|of| !differs(of)) {
            if let Some(reason) = &of.reported {
                println!("{}: {reason}", of.name);
            }
        }
    }
    for (reason, count) in reasons {
        println!("  {count:4}  {reason}");
    }
    for of in found.iter().filter(|of| of.is_silent()) {
        let Comparison::Different { ours, theirs } = &of.tables else { continue };
        println!("\nNOT REPORTED: {}\n{}\nwidl:\n{}", of.name, ours, theirs);
    }
    found.len()
}

/// Finds the `.idl` files in a directory and its subdirectories.
pub(crate) fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "idl") {
            files.push(path);
        }
    }
}
