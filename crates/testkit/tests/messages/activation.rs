//! Messages of errors when a server is found and started.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use syshandle_testkit::{
    CLIENT, Fixture, Messages, SERVER, TEST_SERVICE, TestServiceClient, copy, wait_until,
};

use crate::group;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Activates the server in a new fixture that `prepare` has changed, and adds the resulting error.
fn add(messages: &mut Messages, situation: &'static str, prepare: impl FnOnce(&Fixture)) {
    let fixture = Fixture::new();
    messages.replace(&SERVER, "$SERVER");
    messages.replace(fixture.path(), "$FOLDER");
    prepare(&fixture);
    let activation = fixture.activation();
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    messages.add(situation, &error);
}

/// Registers a script or another file as the server.
fn program(fixture: &Fixture, content: &str, mode: u32) {
    let path = fixture.path().join("program");
    fs::write(&path, content).unwrap();
    chmod(&path, mode);
    fixture.register(&path, TEST_SERVICE, &[]);
}

#[test]
fn the_messages_of_activation() {
    let mut messages = group("activation");
    let all = &mut messages;
    registrations(all);
    programs(all);
    folders(all);
    confined(all);
    messages.check();
}

fn registrations(all: &mut Messages) {
    add(all, "a class that is not registered", |_| {});
    let broken = |content: &'static [u8]| {
        move |fixture: &Fixture| {
            let file = fixture.register(&SERVER, TEST_SERVICE, &[]);
            fs::write(&file.path, content).unwrap();
        }
    };
    add(all, "a registration that is no TOML", broken(b"program = \""));
    add(all, "a registration with an unknown key", broken(b"program = \"/s\"\ncolour = 1"));
    add(all, "a registration that is not UTF-8", broken(b"program = \"\xff\""));
    add(all, "a registration of a relative program", broken(b"program = \"bin/server\""));
    add(all, "a registration without the class", broken(b"program = \"/s\""));
    let environment = b"program = \"/s\"\n[environment]\nLISTEN_FDS = \"1\"";
    add(all, "a registration with a reserved variable", broken(environment));
    add(all, "a registration that is too large", |fixture| {
        let file = fixture.register(&SERVER, TEST_SERVICE, &[]);
        fs::write(&file.path, vec![b'#'; 2 << 20]).unwrap();
    });
    add(all, "a registration that is missing", |fixture| {
        fs::remove_file(fixture.register(&SERVER, TEST_SERVICE, &[]).path).unwrap();
    });
    add(all, "a registration that is a folder", |fixture| {
        let file = fixture.register(&SERVER, TEST_SERVICE, &[]);
        fs::remove_file(&file.path).unwrap();
        fs::create_dir(&file.path).unwrap();
    });
    add(all, "a class link that leads nowhere", |fixture| {
        fixture.register(&SERVER, TEST_SERVICE, &[]);
        let classes = fixture.data().join("syshandle/classes");
        let link = classes.join(TEST_SERVICE.clsid().to_string());
        fs::remove_file(&link).unwrap();
        symlink("/", &link).unwrap();
    });
    add(all, "a registration that others may change", |fixture| {
        chmod(&fixture.register(&SERVER, TEST_SERVICE, &[]).path, 0o666);
    });
    if rustix::process::getuid().is_root() {
        add(all, "a registration of another user", |fixture| {
            let file = fixture.register(&SERVER, TEST_SERVICE, &[]);
            chown(file.path, Some(65534), None).unwrap();
        });
    }
}

fn programs(all: &mut Messages) {
    add(all, "a program that is missing", |fixture| {
        fixture.register("/no/such/program".as_ref(), TEST_SERVICE, &[]);
    });
    add(all, "a program that is not executable", |fixture| program(fixture, "x", 0o644));
    add(all, "a program that the kernel can't run", |fixture| program(fixture, "x\n", 0o755));
    add(all, "a script without its interpreter", |fixture| {
        program(fixture, "#!/no/such/interpreter\n", 0o755);
    });
    add(all, "a program that any user may write", |fixture| {
        let path = fixture.path().join("program");
        copy(&SERVER, &path);
        chmod(&path, 0o757);
        fixture.register(&path, TEST_SERVICE, &[]);
    });
    add(all, "a program that ends at once", |fixture| {
        fixture.register(&SERVER, TEST_SERVICE, &[("TESTKIT_STARTUP", "exit")]);
    });
    add(all, "a program that closes its socket", |fixture| {
        program(fixture, "#!/bin/sh\nexec 3<&-\nexec sleep 1000\n", 0o755);
    });
    add(all, "a program that does not greet", |fixture| {
        let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
        registration.environment.insert("TESTKIT_STARTUP".into(), "hang".into());
        registration.start_timeout = Duration::from_millis(100);
        fixture.register_as(&registration);
    });
    add(all, "a program that failed a moment ago", |fixture| {
        program(fixture, "x", 0o644);
        fixture.activate().unwrap_err();
    });
    add(all, "a socket that another program manages", |fixture| {
        let mut registration = fixture.registration(&SERVER, TEST_SERVICE);
        registration.socket = Some(fixture.path().join("managed"));
        fixture.register_as(&registration);
    });
    let fixture = Fixture::new();
    all.replace(fixture.path(), "$FOLDER");
    let file = fixture.register(&SERVER, TEST_SERVICE, &[]);
    let paths = fixture.runtime_paths(&file);
    let _lock = paths.try_lock().unwrap().unwrap();
    let activation = fixture.activation().timeout(Duration::from_millis(50));
    let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
    all.add("a start that another process holds up", &error);
}

/// Adds the errors of a client that is more confined than the first one, and so may not start a
/// server.
fn confined(all: &mut Messages) {
    let fixture = Fixture::new();
    all.replace(fixture.path(), "$FOLDER");
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    drop(fixture.activate().unwrap());
    wait_until("the server has ended", || fixture.processes("testkit-server").is_empty());
    let mut client = fixture.command(&CLIENT);
    let output = client.args(["--confine", "no_new_privs"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    match text.trim_end().split_once(": ") {
        Some(("ActivationDenied", text)) => {
            let text = format!("display: {text}\ndebug: (ActivationDenied; did not run)\n");
            all.push("a client that is confined", &text);
        }
        _ => println!("skipped: this test is confined itself: {text}"),
    }
}

fn folders(all: &mut Messages) {
    let fixture = Fixture::new();
    all.replace(fixture.path(), "$FOLDER");
    fixture.register(&SERVER, TEST_SERVICE, &[]);
    let mut fail = |situation, runtime: Option<&Path>| {
        let mut registry = fixture.registry();
        registry.runtime_dir = runtime.map(Path::to_owned);
        let activation = fixture.activation().registry(registry);
        let error = activation.activate::<TestServiceClient>(TEST_SERVICE.clsid()).unwrap_err();
        all.add(situation, &error);
    };
    fail("no runtime folder", None);
    fail("a runtime folder that is missing", Some(&fixture.path().join("missing")));
    File::create(fixture.path().join("file")).unwrap();
    fail("a runtime folder that is a file", Some(&fixture.path().join("file")));
    chmod(&fixture.runtime(), 0o755);
    fail("a runtime folder that others may use", Some(&fixture.runtime()));
    add(all, "a folder in the place of the socket", |fixture| {
        let file = fixture.register(&SERVER, TEST_SERVICE, &[]);
        let socket = fixture.runtime_paths(&file).socket;
        fs::create_dir(socket).unwrap();
    });
}
