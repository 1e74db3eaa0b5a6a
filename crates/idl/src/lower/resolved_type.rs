//! Resolves the typedefs of a declaration. Stops at types that are well known by name.

use crate::front::Span;
use crate::front::ast::{
    Attribute, AttributeName, Attributes, BaseType, Declarator, Derivation, EnumType, Interface,
    StructType, TypeKind, TypeSpecifier, UnionType,
};
use crate::front::check::scope::View;
use crate::front::check::symbols::Definition;
use crate::front::limits::{CHAIN_MAX, DERIVATIONS_MAX};
use crate::front::steps;
use crate::front::token::Name;

/// A type, consisting of pointers, arrays and functions (outermost first) and an innermost type.
pub(super) struct ResolvedType<'a> {
    pub(super) derivations: Vec<&'a Derivation>,
    pub(super) innermost: InnermostType<'a>,
    /// The attributes of the declaration, followed by those of each typedef.
    attributes: Vec<&'a Attributes>,
    pub(super) span: Span,
    /// The type as written in the source.
    pub(super) text: String,
}

/// The type to which the pointers, arrays and functions are applied.
#[derive(Clone, Copy)]
pub(super) enum InnermostType<'a> {
    Base(BaseType),
    Text,
    Guid,
    Bool,
    Handle,
    Struct(&'a StructType, Option<&'a Name>),
    Union(&'a UnionType, Option<&'a Name>),
    Enum(&'a EnumType, Option<&'a Name>, Option<&'a Attributes>),
    Interface(&'a Interface),
    /// A type that isn't supported outside of Windows. Contains the reason.
    Unsupported(&'static str),
}

impl<'a> ResolvedType<'a> {
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

/// Resolves the typedefs of a declaration.
pub(super) fn resolve<'a>(
    view: &View<'_, 'a>,
    attributes: &'a Attributes,
    specifier: &'a TypeSpecifier,
    declarator: &'a Declarator,
) -> ResolvedType<'a> {
    let mut resolved = ResolvedType {
        derivations: declarator.derivations.iter().collect(),
        innermost: InnermostType::Unsupported("it is not declared"),
        attributes: vec![attributes],
        span: specifier.span,
        text: type_text(specifier),
    };
    let mut specifier = specifier;
    let mut name: Option<&Name> = None;
    let mut of_name: Option<&Attributes> = None;
    for _ in 0..CHAIN_MAX {
        steps::count(1);
        if resolved.derivations.len() > DERIVATIONS_MAX {
            resolved.derivations.clear();
            resolved.innermost = InnermostType::Unsupported("it has too many pointers and arrays");
            return resolved;
        }
        let path = match &specifier.kind {
            TypeKind::Named(path) | TypeKind::Interface(path) => path,
            kind => {
                resolved.innermost =
                    innermost(view, kind, name, of_name).unwrap_or(resolved.innermost);
                return resolved;
            }
        };
        if let Some(innermost) = path.as_name().and_then(|name| well_known(name)) {
            resolved.innermost = innermost;
            return resolved;
        }
        let Some(symbol) = view.find(path) else { return resolved };
        let last = path.segments.last().map(|segment| &segment.name);
        resolved.innermost = match symbol.definition {
            Definition::Typedef(typedef, declarator) => {
                resolved.derivations.extend(&declarator.derivations);
                resolved.attributes.push(&typedef.attributes);
                // If a chain of typedefs adds no pointers, the name of the outermost typedef is the
                // name of the type.
                let is_plain = declarator.derivations.is_empty();
                name = name.filter(|_| is_plain).or(last.filter(|_| is_plain));
                of_name = Some(&typedef.attributes);
                specifier = &typedef.specifier;
                continue;
            }
            Definition::Struct(of) => InnermostType::Struct(of, name.or(last)),
            Definition::Union(of) => InnermostType::Union(of, name.or(last)),
            Definition::Enum(of) => InnermostType::Enum(of, name.or(last), of_name),
            Definition::Interface(of) => InnermostType::Interface(of),
            Definition::DispatchInterface => {
                InnermostType::Unsupported("a dispinterface has no vtable")
            }
            Definition::Class => InnermostType::Unsupported("pass an interface instead of a class"),
            Definition::Delegate | Definition::Contract => {
                InnermostType::Unsupported("it is a Windows Runtime type")
            }
        };
        return resolved;
    }
    resolved
}

/// Returns the innermost type for a type specifier that isn't a name.
fn innermost<'a>(
    view: &View<'_, 'a>,
    kind: &'a TypeKind,
    name: Option<&'a Name>,
    attributes: Option<&'a Attributes>,
) -> Option<InnermostType<'a>> {
    let tagged = |tag: &'a Option<crate::front::ast::Identifier>| {
        let tag = &tag.as_ref()?.name;
        view.find_tag(tag).map(|symbol| (symbol.definition, name.or(Some(tag))))
    };
    Some(match kind {
        TypeKind::Base(BaseType::Void) => {
            InnermostType::Unsupported("the type that it points to is unknown")
        }
        TypeKind::Base(BaseType::BindingHandle) => {
            InnermostType::Unsupported("it is an RPC binding")
        }
        TypeKind::Base(BaseType::Boolean) => InnermostType::Bool,
        TypeKind::Base(base) => InnermostType::Base(*base),
        TypeKind::Struct(of) if of.fields.is_some() => {
            InnermostType::Struct(of, name.or(of.tag.as_ref().map(|tag| &tag.name)))
        }
        TypeKind::Union(of) if of.arms.is_some() => {
            InnermostType::Union(of, name.or(of.tag.as_ref().map(|tag| &tag.name)))
        }
        TypeKind::Enum(of) if of.enumerators.is_some() => {
            InnermostType::Enum(of, name.or(of.tag.as_ref().map(|tag| &tag.name)), attributes)
        }
        TypeKind::Struct(StructType { tag, .. })
        | TypeKind::Union(UnionType { tag, .. })
        | TypeKind::Enum(EnumType { tag, .. }) => match tagged(tag)? {
            (Definition::Struct(of), name) => InnermostType::Struct(of, name),
            (Definition::Union(of), name) => InnermostType::Union(of, name),
            (Definition::Enum(of), name) => InnermostType::Enum(of, name, attributes),
            _ => return None,
        },
        TypeKind::SafeArray(_) => InnermostType::Unsupported("it is an OLE Automation type"),
        TypeKind::Pipe(_) => InnermostType::Unsupported("it is a pipe"),
        TypeKind::Named(_) | TypeKind::Interface(_) => return None,
    })
}

/// Returns the innermost type for a type that is recognized by its name, regardless of its
/// declaration.
fn well_known<'a>(name: &str) -> Option<InnermostType<'a>> {
    Some(match name {
        "BSTR" | "HSTRING" | "LPWSTR" | "LPCWSTR" | "PWSTR" | "PCWSTR" | "LPOLESTR"
        | "LPCOLESTR" | "LPSTR" | "LPCSTR" | "PSTR" | "PCSTR" | "LPTSTR" | "LPCTSTR" => {
            InnermostType::Text
        }
        "GUID" | "IID" | "CLSID" | "FMTID" | "UUID" => InnermostType::Guid,
        "BOOL" | "BOOLEAN" | "VARIANT_BOOL" => InnermostType::Bool,
        "HANDLE" => InnermostType::Handle,
        "HRESULT" | "SCODE" => InnermostType::Base(BaseType::Int32),
        "VARIANT" | "VARIANTARG" | "DISPPARAMS" | "EXCEPINFO" | "PROPVARIANT" | "DECIMAL"
        | "CURRENCY" | "CY" => InnermostType::Unsupported("it is an OLE Automation type"),
        "HWND" | "HMENU" | "HDC" | "HICON" | "HCURSOR" | "HRGN" | "HBITMAP" | "HPALETTE"
        | "HMONITOR" => InnermostType::Unsupported("it refers to a window or a graphics object"),
        "HKEY" => InnermostType::Unsupported("write `[system_handle(sh_reg_key)] HANDLE`"),
        "IUnknown" | "IDispatch" | "IInspectable" => {
            InnermostType::Unsupported("name the interface of the object")
        }
        _ => return None,
    })
}

/// Formats a type for a message.
fn type_text(specifier: &TypeSpecifier) -> String {
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
