//! Encoding of network addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::{Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder};

macro_rules! impl_ip {
    ($($type:ty),+) => {$(
        /// Encoded as the bytes of the address in network order, which is the order of its text.
        impl Encode for $type {
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put(&self.octets());
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from(input.take_array()?))
            }
        }
    )+};
}
impl_ip!(Ipv4Addr, Ipv6Addr);

/// Encoded as the address, followed by the port, a `u16`.
impl Encode for SocketAddrV4 {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&self.ip().octets());
        out.put(&self.port().to_le_bytes());
    }
}

impl Decode for SocketAddrV4 {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(Ipv4Addr::decode(input)?, u16::decode(input)?))
    }
}

/// Encoded as the address, followed by the port, a `u16`, the flow information, a `u32`, and the
/// scope, a `u32`.
impl Encode for SocketAddrV6 {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&self.ip().octets());
        out.put(&self.port().to_le_bytes());
        out.put(&self.flowinfo().to_le_bytes());
        out.put(&self.scope_id().to_le_bytes());
    }
}

impl Decode for SocketAddrV6 {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (ip, port) = (Ipv6Addr::decode(input)?, u16::decode(input)?);
        Ok(Self::new(ip, port, u32::decode(input)?, u32::decode(input)?))
    }
}

macro_rules! impl_either {
    ($($type:ident: $v4:ty, $v6:ty);+ $(;)?) => {$(
        /// Encoded as one byte, 4 or 6, followed by the address of that version.
        impl Encode for $type {
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                match self {
                    Self::V4(address) => {
                        out.put(&[4]);
                        address.encode(out);
                    }
                    Self::V6(address) => {
                        out.put(&[6]);
                        address.encode(out);
                    }
                }
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                match u8::decode(input)? {
                    4 => Ok(Self::V4(<$v4>::decode(input)?)),
                    6 => Ok(Self::V6(<$v6>::decode(input)?)),
                    _ => Err(input.error(DecodeErrorKind::Value { expected: stringify!($type) })),
                }
            }
        }
    )+};
}
impl_either! {
    IpAddr: Ipv4Addr, Ipv6Addr;
    SocketAddr: SocketAddrV4, SocketAddrV6;
}
