//! The format characters of NDR's type and procedure strings, by their published names.
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
/// A reference pointer, as parameters have: never NULL, never changed.
pub(crate) const FC_RP: u8 = 0x11;
/// A unique pointer: may be NULL.
pub(crate) const FC_UP: u8 = 0x12;
/// An object pointer in the result of an interface method: may be NULL.
pub(crate) const FC_OP: u8 = 0x13;
/// A struct with the same layout in memory and on the wire.
pub(crate) const FC_STRUCT: u8 = 0x15;
/// Any other struct.
pub(crate) const FC_BOGUS_STRUCT: u8 = 0x1a;
/// A conformant array (its count is elsewhere) whose items have the same layout in memory and on
/// the wire.
pub(crate) const FC_CARRAY: u8 = 0x1b;
/// An array of fixed size, less than 64 KiB, with the same layout in memory and on the wire.
pub(crate) const FC_SMFARRAY: u8 = 0x1d;
/// Any other array.
pub(crate) const FC_BOGUS_ARRAY: u8 = 0x21;
/// UTF-16 text that ends with a zero.
pub(crate) const FC_C_WSTRING: u8 = 0x25;
/// A pointer to an interface.
pub(crate) const FC_IP: u8 = 0x2f;
pub(crate) const FC_CONSTANT_IID: u8 = 0x5a;
/// A system handle: `system_handle`.
pub(crate) const FC_SYSTEM_HANDLE: u8 = 0x3c;
/// A value that is marshalled by routines of the program.
pub(crate) const FC_USER_MARSHAL: u8 = 0xb4;
/// Within a struct: a pointer, whose description follows the struct.
pub(crate) const FC_POINTER: u8 = 0x36;
/// Within a struct: one byte of padding. The following codes stand for 2 to 7 bytes.
pub(crate) const FC_STRUCTPAD1: u8 = 0x3d;
/// Within a struct or an array: a type that has its own entry in the string.
pub(crate) const FC_EMBEDDED_COMPLEX: u8 = 0x4c;
/// Operator of a count: the parameter is a pointer to the count.
pub(crate) const FC_DEREFERENCE: u8 = 0x54;
pub(crate) const FC_END: u8 = 0x5b;
pub(crate) const FC_PAD: u8 = 0x5c;

/// The binding of an object's methods: implicit in the interface pointer.
pub(crate) const FC_AUTO_HANDLE: u8 = 0x33;

/// Type of a count: a parameter of type `unsigned long`.
pub(crate) const COUNT_IS_PARAMETER: u8 = 0x29;
/// Type of a count: an `unsigned long` field of the struct that has the pointer.
pub(crate) const COUNT_IS_FIELD: u8 = 0x19;
/// Flag of a count: the count is unmarshalled before the array.
pub(crate) const COUNT_IS_EARLY: u16 = 1;

/// Attribute of a pointer: the stub allocates the pointee on its stack.
pub(crate) const ALLOCED_ON_STACK: u8 = 0x04;
/// Attribute of a pointer: a format character and a pad byte follow instead of an offset.
pub(crate) const SIMPLE_POINTER: u8 = 0x08;
/// Attribute of a pointer: the pointee is a pointer.
pub(crate) const POINTER_DEREF: u8 = 0x10;
/// Attribute of a pointer: the pointee is an array, and the pointer may be NULL.
pub(crate) const MAYBENULL_SIZEIS: u8 = 0x20;
