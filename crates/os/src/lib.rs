//! Typed handles to kernel objects: kinds, rights and their proof, and sockets that carry them.
