//! A program without a dependency on the library.
#![deny(warnings)]
#![allow(dead_code)]

use std::fs::File;
use std::sync::Arc;

use sdk::ipc::handle::Event;
use sdk::ipc::object::Interface;
use sdk::ipc::{CallError, Context, Decode, Encode, Result, class, interface};

#[derive(Debug, Encode, Decode)]
#[syshandle(crate = sdk::ipc)]
struct Order<T> {
    #[handle(file, read)]
    input: File,
    #[range(1..=9)]
    copies: u8,
    extra: Option<T>,
}

#[derive(Debug, Encode, Decode)]
#[syshandle(crate = "sdk::ipc")]
enum Paper {
    Plain,
    Glossy = 7,
}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ee01", crate = sdk::ipc)]
trait Printer {
    fn print(&self, context: &Context, order: Order<String>) -> Result<Arc<Event>>;
    #[handle(file, read)]
    fn log(&self, #[handle(file(regular), read)] last: File) -> Result<File>;
    fn load(&self, #[range(0..=7)] paper: Paper) -> std::result::Result<(), CallError<Paper>>;
    fn peer(&self, peer: PrinterClient) -> Result<Option<PrinterClient>>;
}

#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ee02", crate = "sdk::ipc")]
trait Scanner {
    fn scan(&self, name: String, number: u32) -> Result<Vec<u8>>;
}

class! { PRINTER: Printer + Scanner = "1284c788-6978-43d5-9a02-414901a2ee03"; }

sdk::service!(
    Fax,
    FAX,
    "1284c788-6978-43d5-9a02-414901a2ee04",
    "1284c788-6978-43d5-9a02-414901a2ee05"
);

sdk::ipc::proxy_dll! { Printer, Scanner = "1284c788-6978-43d5-9a02-414901a2ee06" }

fn main() -> Result<()> {
    let printer = PrinterClient::activate(PRINTER)?;
    let scanner: ScannerClient = printer.cast()?;
    let _: Vec<u8> = scanner.scan("page", 1)?;
    let _: Vec<u8> = FaxClient::activate(FAX)?.serve("request")?;
    println!("{}", <dyn Printer as Interface>::DESCRIPTION.name);
    Ok(())
}
