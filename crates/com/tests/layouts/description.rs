//! Builds the run-time description of an interface from an `.idl` file, without compiling the
//! interface. In a program, the `interface` macro generates the description.
//!
//! A description refers to a user-defined type by a function pointer without arguments. Each of the
//! functions here returns one entry of a thread-local table.

use std::cell::RefCell;
use std::collections::HashMap;

use quote::ToTokens;
use syn::{Expr, ExprLit, GenericArgument, Lit, PathArguments};
use syshandle::describe::{Definition, Describe, Interface, Method, Parameter, Type, Variant};
use syshandle::{
    Guid,
    handle::{Declaration, Kind, Kinds},
};
use syshandle_model::{
    self as model, DefinitionKind, Description, Handle, discriminants, plain_name,
};

thread_local! {
    static DEFINITIONS: RefCell<Vec<Definition>> = const { RefCell::new(Vec::new()) };
    static INTERFACES: RefCell<Vec<&'static Interface>> = const { RefCell::new(Vec::new()) };
}

/// Builds the description of an interface. The description is never freed.
///
/// # Errors
/// Returns an error if this module doesn't support a type, or if there are more types than
/// functions.
pub(crate) fn describe(
    model: &Description,
    interface: &model::Interface,
) -> Result<&'static Interface, String> {
    DEFINITIONS.take();
    INTERFACES.take();
    let mut maker = Maker { model, definitions: HashMap::new(), interfaces: HashMap::new() };
    maker.interface(interface)
}

struct Maker<'m> {
    model: &'m Description,
    definitions: HashMap<String, usize>,
    interfaces: HashMap<String, usize>,
}

impl Maker<'_> {
    fn interface(&mut self, of: &model::Interface) -> Result<&'static Interface, String> {
        let methods = of.methods.iter().map(|of| self.method(of)).collect::<Result<Vec<_>, _>>()?;
        Ok(leak(Interface {
            iid: Guid::from_bytes(of.iid),
            name: leak_text(of.name.to_string()),
            docs: "",
            is_private: of.is_private,
            methods: Vec::leak(methods),
        }))
    }

    fn method(&mut self, of: &model::Method) -> Result<Method, String> {
        let parameters = of.parameters.iter().map(|of| self.parameter(of));
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let result = match &of.result {
            syn::Type::Tuple(tuple) if tuple.elems.is_empty() => Type::Plain("()"),
            syn::Type::Tuple(tuple) => {
                let parts = tuple.elems.iter().map(|ty| self.ty(ty));
                Type::Tuple(Vec::leak(parts.collect::<Result<Vec<_>, _>>()?))
            }
            other => self.ty(other)?,
        };
        Ok(Method {
            name: leak_text(plain_name(&of.name)),
            docs: "",
            parameters: Vec::leak(parameters),
            result: Parameter::new("", result, declared(of.result_handle.as_ref())),
            error: None,
            blocking: false,
            one_way: false,
            differs: None,
        })
    }

    fn parameter(&mut self, of: &model::Parameter) -> Result<Parameter, String> {
        let name = leak_text(plain_name(&of.name));
        Ok(Parameter::new(name, self.ty(&of.ty)?, declared(of.handle.as_ref())))
    }

    fn ty(&mut self, ty: &syn::Type) -> Result<Type, String> {
        let unknown = || Err(format!("type {}", ty.to_token_stream()));
        if let syn::Type::Array(array) = ty {
            let Expr::Lit(ExprLit { lit: Lit::Int(length), .. }) = &array.len else {
                return unknown();
            };
            let length = length.base10_parse().map_err(|error: syn::Error| error.to_string())?;
            return Ok(Type::Array(leak(self.ty(&array.elem)?), length));
        }
        let syn::Type::Path(path) = ty else { return unknown() };
        let last = path.path.segments.last().unwrap();
        let name = plain_name(&last.ident);
        if let PathArguments::AngleBracketed(arguments) = &last.arguments {
            let Some(GenericArgument::Type(inner)) = arguments.args.first() else {
                return unknown();
            };
            let inner = self.ty(inner)?;
            return Ok(match name.as_str() {
                "Vec" => Type::List(leak(inner)),
                "Option" => Type::Option(leak(inner)),
                "Box" => inner,
                _ => return unknown(),
            });
        }
        if path.path.segments.len() == 1 {
            let definitions = &self.model.definitions;
            if let Some(definition) = definitions.iter().find(|of| of.name == name) {
                return self.named(name, definition);
            }
            if let Some(of) =
                self.model.interfaces.iter().find(|of| format!("{}Client", of.name) == name)
            {
                return self.object(name, of.iid);
            }
        }
        let plain = PLAIN.iter().find(|plain| **plain == name);
        Ok(match (plain, name.as_str()) {
            (Some(plain), _) => Type::Plain(plain),
            (None, "File") => <std::fs::File as Describe>::TYPE,
            (None, "PipeReader") => <std::io::PipeReader as Describe>::TYPE,
            (None, "PipeWriter") => <std::io::PipeWriter as Describe>::TYPE,
            (None, "Semaphore") => <syshandle::handle::Semaphore as Describe>::TYPE,
            (None, "Event") => <syshandle::handle::Event as Describe>::TYPE,
            (None, "Mutex") => <syshandle::handle::Mutex as Describe>::TYPE,
            (None, "Process") => <syshandle::handle::Process as Describe>::TYPE,
            (None, "Token") => <syshandle::handle::Token as Describe>::TYPE,
            (None, "Section") => <syshandle::handle::Section as Describe>::TYPE,
            (None, "UnsealedSection") => <syshandle::handle::UnsealedSection as Describe>::TYPE,
            (None, "RegKey") => <syshandle::handle::RegKey as Describe>::TYPE,
            (None, "Thread") => <syshandle::handle::Thread as Describe>::TYPE,
            (None, "Composition") => <syshandle::handle::Composition as Describe>::TYPE,
            (None, "Job") => <syshandle::handle::Job as Describe>::TYPE,
            (None, "OwnedHandle") => <syshandle::handle::OwnedHandle as Describe>::TYPE,
            _ => return unknown(),
        })
    }

    fn named(&mut self, name: String, of: &model::Definition) -> Result<Type, String> {
        let kind = match &of.kind {
            DefinitionKind::Alias(ty) => return self.ty(ty),
            DefinitionKind::Constant(..) => return Err(format!("constant {name} as a type")),
            kind => kind,
        };
        let known = self.definitions.get(&name).copied();
        let place = match known {
            Some(place) => place,
            None => {
                // The table entry is reserved first, because the type may refer to itself.
                let place = DEFINITIONS.with_borrow_mut(|all| {
                    all.push(Definition::Struct(&[]));
                    all.len() - 1
                });
                self.definitions.insert(name.clone(), place);
                let definition = self.definition(kind)?;
                DEFINITIONS.with_borrow_mut(|all| all[place] = definition);
                place
            }
        };
        let definition = *functions().get(place).ok_or("too many types")?;
        Ok(Type::Named { name: leak_text(name), docs: "", definition })
    }

    fn definition(&mut self, kind: &DefinitionKind) -> Result<Definition, String> {
        Ok(match kind {
            DefinitionKind::Struct(fields) => {
                let fields = fields.iter().map(|of| self.parameter(&of.value));
                Definition::Struct(Vec::leak(fields.collect::<Result<Vec<_>, _>>()?))
            }
            DefinitionKind::Enum(variants) => {
                let mut described = Vec::new();
                for (variant, value) in variants.iter().zip(discriminants(variants)) {
                    let fields = variant.fields.iter().map(|of| self.parameter(of));
                    described.push(Variant {
                        name: leak_text(plain_name(&variant.name)),
                        docs: "",
                        value,
                        fields: Vec::leak(fields.collect::<Result<Vec<_>, _>>()?),
                    });
                }
                Definition::Enum(Vec::leak(described))
            }
            _ => return Err("a definition of another sort".to_owned()),
        })
    }

    fn object(&mut self, name: String, iid: [u8; 16]) -> Result<Type, String> {
        let place = *self.interfaces.entry(name).or_insert_with(|| {
            let interface: &Interface = leak(Interface {
                iid: Guid::from_bytes(iid),
                name: "",
                docs: "",
                is_private: false,
                methods: &[],
            });
            INTERFACES.with_borrow_mut(|all| {
                all.push(interface);
                all.len() - 1
            })
        });
        Ok(Type::Object(*objects().get(place).ok_or("too many interfaces")?))
    }
}

/// Returns the declared kinds of a handle. The rights don't matter for the layout.
fn declared(handle: Option<&Handle>) -> Option<Declaration> {
    let handle = handle?;
    let mut kinds = handle.kinds.iter().map(|kind| Kind::from_name(&kind.to_string()).unwrap());
    let first = Kinds::of(kinds.next().unwrap());
    Some(Declaration::new(kinds.fold(first, Kinds::or)))
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn leak_text(text: String) -> &'static str {
    String::leak(text)
}

fn definition<const A: usize, const B: usize>() -> Definition {
    DEFINITIONS.with_borrow(|all| all[A * 16 + B])
}

fn object<const A: usize, const B: usize>() -> &'static Interface {
    INTERFACES.with_borrow(|all| all[A * 16 + B])
}

macro_rules! functions {
    ($name:ident: $($a:literal)*) => {
        [$(
            $name::<$a, 0>, $name::<$a, 1>, $name::<$a, 2>, $name::<$a, 3>,
            $name::<$a, 4>, $name::<$a, 5>, $name::<$a, 6>, $name::<$a, 7>,
            $name::<$a, 8>, $name::<$a, 9>, $name::<$a, 10>, $name::<$a, 11>,
            $name::<$a, 12>, $name::<$a, 13>, $name::<$a, 14>, $name::<$a, 15>,
        )*]
    };
}

fn functions() -> &'static [fn() -> Definition] {
    const ALL: &[fn() -> Definition] = &functions!(definition: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
        16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    ALL
}

fn objects() -> &'static [fn() -> &'static Interface] {
    const ALL: &[fn() -> &'static Interface] = &functions!(object: 0 1 2 3 4 5 6 7);
    ALL
}

const PLAIN: [&str; 17] = [
    "bool", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
    "u128", "usize", "String", "Guid",
];
