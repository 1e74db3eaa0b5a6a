//! Generates the run-time description of an interface, which tools read.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::{doc_text, field_docs, field_range, guid, handle_declaration};
use crate::{Handle, Interface, Library, Method, Parameter};

/// Returns an expression for the description of an interface.
pub(super) fn interface(interface: &Interface, syshandle: &Library) -> TokenStream {
    let iid = guid(&interface.iid, syshandle);
    let name = interface.name.unraw().to_string();
    let docs = doc_text(&interface.docs);
    let methods = interface.methods.iter().map(|of| method(&interface.name, of, syshandle));
    let is_private = interface.is_private;
    quote! {
        #syshandle::describe::Interface {
            iid: #iid,
            name: #name,
            docs: #docs,
            is_private: #is_private,
            methods: &[#(#methods),*],
        }
    }
}

fn method(interface: &Ident, method: &Method, syshandle: &Library) -> TokenStream {
    let name = method.name.unraw().to_string();
    let docs = doc_text(&method.docs);
    let parameters = method.parameters.iter().map(|parameter| {
        let Parameter { docs, name, ty, handle, range } = parameter;
        let described = value(&name.unraw().to_string(), ty, handle.as_ref(), syshandle);
        let (docs, range) = (field_docs(docs), field_range(*range));
        quote!(#described #docs #range)
    });
    let result = value("", &method.result, method.result_handle.as_ref(), syshandle);
    let error = match &method.error {
        None => quote!(::core::option::Option::None),
        Some(error) => {
            quote!(::core::option::Option::Some(<#error as #syshandle::describe::Describe>::TYPE))
        }
    };
    let (blocking, one_way) = (method.blocking, method.one_way);
    let differs = match &method.differs {
        None => quote!(::core::option::Option::None),
        Some(why) => {
            let what = format!(
                "the COM layout of method `{}::{name}` differs in Rust: {why}; if all callers and \
                 servers use syshandle, declare the interface private: `#[interface(iid = \"...\", com = \"private\")]`",
                interface.unraw()
            );
            quote!(::core::option::Option::Some(#what))
        }
    };
    quote! {
        #syshandle::describe::Method {
            name: #name,
            docs: #docs,
            parameters: &[#(#parameters),*],
            result: #result,
            error: #error,
            blocking: #blocking,
            one_way: #one_way,
            differs: #differs,
        }
    }
}

fn value(name: &str, ty: &Type, handle: Option<&Handle>, syshandle: &Library) -> TokenStream {
    // Gives the expression the span of the type, so that the compiler reports a contradicting
    // declaration there.
    let declared = handle_declaration(handle, syshandle);
    let syshandle = syshandle.at(ty.span());
    quote_spanned! {ty.span()=>
        #syshandle::describe::Parameter::new(
            #name,
            <#ty as #syshandle::describe::Describe>::TYPE,
            #declared,
        )
    }
}
