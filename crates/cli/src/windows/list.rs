//! `syshandle list`, from the registry.

use std::process::ExitCode;

use syshandle::{Registry, Result};

pub(crate) fn run() -> Result<ExitCode> {
    let all = Registry::own().list()?;
    let proxies = Registry::own().proxies()?;
    if all.is_empty() && proxies.is_empty() {
        println!("no class is registered");
    }
    for class in all {
        println!("{} {{{}}}", class.name, class.clsid);
        println!("    program  {}", class.program.display());
        for (name, value) in &class.environment {
            println!("    with     {name}={value}");
        }
        if !class.program.exists() {
            println!("    broken   there is no such program");
        }
    }
    for proxy in proxies {
        println!("proxies {{{}}}", proxy.clsid);
        println!("    library  {}", proxy.library.display());
        for (iid, name) in &proxy.interfaces {
            println!("    for      {name} {{{iid}}}");
        }
        if !proxy.library.exists() {
            println!("    broken   there is no such library");
        }
    }
    Ok(ExitCode::SUCCESS)
}
