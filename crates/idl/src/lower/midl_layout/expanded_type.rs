//! Resolves all typedefs of a declaration, and collects the attributes of each typedef.

use super::attributes::TYPEDEF;
use super::types::LayoutReader;
use crate::front::ast::{
    AttributeName, Attributes, BaseType, Derivation, EnumType, Interface, StructType, TypeKind,
    TypeSpecifier,
};
use crate::front::check::symbols::Definition;
use crate::front::limits::CHAIN_MAX;

/// A declaration with all its typedefs resolved.
pub(super) struct ExpandedType<'a> {
    /// The pointers and arrays, outermost first.
    pub(super) levels: Vec<&'a Derivation>,
    /// The attributes of the declaration, followed by those of each typedef.
    pub(super) groups: Vec<AttributeGroup<'a>>,
    pub(super) leaf: ExpandedLeaf<'a>,
}

/// The attributes of a declaration or a typedef.
#[derive(Clone, Copy)]
pub(super) struct AttributeGroup<'a> {
    pub(super) attributes: &'a Attributes,
    /// The index of the first level to which the attributes apply.
    pub(super) start: usize,
}

/// The type to which the pointers and arrays are applied.
#[derive(Clone, Copy)]
pub(super) enum ExpandedLeaf<'a> {
    Base(BaseType),
    Struct(&'a StructType),
    /// An enum. The flag is set if the declaration refers to the enum by its tag, without a
    /// typedef.
    Enum(&'a EnumType, bool),
    Interface(&'a Interface),
    Handle,
}

/// The kind of a pointer, as specified by attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PointerKind {
    Reference,
    Unique,
}

impl<'a> LayoutReader<'_, '_, 'a> {
    pub(super) fn expand(
        &self,
        attributes: &'a Attributes,
        specifier: &'a TypeSpecifier,
        derivations: &'a [Derivation],
    ) -> Result<ExpandedType<'a>, String> {
        let mut levels: Vec<&Derivation> = derivations.iter().collect();
        let mut groups = vec![AttributeGroup { attributes, start: 0 }];
        let mut specifier = specifier;
        for _ in 0..CHAIN_MAX {
            let path = match &specifier.kind {
                TypeKind::Named(path) | TypeKind::Interface(path) => path,
                kind => {
                    let leaf = self.leaf(kind)?;
                    return ExpandedType { levels, groups, leaf }.check_pointer_attributes();
                }
            };
            let name = path.as_name().map_or("", |name| &**name);
            if WINDOWS_MARSHALED.contains(&name) {
                return Err(format!("`{name}` is marshaled by routines of Windows"));
            }
            let symbol = self.lowering.view.find(path);
            let leaf = match symbol.map(|symbol| symbol.definition) {
                Some(Definition::Typedef(typedef, declarator)) => {
                    TYPEDEF.check(&typedef.attributes).map_err(|why| format!("`{name}`: {why}"))?;
                    let is_pointer =
                        matches!(&*declarator.derivations, [Derivation::Pointer { .. }]);
                    let is_void = matches!(typedef.specifier.kind, TypeKind::Base(BaseType::Void));
                    if name == "HANDLE" && is_pointer && is_void {
                        ExpandedLeaf::Handle
                    } else {
                        groups.push(AttributeGroup {
                            attributes: &typedef.attributes,
                            start: levels.len(),
                        });
                        levels.extend(&declarator.derivations);
                        specifier = &typedef.specifier;
                        continue;
                    }
                }
                Some(Definition::Struct(of)) => ExpandedLeaf::Struct(of),
                Some(Definition::Enum(of)) => ExpandedLeaf::Enum(of, true),
                Some(Definition::Interface(of)) => ExpandedLeaf::Interface(of),
                _ => return Err(format!("`{}` has no layout that is known here", path.name())),
            };
            return ExpandedType { levels, groups, leaf }.check_pointer_attributes();
        }
        Err("its typedefs are nested too deep".to_owned())
    }

    fn leaf(&self, kind: &'a TypeKind) -> Result<ExpandedLeaf<'a>, String> {
        let tagged = |tag: &Option<crate::front::ast::Identifier>| {
            let tag = &tag.as_ref()?.name;
            self.lowering.view.find_tag(tag).map(|symbol| symbol.definition)
        };
        match kind {
            TypeKind::Base(base) => Ok(ExpandedLeaf::Base(*base)),
            TypeKind::Struct(of) if of.fields.is_some() => Ok(ExpandedLeaf::Struct(of)),
            TypeKind::Enum(of) if of.enumerators.is_some() => Ok(ExpandedLeaf::Enum(of, false)),
            TypeKind::Struct(StructType { tag, .. }) | TypeKind::Enum(EnumType { tag, .. }) => {
                match tagged(tag) {
                    Some(Definition::Struct(of)) => Ok(ExpandedLeaf::Struct(of)),
                    Some(Definition::Enum(of)) => Ok(ExpandedLeaf::Enum(of, true)),
                    _ => Err("its type is not defined".to_owned()),
                }
            }
            TypeKind::Union(_) => Err("traits don't support unions".to_owned()),
            TypeKind::SafeArray(_) => {
                Err("a SAFEARRAY is marshaled by routines of Windows".to_owned())
            }
            TypeKind::Pipe(_) => Err("the layout of a pipe is unknown".to_owned()),
            TypeKind::Named(_) | TypeKind::Interface(_) => {
                Err("the layout of its type is unknown".to_owned())
            }
        }
    }
}

impl<'a> ExpandedType<'a> {
    /// Checks that pointer attributes are used only for pointers.
    fn check_pointer_attributes(self) -> Result<Self, String> {
        if self.levels.len() > LEVELS_MAX {
            return Err("it has too many nested pointers and arrays".to_owned());
        }
        for group in &self.groups {
            for name in [AttributeName::Unique, AttributeName::Ref] {
                let is_pointer =
                    matches!(self.levels.get(group.start), Some(Derivation::Pointer { .. }));
                if group.attributes.has(name) && !is_pointer {
                    return Err(match self.leaf {
                        ExpandedLeaf::Handle if name == AttributeName::Unique => {
                            "a `unique` handle may be NULL, which the trait doesn't permit"
                                .to_owned()
                        }
                        _ => format!("`{}` applies to a type that isn't a pointer", name.text()),
                    });
                }
            }
        }
        Ok(self)
    }

    /// Returns whether the declaration or one of the typedefs has an attribute.
    pub(super) fn has(&self, name: AttributeName) -> bool {
        self.groups.iter().any(|group| group.attributes.has(name))
    }

    /// Returns the kind that attributes specify for the pointer at a level, if any.
    pub(super) fn pointer(&self, level: usize) -> Result<Option<PointerKind>, String> {
        let mut found = None;
        for group in self.groups.iter().filter(|group| group.start == level) {
            let kinds = [
                (AttributeName::Ref, PointerKind::Reference),
                (AttributeName::Unique, PointerKind::Unique),
            ];
            for (name, kind) in kinds {
                if group.attributes.has(name) && found.replace(kind).is_some_and(|of| of != kind) {
                    return Err("its pointer is `ref` and `unique` at once".to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// Maximum nesting depth of pointers and arrays. A trait's tables contain fewer levels.
const LEVELS_MAX: usize = 8;

/// Types that Windows marshals with special routines, regardless of how they are declared.
const WINDOWS_MARSHALED: [&str; 40] = [
    "BSTR",
    "HSTRING",
    "VARIANT",
    "VARIANTARG",
    "SAFEARRAY",
    "LPSAFEARRAY",
    "CLIPFORMAT",
    "STGMEDIUM",
    "ASYNC_STGMEDIUM",
    "FLAG_STGMEDIUM",
    "SNB",
    "HWND",
    "HMENU",
    "HACCEL",
    "HBRUSH",
    "HFONT",
    "HDC",
    "HICON",
    "HCURSOR",
    "HRGN",
    "HBITMAP",
    "HPALETTE",
    "HMETAFILE",
    "HENHMETAFILE",
    "HMETAFILEPICT",
    "HGLOBAL",
    "HMONITOR",
    "HKEY",
    "HINSTANCE",
    "HMODULE",
    "DISPPARAMS",
    "EXCEPINFO",
    "PROPVARIANT",
    "DECIMAL",
    "CY",
    "CURRENCY",
    "ITEMIDLIST",
    "PIDLIST_ABSOLUTE",
    "LPITEMIDLIST",
    "LPCITEMIDLIST",
];
