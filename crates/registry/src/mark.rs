//! Marks in program files. A server program contains a mark for each class that it serves, so that
//! it can be registered without being executed. A proxy DLL contains a mark for each of its
//! interfaces.
//!
//! A mark has a fixed size. It consists of a magic number that is unlikely to occur elsewhere in a
//! program, the data of the class or interface, and a checksum of both.

use syshandle_types::{Guid, describe, is_printable};

use crate::hash::fnv1a;

/// The content of a mark, which describes a class of a program or an interface of a proxy DLL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// CLSID of the class or of the proxy DLL.
    pub clsid: Guid,
    /// Name of the class or interface.
    pub name: String,
    /// IIDs of the class's interfaces, or the IID of the one interface.
    pub interfaces: Vec<Guid>,
}

/// Creates the mark of a class.
///
/// # Panics
/// Panics if the name of the class has more than 64 bytes.
pub const fn of_class(
    clsid: Guid,
    name: &str,
    interfaces: &[&describe::Interface],
) -> [u8; MARK_LEN] {
    let mut mark = [0; MARK_LEN];
    put(&mut mark, CLSID, &clsid.to_bytes());
    mark[COUNT] = interfaces.len() as u8;
    let mut i = 0;
    while i < interfaces.len() {
        put(&mut mark, IIDS + 16 * i, &interfaces[i].iid.to_bytes());
        i += 1;
    }
    let name = name.as_bytes();
    assert!(name.len() <= NAME_MAX, "the name of a class has at most 64 bytes");
    mark[NAME_LEN] = name.len() as u8;
    put(&mut mark, NAME, name);
    complete(mark)
}

/// Creates the marks of a proxy DLL, one per interface.
///
/// # Panics
/// Panics if the name of an interface has more than 63 bytes.
pub const fn of_proxies<const N: usize>(
    clsid: Guid,
    interfaces: [&describe::Interface; N],
) -> [[u8; MARK_LEN]; N] {
    let mut marks = [[0; MARK_LEN]; N];
    let mut i = 0;
    while i < N {
        let mut mark = [0; MARK_LEN];
        put(&mut mark, CLSID, &clsid.to_bytes());
        mark[COUNT] = 1 | IS_PROXY;
        put(&mut mark, IIDS, &interfaces[i].iid.to_bytes());
        let name = interfaces[i].name.as_bytes();
        assert!(name.len() < NAME_MAX, "the name of an interface in a proxy DLL has 63 bytes");
        mark[NAME_LEN] = 1 + name.len() as u8;
        // Interface names start with `I` in COM.
        put(&mut mark, NAME, b"I");
        put(&mut mark, NAME + 1, name);
        marks[i] = complete(mark);
        i += 1;
    }
    marks
}

/// Returns the marks of all classes in a program file, without duplicates.
pub fn find(program: &[u8]) -> Vec<Mark> {
    find_all(program, false)
}

/// Returns the marks of all interfaces in the file of a proxy DLL, without duplicates.
pub fn find_proxies(library: &[u8]) -> Vec<Mark> {
    find_all(library, true)
}

fn find_all(bytes: &[u8], are_proxies: bool) -> Vec<Mark> {
    let mut found: Vec<Mark> = Vec::new();
    for at in memchr::memmem::find_iter(bytes, &start()) {
        let encoded: Option<&[u8; MARK_LEN]> = bytes[at..].first_chunk();
        let encoded = encoded.filter(|mark| (mark[COUNT] & IS_PROXY != 0) == are_proxies);
        let Some(mark) = encoded.and_then(read) else { continue };
        if !found.contains(&mark) {
            found.push(mark);
        }
    }
    found
}

/// Adds the magic number and the checksum.
const fn complete(mut mark: [u8; MARK_LEN]) -> [u8; MARK_LEN] {
    put(&mut mark, 0, &start());
    let sum = checksum(&mark);
    put(&mut mark, SUM, &sum.to_le_bytes());
    mark
}

fn read(mark: &[u8; MARK_LEN]) -> Option<Mark> {
    let count = usize::from(mark[COUNT] & !IS_PROXY);
    let name_len = usize::from(mark[NAME_LEN]);
    let sum = mark[SUM..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    if sum != Some(checksum(mark)) || count > INTERFACES_MAX || name_len > NAME_MAX {
        return None;
    }
    let name = std::str::from_utf8(&mark[NAME..NAME + name_len]).ok()?;
    // A valid name is a Rust identifier. The check is necessary, because any file can contain a
    // forged mark.
    if !is_printable(name) || name.contains(char::is_whitespace) {
        return None;
    }
    let guid = |at: usize| mark[at..].first_chunk().map(|bytes| Guid::from_bytes(*bytes));
    Some(Mark {
        clsid: guid(CLSID)?,
        name: name.to_owned(),
        interfaces: (0..count).map(|i| guid(IIDS + 16 * i)).collect::<Option<_>>()?,
    })
}

/// Returns the magic number. It is stored encoded, so that the file of a tool that searches for
/// marks does not contain it.
const fn start() -> [u8; START_LEN] {
    let mut start = *b"\xaeS-'-6?0:2;~=2?--^_\xa0";
    let mut i = 0;
    while i < START_LEN {
        start[i] ^= 0x5e;
        i += 1;
    }
    start
}

const fn put<const N: usize>(out: &mut [u8; N], at: usize, bytes: &[u8]) {
    let mut i = 0;
    while i < bytes.len() {
        out[at + i] = bytes[i];
        i += 1;
    }
}

/// Returns the checksum of the bytes before the checksum.
const fn checksum(mark: &[u8; MARK_LEN]) -> u64 {
    fnv1a(mark.split_at(SUM).0)
}

const START_LEN: usize = 20;
/// Maximum number of interfaces of a class. The macro `class!` has the same limit
/// (`CLASS_INTERFACES_MAX` in `crates/model`, which imports no other crate). The command compares
/// them.
pub const INTERFACES_MAX: usize = 8;
/// Flag in the number of interfaces that distinguishes marks of proxy DLLs.
const IS_PROXY: u8 = 0x80;
const NAME_MAX: usize = 64;
const CLSID: usize = START_LEN;
const COUNT: usize = CLSID + 16;
const IIDS: usize = COUNT + 1;
const NAME_LEN: usize = IIDS + 16 * INTERFACES_MAX;
const NAME: usize = NAME_LEN + 1;
const SUM: usize = NAME + NAME_MAX;
/// Size of a mark in bytes.
pub const MARK_LEN: usize = SUM + 8;

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: Guid = Guid::from_bytes([7; 16]);
    const INTERFACE: &describe::Interface = &describe::Interface {
        iid: Guid::from_bytes([8; 16]),
        name: "Example",
        docs: "",
        is_private: false,
        methods: &[],
    };

    fn example() -> [u8; MARK_LEN] {
        of_class(EXAMPLE, "EXAMPLE", &[INTERFACE])
    }

    #[test]
    fn a_mark_is_found_anywhere_and_once() {
        let mark = example();
        let program = [b"\x01%code".as_slice(), &mark, b"more code", &mark, &mark[..50]].concat();
        let expected = Mark {
            clsid: EXAMPLE,
            name: "EXAMPLE".into(),
            interfaces: vec![Guid::from_bytes([8; 16])],
        };
        assert_eq!(find(&program), [expected]);
    }

    #[test]
    fn the_marks_of_a_proxy_dll_are_no_classes() {
        let clsid = Guid::from_bytes([9; 16]);
        let [mark, same] = of_proxies(clsid, [INTERFACE; 2]);
        let library = [b"code".as_slice(), &mark, &same, &example()].concat();
        let interfaces = vec![Guid::from_bytes([8; 16])];
        let expected = Mark { clsid, name: "IExample".into(), interfaces };
        assert_eq!(find_proxies(&library), [expected]);
        assert_eq!(find(&library).len(), 1);
        assert_eq!(find(&mark), []);
    }

    #[test]
    fn a_mark_whose_name_is_no_identifier_is_none() {
        let named = |name: &str| {
            let mut mark = example();
            mark[NAME_LEN] = name.len() as u8;
            put(&mut mark, NAME, name.as_bytes());
            complete(mark)
        };
        assert_eq!(find(&named("Gr\u{fc}n")).len(), 1);
        for name in ["a\u{1b}[2J", "a\nb", "a b", "a\u{202e}b", "a\u{7}"] {
            assert_eq!(find(&named(name)), [], "{name:?}");
        }
    }

    #[test]
    fn a_damaged_mark_is_none() {
        let mark = example();
        for at in 0..mark.len() {
            let mut damaged = mark;
            damaged[at] ^= 1;
            assert_eq!(find(&damaged), [], "{at}");
        }
    }
}
