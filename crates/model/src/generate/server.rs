//! Generates the server side: the trait, and the dispatch from method numbers to methods.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;

use super::client::client_attribute;
use super::{describe, docs, handle_declaration, method_docs, range_check};
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
    let asynchronous = asynchronous(interface, syshandle);
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
            fn serve(
                implementation: ::std::sync::Arc<__T>,
            ) -> #syshandle::generated::ServedInterface {
                #syshandle::generated::ServedInterface::new::<Self>(implementation)
            }
        }

        #asynchronous
    }
}

/// Returns the trait that a server with asynchronous methods implements, and its dispatch code.
fn asynchronous(interface: &Interface, syshandle: &Library) -> TokenStream {
    let Interface { visibility, name, methods, .. } = interface;
    let asynchronous = format_ident!("{name}Async", span = name.span());
    let doc = format!(
        "The server side of [`{name}`] with asynchronous methods, for an object that \
         `syshandle::tokio::AsyncObject` serves. Implement it with `async fn`."
    );
    let declarations = methods.iter().map(|method| {
        let Method { name, returns, .. } = method;
        let docs = method_docs(method);
        let attributes = method.attributes.iter().map(client_attribute);
        let parameters = method_parameters(method);
        quote! {
            #docs
            #(#attributes)*
            fn #name(
                &self #parameters
            ) -> impl ::core::future::Future<Output = #returns> + ::core::marker::Send;
        }
    });
    let arms = methods.iter().enumerate().map(|(number, method)| {
        let Call { number, names, reads, context, run, wrap } = call(number, method, syshandle);
        let name = &method.name;
        let run = format_ident!("{run}_async", span = run.span());
        let context = context.map(|_| quote!(&__context,));
        let wrap = wrap.map(|wrap| quote!(let __result = __result #wrap;));
        let run_method =
            quote!(<__T as #asynchronous>::#name(&__object, #context #(#names),*).await);
        let run_method = match method.returns_nothing() {
            true => quote!(#run_method; let __result = ::core::result::Result::Ok(());),
            false => quote!(let __result = #run_method;),
        };
        quote! {
            #number => call.#run(
                __object,
                |__input| ::core::result::Result::Ok((#(#reads,)*)),
                |__object, (#(#names,)*), __context| async move {
                    #run_method
                    #wrap
                    ::core::mem::drop(__context);
                    __result
                },
            ),
        }
    });
    quote! {
        #syshandle::generated::asynchronous! {
            #[doc = #doc]
            #[allow(dead_code, reason = "many programs only implement the other trait")]
            #visibility trait #asynchronous:
                ::core::marker::Send + ::core::marker::Sync + 'static
            {
                #(#declarations)*
            }

            impl<__T: #asynchronous>
                #syshandle::generated::SealedFor<#syshandle::tokio::AsyncObject<__T>> for dyn #name
            {
            }

            impl<__T: #asynchronous>
                #syshandle::object::Implements<#syshandle::tokio::AsyncObject<__T>> for dyn #name
            {
                fn serve(
                    implementation: ::std::sync::Arc<#syshandle::tokio::AsyncObject<__T>>,
                ) -> #syshandle::generated::ServedInterface {
                    #[allow(deprecated, reason = "the server decides about that")]
                    #syshandle::generated::ServedInterface::asynchronous::<Self, __T>(
                        implementation,
                        |__object, call| match call.method() {
                            #(#arms)*
                            _ => call.no_such_method(),
                        },
                    )
                }
            }
        }
    }
}

/// Returns the name of the client type for an interface.
pub(super) fn client_name(interface: &Ident) -> Ident {
    format_ident!("{interface}Client", span = interface.span())
}

fn declaration(method: &Method) -> TokenStream {
    let Method { name, returns, attributes, .. } = method;
    let docs = method_docs(method);
    let parameters = method_parameters(method);
    let returns = (!method.returns_nothing()).then(|| quote!(-> #returns));
    quote! {
        #docs
        #(#attributes)*
        fn #name(&self #parameters) #returns;
    }
}

/// Returns the parameters of a server's method after `&self`.
fn method_parameters(method: &Method) -> TokenStream {
    let all = method.context.iter().chain(&method.parameters);
    let parameters = all.map(|Parameter { name, ty, .. }| quote!(, #name: #ty));
    quote!(#(#parameters)*)
}

/// The parts of the code that runs a call of a method.
struct Call<'m> {
    number: Literal,
    names: Vec<&'m Ident>,
    /// Decodes each argument.
    reads: Vec<TokenStream>,
    /// The argument for the context, if the method takes one.
    context: Option<TokenStream>,
    /// The function that runs the method.
    run: Ident,
    /// Converts the error of the method.
    wrap: Option<TokenStream>,
}

fn call<'m>(number: usize, method: &'m Method, syshandle: &Library) -> Call<'m> {
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
    let run = match method.error {
        Some(_) => "run_with_error",
        None => "run",
    };
    Call {
        number: Literal::usize_unsuffixed(number),
        names: method.parameters.iter().map(|parameter| &parameter.name).collect(),
        reads: reads.collect(),
        context: method.context.as_ref().map(|_| quote!(__context,)),
        run: Ident::new(run, method.result.span()),
        wrap: (method.error.is_some() && !method.returns_call_error)
            .then(|| quote!(.map_err(#syshandle::CallError::Method))),
    }
}

fn arm(number: usize, method: &Method, syshandle: &Library) -> TokenStream {
    let Call { number, names, reads, context, run, wrap } = call(number, method, syshandle);
    let name = &method.name;
    let run_method = quote!(self.#name(#context #(#names),*));
    let run_method = match method.returns_nothing() {
        true => quote!({ #run_method; ::core::result::Result::Ok(()) }),
        false => quote!(#run_method #wrap),
    };
    quote! {
        #number => call.#run(
            |__input| ::core::result::Result::Ok((#(#reads,)*)),
            |(#(#names,)*), __context| #run_method,
        ),
    }
}
