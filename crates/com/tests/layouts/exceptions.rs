//! Known differences between our format strings and `widl`'s that have no effect or are defects of
//! `widl`. Each is listed with its reason.

use crate::verdict::Comparison;

/// Compares the decoded format strings of a method. `locals` is the number of preceding methods in
/// the interface that have no proxy.
pub(crate) fn compare(ours: &str, theirs: &str, locals: usize) -> Comparison {
    if ours == theirs {
        return Comparison::Same;
    }
    let (mut own, mut other) = (ours.to_owned(), theirs.to_owned());
    for Exception { normal, .. } in EXCEPTIONS {
        own = normal(&own, 0);
        other = normal(&other, locals);
    }
    match own == other {
        true => Comparison::Excepted,
        false => Comparison::Different { ours: ours.to_owned(), theirs: theirs.to_owned() },
    }
}

/// A known difference that has no effect.
struct Exception {
    #[expect(dead_code, reason = "for readers of the list")]
    reason: &'static str,
    /// Converts both forms to the same text. The second argument is the number of preceding methods
    /// that have no proxy in `widl`'s output.
    normal: fn(&str, usize) -> String,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "An array that is declared as `T a[]` is no \"simple reference\" to widl, as `T *a` is. \
                 The interpreter takes the address of an array from the stack in both forms.",
        normal: |method, _| {
            lines(method, |line| match line.contains(": array of ") {
                true => line.replacen("0x000b at", "0x010b at", 1),
                false => line.to_owned(),
            })
        },
    },
    Exception {
        reason: "A struct that is passed by value and doesn't fit a register is a pointer to a copy on \
                 the stack of a 64-bit Windows. widl says \"by value\" of it; the bytes on the wire are \
                 those of a reference.",
        normal: |method, _| {
            lines(method, |line| match struct_size(line) {
                None | Some(1 | 2 | 4 | 8) => line.to_owned(),
                Some(_) => {
                    line.replacen("0x008a at", "0x010a at", 1).replacen("0x008b at", "0x010b at", 1)
                }
            })
        },
    },
    Exception {
        reason: "A defect of widl 8: it doesn't count a `local` method without `call_as` in the numbers \
                 of those behind it. The number on the wire is the place in the vtable.",
        normal: |method, locals| {
            lines(method, |line| match line.strip_prefix("method ") {
                Some(rest) => {
                    let (number, rest) = rest.split_once(',').unwrap();
                    format!("method {},{rest}", number.parse::<usize>().unwrap() + locals)
                }
                None => line.to_owned(),
            })
        },
    },
    Exception {
        reason: "An enum that says `v1_enum` and has two names for one value is a number in Rust. Both \
                 are four bytes in memory and on the wire.",
        normal: |method, _| method.replace("enum32", "long"),
    },
    Exception {
        reason: "The room for a large struct is measured at run time by our tables, and reserved at the \
                 greatest possible size by those of widl.",
        normal: |method, _| {
            if !method.lines().any(|line| struct_size(line) > Some(960)) {
                return method.to_owned();
            }
            lines(method, |line| match (line.starts_with("method "), struct_size(line)) {
                (true, _) => ["0x45", "0x46", "0x47"]
                    .iter()
                    .fold(line.to_owned(), |line, flags| line.replace(flags, "0x44")),
                (false, Some(961..)) => {
                    line.replacen("0x010b", "0x010a", 1).replacen("0x0113", "0x0112", 1)
                }
                _ => line.to_owned(),
            })
        },
    },
];

/// Returns the size of the struct that a line describes.
fn struct_size(line: &str) -> Option<u32> {
    let size = line.split_once(": struct ").or_else(|| line.split_once(": complex "));
    size.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
}

fn lines(text: &str, change: impl Fn(&str) -> String) -> String {
    text.lines().map(change).collect::<Vec<_>>().join("\n")
}
