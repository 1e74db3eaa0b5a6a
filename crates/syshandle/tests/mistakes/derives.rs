use std::fs::File;

use syshandle::{Decode, Encode, handle::OwnedHandle};

#[derive(Encode)]
enum Never {}

#[derive(Encode)]
union Either {
    number: u32,
    float: f32,
}

#[derive(Decode)]
struct Borrows<'a> {
    text: &'a str,
}

#[derive(Encode)]
enum OneOf {
    #[handle(file)]
    File(OwnedHandle),
    Pipe(#[handle(pipe)] OwnedHandle),
}

#[derive(Encode)]
#[handle(file)]
struct Whole {
    file: File,
}

#[derive(Encode)]
struct Fields {
    #[handle(fiel)]
    file: File,
}

#[derive(Encode)]
struct Rights(#[handle(file, reed)] File);

#[derive(Encode)]
struct Nothing(#[handle] File);

#[derive(Encode)]
#[syshandle(crate)]
struct NoPath(File);

#[derive(Encode)]
#[syshandle(crate = 7)]
struct NumberAsPath(File);

#[derive(Encode)]
#[syshandle(rename = "x")]
struct Renamed(File);

fn main() {}
