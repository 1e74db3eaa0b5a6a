//! Lists the attributes that don't affect the layout or for which this module has a rule.
//!
//! All other attributes, including unknown ones, make the method count as different.

use crate::front::ast::{Attribute, AttributeName, Attributes};

/// The attributes that are allowed for one kind of declaration.
pub(super) struct AttributeRules {
    names: &'static [AttributeName],
}

impl AttributeRules {
    /// Checks that all attributes of a declaration are allowed.
    ///
    /// # Errors
    /// Returns a description of the first attribute that isn't allowed.
    pub(super) fn check(&self, attributes: &Attributes) -> Result<(), String> {
        let is_known = |attribute: &&Attribute| {
            attribute
                .known
                .is_some_and(|name| self.names.contains(&name) || WITHOUT_EFFECT.contains(&name))
        };
        match attributes.list().iter().find(|attribute| !is_known(attribute)) {
            None => Ok(()),
            Some(unknown) => Err(format!("`{}` {}", unknown.name.name, effect(unknown.known))),
        }
    }
}

/// Checks the attributes of an interface.
pub(super) fn check_interface(attributes: &Attributes) -> Result<(), String> {
    use AttributeName::*;
    if !attributes.has(Object) {
        return Err(
            "its interface isn't an `object`, so the kinds of its pointers differ".to_owned()
        );
    }
    AttributeRules { names: &[Object, Odl, PointerDefault, Dual, Oleautomation, Nonextensible] }
        .check(attributes)
        .map_err(|reason| format!("its interface: {reason}"))
}

pub(super) const METHOD: AttributeRules = {
    use AttributeName::*;
    AttributeRules {
        names: &[
            Id,
            Propget,
            Propput,
            Propputref,
            Bindable,
            Defaultbind,
            Displaybind,
            Immediatebind,
            Requestedit,
            Replaceable,
            Nonbrowsable,
            Uidefault,
            Defaultcollelem,
            Readonly,
            Overload,
            DefaultOverload,
        ],
    }
};

pub(super) const PARAMETER: AttributeRules = {
    use AttributeName::*;
    AttributeRules {
        names: &[
            In,
            Out,
            Retval,
            String,
            SizeIs,
            Unique,
            Ref,
            SystemHandle,
            Optional,
            Defaultvalue,
            Lcid,
        ],
    }
};

pub(super) const FIELD: AttributeRules = {
    use AttributeName::*;
    AttributeRules { names: &[String, SizeIs, Unique, Ref, Id, Readonly] }
};

pub(super) const TYPEDEF: AttributeRules = {
    use AttributeName::*;
    AttributeRules { names: &[String, Unique, Ref, SystemHandle, V1Enum, FlagEnum, Flags] }
};

pub(super) const STRUCT: AttributeRules = AttributeRules { names: &[] };

pub(super) const ENUM: AttributeRules = {
    use AttributeName::*;
    AttributeRules { names: &[V1Enum, FlagEnum, Flags] }
};

/// Attributes that affect only documentation, type libraries or other languages.
const WITHOUT_EFFECT: &[AttributeName] = {
    use AttributeName::*;
    &[
        Helpstring,
        Helpcontext,
        Helpstringcontext,
        Uuid,
        Version,
        Hidden,
        Restricted,
        Custom,
        Public,
        Deprecated,
    ]
};

/// Describes the effect of an attribute that isn't allowed.
fn effect(name: Option<AttributeName>) -> &'static str {
    use AttributeName::*;
    match name {
        Some(WireMarshal | UserMarshal | TransmitAs | RepresentAs) => {
            "puts another type on the wire than the one in memory"
        }
        Some(LengthIs | LastIs | MaxIs | FirstIs | MinIs) => {
            "describes an array that the tables of the trait describe by a count alone"
        }
        Some(Range) => "is checked by MIDL's proxy, and not by the trait's proxy",
        Some(Ptr) => "makes a full pointer, which the tables of the trait don't have",
        Some(SwitchIs | SwitchType) => {
            "belongs to a union, which the tables of the trait don't have"
        }
        Some(IidIs) => "leaves open which interface the object has",
        Some(SystemHandle) => {
            "stands within another value, and the tables of the trait have no handles there"
        }
        Some(Local) => "has no proxy: each process calls its own code",
        Some(CallAs) => {
            "is called through code of the file's own, which a proxy of the trait lacks"
        }
        Some(AsyncUuid) => "makes a second interface for calls that don't wait",
        None => "is no attribute of IDL, so its effect isn't known",
        Some(_) => "has no rule here, so its effect on the layout isn't known",
    }
}
