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
