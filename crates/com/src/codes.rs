//! The format characters of NDR's type and procedure strings, by their published names.
//!
//! What they mean is described in [Interpreting the RPC type format
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
/// A pointer that is never NULL and never changes: that of a parameter.
pub(crate) const FC_RP: u8 = 0x11;
/// A pointer that may be NULL.
pub(crate) const FC_UP: u8 = 0x12;
/// A pointer that may be NULL, in what an object's method gives out.
pub(crate) const FC_OP: u8 = 0x13;
/// A struct whose form in memory is that on the wire.
pub(crate) const FC_STRUCT: u8 = 0x15;
/// Any other struct.
pub(crate) const FC_BOGUS_STRUCT: u8 = 0x1a;
/// An array with a count elsewhere, whose items' form in memory is that on the wire.
pub(crate) const FC_CARRAY: u8 = 0x1b;
/// An array of fixed size, less than 64 KiB, whose form in memory is that on the wire.
pub(crate) const FC_SMFARRAY: u8 = 0x1d;
/// Any other array.
pub(crate) const FC_BOGUS_ARRAY: u8 = 0x21;
/// UTF-16 up to a zero.
pub(crate) const FC_C_WSTRING: u8 = 0x25;
/// A pointer to an interface.
pub(crate) const FC_IP: u8 = 0x2f;
pub(crate) const FC_CONSTANT_IID: u8 = 0x5a;
/// A handle of the system: `system_handle`.
pub(crate) const FC_SYSTEM_HANDLE: u8 = 0x3c;
/// A value that routines of the program's bring to the wire.
pub(crate) const FC_USER_MARSHAL: u8 = 0xb4;
/// In a struct: a pointer, described behind the struct.
pub(crate) const FC_POINTER: u8 = 0x36;
/// In a struct: so many bytes of padding, one for this code and one more for each that follows.
pub(crate) const FC_STRUCTPAD1: u8 = 0x3d;
/// In a struct or an array: a type described elsewhere.
pub(crate) const FC_EMBEDDED_COMPLEX: u8 = 0x4c;
/// Of a count: it is what the parameter points at.
pub(crate) const FC_DEREFERENCE: u8 = 0x54;
pub(crate) const FC_END: u8 = 0x5b;
pub(crate) const FC_PAD: u8 = 0x5c;

/// The binding of an object's methods.
pub(crate) const FC_AUTO_HANDLE: u8 = 0x33;

/// Of a count, `unsigned long`: it is a parameter.
pub(crate) const COUNT_IS_PARAMETER: u8 = 0x29;
/// Of a count, `unsigned long`: it is a field of the struct that has the pointer.
pub(crate) const COUNT_IS_FIELD: u8 = 0x19;
/// Of a count: it is read before what it counts.
pub(crate) const COUNT_IS_EARLY: u16 = 1;

/// Of a pointer: the stub has a place on its stack for what it points at.
pub(crate) const ALLOCED_ON_STACK: u8 = 0x04;
/// Of a pointer: a character and a filler follow, no offset.
pub(crate) const SIMPLE_POINTER: u8 = 0x08;
/// Of a pointer: to a pointer.
pub(crate) const POINTER_DEREF: u8 = 0x10;
/// Of a pointer: to an array, and may be NULL.
pub(crate) const MAYBENULL_SIZEIS: u8 = 0x20;
