//! Parameters and results of types that aren't values.

use std::sync::mpsc::Sender;

use syshandle::{Decode, Encode, Result, interface};

struct Plain;

#[derive(Encode)]
struct OnlySent;

#[derive(Decode)]
struct OnlyReceived;

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e31")]
trait Parameters {
    fn one(&self, value: Plain) -> Result<()>;
    fn list(&self, values: Vec<Plain>) -> Result<()>;
    fn optional(&self, value: Option<Sender<u8>>) -> Result<()>;
    fn only_sent(&self, value: OnlySent) -> Result<()>;
    fn only_received(&self, value: OnlyReceived) -> Result<()>;
}

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e32")]
trait Results {
    fn one(&self) -> Result<Plain>;
    fn only_received(&self) -> Result<OnlyReceived>;
}

fn main() {}
