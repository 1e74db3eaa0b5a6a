//! Method calls between processes that carry kernel objects as typed parameters.
