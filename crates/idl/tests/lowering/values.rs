// Written by syshandle from an .idl file; changes here will be lost.

pub const LIMIT: i32 = 17;
pub const ALL: u32 = 4294967295;
pub const BIG: i64 = 4294967296;
pub const GREETING: &str = "hello\nA";

/// How a thing looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, syshandle::Encode, syshandle::Decode)]
pub enum Look {
    Dull = 8,
    Shiny = 9,
    Sparkly = 72,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, syshandle::Encode, syshandle::Decode)]
pub enum Plain {
    First,
    Second,
}

pub type Flags = u32;
pub const FLAG_A: u32 = 1;
pub const FLAG_B: u32 = 2;

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct Place {
    pub x: f64,
    pub y: f64,
    pub owner: syshandle::Guid,
    pub comment: Option<String>,
    #[range(0..=17)]
    pub bytes: Vec<u8>,
    pub code: [u16; 4],
    #[range(0..=15)]
    pub name: String,
    pub next: Option<Box<Place>>,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub enum Branch {
    Tree(Option<Box<Tree>>),
    Leaf2(i32),
    Leaf3(i32),
    Other(i64),
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub struct Tree {
    pub left: Branch,
    pub right: Branch,
}

#[derive(Clone, Debug, PartialEq, syshandle::Encode, syshandle::Decode)]
pub enum Loose {
    Number(i32),
    Text(String),
}

/// Values.
#[syshandle::interface(iid = "a1b0d0a6-0df6-4b7e-9a7e-1f1f43f0a003")]
pub trait Values {
    /// How it looks.
    #[com(
        differs = "parameter `look`: the file passes a pointer to a 4-byte integer, but the trait passes a pointer to an enum of 2 bytes on the wire"
    )]
    fn look(&self, context: &syshandle::Context) -> syshandle::Result<Look>;
    #[com(
        differs = "parameter `look`: the file passes a 4-byte integer, but the trait passes an enum of 2 bytes on the wire"
    )]
    fn set_look(
        &self,
        context: &syshandle::Context,
        look: Look,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `from`: field `count`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `to`: field `count`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `result`: field `count`: `range` is checked by MIDL's proxy, but not by the trait's proxy"
    )]
    fn move_(
        &self,
        context: &syshandle::Context,
        from: Place,
        to: Option<Place>,
    ) -> syshandle::Result<Option<Place>>;
    #[com(
        differs = "parameter `buffer`: `length_is` changes the form of the array, but the trait passes only a count"
    )]
    fn read(&self, context: &syshandle::Context, cb: u32) -> syshandle::Result<Vec<u8>>;
    #[com(
        differs = "parameter `number`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `n`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `text`: its count is an expression; parameter `all`: `max_is` changes the form of the array, but the trait passes only a count; parameter `some`: `length_is` changes the form of the array, but the trait passes only a count"
    )]
    fn bounded(
        &self,
        context: &syshandle::Context,
        #[range(1..=5)]
        number: i32,
        #[range(2..=8)]
        list: Vec<i64>,
        #[range(0..=255)]
        text: String,
        all: Vec<u8>,
        #[range(0..=64)]
        some: Vec<i16>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `look`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `any`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `flags`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `name`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `code`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `few`: `range` is checked by MIDL's proxy, but not by the trait's proxy; parameter `line`: a string that isn't UTF-16; parameter `maybe`: a string that isn't UTF-16"
    )]
    fn limits(
        &self,
        context: &syshandle::Context,
        #[range(8..=9)]
        look: Look,
        any: Plain,
        #[range(1..=3)]
        flags: Flags,
        #[range(0..=31)]
        name: String,
        #[range(0..=7)]
        code: String,
        #[range(1..=4)]
        few: Vec<i64>,
        line: Vec<String>,
        maybe: Option<String>,
    ) -> syshandle::Result<()>;
    #[com(
        differs = "parameter `serial`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `grid`: traits don't support arrays as parameters"
    )]
    fn change(
        &self,
        context: &syshandle::Context,
        serial: i32,
        flags: Flags,
        plain: Plain,
        grid: [[i32; 3]; 2],
    ) -> syshandle::Result<i32>;
    #[com(
        differs = "parameter `plain`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `id`: `ptr` declares a full pointer, which traits don't support; parameter `number`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `same`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `always`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `text`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `other`: an `in, out` parameter is one slot in the file, but two slots in the trait"
    )]
    fn change_if_present(
        &self,
        context: &syshandle::Context,
        plain: Option<Plain>,
        id: Option<syshandle::Guid>,
        number: Option<i32>,
        same: Option<i32>,
        always: i32,
        #[range(0..=8)]
        text: Option<String>,
        other: Option<String>,
    ) -> syshandle::Result<
        (
            Option<Plain>,
            Option<syshandle::Guid>,
            Option<i32>,
            Option<i32>,
            i32,
            Option<String>,
            Option<String>,
        ),
    >;
    #[com(
        differs = "parameter `name`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `other`: an `in, out` parameter is one slot in the file, but two slots in the trait; parameter `maybe`: an `in, out` parameter is one slot in the file, but two slots in the trait"
    )]
    fn rename(
        &self,
        context: &syshandle::Context,
        name: String,
        other: String,
        maybe: Option<String>,
    ) -> syshandle::Result<(String, String, Option<String>)>;
    #[com(
        differs = "parameter `tree`: field `left`: traits don't support unions; parameter `loose`: `switch_is` belongs to a union, which traits don't support"
    )]
    fn choose(
        &self,
        context: &syshandle::Context,
        tree: Tree,
        loose: Loose,
    ) -> syshandle::Result<()>;
    fn self_(
        &self,
        context: &syshandle::Context,
        other: ValuesClient,
        maybe: Option<ValuesClient>,
    ) -> syshandle::Result<ValuesClient>;
    fn wait_(
        &self,
        call_context: &syshandle::Context,
        type_: i32,
        type_2: i32,
        context: i32,
    ) -> syshandle::Result<()>;
}
