//! The procedural macros of syshandle. Use them through the `syshandle` crate, which documents
//! them.

mod class;
mod derive;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemTrait, parse_macro_input};

/// Implements `syshandle::interface`. Use it through that crate.
#[proc_macro_attribute]
pub fn interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let interface = read_trait(item)
        .and_then(|item| syshandle_model::traits::interface(arguments.into(), item));
    match interface {
        Ok((interface, library)) => syshandle_model::generate::interface(&interface, &library),
        Err(error) => error.into_compile_error(),
    }
    .into()
}

/// Implements `syshandle::class`. Use it through that crate.
#[proc_macro]
pub fn class(input: TokenStream) -> TokenStream {
    class::class(&parse_macro_input!(input as class::ClassDeclaration)).into()
}

/// Implements the derive macro `syshandle::Encode`. Use it through that crate.
#[proc_macro_derive(Encode, attributes(added, grows, handle, range, syshandle, unknown))]
pub fn encode(input: TokenStream) -> TokenStream {
    derive::encode(&parse_macro_input!(input as DeriveInput))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements the derive macro `syshandle::Decode`. Use it through that crate.
#[proc_macro_derive(Decode, attributes(added, grows, handle, range, syshandle, unknown))]
pub fn decode(input: TokenStream) -> TokenStream {
    derive::decode(&parse_macro_input!(input as DeriveInput))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Parses the trait to which the attribute is applied.
fn read_trait(item: TokenStream) -> syn::Result<ItemTrait> {
    syn::parse(item.clone()).map_err(|error| match syn::parse::<syn::Item>(item) {
        Ok(_) => syn::Error::new(error.span(), "an interface is a trait: write this before one"),
        // The tokens aren't an item at all. The parser's own error has the best position.
        Err(_) => error,
    })
}
