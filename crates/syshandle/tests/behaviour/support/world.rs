//! A registry for one test, and clients over every transport.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use syshandle::{
    Activation, Encode,
    direct::from_door,
    handle::OwnedHandle,
    object::{Class, ClassInfo, Proxy},
};
use syshandle_registry::{Policy, RegisteredClass, Registration, Registry, RuntimePaths};
use syshandle_types::{EncodeError, Encoder, Limits};
use tempfile::TempDir;

#[cfg(feature = "tokio")]
use super::async_bench::AsyncWorkbench;
use super::bench::{BENCH, BenchClient, DOUBLE, NamedClient, Workbench};
use super::process;

/// A registry in a temporary folder, where this program is registered as a server.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    /// Registers a server that ends soon after its last client.
    pub(crate) fn new() -> Self {
        Self::with_environment(&[])
    }

    /// Registers a server with settings in its environment: see [`process`].
    pub(crate) fn with_environment(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let world = Self { folder };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(world.folder.path().join("run"), mode).unwrap();
        let mut environment: std::collections::BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        environment.insert(process::ROLE.into(), process::SERVER.into());
        for (name, folder) in [("XDG_RUNTIME_DIR", "run"), ("XDG_DATA_HOME", "data")] {
            let path = world.folder.path().join(folder);
            environment.insert(name.into(), path.to_str().unwrap().into());
        }
        let registration = Registration {
            name: "behaviour".into(),
            program: std::env::current_exe().unwrap(),
            arguments: process::arguments(process::SERVE),
            environment,
            socket: None,
            start_timeout: Registration::START_TIMEOUT,
            policy: Policy::same_user(),
            classes: process::classes()
                .into_iter()
                .map(|clsid| RegisteredClass { clsid, name: "TEST".into(), interfaces: Vec::new() })
                .collect(),
        };
        world.registry().register(&registration).unwrap();
        world
    }

    /// Returns the registry of a world in another process, given its folder.
    pub(crate) fn registry_in(folder: &std::path::Path) -> Registry {
        Registry {
            data_home: Some(folder.join("data")),
            data_dirs: Vec::new(),
            runtime_dir: Some(folder.join("run")),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn registry(&self) -> Registry {
        Self::registry_in(self.folder.path())
    }

    /// Activates a class of the server.
    pub(crate) fn activate<P: Proxy, C: ClassInfo>(&self, class: Class<C>) -> P {
        Activation::new().registry(self.registry()).activate(class.clsid()).unwrap()
    }

    pub(crate) fn bench(&self) -> BenchClient {
        self.activate(BENCH)
    }

    pub(crate) fn try_bench(&self) -> syshandle::Result<BenchClient> {
        Activation::new().registry(self.registry()).activate(BENCH.clsid())
    }

    /// Returns whether the server runs.
    pub(crate) fn is_running(&self) -> bool {
        let registry = self.registry();
        let registered = registry.find(BENCH.clsid()).unwrap();
        RuntimePaths::of(&registered, &registry).unwrap().is_running()
    }

    /// Returns the path of the server's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        let registry = self.registry();
        let registered = registry.find(BENCH.clsid()).unwrap();
        RuntimePaths::of(&registered, &registry).unwrap().socket
    }
}

/// A transport between a client and its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    InProcess,
    InProcessDoor,
    /// An object of a class with several interfaces, reached by a cast from another interface.
    InProcessClass,
    Socket,
    SocketDoor,
    /// The same with a server.
    SocketClass,
    /// An object of this process with asynchronous methods.
    #[cfg(feature = "tokio")]
    InProcessAsync,
    /// The same with a server.
    #[cfg(feature = "tokio")]
    SocketAsync,
}

impl Transport {
    pub(crate) const ALL: &[Self] = &[
        Self::InProcess,
        Self::InProcessDoor,
        Self::InProcessClass,
        Self::Socket,
        Self::SocketDoor,
        Self::SocketClass,
        #[cfg(feature = "tokio")]
        Self::InProcessAsync,
        #[cfg(feature = "tokio")]
        Self::SocketAsync,
    ];

    /// Connects a client to a new object over this transport.
    pub(crate) fn connect(self) -> Subject {
        match self {
            Self::InProcess => Subject {
                bench: BenchClient::in_process(Workbench::default()).unwrap(),
                _world: None,
            },
            Self::Socket => {
                let world = World::new();
                Subject { bench: world.bench(), _world: Some(world) }
            }
            Self::InProcessClass => {
                let named: NamedClient = DOUBLE.in_process(Workbench::default()).unwrap();
                Subject { bench: named.cast().unwrap(), _world: None }
            }
            Self::SocketClass => {
                let world = World::new();
                let named: NamedClient = world.activate(DOUBLE);
                Subject { bench: named.cast().unwrap(), _world: Some(world) }
            }
            #[cfg(feature = "tokio")]
            Self::InProcessAsync => {
                Subject { bench: BENCH.in_process(AsyncWorkbench::object()).unwrap(), _world: None }
            }
            #[cfg(feature = "tokio")]
            Self::SocketAsync => {
                let world = World::with_environment(&[(process::ASYNC, "1")]);
                Subject { bench: world.bench(), _world: Some(world) }
            }
            Self::InProcessDoor => Self::InProcess.connect().through_a_door(),
            Self::SocketDoor => Self::Socket.connect().through_a_door(),
        }
    }
}

/// A client, and the world in which its server is registered.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) bench: BenchClient,
    /// Keeps the registration until the client is dropped.
    _world: Option<World>,
}

impl Subject {
    fn through_a_door(self) -> Self {
        Self { bench: from_door(door(&self.bench)).unwrap(), ..self }
    }
}

/// Runs a test over every transport.
pub(crate) fn over_every_transport(test: impl Fn(&BenchClient)) {
    for transport in Transport::ALL {
        println!("over {transport:?}");
        test(&transport.connect().bench);
    }
}

/// Returns a door to an object, as another process would get it.
pub(crate) fn door(reference: &impl Encode) -> OwnedHandle {
    try_door(reference).unwrap()
}

/// Returns a door to an object, or the error of its server.
pub(crate) fn try_door(reference: &impl Encode) -> Result<OwnedHandle, EncodeError> {
    let mut out = Encoder::new(Vec::new(), Limits::default());
    reference.encode(&mut out);
    let (_, handles) = out.finish_lent()?;
    Ok(handles.with(|handles| handles[0].try_clone_to_owned().unwrap()))
}

/// Returns a file that no other test has.
pub(crate) fn file() -> std::fs::File {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let file = tempfile::tempfile().unwrap();
    // Each file gets another length, because a file system may reuse an inode number.
    file.set_len(u64::from(LAST.fetch_add(1, Ordering::Relaxed))).unwrap();
    file
}

/// Returns the device and inode numbers, which identify a file.
pub(crate) fn identity(handle: impl std::os::fd::AsFd) -> (u64, u64) {
    let stat = rustix::fs::fstat(handle).unwrap();
    (stat.st_dev, stat.st_ino)
}
