//! Tests of the comparison of descriptions.

use super::*;
use crate::{Guid, Kind, Rights};

fn plain(name: &str) -> DescribedType {
    DescribedType::Plain(name.into())
}

fn value(name: &str, ty: DescribedType) -> DescribedValue {
    let (name, docs, growth) = (name.into(), String::new(), Growth::Original);
    DescribedValue { name, ty, handle: None, growth, docs, bounds: None }
}

fn values(list: &[(&str, &str)]) -> Vec<DescribedValue> {
    list.iter().map(|(name, ty)| value(name, plain(ty))).collect()
}

fn method(parameters: Vec<DescribedValue>, result: DescribedType) -> DescribedMethod {
    let (name, docs, result) = ("print".into(), String::new(), value("", result));
    DescribedMethod { name, docs, parameters, result, error: None, blocking: false, one_way: false }
}

fn described(methods: Vec<DescribedMethod>, types: Vec<NamedType>) -> Description {
    let (name, docs) = ("Printer".into(), String::new());
    Description { iid: Guid::NIL, name, docs, methods, types }
}

fn named(name: &str, grows: bool, form: TypeForm) -> NamedType {
    NamedType { name: name.into(), docs: String::new(), grows, form }
}

/// Returns the text of the difference of the first method.
fn difference(client: &Description, server: &Description) -> Option<String> {
    differences(client, server).remove(&0).map(|found| found.to_string())
}

/// Compares two structs as a parameter and as a result.
fn of_structs(
    grows: bool,
    client: Vec<DescribedValue>,
    server: Vec<DescribedValue>,
) -> [Option<String>; 2] {
    let types = |fields| vec![named("Job", grows, TypeForm::Struct(fields))];
    let (client, server) = (types(client), types(server));
    [true, false].map(|is_parameter| {
        let job = DescribedType::Named(0);
        let method = match is_parameter {
            true => method(vec![value("job", job)], plain("()")),
            false => method(vec![], job),
        };
        let of = |types: &Vec<_>| described(vec![method.clone()], types.clone());
        difference(&of(&client), &of(&server))
    })
}

#[test]
fn swapped_fields_of_the_same_size_are_detected() {
    let found = of_structs(
        false,
        values(&[("width", "u32"), ("height", "u32")]),
        values(&[("height", "u32"), ("width", "u32")]),
    );
    let text = "client and server differ: the client has the field `width` in place 1, the server \
                the field `height` in place 1";
    assert_eq!(found[0].as_deref(), Some(format!("parameter `job`: {text}").as_str()));
    assert_eq!(found[1].as_deref(), Some(format!("result: {text}").as_str()));
}

#[test]
fn an_added_field_is_detected_in_a_type_that_cannot_grow() {
    let (one, two) = (values(&[("a", "u32")]), values(&[("a", "u32"), ("b", "u32")]));
    let [parameter, result] = of_structs(false, one.clone(), two.clone());
    let text = "client and server differ: the client has 1 field, the server 2 fields, such as `b`";
    assert_eq!(parameter.unwrap(), format!("parameter `job`: {text}"));
    assert_eq!(result.unwrap(), format!("result: {text}"));
    assert!(of_structs(false, two, one).iter().all(Option::is_some));
}

#[test]
fn an_added_field_is_compatible_in_a_type_that_can_grow() {
    let one = values(&[("a", "u32")]);
    let mut two = values(&[("a", "u32"), ("b", "u32")]);
    // The receiver of a field of the first version needs its value.
    let [parameter, result] = of_structs(true, one.clone(), two.clone());
    assert!(parameter.is_some() && result.is_none(), "{parameter:?} {result:?}");
    let [parameter, result] = of_structs(true, two.clone(), one.clone());
    assert!(parameter.is_none() && result.is_some(), "{parameter:?} {result:?}");
    for growth in [Growth::Added, Growth::Required] {
        two[1].growth = growth;
        assert_eq!(of_structs(true, one.clone(), two.clone()), [None, None]);
        assert_eq!(of_structs(true, two.clone(), one.clone()), [None, None]);
    }
    // Growth is only at the end.
    two.rotate_left(1);
    assert!(of_structs(true, one, two).iter().all(Option::is_some));
}

#[test]
fn a_renamed_field_is_compatible_and_another_type_is_not() {
    let of = |name, ty| values(&[(name, ty)]);
    assert_eq!(of_structs(false, of("a", "u32"), of("b", "u32")), [None, None]);
    assert_eq!(of_structs(false, of("type", "u32"), of("type_", "u32")), [None, None]);
    assert_eq!(of_structs(false, of("a", "usize"), of("a", "u64")), [None, None]);
    let [parameter, result] = of_structs(false, of("a", "u32"), of("a", "u64"));
    let text = "client and server differ: the client has `u32`, the server `u64`";
    assert_eq!(parameter.unwrap(), format!("parameter `job.a`: {text}"));
    assert_eq!(result.unwrap(), format!("result `a`: {text}"));
}

#[test]
fn a_variant_that_the_client_does_not_know_is_incompatible_in_a_result() {
    let variant = |name: &str| DescribedVariant {
        name: name.into(),
        docs: String::new(),
        value: 0,
        fields: Vec::new(),
    };
    let types = |grows, names: &[&str]| {
        let variants = names.iter().map(|name| variant(name)).collect();
        vec![named("Paper", grows, TypeForm::Enum(variants))]
    };
    let paper = DescribedType::Named(0);
    let to = method(vec![value("paper", paper.clone())], plain("()"));
    let from = method(vec![], paper);
    let compare = |method: &DescribedMethod, grows, client: &[&str], server: &[&str]| {
        let of = |names| described(vec![method.clone()], types(grows, names));
        difference(&of(client), &of(server))
    };
    let (two, three) = (&["A3", "A4"][..], &["A3", "A4", "A5"][..]);
    assert_eq!(compare(&to, false, two, three), None);
    assert_eq!(compare(&to, false, three, two), None);
    assert_eq!(compare(&from, false, three, two), None);
    assert_eq!(
        compare(&from, false, two, three).unwrap(),
        "result: client and server differ: the client has 2 variants, the server 3, such as `A5`"
    );
    assert_eq!(compare(&from, true, two, three), None);
    assert!(compare(&to, false, two, &["A4", "A3"]).unwrap().contains("the variant `A3`"));
    let [grown, fixed] = [true, false].map(|grows| described(vec![to.clone()], types(grows, two)));
    assert!(difference(&grown, &fixed).unwrap().contains("growable enum"));
}

#[test]
fn handles_are_incompatible_only_if_no_handle_matches_both_declarations() {
    let of = |declared| {
        let declared = Some(declared);
        let ty = DescribedType::Handle {
            name: "OwnedHandle".into(),
            declared: Declaration::new(crate::Kinds::ANY),
        };
        let handle = DescribedValue { handle: declared, ..value("target", ty) };
        described(vec![method(vec![handle], plain("()"))], vec![])
    };
    let file = Declaration::kind(Kind::File);
    assert_eq!(difference(&of(file), &of(file.at_least(Rights::WRITE))), None);
    let event = Declaration::kind(Kind::Event);
    assert_eq!(
        difference(&of(file), &of(event)).unwrap(),
        "parameter `target`: client and server differ: the client has a handle declared as file, \
         the server a handle declared as event"
    );
}

#[test]
fn bounds_are_incompatible_only_if_no_number_is_within_both() {
    let of = |bounds: Option<(i128, i128)>| {
        let bounds = bounds.map(|(from, to)| crate::describe::Bounds { from, to });
        let size = DescribedValue { bounds, ..value("size", plain("u32")) };
        described(vec![method(vec![size], plain("()"))], vec![])
    };
    let client = of(Some((1, 10)));
    for compatible in [None, Some((1, 10)), Some((0, 1)), Some((10, 20)), Some((3, 4))] {
        assert_eq!(difference(&client, &of(compatible)), None);
        assert_eq!(difference(&of(compatible), &client), None);
    }
    assert_eq!(
        difference(&client, &of(Some((11, 20)))).unwrap(),
        "parameter `size`: client and server differ: the client has a value in 1..=10, the server \
         a value in 11..=20"
    );
    assert!(difference(&of(Some((11, 20))), &client).is_some());
}

#[test]
fn methods_are_compared_one_by_one() {
    let with_name = |name: &str, ty: &str| DescribedMethod {
        name: name.into(),
        ..method(values(&[("a", ty)]), plain("()"))
    };
    let client = described(
        vec![with_name("one", "u8"), with_name("two", "u8"), with_name("new", "u8")],
        vec![],
    );
    let server = described(vec![with_name("one", "u16"), with_name("two", "u8")], vec![]);
    let found = differences(&client, &server);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0]);
    let swapped = described(vec![with_name("two", "u8"), with_name("one", "u8")], vec![]);
    assert_eq!(differences(&client, &swapped).len(), 2);
}

#[test]
fn sets_are_lists_and_structs_are_tuples_on_the_wire() {
    let of = |ty| {
        let fields = values(&[("a", "u8"), ("b", "String")]);
        described(
            vec![method(vec![value("x", ty)], plain("()"))],
            vec![named("Pair", false, TypeForm::Struct(fields))],
        )
    };
    let list = of(DescribedType::List(Box::new(plain("u8"))));
    let set = of(DescribedType::Set(Box::new(plain("u8"))));
    assert_eq!(difference(&list, &set), None);
    let pair = of(DescribedType::Named(0));
    let tuple = of(DescribedType::Tuple(vec![plain("u8"), plain("String")]));
    assert_eq!(difference(&pair, &tuple), None);
    assert_eq!(difference(&tuple, &pair), None);
    assert!(difference(&tuple, &of(DescribedType::Tuple(vec![plain("u8")]))).is_some());
}

#[test]
fn recursive_types_end_and_hostile_ones_reach_a_limit() {
    let list = |index| DescribedType::List(Box::new(DescribedType::Named(index)));
    let node =
        |index| TypeForm::Struct(vec![value("size", plain("u8")), value("more", list(index))]);
    let parameter = || vec![method(vec![value("tree", list(0))], plain("()"))];
    let client = described(parameter(), vec![named("Node", false, node(0))]);
    assert_eq!(difference(&client, &client.clone()), None);
    // Each type of the server contains the next one.
    let chain = (0..1000).map(|index| named("Node", false, node((index + 1) % 1000)));
    assert_eq!(difference(&client, &described(parameter(), chain.collect())), None);
    let mut wrong = client.clone();
    wrong.types[0].form =
        TypeForm::Struct(vec![value("size", plain("u8")), value("more", plain("u8"))]);
    assert_eq!(
        difference(&client, &wrong).unwrap(),
        "parameter `tree[].more`: client and server differ: the client has `Vec<Node>`, the server \
         `u8`"
    );
    // A struct with a hundred thousand fields, for each of many methods.
    let wide = TypeForm::Struct((0..100_000).map(|_| value("f", plain("u8"))).collect());
    let methods: Vec<_> = (0..100).flat_map(|_| parameter()).collect();
    let client = described(methods.clone(), vec![named("Node", false, node(0))]);
    let server = described(methods, vec![named("Node", false, wide)]);
    let found = differences(&client, &server);
    assert_eq!(found.len(), 100);
    assert!(found[&99].server.contains("500000 steps"), "{}", found[&99]);
}

#[test]
fn items_of_streams_are_compared() {
    let of = |item: &str| {
        let stream = DescribedType::Stream(Box::new(plain(item)));
        described(vec![method(vec![value("input", stream.clone())], stream)], vec![])
    };
    assert_eq!(difference(&of("u32"), &of("u32")), None);
    let found = difference(&of("u32"), &of("u64")).unwrap();
    assert!(found.contains("parameter `input[]`"), "{found}");
    let list = DescribedType::List(Box::new(plain("u32")));
    let list = described(vec![method(vec![value("input", list)], plain("()"))], vec![]);
    let found = difference(&of("u32"), &list).unwrap();
    assert!(found.contains("`Stream<u32>`") && found.contains("`Vec<u32>`"), "{found}");
}
