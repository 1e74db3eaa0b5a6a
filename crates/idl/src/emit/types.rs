//! Converts Rust types to MIDL types.

use std::collections::{HashMap, HashSet};

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

use super::handles;
use super::names::Taken;
use syshandle_model::{
    Definition, DefinitionKind, Description, Handle, Parameter, Range, plain_name,
};

/// The types of a description.
pub(super) struct Types<'d> {
    definitions: HashMap<String, &'d Definition>,
    interfaces: HashSet<String>,
}

/// A type in MIDL, without the name: the text before the name, and the attributes.
struct Written {
    ty: String,
    attributes: Vec<String>,
}

/// A type in MIDL, or the reason why MIDL can't express it.
pub(super) type Said<T> = Result<T, String>;

impl<'d> Types<'d> {
    pub(super) fn of(description: &'d Description) -> Self {
        let mut definitions = HashMap::new();
        for definition in &description.definitions {
            definitions.entry(definition.name.to_string()).or_insert(definition);
        }
        let interfaces = description.interfaces.iter().map(|of| of.name.to_string()).collect();
        Self { definitions, interfaces }
    }

    /// Returns whether the description has this interface.
    pub(super) fn has_interface(&self, name: &str) -> bool {
        self.interfaces.contains(name)
    }

    /// Returns a parameter, preceded by its count if it needs one.
    pub(super) fn parameter(
        &self,
        of: &Parameter,
        name: &str,
        way: &str,
        taken: &mut Taken,
    ) -> Said<Vec<String>> {
        if matches!(&of.ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
            return match way {
                "out" => Ok(Vec::new()),
                _ => Err("MIDL has no type for `()`".to_owned()),
            };
        }
        let is_out = way == "out";
        let star = if is_out { "*" } else { "" };
        if let Type::Array(array) = &of.ty {
            let (written, length) = self.array(array, of)?;
            let attributes = [vec![way.to_owned()], written.attributes].concat().join(", ");
            return Ok(vec![format!("[{attributes}] {} {name}[{length}]", written.ty)]);
        }
        let (inner, list) = self.list(&of.ty);
        let mut written = self.written(inner, of.handle.as_ref())?;
        let is_text = written.attributes.iter().any(|text| text == "string");
        let mut parameters = Vec::new();
        if list {
            let count = taken.one_like(&format!("{name}Count"));
            let range = of.range.map(bounds).unwrap_or_default();
            parameters.push(format!("[{way}{range}] unsigned long {star}{count}"));
            let size = match is_out {
                true => format!("size_is(, *{count})"),
                false => format!("size_is({count})"),
            };
            written.attributes.insert(0, size);
        } else if let Some(range) = of.range {
            self.bounded(inner, &mut written, range)?;
        }
        let optional = self.is_optional(&of.ty);
        if optional {
            let is_reference = is_text || written.ty.ends_with('*');
            if written.attributes.iter().any(|text| text.starts_with("system_handle")) {
                return Err("MIDL can't say that a handle may be missing".to_owned());
            }
            if is_out && is_reference {
                return Err("MIDL can't say that a text or an object that comes out may be \
                            missing"
                    .to_owned());
            }
            // An `out` parameter is a reference. `pointer_default` determines the kind of the
            // pointer behind it.
            if !is_out {
                written.attributes.insert(0, "unique".to_owned());
            }
        }
        // A string or an interface is already a pointer.
        let needs_star = list || optional && !is_text && !written.ty.ends_with('*');
        let by_reference = !is_out && !needs_star && self.is_struct(inner);
        let more = if needs_star || by_reference { "*" } else { "" };
        written.attributes.insert(0, way.to_owned());
        let attributes = written.attributes.join(", ");
        let stars = format!("{star}{more}");
        parameters.push(format!("[{attributes}] {}{name}", with_stars(&written.ty, &stars)));
        Ok(parameters)
    }

    /// Returns a field, preceded by its count if it needs one.
    pub(super) fn field(&self, of: &Parameter, name: &str, taken: &mut Taken) -> Said<Vec<String>> {
        let no_handles = |written: &Written| match written
            .attributes
            .iter()
            .any(|text| text.starts_with("system_handle"))
        {
            true => Err("MIDL takes handles as parameters only, not in structs".to_owned()),
            false => Ok(()),
        };
        if let Type::Array(array) = &of.ty {
            let (written, length) = self.array(array, of)?;
            no_handles(&written)?;
            let attributes = in_brackets(&written.attributes);
            return Ok(vec![format!("{attributes}{} {name}[{length}]", written.ty)]);
        }
        let (inner, list) = self.list(&of.ty);
        let mut written = self.written(inner, of.handle.as_ref())?;
        no_handles(&written)?;
        let is_text = written.attributes.iter().any(|text| text == "string");
        let mut fields = Vec::new();
        if list {
            let count = taken.one_like(&format!("{name}Count"));
            let range = of.range.map(bounds).unwrap_or_default();
            let range = in_brackets(
                &range.strip_prefix(", ").map(str::to_owned).into_iter().collect::<Vec<_>>(),
            );
            fields.push(format!("{range}unsigned long {count}"));
            written.attributes.insert(0, format!("size_is({count})"));
        } else if let Some(range) = of.range {
            self.bounded(inner, &mut written, range)?;
        }
        let optional = self.is_optional(&of.ty);
        if optional {
            written.attributes.insert(0, "unique".to_owned());
        }
        let needs_star = list || optional && !is_text && !written.ty.ends_with('*');
        let star = if needs_star { "*" } else { "" };
        let attributes = in_brackets(&written.attributes);
        fields.push(format!("{attributes}{}{name}", with_stars(&written.ty, star)));
        Ok(fields)
    }

    /// Returns MIDL's name of a number type.
    pub(super) fn number(&self, ty: &Type) -> Option<&'static str> {
        let name = ty.to_token_stream().to_string();
        NUMBERS.iter().find(|(rust, _)| *rust == name).map(|(_, idl)| *idl)
    }

    /// Returns the definition of a type, if the description has one.
    pub(super) fn definition(&self, ty: &Type) -> Option<&'d Definition> {
        self.definitions.get(&last(ty)?).copied()
    }

    /// Returns the type of an array's items and the length of the array.
    fn array(&self, array: &syn::TypeArray, of: &Parameter) -> Said<(Written, String)> {
        let written = self.written(&array.elem, of.handle.as_ref())?;
        if of.range.is_some() {
            return Err("MIDL has no bounds of what has a fixed size".to_owned());
        }
        Ok((written, array.len.to_token_stream().to_string()))
    }

    /// Adds the bounds of a number or of a text.
    fn bounded(&self, inner: &Type, written: &mut Written, range: Range) -> Said<()> {
        let is_text = written.attributes.iter().any(|text| text == "string");
        match (is_text, range.from) {
            (true, 0) => {
                // The size includes the terminating zero.
                written.attributes.push(format!("size_is({})", range.to + 1));
                written.ty = "WCHAR *".to_owned();
                Ok(())
            }
            (true, _) => Err("MIDL can't say that a text is not too short".to_owned()),
            (false, _)
                if self.number(inner).is_some_and(|ty| ty != "BOOL") || self.is_enum(inner) =>
            {
                written.attributes.push(bounds(range).trim_start_matches(", ").to_owned());
                Ok(())
            }
            (false, _) => Err("MIDL has bounds of numbers only".to_owned()),
        }
    }

    fn is_enum(&self, ty: &Type) -> bool {
        let definition = self.definition(ty);
        definition.is_some_and(|of| matches!(of.kind, DefinitionKind::Enum(_)))
    }

    /// Returns the type inside a `Vec` or an `Option`, and whether the container is a `Vec`.
    fn list<'t>(&self, ty: &'t Type) -> (&'t Type, bool) {
        match within(ty) {
            Some(("Vec", inner)) => (inner, true),
            Some(("Option", inner)) => (boxed(inner), false),
            _ => (boxed(ty), false),
        }
    }

    fn is_optional(&self, ty: &Type) -> bool {
        matches!(within(ty), Some(("Option", _)))
    }

    fn is_struct(&self, ty: &Type) -> bool {
        matches!(self.definition(ty).map(|of| &of.kind), Some(DefinitionKind::Struct(_)))
    }

    /// Resolves aliases to a type that isn't an alias.
    fn resolved<'t>(&self, ty: &'t Type) -> Said<&'t Type>
    where
        'd: 't,
    {
        let mut resolved = ty;
        for _ in 0..ALIASES_MAX {
            match self.definition(resolved).map(|of| &of.kind) {
                Some(DefinitionKind::Alias(next)) => resolved = next,
                _ => return Ok(resolved),
            }
        }
        let name = ty.to_token_stream();
        Err(format!("type `{name}` stands for itself, or for too long a chain of names"))
    }

    fn written(&self, ty: &Type, handle: Option<&Handle>) -> Said<Written> {
        let ty = self.resolved(ty)?;
        let plain = |ty: &str| Ok(Written { ty: ty.to_owned(), attributes: Vec::new() });
        if let Some(number) = self.number(ty) {
            return plain(number);
        }
        let rust = ty.to_token_stream().to_string().replace(' ', "");
        let Some(name) = last(ty).filter(|_| within(ty).is_none()) else {
            return Err(format!("MIDL has no type for `{rust}`"));
        };
        if self.definition(ty).is_some() {
            return plain(&name);
        }
        match name.as_str() {
            "String" => {
                let attributes = vec!["string".to_owned()];
                return Ok(Written { ty: "LPWSTR".to_owned(), attributes });
            }
            "Guid" => return plain("GUID"),
            _ => {}
        }
        if let Some(attribute) = handles::attribute(&name, handle)? {
            return Ok(Written { ty: "HANDLE".to_owned(), attributes: vec![attribute] });
        }
        match name.strip_suffix("Client") {
            Some(interface) if self.interfaces.contains(interface) => {
                plain(&format!("I{interface} *"))
            }
            Some(interface) if !interface.is_empty() => {
                Err(format!("interface `{interface}` isn't in this file"))
            }
            _ => Err(format!("MIDL has no type for `{rust}`")),
        }
    }
}

/// Appends stars to a type: `T `, `T *`, or `T **` for `T *`.
fn with_stars(ty: &str, stars: &str) -> String {
    match ty.ends_with('*') {
        true => format!("{ty}{stars}"),
        false => format!("{ty} {stars}"),
    }
}

/// `, range(1, 10)`.
fn bounds(Range { from, to }: Range) -> String {
    format!(", range({from}, {to})")
}

fn in_brackets(attributes: &[String]) -> String {
    match attributes.is_empty() {
        true => String::new(),
        false => format!("[{}] ", attributes.join(", ")),
    }
}

/// Returns the last segment of a path.
pub(super) fn last(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last().map(|last| plain_name(&last.ident))
}

/// Returns the container and the inner type of `Vec<T>`, `Option<T>`, `Box<T>` and `Arc<T>`.
pub(super) fn within(ty: &Type) -> Option<(&'static str, &Type)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(inner)) = arguments.args.first() else { return None };
    let name = ["Vec", "Option", "Box", "Arc"].into_iter().find(|name| last.ident == name);
    Some((name.unwrap_or("another"), inner))
}

fn boxed(ty: &Type) -> &Type {
    match within(ty) {
        Some(("Box" | "Arc", inner)) => inner,
        _ => ty,
    }
}

/// Maximum length of a chain of aliases.
const ALIASES_MAX: usize = 64;

/// Number types, with their names in Rust and in MIDL.
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
