//! Compares the `tracing` spans and events with their list in `docs/tracing.md`.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, LitStr, Token};
use syshandle::{Result, Server, class, direct, interface};
use syshandle_testkit::{Fixture, SERVER, TEST_SERVICE};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The lines that were written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn activation_calls_and_handles_can_be_followed() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let client = fixture.activate().unwrap();
        let file = File::open("/dev/null").unwrap();
        assert!(client.len(&file).is_ok());
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let class = TEST_SERVICE.clsid().to_string();
    for parts in [
        ["activate{class=", &class, "new"],
        ["activate{", "starting the server", SERVER.to_str().unwrap()],
        ["activate{", "interface=\"TestService\"", "close"],
        ["call{method=TestService::len", "", "new"],
        ["call{method=TestService::len", "sending", "handles=1"],
        ["call{method=TestService::len", "received", "handles=0"],
        ["call{method=TestService::len", "", "close"],
    ] {
        let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line has {parts:?}:\n{text}");
    }
}

/// A span or an event: its level (or the word `span`), its name or message, and its fields.
type Entry = (String, String, BTreeSet<String>);

fn entry<'f>(kind: &str, name: &str, fields: impl IntoIterator<Item = &'f str>) -> Entry {
    (kind.to_owned(), name.to_owned(), fields.into_iter().map(str::to_owned).collect())
}

/// Reads the list in `docs/tracing.md`.
fn documented() -> BTreeSet<Entry> {
    let page = repository().join("docs/tracing.md");
    let text = fs::read_to_string(page).unwrap();
    let mut kind = String::new();
    let mut entries = BTreeSet::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches(['#', ' ']);
            kind = match heading {
                "Spans" => "span".to_owned(),
                level => level.trim_matches('`').to_owned(),
            };
            continue;
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", name, fields, _, ""] = cells[..] else { continue };
        let is_list = kind == "span" || kind.parse::<tracing::Level>().is_ok();
        if !is_list || ["message", "span"].contains(&name) || name.starts_with("---") {
            continue;
        }
        let fields = fields.split(", ").filter(|field| *field != "–");
        let fields = fields.map(|field| field.trim_matches('`'));
        entries.insert(entry(&kind, name.trim_matches('`'), fields));
    }
    entries
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Finds the spans and events in the source files of the library.
fn in_sources() -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    for level in ["ERROR", "WARN"] {
        // `log.rs` emits this event with two levels.
        let message = "messages with the same cause as the next one were suppressed";
        entries.insert(entry(level, message, ["suppressed"]));
    }
    let mut folders =
        ["syshandle", "com"].map(|name| repository().join("crates").join(name)).to_vec();
    folders.iter_mut().for_each(|folder| folder.push("src"));
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap().flatten() {
            let path = file.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "log.rs") {
                let text = fs::read_to_string(path).unwrap();
                find_macros(text.parse().unwrap(), &mut entries);
            }
        }
    }
    entries
}

/// Adds the spans and events of each macro call in these tokens, such as `log::debug!("a
/// message")`.
fn find_macros(tokens: TokenStream, entries: &mut BTreeSet<Entry>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for place in 0..tokens.len() {
        if let TokenTree::Group(group) = &tokens[place] {
            find_macros(group.stream(), entries);
        }
        let [
            TokenTree::Ident(module),
            TokenTree::Punct(_),
            TokenTree::Punct(_),
            TokenTree::Ident(name),
            TokenTree::Punct(_),
            TokenTree::Group(arguments),
            ..,
        ] = &tokens[place..]
        else {
            continue;
        };
        if ["log", "tracing"].contains(&&*module.to_string()) {
            entries.extend(macro_call(&name.to_string(), arguments.stream()));
        }
    }
}

/// Parses a macro call, such as `warn!(%error, pid = 1, "a message")`.
fn macro_call(name: &str, arguments: TokenStream) -> Option<Entry> {
    let kind = match name {
        "error" | "warn" | "debug" | "trace" => name.to_uppercase(),
        "debug_span" => "span".to_owned(),
        _ => return None,
    };
    let parser = Punctuated::<Argument, Token![,]>::parse_terminated;
    let (mut message, mut fields) = (String::new(), BTreeSet::new());
    for argument in parser.parse2(arguments).unwrap() {
        match argument {
            Argument::Target => {}
            Argument::Field(name) => drop(fields.insert(name)),
            Argument::Message(text) => message = text,
        }
    }
    Some((kind, message, fields))
}

/// An argument of a macro that creates a span or an event.
enum Argument {
    /// `target: "syshandle"`
    Target,
    /// `%error` or `pid = 1`
    Field(String),
    /// The name of a span or the message of an event.
    Message(String),
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            return Ok(Self::Message(input.parse::<LitStr>()?.value()));
        }
        skip_format(input)?;
        let name: Ident = input.parse()?;
        if input.parse::<Option<Token![:]>>()?.is_some() {
            input.parse::<LitStr>()?;
            return Ok(Self::Target);
        }
        if input.parse::<Option<Token![=]>>()?.is_some() {
            skip_format(input)?;
            input.parse::<Expr>()?;
        }
        Ok(Self::Field(name.to_string()))
    }
}

/// Skips `%` or `?` before a value, which selects `Display` or `Debug`.
fn skip_format(input: ParseStream<'_>) -> syn::Result<()> {
    input.parse::<Option<Token![%]>>()?;
    input.parse::<Option<Token![?]>>().map(drop)
}

#[test]
fn the_page_lists_each_span_and_event_of_the_sources_with_its_fields() {
    let (sources, page) = (in_sources(), documented());
    let missing: Vec<_> = sources.difference(&page).collect();
    let outdated: Vec<_> = page.difference(&sources).collect();
    assert!(sources.len() > 50, "{sources:?}");
    assert!(missing.is_empty(), "docs/tracing.md lacks {missing:#?}");
    assert!(outdated.is_empty(), "docs/tracing.md lists what does not exist: {outdated:#?}");
}

/// A subscriber that collects the spans and events that occur.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<BTreeSet<Entry>>>);

/// Reads the message and the field names of an event.
#[derive(Default)]
struct EventFields {
    message: String,
    names: BTreeSet<String>,
}

impl Visit for EventFields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => drop(self.names.insert(name.to_owned())),
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "syshandle"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let metadata = span.metadata();
        let fields = metadata.fields().iter().map(|field| field.name());
        self.0.lock().unwrap().insert(entry("span", metadata.name(), fields));
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let level = event.metadata().level().to_string();
        self.0.lock().unwrap().insert((level, fields.message, fields.names));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

class! { READER: Reader = "5c1de0a8-54d8-4a0f-9a0e-6d0e3f3f8a01"; }

#[interface(iid = "5c1de0a8-54d8-4a0f-9a0e-6d0e3f3f8a02")]
trait Reader {
    fn read(&self, #[handle(file, read)] file: File) -> Result<()>;
}

struct Anyone;

impl Reader for Anyone {
    fn read(&self, _: File) -> Result<()> {
        panic!("nothing to read")
    }
}

#[test]
fn a_subscriber_gets_the_spans_and_events_of_the_page() {
    let fixture = Fixture::new();
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let collector = Collector::default();
    // The threads of the server use the same subscriber.
    tracing::subscriber::set_global_default(collector.clone()).unwrap();
    let client = fixture.activate().unwrap();
    client.len(&File::open("/dev/null").unwrap()).unwrap();
    let path = fixture.path().join("socket");
    let server = Server::new().class(READER, || Anyone).path(&path).start().unwrap();
    let reader: ReaderClient = direct::connect(&path).unwrap();
    reader.read(&File::open("/dev/null").unwrap()).unwrap_err();
    let unreadable = File::options().write(true).open("/dev/null").unwrap();
    reader.read(&unreadable).unwrap_err();
    server.shutdown();
    server.join().unwrap();
    let (page, found) = (documented(), collector.0.lock().unwrap().clone());
    let unknown: Vec<_> = found.difference(&page).collect();
    assert!(unknown.is_empty(), "docs/tracing.md lacks {unknown:#?}");
    for name in [
        "activate",
        "call",
        "serve",
        "starting the server",
        "sending",
        "received",
        "a client has come",
        "a handle was proven",
        "running",
        "a call was refused",
        "the server was told to end",
        "a client has gone",
    ] {
        assert!(found.iter().any(|(_, found, _)| found == name), "there is no {name:?}");
    }
}
