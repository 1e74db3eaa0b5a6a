//! The proxy DLL of the sparkle sample. With it, programs in C or C++ can call a server in Rust and
//! serve clients in Rust. Its class is the library's UUID in `sparkle.idl`.

#![forbid(unsafe_code)]

syshandle::proxy_dll! {
    sparkle::SparkleFinisher = "086bfa6b-3c18-4b61-9d4b-120e64f165dc"
}
