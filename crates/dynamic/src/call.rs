//! The call of a method: the check of its arguments, and the decoding of its reply.

use syshandle::describe::owned::DescribedMethod;
#[cfg(feature = "tokio")]
use syshandle::generated::UntypedClient;
use syshandle_types::{DecodeError, Decoder, Encoder, Printable};

use crate::reader::Reader;
use crate::schema::Schema;
use crate::writer::Writer;
use crate::{Error, Value};

/// A call of a described method.
pub(crate) struct Call<'c> {
    pub(crate) schema: &'c Schema,
    /// Number of the method.
    pub(crate) number: u32,
    method: &'c DescribedMethod,
    arguments: &'c [Value],
}

impl<'c> Call<'c> {
    /// Finds the method, and checks the number of its arguments.
    pub(crate) fn of(
        schema: &'c Schema,
        method: &str,
        arguments: &'c [Value],
    ) -> Result<Self, Error> {
        let description = &schema.description;
        let wrong = |text: &str| argument_error(&description.name, method, text);
        let Some(number) = description.method(method) else {
            return Err(wrong("the interface has no such method"));
        };
        let method = &description.methods[number as usize];
        if method.parameters.len() != arguments.len() {
            let (expected, got) = (method.parameters.len(), arguments.len());
            let plural = if expected == 1 { "" } else { "s" };
            return Err(wrong(&format!("expected {expected} argument{plural}, got {got}")));
        }
        Ok(Self { schema, number, method, arguments })
    }

    /// Checks and encodes the arguments.
    pub(crate) fn write(&self, out: &mut Encoder<'c>) -> Result<(), Error> {
        let writer = Writer { schema: self.schema };
        for (parameter, argument) in self.method.parameters.iter().zip(self.arguments) {
            let name = || parameter.name.clone();
            let written = out.part(name, |out| writer.value(parameter, argument, out));
            written.map_err(|wrong| {
                let text = wrong.text(&parameter.name);
                argument_error(&self.schema.description.name, &self.method.name, &text)
            })?;
        }
        Ok(())
    }

    /// Decodes the result, or the method's own error.
    pub(crate) fn read(
        &self,
        input: &mut Decoder<'_>,
        is_error: bool,
    ) -> Result<Result<Value, Value>, DecodeError> {
        let reader = Reader { schema: self.schema };
        match (&self.method.error, is_error) {
            (Some(error), true) => Ok(Err(reader.read(error, None, input, 0)?)),
            _ => Ok(Ok(reader.value(&self.method.result, input)?)),
        }
    }

    /// Adds the name of the method to an error.
    #[cfg(feature = "tokio")]
    pub(crate) fn name(&self, error: syshandle::Error) -> Error {
        let description = &self.schema.description;
        Error::Call(UntypedClient::name_error(description, self.number, error))
    }
}

fn argument_error(interface: &str, method: &str, text: &str) -> Error {
    Error::Argument(Printable(format!("{interface}::{method}: {text}")).to_string())
}
