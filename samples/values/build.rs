//! Makes Rust of the `.idl` file.

fn main() {
    syshandle_idl::build("idl/values.idl");
}
