//! Generates interfaces of several sizes. All methods of an interface are the same except for their
//! names.

use std::fmt::Write;
use std::path::PathBuf;

/// Number of methods of each interface.
const SIZES: [usize; 4] = [1, 10, 100, 300];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut text = format!(
        "/// The numbers of methods of the interfaces.\npub(crate) const SIZES: [usize; {}] = {SIZES:?};\n",
        SIZES.len()
    );
    for size in SIZES {
        interface(&mut text, size)?;
    }
    dispatch(&mut text)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo runs this")?);
    Ok(std::fs::write(out.join("sizes.rs"), text)?)
}

/// Writes an interface with `size` methods, its class, and its object.
fn interface(text: &mut String, size: usize) -> std::fmt::Result {
    writeln!(text, "/// An interface of {size} methods.")?;
    writeln!(text, "#[syshandle::interface(iid = \"77c3b7de-52c5-4a6e-9d11-1d40e8b0{size:04}\")]")?;
    writeln!(text, "pub trait Methods{size} {{")?;
    for number in 0..size {
        writeln!(text, "    /// Returns the next number.")?;
        writeln!(text, "    fn method_{number}(&self, number: u64) -> syshandle::Result<u64>;")?;
    }
    writeln!(text, "}}")?;
    writeln!(text, "impl Methods{size} for crate::server::Bench {{")?;
    for number in 0..size {
        writeln!(
            text,
            "    fn method_{number}(&self, number: u64) -> syshandle::Result<u64> {{ Ok(number + 1) }}"
        )?;
    }
    writeln!(text, "}}")?;
    writeln!(text, "syshandle::class! {{\n    /// The class of the interface of {size} methods.")?;
    writeln!(
        text,
        "    pub METHODS_{size}: Methods{size} = \"9a6d0d0c-3f0f-4f43-8f0e-51c6a0d2{size:04}\";\n}}"
    )
}

/// Writes the functions that select an interface by its size.
fn dispatch(text: &mut String) -> std::fmt::Result {
    let (mut clients, mut connects, mut calls) = (String::new(), String::new(), String::new());
    let (mut serves, mut registered) = (String::new(), String::new());
    for size in SIZES {
        let last = size - 1;
        writeln!(
            clients,
            "    /// A reference to the interface of {size} methods.\n    Of{size}(Methods{size}Client),"
        )?;
        writeln!(
            connects,
            "        {size} => Sized::Of{size}(activation.activate(METHODS_{size}.clsid())?),"
        )?;
        writeln!(calls, "            Self::Of{size}(client) => client.method_{last}(number),")?;
        write!(serves, "\n        .class(METHODS_{size}, || crate::server::Bench)")?;
        writeln!(registered, "        crate::registration::registered(METHODS_{size}),")?;
    }
    write!(
        text,
        "/// A reference to an object of one of the interfaces.
#[derive(Debug)]
pub(crate) enum Sized {{
{clients}}}

impl Sized {{
    /// Calls the last method.
    pub(crate) fn call_last(&self, number: u64) -> syshandle::Result<u64> {{
        match self {{
{calls}        }}
    }}
}}

/// Connects to the interface with this number of methods.
pub(crate) fn connect(activation: &syshandle::Activation, size: usize) -> bench_harness::Result<Sized> {{
    Ok(match size {{
{connects}        _ => return Err(format!(\"no interface has {{size}} methods: their numbers of methods are {{SIZES:?}}\").into()),
    }})
}}

/// Adds the classes of all interfaces to a server.
pub(crate) fn serve(server: syshandle::Server) -> syshandle::Server {{
    server{serves}
}}

/// Returns the registrations of these classes.
pub(crate) fn registered() -> Vec<syshandle_registry::RegisteredClass> {{
    vec![
{registered}    ]
}}
"
    )
}
