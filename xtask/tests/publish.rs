//! Checks that each published crate contains everything that its package and its page on crates.io
//! need.
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::fs;
use std::path::Path;

use toml::Table;

/// Reads the manifest in a folder.
fn manifest(folder: &Path) -> Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

#[test]
fn published_crates_have_metadata_a_readme_and_licences() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut published = 0;
    for entry in fs::read_dir(workspace.join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let manifest = manifest(&folder);
        let package = manifest["package"].as_table().unwrap();
        let name = package["name"].as_str().unwrap();
        if package.contains_key("publish") {
            continue;
        }
        published += 1;
        for key in ["description", "version", "rust-version", "license", "keywords", "categories"] {
            assert!(package.contains_key(key), "{name} has no `{key}`");
        }
        let keywords = package["keywords"].as_array().unwrap();
        assert!(keywords.len() <= 5, "{name} has more than five keywords");
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let text = fs::read(folder.join(licence)).unwrap();
            assert_eq!(text, fs::read(workspace.join(licence)).unwrap(), "{name}: {licence}");
        }
        let readme = package.get("readme").map_or("README.md", |readme| readme.as_str().unwrap());
        assert!(folder.join(readme).is_file(), "{name} has no README");
        // The command line program has no library to document.
        if folder.join("src/lib.rs").is_file() {
            let docs = &package["metadata"]["docs"]["rs"];
            assert_eq!(docs["all-features"].as_bool(), Some(true), "{name}");
            assert!(package.contains_key("documentation"), "{name}");
        }
    }
    assert_eq!(published, 12, "the published crates; RELEASING.md lists them too");
}
