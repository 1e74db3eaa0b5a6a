//! Builds and runs the packages that documents show as code blocks, and compares their output with
//! the documents.
//!
//! The files are compiled against the library that Cargo built for this test. A separate package
//! would have to build all dependencies again.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use syshandle_testkit::Fixture;

#[test]
fn the_example_of_the_readme_works() {
    let readme = document("README.md");
    Package::new(&readme, "counter").prints_what_the_document_says();
}

#[test]
fn the_first_service_of_the_guide_works() {
    let chapter = document("docs/guide/first-service.md");
    Package::new(&chapter, "words").prints_what_the_document_says();
}

#[test]
fn the_first_interface_of_the_readme_compiles() {
    let readme = document("README.md");
    let block = blocks(&readme, "rust").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sparkle.rs");
    let uses = "use std::fs::File;\nuse syshandle::{Result, handle::Event};\n";
    fs::write(&file, format!("{uses}{block}")).unwrap();
    compile(&file, &["--crate-type=lib", "--emit=metadata"]);
}

/// `mdbook build docs` makes a book of the pages in `docs/SUMMARY.md`. A link to another file would
/// lead nowhere there.
#[test]
fn every_link_in_the_book_leads_to_a_place_in_the_book() {
    let docs = Path::new("docs");
    let pages: Vec<PathBuf> =
        links(&document("docs/SUMMARY.md")).map(|link| docs.join(link)).collect();
    let mut wrong = Vec::new();
    for page in &pages {
        let text = document(page.to_str().unwrap());
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => resolved(&page.parent().unwrap().join(path)),
            };
            let is_page = pages.contains(&target);
            // Files such as pictures are copied into the book.
            let is_copied = target.starts_with(docs) && target.extension() != Some("md".as_ref());
            let is_there = is_page || is_copied && repository().join(&target).is_file();
            if !is_there || !place.is_empty() && !anchors(&target).contains(&place.to_owned()) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(pages.len() > 9 && wrong.is_empty(), "{wrong:#?}");
}

/// Returns the targets of a page's links.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

/// Removes the parts `..` and what they cancel.
fn resolved(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        path
    })
}

/// Returns the anchors of a page's headings.
fn anchors(page: &Path) -> Vec<String> {
    let text = document(page.to_str().unwrap());
    let headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let anchor = |heading: &str| {
        let lower = heading.to_lowercase().replace(' ', "-");
        lower.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

/// A package whose files are the code blocks of a document.
struct Package<'a> {
    document: &'a str,
    name: &'a str,
    fixture: Fixture,
}

impl<'a> Package<'a> {
    /// Writes and compiles the package.
    fn new(document: &'a str, name: &'a str) -> Self {
        let package = Self { document, name, fixture: Fixture::new() };
        let folder = package.folder();
        for block in blocks(document, "toml").chain(blocks(document, "rust")) {
            let (first, text) = block.split_once('\n').unwrap();
            let path = first.trim_start_matches(['/', '#', ' ']);
            if path == "Cargo.toml" || path.starts_with("src/") {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        fs::create_dir_all(folder.join("target/debug")).unwrap();
        let library = folder.join(format!("lib{name}.rlib"));
        let output = format!("-o{}", library.display());
        let crate_name = format!("--crate-name={name}");
        compile(&folder.join("src/lib.rs"), &["--crate-type=lib", &crate_name, &output]);
        let library = format!("--extern={name}={}", library.display());
        for program in ["server", "client"] {
            let program = format!("{name}-{program}");
            let output = format!("-o{}", folder.join("target/debug").join(&program).display());
            let source = folder.join("src/bin").join(format!("{program}.rs"));
            compile(&source, &["--crate-name=program", &library, &output]);
        }
        package
    }

    fn folder(&self) -> PathBuf {
        self.fixture.path().join(self.name)
    }

    /// Runs the commands in the document. Their output must be the same as in the document.
    fn prints_what_the_document_says(&self) {
        let client = format!("$ target/debug/{}-client\n", self.name);
        let console = blocks(self.document, "console").find(|block| block.contains(&client));
        let (_, expected) = console.unwrap().split_once(&client).unwrap();
        let expected = expected.split("$ ").next().unwrap();

        self.run(Path::new(env!("CARGO_BIN_EXE_syshandle")), &["register", "target/debug"]);
        let program = self.folder().join(format!("target/debug/{}-client", self.name));
        assert_eq!(self.run(&program, &[]), expected);
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let mut command = self.fixture.command(program);
        let output = command.args(arguments).current_dir(self.folder()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {}\n{errors}", program.display(), output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Reads a document in this repository.
fn document(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// Returns the code blocks in a language.
fn blocks<'a>(document: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("```{language}\n");
    let parts: Vec<&str> = document.split(&start).skip(1).collect();
    parts.into_iter().map(|part| part.split_once("```").unwrap().0)
}

/// Compiles a file against a built library. Starts with the newest one, because the dependencies of
/// an older one may have been removed.
fn compile(file: &Path, arguments: &[&str]) {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap();
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libsyshandle-") && name.ends_with(".rlib")
    };
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut libraries: Vec<PathBuf> = files.filter(is_library).collect();
    libraries.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    let mut errors = String::new();
    for library in libraries.iter().rev() {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition=2024", "-Dwarnings"]).args(arguments).arg(file);
        rustc.arg(format!("-Ldependency={}", folder.display()));
        rustc.arg(format!("--extern=syshandle={}", library.display()));
        let output = rustc.current_dir(file.parent().unwrap()).output().unwrap();
        if output.status.success() {
            return;
        }
        errors = String::from_utf8(output.stderr).unwrap();
    }
    panic!("{} can't be compiled:\n{errors}", file.display());
}
