//! Resolves a declaration through its typedefs, except for well-known types.

use crate::front::Span;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, BaseType, Declarator, Derivation, EnumType, Interface,
    StructType, TypeKind, TypeSpecifier, UnionType,
};
use crate::front::check::scope::View;
use crate::front::check::symbols::Definition;
use crate::front::limits::{CHAIN_MAX, DERIVATIONS_MAX};
use crate::front::token::Name;
use crate::front::work;

/// A type: a chain of pointers, arrays and functions from the outside in, and the type at its end.
pub(super) struct Shape<'a> {
    pub(super) steps: Vec<&'a Derivation>,
    pub(super) leaf: Leaf<'a>,
    /// The attributes of the declaration, followed by the attributes of each typedef.
    attributes: Vec<&'a Attributes>,
    pub(super) span: Span,
    /// The type as written.
    pub(super) written: String,
}

/// The type at the end of the chain.
#[derive(Clone, Copy)]
pub(super) enum Leaf<'a> {
    Base(BaseType),
    Text,
    Guid,
    Truth,
    Handle,
    Struct(&'a StructType, Option<&'a Name>),
    Union(&'a UnionType, Option<&'a Name>),
    Enum(&'a EnumType, Option<&'a Name>, Option<&'a Attributes>),
    Interface(&'a Interface),
    /// A type that only exists on Windows, and the reason.
    Foreign(&'static str),
}

impl<'a> Shape<'a> {
    /// Returns the first attribute with this name.
    pub(super) fn find(&self, name: AttributeName) -> Option<&'a Attribute> {
        self.attributes.iter().find_map(|attributes| attributes.find(name))
    }

    pub(super) fn has(&self, name: AttributeName) -> bool {
        self.find(name).is_some()
    }

    /// Returns the attributes of the declaration itself.
    pub(super) fn own(&self) -> Option<&'a Attributes> {
        self.attributes.first().copied()
    }
}

/// Resolves a declaration to its shape.
pub(super) fn shape<'a>(
    view: &View<'_, 'a>,
    attributes: &'a Attributes,
    specifier: &'a TypeSpecifier,
    declarator: &'a Declarator,
) -> Shape<'a> {
    let mut shape = Shape {
        steps: declarator.derivations.iter().collect(),
        leaf: Leaf::Foreign("nothing declares what it is"),
        attributes: vec![attributes],
        span: specifier.span,
        written: written(specifier),
    };
    let mut specifier = specifier;
    let mut name: Option<&Name> = None;
    let mut of_name: Option<&Attributes> = None;
    for _ in 0..CHAIN_MAX {
        work::count(1);
        if shape.steps.len() > DERIVATIONS_MAX {
            shape.steps.clear();
            shape.leaf = Leaf::Foreign("it has too many pointers and arrays");
            return shape;
        }
        let path = match &specifier.kind {
            TypeKind::Named(path) | TypeKind::Interface(path) => path,
            kind => {
                shape.leaf = leaf(view, kind, name, of_name).unwrap_or(shape.leaf);
                return shape;
            }
        };
        if let Some(leaf) = path.as_name().and_then(|name| well_known(name)) {
            shape.leaf = leaf;
            return shape;
        }
        let Some(symbol) = view.find(path) else { return shape };
        let last = path.segments.last().map(|segment| &segment.name);
        shape.leaf = match symbol.definition {
            Definition::Typedef(typedef, declarator) => {
                shape.steps.extend(&declarator.derivations);
                shape.attributes.push(&typedef.attributes);
                // Users of the type know it by the first name.
                let is_plain = declarator.derivations.is_empty();
                name = name.filter(|_| is_plain).or(last.filter(|_| is_plain));
                of_name = Some(&typedef.attributes);
                specifier = &typedef.specifier;
                continue;
            }
            Definition::Struct(of) => Leaf::Struct(of, name.or(last)),
            Definition::Union(of) => Leaf::Union(of, name.or(last)),
            Definition::Enum(of) => Leaf::Enum(of, name.or(last), of_name),
            Definition::Interface(of) => Leaf::Interface(of),
            Definition::DispatchInterface => Leaf::Foreign("it is called by names at run time"),
            Definition::Class => Leaf::Foreign("a class isn't passed: its interface is"),
            Definition::Delegate | Definition::Contract => {
                Leaf::Foreign("it is the Windows Runtime's")
            }
        };
        return shape;
    }
    shape
}

/// Returns the leaf for a type that isn't a name.
fn leaf<'a>(
    view: &View<'_, 'a>,
    kind: &'a TypeKind,
    name: Option<&'a Name>,
    attributes: Option<&'a Attributes>,
) -> Option<Leaf<'a>> {
    let tagged = |tag: &'a Option<crate::front::ast::Identifier>| {
        let tag = &tag.as_ref()?.name;
        view.find_tag(tag).map(|symbol| (symbol.definition, name.or(Some(tag))))
    };
    Some(match kind {
        TypeKind::Base(BaseType::Void) => Leaf::Foreign("nothing says what it points to"),
        TypeKind::Base(BaseType::BindingHandle) => Leaf::Foreign("a binding is RPC's own"),
        TypeKind::Base(BaseType::Boolean) => Leaf::Truth,
        TypeKind::Base(base) => Leaf::Base(*base),
        TypeKind::Struct(of) if of.fields.is_some() => {
            Leaf::Struct(of, name.or(of.tag.as_ref().map(|tag| &tag.name)))
        }
        TypeKind::Union(of) if of.arms.is_some() => {
            Leaf::Union(of, name.or(of.tag.as_ref().map(|tag| &tag.name)))
        }
        TypeKind::Enum(of) if of.enumerators.is_some() => {
            Leaf::Enum(of, name.or(of.tag.as_ref().map(|tag| &tag.name)), attributes)
        }
        TypeKind::Struct(StructType { tag, .. })
        | TypeKind::Union(UnionType { tag, .. })
        | TypeKind::Enum(EnumType { tag, .. }) => match tagged(tag)? {
            (Definition::Struct(of), name) => Leaf::Struct(of, name),
            (Definition::Union(of), name) => Leaf::Union(of, name),
            (Definition::Enum(of), name) => Leaf::Enum(of, name, attributes),
            _ => return None,
        },
        TypeKind::SafeArray(_) => Leaf::Foreign("a SAFEARRAY is OLE Automation's"),
        TypeKind::Pipe(_) => Leaf::Foreign("values can't flow during a call"),
        TypeKind::Named(_) | TypeKind::Interface(_) => return None,
    })
}

/// Returns the leaf for a type that is known by its name, regardless of its declaration.
fn well_known<'a>(name: &str) -> Option<Leaf<'a>> {
    Some(match name {
        "BSTR" | "HSTRING" | "LPWSTR" | "LPCWSTR" | "PWSTR" | "PCWSTR" | "LPOLESTR"
        | "LPCOLESTR" | "LPSTR" | "LPCSTR" | "PSTR" | "PCSTR" | "LPTSTR" | "LPCTSTR" => Leaf::Text,
        "GUID" | "IID" | "CLSID" | "FMTID" | "UUID" => Leaf::Guid,
        "BOOL" | "BOOLEAN" | "VARIANT_BOOL" => Leaf::Truth,
        "HANDLE" => Leaf::Handle,
        "HRESULT" | "SCODE" => Leaf::Base(BaseType::Int32),
        "VARIANT" | "VARIANTARG" | "DISPPARAMS" | "EXCEPINFO" | "PROPVARIANT" | "DECIMAL"
        | "CURRENCY" | "CY" => Leaf::Foreign("it is OLE Automation's"),
        "HWND" | "HMENU" | "HDC" | "HICON" | "HCURSOR" | "HRGN" | "HBITMAP" | "HPALETTE"
        | "HMONITOR" => Leaf::Foreign("windows and drawings are Windows' own"),
        "HKEY" => Leaf::Foreign("write `[system_handle(sh_reg_key)] HANDLE`"),
        "IUnknown" | "IDispatch" | "IInspectable" => {
            Leaf::Foreign("it doesn't say what the object can do: name its interface")
        }
        _ => return None,
    })
}

/// Formats a type for a message.
fn written(specifier: &TypeSpecifier) -> String {
    let tag = |word: &str, tag: &Option<crate::front::ast::Identifier>| match tag {
        Some(tag) => format!("{word} {}", tag.name),
        None => word.to_owned(),
    };
    match &specifier.kind {
        TypeKind::Named(path) | TypeKind::Interface(path) => path.name(),
        TypeKind::Base(BaseType::Void) => "void".to_owned(),
        TypeKind::Base(BaseType::BindingHandle) => "handle_t".to_owned(),
        TypeKind::Base(base) => format!("{base:?}").to_lowercase(),
        TypeKind::Struct(of) => tag("struct", &of.tag),
        TypeKind::Union(of) => tag("union", &of.tag),
        TypeKind::Enum(of) => tag("enum", &of.tag),
        TypeKind::SafeArray(_) => "SAFEARRAY".to_owned(),
        TypeKind::Pipe(_) => "pipe".to_owned(),
    }
}
