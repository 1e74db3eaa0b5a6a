//! The client's side: a type with the same methods, which lends what it passes.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;

use super::lend::lent;
use super::server::client_name;
use super::{declared, docs};
use crate::model::{Interface, Method, Parameter};

/// The client of an interface.
pub(super) fn client(interface: &Interface) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let client = client_name(name);
    let methods = interface.methods.iter().enumerate().map(|(number, m)| method(number, m, false));
    let asynchronous = asynchronous(interface);
    let doc =
        format!("A client of [`{name}`]: a reference to an object that has it, wherever it is.");
    quote! {
        #[doc = #doc]
        ///
        /// Cheap to clone, and used by any number of threads. The object is released when the last
        /// clone is dropped.
        #[derive(Clone, Debug)]
        #visibility struct #client(::syshandle::Client);

        impl #client {
            #(#methods)*
        }

        impl ::syshandle::Proxy for #client {
            type Interface = dyn #name;

            fn from_client(client: ::syshandle::Client) -> Self {
                Self(client)
            }

            fn as_client(&self) -> &::syshandle::Client {
                &self.0
            }
        }

        ::syshandle::generated::proxy!(#client, #name);

        #asynchronous
    }
}

/// The asynchronous client, which is there when syshandle has its feature `tokio`.
fn asynchronous(interface: &Interface) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let blocking = client_name(name);
    let client = format_ident!("{name}AsyncClient", span = name.span());
    let methods = interface.methods.iter().enumerate().map(|(number, m)| method(number, m, true));
    let doc =
        format!("The client of [`{name}`] for tokio: the same as [`{blocking}`], asynchronous.");
    quote! {
        ::syshandle::generated::asynchronous! {
            #[doc = #doc]
            ///
            /// A future that is dropped cancels its call.
            #[derive(Clone, Debug)]
            #visibility struct #client(::syshandle::Client);

            impl #client {
                #(#methods)*
            }

            ::syshandle::generated::asynchronous_proxy!(#client, #blocking);
        }
    }
}

fn method(number: usize, method: &Method, asynchronous: bool) -> TokenStream {
    let Method { name, result, error, .. } = method;
    let number = Literal::usize_unsuffixed(number);
    let docs = docs(&method.docs);
    let parameters = method.parameters.iter().map(|Parameter { name, ty, .. }| {
        let lent = lent(ty);
        quote!(#name: #lent)
    });
    let writes = method.parameters.iter().enumerate().map(|(index, Parameter { name, ty, .. })| {
        let index = Literal::usize_unsuffixed(index);
        // A type that can't be sent is told where it is written.
        let parameter = Ident::new("parameter", ty.span());
        quote!(__out.#parameter(#index, &#name);)
    });
    let declared = declared(method.result_handle.as_ref());
    let returns = match error {
        None => quote!(::syshandle::Result<#result>),
        Some(error) => quote!(::core::result::Result<#result, ::syshandle::CallError<#error>>),
    };
    let call = match (error, asynchronous) {
        (None, false) => "call",
        (None, true) => "call_async",
        (Some(_), false) => "call_with_error",
        (Some(_), true) => "call_with_error_async",
    };
    let call = Ident::new(call, result.span());
    let (asynchronous, wait) = match asynchronous {
        false => (None, None),
        true => (Some(quote!(async)), Some(quote!(.await))),
    };
    quote! {
        #docs
        pub #asynchronous fn #name(&self #(, #parameters)*) -> #returns {
            self.0.#call(#number, #declared, |__out| {
                let _ = &__out;
                #(#writes)*
            }) #wait
        }
    }
}
