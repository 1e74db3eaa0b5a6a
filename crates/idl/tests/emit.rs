//! Tests that converting traits to `.idl` files and back preserves the wire format.

use std::fs;
use std::path::{Path, PathBuf};

use syshandle_idl::Diagnostic;
use syshandle_idl::diff::diff;
use syshandle_idl::emit::emit;
use syshandle_idl::{Options, describe_text};
use syshandle_model::{Description, Interface, plain_name};

fn rust(text: &str) -> Description {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    syshandle_idl::rust::describe(file).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Converts a description to an `.idl` file, and asserts that the file is valid, causes no warning
/// and describes the same interfaces. Returns the file's text.
#[track_caller]
fn there_and_back(description: &Description) -> String {
    let text = emit(description).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let lowered = describe_text("a.idl", &text, &Options::default());
    // A construct that MIDL can express may still have a COM layout that differs from the trait's.
    // Warnings about this are expected.
    let about_layouts = "the COM layout of ";
    let others = |of: &&Diagnostic| !of.message.starts_with(about_layouts);
    let others: Vec<_> = lowered.report.diagnostics().iter().filter(others).collect();
    assert!(others.is_empty(), "{others:?}\n{text}");
    assert_eq!(diff(description, &lowered.description), [], "{text}\n{}", lowered.rust());
    if description.definitions.is_empty() {
        return text;
    }
    // A second conversion must not change anything.
    let again = emit(&lowered.description).unwrap_or_else(|wrong| panic!("{wrong:#?}\n{text}"));
    let again = describe_text("a.idl", &again, &Options::default());
    assert_eq!(diff(&lowered.description, &again.description), []);
    text
}

/// Converts a trait with these methods to an `.idl` file.
#[track_caller]
fn methods(before: &str, methods: &str) -> String {
    there_and_back(&rust(&format!(
        "{before}\n#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
         pub trait Thing {{\n{methods}\n}}\n"
    )))
}

/// Asserts that converting a trait with this method fails with this message.
#[track_caller]
fn refuses(before: &str, method: &str, expected: &str) {
    let description = rust(&format!(
        "{before}\n#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
         pub trait Thing {{\n{method}\n}}\n"
    ));
    let wrong = emit(&description).expect_err(method);
    assert!(wrong.iter().any(|line| line.contains(expected)), "{expected}\n{wrong:#?}");
}

#[test]
fn values_of_all_types() {
    let numbers = ["bool", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"];
    for ty in numbers.into_iter().chain(["String", "Guid"]) {
        methods(
            "",
            &format!(
                "fn a(&self, x: {ty}) -> Result<{ty}>;\n\
                 fn b(&self, x: Vec<{ty}>) -> Result<Vec<{ty}>>;\n\
                 fn c(&self, x: Option<{ty}>) -> Result<()>;\n\
                 fn d(&self, x: {ty}, y: Vec<{ty}>) -> Result<({ty}, Vec<{ty}>)>;"
            ),
        );
        methods(
            &format!("#[derive(Encode)] pub struct S {{ x: {ty}, y: Vec<{ty}>, z: Option<{ty}> }}"),
            "fn a(&self, x: S, y: Vec<S>, z: Option<S>) -> Result<(S, Vec<S>, Option<S>)>;",
        );
    }
    for ty in numbers {
        methods("", &format!("fn a(&self, x: [{ty}; 4]) -> Result<[{ty}; 3]>;"));
        methods("", &format!("fn a(&self) -> Result<Option<{ty}>>;"));
    }
}

#[test]
fn handles_with_rights() {
    for (ty, rights) in [
        ("File", &["", "read", "write", "append", "read | write"][..]),
        ("Event", &["", "signal", "wait", "signal | wait"]),
        ("Semaphore", &["", "signal", "wait", "signal | wait"]),
        ("Process", &["", "signal", "wait"]),
        ("Thread", &["", "signal", "wait"]),
        ("Section", &["", "read", "read | write"]),
        ("UnsealedSection", &["resize", "read | write | resize"]),
        ("Composition", &["", "read", "read | write"]),
        ("PipeReader", &["", "read"]),
        ("PipeWriter", &["", "write"]),
        ("Mutex", &[""]),
        ("Token", &[""]),
        ("Job", &[""]),
        ("RegKey", &["", "read"]),
    ] {
        for right in rights {
            let kind = syshandle_model::KINDS.iter().find(|(_, name)| *name == ty);
            let kind = match ty {
                "PipeReader" | "PipeWriter" => "pipe",
                "UnsealedSection" => "section",
                _ => kind.expect("a kind").0,
            };
            let declared = match right.is_empty() {
                true => String::new(),
                false => format!("#[handle({kind}, {right})]"),
            };
            methods(
                "",
                &format!(
                    "fn a(&self, {declared} x: {ty}) -> Result<()>;\n\
                     fn b(&self, {declared} x: Vec<{ty}>) -> Result<()>;\n\
                     {declared} fn c(&self) -> Result<{ty}>;\n\
                     {declared} fn d(&self, y: u8) -> Result<Vec<{ty}>>;"
                ),
            );
        }
    }
    methods("", "fn a(&self, #[handle(socket)] x: OwnedFd) -> Result<()>;");
    methods("", "fn a(&self, #[handle(pipe)] x: OwnedHandle) -> Result<()>;");
    methods("", "#[handle(file, read)] fn a(&self) -> Result<(File, File)>;");
}

#[test]
fn objects_structs_and_enums() {
    let listener = "#[interface(iid = \"00000000-0000-0000-0000-000000000001\")]\n\
         pub trait Listener { fn heard(&self, what: String, from: ThingClient) -> Result<()>; }";
    methods(
        listener,
        "fn a(&self, x: ListenerClient, y: Option<ListenerClient>, z: Vec<ListenerClient>) -> Result<ListenerClient>;",
    );
    // Tests a type that is used before its declaration, a nested struct, and a struct that contains
    // itself.
    let text = methods(
        "#[derive(Encode)] pub struct Outer { pub inner: Inner, pub list: Vec<Inner> }\n\
         #[derive(Encode)] pub struct Inner { pub look: Look, pub next: Option<Box<Inner>> }\n\
         #[derive(Encode)] pub struct A { pub b: Option<Box<B>> }\n\
         #[derive(Encode)] pub struct B { pub a: Vec<A>, pub thing: ListenerClient }\n\
         #[derive(Encode)] pub enum Look { Dull, Shiny = 5, Bright }\n\
         #[derive(Encode)] pub enum Wide { Only = 100_000 }\n\
         #[interface(iid = \"00000000-0000-0000-0000-000000000001\")] pub trait Listener {}",
        "fn a(&self, x: Outer, y: A, z: Wide) -> Result<Outer>;",
    );
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}\n{text}"));
    assert!(place("} Look;") < place("} Inner;") && place("} Inner;") < place("} Outer;"));
    assert!(text.contains("typedef struct Inner Inner;") && text.contains("[v1_enum] enum Wide"));
}

#[test]
fn bounds_are_kept() {
    let text = methods(
        "#[derive(Encode)] pub struct S { #[range(1..=9)] pub x: u8, #[range(0..=9)] pub y: Vec<u8> }",
        "fn a(&self, #[range(-1..=9)] x: i32, #[range(2..=9)] y: Vec<File>, #[range(0..=9)] z: String,\n\
         #[range(0..=9)] u: Option<u32>, s: S) -> Result<()>;",
    );
    assert!(text.contains("[in, range(-1, 9)] long x"), "{text}");
    assert!(text.contains("[in, range(2, 9)] unsigned long yCount"), "{text}");
    assert!(text.contains("size_is(10)] WCHAR *z"), "{text}");
}

#[test]
fn reserved_and_repeated_names_are_changed_for_midl() {
    methods(
        "",
        "fn new(&self, r#in: u8, interface: u8, words: Vec<u8>, words_count: u32, result: u8)\n\
         -> Result<u8>;",
    );
    methods(
        "#[derive(Encode)] pub struct S { pub r#type: u8, pub long: u8, pub x: Vec<u8>, pub x_count: u8 }",
        "fn r#match(&self, r#type: S) -> Result<()>;",
    );
    refuses(
        "",
        "fn a_1(&self) -> Result<()>; fn a1(&self) -> Result<()>;",
        "the same name in MIDL",
    );
}

#[test]
fn a_stream_is_refused_by_name() {
    refuses(
        "",
        "fn a(&self) -> Result<Stream<u32>>;",
        "MIDL has no form for a stream: `Stream<u32>`",
    );
    refuses("", "fn a(&self, x: Stream<File>) -> Result<()>;", "`Stream<File>`");
    methods(
        "#[derive(Encode)] pub struct Stream { pub number: u32 }",
        "fn a(&self) -> Result<Stream>;",
    );
}

#[test]
fn constants_are_written_or_named_in_a_comment() {
    let text = methods(
        "pub const A: u32 = 0x10 | 1; pub const B: &str = \"a\\n\\\"b\\\"\"; pub const C: f64 = 1.5;\n\
         pub const D: bool = true; pub const E: u64 = u64::MAX; pub const F: i32 = -1;",
        "fn a(&self) -> Result<()>;",
    );
    for line in [
        "const unsigned long A = 0x10 | 1;",
        "const LPCWSTR B = L\"a\\n\\\"b\\\"\";",
        "// Constant C is omitted:",
        "const BOOL D = TRUE;",
        "// Constant E is omitted:",
        "const long F = - 1;",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn classes_and_documentation() {
    let text = there_and_back(&rust(
        "/// Says \"hello\".\n#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
         pub trait Thing { /// To all.\n fn hello(&self) -> Result<()>; }\n\
         class! { /// The one.\n pub THE_THING: Thing = \"ea27c73a-48c2-4714-9d20-a9d2c4f6aed3\"; }",
    ));
    for part in ["helpstring(\"Says 'hello'.\")", "helpstring(\"To all.\")", "coclass TheThing"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn types_without_a_midl_form_are_named() {
    let method = |parameter: &str| format!("fn a(&self, {parameter}) -> Result<()>;");
    let no = |parameter: &str, expected: &str| {
        refuses("", &method(parameter), &format!("Thing::a, parameter `x`: {expected}"));
    };
    no("#[handle(file, read, at_most = read)] x: File", "MIDL can't express `at_most`");
    no("#[handle(socket(tcp_stream))] x: OwnedFd", "MIDL can't express sorts of sockets");
    no("#[handle(file(regular), read)] x: File", "MIDL can't express sorts of files");
    no("x: TcpStream", "MIDL has no kind of handle for `TcpStream`");
    no("#[handle(socket)] x: TcpStream", "MIDL has no kind of handle for `TcpStream`");
    no("x: ManualEvent", "MIDL has no kind of handle for `ManualEvent`");
    no("#[handle(event, signal)] x: ManualEvent", "MIDL has no kind of handle for `ManualEvent`");
    no("x: Directory", "MIDL has no kind of handle for `Directory`");
    no("#[handle(timer)] x: OwnedFd", "MIDL has no kind of handle for `timer`");
    no("x: UnsealedSection", "MIDL can't express a resizable section");
    no("#[handle(pipe)] x: File", "the declaration contradicts the type");
    no("x: OwnedFd", "declare the kind");
    no("#[handle(file | pipe)] x: OwnedFd", "MIDL can't express a handle of several kinds");
    no("#[handle(section, seal)] x: Section", "MIDL has no access mask for the right `seal`");
    no("x: Option<File>", "MIDL can't express an optional handle");
    for definition in [
        "#[derive(Encode)] #[grows] pub struct Job { pub x: u8 }",
        "#[derive(Encode)] #[grows] pub enum Job { A, #[unknown] Unknown }",
    ] {
        let method = "fn a(&self, x: Job) -> Result<()>;";
        refuses(definition, method, "Job: MIDL has no types that grow");
    }
    no("x: HashMap<u8, u8>", "MIDL has no type for `HashMap<u8,u8>`");
    no("x: (u8, u8)", "MIDL has no type for `(u8,u8)`");
    no("x: u128", "MIDL has no type for `u128`");
    no("x: Vec<Vec<u8>>", "MIDL has no type for `Vec<u8>`");
    no("x: Unknown", "MIDL has no type for `Unknown`");
    no("x: OtherClient", "interface `Other` isn't in this file");
    no("#[range(1..=9)] x: String", "MIDL can't express a minimum length of a string");
    no("x: ()", "MIDL has no type for `()`");
    refuses("", "fn a(&self) -> Result<u8, Trouble>;", "MIDL can't express an error type");
    refuses(
        "",
        "fn a(&self) -> Result<Option<String>>;",
        "MIDL can't express an optional string or object as an output",
    );
    let with = |definition: &str, expected: &str| {
        refuses(definition, "fn a(&self, x: S) -> Result<()>;", expected);
    };
    with(
        "#[derive(Encode)] pub struct S { f: File }",
        "S::f: MIDL can express handles only as parameters",
    );
    with(
        "#[derive(Encode)] pub struct S { f: [File; 2] }",
        "S::f: MIDL can express handles only as parameters",
    );
    with("#[derive(Encode)] pub enum S { A(u8) }", "S::A: MIDL can't express variants with data");
    with("#[derive(Encode)] pub struct S;", "S: MIDL can't express a struct without fields");
    with(
        "#[derive(Encode)] pub enum S { A = 0x1_0000_0000 }",
        "S::A: MIDL's enums are limited to 32 bits",
    );
}

/// Converts each method of the interfaces in other tests and in the samples separately. Each method
/// must either be refused by name or keep its wire format.
#[test]
fn methods_of_this_project_are_refused_or_come_back() {
    let mut files = Vec::new();
    for folder in ["../syshandle", "../testkit/src", "../../samples"] {
        find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let (mut same, mut refused) = (0, 0);
    // The types of this file have the names of well-known types, for which a description of the
    // source text takes them.
    files.retain(|path| !path.ends_with("tests/lending.rs"));
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let described =
            syn::parse_file(&text).ok().and_then(|of| syshandle_idl::rust::describe(of).ok());
        // This file contains deliberate errors for other tests.
        let Some(all) = described else { continue };
        for interface in &all.interfaces {
            for method in &interface.methods {
                let one = Interface { methods: vec![method.clone()], ..interface.clone() };
                let used = used(&all, &one);
                let one = Description {
                    interfaces: vec![one],
                    definitions: used,
                    classes: vec![],
                    ..Description::default()
                };
                let name = format!("{}::{}", interface.name, plain_name(&method.name));
                match emit(&one) {
                    Ok(_) => {
                        there_and_back(&one);
                        same += 1;
                    }
                    Err(wrong) => {
                        let names = one.definitions.iter().map(|of| of.name.to_string());
                        let names: Vec<_> = names.chain([name]).collect();
                        let is_named =
                            |line: &String| names.iter().any(|name| line.starts_with(name));
                        assert!(wrong.iter().all(is_named), "{wrong:#?}");
                        refused += 1;
                    }
                }
            }
        }
    }
    println!("{same} methods came back, {refused} were refused");
    assert!(same > 40 && refused > 10, "{same} {refused}");
}

/// Returns the types that an interface uses.
fn used(all: &Description, interface: &Interface) -> Vec<syshandle_model::Definition> {
    use quote::ToTokens;
    use syshandle_model::identifiers;
    let types = interface.methods.iter().flat_map(|method| {
        let parameters = method.parameters.iter().map(|of| of.ty.to_token_stream());
        parameters.chain([method.result.to_token_stream()])
    });
    let mut wanted = identifiers(types.collect());
    let mut used: Vec<syshandle_model::Definition> = Vec::new();
    while let Some(name) = wanted.pop() {
        let definition = all.definitions.iter().find(|of| of.name == name);
        if let Some(definition) =
            definition.filter(|of| used.iter().all(|used| used.name != of.name))
        {
            wanted.extend(identifiers(definition.types()));
            used.push(definition.clone());
        }
    }
    used
}

fn find(path: &Path, files: &mut Vec<PathBuf>) {
    for entry in path.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("tests/mistakes") {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}
