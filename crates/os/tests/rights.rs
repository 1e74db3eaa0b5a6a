//! No sequence of operations of this crate on a handle increases its rights.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::OwnedFd;

use syshandle_os::{
    Declaration, Facts, Handle, Kinds, Narrow, Rights, Section, Seqpacket, UnsealedSection,
    identify, prove,
};

/// A pseudorandom generator with a fixed seed, so that a failing sequence can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Returns a random set of rights, or a random subset of `has`.
    fn rights(&mut self, has: Rights) -> Rights {
        let any = Rights::from_bits_truncate(u32::try_from(self.below(1 << 9)).unwrap());
        match self.below(4) {
            0 => any,
            1 => any & has,
            // In half of the cases, all rights remain that a section can't give up.
            _ => (any | Rights::READ | Rights::MAP) & has,
        }
    }
}

/// A handle and its type, which determines how it can be narrowed.
enum Held {
    File(File),
    Section(Section),
    Other(OwnedFd),
}

impl Held {
    fn facts(&self) -> Facts {
        identify(self.as_fd()).unwrap()
    }

    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::File(file) => file.as_handle(),
            Self::Section(section) => section.as_handle(),
            Self::Other(handle) => handle.as_handle(),
        }
    }

    fn with(&self, handle: OwnedFd) -> Self {
        match self {
            Self::File(_) => Self::File(File::from_handle(handle)),
            Self::Section(_) => Self::Section(Section::from_handle(handle)),
            Self::Other(_) => Self::Other(handle),
        }
    }

    /// Creates another handle to the same object by a random operation.
    fn hop(&self, random: &mut Random) -> Option<Self> {
        let has = self.facts().rights;
        match random.below(3) {
            0 => Some(self.with(sent(self.as_fd()))),
            1 => Some(self.with(self.as_fd().try_clone_to_owned().unwrap())),
            _ => match self {
                Self::File(file) => file.narrow(random.rights(has)).ok().map(Self::File),
                Self::Section(section) => {
                    section.narrow(random.rights(has)).ok().map(Self::Section)
                }
                Self::Other(_) => None,
            },
        }
    }
}

/// Returns the handle as another process would receive it.
fn sent(handle: std::os::fd::BorrowedFd<'_>) -> OwnedFd {
    let (here, there) = Seqpacket::pair().unwrap();
    here.send(&[IoSlice::new(b"x")], &[handle]).unwrap();
    let mut handles = Vec::new();
    there.receive(&mut [0; 8], &mut handles).unwrap();
    handles.pop().unwrap()
}

fn every_sort(dir: &tempfile::TempDir) -> Vec<Held> {
    let path = dir.path().join("file");
    let (reader, writer) = std::io::pipe().unwrap();
    let unsealed = UnsealedSection::new(8).unwrap();
    vec![
        Held::File(
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .unwrap(),
        ),
        Held::File(File::open(&path).unwrap()),
        Held::File(File::options().append(true).open(&path).unwrap()),
        Held::File(File::options().read(true).append(true).open(&path).unwrap()),
        Held::File(File::options().write(true).open(&path).unwrap()),
        Held::Section(Section::new(8).unwrap()),
        Held::Section(Section::frozen(b"frozen").unwrap()),
        Held::Other(unsealed.into()),
        Held::Other(reader.into()),
        Held::Other(writer.into()),
        Held::Other(syshandle_os::Event::new().unwrap().into()),
        Held::Other(File::open(dir.path()).unwrap().into()),
    ]
}

#[test]
fn rights_never_widen_along_any_chain_of_hops() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let mut narrowed = 0;
    for _ in 0..60 {
        for mut held in every_sort(&dir) {
            let mut before = held.facts();
            for _ in 0..12 {
                let Some(next) = held.hop(&mut random) else { continue };
                let after = next.facts();
                assert_eq!(after.object, before.object);
                assert!(
                    before.rights.contains(after.rights),
                    "rights were added: {before:?}, then {after:?}"
                );
                let most = Declaration::new(Kinds::ANY).at_most(before.rights);
                prove(next.as_fd(), &most).unwrap();
                narrowed += u32::from(after.rights != before.rights);
                (held, before) = (next, after);
            }
        }
    }
    assert!(narrowed > 20, "only {narrowed} operations removed a right");
}
