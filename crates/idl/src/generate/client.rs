//! The client's side: a type with the same methods, which lends what it passes.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::lend::lent;
use super::server::client_name;
use super::{declared, docs};
use crate::model::{Interface, Method, Parameter};

/// The client of an interface.
pub(super) fn client(interface: &Interface) -> TokenStream {
    let Interface { visibility, name, .. } = interface;
    let client = client_name(name);
    let methods = interface.methods.iter().enumerate().map(|(number, m)| method(number, m));
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
    }
}

fn method(number: usize, method: &Method) -> TokenStream {
    let Method { name, result, error, .. } = method;
    let number = Literal::usize_unsuffixed(number);
    let docs = docs(&method.docs);
    let parameters = method.parameters.iter().map(|Parameter { name, ty, .. }| {
        let lent = lent(ty);
        quote!(#name: #lent)
    });
    let writes = method.parameters.iter().enumerate().map(|(index, Parameter { name, .. })| {
        let index = Literal::usize_unsuffixed(index);
        quote!(__out.parameter(#index, &#name);)
    });
    let declared = declared(method.result_handle.as_ref());
    let (returns, call) = match error {
        None => (quote!(::syshandle::Result<#result>), quote!(call)),
        Some(error) => (
            quote!(::core::result::Result<#result, ::syshandle::CallError<#error>>),
            quote!(call_with_error),
        ),
    };
    quote! {
        #docs
        pub fn #name(&self #(, #parameters)*) -> #returns {
            self.0.#call(#number, #declared, |__out| {
                let _ = &__out;
                #(#writes)*
            })
        }
    }
}
