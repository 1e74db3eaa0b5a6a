//! Generates Rust source from the model: traits with `#[interface]`, and types with derives.
//!
//! The attribute and derive macros generate the rest of the code. Therefore, an interface from an
//! `.idl` file behaves exactly like a hand-written trait. All paths are absolute, so that the
//! source can be included in any module.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Group, Literal, TokenStream, TokenTree};
use quote::{ToTokens, quote};

use syshandle_model::generate::docs;
use syshandle_model::{
    Class, Definition, DefinitionKind, Description, Field, Handle, Interface, Method, Parameter,
    Range, Variant, identifiers, write_guid,
};

use super::CratePath;

/// Returns the Rust source of a description, which refers to syshandle by `crate_path`.
pub(super) fn source(description: &Description, crate_path: Option<&CratePath>) -> TokenStream {
    let plain = PlainDataTypes::of(description);
    let library = crate_path.map(CratePath::tokens);
    let library = library.as_ref();
    let definitions = description.definitions.iter().map(|of| definition(of, &plain, library));
    let interfaces = description.interfaces.iter().map(|of| interface(of, library));
    let classes = description.classes.iter().map(class);
    let source = quote! { #(#definitions)* #(#interfaces)* #(#classes)* };
    match library {
        Some(path) => with_path(source, path),
        None => source,
    }
}

/// Replaces `syshandle` at the start of each path.
fn with_path(source: TokenStream, path: &TokenStream) -> TokenStream {
    let mut tokens = source.into_iter().peekable();
    let mut replaced = TokenStream::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident)
                if ident == "syshandle"
                    && matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':') =>
            {
                replaced.extend(path.clone());
            }
            TokenTree::Group(group) => {
                let group = Group::new(group.delimiter(), with_path(group.stream(), path));
                replaced.extend([TokenTree::Group(group)]);
            }
            token => replaced.extend([token]),
        }
    }
    replaced
}

fn interface(interface: &Interface, library: Option<&TokenStream>) -> TokenStream {
    let Interface { iid, visibility, name, methods, is_private, .. } = interface;
    let docs = docs(&interface.docs);
    let iid = write_guid(iid);
    let methods = methods.iter().map(method);
    let private = is_private.then(|| quote!(, com = "private"));
    let library = library.map(|path| quote!(, crate = #path));
    quote! {
        #docs
        #[syshandle::interface(iid = #iid #private #library)]
        #visibility trait #name {
            #(#methods)*
        }
    }
}

fn method(method: &Method) -> TokenStream {
    let Method { name, returns, differs, .. } = method;
    let docs = docs(&method.docs);
    let differs = differs.as_ref().map(|why| quote!(#[com(differs = #why)]));
    let result_handle = method.result_handle.as_ref().map(handle);
    let context = method.context.iter().map(parameter);
    let parameters = method.parameters.iter().map(parameter);
    quote! {
        #docs
        #differs
        #result_handle
        fn #name(&self #(, #context)* #(, #parameters)*) -> #returns;
    }
}

fn parameter(parameter: &Parameter) -> TokenStream {
    let Parameter { docs: lines, name, ty, handle: declared, range: bounds } = parameter;
    let docs = docs(lines);
    let declared = declared.as_ref().map(handle);
    let bounds = bounds.map(range);
    quote!(#docs #declared #bounds #name: #ty)
}

/// Returns the attribute `#[range(…)]`.
fn range(Range { from, to }: Range) -> TokenStream {
    let (from, to) = (Literal::i128_unsuffixed(from), Literal::i128_unsuffixed(to));
    quote!(#[range(#from..=#to)])
}

/// Returns the attribute `#[handle(…)]`.
fn handle(handle: &Handle) -> TokenStream {
    let Handle { kinds, sockets, files, at_least, at_most } = handle;
    let kinds = kinds.iter().map(|kind| {
        let sorts: &[proc_macro2::Ident] = match kind.to_string().as_str() {
            "socket" => sockets,
            "file" => files,
            _ => &[],
        };
        if sorts.is_empty() { kind.to_token_stream() } else { quote!(#kind(#(#sorts)|*)) }
    });
    let at_least = (!at_least.is_empty()).then(|| quote!(, #(#at_least)|*));
    let at_most = at_most.as_ref().map(|most| quote!(, at_most = #(#most)|*));
    quote!(#[handle(#(#kinds)|* #at_least #at_most)])
}

fn class(class: &Class) -> TokenStream {
    let Class { name, interfaces, .. } = class;
    let docs = docs(&class.docs);
    let clsid = write_guid(&class.clsid);
    quote! {
        syshandle::class! {
            #docs
            pub #name: #(#interfaces)+* = #clsid;
        }
    }
}

fn definition(
    definition: &Definition,
    plain: &PlainDataTypes<'_>,
    library: Option<&TokenStream>,
) -> TokenStream {
    let Definition { name, kind, .. } = definition;
    let docs = docs(&definition.docs);
    let derives = plain.derives(&name.to_string());
    let library = library.map(|path| quote!(#[syshandle(crate = #path)]));
    match kind {
        DefinitionKind::Struct(fields) => {
            let fields = fields.iter().map(field);
            quote! {
                #docs
                #[derive(#derives, syshandle::Encode, syshandle::Decode)]
                #library
                pub struct #name { #(#fields)* }
            }
        }
        DefinitionKind::Enum(variants) => {
            let variants = variants.iter().map(variant);
            quote! {
                #docs
                #[derive(#derives, syshandle::Encode, syshandle::Decode)]
                #library
                pub enum #name { #(#variants)* }
            }
        }
        DefinitionKind::Alias(ty) => quote! { #docs pub type #name = #ty; },
        DefinitionKind::Constant(ty, value) => quote! { #docs pub const #name: #ty = #value; },
    }
}

fn field(Field { value, .. }: &Field) -> TokenStream {
    let Parameter { docs: lines, name, ty, handle: declared, range: bounds } = value;
    let docs = docs(lines);
    let declared = declared.as_ref().map(handle);
    let bounds = bounds.map(range);
    quote!(#docs #declared #bounds pub #name: #ty,)
}

fn variant(variant: &Variant) -> TokenStream {
    let Variant { name, fields, .. } = variant;
    let docs = docs(&variant.docs);
    let value = variant.value.map(|value| {
        let value = Literal::i64_unsuffixed(value);
        quote!(= #value)
    });
    let fields = fields.iter().map(
        |Parameter { docs: lines, ty, handle: declared, range: bounds, .. }| {
            let docs = self::docs(lines);
            let declared = declared.as_ref().map(handle);
            let bounds = bounds.map(range);
            quote!(#docs #declared #bounds #ty)
        },
    );
    let fields = (fields.len() > 0).then(|| quote!((#(#fields),*)));
    quote!(#docs #name #fields #value,)
}

/// Finds types that consist only of data and can therefore be cloned and compared. Handles can't.
struct PlainDataTypes<'d> {
    definitions: HashMap<String, &'d Definition>,
    /// The types that contain a handle or object reference, directly or indirectly.
    with_handles: HashSet<String>,
}

impl<'d> PlainDataTypes<'d> {
    /// Starts at the types that contain a handle and continues with the types that contain these.
    /// Each type is visited once. Recursion from containing to contained types would take
    /// exponential time if types share members.
    fn of(description: &'d Description) -> Self {
        let definitions: HashMap<String, &Definition> =
            description.definitions.iter().map(|of| (of.name.to_string(), of)).collect();
        let mut users: HashMap<String, Vec<&str>> = HashMap::new();
        let mut with_handles = HashSet::new();
        for (user, definition) in &definitions {
            for used in identifiers(definition.types()) {
                if PATHS.contains(&used.as_str()) || DATA.contains(&used.as_str()) {
                    continue;
                }
                if definitions.contains_key(&used) {
                    users.entry(used).or_default().push(user);
                } else {
                    with_handles.insert(user.clone());
                }
            }
        }
        let mut open: Vec<String> = with_handles.iter().cloned().collect();
        while let Some(used) = open.pop() {
            for user in users.remove(&used).into_iter().flatten() {
                if with_handles.insert(user.to_owned()) {
                    open.push(user.to_owned());
                }
            }
        }
        Self { definitions, with_handles }
    }

    fn derives(&self, name: &str) -> TokenStream {
        let fieldless = matches!(
            self.definitions.get(name).map(|of| &of.kind),
            Some(DefinitionKind::Enum(variants)) if variants.iter().all(|of| of.fields.is_empty())
        );
        match (fieldless, self.with_handles.contains(name)) {
            (true, _) => quote!(Clone, Copy, Debug, PartialEq, Eq, Hash),
            (false, false) => quote!(Clone, Debug, PartialEq),
            (false, true) => quote!(Debug),
        }
    }
}

/// Primitive types and `String`, which are data.
const DATA: [&str; 14] = [
    "bool", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128",
    "String",
];

/// Names in type paths that are not defined types. The generic types among them are data if their
/// arguments are.
const PATHS: [&str; 6] = ["syshandle", "std", "Guid", "Vec", "Option", "Box"];
