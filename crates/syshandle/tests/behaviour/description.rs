//! Descriptions of interfaces at run time.

use std::collections::HashMap;
use std::fs::File;
use std::io::PipeReader;

use syshandle::describe::owned::{Description, TypeForm};
use syshandle::describe::{Bounds, Definition, Method, Type};
use syshandle::{
    Context, Decode, Encode, Result, class,
    describe::Describe,
    handle::{Event, Kind, Kinds, Rights},
    interface,
    object::Interface,
};

use crate::support::bench::CounterClient;

/// An interface whose description is tested.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1d01")]
trait Described {
    /// The first.
    ///
    /// At length.
    fn first(
        &self,
        context: &Context,
        #[handle(file | pipe, read, at_most = read | write)] from: syshandle::handle::OwnedHandle,
        number: u64,
    ) -> Result<PipeReader>;
    #[handle(file, append)]
    fn second(&self, map: HashMap<String, Vec<Option<u8>>>) -> Result<File, Wrong>;
    fn r#type(&self, own: Own, counter: CounterClient, array: [u8; 3]) -> Result<()>;
}

/// The error type of a method.
#[derive(Encode, Decode)]
enum Wrong {
    Nothing,
    Something { r#where: String },
    Handle(#[handle(file, read)] File),
}

/// Refers to itself.
#[derive(Encode, Decode)]
struct Own {
    next: Option<Box<Own>>,
    pair: (u8, Event),
}

class! {
    TWO: Described + crate::support::bench::Named = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1d02";
}

fn method(name: &str) -> &'static Method {
    let methods = <dyn Described as Interface>::DESCRIPTION.methods;
    methods.iter().find(|method| method.name == name).unwrap()
}

#[test]
fn an_interface_has_its_name_its_docs_and_its_methods_in_order() {
    let description = <dyn Described as Interface>::DESCRIPTION;
    assert_eq!(description.name, "Described");
    assert_eq!(description.docs, "An interface whose description is tested.");
    assert_eq!(description.iid.to_string(), "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1d01");
    let names: Vec<_> = description.methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["first", "second", "type"]);
    assert_eq!(method("first").docs, "The first.\n\nAt length.");
}

#[test]
fn a_parameter_has_its_name_its_type_and_what_it_declares() {
    // The context is not part of the description, because a client doesn't pass it.
    let [from, number] = method("first").parameters else { panic!("others") };
    assert_eq!((from.name, number.name), ("from", "number"));
    let declared = from.handle.unwrap();
    assert_eq!(declared.kinds, Kinds::of(Kind::File).or(Kind::Pipe));
    assert_eq!(declared.at_least, Rights::READ);
    assert_eq!(declared.at_most, Some(Rights::READ | Rights::WRITE));
    assert!(matches!(from.ty, Type::Handle { name: "OwnedHandle", .. }));
    assert!(matches!(number.ty, Type::Plain("u64")));
    assert!(number.handle.is_none());
}

#[test]
fn a_result_has_its_type_what_it_declares_and_its_error() {
    let first = method("first");
    let Type::Handle { name: "PipeReader", declared } = first.result.ty else { panic!("another") };
    assert_eq!(declared.kinds, Kinds::of(Kind::Pipe));
    assert!(first.error.is_none());
    let second = method("second");
    assert_eq!(second.result.handle.unwrap().at_least, Rights::APPEND);
    assert!(matches!(second.error, Some(Type::Named { name: "Wrong", .. })));
    assert!(matches!(method("type").result.ty, Type::Plain("()")));
}

#[test]
fn types_are_described_down_to_their_parts() {
    let Type::Map(Type::Plain("String"), Type::List(Type::Option(Type::Plain("u8")))) =
        method("second").parameters[0].ty
    else {
        panic!("another type")
    };
    let [own, counter, array] = method("type").parameters else { panic!("others") };
    let Type::Object(interface) = counter.ty else { panic!("another type") };
    let interface = interface();
    assert_eq!(interface.name, "Counter");
    assert!(matches!(array.ty, Type::Array(Type::Plain("u8"), 3)));
    let Type::Named { name: "Own", docs: "Refers to itself.", definition } = own.ty else {
        panic!("another type")
    };
    let Definition::Struct([next, pair]) = definition() else { panic!("no struct") };
    assert_eq!((next.name, pair.name), ("next", "pair"));
    assert!(matches!(next.ty, Type::Option(Type::Named { name: "Own", .. })));
    assert!(matches!(pair.ty, Type::Tuple([Type::Plain("u8"), Type::Handle { .. }])));
}

#[test]
fn an_enum_is_described_by_its_variants() {
    let Type::Named { definition, .. } = Wrong::TYPE else { panic!("another type") };
    let Definition::Enum([nothing, something, handle]) = definition() else { panic!("no enum") };
    assert_eq!((nothing.name, nothing.fields.len()), ("Nothing", 0));
    assert_eq!((something.name, something.fields[0].name), ("Something", "where"));
    assert_eq!((handle.name, handle.fields[0].name), ("Handle", "0"));
    assert_eq!(handle.fields[0].handle.unwrap().at_least, Rights::READ);
}

#[test]
fn a_class_has_its_name_its_identifier_and_its_interfaces() {
    assert_eq!(TWO.name(), "TWO");
    assert_eq!(TWO.clsid().to_string(), "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1d02");
    let names: Vec<_> = TWO.interfaces().iter().map(|interface| interface.name).collect();
    assert_eq!(names, ["Described", "Named"]);
}

/// The level of a result.
#[derive(Encode, Decode)]
#[repr(u32)]
enum Level {
    Low,
    Busy = 5,
    Busier,
    Highest = 0x8000_0001,
}

#[test]
fn a_variant_has_the_value_that_rust_counts() {
    let Type::Named { definition, .. } = Level::TYPE else { panic!("another type") };
    let Definition::Enum(variants) = definition() else { panic!("no enum") };
    let values: Vec<_> = variants.iter().map(|variant| variant.value).collect();
    let counted = [Level::Low, Level::Busy, Level::Busier, Level::Highest];
    assert_eq!(values, counted.map(|level| i64::from(level as u32)));
}

/// An interface with documentation and bounds in all places.
#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1d03")]
trait Documented {
    /// Sets the size.
    fn set(
        &self,
        /// The size
        /// in millimetres.
        #[range(1..=500)]
        size: u32,
        paper: Paper,
        level: Levels,
    ) -> Result<()>;
}

#[derive(Encode, Decode)]
struct Paper {
    /// Its name.
    #[range(1..=20)]
    name: String,
    #[range(0..=8)]
    trays: Vec<u8>,
    plain: u8,
}

#[derive(Encode, Decode)]
enum Levels {
    /// The lowest level.
    Low,
    Of {
        /// A percentage.
        #[range(-100..=100)]
        percent: i8,
    },
}

#[test]
fn parameters_fields_and_variants_have_documentation_and_bounds() {
    let (description, _) = Description::of(<dyn Documented as Interface>::DESCRIPTION);
    // The documentation of parameters is not part of the method's.
    assert_eq!(description.methods[0].docs, "Sets the size.");
    let bounds = |from, to| Some(Bounds { from, to });
    let parts = |values: &[syshandle::describe::owned::DescribedValue]| -> Vec<_> {
        values.iter().map(|it| (it.name.clone(), it.docs.clone(), it.bounds)).collect()
    };
    let part = |name: &str, docs: &str, bounds| (name.to_owned(), docs.to_owned(), bounds);
    assert_eq!(
        parts(&description.methods[0].parameters),
        [
            part("size", "The size\nin millimetres.", bounds(1, 500)),
            part("paper", "", None),
            part("level", "", None),
        ]
    );
    let TypeForm::Struct(fields) = &description.types[0].form else { panic!("no struct") };
    assert_eq!(
        parts(fields),
        [
            part("name", "Its name.", bounds(1, 20)),
            part("trays", "", bounds(0, 8)),
            part("plain", "", None),
        ]
    );
    let TypeForm::Enum(variants) = &description.types[1].form else { panic!("no enum") };
    assert_eq!((variants[0].docs.as_str(), variants[1].docs.as_str()), ("The lowest level.", ""));
    assert_eq!(parts(&variants[1].fields), [part("percent", "A percentage.", bounds(-100, 100))]);
}
