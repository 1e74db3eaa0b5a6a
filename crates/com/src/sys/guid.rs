//! Conversion between COM's `GUID` and this project's [`Guid`].

use syshandle_types::Guid;
use windows_sys::core::GUID;

/// Converts to COM's structure.
pub(super) fn com_guid(guid: Guid) -> GUID {
    GUID::from_u128(u128::from_be_bytes(guid.to_bytes()))
}

/// Converts from COM's structure.
pub(super) fn own_guid(guid: &GUID) -> Guid {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&guid.data1.to_be_bytes());
    bytes[4..6].copy_from_slice(&guid.data2.to_be_bytes());
    bytes[6..8].copy_from_slice(&guid.data3.to_be_bytes());
    bytes[8..].copy_from_slice(&guid.data4);
    Guid::from_bytes(bytes)
}

/// Returns whether two GUIDs are equal.
pub(super) fn same(a: &GUID, b: &GUID) -> bool {
    (a.data1, a.data2, a.data3, a.data4) == (b.data1, b.data2, b.data3, b.data4)
}
