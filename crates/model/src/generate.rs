//! Generates the Rust code for an interface.
//!
//! The generated code contains no `unsafe` and no logic. It passes the number and type of each
//! value to functions in `syshandle::generated`.

mod client;
mod client_types;
mod describe;
mod server;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use crate::{Handle, Interface, KINDS, Library, Method, Parameter, Range, plain_name};

/// Returns the Rust code for an interface: the trait, its clients, its description, and the code
/// that connects them.
pub fn interface(interface: &Interface, syshandle: &Library) -> TokenStream {
    let server = server::trait_and_dispatch(interface, syshandle);
    let client = client::client(interface, syshandle);
    quote! { #server #client }
}

/// Returns an expression for a GUID.
fn guid(bytes: &[u8; 16], syshandle: &Library) -> TokenStream {
    let bytes = bytes.iter().map(|byte| Literal::u8_unsuffixed(*byte));
    quote!(#syshandle::Guid::from_bytes([#(#bytes),*]))
}

/// Returns an expression of type `Option<Declaration>` for the declaration of a handle.
pub fn handle_declaration(handle: Option<&Handle>, syshandle: &Library) -> TokenStream {
    let Some(handle) = handle else {
        return quote!(::core::option::Option::None);
    };
    let mut kinds = handle.kinds.iter().map(|kind| {
        let constant = KINDS.iter().find(|(name, _)| kind == name).map_or("File", |entry| entry.1);
        let constant = format_ident!("{constant}");
        quote!(#syshandle::handle::Kind::#constant)
    });
    let first = kinds.next();
    let at_least = rights(&handle.at_least, syshandle);
    let at_most = handle.at_most.as_ref().map(|most| {
        let most = rights(most, syshandle);
        quote!(.at_most(#most))
    });
    let mut sorts = handle.sockets.iter().map(|sort| {
        let constant = format_ident!("{}", sort.to_string().to_uppercase());
        quote!(#syshandle::handle::Sockets::#constant)
    });
    let sockets = sorts.next().map(|first| quote!(.sockets(#first #(.union(#sorts))*)));
    let mut sorts = handle.files.iter().map(|sort| {
        let constant = format_ident!("{}", sort.to_string().to_uppercase());
        quote!(#syshandle::handle::Files::#constant)
    });
    let files = sorts.next().map(|first| quote!(.files(#first #(.union(#sorts))*)));
    quote! {
        ::core::option::Option::Some(
            #syshandle::handle::Declaration::new(#syshandle::handle::Kinds::of(#first) #(.or(#kinds))*)
                .at_least(#at_least) #at_most #sockets #files
        )
    }
}

/// Returns code that checks whether the value of a variable is within its bounds.
pub fn range_check(name: &Ident, Range { from, to }: Range, field: Option<&str>) -> TokenStream {
    let (from, to) = (Literal::i128_unsuffixed(from), Literal::i128_unsuffixed(to));
    let place = field.map(|field| quote!(.map_err(|error| error.in_field(#field))));
    quote!(__input.within(&#name, #from, #to) #place ?;)
}

/// Returns code that adds documentation to the description of a parameter or field.
pub fn field_docs(docs: &[String]) -> Option<TokenStream> {
    let text = doc_text(docs);
    (!text.is_empty()).then(|| quote!(.documented(#text)))
}

/// Returns code that adds bounds to the description of a parameter or field.
pub fn field_range(range: Option<Range>) -> Option<TokenStream> {
    let Range { from, to } = range?;
    let (from, to) = (Literal::i128_unsuffixed(from), Literal::i128_unsuffixed(to));
    Some(quote!(.within(#from, #to)))
}

fn rights(names: &[Ident], syshandle: &Library) -> TokenStream {
    let constants = names.iter().map(|name| format_ident!("{}", name.to_string().to_uppercase()));
    quote!(#syshandle::handle::Rights::empty() #(.union(#syshandle::handle::Rights::#constants))*)
}

/// Joins documentation lines to one text. Removes the space at the start of each line.
pub fn doc_text(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n")
}

/// Returns `#[doc]` attributes for a method, with a list of its documented parameters, because Rust
/// has no documentation of parameters.
fn method_docs(method: &Method) -> TokenStream {
    let mut lines = method.docs.clone();
    let mut documented = method.parameters.iter().filter(|of| !of.docs.is_empty()).peekable();
    if documented.peek().is_some() {
        let heading = [String::new(), " # Parameters".to_owned(), String::new()];
        lines.extend(heading.into_iter().skip(usize::from(lines.is_empty())));
    }
    for Parameter { docs, name, .. } in documented {
        let text = doc_text(docs).replace('\n', "\n   ");
        lines.push(format!(" - `{}`: {text}", plain_name(name)));
    }
    docs(&lines)
}

/// Returns `#[doc]` attributes for documentation lines.
pub fn docs(lines: &[String]) -> TokenStream {
    quote!(#(#[doc = #lines])*)
}
