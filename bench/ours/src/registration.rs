//! Registrations in a temporary folder, and the environment variables that lead to them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bench_harness::Result;
use syshandle::{
    Guid,
    object::{Class, ClassInfo},
};
use syshandle_registry::{RegisteredClass, Registration, Registry};

use crate::interface::{BENCH, COLD};
use crate::sizes;

/// The folders for registrations and sockets, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folders {
    root: PathBuf,
    registry: Registry,
}

impl Folders {
    /// Creates the folders, and registers this program there.
    pub(crate) fn make() -> Result<Self> {
        let root = bench_harness::folder().join(format!("syshandle-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&root)?;
        let (data, runtime) = (root.join("data"), root.join("run"));
        for folder in [&data, &runtime] {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        let registry =
            Registry { data_home: Some(data), data_dirs: vec![], runtime_dir: Some(runtime) };
        let folders = Self { root, registry };
        let mut classes = sizes::registered();
        classes.push(registered(BENCH));
        let program = std::env::current_exe()?;
        folders.register("bench", &program, classes)?;
        let cold = program.with_file_name("bench-syshandle-cold");
        folders.register("bench-cold", &cold, vec![registered(COLD)])?;
        Ok(folders)
    }

    /// Returns the folders.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Registers `count` other classes that no client activates, ten per program.
    pub(crate) fn register_others(&self, count: usize) -> Result<()> {
        let program = std::env::current_exe()?;
        let numbers: Vec<usize> = (0..count).collect();
        for chunk in numbers.chunks(10) {
            let classes = chunk.iter().map(|number| RegisteredClass {
                clsid: other(*number),
                name: format!("OTHER_{number}"),
                interfaces: vec![],
            });
            self.register(&format!("other-{}", chunk[0]), &program, classes.collect())?;
        }
        Ok(())
    }

    fn register(&self, name: &str, program: &Path, classes: Vec<RegisteredClass>) -> Result<()> {
        // A server finds the folders through its environment, so the environment must name these.
        let environment = [
            ("XDG_DATA_HOME", &self.registry.data_home),
            ("XDG_RUNTIME_DIR", &self.registry.runtime_dir),
        ];
        let environment: BTreeMap<String, String> = environment
            .into_iter()
            .filter_map(|(name, path)| {
                Some((name.to_owned(), path.as_ref()?.to_string_lossy().into_owned()))
            })
            .collect();
        // All other values are the defaults.
        let mut registration = Registration::parse(name, "program = \"/\"")?;
        registration.program = program.to_owned();
        registration.arguments = vec!["server".into(), name.into()];
        registration.environment = environment;
        registration.classes = classes;
        self.registry.register(&registration)?;
        Ok(())
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        // A failure is ignored, because the folder is temporary anyway.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Returns the CLSID of the other class with this number.
pub(crate) fn other(number: usize) -> Guid {
    Guid::from_bytes((number as u128 + 1).to_be_bytes())
}

/// Returns the entry of a class in a registration.
pub(crate) fn registered<C: ClassInfo>(class: Class<C>) -> RegisteredClass {
    RegisteredClass {
        clsid: class.clsid(),
        name: class.name().into(),
        interfaces: class.interfaces().iter().map(|interface| interface.iid).collect(),
    }
}
