//! Tests that the checks reject files that MIDL rejects, and accept constructs that real files use.

use syshandle_idl::{Options, Report, check_text, describe_text};

fn report(text: &str) -> Report {
    check_text("a.idl", &format!("import \"oaidl.idl\";\n{text}"), &Options::default())
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    let report = report(text);
    assert!(!report.is_success(), "{text}: valid, and should say: {expected}");
    let said = report.to_string();
    assert!(said.contains(expected) && said.contains("a.idl:"), "{text}\n{said}");
}

#[track_caller]
fn takes(text: &str) {
    let report = report(text);
    assert!(report.is_success() && report.statistics().gaps == 0, "{text}\n{report}");
}

/// Returns an interface with one method that has these parameters.
fn method(parameters: &str) -> String {
    format!(
        "[object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)] interface IThing : IUnknown {{\n\
         HRESULT A({parameters}); }}"
    )
}

#[test]
fn a_struct_that_contains_itself_by_value_is_refused() {
    let by_value = "is used by value before its definition ends";
    refuses("struct S { struct S a; };", by_value);
    refuses("struct S { struct S a[2]; };", by_value);
    refuses("typedef struct S S; struct S { S a; };", by_value);
    refuses("typedef struct S S; typedef S T[3]; struct S { long a; };", by_value);
    refuses("struct S { struct T { struct S a; } b; };", by_value);
    refuses("struct T; struct S { struct T a; }; struct T { struct S a; };", by_value);
    refuses("union U { [case(1)] union U a; [default]; };", by_value);
    refuses("struct S; struct T { struct S a; };", "is used by value, but nothing defines it");
    refuses(&("struct S;".to_owned() + &method("[in] struct S a")), "nothing defines it");
    takes("struct S { struct S *a; };");
    takes("typedef struct S S; struct S { S *a; S **b; };");
    takes("struct T; struct S { struct T *a; }; struct T { struct S b; };");
    takes("struct S { long a; }; struct T { struct S a; struct S b[2]; };");
}

#[test]
fn names_are_declared_before_they_are_used() {
    refuses("typedef A B; typedef long A;", "type `A` is used before it is declared");
    refuses("typedef struct S { S *next; } S;", "type `S` is used before it is declared");
    refuses(
        &(method("[in] IOther *a") + "interface IOther : IUnknown { HRESULT B(); }"),
        "type `IOther` is used before it is declared",
    );
    refuses("const long A = B; const long B = 1;", "constant `B` is used before it is declared");
    refuses("const long A = A;", "constant `A` is used before it is declared");
    refuses("const long A = B + 1; const long B = A - 1;", "used before it is declared");
    refuses("enum E { X = Y, Y = X };", "constant `Y` is used before it is declared");
    refuses("typedef long A[N]; const long N = 3;", "constant `N` is used before it is declared");
    refuses(
        "struct S { [size_is(N)] byte *a; }; const long N = 3;",
        "constant `N` is used before it is declared",
    );
    takes(
        "interface IOther; interface IThing : IUnknown { HRESULT A([in] IOther *a); } interface IOther : IUnknown { HRESULT B(); }",
    );
    takes(
        "typedef interface IOther IOther; typedef IOther *POTHER; interface IOther : IUnknown { HRESULT B(); }",
    );
    takes("enum E { X, Y = X + 1, Z = Y | X }; const long A = Z; const long B = A;");
}

#[test]
fn no_value_has_type_void() {
    refuses(&method("[in] void a"), "a parameter can't be of type `void`");
    refuses(&method("[in] long a, void b"), "a parameter can't be of type `void`");
    refuses("typedef void V; struct S { V a; };", "a field can't be of type `void`");
    refuses("typedef void V[3];", "an element of an array can't be of type `void`");
    takes(
        "typedef void V; typedef void *PV; void f(void); [local] interface I : IUnknown { HRESULT A(void *a, void **b); }",
    );
}

#[test]
fn attributes_fit_the_types_that_they_are_on() {
    for (parameters, expected) in [
        ("[in, size_is(3)] long a", "attribute `size_is` doesn't fit this type"),
        ("[in] long n, [in, length_is(n)] long a", "attribute `length_is` doesn't fit"),
        ("[in] long n, [in, max_is(n)] BOOL a", "attribute `max_is` doesn't fit"),
        ("[in] long n, [in, size_is(n, n)] long *a", "it has 2 values"),
        ("[in, string] long a", "attribute `string` doesn't fit this type"),
        ("[in, string] long *a", "attribute `string` doesn't fit this type"),
        ("[in, string] WCHAR a", "attribute `string` doesn't fit this type"),
        ("[in, string] IUnknown *a", "attribute `string` doesn't fit this type"),
        ("[in, unique] long a", "attribute `unique` doesn't fit this type"),
        ("[in] long n, [in, switch_is(n)] long a", "attribute `switch_is` doesn't fit"),
        ("[in] REFIID i, [in, iid_is(i)] long a", "attribute `iid_is` doesn't fit"),
        ("[in] long i, [in, iid_is(i)] IUnknown *a", "`i` isn't the identifier of an interface"),
        ("[in, range(1, 2)] GUID a", "attribute `range` doesn't fit"),
        ("[in] long *n, [in, size_is(n)] byte *a", "`n` is a pointer, not a number"),
        ("[in] long n, [in, size_is(*n)] byte *a", "`n` isn't a pointer: remove the `*`"),
        ("[in] double n, [in, size_is(n)] byte *a", "`n` isn't an integer"),
        ("[in] GUID n, [in, size_is(n)] byte *a", "`n` isn't an integer"),
        ("[in] long *n, [in, size_is(n * 2)] byte *a", "`n` is a pointer, not a number"),
    ] {
        refuses(&method(parameters), expected);
    }
    refuses("typedef [string] long A;", "attribute `string` doesn't fit this type");
    refuses("typedef [v1_enum] long A;", "attribute `v1_enum` doesn't fit this type");
    refuses("struct S { long n; [size_is(n)] long a; };", "attribute `size_is` doesn't fit");
    for parameters in [
        "[in] long n, [in, size_is(n)] LPWSTR a",
        "[out] long *n, [out, size_is(, *n)] byte **a",
        "[in, string] LPCWSTR a, [in, string] char *b, [in, string] byte c[8], [in, string] BSTR d",
        "[in, unique] LPCWSTR a, [in, unique] IUnknown *b, [in, ref] long *c",
        "[in] REFIID i, [out, iid_is(i)] void **a, [in] GUID *j, [in, iid_is(j)] IUnknown *b",
        "[in] short n, [in, size_is(n + 1), length_is(n)] long *a",
        "[in, range(0, 3)] long n, [in, size_is(n)] long *a, [in, range(0, 9)] float b",
    ] {
        takes(&method(parameters));
    }
}

#[test]
fn a_comment_that_continues_on_the_next_line_causes_a_warning() {
    let swallowed = "// The path is C:\\\ntypedef long lost;\ntypedef long kept;";
    let said = report(swallowed);
    assert!(said.is_success() && said.statistics().warnings == 1, "{said}");
    assert!(said.to_string().contains("makes the next line part of it"), "{said}");
    assert!(said.to_string().contains("a.idl:2:18"), "{said}");
    for text in ["// a \\\n\ntypedef long b;", "// a \\\n// b\n", "/* a \\\n b */", "// a \\ b\n"] {
        assert_eq!(report(text).statistics().warnings, 0, "{text}");
    }
}

#[test]
fn files_are_read_for_64_bit_windows() {
    takes(
        "#if !defined(_WIN64) || !defined(_M_X64) || !defined(_M_AMD64) || !defined(_WIN32)\n#error no\n#endif",
    );
}

#[test]
fn constructs_of_real_files_are_accepted() {
    takes(
        "typedef struct S { long a; } S, const * PCS; typedef S *PS, const *const PPS; struct T { const S *a, const *b; };",
    );
    takes(
        "typedef struct __declspec(align(8)) S { __declspec(align(16)) long a; } S; typedef __declspec(align(4)) long L; __declspec(novtable) struct T { long a; };",
    );
    takes(
        "#include <olectl.h>\n[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] library L { importlib(STDOLE_TLB); };",
    );
    for path in [
        "C:\\\\Program Files\\\\Kit\\\\unknwn.idl",
        "C:\\Program Files\\Kit\\oaidl.idl",
        "c:/kit/OAIDL.IDL",
        "\\\\server\\share\\objidl.idl",
    ] {
        takes(&format!("import \"{path}\"; typedef IUnknown *P;"));
        takes(&format!("#include \"{path}\"\ntypedef IUnknown *P;"));
    }
    takes(
        "[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] library L { importlib(\"C:\\Windows\\System32\\stdole2.tlb\"); };",
    );
}

/// Returns the Rust source of a file, and the report.
fn rust(text: &str, options: &Options) -> (String, Report) {
    let lowered = describe_text("a.idl", &format!("import \"oaidl.idl\";\n{text}"), options);
    (lowered.rust(), lowered.report)
}

#[test]
fn a_property_and_a_method_with_the_same_name_get_two_names_in_rust() {
    let (text, said) = rust(
        "[object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)] interface IThing : IUnknown {\n\
         HRESULT Count(); HRESULT SetSize([in] long a); HRESULT getURL(); HRESULT GetUrl();\n\
         [propget] HRESULT Count([out, retval] long *a);\n\
         [propput] HRESULT Size([in] long a); [propget] HRESULT Size([out, retval] long *a); }",
        &Options::default(),
    );
    assert!(said.is_success(), "{said}");
    for name in ["count", "set_size", "get_url", "get_url_2", "get_count", "put_size", "size"] {
        assert!(text.contains(&format!("fn {name}(")), "{name}\n{text}");
    }
    let said = said.to_string();
    assert!(said.contains("method `Count` is `get_count` in Rust, because another"), "{said}");
}

#[test]
fn a_class_with_too_many_interfaces_is_refused() {
    let class = |count: usize| {
        let interfaces: String = (0..count)
            .map(|n| {
                format!(
                    "[object, uuid(1284c788-6978-43d5-9a02-00000000000{n})] interface I{n}x : IUnknown {{ HRESULT A(); }}\n"
                )
            })
            .collect();
        let items: String = (0..count).map(|n| format!("interface I{n}x;")).collect();
        format!(
            "{interfaces}[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] library L {{\n\
             [uuid(1284c788-6978-43d5-9a02-414901a2ec76)] coclass C {{ {items} }} }};"
        )
    };
    let (text, said) = rust(&class(8), &Options::default());
    assert!(said.is_success() && text.contains("pub C:"), "{said}");
    let (text, said) = rust(&class(9), &Options::default());
    assert!(!text.contains("pub C:"), "{text}");
    assert!(said.to_string().contains("class `C` has 9 interfaces, but the limit is 8"), "{said}");
}

#[test]
fn enums_that_look_like_flags_cause_a_warning_and_become_integers_on_request() {
    let file =
        |values: &str| format!("typedef enum Look {{ {values} }} Look;{}", method("[in] Look a"));
    let looks = |values: &str| {
        rust(&file(values), &Options::default()).1.to_string().contains("look like flags")
    };
    assert!(looks("A = 1, B = 2, C = 4"));
    assert!(looks("NONE, A = 1, B = 2, C = 4, ALL = 7"));
    assert!(looks("A = 0x10, B = 0x20, C = 0x40, AB = A | B"));
    assert!(!looks("A, B, C, D, E"));
    assert!(!looks("A = 1, B, C, D"));
    assert!(!looks("A = 1, B = 2"));
    assert!(!looks("A = 1, B = 2, C = 4, D = 9"));
    assert!(!looks("A = -1, B = 1, C = 2, D = 4"));
    let flags = Options { flags: vec!["Look".to_owned()], ..Options::default() };
    let (text, said) = rust(&file("A = 1, B = 2, C = 4"), &flags);
    assert!(
        text.contains("pub type Look = u32;") && text.contains("pub const C: u32 = 4;"),
        "{text}"
    );
    assert!(!said.to_string().contains("look like flags"), "{said}");
}

#[test]
fn files_in_another_dialect_get_one_error_that_names_it() {
    for (text, language) in [
        (
            "import \"misc.idl\";\n[uuid(\"4b324fc8-1670-01d3-1278-5a47bf6ee188\"), helpstring(\"a\"), helper(\"x.h\")]\n\
             interface srvsvc {\ntypedef bitmap { A = 1 } b;\n\
             WERROR c([in,unique] [string,charset(UTF16)] uint16 *d, [out] uint32 e); }",
            "Samba's pidl",
        ),
        (
            "#include \"nsISupports.idl\"\n[scriptable, uuid(4b324fc8-1670-01d3-1278-5a47bf6ee188)]\n\
             interface nsIA : nsISupports { readonly attribute long b; void c(in long d); };",
            "Mozilla's XPIDL",
        ),
        (
            "module A { exception B { string why; }; interface C { void d(in string e) raises (B); }; };",
            "CORBA",
        ),
    ] {
        let report = check_text("a.idl", text, &Options::default());
        assert_eq!(report.statistics().errors, 1, "{report}");
        assert!(report.to_string().contains(&format!("the language of {language}")), "{report}");
    }
}

#[test]
fn names_that_an_undefined_macro_hides_are_one_error_with_one_hint() {
    let types: String = (0..100).map(|n| format!("typedef long T{n};\n")).collect();
    let uses: String = (0..100).map(|n| format!("typedef T{n} U{n};\n")).collect();
    for condition in ["#ifdef FULL", "#if defined(FULL) && 1", "#if FULL"] {
        let report = report(&format!("{condition}\n{types}#endif\n{uses}typedef X Y;"));
        let said = report.to_string();
        assert_eq!(report.statistics().errors, 2, "{said}");
        assert!(said.contains("only where macro `FULL` is defined: `T0`, `T1`,"), "{said}");
        assert!(said.contains("define the macro with `-D FULL`"), "{said}");
        assert!(said.contains("unknown type `X`"), "{said}");
    }
    let report = report(&format!("DECLARE_TYPES(T)\n{uses}"));
    assert_eq!(report.statistics().errors, 1, "{report}");
    assert!(report.to_string().contains("no macro `DECLARE_TYPES` is defined"), "{report}");
}

#[test]
fn unchecked_items_are_counted() {
    for text in [
        "import \"wincodec.idl\"; typedef IUnknownThing *P;",
        "[uuid(1284c788-6978-43d5-9a02-414901a2ec75)] library L { importlib(\"other.tlb\"); };",
    ] {
        let report = report(text);
        assert!(report.is_success() && report.statistics().gaps > 0, "{report}");
    }
}
