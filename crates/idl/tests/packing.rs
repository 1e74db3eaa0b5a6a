//! Tests the COM layout of structs that `#pragma pack` may affect, and of other declarations.

use syshandle_idl::{Options, describe_text};

/// Returns whether the COM layout of a method is reported as different. The method has this
/// parameter and is in a file with these declarations.
#[track_caller]
fn differs(declarations: &str, parameter: &str) -> bool {
    let text = format!(
        "import \"oaidl.idl\";\n{declarations}\n\
         [object, uuid(a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0e201)]\n\
         interface IThing : IUnknown {{ HRESULT M({parameter}); }}\n"
    );
    let lowered = describe_text("a.idl", &text, &Options::default());
    assert!(lowered.report.is_success(), "{}", lowered.report);
    lowered.description.interfaces[0].methods[0].differs.is_some()
}

const PACKED: &str = "typedef struct P { char a; long b; } P;";
const PLAIN: &str = "typedef struct S { char a; long b; hyper c; } S;";

#[test]
fn only_structs_that_a_pragma_packs_are_reported() {
    let around = [
        ("#pragma pack(push, 1)", "#pragma pack(pop)"),
        ("#pragma pack(1)", "#pragma pack()"),
        ("cpp_quote(\"#pragma pack(push, 2)\")", "cpp_quote(\"#pragma pack(pop)\")"),
        ("cpp_quote(\"#include <pshpack1.h>\")", "cpp_quote(\"#include <poppack.h>\")"),
    ];
    for (before, after) in around {
        let text = format!("{before}\n{PACKED}\n{after}\n{PLAIN}");
        assert!(!differs(&text, "[in] S *a"), "{text}");
        assert!(differs(&text, "[in] P *a"), "{text}");
        let within = "typedef struct Q { P a; long b; } Q;";
        assert!(differs(&format!("{text}{within}"), "[in] Q *a"), "{text}");
        let within = format!("{before}\ntypedef struct Q {{ S a; char b; }} Q;\n{after}");
        assert!(differs(&format!("{PLAIN}\n{within}"), "[in] Q *a"), "{within}");
    }
    // No field has an alignment of more than 8 bytes.
    assert!(!differs(&format!("#pragma pack(push, 8)\n{PLAIN}\n#pragma pack(pop)"), "[in] S *a"));
}

#[test]
fn packing_that_is_unknown_or_does_not_end_reports_every_struct() {
    for pragma in ["#pragma pack(SIZE)", "#pragma data_seg(\"a\")", "midl_pragma pack(1)"] {
        assert!(differs(&format!("{PLAIN}\n{pragma}\n"), "[in] S *a"), "{pragma}");
    }
    assert!(differs(&format!("{PLAIN}\n#pragma pack(push, 1)"), "[in] S *a"));
    assert!(differs(&format!("{PLAIN}\ncpp_quote(\"#pragma pack(push, 1)\")"), "[in] S *a"));
}

#[test]
fn an_error_status_is_an_integer_of_4_bytes() {
    assert!(!differs("", "[in] error_status_t a, [out] error_status_t *b"));
    assert!(!differs("typedef struct S { error_status_t a; long b; } S;", "[in] S *a"));
}

#[test]
fn an_enum_has_one_layout_by_its_name_and_by_its_tag() {
    for declaration in ["enum E { A, B };", "typedef enum E { A, B } E;"] {
        for parameter in ["[in] enum E a", "[out] enum E *a"] {
            assert!(!differs(declaration, parameter), "{declaration} {parameter}");
        }
    }
    // `v1_enum` on the definition applies to every use of the enum. The trait's tables use 4 bytes
    // if a value needs more than 16 bits.
    let wide = "[v1_enum] enum E { A, B = 0x10000 };";
    assert!(!differs(wide, "[in] enum E a"));
    assert!(differs("[v1_enum] enum E { A, B };", "[in] enum E a"));
    // MIDL applies `v1_enum` on a typedef only where the typedef's name is used.
    let by_name = "typedef [v1_enum] enum E { A, B = 0x10000 } E;";
    assert!(!differs(by_name, "[in] E a"));
    assert!(differs(by_name, "[in] enum E a"));
}
