//! Rust's types in MIDL's words.

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

use crate::model::{Definition, DefinitionKind, Description, Handle, KINDS, Parameter};

/// The name of a text that may be none, for what comes out: an attribute there would be of the
/// pointer to it.
pub(super) const OPTIONAL_TEXT: &str = "OptionalText";

/// The types that a description has.
pub(super) struct Types<'d> {
    description: &'d Description,
}

/// A type, in two parts: what stands before the name and its attributes.
struct Written {
    ty: String,
    attributes: Vec<String>,
}

type Said<T> = Result<T, String>;

impl<'d> Types<'d> {
    pub(super) fn of(description: &'d Description) -> Self {
        Self { description }
    }

    /// A parameter, with the one that counts its elements where it needs one.
    pub(super) fn parameter(&self, of: &Parameter, way: &str) -> Said<Vec<String>> {
        if matches!(&of.ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
            return Ok(Vec::new());
        }
        let name = camel(&of.name.to_string());
        let is_out = way == "out";
        let star = if is_out { "*" } else { "" };
        let (inner, list) = self.list(&of.ty);
        let mut written = self.written(inner, of.handle.as_ref())?;
        let mut parameters = Vec::new();
        if list {
            let count = format!("{name}Count");
            parameters.push(format!("[{way}] unsigned long {star}{count}"));
            written.attributes.insert(
                0,
                match is_out {
                    true => format!("size_is(, *{count})"),
                    false => format!("size_is({count})"),
                },
            );
        }
        let optional = self.is_optional(&of.ty);
        // A string is a pointer by itself, and says by `unique` that it may be none.
        let needs_star = list || optional && !written.attributes.contains(&"string".to_owned());
        if optional && written.attributes.iter().any(|text| text.starts_with("system_handle")) {
            return Err("MIDL can't say that a handle may be missing".to_owned());
        }
        match (optional, is_out, needs_star) {
            // What comes out is written through a pointer that is there: the inner one may be NULL.
            (true, true, false) => {
                written = Written { ty: OPTIONAL_TEXT.to_owned(), attributes: Vec::new() };
            }
            (true, false, _) => written.attributes.insert(0, "unique".to_owned()),
            _ => {}
        }
        let by_reference = !is_out && !needs_star && self.is_struct(inner);
        let more = if needs_star || by_reference { "*" } else { "" };
        written.attributes.insert(0, way.to_owned());
        let attributes = written.attributes.join(", ");
        parameters.push(format!("[{attributes}] {} {star}{more}{name}", written.ty));
        Ok(parameters)
    }

    /// A field, with the one that counts its elements where it needs one.
    pub(super) fn field(&self, of: &Parameter) -> Said<Vec<String>> {
        let name = camel(&of.name.to_string());
        if let Type::Array(array) = &of.ty {
            let written = self.written(&array.elem, of.handle.as_ref())?;
            let is_plain = self.number(&array.elem).is_some() || written.ty == "GUID";
            if !is_plain {
                return Err(
                    "COM takes arrays of fixed size of numbers only, and of GUIDs".to_owned()
                );
            }
            return Ok(vec![format!("{} {name}[{}]", written.ty, array.len.to_token_stream())]);
        }
        let (inner, list) = self.list(&of.ty);
        let mut written = self.written(inner, of.handle.as_ref())?;
        let mut fields = Vec::new();
        if list {
            let count = format!("{name}Count");
            fields.push(format!("unsigned long {count}"));
            written.attributes.insert(0, format!("size_is({count})"));
        }
        if written.attributes.iter().any(|text| text.starts_with("system_handle")) {
            return Err("MIDL takes handles as parameters only, not in structs".to_owned());
        }
        let optional = self.is_optional(&of.ty);
        let is_text = written.attributes.contains(&"string".to_owned());
        if optional {
            written.attributes.insert(0, "unique".to_owned());
        }
        let star = if list || optional && !is_text { "*" } else { "" };
        let attributes = match written.attributes.is_empty() {
            true => String::new(),
            false => format!("[{}] ", written.attributes.join(", ")),
        };
        fields.push(format!("{attributes}{} {star}{name}", written.ty));
        Ok(fields)
    }

    /// The name of a number's type.
    pub(super) fn number(&self, ty: &Type) -> Option<&'static str> {
        let name = ty.to_token_stream().to_string();
        NUMBERS.iter().find(|(rust, _)| *rust == name).map(|(_, idl)| *idl)
    }

    /// What a `Vec` or an `Option` holds, and whether it is a `Vec`.
    fn list<'t>(&self, ty: &'t Type) -> (&'t Type, bool) {
        match within(ty) {
            Some(("Vec", inner)) => (inner, true),
            Some(("Option", inner)) => (boxed(inner), false),
            _ => (ty, false),
        }
    }

    fn is_optional(&self, ty: &Type) -> bool {
        matches!(within(ty), Some(("Option", _)))
    }

    fn definition(&self, ty: &Type) -> Option<&'d Definition> {
        let name = last(ty)?;
        self.description.definitions.iter().find(|of| of.name == name)
    }

    fn is_struct(&self, ty: &Type) -> bool {
        matches!(self.definition(ty).map(|of| &of.kind), Some(DefinitionKind::Struct(_)))
    }

    fn written(&self, ty: &Type, handle: Option<&Handle>) -> Said<Written> {
        let plain = |ty: &str| Ok(Written { ty: ty.to_owned(), attributes: Vec::new() });
        if let Some(number) = self.number(ty) {
            return plain(number);
        }
        let rust = ty.to_token_stream().to_string().replace(' ', "");
        let Some(name) = last(ty).filter(|_| within(ty).is_none()) else {
            return Err(format!("MIDL has no type for `{rust}`"));
        };
        match name.as_str() {
            "String" => {
                let attributes = vec!["string".to_owned()];
                return Ok(Written { ty: "LPWSTR".to_owned(), attributes });
            }
            "Guid" => return plain("GUID"),
            _ => {}
        }
        if let Some(kind) = kind(&name, handle)? {
            let attributes =
                vec![format!("system_handle(sh_{kind}{})", mask(&name, &kind, handle)?)];
            return Ok(Written { ty: "HANDLE".to_owned(), attributes });
        }
        if let Some(interface) = name.strip_suffix("Client") {
            return plain(&format!("I{interface} *"));
        }
        match self.definition(ty).map(|of| &of.kind) {
            Some(DefinitionKind::Alias(ty)) => self.written(ty, handle),
            Some(_) => plain(&name),
            None => Err(format!("MIDL has no type for `{rust}`")),
        }
    }
}

/// The kind of handle that a type is, if it is one.
fn kind(name: &str, handle: Option<&Handle>) -> Said<Option<String>> {
    let only_here = |kind: &str| Err(format!("MIDL has no kind of handle for `{kind}`"));
    if let Some(handle) = handle {
        return match handle.kinds.as_slice() {
            [kind] if kind == "directory" || kind == "timer" => only_here(&kind.to_string()),
            [kind] => Ok(Some(kind.to_string())),
            _ => Err("MIDL has no handle of one of several kinds".to_owned()),
        };
    }
    Ok(Some(match name {
        "PipeReader" | "PipeWriter" => "pipe".to_owned(),
        "OwnedFd" | "OwnedHandle" => return Err("say which kind: `#[handle(…)]`".to_owned()),
        "Directory" | "Timer" | "ManualEvent" | "UnsealedSection" | "UnixStream"
        | "UnixListener" | "UnixDatagram" | "Seqpacket" | "TcpStream" | "TcpListener"
        | "UdpSocket" => return only_here(name),
        name => match KINDS.iter().find(|(_, known)| *known == name) {
            Some((word, _)) => (*word).to_owned(),
            None => return Ok(None),
        },
    }))
}

/// The mask that asks for the declared rights.
fn mask(name: &str, kind: &str, handle: Option<&Handle>) -> Said<String> {
    let declared = handle.iter().flat_map(|handle| &handle.at_least).map(ToString::to_string);
    let mut rights: Vec<String> = declared.collect();
    match (name, handle) {
        ("PipeReader", None) => rights.push("read".to_owned()),
        ("PipeWriter", None) => rights.push("write".to_owned()),
        _ => {}
    }
    let mut masks = Vec::new();
    for right in &rights {
        let word = match (kind, right.as_str()) {
            ("file" | "pipe", "read") => "FILE_GENERIC_READ",
            ("file" | "pipe", "write") => "FILE_GENERIC_WRITE",
            ("file", "append") => "FILE_APPEND_DATA",
            ("event", "signal") => "EVENT_MODIFY_STATE",
            ("semaphore", "signal") => "SEMAPHORE_MODIFY_STATE",
            ("process", "signal") => "PROCESS_TERMINATE",
            ("thread", "signal") => "THREAD_TERMINATE",
            ("event" | "semaphore" | "process" | "thread", "wait") => "SYNCHRONIZE",
            ("section", "read") => "SECTION_MAP_READ",
            ("section", "write") => "SECTION_MAP_WRITE",
            ("section", "resize") => "SECTION_EXTEND_SIZE",
            ("composition", "read") => "COMPOSITIONOBJECT_READ",
            ("composition", "write") => "COMPOSITIONOBJECT_WRITE",
            _ => return Err(format!("MIDL has no mask for the right `{right}` of a {kind}")),
        };
        masks.push(word);
    }
    Ok(if masks.is_empty() { String::new() } else { format!(", {}", masks.join(" | ")) })
}

/// The last name of a path.
fn last(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last().map(|last| last.ident.to_string())
}

/// `Vec<T>`, `Option<T>` and `Box<T>`, taken apart.
fn within(ty: &Type) -> Option<(&'static str, &Type)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(inner)) = arguments.args.first() else { return None };
    let name = ["Vec", "Option", "Box"].into_iter().find(|name| last.ident == name);
    Some((name.unwrap_or("another"), inner))
}

fn boxed(ty: &Type) -> &Type {
    match within(ty) {
        Some(("Box", inner)) => inner,
        _ => ty,
    }
}

/// `decorate_this_file` → `decorateThisFile`; what MIDL or C++ has a meaning for gets a `_` behind it.
fn camel(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or("value").to_owned();
    let mut name = words.fold(first, |name, word| name + &capital(word));
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// A word with a large first letter.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Words that can't be the name of a parameter or a field in a file of MIDL's, or in its header.
const KEYWORDS: [&str; 64] = [
    "and",
    "auto",
    "bool",
    "boolean",
    "break",
    "byte",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "error",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "hyper",
    "if",
    "import",
    "in",
    "inline",
    "int",
    "interface",
    "library",
    "long",
    "module",
    "namespace",
    "new",
    "not",
    "operator",
    "or",
    "out",
    "pipe",
    "private",
    "protected",
    "public",
    "register",
    "return",
    "short",
    "signed",
    "sizeof",
    "small",
    "static",
    "string",
    "struct",
    "switch",
    "template",
    "this",
    "true",
    "typedef",
    "union",
    "unsigned",
    "void",
];

/// Numbers, by both their names.
const NUMBERS: [(&str, &str); 11] = [
    ("bool", "BOOL"),
    ("u8", "byte"),
    ("i8", "small"),
    ("u16", "unsigned short"),
    ("i16", "short"),
    ("u32", "unsigned long"),
    ("i32", "long"),
    ("u64", "unsigned hyper"),
    ("i64", "hyper"),
    ("f32", "float"),
    ("f64", "double"),
];
