//! Makes Rust of the `.idl` files.

fn main() {
    syshandle_idl::build("../sparkle/idl/sparkle.idl");
    syshandle_idl::build("idl/variety.idl");
}
