//! Tests of the byte form.

use super::*;
use crate::{Kind, Kinds};

fn plain(name: &str) -> Box<DescribedType> {
    Box::new(DescribedType::Plain(name.into()))
}

fn value(name: &str, ty: DescribedType) -> DescribedValue {
    let (name, docs, growth) = (name.into(), String::new(), Growth::Original);
    DescribedValue { name, ty, handle: None, growth, docs, bounds: None }
}

/// Returns a description with every kind of type.
fn everything() -> Description {
    let declared = Declaration::new(Kinds::of(Kind::File).or(Kind::Socket))
        .at_least(Rights::READ)
        .at_most(Rights::READ | Rights::WRITE)
        .sockets(Sockets::UNIX_STREAM)
        .files(Files::REGULAR);
    let types = [
        DescribedType::Plain("u8".into()),
        DescribedType::Handle { name: "OwnedHandle".into(), declared },
        DescribedType::Option(plain("u8")),
        DescribedType::Result(plain("u8"), plain("String")),
        DescribedType::List(plain("u8")),
        DescribedType::Array(plain("u8"), 3),
        DescribedType::Map(plain("u8"), plain("u16")),
        DescribedType::Set(plain("u8")),
        DescribedType::Tuple(vec![*plain("u8"), *plain("u16")]),
        DescribedType::Named(1),
        DescribedType::Object { iid: Guid::from_bytes([2; 16]), name: "Other".into(), hash: 7 },
        DescribedType::Serde("Settings".into()),
        DescribedType::Stream(plain("String")),
        DescribedType::Unknown(200),
    ];
    let mut parameters: Vec<_> =
        types.into_iter().enumerate().map(|(i, ty)| value(&format!("p{i}"), ty)).collect();
    parameters[1].handle = Some(declared);
    parameters[2].docs = "A parameter.".into();
    parameters[2].bounds = Some(Bounds { from: i128::MIN, to: -1 });
    let fields = vec![
        value("first", *plain("u8")),
        DescribedValue { growth: Growth::Added, ..value("added", DescribedType::Named(0)) },
        DescribedValue { growth: Growth::Required, ..value("required", *plain("u8")) },
    ];
    let named = |name: &str, grows, form| NamedType {
        name: name.into(),
        docs: format!("Documentation of {name}."),
        grows,
        form,
    };
    let variant = |name: &str, value, fields| DescribedVariant {
        name: name.into(),
        docs: format!("Documentation of {name}."),
        value,
        fields,
    };
    let variants = vec![variant("One", -1, vec![]), variant("Two", 2, fields.clone())];
    Description {
        iid: Guid::from_bytes([1; 16]),
        name: "Everything".into(),
        docs: "An interface.\nWith two lines.".into(),
        methods: vec![
            DescribedMethod {
                name: "all".into(),
                docs: "A method.".into(),
                parameters,
                result: value("", DescribedType::Named(0)),
                error: Some(DescribedType::Named(1)),
                blocking: true,
                one_way: false,
            },
            DescribedMethod {
                name: "nothing".into(),
                docs: String::new(),
                parameters: vec![],
                result: value("", *plain("()")),
                error: None,
                blocking: false,
                one_way: true,
            },
        ],
        types: vec![
            named("Plain", false, TypeForm::Struct(fields.clone())),
            named("Choice", false, TypeForm::Enum(variants.clone())),
            named("Growing", true, TypeForm::Struct(fields)),
            named("Opening", true, TypeForm::Enum(variants)),
            named("Strange", false, TypeForm::Unknown(9)),
        ],
    }
}

#[test]
fn every_description_arrives_as_it_was() {
    let bytes = everything().to_bytes().unwrap();
    assert_eq!(Description::from_bytes(&bytes), Ok(everything()));
}

#[test]
fn no_part_of_a_description_and_no_changed_byte_causes_a_panic() {
    let bytes = everything().to_bytes().unwrap();
    for len in 0..bytes.len() {
        assert!(Description::from_bytes(&bytes[..len]).is_err(), "{len}");
    }
    for place in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            if let Ok(description) = Description::from_bytes(&changed) {
                // A description that was read can be written and compared.
                description.to_bytes().unwrap();
                super::super::compatibility::differences(&everything(), &description);
                super::super::compatibility::differences(&description, &everything());
            }
        }
    }
}

/// Returns a record with these fields, and three bytes of a later version.
fn record(fields: &[&[u8]]) -> Vec<u8> {
    let fields = [fields.concat(), vec![0xaa; 3]].concat();
    [&(fields.len() as u32).to_le_bytes()[..], &fields].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn fields_of_a_later_version_are_ignored_in_each_record() {
    let (none, one) = ([0; 4], 1_u32.to_le_bytes());
    let option = |bits: u32| [&[1][..], &bits.to_le_bytes()].concat();
    let declaration = record(&[&one, &none, &option(2), &option(4), &option(8)]);
    let ty = record(&[&[4], &record(&[&[0], &text("u8")])]);
    let bounds = record(&[&1_i128.to_le_bytes(), &2_i128.to_le_bytes()]);
    let value = record(&[&text("v"), &ty, &[1], &declaration, &[1], &text("d"), &[1], &bounds]);
    let method = record(&[&text("m"), &text(""), &one, &value, &value, &[1], &ty, &[1]]);
    let variant = record(&[&text("V"), &[0; 8], &one, &value, &text("")]);
    let named = record(&[&text("T"), &text(""), &[3], &one, &variant]);
    let all = [&[1; 16][..], &text("I"), &text(""), &one, &method, &one, &named, &[0xaa; 3]];
    let description = Description::from_bytes(&all.concat()).unwrap();
    let list = DescribedType::List(plain("u8"));
    let declared = Declaration {
        kinds: Kinds::of(Kind::File),
        at_least: Rights::empty(),
        at_most: Some(Rights::WRITE),
        sockets: Some(Sockets::from_bits_retain(4)),
        // The bit is not the bit of any sort of file.
        files: Some(Files::empty()),
    };
    let method = &description.methods[0];
    assert_eq!((&method.error, method.blocking), (&Some(list.clone()), true));
    let expected = DescribedValue {
        handle: Some(declared),
        growth: Growth::Added,
        docs: "d".into(),
        bounds: Some(Bounds { from: 1, to: 2 }),
        ..self::value("v", list)
    };
    assert_eq!(method.parameters, std::slice::from_ref(&expected));
    let TypeForm::Enum(variants) = &description.types[0].form else { panic!("{description:?}") };
    assert_eq!(variants[0].fields, [expected]);
}

#[test]
fn a_description_has_limits() {
    let mut large = everything();
    large.docs = "x".repeat(Description::BYTES_MAX);
    let bytes = large.to_bytes().unwrap();
    let read = Description::from_bytes(&bytes).unwrap();
    assert_eq!((read.docs.as_str(), read.methods[0].docs.as_str()), ("", ""));
    large.name = large.docs.clone();
    assert!(matches!(large.to_bytes(), Err(DescriptionError::TooLarge { .. })));
    let size = Description::BYTES_MAX + 1;
    assert_eq!(
        Description::from_bytes(&vec![0; size]).unwrap_err().to_string(),
        "the description has 1048577 bytes: the limit is 1048576"
    );
    let mut wrong = everything();
    wrong.methods[0].result.ty = DescribedType::Named(5);
    let bytes = wrong.to_bytes().unwrap();
    assert_eq!(
        Description::from_bytes(&bytes).unwrap_err().to_string(),
        "the description refers to its type 5, which it does not have"
    );
    let mut deep = everything();
    for _ in 0..100 {
        let inner = std::mem::replace(&mut deep.methods[0].result.ty, *plain("u8"));
        deep.methods[0].result.ty = DescribedType::Option(Box::new(inner));
    }
    let bytes = deep.to_bytes().unwrap();
    assert_eq!(Description::from_bytes(&bytes), Err(DescriptionError::TooDeep));
    // A list with a wrong number of items reserves no memory for them.
    let mut bytes = everything().to_bytes().unwrap();
    let methods = 16 + 4 + "Everything".len() + 4 + everything().docs.len();
    bytes[methods..methods + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Description::from_bytes(&bytes), Err(DescriptionError::Truncated));
}
