//! The proxy DLL of the sparkle sample. With it, programs in C or C++ can call a server in Rust,
//! and can serve clients in Rust. The CLSID of the proxies is the UUID of the library in
//! `sparkle.idl`.

#![forbid(unsafe_code)]

syshandle::proxy_dll! {
    sparkle::SparkleFinisher = "086bfa6b-3c18-4b61-9d4b-120e64f165dc"
}
