//! Tests of hashes.

use std::collections::HashSet;

use super::*;
use crate::describe::{Definition, Describe, Growth, Method, Parameter, Type, Variant};
use crate::{Kind, OwnedHandle, Rights};

const VOID: Parameter = Parameter::new("", <() as Describe>::TYPE, None);

const fn method(name: &'static str, parameters: &'static [Parameter]) -> Method {
    let (result, error, differs) = (VOID, None, None);
    Method { name, docs: "", parameters, result, error, blocking: false, one_way: false, differs }
}

const fn interface(iid: u8, methods: &'static [Method]) -> Interface {
    let iid = Guid::from_bytes([iid; 16]);
    Interface { iid, name: "I", docs: "", is_private: false, methods }
}

fn hash(interface: &Interface) -> u64 {
    Description::of(interface).1
}

/// Describes an interface whose only method takes these parameters.
macro_rules! taking {
    ($($name:literal: $ty:expr),*) => {{
        const METHODS: &[Method] = &[method("m", &[$(
            Parameter::new($name, $ty, None)
        ),*])];
        interface(1, METHODS)
    }};
}

const U32: Type = <u32 as Describe>::TYPE;
const U64: Type = <u64 as Describe>::TYPE;

/// A type whose definition has a copy, as the compiler may make one. Both refer to themselves.
const fn tree(definition: fn() -> Definition) -> Type {
    Type::Named { name: "Tree", docs: "", definition }
}

const TREE: Type = tree(tree_definition);

fn tree_definition() -> Definition {
    Definition::Struct(
        &const { [Parameter::new("size", U32, None), Parameter::new("more", LIST, None)] },
    )
}

fn tree_copy() -> Definition {
    Definition::Struct(
        &const { [Parameter::new("size", U32, None), Parameter::new("more", LIST, None)] },
    )
}

const LIST: Type = Type::List(&TREE);

fn other_tree() -> Definition {
    Definition::Struct(
        &const { [Parameter::new("sizes", U32, None), Parameter::new("more", LIST, None)] },
    )
}

#[test]
fn a_change_that_the_other_side_would_misread_changes_the_hash() {
    let first = hash(&taking!("a": U32, "b": U32));
    for (what, other) in [
        ("swapped", taking!("b": U32, "a": U32)),
        ("renamed", taking!("a": U32, "c": U32)),
        ("another type", taking!("a": U32, "b": U64)),
        ("one more", taking!("a": U32, "b": U32, "c": U32)),
        ("one less", taking!("a": U32)),
        ("joined names", taking!("ab": U32)),
    ] {
        assert_ne!(hash(&other), first, "{what}");
    }
    assert_eq!(hash(&taking!("a": U32, "b": U32)), first);
}

#[test]
fn documentation_and_the_way_of_calling_do_not_change_the_hash() {
    const DOCUMENTED: &[Method] = &[Method {
        docs: "Takes a number.",
        blocking: true,
        one_way: true,
        ..method("m", PARAMETERS)
    }];
    const PARAMETERS: &[Parameter] = &[Parameter::new("a", U32, None).documented("A number.")];
    let documented = Interface { docs: "An interface.", ..interface(1, DOCUMENTED) };
    assert_eq!(hash(&documented), hash(&taking!("a": U32)));
}

#[test]
fn declarations_of_handles_bounds_and_the_growth_of_types_change_the_hash() {
    const fn with(declared: Option<Declaration>) -> Parameter {
        Parameter::new("h", <OwnedHandle as Describe>::TYPE, declared)
    }
    const FILE: Declaration = Declaration::kind(Kind::File);
    const ANY: &[Method] = &[method("m", &[with(None)])];
    const OF_FILE: &[Method] = &[method("m", &[with(Some(FILE))])];
    const READABLE: &[Method] = &[method("m", &[with(Some(FILE.at_least(Rights::READ)))])];
    const AT_MOST: &[Method] = &[method("m", &[with(Some(FILE.at_most(Rights::READ)))])];
    const FIELDS: &[Parameter] = &[Parameter::new("a", U32, None)];
    const ADDED: &[Parameter] = &[Parameter::new("a", U32, None).added(Growth::Added)];
    const fn of(definition: fn() -> Definition) -> Type {
        Type::Named { name: "T", docs: "", definition }
    }
    const VARIANTS: &[Variant] = &[Variant { name: "V", docs: "", value: 0, fields: FIELDS }];
    const BOUNDED: &[Method] = &[method("m", &[Parameter::new("h", U32, None).within(1, 2)])];
    const WIDER: &[Method] = &[method("m", &[Parameter::new("h", U32, None).within(1, 3)])];
    let all = [
        hash(&taking!("h": U32)),
        hash(&interface(1, BOUNDED)),
        hash(&interface(1, WIDER)),
        hash(&interface(1, ANY)),
        hash(&interface(1, OF_FILE)),
        hash(&interface(1, READABLE)),
        hash(&interface(1, AT_MOST)),
        hash(&taking!("a": of(|| Definition::Struct(FIELDS)))),
        hash(&taking!("a": of(|| Definition::GrowableStruct(FIELDS)))),
        hash(&taking!("a": of(|| Definition::GrowableStruct(ADDED)))),
        hash(&taking!("a": of(|| Definition::Enum(VARIANTS)))),
        hash(&taking!("a": of(|| {
            Definition::GrowableEnum { variants: VARIANTS, unknown: "Unknown" }
        }))),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:?}");
}

#[test]
fn a_copy_of_the_function_that_defines_a_type_changes_nothing() {
    let once = taking!("a": TREE, "b": TREE);
    let twice = taking!("a": TREE, "b": tree(tree_copy));
    let copied = taking!("a": tree(tree_copy), "b": TREE);
    assert_eq!(Description::of(&once), Description::of(&twice));
    assert_eq!(Description::of(&once), Description::of(&copied));
    assert_eq!(Description::of(&once).0.types.len(), 1);
    // A type with the same name and other contents stays a type of its own.
    let other = taking!("a": TREE, "b": tree(other_tree));
    assert_eq!(Description::of(&other).0.types.len(), 2);
    assert_ne!(hash(&other), hash(&once));
}

static NODE: Interface = interface(2, &[method("next", &[Parameter::new("a", NODES, None)])]);
static OTHER: Interface = interface(2, &[method("next", &[Parameter::new("b", NODES, None)])]);
const NODES: Type = Type::List(&Type::Object(|| &NODE));

#[test]
fn a_change_of_an_interface_changes_the_hash_of_each_interface_that_leads_to_it() {
    let one = taking!("a": Type::Object(|| &NODE));
    let other = taking!("a": Type::Object(|| &OTHER));
    assert_ne!(hash(&one), hash(&other));
    // The description contains the hash of the other interface.
    let (description, _) = Description::of(&one);
    let DescribedType::Object { hash: of_node, .. } = description.methods[0].parameters[0].ty
    else {
        panic!("{description:?}")
    };
    assert_eq!(of_node, hash(&NODE));
}

#[test]
fn a_type_that_is_nested_too_deeply_ends_as_unknown() {
    macro_rules! nested {
        ($ty:expr;) => { $ty };
        ($ty:expr; $first:tt $($rest:tt)*) => { nested!(Type::Option(&$ty); $($rest)*) };
    }
    const DEEP: Type = nested!(U32; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24
        25 26 27 28 29 30 31 32 33 34);
    let (description, _) = Description::of(&taking!("a": DEEP));
    assert!(description.type_text(&description.methods[0].parameters[0].ty).contains("unknown"));
    let bytes = description.to_bytes().unwrap();
    assert_eq!(Description::from_bytes(&bytes), Ok(description));
}
