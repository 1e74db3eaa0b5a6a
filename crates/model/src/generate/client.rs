//! Generates the client types, whose methods send calls of an interface.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

use super::client_types::{output_type, parameter};
use super::server::client_name;
use super::{handle_declaration, method_docs};
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
    let flush = flush(interface, CallStyle::Blocking, syshandle);
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
            #flush
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

        #asynchronous
    }
}

/// Returns the client whose methods begin calls and return before these have completed.
fn asynchronous(interface: &Interface, syshandle: &Library) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let blocking = client_name(name);
    let client = format_ident!("{name}AsyncClient", span = name.span());
    let methods = interface
        .methods
        .iter()
        .enumerate()
        .map(|(number, m)| method(number, m, CallStyle::Begun, syshandle));
    let flush = flush(interface, CallStyle::Begun, syshandle);
    let doc = format!(
        "Begins calls of [`{name}`]: the same as [`{blocking}`], but each method returns a pending \
         call, which is awaited, or waited for later."
    );
    quote! {
        #[doc = #doc]
        ///
        /// Dropping a pending call cancels it.
        #[derive(Clone, Debug)]
        #visibility struct #client(#syshandle::Client);

        #[allow(dead_code, reason = "many programs only use the other client")]
        #[allow(clippy::type_complexity, reason = "the trait has the same types")]
        impl #client {
            #(#methods)*
            #flush
        }

        #syshandle::generated::asynchronous_proxy!(#client, #blocking);
    }
}

/// The ways in which a client method makes a call.
#[derive(Clone, Copy)]
enum CallStyle {
    Blocking,
    Begun,
}

fn method(number: usize, method: &Method, style: CallStyle, syshandle: &Library) -> TokenStream {
    let Method { name, result, error, .. } = method;
    let number = Literal::usize_unsuffixed(number);
    let docs = method_docs(method);
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
        (_, CallStyle::Blocking) if method.one_way => "call_one_way",
        (_, CallStyle::Begun) if method.one_way => "begin_one_way",
        (None, CallStyle::Blocking) => "call",
        (None, CallStyle::Begun) => "begin",
        (Some(_), CallStyle::Blocking) => "call_with_error",
        (Some(_), CallStyle::Begun) => "begin_with_error",
    };
    let declared = (!method.one_way).then(|| quote!(#declared,));
    let call = Ident::new(call, span);
    let (inline, returns) = match style {
        CallStyle::Blocking => (None, returns),
        // Most programs begin only few calls this way. The method is `inline`, so that unused ones
        // aren't compiled.
        CallStyle::Begun => (
            Some(quote!(#[inline])),
            quote_spanned!(span=> #at_result::pipeline::PendingCall<#returns>),
        ),
    };
    quote! {
        #docs
        #(#attributes)*
        #inline
        pub fn #name(&self #(, #parameters)*) -> #returns {
            self.0.#call(#number, #declared |__out| {
                let _ = &__out;
                #(#writes)*
            })
        }
    }
}

/// Returns the method that waits for one-way calls, if the interface has such calls.
fn flush(interface: &Interface, style: CallStyle, syshandle: &Library) -> Option<TokenStream> {
    if !interface.methods.iter().any(|method| method.one_way) {
        return None;
    }
    let docs = quote! {
        /// Waits until the one-way calls that this client and its clones have made have ended.
        /// Returns the first failure of one of them since the last flush.
        ///
        /// # Errors
        /// The error of the first call that failed. Otherwise any error of a call, which may have
        /// run if one of the one-way calls may have run.
    };
    Some(match style {
        CallStyle::Blocking => quote! {
            #docs
            #[allow(dead_code, reason = "a program may ignore failures of one-way calls")]
            pub fn flush_one_way(&self) -> #syshandle::Result<()> {
                self.0.flush_one_way()
            }
        },
        CallStyle::Begun => quote! {
            #docs
            #[inline]
            pub fn flush_one_way(
                &self,
            ) -> #syshandle::pipeline::PendingCall<#syshandle::Result<()>> {
                self.0.begin_flush()
            }
        },
    })
}

/// Converts an attribute of a trait method for the client method. `expect` becomes `allow`, because
/// the lint that the trait method triggers may not apply to the client method.
pub(super) fn client_attribute(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => {
            let lints = &list.tokens;
            quote!(#[allow(#lints)])
        }
        _ => quote!(#attribute),
    }
}
