//! Tests how `idl diff` classifies each kind of change in `.idl` files and traits: whether old
//! peers still work, and which authority a peer gains.

use syshandle_idl::diff::diff;
use syshandle_idl::{Options, describe_text};
use syshandle_model::Description;

/// Converts an `.idl` file with these declarations and an interface with these methods.
fn idl(before: &str, methods: &str) -> Description {
    let text = format!(
        "import \"oaidl.idl\";\n{before}\n\
         [object, uuid(1284c788-6978-43d5-9a02-414901a2ec75)]\n\
         interface IThing : IUnknown {{\n{methods}\n}}\n"
    );
    whole(&text)
}

fn whole(text: &str) -> Description {
    let lowered = describe_text("a.idl", text, &Options::default());
    assert!(lowered.report.is_success(), "{text}\n{}", lowered.report);
    lowered.description
}

/// Converts Rust source with these items and a trait with these methods.
fn rust(before: &str, methods: &str) -> Description {
    let text = format!(
        "{before}\n#[interface(iid = \"1284c788-6978-43d5-9a02-414901a2ec75\")]\n\
         pub trait Thing {{\n{methods}\n}}\n"
    );
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    syshandle_idl::rust::describe(file).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[track_caller]
fn says(old: &Description, new: &Description, expected: &[&str]) {
    let said: Vec<String> = diff(old, new)
        .iter()
        .flat_map(|change| {
            let mark = if change.is_compatible { "goes on" } else { "BREAKS" };
            let first = format!("{mark} {}: {}", change.name, change.description);
            let more = change
                .gained_authority
                .as_ref()
                .map(|gives| format!("MORE {}: {gives}", change.name));
            let warning =
                change.warning.as_ref().map(|warning| format!("WARN {}: {warning}", change.name));
            [Some(first), more, warning]
        })
        .flatten()
        .collect();
    assert_eq!(said, expected);
}

/// Compares two versions of a trait's methods and checks the changes.
#[track_caller]
fn methods(old: &str, new: &str, expected: &[&str]) {
    says(&rust("", old), &rust("", new), expected);
}

/// Compares two versions of an `.idl` interface's methods and checks the changes.
#[track_caller]
fn idl_methods(old: &str, new: &str, expected: &[&str]) {
    says(&idl("", old), &idl("", new), expected);
}

/// Compares two versions of the items outside of a trait, whose method is the same in both. Checks
/// the changes.
#[track_caller]
fn beside(old: &str, new: &str, method: &str, expected: &[&str]) {
    says(&rust(old, method), &rust(new, method), expected);
}

#[test]
fn nothing_changed() {
    methods("fn a(&self, x: File) -> Result<u32>;", "fn a(&self, x: File) -> Result<u32>;", &[]);
}

#[test]
fn the_items_of_a_stream_are_compared() {
    let of = |item: &str| format!("fn a(&self, x: Stream<{item}>) -> Result<()>;");
    methods(&of("u32"), &of("u32"), &[]);
    methods(
        &of("u32"),
        &of("u64"),
        &["BREAKS Thing::a::x: type changed from `Stream<u32>` to `Stream<u64>`"],
    );
    methods(
        &of("u32"),
        "fn a(&self, x: Vec<u32>) -> Result<()>;",
        &["BREAKS Thing::a::x: type changed from `Stream<u32>` to `Vec<u32>`"],
    );
}

#[test]
fn differences_that_keep_the_wire_form_are_no_change() {
    methods(
        "fn a(&self, x: std::fs::File, y: usize, z: OwnedHandle) -> Result<Vec<u8>>;",
        "fn a(&self, context: &Context, x: File, y: u64, z: OwnedFd) -> syshandle::Result<VecDeque<u8>>;",
        &[],
    );
    beside("type Size = u32;", "type Size = u32;", "fn a(&self, x: Size) -> Result<()>;", &[]);
    says(
        &rust("type Size = u32;", "fn a(&self, x: Size) -> Result<()>;"),
        &rust("", "fn a(&self, x: u32) -> Result<()>;"),
        &[],
    );
    // A recursive struct with another name.
    let place = |name: &str| {
        rust(
            &format!(
                "#[derive(Encode)] struct {name} {{ x: u32, next: Option<Box<{name}>>, f: File }}"
            ),
            &format!("fn a(&self, x: {name}) -> Result<()>;"),
        )
    };
    says(&place("Place"), &place("Spot"), &[]);
}

#[test]
fn added_and_removed_methods_are_reported() {
    let a = "fn a(&self) -> Result<()>;";
    let b = "fn b(&self, x: u32) -> Result<()>;";
    let c = "fn c(&self, x: Event) -> Result<File>;";
    methods(a, &format!("{a}{b}"), &["goes on Thing::b: method added at the end"]);
    methods(
        a,
        &format!("{a}{c}"),
        &[
            "goes on Thing::c: method added at the end",
            "MORE Thing::c: a method with a handle (event) (to the server)",
        ],
    );
    methods(a, &format!("{b}{a}"), &["BREAKS Thing::b: method inserted at position 1"]);
    methods(&format!("{a}{b}"), a, &["BREAKS Thing::b: method removed"]);
    methods(&format!("{a}{b}"), b, &["BREAKS Thing::a: method removed"]);
    methods(
        &format!("{a}{b}"),
        &format!("{b}{a}"),
        &["BREAKS Thing::a: moved from position 1 to position 2"],
    );
    methods(
        &format!("{a}{c}{b}"),
        &format!("{b}{a}{c}"),
        &["BREAKS Thing::b: moved from position 3 to position 1"],
    );
}

#[test]
fn a_method_with_another_name() {
    methods(
        "fn a(&self, x: u32) -> Result<()>;",
        "fn b(&self, x: u32) -> Result<()>;",
        &["goes on Thing::b: renamed from `a`"],
    );
    methods(
        "fn a(&self, x: u32) -> Result<()>;",
        "fn b(&self, x: File) -> Result<()>;",
        &[
            "BREAKS Thing::b: replaces `a`",
            "BREAKS Thing::b::x: type changed from `u32` to `a handle (file)`",
            "MORE Thing::b::x: a handle (file) (to the server)",
        ],
    );
}

#[test]
fn added_removed_and_moved_parameters_are_reported() {
    let method = |parameters: &str| format!("fn a(&self, {parameters}) -> Result<()>;");
    let from = |old: &str, new: &str, expected: &[&str]| {
        methods(&method(old), &method(new), expected);
    };
    from("x: u32", "x: u32, y: u8", &["BREAKS Thing::a::y: added: `u8`"]);
    from(
        "x: u32",
        "f: File, x: u32",
        &[
            "BREAKS Thing::a::f: added: `a handle (file)`",
            "MORE Thing::a::f: a handle (file) (to the server)",
        ],
    );
    from("x: u32, y: u8", "y: u8", &["BREAKS Thing::a::x: removed"]);
    from(
        "x: u8, y: u8",
        "y: u8, x: u8",
        &["BREAKS Thing::a::x: moved from position 1 to position 2"],
    );
    from("x: u8", "y: u8", &["goes on Thing::a::y: renamed from `x`"]);
    from("x: u8", "x: u16", &["BREAKS Thing::a::x: type changed from `u8` to `u16`"]);
    from("x: u8", "x: Option<u8>", &["BREAKS Thing::a::x: type changed from `u8` to `Option<u8>`"]);
    from(
        "x: [u8; 4]",
        "x: [u8; 8]",
        &[
            "BREAKS Thing::a::x: type changed from `[u8; 4]` to `[u8; 8]`",
            "MORE Thing::a::x: limit: 8 instead of 4 (to the server)",
        ],
    );
    from(
        "x: [u8; 8]",
        "x: [u8; 4]",
        &["BREAKS Thing::a::x: type changed from `[u8; 8]` to `[u8; 4]`"],
    );
    from(
        "x: HashMap<u8, File>",
        "x: BTreeMap<u8, Event>",
        &[
            "goes on Thing::a::x: declares a handle (event) instead of a handle (file)",
            "MORE Thing::a::x: kind event (to the server)",
        ]
        .map(|line| line.replace("goes on", "BREAKS"))
        .each_ref()
        .map(String::as_str),
    );
}

#[test]
fn handles_in_parameters() {
    let method =
        |declared: &str, ty: &str| format!("fn a(&self, {declared} x: {ty}) -> Result<()>;");
    let fd = |old: &str, new: &str, expected: &[&str]| {
        methods(&method(old, "OwnedFd"), &method(new, "OwnedFd"), expected);
    };
    fd(
        "#[handle(file)]",
        "#[handle(file | pipe)]",
        &[
            "goes on Thing::a::x: declares a handle (file | pipe) instead of a handle (file)",
            "MORE Thing::a::x: kind pipe (to the server)",
        ],
    );
    fd(
        "#[handle(file | pipe)]",
        "#[handle(file)]",
        &["BREAKS Thing::a::x: declares a handle (file) instead of a handle (file | pipe)"],
    );
    fd(
        "#[handle(file)]",
        "",
        &[
            "goes on Thing::a::x: declares a handle (any) instead of a handle (file)",
            "MORE Thing::a::x: a handle of any kind (to the server)",
        ],
    );
    fd(
        "#[handle(file, read)]",
        "#[handle(file, read | write)]",
        &[
            "BREAKS Thing::a::x: declares a handle (file, read | write) instead of a handle (file, read)",
            "MORE Thing::a::x: right write (to the server)",
        ],
    );
    fd(
        "#[handle(file, read | write)]",
        "#[handle(file, read)]",
        &[
            "goes on Thing::a::x: declares a handle (file, read) instead of a handle (file, read | write)",
        ],
    );
    fd(
        "#[handle(file, at_most = read)]",
        "#[handle(file)]",
        &[
            "goes on Thing::a::x: declares a handle (file) instead of a handle (file, at most read)",
            "MORE Thing::a::x: all rights: the maximum was removed (to the server)",
        ],
    );
    fd(
        "#[handle(file, at_most = read)]",
        "#[handle(file, at_most = read | write)]",
        &[
            "goes on Thing::a::x: declares a handle (file, at most read | write) instead of a handle (file, at most read)",
            "MORE Thing::a::x: right write added to the maximum (to the server)",
        ],
    );
    fd(
        "#[handle(socket(tcp_stream))]",
        "#[handle(socket)]",
        &[
            "goes on Thing::a::x: declares a handle (socket) instead of a handle (socket of tcp_stream)",
            "MORE Thing::a::x: other socket types (to the server)",
        ],
    );
    fd(
        "#[handle(file(regular))]",
        "#[handle(file)]",
        &[
            "goes on Thing::a::x: declares a handle (file) instead of a handle (file of regular)",
            "MORE Thing::a::x: other file types (to the server)",
        ],
    );
    methods(
        &method("", "Event"),
        &method("", "ManualEvent"),
        &[
            "BREAKS Thing::a::x: declares a handle (manual event) instead of a handle (event)",
            "MORE Thing::a::x: kind manual event (to the server)",
        ],
    );
    methods(
        &method("", "File"),
        &method("", "Vec<File>"),
        &[
            "BREAKS Thing::a::x: type changed from `a handle (file)` to `Vec<a handle (file)>`",
            "MORE Thing::a::x: a handle (file), any number of them (to the server)",
        ],
    );
    methods(
        &method("", "Vec<File>"),
        &method("", "File"),
        &["BREAKS Thing::a::x: type changed from `Vec<a handle (file)>` to `a handle (file)`"],
    );
    // The declaration contradicts the type. Such a parameter accepts no handle at all, rather than
    // any handle.
    methods(
        &method("", "TcpStream"),
        &method("#[handle(socket(udp_socket))]", "TcpStream"),
        &[
            "BREAKS Thing::a::x: declares a handle (socket of no sort) instead of a handle (socket of tcp_stream)",
        ],
    );
    // A type implies a declaration. Writing the same declaration explicitly is not a change.
    methods(&method("", "PipeReader"), &method("#[handle(pipe, read)]", "OwnedFd"), &[]);
    methods(&method("", "TcpStream"), &method("#[handle(socket)]", "TcpStream"), &[]);
}

#[test]
fn handles_in_results() {
    let method = |declared: &str| format!("{declared} fn a(&self) -> Result<OwnedFd>;");
    let from = |old: &str, new: &str, expected: &[&str]| {
        methods(&method(old), &method(new), expected);
    };
    // Accepting more handles breaks old clients, and accepting fewer breaks old servers.
    from(
        "#[handle(file)]",
        "#[handle(file | pipe)]",
        &[
            "BREAKS Thing::a::result: declares a handle (file | pipe) instead of a handle (file)",
            "MORE Thing::a::result: kind pipe (to the client)",
        ],
    );
    from(
        "#[handle(file, read)]",
        "#[handle(file, read | write)]",
        &[
            "BREAKS Thing::a::result: declares a handle (file, read | write) instead of a handle (file, read)",
            "MORE Thing::a::result: right write (to the client)",
        ],
    );
    methods(
        "fn a(&self) -> Result<u8>;",
        "fn a(&self) -> Result<(u8, Event)>;",
        &[
            "BREAKS Thing::a::result: type changed from `u8` to `(u8, a handle (event))`",
            "MORE Thing::a::result: a handle (event) (to the client)",
        ],
    );
    methods(
        "fn a(&self) -> Result<u8>;",
        "fn a(&self) -> Result<u8, Trouble>;",
        &["BREAKS Thing::a::error: error changed from the default type to a custom type"],
    );
}

#[test]
fn parameters_that_change_sides() {
    methods(
        "fn a(&self, x: Event) -> Result<()>;",
        "fn a(&self) -> Result<Event>;",
        &[
            "BREAKS Thing::a::x: was an input and is an output",
            "MORE Thing::a::x: a handle (event) (to the client)",
        ],
    );
    idl_methods(
        "HRESULT A([in, system_handle(sh_file)] HANDLE x, [out] long *y);",
        "HRESULT A([out, system_handle(sh_file)] HANDLE *x, [in] long y);",
        &[
            "BREAKS Thing::a::x: was an input and is an output",
            "MORE Thing::a::x: a handle (file) (to the client)",
            "BREAKS Thing::a::y: was an output and is an input",
        ],
    );
}

#[test]
fn masks_and_kinds_of_system_handles() {
    let method = |kind: &str| format!("HRESULT A([in, system_handle({kind})] HANDLE x);");
    let from = |old: &str, new: &str, expected: &[&str]| {
        idl_methods(&method(old), &method(new), expected);
    };
    from("sh_file, 1", "sh_file, FILE_READ_DATA", &[]);
    from(
        "sh_file, GENERIC_READ",
        "sh_file, GENERIC_READ | GENERIC_WRITE",
        &[
            "BREAKS Thing::a::x: declares a handle (file, read | write) instead of a handle (file, read)",
            "MORE Thing::a::x: right write (to the server)",
        ],
    );
    from(
        "sh_file",
        "sh_event",
        &[
            "BREAKS Thing::a::x: declares a handle (event) instead of a handle (file)",
            "MORE Thing::a::x: kind event (to the server)",
        ],
    );
    from(
        "sh_section, SECTION_MAP_READ",
        "sh_section, SECTION_EXTEND_SIZE | SECTION_MAP_READ",
        &[
            "BREAKS Thing::a::x: declares a handle (section, read | resize) instead of a handle (section, read, at most append | map | read | seal | write)",
            "MORE Thing::a::x: right resize (to the server)",
        ],
    );
}

#[test]
fn access_rights_that_only_windows_has_are_compared() {
    let from = |old: &str, new: &str, expected: &[&str]| {
        let method = |handle: &str| format!("HRESULT A([in, system_handle({handle})] HANDLE x);");
        idl_methods(&method(old), &method(new), expected);
    };
    from(
        "sh_reg_key, KEY_READ",
        "sh_reg_key, KEY_ALL_ACCESS",
        &[
            "goes on Thing::a::x: access rights of Windows changed from 0x20019 to 0xf003f",
            "MORE Thing::a::x: access rights 0xd0026 of Windows (to its receiver)",
        ],
    );
    from(
        "sh_process, SYNCHRONIZE",
        "sh_process, SYNCHRONIZE | PROCESS_VM_WRITE",
        &[
            "goes on Thing::a::x: access rights of Windows changed from 0x100000 to 0x100020",
            "MORE Thing::a::x: access rights 0x20 of Windows (to its receiver)",
        ],
    );
    from(
        "sh_reg_key",
        "sh_reg_key, KEY_READ",
        &[
            "BREAKS Thing::a::x: access rights of Windows changed from all of the sender's to 0x20019",
        ],
    );
    from("sh_reg_key", "sh_reg_key, 0", &[]);
    from("sh_reg_key, KEY_READ", "sh_reg_key, 0x20019", &[]);
}

#[test]
fn sizes_and_bounds() {
    idl_methods(
        "HRESULT A([in, range(0, 10)] ULONG n, [in, size_is(n)] BYTE *x);",
        "HRESULT A([in, range(0, 100)] ULONG n, [in, size_is(n)] BYTE *x);",
        &[
            "goes on Thing::a::x: takes 0..=100 instead of 0..=10",
            "MORE Thing::a::x: limit 0..=100 (to the server)",
        ],
    );
    idl_methods(
        "HRESULT A([in, range(0, 100)] long x);",
        "HRESULT A([in, range(0, 10)] long x);",
        &["BREAKS Thing::a::x: takes 0..=10 instead of 0..=100"],
    );
    idl_methods(
        "HRESULT A([in, range(0, 100)] long x);",
        "HRESULT A([in] long x);",
        &[
            "goes on Thing::a::x: takes anything instead of 0..=100",
            "MORE Thing::a::x: limit anything (to the server)",
        ],
    );
    idl_methods(
        "HRESULT A([in, string, max_is(63)] WCHAR *x);",
        "HRESULT A([in, string, size_is(256)] WCHAR *x);",
        &[
            "goes on Thing::a::x: takes 0..=255 instead of 0..=63",
            "MORE Thing::a::x: limit 0..=255 (to the server)",
        ],
    );
    // In Rust, the size isn't a separate parameter. In COM, it is, and its position matters.
    idl_methods(
        "HRESULT A([in] ULONG n, [in, size_is(n)] BYTE *x);",
        "HRESULT A([in, size_is(n)] BYTE *x, [in] long n);",
        &["BREAKS Thing::a::x: COM layout changed: a parameter that it refers to has moved"],
    );
    idl_methods(
        "HRESULT A([in] ULONG n, [in, size_is(n)] BYTE *x);",
        "HRESULT A([in] long m, [in, size_is(m)] byte *x);",
        &[],
    );
    // Compares an exact length with an arbitrary length.
    idl_methods(
        "HRESULT A([in, size_is(16)] BYTE *x);",
        "HRESULT A([in] ULONG n, [in, size_is(n)] BYTE *x);",
        &[
            "goes on Thing::a::x: takes anything instead of 16..=16",
            "MORE Thing::a::x: limit anything (to the server)",
            "BREAKS Thing::a::x: COM layout changed from `[size_is(constant)] 8-bit integer *` to `[size_is(n)] 8-bit integer *`",
            "BREAKS Thing::a: COM layout changed from `1 parameters` to `2 parameters`",
        ],
    );
    idl_methods(
        "HRESULT A([in] ULONG n, [in, size_is(n)] BYTE *x);",
        "HRESULT A([in] BYTE x[16]);",
        &["BREAKS Thing::a::x: type changed from `Vec<u8>` to `[u8; 16]`"],
    );
}

#[test]
fn structs_are_reported_once_with_their_direction() {
    let given = "fn a(&self, x: Place) -> Result<()>; fn b(&self, x: Vec<Place>) -> Result<()>;";
    let place = |fields: &str| format!("#[derive(Encode)] struct Place {{ {fields} }}");
    let from = |old: &str, new: &str, method: &str, expected: &[&str]| {
        beside(&place(old), &place(new), method, expected);
    };
    from(
        "#[handle(file, read)] x: File",
        "#[handle(file)] x: File",
        given,
        &["goes on Place::x: declares a handle (file) instead of a handle (file, read)"],
    );
    from(
        "#[handle(file, read)] x: File",
        "#[handle(file)] x: File",
        "fn a(&self) -> Result<Option<Place>>;",
        &["BREAKS Place::x: declares a handle (file) instead of a handle (file, read)"],
    );
    from(
        "x: u8",
        "x: u8, y: Event",
        "fn a(&self, x: Place) -> Result<Place>;",
        &[
            "BREAKS Place::y: added: `a handle (event)`",
            "MORE Place::y: a handle (event) (to either side)",
        ],
    );
    from("x: u8, y: u8", "x: u8", given, &["BREAKS Place::y: removed"]);
    from(
        "x: u8, y: u8",
        "y: u8, x: u8",
        given,
        &["BREAKS Place::x: moved from position 1 to position 2"],
    );
    from("x: u8", "z: u8", given, &["goes on Place::z: renamed from `x`"]);
    // A type that no method passes.
    from(
        "x: u8",
        "x: u16",
        "fn a(&self) -> Result<()>;",
        &["goes on Place::x: type changed from `u8` to `u16`"],
    );
    // A handle in a struct that is nested in another struct.
    beside(
        "#[derive(Encode)] struct Outer { inner: Vec<Inner> } #[derive(Encode)] struct Inner { #[range(0..=4)] x: u8 }",
        "#[derive(Encode)] struct Outer { inner: Vec<Inner> } #[derive(Encode)] struct Inner { #[range(0..=9)] x: u8 }",
        "fn a(&self, x: Outer) -> Result<()>;",
        &[
            "goes on Inner::x: takes 0..=9 instead of 0..=4",
            "MORE Inner::x: limit 0..=9 (to the server)",
        ],
    );
    // A declaration that applies to the whole parameter.
    says(
        &rust(&place("x: File"), "fn a(&self, #[handle(file, read)] x: Vec<Place>) -> Result<()>;"),
        &rust(&place("x: File"), "fn a(&self, x: Vec<Place>) -> Result<()>;"),
        &[
            "goes on Thing::a::x: declares a handle (any) instead of a handle (file, read)",
            "MORE Thing::a::x: a handle of any kind (to the server)",
        ],
    );
    // A different struct is used.
    says(
        &rust(&place("x: u8"), "fn a(&self, x: Place) -> Result<()>;"),
        &rust(
            "#[derive(Encode)] struct Delivery { x: u8, y: File }",
            "fn a(&self, x: Delivery) -> Result<()>;",
        ),
        &[
            "BREAKS Thing::a::x: type changed from `Place` to `Delivery`",
            "MORE Thing::a::x: a handle (file) (to the server)",
        ],
    );
}

#[test]
fn structs_that_grow() {
    let takes = "fn a(&self, x: Job) -> Result<()>;";
    let returns = "fn a(&self) -> Result<Vec<Job>>;";
    let job = |fields: &str| format!("#[derive(Encode)] #[grows] struct Job {{ {fields} }}");
    let from = |old: &str, new: &str, method: &str, expected: &[&str]| {
        beside(&job(old), &job(new), method, expected);
    };
    from("x: u8", "x: u8, #[added] y: u16", takes, &["goes on Job::y: added: `u16`"]);
    from("x: u8", "x: u8, #[added] y: u16", returns, &["goes on Job::y: added: `u16`"]);
    from(
        "x: u8",
        "x: u8, #[added(required)] y: u16, #[added] z: Option<File>",
        takes,
        &[
            "goes on Thing::a: the arguments can have handles of another kind in COM: file",
            "WARN Thing::a: the COM signature changed: peers that use COM need the same version",
            "goes on Job::y: required and added: `u16`",
            "goes on Job::z: added: `Option<a handle (file)>`",
            "MORE Job::z: a handle (file) (to the server)",
        ],
    );
    from(
        "x: u8",
        "x: u8, #[added(required)] y: u16, #[added] z: Option<File>",
        returns,
        &[
            "goes on Thing::a: the results can have handles of another kind in COM: file",
            "WARN Thing::a: the COM signature changed: peers that use COM need the same version",
            "goes on Job::y: required and added: `u16`",
            "WARN Job::y: an old client can't receive a result that sets this field",
            "goes on Job::z: added: `Option<a handle (file)>`",
            "MORE Job::z: a handle (file) (to the client)",
            "WARN Job::z: an old client can't receive a result that has this handle",
        ],
    );
    from(
        "x: u8",
        "x: u8, #[added] pages_max: u16, #[added(required)] read_only: bool",
        takes,
        &[
            "goes on Job::pages_max: added: `u16`",
            "WARN Job::pages_max: an old receiver ignores this limit: write `#[added(required)]`",
            "goes on Job::read_only: required and added: `bool`",
        ],
    );
    from("x: u8", "x: u8, y: u16", takes, &["BREAKS Job::y: added without `#[added]`: `u16`"]);
    from(
        "x: u8, #[added] z: u8",
        "x: u8, #[added] y: u16, #[added] z: u8",
        takes,
        &["BREAKS Job::y: added: `u16`"],
    );
    from(
        "x: u8, #[added] y: u8, #[added] z: u8",
        "x: u8, #[added] z: u8, #[added] y: u8",
        takes,
        &["BREAKS Job::y: moved from position 2 to position 3"],
    );
    from("x: u8, #[added] y: u8", "x: u8", takes, &["BREAKS Job::y: removed"]);
    from(
        "#[added] x: u8, #[added] y: u8",
        "#[added] x: u16, #[added] y: u8",
        takes,
        &["BREAKS Job::x: type changed from `u8` to `u16`"],
    );
    from(
        "#[added] x: u8, #[added(required)] y: u8",
        "#[added(required)] x: u8, #[added(default = 3)] y: u8",
        takes,
        &[
            "goes on Job::x: became required",
            "goes on Job::y: is no longer required",
            "WARN Job::y: receivers that don't know the field ignore it",
            "goes on Job::y: default changed from that of its type to `3`",
        ],
    );
    from("x: u8", "#[added] x: u8", takes, &["goes on Job::x: became `#[added]`"]);
    from(
        "#[added] x: u8",
        "x: u8",
        takes,
        &["BREAKS Job::x: is no longer `#[added]`: values of older versions lack it"],
    );
    let fixed = "#[derive(Encode)] struct Job { x: u8 }";
    beside(
        fixed,
        &job("x: u8"),
        takes,
        &["BREAKS Job: got `#[grows]`, which changes its form on the wire"],
    );
    beside(
        &job("x: u8"),
        fixed,
        takes,
        &["BREAKS Job: lost `#[grows]`, which changes its form on the wire"],
    );
    // A value in a tuple has no size.
    says(
        &rust(&job("x: u8, y: u8"), takes),
        &rust("", "fn a(&self, x: (u8, u8)) -> Result<()>;"),
        &["BREAKS Thing::a::x: type changed from `Job` to `(u8, u8)`"],
    );
}

/// COM passes the handles of each kind in an array of its own, in each direction.
#[test]
fn an_added_handle_changes_a_com_signature_if_its_kind_is_new() {
    let job = |field: &str| {
        format!(
            "#[derive(Encode)] #[grows] struct Job {{ x: Option<Part>, {field} }}
                 #[derive(Encode)] struct Part {{ x: File }}"
        )
    };
    let com = |field: &str, method: &str| -> Vec<String> {
        let (old, new) = (rust(&job(""), method), rust(&job(field), method));
        let changes = diff(&old, &new).into_iter();
        changes.filter(|of| of.name == "Thing::a").map(|of| of.description).collect()
    };
    let takes = "fn a(&self, x: Job) -> Result<Event>;";
    let none: [&str; 0] = [];
    assert_eq!(com("#[added] y: Vec<File>", takes), none);
    assert_eq!(com("#[added] y: Option<Directory>", takes), none, "a file in COM");
    assert_eq!(com("#[added] y: Option<Timer>", takes), none, "COM has no timers");
    let text = |of: &str| format!("the arguments can have handles of another kind in COM: {of}");
    for (field, kind) in [
        ("#[added] y: Option<Event>", "event"),
        ("#[added] y: Option<ManualEvent>", "event"),
        ("#[added] y: Vec<OwnedHandle>", "any kind"),
        ("#[added] #[handle(file | pipe)] y: Option<OwnedHandle>", "pipe"),
    ] {
        assert_eq!(com(field, takes), [text(kind)], "{field}");
    }
    let with_event = "fn a(&self, x: Job, y: ManualEvent) -> Result<()>;";
    assert_eq!(com("#[added] y: Option<Event>", with_event), none);
    let with_any = "fn a(&self, x: Job, y: OwnedHandle) -> Result<()>;";
    assert_eq!(com("#[added] y: Option<Event>", with_any), none);
    let returns = "fn a(&self, x: Event) -> Result<Job>;";
    let text = "the results can have handles of another kind in COM: event";
    assert_eq!(com("#[added] y: Option<Event>", returns), [text]);
}

#[test]
fn enums_that_grow() {
    let look = |variants: &str| format!("#[derive(Encode)] #[grows] enum Look {{ {variants} }}");
    let from = |old: &str, new: &str, method: &str, expected: &[&str]| {
        beside(&look(old), &look(new), method, expected);
    };
    let given = "fn a(&self, x: Look) -> Result<()>;";
    let returned = "fn a(&self) -> Result<Look>;";
    let added = ["goes on Look::Shiny: variant added"];
    // The unknown variant has no number, so its place doesn't matter.
    from("Dull, #[unknown] Other", "Dull, Shiny, #[unknown] Other", given, &added);
    from("#[unknown] Other, Dull", "Dull, Shiny, #[unknown] Unknown", returned, &added);
    from(
        "Dull, #[unknown] Other",
        "Dull, Shiny(File), #[unknown] Other",
        returned,
        &[
            "goes on Thing::a: the results can have handles of another kind in COM: file",
            "WARN Thing::a: the COM signature changed: peers that use COM need the same version",
            "goes on Look::Shiny: variant added",
            "MORE Look::Shiny: a handle (file) (to the client)",
            "WARN Look::Shiny: an old client can't receive a result with this variant",
        ],
    );
    from(
        "Dull, #[unknown] Other",
        "Shiny, Dull, #[unknown] Other",
        given,
        &["BREAKS Look::Shiny: variant inserted"],
    );
}

#[test]
fn enums_and_unions() {
    let look = |variants: &str| format!("#[derive(Encode)] enum Look {{ {variants} }}");
    let from = |old: &str, new: &str, method: &str, expected: &[&str]| {
        beside(&look(old), &look(new), method, expected);
    };
    let given = "fn a(&self, x: Look) -> Result<()>;";
    let returned = "fn a(&self) -> Result<Look>;";
    from("Dull", "Dull, Shiny", given, &["goes on Look::Shiny: variant added"]);
    from("Dull", "Dull, Shiny", returned, &["BREAKS Look::Shiny: variant added"]);
    from(
        "Dull",
        "Dull, Shiny(File)",
        given,
        &[
            "goes on Thing::a: the arguments can have handles of another kind in COM: file",
            "WARN Thing::a: the COM signature changed: peers that use COM need the same version",
            "goes on Look::Shiny: variant added",
            "MORE Look::Shiny: a handle (file) (to the server)",
        ],
    );
    from("Dull", "Shiny, Dull", given, &["BREAKS Look::Shiny: variant inserted"]);
    from("Dull, Shiny", "Dull", given, &["BREAKS Look::Shiny: variant removed"]);
    from("Dull, Shiny", "Dull, Bright", given, &["goes on Look::Bright: renamed from `Shiny`"]);
    from(
        "Dull, Shiny",
        "Dull, Shiny = 5",
        given,
        &["BREAKS Look::Shiny: its number changed from 1 to 5"],
    );
    from(
        "Dull(u8)",
        "Dull(u16)",
        given,
        &["BREAKS Look::Dull::field0: type changed from `u8` to `u16`"],
    );
    beside(
        "#[derive(Encode)] struct Look { x: u8 }",
        "#[derive(Encode)] enum Look { X(File) }",
        given,
        &[
            "BREAKS Look: changed from a struct to an enum",
            "MORE Look: a handle (file) (to the server)",
        ],
    );
    let choice = |arms: &str| {
        idl(
            &format!("typedef union Choice switch (long kind) u {{ {arms} }} Choice;"),
            "HRESULT A([in] Choice *x);",
        )
    };
    says(
        &choice("case 1: long number;"),
        &choice("case 1: long number; case 2: [system_handle(sh_file)] HANDLE file;"),
        &[
            "goes on Thing::a: the arguments can have handles of another kind in COM: file",
            "WARN Thing::a: the COM signature changed: peers that use COM need the same version",
            "goes on Choice::File: variant added",
            "MORE Choice::File: a handle (file) (to the server)",
            "WARN Choice::File: a COM program contains the layout, which can't grow: declare a new interface",
        ],
    );
}

#[test]
fn typedefs_are_followed() {
    let text = |ty: &str| {
        idl(
            &format!("typedef {ty} INNER; typedef INNER OUTER; typedef struct S {{ OUTER x; }} S;"),
            "HRESULT A([in] OUTER x, [in] S *y);",
        )
    };
    says(
        &text("long"),
        &text("hyper"),
        &[
            "BREAKS Thing::a::x: type changed from `i32` to `i64`",
            "BREAKS S::x: type changed from `i32` to `i64`",
        ],
    );
    let handle = |mask: &str| {
        idl(
            &format!("typedef [system_handle(sh_file, {mask})] HANDLE LOG;"),
            "HRESULT A([in] LOG x);",
        )
    };
    says(
        &handle("GENERIC_READ"),
        &handle("GENERIC_WRITE"),
        &[
            "BREAKS Thing::a::x: declares a handle (file, write) instead of a handle (file, read)",
            "MORE Thing::a::x: right write (to the server)",
        ],
    );
}

#[test]
fn constants() {
    let from = |old: &str, new: &str, expected: &[&str]| {
        says(&idl(old, "HRESULT A();"), &idl(new, "HRESULT A();"), expected);
    };
    from(
        "const long LIMIT = 10;",
        "const long LIMIT = 20;",
        &["goes on LIMIT: changed from 10 to 20", "MORE LIMIT: a limit may be higher"],
    );
    from(
        "const long LIMIT = 20;",
        "const long LIMIT = 10;",
        &["goes on LIMIT: changed from 20 to 10"],
    );
    // Changing a constant also changes the size that depends on it.
    let sized = |max: u32| {
        idl(
            &format!("const long MAX = {max};"),
            "HRESULT A([in] BYTE x[MAX], [in, range(0, MAX)] long y);",
        )
    };
    says(
        &sized(8),
        &sized(4),
        &[
            "BREAKS Thing::a::x: type changed from `[u8; 8]` to `[u8; 4]`",
            "BREAKS Thing::a::y: takes 0..=4 instead of 0..=8",
            "goes on MAX: changed from 8 to 4",
        ],
    );
}

#[test]
fn identifiers_names_and_bases() {
    let interface = |iid: char, name: &str, base: &str| {
        whole(&format!(
            "import \"oaidl.idl\";\n\
             [object, uuid(1284c788-6978-43d5-9a02-414901a2ec7{iid})] interface {name} : {base} {{\n\
             HRESULT A([in] long x); }}"
        ))
    };
    says(
        &interface('5', "IThing", "IUnknown"),
        &interface('6', "IThing", "IUnknown"),
        &["BREAKS Thing::iid: identifier changed from 1284c788-6978-43d5-9a02-414901a2ec75 \
           to 1284c788-6978-43d5-9a02-414901a2ec76: old clients can't find it"],
    );
    says(
        &interface('5', "IThing", "IUnknown"),
        &interface('5', "IOther", "IUnknown"),
        &["goes on Other: renamed from `Thing`"],
    );
    says(
        &interface('5', "IThing", "IUnknown"),
        &interface('5', "IThing", "IDispatch"),
        &["BREAKS Thing::base: base changed from `IUnknown` to `IDispatch`"],
    );
    says(
        &interface('5', "IThing", "IUnknown"),
        &interface('6', "IOther", "IUnknown"),
        &["goes on Other: interface added", "BREAKS Thing: interface removed"],
    );
    let derived = |base: &str| {
        whole(&format!(
            "import \"oaidl.idl\";\n\
             [object, uuid(00000000-0000-0000-0000-000000000001)] interface IBase : IUnknown {{\n\
             HRESULT First([in, system_handle(sh_file)] HANDLE x); }}\n\
             [object, uuid(00000000-0000-0000-0000-000000000002)] interface ITop : {base} {{\n\
             HRESULT Last(); }}"
        ))
    };
    says(
        &derived("IUnknown"),
        &derived("IBase"),
        &[
            "BREAKS Top::base: base changed from `IUnknown` to `IBase`",
            "BREAKS Top::first: method inserted at position 1",
            "MORE Top::first: a method with a handle (file) (to the server)",
        ],
    );
}

#[test]
fn references_to_objects() {
    let listener = "#[interface(iid = \"00000000-0000-0000-0000-000000000001\")] pub trait Listener { fn heard(&self) -> Result<()>; }";
    methods(
        "fn a(&self, x: u8) -> Result<()>;",
        "fn a(&self, x: ListenerClient) -> Result<()>;",
        &[
            "BREAKS Thing::a::x: type changed from `u8` to `an object with Listener`",
            "MORE Thing::a::x: an object with Listener (to the server)",
        ],
    );
    let other = listener.replace("0001", "0002");
    says(
        &rust(listener, "fn a(&self, x: ListenerClient) -> Result<()>;"),
        &rust(&other, "fn a(&self, x: ListenerClient) -> Result<()>;"),
        &[
            "BREAKS Listener::iid: identifier changed from 00000000-0000-0000-0000-000000000001 \
             to 00000000-0000-0000-0000-000000000002: old clients can't find it",
            "BREAKS Thing::a::x: the definition of `an object with Listener` changed",
            "MORE Thing::a::x: an object with Listener (to the server)",
        ],
    );
}

#[test]
fn classes() {
    let class = |name: &str, clsid: char, interfaces: &str| {
        let a = "#[interface(iid = \"00000000-0000-0000-0000-000000000001\")] pub trait A {}";
        let b = "#[interface(iid = \"00000000-0000-0000-0000-000000000002\")] pub trait B {}";
        let of = format!(
            "class! {{ pub {name}: {interfaces} = \"0000000{clsid}-0000-0000-0000-000000000003\"; }}"
        );
        rust(&format!("{a}{b}{of}"), "")
    };
    says(
        &class("C", '1', "A"),
        &class("C", '1', "A + B"),
        &["goes on C::B: added", "MORE C::B: objects of the class have B"],
    );
    says(&class("C", '1', "A + B"), &class("C", '1', "A"), &["BREAKS C::B: removed"]);
    says(
        &class("C", '1', "A + B"),
        &class("C", '1', "B + A"),
        &[
            "goes on C::default: its first interface, which is the default interface in COM, is now `B`",
        ],
    );
    says(&class("C", '1', "A"), &class("D", '1', "A"), &["goes on D: renamed from `C`"]);
    says(
        &class("C", '1', "A"),
        &class("C", '2', "A"),
        &["BREAKS C::clsid: identifier changed from 00000001-0000-0000-0000-000000000003 \
           to 00000002-0000-0000-0000-000000000003: old clients can't find it"],
    );
    says(
        &class("C", '1', "A"),
        &class("D", '2', "A"),
        &[
            "goes on D::A: added",
            "MORE D::A: objects of the class have A",
            "BREAKS C: class removed",
        ],
    );
}

#[test]
fn an_idl_file_and_a_trait_are_compared_alike() {
    says(
        &idl("", "HRESULT A([in, system_handle(sh_file, GENERIC_READ)] HANDLE x, [out] long *y);"),
        &rust("", "fn a(&self, #[handle(file, read)] x: File) -> Result<i32>;"),
        &[],
    );
    says(
        &rust("", "fn a(&self, #[handle(file, read | write)] x: File) -> Result<()>;"),
        &idl("", "HRESULT A([in, system_handle(sh_file)] HANDLE x);"),
        &["goes on Thing::a::x: declares a handle (file) instead of a handle (file, read | write)"],
    );
}

#[test]
fn a_list_that_becomes_a_set_refuses_what_old_peers_send() {
    let takes = |ty: &str| format!("fn a(&self, x: {ty}) -> Result<()>;");
    let returns = |ty: &str| format!("fn a(&self) -> Result<{ty}>;");
    let (narrower, wider) = ("takes no item twice any more", "takes an item twice");
    let (list, set) = ("Vec<u8>", "BTreeSet<u8>");
    methods(&takes(list), &takes(set), &[&format!("BREAKS Thing::a::x: {narrower}")]);
    methods(&takes(set), &takes(list), &[&format!("goes on Thing::a::x: {wider}")]);
    methods(&returns(list), &returns(set), &[&format!("BREAKS Thing::a::result: {narrower}")]);
    methods(&returns(set), &returns(list), &[&format!("BREAKS Thing::a::result: {wider}")]);
    methods(&takes(set), &takes("HashSet<u8>"), &[]);
    methods(&takes("OsString"), &takes("PathBuf"), &[]);
}

#[test]
fn what_com_cannot_grow_has_a_warning() {
    let layout = "a COM program contains the layout, which can't grow: declare a new interface";
    idl_methods(
        "HRESULT A();",
        "HRESULT A(); HRESULT B();",
        &[
            "goes on Thing::b: method added at the end",
            "WARN Thing::b: a COM program can't tell an old object from a new one: declare a new \
             interface with the method",
        ],
    );
    idl_methods(
        "HRESULT A([in] long x);",
        "HRESULT A([in] long x, [in] long y);",
        &["BREAKS Thing::a::y: added: `i32`", &format!("WARN Thing::a::y: {layout}")],
    );
    let method = "HRESULT A([in] const Job *x);";
    says(
        &idl("typedef struct Job { long x; } Job;", method),
        &idl("typedef struct Job { long x; long y; } Job;", method),
        &["BREAKS Job::y: added: `i32`", &format!("WARN Job::y: {layout}")],
    );
    let method = "HRESULT A([in] Paper x);";
    says(
        &idl("typedef enum Paper { Paper_A4 } Paper;", method),
        &idl("typedef enum Paper { Paper_A4, Paper_A3 } Paper;", method),
        &["goes on Paper::A3: variant added", &format!("WARN Paper::A3: {layout}")],
    );
    // The traits of Rust programs have types that grow.
    methods(
        "fn a(&self) -> Result<()>;",
        "fn a(&self) -> Result<()>; fn b(&self) -> Result<()>;",
        &["goes on Thing::b: method added at the end"],
    );
}
