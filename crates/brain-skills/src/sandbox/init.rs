//! The first process of the new namespaces: it builds the confinement around itself, starts the program in it, and reaps.
//!
//! Invariants: the program is started only after everything is in force, and this process is confined no less; when it
//! ends, the kernel kills all others; it ends when the program does or when the brain is gone.

use std::{
    ffi::CString,
    fs::File,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{
    landlock, launcher,
    mechanism::Mechanism,
    plan::{Failure, Message, Plan, Task},
    restrictions,
    root::{self, Parts},
    seccomp::Filters,
    sys::{self, Side},
    verify,
};

/// Waits for the go-ahead, does it all, and never returns.
pub(super) fn run(
    control: BorrowedFd<'_>,
    plan: &Plan,
    parts: Option<Parts>,
    stdio: [OwnedFd; 3],
    filters: &Filters,
    wait: OwnedFd,
) -> ! {
    let mut go = [0];
    if File::from(wait).read_exact(&mut go).is_err() {
        sys::exit(1); // The launcher gave up, and has said why.
    }
    let code = match confine_and_start(control, plan, parts, stdio, filters) {
        Ok((program, children)) => tend(control, program, children),
        Err(failure) => {
            // If the brain is gone there is nobody to tell.
            let _gone = Message::Failed(failure).send(control, None);
            1
        }
    };
    sys::exit(code);
}

/// What the program executes: a path and two lists, ready for the kernel.
struct Executed {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// Builds everything up, then starts the program; returns its number, and where ended children are told.
fn confine_and_start(
    control: BorrowedFd<'_>,
    plan: &Plan,
    parts: Option<Parts>,
    stdio: [OwnedFd; 3],
    filters: &Filters,
) -> Result<(i32, OwnedFd), Failure> {
    let parts = parts.map_or_else(|| Parts::take(plan), Ok)?;
    let namespace = plan.has(Mechanism::UserNamespace);
    if namespace && plan.user.is_some() {
        restrictions::become_user((launcher::INSIDE, launcher::INSIDE))?;
    }
    if plan.has(Mechanism::UtsNamespace) {
        sys::set_host_name("skill").map_err(|error| Failure::at("naming the host", &error))?;
    }
    let own = (sys::effective_user(), sys::effective_group());
    let user = if namespace {
        (launcher::INSIDE, launcher::INSIDE)
    } else {
        plan.user.unwrap_or(own)
    };
    root::build(plan, &parts, user)?;
    drop(parts);
    let port = open_listener(control, plan)?;
    restrictions::apply(plan, if namespace { None } else { plan.user })?;
    let enforced = landlock::restrict(root::uses(plan), port)
        .map_err(|error| Failure::unconfined(Mechanism::LandlockFiles, &error))?;
    if plan.has(Mechanism::LandlockFiles) && !enforced {
        return Err(Failure::unconfined(
            Mechanism::LandlockFiles,
            &"the kernel took the rules and does not enforce them",
        ));
    }

    let executed = match &plan.task {
        Task::Run { argv, environment } => Some(executed(argv, environment, port)?),
        Task::Verify | Task::Probe => None,
    };
    let children = sys::child_signals().map_err(|error| Failure::at("watching children", &error))?;
    let (told, tell) = sys::pipe().map_err(|error| Failure::at("making a pipe", &error))?;
    if plan.has(Mechanism::Seccomp) {
        filters
            .install()
            .map_err(|error| Failure::unconfined(Mechanism::Seccomp, &error))?;
    }
    let cloned = sys::clone(libc::SIGCHLD).map_err(|error| Failure::at("making a process", &error))?;
    let Side::Parent(program) = cloned else {
        become_program(plan, executed.as_ref(), &stdio, tell)
    };
    drop((stdio, tell));
    let mut failure = Vec::new();
    let read = File::from(told).read_to_end(&mut failure);
    read.map_err(|error| Failure::at("waiting for the program", &error))?;
    if !failure.is_empty() {
        let failure = serde_json::from_slice(&failure);
        return Err(failure.unwrap_or_else(|_| Failure::program("it could not be executed")));
    }
    let told = Message::Started.send(control, None);
    told.map_err(|error| Failure::at("telling the brain", &error))?;
    Ok((program, children))
}

/// Opens a listener inside and hands it to the brain, where the program has a way out.
fn open_listener(control: BorrowedFd<'_>, plan: &Plan) -> Result<Option<u16>, Failure> {
    if !plan.egress {
        return Ok(None);
    }
    let open = || {
        sys::socket::loopback_up()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        Message::Listener.send(control, Some(listener.as_fd()))?;
        Ok(Some(port))
    };
    open().map_err(|error| Failure::at("opening the way out", &error))
}

/// Finds the program inside, and adds to its environment what only the inside knows.
fn executed(argv: &[String], environment: &[String], port: Option<u16>) -> Result<Executed, Failure> {
    let name = argv
        .first()
        .ok_or_else(|| Failure::program("it has no arguments at all"))?;
    let path = find(name)?;
    let mut environment: Vec<String> = environment.to_vec();
    environment.extend([format!("PATH={}", root::PATH), "HOME=/tmp".into(), "TMPDIR=/tmp".into()]);
    if let Some(port) = port {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            for name in [name.to_owned(), name.to_lowercase()] {
                environment.push(format!("{name}=http://127.0.0.1:{port}"));
            }
        }
    }
    let texts = |texts: &[String]| -> Result<Vec<CString>, Failure> {
        let texts = texts.iter().map(|text| sys::c_string(text.as_str()));
        texts
            .collect::<io::Result<_>>()
            .map_err(|_| Failure::program("an argument or a variable has a NUL in it"))
    };
    Ok(Executed {
        path: sys::c_string(path).map_err(|_| Failure::program("its name has a NUL in it"))?,
        arguments: texts(argv)?,
        environment: texts(&environment)?,
    })
}

/// A path below `/skill`, or that of an interpreter.
fn find(name: &str) -> Result<String, Failure> {
    if !root::is_name(name) {
        return Err(Failure::program(format!(
            "{name:?} is no path below its own tree and no name"
        )));
    }
    let own = format!("/skill/{name}");
    if Path::new(&own).is_file() {
        return Ok(own);
    }
    let mut places = root::PATH.split(':').map(|place| format!("{place}/{name}"));
    let found = places.find(|path| !name.contains('/') && Path::new(path).is_file());
    found.ok_or_else(|| {
        Failure::program(format!(
            "{name:?} is neither in its own tree nor an interpreter in {}",
            root::PATH
        ))
    })
}

/// The last steps, in the process of the program itself.
fn become_program(plan: &Plan, executed: Option<&Executed>, stdio: &[OwnedFd; 3], tell: OwnedFd) -> ! {
    let prepare = || {
        sys::new_session()?;
        for (from, to) in stdio.iter().zip(0..) {
            sys::duplicate_as(from.as_fd(), to)?;
        }
        std::env::set_current_dir("/skill")?;
        restrictions::limit_processor(plan)
    };
    let failure = match (prepare(), executed) {
        (Err(error), _) => Failure::at("preparing its descriptors", &error),
        (Ok(()), None) => {
            drop(tell);
            verify::run(plan)
        }
        (Ok(()), Some(executed)) => {
            sys::reset_signals();
            let error = sys::execute(&executed.path, &executed.arguments, &executed.environment);
            Failure::program(format!("{}: {error}", executed.path.to_string_lossy()))
        }
    };
    let text = serde_json::to_vec(&failure).unwrap_or_else(|_| b"?".to_vec());
    // If nobody hears it, nobody is there to be told.
    let _gone = File::from(tell).write_all(&text);
    sys::exit(127)
}

/// Reaps until the program has ended, or the brain is gone; the exit code of this process.
fn tend(control: BorrowedFd<'_>, program: i32, children: OwnedFd) -> i32 {
    let mut children = File::from(children);
    loop {
        let Ok([gone, ended]) = sys::wait_readable([control, children.as_fd()], [0, libc::POLLIN]) else {
            return 1;
        };
        if gone {
            return 1;
        }
        if !ended {
            continue;
        }
        let mut signal = [0; 128];
        // What it says is asked for below; reading it only makes room for the next.
        let _drained = children.read(&mut signal);
        while let Ok(Some(reaped)) = sys::reap(-1, false) {
            if reaped.pid == program {
                // If the brain is gone there is nobody to tell.
                let _gone = Message::Ended(reaped.status, reaped.cpu_micros).send(control, None);
                return 0;
            }
        }
    }
}
