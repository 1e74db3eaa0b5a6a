//! Generates the clients: types with the methods of the interface, which lend what they pass.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

use super::client_types::{argument_type, output_type};
use super::server::client_name;
use super::{docs, handle_declaration};
use crate::{Interface, Library, Method, Parameter};

/// Returns the client of an interface.
pub(super) fn client(interface: &Interface, syshandle: &Library) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let client = client_name(name);
    let methods = interface
        .methods
        .iter()
        .enumerate()
        .map(|(number, m)| method(number, m, CallStyle::Blocking, syshandle));
    let asynchronous = asynchronous(interface, syshandle);
    let starter = starter(interface, syshandle);
    let doc =
        format!("A client of [`{name}`]: a reference to an object that has it, wherever it is.");
    quote! {
        #[doc = #doc]
        ///
        /// Cheap to clone, and used by any number of threads. The object is released when the last
        /// clone is dropped.
        #[derive(Clone, Debug)]
        #visibility struct #client(#syshandle::Client);

        #[allow(clippy::type_complexity, reason = "the trait has the same types")]
        impl #client {
            #(#methods)*
        }

        impl #syshandle::object::Proxy for #client {
            type Interface = dyn #name;

            fn from_client(client: #syshandle::Client) -> Self {
                Self(client)
            }

            fn as_client(&self) -> &#syshandle::Client {
                &self.0
            }
        }

        #syshandle::generated::proxy!(#client, #name);

        #starter

        #asynchronous
    }
}

/// Returns the asynchronous client, which exists if syshandle has the feature `tokio`.
fn asynchronous(interface: &Interface, syshandle: &Library) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let blocking = client_name(name);
    let client = format_ident!("{name}AsyncClient", span = name.span());
    let methods = interface
        .methods
        .iter()
        .enumerate()
        .map(|(number, m)| method(number, m, CallStyle::Asynchronous, syshandle));
    let doc =
        format!("The client of [`{name}`] for tokio: the same as [`{blocking}`], asynchronous.");
    quote! {
        #syshandle::generated::asynchronous! {
            #[doc = #doc]
            ///
            /// A future that is dropped cancels its call.
            #[derive(Clone, Debug)]
            #visibility struct #client(#syshandle::Client);

            #[allow(clippy::type_complexity, reason = "the trait has the same types")]
            impl #client {
                #(#methods)*
            }

            #syshandle::generated::asynchronous_proxy!(#client, #blocking);
        }
    }
}

/// Returns the client whose methods start calls and return before these have completed.
fn starter(interface: &Interface, syshandle: &Library) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let blocking = client_name(name);
    let starter = format_ident!("{name}Starter", span = name.span());
    let methods = interface
        .methods
        .iter()
        .enumerate()
        .map(|(number, m)| method(number, m, CallStyle::Started, syshandle));
    let doc = format!(
        "Begins calls of [`{name}`], whose results are waited for later: the same as [`{blocking}`], \
         for many calls in flight."
    );
    quote! {
        #syshandle::generated::starter! {
            #starter, #blocking,
            #[doc = #doc]
            #[derive(Clone, Debug)]
            #visibility struct #starter(#syshandle::Client);

            #[allow(clippy::type_complexity, reason = "the trait has the same types")]
            impl #starter {
                #(#methods)*
            }
        }
    }
}

/// The styles in which a client calls a method.
#[derive(Clone, Copy)]
enum CallStyle {
    Blocking,
    Asynchronous,
    Started,
}

fn method(number: usize, method: &Method, style: CallStyle, syshandle: &Library) -> TokenStream {
    let Method { name, result, error, .. } = method;
    let number = Literal::usize_unsuffixed(number);
    let docs = docs(&method.docs);
    let attributes = method.attributes.iter().map(client_attribute);
    let parameters = method.parameters.iter().map(|Parameter { name, ty, .. }| {
        let ty = argument_type(ty, syshandle);
        quote!(#name: #ty)
    });
    let writes = method.parameters.iter().enumerate().map(|(index, Parameter { name, ty, .. })| {
        let index = Literal::usize_unsuffixed(index);
        // An error about a type that can't be sent has the span of that type.
        let parameter = Ident::new("parameter", ty.span());
        quote!(__out.#parameter(#index, &#name);)
    });
    let span = result.span();
    let result = output_type(result, syshandle);
    let declared = handle_declaration(method.result_handle.as_ref(), syshandle);
    let at_result = syshandle.at(span);
    let returns = match error {
        None => quote_spanned!(span=> #at_result::Result<#result>),
        Some(error) => {
            quote_spanned!(span=> ::core::result::Result<#result, #at_result::CallError<#error>>)
        }
    };
    let call = match (error, style) {
        (None, CallStyle::Blocking) => "call",
        (None, CallStyle::Asynchronous) => "call_async",
        (None, CallStyle::Started) => "begin",
        (Some(_), CallStyle::Blocking) => "call_with_error",
        (Some(_), CallStyle::Asynchronous) => "call_with_error_async",
        (Some(_), CallStyle::Started) => "begin_with_error",
    };
    let call = Ident::new(call, span);
    let (before, returns, after) = match style {
        CallStyle::Blocking => (None, returns, None),
        CallStyle::Asynchronous => (Some(quote!(pub async)), returns, Some(quote!(.await))),
        // Most programs start only few calls this way. The method is `inline`, so that unused ones
        // aren't compiled.
        CallStyle::Started => {
            let returns = quote_spanned!(span=> #at_result::pipeline::PendingCall<#returns>);
            (Some(quote!(#[inline] pub)), returns, None)
        }
    };
    let before = before.unwrap_or_else(|| quote!(pub));
    quote! {
        #docs
        #(#attributes)*
        #before fn #name(&self #(, #parameters)*) -> #returns {
            self.0.#call(#number, #declared, |__out| {
                let _ = &__out;
                #(#writes)*
            }) #after
        }
    }
}

/// Returns an attribute of a method as its clients get it. `expect` becomes `allow`, because a lint
/// that the trait triggers may not be triggered by the clients.
fn client_attribute(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => {
            let lints = &list.tokens;
            quote!(#[allow(#lints)])
        }
        _ => quote!(#attribute),
    }
}
