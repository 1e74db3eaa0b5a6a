//! Generates an `.idl` file for MIDL from a description.
//!
//! Constructs that MIDL can't express are reported as errors.

mod definitions;
mod differences;
mod handles;
mod names;
mod types;

use std::collections::HashSet;
use std::fmt::Write;

use syn::Type;

pub use differences::{LayoutDifference, emitted_differences};
use names::{MidlNames, camel, pascal};
use syshandle_model::{
    Class, DefinitionKind, Description, Interface, Method, Parameter, plain_name, write_guid,
};
use types::TypeWriter;

/// Generates the text of an `.idl` file.
///
/// # Errors
/// Returns one line for each construct that MIDL can't express.
pub fn emit(description: &Description) -> Result<String, Vec<String>> {
    let mut emitter = Emitter {
        types: TypeWriter::of(description),
        description,
        text: HEAD.to_owned(),
        errors: vec![],
        result_structs: HashSet::new(),
    };
    emitter.find_result_structs();
    for interface in &description.interfaces {
        emitter.line(&format!("interface I{};", plain_name(&interface.name)));
    }
    emitter.definitions();
    for interface in &description.interfaces {
        emitter.interface(interface);
    }
    for class in &description.classes {
        emitter.class(class);
    }
    if emitter.errors.is_empty() { Ok(emitter.text) } else { Err(emitter.errors) }
}

struct Emitter<'d> {
    types: TypeWriter<'d>,
    description: &'d Description,
    text: String,
    errors: Vec<String>,
    /// Structs that are used only as the result of a method with several results.
    result_structs: HashSet<String>,
}

impl<'d> Emitter<'d> {
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    /// Records a construct that MIDL can't express.
    fn refuse(&mut self, place: &str, what: &str) {
        self.errors.push(format!("{place}: {what}"));
    }

    /// Finds the structs that `idl rust` has generated for methods with several results.
    fn find_result_structs(&mut self) {
        for interface in &self.description.interfaces {
            for method in &interface.methods {
                let name = format!("{}{}", interface.name, pascal(&plain_name(&method.name)));
                let is_struct = matches!(
                    self.types.definition(&method.result).map(|of| &of.kind),
                    Some(DefinitionKind::Struct(fields)) if fields.len() > 1
                );
                if is_struct && types::last_segment(&method.result).is_some_and(|last| last == name)
                {
                    self.result_structs.insert(name);
                }
            }
        }
    }

    fn interface(&mut self, interface: &Interface) {
        let Interface { iid, name, .. } = interface;
        let help = help(&interface.docs, ",\n    ", "");
        let iid = write_guid(iid);
        self.line(&format!(
            "\n[\n    object,\n    uuid({iid}),\n    pointer_default(unique){help}\n]"
        ));
        let name = plain_name(name);
        // The methods of all bases except the root are written as the interface's own methods.
        let is_dual = interface.bases.last().is_some_and(|root| root == "IDispatch");
        let root = if is_dual { "IDispatch" } else { "IUnknown" };
        self.line(&format!("interface I{name} : {root}\n{{"));
        let mut names_in_use = MidlNames::default();
        for method in &interface.methods {
            let place = format!("{name}::{}", plain_name(&method.name));
            if !names_in_use.is_new(&pascal(&plain_name(&method.name))) {
                self.refuse(&place, "another method would have the same name in MIDL");
            }
            self.method(&place, method);
        }
        self.line("};");
    }

    fn method(&mut self, place: &str, method: &Method) {
        if method.error.is_some() {
            self.refuse(place, "MIDL can't express an error type: return a plain `Result`");
        }
        let results = self.results(method);
        let mut names_in_use = MidlNames::default();
        // Parameters keep their names. A generated count parameter gets an unused name.
        let mut named = |list: &[Parameter]| -> Vec<String> {
            list.iter().map(|of| names_in_use.unique(&camel(&plain_name(&of.name)))).collect()
        };
        let (names, result_names) = (named(&method.parameters), named(&results));
        let mut parameters = Vec::new();
        for (parameter, name) in method.parameters.iter().zip(names) {
            let place = format!("{place}, parameter `{}`", plain_name(&parameter.name));
            match self.types.parameter(parameter, &name, "in", &mut names_in_use) {
                Ok(list) => parameters.extend(list),
                Err(what) => self.refuse(&place, &what),
            }
        }
        for (result, name) in results.iter().zip(result_names) {
            match self.types.parameter(result, &name, "out", &mut names_in_use) {
                Ok(list) => parameters.extend(list),
                Err(what) => self.refuse(&format!("{place}, result"), &what),
            }
        }
        let mut text = help(&method.docs, "    [", "]\n");
        let name = pascal(&plain_name(&method.name));
        let list = parameters.join(",\n        ");
        let list = if list.is_empty() { list } else { format!("\n        {list}") };
        // Writing to a `String` can't fail.
        let _ = write!(text, "    HRESULT {name}({list});");
        self.line(&text);
    }

    /// Returns the results of a method, each with a parameter name.
    fn results(&self, method: &Method) -> Vec<Parameter> {
        let result = |name: &str, ty: &Type| Parameter {
            docs: Vec::new(),
            name: quote::format_ident!("{name}"),
            ty: ty.clone(),
            handle: method.result_handle.clone(),
            range: None,
        };
        if let Type::Tuple(tuple) = &method.result {
            let names = (1..).map(|number| format!("result{number}"));
            return names.zip(&tuple.elems).map(|(name, ty)| result(&name, ty)).collect();
        }
        let is_spread = types::last_segment(&method.result)
            .is_some_and(|name| self.result_structs.contains(&name));
        match self.types.definition(&method.result).map(|of| &of.kind) {
            Some(DefinitionKind::Struct(fields)) if is_spread => {
                fields.iter().map(|field| field.value.clone()).collect()
            }
            _ => vec![result("result", &method.result)],
        }
    }

    fn class(&mut self, class: &Class) {
        let constant = plain_name(&class.name);
        let name = pascal(&constant.to_lowercase());
        let clsid = write_guid(&class.clsid);
        for interface in &class.interfaces {
            if !self.types.has_interface(&interface.to_string()) {
                self.refuse(&constant, &format!("interface `{interface}` isn't in this file"));
            }
        }
        let interfaces = class.interfaces.iter().enumerate().map(|(at, of)| {
            let default = if at == 0 { "[default] " } else { "" };
            format!("        {default}interface I{of};\n")
        });
        let interfaces: String = interfaces.collect();
        let help = help(&class.docs, ", ", "");
        // A library needs its own identifier. It is the CLSID with one bit changed.
        let mut library = class.clsid;
        library[15] ^= 1;
        let library = write_guid(&library);
        self.line(&format!(
            "\n[uuid({library}), version(1.0)]\nlibrary {name}Lib\n{{\n    [uuid({clsid}){help}]\n    \
             coclass {name}\n    {{\n{interfaces}    }};\n}};"
        ));
    }
}

/// Formats documentation as a `helpstring`. MIDL's limit is 255 characters.
fn help(docs: &[String], before: &str, after: &str) -> String {
    let text = docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let text: String = text.replace('\\', "/").replace('"', "'").chars().take(250).collect();
    match text.is_empty() {
        true => String::new(),
        false => format!("{before}helpstring(\"{text}\"){after}"),
    }
}

const HEAD: &str = "// Written by syshandle from a trait.\nimport \"oaidl.idl\";\n\n";
