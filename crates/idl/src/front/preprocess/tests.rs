use super::*;

/// Preprocesses a text. Returns its tokens as text, and the error messages.
fn run(text: &str) -> (String, Vec<String>) {
    let mut loader = Loader::default();
    let definitions = loader.add("definitions".into(), "#define GIVEN 7\n".into(), None).unwrap();
    let file = loader.add("a.idl".into(), text.into(), None).unwrap();
    let mut diagnostics = Diagnostics::default();
    let preprocessed = preprocess(&mut loader, definitions, file, &mut diagnostics);
    let words = preprocessed.tokens.iter().map(|token| token.kind.to_string());
    let words: Vec<_> = words.take(preprocessed.tokens.len() - 1).collect();
    let messages = diagnostics.into_kept().into_iter().map(|diagnostic| diagnostic.message);
    (words.join(" "), messages.collect())
}

#[track_caller]
fn gives(text: &str, expected: &str) {
    let (words, messages) = run(text);
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(words, expected);
}

#[track_caller]
fn complains(text: &str, expected: &str) {
    let (_, messages) = run(text);
    assert_eq!(messages, [expected]);
}

#[test]
fn macro_names_are_replaced_by_their_definitions() {
    gives("#define A b c\nA GIVEN A\n#undef A\nA", "b c 7 b c A");
    gives("#define EMPTY\nx EMPTY y", "x y");
}

#[test]
fn arguments_replace_parameters() {
    gives("#define F(a, b) a + b * a\nF(1, (2, 3))", "1 + ( 2 , 3 ) * 1");
    gives("#define F(a) [a]\nF(F(x)) F", "[ [ x ] ] F");
    gives("#define F(a) a\n#define CALL(m) m(1)\nCALL(F)", "1");
    gives("#define F() x\nF()", "x");
    gives("#define F(a)\n[F(both), in]", "[ , in ]");
    gives("#define F(a, ...) a: __VA_ARGS__\nF(1, 2, 3)", "1 : 2 , 3");
    gives("#define F(a) a\nF(\n1\n)", "1");
}

#[test]
fn object_macro_may_start_with_a_parenthesis() {
    gives("#define A (1)\nA", "( 1 )");
}

#[test]
fn macro_is_not_expanded_in_its_own_expansion() {
    gives("#define a b\n#define b a\na b", "a b");
    gives("#define f(x) f(x + 1)\nf(f(2))", "f ( f ( 2 + 1 ) + 1 )");
}

#[test]
fn tokens_are_joined_and_quoted() {
    gives("#define J(a, b) a ## b\nJ(x, 1) J(, y)", "x1 y");
    gives("#define Q(a) #a\nQ(x  + \"y\")", r#""x + \"y\"""#);
}

#[test]
fn conditions_choose_one_group() {
    let text = |a: u8, b: u8| format!("#if {a}\n1\n#elif {b}\n2\n#else\n3\n#endif\n4");
    gives(&text(1, 1), "1 4");
    gives(&text(0, 1), "2 4");
    gives(&text(0, 0), "3 4");
    gives("#ifdef GIVEN\n1\n#endif\n#ifndef GIVEN\n2\n#endif", "1");
    gives("#if 0\n#if 1\na\n#else\nb\n#endif\n#elif 1\nc\n#endif", "c");
    gives("#if 1\na\n#elif nonsense(\nb\n#endif", "a");
}

#[test]
fn conditions_have_c_arithmetic() {
    for holds in [
        "defined GIVEN && !defined(OTHER)",
        "GIVEN == 7 && OTHER == 0",
        "(1 ? 2 : 1 / 0) == 2",
        "-1 < 0 && 0xFFFFFFFF > 0",
        "1 + 2 * 3 == 7 && (1 << 4 | 1) == 17",
        "'a' == 97 && '\\n' == 10",
        "010 == 8 && 10UL == 10i64",
    ] {
        gives(&format!("#if {holds}\nyes\n#endif"), "yes");
    }
}

#[test]
fn text_of_a_skipped_branch_may_be_anything() {
    gives("#if 0\ndon't \"\n#bogus\n@ 1x\n#endif\nok", "ok");
}

#[test]
fn directive_may_occur_between_arguments() {
    gives("#define F(a) a\nF(1\n#if 0\n2\n#endif\n)", "1");
}

#[test]
fn unknown_pragmas_and_line_numbers_are_skipped() {
    gives("#pragma winrt ns_prefix\n# 3 \"x\"\n#line 4\n#\nok", "ok");
}

#[test]
fn errors_name_their_cause() {
    complains("#if 1\n", "`#if` without an `#endif`");
    complains("#endif\n", "`#endif` without an `#if`");
    complains("#if 0\n#else\n#else\n#endif", "`#else` after `#else`");
    complains("#error stop  here\n", "#error stop here");
    complains("#defin A\n", "unknown directive `#defin`");
    complains("#include \"nowhere.h\"\n", "file `nowhere.h` isn't found");
    complains("#define F(a) a\nF(1, 2)", "macro `F` takes 1 arguments, but gets 2");
    complains("#define F(a) a\nF(1", "call of macro F without a `)`");
    complains("#define 1\n", "expected a name after `#define`");
    complains("#if 1 / 0\n#endif", "division by zero");
    complains("#if\n#endif", "`#if` without a condition");
    complains("#if 1 2\n#endif", "expected an operator or the end of the line, found `2`");
    complains("\"a", "string without an end");
}

#[test]
fn exponential_macros_end() {
    let mut text = "#define A0 x x x x\n".to_owned();
    for level in 1..40 {
        text += &format!("#define A{level} A{0} A{0} A{0} A{0}\n", level - 1);
    }
    let (_, messages) = run(&(text + "A39"));
    assert_eq!(messages, ["macros expand to more than 1048576 tokens"]);
}

#[test]
fn long_chain_of_macros_is_linear() {
    let mut text = String::new();
    for level in 0..100_000 {
        text += &format!("#define A{} A{level}\n", level + 1);
    }
    gives(&(text + "A100000"), "A0");
}

#[test]
fn deep_macro_calls_end() {
    let text = format!("#define F(a) a\n{}1{}", "F(".repeat(10_000), ")".repeat(10_000));
    let (_, messages) = run(&text);
    assert_eq!(messages, ["macro calls nested more than 64 levels deep"]);
}
