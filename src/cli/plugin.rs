//! As a plugin of kubectl: called as `kubectl-rollcall`, it is `kubectl rollcall`.

use std::ffi::OsStr;
use std::path::Path;

use clap::Command;

/// As kubectl finds it on the PATH; hyphens of a plugin's name become underscores there, and this one has none.
const NAME: &str = "kubectl-rollcall";

/// Whether kubectl called it, or somebody by the name that kubectl calls it by.
pub(super) fn is_called() -> bool {
    std::env::args_os().next().is_some_and(|program| is_plugin(&program))
}

fn is_plugin(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == NAME)
}

/// The command under the name that it was called by, for usage and errors.
pub(super) fn named(command: Command) -> Command {
    if is_called() { command.bin_name("kubectl rollcall") } else { command }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_by_the_name() {
        for (program, expected) in [
            ("kubectl-rollcall", true),
            ("/usr/local/bin/kubectl-rollcall", true),
            ("rollcall", false),
            ("kubectl-rollcall/rollcall", false),
            ("", false),
        ] {
            assert_eq!(is_plugin(OsStr::new(program)), expected, "{program}");
        }
    }
}
