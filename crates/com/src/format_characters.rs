//! The format characters that NDR type and procedure strings consist of, with Microsoft's names.
//!
//! The codes are described in [Interpreting the RPC type format
//! strings](https://learn.microsoft.com/windows/win32/rpc/type-format-strings).

pub(crate) const FC_BYTE: u8 = 0x01;
pub(crate) const FC_SMALL: u8 = 0x03;
pub(crate) const FC_SHORT: u8 = 0x06;
pub(crate) const FC_LONG: u8 = 0x08;
pub(crate) const FC_FLOAT: u8 = 0x0a;
pub(crate) const FC_HYPER: u8 = 0x0b;
pub(crate) const FC_DOUBLE: u8 = 0x0c;
pub(crate) const FC_ENUM16: u8 = 0x0d;
pub(crate) const FC_ENUM32: u8 = 0x0e;
/// A reference pointer: never NULL, and never changed by the call. Used for parameters.
pub(crate) const FC_RP: u8 = 0x11;
/// A unique pointer, which may be NULL.
pub(crate) const FC_UP: u8 = 0x12;
/// An object pointer, which may be NULL. Used in the results of interface methods.
pub(crate) const FC_OP: u8 = 0x13;
/// A struct with the same layout in memory and on the wire.
pub(crate) const FC_STRUCT: u8 = 0x15;
/// A struct whose layouts in memory and on the wire differ.
pub(crate) const FC_BOGUS_STRUCT: u8 = 0x1a;
/// A conformant array: its item count is stored elsewhere. The items have the same layout in memory
/// and on the wire.
pub(crate) const FC_CARRAY: u8 = 0x1b;
/// An array of fixed size (less than 64 KiB) with the same layout in memory and on the wire.
pub(crate) const FC_SMFARRAY: u8 = 0x1d;
/// An array whose items have different layouts in memory and on the wire.
pub(crate) const FC_BOGUS_ARRAY: u8 = 0x21;
/// A zero-terminated UTF-16 string.
pub(crate) const FC_C_WSTRING: u8 = 0x25;
/// An interface pointer.
pub(crate) const FC_IP: u8 = 0x2f;
pub(crate) const FC_CONSTANT_IID: u8 = 0x5a;
/// A handle that the RPC runtime transfers (MIDL attribute `system_handle`).
pub(crate) const FC_SYSTEM_HANDLE: u8 = 0x3c;
/// A value that the program marshals with its own routines (MIDL attribute `user_marshal`).
pub(crate) const FC_USER_MARSHAL: u8 = 0xb4;
/// A pointer in a struct. The pointer's description follows the struct's.
pub(crate) const FC_POINTER: u8 = 0x36;
/// One byte of padding in a struct. The next six codes stand for 2 to 7 bytes.
pub(crate) const FC_STRUCTPAD1: u8 = 0x3d;
/// A member of a struct or array whose type has its own entry in the type string.
pub(crate) const FC_EMBEDDED_COMPLEX: u8 = 0x4c;
/// Count operator: the parameter points to the count.
pub(crate) const FC_DEREFERENCE: u8 = 0x54;
pub(crate) const FC_END: u8 = 0x5b;
pub(crate) const FC_PAD: u8 = 0x5c;

/// Binding handle type: implicit, because the interface pointer contains the binding.
pub(crate) const FC_AUTO_HANDLE: u8 = 0x33;

/// Count type: a parameter of type `unsigned long`.
pub(crate) const COUNT_IS_PARAMETER: u8 = 0x29;
/// Count type: an `unsigned long` field of the struct that contains the array's pointer.
pub(crate) const COUNT_IS_FIELD: u8 = 0x19;
/// Count flag: the count is unmarshalled before the array.
pub(crate) const COUNT_IS_EARLY: u16 = 1;

/// Pointer attribute: the stub allocates the pointee on its stack.
pub(crate) const ALLOCED_ON_STACK: u8 = 0x04;
/// Pointer attribute: a format character and a pad byte follow instead of an offset.
pub(crate) const SIMPLE_POINTER: u8 = 0x08;
/// Pointer attribute: the pointee is a pointer.
pub(crate) const POINTER_DEREF: u8 = 0x10;
/// Pointer attribute: the pointee is an array, and the pointer may be NULL.
pub(crate) const MAYBENULL_SIZEIS: u8 = 0x20;
