//! The attributes of IDL: their names, the declarations that they apply to, and their arguments.

/// The kinds of declarations that an attribute can apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum AttributeTarget {
    Interface,
    DispatchInterface,
    Library,
    CoClass,
    RuntimeClass,
    ClassItem,
    Module,
    ApiContract,
    Delegate,
    Typedef,
    Struct,
    Union,
    Enum,
    Enumerator,
    Constant,
    Method,
    Property,
    Parameter,
    Field,
    Arm,
}

impl AttributeTarget {
    /// Describes the kind of declaration, for a message.
    pub(crate) fn description(self) -> &'static str {
        match self {
            AttributeTarget::Interface => "an interface",
            AttributeTarget::DispatchInterface => "a dispinterface",
            AttributeTarget::Library => "a library",
            AttributeTarget::CoClass => "a coclass",
            AttributeTarget::RuntimeClass => "a runtimeclass",
            AttributeTarget::ClassItem => "an interface of a class",
            AttributeTarget::Module => "a module",
            AttributeTarget::ApiContract => "an apicontract",
            AttributeTarget::Delegate => "a delegate",
            AttributeTarget::Typedef => "a typedef",
            AttributeTarget::Struct => "a struct",
            AttributeTarget::Union => "a union",
            AttributeTarget::Enum => "an enum",
            AttributeTarget::Enumerator => "an enumerator",
            AttributeTarget::Constant => "a constant",
            AttributeTarget::Method => "a method",
            AttributeTarget::Property => "a property",
            AttributeTarget::Parameter => "a parameter",
            AttributeTarget::Field => "a field",
            AttributeTarget::Arm => "an arm of a union",
        }
    }
}

/// The arguments that an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeSyntax {
    /// No arguments and no parentheses.
    Bare,
    /// A number of values between the given minimum and maximum. Each value may be omitted.
    Values(usize, usize),
    /// No parentheses, or one value in parentheses.
    Optional,
    /// A type.
    Type,
    /// A UUID.
    Uuid,
    /// A UUID and a value.
    Custom,
    /// A type and a name.
    Handle,
}

macro_rules! attributes {
    ($($variant:ident $text:literal $syntax:expr, $targets:expr;)*) => {
        /// The attributes of IDL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum AttributeName {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl AttributeName {
            /// All attributes.
            pub(crate) const ALL: &[AttributeName] = &[$(AttributeName::$variant),*];

            /// Returns the name of the attribute in IDL.
            pub(crate) fn text(self) -> &'static str {
                match self { $(AttributeName::$variant => $text),* }
            }

            /// Finds the attribute with this name.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(AttributeName::$variant),)* _ => None }
            }

            pub(crate) fn syntax(self) -> AttributeSyntax {
                match self { $(AttributeName::$variant => $syntax),* }
            }

            fn targets(self) -> u32 {
                match self { $(AttributeName::$variant => $targets),* }
            }
        }
    };
}

impl AttributeSyntax {
    /// Returns the minimum and maximum number of arguments.
    pub(crate) fn counts(self) -> (usize, usize) {
        match self {
            AttributeSyntax::Bare => (0, 0),
            AttributeSyntax::Values(least, most) => (least, most),
            AttributeSyntax::Optional => (0, 1),
            AttributeSyntax::Type | AttributeSyntax::Uuid => (1, 1),
            AttributeSyntax::Custom | AttributeSyntax::Handle => (2, 2),
        }
    }
}

impl AttributeName {
    /// Returns whether the attribute can apply to this kind of declaration.
    pub(crate) fn fits(self, target: AttributeTarget) -> bool {
        self.targets() & bit(target) != 0
    }
}

const _: () = assert!(AttributeName::ALL.len() <= 3 * 64, "`Attributes` has a bit for each");

const fn bit(target: AttributeTarget) -> u32 {
    1 << target as u8
}

const BARE: AttributeSyntax = AttributeSyntax::Bare;
const ONE: AttributeSyntax = AttributeSyntax::Values(1, 1);
const MANY: AttributeSyntax = AttributeSyntax::Values(1, usize::MAX);
const ANY: AttributeSyntax = AttributeSyntax::Values(0, usize::MAX);

const EVERYWHERE: u32 = u32::MAX;
const INTERFACE: u32 = bit(AttributeTarget::Interface);
const DISPATCH: u32 = bit(AttributeTarget::DispatchInterface);
const LIBRARY: u32 = bit(AttributeTarget::Library);
const COCLASS: u32 = bit(AttributeTarget::CoClass);
const RUNTIME_CLASS: u32 = bit(AttributeTarget::RuntimeClass);
const CLASS: u32 = COCLASS | RUNTIME_CLASS;
const CLASS_ITEM: u32 = bit(AttributeTarget::ClassItem);
const MODULE: u32 = bit(AttributeTarget::Module);
const CONTRACT: u32 = bit(AttributeTarget::ApiContract);
const DELEGATE: u32 = bit(AttributeTarget::Delegate);
const TYPEDEF: u32 = bit(AttributeTarget::Typedef);
const UNION: u32 = bit(AttributeTarget::Union) | TYPEDEF;
const ENUM: u32 = bit(AttributeTarget::Enum) | TYPEDEF;
const METHOD: u32 = bit(AttributeTarget::Method);
const PROPERTY: u32 = bit(AttributeTarget::Property);
const PARAMETER: u32 = bit(AttributeTarget::Parameter);
const FIELD: u32 = bit(AttributeTarget::Field) | bit(AttributeTarget::Arm);
const ARM: u32 = bit(AttributeTarget::Arm) | bit(AttributeTarget::Field);
const VALUE: u32 = PARAMETER | FIELD | TYPEDEF | METHOD;
const ANY_INTERFACE: u32 = INTERFACE | DISPATCH;
/// The kinds of declarations that Windows Runtime attributes can apply to.
const RUNTIME: u32 = EVERYWHERE & !(PARAMETER | FIELD);

attributes! {
    Activatable "activatable" ANY, RUNTIME_CLASS;
    Aggregatable "aggregatable" BARE, COCLASS;
    Agile "agile" BARE, CLASS;
    Align "__declspec(align)" ONE, TYPEDEF | FIELD | PARAMETER | bit(AttributeTarget::Struct) | bit(AttributeTarget::Union);
    AllNodes "all_nodes" AttributeSyntax::Optional, PARAMETER | INTERFACE | TYPEDEF | METHOD;
    Allocate "allocate" MANY, PARAMETER | TYPEDEF | METHOD;
    Annotation "annotation" ONE, PARAMETER | FIELD | METHOD | TYPEDEF;
    Appobject "appobject" BARE, COCLASS;
    Async "async" BARE, METHOD | INTERFACE | PARAMETER;
    AsyncUuid "async_uuid" AttributeSyntax::Uuid, INTERFACE;
    AutoHandle "auto_handle" BARE, INTERFACE;
    Bindable "bindable" BARE, METHOD | PROPERTY | FIELD | RUNTIME_CLASS;
    Broadcast "broadcast" BARE, METHOD;
    ByteCount "byte_count" ONE, PARAMETER;
    CallAs "call_as" ONE, METHOD;
    Callback "callback" BARE, METHOD;
    Case "case" MANY, ARM;
    Code "code" BARE, METHOD | INTERFACE;
    CommStatus "comm_status" BARE, METHOD | PARAMETER;
    Composable "composable" ANY, RUNTIME_CLASS;
    ContextHandle "context_handle" BARE, TYPEDEF | PARAMETER | METHOD;
    ContextHandleNoserialize "context_handle_noserialize" BARE, TYPEDEF | PARAMETER | METHOD;
    ContextHandleSerialize "context_handle_serialize" BARE, TYPEDEF | PARAMETER | METHOD;
    Contract "contract" ANY, RUNTIME;
    Contractversion "contractversion" ANY, CONTRACT;
    Control "control" BARE, COCLASS | LIBRARY;
    CsChar "cs_char" AttributeSyntax::Type, TYPEDEF;
    CsDrtag "cs_drtag" BARE, PARAMETER;
    CsRtag "cs_rtag" BARE, PARAMETER;
    CsStag "cs_stag" BARE, PARAMETER;
    CsTagRtn "cs_tag_rtn" ONE, METHOD | INTERFACE;
    Custom "custom" AttributeSyntax::Custom, EVERYWHERE;
    Decode "decode" BARE, TYPEDEF | INTERFACE | METHOD;
    Default "default" BARE, CLASS_ITEM | ARM | METHOD | INTERFACE;
    DefaultOverload "default_overload" BARE, METHOD;
    Defaultbind "defaultbind" BARE, METHOD | PROPERTY;
    Defaultcollelem "defaultcollelem" BARE, METHOD | PROPERTY;
    Defaultvalue "defaultvalue" ONE, PARAMETER;
    Defaultvtable "defaultvtable" BARE, CLASS_ITEM;
    Deprecated "deprecated" ANY, EVERYWHERE;
    DisableConsistencyCheck "disable_consistency_check" BARE, EVERYWHERE;
    Displaybind "displaybind" BARE, METHOD | PROPERTY;
    Dllname "dllname" ONE, MODULE;
    DontFree "dont_free" BARE, PARAMETER | TYPEDEF | METHOD;
    Dual "dual" BARE, INTERFACE;
    EnableAllocate "enable_allocate" BARE, METHOD | INTERFACE;
    Encode "encode" BARE, TYPEDEF | INTERFACE | METHOD;
    Endpoint "endpoint" MANY, INTERFACE;
    Entry "entry" ONE, METHOD;
    Eventadd "eventadd" BARE, METHOD;
    Eventremove "eventremove" BARE, METHOD;
    Exclusiveto "exclusiveto" ONE, INTERFACE | DELEGATE;
    ExplicitHandle "explicit_handle" BARE, METHOD | INTERFACE;
    FaultStatus "fault_status" BARE, METHOD | PARAMETER;
    FirstIs "first_is" MANY, VALUE;
    FlagEnum "flag_enum" BARE, ENUM;
    Flags "flags" BARE, ENUM;
    ForceAllocate "force_allocate" BARE, PARAMETER | TYPEDEF | METHOD;
    Free "free" BARE, PARAMETER | TYPEDEF;
    Handle "handle" BARE, TYPEDEF;
    Heap "heap" BARE, PARAMETER | TYPEDEF | METHOD;
    Helpcontext "helpcontext" ONE, EVERYWHERE;
    Helpfile "helpfile" ONE, LIBRARY;
    Helpstring "helpstring" ONE, EVERYWHERE;
    Helpstringcontext "helpstringcontext" ONE, EVERYWHERE;
    Helpstringdll "helpstringdll" ONE, LIBRARY;
    Hidden "hidden" BARE, EVERYWHERE;
    Id "id" ONE, METHOD | PROPERTY | FIELD | PARAMETER | ANY_INTERFACE | LIBRARY | COCLASS;
    Idempotent "idempotent" BARE, METHOD;
    Ignore "ignore" BARE, FIELD;
    IidIs "iid_is" ONE, VALUE;
    Immediatebind "immediatebind" BARE, METHOD | PROPERTY;
    ImplicitHandle "implicit_handle" AttributeSyntax::Handle, INTERFACE;
    In "in" BARE, PARAMETER;
    InLine "in_line" BARE, TYPEDEF;
    InputSync "input_sync" BARE, METHOD;
    Lcid "lcid" AttributeSyntax::Optional, PARAMETER | LIBRARY;
    LastIs "last_is" MANY, VALUE;
    LengthIs "length_is" MANY, VALUE;
    Licensed "licensed" BARE, COCLASS;
    Local "local" BARE, INTERFACE | METHOD;
    MarshalingBehavior "marshaling_behavior" ONE, CLASS;
    MaxIs "max_is" MANY, VALUE;
    Maybe "maybe" BARE, METHOD;
    Message "message" BARE, METHOD;
    MinIs "min_is" MANY, VALUE;
    MsConfStruct "ms_conf_struct" BARE, INTERFACE;
    MsUnion "ms_union" BARE, INTERFACE | UNION | FIELD;
    Muse "muse" BARE, RUNTIME;
    Nocode "nocode" BARE, METHOD | INTERFACE;
    Nonbrowsable "nonbrowsable" BARE, METHOD | PROPERTY;
    Noncreatable "noncreatable" BARE, COCLASS;
    Nonextensible "nonextensible" BARE, ANY_INTERFACE;
    Notify "notify" BARE, METHOD;
    NotifyFlag "notify_flag" BARE, METHOD;
    Object "object" BARE, ANY_INTERFACE;
    Odl "odl" BARE, ANY_INTERFACE | TYPEDEF;
    Oleautomation "oleautomation" BARE, ANY_INTERFACE;
    Optimize "optimize" ONE, METHOD | INTERFACE;
    Optional "optional" BARE, PARAMETER;
    Out "out" BARE, PARAMETER;
    OutOfLine "out_of_line" BARE, TYPEDEF;
    Overload "overload" ONE, METHOD;
    PartialIgnore "partial_ignore" BARE, PARAMETER;
    PointerDefault "pointer_default" ONE, INTERFACE;
    PredeclId "predeclid" BARE, COCLASS;
    Private "private" BARE, EVERYWHERE;
    Progid "progid" ONE, COCLASS;
    Propget "propget" BARE, METHOD | PARAMETER;
    Propput "propput" BARE, METHOD | PARAMETER;
    Propputref "propputref" BARE, METHOD | PARAMETER;
    Protected "protected" BARE, RUNTIME;
    Proxy "proxy" BARE, INTERFACE | LIBRARY;
    Ptr "ptr" BARE, VALUE;
    Public "public" BARE, EVERYWHERE;
    Range "range" AttributeSyntax::Values(2, 2), VALUE;
    Readonly "readonly" BARE, PROPERTY | FIELD | METHOD;
    Ref "ref" BARE, VALUE;
    Replaceable "replaceable" BARE, METHOD | PROPERTY;
    RepresentAs "represent_as" AttributeSyntax::Type, TYPEDEF;
    Requestedit "requestedit" BARE, METHOD | PROPERTY;
    Restricted "restricted" AttributeSyntax::Values(0, usize::MAX), EVERYWHERE;
    Retval "retval" BARE, PARAMETER;
    SingleNode "single_node" AttributeSyntax::Optional, PARAMETER | INTERFACE | TYPEDEF | METHOD;
    SizeIs "size_is" MANY, VALUE;
    Source "source" BARE, CLASS_ITEM | METHOD | PROPERTY;
    Static "static" ANY, RUNTIME_CLASS;
    StrictContextHandle "strict_context_handle" BARE, INTERFACE;
    String "string" BARE, VALUE | PROPERTY | bit(AttributeTarget::Constant);
    SwitchIs "switch_is" ONE, PARAMETER | FIELD;
    SwitchType "switch_type" AttributeSyntax::Type, PARAMETER | FIELD | UNION;
    SystemHandle "system_handle" AttributeSyntax::Values(1, 2), PARAMETER | FIELD | TYPEDEF;
    Threading "threading" ONE, CLASS;
    TransmitAs "transmit_as" AttributeSyntax::Type, TYPEDEF;
    TypeStrictContextHandle "type_strict_context_handle" BARE, INTERFACE;
    Uidefault "uidefault" BARE, METHOD | PROPERTY;
    Unique "unique" BARE, VALUE;
    UserMarshal "user_marshal" AttributeSyntax::Type, TYPEDEF;
    Usesgetlasterror "usesgetlasterror" BARE, METHOD | MODULE;
    Uuid "uuid" AttributeSyntax::Uuid, EVERYWHERE & !(PARAMETER | FIELD);
    V1Enum "v1_enum" BARE, ENUM;
    Vararg "vararg" BARE, METHOD;
    Version "version" ONE, EVERYWHERE & !(PARAMETER | FIELD);
    ViProgid "vi_progid" ONE, COCLASS;
    WireMarshal "wire_marshal" AttributeSyntax::Type, TYPEDEF;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_is_found_by_its_text() {
        for &name in AttributeName::ALL {
            assert_eq!(AttributeName::parse(name.text()), Some(name));
        }
    }
}
