//! Generates the server side: the trait, and the dispatch from method numbers to methods.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;

use super::{describe, docs, handle_declaration, range_check};
use crate::{Interface, Library, Method, Parameter};

/// Returns the trait that a server implements, and its dispatch code.
pub(super) fn trait_and_dispatch(interface: &Interface, syshandle: &Library) -> TokenStream {
    let Interface { visibility, name, methods, .. } = interface;
    let docs = docs(&interface.docs);
    let declarations = methods.iter().map(declaration);
    let arms = methods.iter().enumerate().map(|(number, method)| arm(number, method, syshandle));
    let is_deprecated = |method: &Method| {
        method.attributes.iter().any(|attribute| attribute.path().is_ident("deprecated"))
    };
    let allow_deprecated = methods.iter().any(is_deprecated).then(|| quote!(#[allow(deprecated)]));
    let description = describe::interface(interface, syshandle);
    let client = client_name(name);
    quote! {
        #docs
        #visibility trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#declarations)*
        }

        impl #syshandle::generated::Sealed for dyn #name {}

        impl #syshandle::object::Interface for dyn #name {
            type Proxy = #client;

            const DESCRIPTION: &'static #syshandle::describe::Interface = {
                // A `static` exists once in the program. A constant would be copied into each
                // codegen unit, and the pointers in each copy would have to be relocated at program
                // start.
                static DESCRIPTION: #syshandle::describe::Interface = #description;
                &DESCRIPTION
            };

            #allow_deprecated
            fn dispatch(&self, call: #syshandle::generated::IncomingCall<'_>) {
                match call.method() {
                    #(#arms)*
                    _ => call.no_such_method(),
                }
            }
        }

        impl<__T: #name> #syshandle::generated::SealedFor<__T> for dyn #name {}

        impl<__T: #name> #syshandle::object::Implements<__T> for dyn #name {
            fn object(implementation: ::std::sync::Arc<__T>) -> ::std::sync::Arc<Self> {
                implementation
            }
        }
    }
}

/// Returns the name of the client type for an interface.
pub(super) fn client_name(interface: &Ident) -> Ident {
    format_ident!("{interface}Client", span = interface.span())
}

fn declaration(method: &Method) -> TokenStream {
    let Method { name, returns, context, attributes, .. } = method;
    let docs = docs(&method.docs);
    let context = context.as_ref().map(|Parameter { name, ty, .. }| quote!(, #name: #ty));
    let parameters = method.parameters.iter().map(|Parameter { name, ty, .. }| quote!(#name: #ty));
    quote! {
        #docs
        #(#attributes)*
        fn #name(&self #context #(, #parameters)*) -> #returns;
    }
}

fn arm(number: usize, method: &Method, syshandle: &Library) -> TokenStream {
    let number = Literal::usize_unsuffixed(number);
    let name = &method.name;
    let names: Vec<_> = method.parameters.iter().map(|parameter| &parameter.name).collect();
    let reads =
        method.parameters.iter().enumerate().map(|(index, Parameter { ty, handle, range, .. })| {
            let index = Literal::usize_unsuffixed(index);
            let declared = handle_declaration(handle.as_ref(), syshandle);
            let read = quote!(__input.parameter::<#ty>(#index, #declared)?);
            let Some(range) = range else { return read };
            let value = Ident::new("__value", ty.span());
            let check = range_check(&value, *range, None);
            quote!({ let #value = #read; #check #value })
        });
    let context = method.context.as_ref().map(|_| quote!(__context,));
    let run = match method.error {
        Some(_) => "run_with_error",
        None => "run",
    };
    let run = Ident::new(run, method.result.span());
    let wrap = (method.error.is_some() && !method.returns_call_error)
        .then(|| quote!(.map_err(#syshandle::CallError::Method)));
    quote! {
        #number => call.#run(
            |__input| ::core::result::Result::Ok((#(#reads,)*)),
            |(#(#names,)*), __context| self.#name(#context #(#names),*) #wrap,
        ),
    }
}
