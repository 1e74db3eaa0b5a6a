//! Runs `widl` on a file and reads the format strings that it generates.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The format strings of all interfaces in a file.
pub(crate) struct WidlTables {
    pub(crate) types: Vec<u8>,
    pub(crate) procedures: Vec<u8>,
    /// The methods of each interface by interface name, without the methods of `IUnknown`.
    pub(crate) interfaces: HashMap<String, Vec<Entry>>,
}

/// A method of an interface.
pub(crate) struct Entry {
    /// The interface that declares the method.
    pub(crate) interface: String,
    pub(crate) method: String,
    /// The offset in the procedure string, or `None` if the method has no proxy in this file.
    pub(crate) offset: Option<u16>,
}

/// Returns the name of the installed `widl` command, if any.
pub(crate) fn command() -> Option<&'static str> {
    let names = ["x86_64-w64-mingw32-widl", "widl", "widl-stable"];
    names.into_iter().find(|name| Command::new(name).arg("-V").output().is_ok())
}

/// Returns the folder of the system's `.idl` files, which most files import.
pub(crate) fn imports() -> Option<&'static str> {
    let imports = ["/usr/include/wine/wine/windows", "/usr/include/wine/windows"];
    imports.into_iter().find(|path| Path::new(path).join("oaidl.idl").exists())
}

/// Compiles a file with `widl`.
///
/// # Errors
/// Returns the first line of `widl`'s error output.
pub(crate) fn compile(widl: &str, imports: &str, file: &Path) -> Result<WidlTables, String> {
    let folder = tempfile::tempdir().unwrap();
    let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    fs::write(folder.path().join("a.idl"), without_handles(&text)).unwrap();
    let beside = file.parent().unwrap().to_str().unwrap();
    let output = Command::new(widl)
        .args(["-I", beside, "-I", imports, "--win64", "-p", "-Oif", "-o", "a_p.c", "a.idl"])
        .current_dir(folder.path())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(said.lines().next().unwrap_or("it crashed").to_owned());
    }
    let text =
        fs::read_to_string(folder.path().join("a_p.c")).map_err(|error| error.to_string())?;
    let mut interfaces = HashMap::new();
    let mark = "static const unsigned short ";
    for (at, _) in text.match_indices("_FormatStringOffsetTable[] =") {
        let name = text[..at].rsplit(mark).next().unwrap().to_owned();
        let body = &text[at..];
        interfaces.insert(name, entries(&body[..body.find("};").unwrap()]));
    }
    let types = bytes(&text, "MIDL_TYPE_FORMAT_STRING __MIDL_TypeFormatString =\n");
    let procedures = bytes(&text, "MIDL_PROC_FORMAT_STRING __MIDL_ProcFormatString =\n");
    Ok(WidlTables { types, procedures, interfaces })
}

/// Parses an offset table, whose lines have the form `38,  /* IFoo::Bar */`.
fn entries(body: &str) -> Vec<Entry> {
    let lines = body.lines().filter_map(|line| {
        let (number, comment) = line.trim().split_once(',')?;
        let name = comment.trim().strip_prefix("/*")?.strip_suffix("*/")?.trim();
        let (interface, method) = name.split_once("::")?;
        let offset = number.parse().ok();
        Some(Entry { interface: interface.to_owned(), method: method.to_owned(), offset })
    });
    lines.collect()
}

/// Replaces the handle types in a file with integers, because `widl` doesn't support
/// `system_handle` and rejects other handles.
fn without_handles(text: &str) -> String {
    if !text.contains("system_handle(") {
        return text.to_owned();
    }
    let text = text.replace(" HANDLE ", " hyper ").replace("] HANDLE", "] hyper");
    let mut parts = text.split("system_handle(");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        rest.push_str(part.split_once(')').map_or(part, |(_, behind)| behind));
    }
    rest
}

/// Parses a table of bytes in C source. Removes the table's leading padding.
fn bytes(text: &str, head: &str) -> Vec<u8> {
    let Some(start) = text.find(head) else { return Vec::new() };
    let body = &text[start + head.len()..];
    let mut body = body[..body.find("};").unwrap()].to_owned();
    while let Some(comment) = body.find("/*") {
        let end = body[comment..].find("*/").unwrap() + comment + 2;
        body.replace_range(comment..end, " ");
    }
    let words = body.split([',', '{', '}', ' ', '\t', '\n']).filter(|word| !word.is_empty());
    let numbers = words.skip(1).flat_map(|word| {
        let (len, number) = match word.trim_end_matches(')').split_once('(') {
            Some(("NdrFcShort", number)) => (2, number),
            Some(("NdrFcLong", number)) => (4, number),
            Some((other, _)) => panic!("{other} in a table"),
            None => (1, word),
        };
        let number = match number.strip_prefix("0x") {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => number.parse::<u32>().or_else(|_| number.parse::<i32>().map(|of| of as u32)),
        };
        number.unwrap_or_else(|_| panic!("{word} in a table")).to_le_bytes()[..len].to_vec()
    });
    numbers.collect()
}
