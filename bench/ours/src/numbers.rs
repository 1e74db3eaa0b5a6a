//! The interface without handles, and the class for the Cold work.

use syshandle::{Result, class, interface};

/// Calls without handles.
#[interface(iid = "6ee9a1f4-8a2b-4a30-9a6e-2f4d9b1c7a01")]
pub trait Numbers {
    /// W1: returns the successor of the number.
    fn null(&self, number: u64) -> Result<u64>;

    /// W5: returns the bytes.
    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// Takes a number, without a reply.
    #[oneway]
    fn notify(&self, number: u64);
}

/// An older version of the interface, whose clients compare the descriptions.
pub mod older {
    use syshandle::{Result, interface};

    /// Calls without handles.
    #[interface(iid = "6ee9a1f4-8a2b-4a30-9a6e-2f4d9b1c7a01")]
    pub trait Numbers {
        /// W1: returns the successor of the number.
        fn null(&self, number: u64) -> Result<u64>;
    }
}

class! {
    /// The class that `bench-syshandle-cold` serves. Its server is started in each lap.
    pub COLD: Numbers = "b1b5ae0c-9f37-44cb-a0b8-0c6a5a54ee04";
}
