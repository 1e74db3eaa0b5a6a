//! Generates the client types, whose methods send calls of an interface.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

use super::client_types::{output_type, parameter};
use super::server::client_name;
use super::{docs, handle_declaration};
use crate::{Interface, Library, Method, Parameter};

/// Returns the code for the clients of an interface.
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
        /// Cheap to clone and usable from any number of threads. Dropping the last clone releases
        /// the object.
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

/// Returns the code for the asynchronous client, which exists only with the feature `tokio` of
/// syshandle.
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
            /// Dropping the future of a call cancels the call.
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

/// Returns the code for the client whose methods start a call and return before it completes.
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

/// The ways in which a client method makes a call.
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
    let parameters = method.parameters.iter().map(|of| parameter(of, syshandle));
    let writes = method.parameters.iter().enumerate().map(|(index, Parameter { name, ty, .. })| {
        let index = Literal::usize_unsuffixed(index);
        // Gives the code the span of the parameter's type, so that the compiler reports there if
        // the type can't be sent.
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
        // Most programs start few calls this way. `inline` avoids compiling the unused methods.
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

/// Converts an attribute of a trait method for the client method. `expect` becomes `allow`, because
/// the lint that the trait method triggers may not apply to the client method.
fn client_attribute(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => {
            let lints = &list.tokens;
            quote!(#[allow(#lints)])
        }
        _ => quote!(#attribute),
    }
}
