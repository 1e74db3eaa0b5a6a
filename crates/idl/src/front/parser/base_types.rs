//! The keywords that base types consist of.

use crate::front::ast::BaseType;

/// The keywords of base types.
const BASE_WORDS: &[&str] = &[
    "unsigned",
    "signed",
    "short",
    "long",
    "int",
    "char",
    "small",
    "hyper",
    "__int8",
    "__int16",
    "__int32",
    "__int64",
    "__int128",
    "__int3264",
    "_int64",
    "void",
    "boolean",
    "byte",
    "wchar_t",
    "float",
    "double",
    "handle_t",
    "error_status_t",
];

/// Returns whether a word can be the first word of a base type.
pub(super) fn is_base_word(word: &str) -> bool {
    BASE_WORDS.contains(&word)
}

/// Returns whether a word can only be the start of a type.
pub(super) fn is_type_word(word: &str) -> bool {
    BASE_WORDS.contains(&word)
        || matches!(word, "const" | "struct" | "union" | "enum" | "interface")
}

/// Returns whether a word can follow the given words of a base type.
pub(super) fn can_follow(words: &[&str], word: &str) -> bool {
    let count = |of: &str| words.iter().filter(|word| **word == of).count();
    let has = |of: &str| count(of) > 0;
    match word {
        "unsigned" | "signed" => !has("unsigned") && !has("signed"),
        "long" => {
            count("long") < 2
                && !["char", "small", "short", "hyper", "__int64"].into_iter().any(has)
        }
        "int" => !["int", "char", "small"].into_iter().any(has),
        "short" | "small" | "char" | "hyper" | "__int8" | "__int16" | "__int32" | "__int64"
        | "_int64" | "__int128" | "__int3264" => {
            words.iter().all(|word| matches!(*word, "unsigned" | "signed" | "int"))
        }
        "double" => words.iter().all(|word| *word == "long"),
        _ => words.is_empty() && BASE_WORDS.contains(&word),
    }
}

/// Returns the base type that a sequence of words denotes. In IDL, `long` has 32 bits on all
/// platforms.
pub(super) fn base_type(words: &[&str]) -> BaseType {
    let has = |of: &str| words.contains(&of);
    let unsigned = has("unsigned");
    let integer = |signed: BaseType, without: BaseType| if unsigned { without } else { signed };
    let longs = words.iter().filter(|word| **word == "long").count();
    match words.last().copied().unwrap_or_default() {
        "void" => BaseType::Void,
        "boolean" => BaseType::Boolean,
        "byte" => BaseType::Byte,
        "wchar_t" => BaseType::WideChar,
        "float" => BaseType::Float,
        "double" => BaseType::Double,
        "handle_t" => BaseType::BindingHandle,
        "error_status_t" => BaseType::ErrorStatus,
        _ if has("char") && unsigned => BaseType::UnsignedChar,
        _ if has("char") && has("signed") => BaseType::SignedChar,
        _ if has("char") => BaseType::Char,
        _ if has("small") || has("__int8") => integer(BaseType::Int8, BaseType::UInt8),
        _ if has("short") || has("__int16") => integer(BaseType::Int16, BaseType::UInt16),
        _ if has("hyper") || has("__int64") || has("_int64") || longs == 2 => {
            integer(BaseType::Int64, BaseType::UInt64)
        }
        _ if has("__int128") => integer(BaseType::Int128, BaseType::UInt128),
        _ if has("__int3264") => integer(BaseType::IntPointer, BaseType::UIntPointer),
        _ => integer(BaseType::Int32, BaseType::UInt32),
    }
}
