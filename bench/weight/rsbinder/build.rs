//! Compiles the interface.

fn main() {
    rsbinder_aidl::Builder::new()
        .source("aidl/IHello.aidl")
        .output("hello.rs")
        .generate()
        .unwrap_or_else(|error| panic!("{error:?}"));
}
