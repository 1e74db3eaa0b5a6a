//! Compiles the interface.

fn main() {
    rsbinder_aidl::Builder::new()
        .source("aidl/IBench.aidl")
        .output("bench.rs")
        .generate()
        .unwrap_or_else(|error| panic!("{error:?}"));
}
