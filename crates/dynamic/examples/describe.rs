//! Prints the interface of the server that listens at a path, and calls a method with texts and
//! numbers: `describe PATH [METHOD [ARGUMENT…]]`. Linux only.
#![cfg_attr(not(windows), expect(clippy::print_stdout, reason = "the output of the example"))]

#[cfg(not(windows))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use syshandle::Printable;
    use syshandle_dynamic::{DynamicClient, Value};

    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: describe PATH [METHOD [ARGUMENT…]]")?;
    let object = DynamicClient::connect(path, None)?;
    let description = object.description()?;
    let Some(method) = arguments.next() else {
        println!("interface {} {}", Printable(&description.name), description.iid);
        for method in &description.methods {
            let parameters: Vec<_> = method
                .parameters
                .iter()
                .map(|it| format!("{}: {}", it.name, description.type_text(&it.ty)))
                .collect();
            let result = description.type_text(&method.result.ty);
            let line = format!("{}({}) -> {result}", method.name, parameters.join(", "));
            println!("  {}", Printable(&line));
            for it in &method.parameters {
                let bounds = it.bounds.map(|bounds| format!(" ({bounds})")).unwrap_or_default();
                let docs = it.docs.lines().next().unwrap_or_default();
                if !bounds.is_empty() || !docs.is_empty() {
                    println!("    {}", Printable(format!("{}{bounds}: {docs}", it.name)));
                }
            }
        }
        // An object may have more interfaces. `cast` selects another one.
        for other in object.interfaces()?.iter().filter(|other| other.iid != description.iid) {
            println!("interface {} {}", Printable(&other.name), other.iid);
        }
        return Ok(());
    };
    let values: Vec<Value> =
        arguments.map(|text| text.parse().map_or_else(|_| text.into(), Value::Signed)).collect();
    println!("{:?}", object.call(&method, &values)?);
    Ok(())
}

#[cfg(windows)]
fn main() {}
