//! Drops root permanently before anything listens, for containers that start the service as root.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

/// User and group to switch to if root owns the folder of the service's files: `nonroot` of the distroless images.
const NONROOT: u32 = 65532;
/// The sticky bit, as on /tmp.
const STICKY: u32 = 0o1000;
/// Process id of the first process of a container.
const FIRST_PROCESS: u32 = 1;

/// Switches from root to the owner of `folder`, so that files belong to the folder's owner. A folder that belongs to root
/// is first given to [`NONROOT`]. Without a folder, only the first process of a container switches, to [`NONROOT`].
///
/// Must be called while there is a single thread, and after everything that requires root.
///
/// # Errors
/// The folder cannot be created or its owner changed, or the kernel does not drop root.
pub fn drop_root(folder: Option<&Path>) -> anyhow::Result<()> {
    // SAFETY: plain system call.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root || (folder.is_none() && std::process::id() != FIRST_PROCESS) {
        return Ok(());
    }
    let (user, group) = match folder {
        Some(folder) => unprivileged_owner(folder).map_err(|error| {
            anyhow!(
                "cannot prepare {} for an unprivileged user: {error}; set LOG_PATH to another folder",
                folder.display()
            )
        })?,
        None => (NONROOT, NONROOT),
    };
    switch_user(user, group).with_context(|| format!("cannot switch to user {user} and group {group}"))
}

/// The owner of the folder. Creates the folder if necessary, and gives it to [`NONROOT`] if root owns it.
fn unprivileged_owner(folder: &Path) -> io::Result<(u32, u32)> {
    fs::create_dir_all(folder)?;
    let metadata = fs::metadata(folder)?;
    match (metadata.uid(), metadata.gid()) {
        (0, _) => {
            change_owner(folder)?;
            Ok((NONROOT, NONROOT))
        }
        // The group root has privileges of its own, so the user's id is also used as group id.
        (user, 0) => Ok((user, user)),
        owner => Ok(owner),
    }
}

/// Gives the folder and the files of earlier runs in it to [`NONROOT`]. Other files keep their owner, because LOG_PATH
/// may name the folder by mistake.
fn change_owner(folder: &Path) -> io::Result<()> {
    if fs::metadata(folder)?.mode() & STICKY != 0 {
        return Err(io::Error::other("it is a shared folder with the sticky bit"));
    }
    lchown(folder, Some(NONROOT), Some(NONROOT))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_ours(&path) {
            change_owner_of_tree(&path)?;
        }
    }
    Ok(())
}

/// A run's folder, the journal, or the link to the newest run.
fn is_ours(path: &Path) -> bool {
    let is_named = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
    is_named(&[".journal", ".collector", "latest"]) || path.join("cctf").is_dir()
}

/// Changes the owner of links themselves, never of their targets.
fn change_owner_of_tree(path: &Path) -> io::Result<()> {
    lchown(path, Some(NONROOT), Some(NONROOT))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            change_owner_of_tree(&entry?.path())?;
        }
    }
    Ok(())
}

fn switch_user(user: u32, group: u32) -> anyhow::Result<()> {
    // SAFETY: plain system calls; no list of groups is read, as its length is zero.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(group, group, group))?;
        check(libc::setresuid(user, user, user))?;
        // Programs started from here cannot regain privileges through setuid bits.
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        if libc::setuid(0) == 0 {
            bail!("the kernel allows a switch back to root");
        }
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_a_folder_of_root_and_the_files_of_runs_change_their_owner() {
        // SAFETY: plain system call.
        if unsafe { libc::geteuid() } != 0 {
            // Only root can change owners; container tests cover the rest.
            return;
        }
        let outside = tempfile::tempdir().unwrap();
        let (theirs, ours) = (outside.path().join("theirs"), outside.path().join("ours"));
        fs::create_dir(&theirs).unwrap();
        lchown(&theirs, Some(1234), Some(0)).unwrap();
        assert_eq!(unprivileged_owner(&theirs).unwrap(), (1234, 1234));
        fs::create_dir_all(ours.join("run/cctf")).unwrap();
        fs::create_dir_all(ours.join("others/log")).unwrap();
        std::os::unix::fs::symlink(&theirs, ours.join("latest")).unwrap();
        assert_eq!(unprivileged_owner(&ours).unwrap(), (NONROOT, NONROOT));
        for given in ["", "run", "run/cctf", "latest"] {
            assert_eq!(
                fs::symlink_metadata(ours.join(given)).unwrap().uid(),
                NONROOT,
                "{given}"
            );
        }
        assert_eq!(fs::metadata(&theirs).unwrap().uid(), 1234);
        assert_eq!(fs::metadata(ours.join("others")).unwrap().uid(), 0);
        let shared = outside.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(unprivileged_owner(&shared).is_err());
    }
}
