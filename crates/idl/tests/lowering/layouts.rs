// Written by syshandle from an .idl file; changes here will be lost.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, syshandle::Encode, syshandle::Decode)]
pub enum E16 {
    A = 0,
    B = 5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, syshandle::Encode, syshandle::Decode)]
pub enum V1 {
    V1a,
    V1b,
}

pub type Neg = u32;
pub const NA: u32 = 4294967295;
pub const NB: u32 = 4294967295;
pub const NC: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, syshandle::Encode, syshandle::Decode)]
pub enum Big {
    Ba = 0,
    Bb = 32768,
}

pub type Flags = u32;
pub const FA: u32 = 1;
pub const FB: u32 = 2;
pub type V1Flags = u32;
pub const VFA: u32 = 1;
pub const VFB: u32 = 2;

/// The results of `TwoHM`.
#[derive(Debug, syshandle::Encode, syshandle::Decode)]
pub struct TTwoHM {
    pub a: syshandle::handle::Event,
    #[handle(file, write)]
    pub b: std::fs::File,
}

/// The results of `TwoPipes`.
#[derive(Debug, syshandle::Encode, syshandle::Decode)]
pub struct TTwoPipes {
    #[handle(pipe)]
    pub a: syshandle::handle::OwnedHandle,
    #[handle(pipe)]
    pub b: syshandle::handle::OwnedHandle,
}

/// The results of `NineResults`.
#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct TNineResults {
    pub a: i32,
    pub b: i32,
    pub c: i32,
    pub d: i32,
    pub e: i32,
    pub f: i32,
    pub g: i32,
    pub h: i32,
    pub i: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, syshandle::Encode, syshandle::Decode)]
pub enum Tagged {
    Ta,
    Tb,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct S8 {
    pub a: i32,
    pub b: i32,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct LargeInteger {
    pub quad_part: i64,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct UlargeInteger {
    pub quad_part: u64,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct S12 {
    pub a: i32,
    pub b: i32,
    pub c: i32,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct P {
    pub p: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct Q {
    pub p: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct Pb {
    pub b: bool,
    pub n: i32,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct R {
    pub next: Option<Box<R>>,
    pub v: i32,
}

#[syshandle::interface(iid = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0d101")]
pub trait Dual {
    #[com(differs = "its vtable index is 7 in the file and 3 in the trait")]
    fn a(&self, context: &syshandle::Context, a: i32) -> syshandle::Result<()>;
}

#[syshandle::interface(iid = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0d102")]
pub trait T {
    fn ok_number(
        &self,
        context: &syshandle::Context,
        a: i32,
        b: i64,
        d: f64,
    ) -> syshandle::Result<i16>;
    #[com(
        differs = "parameter `b`: the file passes a pointer to a 2-byte integer, but the trait passes a pointer to a 4-byte integer"
    )]
    fn v_bool(&self, context: &syshandle::Context) -> syshandle::Result<bool>;
    #[com(
        differs = "parameter `b`: the file passes a 2-byte integer, but the trait passes a 4-byte integer"
    )]
    fn in_v_bool(&self, context: &syshandle::Context, b: bool) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `b`: the file passes a 1-byte integer, but the trait passes a 4-byte integer"
    )]
    fn boolean(&self, context: &syshandle::Context, b: bool) -> syshandle::Result<()>;
    fn ok_bool(&self, context: &syshandle::Context, a: bool) -> syshandle::Result<bool>;
    #[com(differs = "parameter `a`: `BSTR` is marshaled by routines of Windows")]
    fn bstr(&self, context: &syshandle::Context, a: String) -> syshandle::Result<()>;
    #[com(differs = "parameter `a`: `BSTR` is marshaled by routines of Windows")]
    fn out_bstr(&self, context: &syshandle::Context) -> syshandle::Result<String>;
    #[com(
        differs = "parameter `a`: an `out` parameter precedes an `in` parameter, but in the trait all `in` parameters come first"
    )]
    fn out_first(&self, context: &syshandle::Context, b: i32) -> syshandle::Result<i32>;
    #[com(
        differs = "parameter `p`: the file passes a pointer to a counted array of a 1-byte integer, but the trait passes a 4-byte integer"
    )]
    fn behind(&self, context: &syshandle::Context, p: Vec<u8>) -> syshandle::Result<()>;
    fn ok_list(&self, context: &syshandle::Context, p: Vec<u8>) -> syshandle::Result<()>;
    fn ok_out_list(&self, context: &syshandle::Context) -> syshandle::Result<Vec<u8>>;
    #[com(
        differs = "parameter `q`: the file passes a pointer to a counted array of a 4-byte integer, but the trait passes a 4-byte integer"
    )]
    fn shared(
        &self,
        context: &syshandle::Context,
        p: Vec<u8>,
        q: Vec<i32>,
    ) -> syshandle::Result<()>;
    #[com(differs = "parameter `p`: its count is an expression")]
    fn const_(
        &self,
        context: &syshandle::Context,
        #[range(4..=4)]
        p: Vec<u8>,
    ) -> syshandle::Result<()>;
    #[com(differs = "parameter `p`: its count is an expression")]
    fn expr(
        &self,
        context: &syshandle::Context,
        n: u32,
        p: Vec<u8>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `s`: a struct of 2 fields and 8 bytes is passed by value, but the trait passes a pointer"
    )]
    fn by_value(&self, context: &syshandle::Context, s: S8) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `d`: a struct of 1 fields and 8 bytes is passed by value, but the trait passes a pointer"
    )]
    fn seek(
        &self,
        context: &syshandle::Context,
        d: LargeInteger,
        o: u32,
    ) -> syshandle::Result<UlargeInteger>;
    fn ok_by_value12(
        &self,
        context: &syshandle::Context,
        s: S12,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: an `in, out` parameter is one slot in the file, but two slots in the trait"
    )]
    fn in_out(&self, context: &syshandle::Context, a: i32) -> syshandle::Result<i32>;
    #[com(
        differs = "parameter `a`: an `in, out` parameter is one slot in the file, but two slots in the trait"
    )]
    fn in_out_s(&self, context: &syshandle::Context, a: S8) -> syshandle::Result<S8>;
    #[com(differs = "parameter `key`: traits don't support arrays as parameters")]
    fn key(&self, context: &syshandle::Context, key: [u8; 4]) -> syshandle::Result<()>;
    fn ptr_struct(&self, context: &syshandle::Context, p: P) -> syshandle::Result<()>;
    fn ptr_struct_out(&self, context: &syshandle::Context) -> syshandle::Result<P>;
    #[com(
        differs = "parameter `p`: field 1 of the struct: the file has a pointer that may be NULL to a counted array of a 1-byte integer, but the trait has a 4-byte integer"
    )]
    fn ptr_struct_q(&self, context: &syshandle::Context, p: Q) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: the file passes a 4-byte integer, but the trait passes an enum of 2 bytes on the wire"
    )]
    fn v1_e(&self, context: &syshandle::Context, a: V1) -> syshandle::Result<()>;
    fn ok_e16(&self, context: &syshandle::Context, a: E16) -> syshandle::Result<E16>;
    #[com(
        differs = "parameter `a`: the file passes an enum of 2 bytes on the wire, but the trait passes a 4-byte integer"
    )]
    fn neg(&self, context: &syshandle::Context, a: Neg) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: the file passes an enum of 2 bytes on the wire, but the trait passes a 4-byte integer"
    )]
    fn big(&self, context: &syshandle::Context, a: Big) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `p`: field 1 of the struct: the file has a 1-byte integer, but the trait has a 4-byte integer"
    )]
    fn bool_s(&self, context: &syshandle::Context, p: Pb) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `p`: an integer as long as a pointer has 4 bytes on the wire; parameter `q`: an integer as long as a pointer has 4 bytes on the wire"
    )]
    fn ulp(&self, context: &syshandle::Context, p: u64, q: u64) -> syshandle::Result<()>;
    fn two_h(
        &self,
        context: &syshandle::Context,
    ) -> syshandle::Result<(syshandle::handle::Event, std::fs::File)>;
    #[com(
        differs = "the trait passes its values as opaque bytes: result: a handle within a struct; parameter `a`: the access mask 0x1 reduces the rights that are sent, but traits don't support masks; parameter `b`: the access mask 0x2 reduces the rights that are sent, but traits don't support masks"
    )]
    fn two_hm(&self, context: &syshandle::Context) -> syshandle::Result<TTwoHM>;
    #[com(differs = "parameter `r`: field `next`: its struct contains itself")]
    fn recursive(&self, context: &syshandle::Context, r: R) -> syshandle::Result<()>;
    #[com(differs = "parameter `s`: a string that isn't UTF-16")]
    fn lpstr(&self, context: &syshandle::Context, s: String) -> syshandle::Result<()>;
    #[com(differs = "parameter `s`: a string that isn't UTF-16")]
    fn char_str(&self, context: &syshandle::Context, s: String) -> syshandle::Result<()>;
    fn ok_str(
        &self,
        context: &syshandle::Context,
        s: String,
    ) -> syshandle::Result<String>;
    fn ok_str2(
        &self,
        context: &syshandle::Context,
        s: String,
        u: Option<String>,
    ) -> syshandle::Result<String>;
    #[com(
        differs = "parameter `p`: the file passes a pointer that may be NULL to a counted array of a 1-byte integer, but the trait passes a pointer to a counted array of a 1-byte integer"
    )]
    fn unique_size(
        &self,
        context: &syshandle::Context,
        p: Vec<u8>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `p`: `length_is` changes the form of the array, but the trait passes only a count"
    )]
    fn out_len(
        &self,
        context: &syshandle::Context,
        n: u32,
    ) -> syshandle::Result<Vec<u8>>;
    #[com(
        differs = "parameter `h`: a `unique` handle may be NULL, which the trait doesn't permit"
    )]
    fn unique_handle(
        &self,
        context: &syshandle::Context,
        h: syshandle::handle::Event,
    ) -> syshandle::Result<()>;
    fn ok_handle(
        &self,
        context: &syshandle::Context,
        h: syshandle::handle::Event,
    ) -> syshandle::Result<std::fs::File>;
    #[com(
        differs = "parameter `t`: `T`: `wire_marshal` sends a different type from the one in memory"
    )]
    fn wire(
        &self,
        context: &syshandle::Context,
        t: Option<i16>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `p`: the file passes a pointer to a 4-byte integer, but the trait passes a 4-byte integer"
    )]
    fn in_ptr(&self, context: &syshandle::Context, p: i32) -> syshandle::Result<()>;
    fn ok_unique(
        &self,
        context: &syshandle::Context,
        p: Option<i32>,
        q: S8,
        r: Option<S8>,
        iid: syshandle::Guid,
    ) -> syshandle::Result<syshandle::Guid>;
    #[com(
        differs = "parameter `p`: the file passes a pointer to a pointer that may be NULL to a struct of 2 fields and 8 bytes, but the trait passes a pointer that may be NULL to a struct of 2 fields and 8 bytes"
    )]
    fn pp(&self, context: &syshandle::Context, p: Option<S8>) -> syshandle::Result<()>;
    fn ok_out_pp(&self, context: &syshandle::Context) -> syshandle::Result<Option<S8>>;
    fn ok_iface(
        &self,
        context: &syshandle::Context,
        p: TClient,
        q: Option<TClient>,
    ) -> syshandle::Result<TClient>;
    #[com(
        differs = "parameter `a`: `range` is checked by MIDL's proxy, but not by the trait's proxy"
    )]
    fn ranged(
        &self,
        context: &syshandle::Context,
        #[range(1..=3)]
        a: i32,
    ) -> syshandle::Result<()>;
    fn ok_handles(
        &self,
        context: &syshandle::Context,
        h: Vec<syshandle::handle::Event>,
    ) -> syshandle::Result<()>;
    #[handle(socket)]
    fn ok_pipe(
        &self,
        context: &syshandle::Context,
        #[handle(pipe)]
        p: syshandle::handle::OwnedHandle,
    ) -> syshandle::Result<syshandle::handle::OwnedHandle>;
    #[com(
        differs = "the trait passes its values as opaque bytes: result: a handle within a struct"
    )]
    fn two_pipes(&self, context: &syshandle::Context) -> syshandle::Result<TTwoPipes>;
    fn ok_mask_of_zero(
        &self,
        context: &syshandle::Context,
        h: std::fs::File,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `h`: the access mask FILE_GENERIC_READ reduces the rights that are sent, but traits don't support masks"
    )]
    fn masked(
        &self,
        context: &syshandle::Context,
        #[handle(file, read)]
        h: std::fs::File,
    ) -> syshandle::Result<()>;
    fn ok_handles_out(
        &self,
        context: &syshandle::Context,
    ) -> syshandle::Result<Vec<syshandle::handle::Event>>;
    #[com(
        differs = "parameter `h`: the file passes a pointer to a counted array of a handle, but the trait passes a 4-byte integer"
    )]
    fn handles_behind(
        &self,
        context: &syshandle::Context,
        h: Vec<syshandle::handle::Event>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `h`: the file passes a pointer to a handle, but the trait passes a handle"
    )]
    fn pointer_to_handle(
        &self,
        context: &syshandle::Context,
        h: syshandle::handle::Event,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `h`: an `in, out` parameter is one slot in the file, but two slots in the trait"
    )]
    fn in_out_handle(
        &self,
        context: &syshandle::Context,
        h: syshandle::handle::Event,
    ) -> syshandle::Result<syshandle::handle::Event>;
    #[com(
        differs = "parameter `a`: the file passes a pointer to a 4-byte integer, but the trait passes a pointer to a struct of 9 fields and 36 bytes"
    )]
    fn nine_results(
        &self,
        context: &syshandle::Context,
    ) -> syshandle::Result<TNineResults>;
    #[com(
        differs = "parameter `a`: an integer as long as a pointer has 4 bytes on the wire"
    )]
    fn int3264(&self, context: &syshandle::Context, a: i64) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: `ptr` declares a full pointer, which traits don't support"
    )]
    fn full(
        &self,
        context: &syshandle::Context,
        a: Option<i32>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: `max_is` changes the form of the array, but the trait passes only a count"
    )]
    fn max_is(&self, context: &syshandle::Context, a: Vec<u8>) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: the file passes an enum of 2 bytes on the wire, but the trait passes a 4-byte integer"
    )]
    fn flags(&self, context: &syshandle::Context, a: Flags) -> syshandle::Result<()>;
    fn ok_flags(
        &self,
        context: &syshandle::Context,
        a: V1Flags,
    ) -> syshandle::Result<()>;
    #[com(differs = "parameter `a`: only some names of the enum have `v1_enum`")]
    fn by_tag(&self, context: &syshandle::Context, a: Tagged) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: the file passes a pointer to a 4-byte integer, but the trait passes a 4-byte integer; parameter `c`: the file passes a pointer to an 8-byte integer, but the trait passes an 8-byte integer; parameter `d`: the file passes a 2-byte integer, but the trait passes a 4-byte integer"
    )]
    fn several_differ(
        &self,
        context: &syshandle::Context,
        a: i32,
        b: i32,
        c: i64,
        d: bool,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: the file passes a pointer to a 4-byte integer, but the trait passes a 4-byte integer; parameter `b`: the file passes a pointer to an 8-byte integer, but the trait passes an 8-byte integer"
    )]
    fn differ_around_list(
        &self,
        context: &syshandle::Context,
        a: i32,
        p: Vec<u8>,
        b: i64,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `a`: the file passes a pointer to a 4-byte integer, but the trait passes a 4-byte integer; parameter `p`: the file passes a pointer to a counted array of a 1-byte integer, but the trait passes a 4-byte integer"
    )]
    fn differ_before_list(
        &self,
        context: &syshandle::Context,
        a: i32,
        p: Vec<u8>,
        b: i64,
    ) -> syshandle::Result<()>;
}
