//! Tests that traversals of types and expressions end for every graph of types.
//!
//! Each test uses a file for which a traversal without cache or limit would take minutes or
//! overflow the stack. The work runs in a separate thread. The deadline is long enough even for a
//! loaded machine.

use std::fmt::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use syshandle_idl::diff::{Change, diff};
use syshandle_idl::emit::emit;
use syshandle_idl::{Options, check, check_text, describe_text};

/// Time limit for one test. Endless work takes much longer than this on any machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs `work` in a thread with the default stack size. Panics if it doesn't end before the
/// deadline.
#[track_caller]
fn ends<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(DEADLINE) {
        Ok(result) => result,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Returns a file with these declarations and an interface with one method per list of parameters.
fn file(declarations: &str, parameters: &[&str]) -> String {
    let mut text = format!(
        "import \"oaidl.idl\";\n{declarations}\n\
         [object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)]\ninterface IThing : IUnknown {{\n"
    );
    for (at, parameter) in parameters.iter().enumerate() {
        let _ = writeln!(text, "HRESULT M{at}([in] {parameter} a);");
    }
    text + "}\n"
}

/// Returns the Rust source for a file, and the report as text.
#[track_caller]
fn rust(what: &str, text: String) -> (String, String) {
    ends(what, move || {
        let lowered = describe_text("a.idl", &text, &Options::default());
        (lowered.rust(), lowered.report.to_string())
    })
}

fn numbered(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn types_that_refer_to_themselves_are_visited_once() {
    let constants = numbered(60, |n| format!("const long C{n} = {n};\n"));
    let node = "typedef struct Node { struct Node *a; struct Node *b; struct Node *c; } Node;";
    let (text, said) = rust("self-reference", file(&(constants + node), &["Node *"]));
    assert!(
        text.contains("PartialEq, syshandle::Encode, syshandle::Decode)]\npub struct Node"),
        "{text}\n{said}"
    );
}

#[test]
fn all_types_of_a_circle_that_holds_a_handle_are_without_comparison() {
    let text = "struct A; [switch_type(long)] union U { [case(1)] struct A *a; [default]; };\n\
        typedef struct B { struct A *a; } B;\n\
        typedef struct C { long a; } C;\n\
        struct A { [system_handle(sh_event)] HANDLE a; struct B *b; struct C c; };";
    let (rust, said) = rust("circle", file(text, &["B *"]));
    assert!(
        rust.contains("#[derive(Debug, syshandle::Encode, syshandle::Decode)]\npub struct B"),
        "{rust}{said}"
    );
    assert!(
        rust.contains("#[derive(Debug, syshandle::Encode, syshandle::Decode)]\npub struct A"),
        "{rust}"
    );
    assert!(
        rust.contains("PartialEq, syshandle::Encode, syshandle::Decode)]\npub struct C"),
        "{rust}"
    );
}

#[test]
fn diamonds_are_visited_once() {
    for leaf in ["long a;", "[system_handle(sh_file)] HANDLE a;"] {
        let mut text = format!("typedef struct S0 {{ {leaf} }} S0;\n");
        for n in 1..60 {
            let _ =
                writeln!(text, "typedef struct S{n} {{ S{0} a; S{0} b; S{0} *c; }} S{n};", n - 1);
        }
        let (rust, said) = rust("diamonds", file(&text, &["S59 *"]));
        assert!(rust.contains("pub struct S59"), "{said}");
    }
}

#[test]
fn wide_graphs_are_visited_once() {
    let all = numbered(80, |n| format!("struct S{n} *a{n};"));
    let announced = numbered(80, |n| format!("struct S{n};\n"));
    let text = announced + &numbered(80, |n| format!("struct S{n} {{ {all} }};\n"));
    rust("wide graph", file(&text, &["struct S0 *", "struct S79 *"]));
}

#[test]
fn long_chains_of_types_are_followed() {
    let values = numbered(3_000, |n| match n {
        0 => "struct S0 { long a; };\n".to_owned(),
        _ => format!("struct S{n} {{ struct S{} a; }};\n", n - 1),
    });
    let (text, said) = rust("chain of values", file(&values, &["struct S2999 *"]));
    assert!(text.contains("pub struct S2999"), "{said}");
    let pointers =
        numbered(3_000, |n| format!("struct S{n} {{ struct S{} *a; }};\n", (n + 1) % 3_000));
    let (text, said) = rust("chain of pointers", file(&pointers, &["struct S0 *"]));
    assert!(text.contains("pub struct S2999"), "{said}");
    let refused = values.replace("long a;", "VARIANT a;");
    let (text, said) = rust("chain that is refused", file(&refused, &["struct S2999 *"]));
    assert!(!text.contains("S2999") && said.contains("and 2901 more errors"), "{said}");
    let stars = "*".repeat(30);
    let typedefs = numbered(60, |n| match n {
        0 => format!("typedef long {stars}T0;\n"),
        _ => format!("typedef T{} {stars}T{n};\n", n - 1),
    });
    let (_, said) = rust("chain of typedefs", file(&typedefs, &["T59"]));
    assert!(said.contains("too many pointers and arrays"), "{said}");
}

#[test]
fn methods_that_many_interfaces_inherit_are_limited() {
    let interface = |name: &str, base: &str, n: usize, methods: String| {
        format!(
            "[object, uuid(1284c788-6978-43d5-9a02-{n:012x})] interface {name} : {base} {{\n\
             {methods}}}\n"
        )
    };
    let methods = numbered(1_000, |n| format!("HRESULT M{n}([in] long a, [in] long b);\n"));
    let text = file(&interface("IBase", "IUnknown", 0, methods), &[])
        + &numbered(200, |n| interface(&format!("ID{n}"), "IBase", n + 1, String::new()));
    let said = ends("inheritance", move || {
        describe_text("a.idl", &text, &Options::default()).report.to_string()
    });
    assert!(said.contains("more than 50000 methods and parameters"), "{said}");
}

#[test]
fn typedefs_are_evaluated_once() {
    let sum = "+ 0 ".repeat(190);
    let attributes = "in, ".repeat(200);
    let text = format!(
        "typedef [{attributes} range(0, 5 {sum})] long Number;\n\
         typedef enum Many {{ {} }} Many;\ntypedef long Array[3 {sum}];\n",
        numbered(5_000, |n| format!("MANY_{n}, ")),
    );
    let fields = numbered(5_000, |n| format!("Number a{n}; [range(0, 7)] Many b{n}; Array c{n};"));
    rust("typedef", file(&format!("{text} typedef struct S {{ {fields} }} S;"), &["S *"]));
}

#[test]
fn names_that_differ_by_case_alone_are_numbered_in_linear_time() {
    let name = |n: usize| -> String {
        (0..15).map(|bit| if n >> bit & 1 == 0 { 'a' } else { 'A' }).collect()
    };
    // In snake case, names that differ only in the positions of upper-case letters may become
    // equal.
    let fields = numbered(6_000, |n| format!("long {0}; long _{0};", name(n)));
    rust("names", file(&format!("typedef struct S {{ {fields} }} S;"), &["S *"]));
}

/// Converts Rust source to a description.
fn described(text: &str) -> syshandle_model::Description {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error}"));
    syshandle_idl::rust::describe(file).unwrap_or_else(|error| panic!("{error}"))
}

const TRAIT: &str = "#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")] pub trait Thing";

#[track_caller]
fn changes(what: &str, old: String, new: String) -> Vec<Change> {
    ends(what, move || diff(&described(&old), &described(&new)))
}

#[test]
fn aliases_that_refer_to_each_other_are_refused_by_emit() {
    for aliases in [
        "type A = A;",
        "type A = B; type B = A;",
        "type A = Vec<A>;",
        "type A = Option<Box<A>>;",
        "type A = (A, A);",
    ] {
        let text = format!("{aliases} {TRAIT} {{ fn a(&self, a: A) -> Result<Option<A>>; }}");
        let refused = ends(aliases, move || emit(&described(&text)).is_err());
        assert!(refused, "{aliases}");
    }
}

#[test]
fn emit_orders_long_and_circular_types() {
    let structs = numbered(3_000, |n| {
        format!(
            "#[derive(Encode)] struct S{n} {{ a: Option<Box<S{}>>, b: Option<Box<S{}>> }}\n",
            (n + 1) % 3_000,
            (n * 7) % 3_000,
        )
    });
    let text = format!("{structs} {TRAIT} {{ fn a(&self, a: S0) -> Result<()>; }}");
    let written = ends("emit", move || emit(&described(&text))).expect("all can be said");
    assert!(written.contains("typedef struct S2999\n"));
}

#[test]
fn names_for_exponentially_many_parts_are_compared_in_part_and_say_so() {
    let file = |last: &str| {
        let aliases = numbered(60, |n| format!("type A{} = (A{n}, A{n});\n", n + 1));
        format!("type A0 = {last};\n{aliases} {TRAIT} {{ fn a(&self, a: A60) -> Result<()>; }}")
    };
    let said = changes("aliases", file("u8"), file("u16"));
    assert!(said.iter().any(|change| change.description.starts_with("not compared completely")));
    assert!(said.iter().all(|change| !change.is_compatible), "{said:?}");
}

#[test]
fn renamed_types_are_compared_once_however_they_are_connected() {
    let file = |prefix: &str, last: &str| {
        let structs = numbered(2_000, |n| {
            let other = (n * 7 + 1) % 2_000;
            format!(
                "#[derive(Encode)] struct {prefix}{n} {{ a: Vec<{prefix}{}>, b: Vec<{prefix}{other}> }}\n",
                n + 1,
            )
        });
        format!(
            "{structs} #[derive(Encode)] struct {prefix}2000 {{ a: {last} }}\n\
             {TRAIT} {{ fn a(&self, a: {prefix}0, b: {prefix}1, c: {prefix}2) -> Result<()>; }}"
        )
    };
    let said = changes("renamed", file("A", "u8"), file("B", "u16"));
    let what: Vec<_> = said.iter().map(|change| change.description.as_str()).collect();
    assert_eq!(
        what,
        [
            "type changed from `A0` to `B0`",
            "type changed from `A1` to `B1`",
            "type changed from `A2` to `B2`"
        ]
    );
    assert_eq!(changes("renamed", file("A", "u8"), file("B", "u8")), []);
}

#[test]
fn many_interfaces_classes_and_types_are_compared_in_linear_time() {
    let file = |shift: usize| {
        numbered(600, |n| {
            format!(
                "#[interface(iid = \"00000000-0000-0000-0000-{:012x}\")]\n\
                 pub trait T{n} {{ fn a(&self, a: S{n}) -> Result<()>; }}\n\
                 #[derive(Encode)] struct S{n} {{ a: File }}\n\
                 class! {{ pub C{n}: T{n} = \"00000000-0000-0000-0001-{:012x}\"; }}\n",
                n + shift,
                n + shift,
            )
        })
    };
    assert_eq!(changes("interfaces", file(0), file(0)), []);
    assert_eq!(changes("interfaces", file(0), file(5_000)).len(), 4 * 600);
}

#[test]
fn a_handle_that_there_can_be_many_of_is_given_more_often() {
    let file = |more: &str| {
        format!(
            "#[derive(Encode)] struct A {{ file: File }}\n\
             {TRAIT} {{ fn a(&self, a: (A, {more})) -> Result<()>; }}"
        )
    };
    let said = changes("many", file("u8"), file("Vec<A>"));
    let gives = said[0].gained_authority.as_deref().unwrap_or_default();
    assert!(gives.contains("any number of them"), "{said:?}");
}

/// Checks a file and returns the report as text.
#[track_caller]
fn checked(what: &str, text: String) -> String {
    ends(what, move || check_text("a.idl", &text, &Options::default()).to_string())
}

#[test]
fn files_without_structure_are_read_in_linear_time() {
    checked("runtimeclass", "runtimeclass a ".repeat(60_000));
    checked("typedefs", {
        let names = numbered(30_000, |n| format!(", A{n}"));
        format!("typedef long A{names}; typedef long A{names};")
    });
    checked("attributes", format!("[{}] interface a {{}}", "wrong, ".repeat(100_000)));
    checked("unknown", numbered(15_000, |n| format!("[hlpstring{n}] interface a{n} {{}}\n")));
    let wrong = checked("attributes", format!("[{}] interface a {{}}", "object, ".repeat(300)));
    assert!(wrong.contains("more than 256 attributes"), "{wrong}");
}

#[test]
fn files_that_are_included_again_and_again_are_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.idl");
    let define = numbered(20_000, |n| format!("#define A{n} {n}\n"));
    std::fs::write(folder.path().join("b.h"), define).expect("a file");
    std::fs::write(&file, "#include \"b.h\"\n".repeat(1_900)).expect("a file");
    let said = ends("includes", move || check(&[file], &Options::default()).to_string());
    assert!(said.contains("the limit of 4194304 tokens"), "{said}");
}

#[test]
fn interfaces_that_derive_from_each_other_in_a_long_circle_are_refused() {
    let text = numbered(100, |n| format!("interface I{n};\n"))
        + &numbered(100, |n| format!("interface I{n} : I{} {{}}\n", (n + 1) % 100));
    let said = checked("circle", text);
    assert!(said.contains("derives from itself"), "{said}");
}

#[test]
fn installed_files_with_automation_types_become_rust() {
    for name in ["oaidl.idl", "ocidl.idl"] {
        let path = std::path::Path::new("/usr/include/wine/wine/windows").join(name);
        if !path.is_file() {
            println!("skipped: no {}; the package libwine-dev has it", path.display());
            continue;
        }
        ends(name, move || {
            let lowered = syshandle_idl::describe(&[path], &Options::default());
            lowered.rust()
        });
    }
}
