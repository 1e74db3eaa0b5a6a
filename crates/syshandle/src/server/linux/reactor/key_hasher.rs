//! The hash of the keys of sources.

use std::hash::Hasher;

/// Hashes keys. No client chooses keys, so the hash needs no protection against deliberate
/// collisions.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, key: u64) {
        // An odd number near the golden section of 2⁶⁴. Multiplication changes all bits.
        self.0 = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
