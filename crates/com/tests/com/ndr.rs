//! Decodes format strings into text. Format strings with the same meaning result in the same text,
//! even if the order and offsets of their types differ.

use std::cell::Cell;

/// Decodes a pair of format strings.
pub(crate) struct Reader<'t> {
    pub(crate) types: &'t [u8],
    pub(crate) procedures: &'t [u8],
    /// The size of a count's description in bytes: 6 if flags follow it, or 4 in the format before
    /// MIDL 5.3, which has no flags.
    pub(crate) count_bytes: usize,
}

impl Reader<'_> {
    pub(crate) fn methods(&self, offsets: &[u16]) -> Vec<String> {
        offsets.iter().map(|offset| self.method(usize::from(*offset))).collect()
    }

    fn method(&self, at: usize) -> String {
        let head = &self.procedures[at..at + 26];
        assert_eq!(head[..6], [0x33, 0x6c, 0, 0, 0, 0], "head of a method");
        let (number, stack) = (word(head, 6), word(head, 8));
        let must_size = head[14];
        // Only the bits of the first four arguments are used.
        let floats = word(head, 24) & 0xff;
        let mut lines = vec![format!(
            "method {number}, stack {stack}, flags {must_size:#04x}, floats {floats:#04x}"
        )];
        for index in 0..usize::from(head[15]) {
            let part = &self.procedures[at + 26 + 6 * index..][..6];
            let (attributes, place) = (word(part, 0), word(part, 2));
            let what = match attributes & 0x40 {
                0 => self.ty(self.outermost(word(part, 4).into())),
                _ => character(part[4]).to_owned(),
            };
            lines.push(format!("{attributes:#06x} at {place}: {what}"));
        }
        lines.join("\n")
    }

    fn ty(&self, at: usize) -> String {
        let _depth = Depth::deeper();
        let at = self.mended(at);
        let of = &self.types[at..];
        match of[0] {
            0x11 => self.pointer("ref", at),
            // In an interface method, both codes mean a unique pointer.
            0x12 | 0x13 => self.pointer("unique", at),
            0x15 => {
                let members = self.members(at + 4, None);
                format!("struct {} aligned {} {{ {members} }}", word(of, 2), of[1] + 1)
            }
            0x1a => {
                assert_eq!(word(of, 4), 0, "an array at the end of a struct");
                let pointers = match word(of, 6) {
                    0 => None,
                    _ => Some(self.target(at + 6)),
                };
                let members = self.members(at + 8, pointers);
                format!("complex {} aligned {} {{ {members} }}", word(of, 2), of[1] + 1)
            }
            0x1b => {
                let item = self.item(at + 4 + self.count_bytes);
                let count = self.count(at + 4);
                format!("array of {item} of {} aligned {}, {count}", word(of, 2), of[1] + 1)
            }
            0x1d => {
                let item = self.item(at + 4);
                format!("array of {item}, {} bytes, aligned {}", word(of, 2), of[1] + 1)
            }
            0x21 => {
                // The description of the variance (the transmitted range) follows that of the
                // count. It is always empty here.
                let variance = at + 4 + self.count_bytes;
                assert_eq!(self.types[variance..variance + 4], [0xff; 4], "a varying array");
                let item = self.item(variance + self.count_bytes);
                let count = match word(of, 2) {
                    0 => self.count(at + 4),
                    fixed => format!("{fixed} of them"),
                };
                format!("complex array of {item} aligned {}, {count}", of[1] + 1)
            }
            0x25 => "text".to_owned(),
            0x2f => {
                assert_eq!(of[1], 0x5a, "another identifier than a constant");
                let iid: String = of[2..18].iter().map(|byte| format!("{byte:02x}")).collect();
                format!("interface {iid}")
            }
            0x3c => {
                assert_eq!(of[2..6], [0; 4], "a mask");
                format!("handle {}", of[1])
            }
            0xb4 => format!(
                "handle {} by routines, aligned {}, {} bytes, on the wire {}",
                word(of, 2),
                of[1] + 1,
                word(of, 4),
                character(self.types[self.target(at + 8)])
            ),
            other => panic!("type {other:#04x} at {at}"),
        }
    }

    /// Corrects the offset of a type. For an array of strings, widl 8 writes the offset of the
    /// array's count instead of the array's.
    fn mended(&self, at: usize) -> usize {
        match (self.count_bytes, self.types[at]) {
            (4, 0x18 | 0x19 | 0x28 | 0x29) if self.types[at - 4] == 0x21 => at - 4,
            _ => at,
        }
    }

    /// Corrects the offset of a parameter's type. For a pointer to strings, widl 8 writes the
    /// offset of the inner pointer.
    fn outermost(&self, at: usize) -> usize {
        let before = |bytes: usize| at.checked_sub(bytes).map(|start| &self.types[start..at]);
        match (self.count_bytes, self.types[at]) {
            (4, 0x13) if before(4) == Some(&[0x11, 0x14, 2, 0]) => at - 4,
            (4, 0x21) if before(8) == Some(&[0x11, 0x14, 2, 0, 0x13, 0, 2, 0]) => at - 8,
            _ => at,
        }
    }

    fn pointer(&self, name: &str, at: usize) -> String {
        let attributes = self.types[at + 1];
        let what = match attributes & 0x08 {
            0 => self.ty(self.target(at + 2)),
            _ => simple(self.types[at + 2]),
        };
        let deref = if attributes & 0x10 == 0 { "" } else { " to pointer" };
        format!("{name}{deref} -> {what}")
    }

    fn count(&self, at: usize) -> String {
        let of = &self.types[at..];
        let deref = match of[1] {
            0 => "",
            0x54 => "what is pointed at by ",
            other => panic!("operator {other:#04x}"),
        };
        if self.count_bytes == 6 {
            assert_eq!(word(of, 4), 1, "a count behind what it counts");
        }
        match of[0] {
            0x28 | 0x29 => format!("count in {deref}the parameter at {}", word(of, 2)),
            0x18 | 0x19 => format!("count in {deref}the field at {}", word(of, 2)),
            other => panic!("count {other:#04x}"),
        }
    }

    /// Describes the item type of an array.
    fn item(&self, at: usize) -> String {
        match self.types[at] {
            0x4c => self.ty(self.target(at + 2)),
            0x12 => self.pointer("unique", at),
            other => character(other).to_owned(),
        }
    }

    /// Describes the fields of a struct, with their offsets.
    fn members(&self, mut at: usize, mut pointers: Option<usize>) -> String {
        let mut offset = 0_usize;
        let mut members = Vec::new();
        loop {
            let code = self.types[at];
            let (what, size, align) = match code {
                0x5b => break,
                0x5c => {
                    at += 1;
                    continue;
                }
                0x37..=0x39 => {
                    offset = offset.next_multiple_of(2 << (code - 0x37));
                    at += 1;
                    continue;
                }
                0x3d..=0x43 => {
                    offset += usize::from(code - 0x3c);
                    at += 1;
                    continue;
                }
                0x36 => {
                    let place = pointers.expect("pointers of a struct");
                    pointers = Some(place + 4);
                    // In a struct, a reference pointer has the same wire form as a pointer that may
                    // be NULL.
                    (self.pointer("unique", place), 8, 8)
                }
                0x4c => {
                    offset += usize::from(self.types[at + 1]);
                    let target = self.target(at + 2);
                    at += 3;
                    (self.ty(target), self.size(target), 1)
                }
                other => (character(other).to_owned(), width(other), width(other)),
            };
            assert_eq!(offset % align, 0, "a field out of line");
            members.push(format!("{offset}: {what}"));
            offset += size;
            at += 1;
        }
        members.join(", ")
    }

    /// Returns the size in memory of a type that is embedded in a struct.
    fn size(&self, at: usize) -> usize {
        let of = &self.types[at..];
        match of[0] {
            0x15 | 0x1a | 0x1d => word(of, 2).into(),
            0x21 => {
                let item = at + 4 + 2 * self.count_bytes;
                let size = match self.types[item] {
                    0x4c => self.size(self.target(item + 2)),
                    other => width(other),
                };
                size * usize::from(word(of, 2))
            }
            other => panic!("type {other:#04x} in a struct"),
        }
    }

    fn target(&self, at: usize) -> usize {
        let offset = i16::from_le_bytes([self.types[at], self.types[at + 1]]);
        assert_ne!(offset, 0, "an offset to itself");
        usize::try_from(at as isize + isize::from(offset)).unwrap()
    }
}

/// Counts the nesting depth of the current type. The limit detects types that contain themselves.
struct Depth;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

impl Depth {
    fn deeper() -> Self {
        assert!(DEPTH.get() < 64, "a type that contains itself");
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Returns the name of a base type. Signed and unsigned types have the same name, because the sign
/// doesn't matter on the wire.
fn character(code: u8) -> &'static str {
    match code {
        0x01..=0x04 => "byte",
        0x05..=0x07 => "short",
        // 0x10 is `error_status_t`, which has the same four bytes on the wire as a long.
        0x08 | 0x09 | 0x10 => "long",
        0x0a => "float",
        0x0b => "hyper",
        0x0c => "double",
        0x0d => "enum16",
        0x0e => "enum32",
        other => panic!("base type {other:#04x}"),
    }
}

fn simple(code: u8) -> String {
    if code == 0x25 { "text".to_owned() } else { character(code).to_owned() }
}

fn width(code: u8) -> usize {
    match character(code) {
        "byte" => 1,
        "short" => 2,
        "long" | "float" | "enum16" | "enum32" => 4,
        _ => 8,
    }
}
