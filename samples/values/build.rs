//! Generates Rust code from the `.idl` file.

fn main() {
    syshandle_idl::build("idl/values.idl");
}
