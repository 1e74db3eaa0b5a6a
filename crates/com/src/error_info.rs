//! What goes with a failed HRESULT: its text, and all of the fault where both sides are ours.

use std::fmt::Write;

use syshandle_wire::Fault;

/// The fields of COM's `IErrorInfo` that say why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// Who says so: for our own clients, all of the fault in figures.
    pub source: String,
    /// What a person reads.
    pub description: String,
}

impl ErrorInfo {
    /// What is said of a fault.
    pub fn of_fault(fault: &Fault) -> Self {
        let mut source = PREFIX.to_owned();
        for byte in fault.write() {
            // Writing to a string doesn't fail.
            let _ = write!(source, "{byte:02x}");
        }
        Self { source, description: fault.to_string() }
    }

    /// The fault, where the other side is ours.
    pub fn to_fault(&self) -> Option<Fault> {
        let figures = self.source.strip_prefix(PREFIX)?.as_bytes();
        let bytes = figures.chunks(2).map(|pair| match pair {
            [high, low] => Some(figure(*high)? << 4 | figure(*low)?),
            _ => None,
        });
        Fault::read(&bytes.collect::<Option<Vec<_>>>()?).ok()
    }
}

fn figure(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).map(|figure| figure as u8)
}

const PREFIX: &str = "syshandle:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_back_whole() {
        let fault = Fault::Malformed { parameter: Some(2), text: "the bytes are no bool".into() };
        let info = ErrorInfo::of_fault(&fault);
        assert_eq!(info.description, "the bytes are no bool");
        assert_eq!(info.to_fault(), Some(fault));
    }

    #[test]
    fn what_others_say_is_no_fault_of_ours() {
        for source in
            ["", "Word.Document", "syshandle:", "syshandle:0", "syshandle:zz", "syshandle:é"]
        {
            let info = ErrorInfo { source: source.into(), description: String::new() };
            assert_eq!(info.to_fault(), None, "{source}");
        }
    }
}
