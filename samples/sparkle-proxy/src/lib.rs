//! The proxy DLL of the sparkle sample: by it programs in C or C++ call a server in Rust, and serve
//! clients in Rust. Its class is that of the COM original.

#![forbid(unsafe_code)]

syshandle::proxy_dll! {
    sparkle::SparkleFinisher = "086bfa6b-3c18-4b61-9d4b-120e64f165dc"
}
