//! The #[interface] attribute and the derives of syshandle.
