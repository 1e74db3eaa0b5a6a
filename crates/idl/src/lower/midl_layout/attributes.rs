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
            "sends a different type from the one in memory"
        }
        Some(LengthIs | LastIs | MaxIs | FirstIs | MinIs) => {
            "changes the form of the array, but the trait passes only a count"
        }
        Some(Range) => "is checked by MIDL's proxy, but not by the trait's proxy",
        Some(Ptr) => "declares a full pointer, which traits don't support",
        Some(SwitchIs | SwitchType) => "belongs to a union, which traits don't support",
        Some(IidIs) => "selects the interface of the object at run time",
        Some(SystemHandle) => "is within another value, where traits don't support handles",
        Some(Local) => "has no proxy",
        Some(CallAs) => "needs custom code, which the trait's proxy doesn't have",
        Some(AsyncUuid) => "declares a second, asynchronous interface",
        None => "is not an attribute of IDL, so its effect is unknown",
        Some(_) => "isn't supported here, so its effect on the layout is unknown",
    }
}
