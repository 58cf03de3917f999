//! Links the C++ standard library, which Luau needs, into the program, where the compiler has it as an archive: one
//! shared library less to be there, to be loaded by every agent's guard, and a megabyte less of memory.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let Ok(out) = std::env::var("OUT_DIR") else { return };
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let Ok(answer) = Command::new(compiler).arg("-print-file-name=libstdc++.a").output() else { return };
    let archive = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    // A compiler that has none answers with the bare name.
    if !Path::new(&archive).is_absolute() {
        return;
    }
    let link = Path::new(&out).join("libstdc++.a");
    let _ = std::fs::remove_file(&link);
    if std::os::unix::fs::symlink(&archive, &link).is_ok() {
        // The linker takes what it finds first, and looks here before it looks where the shared library is.
        println!("cargo:rustc-link-search=native={out}");
    }
}
