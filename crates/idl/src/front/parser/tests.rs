use super::*;
use crate::front::ast::*;
use crate::front::lexer;
use crate::front::token::Uuid;

/// Parses a text. Returns its declarations and error messages.
fn read(text: &str) -> (Vec<Item>, Vec<String>) {
    let mut interner = Interner::default();
    let mut diagnostics = Diagnostics::default();
    let tokens = lexer::lex(text, 0, &mut interner);
    let items = parse(&tokens, &mut interner, &mut diagnostics, false).0;
    let messages = diagnostics.into_kept().into_iter().map(|diagnostic| diagnostic.message);
    (items, messages.collect())
}

#[track_caller]
fn items(text: &str) -> Vec<Item> {
    let (items, messages) = read(text);
    assert!(messages.is_empty(), "{messages:?}");
    items
}

/// Parses a text that must consist of a single declaration of this kind.
macro_rules! item {
    ($text:expr, $variant:ident) => {
        match items($text).remove(0) {
            Item::$variant(item) => item,
            other => panic!("{other:?}"),
        }
    };
}

/// Formats derivations with one letter for each pointer, array or function.
fn letters(derivations: &[Derivation]) -> String {
    let letter = |derivation: &Derivation| match derivation {
        Derivation::Pointer { is_const: false } => "p",
        Derivation::Pointer { is_const: true } => "c",
        Derivation::Array(Bounds::Open) => "o",
        Derivation::Array(Bounds::Length(_)) => "a",
        Derivation::Array(Bounds::Range(..)) => "r",
        Derivation::Function(_) => "f",
    };
    derivations.iter().map(letter).collect()
}

/// Returns the base type that a sequence of words denotes.
fn base(words: &str) -> BaseType {
    match item!(&format!("typedef {words} name;"), Typedef).specifier.kind {
        TypeKind::Base(base) => base,
        other => panic!("{other:?}"),
    }
}

/// Parses an expression and formats it with all implied parentheses.
fn grouped(text: &str) -> String {
    fn write(expression: &Expression) -> String {
        match &expression.kind {
            ExpressionKind::Number(text) | ExpressionKind::Name(text) => text.to_string(),
            ExpressionKind::Parenthesized(inner) => write(inner),
            ExpressionKind::Unary(operator, of) => format!("{operator:?}({})", write(of)),
            ExpressionKind::Binary(operator, left, right) => {
                format!("{operator:?}({} {})", write(left), write(right))
            }
            ExpressionKind::Conditional(a, b, c) => {
                format!("({} ? {} : {})", write(a), write(b), write(c))
            }
            ExpressionKind::Cast(_, of) => format!("cast({})", write(of)),
            ExpressionKind::SizeOfType(_) => "sizeof(type)".to_owned(),
            ExpressionKind::SizeOf(of) => format!("sizeof({})", write(of)),
            ExpressionKind::Member(of, name) => format!("{}.{}", write(of), name.name),
            ExpressionKind::Index(of, index) => format!("{}[{}]", write(of), write(index)),
            ExpressionKind::Call(of, arguments) => format!("{}/{}", write(of), arguments.len()),
            other => format!("{other:?}"),
        }
    }
    write(&item!(&format!("const long a = {text};"), Constant).value)
}

#[test]
fn base_types_have_many_spellings() {
    for (words, expected) in [
        ("int", BaseType::Int32),
        ("long", BaseType::Int32),
        ("unsigned", BaseType::UInt32),
        ("long unsigned int", BaseType::UInt32),
        ("unsigned const long", BaseType::UInt32),
        ("short int", BaseType::Int16),
        ("hyper", BaseType::Int64),
        ("unsigned hyper int", BaseType::UInt64),
        ("long long", BaseType::Int64),
        ("unsigned __int64", BaseType::UInt64),
        ("small", BaseType::Int8),
        ("signed char", BaseType::SignedChar),
        ("unsigned char", BaseType::UnsignedChar),
        ("__int3264", BaseType::IntPointer),
        ("wchar_t", BaseType::WideChar),
        ("handle_t", BaseType::BindingHandle),
    ] {
        assert_eq!(base(words), expected, "{words}");
    }
}

#[test]
fn word_of_a_type_after_a_type_is_a_name() {
    let typedef = item!("typedef DWORD small;", Typedef);
    assert_eq!(&*typedef.declarators[0].name.as_ref().unwrap().name, "small");
}

#[test]
fn declarators_are_read_from_the_outside_in() {
    for (declarator, expected) in [
        ("a", ""),
        ("*a", "p"),
        ("**a", "pp"),
        ("* const *a", "pc"),
        ("a[2]", "a"),
        ("a[]", "o"),
        ("a[*]", "o"),
        ("a[0..9]", "r"),
        ("*a[2][3]", "aap"),
        ("(*a)[2]", "pa"),
        ("(__stdcall *a)(int, char *)", "pf"),
        ("*(*a[2])(void)", "apfp"),
        ("__stdcall a(int)", "f"),
    ] {
        let text = format!("typedef long {declarator};");
        let typedef = item!(&text, Typedef);
        assert_eq!(letters(&typedef.declarators[0].derivations), expected, "{text}");
    }
}

#[test]
fn expressions_have_c_precedence() {
    assert_eq!(grouped("1 + 2 * 3 - 4"), "Subtract(Add(1 Multiply(2 3)) 4)");
    assert_eq!(grouped("a | b ^ c & d == e << f + g"), {
        "BitOr(a BitXor(b BitAnd(c Equal(d ShiftLeft(e Add(f g))))))"
    });
    assert_eq!(grouped("a || b && c"), "Or(a And(b c))");
    assert_eq!(grouped("a ? b : c ? d : e"), "(a ? b : (c ? d : e))");
    assert_eq!(grouped("-~!+*&a"), { "Minus(Complement(Not(Plus(Dereference(AddressOf(a))))))" });
    assert_eq!(grouped("a.b->c[1](2, 3)"), "a.b.c[1]/2");
}

#[test]
fn casts_are_distinguished_from_parentheses() {
    assert_eq!(grouped("(long)-1"), "cast(Minus(1))");
    assert_eq!(grouped("(DWORD)1"), "cast(1)");
    assert_eq!(grouped("(DWORD)~a"), "cast(Complement(a))");
    assert_eq!(grouped("(struct s *)a"), "cast(a)");
    assert_eq!(grouped("(a) + 1"), "Add(a 1)");
    assert_eq!(grouped("sizeof(DWORD) + sizeof(1)"), "Add(sizeof(type) sizeof(1))");
}

#[test]
fn attributes_have_arguments_of_several_forms() {
    let text = "[uuid(1284c788-6978-43d5-9a02-414901a2ec75), version(1.0), size_is(, *n),,
                 switch_type(unsigned long), custom(1284c788-6978-43d5-9a02-414901a2ec75, 1),
                 implicit_handle(handle_t h), helpstring(\"a\" \"b\"), unknown(x),] interface a;";
    let attributes = item!(text, Interface).attributes;
    let counts: Vec<_> =
        attributes.list().iter().map(|attribute| attribute.arguments.len()).collect();
    assert_eq!(counts, [1, 1, 2, 1, 2, 2, 1, 1]);
    assert_eq!(attributes.uuid(), Uuid::parse("1284c788-6978-43d5-9a02-414901a2ec75"));
    assert_eq!(&**attributes.find(AttributeName::Helpstring).unwrap().text().unwrap(), "ab");
    assert!(matches!(attributes.list()[2].arguments[0], Argument::Omitted));
    assert!(matches!(attributes.list()[3].arguments[0], Argument::Type(_)));
    assert_eq!(attributes.list()[7].known, None);
}

#[test]
fn method_has_attributes_parameters_and_a_return_type() {
    let text = "interface a : b { [id(1)] const char *f([in, out] long *in, [in] x out, ...); }";
    let interface = item!(text, Interface);
    assert_eq!(interface.base.as_ref().unwrap().name(), "b");
    let method = interface.methods().next().unwrap();
    assert!(method.attributes.has(AttributeName::Id) && method.returns.is_const);
    assert_eq!(letters(&method.return_derivations), "p");
    assert!(method.parameters.is_variadic);
    let names: Vec<_> = method
        .parameters
        .list
        .iter()
        .map(|parameter| parameter.declarator.name.as_ref().unwrap().name.to_string())
        .collect();
    assert_eq!(names, ["in", "out"]);
}

#[test]
fn parameters_may_lack_names_and_attributes() {
    let interface = item!("interface a { void f(void); void g(long, [in] b *); }", Interface);
    let counts: Vec<_> = interface.methods().map(|method| method.parameters.list.len()).collect();
    assert_eq!(counts, [0, 2]);
}

#[test]
fn interface_may_be_forward_declared_or_empty_or_contain_other_declarations() {
    assert!(item!("interface a;", Interface).members.is_none());
    assert_eq!(item!("interface a {}", Interface).members.unwrap().len(), 0);
    let text = "interface a { import \"x.idl\"; cpp_quote(\"y\") typedef long b; const long c = 1;
                enum d { e }; struct f { long g; }; interface h; };";
    assert_eq!(item!(text, Interface).members.unwrap().len(), 7);
}

#[test]
fn keyword_of_an_interface_may_start_a_type() {
    assert!(matches!(items("interface a *f(void);")[0], Item::Function(_)));
    assert!(matches!(items("typedef interface a *b;")[0], Item::Typedef(_)));
}

#[test]
fn structs_have_bit_fields_and_inner_structs() {
    let item = item!("typedef struct a { long b : 3, : 2, *c; struct { d e; }; } f, *g;", Typedef);
    let TypeKind::Struct(of) = item.specifier.kind else { panic!() };
    let fields = of.fields.unwrap();
    assert_eq!(fields[0].declarators.len(), 3);
    assert!(fields[0].declarators[0].bits.is_some() && fields[1].declarators.is_empty());
    assert_eq!(item.declarators.len(), 2);
}

#[test]
fn unions_of_both_forms_have_cases() {
    let union = |text: &str| match item!(text, Typedef).specifier.kind {
        TypeKind::Union(of) => of,
        other => panic!("{other:?}"),
    };
    let carried = union("typedef union a switch (long b) c { case 1: case 2: d e; default: ; } f;");
    let switch = carried.switch.unwrap();
    assert_eq!((&*switch.name.name, &*switch.union_name.unwrap().name), ("b", "c"));
    let arms = carried.arms.unwrap();
    assert_eq!((arms[0].cases.len(), arms[1].is_default), (2, true));
    let outside = union("typedef union { [case(1, 2)] a b; [default]; [case(3)] ; } c;");
    let arms = outside.arms.unwrap();
    assert!(arms[0].field.attributes.has(AttributeName::Case) && arms[1].field.specifier.is_none());
}

#[test]
fn enums_have_values_and_a_comma_at_the_end() {
    let Item::Type(_, specifier) = items("enum a { b, [hidden] c = 1 | 2, };").remove(0) else {
        panic!()
    };
    let TypeKind::Enum(of) = specifier.kind else { panic!() };
    let values: Vec<_> =
        of.enumerators.unwrap().iter().map(|enumerator| enumerator.value.is_some()).collect();
    assert_eq!(values, [false, true]);
}

#[test]
fn typedef_has_attributes_on_either_side() {
    for text in ["typedef [unique] long *a;", "[unique] typedef long *a;"] {
        assert!(item!(text, Typedef).attributes.has(AttributeName::Unique));
    }
}

#[test]
fn constants_may_be_strings() {
    let constant = item!("const wchar_t *a = L\"b\" \"c\";", Constant);
    assert_eq!(&**constant.value.as_string().unwrap(), "bc");
}

#[test]
fn imports_may_be_several() {
    let imports = item!("import \"a.idl\", \"b.idl\";", Import);
    assert_eq!(imports.len(), 2);
}

#[test]
fn library_has_classes_modules_and_dispatch_interfaces() {
    let text = "[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] library a {
        importlib(\"b.tlb\");
        coclass c { [default] interface d; [source] dispinterface e; };
        module f { const long g = 1; long h(void); };
        dispinterface i { properties: [id(1)] long j; methods: [id(2)] void k(); };
        dispinterface l { interface m; };
        dispinterface n { interface o };
        dispinterface p;
    };";
    let library = item!(text, Library);
    assert_eq!(library.items.len(), 7);
    let Item::CoClass(class) = &library.items[1] else { panic!() };
    let interfaces = class.interfaces.as_ref().unwrap();
    assert!(!interfaces[0].is_dispatch && interfaces[1].is_dispatch);
    let Item::DispatchInterface(dispatch) = &library.items[3] else { panic!() };
    let members = dispatch.members.as_ref().unwrap();
    assert!(matches!(members[0], DispatchMember::Property(..)));
    assert!(matches!(members[1], DispatchMember::Method(_)));
}

#[test]
fn names_of_the_windows_runtime_are_read() {
    let text = "namespace A.B {
        apicontract C {};
        interface D<K, V> : E<F<K>> requires G, H<V *> { HRESULT I([in] A.B.D<K, F<F<V>>> j); }
        delegate HRESULT K([in] long l);
        delegate HRESULT M<N>([in] N l);
        runtimeclass O : P { [default] interface A.B.D<long, Q *>; }
        runtimeclass R;
        declare { interface S<HSTRING>; interface S<T<U *> *>; }
    }";
    let namespace = item!(text, Namespace);
    assert_eq!((namespace.segments.len(), namespace.items.len()), (2, 7));
    let Item::Interface(interface) = &namespace.items[1] else { panic!() };
    assert_eq!((interface.type_parameters.len(), interface.requires.len()), (2, 2));
    let Item::Delegate(delegate) = &namespace.items[3] else { panic!() };
    assert_eq!((&*delegate.method.name.name, delegate.type_parameters.len()), ("M", 1));
    let Item::Declare(types) = &namespace.items[6] else { panic!() };
    assert_eq!(types.len(), 2);
}

#[test]
fn other_declarations_are_read() {
    let guid = item!("declare_guid(a, 1284c788-6978-43d5-9a02-414901a2ec75);", DeclareGuid);
    assert_eq!(&*guid.name.name, "a");
    assert_eq!(
        items("midl_pragma warning(disable: 2468)\ncpp_quote(\"a\") typedef long b;").len(),
        3
    );
    assert!(matches!(items("extern const GUID a, b;")[0], Item::Variable(..)));
    assert!(matches!(items("typedef SAFEARRAY(VARIANT) a;")[0], Item::Typedef(_)));
    assert!(matches!(items("typedef pipe char a;")[0], Item::Typedef(_)));
    assert_eq!(items(";;typedef long a;;").len(), 1);
}

#[test]
fn parsing_continues_after_an_error() {
    for (text, expected) in [
        ("typedef ; typedef long a;", 1),
        ("interface { void f(); } typedef long a;", 1),
        ("typedef long a\ninterface b {}", 2),
        ("struct s { long a b; long c; }; typedef long d;", 2),
        ("interface a { void f(; void g(); } typedef long b;", 2),
        ("} typedef long a;", 1),
        ("@ typedef long a;", 1),
        ("[in long a;\ntypedef long b;", 2),
    ] {
        let (items, messages) = read(text);
        assert_eq!(messages.len(), 1, "{text}: {messages:?}");
        assert_eq!(items.len(), expected, "{text}");
    }
}
