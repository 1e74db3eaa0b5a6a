//! Converts Rust types to MIDL types.

use std::collections::{HashMap, HashSet};

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

use super::handles;
use super::names::MidlNames;
use syshandle_model::{
    Definition, DefinitionKind, Description, Handle, Parameter, Range, plain_name,
};

/// Converts the types of a description.
pub(super) struct TypeWriter<'d> {
    definitions: HashMap<String, &'d Definition>,
    interfaces: HashSet<String>,
}

/// A MIDL type: the text that precedes the declared name, and the attributes.
struct MidlType {
    ty: String,
    attributes: Vec<String>,
}

/// A type in MIDL, or the reason why MIDL can't express it.
pub(super) type EmitResult<T> = Result<T, String>;

impl<'d> TypeWriter<'d> {
    pub(super) fn of(description: &'d Description) -> Self {
        let mut definitions = HashMap::new();
        for definition in &description.definitions {
            definitions.entry(definition.name.to_string()).or_insert(definition);
        }
        let interfaces = description.interfaces.iter().map(|of| of.name.to_string()).collect();
        Self { definitions, interfaces }
    }

    /// Returns whether the description contains this interface.
    pub(super) fn has_interface(&self, name: &str) -> bool {
        self.interfaces.contains(name)
    }

    /// Returns the declaration of a parameter. A list is preceded by the declaration of its count.
    pub(super) fn parameter(
        &self,
        of: &Parameter,
        name: &str,
        direction: &str,
        names_in_use: &mut MidlNames,
    ) -> EmitResult<Vec<String>> {
        if matches!(&of.ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
            return match direction {
                "out" => Ok(Vec::new()),
                _ => Err("MIDL has no type for `()`".to_owned()),
            };
        }
        let is_out = direction == "out";
        let star = if is_out { "*" } else { "" };
        if let Type::Array(array) = &of.ty {
            let (midl_type, length) = self.array(array, of)?;
            let attributes = [vec![direction.to_owned()], midl_type.attributes].concat().join(", ");
            return Ok(vec![format!("[{attributes}] {} {name}[{length}]", midl_type.ty)]);
        }
        let (element, is_list) = self.element_type(&of.ty);
        let mut midl_type = self.midl_type(element, of.handle.as_ref())?;
        let is_text = midl_type.attributes.iter().any(|text| text == "string");
        let mut parameters = Vec::new();
        if is_list {
            let count = names_in_use.unique(&format!("{name}Count"));
            let range = of.range.map(range_attribute).unwrap_or_default();
            parameters.push(format!("[{direction}{range}] unsigned long {star}{count}"));
            let size = match is_out {
                true => format!("size_is(, *{count})"),
                false => format!("size_is({count})"),
            };
            midl_type.attributes.insert(0, size);
        } else if let Some(range) = of.range {
            self.add_range(element, &mut midl_type, range)?;
        }
        let optional = self.is_optional(&of.ty);
        if optional {
            let is_reference = is_text || midl_type.ty.ends_with('*');
            if midl_type.attributes.iter().any(|text| text.starts_with("system_handle")) {
                return Err("MIDL can't express an optional handle".to_owned());
            }
            if is_out && is_reference {
                return Err(
                    "MIDL can't express an optional string or object as an output".to_owned()
                );
            }
            // An `out` parameter is a reference pointer. For the pointer that it points to,
            // `pointer_default` determines the kind.
            if !is_out {
                midl_type.attributes.insert(0, "unique".to_owned());
            }
        }
        // A string or interface type is already a pointer.
        let needs_star = is_list || optional && !is_text && !midl_type.ty.ends_with('*');
        let by_reference = !is_out && !needs_star && self.is_struct(element);
        let more = if needs_star || by_reference { "*" } else { "" };
        midl_type.attributes.insert(0, direction.to_owned());
        let attributes = midl_type.attributes.join(", ");
        let stars = format!("{star}{more}");
        parameters.push(format!("[{attributes}] {}{name}", with_stars(&midl_type.ty, &stars)));
        Ok(parameters)
    }

    /// Returns the declaration of a field. A list is preceded by the declaration of its count.
    pub(super) fn field(
        &self,
        of: &Parameter,
        name: &str,
        names_in_use: &mut MidlNames,
    ) -> EmitResult<Vec<String>> {
        let no_handles = |midl_type: &MidlType| match midl_type
            .attributes
            .iter()
            .any(|text| text.starts_with("system_handle"))
        {
            true => Err("MIDL can express handles only as parameters, not in structs".to_owned()),
            false => Ok(()),
        };
        if let Type::Array(array) = &of.ty {
            let (midl_type, length) = self.array(array, of)?;
            no_handles(&midl_type)?;
            let attributes = in_brackets(&midl_type.attributes);
            return Ok(vec![format!("{attributes}{} {name}[{length}]", midl_type.ty)]);
        }
        let (element, is_list) = self.element_type(&of.ty);
        let mut midl_type = self.midl_type(element, of.handle.as_ref())?;
        no_handles(&midl_type)?;
        let is_text = midl_type.attributes.iter().any(|text| text == "string");
        let mut fields = Vec::new();
        if is_list {
            let count = names_in_use.unique(&format!("{name}Count"));
            let range = of.range.map(range_attribute).unwrap_or_default();
            let range = in_brackets(
                &range.strip_prefix(", ").map(str::to_owned).into_iter().collect::<Vec<_>>(),
            );
            fields.push(format!("{range}unsigned long {count}"));
            midl_type.attributes.insert(0, format!("size_is({count})"));
        } else if let Some(range) = of.range {
            self.add_range(element, &mut midl_type, range)?;
        }
        let optional = self.is_optional(&of.ty);
        if optional {
            midl_type.attributes.insert(0, "unique".to_owned());
        }
        let needs_star = is_list || optional && !is_text && !midl_type.ty.ends_with('*');
        let star = if needs_star { "*" } else { "" };
        let attributes = in_brackets(&midl_type.attributes);
        fields.push(format!("{attributes}{}{name}", with_stars(&midl_type.ty, star)));
        Ok(fields)
    }

    /// Returns MIDL's name for a number type, or `None` for any other type.
    pub(super) fn number(&self, ty: &Type) -> Option<&'static str> {
        let name = ty.to_token_stream().to_string();
        NUMBERS.iter().find(|(rust, _)| *rust == name).map(|(_, idl)| *idl)
    }

    /// Returns the definition of a type, if the description contains it.
    pub(super) fn definition(&self, ty: &Type) -> Option<&'d Definition> {
        self.definitions.get(&last_segment(ty)?).copied()
    }

    /// Returns the item type and the length of an array.
    fn array(&self, array: &syn::TypeArray, of: &Parameter) -> EmitResult<(MidlType, String)> {
        let midl_type = self.midl_type(&array.elem, of.handle.as_ref())?;
        if of.range.is_some() {
            return Err("MIDL can't limit the length of an array".to_owned());
        }
        Ok((midl_type, array.len.to_token_stream().to_string()))
    }

    /// Adds the attribute that limits the value of a number or the length of a string.
    fn add_range(&self, inner: &Type, midl_type: &mut MidlType, range: Range) -> EmitResult<()> {
        let is_text = midl_type.attributes.iter().any(|text| text == "string");
        match (is_text, range.from) {
            (true, 0) => {
                // `size_is` includes the terminating zero.
                midl_type.attributes.push(format!("size_is({})", range.to + 1));
                midl_type.ty = "WCHAR *".to_owned();
                Ok(())
            }
            (true, _) => Err("MIDL can't express a minimum length of a string".to_owned()),
            (false, _)
                if self.number(inner).is_some_and(|ty| ty != "BOOL") || self.is_enum(inner) =>
            {
                midl_type
                    .attributes
                    .push(range_attribute(range).trim_start_matches(", ").to_owned());
                Ok(())
            }
            (false, _) => Err("MIDL can express bounds only for numbers".to_owned()),
        }
    }

    fn is_enum(&self, ty: &Type) -> bool {
        let definition = self.definition(ty);
        definition.is_some_and(|of| matches!(of.kind, DefinitionKind::Enum(_)))
    }

    /// Returns the type in a `Vec` or `Option`, and whether it is a `Vec`.
    fn element_type<'t>(&self, ty: &'t Type) -> (&'t Type, bool) {
        match container(ty) {
            Some(("Vec", inner)) => (inner, true),
            Some(("Option", inner)) => (unboxed(inner), false),
            _ => (unboxed(ty), false),
        }
    }

    fn is_optional(&self, ty: &Type) -> bool {
        matches!(container(ty), Some(("Option", _)))
    }

    fn is_struct(&self, ty: &Type) -> bool {
        matches!(self.definition(ty).map(|of| &of.kind), Some(DefinitionKind::Struct(_)))
    }

    /// Resolves aliases until the type is not an alias.
    fn resolved<'t>(&self, ty: &'t Type) -> EmitResult<&'t Type>
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
        Err(format!("alias `{name}` refers to itself, or the chain of aliases is too long"))
    }

    fn midl_type(&self, ty: &Type, handle: Option<&Handle>) -> EmitResult<MidlType> {
        let ty = self.resolved(ty)?;
        let plain = |ty: &str| Ok(MidlType { ty: ty.to_owned(), attributes: Vec::new() });
        if let Some(number) = self.number(ty) {
            return plain(number);
        }
        let rust = ty.to_token_stream().to_string().replace(' ', "");
        if last_segment(ty).is_some_and(|name| name == "Stream") && container(ty).is_some() {
            return Err(format!("MIDL has no form for a stream: `{rust}`"));
        }
        let Some(name) = last_segment(ty).filter(|_| container(ty).is_none()) else {
            return Err(format!("MIDL has no type for `{rust}`"));
        };
        if self.definition(ty).is_some() {
            return plain(&name);
        }
        match name.as_str() {
            "String" => {
                let attributes = vec!["string".to_owned()];
                return Ok(MidlType { ty: "LPWSTR".to_owned(), attributes });
            }
            "Guid" => return plain("GUID"),
            _ => {}
        }
        if let Some(attribute) = handles::attribute(&name, handle)? {
            return Ok(MidlType { ty: "HANDLE".to_owned(), attributes: vec![attribute] });
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

/// Appends pointer stars to a MIDL type, with a space before the first one.
fn with_stars(ty: &str, stars: &str) -> String {
    match ty.ends_with('*') {
        true => format!("{ty}{stars}"),
        false => format!("{ty} {stars}"),
    }
}

/// Formats a `range` attribute: `, range(1, 10)`.
fn range_attribute(Range { from, to }: Range) -> String {
    format!(", range({from}, {to})")
}

fn in_brackets(attributes: &[String]) -> String {
    match attributes.is_empty() {
        true => String::new(),
        false => format!("[{}] ", attributes.join(", ")),
    }
}

/// Returns the last segment of a type's path.
pub(super) fn last_segment(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last().map(|last| plain_name(&last.ident))
}

/// Returns the name and the type argument of `Vec<T>`, `Option<T>`, `Box<T>` and `Arc<T>`.
pub(super) fn container(ty: &Type) -> Option<(&'static str, &Type)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let Some(GenericArgument::Type(inner)) = arguments.args.first() else { return None };
    let name = ["Vec", "Option", "Box", "Arc"].into_iter().find(|name| last.ident == name);
    Some((name.unwrap_or("another"), inner))
}

fn unboxed(ty: &Type) -> &Type {
    match container(ty) {
        Some(("Box" | "Arc", inner)) => inner,
        _ => ty,
    }
}

/// Maximum number of aliases that refer to each other in a chain.
const ALIASES_MAX: usize = 64;

/// The number types, with their Rust and MIDL names.
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
