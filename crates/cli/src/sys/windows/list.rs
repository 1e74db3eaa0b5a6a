//! `syshandle list` on Windows: shows the registrations in the Windows registry.

use std::process::ExitCode;

use syshandle::Result;
use syshandle_registry::ComRegistry;
use syshandle_types::Printable;

use crate::output::outln;

pub(crate) fn run() -> Result<ExitCode> {
    let all = ComRegistry::own().list()?;
    let proxies = ComRegistry::own().proxies()?;
    if all.is_empty() && proxies.is_empty() {
        outln!("no class is registered");
    }
    for class in all {
        outln!("{} {{{}}}", Printable(&class.name), class.clsid);
        outln!("    program  {}", Printable(class.program.display()));
        for (name, value) in &class.environment {
            outln!("    with     {}={}", Printable(name), Printable(value));
        }
        if !class.program.exists() {
            outln!("    broken   the program does not exist");
        }
    }
    for proxy in proxies {
        outln!("proxies {{{}}}", proxy.clsid);
        outln!("    library  {}", Printable(proxy.library.display()));
        for (iid, name) in &proxy.interfaces {
            outln!("    for      {} {{{iid}}}", Printable(name));
        }
        if !proxy.library.exists() {
            outln!("    broken   the library does not exist");
        }
    }
    Ok(ExitCode::SUCCESS)
}
