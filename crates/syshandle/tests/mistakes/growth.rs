//! Types that can't grow in this way.

use std::fs::File;

use syshandle::{Decode, Encode};

#[derive(Encode, Decode)]
struct Fixed {
    #[added]
    later: u8,
}

#[derive(Encode, Decode)]
enum FixedMode {
    Fast,
    #[unknown]
    Unknown,
}

#[derive(Encode, Decode)]
#[grows]
enum NothingUnknown {
    Fast,
    Slow,
}

#[derive(Encode, Decode)]
#[grows]
enum TwoUnknown {
    #[unknown]
    One,
    #[unknown]
    Two,
}

#[derive(Encode, Decode)]
#[grows]
enum UnknownWithData {
    #[unknown]
    Unknown(u8),
}

#[derive(Encode, Decode)]
#[grows]
enum AddedVariant {
    Fast,
    #[added]
    Slow,
    #[unknown]
    Unknown,
}

#[derive(Encode, Decode)]
#[grows]
enum AddedInVariant {
    Slow {
        #[added]
        by: u8,
    },
    #[unknown]
    Unknown,
}

#[derive(Encode, Decode)]
#[grows]
struct Between {
    first: u8,
    #[added]
    added: u8,
    last: u8,
}

#[derive(Encode, Decode)]
#[grows]
struct Words {
    #[added(optional)]
    one: u8,
}

#[derive(Encode, Decode)]
#[grows]
struct Twice {
    #[added]
    #[added]
    one: u8,
}

#[derive(Encode, Decode)]
#[grows(later)]
struct Arguments;

#[derive(Encode, Decode)]
#[grows]
#[added]
struct Misplaced;

#[derive(Encode, Decode)]
#[grows]
struct UnknownField {
    #[unknown]
    one: u8,
}

#[derive(Encode, Decode)]
#[grows]
struct HasNoDefault {
    #[added]
    one: File,
}

fn main() {}
