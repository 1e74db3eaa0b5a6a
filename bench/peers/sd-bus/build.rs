//! Compiles the C code if the headers of libsystemd are installed.

use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(sd_bus)");
    println!("cargo::rerun-if-changed=src/bus.c");
    println!("cargo::rerun-if-env-changed=PKG_CONFIG_PATH");
    // Checked again in each build until the headers are installed.
    println!("cargo::rerun-if-changed=/usr/include/systemd/sd-bus.h");
    let found = Command::new("pkg-config").args(["--cflags", "--libs", "libsystemd"]).output();
    let Some(found) = found.ok().filter(|found| found.status.success()) else {
        println!("cargo::warning=sd-bus is left out: libsystemd-dev isn't installed");
        return;
    };
    let flags = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut build = cc::Build::new();
    for flag in flags.split_whitespace() {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={folder}");
        } else if !flag.starts_with("-l") {
            build.flag(flag);
        }
    }
    build.file("src/bus.c").warnings(true).compile("bench_bus");
    println!("cargo::rustc-link-lib=systemd");
    println!("cargo::rustc-cfg=sd_bus");
}
