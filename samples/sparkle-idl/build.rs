//! Generates Rust code from the `.idl` files.

fn main() {
    syshandle_idl::build("../sparkle/idl/sparkle.idl");
    syshandle_idl::build("idl/variety.idl");
}
